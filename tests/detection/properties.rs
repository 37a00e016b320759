//! What holds for any series: stories of calm, spikes, levels, silences and ticks, told by seed.

use std::time::Duration;

use portent::detect::{Detect, Finding, Settings, What};
use portent::time::Timestamp;
use proptest::prelude::*;

use super::noise::Noise;
use super::trial::{NEVER_MUTED, STEP, Trial, batch_of, key, plan, signal};

/// Ten minutes instead of an hour, so that a short story has adoptions in it.
fn hasty() -> Settings {
    Settings { adopt_after: Duration::from_secs(600), ..Settings::classic() }
}

/// A series of `span` steps with everything in it that series do.
fn story(seed: u64, span: usize) -> Vec<Option<f64>> {
    let mut noise = Noise::new(seed);
    let (mut level, mut samples) = (100.0, Vec::new());
    while samples.len() < span {
        let length = 1 + noise.below(40) as usize;
        let (mut offset, mut spread, mut is_there) = (0.0, 5.0, true);
        match noise.below(8) {
            0 => offset = 60.0 + 1000.0 * noise.uniform(),
            1 => offset = -20.0 - 60.0 * noise.uniform(),
            2 => level *= 0.5 + noise.uniform(),
            3 => spread = 30.0,
            4 => is_there = noise.below(3) > 0,
            _ => {}
        }
        for _ in 0..length {
            samples.push(is_there.then(|| level + offset + spread * noise.gaussian()));
        }
    }
    samples.truncate(span);
    samples
}

const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// The samples that are there, with their times.
fn timed(samples: &[Option<f64>]) -> Vec<(Timestamp, f64)> {
    let at = |nth: usize| START.plus(STEP * nth as u32);
    samples.iter().enumerate().filter_map(|(nth, value)| Some((at(nth), (*value)?))).collect()
}

