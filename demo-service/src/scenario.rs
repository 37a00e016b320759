//! The named scenarios: what each does, to which signals, how strongly and for how long.

use crate::effect::{Change, Effect, Shape};
use crate::wave::{Service, Signal};

/// Who calls whom, as (caller, callee). A failing callee makes its callers fail after [`SPREAD_DELAY_MS`] a hop.
pub const CALLS: [(&str, &str); 5] = [
    ("order-service", "payment-service"),
    ("order-service", "inventory-service"),
    ("payment-service", "user-service"),
    ("payment-service", "notification-service"),
    ("notification-service", "user-service"),
];

/// How long a failing dependency takes to show in those who call it.
pub const SPREAD_DELAY_MS: i64 = 15_000;

/// How much of the excess over 1 is left of a factor after each hop from the failing dependency.
const SPREAD_DAMPING: f64 = 0.6;

const SECOND: i64 = 1_000;
const MINUTE: i64 = 60 * SECOND;

/// A fault with a story, started on request. [`Scenario::about`] says what each does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the text of each stands in `about`, where the API reads it too")]
pub enum Scenario {
    MemoryLeakGradual,
    CpuSpikeTrafficSurge,
    LatencySpikeDatabase,
    PodCrashLoop,
    DependencyFailureTimeout,
    BadDeployment,
    InjectedLatency,
    ServiceVanishes,
    CounterReset,
    LevelShift,
    DailyWave,
}

impl Scenario {
    /// Every scenario.
    pub const ALL: [Self; 11] = [
        Self::MemoryLeakGradual,
        Self::CpuSpikeTrafficSurge,
        Self::LatencySpikeDatabase,
        Self::PodCrashLoop,
        Self::DependencyFailureTimeout,
        Self::BadDeployment,
        Self::InjectedLatency,
        Self::ServiceVanishes,
        Self::CounterReset,
        Self::LevelShift,
        Self::DailyWave,
    ];

