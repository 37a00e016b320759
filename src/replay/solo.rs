//! One series by itself, sample by sample: what the agent would have said of each, had it watched nothing else.

use std::sync::Arc;

use crate::detect::Verdict;
use crate::engine::{Coverage, Effect, Engine, Event, Input, Restored, Settings};
use crate::incident;
use crate::series::{Batch, SeriesKey};
use crate::time::Timestamp;

/// The whole pipeline around a single series. What it holds does not grow with the number of samples.
#[derive(Debug)]
pub struct Solo {
    engine: Engine,
    key: Arc<SeriesKey>,
    last: Option<Timestamp>,
}

/// What was known of a sample at its own time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Judged {
    /// What detection says of it; `None` where it has no value, or is not judged, as while the baseline warms up.
    pub verdict: Option<Verdict>,
    /// What it did to the incidents.
    pub change: Option<Change>,
}

/// What a sample did to the incidents of its series.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// One opened. Where another one ended at the same moment, this is what counts.
    Opened,
    /// One ended.
    Resolved,
}

impl Solo {
    /// Starts without history. The settings hold the plan of the signal that the series belongs to.
    pub fn new(settings: Settings, key: Arc<SeriesKey>) -> Self {
        let muted_until = Timestamp::from_millis(i64::MIN);
        Self { engine: Engine::new(settings, Restored::default(), muted_until), key, last: None }
    }

    /// Takes the next sample. One without a value, or whose value is none (see [`Batch::push`]), is a moment at which the
    /// series was asked for and had nothing. `None` where the time is not after the one before: that step is judged.
    pub fn take(&mut self, at: Timestamp, value: Option<f64>) -> Option<Judged> {
        if self.last.is_some_and(|last| at <= last) {
            return None;
        }
        self.last = Some(at);
        let signal = self.key.signal.clone();
        let mut batch = Batch::with_capacity(signal.clone(), 1, 1);
        let mut has_value = false;
        if let Some(value) = value {
            batch.begin_row(Arc::clone(&self.key));
            has_value = batch.push(at, value);
        }
        let mut effects = Vec::new();
        if has_value {
            effects.extend(self.engine.step(at, Input::Batch(batch)));
        }
        let verdict = if has_value { self.engine.verdict_of(&self.key) } else { None };
        // Only this moment was asked for: of the time since the one before, nobody knows whether there were samples.
        let (from, through, coverage) = (at, at, Coverage::Whole);
        effects.extend(self.engine.step(at, Input::SlotClosed { signal, from, through, coverage }));
        Some(Judged { verdict, change: change_in(&effects) })
    }
}

