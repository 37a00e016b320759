//! What holds for every history.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::story::{Fault, SIGNALS, Story, WARM, World, at, rebuilt};
use crate::diagnose::Because;
use crate::engine::{Command, Effect, Event, Failure, Input};
use crate::id::{Fingerprint, IncidentId};
use crate::incident;
use crate::time::Timestamp;

const SERVICES: &[&str] = &["a", "b", "c"];

/// One turn of the story after its baselines are full.
#[derive(Debug, Clone)]
enum Turn {
    Poll { slots: i64 },
    Tick,
    Analyze,
    Answer { revision: u32 },
    Restart,
}

fn faults() -> impl Strategy<Value = Vec<Fault>> {
    let value = prop_oneof![Just(Some(900.0)), Just(Some(125.0)), Just(Some(5.0)), Just(None)];
    let place = (proptest::sample::select(SERVICES), proptest::sample::select(SIGNALS));
    let one = (place, WARM..80_i64, 1..40_i64, value).prop_map(|((service, signal), from, length, value)| {
        Fault { service, signal, slots: from..from + length, value }
    });
    proptest::collection::vec(one, 0..8)
}

fn turns() -> impl Strategy<Value = Vec<Turn>> {
    let turn = prop_oneof![
        8 => (1..9_i64).prop_map(|slots| Turn::Poll { slots }),
        1 => Just(Turn::Tick),
        1 => Just(Turn::Analyze),
        1 => (1..4_u32).prop_map(|revision| Turn::Answer { revision }),
        1 => Just(Turn::Restart),
    ];
    proptest::collection::vec(turn, 10..30)
}

/// Plays the turns; restarts only where the caller wants them.
fn played(faults: &[Fault], turns: &[Turn], restarts: bool) -> Story {
    let world = World { services: SERVICES, signals: SIGNALS, faults: faults.to_vec() };
    let mut story = Story::new(world, 2);
    story.poll(0..WARM);
    let mut slot = WARM;
    for turn in turns {
        let first = story.engine.open_incidents().next().map(|incident| incident.id);
        match (turn, first) {
            (Turn::Poll { slots }, _) => {
                story.poll(slot..slot + slots);
                slot += slots;
            }
            (Turn::Tick, _) => drop(story.step(slot, Input::Tick)),
            (Turn::Analyze, Some(incident)) => {
                story.step(slot, Input::Command(Command::Analyze { incident }));
            }
            (Turn::Answer { revision }, Some(incident)) => {
                let answer = Err(Because::Refused("no".to_owned()));
                story.step(slot, Input::Answered { incident, revision: *revision, answer });
            }
            (Turn::Restart, _) if restarts => {
                let before = std::mem::take(&mut story.effects);
                story.effects = before.clone();
                let mut next = story.restart();
                next.poll(0..slot);
                let after = std::mem::replace(&mut next.effects, before);
                next.effects.extend(after);
                story = next;
            }
            (Turn::Analyze | Turn::Answer { .. }, None) | (Turn::Restart, _) => {}
        }
    }
    story
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn the_same_inputs_give_the_same_effects(faults in faults(), turns in turns()) {
        prop_assert_eq!(played(&faults, &turns, false).effects, played(&faults, &turns, false).effects);
    }

    #[test]
    fn the_events_make_the_state_that_the_engine_has(faults in faults(), turns in turns()) {
        let story = played(&faults, &turns, false);
        for incident in rebuilt(&story.effects) {
            prop_assert_eq!(story.engine.incident(incident.id), Some(&incident));
        }
        prop_assert!(story.engine.open_incidents().all(|open| !open.is_resolved()));
    }

    #[test]
    fn an_id_opens_once_whatever_restarts_there_are(faults in faults(), turns in turns()) {
        let story = played(&faults, &turns, true);
        let mut ids = BTreeSet::new();
        for happening in super::story::happenings(&story.effects) {
            if let Event::Incident(incident::Event::Opened { id, .. }) = &happening.event {
                prop_assert!(ids.insert(*id), "{} opened twice", id);
            }
        }
    }

    #[test]
    fn what_is_written_down_changes_something(faults in faults(), turns in turns()) {
        let story = played(&faults, &turns, false);
        let mut before = Vec::new();
        for (nth, effect) in story.effects.iter().enumerate() {
            if let Effect::Record(happening) = effect
                && let Event::Incident(event) = &happening.event
            {
                let after = rebuilt(&story.effects[..=nth]);
                // The time of the last change alone is no change.
                let timeless = |mut incidents: Vec<incident::Incident>| {
                    incidents.iter_mut().for_each(|incident| incident.changed_at = at(0));
                    incidents
                };
                prop_assert_ne!(timeless(before), timeless(after), "{:?}", event);
            }
            before = rebuilt(&story.effects[..=nth]);
        }
    }

    #[test]
    fn revisions_count_up_by_one_diagnosis_at_a_time(faults in faults(), turns in turns()) {
        let story = played(&faults, &turns, false);
        for incident in rebuilt(&story.effects) {
            let revisions: Vec<u32> = super::story::happenings(&story.effects)
                .filter_map(|happening| match &happening.event {
                    Event::Diagnosed(diagnosis) if diagnosis.incident == incident.id => Some(diagnosis.revision),
                    _ => None,
                })
                .collect();
            prop_assert!(revisions.iter().copied().eq(1..=incident.revisions), "{:?}", revisions);
        }
    }
    #[test]
    fn catching_up_decides_what_polling_in_time_would_have_decided(
        faults in faults(), fails in proptest::collection::vec(0..11_i64, 1..12),
    ) {
        let world = World { services: SERVICES, signals: &SIGNALS[..1], faults };
        let mut in_time = Story::warm(world.clone());
        in_time.play(WARM..150);
        let mut late = Story::warm(world);
        let mut slot = WARM;
        // So many slots fail, then one poll asks for all of them; never so long that the backend counts as lost.
        for failed in fails.iter().cycle() {
            let end = (slot + failed).min(149);
            late.fail(slot..end, Failure::Backend);
            late.poll(slot..end + 1);
            slot = end + 1;
            if slot >= 150 {
                break;
            }
        }
        prop_assert_eq!(decided(&late), decided(&in_time));
    }
}

/// Series, whether they left their band or stopped, and since when.
type Members = BTreeSet<(Fingerprint, bool, Timestamp)>;

/// The ids of the incidents, each with what was in trouble and since when.
fn decided(story: &Story) -> BTreeSet<(IncidentId, Members)> {
    let members = |incident: &incident::Incident| {
        let member = |member: &incident::Member| {
            (member.key.hash, member.trouble.side().is_some(), member.trouble.onset())
        };
        incident.members.iter().map(member).collect()
    };
    rebuilt(&story.effects).iter().map(|incident| (incident.id, members(incident))).collect()
}
