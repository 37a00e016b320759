//! Which steps to ask for, and in how many requests. Pure: time and limits are arguments.

use std::time::Duration;

use crate::time::{Timestamp, millis};

/// What a sample takes in an answer: `[1700000000.000,"-0.12345678901234567"],` and a little more.
pub const BYTES_PER_SAMPLE: usize = 40;

/// What a series takes beside its samples: its labels and the punctuation around them. Measured on Kubernetes labels:
/// 250 to 450.
pub const BYTES_PER_SERIES: usize = 512;

/// What one request may ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Points a series; Prometheus refuses more than 11,000.
    pub points_per_series: usize,
    /// Samples over all series.
    pub samples_per_request: usize,
    /// Bytes of the answer, by [`BYTES_PER_SAMPLE`] and [`BYTES_PER_SERIES`].
    pub bytes_per_request: usize,
}

impl Limits {
    /// The points a series that a request for so many series may have: at least one, since less would never end. How
    /// many series there may be is bounded by the settings' `series_limit`.
    fn points(&self, series: usize) -> usize {
        let series = series.max(1);
        let by_samples = self.samples_per_request / series;
        let bytes_left = self.bytes_per_request.saturating_sub(series.saturating_mul(BYTES_PER_SERIES));
        let by_bytes = bytes_left / series.saturating_mul(BYTES_PER_SAMPLE);
        self.points_per_series.min(by_samples).min(by_bytes).max(1)
    }
}

/// The steps of a range query: from the first to the last, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TimeRange {
    start: Timestamp,
    end: Timestamp,
}

impl TimeRange {
    /// Takes the first and the last step; `None` where the last lies before the first.
    pub fn new(start: Timestamp, end: Timestamp) -> Option<Self> {
        (start <= end).then_some(Self { start, end })
    }

    /// The newest `points` steps that are complete: the last is the newest multiple of the step that is at least
    /// `delay` old. 20 points start 19 steps before it. No points are taken for one.
    pub fn last_points(now: Timestamp, delay: Duration, step: Duration, points: u32) -> Self {
        let end = now.minus(delay).align_down(step);
        let back = step.saturating_mul(points.saturating_sub(1));
        Self { start: end.minus(back), end }
    }

    /// The complete steps after the one that was seen last; `None` where there is no new one yet.
    pub fn unseen(after: Timestamp, now: Timestamp, delay: Duration, step: Duration) -> Option<Self> {
        let start = after.align_down(step).plus(at_least_a_millisecond(step));
        Self::new(start, now.minus(delay).align_down(step))
    }

    /// The first step.
    pub fn start(self) -> Timestamp {
        self.start
    }

    /// The last step.
    pub fn end(self) -> Timestamp {
        self.end
    }

    /// How many steps there are, both ends included.
    pub fn points(self, step: Duration) -> u64 {
        let span = self.end.as_millis().abs_diff(self.start.as_millis());
        (span / millis(at_least_a_millisecond(step)).unsigned_abs()).saturating_add(1)
    }

    /// Whether both ends are multiples of the step.
    pub fn is_aligned(self, step: Duration) -> bool {
        [self.start, self.end].iter().all(|end| end.align_down(step) == *end)
    }
}

/// Cuts a range into requests that stay within the limits for the number of series that is expected: in time order,
/// each step in exactly one. Where the series alone go beyond a limit, each request asks for one step.
pub fn chunks(range: TimeRange, step: Duration, expected_series: usize, limits: &Limits) -> Vec<TimeRange> {
    let step = at_least_a_millisecond(step);
    let points = limits.points(expected_series);
    let back = step.saturating_mul(u32::try_from(points - 1).unwrap_or(u32::MAX));
    let mut chunks = Vec::new();
    let mut start = range.start;
    while start <= range.end {
        let end = start.plus(back).min(range.end);
        chunks.push(TimeRange { start, end });
        let next = start.plus(back).plus(step);
        if next <= end {
            // Time itself ends here: the sums saturate.
            break;
        }
        start = next;
    }
    chunks
}

