//! Proxies that see the requests of others: Istio, Linkerd, ingress-nginx, nginx, Envoy.

use super::list::{BASE, ERRORS, INSTANCE, MILLISECONDS, SECONDS, SIGNAL, TRAFFIC, WHY_ERRORS, WHY_LATENCY};
use crate::detect::Kind;
use crate::discover::convention::{Convention, Template};

const TRAFFIC_SIGNAL: Template =
    Template { name: "request_rate", kind: Kind::Traffic, keys: TRAFFIC, ..SIGNAL };
const ERROR_SIGNAL: Template =
    Template { name: "error_rate", kind: Kind::Errors, keys: ERRORS, why: WHY_ERRORS, ..SIGNAL };
const MS_SIGNAL: Template =
    Template { name: "latency_p95", kind: Kind::Latency, keys: MILLISECONDS, why: WHY_LATENCY, ..SIGNAL };

pub(super) const ALL: &[Convention] = &[ISTIO, LINKERD, INGRESS, ENVOY, NGINX];

const ISTIO: Convention = Convention {
    id: "istio",
    title: "Istio (istio_requests_total)",
    needs: &["istio_requests_total"],
    labels: &["reporter"],
    anchor: "istio_requests_total",
    // Each request is counted by the side that sends it and by the one that serves it.
    matchers: "reporter=\"destination\"",
    services: &[
        "destination_workload_namespace/destination_workload",
        "destination_service_name",
        "destination_service",
        "destination_canonical_service",
    ],
    status: &["response_code"],
    signals: &[
        Template { query: "sum by ({by}) (rate(istio_requests_total{{m}}[{window}]))", ..TRAFFIC_SIGNAL },
        Template {
            // 0 is a connection that broke.
            query: "sum by ({by}) (rate(istio_requests_total{{m}{status}=~\"5..|0\"}[{window}]))\n  or 0 * sum by ({by}) (rate(istio_requests_total{{m}}[{window}]))",
            ..ERROR_SIGNAL
        },
        Template {
            needs: &["istio_request_duration_milliseconds_bucket"],
            query: "histogram_quantile(0.95, sum by ({by}, le) (rate(istio_request_duration_milliseconds_bucket{{m}}[{window}])))",
            ..MS_SIGNAL
        },
    ],
    ..BASE
};

const LINKERD: Convention = Convention {
    id: "linkerd",
    title: "Linkerd (response_total)",
    needs: &["response_total"],
    labels: &["direction", "classification"],
    anchor: "response_total",
    matchers: "direction=\"inbound\"",
    services: &["namespace/deployment", "namespace/statefulset", "deployment", "namespace/pod", "instance"],
    status: &["classification"],
    signals: &[
        Template { query: "sum by ({by}) (rate(response_total{{m}}[{window}]))", ..TRAFFIC_SIGNAL },
        Template {
            query: "sum by ({by}) (rate(response_total{{m}{status}=\"failure\"}[{window}]))\n  or 0 * sum by ({by}) (rate(response_total{{m}}[{window}]))",
            ..ERROR_SIGNAL
        },
        Template {
            needs: &["response_latency_ms_bucket"],
            query: "histogram_quantile(0.95, sum by ({by}, le) (rate(response_latency_ms_bucket{{m}}[{window}])))",
            ..MS_SIGNAL
        },
    ],
    ..BASE
};

const INGRESS: Convention = Convention {
    id: "ingress",
    title: "ingress-nginx (nginx_ingress_controller_requests)",
    needs: &["nginx_ingress_controller_requests"],
    labels: &["ingress"],
    anchor: "nginx_ingress_controller_requests",
    services: &["exported_namespace/ingress", "namespace/ingress", "ingress"],
    status: &["status"],
    signals: &[
        Template {
            query: "sum by ({by}) (rate(nginx_ingress_controller_requests{{m}}[{window}]))",
            ..TRAFFIC_SIGNAL
        },
        Template {
            query: "sum by ({by}) (rate(nginx_ingress_controller_requests{{m}{status}=~\"5..\"}[{window}]))\n  or 0 * sum by ({by}) (rate(nginx_ingress_controller_requests{{m}}[{window}]))",
            ..ERROR_SIGNAL
        },
        Template {
            needs: &["nginx_ingress_controller_request_duration_seconds_bucket"],
            query: "histogram_quantile(0.95, sum by ({by}, le) (rate(nginx_ingress_controller_request_duration_seconds_bucket{{m}}[{window}])))",
            keys: SECONDS,
            ..MS_SIGNAL
        },
    ],
    ..BASE
};

const ENVOY: Convention = Convention {
    id: "envoy",
    title: "Envoy (envoy_cluster_upstream_rq_total)",
    needs: &["envoy_cluster_upstream_rq_total"],
    labels: &["envoy_cluster_name"],
    anchor: "envoy_cluster_upstream_rq_total",
    services: &["envoy_cluster_name"],
    // In a mesh it says the same of the same requests, once a pod and peer.
    yields_to: &["istio"],
    signals: &[
        Template {
            query: "sum by ({by}) (rate(envoy_cluster_upstream_rq_total{{m}}[{window}]))",
            ..TRAFFIC_SIGNAL
        },
        Template {
            needs: &["envoy_cluster_upstream_rq_xx"],
            query: "sum by ({by}) (rate(envoy_cluster_upstream_rq_xx{{m}envoy_response_code_class=\"5\"}[{window}]))\n  or 0 * sum by ({by}) (rate(envoy_cluster_upstream_rq_total{{m}}[{window}]))",
            ..ERROR_SIGNAL
        },
        Template {
            needs: &["envoy_cluster_upstream_rq_time_bucket"],
            query: "histogram_quantile(0.95, sum by ({by}, le) (rate(envoy_cluster_upstream_rq_time_bucket{{m}}[{window}])))",
            ..MS_SIGNAL
        },
    ],
    ..BASE
};

const NGINX: Convention = Convention {
    id: "nginx",
    title: "nginx by its stub_status (nginx_http_requests_total)",
    needs: &["nginx_http_requests_total"],
    anchor: "nginx_http_requests_total",
    services: INSTANCE,
    signals: &[
        Template {
            query: "sum by ({by}) (rate(nginx_http_requests_total{{m}}[{window}]))",
            ..TRAFFIC_SIGNAL
        },
        Template {
            name: "nginx_connections",
            kind: Kind::Other,
            needs: &["nginx_connections_active"],
            query: "sum by ({by}) (nginx_connections_active{{m}})",
            keys: &[("direction", "\"up\""), ("min_deviation_absolute", "50")],
            why: "Open connections pile up when what is behind is slow; stub_status knows no errors and no latency.",
        },
    ],
    ..BASE
};
