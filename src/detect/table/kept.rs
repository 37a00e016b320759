//! A table as bytes, and back: what it has learnt, series by series, named by their labels. How it judges is not among it,
//! that is the plan's.

use std::sync::Arc;

use super::Table;
use crate::detect::finding::{Finding, What};
use crate::detect::gate::Trace;
use crate::detect::pauses::Pauses;
use crate::detect::recurrence::Episodes;
use crate::detect::run::{Mark, Run};
use crate::detect::settings::{Missing, SignalPlan};
use crate::detect::snapshot::{Reader, SnapshotFlaw, Writer, sound};
use crate::id::Fingerprint;
use crate::series::{Labels, SeriesKey, Service, SignalName};
use crate::time::Timestamp;

/// What decides whether state means the same under a plan, as [`SignalPlan::keeps_state_of`] does: the step in
/// milliseconds, the length of the baseline, the detectors and the zone.
type Meaning = (u64, usize, String, String);

fn meaning(plan: &SignalPlan) -> Meaning {
    let settings = &plan.settings;
    let step_ms = u64::try_from(plan.step.as_millis()).unwrap_or(u64::MAX);
    (step_ms, settings.baseline_points, settings.detector.to_string(), settings.zone.name().to_owned())
}

/// A finding without what its table knows: the series, when, what, and why.
type Found = (Fingerprint, Timestamp, What, Option<Trace>);

impl Table {
    /// The rows in use, in the order in which their series came.
    pub(in crate::detect) fn kept_rows(&self) -> Vec<usize> {
        self.index.rows().collect()
    }

    /// Writes down what is not of a single series.
    pub(in crate::detect) fn keep_head(&self, out: &mut Writer) {
        out.put(&meaning(&self.plan));
        out.put(&self.index.len());
        out.put(&(self.samples_a_day, self.excused_ms));
        out.put(self.seen.times());
        self.directives.keep(out);
        self.panel.keep_boundary(out);
    }

    /// Reads that into a table without rows. Gives how many rows there will be; `None` where the state means something
    /// else under the plan.
    pub(in crate::detect) fn restore_head(
        &mut self,
        from: &mut Reader<'_>,
    ) -> Result<Option<usize>, SnapshotFlaw> {
        let (kept, rows): (Meaning, usize) = (from.take()?, from.take()?);
        if kept != meaning(&self.plan) {
            return Ok(None);
        }
        let (samples_a_day, excused_ms): (f64, i64) = from.take()?;
        sound(samples_a_day.is_finite() && samples_a_day >= 1.0, "a share that no series make")?;
        self.share(samples_a_day);
        self.excused_ms = excused_ms;
        self.seen.take(&from.take::<Vec<i64>>()?, self.step_ms);
        self.directives.restore(from)?;
        self.panel.restore_boundary(from, &self.plan.settings)?;
        from.end()?;
        Ok(Some(rows))
    }

    pub(in crate::detect) fn keep_row(&self, row: usize, out: &mut Writer) {
        let key = &self.keys[row];
        out.put(key.service.as_str());
        out.put(&key.labels.iter().collect::<Vec<_>>());
        out.put(&(self.began_ms[row], self.last_ms[row], self.unsettled_ms[row]));
        out.put(&(self.lost[row], self.invalid[row], self.pauses[row], self.runs[row]));
        out.put(&self.episodes[row]);
        out.put(&self.verdicts[row]);
        out.put(&self.openings.get(&row).map(Arc::as_ref));
        let (count, len) = (self.recent_count[row], self.recent_len as u64);
        let place = |nth: u64| row * self.recent_len + (nth % len) as usize;
        let held = count.min(len);
        out.put_all((0..held as usize).map(|nth| &self.recent[place(count - held + nth as u64)]));
        self.panel.keep(row, out);
    }

    pub(in crate::detect) fn restore_row(
        &mut self,
        signal: &SignalName,
        from: &mut Reader<'_>,
    ) -> Result<(), SnapshotFlaw> {
        let (service, labels): (String, Vec<(String, String)>) = (from.take()?, from.take()?);
        let key = SeriesKey::new(signal.clone(), Service::new(&service), Labels::new(labels));
        let key = Arc::new(key);
        sound(self.index.row_of(key.hash).is_none(), "a series that comes twice")?;
        let row = self.grow(&key);
        self.in_use[row] = true;
        self.index.insert(key.hash, &key.service, row);
        self.variants.take_in(row, &key, &self.plan, self.samples_a_day);

        (self.began_ms[row], self.last_ms[row], self.unsettled_ms[row]) = from.take()?;
        let (lost, invalid, pauses, run): (bool, u8, Pauses, Run) = from.take()?;
        let episodes: Episodes = from.take()?;
        sound(run.is_sound() && episodes.is_sound(), "counts that no samples make")?;
        // As where a plan that lets series stop comes with a reload.
        self.lost[row] = lost && self.plan.settings.missing != Missing::Ignore;
        (self.invalid[row], self.pauses[row]) = (invalid, pauses);
        (self.runs[row], self.episodes[row]) = (run, episodes);
        self.verdicts[row] = from.take()?;
        if let Some(why) = from.take::<Option<Trace>>()? {
            self.openings.insert(row, Arc::new(why));
        }
        let marks: Vec<Mark> = from.take()?;
        let older = marks.len().saturating_sub(self.recent_len);
        marks.into_iter().skip(older).for_each(|mark| self.remember(row, mark));
        self.panel.restore(row, from)?;
        self.note_standing(row);
        Ok(())
    }

    /// Writes down what was found and is not told yet.
    pub(in crate::detect) fn keep_findings(findings: &[Finding], out: &mut Writer) {
        let found = |finding: &Finding| -> Found {
            let why = finding.why.as_deref().cloned();
            (finding.key.hash, finding.at, finding.what.clone(), why)
        };
        out.put_all(findings.iter().map(found));
    }

    pub(in crate::detect) fn restore_findings(
        &self,
        from: &mut Reader<'_>,
    ) -> Result<Vec<Finding>, SnapshotFlaw> {
        let finding = |(series, at, what, why): Found| {
            let row = self.index.row_of(series);
            let row = row.ok_or(SnapshotFlaw::Unsound("a finding about a series that is not there"))?;
            let (key, kind) = (Arc::clone(&self.keys[row]), self.plan.kind);
            Ok(Finding { key, kind, at, what, why: why.map(Arc::new) })
        };
        from.take::<Vec<Found>>()?.into_iter().map(finding).collect()
    }
}
