//! Lists incidents: filters, pages, the newest first.

use std::str::FromStr;

use super::cursor::Cursor;
use super::error::failed;
use super::row::{IncidentColumns, incident_of};
use super::{Store, StoreError, sql};
use crate::diagnose::Cause;
use crate::id::IncidentId;
use crate::incident::{Phase, Severity, Source, Subject};
use crate::series::{Service, SignalName};
use crate::time::Timestamp;

/// A page has at most this many incidents.
pub const INCIDENTS_PER_PAGE_MAX: u32 = 500;

/// An incident as a list shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct IncidentRow {
    /// Its id.
    pub id: IncidentId,
    /// What it is about.
    pub subject: Subject,
    /// Who noticed.
    pub source: Source,
    /// How bad it is.
    pub severity: Severity,
    /// Where it is in its life.
    pub phase: Phase,
    /// When the first of its troubles began.
    pub onset: Timestamp,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// When it last changed.
    pub changed_at: Timestamp,
    /// The signals in trouble in the order in which they joined, each once.
    pub signals: Vec<SignalName>,
    /// The title of the first hypothesis of the last diagnosis.
    pub hypothesis: Option<String>,
    /// The kind of cause that it names.
    pub cause: Option<Cause>,
}

/// Which incidents are wanted. The default is all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IncidentFilter {
    /// Only those in this state.
    pub status: Option<Status>,
    /// Only those of one of these severities; empty for any.
    pub severities: Vec<Severity>,
    /// Only those of this service.
    pub service: Option<Service>,
    /// Only those about this kind of subject: a word of [`Subject::KINDS`].
    pub subject: Option<&'static str>,
    /// Only those that came from here.
    pub source: Option<Source>,
    /// Only those opened at this time or later.
    pub since: Option<Timestamp>,
    /// Only those opened before this time.
    pub until: Option<Timestamp>,
}

/// Which part of a list is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// How many at most; between 1 and [`INCIDENTS_PER_PAGE_MAX`], what lies outside is moved to the nearer of both.
    pub limit: u32,
    /// Where the page before ended.
    pub after: Option<Cursor>,
}

/// The state that a filter asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Any phase but resolved.
    Open,
    /// This phase.
    Phase(PhaseName),
}

/// A phase without what it carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PhaseName {
    /// See [`Phase::Detected`].
    Detected,
    /// See [`Phase::Analyzing`].
    Analyzing,
    /// See [`Phase::Diagnosed`].
    Diagnosed,
    /// See [`Phase::Resolved`].
    Resolved,
}

impl PhaseName {
    /// Every phase, in the order of an incident's life.
    pub const ALL: [Self; 4] = [Self::Detected, Self::Analyzing, Self::Diagnosed, Self::Resolved];

    /// The word for it, which is that of the phase.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Detected => "detected",
            Self::Analyzing => "analyzing",
            Self::Diagnosed => "diagnosed",
            Self::Resolved => "resolved",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|name| name.as_str() == text)
    }
}

impl From<&Phase> for PhaseName {
    fn from(phase: &Phase) -> Self {
        match phase {
            Phase::Detected => Self::Detected,
            Phase::Analyzing { .. } => Self::Analyzing,
            Phase::Diagnosed { .. } => Self::Diagnosed,
            Phase::Resolved { .. } => Self::Resolved,
        }
    }
}

impl FromStr for Status {
    type Err = StatusError;

    /// Reads `open` or the word of a phase.
    fn from_str(text: &str) -> Result<Self, StatusError> {
        if text == "open" {
            return Ok(Self::Open);
        }
        let unknown = || StatusError(text.chars().take(80).collect());
        PhaseName::parse(text).map(Self::Phase).ok_or_else(unknown)
    }
}

/// A text that is no status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no status: give open, detected, analyzing, diagnosed or resolved")]
pub struct StatusError(String);

impl Store {
    /// Lists incidents, the newest first, and where the page ended when there are more.
    ///
    /// Following the cursor shows every incident once that was there from the beginning, whatever is opened meanwhile.
    ///
    /// # Errors
    /// Where the database fails or a row is damaged.
    pub async fn incidents(
        &self,
        filter: &IncidentFilter,
        page: Page,
    ) -> Result<(Vec<IncidentRow>, Option<Cursor>), StoreError> {
        let limit = page.limit.clamp(1, INCIDENTS_PER_PAGE_MAX) as usize;
        // One more than asked for tells whether there is a next page.
        let columns: Vec<IncidentColumns> =
            sql::list_incidents(filter, page.after, i64::try_from(limit + 1).unwrap_or(i64::MAX))
                .build_query_as()
                .fetch_all(self.readers())
                .await
                .map_err(failed(self.file(), "listing incidents"))?;
        let has_more = columns.len() > limit;
        let rows = columns.into_iter().take(limit).map(|columns| incident_of(self.file(), columns));
        let rows: Vec<IncidentRow> = rows.collect::<Result<_, _>>()?;
        let end = rows.last().map(|row| Cursor { opened_at: row.opened_at, id: row.id });
        Ok((rows, end.filter(|_| has_more)))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::story::{Story, open};
    use super::*;
    use crate::incident::Resolution;

    fn page(limit: u32, after: Option<Cursor>) -> Page {
        Page { limit, after }
    }

    #[track_caller]
    fn services(rows: &[IncidentRow], expected: &[&str]) {
        assert_eq!(rows.iter().map(|row| row.subject.to_string()).collect::<Vec<_>>(), expected);
    }

    #[tokio::test]
    async fn a_row_says_what_the_incident_says() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(&dir).await;
        let mut story = Story::new("checkout");
        for commit in [story.opening(), story.joining("latency_p95"), story.diagnosis(1), story.recovery()] {
            store.commit(&commit).await.unwrap();
            let (rows, _) = store.incidents(&IncidentFilter::default(), page(10, None)).await.unwrap();
            let [row] = rows.as_slice() else { panic!("one row") };
            let incident = Story::state_of(&commit);
            assert_eq!((row.id, &row.subject, row.source), (incident.id, &incident.subject, incident.source));
            assert_eq!((row.severity, row.phase), (incident.assessment.severity, incident.phase));
            assert_eq!(
                (row.onset, row.opened_at, row.changed_at),
                (incident.onset(), incident.opened_at, incident.changed_at)
            );
        }
        let (rows, _) = store.incidents(&IncidentFilter::default(), page(10, None)).await.unwrap();
        let signals: Vec<&str> = rows[0].signals.iter().map(SignalName::as_str).collect();
        assert_eq!(signals, ["error_rate", "latency_p95"]);
        assert_eq!(rows[0].hypothesis.as_deref(), Some("checkout fails by itself (1)"));
        assert_eq!(rows[0].cause, Some(Cause::Failure));
        assert!(matches!(rows[0].phase, Phase::Resolved { because: Resolution::Recovered, .. }));
    }

