//! Levels that stay, levels that creep, levels that come and go, and constants that tick.

use std::time::Duration;

use portent::detect::{Restart, Settings, What};

use super::fixture::{Fault, Rule, Samples, Story, at_least, check, service_of};
use super::noise::Noise;
use super::shapes::{DAY, HOUR, MINUTE, steady, steps};
use super::trial::STEP;

const FIVE_MINUTES: Duration = Duration::from_secs(300);
const STEPS: [Duration; 4] = [STEP, MINUTE, FIVE_MINUTES, HOUR];

/// Constants, with the rounding of a sum of floats, that tick once: by one per cent and back, by one per cent for good,
/// from three replicas to four and back, from zero to one and back. None is an anomaly. A constant that rises by half and
/// stays there for ten samples is.
fn constants(step: Duration) -> Story {
    let ticking = |level: f64, ticked: f64, lasts: usize| -> Samples {
        let mut noise = Noise::new(600);
        let value = |nth| if (200..200 + lasts).contains(&nth) { ticked } else { level };
        (0..400).map(|nth| Some(value(nth) + 1e-9 * level * noise.gaussian())).collect()
    };
    let series = vec![
        ticking(100.0, 101.0, 1),
        ticking(100.0, 101.0, 200),
        ticking(3.0, 4.0, 1),
        ticking(0.0, 1.0, 1),
        ticking(100.0, 100.0, 0),
    ];
    Story::new("constant that ticks once", step, series)
        .calm_from(Duration::ZERO, 0)
        .fault(Fault { series: 4, from: step * 300, lasts: step * 10 }, |value| 1.5 * value)
}

pub(crate) fn ticking_constants() -> Vec<Story> {
    STEPS.into_iter().map(constants).collect()
}

/// Memory that has stood still for days, within half a per cent, and then grows by a share of itself, or from one share
/// of its limit to all of it, over six hours. It must be found before the end, and not as a storm.
fn leak(name: &str, step: Duration, (from, to): (f64, f64)) -> Story {
    let calm = if step < MINUTE { DAY } else { DAY * 2 }.max(step * 120);
    let mut noise = Noise::new(610);
    let (calm_steps, leak_steps) = (steps(calm, step), steps(HOUR * 6, step));
    let value = |nth: usize| {
        let share = nth.saturating_sub(calm_steps) as f64 / leak_steps as f64;
        Some((from + share * (to - from)) * (1.0 + 0.005 * noise.gaussian()))
    };
    let series = vec![(0..calm_steps + leak_steps).map(value).collect()];
    Story::new(name, step, series)
        .at_most(Duration::ZERO, calm, 0)
        .at_most(calm, calm + HOUR * 6, 3)
        .faulty(Fault { series: 0, from: calm, lasts: HOUR * 6 })
}

/// Growth by 5 and 10 per cent stands in the table and in no claim: below the least relative deviation of the defaults
/// nobody wants to be called.
pub(crate) fn small_leaks() -> Vec<Story> {
    let sizes = [("leak of 5 % in 6 h", 5.0), ("leak of 10 % in 6 h", 10.0)];
    let story = |(name, by)| {
        let mut story = leak(name, MINUTE, (512.0, 512.0 * (1.0 + by / 100.0)));
        story.rules.retain(|rule| !matches!(rule, Rule::Found(_)));
        story
    };
    sizes.into_iter().map(story).collect()
}

pub(crate) fn leaks() -> Vec<Story> {
    let sizes = [
        ("leak of 20 % in 6 h", (512.0, 614.4)),
        ("leak of 50 % in 6 h", (512.0, 768.0)),
        ("leak of 100 % in 6 h", (512.0, 1024.0)),
        ("leak from 5 % to 100 % of the limit in 6 h", (0.05, 1.0)),
    ];
    let steps = [STEP, MINUTE, FIVE_MINUTES];
    sizes.into_iter().flat_map(|(name, ends)| steps.map(|step| leak(name, step, ends))).collect()
}

/// How long a shift may take to be the new normal: what an on-call person bears with, and what an hourly series needs.
fn adopted_within(step: Duration) -> Duration {
    at_least(60, HOUR * 6, step)
}

