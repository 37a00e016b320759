//! `portent demo`: demo-service and the agent in one process, over HTTP on loopback, and a score card at the end.

mod card;
mod run;
mod show;

pub use self::card::ScoreCard;
pub use self::run::{Settings, run};
pub use self::show::Show;
