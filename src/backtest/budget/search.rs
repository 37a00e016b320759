//! The search: which boundaries are tried, what they opened, and whether others have to be.

use std::collections::BTreeSet;
use std::time::Duration;

use super::curve::{Fitted, Level, fit};
use super::scope::{Scoped, with_boundaries};
use crate::detect::{Boundary, Budget, Scope};
use crate::engine;
use crate::replay::{Found, Outcome};
use crate::series::SignalName;
use crate::time::Timestamp;

/// The boundaries of the first round, as multiples of the guess. Incidents are rarer than samples outside, since n of m, hold
/// and grouping make few of many; so most of them are looser.
const LADDER: [f64; 8] = [0.125, 0.5, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0];
/// Where the budget lies beyond them, the next round begins so much further.
const FURTHER: f64 = 64.0 / 0.125;
/// No more rounds.
const ROUNDS_MAX: usize = 3;
/// A boundary that opened as many shows enough of what is around it.
const ENOUGH: f64 = 12.0;
/// The past as it was lived through: twice, and of the second time the incidents count. The agent has then learnt as much of the
/// series as one has that was there all along: seasons take cycles, what recurs is known after two weeks, and until then more
/// opens than later.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// From here on it was lived through for a second time.
    pub begin: Timestamp,
    /// Its end, at which the second time begins.
    pub until: Timestamp,
    /// Times in which something was really wrong: what opened then is no noise.
    pub known: Vec<(Timestamp, Timestamp)>,
}

/// What came of the search for one budget.
#[derive(Debug, Clone, PartialEq)]
pub struct Calibration {
    /// Whose budget it is: a signal, `*` for the common one, or the matchers of an override.
    pub name: String,
    /// Over which series it is counted.
    pub scope: Scope,
    /// The budget.
    pub budget: Budget,
    /// Where the boundary of each of its signals is to lie.
    pub boundaries: Vec<(SignalName, Boundary)>,
    /// What is expected there.
    pub fitted: Fitted,
    /// On how many days it rests.
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
    /// Overrides that held for some series.
    held: BTreeSet<u16>,
}

impl Seen {
    /// How much later something comes for the second time.
    fn later(&self) -> Duration {
        self.until.since(self.begin)
    }

    fn is_known(&self, found: &Found) -> bool {
        let later = self.later();
        self.known.iter().any(|(from, to)| found.onset <= to.plus(later) && found.until >= from.plus(later))
    }

    /// The days that count, without those in which something was wrong.
    fn days(&self) -> f64 {
        let of_span = |(from, to): &(Timestamp, Timestamp)| ((*from).max(self.begin), (*to).min(self.until));
        let mut known: Vec<_> = self.known.iter().map(of_span).filter(|(from, to)| from < to).collect();
        known.sort();
        let (mut left_out, mut through) = (Duration::ZERO, self.begin);
        for (from, to) in known {
            left_out += to.since(from.max(through).min(to));
            through = through.max(to);
        }
        self.later().saturating_sub(left_out).as_secs_f64() / 86_400.0
    }
}

impl Search {
    /// Begins; `None` where there is no budget.
    pub fn new(settings: &engine::Settings) -> Option<Self> {
        let scopes: Vec<_> = Scoped::all(settings).into_iter().map(|scoped| (scoped, Vec::new())).collect();
        let moved = vec![1.0; scopes.len()];
        (!scopes.is_empty()).then(|| Self {
            settings: settings.clone(),
            scopes,
            moved,
            rounds: 0,
            days: 0.0,
            held: BTreeSet::new(),
        })
    }

    /// How the engines of this round decide, each with its own boundaries, from the strictest.
    pub fn round(&self) -> Vec<engine::Settings> {
        let at = |looseness: &f64| {
            let mut boundaries = Vec::new();
            for ((scoped, _), moved) in self.scopes.iter().zip(&self.moved) {
                let of_scope = scoped.boundaries(looseness * moved);
                boundaries.extend(of_scope.into_iter().map(|boundary| (scoped.scope, boundary)));
            }
            let boundaries = boundaries.iter().map(|(scope, boundary)| (*scope, boundary));
            with_boundaries(&self.settings, boundaries)
        };
        LADDER.iter().map(at).collect()
    }

