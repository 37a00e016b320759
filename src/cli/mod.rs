//! The command line.

mod args;
mod carry;
mod check;
mod incident;
mod incident_args;
mod incident_client;
mod incident_text;
mod key;
mod init;
mod live;
mod probe;
mod reference;
mod replay;
mod run;
mod survey;
mod trial;

pub use self::run::main;
