//! Baselines that begin anew since somebody wants that.

use std::collections::BTreeSet;

use super::reload::reload;
use super::story::{Story, WARM, World, at, fault};
use crate::detect::{NotRebased, SeriesQuery, SeriesState};
use crate::engine::{Command, Effect, Event, Input, Rebase, Rebasing, Reply, Stream, SystemEvent};
use crate::series::{Labels, Service, SignalName};

fn wanted(service: &str, labels: &[(&str, &str)]) -> Rebase {
    Rebase {
        signal: SignalName::new("error_rate"),
        service: Service::new(service),
        labels: Labels::new(labels.iter().copied()),
        by: "ada".to_owned(),
        comment: "moved on purpose".to_owned(),
    }
}

impl Story {
    fn rebase(&mut self, slot: i64, rebase: Rebase) -> Rebasing {
        let mut effects = self.step(slot, Input::Command(Command::Rebase(rebase)));
        match effects.pop() {
            Some(Effect::Reply(Reply::Rebase(rebasing))) => rebasing,
            other => panic!("{other:?}"),
        }
    }
}

/// The shop's errors rise at slot 30 for good.
fn raised() -> World {
    World::shop([fault("shop", "error_rate", 30..10_000, 900.0)])
}

#[test]
fn a_rebase_ends_the_anomaly_at_once_and_says_who_wanted_it_and_why() {
    let mut story = Story::warm(raised());
    story.play(WARM..40);
    story.effects.clear();
    let Rebasing::Done { event, points, needed, ended } = story.rebase(39, wanted("shop", &[])) else {
        panic!("refused")
    };
    assert_eq!((points, needed, ended), (10, 19, Some(at(30))));
    assert_eq!((event.since, event.at), (at(30), at(39)));
    assert_eq!((event.by.as_str(), event.comment.as_str()), ("ada", "moved on purpose"));
    let told = super::story::happenings(&story.effects).next().unwrap();
    assert_eq!(told.stream, Stream::System);
    assert_eq!(told.event, Event::System(SystemEvent::SeriesRebased(*event)));
    assert_eq!(story.told(), ["rebased shop/error_rate", "ended rebased"]);
    story.play(40..80);
    assert_eq!(story.told(), ["rebased shop/error_rate", "ended rebased", "resolved nothing_left"]);
}

#[test]
fn samples_that_were_judged_and_not_told_yet_open_nothing_after_a_rebase() {
    let mut story = Story::warm(raised());
    story.play(WARM..31);
    // The answer of a slot is there, its end is not.
    let batch = story.world.batch("error_rate", 31..34);
    story.step(33, Input::Batch(batch));
    story.effects.clear();
    assert!(matches!(story.rebase(33, wanted("shop", &[])), Rebasing::Done { points: 4, .. }));
    let (from, through) = (at(31), at(33));
    let signal = SignalName::new("error_rate");
    let coverage = crate::engine::Coverage::Whole;
    story.step(33, Input::SlotClosed { signal, from, through, coverage });
    story.play(34..80);
    assert_eq!(story.told(), ["rebased shop/error_rate"]);
}

#[test]
fn a_restart_decides_what_no_restart_would_have_decided_after_a_rebase() {
    // It comes back for a while, which is the odd thing by then.
    let back = [fault("shop", "error_rate", 70..76, 100.0), fault("shop", "error_rate", 30..10_000, 900.0)];
    let mut story = Story::warm(World::shop(back.clone()));
    story.play(WARM..40);
    story.rebase(39, wanted("shop", &[]));
    story.play(40..110);
    assert_eq!(
        story.told().iter().filter(|line| line.starts_with("opened")).count(),
        2,
        "{:?}",
        story.told()
    );
    for cut in 40..110 {
        let mut first = Story::warm(World::shop(back.clone()));
        first.play(WARM..40);
        first.rebase(39, wanted("shop", &[]));
        first.play(40..cut);
        let mut second = first.restart();
        second.poll(0..cut);
        second.play(cut..110);
        let log: Vec<String> = first.log().into_iter().chain(second.log()).collect();
        assert_eq!(log, story.log(), "cut at slot {cut}");
    }
}

#[test]
fn without_what_it_was_told_a_restart_would_find_the_anomaly_again() {
    let mut first = Story::warm(raised());
    first.play(WARM..40);
    first.rebase(39, wanted("shop", &[]));
    first.play(40..45);
    let mut stored = first.stored();
    assert_eq!(stored.directives.len(), 1);
    stored.directives.clear();
    let mut second = first.restart_from(stored);
    second.poll(0..45);
    let is_anomalous = |story: &Story| {
        let signal = SignalName::new("error_rate");
        let state = Some(SeriesState::Anomalous);
        let page = story.engine.page(&SeriesQuery { signal, service: None, state, limit: 1 });
        !page.series.is_empty()
    };
    assert!(is_anomalous(&second), "the test above can fail");
    let mut second = first.restart();
    second.poll(0..45);
    assert!(!is_anomalous(&second));
}

#[test]
fn a_reload_that_reads_history_anew_does_not_undo_a_rebase() {
    let mut story = Story::warm(raised());
    story.play(WARM..60);
    story.rebase(59, wanted("shop", &[]));
    story.effects.clear();
    let settings = story.settings.clone();
    story.step(60, reload(&settings, &["error_rate"]));
    story.poll(0..60);
    story.play(60..90);
    let opened: BTreeSet<String> =
        story.told().into_iter().filter(|line| line.starts_with("opened")).collect();
    assert_eq!(opened, BTreeSet::new());
}

#[test]
fn what_cannot_be_rebased_is_refused_and_changes_nothing() {
    let world = World { services: &["shop/1", "shop/2", "cart"], ..World::shop([]) };
    let mut story = Story::new(world, 0);
    assert_eq!(story.rebase(0, wanted("cart", &[])), Rebasing::HistoryUnread);
    story.play(0..10);
    let warming = NotRebased::Warming { points: 10, needed: 19 };
    assert_eq!(story.rebase(9, wanted("cart", &[])), Rebasing::Refused(warming));
    story.play(10..40);
    assert_eq!(story.rebase(39, wanted("nobody", &[])), Rebasing::Refused(NotRebased::Unknown));
    let Rebasing::Ambiguous(keys) = story.rebase(39, wanted("shop", &[])) else { panic!("one of two") };
    assert_eq!(keys.len(), 2);
    assert_eq!(story.told(), [] as [&str; 0]);
    assert!(matches!(story.rebase(39, wanted("shop", &[("pod", "2")])), Rebasing::Done { ended: None, .. }));
    assert_eq!(story.told().len(), 1);
}
