//! What judges the series of a signal: the detector that its plan names, behind one face.
#![expect(
    clippy::indexing_slicing,
    reason = "a numeric kernel: every index is a row below `rows`, times a stride"
)]

use std::time::Duration;

use super::classic::{Baseline, Noise, Verdict, baseline_of, judge};
use super::detectors::Tail;
use super::finding::Side;
use super::opinion::SCORE_MAX;
use super::settings::{Detector, Settings};
use crate::time::Timestamp;

/// What the panel holds of a sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Judged {
    pub(super) verdict: Verdict,
    pub(super) baseline: Baseline,
    /// How many samples before this one have made the verdict with it.
    pub(super) lead: usize,
    /// Whether a season foretells otherwise.
    pub(super) is_seasonal: bool,
}

/// The state of the detector of a signal, a row a series.
#[derive(Debug, Clone)]
pub(super) enum Panel {
    Classic(Window),
    Tail(Box<Tail>),
}

impl Panel {
    pub(super) fn new(settings: &Settings, step: Duration) -> Self {
        match settings.detector {
            Detector::Classic => Self::Classic(Window::new(settings.baseline_points)),
            Detector::Tail => Self::Tail(Box::new(Tail::new(settings, step))),
        }
    }

    pub(super) fn grow(&mut self) {
        match self {
            Self::Classic(window) => window.grow(),
            Self::Tail(tail) => tail.grow(),
        }
    }

    pub(super) fn forget(&mut self, row: usize) {
        match self {
            Self::Classic(window) => window.forget(row),
            Self::Tail(tail) => tail.forget(row),
        }
    }

    /// Whether the row gives verdicts.
    pub(super) fn is_warm(&self, row: usize) -> bool {
        match self {
            Self::Classic(window) => window.is_full(row),
            Self::Tail(tail) => tail.is_warm(row),
        }
    }

    /// Judges a sample; `None` while the row warms up, and then the sample is learnt at once. `cut` is the probability
    /// at which a score of 1 stands, where the detector knows any.
    pub(super) fn judge(
        &mut self,
        row: usize,
        (at, value): (Timestamp, f64),
        cut: f64,
        settings: &Settings,
    ) -> Option<Judged> {
        match self {
            Self::Classic(window) => {
                if !window.is_full(row) {
                    window.accept(row, value);
                    return None;
                }
                let baseline = window.baseline(row, settings);
                Some(Judged {
                    verdict: judge(value, baseline, settings),
                    baseline,
                    lead: 0,
                    is_seasonal: false,
                })
            }
            Self::Tail(tail) => {
                let Some(opinion) = tail.judge(row, (at, value), cut, settings) else {
                    tail.learn(row);
                    return None;
                };
                let deviation = match opinion.side {
                    Side::Up => opinion.deviation,
                    Side::Down => -opinion.deviation,
                };
                let verdict = Verdict {
                    expected: opinion.expected,
                    lower: opinion.expected - opinion.half,
                    upper: opinion.expected + opinion.half,
                    z: deviation.clamp(-SCORE_MAX, SCORE_MAX),
                    score: opinion.score,
                    side: opinion.side,
                };
                let baseline = Baseline { mean: opinion.expected, scale: opinion.scale };
                Some(Judged {
                    verdict,
                    baseline,
                    lead: opinion.run.saturating_sub(1),
                    is_seasonal: opinion.is_seasonal,
                })
            }
        }
    }

    /// Learns the sample that was judged last, as one that belongs to the baseline.
    pub(super) fn learn(&mut self, row: usize, value: f64, judged: &Judged) {
        match self {
            Self::Classic(window) => window.learn(row, value, judged.baseline.mean),
            Self::Tail(tail) => tail.learn(row),
        }
    }

    /// Leaves the sample that was judged last out of the baseline, with what led up to it.
    pub(super) fn leave_out(&mut self, row: usize) {
        match self {
            Self::Classic(_) => {}
            Self::Tail(tail) => tail.drop_pending(row),
        }
    }

    /// Makes the last samples the level, flagged ones too.
    pub(super) fn rebase(&mut self, row: usize, values: &[f64]) {
        match self {
            Self::Classic(window) => window.rebase(row, values),
            Self::Tail(tail) => tail.rebase(row, values),
        }
    }

    /// How many samples the level of a row has, of how many that make it whole.
    pub(super) fn held(&self, row: usize) -> (usize, usize) {
        match self {
            Self::Classic(window) => ((window.accepted_count[row] as usize).min(window.width), window.width),
            Self::Tail(tail) => tail.held(row),
        }
    }

    /// The band for the next sample: what is expected and its two edges; `None` while the row warms up.
    pub(super) fn band(&self, row: usize, settings: &Settings) -> Option<(f64, f64, f64)> {
        let baseline = self.baseline(row, settings)?;
        match self {
            Self::Classic(_) => {
                let edges = judge(baseline.mean, baseline, settings);
                Some((edges.expected, edges.lower, edges.upper))
            }
            Self::Tail(tail) => {
                let half = tail.half_width(row, settings)?;
                Some((baseline.mean, baseline.mean - half, baseline.mean + half))
            }
        }
    }

    /// What is expected of the next sample; `None` while the row warms up.
    pub(super) fn baseline(&self, row: usize, settings: &Settings) -> Option<Baseline> {
        match self {
            Self::Classic(window) => window.is_full(row).then(|| window.baseline(row, settings)),
            Self::Tail(tail) => tail.expectation(row, settings).map(|(mean, scale)| Baseline { mean, scale }),
        }
    }
}

/// The accepted samples of the classic rule: a ring a row.
#[derive(Debug, Clone)]
pub(super) struct Window {
    width: usize,
    accepted: Vec<f64>,
    accepted_count: Vec<u64>,
    noise: Vec<Noise>,
}

impl Window {
    fn new(width: usize) -> Self {
        Self { width, accepted: Vec::new(), accepted_count: Vec::new(), noise: Vec::new() }
    }

    fn grow(&mut self) {
        self.accepted.resize(self.accepted.len() + self.width, 0.0);
        self.accepted_count.push(0);
        self.noise.push(Noise::default());
    }

    fn forget(&mut self, row: usize) {
        (self.accepted_count[row], self.noise[row]) = (0, Noise::default());
    }

    fn is_full(&self, row: usize) -> bool {
        self.accepted_count[row] >= self.width as u64
    }

    fn accept(&mut self, row: usize, value: f64) {
        let place = (self.accepted_count[row] % self.width as u64) as usize;
        self.accepted[row * self.width + place] = value;
        self.accepted_count[row] += 1;
    }

    fn learn(&mut self, row: usize, value: f64, mean: f64) {
        // The first window was taken unjudged. While it is the baseline, a fault in it would teach the memory of
        // noise a scale that takes hours to fade.
        if self.accepted_count[row] >= 2 * self.width as u64 {
            self.noise[row].learn(value - mean, self.width);
        }
        self.accept(row, value);
    }

    fn rebase(&mut self, row: usize, values: &[f64]) {
        self.forget(row);
        for value in values.iter().skip(values.len().saturating_sub(self.width)) {
            self.accept(row, *value);
        }
    }

    fn baseline(&self, row: usize, settings: &Settings) -> Baseline {
        let held = (self.accepted_count[row] as usize).min(self.width);
        let from = row * self.width;
        baseline_of(&self.accepted[from..from + held], self.noise[row], settings)
    }
}
