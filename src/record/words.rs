//! The words for plain choices. Each definition mirrors its domain type, and the compiler compares the two.

use serde::{Deserialize, Serialize};

use crate::detect::{Kind, Side};
use crate::diagnose::{Because, Cause};
use crate::engine::{Failure, NotJudged};
use crate::incident::{Assessment, Requester, Resolution, Severity, Source};

#[derive(Serialize, Deserialize)]
#[serde(remote = "Side", rename_all = "snake_case")]
pub(super) enum SideWire {
    Up,
    Down,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Kind", rename_all = "snake_case")]
pub(super) enum KindWire {
    Traffic,
    Errors,
    Latency,
    Cpu,
    Memory,
    Other,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Source", rename_all = "snake_case")]
pub(super) enum SourceWire {
    Detector,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Severity")]
pub(super) enum SeverityWire {
    P0,
    P1,
    P2,
    P3,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Assessment", deny_unknown_fields)]
pub(super) struct AssessmentWire {
    #[serde(with = "SeverityWire")]
    severity: Severity,
    magnitude_points: i32,
    breadth_points: i32,
    criticality_points: i32,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Requester", rename_all = "snake_case")]
pub(super) enum RequesterWire {
    Pipeline,
    Person,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Resolution", rename_all = "snake_case")]
pub(super) enum ResolutionWire {
    Recovered,
    NothingLeft,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Cause", rename_all = "snake_case")]
pub(super) enum CauseWire {
    Traffic,
    Dependency,
    Saturation,
    Failure,
    Compute,
    Memory,
    Gone,
    Backend,
    Scraping,
    Other,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Failure", rename_all = "snake_case")]
pub(super) enum FailureWire {
    Backend,
    Query,
    Agent,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "NotJudged", rename_all = "snake_case")]
pub(super) enum NotJudgedWire {
    NotAsked,
    NoSamples,
    SourceGap,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Because", rename_all = "snake_case")]
pub(super) enum BecauseWire {
    ModelOff,
    ModelPending,
    QuestionsUsed,
    NoKey(String),
    Timeout(String),
    Refused(String),
    Truncated(String),
    BadReply(String),
    RateLimited(String),
    Unavailable(String),
}
