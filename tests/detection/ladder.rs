//! The seasonal ladder over weeks of samples, at steps from 15 s to an hour: what recurs is expected, what happens once
//! is not, and clocks may change.

use std::time::Duration;

use portent::config::load_text;
use portent::detect::season::{Rung, RungChange, SeasonSettings, Seasons};
use portent::detect::{Opinion, Zone};
use portent::time::parse_timestamp;

use super::noise::Noise;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;
const STEPS_S: [u64; 4] = [15, 60, 300, 3600];
/// A Monday's midnight in UTC.
const MONDAY: &str = "2026-01-05T00:00:00Z";

/// One series and what the ladder says of it.
struct Watch {
    seasons: Seasons,
    zone: Zone,
    step_ms: i64,
    now_ms: i64,
    changes: Vec<RungChange>,
}

/// What was said of a span of samples.
#[derive(Debug, Default)]
struct Told {
    samples: usize,
    outside: usize,
    highest: f64,
}

impl Watch {
    fn new(step_s: u64, zone: &str, start: &str) -> Self {
        let zone = zone_of(zone);
        let settings = SeasonSettings {
            zone: zone.clone(),
            sigma: 5.0,
            scale_floor_relative: 0.02,
            ..SeasonSettings::default()
        };
        let mut seasons = Seasons::new(&settings, Duration::from_secs(step_s));
        seasons.grow();
        let now_ms = parse_timestamp(start).expect("a time").as_millis();
        Self { seasons, zone, step_ms: step_s as i64 * 1000, now_ms, changes: Vec::new() }
    }

    /// Feeds so many days of what a function of the time in UTC gives.
    fn feed(&mut self, days: f64, mut value: impl FnMut(i64) -> f64) -> Told {
        let (mut told, end) = (Told::default(), self.now_ms + (days * DAY_MS as f64) as i64);
        while self.now_ms < end {
            let at = self.now_ms;
            self.now_ms += self.step_ms;
            let value = value(at);
            if let Some(Opinion { score, .. }) = self.seasons.judge(0, at, value) {
                told.samples += 1;
                told.outside += usize::from(score > 1.0);
                told.highest = told.highest.max(score);
            }
            self.changes.extend(self.seasons.learn(0, at, value));
        }
        told
    }

    fn rung(&self) -> Rung {
        self.seasons.view(0).expect("the row is there").rung
    }
}

/// A zone as the config reads it.
fn zone_of(name: &str) -> Zone {
    let text = format!("[signal_defaults]\ntimezone = '{name}'");
    load_text("test", &text, [], &[]).expect("a sound config").signal_defaults.detect.zone
}

/// Hours of the local day, 0 to 24.
fn hour(zone: &Zone, at_ms: i64) -> f64 {
    zone.local_ms(at_ms).rem_euclid(DAY_MS) as f64 / HOUR_MS as f64
}

/// 0 is Monday.
fn weekday(zone: &Zone, at_ms: i64) -> i64 {
    (zone.local_ms(at_ms).div_euclid(DAY_MS) + 3).rem_euclid(7)
}

/// Traffic that follows people: little at night, most in the afternoon.
fn wave(zone: &Zone, at_ms: i64) -> f64 {
    200.0 - 150.0 * ((hour(zone, at_ms) - 3.0) / 24.0 * std::f64::consts::TAU).cos()
}

/// Half of it at the weekend.
fn working_week(zone: &Zone, at_ms: i64) -> f64 {
    wave(zone, at_ms) * if weekday(zone, at_ms) >= 5 { 0.5 } else { 1.0 }
}

/// A job from two o'clock on, for ten minutes or for one sample of longer steps.
fn job(zone: &Zone, at_ms: i64, late_minutes: f64) -> f64 {
    let begun = hour(zone, at_ms) - 2.0 - late_minutes / 60.0;
    if (0.0..1.0 / 6.0).contains(&begun) { 300.0 } else { 0.0 }
}

