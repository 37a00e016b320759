//! How the agent stands, as a reader sees it.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::ToSchema;

use super::in_force::Refusal;
use super::signal_view::{SeriesCountsView, SignalInfo};
use super::source_view::SourceView;
use crate::incident::Severity;
use crate::runtime::{ModelStatus, PollStatus, SignalStatus};
use crate::store::Counts;

/// How the agent stands.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Status)]
pub(super) struct StatusView {
    /// The release that is running.
    pub(super) version: String,
    /// The SHA-256 of its settings without secrets.
    pub(super) config_hash: String,
    /// When these settings were loaded.
    #[schema(format = DateTime)]
    pub(super) config_loaded_at: String,
    /// The last reload that was refused, until one succeeds; null where there is none.
    #[schema(required = true)]
    pub(super) config_refusal: Option<RefusalView>,
    /// The URL under which people reach it; null where none was given.
    #[schema(required = true)]
    pub(super) external_url: Option<String>,
    /// When it started.
    #[schema(format = DateTime)]
    pub(super) started_at: String,
    /// When the pipeline last said how it stands. If this stays behind the clock, the pipeline is stuck.
    #[schema(format = DateTime)]
    pub(super) at: String,
    /// Whether every signal has read its history and the store takes what is written.
    pub(super) is_ready: bool,
    /// Why not, where it is not.
    #[schema(required = true)]
    pub(super) not_ready_because: Option<String>,
    /// Where samples come from; null where a recording is replayed.
    #[schema(required = true)]
    pub(super) source: Option<SourceView>,
    /// A row a signal, in the order of the config.
    pub(super) signals: Vec<SignalStatusView>,
    /// Incidents that are not resolved.
    pub(super) open_incidents: OpenIncidentsView,
    /// How the model was asked.
    pub(super) model: ModelView,
    /// What the store holds; null where it can't be read.
    #[schema(required = true)]
    pub(super) log: Option<LogView>,
}

/// A reload that was refused; the settings of before are in force.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Refusal)]
pub(super) struct RefusalView {
    /// When.
    #[schema(format = DateTime)]
    at: String,
    /// Every mistake, a line each.
    because: String,
}

impl From<&Refusal> for RefusalView {
    fn from(refusal: &Refusal) -> Self {
        Self { at: refusal.at.to_string(), because: refusal.because.clone() }
    }
}

/// Incidents that are not resolved, by severity.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OpenIncidents)]
pub(super) struct OpenIncidentsView {
    #[serde(rename = "P0")]
    p0: usize,
    #[serde(rename = "P1")]
    p1: usize,
    #[serde(rename = "P2")]
    p2: usize,
    #[serde(rename = "P3")]
    p3: usize,
}

impl From<&BTreeMap<&'static str, usize>> for OpenIncidentsView {
    fn from(counts: &BTreeMap<&'static str, usize>) -> Self {
        let count = |severity: Severity| counts.get(severity.as_str()).copied().unwrap_or(0);
        Self {
            p0: count(Severity::P0),
            p1: count(Severity::P1),
            p2: count(Severity::P2),
            p3: count(Severity::P3),
        }
    }
}

/// How one signal stands.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SignalStatus)]
pub(super) struct SignalStatusView {
    /// Its name.
    name: String,
    /// The threshold that was set, in scales.
    sigma: f64,
    /// The threshold after every gate, in scales; but for the classic rule, as rare as the boundary in normal noise.
    effective_sigma: f64,
    /// The last step that was judged; null before the first.
    #[schema(required = true)]
    #[schema(format = DateTime)]
    judged_through_at: Option<String>,
    /// Its series by state.
    series: SeriesCountsView,
    /// Whether most of its series have stopped at once, which looks like the source and not like the services; then the
    /// incident about the source has it and none of them opens one.
    is_source_degraded: bool,
    /// Samples judged.
    judged_total: u64,
    /// Samples outside their band.
    outside_total: u64,
    /// Samples outside their band that opened nothing, since the series has done the like for days.
    usual_total: u64,
    /// Samples that were kept and not judged, since they look back over a gap.
    unsettled_total: u64,
    /// Samples that came again or late and were left out.
    repeated_total: u64,
    /// Rows left out because the signal has its limit of series.
    untracked_total: u64,
    /// Series forgotten after a day without a sample.
    evicted_total: u64,
    /// How its polls go.
    polls: PollsView,
}

