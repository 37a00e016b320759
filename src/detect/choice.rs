//! The detectors by the names that a person may write.

use std::str::FromStr;

use super::selection::{Detector, Detectors};
use super::settings::Settings;

impl Detector {
    /// What it is, in a few words.
    pub fn about(self) -> &'static str {
        match self {
            Self::Tail => "residuals against the fitted tail of their past",
            Self::Classic => "mean and scale of the samples before",
            Self::Ewma => "fading mean and deviation",
            Self::RollingZ => "mean and deviation of a window",
            Self::RobustZ => "median and MAD of a window",
            Self::Seasonal => "time of day and week",
            Self::Level => "deviations that last",
            Self::Range => "extremes of the history",
            Self::Flatline => "a series that stands still",
        }
    }
}

impl FromStr for Detector {
    type Err = UnknownDetector;

    /// Looks up a name.
    ///
    /// # Errors
    /// Lists the names that there are.
    fn from_str(name: &str) -> Result<Self, UnknownDetector> {
        let found = Self::ALL.into_iter().find(|detector| detector.as_str() == name);
        found.ok_or_else(|| UnknownDetector { name: name.chars().take(80).collect() })
    }
}

impl FromStr for Detectors {
    type Err = UnknownDetector;

    /// Reads one name, or several with commas between.
    ///
    /// # Errors
    /// Names the first that is unknown and lists those that there are.
    fn from_str(text: &str) -> Result<Self, UnknownDetector> {
        let list: Result<Vec<Detector>, UnknownDetector> =
            text.split(',').map(|name| name.trim().parse()).collect();
        Self::of(list?).ok_or_else(|| UnknownDetector { name: String::new() })
    }
}

impl Settings {
    /// These settings with other detectors. The classic rule by itself brings its own settings, where it was not chosen
    /// before.
    #[must_use]
    pub fn with_detectors(self, detector: Detectors) -> Self {
        if detector.is_only(Detector::Classic) && !self.is_classic() {
            return Self { missing: self.missing, sides: self.sides, ..Self::classic() };
        }
        Self { detector, ..self }
    }
}

/// A name that no detector has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is no detector: give one of {}", listed())]
pub struct UnknownDetector {
    name: String,
}

fn listed() -> String {
    let rows = Detector::ALL.map(|detector| format!("{} ({})", detector.as_str(), detector.about()));
    rows.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_finds_its_own_detector_and_no_other() {
        for detector in Detector::ALL {
            assert_eq!(detector.as_str().parse(), Ok(detector));
        }
        let unknown = "oracle".parse::<Detector>().unwrap_err().to_string();
        assert!(unknown.starts_with("\"oracle\" is no detector: give one of tail ("), "{unknown}");
        assert!(Detector::ALL.iter().all(|detector| unknown.contains(detector.as_str())), "{unknown}");
    }

    #[test]
    fn a_list_has_commas_and_no_unknown_name() {
        assert_eq!("range, tail".parse(), Ok(Detectors::of([Detector::Tail, Detector::Range]).unwrap()));
        let refused = |text: &str| text.parse::<Detectors>().unwrap_err().to_string();
        assert!(
            refused("tail,oracle").starts_with("\"oracle\" is no detector"),
            "{}",
            refused("tail,oracle")
        );
        assert!(refused("tail,").starts_with("\"\" is no detector"), "{}", refused("tail,"));
    }
}
