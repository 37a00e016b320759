//! The agent as its users run it: a real Prometheus, real HTTP, a real SQLite file, the real binary.
//!
//! Each test takes its own free ports and its own folder, and ends what it started, by its id. Nothing waits by sleeping:
//! a test waits for what it wants to see, up to a deadline that only a defect reaches.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test crate: a failure is the message, tasks end with the test's runtime, and deadlines need a clock"
)]

mod it {
    pub(crate) mod command_line;
    pub(crate) mod history;
    pub(crate) mod kill;
    pub(crate) mod llm;
    pub(crate) mod outage;
    pub(crate) mod prometheus;
    pub(crate) mod support;
}
