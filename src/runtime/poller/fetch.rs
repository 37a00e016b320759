//! One poll's requests: the steps that are due, part after part in time order, each closed by itself.

use std::time::Duration;

use super::progress::Progress;
use super::{NobodyThere, Poller};
use crate::engine::{Coverage, Input};
use crate::runtime::pipeline::{Message, PollNews};
use crate::schedule::Slot;
use crate::source::{Answer, Limits, SourceError, TimeRange, chunks};
use crate::time::Timestamp;

/// One request asks for so many samples at most, whatever the config allows: between two of them the engine has time for
/// those who ask it something.
const SAMPLES_AT_ONCE: usize = 500_000;

/// Why a poll came to no end.
pub(super) enum Stop {
    Failed(Box<SourceError>),
    NobodyThere,
}

impl From<SourceError> for Stop {
    fn from(error: SourceError) -> Self {
        Self::Failed(Box::new(error))
    }
}

impl From<NobodyThere> for Stop {
    fn from(_: NobodyThere) -> Self {
        Self::NobodyThere
    }
}

impl Poller {
    /// Asks for what is due at a slot and hands it on. What was handed on before a failure is not asked for again.
    pub(super) async fn fetch(
        &mut self,
        slot: Slot,
        progress: &mut Progress,
        news: &mut PollNews,
    ) -> Result<(), Stop> {
        // One step is one request, however many series there are.
        let due = self.due(slot, progress);
        let is_long = due.is_some_and(|range| range.start() < range.end());
        if due.is_none() || (progress.series == 0 && is_long) {
            self.count(slot, progress).await?;
        }
        // The answer to that tells the backend's time.
        let mut left = self.due(slot, progress);
        if let (None, Some(seen), false) = (left, progress.seen, progress.is_answered) {
            // Nothing was missed since the state was kept: the signal need not be waited for.
            self.close(progress.generation, (seen, seen), Coverage::Whole).await?;
        }
        while let Some(part) = left.and_then(|range| self.first_part(range, progress)) {
            progress.asked = part.points(self.assignment.query.step);
            let Some((answered, answer)) = self.ask(part).await? else { break };
            progress.appetite.was_answered();
            let gaps = self.feed.backend.gaps(answered, self.assignment.query.step).await?;
            progress.series = answer.batch.series_count();
            for gap in gaps {
                let gap = Input::SourceGap { from: gap.start(), to: gap.end() };
                self.send(progress.generation, Message::Input(gap)).await?;
            }
            self.hand_on(answered, answer, progress, news).await?;
            progress.seen = Some(answered.end());
            if answered != part {
                break;
            }
            let next = part.end().plus(self.assignment.query.step);
            left = left.and_then(|range| TimeRange::new(next, range.end()));
        }
        Ok(())
    }

    /// The steps of the next request, which is within the limits and no more than was answered in time before.
    fn first_part(&self, range: TimeRange, progress: &Progress) -> Option<TimeRange> {
        let limits = self.assignment.limits;
        let at_once = usize::try_from(progress.appetite.at_once()).unwrap_or(usize::MAX);
        let limits = Limits {
            points_per_series: limits.points_per_series.min(at_once),
            samples_per_request: limits.samples_per_request.min(SAMPLES_AT_ONCE),
            ..limits
        };
        chunks(range, self.assignment.query.step, progress.series, &limits).into_iter().next()
    }

    /// How many series there are decides how much may be asked for at once.
    async fn count(&self, slot: Slot, progress: &mut Progress) -> Result<(), SourceError> {
        let query = &self.assignment.query;
        let now = self.feed.backend.time_there(slot.at).minus(self.assignment.delay);
        let newest = TimeRange::last_points(now, Duration::ZERO, query.step, 1);
        progress.series = self.feed.backend.range(query, newest).await?.batch.series_count();
        Ok(())
    }

    /// Asks for a part, or for as much of it as the backend can have had by its own clock when it answered: what it
    /// could not have had yet is asked for next time, and not taken for missing.
    async fn ask(&self, part: TimeRange) -> Result<Option<(TimeRange, Answer)>, SourceError> {
        let query = &self.assignment.query;
        let answer = self.feed.backend.range(query, part).await?;
        match self.feed.backend.whole_through(&answer, query.step) {
            Some(through) if through < part.end() => match TimeRange::new(part.start(), through) {
                Some(part) => Ok(Some((part, self.feed.backend.range(query, part).await?))),
                None => Ok(None),
            },
            Some(_) | None => Ok(Some((part, answer))),
        }
    }

    async fn hand_on(
        &self,
        part: TimeRange,
        answer: Answer,
        progress: &Progress,
        news: &mut PollNews,
    ) -> Result<(), NobodyThere> {
        for warning in &answer.warnings {
            if !news.warnings.contains(warning) {
                news.warnings.push(warning.clone());
            }
        }
        news.not_values += answer.not_values;
        news.without_service = news.without_service.max(answer.without_service);
        let coverage = match answer.partial {
            Some(because) => Coverage::Partial { because },
            None => Coverage::Whole,
        };
        for batch in answer.batch.into_parts() {
            self.send(progress.generation, Message::Input(Input::Batch(batch))).await?;
        }
        self.close(progress.generation, (part.start(), part.end()), coverage).await
    }

    async fn close(
        &self,
        generation: u64,
        (from, through): (Timestamp, Timestamp),
        coverage: Coverage,
    ) -> Result<(), NobodyThere> {
        let signal = self.assignment.query.signal.clone();
        let closed = Input::SlotClosed { signal, from, through, coverage };
        self.send(generation, Message::Input(closed)).await
    }
}
