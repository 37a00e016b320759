//! Another config while the engine runs.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;

use super::properties::{SERVICES, faults};
use super::story::{SIGNALS, Story, WARM, World, at, fault, happenings};
use crate::detect::{Kind, Missing, SignalPlan};
use crate::engine::{
    ConfigChange, Effect, Engine, Event, Happening, Input, Reconfiguration, Settings, SystemEvent,
};
use crate::incident::Criticality;
use crate::series::{Service, SignalName};

/// A reload with these settings, in which `asks_anew` have another query.
pub(super) fn reload(settings: &Settings, asks_anew: &[&str]) -> Input {
    Input::Reconfigured(Box::new(Reconfiguration {
        settings: settings.clone(),
        asks_anew: asks_anew.iter().map(|signal| SignalName::new(signal)).collect(),
        first_look: Duration::from_secs(60),
        change: ConfigChange::default(),
    }))
}

/// What was written down, but that a reload was.
fn decisions(effects: &[Effect]) -> Vec<Happening> {
    let is_reload =
        |happening: &&Happening| matches!(happening.event, Event::System(SystemEvent::ConfigReloaded(_)));
    happenings(effects).filter(|happening| !is_reload(happening)).cloned().collect()
}

fn advances(effects: &[Effect]) -> Vec<&Effect> {
    effects.iter().filter(|effect| matches!(effect, Effect::Advance { .. })).collect()
}

fn change(settings: &mut Settings, signal: &str, change: impl FnOnce(&mut SignalPlan)) {
    let plan = settings.signals.iter_mut().find(|(name, _)| name.as_str() == signal);
    change(&mut plan.unwrap().1);
}

/// Errors of the shop are high from slot 30 on; the incident is open at slot 40.
fn open() -> Story {
    let mut story = Story::warm(World::shop([fault("shop", "error_rate", 30..200, 900.0)]));
    story.play(WARM..40);
    assert_eq!(story.engine.open_incidents().count(), 1);
    story.effects.clear();
    story
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_reload_of_the_same_config_changes_no_later_decision(
        faults in faults(), cuts in proptest::collection::btree_set(WARM..110_i64, 0..20),
    ) {
        let world = World { services: SERVICES, signals: SIGNALS, faults };
        let mut plain = Story::new(world.clone(), 2);
        plain.play(0..110);
        let mut reloaded = Story::new(world, 2);
        let settings = reloaded.settings.clone();
        for slot in 0..110 {
            if cuts.contains(&slot) {
                reloaded.step(slot - 1, reload(&settings, &[]));
            }
            reloaded.play(slot..slot + 1);
        }
        prop_assert_eq!(decisions(&plain.effects), decisions(&reloaded.effects));
        prop_assert_eq!(advances(&plain.effects), advances(&reloaded.effects));
    }

    #[test]
    fn a_reload_twice_is_a_reload_once(
        faults in faults(), cut in WARM..100_i64, sigma in 1.0..10.0_f64, lost_after in 0..4_u64,
        keeps in proptest::collection::btree_set(0..3_usize, 1..3), anew in any::<bool>(), long in any::<bool>(),
    ) {
        let world = World { services: SERVICES, signals: SIGNALS, faults };
        let mut once = Story::new(world, 2);
        once.play(0..cut);
        let mut settings = once.settings.clone();
        settings.signals = keeps.iter().filter_map(|place| settings.signals.get(*place).cloned()).collect();
        for (_, plan) in &mut settings.signals {
            plan.settings.sigma = sigma;
            plan.settings.baseline_points = if long { 30 } else { 19 };
            plan.settings.missing = match lost_after {
                0 => Missing::Ignore,
                minutes => Missing::Alert { after: Duration::from_secs(60 * minutes) },
            };
        }
        let input = reload(&settings, if anew { &["error_rate"] } else { &[] });
        let mut twice = once.clone();
        for _ in 0..2 {
            twice.step(cut, input.clone());
        }
        once.step(cut, input);
        for story in [&mut once, &mut twice] {
            story.poll(0..cut + 1);
            story.play(cut + 1..cut + 30);
        }
        prop_assert_eq!(decisions(&once.effects), decisions(&twice.effects));
        prop_assert_eq!(advances(&once.effects), advances(&twice.effects));
    }

    #[test]
    fn no_reload_judges_a_step_twice_or_opens_an_id_twice(
        faults in faults(), cuts in proptest::collection::btree_map(WARM..110_i64, 0..4_usize, 0..12),
    ) {
        let world = World { services: SERVICES, signals: SIGNALS, faults };
        let mut story = Story::new(world, 2);
        let whole = story.settings.clone();
        for slot in 0..110 {
            if let Some(which) = cuts.get(&slot) {
                let mut settings = whole.clone();
                if *which < 2 {
                    settings.signals.remove(*which);
                }
                story.step(slot - 1, reload(&settings, if *which == 3 { &["latency_p95"] } else { &[] }));
                story.poll(0..slot);
            }
            story.play(slot..slot + 1);
        }
        let mut ids = BTreeSet::new();
        for happening in happenings(&story.effects) {
            if let Event::Incident(crate::incident::Event::Opened { id, .. }) = &happening.event {
                prop_assert!(ids.insert(*id), "{} opened twice", id);
            }
        }
        for signal in SIGNALS {
            let through: Vec<_> = story.effects.iter().filter_map(|effect| match effect {
                Effect::Advance { signal: of, through } if of.as_str() == *signal => Some(*through),
                _ => None,
            }).collect();
            prop_assert!(through.windows(2).all(|pair| pair[0] < pair[1]), "{:?}", through);
        }
    }
}

