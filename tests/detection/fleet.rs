//! Thousands of series of noise through one detector, and a lone fault among them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use portent::detect::{Detect, Finding, Kind, Settings, SignalPlan, What};
use portent::series::{Batch, Labels, SeriesKey, Service, SignalName};
use portent::time::Timestamp;

use super::naive;
use super::noise::Noise;

const STEP: Duration = Duration::from_secs(60);
const START: Timestamp = Timestamp::from_millis(1_799_020_800_000);
const MUTED: Timestamp = Timestamp::from_millis(i64::MIN);
const HOUR: usize = 60;
/// What the series may learn from before anything is counted: a day.
pub(crate) const WARM_UP_HOURS: usize = 24;
/// What is counted: a day.
pub(crate) const JUDGED_HOURS: usize = 24;
/// A fault lasts three samples: three minutes.
const FAULT_STEPS: usize = 3;
/// It may be found so many samples after its end.
const GRACE_STEPS: usize = 2;
/// So many faults, each in a copy of the fleet in which it is the only one; two an hour.
pub(crate) const FAULTS: usize = 2 * (JUDGED_HOURS - 1);

/// What the noise is drawn from. A sample is 100 plus five times a draw.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Kindred {
    Gaussian,
    /// Student's t with three degrees of freedom: heavy tails.
    Student3,
    /// A first-order autoregression of 0.8: noise with a memory.
    Autoregressed,
}

impl Kindred {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Gaussian => "Gaussian",
            Self::Student3 => "t(3)",
            Self::Autoregressed => "AR(1), 0.8",
        }
    }

    /// So many openings a day are allowed, over all series.
    pub(crate) fn openings_max(self) -> usize {
        match self {
            Self::Gaussian => 1,
            Self::Student3 | Self::Autoregressed => 3,
        }
    }

    /// The standard deviation of a draw.
    fn deviation(self) -> f64 {
        match self {
            Self::Gaussian | Self::Autoregressed => 1.0,
            Self::Student3 => 3.0_f64.sqrt(),
        }
    }

    fn next(self, noise: &mut Noise, last: f64) -> f64 {
        match self {
            Self::Gaussian => noise.gaussian(),
            Self::Student3 => noise.student3(),
            Self::Autoregressed => noise.autoregressed(last, 0.8),
        }
    }
}

/// What a day of a fleet came to.
#[derive(Debug, Clone)]
pub(crate) struct Day {
    pub(crate) openings: usize,
    /// Runs of flags of the naive rule.
    pub(crate) naive: usize,
    /// Of [`FAULTS`].
    pub(crate) found: usize,
}

#[derive(Debug, Clone)]
struct Draw {
    noise: Noise,
    last: f64,
}

/// Series of noise, and the detector that judges them.
struct Fleet {
    kindred: Kindred,
    detect: Detect,
    keys: Vec<Arc<SeriesKey>>,
    draws: Vec<Draw>,
    step: usize,
}

fn signal() -> SignalName {
    SignalName::new("noise")
}

fn at(step: usize) -> Timestamp {
    START.plus(STEP * step as u32)
}

impl Fleet {
    fn new(settings: Settings, kindred: Kindred, count: usize, seed: u64) -> Self {
        let plan = SignalPlan {
            settings,
            kind: Kind::Other,
            step: STEP,
            window: Duration::ZERO,
            series_limit: count,
            overrides: Vec::new(),
        };
        let key = |nth: usize| {
            let name = nth.to_string();
            let labels = Labels::new([("service", name.as_str())]);
            Arc::new(SeriesKey::new(signal(), Service::new(&name), labels))
        };
        let draw = |nth| Draw { noise: Noise::new(seed * 1_000_000 + nth as u64), last: 0.0 };
        Self {
            kindred,
            detect: Detect::new([(signal(), plan)]),
            keys: (0..count).map(key).collect(),
            draws: (0..count).map(draw).collect(),
            step: 0,
        }
    }

    /// The samples of the next steps, a row a series.
    fn draw(&mut self, steps: usize) -> Vec<Vec<f64>> {
        let kindred = self.kindred;
        let value = |draw: &mut Draw| {
            draw.last = kindred.next(&mut draw.noise, draw.last);
            100.0 + 5.0 * draw.last
        };
        self.draws.iter_mut().map(|draw| (0..steps).map(|_| value(draw)).collect()).collect()
    }

    /// Judges samples from the current step on and closes at each step, as polls do.
    fn judge(
        detect: &mut Detect,
        keys: &[Arc<SeriesKey>],
        first: usize,
        values: &[Vec<f64>],
    ) -> Vec<Finding> {
        let steps = values.first().map_or(0, Vec::len);
        let mut findings = Vec::new();
        for nth in 0..steps {
            let mut batch = Batch::with_capacity(signal(), keys.len(), keys.len());
            for (key, values) in keys.iter().zip(values) {
                batch.begin_row(Arc::clone(key));
                batch.push(at(first + nth), values[nth]);
            }
            detect.judge(&batch, MUTED);
            findings.extend(detect.close(&signal(), at(first + nth), MUTED));
        }
        findings
    }

