//! What a caller asks for when posting a fault: a JSON body, parsed once and strictly.

use serde_json::{Map, Value};

use crate::effect::{Change, Effect, Fault, Origin, Shape, touched};
use crate::scenario::Scenario;
use crate::unix_time::parse_duration_ms;
use crate::wave::{SERVICES, Service, Signal};

/// The largest factor that can be asked for.
pub const FACTOR_MAX: f64 = 1000.0;
/// The shortest duration that can be asked for.
pub const DURATION_MIN_MS: i64 = 1_000;
/// The longest duration that can be asked for: seven days.
pub const DURATION_MAX_MS: i64 = 7 * 86_400_000;

/// How much of a refused value is repeated to the caller.
const SEEN_MAX: usize = 80;
const SCENARIO_FIELDS: [&str; 2] = ["scenario", "service"];
const SINGLE_FIELDS: [&str; 5] = ["service", "signal", "shape", "factor", "duration"];

/// A request for a fault whose values have all been checked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FaultRequest {
    pub(crate) service: &'static Service,
    pub(crate) kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    Scenario(Scenario),
    Step { signal: Signal, factor: f64, duration_ms: i64 },
    Ramp { signal: Signal, factor: f64, duration_ms: i64 },
    Vanish { signal: Signal, duration_ms: i64 },
    LevelShift { signal: Signal, factor: f64, duration_ms: Option<i64> },
}

/// Why a request was refused: the field, what it held, and what it may hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("field \"{field}\": {seen}; allowed: {allowed}")]
pub struct FieldError {
    /// The name of the field, or `body`.
    pub field: String,
    /// What was found there.
    pub seen: String,
    /// What may stand there.
    pub allowed: String,
}

impl FieldError {
    fn new(field: &str, seen: impl Into<String>, allowed: impl Into<String>) -> Self {
        Self { field: shortened(field), seen: seen.into(), allowed: allowed.into() }
    }

    fn saw(field: &str, value: &Value, allowed: impl Into<String>) -> Self {
        Self::new(field, format!("saw {}", shortened(&value.to_string())), allowed)
    }
}

impl FaultRequest {
    /// Asks for a scenario at a service, or at the scenario's own when none is named.
    ///
    /// # Errors
    ///
    /// When there is no such service.
    pub fn scenario(scenario: Scenario, service: Option<&str>) -> Result<Self, FieldError> {
        let service = service_named(service.unwrap_or(scenario.default_service()))?;
        Ok(Self { service, kind: Kind::Scenario(scenario) })
    }

    /// Reads a request from a JSON body: `{"scenario", "service"?}`, or `{"service", "signal", "shape", "factor",
    /// "duration"}`. A vanish needs no factor (one that is given is checked and has no effect); a level shift needs no
    /// duration, and without one lasts until it is deleted. A duration is a number of seconds or text such as `45s`.
    ///
    /// # Errors
    ///
    /// The first field that is unknown, missing, or outside of what is allowed.
    pub fn from_json(body: &[u8]) -> Result<Self, FieldError> {
        let fields: Map<String, Value> = serde_json::from_slice(body).map_err(|error| {
            FieldError::new("body", error.to_string(), "one JSON object with \"scenario\" or with \"shape\"")
        })?;
        if fields.contains_key("scenario") {
            refuse_unknown(&fields, &SCENARIO_FIELDS)?;
            let name = text(&fields, "scenario", &scenario_names())?;
            let scenario = Scenario::named(name).ok_or_else(|| {
                FieldError::new("scenario", format!("saw {:?}", shortened(name)), scenario_names())
            })?;
            let service =
                fields.get("service").map(|_| text(&fields, "service", &service_names())).transpose()?;
            return Self::scenario(scenario, service);
        }
        refuse_unknown(&fields, &SINGLE_FIELDS)?;
        Self::single(&fields)
    }

    fn single(fields: &Map<String, Value>) -> Result<Self, FieldError> {
        let service = service_named(text(fields, "service", &service_names())?)?;
        let name = text(fields, "signal", &signal_names())?;
        let signal = Signal::named(name)
            .ok_or_else(|| FieldError::new("signal", format!("saw {:?}", shortened(name)), signal_names()))?;
        let shape_name = text(fields, "shape", &shape_names())?;
        let factor = factor(fields)?;
        let duration_ms = duration(fields)?;
        let needed_factor = || factor.ok_or_else(|| FieldError::new("factor", "it is missing", FACTORS));
        let needed_duration =
            || duration_ms.ok_or_else(|| FieldError::new("duration", "it is missing", DURATIONS));
        let kind = match Shape::named(shape_name) {
            Some(Shape::Step) => {
                Kind::Step { signal, factor: needed_factor()?, duration_ms: needed_duration()? }
            }
            Some(Shape::Ramp) => {
                Kind::Ramp { signal, factor: needed_factor()?, duration_ms: needed_duration()? }
            }
            Some(Shape::Vanish) => Kind::Vanish { signal, duration_ms: needed_duration()? },
            Some(Shape::LevelShift) => Kind::LevelShift { signal, factor: needed_factor()?, duration_ms },
            Some(Shape::Offset | Shape::Pulses | Shape::DailyWave | Shape::CounterReset) | None => {
                return Err(FieldError::new(
                    "shape",
                    format!("saw {:?}", shortened(shape_name)),
                    shape_names(),
                ));
            }
        };
        Ok(Self { service, kind })
    }
}