#[test]
fn a_daily_wave_is_expected_after_three_days() {
    for step_s in STEPS_S {
        let (mut watch, mut noise) = (Watch::new(step_s, "UTC", MONDAY), Noise::new(1));
        let zone = watch.zone.clone();
        let mut value = |at: i64| wave(&zone, at) + 5.0 * noise.gaussian();
        watch.feed(3.1, &mut value);
        assert_eq!(watch.rung(), Rung::Day, "step {step_s}s: {:?}", watch.seasons.view(0));
        let told = watch.feed(4.0, &mut value);
        assert!(told.outside == 0, "step {step_s}s: {told:?}");
        // 20 % of what it should be at this time, where that is still within the day's range.
        let told = watch.feed(0.25, |at| value(at) + 150.0);
        assert!(told.outside * 10 > told.samples * 9, "step {step_s}s: {told:?}");
    }
}

#[test]
fn a_weekend_is_expected_after_two_weeks() {
    for step_s in [60, 300, 3600] {
        let (mut watch, mut noise) = (Watch::new(step_s, "Europe/Berlin", MONDAY), Noise::new(2));
        let zone = watch.zone.clone();
        let mut value = |at: i64| working_week(&zone, at) + 5.0 * noise.gaussian();
        watch.feed(5.0, &mut value);
        let first = watch.feed(2.0, &mut value);
        watch.feed(10.0, &mut value);
        assert_eq!(watch.rung(), Rung::Week, "step {step_s}s: {:?}", watch.seasons.view(0));
        watch.feed(2.0, &mut value);
        let third = watch.feed(9.0, &mut value);
        assert!(first.outside > 0, "the first weekend is news: {first:?}");
        assert!(
            third.outside * 500 <= third.samples,
            "step {step_s}s: {third:?} {:?}",
            watch.seasons.view(0)
        );
    }
}

#[test]
fn a_job_each_night_is_expected_after_three_nights() {
    for step_s in [15, 60, 300] {
        let (mut watch, mut noise) = (Watch::new(step_s, "UTC", MONDAY), Noise::new(3));
        let zone = watch.zone.clone();
        let mut calm = |at: i64| wave(&zone, at) + 5.0 * noise.gaussian();
        watch.feed(7.0, &mut calm);
        let mut nights = Vec::new();
        for _ in 0..6 {
            nights.push(watch.feed(1.0, |at| calm(at) + job(&zone, at, 0.0)).outside);
        }
        assert!(nights[..3].iter().all(|outside| *outside > 0), "step {step_s}s: {nights:?}");
        assert!(nights[3..].iter().all(|outside| *outside == 0), "step {step_s}s: {nights:?}");
        // The first night without it is a calm one.
        assert_eq!(watch.feed(1.0, &mut calm).outside, 0, "step {step_s}s");
    }
}

#[test]
fn a_job_on_a_flat_series_takes_the_rung_of_the_day() {
    for step_s in [15, 60, 300] {
        let (mut watch, mut noise) = (Watch::new(step_s, "UTC", MONDAY), Noise::new(4));
        let zone = watch.zone.clone();
        let mut nights = Vec::new();
        for _ in 0..10 {
            let value = |at| 100.0 + 5.0 * noise.gaussian() + job(&zone, at, 0.0);
            nights.push(watch.feed(1.0, value).outside);
        }
        assert_eq!(watch.rung(), Rung::Day, "step {step_s}s: {nights:?} {:?}", watch.seasons.view(0));
        assert!(nights[4..].iter().all(|outside| *outside == 0), "step {step_s}s: {nights:?}");
    }
}

