//! How bad an incident is: a sum that a reader can recompute.

use std::fmt;

use super::member::{Member, Trouble};
use super::outage::{Outage, Silence};

/// P0 is the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Critical.
    P0,
    /// High.
    P1,
    /// Medium.
    P2,
    /// Low.
    P3,
}

impl Severity {
    /// `P0` to `P3`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::P0 => "P0",
            Self::P1 => "P1",
            Self::P2 => "P2",
            Self::P3 => "P3",
        }
    }

    /// Every severity, the worst first.
    pub const ALL: [Self; 4] = [Self::P0, Self::P1, Self::P2, Self::P3];
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How much a service matters, as the config says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Criticality {
    /// Nobody is woken for it.
    Low,
    /// What is not named in the config.
    #[default]
    Normal,
    /// Users notice.
    High,
    /// The business stops.
    Critical,
}

impl Criticality {
    /// The word for it in the config.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// Every criticality, the least first.
    pub const ALL: [Self; 4] = [Self::Low, Self::Normal, Self::High, Self::Critical];

    fn points(self) -> i32 {
        match self {
            Self::Low => -1,
            Self::Normal => 0,
            Self::High => 1,
            Self::Critical => 2,
        }
    }
}

/// A severity with the points that made it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assessment {
    /// The outcome.
    pub severity: Severity,
    /// 0 where the worst score is below 2, 1 below 5, else 2. A lost series counts 2.
    pub magnitude_points: i32,
    /// 0 for one signal, 1 for two, 2 for more; of an incident about the source see [`assess_source`].
    pub breadth_points: i32,
    /// -1 low, 0 normal, 1 high, 2 critical.
    pub criticality_points: i32,
}

/// Adds up how far, how broadly and how critically: up to 0 points are P3, 1 and 2 are P2, 3 is P1, more are P0.
///
/// Members that have recovered count too: an incident does not become harmless by ending.
pub fn assess(members: &[Member], criticality: Criticality) -> Assessment {
    let magnitude = |member: &Member| match member.trouble {
        Trouble::Deviation(anomaly) if anomaly.peak_score < 2.0 => 0,
        Trouble::Deviation(anomaly) if anomaly.peak_score < 5.0 => 1,
        Trouble::Deviation(_) | Trouble::Lost { .. } => 2,
    };
    let magnitude_points = members.iter().map(magnitude).max().unwrap_or(0);
    let signals: std::collections::BTreeSet<_> = members.iter().map(|member| &member.key.signal).collect();
    let breadth_points = match signals.len() {
        0 | 1 => 0,
        2 => 1,
        _ => 2,
    };
    sum(magnitude_points, breadth_points, criticality.points())
}

/// Adds up the same points for an incident about the source: the magnitude is 2, as of a series that is lost; the
/// breadth is 1 where more than one signal is concerned or none is answered, since then nothing can be seen at all. No
/// service is named, so none is critical. One signal without its series is P2, a backend that is lost P1: nobody knows
/// of any harm, but nobody would know.
pub fn assess_source(outages: &[Outage]) -> Assessment {
    let signals: std::collections::BTreeSet<_> = outages.iter().map(|outage| &outage.signal).collect();
    let is_blind = outages.iter().any(|outage| matches!(outage.silence, Silence::Unanswered { .. }));
    sum(2, i32::from(is_blind || signals.len() > 1), 0)
}

fn sum(magnitude_points: i32, breadth_points: i32, criticality_points: i32) -> Assessment {
    let severity = match magnitude_points + breadth_points + criticality_points {
        ..=0 => Severity::P3,
        1 | 2 => Severity::P2,
        3 => Severity::P1,
        4.. => Severity::P0,
    };
    Assessment { severity, magnitude_points, breadth_points, criticality_points }
}
