//! The samples of one series from a CSV file, as a stream.

mod error;
mod read;
#[cfg(test)]
mod tests;

pub use self::error::SamplesError;
pub use self::read::{Sample, Samples};
