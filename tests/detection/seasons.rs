//! Waves by day and by week, clocks that change, jobs that run once a day, and a weekday that is a holiday.

use std::time::Duration;

use portent::config::load_text;
use portent::detect::Settings;
use portent::time::Timestamp;

use super::fixture::{Fault, Samples, Story, at_least, check, days};
use super::noise::Noise;
use super::shapes::{
    BERLIN_AUTUMN, BERLIN_SPRING, Clocks, DAY, HOUR, Jitter, MINUTE, MONDAY, NEW_YORK_AUTUMN,
    NEW_YORK_SPRING, QUIET_SHARE, day_of, is_weekend, jittered, office_load, public_load, share_of_day,
    time_of_day, times,
};
use super::trial::STEP;

const FIVE_MINUTES: Duration = Duration::from_secs(300);
const HALF_AN_HOUR: Duration = Duration::from_secs(1800);

fn waves(seed: u64, series: u64, step: Duration, span: Duration) -> Vec<Samples> {
    let load = |at| 100.0 * public_load(time_of_day(at));
    (0..series).map(|nth| jittered(seed + nth, (MONDAY, step), span, load)).collect()
}

/// The wave may surprise for three days, twice each; after that a year of it has at most a handful of openings. What is
/// usual at noon is found at four in the morning.
fn daily(step: Duration, series: u64, span: Duration) -> Story {
    let mut story = Story::new("daily wave", step, waves(100, series, step, span))
        .calm_within(Duration::ZERO, DAY * 3, 6 * series as usize)
        .calm_from(DAY * 3, 1);
    for nth in 0..2 {
        let from = span - DAY * 2 + HOUR * (2 + nth as u32);
        let lasts = at_least(3, HALF_AN_HOUR, step);
        story = story.fault(Fault { series: nth, from, lasts }, |value| 2.5 * value);
    }
    story
}

pub(crate) fn daily_waves() -> Vec<Story> {
    vec![
        daily(STEP, 3, DAY * 14),
        daily(MINUTE, 4, DAY * 21),
        daily(FIVE_MINUTES, 4, DAY * 21),
        daily(HOUR, 4, DAY * 21),
    ]
}

fn working_week(at: Timestamp) -> f64 {
    100.0 * share_of_day(at, is_weekend) * public_load(time_of_day(at))
}

/// Two weekends are new: the first is a surprise by its nature, the second may be one. Each may open twice, as it begins
/// and as it ends, and so may a day of the first week. After that, quiet. Sunday at the level of a weekday is found.
fn weekly(step: Duration, series: u64, weeks: u32) -> Story {
    let span = DAY * 7 * weeks;
    let samples = (0..series).map(|nth| jittered(200 + nth, (MONDAY, step), span, working_week)).collect();
    let from = span - DAY + HOUR * 12;
    Story::new("weekly wave", step, samples)
        .calm_within(Duration::ZERO, DAY * 15, 10 * series as usize)
        .calm_from(DAY * 15, 1)
        .fault(Fault { series: 0, from, lasts: at_least(3, HALF_AN_HOUR, step) }, |value| 2.5 * value)
}

pub(crate) fn weekly_waves() -> Vec<Story> {
    vec![weekly(STEP, 2, 4), weekly(MINUTE, 3, 6), weekly(FIVE_MINUTES, 3, 6), weekly(HOUR, 3, 6)]
}

/// Office hours in local time, three weeks before a change of the clocks and three after it. In the week after it at most
/// `surprises`; before it, once the wave is known, and after it nothing, and a fall at noon is found.
fn change_of_clocks(clocks: Clocks, step: Duration, settings: Settings, surprises: usize) -> Story {
    // The day of the change begins at midnight UTC.
    let start = clocks.changed_at.align_down(DAY).minus(DAY * 21);
    let load = |at| 100.0 * office_load(clocks.time_of_day(at));
    let series =
        (0..SERIES_IN_ZONE as u64).map(|nth| jittered(300 + nth, (start, step), DAY * 42, load)).collect();
    let fault =
        Fault { series: 1, from: DAY * 39 + clocks.noon_after(), lasts: at_least(3, HALF_AN_HOUR, step) };
    let story = Story::new(&format!("clocks change: {}", clocks.name), step, series)
        .calm_within(DAY * 4, DAY * 21, 1)
        .calm_within(DAY * 21, DAY * 28, surprises)
        .calm_from(DAY * 28, 1)
        .fault(fault, |value| QUIET_SHARE * value);
    Story { start, settings, ..story }
}

const SERIES_IN_ZONE: usize = 3;

/// Judged with the defaults, which know no zone but UTC: there the morning comes an hour early or late for good. That
/// may surprise for a week, twice a day and series, as the morning begins and as the evening does, and is normal then.
pub(crate) fn changes_of_clocks() -> Vec<Story> {
    let zones = [BERLIN_SPRING, BERLIN_AUTUMN, NEW_YORK_SPRING, NEW_YORK_AUTUMN];
    let story = |clocks, step| change_of_clocks(clocks, step, Settings::default(), 14 * SERIES_IN_ZONE);
    zones.into_iter().flat_map(|clocks| [FIVE_MINUTES, HOUR].map(|step| story(clocks, step))).collect()
}

