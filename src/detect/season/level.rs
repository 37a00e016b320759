//! The level about which a rung's season swings, and the scale of its errors, a slot at a time.

use serde::{Deserialize, Serialize};

use super::slot::NOISE_SCALES;

/// From a mean absolute error to a standard deviation, of normal errors: the root of half of pi.
pub(super) const SCALES_PER_ERROR: f64 = 1.253_314_137_315_5;
/// An error counts for the scale with at most so many times the mean.
const ERRORS_MAX: f64 = 2.0;
/// Before so many slots the scale is no ground to reject a slot on.
pub(super) const WARM_UP_SLOTS: u16 = 8;

/// One rung's level.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Level {
    pub(super) level: f64,
    /// The mean of the shift that a run beyond the noise is about.
    shift: f64,
    /// The faded mean of the absolute errors.
    error: f32,
    /// Slots beyond the noise, on the side of `shift`.
    run: u16,
    pub(super) count: u16,
}

impl Level {
    /// Begins at a level.
    pub(super) fn at(level: f64) -> Self {
        Self { level, ..Self::default() }
    }

    /// The scale of a slot's error; nothing as long as it is no ground to reject one on.
    pub(super) fn scale(&self) -> Option<f64> {
        (self.count >= WARM_UP_SLOTS).then_some(SCALES_PER_ERROR * f64::from(self.error))
    }

    /// Learns from a slot's error. The level follows what is within the noise by `1/memory`, and adopts what lies beyond
    /// it on one side for `adopt` slots, where one within takes two back.
    pub(super) fn learn(&mut self, error: f64, memory: u16, adopt: u16, floor: f64) {
        let is_noise = self.scale().is_none_or(|scale| error.abs() <= NOISE_SCALES * scale.max(floor));
        self.count = self.count.saturating_add(1).min(adopt.max(2 * WARM_UP_SLOTS));
        self.learn_scale(error.abs());
        if is_noise {
            self.level += error / f64::from(memory.max(1));
            self.run = self.run.saturating_sub(2);
            return;
        }
        let goes_on = self.run > 0 && (error < 0.0) == (self.shift < 0.0);
        self.run = if goes_on { self.run.saturating_add(1) } else { 1 };
        let before = if goes_on { self.shift } else { 0.0 };
        self.shift = before + (error - before) / f64::from(self.run);
        if self.run >= adopt {
            self.level += self.shift;
            self.run = 0;
        }
    }

    fn learn_scale(&mut self, error: f64) {
        let mean = f64::from(self.error);
        let is_known = self.count > WARM_UP_SLOTS && mean > 0.0;
        let counted = if is_known { error.min(ERRORS_MAX * mean) } else { error };
        let fade = 1.0 / f64::from(self.count.max(1));
        self.error = (mean + (counted.min(f64::from(f32::MAX)) - mean) * fade) as f32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The level after errors about a level of 100 that alternate by 1, and then `slots` slots at 200.
    fn after(slots: usize) -> f64 {
        let mut level = Level::at(100.0);
        for nth in 0..96 {
            let value = if nth % 2 == 0 { 101.0 } else { 99.0 };
            level.learn(value - level.level, 96, 96, 0.0);
        }
        for _ in 0..slots {
            level.learn(200.0 - level.level, 96, 96, 0.0);
        }
        level.level
    }

    #[test]
    fn a_new_level_is_adopted_whole_after_a_day_and_not_before() {
        assert!((after(95) - 100.0).abs() < 0.1, "{}", after(95));
        assert!((after(96) - 200.0).abs() < 0.1, "{}", after(96));
    }

    #[test]
    fn an_outage_moves_neither_level_nor_lets_the_scale_run_away() {
        let mut level = Level::at(100.0);
        for nth in 0..96 {
            level.learn(if nth % 2 == 0 { 1.0 } else { -1.0 }, 96, 96, 0.0);
        }
        let (before, scale) = (level.level, level.scale().unwrap());
        (0..8).for_each(|_| level.learn(-1000.0, 96, 96, 0.0));
        assert_eq!(level.level.to_bits(), before.to_bits());
        assert!(level.scale().unwrap() < 1.2 * scale);
    }
}
