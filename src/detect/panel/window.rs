//! The accepted samples of the classic rule.
#![expect(
    clippy::indexing_slicing,
    reason = "a numeric kernel: every index is a row below `rows`, times a stride"
)]

use crate::detect::classic::{Baseline, Noise, baseline_of};
use crate::detect::detectors::Keep;
use crate::detect::settings::Settings;
use crate::detect::snapshot::{Reader, SnapshotFlaw, Writer, sound};

/// The accepted samples of the classic rule: a ring a row.
#[derive(Debug, Clone)]
pub(super) struct Window {
    width: usize,
    accepted: Vec<f64>,
    accepted_count: Vec<u64>,
    noise: Vec<Noise>,
    /// The mean that the last sample was judged by.
    means: Vec<f64>,
}

impl Window {
    pub(super) fn new(width: usize) -> Self {
        let (accepted, accepted_count) = (Vec::new(), Vec::new());
        Self { width, accepted, accepted_count, noise: Vec::new(), means: Vec::new() }
    }

    pub(super) fn grow(&mut self) {
        self.accepted.resize(self.accepted.len() + self.width, 0.0);
        self.accepted_count.push(0);
        self.noise.push(Noise::default());
        self.means.push(0.0);
    }

    pub(super) fn forget(&mut self, row: usize) {
        (self.accepted_count[row], self.noise[row]) = (0, Noise::default());
    }

    /// How many samples a row has, of how many that it may have.
    pub(super) fn held(&self, row: usize) -> (usize, usize) {
        ((self.accepted_count[row]).min(self.width as u64) as usize, self.width)
    }

    /// The baseline by which a sample is judged; `None` while the window is not full.
    pub(super) fn expect(&mut self, row: usize, settings: &Settings) -> Option<Baseline> {
        let baseline = self.baseline(row, settings)?;
        self.means[row] = baseline.mean;
        Some(baseline)
    }

    /// The baseline; `None` while the window is not full.
    pub(super) fn baseline(&self, row: usize, settings: &Settings) -> Option<Baseline> {
        if self.accepted_count[row] < self.width as u64 {
            return None;
        }
        let from = row * self.width;
        Some(baseline_of(&self.accepted[from..from + self.width], self.noise[row], settings))
    }

    /// Learns the sample that was judged last.
    pub(super) fn learn(&mut self, row: usize, value: f64) {
        // The first window was taken unjudged. While it is the baseline, a fault in it would teach the memory of
        // noise a scale that takes hours to fade.
        if self.accepted_count[row] >= 2 * self.width as u64 {
            self.noise[row].learn(value - self.means[row], self.width);
        }
        self.accept(row, value);
    }

    pub(super) fn rebase(&mut self, row: usize, values: &[f64]) {
        self.forget(row);
        for value in values.iter().skip(values.len().saturating_sub(self.width)) {
            self.accept(row, *value);
        }
    }

    fn accept(&mut self, row: usize, value: f64) {
        let place = (self.accepted_count[row] % self.width as u64) as usize;
        self.accepted[row * self.width + place] = value;
        self.accepted_count[row] += 1;
    }
}

impl Keep for Window {
    fn keep(&self, row: usize, out: &mut Writer) {
        let from = row * self.width;
        out.put(&(self.accepted_count[row], self.noise[row], self.means[row]));
        out.put_all(self.accepted[from..from + self.held(row).0].iter());
    }

    fn restore(&mut self, row: usize, from: &mut Reader<'_>) -> Result<(), SnapshotFlaw> {
        let (count, noise, mean): (u64, Noise, f64) = from.take()?;
        sound(count < 1 << 53 && noise.is_sound() && mean.is_finite(), "a row of the classic rule")?;
        self.accepted_count[row] = count;
        (self.noise[row], self.means[row]) = (noise, mean);
        let begin = row * self.width;
        let window = begin..begin + self.held(row).0;
        from.fill(&mut self.accepted[window.clone()])?;
        sound(self.accepted[window].iter().all(|value| value.is_finite()), "a sample that is no number")
    }
}
