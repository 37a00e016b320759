//! What may be changed about a story without changing how it is judged: its unit, its cut into answers, the moment of a
//! restart; and that a spike does not hide the next.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use portent::detect::{Detect, Finding, Settings, What};
use portent::series::{Batch, SeriesKey};
use portent::time::Timestamp;
use proptest::prelude::*;

use super::naive;
use super::noise::Noise;
use super::shapes::{DAY, MINUTE, MONDAY, jittered, public_load, steady, time_of_day};
use super::trial::{NEVER_MUTED, Trial, labelled, plan, signal};

const FIVE_MINUTES: Duration = Duration::from_secs(300);

/// A fleet to which no series comes later: how many there are decides the boundaries of all, from the end of a slot on.
fn fleet_of_one_size(seed: u64) -> Vec<Vec<Option<f64>>> {
    let mut series = fleet(seed, MINUTE, 900);
    series.remove(7);
    series
}

/// A fleet with everything in it: waves, noise, faults of all sizes, a level that shifts, a series that ends and one that
/// begins. Values are multiples of a 1024th, so that shifting them by whole numbers loses nothing.
fn fleet(seed: u64, step: Duration, count: usize) -> Vec<Vec<Option<f64>>> {
    let mut dice = Noise::new(seed);
    let mut series: Vec<Vec<Option<f64>>> = (0..4)
        .map(|nth| {
            let load = |at| 100.0 * public_load(time_of_day(at));
            jittered(seed.wrapping_add(nth), (MONDAY, step), step * count as u32, load)
        })
        .chain((4..10).map(|nth| steady(seed.wrapping_add(nth), count, 100.0)))
        .collect();
    for (nth, samples) in series.iter_mut().enumerate() {
        for _ in 0..3 {
            let from = dice.below(count as u64) as usize;
            let (lasts, by) = (1 + dice.below(12) as usize, 4.0 + 40.0 * dice.uniform());
            for sample in samples.iter_mut().skip(from).take(lasts) {
                *sample = sample.map(|value| value + 5.0 * by);
            }
        }
        for (step, sample) in samples.iter_mut().enumerate() {
            let is_away = match nth {
                6 => step > count / 2,
                7 => step < count / 3,
                8 => step % 17 == 0,
                _ => false,
            };
            let shifted = if nth == 9 && step > count / 3 { 60.0 } else { 0.0 };
            *sample = sample.filter(|_| !is_away).map(|value| ((value + shifted) * 1024.0).round() / 1024.0);
        }
    }
    series
}

fn keys(count: usize) -> Vec<Arc<SeriesKey>> {
    (0..count).map(|nth| labelled(&signal(), &format!("s{nth}"), "only")).collect()
}

fn at(step: Duration, nth: usize) -> Timestamp {
    MONDAY.plus(step * nth as u32)
}

/// The samples of some series over some steps.
fn batch(
    keys: &[Arc<SeriesKey>],
    series: &[Vec<Option<f64>>],
    (step, steps): (Duration, std::ops::Range<usize>),
) -> Batch {
    let mut batch = Batch::new(signal());
    for (key, samples) in keys.iter().zip(series) {
        batch.begin_row(Arc::clone(key));
        for nth in steps.clone() {
            if let Some(Some(value)) = samples.get(nth) {
                batch.push(at(step, nth), *value);
            }
        }
    }
    batch
}

/// Every anomaly by series, onset and detection.
fn openings(findings: &[Finding]) -> BTreeSet<(String, Timestamp, Timestamp)> {
    let opened = findings.iter().filter_map(|finding| match &finding.what {
        What::Anomalous(anomaly) | What::Recovered(anomaly) => {
            Some((finding.key.service.as_str().to_owned(), anomaly.onset, anomaly.detected_at))
        }
        What::Lost { .. } | What::Returned | What::Restarted(_) => None,
    });
    opened.collect()
}

