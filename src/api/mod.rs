//! The REST API: reads the store and the pipeline's status, sends commands, and never touches the engine.
//!
//! One file a resource; each router takes the part of the agent that it needs. Every refusal is a problem document, no
//! GET changes anything, and the OpenAPI document is collected from the routes themselves.

mod access;
mod body;
mod budgets;
mod caller;
mod diagnosis;
mod diagnosis_view;
mod docs;
mod entrance;
mod events;
mod explain;
mod foreseen_view;
mod gates_view;
mod hosts;
mod in_force;
mod incident_view;
mod incidents;
mod index;
mod keyring;
mod keys;
mod lifecycle;
mod links;
mod member_view;
mod metrics;
mod needs;
mod openapi;
mod outage_view;
mod parameters;
mod passage;
mod patience;
mod private_file;
mod probes;
mod problem;
mod router;
mod scope;
mod series;
mod serve;
mod settings;
mod signal_view;
mod signals;
mod source_view;
mod status;
mod status_view;
#[cfg(test)]
mod tests;
mod tls;
mod vocabulary;

pub use self::entrance::{Entrance, EntranceError, Unguarded};
pub use self::hosts::host_name;
pub use self::in_force::{CurrentConfig, InForce, Refusal};
pub use self::keyring::{KeysError, check_keys_file};
pub use self::keys::{KEY_BYTES, KEY_PREFIX, KEYS_MAX, key_name};
pub use self::metrics::describe_metrics;
pub use self::openapi::openapi;
pub use self::probes::EncodeMetrics;
pub use self::router::{Parts, router};
pub use self::scope::Scope;
pub use self::serve::serve;
pub use self::settings::{Settings, TlsSettings};
pub use self::signal_view::SignalInfo;
pub use self::tls::TlsError;
