//! Where the boundary of a signal's detectors is.

use super::detectors::FlatlineSettings;
use super::detectors::student::normal_quantile;
use super::run::evidence_for;
use super::selection::{Combine, Detector};
use super::settings::Settings;

impl Settings {
    /// The deviation, in scales, that a lasting anomaly needs to open after every gate: `sigma`, or more where
    /// `min_confidence` asks for more evidence than a window full of samples at the boundary gives.
    ///
    /// It leaves out what depends on the series: the floors and the least deviations, which widen the band.
    ///
    /// Detectors that know the probability of a sample have their boundary where normal noise would be as rare as the
    /// boundary is, where so many samples a day are judged over all series. Of several, it is that of the one that needs the
    /// least where any decides, and the most where all have to.
    pub fn effective_sigma(&self, samples_a_day: f64) -> f64 {
        let samples = self.open_window.max(1) as f64 / self.open_points.max(1) as f64;
        let classic = || self.sigma * (evidence_for(self.min_confidence) / samples).sqrt().max(1.0);
        let shared = self.shared(self.cut(samples_a_day));
        let each = self
            .detector
            .iter()
            .filter(|detector| *detector != Detector::Flatline || self.detector.is_only(*detector));
        let each = each.map(|detector| match detector {
            Detector::Classic => classic(),
            Detector::Tail => normal_quantile(shared),
            Detector::Flatline => FlatlineSettings::default().sigma,
            Detector::Ewma
            | Detector::RollingZ
            | Detector::RobustZ
            | Detector::Seasonal
            | Detector::Level
            | Detector::Range => self.sigma.max(normal_quantile(shared)),
        });
        match self.combine {
            Combine::Any => each.fold(f64::INFINITY, f64::min),
            Combine::All => each.fold(0.0, f64::max),
        }
    }

    /// Whether the classic rule judges, and nothing else.
    pub fn is_classic(&self) -> bool {
        self.detector.is_only(Detector::Classic)
    }

    /// What each detector has of the probability of the boundary. Any of several may be wrong, so they divide it; all are
    /// wrong at once no more often than one.
    pub(super) fn shared(&self, cut: f64) -> f64 {
        match self.combine {
            Combine::Any => cut / self.shares() as f64,
            Combine::All => cut,
        }
    }

    /// Among so many detectors the probability of the boundary is divided, where any of them decides.
    fn shares(&self) -> usize {
        self.detector.iter().filter(|detector| detector.shares_the_cut()).count().max(1)
    }

    /// No deviation from an expected value that is smaller is anomalous.
    pub(super) fn least_deviation(&self, expected: f64) -> f64 {
        self.min_deviation_absolute.max(self.min_deviation_relative * expected.abs())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::Detectors;

    #[test]
    fn more_series_ask_for_more() {
        let sigma = |samples| Settings::default().effective_sigma(samples);
        assert!((sigma(1.0) - 3.09).abs() < 0.01, "1 in 500 for a single series: {}", sigma(1.0));
        // 10,000 series at one minute: 0.1 of 14.4 million samples.
        assert!((sigma(1.44e7) - 5.79).abs() < 0.02, "{}", sigma(1.44e7));
    }

    #[test]
    fn the_default_gates_keep_three_sigma_at_three() {
        assert!((Settings::classic().effective_sigma(0.0) - 3.0).abs() < 1e-9);
    }

    #[test]
    fn a_stricter_confidence_shows_in_the_effective_threshold() {
        let strict = Settings { min_confidence: 0.99, ..Settings::classic() };
        assert!(strict.effective_sigma(0.0) > 5.0, "{}", strict.effective_sigma(0.0));
    }

    #[test]
    fn several_detectors_share_the_probability_where_any_decides() {
        let of = |list: &[Detector], combine| {
            let detector = Detectors::of(list.iter().copied()).unwrap();
            Settings { detector, combine, ..Settings::default() }.effective_sigma(1e6)
        };
        let alone = of(&[Detector::Ewma], Combine::Any);
        assert!(of(&[Detector::Ewma, Detector::Range], Combine::Any) > alone);
        assert!((of(&[Detector::Ewma, Detector::Range], Combine::All) - alone).abs() < 1e-9);
        assert!((of(&[Detector::Ewma, Detector::Flatline], Combine::Any) - alone).abs() < 1e-9);
        assert!((of(&[Detector::Flatline], Combine::Any) - 4.0).abs() < 1e-9);
    }
}
