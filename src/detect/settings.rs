//! What a person may tune about detection, globally and by signal.

use std::time::Duration;

use super::budget::Allotment;
use super::detectors::student::normal_two_sided;
use super::finding::Side;
use super::guard::{MinVolume, ValidRange, Volume};
use super::overrides::SeriesOverride;
use super::selection::{Combine, Detector, Detectors};
use super::zone::Zone;
use crate::series::SignalName;

/// A series without samples for this long is forgotten; one whose step is long, after as many steps as its baseline
/// has points.
pub const FORGET_AFTER: Duration = Duration::from_secs(24 * 3600);

/// How one signal is judged. The defaults are those of `config/default.toml`.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Which detectors judge.
    pub detector: Detectors,
    /// How their verdicts become one.
    pub combine: Combine,
    /// So many openings a day are expected of noise alone, over all series of the agent. Above 0.
    pub false_openings_per_day: f64,
    /// The budget from which the boundary is calibrated, where there is one. The boundary of before is in force until then.
    pub budget: Option<Allotment>,
    /// An open anomaly goes on while the score is above this. Above 0, at most 1.
    pub exit_score: f64,
    /// Half the width of the band in scales: a sample is anomalous beyond it. 1 to 10.
    pub sigma: f64,
    /// How many samples before the current one make the baseline. 8 to 240.
    pub baseline_points: usize,
    /// The scale is never below this, in the signal's own unit.
    pub scale_floor_absolute: f64,
    /// The scale is never below this share of the baseline's absolute mean. 0 to 1.
    pub scale_floor_relative: f64,
    /// Which deviations count.
    pub sides: Sides,
    /// A deviation below this, in the signal's own unit, is never anomalous.
    pub min_deviation_absolute: f64,
    /// A deviation below this share of the baseline's absolute mean is never anomalous.
    pub min_deviation_relative: f64,
    /// So many anomalous samples among the last `open_window` open an anomaly. 1 to `open_window`.
    pub open_points: usize,
    /// The number of samples in which `open_points` are looked for. 1 to 32.
    pub open_window: usize,
    /// So many samples suffice where each has at least `strong_score`. 1 to `open_points`.
    pub strong_points: usize,
    /// The score from which a sample is strong evidence by itself; at least 1.
    pub strong_score: f64,
    /// So many samples inside the band in a row clear an anomaly. At least 1.
    pub clear_points: usize,
    /// An anomaly opens only with this confidence, 0 to below 1.
    pub min_confidence: f64,
    /// A series that was mostly outside its band for this time, and for at least `baseline_points` samples, has a new
    /// baseline.
    pub adopt_after: Duration,
    /// What a series that stops means.
    pub missing: Missing,
    /// Where its days and weeks begin.
    pub zone: Zone,
    /// The values that it can have while all is well.
    pub valid: ValidRange,
    /// The traffic below which nothing opens; `None` where any is enough.
    pub volume: Option<MinVolume>,
}

/// Which deviations count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sides {
    /// Above the band and below it.
    Both,
    /// Above only.
    Up,
    /// Below only.
    Down,
}

impl Sides {
    /// The word for them in config and API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Both => "both",
            Self::Up => "up",
            Self::Down => "down",
        }
    }

    /// Whether deviations to a side count.
    pub fn counts(self, side: Side) -> bool {
        match (self, side) {
            (Self::Both, _) | (Self::Up, Side::Up) | (Self::Down, Side::Down) => true,
            (Self::Up, Side::Down) | (Self::Down, Side::Up) => false,
        }
    }
}

/// What a series that stops, while its signal's query still answers, means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// Nothing: series come and go.
    Ignore,
    /// The signal is lost after this time without a sample.
    Alert {
        /// How long to wait.
        after: Duration,
    },
}

/// What a signal measures: it decides what its anomalies suggest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Requests, messages or jobs a second.
    Traffic,
    /// Failures, by rate or by share.
    Errors,
    /// Time to answer.
    Latency,
    /// Use of processor time.
    Cpu,
    /// Use of memory.
    Memory,
    /// Anything else.
    Other,
}

