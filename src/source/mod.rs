//! Where samples come from: the HTTP API of a Prometheus-compatible backend, or a recording in a file.
//!
//! Both give the same [`Batch`](crate::series::Batch)es. One range query a signal returns every service; the raw body
//! is decoded into columns without an object a sample. Everything that a backend or a file can do wrong comes out as
//! an error that names it: nothing here panics on input, and nothing reads memory without a limit.

mod columns;
mod decode;
mod edges;
mod error;
mod lines;
mod plan;
mod prometheus;
mod query;
mod recording;
mod samples;
mod selector;
mod settings;

pub use self::decode::{Answer, DecodeError, Flaw, Interner, decode};
pub use self::edges::{EdgesError, read_edges};
pub use self::error::{Asked, SourceError};
pub use self::plan::{BYTES_PER_SAMPLE, BYTES_PER_SERIES, Limits, TimeRange, chunks};
pub use self::prometheus::{Backend, BackendKind, BuildInfo, Family, Point, Prometheus, Seen};
pub use self::query::{ServiceLabels, SignalQuery, check_promql, longest_window};
pub use self::recording::{Recording, RecordingError, Slot, Slots};
pub use self::samples::{Sample, Samples, SamplesError};
pub use self::selector::{labels_of, read_matchers};
pub use self::settings::{Mistake, Settings};
