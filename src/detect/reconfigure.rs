//! Other settings for what is watched, without forgetting what was learnt.

use std::collections::BTreeSet;

use indexmap::IndexMap;

use super::settings::SignalPlan;
use super::stage::Detect;
use super::table::Table;
use crate::series::SignalName;

impl SignalPlan {
    /// Whether what series have learnt under another plan goes on under this one: it does unless the samples come at
    /// another step, make a baseline of another length, are judged by other detectors, or their days begin elsewhere.
    pub fn keeps_state_of(&self, other: &Self) -> bool {
        self.step == other.step
            && self.settings.baseline_points == other.settings.baseline_points
            && self.settings.detector == other.settings.detector
            && self.settings.zone == other.settings.zone
    }
}

impl Detect {
    /// Takes other plans, in their order. A signal that is new, that `asks_anew`, or whose plan does not keep the state
    /// begins without any; the others keep theirs and are judged by the new plan from the next sample on: what was
    /// decided stays decided.
    ///
    /// Gives the signals that begin without state.
    pub fn reconfigure(
        &mut self,
        plans: impl IntoIterator<Item = (SignalName, SignalPlan)>,
        asks_anew: &BTreeSet<SignalName>,
    ) -> BTreeSet<SignalName> {
        let mut before = std::mem::take(&mut self.tables);
        let mut fresh = BTreeSet::new();
        let mut tables = IndexMap::new();
        for (signal, plan) in plans {
            let kept = before.swap_remove(&signal).filter(|_| !asks_anew.contains(&signal));
            let table = match kept.filter(|table| plan.keeps_state_of(&table.plan)) {
                Some(mut table) => {
                    table.replan(plan);
                    table
                }
                None => {
                    fresh.insert(signal.clone());
                    self.pending.swap_remove(&signal);
                    let mut table = Table::new(plan);
                    table.gaps = self.gaps().clone();
                    table
                }
            };
            tables.insert(signal, table);
        }
        self.pending.retain(|signal, _| tables.contains_key(signal));
        self.tallies.retain(|signal, _| tables.contains_key(signal));
        self.tables = tables;
        self.follow_volumes();
        fresh
    }
}
