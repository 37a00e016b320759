//! Whose incidents a budget counts, and where their boundaries lie.

use crate::detect::{Boundary, Budget, Scope, SignalPlan};
use crate::engine;
use crate::incident::Trouble;
use crate::replay::Found;
use crate::series::SignalName;

/// Seconds of a day.
const DAY_S: f64 = 86_400.0;

/// A budget with the signals that it is for.
#[derive(Debug, Clone, PartialEq)]
pub struct Scoped {
    /// The signal that has it for itself; `None` for the one that all others have in common.
    pub signal: Option<SignalName>,
    /// How much.
    pub budget: Budget,
    /// The signals that it is for, each with the boundary that is tried first.
    pub(super) guesses: Vec<(SignalName, Boundary)>,
}

impl Scoped {
    /// The budgets of a config, the common one first.
    pub fn all(settings: &engine::Settings) -> Vec<Self> {
        let mut all: Vec<Self> = Vec::new();
        let count = settings.signals.len() as f64;
        for (signal, plan) in &settings.signals {
            let Some(allotment) = plan.settings.budget else { continue };
            let guess = (signal.clone(), guess(plan, allotment.budget, count));
            let common = all.iter_mut().find(|scoped| scoped.signal.is_none());
            match (allotment.scope, common) {
                (Scope::Common, Some(common)) => common.guesses.push(guess),
                (Scope::Common, None) => {
                    let scoped = Self { signal: None, budget: allotment.budget, guesses: vec![guess] };
                    all.insert(0, scoped);
                }
                (Scope::Signal, _) => {
                    let signal = Some(signal.clone());
                    all.push(Self { signal, budget: allotment.budget, guesses: vec![guess] });
                }
            }
        }
        for scoped in &mut all {
            let members = scoped.guesses.len() as f64;
            for (_, boundary) in &mut scoped.guesses {
                *boundary = boundary.at(boundary.rarity() / members);
            }
        }
        all
    }

    /// What it is called in the store, the API and the metrics: a signal, or `*` for the common one.
    pub fn name(&self) -> &str {
        self.signal.as_ref().map_or("*", SignalName::as_str)
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

    /// Whether an incident counts against it: one of a service, that opened as one of its signals left its band.
    /// What was lost, and what concerns the source, no boundary changes.
    pub(super) fn counts(&self, found: &Found) -> bool {
        let deviates =
            found.worst.as_ref().is_some_and(|worst| matches!(worst.trouble, Trouble::Deviation(_)));
        deviates
            && found.subject.service().is_some()
            && self.signals().any(|signal| *signal == found.opened_by)
    }
}

/// The boundary that would hold a budget alone if the detector's probabilities were those of incidents.
fn guess(plan: &SignalPlan, budget: Budget, signals: f64) -> Boundary {
    let samples_a_day = DAY_S / plan.step.as_secs_f64().max(1e-3);
    match plan.settings.boundary() {
        Boundary::Openings(_) => Boundary::Openings(budget.per_day() * signals),
        known @ Boundary::Sigma(_) => known.at(budget.per_day() / samples_a_day),
    }
}

/// The same settings with other boundaries.
pub fn with_boundaries<'a>(
    settings: &engine::Settings,
    boundaries: impl IntoIterator<Item = &'a (SignalName, Boundary)>,
) -> engine::Settings {
    let mut settings = settings.clone();
    for (signal, boundary) in boundaries {
        if let Some((_, plan)) = settings.signals.iter_mut().find(|(name, _)| name == signal) {
            plan.settings = plan.settings.clone().with_boundary(*boundary);
        }
    }
    settings
}
