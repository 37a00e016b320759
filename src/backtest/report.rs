//! The result as a whole.

use std::time::Duration;

use super::condition::{Broken, Condition};
use super::counts::Tables;
use super::difference::Difference;
use super::labels::Labels;
use super::score::Score;
use crate::replay::{Found, Outcome};
use crate::time::Timestamp;

/// The time that was looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// Its begin, or the first sample where the backend holds none before.
    pub begin: Timestamp,
    /// Its end.
    pub until: Timestamp,
}

impl Period {
    /// How many days it has; rates are by these.
    pub fn days(&self) -> f64 {
        self.until.since(self.begin).max(Duration::from_secs(1)).as_secs_f64() / 86_400.0
    }
}

/// What one config would have said.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// What it found.
    pub outcome: Outcome,
    /// The same, counted.
    pub tables: Tables,
    /// How that fits the labels, where there are any.
    pub score: Option<Score>,
}

/// What came of a backtest.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The time that was looked at.
    pub period: Period,
    /// The config that is tried.
    pub new: Verdict,
    /// The one that it is compared with.
    pub old: Option<Verdict>,
    /// What differs, up to where both lists of incidents are whole.
    pub difference: Option<Difference>,
}

impl Verdict {
    fn of(outcome: Outcome, labels: Option<&Labels>, period: Period) -> Self {
        let score = labels.map(|labels| Score::of(&outcome.found, labels, period));
        Self { tables: Tables::of(&outcome), outcome, score }
    }
}

/// Where a list of incidents ends before the run does; what was opened later cannot be compared.
fn listed_until(outcome: &Outcome) -> Option<Timestamp> {
    let last = outcome.found.last().filter(|_| outcome.beyond > 0);
    last.map(|found| found.opened_at)
}

fn before(found: &[Found], end: Option<Timestamp>) -> &[Found] {
    let count = end.map_or(found.len(), |end| found.partition_point(|found| found.opened_at <= end));
    found.get(..count).unwrap_or_default()
}

impl Report {
    /// Puts together what one config or two found.
    pub fn new(period: Period, new: Outcome, old: Option<Outcome>, labels: Option<&Labels>) -> Self {
        let new = Verdict::of(new, labels, period);
        let old = old.map(|old| Verdict::of(old, labels, period));
        let difference = old.as_ref().map(|old| {
            let end = [&new, old].into_iter().filter_map(|verdict| listed_until(&verdict.outcome)).min();
            Difference::of(before(&new.outcome.found, end), before(&old.outcome.found, end))
        });
        Self { period, new, old, difference }
    }

    /// The conditions that do not hold, or of which nobody can tell.
    pub fn broken(&self, conditions: &[Condition]) -> Vec<Broken> {
        conditions.iter().filter_map(|condition| condition.broken_by(self)).collect()
    }
}
