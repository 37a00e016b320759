//! The traffic as a real service counts it: the integrals of the gauges, in steps of one whole second.
//!
//! As in a real process, counting starts at zero when the process starts and goes on from scrape to scrape. The second
//! `[s, s + 1)` adds what the gauges are worth at `s`. One scrape takes at most [`STEPS_MAX`] steps a service: after a
//! longer gap (more than an hour at the default limit) the steps get longer than a second, so that a fault in such a gap
//! is counted roughly. A clock that goes back adds nothing. A gauge that is gone adds nothing either.

use crate::faults::World;
use crate::wave::{SERVICES, Service, Signal};

/// How many steps one scrape integrates at most, for each service.
pub(crate) const STEPS_MAX: i64 = 3_600;

/// Upper bounds of the histogram in seconds: twelve a decade, so that a straight line within a bucket is wrong about a
/// quantile by some 2 % at most.
pub(crate) const BOUNDS: [f64; 41] = [
    0.005, 0.0056, 0.0068, 0.0082, 0.01, 0.012, 0.015, 0.018, 0.022, 0.027, 0.033, 0.039, 0.047, 0.056,
    0.068, 0.082, 0.1, 0.12, 0.15, 0.18, 0.22, 0.27, 0.33, 0.39, 0.47, 0.56, 0.68, 0.82, 1.0, 1.2, 1.5, 1.8,
    2.2, 2.7, 3.3, 3.9, 4.7, 5.6, 6.8, 8.2, 10.0,
];

/// ln 20: an exponential law with this rate times `1 / p95` has its 95th percentile at `p95`.
const LN_20: f64 = 2.995_732_273_553_991;

/// What one service has counted since it started.
#[derive(Debug, Clone)]
pub(crate) struct Tally {
    /// The first second that is not counted yet.
    counted_until_s: i64,
    pub(crate) succeeded: f64,
    pub(crate) failed: f64,
    pub(crate) processor_seconds: f64,
    pub(crate) latency: Histogram,
}

/// A cumulative histogram of request durations.
#[derive(Debug, Clone)]
pub(crate) struct Histogram {
    /// How many requests took at most [`BOUNDS`] seconds, for each bound.
    pub(crate) at_most: [f64; BOUNDS.len()],
    pub(crate) sum: f64,
    pub(crate) count: f64,
}

/// The counters of all services.
#[derive(Debug)]
pub(crate) struct Counters {
    tallies: [Tally; SERVICES.len()],
}

impl Counters {
    /// Starts counting from zero.
    pub(crate) fn new(start_ms: i64) -> Self {
        Self { tallies: std::array::from_fn(|_| Tally::new(start_ms.div_euclid(1000))) }
    }

    /// Counts on until now, and shows each service with what it has counted.
    pub(crate) fn advance(
        &mut self,
        world: &World,
        now_ms: i64,
    ) -> impl Iterator<Item = (&'static Service, &Tally)> {
        for (service, tally) in SERVICES.iter().zip(&mut self.tallies) {
            tally.advance(world, service, now_ms);
        }
        SERVICES.iter().zip(&self.tallies)
    }
}

impl Tally {
    fn new(start_s: i64) -> Self {
        let latency = Histogram { at_most: [0.0; BOUNDS.len()], sum: 0.0, count: 0.0 };
        Self { counted_until_s: start_s, succeeded: 0.0, failed: 0.0, processor_seconds: 0.0, latency }
    }

    fn advance(&mut self, world: &World, service: &Service, now_ms: i64) {
        let now_s = now_ms.div_euclid(1000);
        if let Some(reset_s) = world.last_counter_reset(service, self.counted_until_s, now_s) {
            *self = Self::new(reset_s);
        }
        let from_s = self.counted_until_s;
        let gap_s = now_s.saturating_sub(from_s);
        if gap_s <= 0 {
            return;
        }
        let stride_s = 1 + (gap_s - 1) / STEPS_MAX;
        let series =
            Signal::ALL.map(|signal| world.series(service, signal, from_s.saturating_mul(1000), now_ms));
        let mut second = from_s;
        while second < now_s {
            let width_s = stride_s.min(now_s - second);
            let [requests, errors, latency, processor, _] =
                std::array::from_fn(|index| series.get(index)?.at(second.saturating_mul(1000)));
            self.add(width_s as f64, (requests, errors), latency, processor);
            second += width_s;
        }
        self.counted_until_s = now_s;
    }

    fn add(
        &mut self,
        seconds: f64,
        (requests, errors): (Option<f64>, Option<f64>),
        p95: Option<f64>,
        processor: Option<f64>,
    ) {
        let requests = requests.unwrap_or(0.0) * seconds;
        // There are never more failures than requests, whatever the gauges say.
        let failed = (errors.unwrap_or(0.0) * seconds).min(requests);
        self.failed += failed;
        self.succeeded += requests - failed;
        self.processor_seconds += processor.unwrap_or(0.0) * seconds;
        if let Some(p95) = p95 {
            self.latency.add(requests, p95);
        }
    }
}

