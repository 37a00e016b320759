//! How well what was found fits what people know.

use std::time::Duration;

use super::labels::{Label, Labels};
use super::report::Period;
use crate::replay::Found;

/// How incidents fit labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Score {
    /// Labels that lie within the period, at least in part.
    pub labels: usize,
    /// Labels that do not, which count for nothing.
    pub outside: usize,
    /// Labels that an incident fits.
    pub found: usize,
    /// Incidents.
    pub incidents: usize,
    /// Incidents that fit a label.
    pub fitting: usize,
    /// From the start of each label that was found to the first incident of it, the shortest first. An incident that was
    /// opened before counts as none.
    pub delays: Vec<Duration>,
    /// The labels that nothing fits.
    pub missed: Vec<Label>,
}

impl Score {
    /// Scores what was found by what people know.
    pub fn of(found: &[Found], labels: &Labels, period: Period) -> Self {
        let is_within = |label: &&Label| label.start <= period.until && label.end >= period.begin;
        let within: Vec<&Label> = labels.0.iter().filter(is_within).collect();
        let (mut delays, mut missed) = (Vec::new(), Vec::new());
        for label in &within {
            let first = found.iter().filter(|found| label.fits(found)).map(|found| found.opened_at).min();
            match first {
                Some(opened_at) => delays.push(opened_at.since(label.start)),
                None => missed.push((*label).clone()),
            }
        }
        delays.sort();
        let fitting = found.iter().filter(|found| within.iter().any(|label| label.fits(found))).count();
        Self {
            labels: within.len(),
            outside: labels.0.len() - within.len(),
            found: delays.len(),
            incidents: found.len(),
            fitting,
            delays,
            missed,
        }
    }

    /// The share of labels that were found; `None` where there is none.
    pub fn recall(&self) -> Option<f64> {
        (self.labels > 0).then(|| self.found as f64 / self.labels as f64)
    }

    /// The share of incidents that fit a label; `None` where there is no incident.
    pub fn precision(&self) -> Option<f64> {
        (self.incidents > 0).then(|| self.fitting as f64 / self.incidents as f64)
    }

    /// The delay that half of the labels that were found do not exceed.
    pub fn median_delay(&self) -> Option<Duration> {
        self.delays.get(self.delays.len().saturating_sub(1) / 2).copied()
    }
}
