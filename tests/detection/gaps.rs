//! Samples that are missing, late, double or no numbers, and series that come and go.

use std::time::Duration;

use portent::detect::{Detect, FORGET_AFTER, Missing, Restart, Settings, SignalPlan, What};
use portent::series::Batch;
use portent::time::Timestamp;

use super::naive;
use super::trial::{NEVER_MUTED, STEP, Trial, batch_of, check, key, plan, signal};

#[track_caller]
fn check_default(values: &str, expected: &str) {
    check(&Settings::classic(), values, expected);
}

#[test]
fn a_missing_sample_is_neither_a_zero_nor_a_recovery() {
    check_default("10~1x40 _ 10~1x4", "lx19 .x21 _ .x4");
    // The anomaly is open until samples say otherwise.
    let mut trial = Trial::new(Settings::classic());
    assert!(trial.run("10~1x40 20x3 _x15").ends_with("^O^_______________"));
    assert!(trial.view().anomaly.is_some());
    let filled_with_zero = naive::last_scores("10~1x40 0", 1);
    assert!(filled_with_zero[0] < -3.0, "a zero for a gap would be a dip: {filled_with_zero:?}");
}

#[test]
fn a_series_that_stops_is_lost_after_five_minutes() {
    check_default("10~1x40 _x25 10~1x3", "lx19 .x21 _x19 Lx6 R..");
    let patient =
        Settings { missing: Missing::Alert { after: Duration::from_secs(600) }, ..Settings::classic() };
    check(&patient, "10~1x40 _x45", "lx19 .x21 _x39 Lx6");
    // An hourly series is not lost between two of its samples.
    let outcome = Trial::with_step(Settings::classic(), Duration::from_secs(3600)).run("10~1x40 _ _ _");
    assert!(outcome.ends_with("._LL"), "{outcome}");
}

#[test]
fn a_series_that_was_never_established_is_not_missed() {
    check_default("10~1x18 _x100", "lx18 _x100");
}

#[test]
fn a_series_may_come_and_go_where_the_settings_say_so() {
    let ignore = Settings { missing: Missing::Ignore, ..Settings::classic() };
    check(&ignore, "10~1x40 _x100 10~1x2", "lx19 .x21 _x100 ..");
}

#[test]
fn a_long_gap_restarts_the_baseline() {
    let shortest = "10~1x40 _x240 50~1x22";
    check_default(shortest, "lx19 .x21 _x19 Lx221 G lx18 ...");
    // A step less, and the old baseline holds.
    check_default("10~1x40 _x239 50~1x3", "lx19 .x21 _x19 Lx220 R O ^");
    // Of an hourly series an hour is no gap: nineteen are.
    let hourly = |values| Trial::with_step(Settings::classic(), Duration::from_secs(3600)).run(values);
    assert!(hourly("10~1x40 _x18 10").ends_with('R'));
    assert!(hourly("10~1x40 _x19 10").ends_with('G'));
}

#[test]
fn a_restart_tells_how_long_the_gap_was() {
    let mut trial = Trial::new(Settings::classic());
    trial.run("10~1x40 20x3 _x300 10");
    let restart = trial.findings.iter().rev().find_map(|finding| match finding.what {
        What::Restarted(restart) => Some(restart),
        _ => None,
    });
    assert_eq!(restart, Some(Restart::Gap { lasted: STEP * 301 }));
    assert!(trial.view().anomaly.is_none(), "the anomaly was of the old baseline");
}

#[test]
fn late_and_double_samples_change_nothing() {
    let mut trial = Trial::new(Settings::classic());
    trial.run("10~1x40 20x3");
    let before = format!("{:?}", trial.view());
    let back = |steps: u32| trial.now.minus(STEP * steps);
    let again = batch_of(&key("a"), [(back(5), 900.0), (back(1), 900.0), (back(0), 900.0)]);
    trial.detect.judge(&again, NEVER_MUTED);
    assert_eq!(format!("{:?}", trial.view()), before);
    assert_eq!((trial.tally().repeated_total, trial.tally().judged_total), (3, 43));
}

