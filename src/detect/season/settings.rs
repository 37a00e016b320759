//! What can be tuned about seasons.

use super::super::settings::Settings;
use super::super::zone::Zone;

/// How a season is looked for and judged by.
#[derive(Debug, Clone, PartialEq)]
pub struct SeasonSettings {
    /// Where days and weeks begin.
    pub zone: Zone,
    /// Half the width of the band, in scales, where the scale is well known; 1 to 10.
    pub sigma: f64,
    /// The scale is never below this, in the signal's own unit.
    pub scale_floor_absolute: f64,
    /// The scale is never below this share of the expected value. 0 to 1.
    pub scale_floor_relative: f64,
}

impl SeasonSettings {
    /// The part of a signal's settings that seasons need.
    pub fn of(settings: &Settings) -> Self {
        Self {
            zone: settings.zone.clone(),
            sigma: settings.sigma,
            scale_floor_absolute: settings.scale_floor_absolute,
            scale_floor_relative: settings.scale_floor_relative,
        }
    }

    /// The least scale beside a value.
    pub(super) fn floor(&self, value: f64) -> f64 {
        self.scale_floor_absolute.max(self.scale_floor_relative * value.abs()).max(f64::MIN_POSITIVE.sqrt())
    }
}

impl Default for SeasonSettings {
    fn default() -> Self {
        Self::of(&Settings::default())
    }
}
