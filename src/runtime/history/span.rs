//! Lives through a span of the past: reads a window, hands it to every candidate, and forgets it.

use std::sync::Arc;
use std::time::Duration;

use super::candidate::Candidate;
use super::reader::{HistoryError, Reader, Reading, Stream};
use crate::replay::{Lane, Outcome, Piece, Rerun};
use crate::runtime::clock::Clock;
use crate::runtime::supervisor::Supervisor;
use crate::series::SignalName;
use crate::source::{self, SignalQuery, TimeRange};
use crate::time::Timestamp;

/// A window holds at most about so many samples over all queries; two windows are held at once, at 16 bytes a sample.
const SAMPLES_PER_WINDOW: usize = 2_000_000;
/// And no more time than this, so that progress shows.
const WINDOW_MAX: Duration = Duration::from_secs(24 * 3600);

/// A span of the past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// What begins from here on opens incidents; older history only teaches.
    pub since: Timestamp,
    /// Its end.
    pub until: Timestamp,
}

/// How far a run has come.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// The part of the span that is lived through: 0 to 1.
    pub share: f64,
    /// The time that the agents have come to.
    pub at: Timestamp,
    /// Range queries that were answered.
    pub requests: usize,
    /// Samples that were read.
    pub samples: usize,
    /// Incidents that the first candidate has found.
    pub incidents: usize,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Lived {
    /// What each candidate found, in their order.
    pub outcomes: Vec<Outcome>,
    /// What was read for it.
    pub reading: Reading,
    /// How far behind the clock the newest step lay that was asked for.
    pub delay: Duration,
}

/// Reads a span of a backend's past and has each candidate live through it. A query that several candidates ask is asked
/// once. Memory is bounded by the window, not by the span. Dropped, it stops after the window at hand.
///
/// # Errors
/// Where the backend does not give a part of the history, after several tries.
pub async fn live_through(
    source: &source::Settings,
    clock: &Clock,
    candidates: &[Candidate],
    span: Span,
    mut progress: impl FnMut(Progress),
) -> Result<Lived, HistoryError> {
    let mut life = Life::begin(source, clock, candidates, span).await?;
    life.pass(Duration::ZERO, (0.0, 1.0), &mut progress).await?;
    Ok(life.end())
}

/// Has each candidate live through a span as [`live_through`] does, and then once more through the whole weeks, days or hours
/// of it that there are, as if they came right after: by then the agents know what comes. Gives what was lived, and from when
/// on twice; `None` where there is not even an hour.
///
/// # Errors
/// As [`live_through`].
pub async fn live_through_twice(
    source: &source::Settings,
    clock: &Clock,
    candidates: &[Candidate],
    span: Span,
    mut progress: impl FnMut(Progress),
) -> Result<(Lived, Option<Timestamp>), HistoryError> {
    let mut life = Life::begin(source, clock, candidates, span).await?;
    life.pass(Duration::ZERO, (0.0, 0.5), &mut progress).await?;
    let begin = life.reader.reading.first_sample.map(|first| whole(first.max(span.since), span, candidates));
    let again = begin.filter(|length| !length.is_zero());
    if let Some(length) = again {
        life.plan.restart(span.until.minus(length));
        life.pass(length, (0.5, 1.0), &mut progress).await?;
    }
    Ok((life.end(), again.map(|length| span.until.minus(length))))
}

/// The longest time of whole weeks that there are samples of; of days, or of hours, where there is less.
fn whole(first: Timestamp, span: Span, candidates: &[Candidate]) -> Duration {
    let signals = candidates.iter().flat_map(|candidate| &candidate.signals);
    let longest = signals.map(|polled| polled.interval.max(polled.query.step)).max().unwrap_or_default();
    // A few steps may be missing at the front.
    let is_late = first.since(span.since) > longest.saturating_mul(2);
    let length = span.until.since(if is_late { first } else { span.since }).as_secs();
    let unit = [7 * 86_400, 86_400, 3600].into_iter().find(|unit| length >= *unit).unwrap_or(u64::MAX);
    Duration::from_secs(length / unit * unit.min(length + 1))
}

