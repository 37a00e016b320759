//! What is known of calls between services, as the heuristics use it.
//!
//! Trouble travels against the direction of a call: whoever waits for a service that is slow is slow too. So of two
//! services in trouble, of which one calls the other, the one that is called is more likely where it began.

use std::time::Duration;

use super::bundle::{Bundle, Evidence, EvidenceId};
use super::diagnosis::Contribution;
use super::wording::{name, span};
use crate::series::Service;
use crate::time::Timestamp;

/// What began so much later is still as early: samples are minutes apart, and an onset is told to a sample or two.
const AS_EARLY: Duration = Duration::from_secs(5 * 60);
/// Trouble elsewhere that began longer before is no candidate for the cause of this one.
pub(super) const LEAD_MAX: Duration = Duration::from_secs(15 * 60);
/// For a cause in a service that the incident's service calls itself; half of it where one stands between, and so on.
const CALLED_BITS: f64 = 1.0;
/// For a cause in a service of which a callee is in trouble too.
const CALLEE_BITS: f64 = -2.0;
/// For a cause in a service of which no call leads here, as far as is known.
const UNLINKED_BITS: f64 = -1.5;

/// How another service stands to the incident's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    /// It is called, over so many calls.
    Called { hops: u32 },
    /// It calls.
    Calls,
    /// Both: they call each other in a circle.
    Circle,
    /// Nothing is known.
    Unknown,
}

impl Link {
    /// How `other` stands to the incident's service.
    pub(super) fn of(bundle: &Bundle, other: &Service) -> Self {
        let Some(own) = bundle.subject.service() else { return Self::Unknown };
        match (hops(bundle, own, other), hops(bundle, other, own)) {
            (Some(hops), None) => Self::Called { hops },
            (None, Some(_)) => Self::Calls,
            (Some(_), Some(_)) => Self::Circle,
            (None, None) => Self::Unknown,
        }
    }

    /// What the link says about a cause there.
    pub(super) fn contribution(self) -> Option<Contribution> {
        let (term, bits) = match self {
            Self::Called { hops } => ("called", CALLED_BITS / f64::from(hops.max(1))),
            Self::Unknown => ("unlinked", UNLINKED_BITS),
            Self::Calls | Self::Circle => return None,
        };
        Some(Contribution { term: term.into(), bits })
    }

    /// The same in words.
    pub(super) fn sentence(self, there: &str, here: &str) -> String {
        match self {
            Self::Called { hops: 1 } => {
                format!(
                    "{here} calls {there}, and whoever waits for a service in trouble is in trouble too: look there first."
                )
            }
            Self::Called { hops } => format!(
                "{here} calls {there} through others ({hops} calls apart), and whoever waits for a service in trouble is in \
                 trouble too: look there first."
            ),
            Self::Calls => {
                format!("{there} calls {here} and not the other way: its trouble may well be a consequence.")
            }
            Self::Circle => {
                format!("{here} and {there} call each other, so that calls do not tell which comes first.")
            }
            Self::Unknown => format!(
                "If {here} calls {there} or shares something with it, look there first. No link between the two is known \
                 here; it may be coincidence."
            ),
        }
    }

    /// Whether trouble there that began at `onset` can be the cause of trouble that began at `since`: shortly before, or,
    /// where it is called, as early.
    pub(super) fn may_cause(self, onset: Timestamp, since: Timestamp) -> bool {
        match self {
            Self::Called { .. } => is_as_early(onset, since),
            Self::Calls | Self::Circle | Self::Unknown => onset < since && since.since(onset) <= LEAD_MAX,
        }
    }
}

/// A service that a candidate calls and that is in trouble as early.
pub(super) struct Callee<'a> {
    /// Its evidence.
    pub(super) id: &'a EvidenceId,
    service: &'a Service,
    onset: Timestamp,
}

impl<'a> Callee<'a> {
    /// The nearest one of `service`, whose own trouble began at `since`; of several, the one that began first.
    pub(super) fn of(bundle: &'a Bundle, service: &Service, since: Timestamp) -> Option<Self> {
        let found = bundle.items.iter().filter_map(|item| {
            let (callee, onset) = match &item.what {
                Evidence::Elsewhere { service, onset, .. } => (service, *onset),
                Evidence::Anomaly { service, trouble, .. } => (service, trouble.onset()),
                Evidence::Sibling { .. } | Evidence::Source(_) | Evidence::Past { .. } => return None,
            };
            let down = hops(bundle, service, callee)?;
            let is_below = hops(bundle, callee, service).is_none();
            let callee = Self { id: &item.id, service: callee, onset };
            (is_below && is_as_early(onset, since)).then_some((down, onset, callee))
        });
        found.min_by_key(|(hops, onset, _)| (*hops, *onset)).map(|(_, _, callee)| callee)
    }

    /// What it says about the candidate.
    pub(super) fn contribution() -> Contribution {
        Contribution { term: "callee".into(), bits: CALLEE_BITS }
    }

    /// The same in words.
    pub(super) fn sentence(&self, caller: &str) -> String {
        let callee = name(self.service.as_str());
        format!(
            "{caller} calls {callee}, which is in trouble since {}: this may be a consequence.",
            self.onset
        )
    }
}

/// `30s earlier`, `at the same time`, `1m later`.
pub(super) fn beside(onset: Timestamp, since: Timestamp) -> String {
    if onset < since {
        format!("{} earlier", span(since.since(onset)))
    } else if onset == since {
        "at the same time".to_owned()
    } else {
        format!("{} later", span(onset.since(since)))
    }
}

fn is_as_early(onset: Timestamp, since: Timestamp) -> bool {
    onset <= since.plus(AS_EARLY) && since.since(onset) <= LEAD_MAX
}

fn hops(bundle: &Bundle, from: &Service, to: &Service) -> Option<u32> {
    bundle.calls.iter().find(|call| call.from == *from && call.to == *to).map(|call| call.hops)
}
