//! From a convention and what was seen of it to signals with their PromQL.

use std::collections::BTreeSet;

use super::convention::{Found, Template, matchers};
use super::pace::Pace;
use super::service::{Candidate, Choice, choose, measured};
use crate::detect::Kind;
use crate::source::Point;

/// What was seen of a convention's metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// The series of its anchor.
    pub series: u64,
    /// What names its services.
    pub service: Choice,
    /// The label of the status, where it has one.
    pub status: Option<String>,
    /// How fast it is sampled, where that could be measured.
    pub pace: Option<Pace>,
    /// Matchers that leave out what is watched by others already; may be empty.
    pub without: String,
    /// What the exporter says about the anchor; may be empty, and may hold anything.
    pub help: String,
}

impl Sighting {
    /// Reads the answer to the measure query; `None` where no label names a service or there are no series.
    pub fn of(
        found: &Found,
        labels: &BTreeSet<String>,
        candidates: &[Candidate],
        points: &[Point],
    ) -> Option<Self> {
        let points: Vec<_> =
            points.iter().map(|point| (point.labels.get(super::service::ASKED), point.value)).collect();
        let (series, measured) = measured(candidates, &points);
        let service = choose(series, &measured)?;
        let statuses = found.convention().status.iter();
        let status = statuses.copied().find(|status| labels.contains(*status));
        Some(Self {
            series,
            service,
            status: status.map(str::to_owned),
            pace: None,
            without: String::new(),
            help: String::new(),
        })
    }
}

/// A signal that may be watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// The id of its convention.
    pub convention: &'static str,
    /// The name that it wants.
    pub name: String,
    /// What it measures.
    pub kind: Kind,
    /// What it asks.
    pub promql: String,
    /// What names its services: a label, or several joined with a slash.
    pub service: String,
    /// How fast it is sampled.
    pub pace: Pace,
    /// Further keys with their values as TOML.
    pub keys: Vec<(&'static str, &'static str)>,
    /// Why they are as they are; may be empty.
    pub why: &'static str,
}

impl Proposal {
    /// The signals that a convention gives, in its order.
    pub fn all(found: &Found, seen: &Sighting) -> Vec<Self> {
        let convention = found.convention();
        let chosen = found.signals.iter().filter_map(|place| convention.signals.get(*place));
        chosen.filter_map(|template| Self::of(found, template, seen)).collect()
    }

    fn of(found: &Found, template: &Template, seen: &Sighting) -> Option<Self> {
        let convention = found.convention();
        let pace = seen.pace.unwrap_or(Pace::UNKNOWN);
        let status = match (&seen.status, template.query.contains("{status}")) {
            (None, true) => return None,
            (status, _) => status.as_deref().unwrap_or_default(),
        };
        let mut m = matchers(&[convention.matchers, &seen.without]);
        if !m.is_empty() {
            m.push(',');
        }
        let promql = template
            .query
            .replace("{p}", &found.prefix)
            .replace("{by}", &seen.service.chosen.candidate.replace('/', ", "))
            .replace("{m}", &m)
            .replace("{status}", status)
            .replace("{window}", &pace.window())
            .replace("{long}", &pace.long_window())
            .replace(",}", "}")
            .replace("{}", "");
        Some(Self {
            convention: convention.id,
            name: template.name.to_owned(),
            kind: template.kind,
            promql,
            service: seen.service.chosen.candidate.clone(),
            pace,
            keys: template.keys.to_vec(),
            why: template.why,
        })
    }
}
