//! Writes what the engine decided: events, projections and watermarks, all or nothing.

use std::collections::BTreeMap;
use std::path::Path;

use sqlx::SqliteConnection;

use super::chain::{CHECKPOINT, CHECKPOINT_VERSION, Head, Link, checkpoint_body};
use super::error::{damaged, failed};
use super::events::StoredEvent;
use super::project::Touched;
use super::row::digest_of;
use super::{Store, StoreError, sql};
use crate::engine::{Event, Happening, Stream, SystemEvent};
use crate::id::IncidentId;
use crate::incident::{self, Incident};
use crate::record::{Encoded, encode, stream_name};
use crate::series::SignalName;
use crate::time::Timestamp;

/// What belongs together: after a crash, all of it is there or none.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Commit {
    /// The events, in the order in which they were decided.
    pub happenings: Vec<Happening>,
    /// How far each signal is judged. A watermark never goes back.
    pub advanced: Vec<(SignalName, Timestamp)>,
    /// The states of the incidents after the events. One that was touched and is not given is read from its events;
    /// one that was not touched is passed over.
    pub projections: Vec<Incident>,
}

impl Commit {
    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.happenings.is_empty() && self.advanced.is_empty()
    }
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Committed {
    /// The events with their places in the log, the checkpoint last.
    pub events: Vec<StoredEvent>,
}

impl Store {
    /// Writes a commit; it is on disk when this returns. Nothing to write is no transaction.
    ///
    /// A call that is given up while it waits has written all or nothing; only [`Store::restore`] tells which.
    ///
    /// # Errors
    /// [`StoreError::AlreadyOpened`] for an incident that exists; [`StoreError::Misplaced`] for an event that does not
    /// belong into its stream. In every case nothing was written.
    pub async fn commit(&self, commit: &Commit) -> Result<Committed, StoreError> {
        if commit.is_empty() {
            return Ok(Committed::default());
        }
        let mut transaction = self.begin().await?;
        let mut log = Log::at_end(self.file(), &mut transaction).await?;
        for happening in &commit.happenings {
            log.append(happening).await?;
        }
        if let Some(last) = commit.happenings.last() {
            log.append_checkpoint(last.at).await?;
        }
        let Log { touched, written, .. } = log;
        for (id, touched) in touched {
            let state = commit.projections.iter().find(|incident| incident.id == id);
            self.project(&mut transaction, id, &touched, state).await?;
        }
        for (signal, through) in &commit.advanced {
            let advance = sqlx::query(sql::ADVANCE).bind(signal.as_str()).bind(through.as_millis());
            advance.execute(&mut *transaction).await.map_err(failed(self.file(), "noting what is judged"))?;
        }
        transaction.commit().await.map_err(failed(self.file(), "committing"))?;
        Ok(Committed { events: written })
    }
}

/// The end of the log within a transaction.
struct Log<'a> {
    file: &'a Path,
    connection: &'a mut SqliteConnection,
    last_seq: i64,
    heads: BTreeMap<String, Head>,
    touched: BTreeMap<IncidentId, Touched>,
    written: Vec<StoredEvent>,
}

impl<'a> Log<'a> {
    async fn at_end(file: &'a Path, connection: &'a mut SqliteConnection) -> Result<Self, StoreError> {
        let last: Option<i64> = sqlx::query_scalar(sql::LAST_SEQ)
            .fetch_one(&mut *connection)
            .await
            .map_err(failed(file, "reading the end of the log"))?;
        let (heads, touched, written) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        Ok(Self { file, connection, last_seq: last.unwrap_or(0), heads, touched, written })
    }

    async fn append(&mut self, happening: &Happening) -> Result<(), StoreError> {
        let encoded = encode(&happening.event)
            .map_err(|source| StoreError::Unwritable { file: self.file.to_owned(), source })?;
        let head = self.head(&stream_name(happening.stream)).await?;
        self.check_place(happening, head, encoded.kind)?;
        for blob in &encoded.blobs {
            let keep = sqlx::query(sql::KEEP_BLOB)
                .bind(blob.digest.as_bytes().as_slice())
                .bind(blob.bytes.as_slice());
            keep.execute(&mut *self.connection).await.map_err(failed(self.file, "writing a blob"))?;
        }
        let seq = self.write(happening.stream, happening.at, encoded).await?;
        if let Event::System(SystemEvent::SeriesRebased(_)) = happening.event {
            let keep = sqlx::query(sql::KEEP_DIRECTIVE).bind(seq);
            keep.execute(&mut *self.connection).await.map_err(failed(self.file, "keeping a directive"))?;
        }
        if let Stream::Incident(id) = happening.stream {
            self.touched.entry(id).or_insert_with(|| Touched::at(seq)).take(&happening.event);
        }
        Ok(())
    }

