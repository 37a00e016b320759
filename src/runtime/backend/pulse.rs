//! The pulse of the source: at which steps the backend itself took no samples, or those of few of its targets only.
//!
//! A series that is missing at such a step is no news about its service. The pulse is one cheap query (`sum(up)`, the
//! number of targets that answered their scrape), asked once for each range of steps and kept for all signals.

use std::collections::VecDeque;
use std::time::Duration;

use crate::series::Batch;
use crate::source::TimeRange;
use crate::time::{Timestamp, millis};

/// So many steps are kept: two days of 15 s.
const STEPS_MAX: usize = 11_520;
/// The pulse is compared with its median over this time before,
const COMPARED: Duration = Duration::from_secs(3600);
/// of at least so many steps and at most so many.
const COMPARED_STEPS: (usize, usize) = (20, 240);
/// Below this share of the median the backend has seen too little to judge by.
const SHARE: f64 = 0.5;
/// A pulse that has been below that for so long, and was never away meanwhile, is at its new level: most of a fleet may
/// have been scaled down or have crashed, and what is left of it is to be judged. It covers the time in which the
/// targets fall away one after the other, and a usual `lost_after`.
const FALLS: Duration = Duration::from_secs(300);
/// A pulse that has been away for so long is not the backend's any more: its series may have been renamed or dropped
/// while the signals' go on, and they are judged as on a backend without it.
const GONE: Duration = Duration::from_secs(6 * 3600);

/// The pulse at contiguous steps.
#[derive(Debug)]
pub(super) struct Pulse {
    step: Duration,
    first: Timestamp,
    /// From `first` on, a value a step: `None` where the query gave none.
    values: VecDeque<Option<f64>>,
    /// The first step of all that had a value.
    seen_from: Option<Timestamp>,
}

impl Pulse {
    pub(super) fn new(step: Duration) -> Self {
        let step = step.max(Duration::from_millis(1));
        Self { step, first: Timestamp::default(), values: VecDeque::new(), seen_from: None }
    }

    /// The steps to ask for before those of a range can be judged; `None` where they are known. Steps between what is
    /// known and the range are asked for too, so that what is known stays in one piece.
    #[must_use]
    pub(super) fn unknown(&self, range: TimeRange) -> Option<TimeRange> {
        let Some(last) = self.last() else { return Some(range) };
        let (all, from) = (self.step.saturating_mul(STEPS_MAX as u32), last.plus(self.step));
        if range.start() < self.first {
            // What lies too far back to be kept beside the rest is asked for by itself.
            let is_near = last.since(range.start()) < all;
            return if is_near {
                TimeRange::new(range.start(), self.first.minus(self.step))
            } else {
                Some(range)
            };
        }
        let is_near = range.end().since(from) < all;
        (range.end() > last)
            .then(|| TimeRange::new(if is_near { from } else { range.start() }, range.end()))?
    }

    /// Takes the answer to what was asked for, in its parts. Several series count as their sum.
    pub(super) fn learn(&mut self, asked: TimeRange, parts: &[Batch]) {
        let mut values = vec![None; usize::try_from(asked.points(self.step)).unwrap_or(0)];
        for row in parts.iter().flat_map(Batch::rows) {
            for (at, value) in row.times_ms.iter().zip(row.values) {
                let place = (at - asked.start().as_millis()) / millis(self.step);
                if let Some(sum) = usize::try_from(place).ok().and_then(|place| values.get_mut(place)) {
                    *sum = Some(sum.unwrap_or(0.0) + value);
                }
            }
        }
        if let Some(place) = values.iter().position(Option::is_some) {
            let at = asked.start().plus(self.step.saturating_mul(u32::try_from(place).unwrap_or(u32::MAX)));
            self.seen_from = Some(self.seen_from.map_or(at, |seen_from| seen_from.min(at)));
        }
        match self.last() {
            Some(_) if asked.end() == self.first.minus(self.step) => {
                values.into_iter().rev().for_each(|value| self.values.push_front(value));
                self.first = asked.start();
            }
            Some(last) if asked.start() == last.plus(self.step) => self.values.extend(values),
            Some(_) | None => {
                self.values = values.into();
                self.first = asked.start();
            }
        }
        while self.values.len() > STEPS_MAX {
            self.values.pop_front();
            self.first = self.first.plus(self.step);
        }
    }