    /// The name on the wire, such as `memory_leak_gradual`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::MemoryLeakGradual => "memory_leak_gradual",
            Self::CpuSpikeTrafficSurge => "cpu_spike_traffic_surge",
            Self::LatencySpikeDatabase => "latency_spike_database",
            Self::PodCrashLoop => "pod_crash_loop",
            Self::DependencyFailureTimeout => "dependency_failure_timeout",
            Self::BadDeployment => "bad_deployment",
            Self::InjectedLatency => "injected_latency",
            Self::ServiceVanishes => "service_vanishes",
            Self::CounterReset => "counter_reset",
            Self::LevelShift => "level_shift",
            Self::DailyWave => "daily_wave",
        }
    }

    /// What it does, for a person.
    #[must_use]
    pub fn about(self) -> &'static str {
        match self {
            Self::MemoryLeakGradual => {
                "memory grows in a straight line to 4 times its normal value over 30 minutes, latency climbs to 1.5 times \
                 in the last 10; then the process is killed and restarts with fresh counters"
            }
            Self::CpuSpikeTrafficSurge => {
                "for 3 minutes 5 times the requests; processor use follows at 3 times (at most 1.0), latency doubles"
            }
            Self::LatencySpikeDatabase => {
                "for 3 minutes latency is 8 times its normal value while the processor waits at 0.6 times; after 15 s \
                 requests time out, 3 times the errors"
            }
            Self::PodCrashLoop => {
                "for 5 minutes the process dies every 60 s: for 20 s 0.4 times the requests are served, 20 times the \
                 errors, memory drops to 0.3 and processor use to 0.2 times; counters restart at each crash"
            }
            Self::DependencyFailureTimeout => {
                "for 3 minutes the service answers 10 times slower with 25 times the errors; its callers follow 15 s a \
                 hop later, each hop with 0.6 of the excess, and recover in the same order"
            }
            Self::BadDeployment => {
                "for 10 minutes a new version has 8 times the errors, 2.5 times the latency, 1.5 times the processor use \
                 and 1.2 times the memory; counters restart at the roll-out and at the roll-back"
            }
            Self::InjectedLatency => "for 30 s every request takes 600 ms longer",
            Self::ServiceVanishes => "for 2 minutes the service exports nothing",
            Self::CounterReset => "the counters of the service restart from zero, once; no gauge moves",
            Self::LevelShift => "twice the requests, until it is deleted",
            Self::DailyWave => {
                "requests and processor use swing by half around their mean with a period of one day, beginning at the \
                 mean and rising, until it is deleted"
            }
        }
    }

    /// Its form as a whole.
    #[must_use]
    pub fn shape(self) -> Shape {
        match self {
            Self::MemoryLeakGradual => Shape::Ramp,
            Self::CpuSpikeTrafficSurge
            | Self::LatencySpikeDatabase
            | Self::DependencyFailureTimeout
            | Self::BadDeployment => Shape::Step,
            Self::PodCrashLoop => Shape::Pulses,
            Self::InjectedLatency => Shape::Offset,
            Self::ServiceVanishes => Shape::Vanish,
            Self::CounterReset => Shape::CounterReset,
            Self::LevelShift => Shape::LevelShift,
            Self::DailyWave => Shape::DailyWave,
        }
    }

    /// The service that it strikes when none is named.
    #[must_use]
    pub fn default_service(self) -> &'static str {
        match self {
            Self::MemoryLeakGradual | Self::LevelShift => "inventory-service",
            Self::CpuSpikeTrafficSurge | Self::DependencyFailureTimeout | Self::DailyWave => "user-service",
            Self::LatencySpikeDatabase | Self::InjectedLatency => "order-service",
            Self::PodCrashLoop | Self::ServiceVanishes => "notification-service",
            Self::BadDeployment | Self::CounterReset => "payment-service",
        }
    }

    /// Finds a scenario by its name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scenario| scenario.name() == name)
    }

    /// Lays the scenario out in time.
    pub(crate) fn plan(self, service: &'static Service, start_ms: i64) -> Plan {
        let mut plan =
            Plan { service, start_ms, effects: Vec::new(), counter_resets_ms: Vec::new(), end_ms: None };
        self.fill(&mut plan);
        if self.shape() == Shape::CounterReset {
            // A moment has no length; a second gives it a place in the list of what lasts.
            plan.end_ms = Some(start_ms.saturating_add(SECOND));
        } else if plan.effects.iter().all(|effect| effect.end_ms.is_some()) {
            plan.end_ms = plan.effects.iter().filter_map(|effect| effect.end_ms).max();
        }
        plan
    }

    fn fill(self, plan: &mut Plan) {
        use Change::{Daily, Gone, Plus, RampTo, Times};
        use Signal::{CpuUsage, ErrorRate, LatencyP95, MemoryBytes, RequestRate};
        match self {
            Self::MemoryLeakGradual => {
                plan.during(0, 30 * MINUTE, &[(MemoryBytes, RampTo(4.0))]);
                plan.during(20 * MINUTE, 30 * MINUTE, &[(LatencyP95, RampTo(1.5))]);
                plan.reset_counters([30 * MINUTE]);
            }
            Self::CpuSpikeTrafficSurge => {
                plan.during(
                    0,
                    3 * MINUTE,
                    &[(RequestRate, Times(5.0)), (CpuUsage, Times(3.0)), (LatencyP95, Times(2.0))],
                );
            }
            Self::LatencySpikeDatabase => {
                plan.during(0, 3 * MINUTE, &[(LatencyP95, Times(8.0)), (CpuUsage, Times(0.6))]);
                plan.during(15 * SECOND, 3 * MINUTE, &[(ErrorRate, Times(3.0))]);
            }
            Self::PodCrashLoop => {
                let crash = |factor| Change::Pulses { factor, period_ms: MINUTE, lasting_ms: 20 * SECOND };
                plan.during(
                    0,
                    5 * MINUTE,
                    &[
                        (ErrorRate, crash(20.0)),
                        (RequestRate, crash(0.4)),
                        (MemoryBytes, crash(0.3)),
                        (CpuUsage, crash(0.2)),
                    ],
                );
                plan.reset_counters((0..5).map(|crashes| crashes * MINUTE));
            }
            Self::DependencyFailureTimeout => {
                plan.spread(3 * MINUTE, &[(LatencyP95, 10.0), (ErrorRate, 25.0)])
            }
            Self::BadDeployment => {
                let slower = [(ErrorRate, Times(8.0)), (LatencyP95, Times(2.5))];
                plan.during(0, 10 * MINUTE, &slower);
                plan.during(0, 10 * MINUTE, &[(CpuUsage, Times(1.5)), (MemoryBytes, Times(1.2))]);
                plan.reset_counters([0, 10 * MINUTE]);
            }
            Self::InjectedLatency => plan.during(0, 30 * SECOND, &[(LatencyP95, Plus(0.6))]),
            Self::ServiceVanishes => plan.during(0, 2 * MINUTE, &Signal::ALL.map(|signal| (signal, Gone))),
            Self::CounterReset => plan.reset_counters([0]),
            Self::LevelShift => plan.for_good(&[(RequestRate, Times(2.0))]),
            Self::DailyWave => plan.for_good(&[(RequestRate, Daily(0.5)), (CpuUsage, Daily(0.5))]),
        }
    }
}

/// A scenario laid out in time.
pub(crate) struct Plan {
    pub(crate) service: &'static Service,
    pub(crate) start_ms: i64,
    pub(crate) end_ms: Option<i64>,
    pub(crate) effects: Vec<Effect>,
    pub(crate) counter_resets_ms: Vec<i64>,
}

impl Plan {
    /// Adds changes to the service itself between two offsets from the start.
    fn during(&mut self, from_ms: i64, until_ms: i64, changes: &[(Signal, Change)]) {
        let span = (self.start_ms.saturating_add(from_ms), Some(self.start_ms.saturating_add(until_ms)));
        self.effects
            .extend(changes.iter().map(|(signal, change)| Effect::new(self.service, *signal, *change, span)));
    }