fn change_in(effects: &[Effect]) -> Option<Change> {
    let changes = effects.iter().filter_map(|effect| match effect {
        Effect::Record(happening) => match &happening.event {
            Event::Incident(incident::Event::Opened { .. } | incident::Event::SourceOpened { .. }) => {
                Some(Change::Opened)
            }
            Event::Incident(incident::Event::Resolved { .. }) => Some(Change::Resolved),
            Event::Incident(_) | Event::Diagnosed(_) | Event::Captured(_) | Event::System(_) => None,
        },
        Effect::Advance { .. } | Effect::Ask { .. } | Effect::Reply(_) => None,
    });
    changes.min_by_key(|change| match change {
        Change::Opened => 0,
        Change::Resolved => 1,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::detect::{self, Kind, Missing, SignalPlan};
    use crate::series::{Labels, Service, SignalName};
    use crate::{correlate, incident};

    fn solo() -> Solo {
        let signal = SignalName::new("value");
        let missing = Missing::Alert { after: Duration::from_secs(300) };
        let plan = SignalPlan {
            settings: detect::Settings { missing, ..detect::Settings::default() },
            kind: Kind::Other,
            step: Duration::from_secs(60),
            window: Duration::ZERO,
            series_limit: 1,
            overrides: Vec::new(),
        };
        let settings = Settings {
            signals: vec![(signal.clone(), plan)],
            correlate: correlate::Settings::default(),
            incident: incident::Settings::default(),
            source_lost_after: Duration::from_secs(180),
            questions_per_incident: 0,
        };
        let labels = Labels::new([("service", "file")]);
        Solo::new(settings, Arc::new(SeriesKey::new(signal, Service::new("file"), labels)))
    }

    fn minute(n: i64) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000 + n * 60_000)
    }

    /// A little noise around 100, with what the minute has instead.
    fn usual(n: i64) -> f64 {
        100.0 + (n * 7 % 5) as f64
    }

    /// What happened, by minute.
    fn play(solo: &mut Solo, minutes: impl Iterator<Item = (i64, Option<f64>)>) -> Vec<(i64, Change)> {
        minutes.filter_map(|(n, value)| Some((n, solo.take(minute(n), value)?.change?))).collect()
    }

    #[test]
    fn a_sample_is_judged_by_those_before_it() {
        let mut solo = solo();
        let before: Vec<_> =
            (0..100).map(|n| solo.take(minute(n), Some(usual(n))).unwrap().verdict).collect();
        assert_eq!(before[0], None, "nothing is known yet");
        let last = before[99].unwrap();
        assert!(last.lower < last.expected && last.expected < last.upper && last.score <= 1.0, "{last:?}");
        let mut other = solo;
        // At a minute it takes two samples.
        other.take(minute(100), Some(900.0)).unwrap();
        let spike = other.take(minute(101), Some(900.0)).unwrap().verdict.unwrap();
        assert!(spike.score > 1.0, "{spike:?}");
        assert!((90.0..110.0).contains(&spike.expected), "the sample itself does not count: {spike:?}");
    }

    #[test]
    fn an_incident_opens_and_closes_once_for_a_fault() {
        let fault = |n: i64| if (200..220).contains(&n) { 900.0 } else { usual(n) };
        let changes = play(&mut solo(), (0..400).map(|n| (n, Some(fault(n)))));
        let [(opened, Change::Opened), (closed, Change::Resolved)] = changes[..] else {
            panic!("{changes:?}")
        };
        assert!((200..205).contains(&opened) && (220..240).contains(&closed), "{changes:?}");
    }

    #[test]
    fn what_is_late_or_comes_again_is_left_out_and_changes_nothing() {
        let (mut one, mut other) = (solo(), solo());
        for n in 0..50 {
            let judged = one.take(minute(n), Some(usual(n)));
            assert_eq!(one.take(minute(n), Some(900.0)), None);
            assert_eq!(one.take(minute(n - 1), Some(-900.0)), None);
            assert_eq!(judged, other.take(minute(n), Some(usual(n))));
        }
    }

    #[test]
    fn a_time_that_nobody_asked_for_is_no_loss_and_one_without_a_value_is() {
        let there = |n: i64| !(200..230).contains(&n);
        let gap = (0..300).filter(|n| there(*n)).map(|n| (n, Some(usual(n))));
        assert_eq!(play(&mut solo(), gap), []);
        let silent = (0..300).map(|n| (n, there(n).then(|| usual(n))));
        let changes = play(&mut solo(), silent);
        let [(opened, Change::Opened), (closed, Change::Resolved)] = changes[..] else {
            panic!("{changes:?}")
        };
        // Its last sample is that of minute 199. Five minutes later it is lost, and a little later it is clear that this is
        // no fault of the source.
        assert!((204..208).contains(&opened), "{changes:?}");
        assert!((230..235).contains(&closed), "{changes:?}");
    }

    #[test]
    fn a_value_beyond_all_units_is_none() {
        let mut solo = solo();
        for value in [f64::NAN, f64::INFINITY, 1e300] {
            let at = solo.last.map_or(minute(0), |last| last.plus(Duration::from_secs(60)));
            assert_eq!(solo.take(at, Some(value)), Some(Judged { verdict: None, change: None }));
        }
    }
}
