//! `portent backtest`: a config tried on the history of its backend.

mod bar;
mod json;
mod page;
mod plot;
mod run;
mod text;
mod told;

pub(super) use self::bar::Bar;
pub(super) use self::run::{backtest, labels};
