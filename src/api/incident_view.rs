//! An incident as a reader sees it: in a list, and in full.

use serde::Serialize;
use utoipa::ToSchema;

use super::diagnosis_view::HypothesisView;
use super::member_view::MemberView;
use super::outage_view::OutageView;
use super::vocabulary;
use crate::diagnose::Diagnosis;
use crate::incident::{Assessment, Incident, Phase};
use crate::store::IncidentRow;

/// What an incident says of itself, in a list as in full.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = IncidentHead)]
pub(super) struct HeadView {
    /// Its id: 20 hex digits.
    #[schema(example = "5f0c2a4be8d19c3377a1")]
    id: String,
    /// Where it is in its life.
    #[schema(value_type = vocabulary::Phase)]
    status: &'static str,
    /// How bad it is; P0 is the worst.
    #[schema(value_type = vocabulary::Severity)]
    severity: &'static str,
    /// What it is about: a service, or the source of the samples.
    #[schema(value_type = vocabulary::Subject)]
    subject: &'static str,
    /// The service that it is about; null where it is about the source.
    #[schema(required = true)]
    service: Option<String>,
    /// Who noticed.
    #[schema(value_type = vocabulary::Source)]
    source: &'static str,
    /// When the first of its troubles began.
    #[schema(format = DateTime)]
    onset_at: String,
    /// When it was opened.
    #[schema(format = DateTime)]
    opened_at: String,
    /// When it last changed.
    #[schema(format = DateTime)]
    changed_at: String,
    /// When it was over; null while it is not.
    #[schema(required = true)]
    #[schema(format = DateTime)]
    resolved_at: Option<String>,
    /// How that is known: `recovered` or `nothing_left`.
    #[schema(required = true)]
    resolved_because: Option<&'static str>,
    /// How long it lasted from the onset to its end, in seconds; null while it is open.
    #[schema(required = true)]
    lasted_s: Option<f64>,
    /// The signals in trouble in the order in which they joined, each once.
    signals: Vec<String>,
}

/// An incident in a list.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = IncidentSummary)]
pub(super) struct IncidentSummaryView {
    #[serde(flatten)]
    head: HeadView,
    /// The most likely cause by the newest diagnosis, in short; null where there is none.
    #[schema(required = true)]
    top_hypothesis: Option<HypothesisTitleView>,
}

/// A hypothesis in short.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HypothesisTitle)]
pub(super) struct HypothesisTitleView {
    /// What kind of cause.
    #[schema(value_type = vocabulary::Cause)]
    cause: &'static str,
    /// One sentence.
    title: String,
}

/// An incident in full.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Incident)]
pub(super) struct IncidentView {
    #[serde(flatten)]
    head: HeadView,
    /// What it stands for: the same trouble at another time has the same fingerprint.
    fingerprint: String,
    /// The points that made the severity.
    assessment: AssessmentView,
    /// The series in trouble, in the order in which they joined.
    members: Vec<MemberView>,
    /// The signals that the source does not serve, in the order in which they joined; empty where it is about a service.
    outages: Vec<OutageView>,
    /// The newest revision of its diagnosis that was asked for; 0 for none.
    revisions: u32,
    /// The most likely cause by the newest diagnosis; null where there is none.
    #[schema(required = true)]
    top_hypothesis: Option<HypothesisView>,
}

/// A severity with the points that made it: up to 0 points are P3, 1 and 2 are P2, 3 is P1, more are P0.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Assessment)]
pub(super) struct AssessmentView {
    /// The outcome.
    #[schema(value_type = vocabulary::Severity)]
    severity: &'static str,
    /// The sum of the points.
    points: i32,
    /// 0 where the worst score is below 2, 1 below 5, else 2. A lost series counts 2.
    magnitude_points: i32,
    /// 0 for one signal, 1 for two, 2 for more. About the source: 1 for more than one signal and for a backend that
    /// answers nothing, else 0; its magnitude is 2.
    breadth_points: i32,
    /// By the service's criticality: -1 low, 0 normal, 1 high, 2 critical.
    criticality_points: i32,
}

impl HeadView {
    fn new(row: &IncidentRow) -> Self {
        let resolved = match row.phase {
            Phase::Resolved { at, because } => Some((at, because)),
            Phase::Detected | Phase::Analyzing { .. } | Phase::Diagnosed { .. } => None,
        };
        Self {
            id: row.id.to_string(),
            status: row.phase.as_str(),
            severity: row.severity.as_str(),
            subject: row.subject.as_str(),
            service: row.subject.service().map(ToString::to_string),
            source: row.source.as_str(),
            onset_at: row.onset.to_string(),
            opened_at: row.opened_at.to_string(),
            changed_at: row.changed_at.to_string(),
            resolved_at: resolved.map(|(at, _)| at.to_string()),
            resolved_because: resolved.map(|(_, because)| because.as_str()),
            lasted_s: resolved.map(|(at, _)| at.since(row.onset).as_secs_f64()),
            signals: row.signals.iter().map(ToString::to_string).collect(),
        }
    }
}

impl From<&IncidentRow> for IncidentSummaryView {
    fn from(row: &IncidentRow) -> Self {
        let named = row.cause.zip(row.hypothesis.as_ref());
        let top_hypothesis =
            named.map(|(cause, title)| HypothesisTitleView { cause: cause.as_str(), title: title.clone() });
        Self { head: HeadView::new(row), top_hypothesis }
    }
}

impl IncidentView {
    pub(super) fn new(incident: &Incident, newest: Option<&Diagnosis>) -> Self {
        Self {
            head: HeadView::new(&row_of(incident)),
            fingerprint: incident.fingerprint.to_string(),
            assessment: incident.assessment.into(),
            members: incident.members.iter().map(MemberView::from).collect(),
            outages: incident.outages.iter().map(OutageView::from).collect(),
            revisions: incident.revisions,
            top_hypothesis: newest.and_then(|diagnosis| diagnosis.hypotheses.first()).map(Into::into),
        }
    }
}

/// The row by which a list would show an incident.
fn row_of(incident: &Incident) -> IncidentRow {
    IncidentRow {
        id: incident.id,
        subject: incident.subject.clone(),
        source: incident.source,
        severity: incident.assessment.severity,
        phase: incident.phase,
        onset: incident.onset(),
        opened_at: incident.opened_at,
        changed_at: incident.changed_at,
        signals: incident.signals(),
        hypothesis: None,
        cause: None,
    }
}

impl From<Assessment> for AssessmentView {
    fn from(assessment: Assessment) -> Self {
        let Assessment { severity, magnitude_points, breadth_points, criticality_points } = assessment;
        Self {
            severity: severity.as_str(),
            points: magnitude_points + breadth_points + criticality_points,
            magnitude_points,
            breadth_points,
            criticality_points,
        }
    }
}
