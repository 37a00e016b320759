//! A bundle for tests: errors of `checkout` rise eighteenfold while its traffic does not move, and `db` was slow 30 s
//! before.

use super::bundle::{Bundle, Evidence, EvidenceId, Item, Movement};
use super::diagnosis::Cause;
use crate::detect::{Anomaly, Kind, Side};
use crate::id::{Fingerprint, IncidentId};
use crate::incident::{Assessment, Severity, Trouble};
use crate::series::{Service, SignalName};
use crate::time::Timestamp;

const ONSET: i64 = 1_700_000_000_000;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(ONSET + seconds * 1000)
}

fn id(millis: i64) -> IncidentId {
    IncidentId::derive(Fingerprint::of(&[b"checkout"]), millis)
}

/// The items `a1`, `a2` (lost), `s1` (steady), `o1` and `p1`.
pub(crate) fn bundle() -> Bundle {
    let items = [('a', errors()), ('a', lost()), ('s', steady()), ('o', slow_database()), ('p', last_week())];
    let nth = [1, 2, 1, 1, 1];
    let items = items.into_iter().zip(nth);
    Bundle {
        incident: id(ONSET),
        subject: Service::new("checkout").into(),
        at: at(60),
        onset: at(0),
        assessment: Assessment {
            severity: Severity::P1,
            magnitude_points: 2,
            breadth_points: 1,
            criticality_points: 0,
        },
        items: items.map(|((class, what), nth)| Item { id: EvidenceId::new(class, nth), what }).collect(),
        left_out: 0,
        calls: Vec::new(),
    }
}

fn errors() -> Evidence {
    let anomaly = Anomaly {
        side: Side::Up,
        onset: at(0),
        detected_at: at(15),
        until: at(45),
        expected: 0.5,
        lower: 0.35,
        upper: 0.65,
        scale: 0.05,
        peak_value: 9.0,
        peak_score: 56.0,
        confidence: 0.98,
    };
    Evidence::Anomaly {
        service: Service::new("checkout"),
        signal: SignalName::new("error_rate"),
        series: "checkout/error_rate".to_owned(),
        kind: Kind::Errors,
        trouble: Trouble::Deviation(anomaly),
        is_active: true,
        points: vec![(at(-15), 0.5), (at(0), 8.8), (at(15), 9.0)],
    }
}

fn lost() -> Evidence {
    Evidence::Anomaly {
        service: Service::new("checkout"),
        signal: SignalName::new("memory_bytes"),
        series: r#"checkout/memory_bytes{pod="p-1", service="checkout"}"#.to_owned(),
        kind: Kind::Memory,
        trouble: Trouble::Lost { last_seen: at(5), detected_at: at(60) },
        is_active: false,
        points: Vec::new(),
    }
}

fn steady() -> Evidence {
    Evidence::Sibling {
        signal: SignalName::new("request_rate"),
        series: "checkout/request_rate".to_owned(),
        kind: Kind::Traffic,
        movement: Movement { value: 45.1, expected: Some(45.0), score: Some(0.3), has_moved: Some(false) },
    }
}

fn slow_database() -> Evidence {
    Evidence::Elsewhere {
        service: Service::new("db"),
        signal: SignalName::new("latency_p95"),
        series: "db/latency_p95".to_owned(),
        kind: Kind::Latency,
        side: Some(Side::Up),
        onset: at(-30),
        movement: Movement { value: 0.8, expected: Some(0.1), score: Some(12.0), has_moved: Some(true) },
    }
}

fn last_week() -> Evidence {
    Evidence::Past {
        incident: id(ONSET - 7 * 86_400_000),
        opened_at: at(-7 * 86_400),
        signals: vec![SignalName::new("error_rate")],
        cause: Some(Cause::Failure),
        lasted_s: Some(90.0),
    }
}