#[test]
fn what_is_no_number_never_enters() {
    let mut trial = Trial::new(Settings::classic());
    trial.run("10~1x40");
    let before = format!("{:?}", trial.view());
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX] {
        let batch = batch_of(&key("a"), [(trial.now.plus(STEP), value)]);
        assert_eq!(batch.sample_count(), 0);
        trial.detect.judge(&batch, NEVER_MUTED);
    }
    assert_eq!(format!("{:?}", trial.view()), before);
    // The naive rule is blind for as long as it remembers a NaN.
    let mut window = [10.0; 19];
    window[18] = f64::NAN;
    assert!(naive::z(&window, 1e9).abs() < 3.0);
}

#[test]
fn a_series_is_forgotten_after_a_day() {
    let mut trial = Trial::new(Settings::classic());
    trial.run("10~1x40 20x3");
    let last = trial.now;
    let close = |trial: &mut Trial, at: Timestamp| trial.detect.close(&signal(), at, NEVER_MUTED);
    assert!(!close(&mut trial, last.plus(FORGET_AFTER)).is_empty(), "lost, and known for a day");
    assert!(close(&mut trial, last.plus(FORGET_AFTER).plus(STEP)).is_empty(), "forgotten");
    assert_eq!((trial.tally().series, trial.tally().evicted_total), (0, 1));
    trial.now = last.plus(FORGET_AFTER).plus(STEP);
    assert_eq!(trial.run("10~1x20"), "l".repeat(19) + ".", "it begins anew, with nothing of before");
}

#[test]
fn a_series_with_a_step_of_a_day_is_not_forgotten_between_its_samples() {
    let mut trial = Trial::with_step(Settings::classic(), Duration::from_secs(86_400));
    let outcome = trial.run("10~1x40");
    let later = trial.now.plus(Duration::from_secs(86_400 + 60));
    trial.detect.close(&signal(), later, NEVER_MUTED);
    assert!(outcome.ends_with('.') && trial.tally().series == 1, "{outcome}");
}

#[test]
fn series_beyond_the_limit_are_counted_and_left_out() {
    let limited = SignalPlan { series_limit: 2, ..plan(Settings::classic(), STEP) };
    let mut detect = Detect::new([(signal(), limited)]);
    let at = |steps: u32| Timestamp::from_millis(1_800_000_000_000).plus(STEP * steps);
    for step in 0..3 {
        let mut batch = Batch::new(signal());
        for service in ["a", "b", "c", "d"] {
            batch.begin_row(key(service));
            batch.push(at(step), 1.0);
        }
        detect.judge(&batch, NEVER_MUTED);
        detect.close(&signal(), at(step), NEVER_MUTED);
    }
    let tally = detect.tallies()[0].1;
    assert_eq!((tally.series, tally.untracked_total, tally.judged_total), (2, 6, 6));
    assert!(detect.state_of(&key("c")).is_none());

    // A place that becomes free is taken by the next, which inherits nothing.
    let later = at(0).plus(FORGET_AFTER * 2);
    detect.judge(&batch_of(&key("a"), [(later, 1.0)]), NEVER_MUTED);
    detect.close(&signal(), later, NEVER_MUTED);
    detect.judge(&batch_of(&key("c"), [(later, 7.0)]), NEVER_MUTED);
    let view = detect.of_signal(&signal()).into_iter().find(|view| view.key.hash == key("c").hash);
    assert_eq!(view.expect("it is tracked").recent, [(later, 7.0)]);
}

#[test]
fn a_muted_sample_teaches_and_says_nothing() {
    let mut trial = Trial::new(Settings::classic());
    trial.run("10~1x40");
    let muted_until = trial.now.plus(STEP * 2);
    for nth in 1..=3 {
        let at = trial.now.plus(STEP * nth);
        trial.detect.judge(&batch_of(&key("a"), [(at, 20.0)]), muted_until);
        let found = trial.detect.close(&signal(), at, muted_until);
        // It opened at the second sample, which is muted; at the third it goes on.
        assert_eq!(found.len(), usize::from(nth == 3), "{found:?}");
    }
}
