//! The world: what every series is worth at any moment, and the truth about its faults.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::effect::{Effect, Fault};
use crate::request::FaultRequest;
use crate::schedule::{Schedule, fires, is_scheduled, scheduled};
use crate::wave::{Service, Signal, Texture};

/// How many posted faults are remembered. When one more comes, the one that ended first is forgotten.
pub const POSTED_MAX: usize = 1000;
/// How many scheduled faults one call of [`World::truth`] tells of at most: the earliest ones of the span.
pub const SCHEDULED_TRUTH_MAX: usize = 100_000;

/// Why a fault could not be posted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PostError {
    /// None of the remembered faults has ended, so that none can be forgotten.
    #[error("{POSTED_MAX} posted faults are going on, which is the limit; delete one first")]
    Full,
}

/// Why a fault could not be deleted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeleteError {
    /// There never was such a fault, or it has been forgotten.
    #[error("there is no fault \"{0}\"")]
    Unknown(String),
    /// The schedule can only be switched off as a whole.
    #[error("fault \"{0}\" is part of the schedule; start with --schedule off to have none")]
    Scheduled(String),
}

/// Five services whose every value is a function of service, signal, time and seed, and of the faults posted so far.
///
/// Clones share the posted faults.
#[derive(Debug, Clone)]
pub struct World {
    seed: u64,
    schedule: Schedule,
    posted: Arc<Mutex<Posted>>,
}

#[derive(Debug, Default)]
struct Posted {
    count: u64,
    faults: Vec<Fault>,
}

impl World {
    /// Makes a world with no posted fault.
    #[must_use]
    pub fn new(seed: u64, schedule: Schedule) -> Self {
        Self { seed, schedule, posted: Arc::default() }
    }

    /// The value of one gauge at a Unix time in milliseconds; none for an unknown service and while the series is gone.
    #[must_use]
    pub fn value(&self, service: &str, signal: Signal, at_ms: i64) -> Option<f64> {
        self.series(Service::named(service)?, signal, at_ms, at_ms).at(at_ms)
    }

    /// Every fault, scheduled or posted, that lasts at some moment of `[from_ms, until_ms)`, by its start.
    #[must_use]
    pub fn truth(&self, from_ms: i64, until_ms: i64) -> Vec<Fault> {
        let mut faults: Vec<Fault> = match self.schedule {
            Schedule::On => scheduled(from_ms, until_ms).take(SCHEDULED_TRUTH_MAX).collect(),
            Schedule::Off => Vec::new(),
        };
        faults.extend(self.posted().faults.iter().filter(|fault| fault.overlaps(from_ms, until_ms)).cloned());
        faults.sort_by_key(|fault| fault.start_ms);
        faults
    }

    /// Starts a fault at `now_ms` and returns the truth about it.
    ///
    /// # Errors
    ///
    /// When [`POSTED_MAX`] posted faults are going on already.
    pub fn post(&self, request: FaultRequest, now_ms: i64) -> Result<Fault, PostError> {
        let mut posted = self.posted();
        if posted.faults.len() >= POSTED_MAX {
            let ended =
                posted.faults.iter().enumerate().filter_map(|(index, fault)| Some((fault.end_ms?, index)));
            let (_, oldest) = ended.filter(|(end_ms, _)| *end_ms <= now_ms).min().ok_or(PostError::Full)?;
            posted.faults.remove(oldest);
        }
        posted.count += 1;
        let fault = request.fault(format!("posted-{}", posted.count), now_ms);
        posted.faults.push(fault.clone());
        Ok(fault)
    }

    /// Ends a posted fault at `now_ms`; the past keeps it. A fault that has ended already is left as it is.
    ///
    /// # Errors
    ///
    /// When the fault is unknown, or belongs to the schedule.
    pub fn delete(&self, id: &str, now_ms: i64) -> Result<Fault, DeleteError> {
        if let Some(fault) = self.posted().faults.iter_mut().find(|fault| fault.id == id) {
            fault.end(now_ms);
            return Ok(fault.clone());
        }
        match self.schedule {
            Schedule::On if is_scheduled(id) => Err(DeleteError::Scheduled(id.to_owned())),
            Schedule::On | Schedule::Off => Err(DeleteError::Unknown(id.to_owned())),
        }
    }