/// Agents on their way through the past.
struct Life {
    reader: Reader,
    plan: Plan,
    agents: Vec<Rerun>,
    supervisor: Supervisor,
    delay: Duration,
}

impl Life {
    async fn begin(
        source: &source::Settings,
        clock: &Clock,
        candidates: &[Candidate],
        span: Span,
    ) -> Result<Self, HistoryError> {
        let mut reader = Reader::new(source, clock)?;
        let delay = reader.delay().await;
        let mut plan = Plan::new(candidates, delay, span);
        for read in &mut plan.reads {
            let (first, last) = (read.at(span.since, delay), read.at(span.until, delay));
            for at in [first, last] {
                reader.count(&mut read.stream, at).await?;
            }
        }
        let agents = candidates.iter().map(|candidate| candidate.begin(delay, span.since)).collect();
        Ok(Self { reader, plan, agents, supervisor: Supervisor::new(), delay })
    }

    /// Lives from where the plan stands to the end of the span; what is read comes so much `later`.
    async fn pass(
        &mut self,
        later: Duration,
        (from, to): (f64, f64),
        progress: &mut impl FnMut(Progress),
    ) -> Result<(), HistoryError> {
        let Self { reader, plan, agents, supervisor, .. } = self;
        let span = plan.span;
        let begin = if later.is_zero() { plan.begin() } else { span.until.minus(later) };
        let mut until = plan.next_until(begin);
        let mut window = plan.read(reader, until).await?;
        loop {
            let next_until = plan.next_until(until);
            let living = std::mem::take(agents);
            let living = supervisor.compute(move || live(living, window, (span.since, until), later));
            // The next window is read while this one is lived through.
            let reading = async {
                match until < span.until {
                    true => plan.read(reader, next_until).await.map(Some),
                    false => Ok(None),
                }
            };
            let (lived, read) = tokio::join!(living, reading);
            *agents = lived.ok_or(HistoryError::Worker)?;
            let since = if later.is_zero() { span.since } else { begin };
            let whole = span.until.since(since).as_secs_f64().max(1.0);
            let share = (until.since(since).as_secs_f64() / whole).min(1.0);
            progress(Progress {
                share: from + (to - from) * share,
                at: until,
                requests: reader.reading.requests,
                samples: reader.reading.samples,
                incidents: agents.first().map_or(0, Rerun::incidents),
            });
            match read? {
                Some(read) => (window, until) = (read, next_until),
                None => return Ok(()),
            }
        }
    }

    fn end(self) -> Lived {
        let outcomes = self.agents.into_iter().map(Rerun::finish).collect();
        Lived { outcomes, reading: self.reader.reading, delay: self.delay }
    }
}

/// What was read: for each query its pieces, with the candidates that they are for.
type Window = Vec<(SignalName, Vec<usize>, Vec<Arc<Piece>>)>;

fn live(
    mut agents: Vec<Rerun>,
    window: Window,
    (since, until): (Timestamp, Timestamp),
    later: Duration,
) -> Vec<Rerun> {
    for (signal, takers, pieces) in window {
        let pieces: Vec<_> = match later.is_zero() {
            true => pieces,
            false => pieces.iter().map(|piece| Arc::new(piece.later(later))).collect(),
        };
        for taker in takers {
            if let Some(agent) = agents.get_mut(taker) {
                pieces.iter().for_each(|piece| agent.give(&signal, Arc::clone(piece)));
            }
        }
    }
    for agent in &mut agents {
        if until <= since {
            agent.warm_up();
        } else {
            agent.run_until(until.plus(later));
        }
    }
    agents
}

/// What is read, and how far.
#[derive(Debug)]
struct Plan {
    reads: Vec<Read>,
    span: Span,
    delay: Duration,
}

/// One query, and who wants it.
#[derive(Debug)]
struct Read {
    stream: Stream,
    takers: Vec<usize>,
    /// The last step that was read.
    read_through: Timestamp,
}

