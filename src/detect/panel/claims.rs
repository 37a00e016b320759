//! What every panel promises, whichever detectors it has.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::detect::selection::{Detector, Detectors};

const STEP: Duration = Duration::from_secs(300);
const CUT: f64 = 3e-4;

/// Noise of mean 100 and deviation 1 with a far sample now and then, and a rest.
fn values(seed: u64) -> Vec<f64> {
    let mut mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut uniform = || {
        mixed = mixed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (mixed >> 11) as f64 / (1_u64 << 53) as f64
    };
    let noise: Vec<f64> = (0..700).map(|_| 100.0 + 3.5 * (uniform() - 0.5)).collect();
    let bend = |(nth, value): (usize, f64)| match nth {
        620.. => 101.0,
        _ if nth % 97 == 60 => value + 15.0,
        _ => value,
    };
    noise.into_iter().enumerate().map(bend).collect()
}

/// What a panel says of values that it all learns.
fn told(detector: Detectors, combine: Combine, cut: f64, values: &[f64]) -> Vec<Option<Judged>> {
    let settings = Settings { detector, combine, ..Settings::default() };
    let mut panel = Panel::new(&settings, STEP);
    panel.grow();
    let tell = |(nth, value): (usize, &f64)| {
        let at = Timestamp::from_millis(1_800_000_000_000 + nth as i64 * 300_000);
        let judged = panel.judge(0, (at, *value), cut, &settings);
        if judged.is_some() {
            panel.learn(0, *value);
        }
        judged
    };
    values.iter().enumerate().map(tell).collect()
}

fn score(judged: &Option<Judged>) -> f64 {
    judged.map_or(0.0, |judged| judged.verdict.score)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_is_the_strongest_of_its_detectors_and_all_no_stronger_than_the_weakest(
        seed in 0_u64..1000,
        picked in proptest::sample::subsequence(Detector::ALL.to_vec(), 2..=4),
    ) {
        let values = values(seed);
        let chosen = Detectors::of(picked.iter().copied()).unwrap();
        let any = told(chosen, Combine::Any, CUT, &values);
        let all = told(chosen, Combine::All, CUT, &values);
        let shares = picked.iter().filter(|detector| detector.shares_the_cut()).count().max(1);
        let alone = |cut: f64| -> Vec<Vec<Option<Judged>>> {
            picked.iter().map(|one| told((*one).into(), Combine::Any, cut, &values)).collect()
        };
        let (shared, whole) = (alone(CUT / shares as f64), alone(CUT));
        for nth in 0..values.len() {
            let strongest = shared.iter().map(|told| score(&told[nth])).fold(0.0, f64::max);
            prop_assert!((score(&any[nth]) - strongest).abs() < 1e-9, "{picked:?} at {nth}");
            for one in &whole {
                prop_assert!(score(&all[nth]) <= score(&one[nth]) + 1e-9, "{picked:?} at {nth}");
            }
            prop_assert!(all[nth].is_none() || whole.iter().all(|one| one[nth].is_some()));
        }
    }
}

#[test]
fn one_detector_alone_is_itself_by_either_rule() {
    let values = values(7);
    for detector in Detector::ALL {
        let [any, all] = Combine::ALL.map(|combine| told(detector.into(), combine, CUT, &values));
        assert_eq!(any, all, "{detector:?}");
    }
}

#[test]
fn a_smaller_probability_asks_for_more_of_every_detector_that_knows_one() {
    let values = values(3);
    // What a level shift learns depends on where its edge is, so its scores are no function of the boundary alone.
    for detector in Detector::ALL.into_iter().filter(|detector| *detector != Detector::Level) {
        let [often, rarely] = [1e-3, 1e-9].map(|cut| told(detector.into(), Combine::Any, cut, &values));
        let pairs = || often.iter().zip(&rarely).map(|(often, rarely)| (score(often), score(rarely)));
        assert!(pairs().all(|(often, rarely)| rarely <= often + 1e-12), "{detector:?}");
        let moves = pairs().any(|(often, rarely)| rarely < often);
        assert_eq!(moves, detector.shares_the_cut(), "{detector:?}");
    }
}

#[test]
fn no_deviation_below_the_least_one_is_outside() {
    for detector in Detector::ALL.into_iter().filter(|detector| *detector != Detector::Flatline) {
        let settings =
            Settings { detector: detector.into(), min_deviation_absolute: 20.0, ..Settings::default() };
        let mut panel = Panel::new(&settings, STEP);
        panel.grow();
        for (nth, value) in values(5).into_iter().enumerate() {
            let at = Timestamp::from_millis(1_800_000_000_000 + nth as i64 * 300_000);
            let judged = panel.judge(0, (at, value), CUT, &settings);
            assert!(judged.is_none_or(|judged| !judged.verdict.is_outside()), "{detector:?} at {nth}");
            if judged.is_some() {
                panel.learn(0, value);
            }
        }
    }
}