    /// Gathers what decides one series within `[from_ms, until_ms]`, so that many points cost one look at the faults.
    pub(crate) fn series(&self, service: &Service, signal: Signal, from_ms: i64, until_ms: i64) -> Series {
        let posted = self.posted();
        let touches = |effect: &&Effect| {
            effect.service == service.name
                && effect.signal == signal
                && effect.overlaps(from_ms, until_ms.saturating_add(1))
        };
        // A scheduled fault comes first, as a change of the normal value; posted ones act on what is left of it.
        let effects =
            posted.faults.iter().flat_map(|fault| &fault.effects).filter(touches).copied().collect();
        let scheduled = self.schedule == Schedule::On && service.fault_signal == signal;
        Series {
            base: service.base(signal),
            ceiling: signal.ceiling(),
            texture: Texture::new(self.seed, service, signal),
            scheduled: scheduled.then_some((service.fault_at_seconds, service.fault_factor)),
            effects,
        }
    }

    /// The last restart of a service's counters, in whole Unix seconds, that falls into `[from_s, until_s]`.
    pub(crate) fn last_counter_reset(&self, service: &Service, from_s: i64, until_s: i64) -> Option<i64> {
        let posted = self.posted();
        let own = posted.faults.iter().filter(|fault| fault.service == service.name);
        // A restart within a second shows at the end of that second.
        let seconds = own
            .flat_map(|fault| &fault.counter_resets_ms)
            .map(|reset_ms| reset_ms.div_euclid(1000) + i64::from(reset_ms.rem_euclid(1000) != 0));
        seconds.filter(|second| (from_s..=until_s).contains(second)).max()
    }

