//! Gauges that are golden signals already: recording rules, and services that compute them.

use super::list::{BASE, SIGNAL};
use crate::detect::Kind;
use crate::discover::convention::{Convention, Template};

pub(super) const ALL: &[Convention] = &[GAUGES];

/// Gauges whose names end like golden signals: at least three with the same beginning.
pub(in crate::discover) const GAUGES: Convention = Convention {
    id: "gauges",
    title: "gauges named like golden signals ({p}_*)",
    needs: &["{p}_request_rate", "{p}_error_rate", "{p}_latency_p95", "{p}_cpu_usage", "{p}_memory_bytes"],
    anchor: "{p}_request_rate",
    signals: &[
        Template {
            name: "request_rate",
            kind: Kind::Traffic,
            needs: &["{p}_request_rate"],
            query: "sum by ({by}) ({p}_request_rate{{m}})",
            ..SIGNAL
        },
        Template {
            name: "error_rate",
            kind: Kind::Errors,
            needs: &["{p}_error_rate"],
            query: "sum by ({by}) ({p}_error_rate{{m}})",
            keys: &[("direction", "\"up\"")],
            ..SIGNAL
        },
        Template {
            name: "latency_p95",
            kind: Kind::Latency,
            needs: &["{p}_latency_p95"],
            query: "max by ({by}) ({p}_latency_p95{{m}})",
            keys: &[("direction", "\"up\"")],
            ..SIGNAL
        },
        Template {
            name: "cpu_usage",
            kind: Kind::Cpu,
            needs: &["{p}_cpu_usage"],
            query: "max by ({by}) ({p}_cpu_usage{{m}})",
            ..SIGNAL
        },
        Template {
            name: "memory_bytes",
            kind: Kind::Memory,
            needs: &["{p}_memory_bytes"],
            query: "sum by ({by}) ({p}_memory_bytes{{m}})",
            ..SIGNAL
        },
    ],
    ..BASE
};
