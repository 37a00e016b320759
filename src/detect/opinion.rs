//! What a single detector says about a single sample.

use super::finding::Side;

/// One detector's view of one sample, before any gate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Opinion {
    /// The expected value.
    pub expected: f64,
    /// The lower edge of the detector's band.
    pub lower: f64,
    /// The upper edge of the detector's band.
    pub upper: f64,
    /// How far outside the sample is: 1.0 is the edge of the band, for every detector. Never negative, never `NaN`.
    pub score: f64,
    /// On which side of the expected value the sample lies.
    pub side: Side,
    /// How much normal samples scatter about the expected value, as a standard deviation; 0 where the detector knows none.
    pub scale: f64,
    /// The probability of a sample at least so far out, on either side, in what the detector holds to be normal: 0 to 1.
    pub tail: f64,
}

/// Scores above this say nothing more; the cap keeps every figure finite on the way through JSON.
pub const SCORE_MAX: f64 = 1e9;

impl Opinion {
    /// The opinion of a detector that has nothing against a sample: no band but the sample itself, and a score of 0.
    pub fn nothing_about(value: f64, usual: f64) -> Self {
        let side = if value >= usual { Side::Up } else { Side::Down };
        Self { expected: value, lower: value, upper: value, score: 0.0, side, scale: 0.0, tail: 1.0 }
    }

    /// Whether the sample is outside the band. A sample on the edge is inside.
    pub fn is_outside(&self) -> bool {
        self.score > 1.0
    }
}
