//! What holds for any series, at any step: stories of waves, jobs, outages and gaps, told by seed.

use std::time::Duration;

use proptest::prelude::*;

use super::super::zone::{Turn, Zone};
use super::{Rung, SeasonSettings, Seasons};
use crate::time::Timestamp;

const DAY_MS: i64 = 86_400_000;
const START_MS: i64 = 1_800_000_000_000;

/// Clocks that go forth and back within the stories.
fn settings() -> SeasonSettings {
    let turn = |day: i64, hours: i64| Turn { from_ms: START_MS + day * DAY_MS, offset_ms: hours * 3_600_000 };
    SeasonSettings {
        zone: Zone::new("Some/Where", 3_600_000, [turn(9, 2), turn(17, 1)]),
        scale_floor_absolute: 0.0,
        scale_floor_relative: 0.0,
        ..SeasonSettings::default()
    }
}

fn seasons(step_s: u64) -> Seasons {
    let mut seasons = Seasons::new(&settings(), Duration::from_secs(step_s));
    seasons.grow();
    seasons
}

/// Whole numbers from 0 to 255 by a time and a seed.
fn noise(seed: u64, at_ms: i64) -> f64 {
    let mixed = (seed ^ at_ms.unsigned_abs()).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed >> 56) as f64
}

/// Three weeks of a wave, with a job, an outage, a step and a gap, at a step of half an hour.
fn story(seed: u64) -> Vec<(i64, f64)> {
    let step_ms = 1_800_000;
    let value = |at_ms: i64| {
        let (day, hour) = ((at_ms - START_MS) / DAY_MS, at_ms.rem_euclid(DAY_MS) / 3_600_000);
        let wave = 64.0 * (6 - (hour - 12).abs()) as f64;
        let job = if hour == 2 { 4096.0 } else { 0.0 };
        let outage = if day == 12 && hour < 6 { -2048.0 } else { 0.0 };
        let level = if day > 15 { 8192.0 } else { 1024.0 };
        level + wave + job + outage + noise(seed, at_ms)
    };
    let times = (0..21 * 48).map(|nth| START_MS + nth * step_ms);
    let is_there = |at_ms: &i64| !(500..530).contains(&((at_ms - START_MS) / step_ms));
    times.filter(is_there).map(|at_ms| (at_ms, value(at_ms))).collect()
}

