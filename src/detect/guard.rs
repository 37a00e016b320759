//! What a person knows of a signal beyond its samples: which values can be, and how much traffic it takes to mean anything.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::finding::Side;
use super::snapshot::{Reader, SnapshotFlaw, Writer, sound};
use crate::series::{Batch, Service, SignalName};
use crate::time::{Timestamp, millis};

/// A value outside the valid range scores at least this.
pub(super) const INVALID_SCORE: f64 = 2.0;
/// A companion's sample counts for so long, or for two of its steps, whichever is longer.
pub const VOLUME_AGE: Duration = Duration::from_secs(15 * 60);
/// So many steps of a service's volume are remembered.
const STEPS_MAX: usize = 512;
/// A service whose volume has not been seen for so long is forgotten.
const FORGET_VOLUME_AFTER: Duration = Duration::from_secs(24 * 3600);

/// The values that a signal can have while all is well.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ValidRange {
    /// The least of them; `None` where there is none.
    pub min: Option<f64>,
    /// The largest; `None` where there is none.
    pub max: Option<f64>,
}

impl ValidRange {
    /// The side on which a value is outside; `None` where it is within.
    pub fn side(&self, value: f64) -> Option<Side> {
        if self.max.is_some_and(|max| value > max) {
            Some(Side::Up)
        } else if self.min.is_some_and(|min| value < min) {
            Some(Side::Down)
        } else {
            None
        }
    }

    /// Whether it is set at all.
    pub fn is_set(&self) -> bool {
        self.min.is_some() || self.max.is_some()
    }
}

/// The traffic below which nothing opens.
#[derive(Debug, Clone, PartialEq)]
pub struct MinVolume {
    /// It, in the unit of the signal that is asked.
    pub least: f64,
    /// Which signal tells the volume of a service; `None` for the sample's own value, or what is expected in its place
    /// where that is more.
    pub of: Option<SignalName>,
}

/// How much traffic there was when a sample was taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Volume {
    /// Nobody asks, or the sample's own value tells.
    Own,
    /// The newest sample of the companion at or before it, all its series of the service together.
    Known {
        /// How much.
        value: f64,
        /// Of when.
        at: Timestamp,
    },
    /// The companion's samples of that time are still to be read, or are no longer remembered.
    Unread,
    /// The companion was read and has nothing of the service that is new enough.
    Absent,
}

impl MinVolume {
    /// Whether this is too little traffic to open anything. Where nothing is known yet, it is; where the companion has no
    /// such service, it is not.
    pub(super) fn is_low(&self, volume: Volume, value: f64, expected: f64) -> bool {
        match volume {
            Volume::Own => value.max(expected) < self.least,
            Volume::Known { value, .. } => value < self.least,
            Volume::Unread => true,
            Volume::Absent => false,
        }
    }
}

/// The lately seen volume of each service, of one signal that tells it.
#[derive(Debug, Clone, Default)]
pub(super) struct Volumes {
    by_service: BTreeMap<Service, VecDeque<(i64, f64)>>,
    through_ms: Option<i64>,
}

impl Volumes {
    /// Takes the samples of a batch that are newer than what its series had before.
    pub(super) fn take(&mut self, batch: &Batch, last: impl Fn(crate::id::Fingerprint) -> Option<Timestamp>) {
        for row in batch.rows() {
            let last_ms = last(row.key.hash).map_or(i64::MIN, Timestamp::as_millis);
            if !self.by_service.contains_key(&row.key.service) {
                self.by_service.insert(row.key.service.clone(), VecDeque::new());
            }
            let Some(steps) = self.by_service.get_mut(&row.key.service) else { continue };
            let fresh = row.times_ms.iter().zip(row.values).filter(|(at_ms, _)| **at_ms > last_ms);
            for (at_ms, value) in fresh {
                let place = steps.partition_point(|(other_ms, _)| other_ms < at_ms);
                match steps.get_mut(place) {
                    Some((same_ms, sum)) if same_ms == at_ms => *sum += value,
                    Some(_) | None => steps.insert(place, (*at_ms, *value)),
                }
            }
            while steps.len() > STEPS_MAX {
                steps.pop_front();
            }
        }
    }

