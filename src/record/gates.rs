//! The wire form of what every gate said of the sample that opened an anomaly.

use std::sync::Arc;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::scalar::millis;
use crate::detect::{Check, Ending, Gate, Input, Outcome, Trace};
use crate::time::Timestamp;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TraceWire {
    #[serde(with = "millis", rename = "at_ms")]
    at: Timestamp,
    ending: String,
    checks: Vec<CheckWire>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CheckWire {
    gate: String,
    outcome: String,
    inputs: Vec<(String, InputWire)>,
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum InputWire {
    Number(f64),
    Text(String),
}

pub(super) fn serialize<S: Serializer>(trace: &Option<Arc<Trace>>, to: S) -> Result<S::Ok, S::Error> {
    let wire = trace.as_ref().map(|trace| TraceWire {
        at: trace.at,
        ending: trace.ending.as_str().to_owned(),
        checks: trace.checks.iter().map(check_wire).collect(),
    });
    wire.serialize(to)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Arc<Trace>>, D::Error> {
    let Some(wire) = Option::<TraceWire>::deserialize(from)? else { return Ok(None) };
    let checks: Result<Vec<Check>, String> = wire.checks.into_iter().map(check_of).collect();
    let checks = checks.map_err(D::Error::custom)?;
    // Kept is only what opened something.
    let ending = Some(Ending::Opened).filter(|ending| ending.as_str() == wire.ending);
    let ending = ending.ok_or_else(|| D::Error::custom(format!("{:?} opened nothing", wire.ending)))?;
    Ok(Some(Arc::new(Trace { at: wire.at, checks, ending })))
}

fn check_wire(check: &Check) -> CheckWire {
    let input = |(name, input): &(String, Input)| {
        let input = match input {
            Input::Number(number) => InputWire::Number(*number),
            Input::Text(text) => InputWire::Text(text.clone()),
        };
        (name.clone(), input)
    };
    CheckWire {
        gate: check.gate.as_str().to_owned(),
        outcome: check.outcome.as_str().to_owned(),
        inputs: check.inputs.iter().map(input).collect(),
    }
}

fn check_of(wire: CheckWire) -> Result<Check, String> {
    let gate = Gate::ALL.into_iter().find(|gate| gate.as_str() == wire.gate);
    let outcome = Outcome::ALL.into_iter().find(|outcome| outcome.as_str() == wire.outcome);
    let input = |(name, input)| match input {
        InputWire::Number(number) => (name, Input::Number(number)),
        InputWire::Text(text) => (name, Input::Text(text)),
    };
    Ok(Check {
        gate: gate.ok_or_else(|| format!("{:?} is no gate", wire.gate))?,
        outcome: outcome.ok_or_else(|| format!("{:?} is no outcome of a gate", wire.outcome))?,
        inputs: wire.inputs.into_iter().map(input).collect(),
    })
}
