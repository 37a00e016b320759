//! How much a detector remembers, in points and in time, and the floors that keep its scale off zero.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Values beyond this, on either side, count as this: the square of any deviation and their sums stay finite.
pub const VALUE_MAX: f64 = 1e150;

/// No scale is below this, whatever the floors: its division stays finite.
const SCALE_MIN: f64 = 1e-150;

/// How many samples a detector remembers.
///
/// Points alone mean something else at each step: 240 are an hour at 15 s and ten days at an hour. So the points are
/// raised until they cover `at_least`, then lowered until they cover no more than `at_most`, and what the detector can
/// hold limits both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// How many samples, where no time bounds it. 8 to what the detector holds at most.
    pub points: usize,
    /// The memory covers at least this time. Zero or more.
    pub at_least: Duration,
    /// The memory covers at most this time; a step so long that eight points are more is remembered for eight points.
    pub at_most: Duration,
}

/// A memory is never shorter: a scale from fewer samples says next to nothing.
pub(super) const POINTS_MIN: usize = 8;

impl Memory {
    /// Returns how many points this is at a step, 8 to `points_max`.
    pub fn points_at(&self, step: Duration, points_max: usize) -> usize {
        let of =
            |span: Duration| (span.as_millis() / step.as_millis().max(1)).min(usize::MAX as u128) as usize;
        self.points.max(of(self.at_least)).min(of(self.at_most)).max(POINTS_MIN).min(points_max)
    }
}

impl Default for Memory {
    /// 240 points, but at least an hour and at most a week: an hour at 15 s, 4 hours at 1 min, 20 hours at 5 min and 168
    /// hours at 1 h.
    fn default() -> Self {
        Self { points: 240, at_least: Duration::from_secs(3600), at_most: Duration::from_secs(7 * 24 * 3600) }
    }
}

/// The least scale that a detector takes a series to have.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Floors {
    /// In the series' own unit. 0 or more.
    pub absolute: f64,
    /// As a share of the expected value. 0 to 1; with 0, shifting a series changes no verdict.
    pub relative: f64,
}

impl Default for Floors {
    fn default() -> Self {
        Self { absolute: 1e-9, relative: 0.01 }
    }
}

impl Floors {
    /// Raises a scale to the floors. The result is above zero, and finite where both are.
    #[inline]
    pub(super) fn hold(&self, scale: f64, expected: f64) -> f64 {
        // Plain comparisons: none of these is `NaN`, and `f64::max` pays for the case.
        let larger = |a: f64, b: f64| if a > b { a } else { b };
        larger(larger(scale, self.relative * expected.abs()), larger(self.absolute, SCALE_MIN))
    }
}

/// Brings a value into the range that can be squared; `None` where it is no finite number.
#[inline]
pub(super) fn usable(value: f64) -> Option<f64> {
    if value.abs() <= VALUE_MAX { Some(value) } else { held(value) }
}

#[cold]
fn held(value: f64) -> Option<f64> {
    value.is_finite().then(|| value.clamp(-VALUE_MAX, VALUE_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_memory_is_bounded_by_points_and_by_time() {
        let at = |seconds| Memory::default().points_at(Duration::from_secs(seconds), 1440);
        assert_eq!([1, 15, 60, 300, 3600, 86_400].map(at), [1440, 240, 240, 240, 168, 8]);
    }

    #[test]
    fn a_step_of_nothing_is_no_division_by_zero() {
        assert_eq!(Memory::default().points_at(Duration::ZERO, 500), 500);
    }
}