    fn posted(&self) -> MutexGuard<'_, Posted> {
        // Nothing panics while it is held, and a list of faults has no half-changed state.
        self.posted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One series within a span of time.
pub(crate) struct Series {
    base: f64,
    ceiling: f64,
    texture: Texture,
    scheduled: Option<(i64, f64)>,
    effects: Vec<Effect>,
}

impl Series {
    pub(crate) fn at(&self, at_ms: i64) -> Option<f64> {
        let factor = match self.scheduled {
            Some((at_seconds, factor)) if fires(at_seconds, at_ms) => factor,
            Some(_) | None => 1.0,
        };
        let mean =
            self.effects.iter().try_fold(self.base * factor, |value, effect| effect.apply(value, at_ms))?;
        Some((mean * self.texture.at(at_ms)).clamp(0.0, self.ceiling))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wave::{CYCLE_SECONDS, FAULT_SECONDS, SERVICES};

    fn post(world: &World, body: &str, now_ms: i64) -> Fault {
        world.post(FaultRequest::from_json(body.as_bytes()).unwrap(), now_ms).unwrap()
    }

    /// How often a series with faults is worth what the same series is worth without.
    fn ratio(world: &World, service: &str, signal: Signal, at_ms: i64) -> f64 {
        let calm = World::new(world.seed, Schedule::Off);
        world.value(service, signal, at_ms).unwrap() / calm.value(service, signal, at_ms).unwrap()
    }

    #[track_caller]
    fn near(seen: f64, expected: f64) {
        assert!((seen - expected).abs() < 1e-9 * expected.abs().max(1.0), "{seen} instead of {expected}");
    }

    #[test]
    fn a_scheduled_fault_fires_only_in_its_window_and_only_on_its_signal() {
        let world = World::new(11, Schedule::On);
        let calm = World::new(11, Schedule::Off);
        for cycle in [-1, 0, 2_900_000] {
            for second in 0..CYCLE_SECONDS {
                for millis in [0, 999] {
                    let at_ms = (cycle * CYCLE_SECONDS + second) * 1000 + millis;
                    for service in &SERVICES {
                        for signal in Signal::ALL {
                            let since = second - service.fault_at_seconds;
                            let fires = signal == service.fault_signal && (0..FAULT_SECONDS).contains(&since);
                            let factor = if fires { service.fault_factor } else { 1.0 };
                            let normal = calm.value(service.name, signal, at_ms).unwrap();
                            let expected = (normal * factor).min(signal.ceiling());
                            near(world.value(service.name, signal, at_ms).unwrap(), expected);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn a_fault_begins_and_ends_on_the_millisecond() {
        let world = World::new(1, Schedule::On);
        for (at_ms, expected) in
            [(-1, 1.0), (0, 18.0), (44_999, 18.0), (45_000, 1.0), (599_999, 1.0), (600_000, 18.0)]
        {
            near(ratio(&world, "payment-service", Signal::ErrorRate, at_ms), expected);
        }
    }

    #[test]
    fn the_processor_never_exceeds_one() {
        let world = World::new(1, Schedule::On);
        post(
            &world,
            r#"{"service":"user-service","signal":"cpu_usage","shape":"level_shift","factor":900}"#,
            0,
        );
        near(world.value("user-service", Signal::CpuUsage, 5_000).unwrap(), 1.0);
    }

    #[test]
    fn an_unknown_service_has_no_value() {
        assert_eq!(World::new(1, Schedule::On).value("nobody", Signal::CpuUsage, 0), None);
    }

    #[test]
    fn truth_tells_every_scheduled_fault_of_the_span_and_no_other() {
        let world = World::new(1, Schedule::On);
        assert_eq!(world.truth(0, 600_000).len(), 5);
        assert_eq!(world.truth(44_999, 120_000).len(), 1);
        assert_eq!(world.truth(45_000, 120_000).len(), 0);
        assert_eq!(world.truth(-10, 0).len(), 0);
        assert_eq!(world.truth(600_000, 0).len(), 0);
        assert_eq!(world.truth(i64::MIN, i64::MAX).len(), SCHEDULED_TRUTH_MAX);
        assert_eq!(World::new(1, Schedule::Off).truth(0, 600_000), []);
        let first = world.truth(0, 1).remove(0);
        assert_eq!(first.id, "scheduled-payment-service-0");
        assert_eq!((first.signals, first.end_ms), (vec![Signal::ErrorRate], Some(45_000)));
    }

    #[test]
    fn a_posted_fault_acts_from_now_until_its_end() {
        let world = World::new(1, Schedule::Off);
        let body = r#"{"service":"order-service","signal":"request_rate","shape":"step","factor":3,"duration":"30s"}"#;
        let fault = post(&world, body, 10_000);
        for (at_ms, expected) in [(9_999, 1.0), (10_000, 3.0), (39_999, 3.0), (40_000, 1.0)] {
            near(ratio(&world, "order-service", Signal::RequestRate, at_ms), expected);
        }
        assert_eq!(world.truth(39_999, 40_000), [fault]);
        assert_eq!(world.truth(40_000, 50_000), []);
    }

    #[test]
    fn a_deleted_fault_ends_now_and_keeps_its_past() {
        let world = World::new(1, Schedule::Off);
        let fault = post(&world, r#"{"scenario":"level_shift","service":"user-service"}"#, 10_000);
        assert_eq!(fault.end_ms, None);
        assert_eq!(world.delete(&fault.id, 60_000).unwrap().end_ms, Some(60_000));
        near(ratio(&world, "user-service", Signal::RequestRate, 59_999), 2.0);
        near(ratio(&world, "user-service", Signal::RequestRate, 60_000), 1.0);
        assert_eq!(world.delete(&fault.id, 90_000).unwrap().end_ms, Some(60_000));
    }

    #[test]
    fn only_posted_faults_can_be_deleted() {
        let world = World::new(1, Schedule::On);
        for fault in world.truth(0, 600_000) {
            assert_eq!(world.delete(&fault.id, 0), Err(DeleteError::Scheduled(fault.id)));
        }
        for id in
            ["posted-1", "", "scheduled-payment-service-7", "scheduled-x-0", "scheduled-payment-service-"]
        {
            assert_eq!(world.delete(id, 0), Err(DeleteError::Unknown(id.to_owned())));
        }
    }

    #[test]
    fn a_vanished_service_has_no_value_and_comes_back() {
        let world = World::new(1, Schedule::On);
        post(&world, r#"{"scenario":"service_vanishes","service":"user-service"}"#, 0);
        for signal in Signal::ALL {
            assert_eq!(world.value("user-service", signal, 119_999), None);
            assert!(world.value("user-service", signal, 120_000).is_some());
            assert!(world.value("order-service", signal, 0).is_some());
        }
    }

    #[test]
    fn injected_latency_adds_600_ms_for_30_s() {
        let world = World::new(1, Schedule::Off);
        let fault = post(&world, r#"{"scenario":"injected_latency"}"#, 0);
        near(ratio(&world, "order-service", Signal::LatencyP95, 29_999), 0.68 / 0.08);
        near(ratio(&world, "order-service", Signal::LatencyP95, 30_000), 1.0);
        near(fault.factor, 0.68 / 0.08);
    }

    #[test]
    fn posted_faults_are_bounded_and_the_first_to_have_ended_gives_way() {
        let world = World::new(1, Schedule::Off);
        for _ in 0..POSTED_MAX {
            post(&world, r#"{"scenario":"injected_latency"}"#, 0);
        }
        let request = FaultRequest::from_json(br#"{"scenario":"daily_wave"}"#).unwrap();
        assert_eq!(world.post(request, 29_999), Err(PostError::Full));
        assert_eq!(world.post(request, 30_000).unwrap().id, "posted-1001");
        assert_eq!(world.delete("posted-1", 30_000), Err(DeleteError::Unknown("posted-1".to_owned())));
        assert_eq!(world.truth(0, 30_000).len(), POSTED_MAX - 1);
    }

    #[test]
    fn clones_share_posted_faults() {
        let world = World::new(1, Schedule::Off);
        post(&world.clone(), r#"{"scenario":"daily_wave"}"#, 0);
        assert_eq!(world.truth(0, 1).len(), 1);
    }

    proptest! {
        #[test]
        fn a_value_depends_on_nothing_but_series_time_and_seed(seed: u64, at_ms: i64, elsewhere: i64, which in 0..25_usize) {
            let (service, signal) = (SERVICES[which / 5].name, Signal::ALL[which % 5]);
            let world = World::new(seed, Schedule::On);
            let value = world.value(service, signal, at_ms).unwrap();
            let _ = world.value(service, signal, elsewhere);
            prop_assert_eq!(world.value(service, signal, at_ms).map(f64::to_bits), Some(value.to_bits()));
            let again = World::new(seed, Schedule::On);
            prop_assert_eq!(again.value(service, signal, at_ms).map(f64::to_bits), Some(value.to_bits()));
            prop_assert!(value.is_finite() && value >= 0.0 && value <= signal.ceiling());
        }

        #[test]
        fn no_time_and_no_scenario_panics(at_ms: i64, now_ms: i64, which in 0..11_usize, service in 0..5_usize) {
            let world = World::new(1, Schedule::On);
            let scenario = crate::scenario::Scenario::ALL[which];
            let request = FaultRequest::scenario(scenario, Some(SERVICES[service].name)).unwrap();
            let fault = world.post(request, now_ms).unwrap();
            for signal in Signal::ALL {
                let _ = world.value(SERVICES[service].name, signal, at_ms);
            }
            let _ = world.delete(&fault.id, at_ms);
            let _ = world.truth(at_ms, now_ms);
        }
    }
}
