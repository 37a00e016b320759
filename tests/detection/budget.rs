//! Budgets of noise: calibrated on four weeks of it, held to on the next four.

use std::sync::Arc;
use std::time::Duration;

use portent::backtest::{Calibration, Search, Seen, poisson_interval, with_boundaries};
use portent::detect::{Allotment, Budget, Kind, Scope, Settings, SignalPlan};
use portent::engine::{self, Coverage};
use portent::replay::{Found, Lane, Outcome, Piece, Rerun};
use portent::series::{Batch, Labels, SeriesKey, Service, SignalName};
use portent::time::Timestamp;
use portent::{correlate, incident};

use super::noise::Noise;

const STEP: Duration = Duration::from_secs(300);
const POLL: Duration = Duration::from_secs(3600);
const DAY: usize = 288;
const START: Timestamp = Timestamp::from_millis(1_799_020_800_000);
/// Calibrated on so many days, and then held to for as many.
const DAYS: usize = 28;
const SERIES: usize = 4;
const SEEDS: u64 = 20;
/// A signal each.
const BUDGETS: [&str; 3] = ["2/month", "1/week", "2/week"];

fn signal(nth: usize) -> SignalName {
    SignalName::new(&format!("noise_{nth}"))
}

fn at(step: usize) -> Timestamp {
    START.plus(STEP * step as u32)
}

/// The series of a signal, each of a service of its own: a daily wave, and noise that remembers 0.6 of its last value.
fn noise(seed: u64, nth: usize) -> Vec<(Arc<SeriesKey>, Vec<f64>)> {
    let series = |place: usize| {
        let mut noise = Noise::new(seed * 10_000 + (nth * 100 + place) as u64);
        let service = format!("service-{nth}-{place}");
        let labels = Labels::new([("service", service.as_str())]);
        let key = Arc::new(SeriesKey::new(signal(nth), Service::new(&service), labels));
        let mut last = 0.0;
        let value = |step: usize| {
            last = noise.autoregressed(last, 0.6);
            let day = (step % DAY) as f64 / DAY as f64;
            200.0 + 40.0 * (std::f64::consts::TAU * day).sin() + 12.0 * last
        };
        (key, (0..2 * DAYS * DAY).map(value).collect())
    };
    (0..SERIES).map(series).collect()
}

/// The samples of the steps before `end`.
fn piece(nth: usize, series: &[(Arc<SeriesKey>, Vec<f64>)], end: usize) -> Arc<Piece> {
    let mut batch = Batch::new(signal(nth));
    for (key, values) in series {
        batch.begin_row(Arc::clone(key));
        for (step, value) in values.iter().take(end).enumerate() {
            batch.push(at(step), *value);
        }
    }
    Arc::new(Piece { batch, from: at(0), through: at(end - 1), gaps: Vec::new(), coverage: Coverage::Whole })
}

fn settings() -> engine::Settings {
    let plan = |(nth, budget): (usize, &&str)| {
        let budget: Budget = budget.parse().expect("a budget");
        let settings =
            Settings { budget: Some(Allotment { budget, scope: Scope::Signal }), ..Settings::default() };
        let (kind, window) = (Kind::Other, Duration::ZERO);
        (
            signal(nth),
            SignalPlan { settings, kind, step: STEP, window, series_limit: 100, overrides: Vec::new() },
        )
    };
    engine::Settings {
        signals: BUDGETS.iter().enumerate().map(plan).collect(),
        correlate: correlate::Settings::default(),
        incident: incident::Settings::default(),
        source_lost_after: Duration::from_secs(300),
        questions_per_incident: 0,
    }
}

/// An agent lives from the first step on, and knows nothing from before.
fn lived(settings: engine::Settings, parts: &[&[Arc<Piece>]]) -> Outcome {
    let lane = |nth: usize| Lane {
        signal: signal(nth),
        step: STEP,
        interval: POLL,
        delay: Duration::ZERO,
        history: STEP,
    };
    let mut rerun = Rerun::new(settings, (0..BUDGETS.len()).map(lane), at(0));
    let mut end = at(0);
    for (nth, piece) in parts.iter().flat_map(|pieces| pieces.iter().enumerate()) {
        rerun.give(&signal(nth), Arc::clone(piece));
        end = piece.through.plus(STEP);
    }
    rerun.run_until(end);
    rerun.finish()
}

