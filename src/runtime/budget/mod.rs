//! Noise budgets at work: calibrated on the backend's past, beside the pipeline, and compared with what opens.

mod calibrate;
mod standing;

pub use self::calibrate::{Calibrated, Effort, calibrate};
pub use self::standing::{BudgetMetrics, Standing, Standings, in_force};