#[test]
fn a_job_that_comes_a_slot_early_or_late_is_still_expected() {
    for step_s in [15, 60, 300] {
        let (mut watch, mut noise) = (Watch::new(step_s, "UTC", MONDAY), Noise::new(5));
        let zone = watch.zone.clone();
        let mut value = |at: i64, late| wave(&zone, at) + 5.0 * noise.gaussian() + job(&zone, at, late);
        watch.feed(8.0, |at| value(at, 0.0));
        for late in [12.0, -12.0, 4.0, -14.0, 0.0, 8.0] {
            let told = watch.feed(1.0, |at| value(at, late));
            assert_eq!(told.outside, 0, "step {step_s}s, {late} minutes late: {told:?}");
        }
        let told = watch.feed(1.0, |at| value(at, 120.0));
        assert!(told.outside > 0, "two hours late is another time");
    }
}

#[test]
fn a_repeat_of_an_outage_scores_no_lower() {
    for (days, step_s) in [(1.0, 15), (1.0, 60), (7.0, 60), (1.0, 3600), (7.0, 3600)] {
        let (mut watch, mut noise) = (Watch::new(step_s, "UTC", MONDAY), Noise::new(6));
        let zone = watch.zone.clone();
        let mut calm = |at: i64| wave(&zone, at) + 5.0 * noise.gaussian();
        watch.feed(21.5, &mut calm);
        // Two hours at noon, without the noise, so that both are the same to the last digit.
        let mut scores = Vec::new();
        for _ in 0..2 {
            scores.push(watch.feed(2.0 / 24.0, |at| wave(&zone, at) * 0.2).highest);
            watch.feed(days - 2.0 / 24.0, &mut calm);
        }
        assert!(
            scores[1] > 0.97 * scores[0] && scores[0] > 2.0,
            "every {days} days at {step_s}s: {scores:?}"
        );
    }
}

#[test]
fn a_holiday_poisons_neither_the_next_day_nor_the_next_week() {
    for step_s in [60, 300, 3600] {
        let (mut watch, mut noise) = (Watch::new(step_s, "UTC", MONDAY), Noise::new(7));
        let zone = watch.zone.clone();
        let mut value = |at: i64| working_week(&zone, at) + 5.0 * noise.gaussian();
        watch.feed(23.0, &mut value);
        // A Wednesday as flat as no Sunday is.
        let holiday = watch.feed(1.0, |_| 60.0);
        assert!(holiday.outside > 0, "a holiday is news: {holiday:?}");
        let after = watch.feed(13.0, &mut value);
        assert!(after.outside * 500 <= after.samples, "step {step_s}s: {after:?}");
    }
}

/// Where the clocks change on a Sunday, each from two weeks and more before it.
const CHANGES: [(&str, &str); 4] = [
    ("Europe/Berlin", "2026-03-02T00:00:00Z"),
    ("Europe/Berlin", "2026-09-28T00:00:00Z"),
    ("America/New_York", "2026-02-09T00:00:00Z"),
    ("America/New_York", "2026-10-05T00:00:00Z"),
];

#[test]
fn no_change_of_clocks_is_an_anomaly_in_its_own_zone() {
    for (zone_name, start) in CHANGES {
        for step_s in [60, 300, 3600] {
            let (mut watch, mut noise) = (Watch::new(step_s, zone_name, start), Noise::new(8));
            let zone = watch.zone.clone();
            let value = |at: i64| wave(&zone, at) + 5.0 * noise.gaussian() + job(&zone, at, 0.0);
            let mut value = value;
            watch.feed(24.0, &mut value);
            let (offset, before) = (zone.offset_ms(watch.now_ms), watch.now_ms);
            let told = watch.feed(7.0, &mut value);
            assert_ne!(offset, zone.offset_ms(watch.now_ms), "{zone_name}: the clocks change after {before}");
            assert!(told.outside * 1000 <= told.samples, "{zone_name} from {start} at {step_s}s: {told:?}");
        }
    }
}

