//! A story of one or several series, what the default pipeline must make of it, and what the naive rule makes of it.
//!
//! A claim that the naive rule keeps would say nothing, so every story is told to both.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use portent::detect::{Detect, Finding, Kind, Settings, SignalPlan, What};
use portent::series::{Batch, SeriesKey, Service, SignalName};
use portent::time::{Timestamp, format_duration};

use super::naive;
use super::shapes::{HOUR, MINUTE, MONDAY};
use super::trial::{NEVER_MUTED, labelled, plan};

/// Samples of one series, one a step; `None` is a step without a sample.
pub(crate) type Samples = Vec<Option<f64>>;

/// What is told.
#[derive(Debug, Clone)]
pub(crate) struct Story {
    pub(crate) name: String,
    pub(crate) start: Timestamp,
    pub(crate) step: Duration,
    pub(crate) settings: Settings,
    pub(crate) kind: Kind,
    pub(crate) window: Duration,
    pub(crate) series: Vec<Samples>,
    /// The request rates of the same services, where the story is about what depends on them. What they do is not
    /// counted.
    pub(crate) traffic: Vec<Samples>,
    /// What the samples' times are ahead of the time at which they are judged, in milliseconds.
    pub(crate) skew_ms: i64,
    pub(crate) faults: Vec<Fault>,
    pub(crate) rules: Vec<Rule>,
}

/// Something that must be found while it lasts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fault {
    pub(crate) series: usize,
    /// Since the start.
    pub(crate) from: Duration,
    pub(crate) lasts: Duration,
}

/// A part of a claim, over all series. Spans count from the start.
#[derive(Debug, Clone)]
pub(crate) enum Rule {
    /// At most so many openings that no fault explains.
    Calm { from: Duration, until: Duration, openings: usize },
    /// At most so many openings, with those of faults.
    Any { from: Duration, until: Duration, openings: usize },
    /// So many of the faults have an opening while they last.
    Found(usize),
}

/// Which series opened an anomaly, and how long after the start.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outcome {
    pub(crate) openings: Vec<(usize, Duration)>,
    pub(crate) findings: Vec<Finding>,
}

impl Story {
    pub(crate) fn new(name: &str, step: Duration, series: Vec<Samples>) -> Self {
        Self {
            name: format!("{name}, {}", format_duration(step)),
            start: MONDAY,
            step,
            settings: Settings::default(),
            kind: Kind::Other,
            window: Duration::ZERO,
            series,
            traffic: Vec::new(),
            skew_ms: 0,
            faults: Vec::new(),
            rules: Vec::new(),
        }
    }

    /// The whole of it.
    pub(crate) fn span(&self) -> Duration {
        self.step * self.series.iter().map(Vec::len).max().unwrap_or_default() as u32
    }

    /// At most so many openings, not counting faults, from `from` to the end.
    pub(crate) fn calm_from(mut self, from: Duration, openings: usize) -> Self {
        self.rules.push(Rule::Calm { from, until: self.span(), openings });
        self
    }

    /// At most so many openings, not counting faults, within a span.
    pub(crate) fn calm_within(mut self, from: Duration, until: Duration, openings: usize) -> Self {
        self.rules.push(Rule::Calm { from, until, openings });
        self
    }

    /// At most so many openings, faults or not.
    pub(crate) fn at_most(mut self, from: Duration, until: Duration, openings: usize) -> Self {
        self.rules.push(Rule::Any { from, until, openings });
        self
    }

    /// A fault that must be found: `bend` gives what becomes of each sample while it lasts.
    pub(crate) fn fault(mut self, fault: Fault, bend: impl Fn(f64) -> f64) -> Self {
        let first = (fault.from.as_millis() / self.step.as_millis()) as usize;
        let count = (fault.lasts.as_millis() / self.step.as_millis()) as usize;
        for sample in self.series[fault.series].iter_mut().skip(first).take(count) {
            *sample = sample.map(&bend);
        }
        self.faulty(fault)
    }