#[test]
fn a_signal_that_is_removed_ends_its_members_without_a_recovery() {
    let mut story = open();
    let mut settings = story.settings.clone();
    settings.signals.retain(|(signal, _)| signal.as_str() != "error_rate");
    story.step(40, reload(&settings, &[]));
    story.check(&["reloaded", "ended unwatched"]);
    story.play(40..60);
    story.check(&["reloaded", "ended unwatched", "resolved nothing_left"]);
    assert_eq!(story.engine.tallies().len(), 1);
}

#[test]
fn a_signal_that_went_while_the_agent_was_down_ends_its_members_too() {
    let mut story = Story::warm(World::shop([fault("shop", "error_rate", 30..200, 900.0)]));
    story.play(WARM..40);
    let mut settings = story.settings.clone();
    settings.signals.retain(|(signal, _)| signal.as_str() != "error_rate");
    let mut next = story.restart();
    next.engine = Engine::new(settings, story.stored(), at(0));
    next.play(40..60);
    next.check(&["ended unwatched", "resolved nothing_left"]);
}

#[test]
fn a_member_that_is_not_watched_any_more_ends_with_its_last_anomalous_sample() {
    let mut story = open();
    let mut settings = story.settings.clone();
    settings.signals.clear();
    story.step(40, reload(&settings, &[]));
    let incident = story.engine.open_incidents().next().unwrap();
    assert_eq!(incident.last_active(at(1000)), at(39));
}

#[test]
fn a_signal_that_comes_back_while_it_is_still_in_trouble_joins_its_incident_again() {
    let mut story = open();
    let whole = story.settings.clone();
    let mut settings = whole.clone();
    settings.signals.retain(|(signal, _)| signal.as_str() != "error_rate");
    story.step(40, reload(&settings, &[]));
    story.step(41, reload(&whole, &[]));
    story.poll(0..43);
    let log = story.log();
    assert_eq!(log[..4], ["reloaded", "ended unwatched", "reloaded", "joined error_rate"], "{log:?}");
    assert_eq!(story.engine.open_incidents().count(), 1);
}

#[test]
fn another_query_ends_what_the_old_one_showed_and_reads_its_own_history() {
    let mut story = open();
    let settings = story.settings.clone();
    story.world.faults.clear();
    story.step(40, reload(&settings, &["error_rate"]));
    story.poll(0..40);
    story.play(40..60);
    story.check(&["reloaded", "ended unwatched", "resolved nothing_left"]);
}

