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
    /// The probability of a sample at least so far out, on either side, in what the detector holds to be normal: 0 to 1.
    pub tail: f64,
}

/// Scores above this say nothing more; the cap keeps every figure finite on the way through JSON.
pub const SCORE_MAX: f64 = 1e9;

impl Opinion {
    /// Puts a deviation into the terms of a symmetrical band of half width `half`, which is above zero.
    pub fn symmetrical(value: f64, expected: f64, half: f64, tail: f64) -> Self {
        let deviation = value - expected;
        Self {
            expected,
            lower: expected - half,
            upper: expected + half,
            score: (deviation.abs() / half).min(SCORE_MAX),
            side: if deviation >= 0.0 { Side::Up } else { Side::Down },
            tail: tail.clamp(0.0, 1.0),
        }
    }

    /// Whether the sample is outside the band. A sample on the edge is inside.
    pub fn is_outside(&self) -> bool {
        self.score > 1.0
    }
}
