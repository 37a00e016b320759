//! A story: made-up series through an engine, and the log of what it decided in words.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use crate::correlate;
use crate::detect::{self, Kind, SignalPlan};
use crate::diagnose::PastIncident;
use crate::engine::{
    Coverage, Effect, Engine, Event, Failure, Happening, Input, Restored, Settings, Stream, SystemEvent,
};
use crate::id::IncidentId;
use crate::incident::{self, Incident};
use crate::series::{Batch, Labels, SeriesKey, Service, SignalName};
use crate::time::Timestamp;

pub(super) const STEP_S: i64 = 15;
const BEGIN_MS: i64 = 1_800_000_000_000;
/// By this slot every baseline is full.
pub(super) const WARM: i64 = 30;

/// The end of a slot.
pub(super) fn at(slot: i64) -> Timestamp {
    Timestamp::from_millis(BEGIN_MS + slot * STEP_S * 1000)
}

/// When a slot's answer is there.
pub(super) fn answered_at(slot: i64) -> Timestamp {
    at(slot).plus(Duration::from_secs(5))
}

/// A series that differs from its usual level of about 100 for some slots; `None` is a gap.
#[derive(Debug, Clone)]
pub(super) struct Fault {
    pub(super) service: &'static str,
    pub(super) signal: &'static str,
    pub(super) slots: Range<i64>,
    pub(super) value: Option<f64>,
}

pub(super) fn fault(
    service: &'static str,
    signal: &'static str,
    slots: Range<i64>,
    value: impl Into<Option<f64>>,
) -> Fault {
    Fault { service, signal, slots, value: value.into() }
}

/// All that is measured, and what goes wrong with it. `shop/1` is a series of its own of the service `shop`.
#[derive(Debug, Clone)]
pub(super) struct World {
    pub(super) services: &'static [&'static str],
    pub(super) signals: &'static [&'static str],
    pub(super) faults: Vec<Fault>,
}

pub(super) const SIGNALS: &[&str] = &["error_rate", "latency_p95"];

impl World {
    /// One service, `shop`.
    pub(super) fn shop(faults: impl Into<Vec<Fault>>) -> Self {
        Self { services: &["shop"], signals: SIGNALS, faults: faults.into() }
    }

    fn value(&self, service: &str, signal: &str, slot: i64) -> Option<f64> {
        let hits = |fault: &&Fault| {
            fault.service == service && fault.signal == signal && fault.slots.contains(&slot)
        };
        let usual = Some(100.0 + (slot * 7 % 5) as f64);
        self.faults.iter().find(hits).map_or(usual, |fault| fault.value)
    }

    /// The answer of one signal for some slots.
    pub(super) fn batch(&self, signal: &str, slots: Range<i64>) -> Batch {
        let mut batch = Batch::new(SignalName::new(signal));
        for service in self.services {
            let (name, pod) = service.split_once('/').unwrap_or((service, ""));
            let labels = Labels::new([("service", name), ("pod", pod)]);
            let key = SeriesKey::new(SignalName::new(signal), Service::new(name), labels);
            batch.begin_row(Arc::new(key));
            for slot in slots.clone() {
                if let Some(value) = self.value(service, signal, slot) {
                    batch.push(at(slot), value);
                }
            }
        }
        batch
    }
}

#[derive(Debug, Clone)]
pub(super) struct Story {
    pub(super) world: World,
    pub(super) engine: Engine,
    pub(super) effects: Vec<Effect>,
    pub(super) settings: Settings,
}

impl Story {
    pub(super) fn new(world: World, questions_per_incident: u32) -> Self {
        let plan = |signal: &&str| SignalPlan {
            settings: detect::Settings::classic(),
            kind: Kind::of_name(signal),
            step: Duration::from_secs(STEP_S as u64),
            window: Duration::ZERO,
            series_limit: 1000,
            overrides: Vec::new(),
        };
        let settings = Settings {
            signals: world.signals.iter().map(|signal| (SignalName::new(signal), plan(signal))).collect(),
            correlate: correlate::Settings::default(),
            incident: incident::Settings::default(),
            source_lost_after: Duration::from_secs(180),
            questions_per_incident,
        };
        let engine = Engine::new(settings.clone(), Restored::default(), at(0));
        Self { world, engine, effects: Vec::new(), settings }
    }

