//! What the engine is told once, at the start.

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
    /// How often the pipeline asks a model about one incident; 0 where no model is configured.
    pub questions_per_incident: u32,
}
