//! What every gate said of a sample, as a reader sees it.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::vocabulary;
use crate::detect::{Check, Gate, Input, Trace};

/// What every gate said of one sample.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Gates)]
pub(super) struct GatesView {
    /// The time of the sample.
    #[schema(format = DateTime)]
    at: String,
    /// What came of it: an anomaly opened, goes on or ended, its level was adopted, or a gate blocked.
    #[schema(value_type = vocabulary::Ending)]
    ending: &'static str,
    /// The first gate that blocked; null where none did.
    #[schema(required = true, value_type = Option<vocabulary::Gate>)]
    blocker: Option<&'static str>,
    /// Every gate in the order in which they are asked.
    gates: Vec<GateView>,
}

/// One gate's part.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = GateCheck)]
struct GateView {
    /// Which gate.
    #[schema(value_type = vocabulary::Gate)]
    gate: &'static str,
    /// Whether it let the sample through: `overruled` is one that would have blocked a value outside the valid range,
    /// `off` one that is not set or not asked of a sample like this, `not_reached` one behind the first that blocked.
    #[schema(value_type = vocabulary::GateOutcome)]
    outcome: &'static str,
    /// What it went by, by name: numbers, words and times.
    #[schema(value_type = Object)]
    inputs: BTreeMap<String, serde_json::Value>,
}

impl From<&Trace> for GatesView {
    fn from(trace: &Trace) -> Self {
        Self {
            at: trace.at.to_string(),
            ending: trace.ending.as_str(),
            blocker: trace.blocker().map(Gate::as_str),
            gates: trace.checks.iter().map(GateView::from).collect(),
        }
    }
}

impl From<&Check> for GateView {
    fn from(check: &Check) -> Self {
        let input = |(name, input): &(String, Input)| {
            let value = match input {
                Input::Number(number) => serde_json::Value::from(*number),
                Input::Text(text) => serde_json::Value::from(text.as_str()),
            };
            (name.clone(), value)
        };
        let (gate, outcome) = (check.gate.as_str(), check.outcome.as_str());
        Self { gate, outcome, inputs: check.inputs.iter().map(input).collect() }
    }
}
