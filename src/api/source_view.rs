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
}

impl From<SourceStatus> for SourceView {
    fn from(status: SourceStatus) -> Self {
        Self {
            url: status.url,
            kind: status.kind,
            version: status.version,
            query_delay_s: status.query_delay.as_secs_f64(),
            transport_trouble: status.transport_trouble,
        }
    }
}
