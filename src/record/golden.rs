//! Golden files: what a released version wrote is read for ever, and the current version is written the same.
//!
//! `tests/fixtures/events/v<version>/<kind>[.<case>].json` holds a body in one line; beside that of captured samples
//! lies their blob. A file of a released version is never edited. A new version gets a folder of its own.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use super::event::{CAPTURED, KINDS, decode, encode};
use super::{captured_digest, decode_captured};
use crate::engine::Event;
use crate::id::Digest;

struct Golden {
    path: PathBuf,
    kind: String,
    body: String,
}

fn folder(version: u32) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/events/v{version}"))
}

fn golden_files(version: u32) -> Vec<Golden> {
    let entries = fs::read_dir(folder(version)).unwrap().map(|entry| entry.unwrap().path());
    let files = entries.filter(|path| path.extension().is_some_and(|end| end == "json"));
    let golden = |path: PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let kind = name.split('.').take(2).collect::<Vec<_>>().join(".");
        let body = fs::read_to_string(&path).unwrap().trim_end().to_owned();
        Golden { path, kind, body }
    };
    files.map(golden).collect()
}

fn blob(version: u32) -> Vec<u8> {
    let text = fs::read_to_string(folder(version).join("incident.captured.blob")).unwrap();
    text.trim_end().as_bytes().to_vec()
}

/// Every version that some kind has had.
fn versions() -> impl Iterator<Item = u32> {
    1..=KINDS.into_iter().map(|(_, version)| version).max().unwrap_or(1)
}

#[test]
fn what_was_written_is_read_and_written_again_the_same() {
    for (version, Golden { path, kind, body }) in
        versions().flat_map(|version| golden_files(version).into_iter().map(move |golden| (version, golden)))
    {
        let name = path.display();
        let mut event = decode(&kind, version, &body).unwrap_or_else(|error| panic!("{name}: {error}"));
        if kind == CAPTURED {
            event = Event::Captured(decode_captured(&blob(version)).unwrap());
        }
        let again = encode(&event).unwrap();
        let (_, current) = KINDS.into_iter().find(|(known, _)| *known == kind).unwrap();
        if version < current {
            assert_eq!(decode(&kind, again.version, &again.body).unwrap(), event, "{name}");
            continue;
        }
        assert_eq!(
            (again.kind, again.version, again.body.as_str()),
            (kind.as_str(), version, body.as_str()),
            "{name} differs from what this release writes. If the form must change, raise the version in KINDS, add \
             a folder for it, and bring the old body up to date in record::event; don't edit a released file"
        );
    }
}

#[test]
fn every_kind_has_a_golden_file_in_its_current_version() {
    for (kind, version) in KINDS {
        let found: BTreeSet<String> = golden_files(version).into_iter().map(|golden| golden.kind).collect();
        let missing = folder(version).join(format!("{kind}.json"));
        assert!(
            found.contains(kind),
            "{} is missing: put the body of one such event there",
            missing.display()
        );
    }
}

#[test]
fn no_golden_file_is_of_an_unknown_kind() {
    for golden in versions().flat_map(golden_files) {
        assert!(KINDS.iter().any(|(kind, _)| *kind == golden.kind), "{}", golden.path.display());
    }
}

#[test]
fn the_event_of_captured_samples_names_their_blob() {
    let golden = golden_files(1).into_iter().find(|golden| golden.kind == CAPTURED).unwrap();
    let blob = blob(1);
    assert_eq!(captured_digest(1, &golden.body), Ok(Digest::of_bytes(&blob)));
    let Event::Captured(series) = decode(CAPTURED, 1, &golden.body).unwrap() else { panic!("not captured") };
    assert!(series.is_empty(), "the samples are in the blob only");
    let again = encode(&Event::Captured(decode_captured(&blob).unwrap())).unwrap();
    assert_eq!(again.blobs.first().map(|again| again.bytes.as_slice()), Some(blob.as_slice()));
}