    /// Notes the heads of the incident streams that were touched.
    async fn append_checkpoint(&mut self, at: Timestamp) -> Result<(), StoreError> {
        let names = self.touched.keys().map(|id| stream_name(Stream::Incident(*id)));
        let heads: BTreeMap<String, Head> =
            names.filter_map(|name| self.heads.get(&name).map(|head| (name, *head))).collect();
        if heads.is_empty() {
            return Ok(());
        }
        let body =
            checkpoint_body(&heads).map_err(|error| damaged(self.file, "events", error.to_string()))?;
        let encoded = Encoded { kind: CHECKPOINT, version: CHECKPOINT_VERSION, body, blobs: Vec::new() };
        self.write(Stream::System, at, encoded).await?;
        Ok(())
    }

    /// Writes the next event of a stream and gives its place in the log.
    async fn write(&mut self, stream: Stream, at: Timestamp, encoded: Encoded) -> Result<i64, StoreError> {
        let name = stream_name(stream);
        let head = self.head(&name).await?;
        let Encoded { kind, version, body, .. } = encoded;
        let (seq, stream_seq) = (self.last_seq + 1, head.stream_seq + 1);
        let link = Link {
            stream: &name,
            stream_seq,
            seq,
            at_ms: at.as_millis(),
            kind,
            version: i64::from(version),
            body: &body,
        };
        let hash = link.hash(&head.hash);
        sqlx::query(sql::APPEND)
            .bind(seq)
            .bind(link.stream)
            .bind(stream_seq)
            .bind(link.at_ms)
            .bind(kind)
            .bind(link.version)
            .bind(link.body)
            .bind(hash.as_bytes().as_slice())
            .execute(&mut *self.connection)
            .await
            .map_err(failed(self.file, "appending an event"))?;
        self.last_seq = seq;
        self.heads.insert(name, Head { stream_seq, hash });
        let kind = kind.to_owned();
        self.written.push(StoredEvent { seq, stream, stream_seq, at, kind, version, body, hash });
        Ok(seq)
    }

    async fn head(&mut self, stream: &str) -> Result<Head, StoreError> {
        if let Some(head) = self.heads.get(stream) {
            return Ok(*head);
        }
        let row: Option<(i64, Vec<u8>)> = sqlx::query_as(sql::HEAD)
            .bind(stream)
            .fetch_optional(&mut *self.connection)
            .await
            .map_err(failed(self.file, "reading the head of a stream"))?;
        let head = match row {
            Some((stream_seq, hash)) => Head { stream_seq, hash: digest_of(self.file, "events", &hash)? },
            None => Head::NONE,
        };
        self.heads.insert(stream.to_owned(), head);
        Ok(head)
    }

