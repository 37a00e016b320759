//! Reads the log, and what is told by one incident's events alone.

use std::path::Path;

use sqlx::SqliteConnection;

use super::error::{damaged, failed};
use super::row::{EventColumns, event_of};
use super::{Store, StoreError, sql};
use crate::diagnose::Diagnosis;
use crate::engine::{CapturedSeries, Event, Stream};
use crate::id::{Digest, IncidentId};
use crate::incident::Incident;
use crate::record::{CAPTURED, DIAGNOSED, captured_digest, decode, decode_captured, stream_name};
use crate::time::Timestamp;

/// At most this many events are read at once.
pub const EVENTS_PER_PAGE_MAX: u32 = 1000;

/// An event as it stands in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvent {
    /// Its place in the whole log, from 1.
    pub seq: i64,
    /// Its stream.
    pub stream: Stream,
    /// Its place in the stream, from 1.
    pub stream_seq: i64,
    /// When it was decided.
    pub at: Timestamp,
    /// What happened: `incident.opened`.
    pub kind: String,
    /// The version of the body's form.
    pub version: u32,
    /// The body: JSON text, byte for byte as it was written and hashed.
    pub body: String,
    /// The hash of all of this and of the event before it in the stream.
    pub hash: Digest,
}

impl Store {
    /// Reads a part of a stream, the oldest first: the events after `after` of that stream (0 for all), at most `limit`
    /// and at most [`EVENTS_PER_PAGE_MAX`].
    ///
    /// # Errors
    /// Where the database fails or a row is damaged.
    pub async fn events(
        &self,
        stream: Stream,
        after: i64,
        limit: u32,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let mut connection = self.read().await?;
        page(self.file(), &mut connection, &stream_name(stream), after, limit).await
    }

    /// Rebuilds an incident from its events; `None` where there is none.
    ///
    /// # Errors
    /// Where the database fails or an event can't be read.
    pub async fn incident(&self, id: IncidentId) -> Result<Option<Incident>, StoreError> {
        read_incident(self.file(), &mut *self.read().await?, id).await
    }

    /// A diagnosis of an incident by its revision, or the last that was made. Only the last 1,000 are looked at.
    ///
    /// # Errors
    /// Where the database fails or an event can't be read.
    pub async fn diagnosis(
        &self,
        id: IncidentId,
        revision: Option<u32>,
    ) -> Result<Option<Diagnosis>, StoreError> {
        for event in self.newest_of_kind(id, DIAGNOSED).await? {
            if let Event::Diagnosed(diagnosis) = event_in(self.file(), &event)?
                && revision.is_none_or(|revision| revision == diagnosis.revision)
            {
                return Ok(Some(diagnosis));
            }
        }
        Ok(None)
    }

    /// The samples that were captured around an incident; empty where there are none.
    ///
    /// # Errors
    /// Where the database fails, or the samples are missing or can't be read.
    pub async fn captured(&self, id: IncidentId) -> Result<Vec<CapturedSeries>, StoreError> {
        let mut captured = Vec::new();
        for event in self.newest_of_kind(id, CAPTURED).await?.iter().rev() {
            let unreadable = |source| unreadable(self.file(), event, source);
            let digest = captured_digest(event.version, &event.body).map_err(unreadable)?;
            let bytes: Option<Vec<u8>> = sqlx::query_scalar(sql::BLOB)
                .bind(digest.as_bytes().as_slice())
                .fetch_optional(self.readers())
                .await
                .map_err(failed(self.file(), "reading captured samples"))?;
            let missing = || damaged(self.file(), "blobs", format!("blob {digest} is missing"));
            captured.extend(decode_captured(&bytes.ok_or_else(missing)?).map_err(unreadable)?);
        }
        Ok(captured)
    }

    async fn newest_of_kind(&self, id: IncidentId, kind: &str) -> Result<Vec<StoredEvent>, StoreError> {
        let rows: Vec<EventColumns> = sqlx::query_as(sql::EVENTS_OF_KIND)
            .bind(stream_name(Stream::Incident(id)))
            .bind(kind)
            .bind(i64::from(EVENTS_PER_PAGE_MAX))
            .fetch_all(self.readers())
            .await
            .map_err(failed(self.file(), "reading an incident's events"))?;
        rows.into_iter().map(|columns| event_of(self.file(), columns)).collect()
    }
}

/// Rebuilds an incident from its events, page by page.
pub(super) async fn read_incident(
    file: &Path,
    connection: &mut SqliteConnection,
    id: IncidentId,
) -> Result<Option<Incident>, StoreError> {
    let stream = stream_name(Stream::Incident(id));
    let (mut incident, mut after) = (None, 0);
    loop {
        let events = page(file, connection, &stream, after, EVENTS_PER_PAGE_MAX).await?;
        let Some(last) = events.last() else {
            return Ok(incident);
        };
        after = last.stream_seq;
        for event in &events {
            incident = fold(incident, event.at, event_in(file, event)?);
        }
    }
}