fn judged(settings: &Settings, step: Duration, series: &[Vec<Option<f64>>]) -> Vec<Finding> {
    let mut detect = Detect::new([(signal(), plan(settings.clone(), step))]);
    let keys = keys(series.len());
    let mut findings = Vec::new();
    for nth in 0..series.iter().map(Vec::len).max().unwrap_or_default() {
        detect.judge(&batch(&keys, series, (step, nth..nth + 1)), NEVER_MUTED);
        findings.extend(detect.close(&signal(), at(step, nth), NEVER_MUTED));
    }
    findings
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// Where nothing is relative to zero or in a unit, neither unit nor zero matters.
    #[test]
    fn a_fleet_in_another_unit_opens_the_same(
        seed in any::<u64>(),
        exponent in -20_i32..20,
        shift in -20_000_i32..20_000,
    ) {
        let bare = Settings {
            scale_floor_absolute: 0.0, scale_floor_relative: 0.0,
            min_deviation_absolute: 0.0, min_deviation_relative: 0.0,
            ..Settings::default()
        };
        let series = fleet(seed, FIVE_MINUTES, 1500);
        let factor = 2.0_f64.powi(exponent);
        let moved: Vec<Vec<Option<f64>>> = series
            .iter()
            .map(|samples| samples.iter().map(|v| v.map(|v| factor * (v + f64::from(shift)))).collect())
            .collect();
        let plain = openings(&judged(&bare, FIVE_MINUTES, &series));
        prop_assert!(!plain.is_empty());
        prop_assert_eq!(openings(&judged(&bare, FIVE_MINUTES, &moved)), plain);
    }

    /// An answer may hold one step or hours, one part of the series or all: between two closings of a slot the cut changes
    /// nothing.
    #[test]
    fn how_a_fleet_is_cut_into_answers_changes_no_finding(
        seed in any::<u64>(),
        per_slot in 1_usize..60,
        per_answer in 1_usize..20,
        per_part in 1_usize..10,
    ) {
        let series = fleet_of_one_size(seed);
        let keys = keys(series.len());
        let plan = || plan(Settings::default(), MINUTE);
        let (mut whole, mut cut) = (Detect::new([(signal(), plan())]), Detect::new([(signal(), plan())]));
        // The boundaries depend on how many series there are: the first slot, in which they warm up, tells.
        let slots = std::iter::once((0, 20)).chain((20..900).step_by(per_slot).map(|slot| (slot, slot + per_slot)));
        for (slot, end) in slots {
            let end = end.min(900);
            whole.judge(&batch(&keys, &series, (MINUTE, slot..end)), NEVER_MUTED);
            for first in (slot..end).step_by(per_answer) {
                let steps = first..(first + per_answer).min(end);
                for (keys, series) in keys.chunks(per_part).zip(series.chunks(per_part)) {
                    cut.judge(&batch(keys, series, (MINUTE, steps.clone())), NEVER_MUTED);
                }
            }
            prop_assert_eq!(
                cut.close(&signal(), at(MINUTE, end - 1), NEVER_MUTED),
                whole.close(&signal(), at(MINUTE, end - 1), NEVER_MUTED)
            );
        }
    }

    /// A slot may be a minute or hours: what opens does not depend on when anybody looked.
    #[test]
    fn how_often_slots_close_changes_no_opening(seed in any::<u64>(), per_slot in 2_usize..90) {
        let series = fleet_of_one_size(seed);
        let keys = keys(series.len());
        let mut rare = Detect::new([(signal(), plan(Settings::default(), MINUTE))]);
        let mut found = Vec::new();
        for slot in (0..900).step_by(per_slot) {
            let end = (slot + per_slot).min(900);
            rare.judge(&batch(&keys, &series, (MINUTE, slot..end)), NEVER_MUTED);
            found.extend(rare.close(&signal(), at(MINUTE, end - 1), NEVER_MUTED));
        }
        prop_assert_eq!(openings(&found), openings(&judged(&Settings::default(), MINUTE, &series)));
    }

    /// A restart that reads all of the history again goes on as if nothing had been.
    #[test]
    fn a_restart_from_the_whole_history_finds_the_same(seed in any::<u64>(), restart_at in 200_usize..800) {
        let series = fleet_of_one_size(seed);
        let keys = keys(series.len());
        let before: BTreeSet<_> = openings(&judged(&Settings::default(), MINUTE, &series));
        let mut young = Detect::new([(signal(), plan(Settings::default(), MINUTE))]);
        let muted = at(MINUTE, restart_at - 1);
        young.judge(&batch(&keys, &series, (MINUTE, 0..restart_at)), muted);
        prop_assert!(young.close(&signal(), muted, muted).is_empty());
        let mut found = Vec::new();
        for nth in restart_at..900 {
            young.judge(&batch(&keys, &series, (MINUTE, nth..nth + 1)), muted);
            found.extend(young.close(&signal(), at(MINUTE, nth), muted));
        }
        // What was open at the restart, and ended at once, is told of in neither.
        let after: BTreeSet<_> = before.into_iter().filter(|(_, _, opened)| *opened > muted).collect();
        let found: BTreeSet<_> = openings(&found).into_iter().filter(|(_, _, opened)| *opened > muted).collect();
        prop_assert_eq!(found, after);
    }
}

