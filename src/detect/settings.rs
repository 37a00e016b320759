//! What a person may tune about detection, globally and by signal.

use std::time::Duration;

use super::budget::Allotment;
use super::detectors::student::normal_two_sided;
use super::run::evidence_for;
use super::zone::Zone;

/// A series without samples for this long is forgotten; one whose step is long, after as many steps as its baseline
/// has points.
pub const FORGET_AFTER: Duration = Duration::from_secs(24 * 3600);

/// How one signal is judged. The defaults are those of `config/default.toml`.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Which detector judges.
    pub detector: Detector,
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
}

/// What judges the samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detector {
    /// Residuals at several time scales, each against the fitted tail of its own past.
    Tail,
    /// The sample against mean and deviation of those before it.
    Classic,
}

impl Detector {
    /// Every detector, for checks and messages.
    pub const ALL: [Self; 2] = [Self::Tail, Self::Classic];

    /// The word for it in config and API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tail => "tail",
            Self::Classic => "classic",
        }
    }
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
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            detector: Detector::Tail,
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
        }
    }
}

/// A sample rarer than this is outside, however few series there are.
const CUT_MAX: f64 = 1e-3;
/// Where a budget asks for more incidents than that gives, a sample rarer than this is outside: no further, since a
/// boundary may not lie in what the tail is fitted from.
const CUT_MAX_OF_BUDGET: f64 = 0.01;
/// Twice the memory of the long level: then a good part of the fitted tails is known too.
const TAIL_HISTORY_POINTS: u32 = 480;
/// An anomaly is not over before the series was well for so long.
const CLEAR_TIME: Duration = Duration::from_secs(180);
/// A level is not adopted on fewer samples.
const ADOPT_POINTS: usize = 30;

impl Settings {
    /// The settings of the classic rule: a window of 19 samples, three of three outside, or two far outside.
    pub fn classic() -> Self {
        Self {
            detector: Detector::Classic,
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

    /// The rarity beyond which a looser boundary is none, where so many samples a day are judged: of the tail detector in
    /// openings a day, of the classic rule in the probability of a sample.
    pub fn rarity_max(&self, samples_a_day: f64) -> f64 {
        match self.detector {
            Detector::Tail => CUT_MAX_OF_BUDGET * samples_a_day.max(1.0),
            Detector::Classic => normal_two_sided(1.0),
        }
    }

    /// So many samples at least make a new level.
    pub(super) fn adopt_points(&self) -> usize {
        match self.detector {
            Detector::Tail => self.baseline_points.max(ADOPT_POINTS),
            Detector::Classic => self.baseline_points,
        }
    }

    /// So many samples of history a series wants before its verdicts are those of one that was watched all along, as far as
    /// that goes: seasons take days.
    pub fn history_points(&self) -> u32 {
        match self.detector {
            Detector::Tail => TAIL_HISTORY_POINTS,
            Detector::Classic => 0,
        }
    }

    /// So many samples inside in a row clear an anomaly at a step: `clear_points`, and with the tail detector three minutes
    /// at least, or what comes and goes within minutes would be an anomaly each time.
    pub(super) fn clear_samples(&self, step: Duration) -> usize {
        match self.detector {
            Detector::Tail => {
                let steps = CLEAR_TIME.as_secs_f64() / step.as_secs_f64().max(1e-3);
                self.clear_points.max(steps.ceil().min(1000.0) as usize)
            }
            Detector::Classic => self.clear_points,
        }
    }

    /// Whether what comes again and again is taken for usual.
    pub(super) fn learns_recurrence(&self) -> bool {
        self.detector == Detector::Tail
    }

    /// The deviation, in scales, that a lasting anomaly needs to open after every gate: `sigma`, or more where
    /// `min_confidence` asks for more evidence than a window full of samples at the boundary gives.
    ///
    /// It leaves out what depends on the series: the floors and the least deviations, which widen the band.
    ///
    /// The tail detector knows no sigma: there it is how far out normal noise would be as rarely as the boundary is, where
    /// so many samples a day are judged over all series.
    pub fn effective_sigma(&self, samples_a_day: f64) -> f64 {
        if self.detector == Detector::Tail {
            return normal_quantile(self.cut(samples_a_day));
        }
        let samples = self.open_window.max(1) as f64 / self.open_points.max(1) as f64;
        self.sigma * (evidence_for(self.min_confidence) / samples).sqrt().max(1.0)
    }
}

/// The deviation that normal noise exceeds, on either side, with a probability.
fn normal_quantile(probability: f64) -> f64 {
    let (mut low, mut high) = (1.0, 37.0);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if normal_two_sided(middle) > probability { low = middle } else { high = middle }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_series_ask_for_more() {
        let sigma = |samples| Settings::default().effective_sigma(samples);
        assert!((sigma(1.0) - 3.29).abs() < 0.01, "1 in 1,000 for a single series: {}", sigma(1.0));
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
    fn names_tell_the_kind() {
        let kinds = ["request_rate", "error_rate", "latency_p95", "cpu_usage", "memory_bytes", "queue_depth"]
            .map(Kind::of_name);
        assert_eq!(kinds, [Kind::Traffic, Kind::Errors, Kind::Latency, Kind::Cpu, Kind::Memory, Kind::Other]);
    }
}
