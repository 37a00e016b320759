//! Generated events of every kind, for properties.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use proptest::collection::vec;
use proptest::num::f64::{NEGATIVE, NORMAL, POSITIVE, SUBNORMAL, ZERO};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use crate::detect::{Anomaly, Check, Ending, Gate, Input, Kind, Outcome, Restart, Side, Trace};
use crate::diagnose::{Author, Because, Cause, Citation, Contribution, Diagnosis, EvidenceId, Hypothesis};
use crate::engine::{CapturedSeries, ConfigChange, Event, Failure, NotJudged, SeriesRebased, SystemEvent};
use crate::id::{Fingerprint, IncidentId};
use crate::incident::{
    Assessment, Ended, Event as IncidentEvent, Member, MemberState, Outage, Requester, Resolution, Severity,
    Silence, Source, Trouble,
};
use crate::series::{Labels, SeriesKey, Service, SignalName};
use crate::time::Timestamp;

pub(super) fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => incident_event().prop_map(Event::Incident),
        2 => diagnosis().prop_map(Event::Diagnosed),
        1 => vec(captured(), 0..4).prop_map(Event::Captured),
        2 => system_event().prop_map(Event::System),
    ]
}

fn number() -> impl Strategy<Value = f64> {
    POSITIVE | NEGATIVE | NORMAL | SUBNORMAL | ZERO
}

fn time() -> impl Strategy<Value = Timestamp> {
    any::<i64>().prop_map(Timestamp::from_millis)
}

fn text() -> impl Strategy<Value = String> {
    ".{0,8}"
}

fn fingerprint() -> impl Strategy<Value = Fingerprint> {
    any::<u64>().prop_map(|seed| Fingerprint::of(&[&seed.to_be_bytes()]))
}

fn id() -> impl Strategy<Value = IncidentId> {
    (fingerprint(), any::<i64>()).prop_map(|(print, onset_ms)| IncidentId::derive(print, onset_ms))
}

fn signal() -> impl Strategy<Value = SignalName> {
    text().prop_map(|name| SignalName::new(&name))
}

fn service() -> impl Strategy<Value = Service> {
    text().prop_map(|name| Service::new(&name))
}

fn assessment() -> impl Strategy<Value = Assessment> {
    (select(Severity::ALL.to_vec()), any::<[i32; 3]>()).prop_map(|(severity, points)| Assessment {
        severity,
        magnitude_points: points[0],
        breadth_points: points[1],
        criticality_points: points[2],
    })
}

fn anomaly() -> impl Strategy<Value = Anomaly> {
    let side = prop_oneof![Just(Side::Up), Just(Side::Down)];
    (side, [time(), time(), time()], proptest::array::uniform7(number())).prop_map(|(side, at, numbers)| {
        let [expected, lower, upper, scale, peak_value, peak_score, confidence] = numbers;
        let [onset, detected_at, until] = at;
        Anomaly {
            side,
            onset,
            detected_at,
            until,
            expected,
            lower,
            upper,
            scale,
            peak_value,
            peak_score,
            confidence,
        }
    })
}

fn trouble() -> impl Strategy<Value = Trouble> {
    let lost = (time(), time()).prop_map(|(last_seen, detected_at)| Trouble::Lost { last_seen, detected_at });
    prop_oneof![anomaly().prop_map(Trouble::Deviation), lost]
}

fn restart() -> impl Strategy<Value = Restart> {
    let adopted =
        (time(), number(), number()).prop_map(|(since, from, to)| Restart::Adopted { since, from, to });
    let gap = any::<u64>().prop_map(|ms| Restart::Gap { lasted: Duration::from_millis(ms) });
    let rebased = (number(), number()).prop_map(|(from, to)| Restart::Rebased { from, to });
    prop_oneof![adopted, gap, rebased]
}

fn ended() -> impl Strategy<Value = Ended> {
    let plain = select(vec![
        Ended::Recovered,
        Ended::Returned,
        Ended::NotInHistory,
        Ended::Forgotten,
        Ended::Unwatched,
    ]);
    prop_oneof![plain, restart().prop_map(Ended::Restarted)]
}

