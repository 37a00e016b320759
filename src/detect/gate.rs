//! The gates between a sample and an anomaly, and what each of them said.

use serde::{Deserialize, Serialize};

use super::stage::Detect;
use crate::series::{SeriesKey, SignalName};
use crate::time::Timestamp;

/// A gate, in the order in which they are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Gate {
    /// Whether there is a sample at all that stands for itself, of a series that is known well enough.
    DataQuality,
    /// Whether there is traffic enough to mean anything.
    LowTraffic,
    /// Whether the sample is beyond what the series does once in a thousand samples.
    Score,
    /// Whether deviations to this side count.
    Direction,
    /// Whether the deviation is large enough in the signal's unit.
    DeviationAbsolute,
    /// Whether it is large enough as a share of what was expected.
    DeviationRelative,
    /// Whether the value can be while all is well; one that cannot overrules the gates of the score.
    ValidRange,
    /// Whether the series does that again and again.
    Usual,
    /// Whether enough samples of the last ones are outside.
    OpenPoints,
    /// Whether their evidence is strong enough.
    Confidence,
    /// Whether it is rare enough among all series.
    FalseDiscovery,
    /// Of an open anomaly: whether the sample is back within.
    Exit,
    /// Of an open anomaly: whether it has been back within for long enough.
    Hold,
}

impl Gate {
    /// Every gate, in order.
    pub const ALL: [Self; 13] = [
        Self::DataQuality,
        Self::LowTraffic,
        Self::Score,
        Self::Direction,
        Self::DeviationAbsolute,
        Self::DeviationRelative,
        Self::ValidRange,
        Self::Usual,
        Self::OpenPoints,
        Self::Confidence,
        Self::FalseDiscovery,
        Self::Exit,
        Self::Hold,
    ];

    /// The word for it in API, events and log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DataQuality => "data_quality",
            Self::LowTraffic => "low_traffic",
            Self::Score => "score",
            Self::Direction => "direction",
            Self::DeviationAbsolute => "min_deviation_absolute",
            Self::DeviationRelative => "min_deviation_relative",
            Self::ValidRange => "valid_range",
            Self::Usual => "usual",
            Self::OpenPoints => "open_points",
            Self::Confidence => "confidence",
            Self::FalseDiscovery => "false_discovery",
            Self::Exit => "exit",
            Self::Hold => "hold",
        }
    }
}

/// What a gate said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// It lets the sample through.
    Passed,
    /// It is what kept the sample from changing anything: the first that did.
    Blocked,
    /// It would have, but the value is outside the valid range.
    Overruled,
    /// It is not set, or is not asked of a sample like this.
    Off,
    /// An earlier one had blocked.
    NotReached,
}

impl Outcome {
    /// Every outcome.
    pub const ALL: [Self; 5] = [Self::Passed, Self::Blocked, Self::Overruled, Self::Off, Self::NotReached];

    /// The word for it in API and events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Blocked => "blocked",
            Self::Overruled => "overruled",
            Self::Off => "off",
            Self::NotReached => "not_reached",
        }
    }
}

/// Something that a gate went by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Input {
    /// A number; always finite.
    Number(f64),
    /// A word, or a time.
    Text(String),
}

/// One gate's part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Check {
    /// Which gate.
    pub gate: Gate,
    /// What it said.
    pub outcome: Outcome,
    /// What it went by, by name.
    pub inputs: Vec<(String, Input)>,
}

impl Check {
    pub(super) fn new(gate: Gate, outcome: Outcome) -> Self {
        Self { gate, outcome, inputs: Vec::new() }
    }

    /// Blocks where the sample does not pass.
    pub(super) fn of(gate: Gate, passes: bool) -> Self {
        Self::new(gate, if passes { Outcome::Passed } else { Outcome::Blocked })
    }

    /// Adds a number; what is not finite is left out.
    pub(super) fn number(mut self, name: &str, value: f64) -> Self {
        if value.is_finite() {
            self.inputs.push((name.to_owned(), Input::Number(value)));
        }
        self
    }

    pub(super) fn count(self, name: &str, value: usize) -> Self {
        self.number(name, value as f64)
    }

    pub(super) fn text(mut self, name: &str, value: &str) -> Self {
        self.inputs.push((name.to_owned(), Input::Text(value.to_owned())));
        self
    }

    pub(super) fn time(self, name: &str, at: Timestamp) -> Self {
        self.text(name, &at.to_string())
    }
}

/// What came of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    /// An anomaly opened with it.
    Opened,
    /// The open anomaly goes on.
    GoesOn,
    /// The open anomaly ended with it.
    Cleared,
    /// The level that the series has left its old one for is its own from here on.
    Adopted,
    /// Nothing: this gate was the first to block.
    Blocked(Gate),
}

impl Ending {
    /// The word for it in API and events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::GoesOn => "goes_on",
            Self::Cleared => "cleared",
            Self::Adopted => "adopted",
            Self::Blocked(_) => "blocked",
        }
    }
}

/// What every gate said of one sample.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trace {
    /// The time of the sample.
    pub at: Timestamp,
    /// The gates in order, each once.
    pub checks: Vec<Check>,
    /// What came of it.
    pub ending: Ending,
}

impl Trace {
    /// The first gate that blocked; `None` where none did.
    pub fn blocker(&self) -> Option<Gate> {
        match self.ending {
            Ending::Blocked(gate) => Some(gate),
            Ending::Opened | Ending::GoesOn | Ending::Cleared | Ending::Adopted => None,
        }
    }

    /// Puts the checks in order under what came of the sample: what follows the first that blocked was not reached.
    pub(super) fn new(at: Timestamp, mut checks: Vec<Check>, ending: Option<Ending>) -> Self {
        checks.sort_by_key(|check| check.gate);
        let blocker = checks.iter().find(|check| check.outcome == Outcome::Blocked).map(|check| check.gate);
        let ending = ending.unwrap_or(Ending::Blocked(blocker.unwrap_or(Gate::FalseDiscovery)));
        match ending {
            Ending::Blocked(gate) => {
                let after = checks.iter_mut().filter(|check| check.gate > gate);
                after.for_each(|check| check.outcome = Outcome::NotReached);
            }
            // A level that is adopted is adopted whatever the sample itself would have done.
            Ending::Adopted => {
                let all = checks.iter_mut().filter(|check| check.gate > Gate::DataQuality);
                all.for_each(|check| check.outcome = Outcome::Off);
            }
            Ending::Opened | Ending::GoesOn | Ending::Cleared => {}
        }
        let blocker = blocker.filter(|_| ending != Ending::Adopted);
        let trace = Self { at, checks, ending };
        debug_assert_eq!(trace.blocker(), blocker, "what came of a sample is what its gates say");
        trace
    }
}

impl Detect {
    /// What every gate would say of the next sample of a series; of a step without one where there is no value. Nothing
    /// changes. `None` for a signal that is not watched.
    ///
    /// It works on a copy of all that the signal has, so it is for stages of few series.
    pub fn explain(&self, key: &SeriesKey, at: Timestamp, value: Option<f64>) -> Option<Trace> {
        let table = self.tables.get(&key.signal)?;
        let volume = self.volume_for(table, &key.service, at);
        Some(table.clone().explain(key, (at, value), volume))
    }

    /// Has a signal share the expected false openings among so many samples a day, whatever it has seen itself.
    pub fn share_as(&mut self, signal: &SignalName, samples_a_day: f64) {
        if let Some(table) = self.tables.get_mut(signal) {
            table.share(samples_a_day);
            self.fixed_shares.insert(signal.clone());
        }
    }
}
