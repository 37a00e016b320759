//! Recordings: samples from a CSV file, as a second source of the same batches.

mod error;
mod read;
mod table;
#[cfg(test)]
mod tests;

pub use self::error::RecordingError;
pub use self::table::{Recording, Slot, Slots};
