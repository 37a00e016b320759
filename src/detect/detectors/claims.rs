//! What every detector promises, whatever its formula.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::detect::Opinion;

const MINUTE: Duration = Duration::from_secs(60);
const NO_FLOORS: Floors = Floors { absolute: 0.0, relative: 0.0 };

impl dyn Single {
    /// Judges, and learns what is not outside.
    fn take(&mut self, row: usize, value: f64) -> Option<Opinion> {
        let opinion = self.judge(row, 0, value);
        if !opinion.is_some_and(|opinion| opinion.is_outside()) {
            self.learn(row, 0, value);
        }
        opinion
    }
}

type Named = (&'static str, Box<dyn Single>);

/// One of each with two rows. The range has no day to wait for.
fn all(step: Duration, sigma: f64, floors: Floors) -> Vec<Named> {
    let range = RangeSettings { sigma, floors, min_span: Duration::ZERO, ..RangeSettings::default() };
    let mut detectors: Vec<Named> = vec![
        ("ewma", Box::new(Ewma::new(&EwmaSettings { sigma, floors, ..EwmaSettings::default() }, step))),
        (
            "rolling z",
            Box::new(RollingZ::new(&RollingZSettings { sigma, floors, ..Default::default() }, step)),
        ),
        ("robust z", Box::new(RobustZ::new(&RobustZSettings { sigma, floors, ..Default::default() }, step))),
        ("range", Box::new(Range::new(&range, step))),
        ("level", Box::new(Level::new(&LevelSettings { sigma, floors, ..Default::default() }, step))),
        ("flatline", Box::new(Flatline::new(&FlatlineSettings { sigma, ..Default::default() }, step))),
    ];
    for (_, detector) in &mut detectors {
        detector.grow();
        detector.grow();
    }
    detectors
}

fn default_ones() -> Vec<Named> {
    all(MINUTE, 4.0, Floors::default())
}

/// All that know a value that is too large at once.
fn pointwise(detectors: Vec<Named>) -> impl Iterator<Item = Named> {
    detectors.into_iter().filter(|(name, _)| !["level", "flatline"].contains(name))
}

/// Gaussian noise of mean 0 and deviation 1.
fn noise(seed: u64) -> impl Iterator<Item = f64> {
    let mut mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut uniform = move || {
        mixed = mixed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((mixed >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    };
    std::iter::repeat_with(move || (-2.0 * uniform().ln()).sqrt() * (std::f64::consts::TAU * uniform()).cos())
}

// ---- Units and order ----------------------------------------------------------------------------------------

/// Noise with a far one now and then.
fn spiked(seed: u64, count: usize) -> Vec<f64> {
    let spike = |nth: usize| if nth % 97 == 60 { 9.0 } else { 0.0 };
    // In thousandths, so that no shift makes two of them equal that were not.
    let thousandths = |value: f64| (1000.0 * value).round() / 1000.0;
    noise(seed).take(count).enumerate().map(|(nth, value)| thousandths(value + spike(nth))).collect()
}

fn check_units(seed: u64, factor: f64, shift: f64) {
    let values = spiked(seed, 700);
    let pairs = all(MINUTE, 4.0, NO_FLOORS).into_iter().zip(all(MINUTE, 4.0, NO_FLOORS));
    for ((name, mut plain), (_, mut moved)) in pairs {
        for (nth, value) in values.iter().enumerate() {
            let (a, b) = (plain.judge(0, 0, *value), moved.judge(0, 0, value * factor + shift));
            // Both learn the same, so that a difference is one of this sample.
            if !a.is_some_and(|opinion| opinion.is_outside()) {
                plain.learn(0, 0, *value);
                moved.learn(0, 0, value * factor + shift);
            }
            let (Some(a), Some(b)) = (a, b) else {
                assert!(a.is_none() && b.is_none(), "{name} at {nth}: only one is warm");
                continue;
            };
            let near = (a.score - b.score).abs() <= 1e-5 * (1.0 + a.score);
            assert!(near && (a.score < 1e-5 || a.side == b.side), "{name} at {nth}: {a:?} {b:?}");
            assert!(a.is_outside() == b.is_outside() || (a.score - 1.0).abs() < 1e-5, "{name} at {nth}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn shifting_a_series_changes_no_verdict(seed in 0_u64..1000, shift in -1e9_f64..1e9) {
        check_units(seed, 1.0, shift);
    }

    #[test]
    fn scaling_a_series_changes_no_verdict(seed in 0_u64..1000, exponent in -9.0_f64..9.0) {
        check_units(seed, 10.0_f64.powf(exponent), 0.0);
    }

    #[test]
    fn nothing_finite_gives_a_figure_that_is_not(
        values in proptest::collection::vec(
            prop_oneof![
                Just(0.0), Just(-0.0), Just(f64::MAX), Just(f64::MIN), Just(f64::MIN_POSITIVE), Just(5e-324),
                Just(1e150), Just(-1e200), Just(1.0), -1e3_f64..1e3, -1e150_f64..1e150,
            ],
            1..400,
        ),
        learns_all in any::<bool>(),
    ) {
        for floors in [NO_FLOORS, Floors::default()] {
            for (name, mut detector) in all(Duration::from_secs(3600), 4.0, floors) {
                for value in &values {
                    let opinion = detector.take(0, *value);
                    if learns_all && opinion.is_some_and(|opinion| opinion.is_outside()) {
                        detector.learn(0, 0, *value);
                    }
                    let Some(found) = opinion else { continue };
                    let figures = [found.expected, found.lower, found.upper, found.score, found.tail];
                    prop_assert!(figures.iter().all(|figure| figure.is_finite()), "{}: {:?}", name, found);
                    prop_assert!(found.score >= 0.0 && (0.0..=1.0).contains(&found.tail), "{}: {:?}", name, found);
                }
            }
        }
    }
}

#[test]
fn a_sample_that_is_no_number_is_neither_judged_nor_learned() {
    for ((name, mut plain), (_, mut torn)) in default_ones().into_iter().zip(default_ones()) {
        for value in noise(3).take(400) {
            assert!(
                torn.judge(0, 0, f64::NAN).is_none() && torn.judge(0, 0, f64::INFINITY).is_none(),
                "{name}"
            );
            torn.learn(0, 0, f64::NAN);
            torn.learn(0, 0, f64::NEG_INFINITY);
            assert_eq!(plain.take(0, value), torn.take(0, value), "{name}");
        }
    }
}

#[test]
fn a_row_knows_nothing_of_another() {
    for ((name, mut alone), (_, mut beside)) in default_ones().into_iter().zip(default_ones()) {
        for (value, other) in noise(5).zip(noise(6)).take(900) {
            beside.take(1, 1e6 * other);
            assert_eq!(alone.take(0, value), beside.take(0, value), "{name}");
        }
    }
}

#[test]
fn a_forgotten_row_is_a_new_one() {
    for ((name, mut new), (_, mut used)) in default_ones().into_iter().zip(default_ones()) {
        noise(7)
            .take(777)
            .for_each(|value| assert!(used.take(0, 50.0 + value).is_none_or(|found| found.tail <= 1.0)));
        used.forget(0);
        for value in noise(8).take(600) {
            assert_eq!(new.take(0, value), used.take(0, value), "{name}");
        }
    }
}

#[test]
fn a_memory_made_of_values_is_as_if_it_had_learned_them() {
    let values: Vec<f64> = noise(9).take(700).collect();
    for ((name, mut learned), (_, mut rebased)) in default_ones().into_iter().zip(default_ones()) {
        noise(10).take(300).for_each(|value| rebased.learn(0, 0, 1e3 * value));
        rebased.rebase(0, &values);
        values.iter().for_each(|value| learned.learn(0, 0, *value));
        for value in noise(11).take(300) {
            match (learned.take(0, value), rebased.take(0, value)) {
                (Some(a), Some(b)) => assert!((a.score - b.score).abs() < 1e-9, "{name}: {a:?} {b:?}"),
                (a, b) => panic!("{name} is not warm: {a:?} {b:?}"),
            }
        }
    }
}

// ---- Spikes --------------------------------------------------------------------------------------------------

#[test]
fn a_spike_never_lowers_the_score_of_the_next_equal_one() {
    for seed in 0..10 {
        for size in [20.0, -20.0, 1e6] {
            for pause in [0, 1, 5, 40] {
                check_repeated_spike(seed, size, pause);
            }
        }
    }
}

fn check_repeated_spike(seed: u64, size: f64, pause: usize) {
    for ((name, mut without), (_, mut with)) in default_ones().into_iter().zip(default_ones()) {
        let mut values = noise(seed);
        for value in values.by_ref().take(500) {
            without.take(0, value);
            with.take(0, value);
        }
        with.take(0, size);
        for value in values.by_ref().take(pause) {
            without.take(0, value);
            with.take(0, value);
        }
        let (a, b) = (without.judge(0, 0, size), with.judge(0, 0, size));
        let (a, b) = (a.map_or(0.0, |found| found.score), b.map_or(0.0, |found| found.score));
        assert!(b >= a - 1e-9, "{name}, {size} after {pause}: {b}, and {a} the first time");
    }
}

#[test]
fn a_far_sample_is_outside_at_every_step_with_the_defaults() {
    for step in [15, 60, 300, 3600].map(Duration::from_secs) {
        for (name, mut detector) in pointwise(all(step, 4.0, Floors::default())) {
            noise(12).take(120).for_each(|value| detector.learn(0, 0, 100.0 + value));
            let opinion = detector.judge(0, 0, 130.0).expect("warm after 120 samples");
            assert!(opinion.is_outside() && opinion.tail < 1e-5, "{name} at {step:?}: {opinion:?}");
        }
    }
}

// ---- Flat and stepped series -----------------------------------------------------------------------------------

/// The score of a value after others, by each pointwise detector.
fn scores(before: &[f64], value: f64) -> Vec<(&'static str, f64)> {
    let score = |(name, mut detector): Named| {
        before.iter().for_each(|value| detector.learn(0, 0, *value));
        (name, detector.judge(0, 0, value).expect("warm").score)
    };
    pointwise(default_ones()).map(score).collect()
}

#[track_caller]
fn check(before: &[f64], value: f64, is_outside: bool) {
    for (name, score) in scores(before, value) {
        assert_eq!(score > 1.0, is_outside, "{name}: {score} for {value}");
    }
}

#[test]
fn a_constant_that_goes_on_is_inside() {
    for level in [0.0, 1e-300, 7.0, -1e9, 1e149] {
        for (name, score) in scores(&[level; 500], level) {
            assert!(score < 1e-3, "{name}: {score} at {level}");
        }
    }
}

#[test]
fn a_constant_that_ticks_within_the_floor_is_inside() {
    check(&[100.0; 500], 102.0, false);
}

#[test]
fn a_constant_that_jumps_is_outside() {
    check(&[100.0; 500], 150.0, true);
    check(&[0.0; 500], 1.0, true);
}

#[test]
fn a_tick_on_a_constant_that_came_before_is_inside() {
    let mut before = vec![0.0; 500];
    before[490] = 1.0;
    for (name, score) in scores(&before, 1.0) {
        // One of 240 is far out for whoever takes squares for the scale; the robust ones take the step as it is.
        assert!(score < 1.0 || ["ewma", "rolling z"].contains(&name), "{name}: {score}");
    }
}

#[test]
fn a_counter_of_small_numbers_does_as_it_did() {
    let before: Vec<f64> =
        (0..500).map(|nth| f64::from(u8::from(nth % 9 == 4)) + f64::from(u8::from(nth % 31 == 7))).collect();
    check(&before, 0.0, false);
    check(&before, 1.0, false);
    check(&before, 30.0, true);
}

#[test]
fn a_quantised_series_is_inside_a_step_further() {
    let before: Vec<f64> = noise(14).take(500).map(|value| (value * 0.8).round() * 0.5).collect();
    check(&before, 1.5, false);
    check(&before, -1.5, false);
    check(&before, 20.0, true);
}

// ---- Calibration -------------------------------------------------------------------------------------------------

/// How often samples of Gaussian noise have a tail below `below`, where series are as long as `length` and new each time.
fn share_below(which: usize, length: usize, below: f64) -> f64 {
    let (mut judged, mut found) = (0.0, 0.0);
    let mut values = noise(15);
    let mut detector = all(MINUTE, 3.0, NO_FLOORS).swap_remove(which).1;
    while judged < 150_000.0 {
        detector.forget(0);
        for value in values.by_ref().take(length) {
            if let Some(opinion) = detector.judge(0, 0, value) {
                judged += 1.0;
                found += f64::from(opinion.tail < below);
            }
            detector.learn(0, 0, value);
        }
    }
    found / judged
}

#[test]
fn tails_of_means_are_what_they_say_in_short_series_and_long_ones() {
    for which in [0, 1] {
        for length in [30, 60, 2000] {
            let share = share_below(which, length, 1e-3);
            // 150 are expected; four deviations of that are 49.
            assert!((share - 1e-3).abs() < 4e-4, "detector {which}, {length}: {share}");
        }
    }
}

#[test]
fn tails_of_medians_are_what_they_say_or_larger() {
    for length in [30, 60, 2000] {
        let share = share_below(2, length, 1e-3);
        assert!(share < 1.6e-3 && share > 2e-4, "{length}: {share}");
    }
}