#[test]
fn the_past_of_a_new_signal_only_teaches() {
    let world = World::shop([
        fault("shop", "latency_p95", 33..36, 900.0),
        fault("shop", "latency_p95", 50..60, 900.0),
    ]);
    let mut story = Story::new(world, 0);
    let whole = story.settings.clone();
    let mut settings = whole.clone();
    settings.signals.retain(|(signal, _)| signal.as_str() == "error_rate");
    story.step(0, reload(&settings, &[]));
    story.play(0..45);
    story.step(44, reload(&whole, &[]));
    story.poll(0..46);
    story.play(46..54);
    let log = story.log();
    assert_eq!(log[..3], ["reloaded", "reloaded", "opened shop latency_p95 P2"], "{log:?}");
}

#[test]
fn a_longer_baseline_is_read_again_and_the_incident_goes_on() {
    let mut story = open();
    let mut settings = story.settings.clone();
    change(&mut settings, "error_rate", |plan| plan.settings.baseline_points = 25);
    story.step(40, reload(&settings, &[]));
    story.poll(0..40);
    story.play(40..44);
    story.check(&["reloaded"]);
    assert_eq!(story.engine.open_incidents().count(), 1);
}

#[test]
fn a_threshold_acts_from_the_next_sample_on_with_the_baseline_that_was_learnt() {
    let faults = [fault("shop", "error_rate", 40..60, 125.0)];
    let wide =
        |settings: &mut Settings, sigma| change(settings, "error_rate", |plan| plan.settings.sigma = sigma);
    for (sigma, opens) in [(3.0, true), (10.0, true), (100.0, false)] {
        let mut story = Story::warm(World::shop(faults.clone()));
        story.play(WARM..40);
        let mut settings = story.settings.clone();
        wide(&mut settings, sigma);
        story.step(39, reload(&settings, &[]));
        story.play(40..48);
        assert_eq!(story.log().iter().any(|line| line.starts_with("opened")), opens, "sigma {sigma}");
    }
}

#[test]
fn a_loss_ends_where_series_may_stop_from_now_on_and_stays_where_one_only_waits_longer() {
    let gone = World::shop([fault("shop", "error_rate", 35..10_000, None)]);
    let lost = || {
        let mut story = Story::warm(World { services: &["shop", "cart"], ..gone.clone() });
        story.play(WARM..60);
        assert_eq!(story.log()[0], "opened shop error_rate P2");
        story.effects.clear();
        story
    };
    let rule = |story: &Story, missing| {
        let mut settings = story.settings.clone();
        change(&mut settings, "error_rate", |plan| plan.settings.missing = missing);
        settings
    };
    let mut story = lost();
    let settings = rule(&story, Missing::Ignore);
    story.step(60, reload(&settings, &[]));
    story.play(60..200);
    story.check(&["reloaded", "ended unwatched", "resolved nothing_left"]);

    // What was held to be lost stays so until it is there again, however long one waits from now on.
    for minutes in [1, 10] {
        let mut story = lost();
        let settings = rule(&story, Missing::Alert { after: Duration::from_secs(60 * minutes) });
        story.step(60, reload(&settings, &[]));
        story.play(60..120);
        story.check(&["reloaded"]);
    }
}

#[test]
fn another_criticality_acts_on_open_incidents_at_once() {
    let mut story = open();
    let mut settings = story.settings.clone();
    settings.incident.criticality.insert(Service::new("shop"), Criticality::Critical);
    story.step(40, reload(&settings, &[]));
    let log = story.log();
    assert!(log.len() == 2 && log[1].starts_with("severity "), "{log:?}");
}

#[test]
fn a_refused_config_is_written_down_and_changes_nothing() {
    let mut story = open();
    let (hash, because) = ("ab".to_owned(), "no".to_owned());
    story.step(40, Input::ReloadFailed { config_hash: hash, because });
    story.check(&["reload failed"]);
    story.play(40..50);
    story.check(&["reload failed"]);
}

#[test]
fn kinds_apply_to_what_is_found_from_now_on() {
    let mut story = Story::warm(World::shop([fault("shop", "error_rate", 40..60, 900.0)]));
    story.play(WARM..40);
    let mut settings = story.settings.clone();
    change(&mut settings, "error_rate", |plan| plan.kind = Kind::Cpu);
    story.step(39, reload(&settings, &[]));
    story.play(40..48);
    assert_eq!(story.engine.open_incidents().next().unwrap().members[0].kind, Kind::Cpu);
}
