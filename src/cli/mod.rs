//! The command line.

mod args;
mod carry;
mod check;
mod init;
mod live;
mod reference;
mod replay;
mod run;
mod survey;
mod trial;

pub use self::run::main;
