//! Looks at a backend: asks what it holds within a budget, and has `discover` make a draft of the answers.

use std::collections::BTreeSet;
use std::time::Duration;

use super::trial;
use crate::config::{Config, Signal};
use crate::discover::{
    Draft, Found, Pace, Proposal, Sighting, Trial, candidates, interval_of, measure_query, promql_text,
    recognise,
};
use crate::runtime::Clock;
use crate::series::SignalName;
use crate::source::{Point, Prometheus, Seen, SignalQuery, SourceError, TimeRange};
use crate::time::{Timestamp, format_duration};

/// What a survey may take at most.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    pub(super) requests: usize,
    pub(super) bytes: usize,
    pub(super) time: Duration,
}

impl Budget {
    /// Enough for a cluster in which everything is recognised: about ten requests a convention.
    pub(super) const fn of(time: Duration) -> Self {
        Self { requests: 500, bytes: 256 << 20, time }
    }
}

/// What was looked at, and what it took.
#[derive(Debug)]
pub(super) struct Survey {
    pub(super) draft: Draft,
    pub(super) product: String,
    pub(super) metrics: usize,
    pub(super) requests: usize,
    pub(super) bytes: usize,
    pub(super) seconds: f64,
    pub(super) at: Timestamp,
    pub(super) cut_short: String,
}

/// Metrics that were there in this time are looked at.
const WITHIN: Duration = Duration::from_secs(3600);

/// The spans in which samples are looked for to see how far apart they are: the next where one has too few.
const SAMPLED: [&str; 2] = ["5m", "2h"];

/// Series of a metric whose samples are looked at, each of another job.
const SAMPLED_SERIES_MAX: usize = 4;

/// Labels of a series that may stand in the selector that asks for its samples.
const SELECTOR_BYTES_MAX: usize = 4096;

/// Looks at a backend. One that can't be asked for its metrics is an error; what fails after that is told in the draft.
///
/// # Errors
/// As [`Prometheus::range`].
pub(super) async fn survey(config: &Config, clock: &Clock, budget: Budget) -> Result<Survey, SourceError> {
    let mut look = Look {
        source: Prometheus::new(&config.source)?,
        config,
        clock,
        budget,
        begun: clock.now(),
        requests: 0,
        bytes: 0,
    };
    let product = look.product().await;
    let within = look.within();
    let names = look.source.metric_names(within).await;
    let names: BTreeSet<String> = look.count(names)?.into_iter().collect();
    let mut draft = Draft::default();
    let mut cut_short = String::new();
    for found in recognise(&names) {
        if let Some(because) = look.exhausted() {
            cut_short = format!("{because}; raise it by --timeout, or ask when the backend has less to do");
            break;
        }
        look.at(found, &mut draft).await;
    }
    Ok(Survey {
        draft,
        product,
        metrics: names.len(),
        requests: look.requests,
        bytes: look.bytes,
        seconds: clock.now().since(look.begun).as_secs_f64(),
        at: look.begun,
        cut_short,
    })
}

struct Look<'a> {
    source: Prometheus,
    config: &'a Config,
    clock: &'a Clock,
    budget: Budget,
    begun: Timestamp,
    requests: usize,
    bytes: usize,
}

