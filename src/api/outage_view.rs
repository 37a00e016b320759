//! A signal's part in an incident about the source, as a reader sees it.

use serde::Serialize;
use utoipa::ToSchema;

use super::vocabulary;
use crate::incident::{MemberState, Outage, Silence};

/// A signal that the source does not serve, or did not.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Outage)]
pub(super) struct OutageView {
    /// The signal.
    signal: String,
    /// What is missing: answers, or the samples of most series.
    #[schema(value_type = vocabulary::Silence)]
    silence: &'static str,
    /// Whether it still is.
    is_active: bool,
    /// Since when: the first slot that failed, or the last sample of the first series that stopped.
    #[schema(format = DateTime)]
    since_at: String,
    /// When it was held to be an outage.
    #[schema(format = DateTime)]
    detected_at: String,
    /// The failure that it began with; null where series stopped.
    #[schema(required = true)]
    because: Option<String>,
    /// How many series stopped; null where nothing was answered.
    #[schema(required = true)]
    lost: Option<usize>,
    /// Of how many; likewise.
    #[schema(required = true)]
    tracked: Option<usize>,
    /// When the signal was served again; null while it is not.
    #[schema(required = true)]
    #[schema(format = DateTime)]
    ended_at: Option<String>,
    /// How it ended: `returned` or `forgotten`; null while it goes on.
    #[schema(required = true)]
    ended_because: Option<&'static str>,
}

impl From<&Outage> for OutageView {
    fn from(outage: &Outage) -> Self {
        let (because, series) = match &outage.silence {
            Silence::Unanswered { because } => (Some(because.clone()), None),
            Silence::Stopped { lost, tracked } => (None, Some((*lost, *tracked))),
        };
        let ended = match outage.state {
            MemberState::Active => None,
            MemberState::Ended { until, because } => Some((until, because)),
        };
        Self {
            signal: outage.signal.to_string(),
            silence: outage.silence.as_str(),
            is_active: outage.is_active(),
            since_at: outage.since.to_string(),
            detected_at: outage.detected_at.to_string(),
            because,
            lost: series.map(|(lost, _)| lost),
            tracked: series.map(|(_, tracked)| tracked),
            ended_at: ended.map(|(until, _)| until.to_string()),
            ended_because: ended.map(|(_, because)| because.as_str()),
        }
    }
}