fn series_key() -> impl Strategy<Value = Arc<SeriesKey>> {
    let labels = vec((text(), text()), 0..4).prop_map(Labels::new);
    (signal(), service(), labels)
        .prop_map(|(signal, service, labels)| Arc::new(SeriesKey::new(signal, service, labels)))
}

fn why() -> impl Strategy<Value = Trace> {
    let input = prop_oneof![number().prop_map(Input::Number), text().prop_map(Input::Text)];
    let check = (select(Gate::ALL.to_vec()), select(Outcome::ALL.to_vec()), vec((text(), input), 0..3))
        .prop_map(|(gate, outcome, inputs)| Check { gate, outcome, inputs });
    (time(), vec(check, 0..4)).prop_map(|(at, checks)| Trace { at, checks, ending: Ending::Opened })
}

fn member() -> impl Strategy<Value = Member> {
    let kinds = [Kind::Traffic, Kind::Errors, Kind::Latency, Kind::Cpu, Kind::Memory, Kind::Other];
    let over = (time(), ended()).prop_map(|(until, because)| MemberState::Ended { until, because });
    let state = prop_oneof![Just(MemberState::Active), over];
    (series_key(), select(kinds.to_vec()), trouble(), state, option::of(why())).prop_map(
        |(key, kind, trouble, state, why)| Member { key, kind, trouble, state, why: why.map(Arc::new) },
    )
}

fn outage() -> impl Strategy<Value = Outage> {
    let unanswered = text().prop_map(|because| Silence::Unanswered { because });
    let stopped = (any::<u32>(), any::<u32>())
        .prop_map(|(lost, tracked)| Silence::Stopped { lost: lost as usize, tracked: tracked as usize });
    let over = (time(), ended()).prop_map(|(until, because)| MemberState::Ended { until, because });
    let state = prop_oneof![Just(MemberState::Active), over];
    (signal(), time(), time(), prop_oneof![unanswered, stopped], state).prop_map(
        |(signal, since, detected_at, silence, state)| Outage { signal, since, detected_at, silence, state },
    )
}

fn incident_event() -> impl Strategy<Value = IncidentEvent> {
    let opened = (id(), fingerprint(), service(), member(), assessment()).prop_map(
        |(id, fingerprint, service, member, assessment)| IncidentEvent::Opened {
            id,
            fingerprint,
            service,
            source: Source::Detector,
            member,
            assessment,
        },
    );
    let worsened =
        (fingerprint(), number(), number(), time()).prop_map(|(series, peak_score, peak_value, until)| {
            IncidentEvent::Worsened { series, peak_score, peak_value, until }
        });
    let member_ended = (fingerprint(), time(), time(), number(), number(), ended()).prop_map(
        |(series, onset, until, peak_score, peak_value, because)| IncidentEvent::MemberEnded {
            series,
            onset,
            until,
            peak_score,
            peak_value,
            because,
        },
    );
    let by = prop_oneof![Just(Requester::Pipeline), Just(Requester::Person)];
    let resolution = prop_oneof![Just(Resolution::Recovered), Just(Resolution::NothingLeft)];
    let source_opened =
        (id(), fingerprint(), outage(), assessment()).prop_map(|(id, fingerprint, outage, assessment)| {
            IncidentEvent::SourceOpened { id, fingerprint, source: Source::Detector, outage, assessment }
        });
    let outage_ended = (signal(), time(), time(), ended()).prop_map(|(signal, since, until, because)| {
        IncidentEvent::OutageEnded { signal, since, until, because }
    });
    prop_oneof![
        opened,
        source_opened,
        outage().prop_map(|outage| IncidentEvent::OutageJoined { outage }),
        outage_ended,
        member().prop_map(|member| IncidentEvent::Joined { member }),
        worsened,
        member_ended,
        assessment().prop_map(|assessment| IncidentEvent::SeverityChanged { assessment }),
        (any::<u32>(), by).prop_map(|(revision, by)| IncidentEvent::AnalysisRequested { revision, by }),
        resolution.prop_map(|because| IncidentEvent::Resolved { because }),
    ]
}

