//! The life of an incident for tests, told by the domain's own constructors: each step gives the commit that writes it.

use std::path::Path;
use std::sync::Arc;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, SqliteConnection};
use tempfile::TempDir;

use super::{Commit, Settings, Store};
use crate::detect::{Anomaly, Kind, Side};
use crate::diagnose::{Author, Because, Cause, Citation, Contribution, Diagnosis, EvidenceId, Hypothesis};
use crate::engine::{CapturedSeries, Event, Happening, Stream};
use crate::id::{Fingerprint, IncidentId};
use crate::incident::{
    Ended, Event as IncidentEvent, Incident, Member, MemberState, Opening, Requester, Resolution, Source,
    Standing, Trouble,
};
use crate::series::{Labels, SeriesKey, Service, SignalName};
use crate::time::Timestamp;

/// Opens the store of a test's folder.
pub(super) async fn open(dir: &TempDir) -> Store {
    Store::open(&Settings { path: dir.path().join("portent.db") }).await.unwrap()
}

/// A connection to the same file past the store, as somebody with a shell has it.
pub(super) async fn raw(file: &Path) -> SqliteConnection {
    SqliteConnectOptions::new().filename(file).connect().await.unwrap()
}

pub(super) async fn count(file: &mut SqliteConnection, table: &str) -> i64 {
    let statement = sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {table}"));
    sqlx::query_scalar(statement).fetch_one(file).await.unwrap()
}

/// One incident about the error rate of a service.
pub(super) struct Story {
    incident: Incident,
    opened: IncidentEvent,
    now: Timestamp,
}

impl Story {
    pub(super) fn new(service: &str) -> Self {
        Self::at(service, 0, "")
    }

    /// An incident that opens in that minute; `salt` tells it from others of the same service.
    pub(super) fn at(service: &str, minute: i64, salt: &str) -> Self {
        let now = Timestamp::from_millis(1_700_000_000_000 + minute * 60_000);
        let fingerprint = Fingerprint::of(&[service.as_bytes(), salt.as_bytes()]);
        let member = member(service, "error_rate", now);
        let opening = Opening { fingerprint, source: Source::Detector, member };
        let opened = opening.event(&crate::incident::Settings::default());
        let incident = Incident::from_opening(now, &opened).unwrap();
        Self { incident, opened, now }
    }

    pub(super) fn id(&self) -> IncidentId {
        self.incident.id
    }

    /// The state in memory after the steps so far.
    pub(super) fn incident(&self) -> &Incident {
        &self.incident
    }

    /// The state that a commit carries.
    pub(super) fn state_of(commit: &Commit) -> &Incident {
        commit.projections.first().unwrap()
    }

    pub(super) fn samples(&self) -> Vec<CapturedSeries> {
        let service = self.incident.subject.to_string();
        let points = vec![(Timestamp::from_millis(1), 0.1), (Timestamp::from_millis(2), 1.0 / 3.0)];
        let labels = vec![("service".to_owned(), service)];
        vec![CapturedSeries { signal: SignalName::new("error_rate"), labels, points }]
    }

    pub(super) fn opening(&self) -> Commit {
        let opened = Incident::from_opening(self.now, &self.opened).unwrap();
        let events = [Event::Incident(self.opened.clone()), Event::Captured(self.samples())];
        Commit { projections: vec![opened], ..self.commit(events) }
    }

    pub(super) fn joining(&mut self, signal: &str) -> Commit {
        self.pass();
        let member = member(&self.incident.subject.to_string(), signal, self.now);
        self.tell([IncidentEvent::Joined { member }])
    }

    pub(super) fn diagnosis(&mut self, revision: u32) -> Commit {
        self.pass();
        let asked = IncidentEvent::AnalysisRequested { revision, by: Requester::Pipeline };
        self.incident.apply(self.now, &asked);
        self.incident.diagnosed(self.now, revision, Standing::Final);
        let service = self.incident.subject.to_string();
        let hypothesis = Hypothesis {
            cause: Cause::Failure,
            signal: Some(SignalName::new("error_rate")),
            title: format!("{service} fails by itself ({revision})"),
            service: Some(Service::new(&service)),
            text: "Nothing else moved.".to_owned(),
            score: Some(2.5),
            contributions: vec![Contribution { term: "strength".into(), bits: 2.5 }],
            evidence: vec![EvidenceId::new('a', 1)],
        };
        let diagnosis = Diagnosis {
            incident: self.id(),
            revision,
            at: self.now,
            author: Author::Heuristics { because: Because::ModelOff },
            hypotheses: vec![hypothesis],
            cited: vec![Citation { id: EvidenceId::new('a', 1), says: "error_rate rose".to_owned() }],
        };
        self.commit([Event::Incident(asked), Event::Diagnosed(diagnosis)])
    }

    /// Every member recovers, and the incident resolves.
    pub(super) fn recovery(&mut self) -> Commit {
        self.pass();
        let ends = self.incident.active().map(|member| self.incident.end(member, Ended::Recovered));
        let mut events: Vec<IncidentEvent> = ends.collect();
        events.push(IncidentEvent::Resolved { because: Resolution::Recovered });
        self.tell(events)
    }

    fn pass(&mut self) {
        self.now = Timestamp::from_millis(self.now.as_millis() + 15_000);
    }

    fn tell(&mut self, events: impl IntoIterator<Item = IncidentEvent>) -> Commit {
        let events: Vec<IncidentEvent> = events.into_iter().collect();
        events.iter().for_each(|event| self.incident.apply(self.now, event));
        self.commit(events.into_iter().map(Event::Incident))
    }

    fn commit(&self, events: impl IntoIterator<Item = Event>) -> Commit {
        let (stream, at) = (Stream::Incident(self.id()), self.now);
        let happenings = events.into_iter().map(|event| Happening { stream, at, event }).collect();
        Commit { happenings, advanced: Vec::new(), projections: vec![self.incident.clone()] }
    }
}

fn member(service: &str, signal: &str, at: Timestamp) -> Member {
    let labels = Labels::new([("service", service)]);
    let anomaly = Anomaly {
        side: Side::Up,
        onset: at,
        detected_at: at,
        until: at,
        expected: 0.5,
        lower: 0.35,
        upper: 0.65,
        scale: 0.05,
        peak_value: 9.5,
        peak_score: 60.0,
        confidence: 0.99,
    };
    Member {
        key: Arc::new(SeriesKey::new(SignalName::new(signal), Service::new(service), labels)),
        kind: Kind::of_name(signal),
        trouble: Trouble::Deviation(anomaly),
        state: MemberState::Active,
        why: None,
    }
}
