//! Servers that count their requests: OpenTelemetry, client libraries and frameworks, gRPC.

use super::list::{BASE, ERRORS, MILLISECONDS, SECONDS, SIGNAL, TRAFFIC, WHY_ERRORS, WHY_LATENCY};
use crate::detect::Kind;
use crate::discover::convention::{Convention, Template};

const TRAFFIC_SIGNAL: Template =
    Template { name: "request_rate", kind: Kind::Traffic, keys: TRAFFIC, ..SIGNAL };
const ERROR_SIGNAL: Template =
    Template { name: "error_rate", kind: Kind::Errors, keys: ERRORS, why: WHY_ERRORS, ..SIGNAL };
const LATENCY_SIGNAL: Template =
    Template { name: "latency_p95", kind: Kind::Latency, keys: SECONDS, why: WHY_LATENCY, ..SIGNAL };
const MS_SIGNAL: Template = Template { keys: MILLISECONDS, ..LATENCY_SIGNAL };

pub(super) const ALL: &[Convention] =
    &[OTEL, OTEL_BEFORE_STABLE, REQUESTS, DURATIONS, SPRING, GRPC, OTEL_RPC];

const OTEL: Convention = Convention {
    id: "otel_http",
    title: "HTTP servers by OpenTelemetry (http_server_request_duration_seconds)",
    needs: &["http_server_request_duration_seconds_count"],
    anchor: "http_server_request_duration_seconds_count",
    status: &["http_response_status_code"],
    signals: &[
        Template {
            query: "sum by ({by}) (rate(http_server_request_duration_seconds_count{{m}}[{window}]))",
            ..TRAFFIC_SIGNAL
        },
        Template {
            query: "sum by ({by}) (rate(http_server_request_duration_seconds_count{{m}{status}=~\"5..\"}[{window}]))\n  or 0 * sum by ({by}) (rate(http_server_request_duration_seconds_count{{m}}[{window}]))",
            ..ERROR_SIGNAL
        },
        Template {
            needs: &["http_server_request_duration_seconds_bucket"],
            query: "histogram_quantile(0.95, sum by ({by}, le) (rate(http_server_request_duration_seconds_bucket{{m}}[{window}])))",
            ..LATENCY_SIGNAL
        },
    ],
    ..BASE
};

const OTEL_BEFORE_STABLE: Convention = Convention {
    id: "otel_http_ms",
    title: "HTTP servers by OpenTelemetry before 1.23 (http_server_duration_milliseconds)",
    needs: &["http_server_duration_milliseconds_count"],
    anchor: "http_server_duration_milliseconds_count",
    status: &["http_status_code"],
    signals: &[
        Template {
            query: "sum by ({by}) (rate(http_server_duration_milliseconds_count{{m}}[{window}]))",
            ..TRAFFIC_SIGNAL
        },
        Template {
            query: "sum by ({by}) (rate(http_server_duration_milliseconds_count{{m}{status}=~\"5..\"}[{window}]))\n  or 0 * sum by ({by}) (rate(http_server_duration_milliseconds_count{{m}}[{window}]))",
            ..ERROR_SIGNAL
        },
        Template {
            needs: &["http_server_duration_milliseconds_bucket"],
            query: "histogram_quantile(0.95, sum by ({by}, le) (rate(http_server_duration_milliseconds_bucket{{m}}[{window}])))",
            ..MS_SIGNAL
        },
    ],
    ..BASE
};

/// What client libraries and frameworks call the label of the status.
const STATUS: &[&str] =
    &["code", "status", "status_code", "http_status_code", "http_status", "response_code"];

const REQUESTS: Convention = Convention {
    id: "http",
    title: "HTTP servers by client libraries (http_requests_total)",
    needs: &["http_requests_total"],
    anchor: "http_requests_total",
    status: STATUS,
    signals: &[
        Template { query: "sum by ({by}) (rate(http_requests_total{{m}}[{window}]))", ..TRAFFIC_SIGNAL },
        Template {
            query: "sum by ({by}) (rate(http_requests_total{{m}{status}=~\"5..\"}[{window}]))\n  or 0 * sum by ({by}) (rate(http_requests_total{{m}}[{window}]))",
            ..ERROR_SIGNAL
        },
    ],
    ..BASE
};

