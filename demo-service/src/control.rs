//! Faults over HTTP: `GET /faults` tells the truth about them, `POST /faults` starts one, `DELETE /faults/{id}` ends one,
//! `GET /scenarios` lists what can be started by name.

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get};
use axum::{Json, Router};
use serde::Serialize;

use crate::Clock;
use crate::effect::{Effect, Fault, Origin};
use crate::faults::{DeleteError, World};
use crate::problem::{Kind, Problem};
use crate::request::FaultRequest;
use crate::scenario::{CALLS, Scenario};
use crate::unix_time::parse_timestamp_ms;
use crate::wave::{CYCLE_SECONDS, Service};

/// How far back `GET /faults` looks when nothing else is asked for.
const LOOKBACK_MS: i64 = 3_600_000;
/// How far ahead it looks: one cycle, so that the next fault of each service is in it.
const LOOKAHEAD_MS: i64 = CYCLE_SECONDS * 1000;
/// The longest span that one request may ask for: seven days, 5,040 scheduled faults.
const SPAN_MAX_MS: i64 = 7 * 86_400_000;

#[derive(Clone)]
struct Control {
    world: World,
    clock: Clock,
}

/// Serves `/faults` and `/scenarios`.
pub(crate) fn router(world: World, clock: Clock) -> Router {
    Router::new()
        .route("/faults", get(list).post(start))
        .route("/faults/{id}", delete(end))
        .route("/scenarios", get(scenarios))
        .with_state(Control { world, clock })
}

async fn list(
    State(control): State<Control>,
    parameters: Result<Query<Vec<(String, String)>>, QueryRejection>,
) -> Result<Json<FaultList>, Problem> {
    let Query(parameters) =
        parameters.map_err(|error| Problem::new(Kind::InvalidParameter, error.to_string()))?;
    let now_ms = (control.clock)();
    let (from_ms, until_ms) = span(&parameters, now_ms)?;
    let faults = control.world.truth(from_ms, until_ms);
    Ok(Json(FaultList {
        now: seconds(now_ms),
        from: seconds(from_ms),
        until: seconds(until_ms),
        faults: faults.iter().map(|fault| FaultView::new(fault, now_ms)).collect(),
    }))
}

async fn start(
    State(control): State<Control>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let body = body.map_err(|error| Problem::new(Kind::TooLarge, error.to_string()))?;
    let request = FaultRequest::from_json(&body)
        .map_err(|error| Problem::new(Kind::InvalidFault, error.to_string()))?;
    let now_ms = (control.clock)();
    let fault = control
        .world
        .post(request, now_ms)
        .map_err(|error| Problem::new(Kind::TooManyFaults, error.to_string()))?;
    let location = [(header::LOCATION, format!("/faults/{}", fault.id))];
    Ok((StatusCode::CREATED, location, Json(FaultView::new(&fault, now_ms))).into_response())
}

async fn end(
    State(control): State<Control>,
    id: Result<Path<String>, PathRejection>,
) -> Result<StatusCode, Problem> {
    let Path(id) = id.map_err(|error| Problem::new(Kind::InvalidParameter, error.to_string()))?;
    let now_ms = (control.clock)();
    match control.world.delete(&id, now_ms) {
        Ok(_) => Ok(StatusCode::NO_CONTENT),
        Err(error @ DeleteError::Unknown(_)) => Err(Problem::new(Kind::UnknownFault, error.to_string())),
        Err(error @ DeleteError::Scheduled(_)) => Err(Problem::new(Kind::ScheduledFault, error.to_string())),
    }
}

async fn scenarios() -> Json<ScenarioList> {
    let scenarios = Scenario::ALL.into_iter().filter_map(ScenarioView::new).collect();
    let calls = CALLS.iter().map(|(caller, callee)| CallView { caller, callee }).collect();
    Json(ScenarioList { scenarios, calls })
}

/// Reads `from` and `until`. Without them it is the last hour up to now, and what is planned next.
fn span(parameters: &[(String, String)], now_ms: i64) -> Result<(i64, i64), Problem> {
    let (mut from_ms, mut until_ms) = (None, None);
    for (name, text) in parameters {
        let bound = match name.as_str() {
            "from" => &mut from_ms,
            "until" => &mut until_ms,
            _ => {
                let detail = format!("parameter {name:?} is unknown; allowed: from, until");
                return Err(Problem::new(Kind::InvalidParameter, detail));
            }
        };
        let moment = parse_timestamp_ms(text).ok_or_else(|| {
            let detail =
                format!("parameter {name:?}: saw {text:?}; allowed: Unix seconds or an RFC 3339 time");
            Problem::new(Kind::InvalidParameter, detail)
        })?;
        *bound = Some(moment);
    }
    let until_ms =
        until_ms.unwrap_or_else(|| from_ms.unwrap_or(now_ms).max(now_ms).saturating_add(LOOKAHEAD_MS));
    let from_ms = from_ms.unwrap_or_else(|| until_ms.min(now_ms).saturating_sub(LOOKBACK_MS));
    match until_ms.checked_sub(from_ms) {
        Some(0..=SPAN_MAX_MS) => Ok((from_ms, until_ms)),
        Some(..0) => Err(Problem::new(Kind::InvalidParameter, "\"until\" lies before \"from\"")),
        Some(_) | None => {
            let detail =
                "from \"from\" to \"until\" there are more than the 7 days that are allowed in one request";
            Err(Problem::new(Kind::InvalidParameter, detail))
        }
    }
}

