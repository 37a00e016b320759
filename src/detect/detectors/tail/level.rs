//! What a series is about: medians of its last accepted samples.
#![expect(
    clippy::indexing_slicing,
    reason = "a numeric kernel: every index is below the length of its array, or a row below `rows`"
)]
#![expect(clippy::float_cmp, reason = "an order statistic is one of the values themselves")]

use serde::{Deserialize, Serialize};
use wide::f64x2;

mod kept;

/// So many accepted samples make the local level.
pub(super) const LOCAL: usize = 24;
/// The long level is the median of so many.
const LONG: usize = 120;
/// Once the long memory is full it takes every other: it covers 240 samples in half of the room.
const THIN: u8 = 2;
/// The long level is taken anew after so many samples.
const LONG_EVERY: u8 = 8 * THIN;
/// Counts of accepted samples end here.
const ACCEPTED_MAX: u16 = 1000;
/// The median absolute deviation of a normal distribution times this is its standard deviation.
const MEDIAN_TO_DEVIATION: f64 = 1.4826;

/// The accepted samples of one series.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Row {
    /// The last ones, a ring.
    local: [f64; LOCAL],
    /// The same in order of size.
    sorted: [f64; LOCAL],
    #[serde(with = "crate::detect::snapshot::long_array")]
    long: [f64; LONG],
    /// The median of `long`, as it was lately.
    long_level: f64,
    /// How many of `long` are below it, and how many are it.
    below: u8,
    equal: u8,
    accepted: u16,
    local_place: u8,
    long_place: u8,
    since_taken: u8,
    since_long: u8,
}

/// The accepted samples of a signal's series, a row each.
#[derive(Debug, Clone, Default)]
pub(super) struct Levels {
    rows: Vec<Row>,
}

impl Levels {
    pub(super) fn grow(&mut self) {
        self.rows.push(Row {
            local: [0.0; LOCAL],
            sorted: [0.0; LOCAL],
            long: [0.0; LONG],
            long_level: 0.0,
            below: 0,
            equal: 0,
            accepted: 0,
            local_place: 0,
            long_place: 0,
            since_taken: 0,
            since_long: 0,
        });
    }

    pub(super) fn forget(&mut self, row: usize) {
        let row = &mut self.rows[row];
        (row.accepted, row.long_level, row.below, row.equal) = (0, 0.0, 0, 0);
        (row.local_place, row.long_place, row.since_taken, row.since_long) = (0, 0, 0, 0);
    }

    /// How many samples were accepted, as far as it is counted.
    pub(super) fn accepted(&self, row: usize) -> usize {
        usize::from(self.rows[row].accepted)
    }

    /// The median of the last 3, 5 or 7 samples; of fewer where there are not so many. 0 without any.
    pub(super) fn jump(&self, row: usize, points: usize) -> f64 {
        let row = &self.rows[row];
        match points.min(usize::from(row.accepted)) {
            7.. => middle_of(row.last::<7>(), &SORT_7),
            5 | 6 => middle_of(row.last::<5>(), &SORT_5),
            3 | 4 => middle_of(row.last::<3>(), &SORT_3),
            1 | 2 => row.last::<1>()[0],
            0 => 0.0,
        }
    }

    /// The median of the last 24. 0 without any.
    pub(super) fn local(&self, row: usize) -> f64 {
        let row = &self.rows[row];
        if row.accepted == 0 { 0.0 } else { row.sorted[row.local_len() / 2] }
    }

    /// The median of the last 240 or so, as it was lately. 0 without any.
    pub(super) fn long(&self, row: usize) -> f64 {
        self.rows[row].long_level
    }

    /// Takes a sample, a finite number, into the memory.
    pub(super) fn accept(&mut self, row: usize, value: f64) {
        // Zero has one sign here, so that what leaves is found again.
        let value = value + 0.0;
        let row = &mut self.rows[row];
        let accepted = (row.accepted + 1).min(ACCEPTED_MAX);
        row.accept_local(value);
        row.accept_long(value);
        row.accepted = accepted;
        row.since_long += 1;
        if row.since_long >= LONG_EVERY || accepted <= u16::from(LONG_EVERY) {
            row.settle_long();
            row.since_long = 0;
        }
    }

    /// Makes the last of these, in order of time, the whole memory.
    pub(super) fn restart(&mut self, row: usize, values: &[f64]) {
        self.forget(row);
        for value in values.iter().skip(values.len().saturating_sub(LOCAL)) {
            self.accept(row, *value);
        }
        self.rows[row].settle_long();
    }

    /// The median absolute deviation of the long memory, as a standard deviation.
    pub(super) fn spread(&self, row: usize) -> f64 {
        let row = &self.rows[row];
        let mut values = row.long;
        let values = &mut values[..row.long_len()];
        let middle = median(values);
        values.iter_mut().for_each(|value| *value = (*value - middle).abs());
        MEDIAN_TO_DEVIATION * median(values)
    }
}

impl Row {
    fn local_len(&self) -> usize {
        usize::from(self.accepted).min(LOCAL)
    }

    fn long_len(&self) -> usize {
        usize::from(self.accepted).min(LONG)
    }