const DURATIONS: Convention = Convention {
    id: "http_duration",
    title: "HTTP servers by client libraries (http_request_duration_seconds)",
    needs: &["http_request_duration_seconds_count"],
    anchor: "http_request_duration_seconds_count",
    status: STATUS,
    signals: &[
        Template {
            query: "sum by ({by}) (rate(http_request_duration_seconds_count{{m}}[{window}]))",
            ..TRAFFIC_SIGNAL
        },
        Template {
            query: "sum by ({by}) (rate(http_request_duration_seconds_count{{m}{status}=~\"5..\"}[{window}]))\n  or 0 * sum by ({by}) (rate(http_request_duration_seconds_count{{m}}[{window}]))",
            ..ERROR_SIGNAL
        },
        Template {
            needs: &["http_request_duration_seconds_bucket"],
            query: "histogram_quantile(0.95, sum by ({by}, le) (rate(http_request_duration_seconds_bucket{{m}}[{window}])))",
            ..LATENCY_SIGNAL
        },
    ],
    ..BASE
};

const SPRING: Convention = Convention {
    id: "spring",
    title: "Spring Boot by Micrometer (http_server_requests_seconds)",
    needs: &["http_server_requests_seconds_count"],
    anchor: "http_server_requests_seconds_count",
    status: &["status"],
    signals: &[
        Template {
            query: "sum by ({by}) (rate(http_server_requests_seconds_count{{m}}[{window}]))",
            ..TRAFFIC_SIGNAL
        },
        Template {
            query: "sum by ({by}) (rate(http_server_requests_seconds_count{{m}{status}=~\"5..\"}[{window}]))\n  or 0 * sum by ({by}) (rate(http_server_requests_seconds_count{{m}}[{window}]))",
            ..ERROR_SIGNAL
        },
        Template {
            needs: &["http_server_requests_seconds_bucket"],
            query: "histogram_quantile(0.95, sum by ({by}, le) (rate(http_server_requests_seconds_bucket{{m}}[{window}])))",
            ..LATENCY_SIGNAL
        },
        Template {
            name: "latency_mean",
            needs: &["http_server_requests_seconds_sum"],
            query: "sum by ({by}) (rate(http_server_requests_seconds_sum{{m}}[{window}]))\n  / sum by ({by}) (rate(http_server_requests_seconds_count{{m}}[{window}]))",
            why: "The mean: there are no buckets (management.metrics.distribution.percentiles-histogram gives them).",
            ..LATENCY_SIGNAL
        },
    ],
    ..BASE
};

const GRPC: Convention = Convention {
    id: "grpc",
    title: "gRPC servers (grpc_server_handled_total)",
    needs: &["grpc_server_handled_total"],
    anchor: "grpc_server_handled_total",
    status: &["grpc_code"],
    signals: &[
        Template {
            query: "sum by ({by}) (rate(grpc_server_handled_total{{m}}[{window}]))",
            ..TRAFFIC_SIGNAL
        },
        Template {
            // What the server is to blame for: the caller's mistakes, such as NotFound, are no errors.
            query: "sum by ({by}) (rate(grpc_server_handled_total{{m}{status}=~\"Unknown|DeadlineExceeded|ResourceExhausted|Internal|Unavailable|DataLoss\"}[{window}]))\n  or 0 * sum by ({by}) (rate(grpc_server_handled_total{{m}}[{window}]))",
            ..ERROR_SIGNAL
        },
        Template {
            needs: &["grpc_server_handling_seconds_bucket"],
            query: "histogram_quantile(0.95, sum by ({by}, le) (rate(grpc_server_handling_seconds_bucket{{m}}[{window}])))",
            ..LATENCY_SIGNAL
        },
    ],
    ..BASE
};

const OTEL_RPC: Convention = Convention {
    id: "otel_rpc",
    title: "gRPC servers by OpenTelemetry (rpc_server_duration_milliseconds)",
    needs: &["rpc_server_duration_milliseconds_count"],
    anchor: "rpc_server_duration_milliseconds_count",
    status: &["rpc_grpc_status_code"],
    signals: &[
        Template {
            query: "sum by ({by}) (rate(rpc_server_duration_milliseconds_count{{m}}[{window}]))",
            ..TRAFFIC_SIGNAL
        },
        Template {
            // The numbers of the same codes as above.
            query: "sum by ({by}) (rate(rpc_server_duration_milliseconds_count{{m}{status}=~\"2|4|8|13|14|15\"}[{window}]))\n  or 0 * sum by ({by}) (rate(rpc_server_duration_milliseconds_count{{m}}[{window}]))",
            ..ERROR_SIGNAL
        },
        Template {
            needs: &["rpc_server_duration_milliseconds_bucket"],
            query: "histogram_quantile(0.95, sum by ({by}, le) (rate(rpc_server_duration_milliseconds_bucket{{m}}[{window}])))",
            ..MS_SIGNAL
        },
    ],
    ..BASE
};
