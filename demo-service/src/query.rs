//! Prometheus' HTTP API: plain selectors, and their sums, over any time range, computed on the spot.
//!
//! Beside the gauges there is `up`, as Prometheus adds it for each target: 1 while a service exports anything, else 0.
//!
//! Replies, refusals and limits are Prometheus' own, texts included; what differs is said in the text: an expression that
//! is more than that is `bad_data`. A range query costs at most 30 series of 11,001 points.

use std::fmt::Write as _;

use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{Form, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;
use serde_json::json;

use crate::Clock;
use crate::faults::{Series, World};
use crate::selector::{Expression, Selector};
use crate::unix_time::{parse_duration_ms, parse_timestamp_ms, push_seconds};
use crate::wave::{SERVICES, Service, Signal};

/// How many whole steps fit between start and end at most, as in Prometheus; so a series has up to 11,001 points.
pub const STEPS_MAX: i64 = 11_000;

/// What one point takes in a reply, roughly; it saves the reply from growing in steps.
const POINT_BYTES: usize = 36;

type Pairs = Vec<(String, String)>;
type QueryPairs = Result<Query<Pairs>, QueryRejection>;
type FormPairs = Result<Form<Pairs>, FormRejection>;

#[derive(Clone)]
struct Api {
    world: World,
    clock: Clock,
}

/// Serves `/api/v1/query`, `/api/v1/query_range`, `/api/v1/status/buildinfo`.
pub(crate) fn router(world: World, clock: Clock) -> Router {
    Router::new()
        .route("/api/v1/query", get(instant_by_get).post(instant_by_post))
        .route("/api/v1/query_range", get(range_by_get).post(range_by_post))
        .route("/api/v1/status/buildinfo", get(build_info))
        .with_state(Api { world, clock })
}

async fn instant_by_get(State(api): State<Api>, url: QueryPairs) -> Result<Response, BadData> {
    api.instant(&Parameters::from_url(url)?)
}

async fn instant_by_post(
    State(api): State<Api>,
    url: QueryPairs,
    form: FormPairs,
) -> Result<Response, BadData> {
    api.instant(&Parameters::from_form(url, form)?)
}

async fn range_by_get(State(api): State<Api>, url: QueryPairs) -> Result<Response, BadData> {
    api.range(&Parameters::from_url(url)?)
}

async fn range_by_post(
    State(api): State<Api>,
    url: QueryPairs,
    form: FormPairs,
) -> Result<Response, BadData> {
    api.range(&Parameters::from_form(url, form)?)
}

async fn build_info() -> Json<serde_json::Value> {
    Json(json!({
        "status": "success",
        "data": {
            "version": env!("CARGO_PKG_VERSION"),
            "revision": env!("CARGO_PKG_NAME"),
            "branch": "",
            "buildUser": "",
            "buildDate": "",
            "goVersion": "",
        },
    }))
}

impl Api {
    fn instant(&self, parameters: &Parameters) -> Result<Response, BadData> {
        let at_ms = match parameters.get("time") {
            "" => (self.clock)(),
            text => parse_timestamp_ms(text).ok_or_else(|| BadData::unreadable("time", text, "timestamp"))?,
        };
        let expression = parameters.common()?;
        let mut reply = Reply::open("vector");
        for row in self.rows(&expression, at_ms, at_ms) {
            if let Some(value) = row.at(at_ms) {
                reply.series(&row.labels, "value", |out| push_point(out, at_ms, value));
            }
        }
        Ok(reply.close())
    }

    fn range(&self, parameters: &Parameters) -> Result<Response, BadData> {
        let range = Range::parse(parameters)?;
        let expression = parameters.common()?;
        let mut reply = Reply::open("matrix");
        let mut points = String::with_capacity(range.points() * POINT_BYTES);
        for row in self.rows(&expression, range.start_ms, range.end_ms) {
            points.clear();
            let mut at_ms = range.start_ms;
            while at_ms <= range.end_ms {
                if let Some(value) = row.at(at_ms) {
                    if !points.is_empty() {
                        points.push(',');
                    }
                    push_point(&mut points, at_ms, value);
                }
                at_ms += range.step_ms;
            }
            if !points.is_empty() {
                reply.series(&row.labels, "values", |out| {
                    out.push('[');
                    out.push_str(&points);
                    out.push(']');
                });
            }
        }
        Ok(reply.close())
    }

    /// What an expression gives within a span, in the order of its labels.
    fn rows(&self, expression: &Expression, from_ms: i64, until_ms: i64) -> Vec<Row> {
        let each = |selector: &Selector| -> Vec<(String, Part)> {
            let part = |(metric, service, signals): (&'static str, &'static Service, &[Signal])| {
                let labels = format!("{{\"__name__\":\"{metric}\",\"service\":\"{}\"}}", service.name);
                let series = signals
                    .iter()
                    .map(|signal| self.world.series(service, *signal, from_ms, until_ms))
                    .collect();
                (labels, if metric == UP { Part::Up(series) } else { Part::Gauge(series) })
            };
            selected(selector).into_iter().map(part).collect()
        };
        match expression {
            Expression::Each(selector) => {
                each(selector).into_iter().map(|(labels, part)| Row { labels, parts: vec![part] }).collect()
            }
            Expression::Sum(selector) => {
                let parts = each(selector).into_iter().map(|(_, part)| part).collect();
                vec![Row { labels: "{}".to_owned(), parts }]
            }
        }
    }
}

/// The series that Prometheus adds for each target.
const UP: &str = "up";

/// One row of a reply: the sum of its parts.
struct Row {
    labels: String,
    parts: Vec<Part>,
}

/// One series of the world, made of those that it depends on.
enum Part {
    Gauge(Vec<Series>),
    Up(Vec<Series>),
}

impl Row {
    fn at(&self, at_ms: i64) -> Option<f64> {
        self.parts.iter().filter_map(|part| part.at(at_ms)).reduce(|sum, value| sum + value)
    }
}

impl Part {
    fn at(&self, at_ms: i64) -> Option<f64> {
        match self {
            Self::Gauge(series) => series.first()?.at(at_ms),
            Self::Up(series) => {
                Some(if series.iter().any(|one| one.at(at_ms).is_some()) { 1.0 } else { 0.0 })
            }
        }
    }
}

/// Every series of a selector with the signals that decide it, in the order of its labels.
fn selected(selector: &Selector) -> Vec<(&'static str, &'static Service, &'static [Signal])> {
    let of_service = |service: &'static Service| {
        let gauges =
            Signal::ALL.iter().map(move |signal| (signal.metric(), service, std::slice::from_ref(signal)));
        gauges.chain([(UP, service, Signal::ALL.as_slice())])
    };
    let mut series: Vec<_> = SERVICES
        .iter()
        .flat_map(of_service)
        .filter(|(metric, service, _)| selector.matches(metric, service.name))
        .collect();
    series.sort_by_key(|(metric, service, _)| (*metric, service.name));
    series
}

