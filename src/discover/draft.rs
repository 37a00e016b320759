//! What is watched of all that was found: few signals, none twice.

use std::collections::BTreeSet;
use std::iter;

use super::convention::Found;
use super::proposal::{Proposal, Sighting};

/// What one poll of a signal gave.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Trial {
    /// The series that are judged.
    pub series: usize,
    /// Their samples in one poll.
    pub samples: usize,
    /// The bytes of the answers.
    pub bytes: usize,
    /// The bytes of the largest of them.
    pub bytes_largest: usize,
    /// The time from asking to the decoded answer.
    pub seconds: f64,
    /// Series left out because they lack the service label.
    pub without_service: usize,
    /// Samples left out because they are no values, such as `NaN`.
    pub not_values: usize,
    /// What the backend warns of.
    pub warnings: Vec<String>,
    /// The services that the series belong to.
    pub services: BTreeSet<String>,
}

/// What becomes of a proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It stands in the config.
    Watched,
    /// It stands there commented out.
    Off {
        /// Why.
        because: String,
    },
}

/// A proposal that stands in the config.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) proposal: Proposal,
    pub(super) trial: Trial,
    pub(super) verdict: Verdict,
}

/// What stands in the config of one convention.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Part {
    pub(super) found: Found,
    pub(super) seen: Option<Sighting>,
    pub(super) entries: Vec<Entry>,
    /// Signals whose services are watched already by the same signal of an earlier convention.
    pub(super) twice: Vec<String>,
    /// Why there is nothing of it, where there is a reason to tell.
    pub(super) note: String,
}

/// A config in the making. Conventions are added in the order in which they were recognised.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Draft {
    pub(super) parts: Vec<Part>,
}

/// Further signals are written commented out: what nobody can take in helps nobody.
const WATCHED_MAX: usize = 24;

/// Labels that every target has: that one is missing says nothing.
const OF_TARGETS: [&str; 2] = ["job", "instance"];

impl Draft {
    /// Opens a convention's part; proposals that are added from now on belong to it.
    pub fn begin(&mut self, found: Found, seen: Sighting) {
        self.parts.push(Part {
            found,
            seen: Some(seen),
            entries: Vec::new(),
            twice: Vec::new(),
            note: String::new(),
        });
    }

    /// Notes a convention that was recognised and of which nothing can be watched.
    pub fn pass_over(&mut self, found: Found, note: &str) {
        self.parts.push(Part {
            found,
            seen: None,
            entries: Vec::new(),
            twice: Vec::new(),
            note: note.to_owned(),
        });
    }

    /// Matchers that leave out the series whose services are watched by one of the same signals already: where another
    /// convention watches by a label that this one's metric has, all of its values there. Empty where there are none.
    pub fn without(&self, found: &Found, seen: &Sighting) -> String {
        let signals = found.convention().signals;
        let mut labels = BTreeSet::new();
        for entry in self.watched() {
            let (label, name) = (entry.proposal.service.as_str(), &entry.proposal.name);
            let is_same = signals.iter().any(|template| family(template.name) == family(name));
            let measured = iter::once(&seen.service.chosen).chain(&seen.service.others);
            let here =
                measured.filter(|measured| measured.candidate == label).map(|measured| measured.values).max();
            let watches_all = here.is_some_and(|values| values <= entry.trial.services.len() as u64);
            if is_same && watches_all && !OF_TARGETS.contains(&label) && !label.contains('/') {
                labels.insert(label);
            }
        }
        labels.iter().map(|label| format!("{label}=\"\"")).collect::<Vec<_>>().join(",")
    }

    /// Whether a proposal says anything that its own convention does not say yet: a mean is no news beside a quantile.
    pub fn needs(&self, proposal: &Proposal) -> bool {
        let mut own = self.parts.last().into_iter().flat_map(|part| &part.entries);
        !own.any(|entry| family(&entry.proposal.name) == family(&proposal.name))
    }

    /// Adds a proposal with what one poll gave, or with the reason for which it can't be watched. One without series is
    /// left out; one whose services all have the same signal is only named.
    pub fn add(&mut self, proposal: Proposal, outcome: Result<Trial, String>) {
        let count = self.watched().count();
        let (verdict, trial) = match outcome {
            Err(because) => (Verdict::Off { because }, Trial::default()),
            Ok(trial) if trial.series == 0 => return,
            Ok(trial) if self.is_watched(&proposal, &trial) => {
                if let Some(part) = self.parts.last_mut() {
                    part.twice.push(proposal.name);
                }
                return;
            }
            Ok(trial) if count >= WATCHED_MAX => {
                let because = format!("{count} signals are enough to begin with");
                (Verdict::Off { because }, trial)
            }
            Ok(trial) => (Verdict::Watched, trial),
        };
        let name = self.free_name(&proposal);
        if let Some(part) = self.parts.last_mut() {
            part.entries.push(Entry { proposal: Proposal { name, ..proposal }, trial, verdict });
        }
    }

    /// How many signals are watched.
    pub fn signals(&self) -> usize {
        self.watched().count()
    }

    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.parts.iter().flat_map(|part| &part.entries)
    }

    pub(super) fn watched(&self) -> impl Iterator<Item = &Entry> {
        self.entries().filter(|entry| entry.verdict == Verdict::Watched)
    }

    /// Whether every service of a trial has the same signal already, by the same label.
    fn is_watched(&self, proposal: &Proposal, trial: &Trial) -> bool {
        let same = |entry: &&Entry| {
            entry.proposal.service == proposal.service
                && family(&entry.proposal.name) == family(&proposal.name)
        };
        let same: Vec<&Entry> = self.watched().filter(same).collect();
        trial.services.iter().all(|service| same.iter().any(|entry| entry.trial.services.contains(service)))
    }

    /// The proposal's name, or one with its convention or a number where that is taken.
    fn free_name(&self, proposal: &Proposal) -> String {
        let taken = |name: &str| self.entries().any(|entry| entry.proposal.name == name);
        let named = format!("{}_{}", proposal.convention, proposal.name);
        let numbered = (2..).map(|number| format!("{named}_{number}"));
        let mut names = [proposal.name.clone(), named.clone()].into_iter().chain(numbered);
        names.find(|name| !taken(name)).unwrap_or(named)
    }
}

/// Signals of one family say the same, however they are computed.
fn family(name: &str) -> &str {
    let families = ["request_rate", "error_rate", "latency", "cpu_usage", "memory_bytes"];
    let base = name.trim_end_matches("_p95").trim_end_matches("_mean");
    families.into_iter().find(|family| base.ends_with(family)).unwrap_or(base)
}