/// The score of every sample before it was learnt, and the rung after the last.
fn scores(samples: &[(i64, f64)]) -> (Vec<Option<f64>>, Rung) {
    let mut seasons = seasons(1800);
    let mut scores = Vec::new();
    for (at_ms, value) in samples {
        scores.push(seasons.judge(0, *at_ms, *value).map(|opinion| opinion.score));
        seasons.learn(0, *at_ms, *value);
    }
    (scores, seasons.view(0).map(|view| view.rung).unwrap_or_default())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn the_unit_changes_no_score(seed in any::<u64>(), exponent in -20_i32..20, flip in any::<bool>()) {
        let samples = story(seed);
        let factor = if flip { -1.0 } else { 1.0 } * 2.0_f64.powi(exponent);
        let scaled: Vec<(i64, f64)> = samples.iter().map(|(at, value)| (*at, value * factor)).collect();
        let ((plain, rung), (moved, moved_rung)) = (scores(&samples), scores(&scaled));
        prop_assert_eq!(rung, moved_rung);
        for (plain, moved) in plain.iter().zip(&moved) {
            let (plain, moved) = (plain.unwrap_or(-1.0), moved.unwrap_or(-1.0));
            prop_assert!((plain - moved).abs() <= 1e-6 * plain.abs().max(1.0), "{} {}", plain, moved);
        }
    }

    #[test]
    fn where_zero_lies_changes_no_score(seed in any::<u64>(), shift in -1_000_000_i32..1_000_000) {
        let samples = story(seed);
        let shifted: Vec<(i64, f64)> =
            samples.iter().map(|(at, value)| (*at, value + f64::from(shift))).collect();
        let ((plain, rung), (moved, moved_rung)) = (scores(&samples), scores(&shifted));
        prop_assert_eq!(rung, moved_rung);
        for (plain, moved) in plain.iter().zip(&moved) {
            let (plain, moved) = (plain.unwrap_or(-1.0), moved.unwrap_or(-1.0));
            prop_assert!((plain - moved).abs() <= 1e-3 * plain.abs().max(1.0), "{} {}", plain, moved);
        }
    }

    #[test]
    fn what_comes_late_or_twice_changes_nothing(seed in any::<u64>(), back in 1_usize..200) {
        let samples = story(seed);
        let mut repeated = Vec::new();
        let mut seasons = [seasons(1800), seasons(1800)];
        for (nth, (at_ms, value)) in samples.iter().enumerate() {
            seasons[0].learn(0, *at_ms, *value);
            seasons[1].learn(0, *at_ms, *value);
            repeated.push((*at_ms, *value + 1e6));
            let (late_ms, late) = repeated[nth.saturating_sub(back)];
            seasons[1].learn(0, late_ms, late);
        }
        let at = Timestamp::from_millis(START_MS + 22 * DAY_MS);
        prop_assert_eq!(seasons[0].expect(0, at), seasons[1].expect(0, at));
        prop_assert_eq!(seasons[0].view(0), seasons[1].view(0));
    }

    #[test]
    fn nothing_finite_gives_a_figure_that_is_not(
        values in prop::collection::vec(prop_oneof![-1e150_f64..1e150, -1.0_f64..1.0, Just(0.0), Just(f64::NAN)], 1..400),
        step_s in prop_oneof![Just(1800_u64), Just(3600), Just(40_000), Just(1_000_000)],
        jump_steps in 0_i64..2000,
    ) {
        let mut seasons = seasons(step_s);
        let half = values.len() / 2;
        for (nth, value) in values.iter().enumerate() {
            let skipped = if nth > half { jump_steps } else { 0 };
            let at_ms = START_MS + (nth as i64 + skipped) * step_s as i64 * 1000;
            if let Some(opinion) = seasons.judge(0, at_ms, *value) {
                let figures = [opinion.expected, opinion.lower, opinion.upper, opinion.score, opinion.tail];
                prop_assert!(figures.iter().all(|figure| figure.is_finite()), "{:?}", opinion);
                prop_assert!(opinion.score >= 0.0);
            }
            let at = Timestamp::from_millis(at_ms);
            prop_assert!(seasons.adjustment(0, at, *value).is_finite() || value.is_nan());
            seasons.learn(0, at_ms, *value);
        }
    }
}

#[test]
fn the_story_has_a_season_in_it() {
    assert_eq!(scores(&story(1)[..6 * 48]).1, Rung::Day);
}

#[test]
fn a_row_that_was_forgotten_is_as_new_and_one_that_never_was_expects_nothing() {
    let mut seasons = seasons(1800);
    for (at_ms, value) in story(1) {
        seasons.learn(0, at_ms, value);
    }
    let at = Timestamp::from_millis(START_MS + 22 * DAY_MS);
    assert!(seasons.expect(0, at).is_some() && seasons.expect(1, at).is_none());
    let held = seasons.bytes();
    seasons.forget(0);
    assert!(seasons.expect(0, at).is_none() && seasons.bytes() < held);
    assert_eq!(seasons.seasonal_part(0, at).to_bits(), 0.0_f64.to_bits());
}

#[test]
fn times_at_the_end_of_all_time_are_times() {
    let mut seasons = seasons(15);
    for at_ms in [i64::MIN, i64::MIN + 1, -1, 0, i64::MAX - 1, i64::MAX] {
        let _ = seasons.learn(0, at_ms, 1.0);
        assert!(seasons.judge(0, at_ms, 1.0).is_none());
    }
}
