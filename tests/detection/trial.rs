//! One series through the detector, a sample a step, and a notation for what goes in and what comes out.
//!
//! **Values**: words between blanks, each with a count behind `x` where it stands for several steps. `10` is a value,
//! `10~1` is 11 and 9 in turns (by the number of the step), `_` is a step without a sample.
//!
//! **Outcome**: one character a step, runs with a count behind `x`, blanks as one likes. What the series did comes
//! before where the sample lies:
//!
//! | | | | |
//! | --- | --- | --- | --- |
//! | `O` | an anomaly opens | `l` | the baseline warms up |
//! | `C` | it clears | `.` | inside the band |
//! | `A` | a new level is adopted | `^` | above the band |
//! | `G` | the baseline restarts after a gap | `v` | below the band |
//! | `R` | the series has returned | `_` | no sample |
//! | `L` | the series is lost | | |

use std::sync::Arc;
use std::time::Duration;

use portent::detect::{Detect, Finding, Kind, Restart, SeriesView, Settings, SignalPlan, Tally, What};
use portent::series::{Batch, Labels, SeriesKey, Service, SignalName};
use portent::time::Timestamp;

pub(crate) const STEP: Duration = Duration::from_secs(15);
/// Findings of all samples are wanted.
pub(crate) const NEVER_MUTED: Timestamp = Timestamp::from_millis(i64::MIN);

/// One series and its detector.
#[derive(Debug, Clone)]
pub(crate) struct Trial {
    pub(crate) detect: Detect,
    pub(crate) key: Arc<SeriesKey>,
    pub(crate) now: Timestamp,
    /// Everything found so far.
    pub(crate) findings: Vec<Finding>,
    pub(crate) step: Duration,
}

impl Trial {
    pub(crate) fn new(settings: Settings) -> Self {
        Self::with_step(settings, STEP)
    }

    pub(crate) fn with_step(settings: Settings, step: Duration) -> Self {
        Self {
            detect: Detect::new([(signal(), plan(settings, step))]),
            key: key("a"),
            now: Timestamp::from_millis(1_800_000_000_000),
            findings: Vec::new(),
            step,
        }
    }

    /// One step, with a sample or without.
    pub(crate) fn feed(&mut self, sample: Option<f64>) -> char {
        self.now = self.now.plus(self.step);
        if let Some(value) = sample {
            self.detect.judge(&batch_of(&self.key, [(self.now, value)]), NEVER_MUTED);
        }
        let found = self.detect.close(&signal(), self.now, NEVER_MUTED);
        let did = found.iter().filter_map(|finding| letter(finding, self.now)).max_by_key(|(rank, _)| *rank);
        self.findings.extend(found);
        match (did, sample) {
            (Some((_, letter)), _) => letter,
            (None, None) => '_',
            (None, Some(_)) => self.verdict(),
        }
    }

    /// A sample a step.
    pub(crate) fn feed_all(&mut self, values: impl IntoIterator<Item = f64>) -> String {
        values.into_iter().map(|value| self.feed(Some(value))).collect()
    }

    /// What the notation says.
    pub(crate) fn run(&mut self, values: &str) -> String {
        parse(values).into_iter().map(|sample| self.feed(sample)).collect()
    }

    pub(crate) fn view(&self) -> SeriesView {
        self.detect.of_signal(&signal()).pop().expect("the series is tracked")
    }

    /// What is expected next and the scale, as far as the baseline is full.
    pub(crate) fn baseline(&self) -> Option<(f64, f64)> {
        let view = self.detect.of_signal(&signal()).pop()?;
        view.expected.zip(view.scale)
    }

    pub(crate) fn tally(&self) -> Tally {
        self.detect.tallies().first().expect("there is one signal").1
    }

    fn verdict(&self) -> char {
        match self.view().signed_scores.last() {
            Some(score) if *score > 1.0 => '^',
            Some(score) if *score < -1.0 => 'v',
            Some(score) if score.is_nan() => 'l',
            _ => '.',
        }
    }
}

