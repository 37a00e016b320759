//! Spans in which the backend itself took no samples, or those of few of its targets only.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// At most so many are remembered: where there are more, the two that are nearest to each other count as one.
const GAPS_MAX: usize = 64;

/// Those spans, in order and apart from each other.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gaps {
    spans: Vec<(Timestamp, Timestamp)>,
}

impl Gaps {
    /// Takes a span, both of its ends included, and joins it with those that it touches or that are at most a step away:
    /// no sample lies between these.
    pub(super) fn add(&mut self, from: Timestamp, to: Timestamp, step: Duration) {
        let (mut from, mut to) = (from, to.max(from));
        self.spans.retain(|(other_from, other_to)| {
            let is_apart = other_to.plus(step) < from || to.plus(step) < *other_from;
            if !is_apart {
                (from, to) = (from.min(*other_from), to.max(*other_to));
            }
            is_apart
        });
        let place = self.spans.partition_point(|(other, _)| *other < from);
        self.spans.insert(place, (from, to));
        if self.spans.len() > GAPS_MAX {
            self.join_nearest();
        }
    }

    fn join_nearest(&mut self) {
        let apart = self.spans.iter().zip(self.spans.iter().skip(1)).map(|(a, b)| b.0.since(a.1));
        // Of two pairs the older one: what is asked about is new.
        let Some((first, _)) = apart.enumerate().min_by_key(|(_, apart)| *apart) else { return };
        let second = self.spans.remove(first + 1);
        if let Some(joined) = self.spans.get_mut(first) {
            joined.1 = second.1;
        }
    }

    /// Whether a time lies in a gap or at most `after` behind one.
    pub fn distort(&self, at: Timestamp, after: Duration) -> bool {
        // They are in order and apart: of those that have begun, the newest ends last.
        let begun = self.spans.partition_point(|(from, _)| *from <= at);
        self.spans.get(..begun).and_then(<[_]>::last).is_some_and(|(_, to)| at.since(*to) <= after)
    }

    /// The gaps that end at a time or later.
    pub fn since(&self, at: Timestamp) -> Vec<(Timestamp, Timestamp)> {
        self.spans.iter().filter(|(_, to)| *to >= at).copied().collect()
    }

    /// Whether they are in order, apart and not too many.
    pub(super) fn is_sound(&self) -> bool {
        let each = self.spans.iter().all(|(from, to)| from <= to);
        let pairs = self.spans.iter().zip(self.spans.iter().skip(1));
        each && pairs.into_iter().all(|(one, next)| one.1 < next.0) && self.spans.len() <= GAPS_MAX
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    #[test]
    fn a_gap_that_grows_is_one() {
        let mut gaps = Gaps::default();
        for (from, to) in [(100, 130), (300, 310), (115, 160), (20, 30)] {
            gaps.add(at(from), at(to), Duration::ZERO);
        }
        assert_eq!(gaps.since(at(0)), [(20, 30), (100, 160), (300, 310)].map(|(a, b)| (at(a), at(b))));
    }

    #[test]
    fn what_it_distorts_begins_with_it_and_ends_a_window_later() {
        let mut gaps = Gaps::default();
        gaps.add(at(100), at(130), Duration::ZERO);
        let distorted = |s: i64| gaps.distort(at(s), Duration::from_secs(60));
        assert_eq!([99, 100, 130, 190, 191].map(distorted), [false, true, true, true, false]);
    }

    #[test]
    fn gaps_with_no_step_between_are_one() {
        let mut gaps = Gaps::default();
        let step = Duration::from_secs(15);
        for (from, to) in [(0, 45), (60, 105), (135, 150), (120, 120)] {
            gaps.add(at(from), at(to), step);
        }
        assert_eq!(gaps.since(at(0)), [(at(0), at(150))]);
        gaps.add(at(166), at(170), step);
        assert_eq!(gaps.since(at(0)).len(), 2, "a step lies between");
    }

    #[test]
    fn their_number_is_bounded_and_none_is_dropped() {
        let mut gaps = Gaps::default();
        for n in (0..1000).rev() {
            gaps.add(at(n * 10), at(n * 10 + 1), Duration::ZERO);
        }
        assert_eq!(gaps.since(at(0)).len(), GAPS_MAX);
        assert!((0..1000).all(|n| gaps.distort(at(n * 10), Duration::ZERO)));
    }
}
