//! What a convention of naming metrics is, and which of them a set of names shows.

use std::collections::BTreeSet;

use super::catalogue;
use crate::detect::Kind;

/// How near to what users feel the signals of a convention are; the nearest are written first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// What users of services feel: requests, errors, latency.
    Golden,
    /// What services run in and on.
    Platform,
    /// What nearly everything exposes that is scraped.
    Fallback,
}

/// A way of naming metrics that an exporter, a library or a framework has. Pure data.
///
/// In [`needs`](Self::needs), [`anchor`](Self::anchor) and queries `{p}` is the part of the name that is not fixed.
#[derive(Debug, Clone, Copy)]
pub struct Convention {
    /// Its name, which stands before a signal's name where that is taken.
    pub id: &'static str,
    /// What people call it.
    pub title: &'static str,
    /// Where its signals stand.
    pub tier: Tier,
    /// The metrics that must be there; where the name has a part that is not fixed, at least three of them.
    pub needs: &'static [&'static str],
    /// The labels that must be there beside those that name the service.
    pub labels: &'static [&'static str],
    /// Labels that speak for another convention.
    pub lacks: &'static [&'static str],
    /// The metric whose labels and samples are looked at: one with few series.
    pub anchor: &'static str,
    /// Matchers that each of its selectors has, such as `container!=""`.
    pub matchers: &'static str,
    /// Labels, or several joined with a slash, that may name the service: the best first.
    pub services: &'static [&'static str],
    /// Labels that may hold the status of an answer: the first that is there is `{status}` in the queries.
    pub status: &'static [&'static str],
    /// Where one of these is recognised this one is not needed.
    pub yields_to: &'static [&'static str],
    /// What it can be asked for.
    pub signals: &'static [Template],
}

/// A signal that a convention can be asked for. Of several with one kind and name the first that gives series is taken.
#[derive(Debug, Clone, Copy)]
pub struct Template {
    /// The signal's name in the config.
    pub name: &'static str,
    /// What it measures.
    pub kind: Kind,
    /// The metrics that it needs beyond those of the convention.
    pub needs: &'static [&'static str],
    /// The PromQL: `{by}` is the service labels, `{m}` the matchers, `{window}` the window of rates, `{long}` ten of
    /// them, `{status}` the label of the status.
    pub query: &'static str,
    /// Further keys of the signal's table with their values as TOML.
    pub keys: &'static [(&'static str, &'static str)],
    /// Why the keys are as they are, or what the query leaves out: a line or none.
    pub why: &'static str,
}

/// A convention that a backend's metrics follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    convention: &'static str,
    /// The part of the names that is not fixed; empty where all of it is.
    pub prefix: String,
    /// Its signals whose metrics are all there, by their place in the convention.
    pub signals: Vec<usize>,
}

impl Found {
    /// The convention.
    pub fn convention(&self) -> &'static Convention {
        catalogue::all().find(|known| known.id == self.convention).unwrap_or(&catalogue::GAUGES)
    }

    /// The metric whose labels and samples are to be looked at.
    pub fn anchor(&self) -> String {
        self.convention().anchor.replace("{p}", &self.prefix)
    }

    /// The anchor with the convention's matchers and others.
    pub fn selector(&self, further: &str) -> String {
        let matchers = matchers(&[self.convention().matchers, further]);
        format!("{}{{{matchers}}}", self.anchor()).replace("{}", "")
    }

    /// What people call it, with the part of the name that is not fixed.
    pub fn title(&self) -> String {
        self.convention().title.replace("{p}", &self.prefix)
    }

    /// Whether the labels that its anchor has are those of the convention.
    pub fn fits(&self, labels: &BTreeSet<String>) -> bool {
        let convention = self.convention();
        convention.labels.iter().all(|label| labels.contains(*label))
            && !convention.lacks.iter().any(|label| labels.contains(*label))
    }
}

/// Joins matchers with commas; empty ones are left out.
pub(super) fn matchers(parts: &[&str]) -> String {
    parts.iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join(",")
}

/// Metrics named alike before their last part that are taken for golden signals: fewer are coincidence.
const NEEDED_OF_A_FAMILY: usize = 3;

/// More families of gauges than this are no golden signals.
const PREFIXES_MAX: usize = 4;

/// The longest part of a name that is not fixed.
const PREFIX_BYTES_MAX: usize = 100;

/// Finds the conventions that metrics of these names follow, the most telling first. The order is always the same.
pub fn recognise(names: &BTreeSet<String>) -> Vec<Found> {
    let mut found = Vec::new();
    for convention in catalogue::all() {
        let yields = |to: &&'static str| found.iter().any(|before: &Found| before.convention == *to);
        if convention.yields_to.iter().any(yields) {
            continue;
        }
        for prefix in prefixes(convention, names) {
            let is_there = |needed: &str| names.contains(&needed.replace("{p}", &prefix));
            let of_family = convention.needs.iter().filter(|needed| is_there(needed)).count();
            let enough = if prefix.is_empty() { convention.needs.len() } else { NEEDED_OF_A_FAMILY };
            if of_family < enough {
                continue;
            }
            let signals = convention.signals.iter().enumerate();
            let signals: Vec<usize> = signals
                .filter(|(_, s)| s.needs.iter().all(|name| is_there(name)))
                .map(|(at, _)| at)
                .collect();
            found.push(Found { convention: convention.id, prefix, signals });
        }
    }
    found
}

/// What may stand for `{p}`: nothing but an empty text where the names are fixed.
fn prefixes(convention: &Convention, names: &BTreeSet<String>) -> Vec<String> {
    if !convention.anchor.contains("{p}") {
        return vec![String::new()];
    }
    let endings = || convention.needs.iter().map(|needed| needed.replace("{p}", ""));
    let prefix = |name: &String| {
        let prefix = endings().find_map(|ending| name.strip_suffix(ending.as_str()).map(str::to_owned))?;
        is_metric_name(&prefix).then_some(prefix)
    };
    let possible: BTreeSet<String> = names.iter().filter_map(prefix).collect();
    let members =
        |prefix: &String| endings().filter(|ending| names.contains(&format!("{prefix}{ending}"))).count();
    possible.into_iter().filter(|prefix| members(prefix) >= NEEDED_OF_A_FAMILY).take(PREFIXES_MAX).collect()
}

/// Whether a text may stand in PromQL as a metric's name.
fn is_metric_name(name: &str) -> bool {
    name.len() <= PREFIX_BYTES_MAX
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == ':')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b':')
}