/// Three days of history at a minute, of six: what is older is forgotten, and the verdicts after it are the same.
#[test]
fn a_restart_from_three_days_of_history_opens_the_same() {
    const COUNT: usize = 6 * 1440;
    for seed in 0..3 {
        let series: Vec<Vec<Option<f64>>> = (0..6).map(|nth| with_faults(10 * seed + nth, COUNT)).collect();
        let (keys, restart_at) = (keys(6), 4 * 1440);
        let muted = at(MINUTE, restart_at - 1);
        let mut young = Detect::new([(signal(), plan(Settings::default(), MINUTE))]);
        young.judge(&batch(&keys, &series, (MINUTE, 1440..restart_at)), muted);
        let mut found = Vec::new();
        for nth in restart_at..COUNT {
            young.judge(&batch(&keys, &series, (MINUTE, nth..nth + 1)), muted);
            found.extend(young.close(&signal(), at(MINUTE, nth), muted));
        }
        let old = openings(&judged(&Settings::default(), MINUTE, &series));
        let after = |(_, _, opened): &(String, Timestamp, Timestamp)| *opened > muted.plus(DAY / 24);
        let expected: Vec<_> = old.into_iter().filter(after).collect();
        assert!(expected.len() >= 6 * 6, "seed {seed}: {}", expected.len());
        assert_eq!(openings(&found).into_iter().filter(after).collect::<Vec<_>>(), expected, "seed {seed}");
    }
}

/// Noise with a fault of eight samples each six hours, each larger than any before: else they would be usual after a day.
fn with_faults(seed: u64, count: usize) -> Vec<Option<f64>> {
    let mut samples = steady(seed, count, 100.0);
    for (step, sample) in samples.iter_mut().enumerate() {
        if step % 360 >= 352 {
            let height = 80.0 * 1.4_f64.powi((step / 360) as i32);
            *sample = sample.map(|value| value + height);
        }
    }
    samples
}

/// The score of the last sample of a series.
fn last_score(values: &[f64]) -> f64 {
    let mut trial = Trial::with_step(Settings::default(), MINUTE);
    trial.feed_all(values.iter().copied());
    *trial.view().signed_scores.last().expect("it is judged")
}

/// A spike of so many samples: one alone is nobody's business at a minute.
const SPIKE: usize = 3;

/// A spike after another, against the same spike after none. They begin `apart` samples apart.
fn next_spike(seed: u64, apart: usize, height: f64) -> (Vec<f64>, Vec<f64>) {
    let mut noise = Noise::new(seed);
    let mut alone: Vec<f64> = (0..600 + apart).map(|_| 100.0 + 5.0 * noise.gaussian()).collect();
    let last = alone.len();
    alone.extend([100.0 + 5.0 * height; SPIKE]);
    let mut after = alone.clone();
    after[last - apart..][..SPIKE].fill(100.0 + 5.0 * height);
    (after, alone)
}

/// The first spike stands in the place of three samples of noise, which would have been learned, and up to a dozen after it
/// teach no runs: that alone moves the score by a tenth.
const SAME: f64 = 0.85;

#[test]
fn a_spike_does_not_lower_the_score_of_the_next_at_any_distance() {
    for apart in SPIKE..=200 {
        for (height, sign) in [(10.0, 1.0), (10.0, -1.0), (40.0, 1.0), (1000.0, 1.0)] {
            let seed = apart as u64;
            let (after, alone) = next_spike(seed, apart, sign * height);
            let (after, alone) = (last_score(&after), last_score(&alone));
            assert!(
                after.abs() >= SAME * alone.abs() && alone * sign > 1.0,
                "{apart} samples apart, {height} high: {alone} alone, {after} after another"
            );
        }
    }
}

#[test]
fn for_the_naive_rule_a_spike_hides_the_next() {
    for apart in SPIKE..=19 {
        let (after, _) = next_spike(apart as u64, apart, 40.0);
        let last = after.len() - SPIKE;
        assert!(naive::z(&after[last - 19..last], after[last]) < 5.0, "{apart} samples apart");
    }
}
