//! Content-derived identifiers.
//!
//! No id here comes from a clock or from randomness: the same content gives the same id, so a slot that is judged
//! twice after a crash names the same incident twice instead of opening two.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use sha2::{Digest as _, Sha256};

/// A SHA-256 digest of stored bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The digest before the first link of a hash chain.
    pub const ZERO: Self = Self([0; 32]);

    /// Hashes the parts one after the other, each preceded by its length, so that no two lists of parts collide
    /// by moving a boundary.
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut hasher = Sha256::new();
        for part in parts {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        Self(hasher.finalize().into())
    }

    /// The plain SHA-256 of some bytes, as `sha256sum` prints it.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Takes 32 raw bytes that were stored.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The raw 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl FromStr for Digest {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        Ok(Self(parse_hex(text)?))
    }
}

/// Names an incident: 80 bits of the hash of the fingerprint and the onset of its first anomaly, as 20 hex digits.
///
/// 80 bits keep the chance that two of a million incidents collide below 1e-12.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IncidentId([u8; 10]);

impl IncidentId {
    /// Derives the id from the fingerprint of what went wrong and the time, in milliseconds, at which it began.
    pub fn derive(fingerprint: Fingerprint, onset_ms: i64) -> Self {
        let digest = Digest::of(&[b"incident", &fingerprint.0.to_be_bytes(), &onset_ms.to_be_bytes()]);
        let mut bytes = [0; 10];
        bytes.copy_from_slice(&digest.0[..10]);
        Self(bytes)
    }
}

impl fmt::Display for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IncidentId({self})")
    }
}

impl FromStr for IncidentId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        Ok(Self(parse_hex(text)?))
    }
}

/// A 128-bit hash of what identifies a thing: a series, or the kind of trouble that an incident stands for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Fingerprint(u128);

impl Fingerprint {
    /// Hashes the parts with their boundaries.
    pub fn of(parts: &[&[u8]]) -> Self {
        let digest = Digest::of(parts);
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest.0[..16]);
        Self(u128::from_be_bytes(bytes))
    }

    /// The hash as a number, to spread work evenly.
    pub fn as_u128(self) -> u128 {
        self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Fingerprint({self})")
    }
}

impl FromStr for Fingerprint {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        Ok(Self(u128::from_be_bytes(parse_hex(text)?)))
    }
}

/// A text that is not an id of the expected kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not an id of {digits} hex digits")]
pub struct IdError {
    text: String,
    digits: usize,
}

fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

fn parse_hex<const N: usize>(text: &str) -> Result<[u8; N], IdError> {
    let error = || IdError { text: text.chars().take(80).collect(), digits: N * 2 };
    let digits = text.as_bytes();
    // Lower case only: one id has one spelling, in links as in logs.
    if digits.len() != N * 2 || !digits.iter().all(|d| matches!(d, b'0'..=b'9' | b'a'..=b'f')) {
        return Err(error());
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let pair = std::str::from_utf8(pair).map_err(|_| error())?;
        *byte = u8::from_str_radix(pair, 16).map_err(|_| error())?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_its_own_spelling() {
        let id = IncidentId::derive(Fingerprint::of(&[b"checkout"]), 1_700_000_000_000);
        assert_eq!(id.to_string().parse(), Ok(id));
        let digest = Digest::of_bytes(b"x");
        assert_eq!(digest.to_string().parse(), Ok(digest));
    }

    #[test]
    fn the_same_content_gives_the_same_id_and_another_onset_another() {
        let print = Fingerprint::of(&[b"a", b"b"]);
        assert_eq!(IncidentId::derive(print, 1), IncidentId::derive(print, 1));
        assert_ne!(IncidentId::derive(print, 1), IncidentId::derive(print, 2));
    }

    #[test]
    fn moving_a_boundary_changes_the_hash() {
        assert_ne!(Fingerprint::of(&[b"ab", b"c"]), Fingerprint::of(&[b"a", b"bc"]));
    }

    #[test]
    fn what_is_no_id_is_refused() {
        for text in ["", "zz", "ABCDEF0123456789ABCD", "0123456789abcdef01234", "é123456789abcdef012"] {
            assert!(text.parse::<IncidentId>().is_err(), "{text}");
        }
    }
}
