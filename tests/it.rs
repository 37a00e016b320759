//! The agent as its users run it: a real Prometheus, real HTTP, a real SQLite file, the real binary.
//!
//! Each test takes its own free ports and its own folder, and ends what it started, by its id. A test looks for what it
//! wants to see, with a pause of a few milliseconds between two looks, up to a deadline that only a defect reaches. Where
//! the passing of time is itself the matter (slots during an outage, the life of a process before it is killed), a test
//! lets that time pass.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a test crate: a failure is the message, tasks end with the test's runtime, and deadlines need a clock"
)]

mod it {
    pub(crate) mod backends;
    pub(crate) mod backtest;
    pub(crate) mod bad_config_table;
    pub(crate) mod bad_configs;
    pub(crate) mod command_line;
    pub(crate) mod conventions;
    pub(crate) mod day;
    pub(crate) mod deploy;
    pub(crate) mod detectors;
    pub(crate) mod explain;
    pub(crate) mod fault_proxy;
    pub(crate) mod files;
    pub(crate) mod history;
    pub(crate) mod incidents_cli;
    pub(crate) mod init;
    pub(crate) mod key_new;
    pub(crate) mod kill;
    pub(crate) mod llm;
    pub(crate) mod outage;
    pub(crate) mod overrides;
    pub(crate) mod prometheus;
    pub(crate) mod proxy;
    pub(crate) mod rebase;
    pub(crate) mod reload;
    pub(crate) mod snapshot;
    pub(crate) mod stop;
    pub(crate) mod support;
    pub(crate) mod victoria;
}