    fn accept_local(&mut self, value: f64) {
        let (place, held) = (usize::from(self.local_place), self.local_len());
        if held == LOCAL {
            self.exchange(self.local[place], value);
        } else {
            let at = self.sorted[..held].partition_point(|one| *one < value);
            self.sorted.copy_within(at..held, at + 1);
            self.sorted[at] = value;
        }
        self.local[place] = value;
        self.local_place = if place + 1 == LOCAL { 0 } else { self.local_place + 1 };
    }

    /// Puts another value in order in the place of one of them. Where it belongs is anybody's guess, so that a search and a
    /// move of so few numbers costs more than to move each by what it is.
    fn exchange(&mut self, old: f64, new: f64) {
        let (old, new) = (f64x2::splat(old), f64x2::splat(new));
        let pair = |sorted: &[f64; LOCAL], nth: usize| f64x2::new([sorted[2 * nth], sorted[2 * nth + 1]]);
        let across = |low: f64x2, high: f64x2| f64x2::new([low.to_array()[1], high.to_array()[0]]);
        let (mut here, mut before) = (pair(&self.sorted, 0), f64x2::splat(f64::NEG_INFINITY));
        for nth in 0..LOCAL / 2 {
            let is_last = nth + 1 == LOCAL / 2;
            let next = if is_last { f64x2::splat(f64::INFINITY) } else { pair(&self.sorted, nth + 1) };
            // What is not below the old one moves down by one place ...
            let without = here.simd_lt(old).bitselect(here, across(here, next));
            // ... and what is above the new one up again.
            let with = without.fast_min(new).fast_max(across(before, without));
            self.sorted[2 * nth..2 * nth + 2].copy_from_slice(&with.to_array());
            (before, here) = (without, next);
        }
    }

    /// The last samples.
    fn last<const N: usize>(&self) -> [f64; N] {
        let place = usize::from(self.local_place) + LOCAL - N;
        std::array::from_fn(|nth| {
            let at = place + nth;
            self.local[if at < LOCAL { at } else { at - LOCAL }]
        })
    }

    fn accept_long(&mut self, value: f64) {
        let accepted = usize::from(self.accepted);
        if accepted < LONG {
            self.long[accepted] = value;
            self.count(value, 1);
            return;
        }
        self.since_taken += 1;
        if self.since_taken >= THIN {
            let place = usize::from(self.long_place);
            let old = std::mem::replace(&mut self.long[place], value);
            self.count(old, -1);
            self.count(value, 1);
            self.long_place = if place + 1 == LONG { 0 } else { self.long_place + 1 };
            self.since_taken = 0;
        }
    }

    fn count(&mut self, value: f64, by: i8) {
        // Without a branch, since noise makes a guess of it.
        self.below = self.below.wrapping_add_signed(by * i8::from(value < self.long_level));
        self.equal = self.equal.wrapping_add_signed(by * i8::from(value == self.long_level));
    }

    /// Moves the long level to the median: from where it was, value by value, which are few steps. No order of the whole
    /// is needed for that.
    fn settle_long(&mut self) {
        let values = &self.long[..usize::from(self.accepted).min(LONG)];
        let rank = (values.len() / 2) as u8;
        for _ in 0..=values.len() {
            let is_below = rank < self.below;
            if !is_below && (rank < self.below + self.equal || values.is_empty()) {
                return;
            }
            let above = self.below + self.equal;
            let next = if is_below { next_below } else { next_above };
            self.long_level = next(values, self.long_level);
            self.equal = values.iter().filter(|one| **one == self.long_level).count() as u8;
            self.below = if is_below { self.below - self.equal } else { above };
        }
    }
}

/// The nearest of the values that are above one; infinite where there is none. Without a branch, since noise makes a
/// guess of each.
fn next_above(values: &[f64], from: f64) -> f64 {
    let nearest = |nearest: f64x2, pair: f64x2| {
        let above = pair.simd_gt(f64x2::splat(from)).bitselect(pair, f64x2::splat(f64::INFINITY));
        nearest.fast_min(above)
    };
    fold(values, f64x2::splat(f64::INFINITY), nearest, f64x2::fast_min)
        .to_array()
        .into_iter()
        .fold(f64::INFINITY, f64::min)
}

/// The nearest of the values that are below one, likewise.
fn next_below(values: &[f64], from: f64) -> f64 {
    let nearest = |nearest: f64x2, pair: f64x2| {
        let below = pair.simd_lt(f64x2::splat(from)).bitselect(pair, f64x2::splat(f64::NEG_INFINITY));
        nearest.fast_max(below)
    };
    fold(values, f64x2::splat(f64::NEG_INFINITY), nearest, f64x2::fast_max)
        .to_array()
        .into_iter()
        .fold(f64::NEG_INFINITY, f64::max)
}