/// How the polls of a signal go.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Polls)]
pub(super) struct PollsView {
    /// Polls that were answered.
    answered_total: u64,
    /// Polls that failed, all their retries included.
    failed_total: u64,
    /// Of these, those since the last answer.
    failures_in_a_row: u64,
    /// Slots at which the backend was not asked, since it was silent and another signal tried whether it answers again.
    held_total: u64,
    /// Slots that passed while an earlier one was still being worked on.
    missed_total: u64,
    /// When the last answer came.
    #[schema(required = true)]
    #[schema(format = DateTime)]
    last_answer_at: Option<String>,
    /// The last failure, until an answer comes.
    #[schema(required = true)]
    last_error: Option<String>,
    /// What the backend warned about in its last answer.
    warnings: Vec<String>,
    /// How long the last query took, in seconds.
    last_took_s: f64,
    /// Samples of the last answer that were no values.
    not_values: usize,
    /// Series of the last answer that were left out since they have no service label.
    without_service: usize,
}

/// How the model was asked.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Model)]
pub(super) struct ModelView {
    /// Questions that were asked, answered from the cache or not.
    questions_total: u64,
    /// Of these, answers that the cache gave.
    cached_total: u64,
    /// Requests to the endpoint.
    requests_total: u64,
    /// Tokens of prompts.
    prompt_tokens_total: u64,
    /// Tokens of answers.
    completion_tokens_total: u64,
    /// Questions that heuristics had to answer instead, by reason.
    fallbacks_total: BTreeMap<&'static str, u64>,
}

/// What the store holds.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Log)]
pub(super) struct LogView {
    /// The place of the newest event in the log; 0 for none.
    head_seq: i64,
    /// Incidents that are not resolved.
    incidents_open: u64,
    /// All incidents.
    incidents_total: u64,
}

impl From<&Counts> for LogView {
    fn from(counts: &Counts) -> Self {
        Self { head_seq: counts.last_seq, incidents_open: counts.open(), incidents_total: counts.total() }
    }
}

impl SignalStatusView {
    /// Of a signal that the pipeline has not spoken of yet, everything is zero.
    pub(super) fn new(info: &SignalInfo, status: Option<&SignalStatus>) -> Self {
        let tally = status.map(|status| status.tally).unwrap_or_default();
        let polls = status.map(|status| status.polls.clone()).unwrap_or_default();
        Self {
            name: info.name.to_string(),
            sigma: info.plan.settings.sigma,
            effective_sigma: info.plan.settings.effective_sigma(tally.samples_a_day as f64),
            judged_through_at: status.and_then(|status| status.judged_through).map(|at| at.to_string()),
            series: (&tally).into(),
            is_source_degraded: status.is_some_and(|status| status.is_source_degraded),
            judged_total: tally.judged_total,
            outside_total: tally.outside_total,
            usual_total: tally.usual_total,
            unsettled_total: tally.unsettled_total,
            repeated_total: tally.repeated_total,
            untracked_total: tally.untracked_total,
            evicted_total: tally.evicted_total,
            polls: polls.into(),
        }
    }
}

impl From<PollStatus> for PollsView {
    fn from(polls: PollStatus) -> Self {
        Self {
            answered_total: polls.answered_total,
            failed_total: polls.failed_total,
            failures_in_a_row: polls.failures_in_a_row,
            held_total: polls.held_total,
            missed_total: polls.missed_total,
            last_answer_at: polls.last_answer_at.map(|at| at.to_string()),
            last_error: polls.last_error,
            warnings: polls.warnings,
            last_took_s: polls.last_seconds,
            not_values: polls.not_values,
            without_service: polls.without_service,
        }
    }
}

impl From<&ModelStatus> for ModelView {
    fn from(model: &ModelStatus) -> Self {
        Self {
            questions_total: model.questions_total,
            cached_total: model.cached_total,
            requests_total: model.requests_total,
            prompt_tokens_total: model.prompt_tokens_total,
            completion_tokens_total: model.completion_tokens_total,
            fallbacks_total: model.fallbacks_total.clone(),
        }
    }
}
