//! The life of an incident, told by the domain's own constructors: each step gives the commit that writes it down.

use std::sync::Arc;

use crate::detect::{Anomaly, Kind, Restart, Side};
use crate::diagnose::{Author, Cause, Citation, Contribution, Diagnosis, EvidenceId, Hypothesis};
use crate::engine::{Event, Happening, Stream};
use crate::id::{Fingerprint, IncidentId};
use crate::incident::{
    self, Ended, Incident, Member, MemberState, Opening, Requester, Resolution, Settings, Source, Standing,
    Trouble,
};
use crate::series::{Labels, SeriesKey, Service, SignalName};
use crate::store::Commit;
use crate::time::Timestamp;

pub(super) struct Story {
    incident: Incident,
    opened: incident::Event,
    now: Timestamp,
}

/// The moment of a minute in these stories.
pub(super) fn minute(minute: i64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + minute * 60_000)
}

impl Story {
    pub(super) fn new(service: &str) -> Self {
        Self::at(service, 0, 10.0)
    }

    /// An incident that opens in that minute, about an error rate that reaches that score.
    pub(super) fn at(service: &str, opens: i64, score: f64) -> Self {
        let now = minute(opens);
        let member = member(service, "error_rate", now, score);
        let fingerprint = Fingerprint::of(&[service.as_bytes()]);
        let opening = Opening { fingerprint, source: Source::Detector, member };
        let opened = opening.event(&Settings::default());
        let incident = Incident::from_opening(now, &opened).unwrap();
        Self { incident, opened, now }
    }

    pub(super) fn id(&self) -> IncidentId {
        self.incident.id
    }

    pub(super) fn path(&self, rest: &str) -> String {
        format!("/api/v1/incidents/{}{rest}", self.id())
    }

    pub(super) fn opening(&self) -> Commit {
        self.commit([Event::Incident(self.opened.clone())])
    }

    /// A series that stops joins.
    pub(super) fn loss(&mut self, signal: &str) -> Commit {
        self.pass();
        let mut member = member(&self.incident.subject.to_string(), signal, self.now, 1.5);
        member.trouble = Trouble::Lost { last_seen: self.now, detected_at: self.now };
        self.tell([incident::Event::Joined { member }])
    }

    pub(super) fn request(&mut self, revision: u32) -> Commit {
        self.pass();
        self.tell([incident::Event::AnalysisRequested { revision, by: Requester::Person }])
    }

    pub(super) fn diagnosis(&mut self, revision: u32, author: Author) -> Commit {
        self.pass();
        self.incident.diagnosed(self.now, revision, Standing::Final);
        let service = Service::new(&self.incident.subject.to_string());
        let hypothesis = |cause: Cause, title: String, bits: f64| Hypothesis {
            cause,
            service: Some(service.clone()),
            signal: Some(SignalName::new("error_rate")),
            title,
            text: "Nothing else moved.".to_owned(),
            score: Some(bits),
            contributions: vec![Contribution { term: "strength".into(), bits }],
            evidence: vec![EvidenceId::new('a', 1), EvidenceId::new('s', 2)],
        };
        let hypotheses = vec![
            hypothesis(Cause::Failure, format!("{service} fails by itself ({revision})"), 2.5),
            hypothesis(Cause::Dependency, "something else fails".to_owned(), 1.0),
        ];
        let cited =
            vec![Citation { id: EvidenceId::new('a', 1), says: "error_rate rose to 9.00".to_owned() }];
        let (incident, at) = (self.id(), self.now);
        self.commit([Event::Diagnosed(Diagnosis { incident, revision, at, author, hypotheses, cited })])
    }

    /// Every member ends, the first by recovering and the others by a new level, and the incident resolves.
    pub(super) fn recovery(&mut self) -> Commit {
        self.pass();
        let adopted = Ended::Restarted(Restart::Adopted { since: self.now, from: 0.5, to: 9.5 });
        let members = self.incident.active().enumerate();
        let ended = |place: usize| if place == 0 { Ended::Recovered } else { adopted };
        let mut events: Vec<incident::Event> =
            members.map(|(place, member)| self.incident.end(member, ended(place))).collect();
        events.push(incident::Event::Resolved { because: Resolution::Recovered });
        self.tell(events)
    }

    fn pass(&mut self) {
        self.now = Timestamp::from_millis(self.now.as_millis() + 15_000);
    }

    fn tell(&mut self, events: impl IntoIterator<Item = incident::Event>) -> Commit {
        let events: Vec<incident::Event> = events.into_iter().collect();
        events.iter().for_each(|event| self.incident.apply(self.now, event));
        self.commit(events.into_iter().map(Event::Incident))
    }

    fn commit(&self, events: impl IntoIterator<Item = Event>) -> Commit {
        let (stream, at) = (Stream::Incident(self.id()), self.now);
        let happenings = events.into_iter().map(|event| Happening { stream, at, event }).collect();
        Commit { happenings, advanced: Vec::new(), projections: vec![self.incident.clone()] }
    }
}

fn member(service: &str, signal: &str, at: Timestamp, score: f64) -> Member {
    let labels = Labels::new([("service", service), ("pod", "p-1")]);
    let anomaly = Anomaly {
        side: Side::Up,
        onset: at,
        detected_at: at,
        until: at,
        expected: 0.5,
        lower: 0.35,
        upper: 0.65,
        scale: 0.05,
        peak_value: 0.5 + 0.15 * score,
        peak_score: score,
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