/// Folds pairs of values, two pairs at a time.
fn fold(
    values: &[f64],
    start: f64x2,
    take: impl Fn(f64x2, f64x2) -> f64x2,
    join: impl Fn(f64x2, f64x2) -> f64x2,
) -> f64x2 {
    let (fours, rest) = values.as_chunks::<4>();
    let both = fours.iter().fold((start, start), |(first, second), [a, b, c, d]| {
        (take(first, f64x2::new([*a, *b])), take(second, f64x2::new([*c, *d])))
    });
    rest.iter().fold(join(both.0, both.1), |all, value| take(all, f64x2::splat(*value)))
}

/// Which pairs are put in order, one after the other, so that the middle one of so many is the median: without a branch
/// that noise makes a guess of.
const SORT_3: [(usize, usize); 3] = [(0, 2), (0, 1), (1, 2)];
const SORT_5: [(usize, usize); 7] = [(0, 1), (3, 4), (0, 3), (1, 4), (1, 2), (2, 3), (1, 2)];
const SORT_7: [(usize, usize); 16] = [
    (0, 6),
    (2, 3),
    (4, 5),
    (0, 2),
    (1, 4),
    (3, 6),
    (0, 1),
    (2, 5),
    (3, 4),
    (1, 2),
    (4, 6),
    (2, 3),
    (4, 5),
    (1, 2),
    (3, 4),
    (5, 6),
];

fn middle_of<const N: usize, const PAIRS: usize>(
    mut values: [f64; N],
    pairs: &'static [(usize, usize); PAIRS],
) -> f64 {
    for (low, high) in pairs {
        let (a, b) = (values[*low], values[*high]);
        values[*low] = if b < a { b } else { a };
        values[*high] = if b < a { a } else { b };
    }
    values[N / 2]
}

/// The upper median; 0 of nothing. Puts the values into another order.
fn median(values: &mut [f64]) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn levels_of(values: &[f64]) -> Levels {
        let mut levels = Levels::default();
        levels.grow();
        values.iter().for_each(|value| levels.accept(0, *value));
        levels
    }

    fn median_of_last(values: &[f64], points: usize) -> f64 {
        median(&mut values[values.len().saturating_sub(points)..].to_vec())
    }

    proptest! {
        #[test]
        fn the_local_levels_are_medians_of_the_last_samples(
            values in proptest::collection::vec(prop_oneof![-5.0_f64..5.0, Just(0.0), Just(-0.0), -1e150..1e150], 1..100),
        ) {
            let levels = levels_of(&values);
            prop_assert_eq!(levels.local(0), median_of_last(&values, LOCAL));
            for points in [1, 3, 5, 7].into_iter().filter(|points| *points <= values.len()) {
                prop_assert_eq!(levels.jump(0, points), median_of_last(&values, points));
            }
        }

        #[test]
        fn the_long_level_is_the_median_of_its_memory(
            values in proptest::collection::vec(prop_oneof![-5.0_f64..5.0, Just(0.0), Just(1.0), -1e150..1e150], 1..400),
        ) {
            let mut levels = levels_of(&values);
            let row = &mut levels.rows[0];
            row.settle_long();
            let memory = row.long[..values.len().min(LONG)].to_vec();
            prop_assert_eq!(levels.long(0), median(&mut memory.clone()));
        }

        #[test]
        fn a_restart_remembers_nothing_else(
            before in proptest::collection::vec(-5.0_f64..5.0, 0..300),
            after in proptest::collection::vec(-5.0_f64..5.0, 0..40),
        ) {
            let mut levels = levels_of(&before);
            levels.restart(0, &after);
            let last = &after[after.len().saturating_sub(LOCAL)..];
            let fresh = levels_of(last);
            prop_assert_eq!(levels.local(0), fresh.local(0));
            prop_assert_eq!(levels.long(0), median_of_last(last, LOCAL));
        }
    }

    #[test]
    fn pairs_in_order_put_the_median_in_the_middle() {
        // What orders all zeros and ones orders everything (Knuth, The Art of Computer Programming 3, 5.3.4).
        for bits in 0..128_u32 {
            let of = |nth: usize| f64::from(bits >> nth & 1);
            let ones = |n: usize| (0..n).map(of).sum::<f64>();
            let median = |n: usize| f64::from(ones(n) > n as f64 / 2.0);
            assert_eq!(middle_of([of(0), of(1), of(2)], &SORT_3), median(3));
            assert_eq!(middle_of(std::array::from_fn::<_, 5, _>(of), &SORT_5), median(5));
            assert_eq!(middle_of(std::array::from_fn::<_, 7, _>(of), &SORT_7), median(7));
        }
    }

    #[test]
    fn the_long_level_covers_240_samples() {
        // Old level 0, new level 1: the median goes over where half of what is covered is new.
        let go_over = (0..240).find(|new| {
            let mut values = vec![0.0; 400];
            values.resize(400 + new, 1.0);
            levels_of(&values).long(0) > 0.5
        });
        assert!(go_over.is_some_and(|new| (115..=130).contains(&new)), "{go_over:?}");
    }

    #[test]
    fn the_spread_is_that_of_the_samples() {
        let values: Vec<f64> = (0..60).map(|nth| f64::from(nth * 7 % 60)).collect();
        let spread = levels_of(&values).spread(0);
        assert!((spread - MEDIAN_TO_DEVIATION * 15.0).abs() < 0.01, "{spread}");
    }
}
