//! Single samples and short runs: what is outside, and what that does to the baseline.

use portent::detect::{Settings, Sides};

use super::naive;
use super::trial::{Trial, check, parse};

/// Ten, plus and minus one: the band is 10 +- 3.1.
const CALM: &str = "10~1x40";

#[track_caller]
fn check_default(values: &str, expected: &str) {
    check(&Settings::classic(), &format!("{CALM} {values}"), &format!("lx19 .x21 {expected}"));
}

#[test]
fn a_single_spike_is_outside_and_opens_nothing() {
    check_default("90 10~1x4", "^ .x4");
    check_default("-90 10~1x4", "v .x4");
}

#[test]
fn a_spike_does_not_shift_the_baseline() {
    let mut trial = Trial::new(Settings::classic());
    trial.run(CALM);
    let before = (trial.view().expected, trial.view().scale);
    trial.run("9000x3");
    assert_eq!((trial.view().expected, trial.view().scale), before);

    // The naive rule's baseline holds the spike for the next 19 samples, and takes a second fault for normal.
    let two_faults = format!("{CALM} 90x3 10~1x8 20x3");
    assert!(naive::last_scores(&two_faults, 3).iter().all(|z| z.abs() < 3.0), "the naive rule is blind");
    check_default("90x3 10~1x8 20x3", "^O^ ...C .x4 ^O^");
}

#[test]
fn a_second_equal_spike_scores_no_lower_than_the_first() {
    let mut trial = Trial::new(Settings::classic());
    let values = format!("{CALM} 90 10~1x6 90");
    trial.run(&values);
    let scores = trial.view().signed_scores;
    let (first, second) = (scores[scores.len() - 8], scores[scores.len() - 1]);
    // The samples between are ordinary; they move the mean and the scale by a percent or so.
    assert!(second > 0.97 * first, "{first} then {second}");

    let naive = naive::last_scores(&values, 8);
    assert!(naive[7] < 0.1 * naive[0], "the naive rule: {} then {}", naive[0], naive[7]);
}

#[test]
fn three_samples_of_a_spike_are_each_outside() {
    check_default("90x3", "^O^");
    let naive = naive::last_scores(&format!("{CALM} 90x3"), 3);
    assert!(naive[0] > 3.0 && naive[2] < 3.0, "the naive rule takes the third for normal: {naive:?}");
}

#[test]
fn a_flat_zero_that_jumps_is_found() {
    check(&Settings::classic(), "0x40 0.5x3", "lx19 .x21 ^O^");
    assert_eq!(naive::last_scores("0x40 0.5", 1), [0.0], "the naive rule has no scale");
}

#[test]
fn a_constant_that_ticks_opens_nothing() {
    check(&Settings::classic(), "100x40 101 100x5 101x5 100x5", "lx19 .x37");
    // Beyond the floors a single tick is outside, and still no anomaly.
    check(&Settings::classic(), "100x40 150 100x9 150 100x3", "lx19 .x21 ^ .x9 ^ ...");
    let naive = naive::last_scores("100x40 101 100x5 101", 1);
    assert!(naive[0] > 3.0, "the naive rule flags the second tick: {naive:?}");
}

#[test]
fn a_constant_is_inside_its_band_without_any_floor() {
    let bare = Settings { scale_floor_relative: 0.0, scale_floor_absolute: 0.0, ..without_deviations() };
    let thirds = (0..300).map(|nth| f64::from(nth) / 3.0 * 10_f64.powi(nth % 17 - 8));
    for value in thirds.chain([0.0, 0.1, -7e8, 1e-200, 1e120]) {
        let outcome = Trial::new(bare.clone()).feed_all([value; 60]);
        assert!(!outcome.contains(['^', 'v', 'O']), "{value}: {outcome}");
    }
}

#[test]
fn sides_choose_which_deviations_open() {
    let sides = |sides| Settings { sides, ..Settings::classic() };
    let check = |settings, values: &str, expected: &str| {
        check(&settings, &format!("{CALM} {values}"), &format!("lx19 .x21 {expected}"));
    };
    check(sides(Sides::Both), "30x3 10~1x4 -30x3", "^O^ ...C vOv");
    check(sides(Sides::Up), "30x3 10~1x4 -30x3", "^O^ ...C vvv");
    check(sides(Sides::Down), "30x3 10~1x4 -30x3", "^^^ .... vOv");
    // An anomaly above does not go on below, where only above counts.
    check(sides(Sides::Up), "30x3 -30x4", "^O^ vvvC");
}

#[test]
fn least_deviations_widen_the_band() {
    let absolute = Settings { min_deviation_absolute: 6.0, ..Settings::classic() };
    check(&absolute, &format!("{CALM} 15 17 -17"), "lx19 .x21 .^v");
    let relative = Settings { min_deviation_relative: 0.8, ..Settings::classic() };
    check(&relative, &format!("{CALM} 17 20 -20"), "lx19 .x21 .^v");
    check(&without_deviations(), "100~0.1x40 100.3 105 120", "lx19 .x21 ..^");
}

#[test]
fn floors_hold_the_scale_up() {
    let absolute = Settings { scale_floor_absolute: 2.0, ..Settings::classic() };
    check(&absolute, &format!("{CALM} 15.5 17 3"), "lx19 .x21 .^v");
    let relative = Settings { scale_floor_relative: 0.2, ..Settings::classic() };
    check(&relative, &format!("{CALM} 15.5 17 3"), "lx19 .x21 .^v");
    check(&Settings::classic(), &format!("{CALM} 15.5"), "lx19 .x21 ^");
}

#[test]
fn a_low_traffic_series_with_stray_errors_opens_nothing() {
    // A few errors a minute among many minutes without: the band grows as wide as the strays.
    let stray = "0 0 0 2 0 0 0 0 1 0 0 3 0 0 0 0 0 2 0 0 1 0 0 0 0 2 0 0 0 0";
    let outcome = Trial::new(Settings::classic()).run(&[stray; 8].join(" "));
    assert!(!outcome.contains('O'), "{outcome}");
}

#[test]
fn the_naive_rule_flags_noise_all_day() {
    let mut noise = super::noise::Noise::new(1);
    let values: Vec<f64> = (0..40_000).map(|_| 100.0 + 5.0 * noise.gaussian()).collect();
    let naive = naive::flags(&values).iter().filter(|flag| **flag).count();
    let opened = Trial::new(Settings::classic()).feed_all(values).matches('O').count();
    println!("seed 1, 40,000 samples of Gaussian noise: the naive rule flags {naive}, ours opens {opened}");
    assert!(naive > 300 && opened == 0, "naive {naive}, ours {opened}");
}

fn without_deviations() -> Settings {
    Settings { min_deviation_relative: 0.0, ..Settings::classic() }
}

#[test]
fn the_notation_is_read_as_it_is_written() {
    assert_eq!(parse("1x2 _ 10~1x3"), [Some(1.0), Some(1.0), None, Some(9.0), Some(11.0), Some(9.0)]);
}
