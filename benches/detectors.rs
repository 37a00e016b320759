//! What each detector costs by itself: nanoseconds of CPU time to judge a sample and learn it.
//!
//! Every tick brings one sample for each row in turn, so that a row's state has left the caches by the time it is its
//! turn again, as far as they do not hold all rows. Memories are full before measuring. One sample of a thousand is far
//! outside, and is not learned. Making the values is not measured; a loop that does nothing else with them is shown first.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod measure {
    pub(crate) mod cpu;
}

use std::hint::black_box;
use std::time::Duration;

use measure::cpu::{Stopwatch, median};
use portent::detect::Opinion;
use portent::detect::detectors::{
    Ewma, EwmaSettings, Flatline, FlatlineSettings, Level, LevelSettings, Range, RangeSettings, RobustZ,
    RobustZSettings, RollingZ, RollingZSettings, Single,
};

const STEP: Duration = Duration::from_secs(60);
const RUNS: usize = 7;

/// How many rows and ticks, and how many of the ticks come before measuring.
struct Load {
    rows: usize,
    warm_up: usize,
    ticks: usize,
}

/// Sums over every figure of the opinions, so that each has to be computed.
#[derive(Clone, Copy, Default)]
struct Used {
    expected: f64,
    lower: f64,
    upper: f64,
    score: f64,
    tail: f64,
}

impl Used {
    #[inline(always)]
    fn and(self, opinion: Option<Opinion>) -> Self {
        let Some(opinion) = opinion else { return self };
        Self {
            expected: self.expected + opinion.expected,
            lower: self.lower + opinion.lower,
            upper: self.upper + opinion.upper,
            score: self.score + opinion.score,
            tail: self.tail + opinion.tail,
        }
    }
}

/// Measures a detector; a macro, since they are alike in their verbs only.
macro_rules! cost {
    ($load:expr, $make:expr) => {{
        let mut detector = $make;
        for _ in 0..$load.rows {
            detector.grow();
        }
        measure($load, |row, at_ms, value| {
            let opinion = detector.judge(row, at_ms, value);
            if !opinion.is_some_and(|opinion| opinion.is_outside()) {
                detector.learn(row, at_ms, value);
            }
            opinion
        })
    }};
}

fn main() {
    // `cargo test --benches` runs this too: then one small run shows that it works.
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let loads = if is_bench {
        vec![Load { rows: 1_000, warm_up: 300, ticks: 210 }, Load { rows: 100_000, warm_up: 300, ticks: 21 }]
    } else {
        vec![Load { rows: 50, warm_up: 30, ticks: 7 }]
    };
    println!("{:>8}  {:<14}  {:>8}  {:>8}  {:>8}", "rows", "detector", "median", "least", "most");
    for load in &loads {
        print(
            load,
            "loop alone",
            measure(load, |row, at_ms, value| {
                black_box((row, at_ms, value));
                None
            }),
        );
        print(load, "EWMA", cost!(load, Ewma::new(&EwmaSettings::default(), STEP)));
        print(load, "rolling z", cost!(load, RollingZ::new(&RollingZSettings::default(), STEP)));
        print(load, "robust z", cost!(load, RobustZ::new(&RobustZSettings::default(), STEP)));
        print(load, "range", cost!(load, Range::new(&RangeSettings::default(), STEP)));
        print(load, "level shift", cost!(load, Level::new(&LevelSettings::default(), STEP)));
        print(load, "flatline", cost!(load, Flatline::new(&FlatlineSettings::default(), STEP)));
    }
}

fn print(load: &Load, name: &str, runs: Vec<f64>) {
    let least = runs.iter().copied().fold(f64::INFINITY, f64::min);
    let most = runs.iter().copied().fold(0.0, f64::max);
    let median = median(runs.into_iter());
    println!("{:>8}  {name:<14}  {median:>8.1}  {least:>8.1}  {most:>8.1}", load.rows);
}

/// The nanoseconds a sample of each run; the ticks are shared out among the runs.
fn measure(load: &Load, mut take: impl FnMut(usize, i64, f64) -> Option<Opinion>) -> Vec<f64> {
    let mut values = vec![0.0; load.rows];
    let mut tick = 0;
    let mut one_tick = |is_settled: bool| {
        tick += 1;
        for (row, value) in values.iter_mut().enumerate() {
            *value = value_of(row as u64, tick, is_settled);
        }
        let at_ms = tick as i64 * STEP.as_millis() as i64;
        let watch = Stopwatch::start();
        let mut used = Used::default();
        for (row, value) in values.iter().enumerate() {
            used = used.and(take(row, at_ms, *value));
        }
        black_box(used);
        watch.micros()
    };
    for _ in 0..load.warm_up {
        one_tick(false);
    }
    let per_run = load.ticks / RUNS;
    let mut run = || (0..per_run).map(|_| one_tick(true)).sum::<f64>() * 1e3 / (per_run * load.rows) as f64;
    (0..RUNS).map(|_| run()).collect()
}

/// The sum of four uniform figures around 100; when settled, ten times that in one sample of a thousand.
fn value_of(row: u64, tick: u64, is_settled: bool) -> f64 {
    let mixed = (row << 32 | tick).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = mixed ^ (mixed >> 32);
    let noise: u64 = (0..4).map(|part| (mixed >> (16 * part)) & 0xffff).sum();
    let factor = if is_settled && (row + 37 * tick).is_multiple_of(1000) { 10.0 } else { 1.0 };
    (98.0 + noise as f64 / 65_536.0) * factor
}
