//! The config that is in force, as far as readers see it. A reload replaces it as a whole.

use std::sync::Arc;

use tokio::sync::watch;

use super::SignalInfo;
use crate::time::Timestamp;

/// The config that is in force.
#[derive(Debug, Clone)]
pub struct InForce {
    /// The signals, in the order of the config.
    pub signals: Arc<[SignalInfo]>,
    /// The SHA-256 of the settings without secrets, in hex.
    pub config_hash: String,
    /// When it was loaded.
    pub loaded_at: Timestamp,
    /// The last reload that was refused, until one succeeds.
    pub refusal: Option<Refusal>,
}

/// A reload that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// When.
    pub at: Timestamp,
    /// Every mistake, a line each; bounded.
    pub because: String,
}

/// Shows the config in force of now.
pub type CurrentConfig = watch::Receiver<Arc<InForce>>;

/// What is in force at this moment.
pub(super) fn in_force(config: &CurrentConfig) -> Arc<InForce> {
    Arc::clone(&config.borrow())
}
