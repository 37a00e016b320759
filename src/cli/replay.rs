//! `portent replay RECORDING.csv`: the whole pipeline in virtual time.
//!
//! Nothing that is printed knows of a moment later than its own: diagnoses are those that were made at their time. Only how
//! far apart the samples are is taken from the whole recording.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Write as _};
use std::process::ExitCode;

use anyhow::Context as _;
use serde::Serialize;

use super::args::ReplayArgs;
use crate::app::engine_settings;
use crate::config;
use crate::correlate::CallGraph;
use crate::engine::{Engine, Input, Restored};
use crate::incident::{Member, MemberState, Phase};
use crate::replay::{Replay, Replayed};
use crate::source::{Recording, read_edges};
use crate::time::Timestamp;

/// Prints a JSON object a line, one an incident in the order in which they opened.
pub(super) fn replay(args: &ReplayArgs) -> anyhow::Result<ExitCode> {
    let config = config::load(args.config_file.as_deref(), config::environment(), &[])?;
    let name = args.recording.display().to_string();
    let file = File::open(&args.recording).with_context(|| format!("{name} cannot be opened"))?;
    let recording = Recording::read(BufReader::new(file), &name)?;

    if recording.not_values() > 0 {
        let count = recording.not_values();
        writeln!(
            io::stderr().lock(),
            "portent: {name}: cells that are NaN or infinite and count as empty: {count}"
        )?;
    }

    let mut settings = engine_settings(&config, recording.signals().iter().cloned());
    // The recording says how far apart its samples are; no model is asked about the past.
    settings.signals.iter_mut().for_each(|(_, plan)| plan.step = recording.step());
    settings.questions_per_incident = 0;
    if let Some(edges) = &args.edges {
        let name = edges.display().to_string();
        let file = File::open(edges).with_context(|| format!("{name} cannot be opened"))?;
        settings.correlate.calls = CallGraph::new(read_edges(BufReader::new(file), &name)?);
    }
    let muted_until = Timestamp::from_millis(i64::MIN);
    let mut replay = Replay::new(Engine::new(settings, Restored::default(), muted_until));
    let mut last = None;
    for slot in recording.slots() {
        replay.moment(slot.at, slot.batches);
        last = Some(slot.at);
    }
    // Holds that would have run out within the last step are not waited for: the future is not known.
    if let Some(last) = last {
        replay.step(last, Input::Tick);
    }
    let mut out = BufWriter::new(io::stdout().lock());
    for replayed in replay.incidents() {
        serde_json::to_writer(&mut out, &Line::of(replayed))?;
        out.write_all(b"\n")?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// An incident as it is printed; times are Unix seconds.
#[derive(Serialize)]
struct Line {
    id: String,
    /// `null` where it is about the source of the samples.
    service: Option<String>,
    opened_at: f64,
    resolved_at: Option<f64>,
    severity: &'static str,
    anomalies: Vec<AnomalyLine>,
    diagnoses: Vec<DiagnosisLine>,
}

#[derive(Serialize)]
struct AnomalyLine {
    service: String,
    signal: String,
    onset: f64,
    detected_at: f64,
    /// The last sample judged anomalous.
    until: f64,
    /// The worst score; `null` for a series that stopped.
    score: Option<f64>,
    side: &'static str,
}

#[derive(Serialize)]
struct DiagnosisLine {
    at: f64,
    hypotheses: Vec<HypothesisLine>,
}

#[derive(Serialize)]
struct HypothesisLine {
    service: Option<String>,
    signal: Option<String>,
    cause: &'static str,
    score: Option<f64>,
    text: String,
}

impl Line {
    fn of(Replayed { incident, diagnoses }: &Replayed) -> Self {
        let resolved_at = match incident.phase {
            Phase::Resolved { at, .. } => Some(at.as_seconds()),
            Phase::Detected | Phase::Analyzing { .. } | Phase::Diagnosed { .. } => None,
        };
        let hypothesis = |h: &crate::diagnose::Hypothesis| HypothesisLine {
            service: h.service.as_ref().map(ToString::to_string),
            signal: h.signal.as_ref().map(ToString::to_string),
            cause: h.cause.as_str(),
            score: h.score,
            text: h.title.clone(),
        };
        Self {
            id: incident.id.to_string(),
            service: incident.subject.service().map(ToString::to_string),
            opened_at: incident.opened_at.as_seconds(),
            resolved_at,
            severity: incident.assessment.severity.as_str(),
            anomalies: incident.members.iter().map(AnomalyLine::of).collect(),
            diagnoses: diagnoses
                .iter()
                .map(|d| DiagnosisLine {
                    at: d.at.as_seconds(),
                    hypotheses: d.hypotheses.iter().map(hypothesis).collect(),
                })
                .collect(),
        }
    }
}

impl AnomalyLine {
    fn of(member: &Member) -> Self {
        let until = match member.state {
            MemberState::Active => member.trouble.until(),
            MemberState::Ended { until, .. } => until,
        };
        let (score, side) = match member.trouble {
            crate::incident::Trouble::Deviation(anomaly) => (Some(anomaly.peak_score), anomaly.side.as_str()),
            crate::incident::Trouble::Lost { .. } => (None, "lost"),
        };
        Self {
            service: member.key.service.to_string(),
            signal: member.key.signal.to_string(),
            onset: member.trouble.onset().as_seconds(),
            detected_at: member.trouble.detected_at().as_seconds(),
            until: until.as_seconds(),
            score,
            side,
        }
    }
}
