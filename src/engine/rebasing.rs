//! Baselines that begin anew since somebody wants that.

use std::collections::BTreeSet;

use super::event::{Event, SeriesRebased, Stream, SystemEvent};
use super::input::{DIRECTIVES_MAX, Effect, Rebase, Rebasing, Reply};
use super::step::Engine;
use crate::detect::{NotRebased, Rebased};
use crate::series::SignalName;
use crate::time::Timestamp;

/// Where several series are meant, so many are told.
const TOLD_MAX: usize = 8;

impl Engine {
    /// Begins the baseline of a series anew, from its recent samples: its anomaly is over at once.
    pub(super) fn rebase(&mut self, now: Timestamp, wanted: Rebase, effects: &mut Vec<Effect>) {
        let reply = self.rebased(now, wanted, effects);
        effects.push(Effect::Reply(Reply::Rebase(reply)));
    }

    fn rebased(&mut self, now: Timestamp, wanted: Rebase, effects: &mut Vec<Effect>) -> Rebasing {
        let Rebase { signal, service, labels, by, comment } = wanted;
        // Where it stands is not known before what was missed is read, and its place in history would lie before that.
        if self.awaited.contains(&signal) {
            return Rebasing::HistoryUnread;
        }
        let mut keys = self.detect.named(&signal, &service, &labels);
        let key = match (keys.pop(), keys.is_empty()) {
            (Some(key), true) => key,
            (Some(last), false) => {
                keys.push(last);
                keys.truncate(TOLD_MAX);
                return Rebasing::Ambiguous(keys);
            }
            (None, _) => return Rebasing::Refused(NotRebased::Unknown),
        };
        // What waits for other signals was found by the baseline of before.
        self.judge_all_slots(now, effects);
        let rebased = match self.detect.rebase(&key) {
            Ok(rebased) => rebased,
            Err(because) => return Rebasing::Refused(because),
        };
        let Rebased { finding, since, at, from, to, points, needed, anomaly } = rebased;
        let event = SeriesRebased { key, since, at, from, to, by, comment };
        self.directives.push_back(event.directive());
        if self.directives.len() > DIRECTIVES_MAX {
            self.directives.pop_front();
        }
        let told = Event::System(SystemEvent::SeriesRebased(event.clone()));
        self.record(now, Stream::System, told, effects);
        self.absorb(now, &finding, effects);
        for id in std::mem::take(&mut self.unassessed) {
            self.reassess(now, id, effects);
        }
        let ended = anomaly.map(|anomaly| anomaly.onset);
        Rebasing::Done { event: Box::new(event), points, needed, ended }
    }

    /// Tells detection once more what it was told about signals whose history is read anew.
    pub(super) fn direct_again(&mut self, signals: &BTreeSet<SignalName>) {
        for directive in self.directives.iter().filter(|directive| signals.contains(directive.signal())) {
            self.detect.direct(directive);
        }
    }
}