/// Runs the notation on a series of its own.
#[track_caller]
pub(crate) fn check(settings: &Settings, values: &str, expected: &str) {
    let outcome = Trial::new(settings.clone()).run(values);
    assert_eq!(compact(&outcome), compact(&expand(expected)), "{values}");
}

/// What a finding at this very step is called, and which of two goes first.
fn letter(finding: &Finding, now: Timestamp) -> Option<(u8, char)> {
    match &finding.what {
        _ if finding.at != now => None,
        What::Restarted(Restart::Rebased { .. }) => Some((7, 'B')),
        What::Restarted(Restart::Adopted { .. }) => Some((6, 'A')),
        What::Restarted(Restart::Gap { .. }) => Some((5, 'G')),
        What::Anomalous(anomaly) => (anomaly.detected_at == now).then_some((4, 'O')),
        What::Recovered(_) => Some((3, 'C')),
        What::Returned => Some((2, 'R')),
        What::Lost { .. } => Some((1, 'L')),
    }
}

/// The samples that a line of the notation stands for.
pub(crate) fn parse(values: &str) -> Vec<Option<f64>> {
    let mut samples = Vec::new();
    for word in values.split_whitespace() {
        let (word, count) = counted(word);
        for _ in 0..count {
            let sign = if samples.len() % 2 == 0 { 1.0 } else { -1.0 };
            samples.push(match word.split_once('~') {
                _ if word == "_" => None,
                Some((level, by)) => Some(number(level) + sign * number(by)),
                None => Some(number(word)),
            });
        }
    }
    samples
}

fn number(word: &str) -> f64 {
    word.parse().expect("the notation holds numbers")
}

fn counted(word: &str) -> (&str, usize) {
    match word.rsplit_once('x') {
        Some((word, count)) => (word, count.parse().expect("a count stands behind x")),
        None => (word, 1),
    }
}

/// `lx3 ^` as `lll^`: the count is of the last character of its word.
fn expand(outcome: &str) -> String {
    let mut letters = String::new();
    for word in outcome.split_whitespace() {
        let (word, count) = counted(word);
        letters.push_str(word);
        let last = word.chars().last().expect("a count has a letter before it");
        letters.extend(std::iter::repeat_n(last, count - 1));
    }
    letters
}

/// Runs of four and more with their count, so that a difference can be read.
fn compact(outcome: &str) -> String {
    let mut words: Vec<(char, usize)> = Vec::new();
    for letter in outcome.chars() {
        match words.last_mut() {
            Some((last, count)) if *last == letter => *count += 1,
            _ => words.push((letter, 1)),
        }
    }
    words.iter().map(|(letter, count)| format!("{letter}x{count} ")).collect()
}

pub(crate) fn signal() -> SignalName {
    SignalName::new("signal")
}

pub(crate) fn key(service: &str) -> Arc<SeriesKey> {
    Arc::new(SeriesKey::new(signal(), Service::new(service), Labels::new([("service", service)])))
}

/// A pod's series of any signal.
pub(crate) fn labelled(signal: &SignalName, service: &str, pod: &str) -> Arc<SeriesKey> {
    let labels = Labels::new([("service", service), ("pod", pod)]);
    Arc::new(SeriesKey::new(signal.clone(), Service::new(service), labels))
}

pub(crate) fn plan(settings: Settings, step: Duration) -> SignalPlan {
    SignalPlan {
        settings,
        kind: Kind::Other,
        step,
        window: Duration::ZERO,
        series_limit: 1000,
        overrides: Vec::new(),
    }
}

/// A batch with one row.
pub(crate) fn batch_of(key: &Arc<SeriesKey>, samples: impl IntoIterator<Item = (Timestamp, f64)>) -> Batch {
    let mut batch = Batch::new(key.signal.clone());
    batch.begin_row(Arc::clone(key));
    for (at, value) in samples {
        batch.push(at, value);
    }
    batch
}