    /// A world with a full baseline and these faults after it.
    pub(super) fn warm(world: World) -> Self {
        let mut story = Self::new(world, 0);
        story.play(0..WARM);
        story
    }

    /// Slot by slot, every signal.
    pub(super) fn play(&mut self, slots: Range<i64>) {
        for slot in slots {
            self.poll(slot..slot + 1);
        }
    }

    /// Slots at which the poll of every signal fails.
    pub(super) fn fail(&mut self, slots: Range<i64>, failure: Failure) {
        for slot in slots {
            for signal in self.world.signals {
                let (signal, because) = (SignalName::new(signal), "query got no answer: refused".to_owned());
                self.step(slot, Input::PollFailed { signal, slot: at(slot), failure, because });
            }
        }
    }

    /// The log without diagnoses and what goes with them.
    pub(super) fn told(&self) -> Vec<String> {
        let noise = ["captured", "requested", "diagnosed", "not judged"];
        self.log().into_iter().filter(|line| !noise.iter().any(|word| line.starts_with(word))).collect()
    }

    /// One poll of every signal that covers some slots at once.
    pub(super) fn poll(&mut self, slots: Range<i64>) {
        let last = slots.end - 1;
        for signal in self.world.signals {
            let batch = self.world.batch(signal, slots.clone());
            self.step(last, Input::Batch(batch));
            self.step(
                last,
                Input::SlotClosed {
                    signal: SignalName::new(signal),
                    from: at(slots.start),
                    through: at(last),
                    coverage: Coverage::Whole,
                },
            );
        }
    }

    /// Takes an input at the time of a slot, and gives what followed.
    pub(super) fn step(&mut self, slot: i64, input: Input) -> Vec<Effect> {
        let effects = self.engine.step(answered_at(slot), input);
        self.effects.extend(effects.iter().cloned());
        effects
    }

    /// What the store would hold.
    pub(super) fn stored(&self) -> Restored {
        let incidents = rebuilt(&self.effects);
        let (past, open): (Vec<Incident>, Vec<Incident>) =
            incidents.into_iter().partition(Incident::is_resolved);
        let judged = self.world.signals.iter().filter_map(|signal| {
            let signal = SignalName::new(signal);
            // The engine is further than what is stored while a hole goes on.
            let stored = self.effects.iter().rev().find_map(|effect| match effect {
                Effect::Advance { signal: advanced, through } => (*advanced == signal).then_some(*through),
                Effect::Record(_) | Effect::Ask { .. } | Effect::Reply(_) => None,
            });
            Some((signal.clone(), stored.or_else(|| self.engine.judged_through(&signal))?))
        });
        let past = past.iter().map(|incident| PastIncident {
            incident: incident.id,
            subject: incident.subject.clone(),
            opened_at: incident.opened_at,
            signals: incident.members.iter().map(|member| member.key.signal.clone()).collect(),
            cause: None,
            resolved_at: Some(incident.changed_at),
        });
        let told = happenings(&self.effects).filter_map(|happening| match &happening.event {
            Event::System(SystemEvent::SeriesRebased(rebased)) => Some(rebased.directive()),
            _ => None,
        });
        let (past, judged_through, directives) = (past.collect(), judged.collect(), told.collect());
        Restored { open, past, judged_through, directives }
    }

    /// The same world with an engine that starts from what is stored, with an empty log.
    pub(super) fn restart(&self) -> Self {
        self.restart_from(self.stored())
    }

    /// The same world, with an engine that starts from something else.
    pub(super) fn restart_from(&self, restored: Restored) -> Self {
        let engine = Engine::new(self.settings.clone(), restored, at(0));
        Self { world: self.world.clone(), engine, effects: Vec::new(), settings: self.settings.clone() }
    }

    /// What was written down, in words.
    pub(super) fn log(&self) -> Vec<String> {
        happenings(&self.effects).map(words).collect()
    }