#[derive(Serialize)]
struct FaultList {
    now: f64,
    from: f64,
    until: f64,
    faults: Vec<FaultView>,
}

#[derive(Serialize)]
struct FaultView {
    id: String,
    origin: &'static str,
    state: &'static str,
    scenario: Option<String>,
    service: &'static str,
    signals: Vec<&'static str>,
    shape: &'static str,
    factor: f64,
    start: f64,
    end: Option<f64>,
    effects: Vec<EffectView>,
    counter_resets: Vec<f64>,
}

#[derive(Serialize)]
struct EffectView {
    service: &'static str,
    signal: &'static str,
    shape: &'static str,
    factor: f64,
    start: f64,
    end: Option<f64>,
}

#[derive(Serialize)]
struct ScenarioList {
    scenarios: Vec<ScenarioView>,
    calls: Vec<CallView>,
}

#[derive(Serialize)]
struct CallView {
    caller: &'static str,
    callee: &'static str,
}

#[derive(Serialize)]
struct ScenarioView {
    name: &'static str,
    about: &'static str,
    shape: &'static str,
    default_service: &'static str,
    duration_seconds: Option<f64>,
}

impl FaultView {
    fn new(fault: &Fault, now_ms: i64) -> Self {
        let state = if now_ms < fault.start_ms {
            "planned"
        } else if fault.end_ms.is_some_and(|end_ms| end_ms <= now_ms) {
            "past"
        } else {
            "active"
        };
        Self {
            id: fault.id.clone(),
            origin: match fault.origin {
                Origin::Scheduled => "scheduled",
                Origin::Posted => "posted",
            },
            state,
            scenario: fault.scenario.clone(),
            service: fault.service,
            signals: fault.signals.iter().map(|signal| signal.name()).collect(),
            shape: fault.shape.name(),
            factor: fault.factor,
            start: seconds(fault.start_ms),
            end: fault.end_ms.map(seconds),
            effects: fault.effects.iter().map(EffectView::new).collect(),
            counter_resets: fault.counter_resets_ms.iter().copied().map(seconds).collect(),
        }
    }
}

impl EffectView {
    fn new(effect: &Effect) -> Self {
        let base = Service::named(effect.service).map_or(1.0, |service| service.base(effect.signal));
        Self {
            service: effect.service,
            signal: effect.signal.name(),
            shape: effect.change.shape().name(),
            factor: effect.change.factor(base),
            start: seconds(effect.start_ms),
            end: effect.end_ms.map(seconds),
        }
    }
}

impl ScenarioView {
    fn new(scenario: Scenario) -> Option<Self> {
        let plan = scenario.plan(Service::named(scenario.default_service())?, 0);
        Some(Self {
            name: scenario.name(),
            about: scenario.about(),
            shape: scenario.shape().name(),
            default_service: scenario.default_service(),
            duration_seconds: plan.end_ms.map(seconds),
        })
    }
}

/// Unix seconds with milliseconds behind the point.
fn seconds(at_ms: i64) -> f64 {
    at_ms as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_700_000_000_000;

    fn asked(text: &str) -> Result<(i64, i64), Problem> {
        let pairs = text.split_terminator('&').filter_map(|pair| pair.split_once('='));
        let pairs: Vec<_> = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        span(&pairs, NOW)
    }

    #[test]
    fn without_a_span_it_is_the_last_hour_and_the_next_cycle() {
        assert_eq!(asked("").unwrap(), (NOW - 3_600_000, NOW + 600_000));
    }

    #[test]
    fn a_span_may_be_given_in_part() {
        assert_eq!(
            asked("from=1699999000&until=1699999500").unwrap(),
            (1_699_999_000_000, 1_699_999_500_000)
        );
        assert_eq!(asked("from=1699999000").unwrap(), (1_699_999_000_000, NOW + 600_000));
        assert_eq!(asked("until=1000").unwrap(), (1_000_000 - 3_600_000, 1_000_000));
        assert_eq!(asked("from=1700001000").unwrap(), (1_700_001_000_000, 1_700_001_600_000));
    }

    #[test]
    fn a_span_that_is_reversed_too_long_or_unreadable_is_refused() {
        for text in
            ["from=2&until=1", "from=0&until=604801", "from=0", "from=x", "until=", "since=3", "until=1e300"]
        {
            assert!(asked(text).is_err(), "{text}");
        }
    }
}
