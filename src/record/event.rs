//! Encodes and decodes events: which kinds there are, in which version, and how older ones are brought up to date.

use std::borrow::Cow;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{RecordError, captured, diagnosis, incident, system};
use crate::engine::Event;
use crate::id::Digest;

/// An event in its wire form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// What happened: `incident.opened`.
    pub kind: &'static str,
    /// The version of the body's form; each kind counts from 1.
    pub version: u32,
    /// JSON text, written once: these very bytes are hashed and stored.
    pub body: String,
    /// What the body refers to by digest.
    pub blobs: Vec<Blob>,
}

/// Bytes that are stored once under their digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// The plain SHA-256 of the bytes.
    pub digest: Digest,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// The kind of a diagnosis.
pub const DIAGNOSED: &str = "incident.diagnosed";

/// The kind of captured samples.
pub const CAPTURED: &str = "incident.captured";

/// Every kind with the version that this release writes.
pub const KINDS: [(&str, u32); 21] = [
    (incident::OPENED, 2),
    (incident::SOURCE_OPENED, 1),
    (incident::OUTAGE_JOINED, 1),
    (incident::OUTAGE_ENDED, 1),
    (incident::JOINED, 2),
    (incident::WORSENED, 1),
    (incident::MEMBER_ENDED, 1),
    (incident::SEVERITY_CHANGED, 1),
    (incident::ANALYSIS_REQUESTED, 1),
    (incident::RESOLVED, 1),
    (DIAGNOSED, 1),
    (CAPTURED, 1),
    (system::STARTED, 1),
    (system::BASELINE_RESTARTED, 1),
    (system::SOURCE_DEGRADED, 1),
    (system::CONFIG_RELOADED, 1),
    (system::RELOAD_FAILED, 1),
    (system::SIGNAL_UNANSWERED, 1),
    (system::SIGNAL_ANSWERED, 1),
    (system::STEPS_NOT_JUDGED, 1),
    (system::SERIES_REBASED, 1),
];

/// Writes an event. The same event gives the same bytes.
///
/// # Errors
/// Where it holds a number that is not finite.
pub fn encode(event: &Event) -> Result<Encoded, RecordError> {
    match event {
        Event::Incident(event) => incident::encode(event),
        Event::Diagnosed(diagnosis) => diagnosis::encode(diagnosis),
        Event::Captured(series) => captured::encode(series),
        Event::System(event) => system::encode(event),
    }
}

/// Reads an event. That of captured samples comes back empty, since its samples are in a blob: see
/// [`super::captured_digest`] and [`super::decode_captured`].
///
/// # Errors
/// Where the kind is unknown, the version is newer than this release, or the body is malformed.
pub fn decode(kind: &str, version: u32, body: &str) -> Result<Event, RecordError> {
    let (kind, body) = current(kind, version, body)?;
    let body = Body { kind, version, text: &body };
    match kind {
        DIAGNOSED => Ok(Event::Diagnosed(diagnosis::decode(&body)?)),
        CAPTURED => captured::decode(&body).map(|_| Event::Captured(Vec::new())),
        _ => match incident::decode(&body)? {
            Some(event) => Ok(Event::Incident(event)),
            None => Ok(Event::System(system::decode(&body)?)),
        },
    }
}

/// Finds the kind and brings a body of any released version to the form of the current one.
pub(super) fn current<'a>(
    kind: &str,
    version: u32,
    body: &'a str,
) -> Result<(&'static str, Cow<'a, str>), RecordError> {
    let unknown = || RecordError::UnknownKind { kind: kind.chars().take(80).collect(), version };
    let (kind, known) = KINDS.into_iter().find(|(known, _)| *known == kind).ok_or_else(unknown)?;
    if version > known {
        return Err(RecordError::NewerVersion { kind, version, known });
    }
    match (kind, version) {
        // Version 2 has in its member what the gates said; a body of version 1 is one of version 2 without that.
        (incident::OPENED | incident::JOINED, 1) => Ok((kind, Cow::Borrowed(body))),
        (_, version) if version == known => Ok((kind, Cow::Borrowed(body))),
        (_, version) => Err(RecordError::UnknownVersion { kind, version }),
    }
}

/// A body in the current form, with what an error says about it.
pub(super) struct Body<'a> {
    pub(super) kind: &'static str,
    pub(super) version: u32,
    pub(super) text: &'a str,
}

