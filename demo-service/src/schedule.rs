//! The schedule: one fault a service in each cycle of ten minutes, for ever.

use std::fmt;

use crate::effect::{Change, Effect, Fault, Origin, Shape};
use crate::wave::{CYCLE_SECONDS, FAULT_SECONDS, SERVICES, Service};

const CYCLE_MS: i64 = CYCLE_SECONDS * 1000;
const FAULT_MS: i64 = FAULT_SECONDS * 1000;

/// Whether the scheduled faults fire. Posted ones always do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Schedule {
    /// One fault a service in each cycle of ten minutes.
    #[default]
    On,
    /// Noise and wave only.
    Off,
}

impl fmt::Display for Schedule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::On => "on",
            Self::Off => "off",
        })
    }
}

/// Tells whether the fault that starts at this second of each cycle fires at that moment.
pub(crate) fn fires(at_seconds: i64, at_ms: i64) -> bool {
    (0..FAULT_MS).contains(&(at_ms.rem_euclid(CYCLE_MS) - at_seconds * 1000))
}

/// The scheduled faults that overlap a span, from the earliest on.
pub(crate) fn scheduled(from_ms: i64, until_ms: i64) -> impl Iterator<Item = Fault> {
    // The first cycle may have begun before the span, with a fault that still lasts at its start.
    let first = from_ms.div_euclid(CYCLE_MS);
    let last = until_ms.div_euclid(CYCLE_MS);
    (first..=last)
        .flat_map(|cycle| SERVICES.iter().filter_map(move |service| scheduled_fault(service, cycle)))
        .filter(move |fault| fault.overlaps(from_ms, until_ms))
}

/// The fault of one service in one cycle; none where time itself ends.
fn scheduled_fault(service: &'static Service, cycle: i64) -> Option<Fault> {
    let start_ms = cycle.checked_mul(CYCLE_MS)?.checked_add(service.fault_at_seconds * 1000)?;
    let end_ms = Some(start_ms.checked_add(FAULT_MS)?);
    let change = Change::Times(service.fault_factor);
    Some(Fault {
        id: format!("scheduled-{}-{}", service.name, start_ms / 1000),
        origin: Origin::Scheduled,
        service: service.name,
        signals: vec![service.fault_signal],
        shape: Shape::Step,
        factor: service.fault_factor,
        start_ms,
        end_ms,
        scenario: None,
        effects: vec![Effect::new(service, service.fault_signal, change, (start_ms, end_ms))],
        counter_resets_ms: Vec::new(),
    })
}

/// Tells whether an id is one that the schedule gives.
pub(crate) fn is_scheduled(id: &str) -> bool {
    SERVICES.iter().any(|service| {
        let start =
            id.strip_prefix("scheduled-").and_then(|id| id.strip_prefix(service.name)?.strip_prefix('-'));
        start
            .and_then(|start| start.parse::<i64>().ok())
            .is_some_and(|start| start.rem_euclid(CYCLE_SECONDS) == service.fault_at_seconds)
    })
}
