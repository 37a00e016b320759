//! Series that stop: a service that is gone, or a source that is broken.

use super::story::{Fault, Story, WARM, World, at, fault, rebuilt};
use crate::diagnose::Cause;
use crate::engine::{Coverage, Effect, Event, Failure, Input, SourceStanding};
use crate::series::SignalName;

const SERVICES: &[&str] = &["a", "b", "c", "d", "e"];

fn gone(services: &[&'static str], slots: std::ops::Range<i64>) -> Vec<Fault> {
    services.iter().map(|service| fault(service, "error_rate", slots.clone(), None)).collect()
}

fn world(services: &'static [&'static str], faults: Vec<Fault>) -> World {
    World { services, signals: &["error_rate"], faults }
}

fn told(services: &'static [&'static str], faults: Vec<Fault>, until: i64) -> Vec<String> {
    let mut story = Story::warm(world(services, faults));
    story.play(WARM..until);
    story.told()
}

const STOPPED: [&str; 3] =
    ["opened source error_rate stopped P2", "ended source error_rate returned", "resolved recovered"];

// ---- Series that stop -------------------------------------------------------------------------------------

#[test]
fn a_lost_series_opens_an_incident_that_resolves_after_its_return() {
    let log = told(SERVICES, gone(&["c"], 30..70), 100);
    assert_eq!(log, ["opened c error_rate P2", "ended returned", "resolved recovered"]);
}

#[test]
fn losing_most_series_is_one_incident_about_the_source() {
    assert_eq!(told(SERVICES, gone(&["a", "b", "c", "d"], 30..70), 100), STOPPED);
    assert_eq!(told(SERVICES, gone(SERVICES, 30..300), 300), STOPPED[..1]);
}

#[test]
fn what_is_still_gone_when_the_rest_returns_opens_an_incident_then() {
    let faults = [gone(&["a", "b", "c"], 30..70), gone(&["d"], 30..200)].concat();
    let mut story = Story::warm(world(SERVICES, faults));
    story.play(WARM..100);
    let log = story.told();
    assert_eq!(log[..2], STOPPED[..2]);
    assert!(log.contains(&"opened d error_rate P2".to_owned()), "{log:?}");
    let own = rebuilt(&story.effects).into_iter().find(|incident| incident.subject.service().is_some());
    assert_eq!(own.unwrap().onset(), at(29));
}

#[test]
fn all_that_one_service_has_is_that_service_and_not_the_source() {
    let pods: &[&str] = &["shop/1", "shop/2", "shop/3", "shop/4", "cart"];
    assert_eq!(told(pods, gone(&pods[..4], 30..200), 100)[0], "opened shop error_rate P2");
}

#[test]
fn a_source_that_breaks_twice_is_told_twice() {
    let faults = [gone(SERVICES, 30..70), gone(SERVICES, 100..140)].concat();
    assert_eq!(told(SERVICES, faults, 170), [STOPPED, STOPPED].concat());
}

#[test]
fn series_that_cross_the_limit_in_different_slots_open_no_service_incident_first() {
    let one_by_one = SERVICES.iter().zip(30..).flat_map(|(service, first)| gone(&[*service], first..120));
    assert_eq!(told(SERVICES, one_by_one.collect(), 100), STOPPED[..1]);
}

#[test]
fn a_signal_with_few_series_is_lost_with_the_others() {
    let both = |service| ["error_rate", "latency_p95"].map(|signal| fault(service, signal, 30..70, None));
    let signals = &["error_rate", "latency_p95"];
    let world = World { services: &["a", "b"], signals, faults: ["a", "b"].map(both).concat() };
    let mut story = Story::warm(world);
    story.play(WARM..100);
    let log = story.told();
    assert_eq!(log.iter().filter(|line| line.starts_with("opened")).count(), 1, "{log:?}");
    assert!(log[0].starts_with("opened source") && log.last().unwrap() == "resolved recovered", "{log:?}");
}

#[test]
fn after_a_restart_a_loss_that_goes_on_is_not_told_again_and_its_end_is() {
    let mut first = Story::warm(world(SERVICES, gone(SERVICES, 30..90)));
    first.play(WARM..60);
    assert_eq!(first.told(), STOPPED[..1]);
    for history in [0, 45] {
        let mut second = first.restart();
        second.poll(history..60);
        second.play(60..120);
        assert_eq!(second.told(), STOPPED[1..], "history from slot {history}");
    }
}

// ---- A backend that does not answer -----------------------------------------------------------------------

#[test]
fn a_lost_backend_is_one_incident_that_resolves_when_it_answers_again() {
    let mut story = Story::warm(World { services: SERVICES, ..World::shop([]) });
    story.fail(30..70, Failure::Backend);
    assert_eq!(story.engine.source_standing(), SourceStanding::Lost { since: at(30) });
    story.poll(30..70);
    assert_eq!(story.engine.source_standing(), SourceStanding::Answering);
    story.play(70..90);
    let log = story.told();
    let expected = [
        "opened source error_rate unanswered P1",
        "joined source latency_p95 unanswered",
        "ended source error_rate returned",
        "ended source latency_p95 returned",
        "resolved recovered",
    ];
    assert_eq!(log, expected);
    assert_eq!(rebuilt(&story.effects)[0].onset(), at(30));
}

