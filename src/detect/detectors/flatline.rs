//! Flatline: a series that used to move has stopped moving.
//!
//! It is judged from the lengths of the series' own runs of equal values: a counter that rests for an hour at a time is
//! not stuck after ten minutes, and a temperature that never came twice alike is.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::memory::{Floors, usable};
use super::single::{Keep, Rows, Single};
use super::student::normal_two_sided;
use crate::detect::snapshot::{Reader, SnapshotFlaw, Writer, sound};
use crate::detect::{Opinion, SCORE_MAX, Side};

/// Values that differ by no more than this share of themselves are equal: rounding on the way can tell them apart.
const SAME: f64 = 4.0 * f64::EPSILON;

/// It says nothing at all of a row before so many samples.
const LEAST_HELD: f64 = 24.0;

/// How [`Flatline`] judges.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FlatlineSettings {
    /// Runs are remembered for about this time. At least a day.
    pub memory: Duration,
    /// It says nothing before so many runs, less what has faded of them, have ended. 2 or more.
    pub min_runs: usize,
    /// No run of fewer samples is a flatline. 3 or more.
    pub min_points: usize,
    /// No run of a shorter time is a flatline.
    pub min_span: Duration,
    /// A run is never a flatline below so many times the longest one remembered. 1 or more.
    pub longest_factor: f64,
    /// A run is a flatline only if one so long is as improbable, among runs of the average length, as so many standard
    /// deviations in a normal distribution. 1 to 10.
    pub sigma: f64,
}