    /// Whether a fault of ten deviations in one series, from the current step on, is found by a copy of the detector.
    fn finds(&self, series: usize, values: &[Vec<f64>]) -> bool {
        let (first, count) = (self.step, FAULT_STEPS + GRACE_STEPS);
        let mut values: Vec<Vec<f64>> = values.iter().map(|row| row[..count].to_vec()).collect();
        for value in &mut values[series][..FAULT_STEPS] {
            *value += 10.0 * 5.0 * self.kindred.deviation();
        }
        let mut copy = self.detect.clone();
        let findings = Self::judge(&mut copy, &self.keys, first, &values);
        openings(&findings)
            .iter()
            .any(|(key, opened)| *key == self.keys[series].hash.to_string() && *opened >= at(first))
    }
}

/// The anomalies in findings, by series and the time at which they opened.
fn openings(findings: &[Finding]) -> BTreeSet<(String, Timestamp)> {
    let opened = findings.iter().filter_map(|finding| match &finding.what {
        What::Anomalous(anomaly) | What::Recovered(anomaly) => {
            Some((finding.key.hash.to_string(), anomaly.detected_at))
        }
        What::Lost { .. } | What::Returned | What::Restarted(_) => None,
    });
    opened.collect()
}

/// Runs of flags in the samples after the first 19.
fn naive_runs(values: &[f64]) -> usize {
    let flags = naive::flags(values);
    let starts = (1..flags.len()).filter(|at| flags[*at] && !flags[at - 1]);
    starts.count()
}

/// A day of `count` series after a day of warm-up.
pub(crate) fn day_of_noise(kindred: Kindred, count: usize, seed: u64) -> Day {
    let mut fleet = Fleet::new(Settings::default(), kindred, count, seed);
    let mut places = Noise::new(seed ^ 0xfa);
    let mut day = Day { openings: 0, naive: 0, found: 0 };
    let mut opened = BTreeSet::new();
    let mut before: Vec<Vec<f64>> = vec![Vec::new(); count];
    for half_hour in 0..2 * (WARM_UP_HOURS + JUDGED_HOURS) {
        let values = fleet.draw(HOUR / 2);
        let is_judged = half_hour >= 2 * WARM_UP_HOURS;
        if is_judged && half_hour < 2 * WARM_UP_HOURS + FAULTS {
            day.found += usize::from(fleet.finds(places.below(count as u64) as usize, &values));
        }
        let findings = Fleet::judge(&mut fleet.detect, &fleet.keys, fleet.step, &values);
        if is_judged {
            let begun = at(2 * WARM_UP_HOURS * HOUR / 2);
            opened.extend(openings(&findings).into_iter().filter(|(_, at)| *at >= begun));
            for (before, values) in before.iter_mut().zip(&values) {
                let mut window = std::mem::take(before);
                window.extend(values);
                day.naive += naive_runs(&window);
                *before = window.split_off(window.len() - 19);
            }
        }
        fleet.step += HOUR / 2;
    }
    day.openings = opened.len();
    day
}

/// How many anomalies open in a day of `count` series after a day of warm-up.
pub(crate) fn openings_of_noise(settings: Settings, kindred: Kindred, count: usize, seed: u64) -> usize {
    let mut fleet = Fleet::new(settings, kindred, count, seed);
    let (begun, mut opened) = (at(WARM_UP_HOURS * HOUR), BTreeSet::new());
    for _ in 0..WARM_UP_HOURS + JUDGED_HOURS {
        let values = fleet.draw(HOUR);
        let findings = Fleet::judge(&mut fleet.detect, &fleet.keys, fleet.step, &values);
        opened.extend(openings(&findings).into_iter().filter(|(_, at)| *at >= begun));
        fleet.step += HOUR;
    }
    opened.len()
}

impl Day {
    /// A row of the table in `docs/detectors.md`.
    pub(crate) fn row(&self, kindred: Kindred, count: usize, seed: u64) -> String {
        format!(
            "| {}, {count} series, seed {seed} | {} | {} | {} | {} of {FAULTS} |",
            kindred.name(),
            self.openings,
            kindred.openings_max(),
            self.naive,
            self.found
        )
    }

    /// Whether of a hundred faults at least 95 are found.
    pub(crate) fn finds_enough(&self) -> bool {
        self.found * 100 >= FAULTS * 95
    }

    /// What breaks the claim, where something does.
    pub(crate) fn broken(&self, kindred: Kindred) -> Option<String> {
        let fine = self.openings <= kindred.openings_max() && self.finds_enough();
        (!fine).then(|| format!("{}: {self:?}", kindred.name()))
    }
}

pub(crate) const TABLE_HEAD: &str = "| noise for a day | openings | at most | naive rule | faults of 10 sigma found |\n\
                                     | --- | --- | --- | --- | --- |";
