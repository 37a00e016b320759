//! Decides which findings belong together: those of one service that are close in time.
#![cfg_attr(not(test), deny(clippy::wildcard_enum_match_arm, clippy::indexing_slicing))]

mod calls;

use std::time::Duration;

use crate::detect::Finding;
use crate::id::{Fingerprint, IncidentId};
use crate::series::Service;
use crate::time::Timestamp;

pub use self::calls::{Call, CallGraph, HOPS_MAX};

/// What a person may tune about grouping.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// A finding joins an incident of its service whose last activity is at most this long ago.
    pub window: Duration,
    /// Which service calls which, as far as that is known.
    pub calls: CallGraph,
}

impl Default for Settings {
    fn default() -> Self {
        Self { window: Duration::from_secs(300), calls: CallGraph::default() }
    }
}

/// An incident that is open, as far as grouping needs to know it.
#[derive(Debug, Clone, PartialEq)]
pub struct Open {
    /// Which.
    pub id: IncidentId,
    /// The service that it is about.
    pub service: Service,
    /// When something of it was last anomalous.
    pub last_active: Timestamp,
}

/// Where a finding goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// Into an incident that is open.
    Joins(IncidentId),
    /// Into a new one.
    Opens,
}

/// Places a finding whose trouble began at `onset`. Of several open incidents that fit, the most recently active one
/// takes it.
pub fn place(
    finding: &Finding,
    onset: Timestamp,
    open: impl IntoIterator<Item = Open>,
    settings: &Settings,
) -> Placement {
    let fits = |candidate: &Open| {
        candidate.service == finding.key.service && onset.since(candidate.last_active) <= settings.window
    };
    let latest = open.into_iter().filter(fits).max_by_key(|candidate| (candidate.last_active, candidate.id));
    latest.map_or(Placement::Opens, |candidate| Placement::Joins(candidate.id))
}

/// The fingerprint of what a new incident stands for: the service, and the series that showed it first.
///
/// With the onset it names the incident, so that the same slot judged twice names the same one.
pub fn fingerprint(first: &Finding) -> Fingerprint {
    let key = &first.key;
    Fingerprint::of(&[b"service", key.service.as_str().as_bytes(), &key.hash.as_u128().to_be_bytes()])
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::detect::{Kind, What};
    use crate::series::{Labels, SeriesKey, SignalName};

    fn finding(service: &str) -> Finding {
        let labels = Labels::new([("service", service)]);
        let key = Arc::new(SeriesKey::new(SignalName::new("cpu"), Service::new(service), labels));
        Finding { key, kind: Kind::Cpu, at: Timestamp::default(), what: What::Returned, why: None }
    }

    fn open(service: &str, last_active_s: i64) -> Open {
        let id = IncidentId::derive(Fingerprint::of(&[service.as_bytes()]), last_active_s);
        Open { id, service: Service::new(service), last_active: Timestamp::from_millis(last_active_s * 1000) }
    }

    #[track_caller]
    fn check(service: &str, onset_s: i64, candidates: &[Open], expected: Option<usize>) {
        let onset = Timestamp::from_millis(onset_s * 1000);
        let placement = place(&finding(service), onset, candidates.to_vec(), &Settings::default());
        let expected = expected.map_or(Placement::Opens, |place| Placement::Joins(candidates[place].id));
        assert_eq!(placement, expected);
    }

    #[test]
    fn one_service_within_the_window_is_one_incident() {
        check("a", 100, &[open("a", 50)], Some(0));
        check("a", 350, &[open("a", 50)], Some(0));
    }

    #[test]
    fn an_onset_before_the_last_activity_joins_too() {
        check("a", 10, &[open("a", 50)], Some(0));
    }

    #[test]
    fn beyond_the_window_or_elsewhere_opens_anew() {
        check("a", 351, &[open("a", 50)], None);
        check("a", 100, &[open("b", 50)], None);
        check("a", 100, &[], None);
    }

    #[test]
    fn the_most_recently_active_one_takes_it() {
        check("a", 100, &[open("a", 50), open("a", 90), open("a", 20)], Some(1));
    }
}
