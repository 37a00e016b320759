//! What the end of a slot costs while many series are lost: the engine at 100,000 series, of which some stopped and stay
//! away. A cost that grows faster than their number shows in the last column.
//!
//! Three ways to lose them: all of one service at once, those of many services at once, and one series after the other, as
//! pods are replaced. CPU time of the thread, medians of the slots after the losses are known, by `cargo bench --bench
//! lost`; and the dearest slot, in which they become known.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod measure {
    pub(crate) mod cpu;
}

use std::sync::Arc;
use std::time::Duration;

use measure::cpu::{Stopwatch, median};
use portent::detect::{Kind, Missing, Settings, SignalPlan};
use portent::engine::{self, Coverage, Engine, Input, Restored};
use portent::series::{Batch, Labels, SeriesKey, Service, SignalName};
use portent::time::Timestamp;
use portent::{correlate, incident};

const STEP_MS: i64 = 15_000;
const START_MS: i64 = 1_700_000_000_000;
/// Slots before anything is lost: every baseline is full.
const WARM_UP: i64 = 64;
/// Slots after the last series has stopped.
const AFTER: i64 = 24;

/// How series stop.
#[derive(Debug, Clone, Copy)]
enum Way {
    OneService,
    ManyServices,
    OneByOne,
}

fn main() {
    // `cargo test --benches` runs this too: then one small run shows that it works.
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let (series, lost): (usize, &[usize]) =
        if is_bench { (100_000, &[2_000, 4_000, 8_000]) } else { (200, &[20]) };
    println!("{:<14} {:>7} {:>14} {:>14} {:>16}", "lost", "series", "a slot, ms", "dearest, ms", "grows by");
    for way in [Way::OneService, Way::ManyServices, Way::OneByOne] {
        let mut before = None;
        for lost in lost {
            let (usual, dearest) = measure(way, series, *lost);
            let grows = before.map_or(String::new(), |before: f64| format!("{:.1}", usual / before));
            println!("{:<14} {lost:>7} {usual:>14.1} {dearest:>14.1} {grows:>16}", format!("{way:?}"));
            before = Some(usual);
        }
    }
}

/// Milliseconds of a slot's end: of one in which nothing new is lost, and of the dearest.
fn measure(way: Way, series: usize, lost: usize) -> (f64, f64) {
    let signal = SignalName::new("bench");
    let keys: Vec<Arc<SeriesKey>> = (0..series).map(|nth| key(&signal, way, lost, nth)).collect();
    let mut engine = engine(&signal, series);
    let stops = |nth: usize| match way {
        _ if nth >= lost => i64::MAX,
        Way::OneService | Way::ManyServices => WARM_UP,
        // Over a day there are as many steps; here as many series stop at each of 200.
        Way::OneByOne => WARM_UP + (nth * 200 / lost) as i64,
    };
    let last = if matches!(way, Way::OneByOne) { WARM_UP + 200 } else { WARM_UP } + AFTER;
    let (mut slots, mut dearest) = (Vec::new(), 0.0_f64);
    for slot in 0..last + AFTER {
        let now = Timestamp::from_millis(START_MS + slot * STEP_MS);
        let mut batch = Batch::with_capacity(signal.clone(), series, series);
        for (nth, key) in keys.iter().enumerate().filter(|(nth, _)| stops(*nth) > slot) {
            batch.begin_row(Arc::clone(key));
            batch.push(now, 100.0 + ((nth as i64 * 31 + slot * 17) % 10) as f64);
        }
        for part in batch.into_parts() {
            engine.step(now, Input::Batch(part));
        }
        let closed =
            Input::SlotClosed { signal: signal.clone(), from: now, through: now, coverage: Coverage::Whole };
        let watch = Stopwatch::start();
        std::hint::black_box(engine.step(now, closed));
        let took = watch.micros() / 1e3;
        dearest = dearest.max(took);
        if slot >= last {
            slots.push(took);
        }
    }
    assert_eq!(
        engine.tallies().first().map(|(_, tally)| tally.lost),
        Some(lost),
        "they are known to be lost"
    );
    (median(slots.into_iter()), dearest)
}

fn engine(signal: &SignalName, series: usize) -> Engine {
    let plan = SignalPlan {
        settings: Settings {
            missing: Missing::Alert { after: Duration::from_secs(60) },
            ..Settings::classic()
        },
        kind: Kind::Other,
        step: Duration::from_millis(STEP_MS as u64),
        window: Duration::ZERO,
        series_limit: series,
        overrides: Vec::new(),
    };
    let settings = engine::Settings {
        signals: vec![(signal.clone(), plan)],
        correlate: correlate::Settings::default(),
        incident: incident::Settings::default(),
        questions_per_incident: 0,
        source_lost_after: Duration::from_secs(180),
    };
    Engine::new(settings, Restored::default(), Timestamp::from_millis(START_MS))
}

fn key(signal: &SignalName, way: Way, lost: usize, nth: usize) -> Arc<SeriesKey> {
    let service = match way {
        Way::OneService if nth < lost => "all-of-it".to_owned(),
        Way::OneService | Way::ManyServices | Way::OneByOne => format!("service-{}", nth / 5),
    };
    let labels = Labels::new([("service", service.clone()), ("pod", format!("pod-{nth}"))]);
    Arc::new(SeriesKey::new(signal.clone(), Service::new(&service), labels))
}
