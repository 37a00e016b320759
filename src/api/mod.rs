//! The REST API: reads the store and the pipeline's status, sends commands, and never touches the engine.
//!
//! One file a resource; each router takes the part of the agent that it needs. Every refusal is a problem document, no
//! GET changes anything, and the OpenAPI document is collected from the routes themselves.

mod diagnosis;
mod diagnosis_view;
mod events;
mod incident_view;
mod incidents;
mod index;
mod links;
mod member_view;
mod openapi;
mod outage_view;
mod parameters;
mod passage;
mod patience;
mod probes;
mod problem;
mod router;
mod serve;
mod settings;
mod signal_view;
mod signals;
mod status;
mod status_view;
#[cfg(test)]
mod tests;
mod vocabulary;

pub use self::openapi::openapi;
pub use self::probes::EncodeMetrics;
pub use self::router::{Parts, router};
pub use self::serve::serve;
pub use self::settings::Settings;
pub use self::signal_view::SignalInfo;