    /// A fault that the samples have in them already.
    pub(crate) fn faulty(mut self, fault: Fault) -> Self {
        self.rules.retain(|rule| !matches!(rule, Rule::Found(_)));
        self.faults.push(fault);
        self.rules.push(Rule::Found(self.faults.len()));
        self
    }

    /// Every sample through the default pipeline, polled each minute or step, whichever is longer.
    pub(crate) fn told(&self) -> Outcome {
        let (signal, traffic) = (SignalName::new("story"), SignalName::new("request_rate"));
        let of = |kind| SignalPlan { kind, window: self.window, ..plan(self.settings.clone(), self.step) };
        let mut detect = Detect::new([(signal.clone(), of(self.kind)), (traffic.clone(), of(Kind::Traffic))]);
        let (keys, traffic_keys) = (self.keys(&signal), self.keys(&traffic));
        let steps_per_poll = (MINUTE.as_millis() / self.step.as_millis()).max(1) as usize;
        let count = self.series.iter().map(Vec::len).max().unwrap_or_default();
        let mut findings = Vec::new();
        for first in (0..count).step_by(steps_per_poll) {
            let last = (first + steps_per_poll).min(count) - 1;
            let through = self.start.plus(self.step * last as u32);
            if !self.traffic.is_empty() {
                detect.judge(&self.batch(&traffic_keys, &self.traffic, first..=last), NEVER_MUTED);
            }
            detect.judge(&self.batch(&keys, &self.series, first..=last), NEVER_MUTED);
            detect.close(&traffic, through, NEVER_MUTED);
            findings.extend(detect.close(&signal, through, NEVER_MUTED));
        }
        let start = self.sample_time(0);
        let mut openings: BTreeSet<(usize, Duration)> = BTreeSet::new();
        for finding in &findings {
            if let What::Anomalous(anomaly) | What::Recovered(anomaly) = &finding.what {
                let series = keys.iter().position(|key| key.hash == finding.key.hash);
                let series = series.expect("only series of the story are found");
                openings.insert((series, anomaly.detected_at.since(start)));
            }
        }
        Outcome { openings: openings.into_iter().collect(), findings }
    }

    fn keys(&self, signal: &SignalName) -> Vec<Arc<SeriesKey>> {
        (0..self.series.len()).map(|nth| labelled(signal, &format!("s{nth}"), "only")).collect()
    }

    fn batch(
        &self,
        keys: &[Arc<SeriesKey>],
        series: &[Samples],
        steps: std::ops::RangeInclusive<usize>,
    ) -> Batch {
        let mut batch = Batch::new(keys.first().expect("a story has series").signal.clone());
        for (key, samples) in keys.iter().zip(series) {
            batch.begin_row(Arc::clone(key));
            for step in steps.clone() {
                if let Some(Some(value)) = samples.get(step) {
                    batch.push(self.sample_time(step), *value);
                }
            }
        }
        batch
    }

    fn sample_time(&self, step: usize) -> Timestamp {
        Timestamp::from_millis(self.start.plus(self.step * step as u32).as_millis() + self.skew_ms)
    }

    /// Every sample through the naive rule: a run of flags in a row is one opening.
    pub(crate) fn told_naively(&self) -> Outcome {
        let mut openings = Vec::new();
        for (series, samples) in self.series.iter().enumerate() {
            let present = samples.iter().enumerate().filter_map(|(step, value)| Some((step, (*value)?)));
            let (steps, values): (Vec<usize>, Vec<f64>) = present.unzip();
            let mut was_flagged = false;
            for (step, is_flagged) in steps.iter().zip(naive::flags(&values)) {
                if is_flagged && !was_flagged {
                    openings.push((series, self.step * *step as u32));
                }
                was_flagged = is_flagged;
            }
        }
        Outcome { openings, findings: Vec::new() }
    }