impl FaultRequest {
    /// The truth about the fault that this request starts at that moment.
    pub(crate) fn fault(self, id: String, start_ms: i64) -> Fault {
        let service = self.service;
        let until = |duration_ms: i64| Some(start_ms.saturating_add(duration_ms));
        let (shape, signal, change, end_ms) = match self.kind {
            Kind::Scenario(scenario) => {
                let plan = scenario.plan(service, start_ms);
                let factor =
                    plan.effects.first().map_or(0.0, |first| first.change.factor(service.base(first.signal)));
                return Fault {
                    id,
                    origin: Origin::Posted,
                    service: plan.service.name,
                    signals: touched(plan.service, &plan.effects),
                    shape: scenario.shape(),
                    factor,
                    start_ms: plan.start_ms,
                    end_ms: plan.end_ms,
                    scenario: Some(scenario.name().to_owned()),
                    effects: plan.effects,
                    counter_resets_ms: plan.counter_resets_ms,
                };
            }
            Kind::Step { signal, factor, duration_ms } => {
                (Shape::Step, signal, Change::Times(factor), until(duration_ms))
            }
            Kind::Ramp { signal, factor, duration_ms } => {
                (Shape::Ramp, signal, Change::RampTo(factor), until(duration_ms))
            }
            Kind::Vanish { signal, duration_ms } => (Shape::Vanish, signal, Change::Gone, until(duration_ms)),
            Kind::LevelShift { signal, factor, duration_ms } => {
                (Shape::LevelShift, signal, Change::Times(factor), duration_ms.and_then(until))
            }
        };
        Fault {
            id,
            origin: Origin::Posted,
            service: service.name,
            signals: vec![signal],
            shape,
            factor: change.factor(service.base(signal)),
            start_ms,
            end_ms,
            scenario: None,
            effects: vec![Effect::new(service, signal, change, (start_ms, end_ms))],
            counter_resets_ms: Vec::new(),
        }
    }
}

const FACTORS: &str = "a number above 0 and at most 1000";
const DURATIONS: &str = "seconds as a number, or text such as \"45s\" or \"5m\", from 1s to 7d";

fn refuse_unknown(fields: &Map<String, Value>, known: &[&str]) -> Result<(), FieldError> {
    match fields.keys().find(|key| !known.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => Err(FieldError::new(key, "there is no such field here", listed(known.iter().copied()))),
    }
}

fn text<'a>(fields: &'a Map<String, Value>, field: &str, allowed: &str) -> Result<&'a str, FieldError> {
    match fields.get(field) {
        Some(Value::String(text)) => Ok(text),
        Some(other) => Err(FieldError::saw(field, other, allowed)),
        None => Err(FieldError::new(field, "it is missing", allowed)),
    }
}

fn factor(fields: &Map<String, Value>) -> Result<Option<f64>, FieldError> {
    let Some(value) = fields.get("factor") else { return Ok(None) };
    let factor = value.as_f64().filter(|factor| factor.is_finite() && *factor > 0.0 && *factor <= FACTOR_MAX);
    factor.map(Some).ok_or_else(|| FieldError::saw("factor", value, FACTORS))
}

fn duration(fields: &Map<String, Value>) -> Result<Option<i64>, FieldError> {
    let Some(value) = fields.get("duration") else { return Ok(None) };
    let duration_ms = match value {
        Value::String(text) => parse_duration_ms(text),
        Value::Number(number) => parse_duration_ms(&number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    };
    duration_ms
        .filter(|duration_ms| (DURATION_MIN_MS..=DURATION_MAX_MS).contains(duration_ms))
        .map(Some)
        .ok_or_else(|| FieldError::saw("duration", value, DURATIONS))
}

fn service_named(name: &str) -> Result<&'static Service, FieldError> {
    let refused = || FieldError::new("service", format!("saw {:?}", shortened(name)), service_names());
    Service::named(name).ok_or_else(refused)
}

fn service_names() -> String {
    listed(SERVICES.iter().map(|service| service.name))
}

fn signal_names() -> String {
    listed(Signal::ALL.into_iter().map(Signal::name))
}

fn shape_names() -> String {
    listed(Shape::SINGLE.into_iter().map(Shape::name))
}

