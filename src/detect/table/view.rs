//! The rows as whoever explains them sees them.

use std::sync::Arc;

use super::Table;
use crate::detect::classic::Verdict;
use crate::detect::finding::{Anomaly, SeriesView};
use crate::detect::index::Sums;
use crate::id::Fingerprint;
use crate::series::Service;
use crate::time::Timestamp;

impl Table {
    /// The whole of what is known about a row.
    pub(in crate::detect) fn view(&self, row: usize) -> SeriesView {
        let recent = self.marks(row);
        let baseline = self.panel.baseline(row, self.settings(row));
        SeriesView {
            key: Arc::clone(&self.keys[row]),
            kind: self.plan.kind,
            anomaly: self.runs[row].anomaly,
            is_lost: self.lost[row],
            unsettled_until: Some(self.unsettled_ms[row])
                .filter(|until_ms| *until_ms > i64::MIN)
                .map(Timestamp::from_millis),
            value: recent.last().map_or(f64::NAN, |mark| mark.value),
            expected: baseline.map(|b| b.mean),
            band: self.panel.band(row, self.settings(row)).map(|(_, lower, upper)| (lower, upper)),
            scale: baseline.map(|b| b.scale),
            recent: recent.iter().map(|mark| (Timestamp::from_millis(mark.at_ms), mark.value)).collect(),
            signed_scores: recent.iter().map(|mark| mark.signed_score).collect(),
            overrides: self.overrides_of(row),
        }
    }

    pub(in crate::detect) fn state_of(&self, hash: Fingerprint) -> Option<(Option<Anomaly>, bool)> {
        self.index.row_of(hash).map(|row| (self.runs[row].anomaly, self.lost[row]))
    }

    /// What was said of a series' last sample; `None` where it was not judged.
    pub(in crate::detect) fn verdict_of(&self, hash: Fingerprint) -> Option<Verdict> {
        self.index.row_of(hash).and_then(|row| self.verdicts[row])
    }

    /// The time of a series' last sample; `None` where it has no state.
    pub(in crate::detect) fn last_sample(&self, hash: Fingerprint) -> Option<Timestamp> {
        let row = self.index.row_of(hash)?;
        (self.recent_count[row] > 0).then(|| Timestamp::from_millis(self.last_ms[row]))
    }

    /// Every row, in the order in which the series came.
    pub(in crate::detect) fn rows(&self) -> impl Iterator<Item = usize> {
        self.index.rows()
    }

    pub(in crate::detect) fn rows_of_service(&self, service: &Service) -> &[usize] {
        self.index.of_service(service)
    }

    /// The anomalous and lost rows.
    pub(in crate::detect) fn troubled_rows(&self) -> impl Iterator<Item = usize> {
        self.index.troubled()
    }

    pub(in crate::detect) fn service(&self, row: usize) -> &Service {
        &self.keys[row].service
    }

    pub(in crate::detect) fn tracked(&self) -> usize {
        self.index.len()
    }

    /// How many series are warming up, anomalous and lost.
    pub(in crate::detect) fn sums(&self) -> Sums {
        self.index.sums()
    }
}
