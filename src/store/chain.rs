//! The hash chain of a stream, and the checkpoints that tie the streams together.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::id::Digest;

/// The kind of the event in `system` that notes the heads of the incident streams that a commit touched. Its body is
/// `{"heads":{"<stream>":[<stream_seq>,"<hash>"]}}`.
pub const CHECKPOINT: &str = "store.checkpoint";

pub(super) const CHECKPOINT_VERSION: u32 = 1;

/// The last event of a stream, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Its number in the stream, from 1; 0 before the first.
    pub stream_seq: i64,
    /// Its hash; zero before the first.
    pub hash: Digest,
}

impl Head {
    /// Before the first event of a stream.
    pub(super) const NONE: Self = Self { stream_seq: 0, hash: Digest::ZERO };
}

/// What the hash of an event covers besides the hash before it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Link<'a> {
    pub(super) stream: &'a str,
    pub(super) stream_seq: i64,
    pub(super) seq: i64,
    pub(super) at_ms: i64,
    pub(super) kind: &'a str,
    pub(super) version: i64,
    pub(super) body: &'a str,
}

impl Link<'_> {
    /// The event's hash: SHA-256 over the previous hash and every field, each with its length before it, numbers in
    /// eight bytes with the highest first.
    pub(super) fn hash(&self, previous: &Digest) -> Digest {
        Digest::of(&[
            previous.as_bytes(),
            self.stream.as_bytes(),
            &self.stream_seq.to_be_bytes(),
            &self.seq.to_be_bytes(),
            &self.at_ms.to_be_bytes(),
            self.kind.as_bytes(),
            &self.version.to_be_bytes(),
            self.body.as_bytes(),
        ])
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CheckpointWire {
    heads: BTreeMap<String, (i64, String)>,
}

/// Writes the body of a checkpoint.
pub(super) fn checkpoint_body(heads: &BTreeMap<String, Head>) -> Result<String, serde_json::Error> {
    let wire = |(stream, head): (&String, &Head)| (stream.clone(), (head.stream_seq, head.hash.to_string()));
    serde_json::to_string(&CheckpointWire { heads: heads.iter().map(wire).collect() })
}

/// Reads the body of a checkpoint; `None` where it is none.
pub(super) fn parse_checkpoint(version: i64, body: &str) -> Option<BTreeMap<String, Head>> {
    if version != i64::from(CHECKPOINT_VERSION) {
        return None;
    }
    let wire: CheckpointWire = serde_json::from_str(body).ok()?;
    let head = |(stream, (stream_seq, hash)): (String, (i64, String))| {
        Some((stream, Head { stream_seq, hash: hash.parse().ok()? }))
    };
    wire.heads.into_iter().map(head).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINK: Link<'_> = Link {
        stream: "system",
        stream_seq: 1,
        seq: 2,
        at_ms: 3,
        kind: "system.started",
        version: 1,
        body: "{}",
    };

    #[test]
    fn every_field_and_the_hash_before_count() {
        let hash = LINK.hash(&Digest::ZERO);
        for changed in [
            Link { stream: "other", ..LINK },
            Link { stream_seq: 9, ..LINK },
            Link { seq: 9, ..LINK },
            Link { at_ms: 9, ..LINK },
            Link { kind: "system.stopped", ..LINK },
            Link { version: 9, ..LINK },
            Link { body: "{ }", ..LINK },
        ] {
            assert_ne!(changed.hash(&Digest::ZERO), hash, "{changed:?}");
        }
        assert_ne!(LINK.hash(&Digest::of_bytes(b"x")), hash);
    }

    #[test]
    fn the_hash_of_a_released_version_stays() {
        // Whoever changes this makes every store in the world unverifiable.
        let expected = "dd137b187dd7947df169f73aa1eeebdde30c7c887bbd282958ec8bcda928506b";
        assert_eq!(LINK.hash(&Digest::ZERO).to_string(), expected);
    }

    #[test]
    fn a_checkpoint_survives_its_wire_form() {
        let head = Head { stream_seq: 7, hash: Digest::of_bytes(b"x") };
        let heads = BTreeMap::from([("incident:a".to_owned(), head)]);
        let body = checkpoint_body(&heads).unwrap();
        assert_eq!(body, format!(r#"{{"heads":{{"incident:a":[7,"{}"]}}}}"#, head.hash));
        assert_eq!(parse_checkpoint(1, &body), Some(heads));
        assert_eq!(parse_checkpoint(2, &body), None);
        assert_eq!(parse_checkpoint(1, "{}"), None);
    }
}
