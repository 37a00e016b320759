//! What it costs to write down the state of detection and to read it again: how long whoever holds the state is busy, and
//! how large it is. Three days at five minutes come first, so that seasons are there.
#![expect(clippy::print_stdout, clippy::expect_used, reason = "a benchmark prints its figures")]

mod measure {
    pub(crate) mod cpu;
}

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use measure::cpu::{Stopwatch, median};
use portent::detect::{Detect, Kind, Restoration, Settings, SignalPlan};
use portent::series::{Batch, Labels, SeriesKey, Service, SignalName};
use portent::time::Timestamp;

const STEP_MS: i64 = 300_000;
const START_MS: i64 = 1_800_000_000_000;
const NEVER: Timestamp = Timestamp::from_millis(i64::MIN);

fn plan() -> (SignalName, SignalPlan) {
    let plan = SignalPlan {
        settings: Settings::default(),
        kind: Kind::Other,
        step: Duration::from_millis(STEP_MS as u64),
        window: Duration::ZERO,
        series_limit: 1_000_000,
        overrides: Vec::new(),
    };
    (SignalName::new("signal"), plan)
}

fn main() {
    // `cargo test --benches` runs this too: then one small run shows that it works.
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let (sizes, steps): (&[usize], i64) = if is_bench { (&[1_000, 10_000], 864) } else { (&[10], 50) };
    println!(
        "{:>8}  {:>12}  {:>12}  {:>10}  {:>10}",
        "series", "bytes", "bytes/series", "write, ms", "read, ms"
    );
    for series in sizes {
        let detect = taught(*series, steps);
        let round = |_| {
            let watch = Stopwatch::start();
            detect.snapshot(|_| true).for_each(|frame| drop(std::hint::black_box(frame)));
            watch.micros() / 1e3
        };
        let write_ms = median((0..5).map(round));
        let frames: Vec<Vec<u8>> = detect.snapshot(|_| true).collect();
        let bytes: usize = frames.iter().map(Vec::len).sum();
        let watch = Stopwatch::start();
        let mut restoration = Restoration::new([plan()], BTreeSet::new());
        frames.iter().for_each(|frame| restoration.take(frame).expect("it was just written"));
        let (again, _) = restoration.finish(|_| NEVER).expect("it is whole");
        let read_ms = watch.micros() / 1e3;
        std::hint::black_box(again);
        println!("{series:>8}  {bytes:>12}  {:>12}  {write_ms:>10.1}  {read_ms:>10.1}", bytes / series);
    }
}

/// The state after so many steps of waves and noise.
fn taught(series: usize, steps: i64) -> Detect {
    let mut detect = Detect::new([plan()]);
    let signal = SignalName::new("signal");
    let key = |nth: usize| {
        let (service, pod) = (format!("service-{}", nth / 10), format!("pod-{nth}"));
        let labels = Labels::new([("service", service.clone()), ("pod", pod)]);
        Arc::new(SeriesKey::new(signal.clone(), Service::new(&service), labels))
    };
    let keys: Vec<Arc<SeriesKey>> = (0..series).map(key).collect();
    for step in 0..steps {
        let at = Timestamp::from_millis(START_MS + step * STEP_MS);
        let mut batch = Batch::with_capacity(signal.clone(), series, series);
        for (nth, key) in keys.iter().enumerate() {
            batch.begin_row(Arc::clone(key));
            let mixed = (nth as u64 * 864 + step as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let noise = (mixed ^ (mixed >> 31)) % 1000;
            let wave = (step as f64 / 288.0 * std::f64::consts::TAU).sin();
            batch.push(at, 100.0 + 20.0 * wave + noise as f64 / 500.0);
        }
        detect.judge(&batch, NEVER);
        detect.close(&signal, at, NEVER);
    }
    detect
}