fn scenario_names() -> String {
    listed(Scenario::ALL.into_iter().map(Scenario::name))
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

/// Keeps the reply short, whatever was sent.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(SEEN_MAX) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}...", text.get(..end).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn refused(body: &str, field: &str, words: &[&str]) {
        let error = FaultRequest::from_json(body.as_bytes()).unwrap_err();
        assert_eq!(error.field, field, "{error}");
        for word in words {
            assert!(error.to_string().contains(word), "{error} lacks {word}");
        }
    }

    #[track_caller]
    fn accepted(body: &str, service: &str, kind: Kind) {
        let request = FaultRequest::from_json(body.as_bytes()).unwrap();
        assert_eq!((request.service.name, request.kind), (service, kind));
    }

    #[test]
    fn a_scenario_strikes_its_own_service_unless_told_otherwise() {
        let kind = Kind::Scenario(Scenario::BadDeployment);
        accepted(r#"{"scenario":"bad_deployment"}"#, "payment-service", kind);
        accepted(r#"{"scenario":"bad_deployment","service":"user-service"}"#, "user-service", kind);
    }

    #[test]
    fn a_duration_is_seconds_or_text() {
        let kind = Kind::Step { signal: Signal::ErrorRate, factor: 3.0, duration_ms: 45_000 };
        for duration in ["45", "45.0", "\"45\"", "\"45s\"", "\"45000ms\""] {
            let body = format!(
                r#"{{"service":"user-service","signal":"error_rate","shape":"step","factor":3,"duration":{duration}}}"#
            );
            accepted(&body, "user-service", kind);
        }
    }

    #[test]
    fn a_level_shift_needs_no_duration_and_a_vanish_no_factor() {
        let body = r#"{"service":"user-service","signal":"cpu_usage","shape":"level_shift","factor":2}"#;
        let kind = Kind::LevelShift { signal: Signal::CpuUsage, factor: 2.0, duration_ms: None };
        accepted(body, "user-service", kind);
        let body = r#"{"service":"user-service","signal":"cpu_usage","shape":"vanish","duration":"2m"}"#;
        accepted(body, "user-service", Kind::Vanish { signal: Signal::CpuUsage, duration_ms: 120_000 });
    }

    #[test]
    fn a_body_that_is_not_an_object_is_refused() {
        for body in ["", "[]", "3", "null", "{", "{\"scenario\":", "<html>"] {
            refused(body, "body", &["one JSON object"]);
        }
    }

    #[test]
    fn a_refusal_names_the_field_the_value_and_what_is_allowed() {
        refused(r#"{"scenario":"nope"}"#, "scenario", &["nope", "memory_leak_gradual"]);
        refused(r#"{"scenario":7}"#, "scenario", &["7", "daily_wave"]);
        refused(r#"{"scenario":"bad_deployment","factor":2}"#, "factor", &["scenario, service"]);
        refused(r#"{"scenario":"bad_deployment","service":"x"}"#, "service", &["\"x\"", "order-service"]);
        refused("{}", "service", &["missing", "payment-service"]);
        let body = r#"{"service":"user-service","signal":"rps"}"#;
        refused(body, "signal", &["rps", "request_rate"]);
        let body =
            r#"{"service":"user-service","signal":"cpu_usage","shape":"pulses","factor":2,"duration":9}"#;
        refused(body, "shape", &["pulses", "level_shift"]);
        let body = r#"{"service":"user-service","signal":"cpu_usage","shape":"step","duration":9}"#;
        refused(body, "factor", &["missing"]);
        let body = r#"{"service":"user-service","signal":"cpu_usage","shape":"ramp","factor":2}"#;
        refused(body, "duration", &["missing", "7d"]);
        refused(r#"{"service":"user-service","factr":1}"#, "factr", &["no such field", "factor"]);
    }

    #[test]
    fn a_factor_or_a_duration_out_of_range_is_refused() {
        for factor in ["0", "-1", "1000.5", "1e300", "\"2\"", "null", "true"] {
            let body = format!(
                r#"{{"service":"user-service","signal":"cpu_usage","shape":"step","factor":{factor},"duration":9}}"#
            );
            refused(&body, "factor", &["above 0"]);
        }
        for duration in ["0", "-5", "0.5", "604801", "\"8d\"", "\"5 m\"", "\"\"", "null", "[5]", "1e300"] {
            let body = format!(
                r#"{{"service":"user-service","signal":"cpu_usage","shape":"step","factor":2,"duration":{duration}}}"#
            );
            refused(&body, "duration", &["7d"]);
        }
    }

    #[test]
    fn a_huge_value_is_not_repeated_in_full() {
        let body = format!(r#"{{"scenario":"{}"}}"#, "x".repeat(50_000));
        assert!(FaultRequest::from_json(body.as_bytes()).unwrap_err().to_string().len() < 600);
    }

    proptest! {
        #[test]
        fn no_body_panics(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = FaultRequest::from_json(&body);
        }

        #[test]
        fn no_text_in_a_field_panics(field in "[a-z]{0,9}", value in ".{0,40}") {
            let body = serde_json::json!({
                "service": "user-service", "signal": "cpu_usage", "shape": "step", "factor": 2, "duration": value,
                (field): value,
            });
            let _ = FaultRequest::from_json(body.to_string().as_bytes());
        }
    }
}
