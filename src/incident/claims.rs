//! What an incident claims: how severity adds up, which phases there are, and that no order of events breaks it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::{
    Assessment, Criticality, Ended, Event, Incident, Member, MemberState, Opening, Phase, Requester,
    Resolution, Settings, Severity, Source, Standing, Trouble, assess,
};
use crate::detect::{Anomaly, Kind, Side};
use crate::id::Fingerprint;
use crate::series::{Labels, SeriesKey, Service, SignalName};
use crate::time::Timestamp;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

fn member(signal: &str, trouble: Trouble) -> Member {
    let labels = Labels::new([("service", "shop")]);
    let key = Arc::new(SeriesKey::new(SignalName::new(signal), Service::new("shop"), labels));
    Member { key, kind: Kind::of_name(signal), trouble, state: MemberState::Active, why: None }
}

fn deviation(onset_s: i64, peak_score: f64) -> Trouble {
    Trouble::Deviation(Anomaly {
        side: Side::Up,
        onset: at(onset_s),
        detected_at: at(onset_s + 15),
        until: at(onset_s + 30),
        expected: 1.0,
        lower: 0.9,
        upper: 1.1,
        scale: 0.03,
        peak_value: 1.0 + peak_score / 10.0,
        peak_score,
        confidence: 0.9,
    })
}

fn lost(last_seen_s: i64) -> Trouble {
    Trouble::Lost { last_seen: at(last_seen_s), detected_at: at(last_seen_s + 300) }
}

fn opened(trouble: Trouble) -> Incident {
    let opening = Opening {
        fingerprint: Fingerprint::of(&[b"shop"]),
        source: Source::Detector,
        member: member("error_rate", trouble),
    };
    Incident::from_opening(at(60), &opening.event(&Settings::default())).unwrap()
}

fn ended(incident: &Incident, until_s: i64, because: Ended) -> Event {
    let member = &incident.members[0];
    Event::MemberEnded {
        series: member.key.hash,
        onset: member.trouble.onset(),
        until: at(until_s),
        peak_score: 3.0,
        peak_value: 1.3,
        because,
    }
}

// ---- Severity ---------------------------------------------------------------------------------------------

#[track_caller]
fn check(scores: &[f64], criticality: Criticality, points: (i32, i32, i32), severity: Severity) {
    let names = ["error_rate", "latency_p95", "cpu_usage", "memory_bytes"];
    let members: Vec<Member> =
        scores.iter().zip(names).map(|(score, name)| member(name, deviation(0, *score))).collect();
    let (magnitude_points, breadth_points, criticality_points) = points;
    let expected = Assessment { severity, magnitude_points, breadth_points, criticality_points };
    assert_eq!(assess(&members, criticality), expected);
}

#[test]
fn severity_is_the_sum_of_magnitude_breadth_and_criticality() {
    check(&[1.9], Criticality::Normal, (0, 0, 0), Severity::P3);
    check(&[2.0], Criticality::Normal, (1, 0, 0), Severity::P2);
    check(&[4.9], Criticality::High, (1, 0, 1), Severity::P2);
    check(&[5.0], Criticality::Normal, (2, 0, 0), Severity::P2);
    check(&[5.0], Criticality::High, (2, 0, 1), Severity::P1);
    check(&[5.0], Criticality::Critical, (2, 0, 2), Severity::P0);
    check(&[1.5], Criticality::Low, (0, 0, -1), Severity::P3);
    check(&[2.0], Criticality::Low, (1, 0, -1), Severity::P3);
    check(&[1.5, 5.0], Criticality::Normal, (2, 1, 0), Severity::P1);
    check(&[1.5, 1.5, 1.5], Criticality::Normal, (0, 2, 0), Severity::P2);
    check(&[5.0, 1.5, 1.5, 1.5], Criticality::Normal, (2, 2, 0), Severity::P0);
    check(&[], Criticality::Normal, (0, 0, 0), Severity::P3);
}

#[test]
fn a_lost_series_counts_as_far_and_a_signal_counts_once() {
    let gone = [member("error_rate", lost(0)), member("error_rate", deviation(0, 1.5))];
    let assessment = assess(&gone, Criticality::Normal);
    assert_eq!((assessment.magnitude_points, assessment.breadth_points), (2, 0));
}

#[test]
fn the_config_says_how_much_a_service_matters() {
    let criticality = BTreeMap::from([(Service::new("shop"), Criticality::Critical)]);
    let settings = Settings { criticality, default_criticality: Criticality::Low, ..Settings::default() };
    assert_eq!(settings.criticality_of(&Service::new("shop")), Criticality::Critical);
    assert_eq!(settings.criticality_of(&Service::new("blog")), Criticality::Low);
}

// ---- Life -------------------------------------------------------------------------------------------------

#[test]
fn the_phases_follow_each_other() {
    let mut incident = opened(deviation(0, 3.0));
    assert_eq!(incident.phase, Phase::Detected);
    incident.apply(at(61), &Event::AnalysisRequested { revision: 1, by: Requester::Pipeline });
    assert_eq!(incident.phase, Phase::Analyzing { revision: 1 });
    incident.diagnosed(at(62), 1, Standing::Final);
    assert_eq!((incident.phase, incident.changed_at), (Phase::Diagnosed { revision: 1 }, at(62)));
    let over = Phase::Resolved { at: at(63), because: Resolution::Recovered };
    incident.apply(at(63), &Event::Resolved { because: Resolution::Recovered });
    assert_eq!(incident.phase, over);
    incident.apply(at(64), &Event::AnalysisRequested { revision: 2, by: Requester::Person });
    incident.diagnosed(at(65), 2, Standing::Final);
    assert_eq!((incident.phase, incident.revisions), (over, 2));
}

