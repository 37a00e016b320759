//! Known shapes of trouble: which cause an anomaly suggests, and what the other signals of the service say about it.

use super::diagnosis::Cause;
use crate::detect::Kind;

/// On which side an anomaly lies, or that its series stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ShapeSide {
    Up,
    Down,
    Lost,
}

/// A row of the table.
#[derive(Debug)]
pub(super) struct Shape {
    /// The kind of signal; `None` fits every kind.
    kind: Option<Kind>,
    side: ShapeSide,
    pub(super) cause: Cause,
    /// How much less likely this cause is than the first one for the same symptom, before looking further.
    pub(super) bits: f64,
    pub(super) expects: &'static [Expectation],
    pub(super) title: &'static str,
    pub(super) meaning: &'static str,
}

/// What another signal of the same service speaks for.
#[derive(Debug)]
pub(super) struct Expectation {
    pub(super) kind: Kind,
    pub(super) if_up: f64,
    /// Where the symptom is a lost series, also if that signal is lost with it.
    pub(super) if_down: f64,
    pub(super) if_steady: f64,
}

impl Shape {
    pub(super) fn fits(&self, kind: Kind, side: ShapeSide) -> bool {
        self.side == side && self.kind.is_none_or(|own| own == kind)
    }
}

const fn when(kind: Kind, if_up: f64, if_down: f64, if_steady: f64) -> Expectation {
    Expectation { kind, if_up, if_down, if_steady }
}