impl Read {
    fn at(&self, time: Timestamp, delay: Duration) -> Timestamp {
        time.minus(delay).align_down(self.stream.query.step)
    }
}

impl Plan {
    fn new(candidates: &[Candidate], delay: Duration, span: Span) -> Self {
        let mut reads: Vec<Read> = Vec::new();
        for (taker, candidate) in candidates.iter().enumerate() {
            let lanes = candidate.lanes(delay);
            for (polled, lane) in candidate.signals.iter().zip(&lanes) {
                want(&mut reads, &polled.query, taker, before(lane, span.since));
            }
        }
        Self { reads, span, delay }
    }

    /// Goes back: what follows is read again from a time on.
    fn restart(&mut self, at: Timestamp) {
        let delay = self.delay;
        for read in &mut self.reads {
            read.read_through = read.at(at, delay);
        }
    }

    /// The earliest time that something is read of.
    fn begin(&self) -> Timestamp {
        let begins = self.reads.iter().map(|read| read.read_through);
        begins.min().map_or(self.span.since, |begin| begin.min(self.span.since))
    }

    /// How far the next window reaches: the history before the span is a window of its own, or several.
    fn next_until(&self, until: Timestamp) -> Timestamp {
        let per_second = |read: &Read| read.stream.series as f64 / read.stream.query.step.as_secs_f64();
        let per_second: f64 = self.reads.iter().map(per_second).sum();
        let seconds = SAMPLES_PER_WINDOW as f64 / per_second.max(1e-3);
        let steps = self.reads.iter().map(|read| read.stream.query.step);
        let least = steps.max().unwrap_or(Duration::from_secs(60));
        let length = Duration::from_secs_f64(seconds.min(WINDOW_MAX.as_secs_f64())).max(least);
        let end = if until < self.span.since { self.span.since } else { self.span.until };
        until.plus(length).min(end)
    }

    /// Reads the steps that agents need who come to `until`.
    async fn read(&mut self, reader: &mut Reader, until: Timestamp) -> Result<Window, HistoryError> {
        let mut window = Window::new();
        for read in &mut self.reads {
            let step = read.stream.query.step;
            let through = read.at(until, self.delay);
            let Some(range) = TimeRange::new(read.read_through.plus(step), through) else { continue };
            let pieces = reader.read(&mut read.stream, range).await?;
            read.read_through = through;
            for piece in &pieces {
                note_first(&mut reader.reading, piece, self.span.since);
            }
            let signal = read.stream.query.signal.clone();
            window.push((signal, read.takers.clone(), pieces.into_iter().map(Arc::new).collect()));
        }
        let series = self.reads.iter().map(|read| read.stream.series).sum();
        reader.reading.series = reader.reading.series.max(series);
        Ok(window)
    }
}

/// The last step before what an agent reads that starts at a time.
fn before(lane: &Lane, begin: Timestamp) -> Timestamp {
    lane.history_from(begin).minus(lane.step)
}

/// Who wants the same query gets the same samples, from the first that one of them wants.
fn want(reads: &mut Vec<Read>, query: &SignalQuery, taker: usize, before: Timestamp) {
    match reads.iter_mut().find(|read| read.stream.query == *query) {
        Some(read) => {
            read.takers.push(taker);
            read.read_through = read.read_through.min(before);
        }
        None => {
            let stream = Stream::new(query.clone());
            reads.push(Read { stream, takers: vec![taker], read_through: before });
        }
    }
}

fn note_first(reading: &mut Reading, piece: &Piece, since: Timestamp) {
    let in_span = |at: &&i64| **at >= since.as_millis();
    let firsts = piece.batch.rows().filter_map(|row| row.times_ms.iter().find(in_span).copied());
    let first = firsts.min().map(Timestamp::from_millis);
    reading.first_sample = match (reading.first_sample, first) {
        (Some(known), Some(first)) => Some(known.min(first)),
        (known, first) => known.or(first),
    };
}
