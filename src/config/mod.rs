//! What a person may set: built-in defaults under a file under the environment under flags, checked as a whole.
//!
//! A config is either sound or refused with every mistake in it, each with its place, what is wrong and a way out.
//! Nothing here prints, and no secret is ever quoted.

mod api;
mod change;
mod check;
mod http;
mod layers;
mod load;
mod nearest;
mod overrides;
mod reference;
mod report;
mod section;
mod sections;
mod settings;
mod signals;
mod tree;
#[cfg(test)]
mod trials;
mod values;
mod zone;

pub use self::change::Changes;
pub use self::layers::Override;
pub use self::load::{DEMO, environment, load, load_text};
pub use self::reference::reference;
pub use self::report::{Mistake, Origin, Place, Report};
pub use self::settings::{Config, Signal, SignalDefaults};
#[cfg(test)]
pub(crate) use self::trials::write_private;
pub use self::values::KeyChange;