impl Histogram {
    /// Adds requests whose durations follow an exponential law with the given 95th percentile.
    fn add(&mut self, requests: f64, p95: f64) {
        let rate = LN_20 / p95.max(f64::MIN_POSITIVE);
        for (at_most, bound) in self.at_most.iter_mut().zip(BOUNDS) {
            *at_most += requests * -(-rate * bound).exp_m1();
        }
        self.sum += requests / rate;
        self.count += requests;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::request::FaultRequest;
    use crate::schedule::Schedule;

    fn counted(counters: &mut Counters, world: &World, now_ms: i64, name: &str) -> Tally {
        counters.advance(world, now_ms).find(|(service, _)| service.name == name).unwrap().1.clone()
    }

    fn near(seen: f64, expected: f64, tolerance: f64) {
        assert!((seen / expected - 1.0).abs() < tolerance, "{seen} instead of {expected}");
    }

    /// `histogram_quantile` as Prometheus computes it.
    fn quantile(histogram: &Histogram, q: f64) -> f64 {
        let rank = q * histogram.count;
        let bucket = histogram.at_most.iter().position(|count| *count >= rank).unwrap();
        let (low, below) = match bucket {
            0 => (0.0, 0.0),
            _ => (BOUNDS[bucket - 1], histogram.at_most[bucket - 1]),
        };
        low + (BOUNDS[bucket] - low) * (rank - below) / (histogram.at_most[bucket] - below)
    }

    #[test]
    fn counters_are_the_integrals_of_the_gauges() {
        let world = World::new(4, Schedule::On);
        let mut counters = Counters::new(0);
        let tally = counted(&mut counters, &world, 600_000, "payment-service");
        let integral =
            |signal| (0..600).map(|s| world.value("payment-service", signal, s * 1000).unwrap()).sum::<f64>();
        near(tally.succeeded + tally.failed, integral(Signal::RequestRate), 1e-9);
        near(tally.failed, integral(Signal::ErrorRate), 1e-9);
        near(tally.processor_seconds, integral(Signal::CpuUsage), 1e-9);
        near(tally.latency.count, integral(Signal::RequestRate), 1e-9);
    }

    #[test]
    fn how_often_one_scrapes_does_not_matter() {
        let world = World::new(4, Schedule::On);
        let mut often = Counters::new(500);
        let mut once = Counters::new(500);
        for at_ms in (500..3_000_000).step_by(15_700) {
            counted(&mut often, &world, at_ms, "user-service");
        }
        let often = counted(&mut often, &world, 3_000_000, "user-service");
        let once = counted(&mut once, &world, 3_000_000, "user-service");
        near(often.succeeded, once.succeeded, 1e-9);
        near(often.latency.sum, once.latency.sum, 1e-9);
    }

    #[test]
    fn the_95th_percentile_of_the_histogram_is_the_gauge() {
        for service in &SERVICES {
            let world = World::new(4, Schedule::Off);
            let tally = counted(&mut Counters::new(0), &world, 300_000, service.name);
            let gauge: f64 =
                (0..300).map(|s| world.value(service.name, Signal::LatencyP95, s * 1000).unwrap()).sum();
            near(quantile(&tally.latency, 0.95), gauge / 300.0, 0.03);
        }
    }

    #[test]
    fn a_bucket_is_never_below_the_one_before_it() {
        let world = World::new(4, Schedule::On);
        for (_, tally) in Counters::new(0).advance(&world, 600_000) {
            assert!(tally.latency.at_most.windows(2).all(|pair| pair[0] <= pair[1]));
            assert!(tally.latency.at_most[BOUNDS.len() - 1] <= tally.latency.count);
        }
        assert!(BOUNDS.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn a_counter_reset_restarts_one_service_from_zero() {
        let world = World::new(4, Schedule::On);
        let mut counters = Counters::new(0);
        counted(&mut counters, &world, 100_000, "order-service");
        world
            .post(
                FaultRequest::from_json(br#"{"scenario":"counter_reset","service":"order-service"}"#)
                    .unwrap(),
                100_000,
            )
            .unwrap();
        assert!(counted(&mut counters, &world, 100_000, "order-service").succeeded.abs() < 1e-9);
        near(counted(&mut counters, &world, 110_000, "order-service").succeeded, 300.0, 0.1);
        near(counted(&mut counters, &world, 110_000, "user-service").succeeded, 6_600.0, 0.1);
    }

    #[test]
    fn a_leap_of_a_year_takes_a_bounded_number_of_steps_and_keeps_the_mean() {
        let world = World::new(4, Schedule::Off);
        let year_s = 365 * 86_400;
        let tally = counted(&mut Counters::new(0), &world, year_s * 1000, "user-service");
        near(tally.succeeded + tally.failed, 60.0 * year_s as f64, 0.01);
        let _ = counted(&mut Counters::new(i64::MIN), &world, i64::MAX, "user-service");
    }

    proptest! {
        #[test]
        fn counters_never_fall(steps in prop::collection::vec(-5_000..200_000_i64, 1..20)) {
            let world = World::new(4, Schedule::On);
            let (mut counters, mut now_ms, mut last) = (Counters::new(0), 0, None::<Tally>);
            for step in steps {
                now_ms += step;
                let tally = counted(&mut counters, &world, now_ms, "payment-service");
                if let Some(last) = last {
                    prop_assert!(tally.succeeded >= last.succeeded && tally.failed >= last.failed);
                    prop_assert!(tally.processor_seconds >= last.processor_seconds);
                    prop_assert!(tally.latency.at_most.iter().zip(last.latency.at_most).all(|(now, then)| *now >= then));
                }
                last = Some(tally);
            }
        }
    }
}