/// The table. For each symptom, the usual cause first.
pub(super) const SHAPES: &[Shape] = &[
    Shape {
        kind: Some(Kind::Errors),
        side: ShapeSide::Up,
        cause: Cause::Failure,
        bits: 0.0,
        expects: &[when(Kind::Traffic, -0.5, 0.0, 0.5), when(Kind::Latency, -0.5, 0.5, 0.5)],
        title: "The service itself fails",
        meaning: "The usual reasons are a deployment, a configuration change, an expired credential, or a defect \
                  that new input has reached. Look at what changed just before the onset, then at the error text.",
    },
    Shape {
        kind: Some(Kind::Errors),
        side: ShapeSide::Up,
        cause: Cause::Dependency,
        bits: -0.5,
        expects: &[when(Kind::Latency, 1.5, 0.0, -0.5), when(Kind::Cpu, -0.5, 0.5, 0.0)],
        title: "Something that it depends on fails",
        meaning: "Errors that come with slow answers are often time-outs toward a database or a downstream service; \
                  errors at unchanged speed are more often refusals.",
    },
    Shape {
        kind: Some(Kind::Errors),
        side: ShapeSide::Up,
        cause: Cause::Saturation,
        bits: -1.5,
        expects: &[
            when(Kind::Traffic, 1.5, 0.0, -0.5),
            when(Kind::Cpu, 1.0, 0.0, -0.5),
            when(Kind::Memory, 1.0, 0.0, 0.0),
        ],
        title: "Overload",
        meaning: "A service that is full answers with errors. Compare the traffic with what it has handled before, \
                  and processor, memory and pools with their limits.",
    },
    Shape {
        kind: Some(Kind::Errors),
        side: ShapeSide::Down,
        cause: Cause::Traffic,
        bits: -1.0,
        expects: &[when(Kind::Traffic, 0.0, 2.0, -0.5)],
        title: "Fewer requests reach the code that fails",
        meaning: "Fewer errors than usual are good news only if the traffic is still there.",
    },
    Shape {
        kind: Some(Kind::Latency),
        side: ShapeSide::Up,
        cause: Cause::Dependency,
        bits: 0.0,
        expects: &[
            when(Kind::Cpu, -0.5, 0.5, 0.5),
            when(Kind::Traffic, -0.5, 0.0, 0.5),
            when(Kind::Errors, 0.5, 0.0, 0.0),
        ],
        title: "It waits for something",
        meaning: "Requests that wait are slow without using the processor. Look at the database, downstream \
                  services, locks and connection pools; a trace of a slow request shows where it waits.",
    },
    Shape {
        kind: Some(Kind::Latency),
        side: ShapeSide::Up,
        cause: Cause::Saturation,
        bits: -0.5,
        expects: &[
            when(Kind::Cpu, 1.5, -0.5, -1.0),
            when(Kind::Memory, 1.0, 0.0, 0.0),
            when(Kind::Traffic, 1.0, -0.5, -0.5),
        ],
        title: "Overload",
        meaning: "Answers slow down as a resource fills up. Compare the traffic with what this service has handled \
                  before, and its processor and memory with their limits.",
    },
    Shape {
        kind: Some(Kind::Latency),
        side: ShapeSide::Down,
        cause: Cause::Failure,
        bits: -0.5,
        expects: &[when(Kind::Errors, 2.0, 0.0, -1.0), when(Kind::Traffic, 0.0, 0.5, 0.0)],
        title: "Requests end early",
        meaning: "Answers that are suddenly fast are often refusals or empty results.",
    },
    Shape {
        kind: Some(Kind::Traffic),
        side: ShapeSide::Up,
        cause: Cause::Traffic,
        bits: 0.0,
        expects: &[when(Kind::Errors, -0.5, 0.0, 0.5), when(Kind::Latency, -0.5, 0.0, 0.5)],
        title: "More demand",
        meaning: "The usual reasons are a campaign, a batch job, a crawler, or a client that misbehaves. See who \
                  sends the requests, and whether the capacity holds.",
    },
    Shape {
        kind: Some(Kind::Traffic),
        side: ShapeSide::Up,
        cause: Cause::Dependency,
        bits: -1.0,
        expects: &[when(Kind::Errors, 1.5, 0.0, -0.5), when(Kind::Latency, 1.5, 0.0, -0.5)],
        title: "Retries",
        meaning: "More requests together with failures or slow answers are often the same requests, sent again.",
    },
    Shape {
        kind: Some(Kind::Traffic),
        side: ShapeSide::Down,
        cause: Cause::Traffic,
        bits: 0.0,
        expects: &[when(Kind::Errors, -1.0, 0.0, 0.5), when(Kind::Latency, -0.5, 0.0, 0.5)],
        title: "Less demand reaches it",
        meaning: "If the service is otherwise well, look upstream: at routing, load balancers, DNS and the clients.",
    },
    Shape {
        kind: Some(Kind::Traffic),
        side: ShapeSide::Down,
        cause: Cause::Failure,
        bits: -0.5,
        expects: &[when(Kind::Errors, 1.5, 0.0, -0.5), when(Kind::Latency, 1.0, 0.0, -0.5)],
        title: "It answers fewer requests than it gets",
        meaning: "Throughput falls when instances crash, hang or are taken out of rotation.",
    },
    Shape {
        kind: Some(Kind::Cpu),
        side: ShapeSide::Up,
        cause: Cause::Compute,
        bits: 0.0,
        expects: &[when(Kind::Traffic, -1.5, 0.5, 0.5), when(Kind::Memory, 0.5, 0.0, 0.0)],
        title: "Work that the load does not explain",
        meaning: "The usual reasons are a loop, garbage collection, a costly query or input, a background job, or a \
                  noisy neighbour. Take a profile while it lasts.",
    },
    Shape {
        kind: Some(Kind::Cpu),
        side: ShapeSide::Up,
        cause: Cause::Traffic,
        bits: -0.5,
        expects: &[when(Kind::Traffic, 2.0, -1.0, -1.5)],
        title: "More demand",
        meaning: "If the traffic rose too, the processor only follows it. See who sends the requests.",
    },
    Shape {
        kind: Some(Kind::Cpu),
        side: ShapeSide::Down,
        cause: Cause::Traffic,
        bits: 0.0,
        expects: &[when(Kind::Traffic, -0.5, 1.5, -0.5)],
        title: "Less demand reaches it",
        meaning: "If the traffic fell too, the processor only follows it. Look upstream.",
    },
    Shape {
        kind: Some(Kind::Cpu),
        side: ShapeSide::Down,
        cause: Cause::Dependency,
        bits: -0.5,
        expects: &[when(Kind::Latency, 1.5, 0.0, -0.5), when(Kind::Errors, 0.5, 0.0, 0.0)],
        title: "It waits for something",
        meaning: "A service that waits does not compute. Look at the database and downstream services.",
    },
    Shape {
        kind: Some(Kind::Memory),
        side: ShapeSide::Up,
        cause: Cause::Memory,
        bits: 0.0,
        expects: &[when(Kind::Traffic, -0.5, 0.5, 0.5)],
        title: "Memory grows by itself",
        meaning: "The usual reasons are a leak, a cache without a bound, or a large input or result. Compare it with \
                  the limit to see how long is left, and take a heap profile.",
    },
    Shape {
        kind: Some(Kind::Memory),
        side: ShapeSide::Up,
        cause: Cause::Traffic,
        bits: -0.5,
        expects: &[when(Kind::Traffic, 2.0, -0.5, -1.0)],
        title: "More demand",
        meaning: "Each request in flight holds memory. See who sends the requests.",
    },
    Shape {
        kind: Some(Kind::Memory),
        side: ShapeSide::Down,
        cause: Cause::Gone,
        bits: 0.0,
        expects: &[when(Kind::Traffic, 0.0, 0.5, 0.0), when(Kind::Errors, 0.5, 0.0, 0.0)],
        title: "It restarted",
        meaning: "Memory that is given back at once is usually a process that started anew: look for a crash, an \
                  out-of-memory kill or a deployment.",
    },
    Shape {
        kind: None,
        side: ShapeSide::Lost,
        cause: Cause::Gone,
        bits: 0.0,
        expects: &[when(Kind::Traffic, -1.0, 0.5, -0.5), when(Kind::Errors, 0.5, 0.5, -0.5)],
        title: "The service, or what measures it, is gone",
        meaning: "The query is answered, but without this series: the target is down, is no longer scraped, or its \
                  labels changed. Check `up` and the target list before believing that all is well.",
    },
    Shape {
        kind: Some(Kind::Other),
        side: ShapeSide::Up,
        cause: Cause::Other,
        bits: 0.0,
        expects: &[],
        title: "Higher than it has been",
        meaning: "What this signal measures is not known here. Give it a `kind` in the config if one fits.",
    },
    Shape {
        kind: Some(Kind::Other),
        side: ShapeSide::Down,
        cause: Cause::Other,
        bits: 0.0,
        expects: &[],
        title: "Lower than it has been",
        meaning: "What this signal measures is not known here. Give it a `kind` in the config if one fits.",
    },
    Shape {
        kind: Some(Kind::Errors),
        side: ShapeSide::Down,
        cause: Cause::Other,
        bits: -0.5,
        expects: &[when(Kind::Traffic, 0.0, -1.0, 0.5)],
        title: "Fewer failures than usual",
        meaning: "Something that used to fail has stopped failing, or is no longer counted.",
    },
];
