//! Incidents of tests, and what is claimed of them.

use super::difference::{Difference, Pair};
use super::labels::Labels;
use super::report::{Period, Report};
use super::score::Score;
use super::{Broken, conditions};
use crate::id::{Fingerprint, IncidentId};
use crate::incident::{Severity, Subject};
use crate::replay::{Found, Outcome};
use crate::series::{Service, SignalName};
use crate::time::Timestamp;

const fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

const DAY: Period = Period { begin: at(0), until: at(86_400) };

/// An incident of a service with one signal, opened 30 s after its onset.
fn found(service: &str, signal: &str, onset: i64, until: i64) -> Found {
    let (service, signal) = (Service::new(service), SignalName::new(signal));
    let fingerprint = Fingerprint::of(&[service.as_str().as_bytes(), signal.as_str().as_bytes()]);
    Found {
        id: IncidentId::derive(fingerprint, onset * 1000),
        subject: Subject::Service(service),
        onset: at(onset),
        opened_at: at(onset + 30),
        resolved_at: Some(at(until + 120)),
        until: at(until),
        severity: Severity::P2,
        opened_by: signal.clone(),
        opener: None,
        signals: [signal].into(),
        series: 1,
        worst: None,
        trace: None,
    }
}

fn outcome(found: Vec<Found>) -> Outcome {
    let tallies = vec![(SignalName::new("errors"), crate::detect::Tally::default())];
    Outcome { found, beyond: 0, tallies, overridden: Default::default() }
}

fn labels(rows: &str) -> Labels {
    Labels::read(format!("start,end,service,signal\n{rows}").as_bytes(), "labels.csv").unwrap()
}

#[test]
fn a_label_is_found_by_what_overlaps_it_and_fits() {
    let all = [found("a", "errors", 100, 200), found("b", "errors", 5000, 5100)];
    let score = |rows: &str| {
        let score = Score::of(&all, &labels(rows), DAY);
        (score.found, score.labels, score.fitting, score.outside)
    };
    assert_eq!(score("90,150,a,errors"), (1, 1, 1, 0));
    assert_eq!(score("90,150,,"), (1, 1, 1, 0));
    assert_eq!(score("90,150,b,"), (0, 1, 0, 0), "another service");
    assert_eq!(score("90,150,a,cpu"), (0, 1, 0, 0), "another signal");
    assert_eq!(score("201,300,a,"), (0, 1, 0, 0), "after its end");
    assert_eq!(score("0,99,a,"), (0, 1, 0, 0), "before its onset");
    assert_eq!(score("0,9000,,"), (1, 1, 2, 0), "two incidents of one label are both right");
    assert_eq!(score("90,150,a,\n4990,5050,b,\n90000,90001,,"), (2, 2, 2, 1));
}

#[test]
fn a_delay_is_from_the_start_of_the_label_to_the_first_incident() {
    let all =
        [found("a", "errors", 100, 200), found("a", "errors", 150, 300), found("b", "errors", 900, 990)];
    let score = Score::of(&all, &labels("100,250,a,\n940,980,b,"), DAY);
    let seconds: Vec<u64> = score.delays.iter().map(std::time::Duration::as_secs).collect();
    assert_eq!(seconds, [0, 30], "what was opened before has no delay");
    assert_eq!((score.recall(), score.precision()), (Some(1.0), Some(1.0)));
    let none = Score::of(&[], &labels(""), DAY);
    assert_eq!((none.recall(), none.precision(), none.median_delay()), (None, None, None));
}

#[test]
fn two_runs_differ_in_what_only_one_has_and_in_what_moved() {
    let new =
        [found("a", "errors", 100, 200), found("b", "errors", 300, 400), found("c", "errors", 500, 600)];
    let mut old = vec![
        found("a", "errors", 100, 250),
        found("b", "errors", 345, 400),
        found("c", "errors", 5000, 5060),
    ];
    old[0].severity = Severity::P1;
    let difference = Difference::of(&new, &old);
    let expected = Difference {
        both: vec![Pair { new: 0, old: 0 }],
        reassessed: vec![Pair { new: 0, old: 0 }],
        moved: vec![Pair { new: 1, old: 1 }],
        only_new: vec![2],
        only_old: vec![2],
    };
    assert_eq!(difference, expected);
    assert_eq!(Difference::of(&new, &new).both.len(), 3);
}

#[test]
fn what_one_run_does_not_list_is_not_compared() {
    let many = || {
        vec![found("a", "errors", 100, 200), found("b", "errors", 300, 400), found("c", "errors", 500, 600)]
    };
    let cut = Outcome { found: many()[..2].to_vec(), beyond: 1, ..outcome(Vec::new()) };
    let report = Report::new(DAY, outcome(many()), Some(cut), None);
    let difference = report.difference.unwrap();
    assert_eq!((difference.both.len(), difference.only_new.len()), (2, 0));
}

#[track_caller]
fn check(conditions_text: &str, expected: &[&str]) {
    let new = outcome(vec![
        found("a", "errors", 100, 200),
        found("b", "errors", 300, 400),
        found("b", "errors", 900, 990),
    ]);
    let old = outcome(vec![found("a", "errors", 100, 200), found("c", "errors", 300, 400)]);
    let report = Report::new(DAY, new, Some(old), Some(&labels("100,150,a,\n50000,50100,,")));
    let broken = report.broken(&conditions(conditions_text).unwrap());
    let told: Vec<String> =
        broken.iter().map(|Broken { condition, because }| format!("{condition}: {because}")).collect();
    assert_eq!(told, expected);
}

#[test]
fn a_condition_that_is_met_says_what_it_met() {
    check("incidents>2", &["incidents>2: it is 3"]);
    check("incidents>3,incidents>3/day,incidents>=3/day", &["incidents>=3/day: it is 3/day"]);
    check("incidents>20/week", &["incidents>20/week: it is 21/week"]);
    check("P2>2,P0>0,P3>=0", &["P2>2: it is 3", "P3>=0: it is 0"]);
    check("recall<0.6,precision<=0.333", &["recall<0.6: it is 0.5"]);
    check("delay>29s,delay>30s", &["delay>29s: it is 30s"]);
    check("new>1,gone>=1,moved>0", &["new>1: it is 2", "gone>=1: it is 1"]);
}

#[test]
fn what_cannot_be_told_counts_as_failed() {
    let report = Report::new(DAY, outcome(Vec::new()), None, Some(&labels("")));
    let broken = report.broken(&conditions("recall<0.1,precision<0.1,delay>1h,incidents>0").unwrap());
    let because: Vec<&str> = broken.iter().map(|broken| broken.because.as_str()).collect();
    assert_eq!(
        because,
        [
            "cannot be told: no label lies in the span",
            "cannot be told: there is no incident",
            "cannot be told: no label was found"
        ]
    );
}
