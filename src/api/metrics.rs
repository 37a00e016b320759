//! What the API counts of its own.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use crate::telemetry::Registry;

/// Why a request got no further than the door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    Host,
    NoKey,
    UnknownKey,
    MissingScope,
    KeysUnusable,
    Body,
}

impl Refusal {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::NoKey => "no_key",
            Self::UnknownKey => "unknown_key",
            Self::MissingScope => "missing_scope",
            Self::KeysUnusable => "keys_unusable",
            Self::Body => "body",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByReason {
    reason: &'static str,
}

/// The API's own metrics. No label has a value that a client chooses.
#[derive(Debug, Clone, Default)]
pub(super) struct Metrics {
    /// Keys that count.
    pub(super) keys: Gauge,
    /// Open connections.
    pub(super) connections: Gauge,
    /// Connections that were refused or ended since there were too many.
    pub(super) connections_refused: Counter,
    /// Handshakes that came to nothing.
    pub(super) handshakes_failed: Counter,
    /// Whether the files of the certificate are usable as they are now.
    pub(super) certificate_usable: Gauge,
    refused: Family<ByReason, Counter>,
}

impl Metrics {
    /// Registers them all.
    pub(super) fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "api_keys",
            "API keys that count: 0 where there is no keys file or it can't be used",
            metrics.keys.clone(),
        );
        registry.register("api_connections", "Open connections to the API", metrics.connections.clone());
        registry.register(
            "api_connections_refused",
            "Connections that were closed at once since too many were open",
            metrics.connections_refused.clone(),
        );
        registry.register(
            "api_tls_handshakes_failed",
            "TLS handshakes with the API that failed or took too long",
            metrics.handshakes_failed.clone(),
        );
        registry.register(
            "api_tls_certificate_usable",
            "Whether the listener's certificate files can be used as they are now; where not, the ones of before are in use",
            metrics.certificate_usable.clone(),
        );
        registry.register_family(
            "api_requests_refused",
            &["reason"],
            "Requests that were refused before anybody looked at what they ask for",
            metrics.refused.clone(),
        );
        metrics
    }

    /// Counts a refusal.
    pub(super) fn count(&self, refusal: Refusal) {
        self.refused.get_or_create(&ByReason { reason: refusal.as_str() }).inc();
    }
}

/// Registers the API's metrics for the reference of all metrics.
pub fn describe_metrics(registry: &mut Registry) {
    Metrics::new(registry);
}