fn because() -> impl Strategy<Value = Because> {
    let plain = select(vec![Because::ModelOff, Because::ModelPending, Because::QuestionsUsed]);
    let told = [
        Because::NoKey,
        Because::Timeout,
        Because::Refused,
        Because::Truncated,
        Because::BadReply,
        Because::RateLimited,
        Because::Unavailable,
    ];
    prop_oneof![plain, (select(told.to_vec()), text()).prop_map(|(told, text)| told(text))]
}

fn hypothesis() -> impl Strategy<Value = Hypothesis> {
    let contributions = vec((text(), number()), 0..3).prop_map(|terms| {
        let part = |(term, bits)| Contribution { term: Cow::Owned(term), bits };
        terms.into_iter().map(part).collect::<Vec<_>>()
    });
    let evidence = vec((select(vec!['a', 's', 'o', 'p']), 1_usize..30), 0..3);
    let what = (select(Cause::ALL.to_vec()), option::of(service()), option::of(signal()), text(), text());
    (what, option::of(number()), contributions, evidence).prop_map(
        |((cause, service, signal, title, text), score, contributions, evidence)| {
            let evidence = evidence.into_iter().map(|(class, nth)| EvidenceId::new(class, nth)).collect();
            Hypothesis { cause, service, signal, title, text, score, contributions, evidence }
        },
    )
}

fn diagnosis() -> impl Strategy<Value = Diagnosis> {
    let model = (text(), any::<bool>()).prop_map(|(name, from_cache)| Author::Model { name, from_cache });
    let author = prop_oneof![model, because().prop_map(|because| Author::Heuristics { because })];
    let cited = (text(), text()).prop_map(|(id, says)| Citation { id: EvidenceId::from_stored(&id), says });
    (id(), any::<u32>(), time(), author, vec(hypothesis(), 0..3), vec(cited, 0..3)).prop_map(
        |(incident, revision, at, author, hypotheses, cited)| Diagnosis {
            incident,
            revision,
            at,
            author,
            hypotheses,
            cited,
        },
    )
}

fn captured() -> impl Strategy<Value = CapturedSeries> {
    (signal(), vec((text(), text()), 0..3), vec((time(), number()), 0..5))
        .prop_map(|(signal, labels, points)| CapturedSeries { signal, labels, points })
}

fn system_event() -> impl Strategy<Value = SystemEvent> {
    prop_oneof![
        (text(), text()).prop_map(|(version, config_hash)| SystemEvent::Started { version, config_hash }),
        (series_key(), time(), time(), number(), number(), text(), text()).prop_map(
            |(key, since, at, from, to, by, comment)| {
                SystemEvent::SeriesRebased(SeriesRebased { key, since, at, from, to, by, comment })
            }
        ),
        (signal(), text(), restart()).prop_map(|(signal, series, restart)| {
            SystemEvent::BaselineRestarted { signal, series, restart }
        }),
        (signal(), any::<u32>(), any::<u32>()).prop_map(|(signal, lost, tracked)| {
            SystemEvent::SourceDegraded { signal, lost: lost as usize, tracked: tracked as usize }
        }),
        config_change().prop_map(SystemEvent::ConfigReloaded),
        (text(), text())
            .prop_map(|(config_hash, because)| SystemEvent::ReloadFailed { config_hash, because }),
        (signal(), time(), select(vec![Failure::Backend, Failure::Query, Failure::Agent]), text()).prop_map(
            |(signal, since, failure, because)| SystemEvent::SignalUnanswered {
                signal,
                since,
                failure,
                because
            }
        ),
        (signal(), time()).prop_map(|(signal, since)| SystemEvent::SignalAnswered { signal, since }),
        (signal(), time(), time(), select(NotJudged::ALL.to_vec())).prop_map(
            |(signal, from, to, because)| { SystemEvent::StepsNotJudged { signal, from, to, because } }
        ),
    ]
}

fn config_change() -> impl Strategy<Value = ConfigChange> {
    let signals = [vec(signal(), 0..3), vec(signal(), 0..3), vec(signal(), 0..3)];
    (text(), text(), signals, vec(text(), 0..3)).prop_map(
        |(hash_before, config_hash, [added, removed, changed], sections)| ConfigChange {
            hash_before,
            config_hash,
            added,
            removed,
            changed,
            sections,
        },
    )
}
