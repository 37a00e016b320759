//! How far a series has reached lately, and how much further it may reach.
#![expect(clippy::indexing_slicing, reason = "a numeric kernel: blocks are below their count, sides are two")]

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::detect::detectors::student::digamma;
use crate::detect::finding::Side;

/// The history is cut into blocks of which each leaves its largest and its smallest sample.
const BLOCKS: usize = 8;
/// A tail is fitted to no fewer.
const BLOCKS_MIN: usize = 4;
/// Blocks begin with so many samples.
const BLOCK_POINTS_MIN: u32 = 8;
/// The history covers so long, and at least so many samples.
const MEMORY: (Duration, u32) = (Duration::from_secs(14 * 86_400), 500);
/// It is none before it has seen so much: a range without a day in it is no history.
const KNOWN: (Duration, u32) = (Duration::from_secs(86_400), 64);
/// The edge lies so many scale floors beyond what was seen, at least.
pub(super) const FLOORS: f64 = 4.0;

/// What holds for all series of a step.
#[derive(Debug, Clone, Copy)]
pub(super) struct History {
    /// How many samples a block has at last.
    block_points: u32,
    known_points: u32,
    /// By how many full blocks there are.
    terms: [Terms; BLOCKS + 1],
}

/// What the fit to a number of full blocks needs to know.
#[derive(Debug, Clone, Copy, Default)]
struct Terms {
    /// How many of the upper block maxima are taken.
    taken: usize,
    /// How many samples lie above the last of them, on average, some blocks having several.
    above: f64,
    /// The sum of their distances from the last one, in scales of the tail, on average.
    distance: f64,
}

/// The extremes of one series. Those downwards have their sign turned, so that both are maxima.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Reached {
    blocks: [[f32; BLOCKS]; 2],
    /// The largest of all blocks.
    most: [f32; 2],
    /// What an anomaly has reached: it counts from the first sample on that belongs to none.
    held: [f32; 2],
    /// Where what is beyond all history begins; `NaN` until it is asked for.
    edges: [f32; 2],
    /// How many samples there were; those of the block that is being filled, and of a full one.
    count: u32,
    filled: u32,
    block_points: u32,
    /// How many blocks were begun.
    begun: u8,
}

const NOWHERE: [f32; 2] = [f32::NEG_INFINITY; 2];

fn nth(side: Side) -> usize {
    match side {
        Side::Up => 0,
        Side::Down => 1,
    }
}

/// As it counts towards a side, never `NaN`.
fn towards(side: Side, value: f64) -> f32 {
    let value = value.clamp(f64::from(f32::MIN), f64::from(f32::MAX)) as f32;
    match side {
        Side::Up => value,
        Side::Down => -value,
    }
}

impl History {
    pub(super) fn at(step: Duration) -> Self {
        let steps = |(time, least): (Duration, u32)| {
            let steps = time.as_secs_f64() / step.as_secs_f64().max(1e-3);
            (steps.min(f64::from(1 << 30)) as u32).max(least)
        };
        let mut terms = [Terms::default(); BLOCKS + 1];
        for (blocks, terms) in terms.iter_mut().enumerate().skip(BLOCKS_MIN) {
            *terms = Terms::of(blocks);
        }
        Self { block_points: steps(MEMORY).div_ceil(BLOCKS as u32), known_points: steps(KNOWN), terms }
    }
}

impl Terms {
    /// Going down from the largest sample, the `j`-th new block is met after `blocks · (1/blocks + … )` samples, `j` terms
    /// up to `1/(blocks - j + 1)`. Between the `a`-th and the `b`-th largest of exponential samples lie `ψ(b) - ψ(a)` scales
    /// (Rényi 1953).
    fn of(blocks: usize) -> Self {
        let taken = blocks / 2 + 1;
        let met = |nth: usize| -> f64 { (0..nth).map(|done| blocks as f64 / (blocks - done) as f64).sum() };
        let distance = |nth: usize| nth as f64 * (digamma(met(nth + 1)) - digamma(met(nth)));
        Self { taken, above: met(taken), distance: (1..taken).map(distance).sum() }
    }
}

