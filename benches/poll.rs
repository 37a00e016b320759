//! What a poll costs in CPU time of the thread that does it: a body decoded, its samples judged, the slot closed; and
//! the same body decoded by the types of `prometheus-http-query`, in the same run.
//!
//! Bodies are spelt as Prometheus 2.42 spells them: labels in the order of their names, no white space, times in
//! seconds, values in the shortest form that reads back to the same number. Every round decodes all series of every
//! body by every way in turn, so that whatever else the machine does falls on all of them. The interner has seen the
//! labels before, as it has from the second poll on. Of the other types two ways are measured: what the crate's
//! `get()` does to the bytes, with the wrapper that it uses; and the result's types alone, straight from the text.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(clippy::expect_used, reason = "a benchmark ends where a body is not read")]

mod measure {
    pub(crate) mod body;
    pub(crate) mod cpu;
}

use std::time::Duration;

use measure::body::{self, Labels, Shape, Values};
use measure::cpu::{Stopwatch, median};
use portent::detect::{Detect, Kind, Settings, SignalPlan};
use portent::series::SignalName;
use portent::source::{Interner, decode};
use portent::time::Timestamp;
use prometheus_http_query::response::{Data, PromqlResult};
use serde::Deserialize;

const STEP_MS: i64 = 15_000;
const START_MS: i64 = 1_700_000_000_000;
const NEVER: Timestamp = Timestamp::from_millis(i64::MIN);
/// Polls before measuring: baselines are full, and labels are known.
const WARM_UP_POINTS: usize = 260;

const SHAPES: [Shape; 6] = [
    Shape { labels: Labels::Service, values: Values::Long },
    Shape { labels: Labels::Scraped, values: Values::Long },
    Shape { labels: Labels::Kubernetes, values: Values::Long },
    Shape { labels: Labels::Scraped, values: Values::Short },
    Shape { labels: Labels::Scraped, values: Values::Whole },
    Shape { labels: Labels::Scraped, values: Values::Mixed },
];

fn main() {
    // `cargo test --benches` runs this too: then one small run shows that it works.
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let (series, rounds) = if is_bench { (10_000, 21) } else { (50, 1) };
    println!(
        "CPU time a series in µs, medians of {rounds} rounds, {series} series; types: prometheus-http-query\n"
    );
    println!(
        "{:<38} {:>6} {:>7} {:>8} {:>7} {:>7} {:>7} {:>7}",
        "body", "bytes", "decode", "+ detect", "get()", "types", "get()/", "types/"
    );
    for points in [20, 1] {
        for shape in SHAPES {
            let costs: Vec<Cost> = Poll::new(shape, series, points).run(rounds);
            let of = |field: fn(&Cost) -> f64| median(costs.iter().map(field)) / series as f64;
            let bytes = costs.first().map_or(0, |cost| cost.bytes) / series;
            println!(
                "{:<38} {bytes:>6} {:>7.3} {:>8.3} {:>7.3} {:>7.3} {:>7.2} {:>7.2}",
                format!("{points:>2} x {shape}"),
                of(|cost| cost.decode),
                of(|cost| cost.decode + cost.detect),
                of(|cost| cost.by_get),
                of(|cost| cost.by_types),
                median(costs.iter().map(|cost| cost.by_get / cost.decode)),
                median(costs.iter().map(|cost| cost.by_types / cost.decode)),
            );
        }
    }
}

/// Microseconds that one body took in each way.
struct Cost {
    bytes: usize,
    decode: f64,
    detect: f64,
    by_get: f64,
    by_types: f64,
}

/// Polls of one signal, each of which brings so many new samples a series.
struct Poll {
    shape: Shape,
    series: usize,
    points: usize,
    signal: SignalName,
    detect: Detect,
    interner: Interner,
    at_ms: i64,
}

impl Poll {
    fn new(shape: Shape, series: usize, points: usize) -> Self {
        let signal = SignalName::new("bench");
        let plan = SignalPlan {
            settings: Settings::default(),
            kind: Kind::Other,
            step: Duration::from_millis(STEP_MS as u64),
            window: Duration::ZERO,
            series_limit: series,
            overrides: Vec::new(),
        };
        let label = "service".parse().expect("a label's name");
        let mut poll = Self {
            shape,
            series,
            points,
            detect: Detect::new([(signal.clone(), plan)]),
            interner: Interner::new(signal.clone(), label, series),
            signal,
            at_ms: START_MS,
        };
        for _ in 0..WARM_UP_POINTS.div_ceil(points) {
            poll.judge(&poll.next_body());
            poll.advance();
        }
        poll
    }

    fn run(mut self, rounds: usize) -> Vec<Cost> {
        (0..rounds).map(|_| self.round()).collect()
    }

    fn round(&mut self) -> Cost {
        let body = self.next_body();
        let watch = Stopwatch::start();
        by_get(&body);
        let by_get = watch.micros();
        let watch = Stopwatch::start();
        by_types(&body);
        let by_types = watch.micros();
        let (decode, detect) = self.judge(&body);
        self.advance();
        Cost { bytes: body.len(), decode, detect, by_get, by_types }
    }

    /// Decodes and judges a body as the poller and the engine do; the microseconds of both.
    fn judge(&mut self, body: &[u8]) -> (f64, f64) {
        let watch = Stopwatch::start();
        let answer = decode(body, &mut self.interner, self.series).expect("the body is an answer");
        let decoding = watch.micros();
        assert_eq!(answer.batch.sample_count(), self.series * self.points, "every sample is read");
        let watch = Stopwatch::start();
        for part in answer.batch.into_parts() {
            self.detect.judge(&part, NEVER);
        }
        let end = Timestamp::from_millis(self.at_ms + STEP_MS * (self.points as i64 - 1));
        std::hint::black_box(self.detect.close(&self.signal, end, NEVER));
        (decoding, watch.micros())
    }

    fn next_body(&self) -> Vec<u8> {
        let times = (0..self.points as i64).map(|nth| self.at_ms + nth * STEP_MS).collect::<Vec<_>>();
        let mut text = String::new();
        body::write(&mut text, self.shape, 0..self.series, &times);
        text.into_bytes()
    }

    fn advance(&mut self) {
        self.at_ms += STEP_MS * self.points as i64;
    }
}

/// What `prometheus_http_query` wraps every answer in; it keeps the type to itself.
#[derive(Deserialize)]
#[serde(tag = "status")]
enum ApiResponse<D> {
    #[serde(alias = "success")]
    Success { data: D },
    #[serde(alias = "error")]
    Error(serde::de::IgnoredAny),
}

/// The body as `RangeQueryBuilder::get` decodes it: `Response::json` of the wrapper, which is `serde_json::from_slice`.
fn by_get(body: &[u8]) {
    match serde_json::from_slice::<ApiResponse<PromqlResult>>(body).expect("the body is an answer") {
        ApiResponse::Success { data } => drop(std::hint::black_box(data)),
        ApiResponse::Error(_) => {}
    }
}

/// The result's types without the wrapper, whose tag makes serde keep the whole answer before it is typed.
#[derive(Deserialize)]
struct Bare {
    data: Data,
}

fn by_types(body: &[u8]) {
    let bare: Bare = serde_json::from_slice(body).expect("the body is an answer");
    drop(std::hint::black_box(bare.data));
}
