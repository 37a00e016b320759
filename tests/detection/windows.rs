//! Samples that look back over a gap: `rate(x[5m])` and its like dip or jump although nothing happened.

use std::time::Duration;

use portent::detect::{Detect, Finding, Settings, SignalPlan, What};
use portent::time::Timestamp;

use super::trial::{NEVER_MUTED, STEP, batch_of, key, plan, signal};

const STEP_S: i64 = 15;
/// Of a query with `[5m]`.
const WINDOW: Duration = Duration::from_secs(300);

fn at(step: i64) -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000 + step * STEP_S * 1000)
}

/// What a rate over five minutes shows at a step of a counter that grows by `speed` a step while it is scraped: the
/// increase within the window over the whole of the window.
fn rate(step: i64, scraped: impl Fn(i64) -> bool, speed: impl Fn(i64) -> f64) -> Option<f64> {
    let within = (step - 19..=step).filter(|n| scraped(*n));
    let (count, sum) = within.fold((0, 0.0), |(count, sum), n| (count + 1, sum + speed(n)));
    (count >= 2).then_some(sum / 20.0)
}

fn usual(step: i64) -> f64 {
    100.0 + (step * 7 % 5) as f64
}

/// Runs steps one by one and gives what was found.
fn run(
    window: Duration,
    until: i64,
    gap: Option<(i64, i64)>,
    value: impl Fn(i64) -> Option<f64>,
) -> Vec<Finding> {
    let plan = SignalPlan { window, ..plan(Settings::classic(), STEP) };
    let mut detect = Detect::new([(signal(), plan)]);
    let key = key("shop");
    let mut found = Vec::new();
    for step in 0..until {
        if let Some((from, to)) = gap.filter(|(from, _)| *from == step) {
            detect.gap(at(from), at(to));
        }
        detect.judge(&batch_of(&key, value(step).map(|value| (at(step), value))), NEVER_MUTED);
        found.extend(detect.close(&signal(), at(step), NEVER_MUTED));
    }
    found
}

fn openings(found: &[Finding]) -> Vec<Timestamp> {
    let mut onsets: Vec<Timestamp> = found
        .iter()
        .filter_map(|finding| match &finding.what {
            What::Anomalous(anomaly) => Some(anomaly.onset),
            What::Recovered(_) | What::Lost { .. } | What::Returned | What::Restarted(_) => None,
        })
        .collect();
    onsets.sort();
    onsets.dedup();
    onsets
}

/// The scrapes pause from step 60 on for ten minutes.
fn pause(step: i64) -> bool {
    !(60..100).contains(&step)
}

#[test]
fn a_rate_after_a_gap_is_no_anomaly() {
    let value = |step| rate(step, pause, usual).filter(|_| pause(step));
    assert_eq!(openings(&run(WINDOW, 160, None, value)), []);
    assert!(
        !openings(&run(Duration::ZERO, 160, None, value)).is_empty(),
        "without the window it would be one"
    );
}

#[test]
fn where_the_backend_tells_of_its_gap_the_decline_before_is_no_anomaly_either() {
    let value = |step| rate(step, pause, usual);
    assert_eq!(openings(&run(WINDOW, 160, Some((60, 99)), value)), []);
    assert!(!openings(&run(WINDOW, 160, None, value)).is_empty(), "untold, it looks like a decline");
}

#[test]
fn a_fault_that_is_there_after_a_gap_is_found_once_the_window_is_past() {
    let value = |step| {
        rate(step, pause, |n| if n >= 100 { 9.0 * usual(n) } else { usual(n) }).filter(|_| pause(step))
    };
    let onsets = openings(&run(WINDOW, 160, None, value));
    assert_eq!(onsets.len(), 1);
    let delay = onsets[0].since(at(100));
    assert!(delay <= WINDOW + 3 * STEP, "{delay:?}");
}

#[test]
fn a_crash_is_seen_before_the_series_vanishes() {
    let value = |step| match step {
        ..60 => Some(usual(step)),
        60..66 => Some(20.0 * usual(step)),
        _ => None,
    };
    let found = run(WINDOW, 120, None, value);
    assert_eq!(openings(&found), [at(60)]);
    assert!(found.iter().any(|finding| matches!(finding.what, What::Lost { .. })));
}

#[test]
fn a_run_goes_on_over_a_gap() {
    let value = |step| match step {
        ..60 => Some(usual(step)),
        70..80 => None,
        _ => Some(9.0 * usual(step)),
    };
    let found = run(WINDOW, 130, None, value);
    assert_eq!(openings(&found), [at(60)]);
    assert!(!found.iter().any(|finding| matches!(finding.what, What::Recovered(_))));
}

#[test]
fn unsettled_samples_are_kept_and_counted_and_do_not_teach() {
    let plan = SignalPlan { window: WINDOW, ..plan(Settings::classic(), STEP) };
    let mut detect = Detect::new([(signal(), plan)]);
    let key = key("shop");
    let value = |step: i64| if (44..64).contains(&step) { 900.0 } else { usual(step) };
    let samples = |steps: std::ops::Range<i64>| steps.map(|step| (at(step), value(step))).collect::<Vec<_>>();
    detect.judge(&batch_of(&key, samples(0..40)), NEVER_MUTED);
    let before = detect.of_signal(&signal())[0].expected;
    detect.judge(&batch_of(&key, samples(44..64)), NEVER_MUTED);
    let view = &detect.of_signal(&signal())[0];
    assert_eq!((view.expected, view.unsettled_until), (before, Some(at(64))));
    assert_eq!((view.recent.len(), view.anomaly), (60, None));
    assert_eq!(detect.tallies()[0].1.unsettled_total, 20);
}
