//! The search: which boundaries are tried, what they opened, and whether others have to be.

use std::time::Duration;

use super::curve::{Fitted, Level, fit};
use super::scope::{Scoped, with_boundaries};
use crate::detect::{Boundary, Budget};
use crate::engine;
use crate::replay::{Found, Outcome};
use crate::series::SignalName;
use crate::time::Timestamp;

/// The boundaries of the first round, as multiples of the guess. Incidents are rarer than samples outside, since n of m, hold
/// and grouping make few of many; so most of them are looser.
const LADDER: [f64; 8] = [1.0 / 16.0, 0.25, 1.0, 3.0, 9.0, 27.0, 81.0, 243.0];
/// Where the budget lies beyond them, the next round begins so much further.
const FURTHER: f64 = 243.0 * 3.0;
/// No more rounds.
const ROUNDS_MAX: usize = 3;
/// A boundary that opened as many shows enough of what is around it.
const ENOUGH: usize = 24;
/// Series settle: seasons take cycles, and what recurs is known after two weeks. Until then more opens than later.
const SETTLING: Duration = Duration::from_secs(14 * 86_400);

/// The part of the past that was lived through.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// Its begin, or the first sample where there was none before.
    pub begin: Timestamp,
    /// Its end.
    pub until: Timestamp,
    /// Times in which something was really wrong: what opened then is no noise.
    pub known: Vec<(Timestamp, Timestamp)>,
}

/// What came of the search for one budget.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    /// The signal whose budget it is; `None` for the common one.
    pub signal: Option<SignalName>,
    /// The budget.
    pub budget: Budget,
    /// Where the boundary of each of its signals is to lie.
    pub boundaries: Vec<(SignalName, Boundary)>,
    /// What is expected there.
    pub fitted: Fitted,
    /// On how many days it rests: those after the series had settled.
    pub days: f64,
    /// What each boundary opened that was tried, the strictest first.
    pub levels: Vec<Level>,
}

/// Searches for the boundaries of all budgets of a config at once.
#[derive(Debug, Clone)]
pub struct Search {
    settings: engine::Settings,
    scopes: Vec<(Scoped, Vec<Level>)>,
    /// By how much the ladder of each is moved in this round.
    moved: Vec<f64>,
    rounds: usize,
    days: f64,
}

impl Seen {
    /// From here on the series have settled: two weeks after the begin, or half of what there is.
    pub fn settled(&self) -> Timestamp {
        self.begin.plus(SETTLING.min(self.until.since(self.begin) / 2))
    }

    fn is_known(&self, found: &Found) -> bool {
        self.known.iter().any(|(from, to)| found.onset <= *to && found.until >= *from)
    }

    /// The days that count, without those in which something was wrong.
    fn days(&self) -> f64 {
        let settled = self.settled();
        let mut known: Vec<_> =
            self.known.iter().map(|(from, to)| ((*from).max(settled), (*to).min(self.until))).collect();
        known.retain(|(from, to)| from < to);
        known.sort();
        let (mut left_out, mut through) = (Duration::ZERO, settled);
        for (from, to) in known {
            left_out += to.since(from.max(through).min(to));
            through = through.max(to);
        }
        self.until.since(settled).saturating_sub(left_out).as_secs_f64() / 86_400.0
    }
}

impl Search {
    /// Begins; `None` where there is no budget.
    pub fn new(settings: &engine::Settings) -> Option<Self> {
        let scopes: Vec<_> = Scoped::all(settings).into_iter().map(|scoped| (scoped, Vec::new())).collect();
        let moved = vec![1.0; scopes.len()];
        (!scopes.is_empty()).then(|| Self { settings: settings.clone(), scopes, moved, rounds: 0, days: 0.0 })
    }

    /// How the engines of this round decide, each with its own boundaries, from the strictest.
    pub fn round(&self) -> Vec<engine::Settings> {
        let at = |looseness: &f64| {
            let boundaries = self.scopes.iter().zip(&self.moved);
            let boundaries: Vec<_> =
                boundaries.flat_map(|((scoped, _), moved)| scoped.boundaries(looseness * moved)).collect();
            with_boundaries(&self.settings, &boundaries)
        };
        LADDER.iter().map(at).collect()
    }

    /// Takes what the engines of a round found, in their order, and says whether another round is wanted.
    pub fn take(&mut self, outcomes: &[Outcome], seen: &Seen) -> bool {
        let (settled, plans) = (seen.settled(), &self.settings.signals);
        self.days = seen.days();
        for ((scoped, levels), moved) in self.scopes.iter_mut().zip(&self.moved) {
            for (looseness, outcome) in LADDER.iter().zip(outcomes) {
                // A list that is cut tells no count.
                if outcome.beyond > 0 {
                    continue;
                }
                let loosest = scoped.loosest(|signal| {
                    let plan = plans.iter().find(|(name, _)| name == signal)?.1.clone();
                    let tally = outcome.tallies.iter().find(|(name, _)| name == signal)?.1;
                    Some((plan, tally.samples_a_day as f64))
                });
                let counted = outcome.found.iter().filter(|found| {
                    found.opened_at >= seen.begin && scoped.counts(found) && !seen.is_known(found)
                });
                let (mut incidents, mut in_all) = (0, 0);
                for found in counted {
                    in_all += 1;
                    incidents += usize::from(found.opened_at >= settled);
                }
                let level = Level { looseness: (looseness * moved).min(loosest), incidents, in_all };
                let is_new = |known: &Level| (known.looseness / level.looseness - 1.0).abs() > 1e-6;
                if level.looseness > 0.0 && levels.iter().all(is_new) {
                    levels.push(level);
                }
            }
            levels.sort_by(|a, b| a.looseness.total_cmp(&b.looseness));
        }
        self.rounds += 1;
        self.move_ladders()
    }

    /// Moves each ladder to where its budget lies, and says whether one has moved.
    fn move_ladders(&mut self) -> bool {
        let mut is_any = false;
        for ((scoped, levels), moved) in self.scopes.iter().zip(&mut self.moved) {
            let wanted = scoped.budget.per_day() * self.days;
            let (Some(first), Some(last)) = (levels.first(), levels.last()) else { continue };
            let is_at_its_end =
                last.looseness < *moved * LADDER.last().copied().unwrap_or(1.0) * (1.0 - 1e-6);
            if (first.incidents as f64) > wanted.max(1.0) {
                (*moved, is_any) = (*moved / FURTHER, true);
            } else if last.incidents < ENOUGH && last.in_all < ENOUGH && !is_at_its_end {
                (*moved, is_any) = (*moved * FURTHER, true);
            }
        }
        is_any && self.rounds < ROUNDS_MAX
    }

    /// What came of it, a calibration a budget; one of which nothing was seen has none.
    pub fn calibrations(&self) -> Vec<Calibration> {
        let calibration = |(scoped, levels): &(Scoped, Vec<Level>)| {
            let fitted = fit(levels, self.days, scoped.budget.per_day())?;
            Some(Calibration {
                signal: scoped.signal.clone(),
                budget: scoped.budget,
                boundaries: scoped.boundaries(fitted.looseness),
                fitted,
                days: self.days,
                levels: levels.clone(),
            })
        };
        self.scopes.iter().filter_map(calibration).collect()
    }
}
