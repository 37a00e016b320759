//! The command line.

mod args;
mod backtest;
mod budget;
mod carry;
mod certificates;
mod check;
mod detect;
mod explain;
mod incident;
mod incident_args;
mod incident_client;
mod incident_text;
mod init;
mod key;
mod live;
mod probe;
mod reference;
mod replay;
mod run;
mod survey;
mod trial;

pub use self::run::main;
