//! Baselines that begin anew since somebody wants that: at once, or at their place in history that is read again.

use std::sync::Arc;

use super::Table;
use crate::detect::directive::{NotRebased, Rebased};
use crate::detect::finding::{Restart, What};
use crate::detect::run::{Mark, Run};
use crate::id::Fingerprint;
use crate::series::{Labels, SeriesKey, Service};
use crate::time::Timestamp;

impl Table {
    /// The series of a service that have all of these labels.
    pub(in crate::detect) fn named(&self, service: &Service, labels: &Labels) -> Vec<Arc<SeriesKey>> {
        let has_all =
            |key: &&Arc<SeriesKey>| labels.iter().all(|(name, value)| key.labels.get(name) == Some(value));
        let rows = self.rows_of_service(service).iter();
        rows.map(|row| &self.keys[*row]).filter(has_all).cloned().collect()
    }

    /// Begins the baseline of a series anew.
    pub(in crate::detect) fn rebase_now(&mut self, series: Fingerprint) -> Result<Rebased, NotRebased> {
        let row = self.index.row_of(series).ok_or(NotRebased::Unknown)?;
        if self.lost[row] {
            return Err(NotRebased::Lost);
        }
        let (points, needed) = self.panel.held(row, self.settings(row));
        let before = self.panel.baseline(row, self.settings(row));
        let Some(from) = before.map(|baseline| baseline.mean) else {
            return Err(NotRebased::Warming { points, needed });
        };
        let anomaly = self.runs[row].anomaly;
        let judged = self.marks(row).into_iter().filter(|mark| !mark.signed_score.is_nan());
        let judged: Vec<Mark> = judged.collect();
        // Of a series that has left its level, only the samples since then are of the new one.
        let recent = judged.iter().rev().take(needed);
        let recent =
            recent.take_while(|mark| anomaly.is_none_or(|open| mark.at_ms >= open.onset.as_millis()));
        let since_ms = recent.last().map(|mark| mark.at_ms).ok_or(NotRebased::Unsettled)?;
        let to = self.rebase_since(row, since_ms).unwrap_or(from);
        let at = Timestamp::from_millis(self.last_ms[row]);
        Ok(Rebased {
            finding: self.finding(row, at, What::Restarted(Restart::Rebased { from, to })),
            since: Timestamp::from_millis(since_ms),
            at,
            from,
            to,
            points: self.panel.held(row, self.settings(row)).0,
            needed,
            anomaly,
        })
    }

    /// Does what was told about a series at times before a sample.
    pub(super) fn obey_before(&mut self, row: usize, at_ms: i64) {
        self.obey_through(row, at_ms.saturating_sub(1));
    }

    /// Does what was told about any series up to a time: a series may have no sample after it.
    pub(super) fn obey(&mut self, through: Timestamp) {
        for series in self.directives.due(through.as_millis()) {
            if let Some(row) = self.index.row_of(series) {
                self.obey_through(row, through.as_millis());
            }
        }
    }

    fn obey_through(&mut self, row: usize, through_ms: i64) {
        while let Some(since_ms) = self.directives.next_through(self.keys[row].hash, through_ms) {
            self.rebase_since(row, since_ms);
        }
    }

    /// Makes the baseline of a row of its last samples since a time, flagged ones too. Gives their mean.
    fn rebase_since(&mut self, row: usize, since_ms: i64) -> Option<f64> {
        // History that begins shortly before has judged nothing yet; else what was not judged is no level.
        let is_warming = !self.panel.is_warm(row, self.settings(row));
        let mut marks = self.marks(row);
        marks.retain(|mark| mark.at_ms >= since_ms && (is_warming || !mark.signed_score.is_nan()));
        let width = self.panel.held(row, self.settings(row)).1;
        let values: Vec<f64> =
            marks.iter().skip(marks.len().saturating_sub(width)).map(|mark| mark.value).collect();
        self.panel.rebase(row, &values);
        self.runs[row] = Run::settled(self.last_ms[row]);
        self.note_standing(row);
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    }
}
