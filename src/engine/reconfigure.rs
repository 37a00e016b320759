//! Another config while the engine runs: what was learnt goes on where it means the same, and the rest begins anew.

use std::collections::BTreeSet;
use std::time::Duration;

use super::event::{ConfigChange, Event, Stream, SystemEvent};
use super::input::Effect;
use super::settings::Settings;
use super::step::Engine;
use crate::detect::{FORGET_AFTER, Missing};
use crate::id::IncidentId;
use crate::incident::{Ended, Outage, Silence, Trouble};
use crate::series::{SeriesKey, SignalName};
use crate::time::Timestamp;

/// Another config, as the engine sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct Reconfiguration {
    /// What decides from now on.
    pub settings: Settings,
    /// Signals that ask something else under the same name, or whose series are named in another way.
    pub asks_anew: BTreeSet<SignalName>,
    /// Of a signal that begins without state, what began so long ago still opens incidents.
    pub first_look: Duration,
    /// What differs, for the log.
    pub change: ConfigChange,
}

impl Engine {
    /// Takes other settings. Thresholds apply to what is known from the next sample on; nothing that was decided is
    /// decided again. The same settings again change nothing.
    pub(super) fn reconfigure(&mut self, now: Timestamp, to: Reconfiguration, effects: &mut Vec<Effect>) {
        let Reconfiguration { settings, asks_anew, first_look, change } = to;
        if settings != self.settings || !asks_anew.is_empty() {
            // What waits for other signals was found by the settings of before: it is judged by them.
            self.judge_all_slots(now, effects);
        }
        self.record(now, Stream::System, Event::System(SystemEvent::ConfigReloaded(change)), effects);
        let before = std::mem::replace(&mut self.settings, settings);
        let mut unwatched: BTreeSet<SignalName> = asks_anew.clone();
        let of_before = before.signals.iter().map(|(signal, _)| signal);
        let is_gone = |signal: &&SignalName| !self.settings.signals.iter().any(|(name, _)| name == *signal);
        unwatched.extend(of_before.filter(is_gone).cloned());
        // While their state is still there to tell how long they went on.
        self.unwatch(now, &before, &unwatched, effects);

        let fresh = self.detect.reconfigure(self.settings.signals.iter().cloned(), &asks_anew);
        self.direct_again(&fresh);
        for signal in &fresh {
            // As at a first start the past only teaches; and a step that was judged stays judged.
            let first = now.minus(first_look);
            let until = self.judged_through.get(signal).map_or(first, |through| first.max(*through));
            self.muted_until.insert(signal.clone(), until);
            self.awaited.insert(signal.clone());
            self.reached.remove(signal);
        }
        self.forget_signals(now);
        if self.settings.incident != before.incident {
            let open: Vec<IncidentId> = self.open.keys().copied().collect();
            open.into_iter().for_each(|id| self.reassess(now, id, effects));
        }
    }

    /// After a start: signals may have gone from the config while the agent was down.
    pub(super) fn unwatch_what_went(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        let members = self.open.values().flat_map(|incident| incident.active());
        let outages = self.open.values().flat_map(|incident| &incident.outages);
        let is_gone = |signal: &&SignalName| !self.detect.watches(signal);
        let signals = members.map(|member| &member.key.signal).chain(outages.map(|outage| &outage.signal));
        let gone: BTreeSet<SignalName> = signals.filter(is_gone).cloned().collect();
        let as_it_is = self.settings.clone();
        self.unwatch(now, &as_it_is, &gone, effects);
    }

    /// Ends the active members at which nobody looks any more: those of some signals, and those that were lost where
    /// series may stop now. None of them has recovered.
    fn unwatch(
        &mut self,
        now: Timestamp,
        before: &Settings,
        unwatched: &BTreeSet<SignalName>,
        effects: &mut Vec<Effect>,
    ) {
        let mut ends = Vec::new();
        for incident in self.open.values() {
            for member in incident.active() {
                let is_no_loss = matches!(member.trouble, Trouble::Lost { .. })
                    && self.is_no_loss_now(before, &member.key);
                if unwatched.contains(&member.key.signal) || is_no_loss {
                    // The log does not follow a deviation that goes on; its state does.
                    let known = self.detect.state_of(&member.key).and_then(|(anomaly, _)| anomaly);
                    let until = known.map_or(member.trouble.until(), |anomaly| anomaly.until);
                    ends.push((incident.id, incident.end_at(member, until, Ended::Unwatched)));
                }
            }
        }
        for (id, event) in ends {
            self.record(now, Stream::Incident(id), Event::Incident(event), effects);
        }
        let asked: BTreeSet<SignalName> =
            self.settings.signals.iter().map(|(name, _)| name.clone()).collect();
        let may_stop: BTreeSet<SignalName> =
            asked.iter().filter(|signal| self.may_stop_now(before, signal)).cloned().collect();
        let is_unwatched = |outage: &Outage| match outage.silence {
            // Another query has other series: how many there were says nothing about them.
            Silence::Stopped { .. } => {
                unwatched.contains(&outage.signal) || may_stop.contains(&outage.signal)
            }
            // A backend that answers nothing does not answer another query either.
            Silence::Unanswered { .. } => !asked.contains(&outage.signal),
        };
        self.unwatch_outages(now, is_unwatched, effects);
    }

    /// Whether a series that stopped is nobody's concern any more: from now on it may.
    fn is_no_loss_now(&self, before: &Settings, key: &SeriesKey) -> bool {
        let may_stop = |settings: &Settings| {
            let plan = settings.signals.iter().find(|(name, _)| *name == key.signal);
            plan.is_some_and(|(_, plan)| plan.settings_of(key).missing == Missing::Ignore)
        };
        may_stop(&self.settings) && !may_stop(before)
    }

    /// Whether a signal's series that stopped are nobody's concern any more: from now on they may.
    fn may_stop_now(&self, before: &Settings, signal: &SignalName) -> bool {
        let may_stop = |settings: &Settings| {
            let plan = settings.signals.iter().find(|(name, _)| name == signal);
            plan.is_some_and(|(_, plan)| plan.settings.missing == Missing::Ignore)
        };
        may_stop(&self.settings) && !may_stop(before)
    }

    /// Forgets what was kept by signals that are gone. How far they were judged stays for a day: one that comes back is
    /// not judged twice.
    fn forget_signals(&mut self, now: Timestamp) {
        let configured: BTreeSet<SignalName> =
            self.settings.signals.iter().map(|(signal, _)| signal.clone()).collect();
        self.judged_through
            .retain(|signal, through| configured.contains(signal) || now.since(*through) < FORGET_AFTER);
        self.muted_until.retain(|signal, _| configured.contains(signal));
        self.awaited.retain(|signal| configured.contains(signal));
        self.reached.retain(|signal, _| configured.contains(signal));
        self.holes.forget_but(&configured);
        self.polls.forget_but(&configured);
    }
}
