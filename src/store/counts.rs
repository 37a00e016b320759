//! How many incidents there are, by severity and phase.

use std::collections::BTreeMap;

use super::error::{damaged, failed};
use super::incidents::PhaseName;
use super::row::severity_of;
use super::{Store, StoreError, sql};
use crate::incident::Severity;

/// How many incidents there are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counts {
    /// By severity and phase; what has none is left out.
    pub incidents: BTreeMap<(Severity, PhaseName), u64>,
    /// The place of the last event in the log; 0 while there is none.
    pub last_seq: i64,
}

impl Counts {
    /// Those that are not resolved.
    pub fn open(&self) -> u64 {
        let open = self.incidents.iter().filter(|((_, phase), _)| *phase != PhaseName::Resolved);
        open.map(|(_, count)| count).sum()
    }

    /// All.
    pub fn total(&self) -> u64 {
        self.incidents.values().sum()
    }
}

impl Store {
    /// Counts the incidents.
    ///
    /// # Errors
    /// Where the database fails or a row is damaged.
    pub async fn counts(&self) -> Result<Counts, StoreError> {
        let failed = failed(self.file(), "counting incidents");
        let rows: Vec<(String, String, i64)> =
            sqlx::query_as(sql::COUNTS).fetch_all(self.readers()).await.map_err(&failed)?;
        let last_seq: Option<i64> =
            sqlx::query_scalar(sql::LAST_SEQ).fetch_one(self.readers()).await.map_err(&failed)?;
        let mut incidents = BTreeMap::new();
        for (severity, phase, count) in rows {
            let unknown = || damaged(self.file(), "incidents", format!("no such state: {severity} {phase}"));
            let key = severity_of(&severity).zip(PhaseName::parse(&phase)).ok_or_else(unknown)?;
            incidents.insert(key, count.unsigned_abs());
        }
        Ok(Counts { incidents, last_seq: last_seq.unwrap_or(0) })
    }
}

#[cfg(test)]
mod tests {
    use super::super::story::{Story, open};
    use super::*;

    #[tokio::test]
    async fn incidents_are_counted_by_severity_and_phase() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(&dir).await;
        assert_eq!(store.counts().await.unwrap(), Counts::default());
        let (a, b, mut c) = (Story::at("a", 1, "a"), Story::at("b", 2, "b"), Story::at("c", 3, "c"));
        for commit in [a.opening(), b.opening(), c.opening(), c.recovery()] {
            store.commit(&commit).await.unwrap();
        }
        let counts = store.counts().await.unwrap();
        let severity = a.incident().assessment.severity;
        let expected = [((severity, PhaseName::Detected), 2), ((severity, PhaseName::Resolved), 1)]
            .into_iter()
            .collect();
        assert_eq!(counts.incidents, expected);
        assert_eq!((counts.open(), counts.total()), (2, 3));
        assert!(counts.last_seq > 0);
    }
}
