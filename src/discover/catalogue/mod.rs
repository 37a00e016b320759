//! The conventions that are known, by what follows them.

mod gauges;
mod hosts;
mod http;
mod list;
mod mesh;
mod runtimes;
mod stores;

pub(super) use self::gauges::GAUGES;
pub use self::list::all;
