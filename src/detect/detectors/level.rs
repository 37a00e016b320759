//! Level shift: two-sided CUSUM of the samples against the exponentially weighted mean of those before them.
//!
//! Small deviations that last add up; large ones that do not, hardly count. What the noise remembers from one sample to
//! the next (its autocorrelation) is measured and taken into account, since a wandering series is not a shifted one.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::memory::{Floors, Memory, usable};
use super::single::{Keep, Rows, Single};
use super::student::normal_two_sided;
use crate::detect::snapshot::{Reader, SnapshotFlaw, Writer, sound};
use crate::detect::{Opinion, SCORE_MAX, Side};

const POINTS_MAX: usize = 100_000;
/// A discretely watched sum overshoots its edge by this much on average, in deviations (Siegmund 1985, ch. X).
const OVERSHOOT: f64 = 0.583;
/// A series that follows itself more closely than this has no level to shift.
const CORRELATION_MAX: f64 = 0.98;
/// A sum stops growing at this many edges, so that it comes down again soon after the level did.
const SUM_MAX: f64 = 2.0;
/// From this share of the edge on, a sum may be a shift under way.
const MOVING_FROM: f64 = 0.5;

/// How [`Level`] judges.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LevelSettings {
    /// The memory that makes the level: as in EWMA. A shift that takes longer is followed. 30 to 100,000 points.
    pub memory: Memory,
    /// It says nothing before it has so many samples. 10 to the memory's points.
    pub min_points: usize,
    /// The edge: a sum as improbable as so many standard deviations in a normal distribution. 1 to 10.
    pub sigma: f64,
    /// Deviations below this, in standard deviations, do not add up; it finds shifts of twice this fastest. 0.1 to 3.
    pub slack: f64,
    /// A single sample counts for at most so many standard deviations, so that no spike is a level. 1 to 100.
    pub clip: f64,
    /// What the deviation never falls below.
    pub floors: Floors,
}

