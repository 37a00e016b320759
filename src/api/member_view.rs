//! A series' part in an incident, as a reader sees it.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::vocabulary;
use crate::detect::{Anomaly, Restart};
use crate::incident::{Ended, Member, MemberState, Trouble};
use crate::series::{Labels, SeriesKey};
use crate::time::Timestamp;

/// What names a series.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SeriesName)]
pub(super) struct SeriesNameView {
    /// The signal whose query returned it.
    signal: String,
    /// The service that it belongs to.
    service: String,
    /// All its labels but the metric's name.
    labels: BTreeMap<String, String>,
    /// The hash of signal and labels in 32 hex digits: the same in every process.
    hash: String,
    /// How people read it.
    #[schema(example = "checkout/latency_p95")]
    name: String,
}

impl From<&SeriesKey> for SeriesNameView {
    fn from(key: &SeriesKey) -> Self {
        Self {
            signal: key.signal.to_string(),
            service: key.service.to_string(),
            labels: labels(&key.labels),
            hash: key.hash.to_string(),
            name: key.to_string(),
        }
    }
}

fn labels(labels: &Labels) -> BTreeMap<String, String> {
    labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// A series that is, or was, in trouble within an incident.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Member)]
pub(super) struct MemberView {
    /// Which series.
    series: SeriesNameView,
    /// What its signal measures.
    #[schema(value_type = vocabulary::Kind)]
    kind: &'static str,
    /// What is wrong with it: it left its band, or it stopped.
    #[schema(value_type = vocabulary::Trouble)]
    trouble: &'static str,
    /// Whether it still is.
    is_active: bool,
    /// When it began: the first anomalous sample; for a lost series, its last sample.
    #[schema(format = DateTime)]
    onset_at: String,
    /// The sample, or the end of the empty range, that showed it.
    #[schema(format = DateTime)]
    detected_at: String,
    /// The last sample that was outside so far; for a lost series, when it was held to be lost.
    #[schema(format = DateTime)]
    until_at: String,
    /// How the series left its band; null where it stopped.
    #[schema(required = true)]
    deviation: Option<DeviationView>,
    /// How the trouble ended; null while it goes on.
    #[schema(required = true)]
    ended: Option<EndedView>,
}

/// How a series left its band.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Deviation)]
pub(super) struct DeviationView {
    /// Above the band or below it.
    #[schema(value_type = vocabulary::Side)]
    side: &'static str,
    /// The expected value when it began.
    expected: f64,
    /// The lower edge of the band then.
    lower: f64,
    /// The upper edge of the band then.
    upper: f64,
    /// The scale of the baseline then: about a standard deviation.
    scale: f64,
    /// The value of the worst sample so far.
    peak_value: f64,
    /// The score of the worst sample so far; 1 is the edge of the band.
    peak_score: f64,
    /// The worst value over the expected one; null where nothing was expected.
    #[schema(required = true)]
    ratio: Option<f64>,
    /// How sure the evidence made us when it began, 0 to 1.
    confidence: f64,
}

/// How a member's trouble ended.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Ended)]
pub(super) struct EndedView {
    /// The last sample that was outside, or the last before the end.
    #[schema(format = DateTime)]
    at: String,
    /// How: `recovered`, `returned`, `level_adopted`, `baseline_restarted`, `rebased`, `not_in_history`, `forgotten` or `unwatched`.
    because: &'static str,
    /// The new level, where it became the baseline.
    #[schema(required = true)]
    adopted: Option<AdoptedView>,
    /// How long the series had no samples, in seconds, where that began the baseline anew.
    #[schema(required = true)]
    gap_s: Option<f64>,
}

/// A level that lasted until it became the baseline.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Adopted)]
pub(super) struct AdoptedView {
    /// When the series left its old level.
    #[schema(format = DateTime)]
    since_at: String,
    /// The mean before.
    from: f64,
    /// The mean now.
    to: f64,
}

impl From<&Member> for MemberView {
    fn from(member: &Member) -> Self {
        let (trouble, deviation) = match &member.trouble {
            Trouble::Deviation(anomaly) => ("deviation", Some(anomaly.into())),
            Trouble::Lost { .. } => ("lost", None),
        };
        let ended = match &member.state {
            MemberState::Active => None,
            MemberState::Ended { until, because } => Some(EndedView::new(*until, because)),
        };
        Self {
            series: member.key.as_ref().into(),
            kind: member.kind.as_str(),
            trouble,
            is_active: ended.is_none(),
            onset_at: member.trouble.onset().to_string(),
            detected_at: member.trouble.detected_at().to_string(),
            until_at: member.trouble.until().to_string(),
            deviation,
            ended,
        }
    }
}

impl From<&Anomaly> for DeviationView {
    fn from(anomaly: &Anomaly) -> Self {
        Self {
            side: anomaly.side.as_str(),
            expected: anomaly.expected,
            lower: anomaly.lower,
            upper: anomaly.upper,
            scale: anomaly.scale,
            peak_value: anomaly.peak_value,
            peak_score: anomaly.peak_score,
            ratio: Some(anomaly.peak_value / anomaly.expected).filter(|ratio| ratio.is_finite()),
            confidence: anomaly.confidence,
        }
    }
}

impl EndedView {
    fn new(at: Timestamp, because: &Ended) -> Self {
        let (adopted, gap_s) = match because {
            Ended::Restarted(Restart::Adopted { since, from, to }) => {
                (Some(AdoptedView { since_at: since.to_string(), from: *from, to: *to }), None)
            }
            Ended::Restarted(Restart::Gap { lasted }) => (None, Some(lasted.as_secs_f64())),
            Ended::Restarted(Restart::Rebased { .. })
            | Ended::Recovered
            | Ended::Returned
            | Ended::NotInHistory
            | Ended::Forgotten
            | Ended::Unwatched => (None, None),
        };
        Self { at: at.to_string(), because: because.as_str(), adopted, gap_s }
    }
}
