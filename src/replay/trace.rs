//! The samples of the series in trouble, kept while an incident is open, so that a report can show it.

use std::collections::BTreeMap;

use crate::engine::CapturedSeries;
use crate::id::{Fingerprint, IncidentId};
use crate::incident::{Incident, Member};
use crate::series::{Batch, SeriesKey, SignalName};
use crate::time::Timestamp;

use super::found::worst;

/// Of one incident so many series are followed.
const SERIES_PER_INCIDENT_MAX: usize = 8;
/// Of one series so many samples are kept.
const POINTS_MAX: usize = 400;

/// The samples of one series around an incident.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Trace {
    /// Times and values, oldest first.
    pub points: Vec<(Timestamp, f64)>,
    /// Whether it went on for longer than is kept.
    pub is_cut: bool,
}

/// The series that are followed now.
#[derive(Debug, Default)]
pub(super) struct Tracer {
    open: BTreeMap<IncidentId, Followed>,
    /// How many series of each signal are followed: what is not asked for costs nothing.
    signals: BTreeMap<SignalName, usize>,
}

#[derive(Debug, Default)]
struct Followed {
    series: BTreeMap<Fingerprint, (SignalName, Trace)>,
    captured: Vec<CapturedSeries>,
}

impl Tracer {
    /// Follows an incident that has just opened, from the samples that were captured then.
    pub(super) fn begin(&mut self, id: IncidentId, captured: &[CapturedSeries]) {
        self.open.insert(id, Followed { series: BTreeMap::new(), captured: captured.to_vec() });
    }

    /// Follows the members of an incident that it does not follow yet.
    pub(super) fn follow(&mut self, incident: &Incident) {
        let Some(followed) = self.open.get_mut(&incident.id) else { return };
        for Member { key, .. } in &incident.members {
            let is_full = followed.series.len() >= SERIES_PER_INCIDENT_MAX;
            if is_full || followed.series.contains_key(&key.hash) {
                continue;
            }
            let points = followed.captured.iter().find(|captured| is_of(captured, key));
            let points = points.map(|captured| captured.points.clone()).unwrap_or_default();
            let trace = Trace { points, is_cut: false };
            followed.series.insert(key.hash, (key.signal.clone(), trace));
            *self.signals.entry(key.signal.clone()).or_insert(0) += 1;
        }
    }

    /// Takes the samples of what is followed.
    pub(super) fn see(&mut self, batch: &Batch) {
        if !self.signals.contains_key(batch.signal()) {
            return;
        }
        for row in batch.rows() {
            let of_row = self.open.values_mut().filter_map(|followed| followed.series.get_mut(&row.key.hash));
            for (_, trace) in of_row {
                for (at, value) in row.times_ms.iter().zip(row.values) {
                    trace.push(Timestamp::from_millis(*at), *value);
                }
            }
        }
    }

    /// Follows an incident no longer; gives the samples of its worst series.
    pub(super) fn end(&mut self, incident: &Incident) -> Option<Trace> {
        let mut followed = self.open.remove(&incident.id)?;
        for (signal, _) in followed.series.values() {
            if let Some(count) = self.signals.get_mut(signal) {
                *count -= 1;
            }
        }
        self.signals.retain(|_, count| *count > 0);
        let worst = worst(&incident.members)?;
        followed.series.remove(&worst.key.hash).map(|(_, trace)| trace)
    }
}

impl Trace {
    fn push(&mut self, at: Timestamp, value: f64) {
        if self.points.last().is_some_and(|(last, _)| *last >= at) {
            return;
        }
        if self.points.len() < POINTS_MAX {
            self.points.push((at, value));
        } else {
            self.is_cut = true;
        }
    }
}

fn is_of(captured: &CapturedSeries, key: &SeriesKey) -> bool {
    let labels = captured.labels.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    captured.signal == key.signal && labels.eq(key.labels.iter())
}