impl Kind {
    /// Guesses from a signal's name, by the words that exporters use; the first that fits in this order: errors,
    /// latency, traffic, memory, CPU.
    pub fn of_name(name: &str) -> Self {
        let name = name.to_ascii_lowercase();
        let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
        if has(&["err", "fail", "5xx"]) {
            Self::Errors
        } else if has(&["latenc", "duration", "p50", "p90", "p95", "p99"]) {
            Self::Latency
        } else if has(&["request", "req", "rps", "qps", "traffic", "rate"]) {
            Self::Traffic
        } else if has(&["mem", "heap", "rss"]) {
            Self::Memory
        } else if has(&["cpu"]) {
            Self::Cpu
        } else {
            Self::Other
        }
    }

    /// The word for it in config and API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Traffic => "traffic",
            Self::Errors => "errors",
            Self::Latency => "latency",
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Other => "other",
        }
    }

    /// Every kind, for checks and messages.
    pub const ALL: [Self; 6] =
        [Self::Traffic, Self::Errors, Self::Latency, Self::Cpu, Self::Memory, Self::Other];
}

/// One signal as detection sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct SignalPlan {
    /// How it is judged.
    pub settings: Settings,
    /// What it measures.
    pub kind: Kind,
    /// The time between two samples.
    pub step: Duration,
    /// The longest time that one sample looks back over: the query's longest range, subqueries included; zero where it
    /// has none. A gap in what is measured distorts samples for so long after it.
    pub window: Duration,
    /// At most so many series are tracked; further ones are counted and left out.
    pub series_limit: usize,
    /// What holds for some of its series only, in the order in which it counts.
    pub overrides: Vec<SeriesOverride>,
}

impl SignalPlan {
    /// The signals that tell how much traffic there is: at most one, whatever overrides say.
    pub fn asks_volume_of(&self) -> impl Iterator<Item = &SignalName> {
        let overridden = self.overrides.iter().filter_map(|over| over.patch.volume.as_ref()?.as_ref());
        self.settings.volume.iter().chain(overridden).filter_map(|least| least.of.as_ref())
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            detector: Detector::Tail.into(),
            combine: Combine::Any,
            false_openings_per_day: 0.1,
            budget: None,
            exit_score: 0.9,
            sigma: 3.0,
            baseline_points: 19,
            scale_floor_absolute: 1e-9,
            scale_floor_relative: 0.01,
            sides: Sides::Both,
            min_deviation_absolute: 0.0,
            min_deviation_relative: 0.05,
            open_points: 1,
            open_window: 1,
            strong_points: 1,
            strong_score: 2.0,
            clear_points: 5,
            min_confidence: 0.75,
            adopt_after: Duration::from_secs(1800),
            missing: Missing::Alert { after: Duration::from_secs(300) },
            zone: Zone::utc(),
            valid: ValidRange::default(),
            volume: None,
        }
    }
}

/// A sample rarer than this is outside, however few series there are.
pub(super) const CUT_MAX: f64 = 2e-3;
/// Where a budget asks for more incidents than that gives, a sample rarer than this is outside: no further, since a
/// boundary may not lie in what the tail is fitted from.
const CUT_MAX_OF_BUDGET: f64 = 0.01;
/// Twice the memory of the long level: then a good part of the fitted tails is known too.
const TAIL_HISTORY_POINTS: u32 = 480;
/// An anomaly is not over before the series was well for so long.
const CLEAR_TIME: Duration = Duration::from_secs(180);
/// What is known of a series outlasts a pause of this length: a weekend, or a week in which nobody works.
const KNOWN_FOR: Duration = Duration::from_secs(7 * 24 * 3600);
/// A shift with this score or more is adopted after the whole of that time, a lesser one sooner: the less is lost where
/// the new level is none, and the sooner it is no news.
const GRAVE_SHIFT: f64 = 2.0;
/// At least this share of the time, however small the shift.
const LEAST_ADOPT_SHARE: f64 = 0.25;
/// What cannot be for so long is believed, with the detector that counts runs of samples; the number of them is at most 3.
const INVALID_TIME: Duration = Duration::from_secs(120);
/// A level is not adopted on fewer samples.
const ADOPT_POINTS: usize = 30;

