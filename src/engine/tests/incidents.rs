//! From an anomaly to an incident and to its end.

use super::story::{Story, WARM, World, at, fault};
use crate::correlate::CallGraph;
use crate::diagnose::Diagnosis;
use crate::engine::{Coverage, Effect, Engine, Event, Failure, Input, Restored};
use crate::incident::Phase;
use crate::series::{Service, SignalName};

#[test]
fn an_anomaly_opens_an_incident_that_is_captured_and_diagnosed_at_once() {
    let mut story = Story::warm(World::shop([fault("shop", "error_rate", 30..40, 300.0)]));
    story.check(&[]);
    story.play(WARM..33);
    story.check(&["opened shop error_rate P2", "captured 2", "requested 1", "diagnosed 1"]);
}

#[test]
fn a_second_signal_joins_and_raises_severity_and_is_diagnosed_anew() {
    let faults = [fault("shop", "error_rate", 30..50, 900.0), fault("shop", "latency_p95", 34..50, 900.0)];
    let mut story = Story::warm(World::shop(faults));
    story.play(WARM..34);
    let opened = story.log().len();
    story.play(34..45);
    let log = story.log();
    assert_eq!(log[opened..], ["joined latency_p95", "severity P1", "requested 2", "diagnosed 2"]);
}

#[test]
fn what_joins_in_one_slot_is_diagnosed_once() {
    let pods: &[&str] = &["shop/1", "shop/2", "shop/3"];
    let faults: Vec<_> = pods.iter().map(|pod| fault(pod, "error_rate", 30..50, 900.0)).collect();
    let mut story = Story::warm(World { services: pods, signals: &["error_rate"], faults });
    story.play(WARM..35);
    story.check(&[
        "opened shop error_rate P2",
        "captured 3",
        "joined error_rate",
        "joined error_rate",
        "requested 1",
        "diagnosed 1",
    ]);
}

#[test]
fn another_service_opens_its_own_incident() {
    let faults = [fault("shop", "error_rate", 30..50, 900.0), fault("cart", "error_rate", 30..50, 900.0)];
    let mut story = Story::warm(World { services: &["shop", "cart", "mail"], ..World::shop(faults) });
    story.play(WARM..35);
    let mut opened: Vec<_> = story.log().into_iter().filter(|line| line.starts_with("opened")).collect();
    opened.sort();
    assert_eq!(opened, ["opened cart error_rate P2", "opened shop error_rate P2"]);
    assert_ne!(story.id(0), story.id(1));
}

#[test]
fn trouble_of_a_service_that_is_called_has_its_callers_diagnosed_anew() {
    let faults = [fault("shop", "error_rate", 30..50, 900.0), fault("cart", "error_rate", 33..50, 900.0)];
    let world = World { services: &["shop", "cart", "mail"], ..World::shop(faults) };
    let play = |calls: &[(&str, &str)]| {
        let mut story = Story::new(world.clone(), 0);
        let calls = calls.iter().map(|(from, to)| (Service::new(from), Service::new(to)));
        story.settings.correlate.calls = CallGraph::new(calls);
        story.engine = Engine::new(story.settings.clone(), Restored::default(), at(0));
        story.play(0..40);
        let shop = story.id(0);
        let diagnoses = story.effects.iter().filter_map(|effect| match effect {
            Effect::Record(happening) => match &happening.event {
                Event::Diagnosed(diagnosis) if diagnosis.incident == shop => Some(diagnosis.clone()),
                _ => None,
            },
            _ => None,
        });
        diagnoses.collect::<Vec<_>>()
    };
    let named = |diagnosis: &Diagnosis| diagnosis.hypotheses[0].service.clone();

    let linked = play(&[("shop", "cart")]);
    assert_eq!(linked.len(), 2, "{linked:#?}");
    assert_eq!(named(&linked[0]), Some(Service::new("shop")), "nothing is known of the cart yet");
    assert_eq!(named(&linked[1]), Some(Service::new("cart")), "{:#?}", linked[1]);

    let others = play(&[("shop", "mail"), ("cart", "shop")]);
    assert_eq!(others.len(), 1, "a caller's trouble explains nothing: {others:#?}");
    assert_eq!(others, play(&[]));
}