    /// The gaps among the steps of a range, the first step and the last of each. None where the pulse never had a value:
    /// then the backend has no such series, and nothing follows from that.
    pub(super) fn gaps(&self, range: TimeRange) -> Vec<TimeRange> {
        let mut gaps: Vec<TimeRange> = Vec::new();
        let mut at = range.start();
        while at <= range.end() {
            if self.is_gap(at) {
                match gaps.last_mut() {
                    Some(gap) if gap.end().plus(self.step) == at => {
                        *gap = TimeRange::new(gap.start(), at).unwrap_or(*gap);
                    }
                    Some(_) | None => gaps.extend(TimeRange::new(at, at)),
                }
            }
            at = at.plus(self.step);
        }
        gaps
    }

    fn is_gap(&self, at: Timestamp) -> bool {
        let Some(place) = self.place(at) else { return false };
        match self.values.get(place).copied().flatten() {
            Some(value) => self.level(place).is_some_and(|level| value < SHARE * level),
            // Before the first value there may have been no backend yet.
            None => {
                self.seen_from.is_some_and(|seen_from| seen_from < at)
                    && self.before(place, self.steps_of(GONE)).any(Option::is_some)
            }
        }
    }

    /// What the pulse at a step is compared with; `None` where nothing before it is known.
    fn level(&self, place: usize) -> Option<f64> {
        let (fewest, most) = COMPARED_STEPS;
        let usual = median(self.before(place, self.steps_of(COMPARED).clamp(fewest, most)).flatten())?;
        let falls = self.steps_of(FALLS);
        let has_settled = place >= falls
            && self.before(place, falls).all(|value| value.is_some_and(|value| value < SHARE * usual));
        if has_settled { median(self.before(place, falls).flatten()) } else { Some(usual) }
    }

    fn before(&self, place: usize, steps: usize) -> impl Iterator<Item = &Option<f64>> {
        self.values.range(place.saturating_sub(steps)..place)
    }

    /// How many steps cover a time.
    fn steps_of(&self, time: Duration) -> usize {
        usize::try_from(time.as_millis().div_ceil(self.step.as_millis())).unwrap_or(usize::MAX)
    }

    fn place(&self, at: Timestamp) -> Option<usize> {
        let away = at.as_millis().checked_sub(self.first.as_millis())?;
        usize::try_from(away / millis(self.step)).ok().filter(|place| away >= 0 && *place < self.values.len())
    }

    fn last(&self) -> Option<Timestamp> {
        let steps = u32::try_from(self.values.len().checked_sub(1)?).unwrap_or(u32::MAX);
        Some(self.first.plus(self.step.saturating_mul(steps)))
    }
}