    #[tokio::test]
    async fn a_row_follows_its_events_even_without_a_given_state() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(&dir).await;
        let mut story = Story::new("checkout");
        for mut commit in [story.opening(), story.diagnosis(1), story.recovery()] {
            commit.projections.clear();
            store.commit(&commit).await.unwrap();
        }
        let (rows, _) = store.incidents(&IncidentFilter::default(), page(10, None)).await.unwrap();
        assert_eq!(rows[0].phase, story.incident().phase);
    }

    #[tokio::test]
    async fn paging_shows_every_incident_once_while_new_ones_arrive() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(&dir).await;
        let mut expected = BTreeSet::new();
        for n in 0..7 {
            // Two a moment: the id decides between them.
            let story = Story::at("checkout", n / 2, &n.to_string());
            store.commit(&story.opening()).await.unwrap();
            expected.insert(story.id());
        }
        let (mut seen, mut after, mut late) = (Vec::new(), None, 100);
        loop {
            let (rows, next) = store.incidents(&IncidentFilter::default(), page(2, after)).await.unwrap();
            seen.extend(rows.iter().map(|row| row.id));
            let newer = Story::at("late", late, "late");
            store.commit(&newer.opening()).await.unwrap();
            late += 1;
            match next {
                // Through its text, as a client holds it.
                Some(cursor) => after = Some(cursor.to_string().parse().unwrap()),
                None => break,
            }
        }
        assert_eq!(seen.len(), 7);
        assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), expected);
    }

    #[tokio::test]
    async fn filters_keep_what_fits() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(&dir).await;
        let (a, mut b, mut c) = (Story::at("a", 1, "a"), Story::at("b", 2, "b"), Story::at("c", 3, "c"));
        for commit in [a.opening(), b.opening(), b.diagnosis(1), c.opening(), c.recovery()] {
            store.commit(&commit).await.unwrap();
        }
        let all = IncidentFilter::default;
        let with = |status: &str| IncidentFilter { status: Some(status.parse().unwrap()), ..all() };
        let second = Some(b.incident().opened_at);
        let cases: [(IncidentFilter, &[&str]); 12] = [
            (all(), &["c", "b", "a"]),
            (with("open"), &["b", "a"]),
            (with("resolved"), &["c"]),
            (with("diagnosed"), &["b"]),
            (with("detected"), &["a"]),
            (with("analyzing"), &[]),
            (IncidentFilter { service: Some(Service::new("b")), ..all() }, &["b"]),
            (IncidentFilter { source: Some(Source::Detector), ..all() }, &["c", "b", "a"]),
            (IncidentFilter { severities: vec![Severity::P0], ..all() }, &[]),
            (IncidentFilter { severities: Severity::ALL.to_vec(), ..all() }, &["c", "b", "a"]),
            (IncidentFilter { since: second, ..all() }, &["c", "b"]),
            (IncidentFilter { until: second, ..with("open") }, &["a"]),
        ];
        for (filter, expected) in cases {
            let (rows, next) = store.incidents(&filter, page(10, None)).await.unwrap();
            services(&rows, expected);
            assert_eq!(next, None, "{filter:?}");
        }
    }

    #[tokio::test]
    async fn a_limit_out_of_range_is_moved_into_it() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(&dir).await;
        for (n, service) in ["a", "b"].into_iter().enumerate() {
            store.commit(&Story::at(service, n as i64, service).opening()).await.unwrap();
        }
        let (rows, next) = store.incidents(&IncidentFilter::default(), page(0, None)).await.unwrap();
        services(&rows, &["b"]);
        assert!(next.is_some());
        let (rows, _) = store.incidents(&IncidentFilter::default(), page(u32::MAX, None)).await.unwrap();
        services(&rows, &["b", "a"]);
    }

    #[test]
    fn a_phase_and_its_name_have_one_word() {
        let (at, because) = (Timestamp::from_millis(0), Resolution::Recovered);
        let resolved = Phase::Resolved { at, because };
        for phase in
            [Phase::Detected, Phase::Analyzing { revision: 1 }, Phase::Diagnosed { revision: 1 }, resolved]
        {
            assert_eq!(PhaseName::from(&phase).as_str(), phase.as_str());
        }
    }

    #[test]
    fn what_is_no_status_is_refused() {
        for text in ["", "Open", "closed", "resolved "] {
            assert!(text.parse::<Status>().is_err(), "{text}");
        }
    }
}
