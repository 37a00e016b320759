//! Reads columns back into the types that they were written from.

use std::path::Path;

use super::StoreError;
use super::error::damaged;
use super::events::StoredEvent;
use super::incidents::{IncidentRow, PhaseName};
use crate::diagnose::Cause;
use crate::id::Digest;
use crate::incident::{Phase, Resolution, Severity, Source, Subject};
use crate::record::parse_stream;
use crate::series::{Service, SignalName};
use crate::time::Timestamp;

/// `seq, stream, stream_seq, at_ms, kind, version, body, hash`
pub(super) type EventColumns = (i64, String, i64, i64, String, i64, String, Vec<u8>);

/// `id, service, source, severity, phase, phase_revision, resolution, onset_ms, opened_at_ms, changed_at_ms,
/// resolved_at_ms, signals, hypothesis, cause, subject`
pub(super) type IncidentColumns = (
    String,
    String,
    String,
    String,
    String,
    Option<i64>,
    Option<String>,
    i64,
    i64,
    i64,
    Option<i64>,
    String,
    Option<String>,
    Option<String>,
    String,
);

pub(super) fn digest_of(file: &Path, table: &'static str, bytes: &[u8]) -> Result<Digest, StoreError> {
    let bytes = bytes.try_into().map_err(|_| damaged(file, table, "a hash has not 32 bytes"))?;
    Ok(Digest::from_bytes(bytes))
}

pub(super) fn event_of(file: &Path, columns: EventColumns) -> Result<StoredEvent, StoreError> {
    let (seq, stream, stream_seq, at_ms, kind, version, body, hash) = columns;
    let damaged = |because: &str| damaged(file, "events", format!("event {seq}: {because}"));
    Ok(StoredEvent {
        seq,
        stream: parse_stream(&stream).map_err(|error| damaged(&error.to_string()))?,
        stream_seq,
        at: Timestamp::from_millis(at_ms),
        kind,
        version: u32::try_from(version).map_err(|_| damaged("its version is no version"))?,
        body,
        hash: digest_of(file, "events", &hash)?,
    })
}

pub(super) fn incident_of(file: &Path, columns: IncidentColumns) -> Result<IncidentRow, StoreError> {
    let (id, service, source, severity, phase, phase_revision, resolution, onset_ms, opened_at_ms, ..) =
        &columns;
    let (.., changed_at_ms, resolved_at_ms, signals, hypothesis, cause, subject) = &columns;
    let damaged = |column: &str| damaged(file, "incidents", format!("incident {id:?} has a bad {column}"));
    let phase = PhaseName::parse(phase).ok_or_else(|| damaged("phase"))?;
    let signals: Vec<String> = serde_json::from_str(signals).map_err(|_| damaged("list of signals"))?;
    let cause = match cause {
        Some(text) => Some(word(Cause::ALL, Cause::as_str, text).ok_or_else(|| damaged("cause"))?),
        None => None,
    };
    let resolution = resolution.as_deref().and_then(|text| word(Resolution::ALL, Resolution::as_str, text));
    let resolved = resolved_at_ms.map(Timestamp::from_millis).zip(resolution);
    let revision = phase_revision.and_then(|revision| u32::try_from(revision).ok());
    Ok(IncidentRow {
        id: id.parse().map_err(|_| damaged("id"))?,
        subject: match subject.as_str() {
            "service" => Subject::Service(Service::new(service)),
            "source" => Subject::Source,
            _ => return Err(damaged("subject")),
        },
        source: word(Source::ALL, Source::as_str, source).ok_or_else(|| damaged("source"))?,
        severity: severity_of(severity).ok_or_else(|| damaged("severity"))?,
        phase: phase_of(phase, revision, resolved).ok_or_else(|| damaged("phase"))?,
        onset: Timestamp::from_millis(*onset_ms),
        opened_at: Timestamp::from_millis(*opened_at_ms),
        changed_at: Timestamp::from_millis(*changed_at_ms),
        signals: signals.iter().map(|name| SignalName::new(name)).collect(),
        hypothesis: hypothesis.clone(),
        cause,
    })
}

pub(super) fn severity_of(text: &str) -> Option<Severity> {
    word(Severity::ALL, Severity::as_str, text)
}

fn phase_of(
    name: PhaseName,
    revision: Option<u32>,
    resolved: Option<(Timestamp, Resolution)>,
) -> Option<Phase> {
    match name {
        PhaseName::Detected => Some(Phase::Detected),
        PhaseName::Analyzing => revision.map(|revision| Phase::Analyzing { revision }),
        PhaseName::Diagnosed => revision.map(|revision| Phase::Diagnosed { revision }),
        PhaseName::Resolved => resolved.map(|(at, because)| Phase::Resolved { at, because }),
    }
}

/// Finds the choice whose word a text is.
fn word<T: Copy, const N: usize>(all: [T; N], as_str: fn(T) -> &'static str, text: &str) -> Option<T> {
    all.into_iter().find(|choice| as_str(*choice) == text)
}
