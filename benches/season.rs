//! What the seasonal ladder costs: nanoseconds of CPU time to expect and to learn a sample, and bytes a series.
//!
//! Rows are taken round robin, so that each has left the caches by its next turn. Three weeks at a step of five minutes
//! come first: every rung is there. Slots close with every third sample here, with every sixtieth at a step of 15 s.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod measure {
    pub(crate) mod cpu;
}

use std::time::Duration;

use measure::cpu::{Stopwatch, median};
use portent::detect::season::{SeasonSettings, Seasons};
use portent::time::Timestamp;

const STEP_MS: i64 = 300_000;
const SLOT_MS: i64 = 900_000;
const DAY_MS: i64 = 86_400_000;
const START_MS: i64 = 1_800_000_000_000;

fn main() {
    // `cargo test --benches` runs this too: then one small run shows that it works.
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let (rows, days, ticks) = if is_bench { (10_000, 22, 60) } else { (10, 2, 6) };
    let mut seasons = Seasons::new(&SeasonSettings::default(), Duration::from_millis(STEP_MS as u64));
    (0..rows).for_each(|_| seasons.grow());
    let mut at_ms = START_MS;
    while at_ms < START_MS + days * DAY_MS {
        (0..rows).for_each(|row| drop_change(&mut seasons, row, at_ms));
        at_ms += STEP_MS;
    }
    let (mut within, mut closing) = (Vec::new(), Vec::new());
    for _ in 0..ticks {
        let watch = Stopwatch::start();
        for row in 0..rows {
            std::hint::black_box(seasons.expect(row, Timestamp::from_millis(at_ms)));
            drop_change(&mut seasons, row, at_ms);
        }
        let cost = watch.micros() * 1e3 / rows as f64;
        if at_ms % SLOT_MS == 0 {
            closing.push(cost)
        } else {
            within.push(cost)
        }
        at_ms += STEP_MS;
    }
    println!(
        "{:>8}  {:>18}  {:>18}  {:>12}",
        "series", "within a slot, ns", "closing one, ns", "bytes/series"
    );
    let (within, closing) = (median(within.into_iter()), median(closing.into_iter()));
    println!("{rows:>8}  {within:>18.0}  {closing:>18.0}  {:>12}", seasons.bytes() / rows);
}

fn drop_change(seasons: &mut Seasons, row: usize, at_ms: i64) {
    std::hint::black_box(seasons.learn(row, at_ms, value(row as u64, at_ms)));
}

/// A wave that is another one on each day of the week, and noise.
fn value(row: u64, at_ms: i64) -> f64 {
    let turn = at_ms.rem_euclid(DAY_MS) as f64 / DAY_MS as f64 * std::f64::consts::TAU;
    let height = 50.0 + 10.0 * (at_ms / DAY_MS % 7) as f64;
    let mixed = (row << 44 ^ at_ms.unsigned_abs()).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    100.0 + height * turn.sin() + 5.0 * ((mixed >> 40) as f64 / (1_u64 << 24) as f64)
}