/// Takes one event into the state. What comes before the opening has nothing to go into.
fn fold(incident: Option<Incident>, at: Timestamp, event: Event) -> Option<Incident> {
    match (incident, event) {
        (None, Event::Incident(event)) => Incident::from_opening(at, &event),
        (Some(mut incident), Event::Incident(event)) => {
            incident.apply(at, &event);
            Some(incident)
        }
        (Some(mut incident), Event::Diagnosed(diagnosis)) => {
            incident.diagnosed(at, diagnosis.revision, diagnosis.standing());
            Some(incident)
        }
        (incident, Event::Diagnosed(_) | Event::Captured(_) | Event::System(_)) => incident,
    }
}

async fn page(
    file: &Path,
    connection: &mut SqliteConnection,
    stream: &str,
    after: i64,
    limit: u32,
) -> Result<Vec<StoredEvent>, StoreError> {
    let rows: Vec<EventColumns> = sqlx::query_as(sql::EVENTS)
        .bind(stream)
        .bind(after)
        .bind(i64::from(limit.min(EVENTS_PER_PAGE_MAX)))
        .fetch_all(connection)
        .await
        .map_err(failed(file, "reading events"))?;
    rows.into_iter().map(|columns| event_of(file, columns)).collect()
}

fn event_in(file: &Path, event: &StoredEvent) -> Result<Event, StoreError> {
    decode(&event.kind, event.version, &event.body).map_err(|source| unreadable(file, event, source))
}

fn unreadable(file: &Path, event: &StoredEvent, source: crate::record::RecordError) -> StoreError {
    let (stream, stream_seq) = (stream_name(event.stream), event.stream_seq);
    StoreError::Unreadable { file: file.to_owned(), stream, stream_seq, source }
}

#[cfg(test)]
mod tests {
    use super::super::story::{Story, open, raw};
    use super::*;

    #[tokio::test]
    async fn an_incident_is_what_its_events_make_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(&dir).await;
        let mut story = Story::new("checkout");
        assert_eq!(store.incident(story.id()).await.unwrap(), None);
        for commit in [story.opening(), story.diagnosis(1), story.recovery()] {
            store.commit(&commit).await.unwrap();
        }
        assert_eq!(store.incident(story.id()).await.unwrap(), Some(story.incident().clone()));
    }

    #[tokio::test]
    async fn a_stream_is_read_in_pages() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(&dir).await;
        let mut story = Story::new("checkout");
        store.commit(&story.opening()).await.unwrap();
        store.commit(&story.diagnosis(1)).await.unwrap();
        let stream = Stream::Incident(story.id());
        let (mut seen, mut after) = (Vec::new(), 0);
        while let [event] = store.events(stream, after, 1).await.unwrap().as_slice() {
            after = event.stream_seq;
            seen.push(event.clone());
        }
        assert_eq!(seen, store.events(stream, 0, u32::MAX).await.unwrap());
        let kinds: Vec<&str> = seen.iter().map(|event| event.kind.as_str()).collect();
        let expected =
            ["incident.opened", "incident.captured", "incident.analysis_requested", "incident.diagnosed"];
        assert_eq!(kinds, expected);
    }

    #[tokio::test]
    async fn a_diagnosis_is_found_by_revision_and_the_last_without() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(&dir).await;
        let mut story = Story::new("checkout");
        store.commit(&story.opening()).await.unwrap();
        assert_eq!(store.diagnosis(story.id(), None).await.unwrap(), None);
        for revision in [1, 2] {
            store.commit(&story.diagnosis(revision)).await.unwrap();
        }
        for (asked, found) in [(None, Some(2)), (Some(1), Some(1)), (Some(2), Some(2)), (Some(3), None)] {
            let diagnosis = store.diagnosis(story.id(), asked).await.unwrap();
            assert_eq!(diagnosis.map(|diagnosis| diagnosis.revision), found, "{asked:?}");
        }
    }

    #[tokio::test]
    async fn captured_samples_come_back_as_they_were() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(&dir).await;
        let story = Story::new("checkout");
        store.commit(&story.opening()).await.unwrap();
        assert_eq!(store.captured(story.id()).await.unwrap(), story.samples());
        let nobody = Story::new("nobody");
        assert!(store.captured(nobody.id()).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn an_event_that_cannot_be_read_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(&dir).await;
        let story = Story::new("checkout");
        store.commit(&story.opening()).await.unwrap();
        let mut file = raw(store.file()).await;
        sqlx::query("UPDATE events SET version = 9 WHERE kind = 'incident.opened'")
            .execute(&mut file)
            .await
            .unwrap();
        let text = store.incident(story.id()).await.unwrap_err().to_string();
        for part in ["portent.db", "event 1", &story.id().to_string(), "incident.opened", "version 9"] {
            assert!(text.contains(part), "{text} lacks {part:?}");
        }
    }
}
