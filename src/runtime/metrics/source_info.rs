//! Which backend answers, as an info metric whose labels change when another one does.

use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::encoding::{EncodeLabelSet, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::{MetricType, TypedMetric};

use crate::source::Backend;

/// The backend that answers; nothing before it is known.
#[derive(Debug, Clone, Default)]
pub(super) struct SourceInfo(Arc<Mutex<Option<Labels>>>);

#[derive(Debug, Clone, PartialEq, Eq, EncodeLabelSet)]
struct Labels {
    kind: String,
    version: String,
}

impl SourceInfo {
    /// Takes what is known; what was known stays where nothing is.
    pub(super) fn tell(&self, backend: Option<&Backend>) {
        let Some(Backend { kind, version }) = backend else { return };
        let labels = Labels { kind: kind.as_str().to_owned(), version: version.clone().unwrap_or_default() };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(labels);
    }
}

impl TypedMetric for SourceInfo {
    const TYPE: MetricType = MetricType::Info;
}

impl EncodeMetric for SourceInfo {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        match self.0.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            Some(labels) => encoder.encode_info(labels),
            None => Ok(()),
        }
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::BackendKind;
    use crate::telemetry::Registry;

    #[test]
    fn the_last_backend_that_was_told_is_the_one_that_shows() {
        let (info, mut registry) = (SourceInfo::default(), Registry::new());
        registry.register_family("source", &["kind", "version"], "Which backend answers", info.clone());
        assert!(!registry.encode().contains("portent_source_info{"));
        let told = |kind, version: Option<&str>| {
            info.tell(Some(&Backend { kind, version: version.map(str::to_owned) }));
            info.tell(None);
            let text = registry.encode();
            let lines = text.lines().filter(|line| line.starts_with("portent_source_info{"));
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        let prometheus = told(BackendKind::Prometheus, Some("2.42.0"));
        assert_eq!(prometheus, ["portent_source_info{kind=\"prometheus\",version=\"2.42.0\"} 1"]);
        let victoria = told(BackendKind::VictoriaMetrics, None);
        assert_eq!(victoria, ["portent_source_info{kind=\"victoriametrics\",version=\"\"} 1"]);
    }
}