impl Body<'_> {
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, RecordError> {
        serde_json::from_str(self.text).map_err(|error| RecordError::Malformed {
            kind: self.kind,
            version: self.version,
            because: error.to_string(),
        })
    }
}

/// Writes a body under the current version of its kind.
pub(super) fn write<T: Serialize>(kind: &'static str, body: &T) -> Result<Encoded, RecordError> {
    let unwritable = |because| RecordError::Unwritable { kind, because };
    let version = KINDS.iter().find(|(known, _)| *known == kind).map(|(_, version)| *version);
    let version = version.ok_or_else(|| unwritable("the kind has no version".to_owned()))?;
    let body = serde_json::to_string(body).map_err(|error| unwritable(error.to_string()))?;
    Ok(Encoded { kind, version, body, blobs: Vec::new() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::generated;
    use super::*;
    use crate::engine::SystemEvent;
    use crate::incident::Event as IncidentEvent;

    proptest! {
        #[test]
        fn an_event_survives_its_wire_form(event in generated::event()) {
            let encoded = encode(&event).unwrap();
            prop_assert!(KINDS.contains(&(encoded.kind, encoded.version)));
            let decoded = decode(encoded.kind, encoded.version, &encoded.body).unwrap();
            if let Event::Captured(series) = &event {
                prop_assert_eq!(decoded, Event::Captured(Vec::new()));
                let [blob] = encoded.blobs.as_slice() else { panic!("one blob") };
                prop_assert_eq!(blob.digest, Digest::of_bytes(&blob.bytes));
                prop_assert_eq!(&captured::decode_captured(&blob.bytes).unwrap(), series);
            } else {
                prop_assert_eq!(&decoded, &event);
                prop_assert_eq!(encode(&decoded).unwrap(), encoded, "a second writing gives the same bytes");
            }
        }

        #[test]
        fn no_text_panics(place in 0..KINDS.len(), version in 0_u32..3, body in "\\PC{0,60}") {
            let _ = decode(KINDS[place].0, version, &body);
            let _ = captured::decode_captured(body.as_bytes());
        }

        #[test]
        fn no_mutation_panics(event in generated::event(), place in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let encoded = encode(&event).unwrap();
            let mut bytes = encoded.body.into_bytes();
            let place = place.index(bytes.len());
            bytes[place] = byte;
            let _ = decode(encoded.kind, encoded.version, &String::from_utf8_lossy(&bytes));
            let _ = decode(encoded.kind, encoded.version, &String::from_utf8_lossy(&bytes[..place]));
        }
    }

    #[test]
    fn an_unknown_kind_is_named() {
        let error = decode("incident.exploded", 3, "{}").unwrap_err().to_string();
        assert!(error.contains("incident.exploded") && error.contains('3'), "{error}");
    }

    #[test]
    fn a_newer_version_is_refused_with_both_numbers() {
        let error = decode(incident::RESOLVED, 7, "{}").unwrap_err();
        let expected = RecordError::NewerVersion { kind: incident::RESOLVED, version: 7, known: 1 };
        assert_eq!(error, expected);
        assert!(error.to_string().contains("version 7"), "{error}");
    }

    #[test]
    fn an_unknown_field_is_refused() {
        let body = r#"{"because":"recovered","by":"nobody"}"#;
        assert!(matches!(decode(incident::RESOLVED, 1, body), Err(RecordError::Malformed { .. })));
    }

    #[test]
    fn a_number_that_is_not_finite_is_refused_instead_of_becoming_null() {
        for score in [f64::NAN, f64::INFINITY] {
            let series = crate::id::Fingerprint::of(&[b"s"]);
            let until = crate::time::Timestamp::from_millis(0);
            let event = IncidentEvent::Worsened { series, peak_score: score, peak_value: 1.0, until };
            let error = encode(&Event::Incident(event)).unwrap_err();
            assert!(matches!(error, RecordError::Unwritable { .. }), "{error}");
        }
    }

    #[test]
    fn a_body_is_one_line_with_units_in_its_names() {
        let event = SystemEvent::Started { version: "0.1.0".to_owned(), config_hash: "ab".to_owned() };
        let encoded = encode(&Event::System(event)).unwrap();
        assert_eq!(encoded.body, r#"{"version":"0.1.0","config_hash":"ab"}"#);
    }
}