impl Default for FlatlineSettings {
    fn default() -> Self {
        Self {
            memory: Duration::from_secs(14 * 24 * 3600),
            min_runs: 30,
            min_points: 12,
            min_span: Duration::from_secs(1800),
            longest_factor: 3.0,
            sigma: 4.0,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct State {
    /// The value of the run under way, as judged.
    value: f64,
    /// The same, as learned.
    learned: f64,
    /// How many samples the run under way has, as judged; 0 before the first sample.
    run: u32,
    /// How many of a run were learned; 0 before the first sample.
    learned_run: u32,
    /// Runs that ended, and their samples; what is older weighs less.
    runs: f64,
    samples: f64,
    /// The longest that ended; it fades too.
    longest: f64,
    mean: f64,
    /// Whether the learned run belongs to one that was held to be a flatline: it tells nothing about the series.
    is_stuck: bool,
}

/// The runs of each row: 64 bytes a row.
#[derive(Debug, Clone, PartialEq)]
pub struct Flatline {
    settings: FlatlineSettings,
    least: f64,
    /// What a sample more leaves of the memory.
    fade: f64,
    /// The probability of the edge.
    at_edge: f64,
    rows: Rows<State>,
}

impl Flatline {
    /// Makes the detector without rows, for series with a sample each `step`. It remembers at least 100 samples.
    pub fn new(settings: &FlatlineSettings, step: Duration) -> Self {
        let steps = |span: Duration| span.as_secs_f64() / step.as_secs_f64().max(1e-3);
        let memory = steps(settings.memory.max(Duration::from_secs(24 * 3600))).max(100.0);
        Self {
            settings: *settings,
            least: (settings.min_points.max(3) as f64).max(steps(settings.min_span)),
            fade: 1.0 - 1.0 / memory,
            at_edge: normal_two_sided(settings.sigma),
            rows: Rows::default(),
        }
    }

    /// How many samples the run under way has, as judged.
    pub fn run(&self, row: usize) -> usize {
        self.rows[row].run as usize
    }

    /// Whether it has seen enough of a row to say anything.
    pub fn is_warm(&self, row: usize) -> bool {
        self.rows[row].learned() >= LEAST_HELD
    }

    /// The mean of what was learned of a row.
    pub fn mean(&self, row: usize) -> f64 {
        self.rows[row].mean
    }

    /// Whether the run under way is held to be a flatline.
    pub fn is_stuck(&self, row: usize) -> bool {
        self.rows[row].is_stuck
    }
}

impl Single for Flatline {
    fn grow(&mut self) {
        self.rows.grow();
    }

    fn forget(&mut self, row: usize) {
        self.rows.forget(row);
    }

    /// Takes a sample into the run under way and judges that. Before `min_runs` have ended, no run is a flatline.
    ///
    /// The band is the value of the run; the side is that of the value beside the series' mean.
    fn judge(&mut self, row: usize, _at_ms: i64, value: f64) -> Option<Opinion> {
        let value = usable(value)?;
        let state = &mut self.rows[row];
        let goes_on = state.run > 0 && is_same(value, state.value);
        (state.value, state.run) = (value, if goes_on { state.run.saturating_add(1) } else { 1 });
        if !goes_on && state.is_stuck {
            // The run that was stuck has ended; what was learned of it before that was known is dropped.
            (state.is_stuck, state.learned_run) = (false, 0);
        }
        if state.learned() < LEAST_HELD {
            return None;
        }
        if state.runs < self.settings.min_runs.max(2) as f64 {
            return Some(Opinion::nothing_about(value, state.mean));
        }
        let (length, move_share) = (f64::from(state.run), state.move_share());
        // A run of `l` samples or more: `l - 1` times in a row it did not move.
        let improbable = 1.0 + self.at_edge.ln() / (-move_share).ln_1p();
        let edge = self.least.max(improbable).max(self.settings.longest_factor.max(1.0) * state.longest);
        let score = (length / edge).min(SCORE_MAX);
        state.is_stuck |= score > 1.0;
        // Whatever the distribution of the lengths, the next is the longest with this chance, since they are
        // exchangeable; how much longer, a tail says that falls so slowly that it has no mean.
        let longest = state.longest.max(1.0);
        let free = if length > longest { longest / length / (state.runs + 1.0) } else { 1.0 };
        let geometric = ((length - 1.0) * (-move_share).ln_1p()).exp();
        Some(Opinion {
            expected: value,
            lower: value,
            upper: value,
            score,
            side: if value >= state.mean { Side::Up } else { Side::Down },
            scale: 0.0,
            tail: geometric.max(free).clamp(0.0, 1.0),
        })
    }

    /// Learns a sample. A run is remembered when it has ended, and not where it was a flatline.
    fn learn(&mut self, row: usize, _at_ms: i64, value: f64) {
        let Some(value) = usable(value) else { return };
        let fade = self.fade;
        let state = &mut self.rows[row];
        state.longest *= fade;
        if state.learned_run > 0 && is_same(value, state.learned) {
            state.learned_run = state.learned_run.saturating_add(1);
        } else {
            if state.learned_run > 0 {
                state.end_run(f64::from(state.learned_run), fade);
            }
            state.learned_run = 1;
        }
        state.learned = value;
        state.mean += (value - state.mean) * (1.0 - fade).max(1.0 / (state.samples + 1.0));
    }

    /// Makes the memory exactly these values, oldest first.
    fn rebase(&mut self, row: usize, values: &[f64]) {
        self.forget(row);
        for value in values.iter().filter_map(|value| usable(*value)) {
            self.learn(row, 0, value);
            let state = &mut self.rows[row];
            (state.value, state.run) = (value, state.learned_run);
        }
    }

    /// Does nothing: a rest is judged by its length and not by its height, and by one series' habit and not as a draw from
    /// many, so that the number of series moves nothing.
    fn tune(&mut self, _sigma: f64, _floors: Floors) {}

    fn held(&self, row: usize) -> usize {
        self.rows[row].learned() as usize
    }

    /// Has none: any value that moves is as expected.
    fn band(&self, _row: usize) -> Option<(f64, f64, f64)> {
        None
    }
}

impl State {
    /// How many samples were learned, what is older weighing less.
    fn learned(&self) -> f64 {
        self.samples + f64::from(self.learned_run)
    }

    fn end_run(&mut self, length: f64, fade: f64) {
        let kept = fade.powf(length);
        self.runs = self.runs * kept + 1.0;
        self.samples = self.samples * kept + length;
        self.longest = self.longest.max(length);
    }

    /// The share of samples that differ from the one before, on the safe side: as if a run of the longest kind were
    /// missing.
    fn move_share(&self) -> f64 {
        (self.runs / (self.samples + self.longest)).clamp(1e-9, 0.999)
    }
}

fn is_same(a: f64, b: f64) -> bool {
    (a - b).abs() <= SAME * a.abs().max(b.abs())
}

impl Keep for Flatline {
    fn keep(&self, row: usize, out: &mut Writer) {
        out.put(&self.rows[row]);
    }

    fn restore(&mut self, row: usize, from: &mut Reader<'_>) -> Result<(), SnapshotFlaw> {
        let state: State = from.take()?;
        sound(state.is_sound(), "a row of flatline")?;
        self.rows[row] = state;
        Ok(())
    }
}

impl State {
    fn is_sound(&self) -> bool {
        let counts = [self.runs, self.samples, self.longest];
        let figures = [self.value, self.learned, self.mean];
        counts.iter().all(|count| count.is_finite() && *count >= 0.0)
            && figures.iter().all(|figure| figure.is_finite())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds values, learning what is inside; returns the scores.
    fn feed(flatline: &mut Flatline, values: impl IntoIterator<Item = f64>) -> Vec<f64> {
        let feed_one = |value| {
            let opinion = flatline.judge(0, 0, value);
            if opinion.is_none_or(|opinion| !opinion.is_outside()) {
                flatline.learn(0, 0, value);
            }
            opinion.map_or(0.0, |opinion| opinion.score)
        };
        values.into_iter().map(feed_one).collect()
    }

    fn empty() -> Flatline {
        let mut flatline = Flatline::new(&FlatlineSettings::default(), Duration::from_secs(60));
        flatline.grow();
        flatline
    }

    /// Moves at every `rest`-th sample.
    fn moving(count: u32, rest: u32) -> impl Iterator<Item = f64> {
        (0..count).map(move |nth| f64::from((nth / rest).wrapping_mul(2_654_435_761) % 1000))
    }

    #[test]
    fn a_series_that_always_moved_and_stands_still_is_found() {
        let mut flatline = empty();
        feed(&mut flatline, moving(300, 1));
        let scores = feed(&mut flatline, [5.5; 40]);
        assert_eq!(scores.iter().position(|score| *score > 1.0), Some(30), "after half an hour at a minute");
    }

    #[test]
    fn a_constant_was_never_moving() {
        assert!(feed(&mut empty(), [3.0; 10_000]).iter().all(|score| *score <= 0.0));
    }

    #[test]
    fn a_series_that_rests_for_long_by_nature_is_not_stuck() {
        let mut flatline = empty();
        let scores = feed(&mut flatline, moving(60_000, 200));
        assert!(scores.iter().all(|score| *score <= 1.0));
        assert!(feed(&mut flatline, [-1.0; 3000]).iter().any(|score| *score > 1.0));
    }

    #[test]
    fn a_flatline_teaches_nothing_about_the_next() {
        let mut flatline = empty();
        feed(&mut flatline, moving(500, 1));
        let first = feed(&mut flatline, [5.5; 200]);
        feed(&mut flatline, moving(100, 1));
        let second = feed(&mut flatline, [5.5; 200]);
        assert!(second.iter().zip(&first).all(|(second, first)| *second >= first - 1e-12));
    }

    #[test]
    fn its_end_is_seen_at_once() {
        let mut flatline = empty();
        feed(&mut flatline, moving(500, 1));
        feed(&mut flatline, [5.5; 200]);
        assert!(feed(&mut flatline, [6.5]).iter().all(|score| *score < 0.1));
    }

    #[test]
    fn rounding_is_no_movement() {
        let mut flatline = empty();
        feed(&mut flatline, moving(500, 1));
        let jitter = (0..100).map(|nth| 0.3 * (1.0 + f64::from(nth % 2) * f64::EPSILON));
        assert!(feed(&mut flatline, jitter).iter().any(|score| *score > 1.0));
    }

    #[test]
    fn random_rests_are_flagged_as_rarely_as_said() {
        // Each sample moves with a chance of one in eight.
        let (mut flatline, mut mixed, mut value) = (empty(), 1_u64, 0.0);
        let values = (0..200_000).map(|_| {
            mixed = mixed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            value += if mixed >> 61 == 0 { 1.0 } else { 0.0 };
            value
        });
        let outside = feed(&mut flatline, values).iter().filter(|score| **score > 1.0).count();
        assert!(outside <= 20, "{outside} of 200,000");
    }
}
