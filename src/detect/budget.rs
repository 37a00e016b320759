//! A noise budget: so many incidents in so long, which a person sets in place of a threshold.

use std::fmt;
use std::str::FromStr;

use super::detectors::student::normal_two_sided;
use super::settings::Settings;

/// So many incidents of noise are accepted in so long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    incidents: u32,
    per: Per,
}

/// The time that a budget is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Per {
    /// An hour.
    Hour,
    /// A day of 24 hours.
    Day,
    /// Seven days.
    Week,
    /// Thirty days.
    Month,
}

/// A text that is no budget.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "is no budget: give a whole number from 1 to {INCIDENTS_MAX} per hour, day, week or month, such as \"2/week\""
)]
pub struct NoBudget;

const INCIDENTS_MAX: u32 = 10_000;

impl Per {
    /// Every time that a budget can be for.
    pub const ALL: [Self; 4] = [Self::Hour, Self::Day, Self::Week, Self::Month];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// How many days it has.
    pub fn days(self) -> f64 {
        match self {
            Self::Hour => 1.0 / 24.0,
            Self::Day => 1.0,
            Self::Week => 7.0,
            Self::Month => 30.0,
        }
    }
}

impl Budget {
    /// A budget; `None` where it is not 1 to 10,000 incidents.
    pub fn new(incidents: u32, per: Per) -> Option<Self> {
        (1..=INCIDENTS_MAX).contains(&incidents).then_some(Self { incidents, per })
    }

    /// How many incidents it is.
    pub fn incidents(self) -> u32 {
        self.incidents
    }

    /// In how long.
    pub fn per(self) -> Per {
        self.per
    }

    /// Incidents a day.
    pub fn per_day(self) -> f64 {
        f64::from(self.incidents) / self.per.days()
    }
}

impl FromStr for Budget {
    type Err = NoBudget;

    fn from_str(text: &str) -> Result<Self, NoBudget> {
        let (count, per) = text.split_once('/').ok_or(NoBudget)?;
        // `parse` alone would take a sign.
        let is_plain = count.trim().bytes().all(|byte| byte.is_ascii_digit());
        let count: u32 = count.trim().parse().ok().filter(|_| is_plain).ok_or(NoBudget)?;
        let per = Per::ALL.into_iter().find(|known| known.as_str() == per.trim()).ok_or(NoBudget)?;
        Self::new(count, per).ok_or(NoBudget)
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.incidents, self.per.as_str())
    }
}

/// Over which series a budget is counted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// All signals that have none of their own.
    Common,
    /// One signal.
    Signal,
    /// The series of one entry of overrides, over all its signals.
    Matcher(u16),
}

/// The budget that a signal has a part in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allotment {
    /// How much.
    pub budget: Budget,
    /// Whose it is.
    pub scope: Scope,
}

/// Where a series' boundary lies, in the terms of its detector.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Boundary {
    /// Of the tail detector: so many openings a day are what its probabilities add up to, over all series of the agent.
    Openings(f64),
    /// Of the classic rule: half the width of the band, in scales.
    Sigma(f64),
}

/// A rarer boundary is none: no sample is ever outside.
const OPENINGS_MIN: f64 = 1e-9;
/// A classic band is no narrower and no wider than a person may make it.
const SIGMAS: (f64, f64) = (1.0, 10.0);

impl Boundary {
    /// The word for what it is measured in.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Openings(_) => "false_openings_per_day",
            Self::Sigma(_) => "sigma",
        }
    }

    /// The number.
    pub fn value(self) -> f64 {
        match self {
            Self::Openings(value) | Self::Sigma(value) => value,
        }
    }

    /// The boundary of a word and a number; `None` for another word.
    pub fn of_kind(kind: &str, value: f64) -> Option<Self> {
        [Self::Openings(value), Self::Sigma(value)].into_iter().find(|boundary| boundary.kind() == kind)
    }

    /// How often noise is expected beyond it, on a scale of its own: a boundary further out has less.
    pub fn rarity(self) -> f64 {
        match self {
            Self::Openings(openings) => openings,
            Self::Sigma(sigma) => normal_two_sided(sigma),
        }
    }

    /// The boundary of that rarity, for the same detector as this one.
    #[must_use]
    pub fn at(self, rarity: f64) -> Self {
        match self {
            Self::Openings(_) => Self::Openings(rarity.max(OPENINGS_MIN)),
            Self::Sigma(_) => {
                let (mut low, mut high) = SIGMAS;
                for _ in 0..50 {
                    let middle = (low + high) / 2.0;
                    if normal_two_sided(middle) > rarity { low = middle } else { high = middle }
                }
                Self::Sigma(high)
            }
        }
    }
}

impl Settings {
    /// Where the boundary lies.
    pub fn boundary(&self) -> Boundary {
        if self.is_classic() {
            Boundary::Sigma(self.sigma)
        } else {
            Boundary::Openings(self.false_openings_per_day)
        }
    }

    /// The same with another boundary; one of the other detector is passed over.
    #[must_use]
    pub fn with_boundary(self, boundary: Boundary) -> Self {
        match (self.is_classic(), boundary) {
            (false, Boundary::Openings(openings)) => Self { false_openings_per_day: openings, ..self },
            (true, Boundary::Sigma(sigma)) => Self { sigma, ..self },
            (false, Boundary::Sigma(_)) | (true, Boundary::Openings(_)) => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_budget_is_a_number_in_a_time() {
        let per_day = |text: &str| text.parse::<Budget>().map(Budget::per_day);
        assert_eq!(per_day("2/week"), Ok(2.0 / 7.0));
        assert_eq!(per_day(" 3 / day "), Ok(3.0));
        assert_eq!(per_day("1/month"), Ok(1.0 / 30.0));
        assert_eq!(per_day("1/hour"), Ok(24.0));
        for text in [
            "",
            "2",
            "2/",
            "/week",
            "2/fortnight",
            "0/week",
            "-1/day",
            "+1/day",
            "10001/day",
            "1.5/day",
            "2/week/day",
        ] {
            assert_eq!(text.parse::<Budget>(), Err(NoBudget), "{text:?}");
        }
    }

    #[test]
    fn a_boundary_of_its_own_rarity_is_itself() {
        for sigma in [1.0, 2.0, 3.0, 4.5, 9.9] {
            let Boundary::Sigma(again) = Boundary::Sigma(3.0).at(Boundary::Sigma(sigma).rarity()) else {
                panic!("another kind")
            };
            assert!((again - sigma).abs() < 1e-6, "{sigma} {again}");
        }
        assert_eq!(Boundary::Openings(1.0).at(0.25), Boundary::Openings(0.25));
        assert_eq!(Boundary::Sigma(3.0).at(0.0), Boundary::Sigma(10.0));
    }

    #[test]
    fn a_boundary_of_the_other_detector_changes_nothing() {
        let classic = Settings::classic().with_boundary(Boundary::Openings(7.0));
        assert_eq!(classic, Settings::classic());
        let tail = Settings::default().with_boundary(Boundary::Openings(7.0));
        assert_eq!(tail.boundary(), Boundary::Openings(7.0));
    }

    proptest! {
        #[test]
        fn a_budget_is_read_as_it_is_written(incidents in 1_u32..=10_000, nth in 0_usize..4) {
            let budget = Budget::new(incidents, Per::ALL[nth]).unwrap();
            prop_assert_eq!(budget.to_string().parse::<Budget>(), Ok(budget));
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,20}") {
            let _ = text.parse::<Budget>();
        }
    }
}