#[test]
fn a_change_of_clocks_is_an_anomaly_in_another_zone() {
    for (zone_name, start) in CHANGES {
        let (mut watch, mut noise) = (Watch::new(60, "UTC", start), Noise::new(9));
        let zone = zone_of(zone_name);
        let mut value = |at: i64| wave(&zone, at) + 5.0 * noise.gaussian() + job(&zone, at, 0.0);
        watch.feed(24.0, &mut value);
        let told = watch.feed(7.0, &mut value);
        assert!(told.outside >= 20, "{zone_name} from {start}: {told:?}");
    }
}

#[test]
fn an_hour_that_comes_twice_counts_as_one_cycle() {
    let (mut watch, mut noise) = (Watch::new(60, "Europe/Berlin", "2026-10-05T00:00:00Z"), Noise::new(10));
    let zone = watch.zone.clone();
    let mut calm = |at: i64| wave(&zone, at) + 5.0 * noise.gaussian();
    watch.feed(18.0, &mut calm);
    // On Friday, and in both hours of Sunday that begin at two: two days, and three times.
    let mut outage = |day: i64, at: i64| {
        let is_hit = (hour(&zone, at) as i64 == 2) && (day == 5 || day == 7);
        calm(at) + if is_hit { 300.0 } else { 0.0 }
    };
    watch.feed(1.0, |at| outage(5, at));
    watch.feed(1.0, |at| outage(6, at));
    watch.feed(1.0, |at| outage(7, at));
    let again = watch.feed(1.0, |at| outage(7, at));
    assert!(again.highest > 5.0, "{again:?}");
}

#[test]
fn a_season_rides_on_a_slow_trend() {
    for step_s in STEPS_S {
        let (mut watch, mut noise) = (Watch::new(step_s, "UTC", MONDAY), Noise::new(11));
        let zone = watch.zone.clone();
        let start = watch.now_ms;
        let mut value =
            |at: i64| wave(&zone, at) + 4.0 * (at - start) as f64 / DAY_MS as f64 + 5.0 * noise.gaussian();
        watch.feed(4.0, &mut value);
        let told = watch.feed(10.0, &mut value);
        assert!(told.outside * 1000 <= told.samples, "step {step_s}s: {told:?}");
    }
}

#[test]
fn a_new_level_is_adopted_after_a_day_or_at_once_when_told() {
    for step_s in STEPS_S {
        for is_told in [false, true] {
            let (mut watch, mut noise) = (Watch::new(step_s, "UTC", MONDAY), Noise::new(12));
            let zone = watch.zone.clone();
            let mut value = |at: i64| wave(&zone, at) + 5.0 * noise.gaussian();
            watch.feed(6.0, &mut value);
            if is_told {
                watch.seasons.shift(0, 200.0);
            }
            let first = watch.feed(1.1, |at| value(at) + 200.0);
            let second = watch.feed(2.0, |at| value(at) + 200.0);
            assert_eq!(first.outside * 2 > first.samples, !is_told, "step {step_s}s: {first:?}");
            assert!(second.outside * 200 <= second.samples, "step {step_s}s, {is_told}: {second:?}");
        }
    }
}

#[test]
fn noise_has_no_season() {
    let mut taken = Vec::new();
    for (name, kind) in [("gaussian", 0), ("t(3)", 1), ("AR(1) of 0.8", 2), ("AR(1) of 0.99", 3)] {
        for step_s in [300, 3600] {
            let mut count = 0;
            for seed in 0..50 {
                let (mut watch, mut noise) = (Watch::new(step_s, "UTC", MONDAY), Noise::new(seed));
                let mut last = 0.0;
                watch.feed(28.0, |_| {
                    last = match kind {
                        0 => noise.gaussian(),
                        1 => noise.student3(),
                        2 => noise.autoregressed(last, 0.8),
                        _ => noise.autoregressed(last, 0.99),
                    };
                    100.0 + 5.0 * last
                });
                count += usize::from(!watch.changes.is_empty());
            }
            println!("{name} at {step_s}s: {count} of 50 series took a season within 28 days");
            taken.push(count);
        }
    }
    assert!(taken.iter().all(|count| *count <= 2), "{taken:?}");
}