#[test]
fn it_resolves_when_the_hold_is_over_and_not_before() {
    let settings = Settings { resolve_after: Duration::from_secs(120), ..Settings::default() };
    let mut incident = opened(deviation(0, 3.0));
    assert_eq!(incident.tick(at(1_000_000), &settings), None, "it goes on");
    incident.apply(at(100), &ended(&incident, 90, Ended::Recovered));
    assert_eq!(incident.tick(at(209), &settings), None);
    let over = Event::Resolved { because: Resolution::Recovered };
    assert_eq!(incident.tick(at(210), &settings), Some(over.clone()));
    incident.apply(at(210), &over);
    assert_eq!(incident.tick(at(500), &settings), None, "once");
}

#[test]
fn an_end_that_nobody_saw_is_no_recovery() {
    for (because, resolution) in [
        (Ended::Recovered, Resolution::Recovered),
        (Ended::NotInHistory, Resolution::NothingLeft),
        (Ended::Forgotten, Resolution::NothingLeft),
    ] {
        let mut incident = opened(deviation(0, 3.0));
        incident.apply(at(100), &ended(&incident, 90, because));
        let over = incident.tick(at(1000), &Settings::default());
        assert_eq!(over, Some(Event::Resolved { because: resolution }));
    }
}

#[test]
fn samples_after_a_loss_end_the_loss_and_not_the_anomaly_before_it() {
    let mut incident = opened(deviation(0, 3.0));
    incident.apply(at(70), &Event::Joined { member: member("error_rate", lost(0)) });
    incident.apply(at(400), &ended(&incident, 400, Ended::Returned));
    assert_eq!(incident.members[0].state, MemberState::Active);
    let over = MemberState::Ended { until: at(400), because: Ended::Returned };
    assert_eq!(incident.members[1].state, over);
}

#[test]
fn what_has_ended_keeps_its_course() {
    let mut incident = opened(deviation(0, 3.0));
    incident.apply(at(100), &ended(&incident, 90, Ended::Recovered));
    let before = incident.members.clone();
    let series = incident.members[0].key.hash;
    incident.apply(at(200), &Event::Worsened { series, peak_score: 99.0, peak_value: 9.9, until: at(190) });
    incident.apply(at(210), &ended(&incident, 205, Ended::Forgotten));
    assert_eq!(incident.members, before);
}

// ---- Whatever the order -----------------------------------------------------------------------------------

fn event() -> impl Strategy<Value = Event> {
    let times = || (0..4_i64).prop_map(|n| n * 100);
    let trouble = || {
        prop_oneof![
            (times(), 0.0..1e9_f64).prop_map(|(onset, score)| deviation(onset, score)),
            times().prop_map(lost),
        ]
    };
    let joins = || {
        (proptest::sample::select(vec!["error_rate", "cpu_usage"]), trouble())
            .prop_map(|(name, trouble)| member(name, trouble))
    };
    let hash = || joins().prop_map(|member| member.key.hash);
    let because = proptest::sample::select(vec![
        Ended::Recovered,
        Ended::Returned,
        Ended::NotInHistory,
        Ended::Forgotten,
    ]);
    prop_oneof![
        joins().prop_map(|member| Event::Joined { member }),
        joins().prop_map(|member| {
            let opening = Opening { fingerprint: Fingerprint::of(&[b"x"]), source: Source::Detector, member };
            opening.event(&Settings::default())
        }),
        (hash(), 0.0..1e9_f64, times()).prop_map(|(series, score, until)| Event::Worsened {
            series,
            peak_score: score,
            peak_value: score,
            until: at(until),
        }),
        (hash(), times(), times(), because).prop_map(|(series, onset, until, because)| Event::MemberEnded {
            series,
            onset: at(onset),
            until: at(until),
            peak_score: 1.0,
            peak_value: 1.0,
            because,
        }),
        Just(Event::SeverityChanged { assessment: assess(&[], Criticality::Critical) }),
        (0..9_u32).prop_map(|revision| Event::AnalysisRequested { revision, by: Requester::Person }),
        Just(Event::Resolved { because: Resolution::NothingLeft }),
    ]
}

proptest! {
    #[test]
    fn any_order_of_events_makes_a_state(events in proptest::collection::vec((event(), 0..2000_i64), 0..40)) {
        let mut incident = opened(deviation(0, 3.0));
        for (event, seconds) in &events {
            let (was_resolved, members) = (incident.is_resolved(), incident.members.len());
            incident.apply(at(*seconds), event);
            prop_assert!(incident.members.len() >= members, "no member is taken away");
            prop_assert!(incident.is_resolved() || !was_resolved, "nothing opens it again");
            incident.diagnosed(at(*seconds), 3, Standing::Final);
            prop_assert!(incident.is_resolved() || !was_resolved);
            let over = incident.tick(at(10_000), &Settings::default());
            let may_resolve = !incident.is_resolved() && incident.active().next().is_none();
            prop_assert_eq!(over.is_some(), may_resolve);
            prop_assert!(incident.onset() <= incident.last_active(at(10_000)));
        }
    }
}