impl Reached {
    pub(super) const EMPTY: Self = Self {
        blocks: [[f32::NEG_INFINITY; BLOCKS]; 2],
        most: NOWHERE,
        held: NOWHERE,
        edges: [f32::NAN; 2],
        count: 0,
        filled: 0,
        block_points: BLOCK_POINTS_MIN,
        begun: 1,
    };

    /// Whether its figures are such as can come of values.
    pub(super) fn is_sound(&self) -> bool {
        let extremes = self.blocks.iter().flatten().chain(&self.most).chain(&self.held);
        extremes.copied().all(|extreme| extreme < f32::INFINITY)
            && (1..=BLOCKS).contains(&usize::from(self.begun))
            && (BLOCK_POINTS_MIN..=1 << 31).contains(&self.block_points)
            && self.filled <= self.block_points
    }

    /// Whether there is a history.
    pub(super) fn is_known(&self, history: &History) -> bool {
        self.count >= history.known_points
    }

    /// Whether a value is further on a side than any of the history.
    pub(super) fn is_beyond(&self, side: Side, value: f64) -> bool {
        towards(side, value) > self.most[nth(side)]
    }

    /// Whether a value is further on either side than any of the history.
    pub(super) fn is_outside(&self, value: f64) -> bool {
        self.is_beyond(Side::Up, value) || self.is_beyond(Side::Down, value)
    }

    /// The middle of the range.
    pub(super) fn middle(&self) -> f64 {
        0.5 * (f64::from(self.most[0]) - f64::from(self.most[1]))
    }

    /// A value of what does not belong to the history, but will not be news afterwards.
    pub(super) fn hold(&mut self, value: f64) {
        for side in [Side::Up, Side::Down] {
            let held = &mut self.held[nth(side)];
            *held = held.max(towards(side, value));
        }
    }

    /// Takes a value into the history.
    pub(super) fn take(&mut self, value: f64, history: &History) {
        self.hold(value);
        if self.filled >= self.block_points {
            self.begin_block(history.block_points);
        }
        self.filled += 1;
        self.count = self.count.saturating_add(1);
        let place = usize::from(self.begun) - 1;
        for side in 0..2 {
            let block = &mut self.blocks[side][place];
            if self.held[side] > *block {
                *block = self.held[side];
                if *block > self.most[side] {
                    self.most[side] = *block;
                    self.edges = [f32::NAN; 2];
                }
            }
        }
        self.held = NOWHERE;
    }

    /// Says that the edges are asked for at another probability.
    pub(super) fn forget_edges(&mut self) {
        self.edges = [f32::NAN; 2];
    }

    /// The value, on a side, that a sample of this history exceeds with a probability; at least `floor` away from all that
    /// was seen.
    pub(super) fn edge(&mut self, side: Side, probability: f64, floor: f64, history: &History) -> f64 {
        if self.edges[nth(side)].is_nan() {
            let edge = self.fitted(nth(side), probability, history);
            let edge = edge.max(f64::from(self.most[nth(side)]) + floor);
            self.edges[nth(side)] = edge.min(f64::from(f32::MAX)) as f32;
        }
        let edge = f64::from(self.edges[nth(side)]);
        match side {
            Side::Up => edge,
            Side::Down => -edge,
        }
    }

    /// The tail from the largest order statistics (Weissman 1978) for an exponential tail whose scale is estimated from few
    /// distances: the predictive probability is a power.
    #[cold]
    fn fitted(&self, side: usize, probability: f64, history: &History) -> f64 {
        let full = usize::from(self.begun) - 1;
        if full < BLOCKS_MIN {
            return f64::NEG_INFINITY;
        }
        let Terms { taken, above, distance } = history.terms[full];
        let mut sorted = self.blocks[side];
        let sorted = &mut sorted[..full];
        sorted.sort_unstable_by(|a, b| b.total_cmp(a));
        let threshold = f64::from(sorted[taken - 1]);
        let freedom = (taken - 1) as f64;
        let apart: f64 = sorted[..taken].iter().map(|extreme| f64::from(*extreme) - threshold).sum();
        let samples = full as f64 * f64::from(self.block_points);
        let wanted = (2.0 * above / (samples * probability.max(f64::MIN_POSITIVE))).max(1.0);
        threshold + apart * freedom / distance * (wanted.powf(1.0 / freedom) - 1.0)
    }

