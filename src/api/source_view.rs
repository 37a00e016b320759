//! The backend, as a reader sees it.

use serde::Serialize;
use utoipa::ToSchema;

use crate::runtime::SourceStatus;

/// Where samples come from.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Backend)]
pub(super) struct SourceView {
    /// The base of its API.
    url: String,
    /// Which program answers: prometheus, victoriametrics, thanos or mimir; null where it does not say.
    #[schema(required = true)]
    kind: Option<&'static str>,
    /// Its version; null where it does not say.
    #[schema(required = true)]
    version: Option<String>,
    /// How far behind the clock the newest step lies that it is asked for, in seconds.
    query_delay_s: f64,
    /// Why the newest certificates or keys are not used and the former are kept; null where all is well.
    #[schema(required = true)]
    transport_trouble: Option<String>,
    /// Since when it answers nobody; null while it answers.
    #[schema(required = true, format = DateTime)]
    silent_since_at: Option<String>,
    /// How far its clock is ahead of the agent's, in seconds; 0 where they agree within 5 s or nothing is known.
    clock_skew_s: f64,
}

impl From<SourceStatus> for SourceView {
    fn from(status: SourceStatus) -> Self {
        Self {
            url: status.url,
            kind: status.kind,
            version: status.version,
            query_delay_s: status.query_delay.as_secs_f64(),
            transport_trouble: status.transport_trouble,
            silent_since_at: status.silent_since.map(|at| at.to_string()),
            clock_skew_s: status.clock_skew_ms as f64 / 1000.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::time::Timestamp;

    #[test]
    fn a_backend_is_shown_with_its_silence_and_its_clock() {
        let silent_since = Timestamp::from_millis(55_000);
        let view = SourceView::from(SourceStatus {
            url: "http://prometheus:9090".to_owned(),
            kind: Some("prometheus"),
            version: Some("2.42.0".to_owned()),
            query_delay: Duration::from_secs(15),
            transport_trouble: None,
            silent_since: Some(silent_since),
            clock_skew_ms: -7_250,
        });
        assert_eq!(
            serde_json::to_value(view).unwrap(),
            json!({
                "url": "http://prometheus:9090", "kind": "prometheus", "version": "2.42.0", "query_delay_s": 15.0,
                "transport_trouble": null, "silent_since_at": silent_since.to_string(), "clock_skew_s": -7.25,
            })
        );
    }
}
