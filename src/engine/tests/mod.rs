//! What the engine claims, on small synthetic series: a step of 15 s, a slot a step.

mod answers;
mod incidents;
mod losses;
mod properties;
mod rebasing;
mod reload;
mod restored;
mod resumed;
mod source;
mod story;
