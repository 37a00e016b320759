//! A backend that gives recorded answers: the series and the spelling of each value are made once, and an answer puts them
//! together, so that the server takes little of what the agent is measured on.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use axum::extract::{Form, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde::Deserialize;
use tokio::net::TcpListener;

use crate::measure::body::{Labels, Values, push_labels, push_value};

/// Spellings of values that come again and again, in another order at each step.
const SPELLINGS: usize = 8192;
/// One service after the other fails for so many steps.
const FAULT_STEPS: i64 = 8;
/// And nothing fails for so many steps between two of them.
const CALM_STEPS: i64 = 4;

/// What the backend has, and what it was asked for.
#[derive(Clone)]
pub(crate) struct Backend {
    recording: Arc<Recording>,
    asked: Arc<Mutex<BTreeMap<(usize, i64), Instant>>>,
}

struct Recording {
    series: usize,
    step_s: i64,
    faults_from_s: i64,
    /// The text of each series before its samples.
    heads: Vec<String>,
    values: Vec<String>,
    faults: Vec<String>,
}

/// The form of a range query.
#[derive(Deserialize)]
struct Range {
    query: String,
    start: f64,
    end: f64,
    step: f64,
}

impl Backend {
    /// Makes the recording of one signal; the others have the same series. Nothing fails before a time, in Unix seconds.
    pub(crate) fn record(series: usize, step_s: i64, faults_from_s: i64) -> Self {
        let head = |nth: usize| {
            let mut text = r#"{"metric":"#.to_owned();
            push_labels(&mut text, Labels::Scraped, nth);
            text.push_str(r#","values":["#);
            text
        };
        let value = |nth: usize| {
            let mut text = String::new();
            push_value(&mut text, Values::Long, nth, 0);
            text
        };
        let values: Vec<String> = (0..SPELLINGS).map(value).collect();
        let faults =
            values.iter().map(|value| format!("5{}", value.trim_start_matches(['0', '1']))).collect();
        let heads = (0..series).map(head).collect();
        let recording = Recording { series, step_s, faults_from_s, heads, values, faults };
        Self { recording: Arc::new(recording), asked: Arc::default() }
    }

    /// Listens on a free port of this host, for as long as the runtime lives.
    pub(crate) async fn listen(&self) -> std::io::Result<SocketAddr> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let router = Router::new().route("/api/v1/query_range", post(range)).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(address)
    }

    /// When each signal was asked for its steps up to a time in Unix seconds, of those from a moment on.
    pub(crate) fn asked_since(&self, begin: Instant) -> BTreeMap<(usize, i64), Instant> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.iter().filter(|(_, at)| **at >= begin).map(|(what, at)| (*what, *at)).collect()
    }
}

async fn range(State(backend): State<Backend>, Form(range): Form<Range>) -> Response {
    let Some(signal) = signal_of(&range.query) else { return pulse(&range).into_response() };
    let (first, last) = (range.start as i64, range.end as i64);
    let service = service_of(&range.query);
    if service.is_none() {
        let mut asked = backend.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.entry((signal, last)).or_insert_with(Instant::now);
    }
    let recording = Arc::clone(&backend.recording);
    let made = tokio::task::spawn_blocking(move || recording.answer(signal, service, first, last)).await;
    ([(CONTENT_TYPE, "application/json")], made.unwrap_or_default()).into_response()
}

/// The number at the end of a signal's metric.
fn signal_of(query: &str) -> Option<usize> {
    let (_, rest) = query.split_once("recorded_")?;
    rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
}

/// The service that the agent narrows a question of `explain` to.
fn service_of(query: &str) -> Option<usize> {
    let (_, rest) = query.split_once("\"service-")?;
    rest.split('"').next()?.parse().ok()
}

fn pulse(range: &Range) -> Json<serde_json::Value> {
    let steps = (range.start as i64..=range.end as i64).step_by(range.step.max(1.0) as usize);
    let values: Vec<_> = steps.map(|at| serde_json::json!([at, "100"])).collect();
    let result = serde_json::json!([{ "metric": {}, "values": values }]);
    Json(serde_json::json!({ "status": "success", "data": { "resultType": "matrix", "result": result } }))
}

impl Recording {
    fn answer(&self, signal: usize, service: Option<usize>, first: i64, last: i64) -> String {
        let series = match service {
            Some(service) => service * 5..(service * 5 + 5).min(self.series),
            None => 0..self.series,
        };
        let steps: Vec<i64> = (first..=last).step_by(self.step_s.unsigned_abs() as usize).collect();
        let mut text = String::with_capacity(series.len() * (160 + steps.len() * 36) + 128);
        text.push_str(r#"{"status":"success","data":{"resultType":"matrix","result":["#);
        let times: Vec<String> = steps.iter().map(|at| format!("[{at},\"")).collect();
        for nth in series.clone() {
            if nth > series.start {
                text.push(',');
            }
            text.push_str(self.heads.get(nth).map_or("", String::as_str));
            for (place, (at, time)) in steps.iter().zip(&times).enumerate() {
                if place > 0 {
                    text.push(',');
                }
                text.push_str(time);
                text.push_str(self.value(signal, nth, *at));
                text.push_str("\"]");
            }
            text.push_str("]}");
        }
        text.push_str("]}}");
        text
    }

    fn value(&self, signal: usize, nth: usize, at: i64) -> &str {
        let seed = (nth as u64) << 24 ^ (signal as u64) << 56 ^ at as u64;
        let mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mixed = (mixed ^ (mixed >> 31)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let place = (mixed >> 40) as usize % SPELLINGS;
        let fails = self.failing(at).is_some_and(|service| nth / 5 == service);
        let values = if fails { &self.faults } else { &self.values };
        values.get(place).map_or("1", String::as_str)
    }

    /// The service that fails at a step.
    fn failing(&self, at: i64) -> Option<usize> {
        let steps = (at - self.faults_from_s) / self.step_s;
        let cycle = FAULT_STEPS + CALM_STEPS;
        let services = self.series.div_ceil(5).max(1);
        // Far apart, so that no service fails twice in a run.
        (at >= self.faults_from_s && steps % cycle >= CALM_STEPS)
            .then(|| (steps / cycle) as usize * 7919 % services)
    }
}