/// The parameters of a request: those of the form before those of the URL, the first of each name.
struct Parameters(Pairs);

impl Parameters {
    fn from_url(url: QueryPairs) -> Result<Self, BadData> {
        let Query(pairs) = url.map_err(|error| BadData(error.to_string()))?;
        Ok(Self(pairs))
    }

    fn from_form(url: QueryPairs, form: FormPairs) -> Result<Self, BadData> {
        let Form(mut pairs) = form.map_err(|error| BadData(error.to_string()))?;
        pairs.extend(Self::from_url(url)?.0);
        Ok(Self(pairs))
    }

    /// The value of a parameter, empty when there is none.
    fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// Checks what both kinds of query have: a timeout, which is not needed here, and the expression.
    fn common(&self) -> Result<Expression, BadData> {
        let timeout = self.get("timeout");
        if !timeout.is_empty() && parse_duration_ms(timeout).is_none() {
            return Err(BadData::unreadable("timeout", timeout, "duration"));
        }
        Expression::parse(self.get("query")).map_err(|error| BadData::invalid("query", &error.to_string()))
    }
}

/// The moments of a range query: start, start + step, and so on up to and including end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    start_ms: i64,
    end_ms: i64,
    step_ms: i64,
}

impl Range {
    fn parse(parameters: &Parameters) -> Result<Self, BadData> {
        let moment = |name| {
            let text = parameters.get(name);
            parse_timestamp_ms(text).ok_or_else(|| BadData::unreadable(name, text, "timestamp"))
        };
        let (start_ms, end_ms) = (moment("start")?, moment("end")?);
        if end_ms < start_ms {
            return Err(BadData::invalid("end", "end timestamp must not be before start time"));
        }
        let step = parameters.get("step");
        let step_ms = parse_duration_ms(step).ok_or_else(|| BadData::unreadable("step", step, "duration"))?;
        if step_ms <= 0 {
            let text =
                "zero or negative query resolution step widths are not accepted. Try a positive integer";
            return Err(BadData::invalid("step", text));
        }
        if (end_ms - start_ms) / step_ms > STEPS_MAX {
            return Err(BadData(
                "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)"
                    .to_owned(),
            ));
        }
        Ok(Self { start_ms, end_ms, step_ms })
    }