    pub(super) fn keep(&self, out: &mut Writer) {
        out.put(&self.through_ms);
        out.put_all(self.by_service.iter().map(|(service, steps)| (service.as_str(), steps)));
    }

    pub(super) fn restore(from: &mut Reader<'_>) -> Result<Self, SnapshotFlaw> {
        let through_ms = from.take()?;
        let by_service: Vec<(String, VecDeque<(i64, f64)>)> = from.take()?;
        let is_steps = |steps: &VecDeque<(i64, f64)>| {
            let pairs = steps.iter().zip(steps.iter().skip(1));
            steps.len() <= STEPS_MAX && pairs.into_iter().all(|(one, next)| one.0 < next.0)
        };
        sound(by_service.iter().all(|(_, steps)| is_steps(steps)), "volumes out of order")?;
        let by_service = by_service.into_iter().map(|(service, steps)| (Service::new(&service), steps));
        Ok(Self { by_service: by_service.collect(), through_ms })
    }

    /// Notes up to when the signal was read, and forgets services that are long gone.
    pub(super) fn read_through(&mut self, through: Timestamp) {
        self.through_ms = Some(self.through_ms.map_or(through.as_millis(), |ms| ms.max(through.as_millis())));
        let oldest_ms = through.minus(FORGET_VOLUME_AFTER).as_millis();
        self.by_service.retain(|_, steps| steps.back().is_some_and(|(at_ms, _)| *at_ms >= oldest_ms));
    }

    /// What is known of a service at a time; `step` is that of the signal.
    pub(super) fn of(&self, service: &Service, at: Timestamp, step: Duration) -> Volume {
        let at_ms = at.as_millis();
        let age = VOLUME_AGE.max(step.saturating_mul(2));
        let steps = self.by_service.get(service);
        let newest = steps.and_then(|steps| {
            let place = steps.partition_point(|(other_ms, _)| *other_ms <= at_ms);
            steps.get(place.checked_sub(1)?)
        });
        if let Some((found_ms, value)) = newest
            && at_ms.saturating_sub(*found_ms) <= millis(age)
        {
            return Volume::Known { value: *value, at: Timestamp::from_millis(*found_ms) };
        }
        let is_before_all = newest.is_none() && steps.is_some_and(|steps| steps.len() >= STEPS_MAX);
        if self.through_ms.is_none() || is_before_all { Volume::Unread } else { Volume::Absent }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_edges_of_the_valid_range_are_within() {
        let ratio = ValidRange { min: Some(0.0), max: Some(1.0) };
        let sides = [-0.1, 0.0, 1.0, 1.1].map(|value| ratio.side(value));
        assert_eq!(sides, [Some(Side::Down), None, None, Some(Side::Up)]);
        assert_eq!(ValidRange::default().side(f64::MAX), None);
    }

    #[test]
    fn a_fall_to_nothing_is_not_low_traffic_where_much_was_expected() {
        let own = MinVolume { least: 1.0, of: None };
        assert!(own.is_low(Volume::Own, 0.2, 0.1));
        assert!(!own.is_low(Volume::Own, 0.0, 45.0));
    }

    #[test]
    fn what_is_not_read_yet_waits_and_what_is_not_there_does_not() {
        let least = MinVolume { least: 1.0, of: Some(SignalName::new("request_rate")) };
        let (mut volumes, service) = (Volumes::default(), Service::new("a"));
        let at = Timestamp::from_millis(1_700_000_000_000);
        let step = Duration::from_secs(60);
        assert!(least.is_low(volumes.of(&service, at, step), 0.0, 0.0));
        volumes.read_through(at);
        assert_eq!(volumes.of(&service, at, step), Volume::Absent);
        assert!(!least.is_low(Volume::Absent, 0.0, 0.0));
    }
}