#[test]
fn it_resolves_when_its_series_have_been_well_for_the_hold() {
    let mut story = Story::warm(World::shop([fault("shop", "error_rate", 30..34, 900.0)]));
    story.play(WARM..60);
    let end = story.log().split_off(4);
    assert_eq!(end, ["ended recovered", "resolved recovered"]);
    let incident = story.engine.incident(story.id(0)).unwrap();
    let Phase::Resolved { at: resolved, .. } = incident.phase else { panic!("{:?}", incident.phase) };
    // The last sample outside was that of slot 33, and the hold is two minutes.
    assert_eq!(resolved.since(at(33)).as_secs(), 125);
    assert_eq!(story.engine.open_incidents().count(), 0);
}

#[test]
fn an_anomaly_that_opens_and_clears_within_one_slot_is_told_and_resolved() {
    let mut story = Story::warm(World::shop([fault("shop", "error_rate", 31..34, 900.0)]));
    story.poll(WARM..60);
    story.check(&[
        "opened shop error_rate P2",
        "captured 2",
        "ended recovered",
        "requested 1",
        "diagnosed 1",
        "resolved recovered",
    ]);
}

#[test]
fn an_incident_does_not_resolve_while_its_signal_is_not_answered() {
    let mut story = Story::warm(World::shop([fault("shop", "error_rate", 30..41, 900.0)]));
    story.play(WARM..46);
    story.fail(46..100, Failure::Backend);
    assert!(
        story.engine.open_incidents().any(|incident| incident.subject.service().is_some()),
        "silence is no recovery"
    );
    story.poll(46..101);
    story.play(101..140);
    assert_eq!(story.engine.open_incidents().count(), 0, "what was caught up shows that it is over");
}

#[test]
fn a_failed_poll_changes_nothing() {
    let mut story = Story::warm(World::shop([fault("shop", "error_rate", 30..200, 900.0)]));
    story.play(WARM..35);
    let before = story.engine.open_incidents().cloned().collect::<Vec<_>>();
    let failed = Input::PollFailed {
        signal: SignalName::new("error_rate"),
        slot: at(35),
        failure: Failure::Query,
        because: "timeout".to_owned(),
    };
    for slot in 35..100 {
        assert_eq!(story.step(slot, failed.clone()), []);
    }
    assert!(story.engine.open_incidents().eq(&before), "an incident changed by a poll that failed");
}

#[test]
fn time_alone_changes_nothing_while_a_series_is_in_trouble() {
    let mut story = Story::warm(World::shop([fault("shop", "error_rate", 30..200, 900.0)]));
    story.play(WARM..35);
    for slot in 35..10_000 {
        assert_eq!(story.step(slot, Input::Tick), []);
    }
}

#[test]
fn a_step_is_advanced_once_and_never_back() {
    let mut story = Story::warm(World::shop([]));
    let signal = SignalName::new("error_rate");
    let mut advanced = |through: i64| {
        let (signal, from) = (signal.clone(), at(through));
        let closed = Input::SlotClosed { signal, from, through: at(through), coverage: Coverage::Whole };
        let effects = story.step(40, closed);
        effects.iter().filter(|effect| matches!(effect, Effect::Advance { .. })).count()
    };
    assert_eq!([WARM, WARM, WARM - 5, WARM + 1].map(&mut advanced), [1, 0, 0, 1]);
    assert_eq!(story.engine.judged_through(&signal), Some(at(WARM + 1)));
}

#[test]
fn trouble_that_returns_within_the_hold_is_the_same_incident_and_after_it_another() {
    let again = |from: i64| {
        let faults =
            [fault("shop", "error_rate", 30..33, 900.0), fault("shop", "error_rate", from..from + 3, 900.0)];
        let mut story = Story::warm(World::shop(faults));
        story.play(WARM..from + 20);
        story.log().iter().filter(|line| line.starts_with("opened")).count()
    };
    assert_eq!((again(38), again(60)), (1, 2));
}

#[test]
fn a_second_trouble_of_one_series_leaves_the_course_of_the_first_as_it_was() {
    let faults = [fault("shop", "error_rate", 30..33, 300.0), fault("shop", "error_rate", 38..50, 5000.0)];
    let mut story = Story::warm(World::shop(faults));
    story.play(WARM..45);
    let incident = story.engine.open_incidents().next().unwrap();
    let peaks: Vec<f64> = incident
        .members
        .iter()
        .map(|member| match member.trouble {
            crate::incident::Trouble::Deviation(anomaly) => anomaly.peak_value,
            crate::incident::Trouble::Lost { .. } => 0.0,
        })
        .collect();
    assert_eq!(peaks, [300.0, 5000.0]);
}
