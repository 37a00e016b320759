//! What lasts becomes normal after a documented time, and what only recurs does not lock a series out.

use std::time::Duration;

use portent::detect::{Restart, Settings, Sides, What};

use super::noise::Noise;
use super::trial::{STEP, Trial, check};

const HOUR: usize = 240;

/// The samples of `span`, each ten with unit noise through `shape` of (step, noise).
fn noisy(seed: u64, span: usize, shape: impl Fn(usize, f64) -> f64) -> Vec<f64> {
    let mut noise = Noise::new(seed);
    (0..span).map(|step| shape(step, noise.gaussian())).collect()
}

fn calm(seed: u64) -> Trial {
    let mut trial = Trial::new(Settings::classic());
    trial.feed_all(noisy(seed, 2 * HOUR, |_, noise| 100.0 + 5.0 * noise));
    trial
}

/// The share of samples outside their band.
fn outside(outcome: &str) -> f64 {
    outcome.matches(['^', 'v', 'O']).count() as f64 / outcome.len() as f64
}

#[test]
fn a_lasting_level_is_adopted_after_an_hour() {
    check(&Settings::classic(), "10~1x40 30~1x260", "lx19 .x21 ^O ^x238 A .x19");
    check(&Settings::classic(), "100~1x40 30~1x260", "lx19 .x21 vO vx238 A .x19");
}

#[test]
fn adoption_says_when_the_level_changed_and_from_what_to_what() {
    let mut trial = Trial::new(Settings::classic());
    trial.run("10~1x40");
    let left_at = trial.now.plus(STEP);
    trial.run("30~1x260");
    let restarts: Vec<_> = trial
        .findings
        .iter()
        .filter_map(|finding| match finding.what {
            What::Restarted(restart) => Some((finding.at, restart)),
            _ => None,
        })
        .collect();
    let [(at, Restart::Adopted { since, from, to })] = restarts[..] else { panic!("{restarts:?}") };
    assert_eq!((since, at), (left_at, left_at.plus(Duration::from_secs(3600))));
    assert!((9.9..10.1).contains(&from) && (29.9..30.1).contains(&to), "from {from} to {to}");
}

/// An hour is 240 samples of 15 s but one of an hour: the level has to last `adopt_after` and as many samples as the
/// baseline has.
#[test]
fn adoption_takes_time_and_points_both() {
    let values = "10~1x40 30~1x30";
    let step = |step_s, adopt_s| {
        let settings = Settings { adopt_after: Duration::from_secs(adopt_s), ..Settings::classic() };
        let outcome = Trial::with_step(settings, Duration::from_secs(step_s)).run(values);
        outcome.find('A').map(|place| place + 1 - 40)
    };
    assert_eq!(step(3600, 3600), Some(19), "an hourly series: 19 points");
    assert_eq!(step(300, 3600), Some(19), "five minutes: 90 minutes");
    assert_eq!(step(15, 60), Some(19), "an impatient setting: 19 points");
    assert_eq!(step(150, 3600), Some(25), "an hour at 150 s");
    assert_eq!(step(15, 3600), None, "30 samples are 7.5 minutes");
}

#[test]
fn a_level_that_visits_the_old_one_is_adopted_all_the_same() {
    for one_in in [10, 4, 3] {
        let mut trial = calm(1);
        let shifted = |step: usize, noise| if step % one_in == 2 { 100.0 } else { 300.0 } + 5.0 * noise;
        let outcome = trial.feed_all(noisy(2, 6 * HOUR, shifted));
        let adopted = outcome.find('A').expect("it is adopted");
        assert!((HOUR..HOUR + 2 * one_in).contains(&adopted), "one in {one_in}: after {adopted}");
        let after = &outcome[adopted + 1..];
        assert!(!after.contains(['O', 'A']), "one in {one_in}: {after}");
    }
}

#[test]
fn a_series_that_is_elsewhere_six_times_in_ten_is_not_anomalous_for_ever() {
    for seed in 0..20 {
        let mut trial = calm(seed);
        let mut coin = Noise::new(seed + 100);
        let values = noisy(seed + 200, 12 * HOUR, |_, noise| 100.0 + 5.0 * noise)
            .into_iter()
            .map(|value| value + if coin.uniform() < 0.6 { 200.0 } else { 0.0 });
        let outcome = trial.feed_all(values);
        assert!(!outcome[10 * HOUR..].contains(['O', '^', 'v']), "seed {seed}: {}", &outcome[10 * HOUR..]);
    }
}