/// A step of zero would never get anywhere.
fn at_least_a_millisecond(step: Duration) -> Duration {
    step.max(Duration::from_millis(1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    const fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn twenty_points_start_nineteen_steps_before_the_end() {
        let range = TimeRange::last_points(Timestamp::from_millis(1_000_007_999), secs(0), secs(15), 20);
        assert_eq!((range.start(), range.end()), (at(1_000_005 - 19 * 15), at(1_000_005)));
        assert_eq!(range.points(secs(15)), 20);
    }

    #[test]
    fn the_delay_comes_off_before_the_alignment() {
        let range = TimeRange::last_points(at(1000), secs(30), secs(60), 1);
        assert_eq!((range.start(), range.end()), (at(960), at(960)));
        let range = TimeRange::last_points(at(1000), secs(41), secs(60), 2);
        assert_eq!((range.start(), range.end()), (at(840), at(900)));
    }

    #[test]
    fn only_steps_not_seen_yet_are_asked_for() {
        let unseen = |after| TimeRange::unseen(at(after), at(1000), secs(30), secs(15));
        assert_eq!(unseen(900), TimeRange::new(at(915), at(960)));
        assert_eq!(unseen(907), TimeRange::new(at(915), at(960)));
        assert_eq!(unseen(945), TimeRange::new(at(960), at(960)));
        assert_eq!(unseen(960), None);
        assert_eq!(unseen(5000), None, "a clock that went back");
    }

    #[test]
    fn a_day_of_five_series_is_one_request_and_a_week_is_four() {
        let limits =
            Limits { points_per_series: 11_000, samples_per_request: 1 << 30, bytes_per_request: 1 << 24 };
        let range = |points| TimeRange::last_points(at(1_700_000_000), secs(0), secs(15), points);
        assert_eq!(chunks(range(5760), secs(15), 5, &limits).len(), 1);
        assert_eq!(chunks(range(11_000), secs(15), 5, &limits).len(), 1);
        assert_eq!(chunks(range(7 * 5760), secs(15), 5, &limits).len(), 4);
    }

    #[test]
    fn the_end_of_time_ends_the_chunks() {
        let limits = Limits { points_per_series: 10, samples_per_request: 10, bytes_per_request: 1 << 20 };
        let end = Timestamp::from_millis(i64::MAX);
        let range = TimeRange::new(Timestamp::from_millis(i64::MAX - 25), end).unwrap();
        let cut = chunks(range, Duration::from_millis(1), 1, &limits);
        assert_eq!(cut.iter().map(|c| c.points(Duration::from_millis(1))).sum::<u64>(), 26);
    }

    proptest! {
        #[test]
        fn chunks_cover_the_range_once_in_order_and_within_the_limits(
            start in -1_000_000_i64..1_000_000,
            points in 1_u64..20_000,
            step_ms in 1_u64..100_000,
            series in 0_usize..5000,
            limits in (1_usize..11_000, 1_usize..1_000_000, 1_usize..(1 << 24)),
        ) {
            let step = Duration::from_millis(step_ms);
            let start = Timestamp::from_millis(start).align_down(step);
            let range = TimeRange::new(start, start.plus(step * u32::try_from(points - 1).unwrap())).unwrap();
            let limits = Limits {
                points_per_series: limits.0,
                samples_per_request: limits.1,
                bytes_per_request: limits.2,
            };
            let cut = chunks(range, step, series, &limits);
            let mut next = range.start();
            for chunk in &cut {
                prop_assert_eq!(chunk.start(), next);
                prop_assert!(chunk.is_aligned(step));
                next = chunk.end().plus(step);
                let (points, series) = (usize::try_from(chunk.points(step)).unwrap(), series.max(1));
                let bytes = series * (BYTES_PER_SERIES + points * BYTES_PER_SAMPLE);
                let within = points <= limits.points_per_series
                    && points * series <= limits.samples_per_request
                    && bytes <= limits.bytes_per_request;
                prop_assert!(within || points == 1, "{} points of {} series", points, series);
            }
            prop_assert_eq!(next, range.end().plus(step));
        }

        #[test]
        fn no_arguments_panic(
            now in any::<i64>(), after in any::<i64>(), delay in any::<u64>(), step in any::<u64>(),
            points in any::<u32>(),
        ) {
            let (now, after) = (Timestamp::from_millis(now), Timestamp::from_millis(after));
            let (delay, step) = (Duration::from_millis(delay), Duration::from_millis(step));
            let range = TimeRange::last_points(now, delay, step, points);
            prop_assert!(range.start() <= range.end());
            let _ = range.points(step);
            let _ = TimeRange::unseen(after, now, delay, step);
        }
    }
}