fn median<'v>(values: impl Iterator<Item = &'v f64>) -> Option<f64> {
    let mut sorted: Vec<f64> = values.copied().collect();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::series::{Labels, SeriesKey, Service, SignalName};

    const STEP: Duration = Duration::from_secs(15);

    const fn at(step: i64) -> Timestamp {
        Timestamp::from_millis(step * 15_000)
    }

    fn range(from: i64, to: i64) -> TimeRange {
        TimeRange::new(at(from), at(to)).unwrap()
    }

    /// A letter a step from step 0 on: `#` is ten targets, `o` six, `.` two, a digit as many, `_` no value.
    fn answer(from: i64, pulse: &str) -> Batch {
        let mut batch = Batch::new(SignalName::new("pulse"));
        batch.begin_row(Arc::new(SeriesKey::new(
            SignalName::new("pulse"),
            Service::new(""),
            Labels::new([("", ""); 0]),
        )));
        for (step, letter) in (from..).zip(pulse.chars()) {
            let value = match letter {
                '#' => 10.0,
                'o' => 6.0,
                '.' => 2.0,
                _ => match letter.to_digit(10) {
                    Some(digit) => f64::from(digit),
                    None => continue,
                },
            };
            batch.push(at(step), value);
        }
        batch
    }

    #[track_caller]
    fn check(pulse: &str, gaps: &[(i64, i64)]) {
        let whole = range(0, pulse.len() as i64 - 1);
        let mut known = Pulse::new(STEP);
        known.learn(whole, &[answer(0, pulse)]);
        let found: Vec<_> = known.gaps(whole).iter().map(|gap| (gap.start(), gap.end())).collect();
        let expected: Vec<_> = gaps.iter().map(|(from, to)| (at(*from), at(*to))).collect();
        assert_eq!(found, expected, "{pulse}");
    }

    #[test]
    fn steps_without_a_value_or_with_less_than_half_are_gaps() {
        check("##########", &[]);
        check("####__####", &[(4, 5)]);
        check("####oo####", &[]);
        check("####.._###", &[(4, 6)]);
        check("##_####_", &[(2, 2), (7, 7)]);
    }

    #[test]
    fn a_backend_without_such_series_has_no_gaps() {
        check("__________", &[]);
    }

    #[test]
    fn a_pulse_that_stays_away_is_none_any_more_after_six_hours() {
        let steps = GONE.as_secs() as i64 / 15;
        let pulse = format!("####{}", "_".repeat(steps as usize + 20));
        check(&pulse, &[(4, 3 + steps)]);
    }

    #[test]
    fn what_was_before_the_first_value_is_no_gap() {
        check("____######", &[]);
    }

    #[test]
    fn a_lower_level_is_the_new_level_after_five_minutes() {
        // Scaled down or crashed, from step 240 on.
        check(&("#".repeat(240) + &".".repeat(480)), &[(240, 259)]);
        // And up again, and down again.
        let twice = "#".repeat(240) + &".".repeat(40) + &"#".repeat(40) + &".".repeat(40);
        check(&twice, &[(240, 259), (320, 339)]);
    }

    #[test]
    fn a_new_level_that_falls_in_turn_is_a_gap_again() {
        // Ten targets, then four, then one: half of the five minutes are enough to be the level of the second fall.
        check(&("#".repeat(240) + &"4".repeat(100) + &"1".repeat(100)), &[(240, 259), (340, 350)]);
    }

    #[test]
    fn a_pulse_that_is_away_is_a_gap_as_long_as_it_is_away() {
        check(&("#".repeat(300) + &"_".repeat(500)), &[(300, 799)]);
        // Away in between, it is not at a new level yet.
        check(&("#".repeat(240) + &".".repeat(15) + "_" + &".".repeat(40)), &[(240, 275)]);
    }

    #[test]
    fn at_a_long_step_only_the_fall_itself_is_a_gap() {
        let mut known = Pulse::new(Duration::from_secs(600));
        let whole = TimeRange::new(at(0), at(40 * 39)).unwrap();
        let mut batch = answer(0, "");
        for step in 0..40 {
            batch.push(at(step * 40), if step < 30 { 10.0 } else { 2.0 });
        }
        known.learn(whole, &[batch]);
        let gaps: Vec<_> = known.gaps(whole).iter().map(|gap| (gap.start(), gap.end())).collect();
        assert_eq!(gaps, [(at(30 * 40), at(30 * 40))]);
    }

    #[test]
    fn each_step_is_asked_for_once() {
        let mut known = Pulse::new(STEP);
        assert_eq!(known.unknown(range(10, 20)), Some(range(10, 20)));
        known.learn(range(10, 20), &[answer(10, "#####"), answer(15, "######")]);
        assert_eq!(known.unknown(range(12, 20)), None);
        assert_eq!(known.unknown(range(15, 22)), Some(range(21, 22)));
        assert_eq!(known.unknown(range(25, 26)), Some(range(21, 26)), "in one piece");
        assert_eq!(known.unknown(range(5, 12)), Some(range(5, 9)));
        known.learn(range(5, 9), &[answer(5, "#_###")]);
        known.learn(range(21, 22), &[answer(21, "_#")]);
        assert_eq!(known.unknown(range(5, 22)), None);
        let gaps: Vec<_> = known.gaps(range(5, 22)).iter().map(|gap| gap.start()).collect();
        assert_eq!(gaps, [at(6), at(21)]);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut known = Pulse::new(STEP);
        for from in (0..).step_by(5000).take(10) {
            known.learn(range(from, from + 4999), &[answer(from, "#")]);
            assert!(known.values.len() <= STEPS_MAX);
        }
        assert_eq!(known.last(), Some(at(49_999)));
    }
}
