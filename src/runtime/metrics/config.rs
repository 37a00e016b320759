//! Metrics about the config that is in force and how its last reload went.

use std::fmt;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::encoding::{EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::Gauge;

use crate::telemetry::Registry;
use crate::time::Timestamp;

/// What is told about the config. Clones tell the same.
#[derive(Debug, Clone)]
pub struct ConfigMetrics {
    hash: Hash,
    successful: Gauge,
    success_at: Gauge<f64, AtomicU64>,
}

impl ConfigMetrics {
    /// Registers them; the config that the agent starts with counts as loaded at `at`.
    pub fn new(registry: &mut Registry, hash: &str, at: Timestamp) -> Self {
        let metrics =
            Self { hash: Hash(Arc::default()), successful: Gauge::default(), success_at: Gauge::default() };
        registry.register_family(
            "config",
            &["hash"],
            "The SHA-256 of the settings in force, without secrets",
            metrics.hash.clone(),
        );
        registry.register(
            "config_last_reload_successful",
            "1 where the last reload of the config succeeded or there was none, 0 where it was refused",
            metrics.successful.clone(),
        );
        registry.register(
            "config_last_reload_success_timestamp_seconds",
            "When the config in force was loaded",
            metrics.success_at.clone(),
        );
        metrics.loaded(hash, at);
        metrics
    }

    /// A config is in force.
    pub fn loaded(&self, hash: &str, at: Timestamp) {
        self.hash.set(hash);
        self.successful.set(1);
        self.success_at.set(at.as_seconds());
    }

    /// A config was refused; the one before it stays.
    pub fn refused(&self) {
        self.successful.set(0);
    }
}

/// One series at any time, whose label changes: a family would keep the hashes of before.
#[derive(Debug, Clone)]
struct Hash(Arc<Mutex<String>>);

impl Hash {
    fn set(&self, hash: &str) {
        hash.clone_into(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl EncodeMetric for Hash {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        let hash = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        encoder.encode_info(&[("hash", hash)])
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Info
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_one_hash_at_any_time() {
        let mut registry = Registry::new();
        let at = Timestamp::from_millis(5_000);
        let metrics = ConfigMetrics::new(&mut registry, "one", at);
        assert!(registry.encode().contains("portent_config_info{hash=\"one\"} 1\n"));
        metrics.refused();
        let text = registry.encode();
        assert!(text.contains("portent_config_last_reload_successful 0\n"), "{text}");
        assert!(text.contains("portent_config_last_reload_success_timestamp_seconds 5.0\n"), "{text}");
        metrics.loaded("two", Timestamp::from_millis(9_000));
        let text = registry.encode();
        assert!(text.contains("portent_config_info{hash=\"two\"} 1\n"), "{text}");
        assert_eq!(text.matches("portent_config_info{").count(), 1, "{text}");
        assert!(text.contains("portent_config_last_reload_successful 1\n"), "{text}");
    }
}
