//! The rows as a plot shows them.

use std::sync::Arc;

use super::Table;
use crate::detect::bands::Band;
use crate::id::Fingerprint;
use crate::series::SeriesKey;
use crate::time::Timestamp;

impl Table {
    /// The series of a row and whether it is anomalous; `None` where it is lost or warms up.
    pub(in crate::detect) fn bearing(&self, row: usize) -> Option<(&Arc<SeriesKey>, bool)> {
        let is_judged = !self.lost[row] && self.panel.is_warm(row, self.settings(row));
        is_judged.then(|| (&self.keys[row], self.runs[row].anomaly.is_some()))
    }

    /// The band of a series that is judged.
    pub(in crate::detect) fn band(&self, series: Fingerprint) -> Option<Band> {
        let row = self.index.row_of(series)?;
        let (key, _) = self.bearing(row)?;
        let last = self.recent_count[row].checked_sub(1)?;
        let mark = self.recent[row * self.recent_len + (last % self.recent_len as u64) as usize];
        let (expected, lower, upper) = self.panel.band(row, self.settings(row))?;
        Some(Band {
            key: Arc::clone(key),
            at: Timestamp::from_millis(mark.at_ms),
            value: mark.value,
            expected,
            lower,
            upper,
            score: Some(mark.signed_score.abs()).filter(|score| score.is_finite()),
        })
    }
}
