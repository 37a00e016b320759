//! Samples that are wrong, missing, late or dated wrongly: counter resets, `NaN`, staleness markers, a skewed clock.

use std::time::Duration;

use portent::detect::{Detect, Settings, What};
use portent::time::Timestamp;

use super::fixture::{Fault, Samples, Story, at_least, check};
use super::naive;
use super::noise::Noise;
use super::shapes::{DAY, HOUR, MINUTE, MONDAY, steady, steps};
use super::trial::{NEVER_MUTED, STEP, batch_of, labelled, plan, signal};

/// What Prometheus writes where a series ends: a `NaN` with bits of its own.
const STALE: f64 = f64::from_bits(0x7ff0_0000_0000_0002);

/// The rate of a counter without regard for its resets, at 50 a second: where the process restarts, one sample is as far
/// below zero as the counter was high, or, where the counter is taken to have wrapped, as far above; where regard is
/// paid but the first increase is lost, it is near zero. Ten samples later a fault of ten times the noise begins.
fn counter_resets(step: Duration) -> Story {
    const SERIES: usize = 12;
    let count = steps(DAY, step);
    let mut series: Vec<Samples> = (0..SERIES as u64).map(|nth| steady(700 + nth, count, 50.0)).collect();
    let at = |nth: usize| steps(HOUR * 12 + MINUTE * 20 * nth as u32, step);
    for (nth, samples) in series.iter_mut().enumerate() {
        let counted = 50.0 * 43_200.0;
        let distorted = [-counted / step.as_secs_f64(), 2.0, 2.0_f64.powi(64) / step.as_secs_f64()];
        samples[at(nth)] = Some(distorted[nth % 3]);
    }
    let mut story = Story::new("counter reset", step, series).calm_from(Duration::ZERO, 0);
    for nth in 0..SERIES {
        let from = step * (at(nth) + 10) as u32;
        let fault = Fault { series: nth, from, lasts: at_least(4, MINUTE * 3, step) };
        story = story.fault(fault, |value| value + 25.0);
    }
    story
}

pub(crate) fn resets() -> Vec<Story> {
    vec![counter_resets(STEP), counter_resets(MINUTE)]
}

/// A tenth of the samples are `0/0`, and each two hours the series is stale for two minutes or samples. A fault of ten
/// times the noise and eight samples is found between them.
fn full_of_nan(step: Duration, no_value: Option<f64>) -> Story {
    const SERIES: usize = 6;
    let count = steps(DAY, step);
    let stale = steps(at_least(2, MINUTE * 2, step), step);
    let mut story = Story::new(
        "NaN and stale",
        step,
        (0..SERIES as u64).map(|nth| steady(710 + nth, count, 100.0)).collect(),
    )
    .calm_from(Duration::ZERO, 0);
    for nth in 0..SERIES {
        let from = HOUR * 13 + HOUR * nth as u32 + MINUTE * 7;
        story = story.fault(Fault { series: nth, from, lasts: step * 8 }, |value| value + 50.0);
    }
    let mut dice = Noise::new(719);
    for samples in &mut story.series {
        for (at, sample) in samples.iter_mut().enumerate() {
            if at % steps(HOUR * 2, step) < stale {
                *sample = no_value.map(|_| STALE);
            } else if dice.below(10) == 0 {
                *sample = no_value;
            }
        }
    }
    story
}

pub(crate) fn nans() -> Vec<Story> {
    [STEP, MINUTE].into_iter().map(|step| full_of_nan(step, Some(f64::NAN))).collect()
}

/// The clock of the backend is ahead or behind, by less than what makes a series lost. Nothing opens, faults are found.
fn skewed(minutes: i64) -> Story {
    const SERIES: usize = 4;
    let name = format!("clock {} min {}", minutes.abs(), if minutes < 0 { "behind" } else { "ahead" });
    let series = (0..SERIES as u64).map(|nth| steady(720 + nth, steps(DAY, STEP), 100.0)).collect();
    let mut story = Story::new(&name, STEP, series).calm_from(Duration::ZERO, 0);
    story.skew_ms = minutes * 60_000;
    for nth in 0..SERIES {
        let from = HOUR * 18 + HOUR * nth as u32;
        story = story.fault(Fault { series: nth, from, lasts: MINUTE * 3 }, |value| value + 50.0);
    }
    story
}

pub(crate) fn skews() -> Vec<Story> {
    [-3, -1, 1, 3].into_iter().map(skewed).collect()
}

#[test]
fn a_counter_reset_opens_nothing_and_hides_no_fault() {
    check(&resets());
}

#[test]
fn nan_and_staleness_markers_open_nothing_and_hide_no_fault() {
    check(&nans());
}

#[test]
fn nan_and_staleness_markers_are_the_same_as_no_sample() {
    for step in [STEP, MINUTE] {
        let (marked, absent) = (full_of_nan(step, Some(f64::NAN)), full_of_nan(step, None));
        assert_eq!(marked.told().findings, absent.told().findings);
    }
}

#[test]
fn a_skewed_clock_of_the_backend_opens_nothing_and_hides_no_fault() {
    check(&skews());
    for story in skews() {
        let is_loss = |finding: &portent::detect::Finding| matches!(finding.what, What::Lost { .. });
        assert!(!story.told().findings.iter().any(is_loss), "{}", story.name);
    }
}

/// A clock that is the same everywhere may as well be an hour, a day or a year off.
#[test]
fn a_clock_that_is_off_by_weeks_finds_the_same() {
    let here = skewed(0);
    let there = Story { start: MONDAY.minus(DAY * 7 * 52), ..here.clone() };
    assert_eq!(here.told().openings, there.told().openings);
}

