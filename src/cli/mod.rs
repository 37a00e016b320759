//! The command line.

mod args;
mod check;
mod incident;
mod incident_args;
mod incident_client;
mod incident_text;
mod key;
mod reference;
mod replay;
mod run;

pub use self::run::main;
