//! The detectors: each judges a sample of a series by its own memory of that series, kept in columns.
//!
//! All have the same four verbs: `grow` adds a row without history, `forget` empties one, `judge` says what the detector
//! holds of a sample (nothing while it warms up), and `learn` takes a sample into its memory. A row is an index that the
//! caller owns; what belongs into the memory is the caller's decision too.

mod fit;
mod tail;

pub(in crate::detect) use self::tail::Tail;