/// The same samples once more, right after.
fn again(piece: &Arc<Piece>) -> Arc<Piece> {
    Arc::new(piece.later(piece.through.plus(STEP).since(piece.from)))
}

fn calibrate(pieces: &[Arc<Piece>]) -> Vec<Calibration> {
    let mut search = Search::new(&settings()).expect("there are budgets");
    let twice: Vec<_> = pieces.iter().map(again).collect();
    let seen = Seen { begin: at(0), until: at(DAYS * DAY), known: Vec::new() };
    loop {
        let outcomes: Vec<Outcome> =
            search.round().into_iter().map(|settings| lived(settings, &[pieces, &twice])).collect();
        if !search.take(&outcomes, &seen) {
            return search.calibrations();
        }
    }
}

/// Incidents of each budget in the four weeks after those that it was calibrated on.
fn held_out(seed: u64) -> [usize; BUDGETS.len()] {
    let all: Vec<_> = (0..BUDGETS.len()).map(|nth| noise(seed, nth)).collect();
    let pieces =
        |end| -> Vec<_> { all.iter().enumerate().map(|(nth, series)| piece(nth, series, end)).collect() };
    let calibrations = calibrate(&pieces(DAYS * DAY));
    let boundaries =
        calibrations.iter().flat_map(|found| found.boundaries.iter().map(|boundary| (found.scope, boundary)));
    let outcome = lived(with_boundaries(&settings(), boundaries), &[&pieces(2 * DAYS * DAY)]);
    let of = |nth: usize| {
        let counts = |found: &&Found| found.opened_by == signal(nth) && found.opened_at >= at(DAYS * DAY);
        outcome.found.iter().filter(counts).count()
    };
    std::array::from_fn(of)
}

#[test]
fn three_budgets_hold_on_the_four_weeks_after_those_they_were_calibrated_on() {
    let mut totals = [0; BUDGETS.len()];
    std::thread::scope(|scope| {
        let half = |half: u64| {
            scope.spawn(move || (0..SEEDS / 2).map(|nth| held_out(2 * nth + half)).collect::<Vec<_>>())
        };
        for half in [half(0), half(1)] {
            for seed in half.join().expect("a thread that ends") {
                totals.iter_mut().zip(seed).for_each(|(total, incidents)| *total += incidents);
            }
        }
    });
    println!("| budget | expected | in the range of | incidents held out |\n| --- | --- | --- | --- |");
    let mut is_held = true;
    for (budget, total) in BUDGETS.iter().zip(totals) {
        let expected = budget.parse::<Budget>().expect("a budget").per_day() * DAYS as f64 * SEEDS as f64;
        let (low, high) = poisson_interval(expected);
        println!("| {budget} | {expected} | {low} to {high} | {total} |");
        is_held &= (low as usize..=high as usize).contains(&total);
    }
    assert!(is_held, "see the table");
}

/// A fault of an hour in one series, after more than twice the budget has opened in its week.
#[test]
fn a_fault_opens_however_much_of_a_budget_is_burnt() {
    let mut series: Vec<_> = (0..BUDGETS.len()).map(|nth| noise(7, nth)).collect();
    let end = 30 * DAY;
    // A fault a day in another service each burns it; the last one is that of which the claim is.
    let first = 20 * DAY;
    for (nth, (_, values)) in series[0].iter_mut().enumerate() {
        let at = first + nth * DAY + 100;
        values[at..at + 12].iter_mut().for_each(|value| *value += 150.0);
    }
    let last = first + SERIES * DAY + 200;
    series[0][0].1[last..last + 12].iter_mut().for_each(|value| *value += 150.0);
    let pieces: Vec<_> = series.iter().enumerate().map(|(nth, series)| piece(nth, series, end)).collect();
    let outcome = lived(settings(), &[&pieces]);
    let since = |from: usize, to: usize| {
        let counts =
            |found: &&Found| found.opened_by == signal(0) && (at(from)..at(to)).contains(&found.opened_at);
        outcome.found.iter().filter(counts).count()
    };
    assert!(since(last - 7 * DAY, last) > 2, "the budget of two a month is burnt");
    assert_eq!(since(last, last + 12), 1, "the fault opens all the same");
}