    /// Takes what the engines of a round found, in their order, and says whether another round is wanted.
    pub fn take(&mut self, outcomes: &[Outcome], seen: &Seen) -> bool {
        let plans = &self.settings.signals;
        self.days = seen.days();
        let held = outcomes.iter().flat_map(|outcome| &outcome.overridden);
        self.held.extend(held.filter(|(_, series)| **series > 0).map(|(entry, _)| entry));
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
                let counts = |found: &&Found| {
                    found.opened_at >= seen.until
                        && scoped.counts(found, &self.settings)
                        && !seen.is_known(found)
                };
                let incidents = outcome.found.iter().filter(counts).count();
                let level = Level { looseness: (looseness * moved).min(loosest), incidents };
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
            } else if (last.incidents as f64) < wanted.max(ENOUGH) && !is_at_its_end {
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
                name: scoped.name.clone(),
                scope: scoped.scope,
                budget: scoped.budget,
                boundaries: scoped.boundaries(fitted.looseness),
                fitted,
                days: self.days,
                levels: levels.clone(),
            })
        };
        let scopes = self.scopes.iter().filter(|(scoped, _)| !self.is_of_none(scoped));
        scopes.filter_map(calibration).collect()
    }

    /// The budgets whose matchers hold for no series of the past: nothing can be said about them.
    pub fn unmatched(&self) -> Vec<String> {
        let scopes = self.scopes.iter().filter(|(scoped, _)| self.is_of_none(scoped));
        scopes.map(|(scoped, _)| scoped.name.clone()).collect()
    }

    fn is_of_none(&self, scoped: &Scoped) -> bool {
        match scoped.scope {
            Scope::Matcher(entry) => !self.held.contains(&entry),
            Scope::Common | Scope::Signal => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detect::{Allotment, Kind, Settings, SignalPlan};

    const fn day(day: i64) -> Timestamp {
        Timestamp::from_millis(day * 86_400_000)
    }

    fn plan(settings: Settings) -> SignalPlan {
        let (step, window) = (Duration::from_secs(60), Duration::ZERO);
        SignalPlan { settings, kind: Kind::Other, step, window, series_limit: 10, overrides: Vec::new() }
    }

    /// Signals `a` and `b` under a common budget, `c` with its own, `d` with none.
    fn settings() -> engine::Settings {
        let with = |budget: &str, scope| {
            let budget = Some(Allotment { budget: budget.parse().unwrap(), scope });
            Settings { budget, ..Settings::default() }
        };
        let signals = [
            ("c", Settings { budget: with("1/day", Scope::Signal).budget, ..Settings::classic() }),
            ("a", with("2/day", Scope::Common)),
            ("b", with("2/day", Scope::Common)),
            ("d", Settings::default()),
        ];
        engine::Settings {
            signals: signals.map(|(name, settings)| (SignalName::new(name), plan(settings))).into(),
            correlate: Default::default(),
            incident: Default::default(),
            source_lost_after: Duration::from_secs(60),
            questions_per_incident: 0,
        }
    }

    #[test]
    fn each_budget_begins_at_its_own_guess_and_the_rest_stays_as_it_is() {
        let search = Search::new(&settings()).unwrap();
        let names: Vec<_> = search.scopes.iter().map(|(scoped, _)| scoped.name.clone()).collect();
        assert_eq!(names, ["*", "c"]);
        let round = search.round();
        assert_eq!(round.len(), LADDER.len());
        for (looseness, tried) in LADDER.iter().zip(&round) {
            let boundary = |nth: usize| tried.signals[nth].1.settings.boundary();
            // Two a day over two of four signals.
            assert_eq!(boundary(1), Boundary::Openings(4.0 * looseness));
            assert_eq!(boundary(2), boundary(1));
            assert_eq!(boundary(3), Boundary::Openings(0.1));
        }
        let sigma = |nth: usize| round[nth].signals[0].1.settings.sigma;
        assert!(sigma(0) > sigma(1) && sigma(1) > sigma(7), "{} {} {}", sigma(0), sigma(1), sigma(7));
        let none = engine::Settings { signals: settings().signals.split_off(3), ..settings() };
        assert!(Search::new(&none).is_none());
    }

    #[test]
    fn where_nothing_opens_the_ladder_is_moved_and_then_the_loosest_boundary_taken() {
        let mut search = Search::new(&settings()).unwrap();
        let seen = Seen { begin: day(0), until: day(7), known: Vec::new() };
        let tally = crate::detect::Tally { samples_a_day: 1440, ..crate::detect::Tally::default() };
        let tallies: Vec<_> = settings().signals.into_iter().map(|(signal, _)| (signal, tally)).collect();
        let outcome = Outcome { found: Vec::new(), beyond: 0, tallies, overridden: Default::default() };
        let nothing = vec![outcome; LADDER.len()];
        let mut rounds = 1;
        while search.take(&nothing, &seen) {
            rounds += 1;
        }
        assert!(rounds <= ROUNDS_MAX, "{rounds}");
        let found = search.calibrations();
        assert!(found.iter().all(|calibration| calibration.fitted.limit.is_some()), "{found:?}");
        // One in a hundred of 1,440 samples a day.
        let (_, boundary) = &found[0].boundaries[0];
        assert!((boundary.value() - 14.4).abs() < 1e-6, "{boundary:?}");
    }

    #[test]
    fn days_in_which_something_was_wrong_count_once_and_only_within() {
        let known = vec![(day(-5), day(1)), (day(3), day(5)), (day(4), day(6)), (day(13), day(40))];
        let seen = Seen { begin: day(0), until: day(14), known };
        assert!((seen.days() - 9.0).abs() < 1e-9, "{}", seen.days());
    }
}
