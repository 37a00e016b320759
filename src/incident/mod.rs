//! An incident: what belongs together, how bad it is, and the phase that it is in. Every change is an event; the state
//! is what the events make of it.
#![cfg_attr(not(test), deny(clippy::wildcard_enum_match_arm, clippy::indexing_slicing))]

#[cfg(test)]
mod claims;
mod event;
mod member;
mod outage;
mod severity;
mod state;
mod subject;

pub use self::event::{Event, Requester, Resolution};
pub use self::member::{Ended, Member, MemberState, Trouble};
pub use self::outage::{Outage, Silence};
pub use self::severity::{Assessment, Criticality, Severity, assess, assess_source};
pub use self::state::{Incident, Opening, Phase, Settings, Source, Standing};
pub use self::subject::Subject;
