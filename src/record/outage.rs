//! The wire form of a signal's part in an incident about the source.

use serde::{Deserialize, Serialize};

use super::member::StateWire;
use super::scalar::{millis, signal};
use crate::incident::{MemberState, Outage, Silence};
use crate::series::SignalName;
use crate::time::Timestamp;

#[derive(Serialize, Deserialize)]
#[serde(remote = "Outage", deny_unknown_fields)]
pub(super) struct OutageWire {
    #[serde(with = "signal")]
    signal: SignalName,
    #[serde(with = "millis", rename = "since_ms")]
    since: Timestamp,
    #[serde(with = "millis", rename = "detected_at_ms")]
    detected_at: Timestamp,
    #[serde(with = "SilenceWire")]
    silence: Silence,
    #[serde(with = "StateWire")]
    state: MemberState,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Silence", rename_all = "snake_case", deny_unknown_fields)]
enum SilenceWire {
    Unanswered { because: String },
    Stopped { lost: usize, tracked: usize },
}
