//! The body of a range query, decoded into columns in one pass.
//!
//! A general JSON reader makes a string a sample and a map a series. This one knows the one shape that is asked for:
//! labels are parsed once and found again by their text, times and values go straight into the batch. The shape is
//! held to loosely where the API is free (order of keys, unknown keys, white space, escapes) and strictly elsewhere.

mod interner;
mod matrix;
mod number;
mod scanner;
#[cfg(test)]
mod tests;
mod text;

pub use self::interner::Interner;
pub use self::matrix::{Answer, DecodeError, decode};
pub use self::text::Flaw;
