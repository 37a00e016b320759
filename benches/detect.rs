//! What detection costs: nanoseconds of CPU time a judged sample, and a tracked series at each slot's end.
//!
//! Every tick brings one sample for each series, in the order of the answer, as polls do: each series' state has left
//! the caches by the time it is its turn again. A twentieth of the series is anomalous at any time. Making the batches
//! is not measured.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod measure {
    pub(crate) mod cpu;
}

use std::sync::Arc;
use std::time::Duration;

use measure::cpu::{Stopwatch, median};
use portent::detect::{Detect, Kind, Settings, SignalPlan};
use portent::series::{Batch, Labels, SeriesKey, Service, SignalName};
use portent::time::Timestamp;

const STEP_MS: i64 = 15_000;
const RUNS: usize = 5;
/// Ticks before measuring: every memory of the default detector is full.
const WARM_UP_TICKS: i64 = 260;

fn main() {
    // `cargo test --benches` runs this too: then one small run shows that it works.
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let sizes: &[(usize, i64)] = if is_bench { &[(10_000, 100), (100_000, 20)] } else { &[(100, 2)] };
    println!(
        "{:>8}  {:>16}  {:>16}  {:>16}",
        "series", "judge ns/sample", "close ns/series", "both ns/sample"
    );
    for (series, ticks) in sizes {
        let runs: Vec<Cost> = (0..RUNS).map(|_| measure(*series, *ticks)).collect();
        let judge = median(runs.iter().map(|cost| cost.judge_ns));
        let close = median(runs.iter().map(|cost| cost.close_ns));
        let both = median(runs.iter().map(|cost| cost.judge_ns + cost.close_ns));
        println!("{series:>8}  {judge:>16.0}  {close:>16.0}  {both:>16.0}");
    }
}

/// Nanoseconds a sample; at one sample a series and slot, a series is a sample.
struct Cost {
    judge_ns: f64,
    close_ns: f64,
}

fn measure(series: usize, ticks: i64) -> Cost {
    let signal = SignalName::new("bench");
    let plan = SignalPlan {
        settings: Settings::default(),
        kind: Kind::Other,
        step: Duration::from_millis(STEP_MS as u64),
        window: Duration::ZERO,
        series_limit: series,
        overrides: Vec::new(),
    };
    let mut detect = Detect::new([(signal.clone(), plan)]);
    let keys: Vec<Arc<SeriesKey>> = (0..series).map(|nth| key(&signal, nth)).collect();
    let (mut judging, mut closing) = (0.0, 0.0);
    for tick in 0..WARM_UP_TICKS + ticks {
        let parts = batch(&signal, &keys, tick).into_parts();
        let watch = Stopwatch::start();
        for part in &parts {
            detect.judge(part, Timestamp::from_millis(i64::MIN));
        }
        let judged = watch.micros();
        let findings = detect.close(&signal, at(tick), Timestamp::from_millis(i64::MIN));
        let closed = watch.micros();
        std::hint::black_box(findings);
        if tick >= WARM_UP_TICKS {
            judging += judged;
            closing += closed - judged;
        }
    }
    let samples = (series as i64 * ticks) as f64;
    Cost { judge_ns: judging * 1e3 / samples, close_ns: closing * 1e3 / samples }
}

fn at(tick: i64) -> Timestamp {
    Timestamp::from_millis(tick * STEP_MS)
}

fn key(signal: &SignalName, nth: usize) -> Arc<SeriesKey> {
    let labels = Labels::new([("service", format!("service-{}", nth / 5)), ("pod", format!("pod-{nth}"))]);
    Arc::new(SeriesKey::new(signal.clone(), Service::new(&format!("service-{}", nth / 5)), labels))
}

fn batch(signal: &SignalName, keys: &[Arc<SeriesKey>], tick: i64) -> Batch {
    let mut batch = Batch::new(signal.clone());
    for (nth, key) in keys.iter().enumerate() {
        batch.begin_row(Arc::clone(key));
        batch.push(at(tick), value(nth as u64, tick as u64));
    }
    batch
}

/// Between 90 and 110, and five times that in one series of twenty at a time, for five ticks each.
fn value(nth: u64, tick: u64) -> f64 {
    let mixed = (nth << 32 | tick).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let noise = (mixed >> 40) as f64 / (1_u64 << 24) as f64;
    let is_anomalous = tick > WARM_UP_TICKS as u64 && (nth + tick / 5).is_multiple_of(20);
    (90.0 + 20.0 * noise) * if is_anomalous { 5.0 } else { 1.0 }
}