/// The backend's clock is set forward or back by two minutes: steps are missing, or come a second time with other values.
#[test]
fn a_clock_that_is_set_opens_nothing_and_hides_no_fault() {
    let here = skewed(0);
    for set_by in [-8_i64, 8] {
        let mut detect = Detect::new([(signal(), plan(Settings::default(), STEP))]);
        let key = labelled(&signal(), "s0", "only");
        let set_at = steps(HOUR * 12, STEP) as i64;
        let (mut opened, mut lost) = (std::collections::BTreeSet::new(), 0);
        for (nth, sample) in here.series[0].iter().enumerate() {
            let through = MONDAY.plus(STEP * nth as u32);
            let shown = nth as i64 + if nth as i64 >= set_at { set_by } else { 0 };
            let at = MONDAY.plus(STEP * shown as u32);
            detect.judge(&batch_of(&key, sample.map(|value| (at, value))), NEVER_MUTED);
            for finding in detect.close(&signal(), through, NEVER_MUTED) {
                match finding.what {
                    What::Anomalous(anomaly) => {
                        opened.insert(anomaly.detected_at.since(MONDAY));
                    }
                    What::Lost { .. } => lost += 1,
                    What::Recovered(_) | What::Returned | What::Restarted(_) => {}
                }
            }
        }
        let from = here.faults[0].from;
        let is_of_the_fault = |at: &Duration| (from - MINUTE * 2..from + MINUTE * 5).contains(at);
        let all: Vec<_> = opened.into_iter().collect();
        assert!(
            lost == 0 && all.len() == 1 && all.iter().all(is_of_the_fault),
            "by {set_by}: {lost}, {all:?}"
        );
    }
}

/// How a fleet's samples reach the detector.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Delivery {
    InTime,
    /// The last series comes so many polls after the others.
    OneSeriesLate(usize),
    /// Every tenth sample is lost; that is how the next is judged.
    Lost,
    /// Every tenth sample comes a poll after its successors: too late to be judged.
    OutOfOrder,
}

fn delivered(delivery: Delivery) -> Vec<(String, Timestamp, Timestamp)> {
    const SERIES: usize = 4;
    let mut story = skewed(0);
    for samples in &mut story.series {
        samples.truncate(steps(HOUR * 23, STEP));
    }
    let keys: Vec<_> = (0..SERIES).map(|nth| labelled(&signal(), &format!("s{nth}"), "only")).collect();
    let mut detect = Detect::new([(signal(), plan(Settings::default(), STEP))]);
    let at = |step: usize| MONDAY.plus(STEP * step as u32);
    let mut opened = std::collections::BTreeSet::new();
    // One more poll for each that a series is late.
    for poll in 0..steps(HOUR * 23, MINUTE) + 8 {
        for (nth, key) in keys.iter().enumerate() {
            let samples = &story.series[nth];
            let late = match delivery {
                Delivery::OneSeriesLate(polls) if nth == SERIES - 1 => polls,
                _ => 0,
            };
            let Some(poll) = poll.checked_sub(late) else { continue };
            let is_held_back =
                |step: usize| matches!(delivery, Delivery::Lost | Delivery::OutOfOrder) && step % 10 == 4;
            let taken = |range: std::ops::Range<usize>, held_back: bool| {
                let steps =
                    range.filter(move |step| *step < samples.len() && is_held_back(*step) == held_back);
                steps.filter_map(|step| Some((at(step), samples[step]?))).collect::<Vec<_>>()
            };
            detect.judge(&batch_of(key, taken(4 * poll..4 * poll + 4, false)), NEVER_MUTED);
            if delivery == Delivery::OutOfOrder && poll > 0 {
                detect.judge(&batch_of(key, taken(4 * poll - 4..4 * poll, true)), NEVER_MUTED);
            }
        }
        for finding in detect.close(&signal(), at(4 * poll + 3), NEVER_MUTED) {
            if let What::Anomalous(anomaly) | What::Recovered(anomaly) = finding.what {
                opened.insert((finding.key.service.as_str().to_owned(), anomaly.onset, anomaly.detected_at));
            }
        }
    }
    opened.into_iter().collect()
}

#[test]
fn a_series_that_comes_later_than_the_rest_has_the_same_verdicts() {
    let in_time = delivered(Delivery::InTime);
    assert_eq!(in_time.len(), 4, "a fault a series: {in_time:?}");
    for polls in [1, 2, 4] {
        assert_eq!(delivered(Delivery::OneSeriesLate(polls)), in_time, "{polls} polls late");
    }
}

#[test]
fn a_sample_out_of_order_is_as_good_as_lost() {
    let lost = delivered(Delivery::Lost);
    assert_eq!(lost.len(), 4, "a fault a series: {lost:?}");
    assert_eq!(delivered(Delivery::OutOfOrder), lost);
    // The naive rule takes samples in the order in which they come, and its verdicts are others.
    let values: Vec<f64> = skewed(0).series[0].iter().flatten().copied().collect();
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by_key(|step| (step / 4 + usize::from(step % 10 == 4), step % 10 == 4, *step));
    let arrived: Vec<f64> = order.iter().map(|step| values[*step]).collect();
    let (in_time, as_it_came) = (naive::flags(&values), naive::flags(&arrived));
    assert!(order.iter().zip(&as_it_came).any(|(step, flag)| in_time[*step] != *flag));
}
