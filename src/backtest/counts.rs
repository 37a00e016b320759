//! Incidents counted: in all, by signal and by service, each by severity.

use indexmap::IndexMap;

use crate::incident::Severity;
use crate::replay::Outcome;

/// How many incidents there were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// In all.
    pub total: usize,
    /// By the worst severity that each had, P0 first.
    pub by_severity: [usize; 4],
}

impl Counts {
    /// Those of one severity.
    pub fn of(&self, severity: Severity) -> usize {
        Severity::ALL.iter().zip(self.by_severity).find(|(one, _)| **one == severity).map_or(0, |(_, n)| n)
    }

    fn add(&mut self, severity: Severity) {
        self.total += 1;
        let mut slots = Severity::ALL.iter().zip(&mut self.by_severity);
        if let Some((_, count)) = slots.find(|(one, _)| **one == severity) {
            *count += 1;
        }
    }
}

/// The counts of one signal or service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Which.
    pub name: String,
    /// Its incidents.
    pub counts: Counts,
}

/// The counts of one run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tables {
    /// Over all.
    pub all: Counts,
    /// By the signal whose series opened the incident, so that the rows add up; those without any too, the most first.
    pub by_signal: Vec<Row>,
    /// By service, the most first.
    pub by_service: Vec<Row>,
}

impl Tables {
    /// Counts what a run found.
    pub fn of(outcome: &Outcome) -> Self {
        let mut all = Counts::default();
        let mut by_signal: IndexMap<String, Counts> =
            outcome.tallies.iter().map(|(signal, _)| (signal.to_string(), Counts::default())).collect();
        let mut by_service: IndexMap<String, Counts> = IndexMap::new();
        for found in &outcome.found {
            all.add(found.severity);
            by_signal.entry(found.opened_by.to_string()).or_default().add(found.severity);
            by_service.entry(found.subject.to_string()).or_default().add(found.severity);
        }
        // Nobody knows more of these than that they were.
        all.total += outcome.beyond;
        Self { all, by_signal: rows(by_signal), by_service: rows(by_service) }
    }
}

fn rows(counts: IndexMap<String, Counts>) -> Vec<Row> {
    let mut rows: Vec<Row> = counts.into_iter().map(|(name, counts)| Row { name, counts }).collect();
    rows.sort_by(|a, b| b.counts.total.cmp(&a.counts.total).then_with(|| a.name.cmp(&b.name)));
    rows
}