    /// Ends the block that is being filled. Blocks are short at first, so that there is a range soon; whenever all are
    /// full, two become one, until they have their length. Then the oldest one is dropped.
    #[cold]
    fn begin_block(&mut self, longest: u32) {
        if usize::from(self.begun) == BLOCKS {
            let is_short = self.block_points < longest;
            for blocks in &mut self.blocks {
                if is_short {
                    let pairs = *blocks;
                    *blocks = std::array::from_fn(|nth| match pairs.get(2 * nth..2 * nth + 2) {
                        Some([a, b]) => a.max(*b),
                        Some(_) | None => f32::NEG_INFINITY,
                    });
                } else {
                    blocks.copy_within(1.., 0);
                    blocks[BLOCKS - 1] = f32::NEG_INFINITY;
                }
            }
            if is_short {
                self.block_points *= 2;
                self.begun /= 2;
            } else {
                self.begun -= 1;
            }
        }
        self.begun += 1;
        self.filled = 0;
        self.most =
            std::array::from_fn(|side| self.blocks[side].iter().copied().fold(f32::NEG_INFINITY, f32::max));
        self.forget_edges();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CUT: f64 = 1e-6;

    fn reached(history: &History, values: impl IntoIterator<Item = f64>) -> Reached {
        let mut reached = Reached::EMPTY;
        values.into_iter().for_each(|value| reached.take(value, history));
        reached
    }

    /// Quantiles of an exponential with mean 1, in an order without a trend.
    fn exponential(n: u32) -> impl Iterator<Item = f64> {
        (0..n).map(move |nth| -((f64::from(nth * 7919 % n) + 0.5) / f64::from(n)).ln())
    }

    #[test]
    fn what_an_anomaly_reached_is_no_news_once_it_is_over() {
        let history = History::at(Duration::from_secs(60));
        let mut reached = reached(&history, [100.0; 2000]);
        reached.hold(200.0);
        assert!(reached.is_beyond(Side::Up, 150.0));
        reached.take(100.0, &history);
        assert!(!reached.is_beyond(Side::Up, 200.0) && reached.is_beyond(Side::Up, 201.0));
        assert!(reached.is_beyond(Side::Down, 99.0));
    }

    #[test]
    fn the_edge_is_about_the_quantile() {
        let history = History::at(Duration::from_secs(60));
        let mut reached = reached(&history, exponential(20_011));
        // P(X > 13.8) = 1e-6; the scale is known from four distances only, so that the edge lies a good deal further out.
        let edge = reached.edge(Side::Up, CUT, 0.0, &history);
        assert!((13.8..100.0).contains(&edge), "{edge}");
    }

    #[test]
    fn two_weeks_are_remembered() {
        let history = History::at(Duration::from_secs(3600));
        let remembered = |hours: usize| {
            let values = std::iter::once(9.0).chain(std::iter::repeat_n(1.0, hours));
            !reached(&history, values).is_beyond(Side::Up, 8.0)
        };
        let forgotten = (0..4000).find(|hours| !remembered(*hours));
        assert!(forgotten.is_some_and(|hours| (500..=1200).contains(&hours)), "{forgotten:?}");
    }

    proptest! {
        #[test]
        fn it_stays_finite_and_the_edge_is_beyond_all_that_was_reached(
            values in proptest::collection::vec(prop_oneof![-5.0_f64..5.0, Just(0.0), -1e300..1e300], 1..600),
            probability in 1e-15_f64..1.0,
        ) {
            let history = History::at(Duration::from_secs(3600));
            let mut reached = reached(&history, values.iter().copied());
            let (up, down) = [Side::Up, Side::Down]
                .map(|side| reached.edge(side, probability, 0.0, &history))
                .into();
            prop_assert!(up.is_finite() && down.is_finite());
            let last = values.iter().rev().take(64);
            prop_assert!(last.clone().all(|value| towards(Side::Up, *value) <= up as f32));
            prop_assert!(last.clone().all(|value| towards(Side::Down, *value) <= -down as f32));
        }
    }
}
