//! The wire form of events: a kind, a version and a body of JSON text, which is written once and hashed as it stands.
//!
//! What was released stays readable: an older body is brought up to date where it is read, and each released version
//! has golden files in `tests/fixtures/events`. The domain types know nothing of any of this.

mod captured;
mod diagnosis;
mod error;
mod event;
mod gates;
#[cfg(test)]
mod generated;
#[cfg(test)]
mod golden;
mod incident;
mod member;
mod outage;
mod scalar;
mod stream;
mod system;
mod words;

pub use self::captured::{captured_digest, decode_captured};
pub use self::error::RecordError;
pub use self::event::{Blob, CAPTURED, DIAGNOSED, Encoded, KINDS, decode, encode};
pub use self::member::decode_series;
pub use self::stream::{parse_stream, stream_name};
