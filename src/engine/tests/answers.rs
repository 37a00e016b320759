//! Questions to a model, and what becomes of the answers.

use super::story::{Story, WARM, World, answered_at, fault};
use crate::diagnose::{Author, Because, Cause, Diagnosis, Hypothesis};
use crate::engine::{Answer, Command, Effect, Event, Input, Reply};
use crate::id::{Fingerprint, IncidentId};
use crate::series::Service;

fn story(questions_per_incident: u32) -> Story {
    let faults = [
        fault("shop", "error_rate", 30..40, 900.0),
        fault("shop", "latency_p95", 34..40, 900.0),
        fault("shop", "latency_p95", 46..50, 900.0),
    ];
    let mut story = Story::new(World::shop(faults), questions_per_incident);
    story.play(0..33);
    story
}

fn asked(effects: &[Effect]) -> Vec<u32> {
    let revision = |effect: &Effect| match effect {
        Effect::Ask { revision, .. } => Some(*revision),
        Effect::Record(_) | Effect::Advance { .. } | Effect::Reply(_) => None,
    };
    effects.iter().filter_map(revision).collect()
}

fn answer(story: &mut Story, slot: i64, revision: u32, answer: Result<&str, Because>) -> Vec<Diagnosis> {
    let hypothesis = |title: &str| Hypothesis {
        cause: Cause::Memory,
        service: Some(Service::new("shop")),
        signal: None,
        title: title.to_owned(),
        text: "Because.".to_owned(),
        score: None,
        contributions: Vec::new(),
        evidence: Vec::new(),
    };
    let understood = |title| Answer {
        model: "m".to_owned(),
        from_cache: false,
        hypotheses: vec![hypothesis(title)],
        cited: Vec::new(),
    };
    let incident = story.id(0);
    let input = Input::Answered { incident, revision, answer: answer.map(understood) };
    diagnoses(&story.step(slot, input))
}

fn diagnoses(effects: &[Effect]) -> Vec<Diagnosis> {
    super::story::happenings(effects)
        .filter_map(|happening| match &happening.event {
            Event::Diagnosed(diagnosis) => Some(diagnosis.clone()),
            Event::Incident(_) | Event::Captured(_) | Event::System(_) => None,
        })
        .collect()
}

fn analyze(story: &mut Story, slot: i64, incident: IncidentId) -> Vec<Effect> {
    story.step(slot, Input::Command(Command::Analyze { incident }))
}

#[test]
fn without_a_model_nothing_is_asked_and_the_author_says_so() {
    let story = story(0);
    assert_eq!(asked(&story.effects), [] as [u32; 0]);
    let author = Author::Heuristics { because: Because::ModelOff };
    assert_eq!(diagnoses(&story.effects)[0].author, author);
}

#[test]
fn an_answer_is_the_next_revision_and_counts_once() {
    let mut story = story(3);
    assert_eq!(asked(&story.effects), [1]);
    assert_eq!(diagnoses(&story.effects)[0].author, Author::Heuristics { because: Because::ModelPending });
    let given = answer(&mut story, 33, 1, Ok("a leak"));
    assert_eq!((given.len(), given[0].revision, given[0].hypotheses[0].title.as_str()), (1, 2, "a leak"));
    assert_eq!(answer(&mut story, 33, 1, Ok("again")), []);
}

#[test]
fn an_answer_to_a_question_that_a_newer_one_replaced_is_dropped() {
    let mut story = story(3);
    story.play(33..38);
    assert_eq!(asked(&story.effects), [1, 2]);
    assert_eq!(answer(&mut story, 38, 1, Ok("old")), []);
    assert_eq!(answer(&mut story, 38, 2, Ok("new"))[0].revision, 3);
}

#[test]
fn a_failed_question_gives_heuristics_with_the_reason() {
    let mut story = story(1);
    let because = Because::Timeout("no answer within 20s".to_owned());
    let given = answer(&mut story, 33, 1, Err(because.clone()));
    assert_eq!(given[0].author, Author::Heuristics { because });
    assert_eq!(given[0].hypotheses[0].cause, Cause::Failure);
}

#[test]
fn the_pipeline_asks_so_often_and_no_more_but_a_person_may() {
    let mut story = story(1);
    story.play(33..38);
    assert_eq!(
        asked(&story.effects),
        [1],
        "the second signal brings a second diagnosis, but no second question"
    );
    let last = diagnoses(&story.effects).pop().unwrap();
    assert_eq!((last.revision, last.author), (2, Author::Heuristics { because: Because::QuestionsUsed }));
    let id = story.id(0);
    for revision in 3..8 {
        let effects = analyze(&mut story, 38, id);
        assert_eq!(asked(&effects), [revision]);
        assert!(effects.contains(&Effect::Reply(Reply::Analyzing { revision })));
    }
}

#[test]
fn a_late_answer_to_a_resolved_incident_is_written_down_and_opens_nothing() {
    let mut story = story(1);
    story.play(33..46);
    story.world.faults.truncate(2);
    story.play(46..70);
    let id = story.id(0);
    assert!(story.engine.incident(id).unwrap().is_resolved());
    assert_eq!(answer(&mut story, 70, 1, Ok("late")).len(), 1);
    assert!(story.engine.incident(id).unwrap().is_resolved());
    assert_eq!(story.engine.open_incidents().count(), 0);
    analyze(&mut story, 70, id);
    assert!(story.engine.incident(id).unwrap().is_resolved());
}

#[test]
fn an_incident_that_nobody_knows_is_said_to_be_unknown() {
    let mut story = story(1);
    let nobody = IncidentId::derive(Fingerprint::of(&[b"nobody"]), 0);
    assert_eq!(analyze(&mut story, 33, nobody), [Effect::Reply(Reply::UnknownIncident)]);
    let input = Input::Answered { incident: nobody, revision: 1, answer: Err(Because::ModelOff) };
    assert_eq!(story.step(33, input), []);
}

#[test]
fn a_question_that_was_out_at_a_restart_is_asked_again() {
    let first = story(1);
    let mut second = first.restart();
    second.poll(0..33);
    assert_eq!(asked(&second.effects), [2]);
    assert_eq!(diagnoses(&second.effects)[0].at, answered_at(32));
    second.play(33..WARM + 4);
    assert_eq!(asked(&second.effects), [2]);
}

#[test]
fn what_was_answered_before_a_restart_is_not_asked_again_and_counts() {
    let mut first = story(1);
    answer(&mut first, 33, 1, Ok("answered"));
    let mut second = first.restart();
    second.poll(0..34);
    assert!(asked(&second.effects).is_empty(), "the answer is in the log");
    // The second signal joins at slot 35: its diagnosis would be the second question.
    second.play(34..38);
    assert!(asked(&second.effects).is_empty());
    let last = diagnoses(&second.effects).pop().unwrap();
    assert_eq!(last.author, Author::Heuristics { because: Because::QuestionsUsed });
}