#[test]
fn a_short_failure_is_no_loss() {
    let mut story = Story::warm(World::shop([]));
    story.fail(30..42, Failure::Backend);
    assert_eq!(story.engine.source_standing(), SourceStanding::Failing { since: at(30) });
    story.poll(30..42);
    story.check(&[]);
}

#[test]
fn a_backend_that_flaps_opens_one_incident() {
    let mut story = Story::warm(World::shop([]));
    let mut slot = WARM;
    for _ in 0..20 {
        story.fail(slot..slot + 16, Failure::Backend);
        story.poll(slot..slot + 17);
        slot += 17;
    }
    story.play(slot..slot + 20);
    let log = story.told();
    assert_eq!(log.iter().filter(|line| line.starts_with("opened")).count(), 1, "{log:?}");
    assert_eq!(log.len(), 5, "{log:?}");
}

#[test]
fn a_query_that_is_refused_is_told_once_and_is_no_lost_backend() {
    let mut story = Story::warm(World::shop([]));
    let signal = SignalName::new("error_rate");
    for slot in 30..60 {
        let (signal, because) = (signal.clone(), "was refused with status 400".to_owned());
        let failure = Failure::Query;
        story.step(slot, Input::PollFailed { signal, slot: at(slot), failure, because });
    }
    story.check(&["unanswered error_rate"]);
    story.poll(60..61);
    assert_eq!(story.told(), ["unanswered error_rate", "answered error_rate"]);
}

#[test]
fn the_incident_of_a_lost_backend_has_hypotheses_of_its_own() {
    let mut story = Story::warm(World::shop([]));
    story.fail(30..50, Failure::Backend);
    let diagnosed = story.effects.iter().find_map(|effect| match effect {
        Effect::Record(happening) => match &happening.event {
            Event::Diagnosed(diagnosis) => Some(diagnosis.clone()),
            Event::Incident(_) | Event::Captured(_) | Event::System(_) => None,
        },
        Effect::Advance { .. } | Effect::Ask { .. } | Effect::Reply(_) => None,
    });
    let diagnosis = diagnosed.unwrap();
    let first = &diagnosis.hypotheses[0];
    assert_eq!((first.cause, &first.service), (Cause::Backend, &None));
    assert_eq!(first.title, "The backend can't be reached");
    assert!(diagnosis.cited.iter().any(|cited| cited.says.contains("got no answer")), "{diagnosis:?}");
}

// ---- Parts of answers -------------------------------------------------------------------------------------

#[test]
fn what_is_missing_in_a_part_of_an_answer_is_not_lost() {
    let mut story = Story::warm(world(SERVICES, gone(&["c"], 30..80)));
    for slot in 30..80 {
        let signal = SignalName::new("error_rate");
        story.step(slot, Input::Batch(story.world.batch("error_rate", slot..slot + 1)));
        let coverage = Coverage::Partial { because: "a node is down".to_owned() };
        story.step(slot, Input::SlotClosed { signal, from: at(slot), through: at(slot), coverage });
    }
    story.play(80..100);
    story.check(&[]);
}

#[test]
fn silence_in_steps_that_nobody_asked_for_is_no_loss() {
    let mut story = Story::warm(world(SERVICES, Vec::new()));
    for slot in [90, 91, 92, 160] {
        story.poll(slot..slot + 1);
    }
    story.check(&["not judged error_rate 30..=89 not_asked", "not judged error_rate 93..=159 not_asked"]);
    // One that is not there afterwards is lost all the same.
    story.world.faults = gone(&["c"], 161..300);
    story.play(200..230);
    assert!(story.told().contains(&"opened c error_rate P2".to_owned()), "{:?}", story.told());
}

// ---- Steps that nobody judged -----------------------------------------------------------------------------

#[test]
fn every_step_is_judged_or_told_of() {
    let mut story = Story::warm(world(SERVICES, gone(SERVICES, 40..70)));
    story.play(WARM..50);
    story.play(60..80);
    story.step(80, Input::SourceGap { from: at(82), to: at(84) });
    story.play(80..90);
    let mut told = std::collections::BTreeSet::new();
    let mut through = at(0);
    for effect in &story.effects {
        match effect {
            Effect::Advance { through: advanced, .. } => through = *advanced,
            Effect::Record(happening) => {
                if let Event::System(crate::engine::SystemEvent::StepsNotJudged { from, to, .. }) =
                    &happening.event
                {
                    let slots = (WARM..200).filter(|slot| (*from..=*to).contains(&at(*slot)));
                    assert!(slots.into_iter().all(|slot| told.insert(slot)), "told twice");
                }
            }
            Effect::Ask { .. } | Effect::Reply(_) => {}
        }
        // Whatever is stored at this moment has no hole that is not told.
        let untold = (40..70).filter(|slot| at(*slot) <= through && !told.contains(slot)).count();
        assert_eq!(untold, 0, "up to {through}");
    }
    let expected: std::collections::BTreeSet<i64> = (40..70).chain(82..85).collect();
    assert_eq!((told, through), (expected, at(89)));
    let lines = story.log().iter().filter(|line| line.starts_with("not judged")).count();
    assert!(lines < 15, "{lines} events");
}
