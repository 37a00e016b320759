//! Series that begin, series that end, and series of so little traffic that each event is a peak.

use std::time::Duration;

use portent::detect::{Kind, MinVolume, Settings, What};
use portent::series::SignalName;

use super::fixture::{Fault, Samples, Story, at_least, check};
use super::naive;
use super::noise::Noise;
use super::shapes::{DAY, HOUR, MINUTE, poisson, steady, steps};
use super::trial::STEP;

const FIVE_MINUTES: Duration = Duration::from_secs(300);
const STEPS: [Duration; 4] = [STEP, MINUTE, FIVE_MINUTES, HOUR];

/// A hundred new series at once, as a deployment has them, at three times their level for the first samples while caches
/// are cold. Nothing is known at first, so nothing opens in the first nineteen samples; from the sixtieth on a fault is
/// found.
fn newcomers(step: Duration) -> Story {
    const SERIES: usize = 100;
    let series = (0..SERIES as u64).map(|nth| {
        let mut samples = steady(800 + nth, 120, 100.0);
        for (at, sample) in samples.iter_mut().enumerate().take(8) {
            *sample = sample.map(|value| value * (1.0 + 2.0 * (1.0 - at as f64 / 8.0)));
        }
        samples
    });
    let mut story = Story::new("new series", step, series.collect())
        .at_most(Duration::ZERO, step * 19, 0)
        .calm_from(Duration::ZERO, 1);
    for nth in 0..10 {
        let fault = Fault { series: 10 * nth, from: step * (60 + 3 * nth as u32), lasts: step * 5 };
        story = story.fault(fault, |value| 2.0 * value);
    }
    story
}

pub(crate) fn newcomers_at_all_steps() -> Vec<Story> {
    STEPS.into_iter().map(newcomers).collect()
}

/// Requests at one a minute and errors among them, as rates over five minutes.
struct Quiet {
    errors: Samples,
    ratios: Samples,
    requests: Samples,
}

const WINDOW: Duration = Duration::from_secs(300);
const LONE_ERRORS: [Duration; 2] = [Duration::from_secs(36 * 3600), Duration::from_secs(49 * 3600)];
const PERSISTENT: Fault =
    Fault { series: 0, from: Duration::from_secs(60 * 3600), lasts: Duration::from_secs(3600) };

/// Three days: a lone error after a day and a half without, another on the third day, and then an hour in which six of ten
/// requests fail.
fn quiet(seed: u64, step: Duration) -> Quiet {
    let mut noise = Noise::new(seed);
    let count = steps(DAY * 3, step);
    let (mut requests, mut errors) = (vec![0_u32; count], vec![0_u32; count]);
    let lone = LONE_ERRORS.map(|at| steps(at, step) + 11 * seed as usize % 40);
    let persistent = steps(PERSISTENT.from, step)..steps(PERSISTENT.from + PERSISTENT.lasts, step);
    for at in 0..count {
        requests[at] = poisson(&mut noise, step.as_secs_f64() / 60.0);
        if lone.contains(&at) {
            (requests[at], errors[at]) = (requests[at].max(1), 1);
        }
        if persistent.contains(&at) {
            errors[at] = (0..requests[at]).filter(|_| noise.uniform() < 0.6).count() as u32;
        }
    }
    let over_window = |events: &[u32], at: usize| -> f64 {
        f64::from(events[(at + 1).saturating_sub(steps(WINDOW, step))..=at].iter().sum::<u32>())
    };
    let rate = |events: &[u32], at| Some(over_window(events, at) / WINDOW.as_secs_f64());
    let ratio = |at| {
        let asked = over_window(&requests, at);
        (asked > 0.0).then(|| over_window(&errors, at) / asked)
    };
    Quiet {
        errors: (0..count).map(|at| rate(&errors, at)).collect(),
        ratios: (0..count).map(ratio).collect(),
        requests: (0..count).map(|at| rate(&requests, at)).collect(),
    }
}

/// The lone errors open nothing; the hour of errors is found.
fn low_traffic(name: &str, step: Duration, errors_of: fn(&Quiet) -> &Samples) -> Story {
    let services: Vec<Quiet> = (0..3).map(|nth| quiet(810 + nth, step)).collect();
    let mut story = Story::new(name, step, services.iter().map(|quiet| errors_of(quiet).clone()).collect())
        .calm_within(Duration::ZERO, PERSISTENT.from, 0);
    story.traffic = services.iter().map(|quiet| quiet.requests.clone()).collect();
    (story.kind, story.window) = (Kind::Errors, WINDOW);
    for series in 0..services.len() {
        story = story.faulty(Fault { series, ..PERSISTENT });
    }
    story
}