impl Default for LevelSettings {
    fn default() -> Self {
        Self {
            memory: Memory::default(),
            min_points: 30,
            sigma: 4.0,
            slack: 0.5,
            clip: 4.0,
            floors: Floors::default(),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct State {
    mean: f64,
    variance: f64,
    /// The weighted product of neighbours' deviations.
    product: f64,
    /// The deviation of the last sample learned.
    deviation: f64,
    up: f64,
    down: f64,
    count: u32,
    /// Whether the last sample judged was too far out to count in full, or left a sum above [`MOVING_FROM`].
    is_apart: bool,
}

/// The level and the sums of each row: 56 bytes a row.
#[derive(Debug, Clone, PartialEq)]
pub struct Level {
    settings: LevelSettings,
    points: u32,
    /// What the logarithm of the edge's probability, for one side, is below zero.
    evidence: f64,
    rows: Rows<State>,
}

/// The sums' edge for a row as it stands, and how fast their tail falls.
#[derive(Debug, Clone, Copy)]
struct Edge {
    sum: f64,
    decay: f64,
}

impl Level {
    /// Makes the detector without rows, for series with a sample each `step`.
    pub fn new(settings: &LevelSettings, step: Duration) -> Self {
        let points = settings.memory.points_at(step, POINTS_MAX).max(30);
        let min_points = settings.min_points.clamp(10, points);
        Self {
            settings: LevelSettings { min_points, ..*settings },
            points: points as u32,
            evidence: evidence_of(settings.sigma),
            rows: Rows::default(),
        }
    }

    /// The deviation of a row about its mean, and the edge of its sums.
    fn scale_and_edge(&self, state: &State) -> (f64, Edge) {
        let weight = weight(state.count, self.points);
        // The variance around a weighted mean lacks that mean's own.
        let spread = (state.variance / (1.0 - weight).max(0.5)).sqrt();
        let scale = self.settings.floors.hold(spread, state.mean);
        (scale, edge_of(state, self.points, self.settings.slack, self.evidence))
    }
}

impl Single for Level {
    fn grow(&mut self) {
        self.rows.grow();
    }

    fn forget(&mut self, row: usize) {
        self.rows.forget(row);
    }

    /// Takes a sample into the sums and judges them.
    ///
    /// The band is where a sample would complete a shift if it counted in full; a single one is held at `clip`.
    fn judge(&mut self, row: usize, _at_ms: i64, value: f64) -> Option<Opinion> {
        let value = usable(value)?;
        let (lower, upper) = self.band(row).map(|(_, lower, upper)| (lower, upper))?;
        let (scale, edge) = self.scale_and_edge(&self.rows[row]);
        let LevelSettings { slack, clip, .. } = self.settings;
        let state = &mut self.rows[row];
        let z = ((value - state.mean) / scale).clamp(-clip, clip);
        let most = SUM_MAX * edge.sum;
        state.up = (state.up + z - slack).clamp(0.0, most);
        state.down = (state.down - z - slack).clamp(0.0, most);
        let sum = state.up.max(state.down);
        state.is_apart = z.abs() >= clip || sum > MOVING_FROM * edge.sum;
        let side =
            if state.up > state.down || (state.up >= state.down && z >= 0.0) { Side::Up } else { Side::Down };
        Some(Opinion {
            expected: state.mean,
            lower,
            upper,
            score: (sum / edge.sum).min(SCORE_MAX),
            side,
            scale,
            tail: (2.0 * (-edge.decay * (sum + OVERSHOOT)).exp()).clamp(0.0, 1.0),
        })
    }

    /// Learns a sample, unless it was held at `clip`, or a sum has come half of its way to the edge: what may be a shift
    /// is no noise, and would make itself look like a wandering series.
    fn learn(&mut self, row: usize, _at_ms: i64, value: f64) {
        let Some(value) = usable(value) else { return };
        let state = &mut self.rows[row];
        if state.is_apart {
            return;
        }
        let weight = weight(state.count + 1, self.points);
        let deviation = value - state.mean;
        let increment = weight * deviation;
        if state.count > 0 {
            state.product = (1.0 - weight) * (state.product + weight * deviation * state.deviation);
            state.deviation = deviation;
        }
        state.mean += increment;
        state.variance = (1.0 - weight) * (state.variance + increment * deviation);
        state.count = (state.count + 1).min(self.points);
    }

    fn tune(&mut self, sigma: f64, floors: Floors) {
        (self.settings.sigma, self.settings.floors) = (sigma, floors);
        self.evidence = evidence_of(sigma);
    }

    fn held(&self, row: usize) -> usize {
        self.rows[row].count as usize
    }

    fn band(&self, row: usize) -> Option<(f64, f64, f64)> {
        let state = &self.rows[row];
        if (state.count as usize) < self.settings.min_points {
            return None;
        }
        let (scale, edge) = self.scale_and_edge(state);
        let reach = |sum: f64| scale * (self.settings.slack + edge.sum - sum).max(0.0);
        Some((state.mean, state.mean - reach(state.down), state.mean + reach(state.up)))
    }
}

/// What the logarithm of the edge's probability, for one side, is below zero.
fn evidence_of(sigma: f64) -> f64 {
    -(normal_two_sided(sigma) / 2.0).ln()
}

/// What the newest of `count` samples weighs.
fn weight(count: u32, points: u32) -> f64 {
    (2.0 / (f64::from(points) + 1.0)).max(1.0 / f64::from(count.max(1)))
}

/// A sum of steps that fall on average reaches `s` with a probability of about `exp(-2·k·(s + 0.583))`, where `-k` is the
/// average step and 1 the deviation (Siegmund 1985). Neighbours that are alike make the sum wander as if the variance
/// were `(1 + r) / (1 - r)` times as large (Johnson and Bagshaw 1974), and the mean's error may stand in for `k`.
fn edge_of(state: &State, points: u32, slack: f64, evidence: f64) -> Edge {
    let n = f64::from(state.count.min(points));
    let found = if state.variance > 0.0 { (state.product / state.variance).clamp(-1.0, 1.0) } else { 0.0 };
    // Corrected for its bias (Kendall 1954), and on the safe side by a standard error.
    let likely = found + (1.0 + 3.0 * found) / n + ((1.0 - found * found) / n).sqrt();
    let correlation = likely.clamp(0.0, CORRELATION_MAX);
    let inflation = (1.0 + correlation) / (1.0 - correlation);
    let kept = (slack - (inflation / n).sqrt()).max(slack / 2.0);
    let decay = 2.0 * kept / inflation;
    Edge { sum: (evidence / decay - OVERSHOOT).max(1.0), decay }
}

impl Keep for Level {
    fn keep(&self, row: usize, out: &mut Writer) {
        out.put(&self.rows[row]);
    }

    fn restore(&mut self, row: usize, from: &mut Reader<'_>) -> Result<(), SnapshotFlaw> {
        let state: State = from.take()?;
        sound(state.count <= self.points && state.is_sound(), "a row of level")?;
        self.rows[row] = state;
        Ok(())
    }
}

impl State {
    fn is_sound(&self) -> bool {
        let figures = [self.mean, self.variance, self.product, self.deviation, self.up, self.down];
        figures.iter().all(|figure| figure.is_finite()) && self.variance >= 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(nth: u32) -> f64 {
        // The sum of twelve uniform figures is nearly normal.
        let uniform = |salt: u64| {
            let mixed = (u64::from(nth) * 12 + salt).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            ((mixed ^ (mixed >> 32)) >> 11) as f64 / (1_u64 << 53) as f64
        };
        (0..12).map(uniform).sum::<f64>() - 6.0
    }

    fn warm() -> Level {
        let mut level = Level::new(&LevelSettings::default(), Duration::from_secs(60));
        level.grow();
        for nth in 0..500 {
            level.learn(0, 0, noise(nth));
        }
        level
    }

    /// How many samples after a shift it is found.
    fn delay(size: f64) -> Option<u32> {
        let mut level = warm();
        (1..200).find(|nth| {
            let value = noise(1000 + nth) + size;
            let opinion = level.judge(0, 0, value).unwrap();
            if !opinion.is_outside() {
                level.learn(0, 0, value);
            }
            opinion.is_outside()
        })
    }

    #[test]
    fn a_shift_is_found_and_the_larger_the_sooner() {
        let delays = [1.5, 2.0, 3.0, 10.0].map(|size| delay(size).expect("found"));
        assert!(delays.is_sorted_by(|a, b| a >= b), "{delays:?}");
        assert!(delays[0] <= 30 && delays[3] <= 6, "{delays:?}");
    }

    #[test]
    fn noise_without_memory_or_with_one_is_flagged_as_rarely_as_said() {
        for (carry, fresh) in [(0.0, 1.0), (0.5, 0.75_f64.sqrt()), (0.8, 0.6)] {
            let (mut level, mut value, mut outside) = (warm(), 0.0, 0);
            for nth in 1000..201_000 {
                value = carry * value + fresh * noise(nth);
                outside += u32::from(level.judge(0, 0, value).unwrap().is_outside());
                level.learn(0, 0, value);
            }
            assert!(outside <= 3 * 13, "{carry}: {outside} of 200,000");
        }
    }

    #[test]
    fn a_spike_is_no_level() {
        let mut level = warm();
        assert!(level.judge(0, 0, 1e6).unwrap().score < 1.0);
    }

    #[test]
    fn the_sum_comes_down_soon_after_the_level() {
        let mut level = warm();
        for _ in 0..1000 {
            assert!(level.judge(0, 0, 50.0).is_some());
        }
        let back = (1..100).find(|nth| !level.judge(0, 0, noise(5000 + nth)).unwrap().is_outside());
        assert!(back.expect("it comes down") <= 40, "{back:?}");
    }

    #[test]
    fn a_wandering_series_is_given_more_room() {
        let (mut level, mut value) = (warm(), 0.0);
        let plain = edge_of(&level.rows[0], level.points, 0.5, level.evidence).sum;
        for nth in 0..1000 {
            value = 0.8 * value + 0.6 * noise(nth);
            level.learn(0, 0, value);
        }
        let wandering = edge_of(&level.rows[0], level.points, 0.5, level.evidence).sum;
        assert!(wandering > 5.0 * plain, "{wandering} {plain}");
    }
}
