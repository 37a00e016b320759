//! The wire form of captured samples: the event holds their digest, a blob of canonical JSON holds them.

use serde::{Deserialize, Serialize};

use super::RecordError;
use super::event::{Blob, Body, CAPTURED, Encoded, current, write};
use super::scalar::{Finite, hex, signal};
use crate::engine::CapturedSeries;
use crate::id::Digest;
use crate::series::SignalName;
use crate::time::Timestamp;

/// What the event says about its blob.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CapturedWire {
    #[serde(with = "hex")]
    digest: Digest,
    series: usize,
    points: usize,
}

/// The blob has a version of its own: it may be read without its event.
const SAMPLES_VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SamplesWire {
    v: u32,
    series: Vec<SeriesWire>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SeriesWire {
    #[serde(with = "signal")]
    signal: SignalName,
    labels: Vec<(String, String)>,
    /// Milliseconds and values.
    points: Vec<(i64, Finite)>,
}

pub(super) fn encode(captured: &[CapturedSeries]) -> Result<Encoded, RecordError> {
    let series = captured.iter().map(|series| SeriesWire {
        signal: series.signal.clone(),
        labels: series.labels.clone(),
        points: series.points.iter().map(|(at, value)| (at.as_millis(), Finite(*value))).collect(),
    });
    let samples = SamplesWire { v: SAMPLES_VERSION, series: series.collect() };
    let bytes = serde_json::to_vec(&samples)
        .map_err(|error| RecordError::Unwritable { kind: CAPTURED, because: error.to_string() })?;
    let digest = Digest::of_bytes(&bytes);
    let points = captured.iter().map(|series| series.points.len()).sum();
    let mut encoded = write(CAPTURED, &CapturedWire { digest, series: captured.len(), points })?;
    encoded.blobs.push(Blob { digest, bytes });
    Ok(encoded)
}

pub(super) fn decode(body: &Body<'_>) -> Result<CapturedWire, RecordError> {
    body.read()
}

/// The digest of the blob that the event of captured samples refers to.
///
/// # Errors
/// Where the version is newer than this release or the body is malformed.
pub fn captured_digest(version: u32, body: &str) -> Result<Digest, RecordError> {
    let (kind, text) = current(CAPTURED, version, body)?;
    let wire = decode(&Body { kind, version, text: &text })?;
    Ok(wire.digest)
}

/// Reads captured samples from their blob.
///
/// # Errors
/// Where a newer release wrote them or the bytes are malformed.
pub fn decode_captured(bytes: &[u8]) -> Result<Vec<CapturedSeries>, RecordError> {
    let samples: SamplesWire =
        serde_json::from_slice(bytes).map_err(|error| RecordError::Samples(error.to_string()))?;
    if samples.v != SAMPLES_VERSION {
        let (found, known) = (samples.v, SAMPLES_VERSION);
        return Err(RecordError::Samples(format!("their version is {found}, this release reads {known}")));
    }
    let series = samples.series.into_iter().map(|series| CapturedSeries {
        signal: series.signal,
        labels: series.labels,
        points: series
            .points
            .into_iter()
            .map(|(at_ms, Finite(value))| (Timestamp::from_millis(at_ms), value))
            .collect(),
    });
    Ok(series.collect())
}
