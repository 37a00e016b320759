//! Series as services have them, by seed: waves by day and week in local time, with noise that has a memory.

use std::f64::consts::PI;
use std::time::Duration;

use portent::time::Timestamp;

use super::noise::Noise;

pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);
pub(crate) const DAY: Duration = Duration::from_secs(86_400);

/// Monday, 4 January 2027, midnight UTC.
pub(crate) const MONDAY: Timestamp = Timestamp::from_millis(1_799_020_800_000);

/// The noise of most stories, as a share of the level; half of it again wanders with a memory of ten minutes.
pub(crate) const SPREAD: f64 = 0.04;

/// A change of the clocks: what local time is ahead of UTC before it and from it on.
///
/// The instants are those of 2027, written down and not computed, so that they check the time zone database and do not
/// repeat it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clocks {
    pub(crate) name: &'static str,
    pub(crate) changed_at: Timestamp,
    before_s: i64,
    after_s: i64,
}

pub(crate) const BERLIN_SPRING: Clocks = Clocks {
    name: "Berlin, spring",
    changed_at: Timestamp::from_millis(1_806_195_600_000),
    before_s: 3600,
    after_s: 7200,
};
pub(crate) const BERLIN_AUTUMN: Clocks = Clocks {
    name: "Berlin, autumn",
    changed_at: Timestamp::from_millis(1_824_944_400_000),
    before_s: 7200,
    after_s: 3600,
};
pub(crate) const NEW_YORK_SPRING: Clocks = Clocks {
    name: "New York, spring",
    changed_at: Timestamp::from_millis(1_805_007_600_000),
    before_s: -18_000,
    after_s: -14_400,
};
pub(crate) const NEW_YORK_AUTUMN: Clocks = Clocks {
    name: "New York, autumn",
    changed_at: Timestamp::from_millis(1_825_567_200_000),
    before_s: -14_400,
    after_s: -18_000,
};

impl Clocks {
    /// How long after midnight UTC it is noon, after the change.
    pub(crate) fn noon_after(self) -> Duration {
        Duration::from_secs(12 * 3600).saturating_sub(Duration::from_secs(self.after_s.max(0).unsigned_abs()))
            + Duration::from_secs(self.after_s.min(0).unsigned_abs())
    }

    /// Seconds since midnight of the local day.
    pub(crate) fn time_of_day(self, at: Timestamp) -> f64 {
        let offset = if at < self.changed_at { self.before_s } else { self.after_s };
        seconds(at.as_millis() + offset * 1000)
    }
}

fn seconds(ms: i64) -> f64 {
    ms.rem_euclid(86_400_000) as f64 / 1000.0
}

/// Seconds since midnight UTC.
pub(crate) fn time_of_day(at: Timestamp) -> f64 {
    seconds(at.as_millis())
}

/// Days since [`MONDAY`], counted from zero.
pub(crate) fn day_of(at: Timestamp) -> i64 {
    (at.as_millis() - MONDAY.as_millis()).div_euclid(86_400_000)
}

/// The share of the usual load on a day like a Sunday.
pub(crate) const QUIET_SHARE: f64 = 0.4;

/// The share of the usual load, where some days are quiet: one kind of day passes into the other from midnight to eight.
pub(crate) fn share_of_day(at: Timestamp, is_quiet: impl Fn(i64) -> bool) -> f64 {
    let share = |day| if is_quiet(day) { QUIET_SHARE } else { 1.0 };
    let (today, yesterday) = (share(day_of(at)), share(day_of(at) - 1));
    let passed = (time_of_day(at) / 3600.0 / 8.0).clamp(0.0, 1.0);
    yesterday + (today - yesterday) * (1.0 - (PI * passed).cos()) / 2.0
}

/// Whether a day is a Saturday or a Sunday.
pub(crate) fn is_weekend(day: i64) -> bool {
    day.rem_euclid(7) >= 5
}

/// The load of a public service, by the hour of the day.
const PUBLIC: [(f64, f64); 11] = [
    (0.0, 0.55),
    (2.0, 0.32),
    (4.0, 0.25),
    (6.0, 0.33),
    (9.0, 0.82),
    (12.0, 0.9),
    (14.0, 0.82),
    (17.0, 0.9),
    (20.0, 1.0),
    (22.0, 0.82),
    (24.0, 0.55),
];

/// The load of a public service by the time of the day: a quarter at four in the morning, a steep morning, a dent after
/// noon, the whole in the evening. Smooth between the hours that are given.
pub(crate) fn public_load(time_of_day_s: f64) -> f64 {
    let hour = time_of_day_s / 3600.0;
    let after = PUBLIC.partition_point(|(knot, _)| *knot <= hour).clamp(1, PUBLIC.len() - 1);
    let ((from, low), (to, high)) = (PUBLIC[after - 1], PUBLIC[after]);
    let share = (1.0 - (PI * (hour - from) / (to - from)).cos()) / 2.0;
    low + share * (high - low)
}

/// The load of an office: 0.2, and from eight to eighteen 1.0, with half an hour up and down.
pub(crate) fn office_load(time_of_day_s: f64) -> f64 {
    let hour = time_of_day_s / 3600.0;
    let rise = ((hour - 7.5) / 0.5).clamp(0.0, 1.0);
    let fall = ((hour - 18.0) / 0.5).clamp(0.0, 1.0);
    0.2 + 0.8 * (rise - fall)
}

/// Noise around one, as a share: independent from sample to sample, and a part that wanders.
#[derive(Debug, Clone)]
pub(crate) struct Jitter {
    noise: Noise,
    wander: f64,
    memory: f64,
}

impl Jitter {
    pub(crate) fn new(seed: u64, step: Duration) -> Self {
        let memory = (-step.as_secs_f64() / 600.0).exp();
        Self { noise: Noise::new(seed), wander: 0.0, memory }
    }

    pub(crate) fn next(&mut self) -> f64 {
        self.wander = self.noise.autoregressed(self.wander, self.memory);
        1.0 + SPREAD * (self.noise.gaussian() + 0.5 * self.wander)
    }
}

/// Samples of `level` by time, each times its jitter.
pub(crate) fn jittered(
    seed: u64,
    (start, step): (Timestamp, Duration),
    span: Duration,
    level: impl Fn(Timestamp) -> f64,
) -> Vec<Option<f64>> {
    let mut jitter = Jitter::new(seed, step);
    times(start, step, span).map(|at| Some(level(at) * jitter.next())).collect()
}

/// The steps of a span.
pub(crate) fn times(start: Timestamp, step: Duration, span: Duration) -> impl Iterator<Item = Timestamp> {
    (0..steps(span, step) as u32).map(move |nth| start.plus(step * nth))
}

/// How many steps a span has.
pub(crate) fn steps(span: Duration, step: Duration) -> usize {
    (span.as_millis() / step.as_millis()) as usize
}

/// Independent Gaussian noise of 5 % around a level.
pub(crate) fn steady(seed: u64, count: usize, level: f64) -> Vec<Option<f64>> {
    let mut noise = Noise::new(seed);
    (0..count).map(|_| Some(level * (1.0 + 0.05 * noise.gaussian()))).collect()
}

/// How many events fell into one step, where `mean` are expected (Knuth 1969, by products of uniforms).
pub(crate) fn poisson(noise: &mut Noise, mean: f64) -> u32 {
    let (limit, mut product, mut count) = ((-mean).exp(), noise.uniform(), 0);
    while product > limit {
        product *= noise.uniform();
        count += 1;
    }
    count
}