/// The level rises by 40 per cent for good, eight times the noise. That is one opening, which ends when the level is
/// adopted; from the new level a fault is found.
fn shift(step: Duration) -> Story {
    const SERIES: u64 = 3;
    let before = at_least(240, DAY, step);
    let after = before + adopted_within(step);
    let count = steps(before, step) + steps(after, step);
    let mut story =
        Story::new("level shift", step, (0..SERIES).map(|nth| steady(620 + nth, count, 100.0)).collect())
            .calm_within(Duration::ZERO, before, 0)
            .calm_from(before, 1);
    for nth in 0..SERIES as usize {
        let from = before + step * (7 * nth as u32);
        let first = steps(from, step);
        for sample in story.series[nth].iter_mut().skip(first) {
            *sample = sample.map(|value| 1.4 * value);
        }
        story = story.faulty(Fault { series: nth, from, lasts: step * 10 });
        let late = Fault { series: nth, from: from + after - step * 40, lasts: step * 5 };
        story = story.fault(late, |value| 1.6 * value);
    }
    let span = story.span();
    // One for the shift and one for the fault after it, and one to spare over all.
    story.at_most(before, span, 2 * SERIES as usize + 1)
}

pub(crate) fn shifts() -> Vec<Story> {
    STEPS.into_iter().map(shift).collect()
}

/// For an hour the series is ten times its noise above its level for two minutes, and back for two: fifteen crossings,
/// one anomaly, at most one more where a pause looks like an end. Longer steps have longer times.
fn flapping(step: Duration) -> Story {
    const SERIES: usize = 3;
    let half = at_least(2, MINUTE * 2, step);
    let calm = at_least(720, HOUR * 12, step);
    let lasts = half * 30;
    let count = steps(calm + lasts + half * 10, step);
    let mut story =
        Story::new("flapping", step, (0..SERIES as u64).map(|nth| steady(630 + nth, count, 100.0)).collect())
            .calm_from(Duration::ZERO, 1);
    for nth in 0..SERIES {
        let half_steps = steps(half, step);
        let bad = story.series[nth].iter_mut().skip(steps(calm, step)).take(steps(lasts, step)).enumerate();
        for (_, sample) in bad.filter(|(at, _)| (at / half_steps).is_multiple_of(2)) {
            *sample = sample.map(|value| value + 50.0);
        }
        story = story.faulty(Fault { series: nth, from: calm, lasts });
    }
    let end = story.span();
    story.at_most(calm, end, 2 * SERIES)
}

/// For two hours the level is near the boundary, wherever that is: three to ten times the noise above. Noise carries it to
/// and fro; that is at most two anomalies a series.
fn hovering(step: Duration) -> Story {
    const SERIES: usize = 8;
    let calm = at_least(720, HOUR * 12, step);
    let lasts = at_least(60, HOUR * 2, step);
    let count = steps(calm + lasts, step);
    let mut series: Vec<Samples> = (0..SERIES as u64).map(|nth| steady(640 + nth, count, 100.0)).collect();
    for (nth, samples) in series.iter_mut().enumerate() {
        for sample in samples.iter_mut().skip(steps(calm, step)) {
            *sample = sample.map(|value| value + 5.0 * (3 + nth) as f64);
        }
    }
    let story = Story::new("hovering at the boundary", step, series).at_most(Duration::ZERO, calm, 1);
    story.at_most(calm, calm + lasts, 2 * SERIES).faulty(Fault { series: 7, from: calm, lasts })
}

pub(crate) fn flaps() -> Vec<Story> {
    STEPS.into_iter().map(flapping).chain([STEP, MINUTE, FIVE_MINUTES].map(hovering)).collect()
}

#[test]
fn a_level_shift_opens_once_and_is_adopted() {
    check(&shifts());
}

#[test]
fn an_adopted_shift_says_so_in_time() {
    for story in shifts() {
        let begins = story.faults.first().expect("a shift is a fault").from;
        for finding in story.told().findings {
            if let What::Restarted(Restart::Adopted { since, from, to }) = finding.what {
                let took = finding.at.since(since);
                let service = service_of(&finding);
                let name = format!("{}, {service}: {from} to {to} in {took:?}", story.name);
                assert!(
                    took >= Settings::default().adopt_after && took <= adopted_within(story.step),
                    "{name}"
                );
                assert!((90.0..110.0).contains(&from) && (126.0..154.0).contains(&to), "{name}");
                assert!(since.since(story.start) + story.step * 10 >= begins, "{name}");
            }
        }
        let adopted = |finding: &portent::detect::Finding| {
            matches!(finding.what, What::Restarted(Restart::Adopted { .. }))
        };
        let count = story.told().findings.iter().filter(|finding| adopted(finding)).count();
        assert_eq!(count, story.series.len(), "{}", story.name);
    }
}

#[test]
fn a_series_that_flaps_is_one_anomaly() {
    check(&flaps());
}