#[test]
fn a_ramp_of_hours_does_not_lock_the_series_out() {
    for seed in 0..20 {
        let mut trial = calm(seed);
        // Five scales in ten minutes, for six hours, then flat.
        let ramp = |step: usize, noise| 100.0 + step.min(6 * HOUR) as f64 * 25.0 / 40.0 + 5.0 * noise;
        let outcome = trial.feed_all(noisy(seed + 50, 8 * HOUR, ramp));
        let by_hour: Vec<f64> =
            outcome.as_bytes().chunks(HOUR).map(|hour| outside(&String::from_utf8_lossy(hour))).collect();
        assert!(by_hour[2..].iter().all(|share| *share < 0.1), "seed {seed}: {by_hour:?}");
    }
}

#[test]
fn a_variance_that_grows_tenfold_does_not_lock_the_series_out() {
    for (factor, seeds) in [(3.0, 0..10), (10.0, 10..20), (30.0, 20..30)] {
        for seed in seeds {
            let mut trial = calm(seed);
            let wild = |_, noise| 100.0 + 5.0 * factor * noise;
            let outcome = trial.feed_all(noisy(seed + 50, 8 * HOUR, wild));
            let last = &outcome[6 * HOUR..];
            assert!(outside(last) < 0.02 && !last.contains('O'), "x{factor}, seed {seed}: {last}");
        }
    }
}

/// The band is left for most of an hour, but the hour ends at the old level: nothing new is there to adopt.
#[test]
fn a_long_fault_that_ended_is_not_adopted() {
    check(&Settings::classic(), "10~1x40 30~1x200 10~1x260", "lx19 .x21 ^O ^x198 ...C .x256");
    check(&Settings::classic(), "10~1x40 30~1x236 10~1x260", "lx19 .x21 ^O ^x234 ...C .x256");
}

/// What was outside the old band says nothing about the new one.
#[test]
fn what_led_to_adoption_is_no_evidence_against_the_new_level() {
    check(&Settings::classic(), "10~1x40 30~1x241 35 30~1x4", "lx19 .x21 ^O ^x238 A ^ .x4");
}

#[test]
fn a_fall_that_does_not_count_teaches_nothing_until_it_is_adopted() {
    let up = Settings { sides: Sides::Up, ..Settings::classic() };
    let mut trial = Trial::new(up);
    trial.run("10~1x40");
    let before = (trial.view().expected, trial.view().scale);
    let outcome = trial.run("2~0.5x240");
    assert_eq!(outcome, "v".repeat(240));
    assert_eq!((trial.view().expected, trial.view().scale), before);
    assert_eq!(trial.run("2~0.5x3"), "A..");
    // From the new level, what was normal is a rise.
    assert_eq!(trial.run("10~1x3"), "^O^");
}

/// The first window is taken as it comes. A fault in it blinds the detector until it has left, and no longer.
#[test]
fn a_fault_in_the_warm_up_blinds_for_one_window_only() {
    check(&Settings::classic(), "10~1x8 180x3 10~1x8 10~1x19 20x3", "lx19 .x19 ^O^");
    check(&Settings::classic(), "10~1x8 180x3 10~1x8 10~1x200 20x3", "lx19 .x200 ^O^");
}

#[test]
fn samples_inside_the_band_after_a_fault_are_learned() {
    let mut trial = calm(3);
    trial.run("900x30");
    let before = trial.view().expected.expect("the baseline is full");
    // The fault has ended, and the level is a scale higher than before it.
    trial.feed_all(noisy(4, 40, |_, noise| 105.0 + 5.0 * noise));
    let after = trial.view().expected.expect("the baseline is full");
    assert!(
        (before - 100.0).abs() < 4.0 && (after - 105.0).abs() < 4.0 && after > before,
        "{before} {after}"
    );
    assert!(trial.view().anomaly.is_none());
}