/// The least traffic that a share of errors, or a rate of them, means anything at: three requests a minute.
fn guarded(mut story: Story) -> Story {
    let of = Some(SignalName::new("request_rate"));
    story.name = format!("{}, min_volume", story.name);
    story.settings = Settings { volume: Some(MinVolume { least: 5.0 / 60.0, of }), ..story.settings };
    story
}

/// With a least volume even the hour of errors is held back: of so few requests nobody says whether that is much.
pub(crate) fn little_traffic_with_a_guard() -> Vec<Story> {
    let guarded = |mut story: Story| {
        story.faults.clear();
        story.rules.clear();
        let span = story.span();
        guarded(story.at_most(Duration::ZERO, span, 0))
    };
    little_traffic().into_iter().map(guarded).collect()
}

pub(crate) fn little_traffic() -> Vec<Story> {
    let both = |step| {
        [
            low_traffic("low traffic, error rate", step, |quiet| &quiet.errors),
            low_traffic("low traffic, error ratio", step, |quiet| &quiet.ratios),
        ]
    };
    [STEP, MINUTE].into_iter().flat_map(both).collect()
}

/// One request a minute is none in some windows of five minutes and eleven in others: chance, and no anomaly.
pub(crate) fn little_traffic_itself() -> Vec<Story> {
    let story = |step| {
        let series = (0..3).map(|nth| quiet(820 + nth, step).requests).collect();
        let story = Story::new("low traffic, request rate", step, series).calm_from(Duration::ZERO, 3);
        Story { kind: Kind::Traffic, window: WINDOW, ..story }
    };
    [STEP, MINUTE].into_iter().map(story).collect()
}

/// Three series, of which one is anomalous, and ends in the midst of it; then the others go on for two hours, or ten
/// steps.
fn vanished(step: Duration) -> Story {
    let calm = at_least(240, HOUR * 4, step);
    let after = at_least(10, HOUR * 2, step);
    let count = steps(calm + step * 8 + after, step);
    let mut story =
        Story::new("vanished series", step, (0..3).map(|nth| steady(830 + nth, count, 100.0)).collect())
            .calm_from(Duration::ZERO, 0)
            .fault(Fault { series: 1, from: calm, lasts: step * 8 }, |value| 5.0 * value);
    story.series[1].truncate(steps(calm, step) + 8);
    story
}

pub(crate) fn vanishing() -> Vec<Story> {
    STEPS.into_iter().map(vanished).collect()
}

#[test]
fn one_request_a_minute_with_one_error_opens_nothing_below_the_least_volume() {
    check(&little_traffic_with_a_guard());
}

#[test]
fn one_request_a_minute_is_no_anomaly() {
    check(&little_traffic_itself());
}

#[test]
fn a_series_that_vanishes_in_the_midst_of_an_anomaly_is_lost_and_not_recovered() {
    for story in vanishing() {
        let (outcome, fault) = (story.told(), story.faults[0]);
        assert_eq!(story.broken_by(&outcome), [""; 0], "{}", story.name);
        let last_seen = story.start.plus(fault.from + fault.lasts - story.step);
        let of_it: Vec<_> =
            outcome.findings.iter().filter(|finding| finding.key.service.as_str() == "s1").collect();
        let lost = of_it.iter().find_map(|finding| match finding.what {
            What::Lost { last_seen } => Some((finding.at, last_seen)),
            _ => None,
        });
        let (known_at, seen) = lost.expect("it is lost");
        assert_eq!(seen, last_seen, "{}", story.name);
        // Five minutes, two steps where they are longer, and the poll after.
        let known_within = at_least(2, FIVE_MINUTES, story.step) + story.step.max(MINUTE);
        assert!(known_at.since(last_seen) <= known_within, "{}: {:?}", story.name, known_at.since(last_seen));
        let ends = |what: &What| matches!(what, What::Recovered(_) | What::Returned | What::Restarted(_));
        assert!(!of_it.iter().any(|finding| ends(&finding.what)), "{}", story.name);
        let losses = |finding: &&portent::detect::Finding| matches!(finding.what, What::Lost { .. });
        assert!(
            outcome.findings.iter().filter(losses).all(|finding| finding.key.service.as_str() == "s1"),
            "{}",
            story.name
        );
        // For the naive rule what is absent is zero, and zero after zeros is fine: it has recovered.
        let mut filled: Vec<f64> = story.series[1].iter().flatten().copied().collect();
        filled.extend([0.0; 40]);
        assert!(!naive::flags(&filled)[filled.len() - 15..].contains(&true), "{}", story.name);
    }
}
