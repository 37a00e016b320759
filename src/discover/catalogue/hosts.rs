//! What services run on: machines and containers.

use super::list::{BASE, INSTANCE, SIGNAL};
use crate::detect::Kind;
use crate::discover::convention::{Convention, Template, Tier};

pub(super) const ALL: &[Convention] = &[NODE, CONTAINERS, DOCKER, KUBERNETES];

/// Machines are watched for what they run out of; how busy disks and networks are is theirs.
const NODE: Convention = Convention {
    id: "node",
    title: "machines by node_exporter (node_*)",
    tier: Tier::Platform,
    needs: &["node_cpu_seconds_total", "node_memory_MemTotal_bytes"],
    // One series a machine.
    anchor: "node_memory_MemTotal_bytes",
    services: INSTANCE,
    signals: &[
        Template {
            name: "node_cpu_usage",
            kind: Kind::Cpu,
            query: "1 - avg by ({by}) (rate(node_cpu_seconds_total{{m}mode=\"idle\"}[{window}]))",
            keys: &[("direction", "\"up\""), ("min_deviation_absolute", "0.2")],
            why: "A share of all processors; a job that takes less than a fifth of the machine more is no news.",
            ..SIGNAL
        },
        Template {
            name: "node_memory_used",
            kind: Kind::Memory,
            needs: &["node_memory_MemAvailable_bytes"],
            query: "1 - avg by ({by}) (node_memory_MemAvailable_bytes{{m}}) / avg by ({by}) (node_memory_MemTotal_bytes{{m}})",
            keys: &[("direction", "\"up\""), ("min_deviation_absolute", "0.1")],
            why: "A share of the machine's memory.",
        },
        Template {
            name: "node_network_errors",
            kind: Kind::Errors,
            needs: &["node_network_receive_errs_total", "node_network_transmit_errs_total"],
            query: "sum by ({by}) (rate(node_network_receive_errs_total{{m}}[{window}]))\n  + sum by ({by}) (rate(node_network_transmit_errs_total{{m}}[{window}]))",
            keys: &[("direction", "\"up\""), ("min_deviation_absolute", "1.0")],
            ..SIGNAL
        },
    ],
    ..BASE
};

/// Pods come and go: their containers are told apart by name, and one that stops is no loss by itself.
const CONTAINERS: Convention = Convention {
    id: "containers",
    title: "containers of Kubernetes by cAdvisor (container_*)",
    tier: Tier::Platform,
    needs: &["container_cpu_usage_seconds_total"],
    labels: &["container", "pod"],
    anchor: "container_cpu_usage_seconds_total",
    // Those without a name are sums over others.
    matchers: "container!=\"\",container!=\"POD\"",
    services: &["namespace/container", "container"],
    signals: &[
        Template {
            name: "container_cpu",
            kind: Kind::Cpu,
            query: "sum by ({by}) (rate(container_cpu_usage_seconds_total{{m}}[{window}]))",
            keys: &[("direction", "\"up\""), ("min_deviation_absolute", "0.25"), ("missing", "\"ignore\"")],
            why: "Processors used by all pods of a container's name; from a quarter of one on.",
            ..SIGNAL
        },
        Template {
            name: "container_memory",
            kind: Kind::Memory,
            needs: &["container_memory_working_set_bytes"],
            query: "sum by ({by}) (container_memory_working_set_bytes{{m}})",
            keys: &[("direction", "\"up\""), ("min_deviation_absolute", "100e6"), ("missing", "\"ignore\"")],
            why: "From 100 MB on.",
        },
    ],
    ..BASE
};

const DOCKER: Convention = Convention {
    id: "docker",
    title: "containers of Docker by cAdvisor (container_*)",
    tier: Tier::Platform,
    needs: &["container_cpu_usage_seconds_total"],
    labels: &["name"],
    lacks: &["pod"],
    anchor: "container_cpu_usage_seconds_total",
    matchers: "name!=\"\"",
    services: &["name"],
    signals: CONTAINERS.signals,
    ..BASE
};

/// What Kubernetes itself says of its workloads: nearly always zero, so nearly never noisy.
const KUBERNETES: Convention = Convention {
    id: "kubernetes",
    title: "workloads by kube-state-metrics (kube_*)",
    tier: Tier::Platform,
    needs: &["kube_pod_container_status_restarts_total"],
    anchor: "kube_pod_container_status_restarts_total",
    services: &["exported_namespace/exported_container", "namespace/container"],
    signals: &[Template {
        name: "container_restarts",
        kind: Kind::Errors,
        query: "sum by ({by}) (increase(kube_pod_container_status_restarts_total{{m}}[{long}]))",
        keys: &[("direction", "\"up\""), ("min_deviation_absolute", "1.5"), ("missing", "\"ignore\"")],
        why: "Restarts over ten windows: a single one is no news.",
        ..SIGNAL
    }],
    ..BASE
};