    fn for_good(&mut self, changes: &[(Signal, Change)]) {
        let span = (self.start_ms, None);
        self.effects
            .extend(changes.iter().map(|(signal, change)| Effect::new(self.service, *signal, *change, span)));
    }

    fn reset_counters(&mut self, offsets_ms: impl IntoIterator<Item = i64>) {
        let start_ms = self.start_ms;
        self.counter_resets_ms.extend(offsets_ms.into_iter().map(|offset| start_ms.saturating_add(offset)));
    }

    /// Lets the service and then its callers, hop by hop, suffer the factors.
    fn spread(&mut self, lasting_ms: i64, factors: &[(Signal, f64)]) {
        let mut damping = 1.0;
        let mut delay_ms: i64 = 0;
        for hop in callers_by_hop(self.service) {
            let start_ms = self.start_ms.saturating_add(delay_ms);
            let span = (start_ms, Some(start_ms.saturating_add(lasting_ms)));
            for service in hop {
                for (signal, factor) in factors {
                    let change = Change::Times(1.0 + (factor - 1.0) * damping);
                    self.effects.push(Effect::new(service, *signal, change, span));
                }
            }
            damping *= SPREAD_DAMPING;
            delay_ms = delay_ms.saturating_add(SPREAD_DELAY_MS);
        }
    }
}

/// The service, then those who call it, then those who call these: each service once, by its shortest way.
fn callers_by_hop(root: &'static Service) -> Vec<Vec<&'static Service>> {
    let mut seen = vec![root.name];
    let mut hops = vec![vec![root]];
    loop {
        let mut next = Vec::new();
        for callee in hops.last().into_iter().flatten() {
            for (caller, _) in CALLS.iter().filter(|(_, called)| *called == callee.name) {
                if let Some(service) = Service::named(caller).filter(|_| !seen.contains(caller)) {
                    seen.push(caller);
                    next.push(service);
                }
            }
        }
        if next.is_empty() {
            return hops;
        }
        hops.push(next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wave::SERVICES;

    fn plan(scenario: Scenario) -> Plan {
        scenario.plan(Service::named(scenario.default_service()).unwrap(), 0)
    }

    #[test]
    fn every_scenario_is_found_by_its_name_and_does_something() {
        for scenario in Scenario::ALL {
            assert_eq!(Scenario::named(scenario.name()), Some(scenario));
            let plan = plan(scenario);
            assert!(!plan.effects.is_empty() || !plan.counter_resets_ms.is_empty(), "{scenario:?}");
        }
    }

    #[test]
    fn only_the_permanent_scenarios_have_no_end() {
        for scenario in Scenario::ALL {
            let permanent = matches!(scenario, Scenario::LevelShift | Scenario::DailyWave);
            assert_eq!(plan(scenario).end_ms.is_none(), permanent, "{scenario:?}");
        }
    }

    #[test]
    fn every_call_is_between_services_of_the_table() {
        for (caller, callee) in CALLS {
            assert!(
                Service::named(caller).is_some() && Service::named(callee).is_some(),
                "{caller} {callee}"
            );
        }
    }

    #[test]
    fn a_failing_dependency_reaches_the_callee_first_and_then_its_callers() {
        let plan = plan(Scenario::DependencyFailureTimeout);
        let onset = |name: &str| {
            plan.effects.iter().find(|effect| effect.service == name).map(|effect| effect.start_ms)
        };
        assert_eq!(onset("user-service"), Some(0));
        assert_eq!(onset("payment-service"), Some(15_000));
        assert_eq!(onset("notification-service"), Some(15_000));
        assert_eq!(onset("order-service"), Some(30_000));
        assert_eq!(onset("inventory-service"), None);
        assert_eq!(plan.end_ms, Some(210_000));
    }

    #[test]
    fn a_fault_weakens_from_hop_to_hop() {
        let plan = plan(Scenario::DependencyFailureTimeout);
        let factor = |name: &str| {
            let effect = plan
                .effects
                .iter()
                .find(|effect| effect.service == name && effect.signal == Signal::ErrorRate);
            effect.unwrap().change.factor(1.0)
        };
        assert!(factor("user-service") > factor("payment-service"));
        assert!(factor("payment-service") > factor("order-service"));
        assert!(factor("order-service") > 5.0);
    }

    #[test]
    fn a_service_that_nobody_calls_fails_alone() {
        let order = Service::named("order-service").unwrap();
        assert_eq!(callers_by_hop(order).len(), 1);
    }

    #[test]
    fn every_scenario_can_strike_every_service_at_any_time() {
        for scenario in Scenario::ALL {
            for service in &SERVICES {
                for start_ms in [i64::MIN, 0, i64::MAX] {
                    assert_eq!(scenario.plan(service, start_ms).start_ms, start_ms);
                }
            }
        }
    }
}
