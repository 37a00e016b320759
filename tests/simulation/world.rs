//! Samples of the demo's world, as a Prometheus that scrapes it would hold them, through the engine.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use portent::correlate;
use portent::detect::{Kind, Settings, SignalPlan};
use portent::engine::{self, Coverage, Engine, Failure, Input, Restored};
use portent::incident;
use portent::replay::Replay;
use portent::series::{Batch, Labels, SeriesKey, Service, SignalName};
use portent::time::Timestamp;
use portent_demo_service::{SERVICES, Schedule, Signal, World};

pub(crate) const STEP_MS: i64 = 15_000;
pub(crate) const POLL_MS: i64 = 60_000;

/// From when to when, and from when on findings count.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    pub(crate) from_ms: i64,
    pub(crate) acts_from_ms: i64,
    pub(crate) until_ms: i64,
}

/// When within 15 s the scrapes are, and when within 60 s the polls.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sampling {
    pub(crate) scrape_offset_ms: i64,
    pub(crate) poll_offset_ms: i64,
}

impl Sampling {
    pub(crate) fn direct() -> Self {
        Self { scrape_offset_ms: 0, poll_offset_ms: 0 }
    }

    /// The value that a range query shows at a step: that of the last scrape not after it.
    pub(crate) fn value(&self, world: &World, service: &str, signal: Signal, step_ms: i64) -> Option<f64> {
        let scraped = step_ms - (step_ms - self.scrape_offset_ms).rem_euclid(STEP_MS);
        world.value(service, signal, scraped)
    }
}

pub(crate) fn demo_engine(muted_until_ms: i64) -> Engine {
    let plan = |kind| SignalPlan {
        settings: Settings::default(),
        kind,
        step: Duration::from_millis(STEP_MS as u64),
        window: Duration::ZERO,
        series_limit: 1000,
        overrides: Vec::new(),
    };
    let settings = engine::Settings {
        signals: Signal::ALL
            .iter()
            .map(|signal| (SignalName::new(signal.name()), plan(Kind::of_name(signal.name()))))
            .collect(),
        correlate: correlate::Settings::default(),
        incident: incident::Settings::default(),
        source_lost_after: Duration::from_secs(180),
        questions_per_incident: 0,
    };
    Engine::new(settings, Restored::default(), Timestamp::from_millis(muted_until_ms))
}

pub(crate) fn keys(signal: Signal) -> Vec<(&'static str, Arc<SeriesKey>)> {
    let key = |service: &'static str| {
        let labels = Labels::new([("service", service)]);
        (service, Arc::new(SeriesKey::new(SignalName::new(signal.name()), Service::new(service), labels)))
    };
    SERVICES.iter().map(|service| key(service.name)).collect()
}

/// Polls each minute, each time for the steps that were not seen yet.
pub(crate) fn replay(world: &World, run: Run, sampling: Sampling) -> Replay {
    replay_with(world, run, sampling, 0..0)
}

/// The same, with a backend that answers nothing in a span, and then what it has kept.
pub(crate) fn replay_with(world: &World, run: Run, sampling: Sampling, down: Range<i64>) -> Replay {
    let mut replay = Replay::new(demo_engine(run.acts_from_ms));
    let keys: Vec<_> = Signal::ALL.iter().map(|signal| (*signal, keys(*signal))).collect();
    let mut next_step = run.from_ms - run.from_ms.rem_euclid(STEP_MS) + STEP_MS;
    let mut poll = run.from_ms - run.from_ms.rem_euclid(POLL_MS) + sampling.poll_offset_ms;
    while poll <= run.until_ms {
        let last_step = poll - poll.rem_euclid(STEP_MS);
        if down.contains(&poll) {
            let slot = Timestamp::from_millis(poll);
            for (signal, _) in &keys {
                let (signal, failure) = (SignalName::new(signal.name()), Failure::Backend);
                let because = "query got no answer: connection refused".to_owned();
                replay.step(slot, Input::PollFailed { signal, slot, failure, because });
            }
            poll += POLL_MS;
            continue;
        }
        for (signal, keys) in &keys {
            let mut batch = Batch::new(SignalName::new(signal.name()));
            for (service, key) in keys {
                batch.begin_row(Arc::clone(key));
                for step in (next_step..=last_step).step_by(STEP_MS as usize) {
                    if let Some(value) = sampling.value(world, service, *signal, step) {
                        batch.push(Timestamp::from_millis(step), value);
                    }
                }
            }
            let now = Timestamp::from_millis(poll);
            replay.step(now, Input::Batch(batch));
            let through = Timestamp::from_millis(last_step);
            replay.step(
                now,
                Input::SlotClosed {
                    signal: SignalName::new(signal.name()),
                    from: Timestamp::from_millis(next_step),
                    through,
                    coverage: Coverage::Whole,
                },
            );
        }
        next_step = last_step + STEP_MS;
        poll += POLL_MS;
    }
    replay
}

/// Faults that began in the span: how many an incident names by service and signal, how many none does, and the
/// incidents that name no fault.
pub(crate) fn caught_and_false(
    world: &World,
    replay: &Replay,
    from_ms: i64,
    until_ms: i64,
) -> (usize, usize, Vec<String>) {
    let faults = world.truth(from_ms - 600_000, until_ms + 600_000);
    let members: Vec<_> =
        replay.incidents().flat_map(|r| r.incident.members.iter().map(|m| (r.incident.id, m))).collect();
    let matches = |fault: &portent_demo_service::Fault, member: &incident::Member| {
        let found = member.trouble.detected_at().as_millis();
        fault.service == member.key.service.as_str()
            && fault.signals.iter().any(|signal| signal.name() == member.key.signal.as_str())
            && (fault.start_ms..fault.end_ms.unwrap_or(i64::MAX) + STEP_MS).contains(&found)
    };
    let due: Vec<_> = faults.iter().filter(|fault| (from_ms..until_ms).contains(&fault.start_ms)).collect();
    let caught = due.iter().filter(|fault| members.iter().any(|(_, member)| matches(fault, member))).count();
    let wrong = members
        .iter()
        .filter(|(_, member)| !faults.iter().any(|fault| matches(fault, member)))
        .map(|(id, member)| format!("{id} {} {:?}", member.key, member.trouble))
        .collect();
    (caught, due.len() - caught, wrong)
}

/// Incidents of ours and flags of the naive rule over a span without faults.
pub(crate) fn fault_free(seed: u64, span_ms: i64, start_ms: i64) -> (usize, usize) {
    let world = World::new(seed, Schedule::Off);
    let run = Run { from_ms: start_ms - 3_600_000, acts_from_ms: start_ms, until_ms: start_ms + span_ms };
    let replay = replay(&world, run, Sampling::direct());
    (replay.incidents().count(), super::naive::naive_openings(&world, run, Sampling::direct()))
}