    fn points(self) -> usize {
        usize::try_from((self.end_ms - self.start_ms) / self.step_ms).map_or(1, |steps| steps + 1)
    }
}

/// A reply in the making. Names of metrics and services are known to need no escape.
struct Reply {
    body: String,
    is_first: bool,
}

impl Reply {
    fn open(kind: &str) -> Self {
        let body = format!("{{\"status\":\"success\",\"data\":{{\"resultType\":\"{kind}\",\"result\":[");
        Self { body, is_first: true }
    }

    fn series(&mut self, labels: &str, key: &str, content: impl FnOnce(&mut String)) {
        let separator = if self.is_first { "" } else { "," };
        self.is_first = false;
        // Writing to a string can't fail.
        let _ = write!(self.body, "{separator}{{\"metric\":{labels},\"{key}\":");
        content(&mut self.body);
        self.body.push('}');
    }

    fn close(mut self) -> Response {
        self.body.push_str("]}}");
        ([(header::CONTENT_TYPE, "application/json")], self.body).into_response()
    }
}

fn push_point(out: &mut String, at_ms: i64, value: f64) {
    out.push('[');
    push_seconds(out, at_ms);
    // Writing to a string can't fail.
    let _ = write!(out, ",\"{value}\"]");
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Refusal {
    status: &'static str,
    error_type: &'static str,
    error: String,
}

/// A refusal in Prometheus' shape, with status 400.
#[derive(Debug, PartialEq, Eq)]
struct BadData(String);

impl BadData {
    fn invalid(parameter: &str, why: &str) -> Self {
        Self(format!("invalid parameter {parameter:?}: {why}"))
    }

    fn unreadable(parameter: &str, text: &str, kind: &str) -> Self {
        Self::invalid(parameter, &format!("cannot parse {text:?} to a valid {kind}"))
    }
}

impl IntoResponse for BadData {
    fn into_response(self) -> Response {
        let refusal = Refusal { status: "error", error_type: "bad_data", error: self.0 };
        (StatusCode::BAD_REQUEST, Json(refusal)).into_response()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(start: &str, end: &str, step: &str) -> Result<Range, BadData> {
        let pairs = [("start", start), ("end", end), ("step", step)];
        Range::parse(&Parameters(pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).to_vec()))
    }

    #[track_caller]
    fn refused(start: &str, end: &str, step: &str, text: &str) {
        assert_eq!(parse(start, end, step), Err(BadData(text.to_owned())));
    }

    #[track_caller]
    fn points(start: &str, end: &str, step: &str, expected: usize) {
        assert_eq!(parse(start, end, step).map(Range::points), Ok(expected));
    }

    #[test]
    fn start_and_end_are_both_included() {
        points("1000", "1000", "15s", 1);
        points("1000", "1285", "15", 20);
        points("1000", "1284.999", "15", 19);
        points("1970-01-01T00:16:40Z", "1970-01-01T00:21:25Z", "1m", 5);
    }

    #[test]
    fn eleven_thousand_steps_pass_and_one_more_does_not() {
        points("1000", "12000", "1", 11_001);
        points("1000", "12000.999", "1", 11_001);
        let text = "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)";
        refused("1000", "12001", "1", text);
        refused("-200000000000", "200000000000", "0.001", text);
    }

    #[test]
    fn refusals_are_worded_as_in_prometheus() {
        refused("1000", "10", "1", r#"invalid parameter "end": end timestamp must not be before start time"#);
        refused("x", "10", "1", r#"invalid parameter "start": cannot parse "x" to a valid timestamp"#);
        refused("1", "", "1", r#"invalid parameter "end": cannot parse "" to a valid timestamp"#);
        refused("1", "2", "xx", r#"invalid parameter "step": cannot parse "xx" to a valid duration"#);
        refused("1", "2", "-1s", r#"invalid parameter "step": cannot parse "-1s" to a valid duration"#);
        let zero = "invalid parameter \"step\": zero or negative query resolution step widths are not accepted. \
                    Try a positive integer";
        for step in ["0", "0s", "-1", "0.0001"] {
            refused("1", "2", step, zero);
        }
    }

    #[test]
    fn the_first_of_each_parameter_counts() {
        let pairs = [("query", "a"), ("query", "b")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(Parameters(pairs.to_vec()).get("query"), "a");
    }

    proptest! {
        #[test]
        fn no_parameter_panics(start in ".{0,20}", end in "-?[0-9e.]{0,20}", step in "[0-9a-z.-]{0,9}") {
            let _ = parse(&start, &end, &step);
            let _ = parse(&end, &end, &step).map(Range::points);
        }
    }
}