impl Settings {
    /// The settings of the classic rule: a window of 19 samples, three of three outside, or two far outside.
    pub fn classic() -> Self {
        Self {
            detector: Detector::Classic.into(),
            exit_score: 1.0,
            scale_floor_relative: 0.02,
            min_deviation_relative: 0.1,
            open_points: 3,
            open_window: 3,
            strong_points: 2,
            clear_points: 4,
            adopt_after: Duration::from_secs(3600),
            ..Self::default()
        }
    }

    /// The probability of a single sample at which the score is 1, where so many samples a day are judged over all
    /// series.
    pub fn cut(&self, samples_a_day: f64) -> f64 {
        let most = if self.budget.is_some() { CUT_MAX_OF_BUDGET } else { CUT_MAX };
        (self.false_openings_per_day / samples_a_day.max(1.0)).clamp(1e-15, most)
    }

    /// The rarity beyond which a looser boundary is none, where so many samples a day are judged: of the classic rule in the
    /// probability of a sample, else in openings a day.
    pub fn rarity_max(&self, samples_a_day: f64) -> f64 {
        if self.is_classic() { normal_two_sided(1.0) } else { CUT_MAX_OF_BUDGET * samples_a_day.max(1.0) }
    }

    /// So many samples at least make a new level.
    pub(super) fn adopt_points(&self) -> usize {
        if self.is_classic() { self.baseline_points } else { self.baseline_points.max(ADOPT_POINTS) }
    }

    /// The share of the time and of the samples that a shift needs to be adopted, by its worst score.
    pub(super) fn adopt_share(&self, score: f64) -> f64 {
        if self.is_classic() {
            return 1.0;
        }
        ((score - 1.0) / (GRAVE_SHIFT - 1.0)).clamp(LEAST_ADOPT_SHARE, 1.0)
    }

    /// A series that had no sample for longer than this is as good as a new one.
    pub(super) fn forgets_after(&self, step: Duration) -> Duration {
        let span = self.adopt_after.max(step.saturating_mul(self.baseline_points as u32));
        if self.is_classic() { span } else { span.max(KNOWN_FOR) }
    }

    /// So many samples of history a series wants before its verdicts are those of one that was watched all along, as far as
    /// that goes: seasons take days.
    pub fn history_points(&self) -> u32 {
        if self.is_classic() { 0 } else { TAIL_HISTORY_POINTS }
    }

    /// So many samples inside in a row clear an anomaly at a step: `clear_points`, and but for the classic rule three minutes
    /// at least, or what comes and goes within minutes would be an anomaly each time.
    pub(super) fn clear_samples(&self, step: Duration) -> usize {
        if self.is_classic() {
            return self.clear_points;
        }
        let steps = CLEAR_TIME.as_secs_f64() / step.as_secs_f64().max(1e-3);
        self.clear_points.max(steps.ceil().min(1000.0) as usize)
    }

    /// So many samples in a row outside the valid range are believed at a step: as many as the detector wants in any case,
    /// since a scrape may be wrong once.
    pub(super) fn invalid_samples(&self, step: Duration) -> usize {
        if self.is_classic() {
            return 1;
        }
        (INVALID_TIME.as_secs_f64() / step.as_secs_f64().max(1e-3)).ceil().clamp(1.0, 3.0) as usize
    }

    /// Whether there is too little traffic for a sample to open anything.
    pub(super) fn is_low(&self, volume: Volume, value: f64, expected: f64) -> bool {
        self.volume.as_ref().is_some_and(|least| least.is_low(volume, value, expected))
    }

    /// Whether what comes again and again is taken for usual.
    pub(super) fn learns_recurrence(&self) -> bool {
        !self.is_classic()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_the_kind() {
        let kinds = ["request_rate", "error_rate", "latency_p95", "cpu_usage", "memory_bytes", "queue_depth"]
            .map(Kind::of_name);
        assert_eq!(kinds, [Kind::Traffic, Kind::Errors, Kind::Latency, Kind::Cpu, Kind::Memory, Kind::Other]);
    }
}