/// The same with `timezone` set, as a config reads it: the change of the clocks is none of the wave's. One opening may be
/// noise.
pub(crate) fn changes_of_clocks_in_their_zone() -> Vec<Story> {
    let zones = [
        (BERLIN_SPRING, "Europe/Berlin"),
        (BERLIN_AUTUMN, "Europe/Berlin"),
        (NEW_YORK_SPRING, "America/New_York"),
        (NEW_YORK_AUTUMN, "America/New_York"),
    ];
    let story = |clocks, zone: &str, step| {
        let config = load_text("test", &format!("[signal_defaults]\ntimezone = '{zone}'"), [], &[]);
        let settings = config.expect("a sound config").signal_defaults.detect;
        let story = change_of_clocks(clocks, step, settings, 1);
        Story { name: story.name.replace("clocks change", "clocks change, zone set"), ..story }
    };
    zones
        .into_iter()
        .flat_map(|(clocks, zone)| [FIVE_MINUTES, HOUR].map(|step| story(clocks, zone, step)))
        .collect()
}

#[test]
fn with_its_zone_set_no_change_of_clocks_opens_anything() {
    for story in changes_of_clocks_in_their_zone() {
        let week = (DAY * 21, DAY * 28);
        let outcome = story.told();
        let opened = outcome.openings.iter().filter(|(_, at)| (week.0..week.1).contains(at)).count();
        println!("{}", story.row());
        assert!(opened <= 1, "{}: {opened} openings in the week of the change", story.name);
    }
}

/// A job at two in the morning, give or take a step or five minutes, for ten minutes or two steps. Four nights may be surprises; then it
/// belongs to the series. Something four times as large as the job, at noon, is found.
fn once_a_day(step: Duration, series: u64, span: Duration) -> Story {
    let lasts = at_least(2, MINUTE * 10, step);
    let samples = |nth: u64| {
        let mut jitter = Jitter::new(400 + nth, step);
        let mut dice = Noise::new(450 + nth);
        let mut begins = 7200.0;
        let mut day = -1;
        let value = |at| {
            if day_of(at) != day {
                day = day_of(at);
                begins = 7200.0 + step.min(FIVE_MINUTES).as_secs_f64() * (dice.below(3) as f64 - 1.0);
            }
            let since = time_of_day(at) - begins;
            let is_running = (0.0..lasts.as_secs_f64()).contains(&since);
            Some(if is_running { 80.0 } else { 20.0 } * jitter.next())
        };
        times(MONDAY, step, span).map(value).collect()
    };
    let noon = span - DAY * 2 + HOUR * 12;
    Story::new("a job once a day", step, (0..series).map(samples).collect())
        .calm_within(Duration::ZERO, DAY * 4, 4 * series as usize)
        .calm_from(DAY * 4, 1)
        .fault(Fault { series: 0, from: noon, lasts: at_least(3, MINUTE * 10, step) }, |_| 320.0)
}

pub(crate) fn jobs_once_a_day() -> Vec<Story> {
    vec![
        once_a_day(STEP, 2, DAY * 10),
        once_a_day(MINUTE, 3, DAY * 14),
        once_a_day(FIVE_MINUTES, 3, DAY * 21),
        once_a_day(HOUR, 3, DAY * 21),
    ]
}

/// Of a weekly wave, the Wednesday of the fifth week is like a Sunday. Nobody has told the detector of the holiday, so
/// that it opens is right: twice a series at most, as it begins and as it ends. Thursday is normal again. On the Wednesday
/// after, which is no holiday, a fall to the level of the holiday is found: the holiday was not learned.
fn holiday(step: Duration) -> Story {
    const SERIES: usize = 3;
    const WEDNESDAY: f64 = 30.0;
    let is_quiet = |day| is_weekend(day) || day == WEDNESDAY as i64;
    let value = |at| 100.0 * share_of_day(at, is_quiet) * public_load(time_of_day(at));
    let series = (0..SERIES as u64).map(|nth| jittered(500 + nth, (MONDAY, step), DAY * 42, value)).collect();
    let mut story = Story::new("holiday", step, series)
        .calm_within(DAY * 15, days(WEDNESDAY), 1)
        .calm_within(days(WEDNESDAY), days(WEDNESDAY + 1.25), 2 * SERIES)
        .calm_from(days(WEDNESDAY + 1.25), 1);
    for nth in 0..2 {
        let fault = Fault { series: nth, from: days(WEDNESDAY + 7.5), lasts: at_least(3, HOUR, step) };
        story = story.fault(fault, |value| QUIET_SHARE * value);
    }
    story
}

pub(crate) fn holidays() -> Vec<Story> {
    vec![holiday(FIVE_MINUTES), holiday(HOUR)]
}

#[test]
fn a_daily_wave_is_normal_after_three_days() {
    check(&daily_waves());
}

#[test]
fn a_weekly_wave_is_normal_after_two_weekends() {
    check(&weekly_waves());
}

#[test]
fn a_holiday_opens_little_and_teaches_nothing() {
    check(&holidays());
}
