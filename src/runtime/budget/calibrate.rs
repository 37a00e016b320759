//! Has engines with several boundaries live through the past, and finds where each budget lies.

use crate::backtest::{Calibration, Search, Seen};
use crate::runtime::clock::Clock;
use crate::runtime::history::{Candidate, HistoryError, Progress, Reading, Span, live_through_twice};
use crate::source;
use crate::time::Timestamp;

/// How much is done at once, and where something was really wrong.
#[derive(Debug, Clone, PartialEq)]
pub struct Effort {
    /// So many engines live through the past at once, 1 to 8: each has the state of all series. With fewer the history is
    /// read more often.
    pub engines: usize,
    /// Times in which something was really wrong: what opened then is no noise, and they count for no days.
    pub known: Vec<(Timestamp, Timestamp)>,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibrated {
    /// A calibration a budget; none where the backend holds less than an hour of the span.
    pub calibrations: Vec<Calibration>,
    /// The budgets whose matchers hold for no series of the past.
    pub unmatched: Vec<String>,
    /// The part of the past that was there.
    pub seen: Seen,
    /// What was read of the backend in the last run.
    pub reading: Reading,
}

/// Calibrates every budget of a config on a span of its backend's past. Each agent lives through it twice, and the second time
/// counts: by then it has learnt as much as one that was there all along. Dropped, it stops after the window at hand.
///
/// `None` where the config has no budget.
///
/// # Errors
/// Where the backend does not give a part of the history, after several tries.
pub async fn calibrate(
    source: &source::Settings,
    clock: &Clock,
    candidate: &Candidate,
    (span, effort): (Span, &Effort),
    mut progress: impl FnMut(Progress),
) -> Result<Option<Calibrated>, HistoryError> {
    let Some(mut search) = Search::new(&candidate.engine) else { return Ok(None) };
    loop {
        let round = search.round();
        let (mut outcomes, mut reading, mut again) =
            (Vec::with_capacity(round.len()), Reading::default(), None);
        for engines in round.chunks(effort.engines.clamp(1, round.len().max(1))) {
            let with =
                |engine: &crate::engine::Settings| Candidate { engine: engine.clone(), ..candidate.clone() };
            let candidates: Vec<Candidate> = engines.iter().map(with).collect();
            let lived = live_through_twice(source, clock, &candidates, span, &mut progress).await?;
            outcomes.extend(lived.0.outcomes);
            (reading, again) = (lived.0.reading, lived.1);
        }
        let begin = again.unwrap_or(span.until);
        let seen = Seen { begin, until: span.until, known: effort.known.clone() };
        if again.is_none() {
            return Ok(Some(Calibrated { calibrations: Vec::new(), unmatched: Vec::new(), seen, reading }));
        }
        if !search.take(&outcomes, &seen) {
            let (calibrations, unmatched) = (search.calibrations(), search.unmatched());
            return Ok(Some(Calibrated { calibrations, unmatched, seen, reading }));
        }
    }
}