impl Look<'_> {
    /// Books what an answer took.
    fn count<T>(&mut self, seen: Result<Seen<T>, SourceError>) -> Result<T, SourceError> {
        self.requests += 1;
        let seen = seen?;
        self.bytes += seen.bytes;
        Ok(seen.value)
    }

    /// Which part of the budget is used up.
    fn exhausted(&self) -> Option<String> {
        let taken = self.clock.now().since(self.begun);
        let Budget { requests, bytes, time } = self.budget;
        if self.requests >= requests {
            Some(format!("{requests} requests were sent"))
        } else if self.bytes >= bytes {
            Some(format!("{bytes} bytes were read"))
        } else if taken >= time {
            Some(format!("it took longer than {}", format_duration(time)))
        } else {
            None
        }
    }

    fn within(&self) -> TimeRange {
        let now = self.clock.now();
        // Never empty: it is the past hour.
        TimeRange::new(now.minus(WITHIN), now)
            .unwrap_or_else(|| TimeRange::last_points(now, Duration::ZERO, WITHIN, 1))
    }

    /// The backend's name and version, as far as it tells.
    async fn product(&mut self) -> String {
        self.requests += 1;
        match self.source.build_info().await {
            Ok(info) if !info.application.is_empty() => format!("{} {}", info.application, info.version),
            Ok(info) if !info.version.is_empty() => format!("version {}", info.version),
            Ok(_) | Err(_) => "it does not tell its version".to_owned(),
        }
    }

    /// Looks at one convention and adds to the draft what it gives.
    async fn at(&mut self, found: Found, draft: &mut Draft) {
        match self.sighting(&found, draft).await {
            Ok(Ok(seen)) => {
                let proposals = Proposal::all(&found, &seen);
                draft.begin(found, seen);
                for proposal in proposals {
                    if draft.needs(&proposal) {
                        let outcome = match self.exhausted() {
                            Some(because) => Err(format!("it was not tried, since {because}")),
                            None => self.trial(&proposal).await,
                        };
                        draft.add(proposal, outcome);
                    }
                }
            }
            Ok(Err(note)) => draft.pass_over(found, note),
            Err(error) => draft.pass_over(found, &format!("it could not be looked at: {error}")),
        }
    }

    /// What is seen of a convention's anchor, or why nothing can be made of it.
    async fn sighting(
        &mut self,
        found: &Found,
        draft: &Draft,
    ) -> Result<Result<Sighting, &'static str>, SourceError> {
        let labels = self.source.label_names(&found.selector(""), self.within()).await;
        let labels: BTreeSet<String> = self.count(labels)?.into_iter().collect();
        if !found.fits(&labels) {
            return Ok(Err("its labels are others than expected"));
        }
        let Some(mut seen) = self.measured(found, &labels, &found.selector("")).await? else {
            return Ok(Err("it has no series now that a label tells apart"));
        };
        let without = draft.without(found, &seen);
        let selector = found.selector(&without);
        if !without.is_empty() {
            match self.measured(found, &labels, &selector).await? {
                Some(rest) => seen = rest,
                None => return Ok(Err("its services are watched already")),
            }
        }
        let pace = self.interval(&selector).await?.map(Pace::of);
        let help = match found.prefix.is_empty() {
            true => String::new(),
            // What these mean nobody knows but who named them.
            false => self.help(&found.anchor()).await,
        };
        Ok(Ok(Sighting { pace, without, help, ..seen }))
    }

    /// What names the services of a selector's series.
    async fn measured(
        &mut self,
        found: &Found,
        labels: &BTreeSet<String>,
        selector: &str,
    ) -> Result<Option<Sighting>, SourceError> {
        let candidates = candidates(found.convention().services, labels);
        let points = self.source.instant(&measure_query(selector, &candidates), self.clock.now()).await;
        Ok(Sighting::of(found, labels, &candidates, &self.count(points)?))
    }

    async fn help(&mut self, metric: &str) -> String {
        let family = self.source.metadata(metric).await;
        // Where there is no metadata the config lacks a comment, and nothing else.
        self.count(family).ok().flatten().map(|family| family.help).unwrap_or_default()
    }

    /// How far apart the samples of a selector's series are, by a few of them, each of another job.
    async fn interval(&mut self, selector: &str) -> Result<Option<Duration>, SourceError> {
        let now = self.clock.now();
        let points = self.source.instant(&format!("topk by (job) (1, {selector})"), now).await;
        let points = self.count(points)?;
        for span in SAMPLED {
            let mut series = Vec::new();
            for point in points.iter().take(SAMPLED_SERIES_MAX) {
                let Some(one) = series_selector(point) else { continue };
                let times = self.source.sample_times(&format!("{one}[{span}]"), now).await;
                series.extend(self.count(times)?);
            }
            if let Some(interval) = interval_of(&series) {
                return Ok(Some(interval));
            }
        }
        Ok(None)
    }

    /// Runs a proposal's query as the agent would.
    async fn trial(&mut self, proposal: &Proposal) -> Result<Trial, String> {
        let signal = self.signal(proposal)?;
        self.requests += 2;
        let trial = trial::run(&self.source, &self.config.source, &signal, self.clock).await;
        let trial = trial.map_err(|error| error.to_string())?;
        self.bytes += trial.bytes;
        match trial::beyond(&trial, &self.config.source, &signal).into_iter().next() {
            Some(because) => Err(because),
            None => Ok(trial),
        }
    }

    fn signal(&self, proposal: &Proposal) -> Result<Signal, String> {
        let name = SignalName::new(&proposal.name);
        Ok(Signal {
            plan: self.config.plan_for(&name),
            query: SignalQuery {
                signal: name,
                promql: proposal.promql.clone(),
                step: proposal.pace.step,
                service_label: proposal.service.parse()?,
            },
            interval: proposal.pace.poll(),
        })
    }
}

/// The selector of exactly one series; `None` where a label can't stand in one or it would be too long.
fn series_selector(point: &Point) -> Option<String> {
    let is_name = |name: &str| name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b':'));
    if point.metric.is_empty()
        || !is_name(&point.metric)
        || !point.labels.iter().all(|(name, _)| is_name(name))
    {
        return None;
    }
    let matchers = point.labels.iter().map(|(name, value)| format!("{name}={}", promql_text(value)));
    let selector = format!("{}{{{}}}", point.metric, matchers.collect::<Vec<_>>().join(","));
    (selector.len() <= SELECTOR_BYTES_MAX).then_some(selector)
}
