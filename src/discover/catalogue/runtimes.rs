//! What programs say of themselves: the JVM, Prometheus, Go's HTTP handler of metrics, and processes.

use super::list::{BASE, ERRORS, SIGNAL};
use crate::detect::Kind;
use crate::discover::convention::{Convention, Template, Tier};

pub(super) const ALL: &[Convention] =
    &[JVM, JVM_CLIENT, JVM_OTEL, PROMETHEUS, PROMHTTP, PROCESS_CPU, PROCESS_MEMORY];

const GC: Template = Template {
    name: "jvm_gc_time",
    // What collects uses the processor and does not serve.
    kind: Kind::Cpu,
    keys: &[("direction", "\"up\""), ("min_deviation_absolute", "0.05"), ("missing", "\"ignore\"")],
    why: "The share of time that garbage collection takes; the heap itself is a saw and says little.",
    ..SIGNAL
};

const JVM: Convention = Convention {
    id: "jvm",
    title: "the JVM by Micrometer (jvm_gc_pause_seconds)",
    tier: Tier::Platform,
    needs: &["jvm_gc_pause_seconds_sum"],
    anchor: "jvm_gc_pause_seconds_sum",
    signals: &[Template { query: "sum by ({by}) (rate(jvm_gc_pause_seconds_sum{{m}}[{window}]))", ..GC }],
    ..BASE
};

const JVM_CLIENT: Convention = Convention {
    id: "jvm_client",
    title: "the JVM by the Prometheus client (jvm_gc_collection_seconds)",
    needs: &["jvm_gc_collection_seconds_sum"],
    anchor: "jvm_gc_collection_seconds_sum",
    signals: &[Template {
        query: "sum by ({by}) (rate(jvm_gc_collection_seconds_sum{{m}}[{window}]))",
        ..GC
    }],
    ..JVM
};

const JVM_OTEL: Convention = Convention {
    id: "jvm_otel",
    title: "the JVM by OpenTelemetry (jvm_gc_duration_seconds)",
    needs: &["jvm_gc_duration_seconds_sum"],
    anchor: "jvm_gc_duration_seconds_sum",
    signals: &[Template { query: "sum by ({by}) (rate(jvm_gc_duration_seconds_sum{{m}}[{window}]))", ..GC }],
    ..JVM
};

const PROMETHEUS: Convention = Convention {
    id: "prometheus",
    title: "Prometheus itself (prometheus_http_requests_total)",
    tier: Tier::Platform,
    needs: &["prometheus_http_requests_total", "prometheus_build_info"],
    anchor: "prometheus_build_info",
    services: &["job", "instance"],
    status: &["code"],
    signals: &[
        Template {
            name: "prometheus_errors",
            kind: Kind::Errors,
            query: "sum by ({by}) (rate(prometheus_http_requests_total{{m}code=~\"5..\"}[{window}]))\n  or 0 * sum by ({by}) (rate(prometheus_http_requests_total{{m}}[{window}]))",
            keys: ERRORS,
            why: "Its traffic and latency follow dashboards, so they are not watched.",
            ..SIGNAL
        },
        Template {
            name: "prometheus_rule_failures",
            kind: Kind::Errors,
            needs: &["prometheus_rule_evaluation_failures_total"],
            query: "sum by ({by}) (rate(prometheus_rule_evaluation_failures_total{{m}}[{window}]))",
            keys: &[("direction", "\"up\""), ("min_deviation_absolute", "0.01")],
            ..SIGNAL
        },
    ],
    ..BASE
};

const PROMHTTP: Convention = Convention {
    id: "scrape",
    title: "programs in Go by promhttp (promhttp_metric_handler_requests_total)",
    tier: Tier::Fallback,
    needs: &["promhttp_metric_handler_requests_total"],
    labels: &["code"],
    anchor: "promhttp_metric_handler_requests_total",
    matchers: "code=~\"5..\"",
    services: &["job", "instance"],
    signals: &[Template {
        name: "scrape_errors",
        kind: Kind::Errors,
        query: "sum by ({by}) (rate(promhttp_metric_handler_requests_total{{m}}[{window}]))",
        keys: ERRORS,
        why: "Scrapes that the program itself answered with an error: what else is watched of it is then missing.",
        ..SIGNAL
    }],
    ..BASE
};

const PROCESS_CPU: Convention = Convention {
    id: "process",
    title: "processes (process_cpu_seconds_total)",
    tier: Tier::Fallback,
    needs: &["process_cpu_seconds_total"],
    anchor: "process_cpu_seconds_total",
    // Kubernetes says the same of the same processes, and of those that expose nothing.
    yields_to: &["containers"],
    signals: &[Template {
        name: "cpu_usage",
        kind: Kind::Cpu,
        query: "sum by ({by}) (rate(process_cpu_seconds_total{{m}}[{window}]))",
        keys: &[("min_deviation_absolute", "0.1")],
        why: "Processors used; from a tenth of one on.",
        ..SIGNAL
    }],
    ..BASE
};

const PROCESS_MEMORY: Convention = Convention {
    id: "resident",
    title: "processes (process_resident_memory_bytes)",
    tier: Tier::Fallback,
    needs: &["process_resident_memory_bytes"],
    anchor: "process_resident_memory_bytes",
    yields_to: &["containers"],
    signals: &[Template {
        name: "memory_bytes",
        kind: Kind::Memory,
        query: "sum by ({by}) (process_resident_memory_bytes{{m}})",
        keys: &[("direction", "\"up\""), ("min_deviation_absolute", "50e6")],
        why: "From 50 MB on.",
        ..SIGNAL
    }],
    ..BASE
};
