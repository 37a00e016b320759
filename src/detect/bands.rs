//! Where series stand and where they are expected, for whoever plots it.

use std::sync::Arc;

use super::stage::Detect;
use crate::series::{SeriesKey, SignalName};
use crate::time::Timestamp;

/// A series that is judged, at its last sample.
#[derive(Debug, Clone, PartialEq)]
pub struct Band {
    /// Which series.
    pub key: Arc<SeriesKey>,
    /// The time of its last sample.
    pub at: Timestamp,
    /// The value of that sample.
    pub value: f64,
    /// What is expected next.
    pub expected: f64,
    /// The lower edge of the band for the next sample.
    pub lower: f64,
    /// The upper edge of the band for the next sample.
    pub upper: f64,
    /// How far outside its band the last sample was: 1.0 is the edge. `None` where it was not judged, since it looks
    /// back over a gap.
    pub score: Option<f64>,
}

impl Detect {
    /// Shows every series of a signal that is judged, and whether it is anomalous; lost ones and those that warm up are
    /// passed over. Costs no more than a look at each.
    pub fn each_judged(&self, signal: &SignalName, show: &mut dyn FnMut(&Arc<SeriesKey>, bool)) {
        let Some(table) = self.tables.get(signal) else { return };
        for (key, is_anomalous) in table.rows().filter_map(|row| table.bearing(row)) {
            show(key, is_anomalous);
        }
    }

    /// The band of a series; `None` where it is lost, warms up or is not known.
    pub fn band(&self, key: &SeriesKey) -> Option<Band> {
        self.tables.get(&key.signal)?.band(key.hash)
    }
}
