//! Which detectors judge a signal's samples, and how their verdicts become one.

use std::fmt;

/// What judges the samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Detector {
    /// Residuals at several time scales, each against the fitted tail of its own past.
    Tail,
    /// The sample against mean and deviation of those before it.
    Classic,
    /// The sample against the exponentially weighted mean and deviation of those before it.
    Ewma,
    /// The sample against mean and standard deviation of the last so many.
    RollingZ,
    /// The sample against median and median absolute deviation of the last so many.
    RobustZ,
    /// The sample against what the series does at this time of day and week.
    Seasonal,
    /// Samples whose deviations last and add up.
    Level,
    /// The sample against the extremes of the series' own history.
    Range,
    /// A series that used to move and stands still.
    Flatline,
}

impl Detector {
    /// Every detector, for checks and messages; of those that are combined, the first one's band is shown.
    pub const ALL: [Self; 9] = [
        Self::Tail,
        Self::Classic,
        Self::Ewma,
        Self::RollingZ,
        Self::RobustZ,
        Self::Seasonal,
        Self::Level,
        Self::Range,
        Self::Flatline,
    ];

    /// The word for it in config and API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tail => "tail",
            Self::Classic => "classic",
            Self::Ewma => "ewma",
            Self::RollingZ => "rolling_z",
            Self::RobustZ => "robust_z",
            Self::Seasonal => "seasonal",
            Self::Level => "level",
            Self::Range => "range",
            Self::Flatline => "flatline",
        }
    }

    /// Whether its boundary moves with the expected number of false openings. The classic rule's is `sigma` alone, and a
    /// flatline is a statement about one series' habit and no draw from many.
    pub fn shares_the_cut(self) -> bool {
        !matches!(self, Self::Classic | Self::Flatline)
    }

    fn bit(self) -> u16 {
        1 << self as u16
    }
}

/// A choice of detectors: one or several, each once, in the order of [`Detector::ALL`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Detectors {
    bits: u16,
}

impl Detectors {
    /// Those of a list; `None` where it is empty.
    pub fn of(list: impl IntoIterator<Item = Detector>) -> Option<Self> {
        let bits = list.into_iter().fold(0, |bits, detector| bits | detector.bit());
        (bits != 0).then_some(Self { bits })
    }

    /// The detectors, in their order.
    pub fn iter(self) -> impl Iterator<Item = Detector> {
        Detector::ALL.into_iter().filter(move |detector| self.has(*detector))
    }

    /// Whether a detector is among them.
    pub fn has(self, detector: Detector) -> bool {
        self.bits & detector.bit() != 0
    }

    /// Whether it is this detector and no other.
    pub fn is_only(self, detector: Detector) -> bool {
        self.bits == detector.bit()
    }
}

impl From<Detector> for Detectors {
    fn from(detector: Detector) -> Self {
        Self { bits: detector.bit() }
    }
}

/// The names, in their order, with commas between.
impl fmt::Display for Detectors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.iter().map(Detector::as_str).collect();
        f.write_str(&names.join(", "))
    }
}

/// How the verdicts of several detectors become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Combine {
    /// The strongest score decides. The probability of the boundary is divided among the detectors (Bonferroni's bound),
    /// so that more of them expect no more false openings.
    Any,
    /// The weakest score decides, and none where they disagree on the side. Each has the whole probability of the boundary,
    /// since all have to be wrong at once.
    All,
}

impl Combine {
    /// Every rule, for checks and messages.
    pub const ALL: [Self; 2] = [Self::Any, Self::All];

    /// The word for it in config and API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::All => "all",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_has_each_detector_once_and_in_their_order() {
        let chosen = Detectors::of([Detector::Flatline, Detector::Tail, Detector::Flatline]).unwrap();
        assert_eq!(chosen.iter().collect::<Vec<_>>(), [Detector::Tail, Detector::Flatline]);
        assert_eq!(chosen.to_string(), "tail, flatline");
        assert!(!chosen.is_only(Detector::Tail) && Detectors::from(Detector::Tail).is_only(Detector::Tail));
        assert_eq!(Detectors::of([]), None);
        assert_eq!(Detectors::of(Detector::ALL).unwrap().iter().count(), Detector::ALL.len());
    }
}
