//! The command line.

mod args;
mod check;
mod probe;
mod reference;
mod replay;
mod run;

pub use self::run::main;