    /// The id of the incident that opened as the nth of the story, from 0.
    pub(super) fn id(&self, nth: usize) -> IncidentId {
        rebuilt(&self.effects)[nth].id
    }

    #[track_caller]
    pub(super) fn check(&self, expected: &[&str]) {
        assert_eq!(self.log(), expected);
    }
}

pub(super) fn happenings(effects: &[Effect]) -> impl Iterator<Item = &Happening> {
    effects.iter().filter_map(|effect| match effect {
        Effect::Record(happening) => Some(&**happening),
        Effect::Advance { .. } | Effect::Ask { .. } | Effect::Reply(_) => None,
    })
}

/// The incidents that the written events make, in the order in which they opened.
pub(super) fn rebuilt(effects: &[Effect]) -> Vec<Incident> {
    let mut incidents: Vec<Incident> = Vec::new();
    for happening in happenings(effects) {
        let Stream::Incident(id) = happening.stream else { continue };
        let known = incidents.iter_mut().find(|incident| incident.id == id);
        match (&happening.event, known) {
            (Event::Incident(event), Some(incident)) => incident.apply(happening.at, event),
            (Event::Incident(event), None) => incidents.extend(Incident::from_opening(happening.at, event)),
            (Event::Diagnosed(diagnosis), Some(incident)) => {
                incident.diagnosed(happening.at, diagnosis.revision, diagnosis.standing());
            }
            (Event::Diagnosed(_), None) | (Event::Captured(_) | Event::System(_), _) => {}
        }
    }
    incidents
}

fn words(happening: &Happening) -> String {
    use incident::Event as E;
    match &happening.event {
        Event::Incident(E::Opened { service, member, assessment, .. }) => {
            format!("opened {service} {} {}", member.key.signal, assessment.severity)
        }
        Event::Incident(E::SourceOpened { outage, assessment, .. }) => {
            format!("opened source {} {} {}", outage.signal, outage.silence.as_str(), assessment.severity)
        }
        Event::Incident(E::OutageJoined { outage }) => {
            format!("joined source {} {}", outage.signal, outage.silence.as_str())
        }
        Event::Incident(E::OutageEnded { signal, because, .. }) => {
            format!("ended source {signal} {}", because.as_str())
        }
        Event::Incident(E::Joined { member }) => format!("joined {}", member.key.signal),
        Event::Incident(E::Worsened { .. }) => "worsened".to_owned(),
        Event::Incident(E::MemberEnded { because, .. }) => format!("ended {}", because.as_str()),
        Event::Incident(E::SeverityChanged { assessment }) => format!("severity {}", assessment.severity),
        Event::Incident(E::AnalysisRequested { revision, .. }) => format!("requested {revision}"),
        Event::Incident(E::Resolved { because }) => format!("resolved {}", because.as_str()),
        Event::Diagnosed(diagnosis) => format!("diagnosed {}", diagnosis.revision),
        Event::Captured(series) => format!("captured {}", series.len()),
        Event::System(SystemEvent::SourceDegraded { lost, tracked, .. }) => {
            format!("degraded {lost} of {tracked}")
        }
        Event::System(SystemEvent::SeriesRebased(rebased)) => format!("rebased {}", rebased.key),
        Event::System(SystemEvent::BaselineRestarted { .. }) => "baseline".to_owned(),
        Event::System(SystemEvent::Started { .. }) => "started".to_owned(),
        Event::System(SystemEvent::ConfigReloaded(_)) => "reloaded".to_owned(),
        Event::System(SystemEvent::ReloadFailed { .. }) => "reload failed".to_owned(),
        Event::System(SystemEvent::SignalUnanswered { signal, .. }) => format!("unanswered {signal}"),
        Event::System(SystemEvent::SignalAnswered { signal, .. }) => format!("answered {signal}"),
        Event::System(SystemEvent::StepsNotJudged { signal, from, to, because }) => {
            let slot = |at: &Timestamp| (at.as_millis() - BEGIN_MS) / (STEP_S * 1000);
            format!("not judged {signal} {}..={} {}", slot(from), slot(to), because.as_str())
        }
    }
}
