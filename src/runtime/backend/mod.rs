//! What all pollers of one source share: the client, whether the backend answers, how its clock goes, its pulse.

mod breaker;
mod failure;
#[cfg(test)]
mod given_up;
mod patience;
mod pulse;
mod shared;
mod skew;
mod standing;

pub(super) use self::failure::{asks_too_much, failure_of};
pub(super) use self::patience::{at_least, pause, pause_at_start};
pub(super) use self::shared::{Backend, Pass, Place, PulseQuery};
