//! Spans in which the backend itself took no samples, or those of few of its targets only.

use std::time::Duration;

use crate::time::Timestamp;

/// At most so many are remembered: the oldest ones, of which no sample to come can be too near, are dropped first.
const GAPS_MAX: usize = 64;

/// Those spans, in order and apart from each other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gaps {
    spans: Vec<(Timestamp, Timestamp)>,
}

impl Gaps {
    /// Takes a span, both of its ends included, and joins it with those that it touches.
    pub(super) fn add(&mut self, from: Timestamp, to: Timestamp) {
        let (mut from, mut to) = (from, to.max(from));
        self.spans.retain(|(other_from, other_to)| {
            let is_apart = *other_to < from || to < *other_from;
            if !is_apart {
                (from, to) = (from.min(*other_from), to.max(*other_to));
            }
            is_apart
        });
        let place = self.spans.partition_point(|(other, _)| *other < from);
        self.spans.insert(place, (from, to));
        if self.spans.len() > GAPS_MAX {
            self.spans.remove(0);
        }
    }

    /// Whether a time lies in a gap or at most `after` behind one.
    pub fn distort(&self, at: Timestamp, after: Duration) -> bool {
        // The newest are last, and so are the samples that ask.
        self.spans.iter().rev().any(|(from, to)| *from <= at && at.since(*to) <= after)
    }

    /// The gaps that end at a time or later.
    pub fn since(&self, at: Timestamp) -> Vec<(Timestamp, Timestamp)> {
        self.spans.iter().filter(|(_, to)| *to >= at).copied().collect()
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
            gaps.add(at(from), at(to));
        }
        assert_eq!(gaps.since(at(0)), [(20, 30), (100, 160), (300, 310)].map(|(a, b)| (at(a), at(b))));
    }

    #[test]
    fn what_it_distorts_begins_with_it_and_ends_a_window_later() {
        let mut gaps = Gaps::default();
        gaps.add(at(100), at(130));
        let distorted = |s: i64| gaps.distort(at(s), Duration::from_secs(60));
        assert_eq!([99, 100, 130, 190, 191].map(distorted), [false, true, true, true, false]);
    }

    #[test]
    fn their_number_is_bounded() {
        let mut gaps = Gaps::default();
        (0..1000).for_each(|n| gaps.add(at(n * 10), at(n * 10 + 1)));
        assert_eq!(gaps.since(at(0)).len(), GAPS_MAX);
    }
}
