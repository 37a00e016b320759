//! What the engine is told once, at the start.

use std::time::Duration;

use crate::correlate;
use crate::detect::SignalPlan;
use crate::incident;
use crate::series::SignalName;

/// Everything that decides what the engine does with its inputs.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// The signals, in the order of the config.
    pub signals: Vec<(SignalName, SignalPlan)>,
    /// How findings are grouped.
    pub correlate: correlate::Settings,
    /// How incidents are assessed and resolved.
    pub incident: incident::Settings,
    /// The backend is lost when no signal has been answered for this long.
    pub source_lost_after: Duration,
    /// How often the pipeline asks a model about one incident; 0 where no model is configured.
    pub questions_per_incident: u32,
}