    /// What an outcome breaks of the claim.
    pub(crate) fn broken_by(&self, outcome: &Outcome) -> Vec<String> {
        let mut broken = Vec::new();
        for rule in &self.rules {
            let (allowed, from, until, openings) = match rule {
                Rule::Calm { from, until, openings } => (*openings, *from, *until, self.calm(outcome)),
                Rule::Any { from, until, openings } => (*openings, *from, *until, outcome.openings.clone()),
                Rule::Found(least) => {
                    let found = self.delays(outcome).len();
                    if found < *least {
                        broken.push(format!("{found} of {} faults found", self.faults.len()));
                    }
                    continue;
                }
            };
            let within: Vec<_> = openings.into_iter().filter(|(_, at)| (from..until).contains(at)).collect();
            if within.len() > allowed {
                let count = within.len();
                let first: Vec<_> = within
                    .iter()
                    .take(12)
                    .map(|(series, at)| format!("s{series} {}", day_and_time(*at)))
                    .collect();
                broken.push(format!(
                    "{count} openings from {} to {}, at most {allowed}: {}",
                    day_and_time(from),
                    day_and_time(until),
                    first.join(", ")
                ));
            }
        }
        broken
    }

    /// Openings that no fault explains: the end of a fault is forgiven for as long as the fault was, and for five steps.
    fn calm(&self, outcome: &Outcome) -> Vec<(usize, Duration)> {
        let explained = |(series, at): &(usize, Duration)| {
            self.faults.iter().any(|fault| {
                let grace = fault.lasts.max(self.step * 5);
                fault.series == *series && (fault.from..=fault.from + fault.lasts + grace).contains(at)
            })
        };
        outcome.openings.iter().filter(|opening| !explained(opening)).copied().collect()
    }

    /// How long each fault that was found took to be.
    pub(crate) fn delays(&self, outcome: &Outcome) -> Vec<Duration> {
        let delay = |fault: &Fault| {
            let of_series = outcome.openings.iter().filter(|(series, _)| *series == fault.series);
            let times = of_series.map(|(_, at)| *at);
            let first = times.filter(|at| (fault.from..fault.from + fault.lasts).contains(at)).min()?;
            Some(first - fault.from)
        };
        let mut delays: Vec<Duration> = self.faults.iter().filter_map(delay).collect();
        delays.sort();
        delays
    }

    /// A row of the table: what came out here and of the naive rule.
    pub(crate) fn row(&self) -> String {
        let (ours, naive) = (self.told(), self.told_naively());
        let faults = self.faults.len();
        let cell = |outcome: &Outcome| {
            let delays = self.delays(outcome);
            let median = delays.get(delays.len() / 2).map_or("-".to_owned(), |delay| format_duration(*delay));
            let calm = self.calm(outcome).len();
            if faults == 0 {
                format!("{} | - | -", outcome.openings.len())
            } else {
                format!("{calm} | {} of {faults} | {median}", delays.len())
            }
        };
        let series_days = self.series.len() as f64 * self.span().as_secs_f64() / 86_400.0;
        let holds = if self.broken_by(&ours).is_empty() { "holds" } else { "**does not hold**" };
        format!("| {} | {series_days:.1} | {} | {} | {holds} |", self.name, cell(&ours), cell(&naive))
    }
}

/// Asserts that the default pipeline keeps every claim, and that the naive rule keeps none of them.
#[track_caller]
pub(crate) fn check(stories: &[Story]) {
    let mut broken = Vec::new();
    for story in stories {
        let naive = story.told_naively();
        assert!(!story.broken_by(&naive).is_empty(), "the naive rule keeps it: {}", story.name);
        broken
            .extend(story.broken_by(&story.told()).into_iter().map(|what| format!("{}: {what}", story.name)));
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

fn day_and_time(at: Duration) -> String {
    let minutes = at.as_secs() / 60;
    format!("day {} {:02}:{:02}", minutes / 1440, minutes / 60 % 24, minutes % 60)
}

/// A time so many days after the start.
pub(crate) fn days(count: f64) -> Duration {
    HOUR.mul_f64(24.0 * count)
}

/// So many samples, and at least so long.
pub(crate) fn at_least(samples: u32, time: Duration, step: Duration) -> Duration {
    (step * samples).max(time)
}

/// The service of a finding, for messages.
pub(crate) fn service_of(finding: &Finding) -> &Service {
    &finding.key.service
}
