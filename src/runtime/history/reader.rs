//! Reads what a backend holds of a query between two steps: within the limits, one request at a time, and with a rest
//! after each.

use std::time::Duration;

use crate::engine::Coverage;
use crate::replay::Piece;
use crate::runtime::backend::{Backend, PulseQuery, asks_too_much, at_least};
use crate::runtime::clock::Clock;
use crate::runtime::metrics::Metrics;
use crate::runtime::poller::appetite::Appetite;
use crate::source::{self, Answer, Limits, Prometheus, SignalQuery, SourceError, TimeRange, chunks};
use crate::telemetry::Registry;
use crate::time::Timestamp;

/// One request asks for so many samples at most, whatever the config allows: it bounds what a window holds.
const SAMPLES_AT_ONCE: usize = 500_000;
/// A request that fails is tried again so often, beyond the client's own retries.
const TRIES: u32 = 4;
/// After a failure it waits so long, then twice as long, and so on.
const WAIT: Duration = Duration::from_secs(2);
/// After an answer it rests as long as that took, for so long at most: a backend is busy with it half of the time.
const REST_MAX: Duration = Duration::from_secs(30);

/// What was read so far.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Reading {
    /// Range queries that were answered.
    pub requests: usize,
    /// Samples in their answers.
    pub samples: usize,
    /// Bytes of their answers.
    pub bytes: usize,
    /// The most series that one answer had, over all signals.
    pub series: usize,
    /// The earliest sample within the span.
    pub first_sample: Option<Timestamp>,
    /// What the backend warned of, each once, at most sixteen.
    pub warnings: Vec<String>,
}

/// Warnings beyond these are the same again in other words.
const WARNINGS_MAX: usize = 16;

/// A history that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The source's settings are not usable.
    #[error(transparent)]
    Settings(SourceError),
    /// The backend does not give a part of it.
    #[error("the history from {from} to {to} cannot be read: {because}")]
    Unread {
        /// The first step of the part.
        from: Timestamp,
        /// The last.
        to: Timestamp,
        /// Why, with the source and the query.
        because: SourceError,
    },
    /// The thread that lives through it was ended.
    #[error("the run over the history was ended by a defect")]
    Worker,
}

/// One query that is read from its first step to its last.
#[derive(Debug)]
pub(super) struct Stream {
    pub(super) query: SignalQuery,
    appetite: Appetite,
    /// How many series the last answer had.
    pub(super) series: usize,
}

impl Stream {
    pub(super) fn new(query: SignalQuery) -> Self {
        Self { query, appetite: Appetite::WHOLE, series: 0 }
    }
}

/// Reads from one backend.
#[derive(Debug)]
pub(super) struct Reader {
    backend: Backend,
    limits: Limits,
    clock: Clock,
    pub(super) reading: Reading,
}

impl Reader {
    pub(super) fn new(source: &source::Settings, clock: &Clock) -> Result<Self, HistoryError> {
        let client = Prometheus::new(source).map_err(HistoryError::Settings)?;
        // Nobody asks for these.
        let metrics = Metrics::new(&mut Registry::new());
        let backend = Backend::new(client, PulseQuery::of(source), clock.clone(), metrics);
        Ok(Self { backend, limits: source.limits(), clock: clock.clone(), reading: Reading::default() })
    }

    /// How far behind the clock the newest step lies that an agent asks this backend for.
    pub(super) async fn delay(&self) -> Duration {
        self.backend.client().query_delay().await
    }

    /// Learns how many series a query has at a step, which is what requests are planned by.
    pub(super) async fn count(&mut self, stream: &mut Stream, at: Timestamp) -> Result<(), HistoryError> {
        let Some(newest) = TimeRange::new(at, at) else { return Ok(()) };
        let answer = self.patiently(stream, newest).await.map_err(|because| unread(newest, because))?;
        stream.series = stream.series.max(answer.batch.series_count());
        Ok(())
    }

    /// Reads the steps of a range, in as many pieces as the limits want.
    pub(super) async fn read(
        &mut self,
        stream: &mut Stream,
        range: TimeRange,
    ) -> Result<Vec<Piece>, HistoryError> {
        let mut pieces = Vec::new();
        let mut left = Some(range);
        while let Some(part) = left.and_then(|range| self.first_part(stream, range)) {
            let step = stream.query.step;
            match self.patiently(stream, part).await {
                Ok(answer) => {
                    stream.appetite.was_answered();
                    pieces.push(self.piece(stream, part, answer).await?);
                    left = TimeRange::new(part.end().plus(step), range.end());
                }
                Err(error) if asks_too_much(&error) && part.points(step) > 1 => {
                    stream.appetite.was_too_much(part.points(step));
                }
                Err(because) => return Err(unread(part, because)),
            }
        }
        Ok(pieces)
    }

    fn first_part(&self, stream: &Stream, range: TimeRange) -> Option<TimeRange> {
        let at_once = usize::try_from(stream.appetite.at_once()).unwrap_or(usize::MAX);
        let limits = Limits {
            points_per_series: self.limits.points_per_series.min(at_once),
            samples_per_request: self.limits.samples_per_request.min(SAMPLES_AT_ONCE),
            ..self.limits
        };
        chunks(range, stream.query.step, stream.series, &limits).into_iter().next()
    }

    /// Asks, and asks again where it may pass by itself; what asks for too much is not tried again as it is.
    async fn patiently(&mut self, stream: &Stream, range: TimeRange) -> Result<Answer, SourceError> {
        let mut wait = WAIT;
        // A backend that was never there is told of at once.
        let tries = if self.reading.requests == 0 { 1 } else { TRIES };
        for left in (0..tries).rev() {
            let begun = self.clock.now();
            match self.backend.range(&stream.query, range).await {
                Ok(answer) => {
                    self.reading.requests += 1;
                    let took = self.clock.now().since(begun);
                    self.clock.pause(took.min(REST_MAX)).await;
                    return Ok(answer);
                }
                Err(error) if left > 0 && may_pass(&error) => {
                    self.clock.pause(at_least(wait, error.retry_after()).min(REST_MAX)).await;
                    wait *= 2;
                }
                Err(error) => return Err(error),
            }
        }
        self.backend.range(&stream.query, range).await
    }

    async fn piece(
        &mut self,
        stream: &mut Stream,
        part: TimeRange,
        answer: Answer,
    ) -> Result<Piece, HistoryError> {
        let gaps = self.backend.gaps(part, stream.query.step).await;
        let gaps = gaps.map_err(|because| unread(part, because))?;
        let reading = &mut self.reading;
        reading.samples += answer.batch.sample_count();
        reading.bytes += answer.bytes;
        stream.series = answer.batch.series_count();
        for warning in &answer.warnings {
            if reading.warnings.len() < WARNINGS_MAX && !reading.warnings.contains(warning) {
                reading.warnings.push(warning.clone());
            }
        }
        Ok(Piece {
            batch: answer.batch,
            from: part.start(),
            through: part.end(),
            gaps: gaps.into_iter().map(|gap| (gap.start(), gap.end())).collect(),
            coverage: answer.partial.map_or(Coverage::Whole, |because| Coverage::Partial { because }),
        })
    }
}

fn may_pass(error: &SourceError) -> bool {
    let is_own_limit = matches!(error, SourceError::RateLimit { .. });
    (error.is_retryable() || is_own_limit) && !asks_too_much(error)
}

fn unread(range: TimeRange, because: SourceError) -> HistoryError {
    HistoryError::Unread { from: range.start(), to: range.end(), because }
}
