//! The detectors by the names that a person may write.

use super::settings::{Detector, Settings};

/// A detector that can be chosen by its name.
#[derive(Debug, Clone, Copy)]
pub struct Choice {
    /// The name.
    pub name: &'static str,
    /// What it is, in a few words.
    pub about: &'static str,
    /// Settings with this detector in the place of whichever they name.
    choose: fn(Settings) -> Settings,
}

/// Every detector, a row each.
pub const DETECTORS: &[Choice] = &[
    Choice {
        name: "tail",
        about: "residuals against the fitted tail of their past",
        choose: |settings| Settings { detector: Detector::Tail, ..settings },
    },
    Choice {
        name: "classic",
        about: "mean and scale of the samples before",
        choose: |settings| {
            if settings.detector == Detector::Classic {
                settings
            } else {
                Settings { missing: settings.missing, sides: settings.sides, ..Settings::classic() }
            }
        },
    },
];

impl Choice {
    /// Looks up a name.
    ///
    /// # Errors
    /// Lists the names that there are.
    pub fn of_name(name: &str) -> Result<&'static Self, UnknownDetector> {
        let found = DETECTORS.iter().find(|choice| choice.name == name);
        found.ok_or_else(|| UnknownDetector { name: name.chars().take(80).collect() })
    }

    /// The settings with this detector.
    #[must_use]
    pub fn applied_to(&self, settings: Settings) -> Settings {
        (self.choose)(settings)
    }
}

/// A name that no detector has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} is no detector: give one of {}", listed())]
pub struct UnknownDetector {
    name: String,
}

fn listed() -> String {
    let rows = DETECTORS.iter().map(|choice| format!("{} ({})", choice.name, choice.about));
    rows.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_finds_its_own_row_and_no_other() {
        for choice in DETECTORS {
            assert_eq!(Choice::of_name(choice.name).map(|found| found.name), Ok(choice.name));
        }
        let unknown = Choice::of_name("oracle").map(|found| found.name).unwrap_err().to_string();
        assert!(unknown.starts_with("\"oracle\" is no detector: give one of tail ("), "{unknown}");
    }
}
