//! Whose incidents a budget counts, and where their boundaries lie.

use crate::detect::{Allotment, Boundary, Budget, Scope, Settings, SignalPlan};
use crate::engine;
use crate::incident::Trouble;
use crate::replay::Found;
use crate::series::{SeriesKey, SignalName};

/// Seconds of a day.
const DAY_S: f64 = 86_400.0;
/// What the budget is called that signals have in common.
const COMMON: &str = "*";

/// A budget with the signals that it is for.
#[derive(Debug, Clone, PartialEq)]
pub struct Scoped {
    /// What it is called in the store, the API and the metrics: a signal, `*` for the common one, or the matchers of an
    /// override.
    pub name: String,
    /// Over which series it is counted.
    pub scope: Scope,
    /// How much.
    pub budget: Budget,
    /// The signals that it is for, each with the boundary that is tried first.
    pub(super) guesses: Vec<(SignalName, Boundary)>,
}

impl Scoped {
    /// The budgets of a config: the common one first, then those of signals, then those of overrides.
    pub fn all(settings: &engine::Settings) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        let count = settings.signals.len() as f64;
        for (signal, plan) in &settings.signals {
            let own = plan.settings.budget.map(|of| match of.scope {
                Scope::Common => (COMMON.to_owned(), of, plan.settings.clone()),
                Scope::Signal | Scope::Matcher(_) => (signal.to_string(), of, plan.settings.clone()),
            });
            let overrides = plan.overrides.iter().filter_map(|over| {
                Some((over.name.to_string(), over.patch.budget??, plan.settings_with([over])))
            });
            for (name, Allotment { budget, scope }, settings) in own.into_iter().chain(overrides) {
                let guess = (signal.clone(), guess(&settings, plan, budget, count));
                match all.iter_mut().find(|known| known.name == name && known.scope == scope) {
                    Some(known) => known.guesses.push(guess),
                    None => all.push(Self { name, scope, budget, guesses: vec![guess] }),
                }
            }
        }
        // Stable: signals stay in the order of the config.
        all.sort_by_key(|scoped| scoped.scope);
        for scoped in &mut all {
            let members = scoped.guesses.len() as f64;
            for (_, boundary) in &mut scoped.guesses {
                *boundary = boundary.at(boundary.rarity() / members);
            }
        }
        all
    }

    /// The signals that it is for.
    pub fn signals(&self) -> impl Iterator<Item = &SignalName> {
        self.guesses.iter().map(|(signal, _)| signal)
    }

    /// The boundaries of its signals at a looseness.
    pub fn boundaries(&self, looseness: f64) -> Vec<(SignalName, Boundary)> {
        let at =
            |(signal, guess): &(SignalName, Boundary)| (signal.clone(), guess.at(guess.rarity() * looseness));
        self.guesses.iter().map(at).collect()
    }

    /// The looseness beyond which the boundary of no signal moves, where so many samples a day are judged of each.
    pub(super) fn loosest(&self, plan: impl Fn(&SignalName) -> Option<(SignalPlan, f64)>) -> f64 {
        let most = |(signal, guess): &(SignalName, Boundary)| {
            let (plan, samples_a_day) = plan(signal)?;
            Some(plan.settings.rarity_max(samples_a_day) / guess.rarity().max(1e-300))
        };
        self.guesses.iter().filter_map(most).fold(0.0, f64::max)
    }

    /// Whether an incident counts against it: one of a service, that opened as one of its series left its band.
    /// What was lost, and what concerns the source, no boundary changes.
    pub(super) fn counts(&self, found: &Found, settings: &engine::Settings) -> bool {
        let deviates =
            found.worst.as_ref().is_some_and(|worst| matches!(worst.trouble, Trouble::Deviation(_)));
        deviates
            && found.subject.service().is_some()
            && found.opener.as_ref().is_some_and(|key| self.is_of(key, settings))
    }

    /// Whether a series counts toward it: toward its most specific one, that of the last override that says so, or else
    /// that of its signal, or else the common one.
    pub fn is_of(&self, key: &SeriesKey, settings: &engine::Settings) -> bool {
        let plan = settings.signals.iter().find(|(signal, _)| *signal == key.signal);
        let allotment = plan.and_then(|(_, plan)| plan.settings_of(key).budget);
        allotment.is_some_and(|of| of.scope == self.scope) && self.signals().any(|own| *own == key.signal)
    }
}

/// The boundary that would hold a budget alone if the detector's probabilities were those of incidents.
fn guess(settings: &Settings, plan: &SignalPlan, budget: Budget, signals: f64) -> Boundary {
    let samples_a_day = DAY_S / plan.step.as_secs_f64().max(1e-3);
    match settings.boundary() {
        Boundary::Openings(_) => Boundary::Openings(budget.per_day() * signals),
        known @ Boundary::Sigma(_) => known.at(budget.per_day() / samples_a_day),
    }
}

/// The same settings with other boundaries of some budgets' signals.
pub fn with_boundaries<'a>(
    settings: &engine::Settings,
    boundaries: impl IntoIterator<Item = (Scope, &'a (SignalName, Boundary))>,
) -> engine::Settings {
    let mut settings = settings.clone();
    for (scope, (signal, boundary)) in boundaries {
        let Some((_, plan)) = settings.signals.iter_mut().find(|(name, _)| name == signal) else { continue };
        match scope {
            Scope::Common | Scope::Signal => {
                plan.settings = plan.settings.clone().with_boundary(*boundary);
            }
            Scope::Matcher(entry) => {
                let of_entry = plan.overrides.iter_mut().filter(|over| over.entry == entry);
                of_entry.for_each(|over| over.patch.boundary = Some(*boundary));
            }
        }
    }
    settings
}