    /// An incident's stream begins with its opening, has one only, and holds what happened to that incident.
    fn check_place(&self, happening: &Happening, head: Head, kind: &'static str) -> Result<(), StoreError> {
        let misplaced = |because| {
            let stream = stream_name(happening.stream);
            Err(StoreError::Misplaced { file: self.file.to_owned(), stream, kind, because })
        };
        let is_first = head == Head::NONE;
        match (happening.stream, &happening.event) {
            (Stream::System, Event::System(_)) => Ok(()),
            (Stream::System, Event::Incident(_) | Event::Diagnosed(_) | Event::Captured(_)) => {
                misplaced("it is about an incident")
            }
            (Stream::Incident(_), Event::System(_)) => misplaced("it is about no incident"),
            (
                Stream::Incident(id),
                Event::Incident(
                    incident::Event::Opened { id: opened, .. }
                    | incident::Event::SourceOpened { id: opened, .. },
                ),
            ) => match (*opened == id, is_first) {
                (false, _) => misplaced("it opens another incident"),
                (true, false) => Err(StoreError::AlreadyOpened { file: self.file.to_owned(), incident: id }),
                (true, true) => Ok(()),
            },
            (Stream::Incident(id), Event::Diagnosed(diagnosis)) if diagnosis.incident != id => {
                misplaced("it is about another incident")
            }
            (Stream::Incident(_), Event::Incident(_) | Event::Diagnosed(_) | Event::Captured(_)) => {
                if is_first {
                    misplaced("that incident was never opened")
                } else {
                    Ok(())
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::story::{Story, count, open, raw};
    use super::*;

    fn started(at_ms: i64) -> Happening {
        let event = SystemEvent::Started { version: "0.1.0".to_owned(), config_hash: "ab".to_owned() };
        let at = Timestamp::from_millis(at_ms);
        Happening { stream: Stream::System, at, event: Event::System(event) }
    }

    #[tokio::test]
    async fn events_are_numbered_in_the_log_and_in_their_stream_with_a_checkpoint_last() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(&dir).await;
        let story = Story::new("checkout");
        let mut commit = story.opening();
        commit.happenings.insert(0, started(5));
        let events = store.commit(&commit).await.unwrap().events;
        let places: Vec<_> =
            events.iter().map(|event| (event.seq, event.stream_seq, event.kind.as_str())).collect();
        let expected = [
            (1, 1, "system.started"),
            (2, 1, "incident.opened"),
            (3, 2, "incident.captured"),
            (4, 2, CHECKPOINT),
        ];
        assert_eq!(places, expected);
        assert_eq!(store.events(Stream::Incident(story.id()), 0, 10).await.unwrap(), events[1..3]);
        assert_eq!(store.events(Stream::System, 1, 10).await.unwrap(), events[3..]);
    }

    #[tokio::test]
    async fn a_doubled_opening_is_refused_and_nothing_of_its_commit_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(&dir).await;
        let story = Story::new("checkout");
        store.commit(&story.opening()).await.unwrap();
        let mut commit = story.opening();
        commit.happenings.insert(0, started(5));
        commit.advanced.push((SignalName::new("error_rate"), Timestamp::from_millis(9)));
        let error = store.commit(&commit).await.unwrap_err();
        let doubled = story.id();
        assert!(
            matches!(error, StoreError::AlreadyOpened { incident, .. } if incident == doubled),
            "{error}"
        );
        assert!(!error.is_retryable());
        assert_eq!(store.events(Stream::System, 0, 10).await.unwrap().len(), 1, "the first checkpoint");
        assert!(store.restore(10).await.unwrap().judged_through.is_empty());
        assert!(store.commit(&Story::new("orders").opening()).await.is_ok(), "the store goes on");
    }

    #[tokio::test]
    async fn a_commit_that_fails_late_leaves_no_trace() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(&dir).await;
        let mut file = raw(store.file()).await;
        let trigger = "CREATE TRIGGER full BEFORE INSERT ON judged BEGIN SELECT RAISE(ABORT, 'full'); END";
        sqlx::query(trigger).execute(&mut file).await.unwrap();
        let mut commit = Story::new("checkout").opening();
        commit.advanced.push((SignalName::new("error_rate"), Timestamp::from_millis(9)));
        let error = store.commit(&commit).await.unwrap_err();
        assert!(error.to_string().contains("portent.db"), "{error}");
        for table in ["events", "incidents", "blobs", "judged"] {
            assert_eq!(count(&mut file, table).await, 0, "{table}");
        }
    }

    #[tokio::test]
    async fn what_has_no_place_in_a_stream_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(&dir).await;
        let (story, other) = (Story::new("checkout"), Story::new("orders"));
        let mut lost = story.opening();
        lost.happenings.remove(0);
        let mut moved = story.opening();
        moved.happenings[0].stream = Stream::Incident(other.id());
        let mut system = story.opening();
        system.happenings[0].stream = Stream::System;
        let mut agent = story.opening();
        agent.happenings.push(Happening { stream: Stream::Incident(story.id()), ..started(5) });
        for commit in [lost, moved, system, agent] {
            let error = store.commit(&commit).await.unwrap_err();
            assert!(matches!(error, StoreError::Misplaced { .. }), "{error}");
        }
    }

    #[tokio::test]
    async fn nothing_to_write_writes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(&dir).await;
        let held = store.begin().await.unwrap();
        let commit = Commit { projections: vec![Story::new("a").incident().clone()], ..Commit::default() };
        assert_eq!(store.commit(&commit).await.unwrap(), Committed::default(), "while the writer is taken");
        drop(held);
    }

    #[tokio::test]
    async fn a_watermark_never_goes_back() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(&dir).await;
        let signal = SignalName::new("error_rate");
        for at_ms in [5, 9, 7] {
            let advanced = vec![(signal.clone(), Timestamp::from_millis(at_ms))];
            store.commit(&Commit { advanced, ..Commit::default() }).await.unwrap();
        }
        let judged = store.restore(0).await.unwrap().judged_through;
        assert_eq!(judged, BTreeMap::from([(signal, Timestamp::from_millis(9))]));
    }
}