/// Feeds a series in chunks whose lengths repeat; the slot closes after each, or once at the end.
fn in_chunks(samples: &[(Timestamp, f64)], lengths: &[usize], closing: Closing) -> Vec<Finding> {
    let mut detect = Detect::new([(signal(), plan(hasty(), STEP))]);
    let (mut findings, mut at) = (Vec::new(), 0);
    for length in lengths.iter().cycle() {
        let chunk = &samples[at..(at + length).min(samples.len())];
        let Some((through, _)) = chunk.last() else { break };
        detect.judge(&batch_of(&key("a"), chunk.iter().copied()), NEVER_MUTED);
        if closing == Closing::AfterEach {
            findings.extend(detect.close(&signal(), *through, NEVER_MUTED));
        }
        at += chunk.len();
    }
    let through = samples.last().map_or(START, |(at, _)| *at);
    findings.extend(detect.close(&signal(), through, NEVER_MUTED));
    findings
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Closing {
    AfterEach,
    AtTheEnd,
}

/// Openings, recoveries and restarts: what a sample does, and not what a slot's end repeats.
fn turns(findings: Vec<Finding>) -> Vec<Finding> {
    let is_turn = |finding: &Finding| match &finding.what {
        What::Anomalous(anomaly) => anomaly.until == anomaly.detected_at,
        What::Recovered(_) | What::Restarted(_) => true,
        What::Lost { .. } | What::Returned => false,
    };
    let mut turns: Vec<Finding> = findings.into_iter().filter(is_turn).collect();
    turns.dedup();
    turns
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn how_samples_are_cut_into_answers_changes_no_finding(
        seed in any::<u64>(),
        lengths in prop::collection::vec(1_usize..60, 1..20),
    ) {
        let samples = timed(&story(seed, 800));
        let whole = in_chunks(&samples, &[usize::MAX / 2], Closing::AtTheEnd);
        prop_assert_eq!(&in_chunks(&samples, &lengths, Closing::AtTheEnd), &whole);
        let slots = turns(in_chunks(&samples, &lengths, Closing::AfterEach));
        prop_assert_eq!(slots, turns(whole));
    }

    #[test]
    fn an_answer_that_comes_twice_changes_no_finding(seed in any::<u64>(), overlap in 1_usize..40) {
        let samples = timed(&story(seed, 400));
        let (mut once, mut twice) = (detector(), detector());
        for (nth, chunk) in samples.chunks(20).enumerate() {
            let from = (nth * 20).saturating_sub(overlap);
            let through = chunk.last().map_or(START, |(at, _)| *at);
            once.judge(&batch_of(&key("a"), chunk.iter().copied()), NEVER_MUTED);
            let repeated = samples[from..nth * 20 + chunk.len()].iter().copied();
            twice.judge(&batch_of(&key("a"), repeated), NEVER_MUTED);
            prop_assert_eq!(
                once.close(&signal(), through, NEVER_MUTED),
                twice.close(&signal(), through, NEVER_MUTED)
            );
        }
    }

    /// Whatever is outside may as well be ten times as far outside: the baseline of every step is the same.
    #[test]
    fn how_far_outside_a_sample_is_teaches_the_baseline_nothing(seed in any::<u64>()) {
        let never_adopts = Settings { adopt_after: Duration::from_secs(1 << 40), ..Settings::classic() };
        let (mut near, mut far) = (Trial::new(never_adopts.clone()), Trial::new(never_adopts));
        for sample in story(seed, 500) {
            let expected = near.baseline().map(|(expected, _)| expected);
            near.feed(sample);
            let is_outside = sample.is_some()
                && near.view().signed_scores.last().is_some_and(|score| score.abs() > 1.0);
            let moved = match (sample, expected) {
                (Some(value), Some(expected)) if is_outside => Some(expected + 10.0 * (value - expected)),
                _ => sample,
            };
            far.feed(moved);
            prop_assert_eq!(near.baseline(), far.baseline());
        }
    }

    /// Without floors, verdicts do not depend on the unit or on where its zero is.
    #[test]
    fn shifting_and_scaling_a_series_keeps_its_verdicts(
        seed in any::<u64>(),
        exponent in -40_i32..40,
        flip in any::<bool>(),
        shift in -1e4_f64..1e4,
    ) {
        let bare = Settings {
            scale_floor_absolute: 0.0, scale_floor_relative: 0.0,
            min_deviation_absolute: 0.0, min_deviation_relative: 0.0,
            ..hasty()
        };
        let factor = if flip { -1.0 } else { 1.0 } * 2.0_f64.powi(exponent);
        let (mut plain, mut moved) = (Trial::new(bare.clone()), Trial::new(bare));
        for sample in story(seed, 500) {
            let verdict = plain.feed(sample);
            let mirrored = match (flip, verdict) {
                (true, '^') => 'v',
                (true, 'v') => '^',
                (_, verdict) => verdict,
            };
            prop_assert_eq!(moved.feed(sample.map(|value| factor * (value + shift))), mirrored);
        }
    }
}

fn detector() -> Detect {
    Detect::new([(signal(), plan(hasty(), STEP))])
}

/// A restart fills the state from history. The window forgets in 19 accepted samples, the memory of noise by 1/240 a
/// sample: after ten hours at 15 s what it was before weighs e^-10.
#[test]
fn a_restart_from_ten_hours_of_history_finds_the_same() {
    const HISTORY: usize = 2400;
    for seed in 0..40 {
        let mut samples: Vec<Option<f64>> = story(seed, 3000);
        samples.extend(noisy_with_faults(seed, HISTORY + 1000));
        let mut old = Trial::new(hasty());
        let restart_at = samples.len() - 1000;
        let mut young = None;
        for (nth, sample) in samples.iter().enumerate() {
            if nth == restart_at - HISTORY {
                young = Some(Trial { now: old.now, ..Trial::new(hasty()) });
            }
            let before = old.feed(*sample);
            let after = young.as_mut().map(|trial| trial.feed(*sample));
            if nth >= restart_at {
                assert_eq!(after, Some(before), "seed {seed}, step {nth}");
            }
        }
        let scale = |trial: &Trial| trial.baseline().expect("the baseline is full").1;
        let (old, young) = (scale(&old), scale(&young.expect("it was started")));
        assert!((old / young - 1.0).abs() < 1e-3, "seed {seed}: {old} and {young}");
    }
}

/// Stationary noise with a fault every 20 minutes.
fn noisy_with_faults(seed: u64, span: usize) -> Vec<Option<f64>> {
    let mut noise = Noise::new(seed ^ 0xfa17);
    let fault = |step: usize| if step % 80 >= 76 { 900.0 } else { 0.0 };
    (0..span).map(|step| Some(200.0 + fault(step) + 10.0 * noise.gaussian())).collect()
}
