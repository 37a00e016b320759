//! Walks the whole log and says whether it is as it was written.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use sqlx::SqliteConnection;

use super::chain::{CHECKPOINT, Head, Link, parse_checkpoint};
use super::error::failed;
use super::events::EVENTS_PER_PAGE_MAX;
use super::row::EventColumns;
use super::{Store, StoreError, sql};
use crate::engine::Stream;
use crate::id::Digest;
use crate::record::{CAPTURED, captured_digest, stream_name};

/// So many faults are listed; the rest is counted.
pub const FAULTS_MAX: usize = 100;

/// What a walk through the log found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verified {
    /// How many events were read.
    pub events: u64,
    /// How many streams there are.
    pub streams: u64,
    /// The head of `system`. Noted outside the store, it proves later that nothing before it was changed.
    pub head: Option<Head>,
    /// What is wrong: the first fault of each stream, at most [`FAULTS_MAX`].
    pub faults: Vec<Fault>,
    /// How many more there are.
    pub faults_left_out: u64,
}

impl Verified {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.faults.is_empty()
    }

    fn note(&mut self, fault: Fault) {
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(fault);
        } else {
            self.faults_left_out += 1;
        }
    }
}

/// Something that is not as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// An event, or the one before it, was changed, removed or put in.
    BrokenLink {
        /// The stream.
        stream: String,
        /// The place in the stream of the first event whose hash does not fit.
        stream_seq: i64,
        /// Its place in the log.
        seq: i64,
    },
    /// The last events of a stream are gone.
    CutTail {
        /// The stream.
        stream: String,
        /// The place in the stream of the last event that is there.
        found: i64,
        /// The place of the last that was written.
        written: i64,
    },
    /// A whole stream is gone.
    MissingStream {
        /// The stream.
        stream: String,
        /// The place in the stream of the last event that was written.
        written: i64,
    },
    /// A stream is another than the one that was noted in `system`, or was never noted there: it was rewritten or put
    /// in, or the tail of `system` was cut.
    Unnoted {
        /// The stream.
        stream: String,
    },
    /// Captured samples are gone or changed.
    BadBlob {
        /// The stream.
        stream: String,
        /// The place in the stream of the event that refers to them.
        stream_seq: i64,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BrokenLink { stream, stream_seq, seq } => {
                write!(f, "stream {stream:?} is broken at its event {stream_seq} (event {seq} of the log)")
            }
            Self::CutTail { stream, found, written } => {
                write!(f, "stream {stream:?} ends at event {found}, it had {written}")
            }
            Self::MissingStream { stream, written } => {
                write!(f, "stream {stream:?} is missing, it had {written} events")
            }
            Self::Unnoted { stream } => {
                write!(f, "stream {stream:?} is not as \"system\" noted it")
            }
            Self::BadBlob { stream, stream_seq } => {
                write!(f, "the samples of event {stream_seq} of stream {stream:?} are missing or changed")
            }
        }
    }
}

impl Store {
    /// Reads every event of one state of the store and checks its hash, the checkpoints, and captured samples. Writers
    /// go on meanwhile.
    ///
    /// # Errors
    /// Where the database fails. What is wrong with the log is no error, but the answer.
    pub async fn verify(&self) -> Result<Verified, StoreError> {
        let mut snapshot = self.snapshot().await?;
        let mut verified = Verified::default();
        let mut walk = Walk { file: self.file(), connection: &mut snapshot };
        let system = stream_name(Stream::System);
        let (head, mut noted) = walk.stream(&system, &mut verified).await?;
        verified.head = head;

        let mut last = String::new();
        loop {
            let names = walk.names_after(&last).await?;
            let Some(end) = names.last() else { break };
            last.clone_from(end);
            verified.streams += names.len() as u64;
            for name in names.into_iter().filter(|name| *name != system) {
                let written = noted.remove(&name);
                // A stream whose links are broken has its fault already.
                if let (Some(found), _) = walk.stream(&name, &mut verified).await? {
                    compare(name, found, written).into_iter().for_each(|fault| verified.note(fault));
                }
            }
        }
        for (stream, Head { stream_seq: written, .. }) in noted {
            verified.note(Fault::MissingStream { stream, written });
        }
        Ok(verified)
    }
}

/// Compares the head of a stream with what the last checkpoint that names it says.
fn compare(stream: String, found: Head, written: Option<Head>) -> Option<Fault> {
    match written {
        Some(written) if written == found => None,
        Some(written) if written.stream_seq > found.stream_seq => {
            Some(Fault::CutTail { stream, found: found.stream_seq, written: written.stream_seq })
        }
        Some(_) | None => Some(Fault::Unnoted { stream }),
    }
}

struct Walk<'a> {
    file: &'a Path,
    connection: &'a mut SqliteConnection,
}

impl Walk<'_> {
    async fn names_after(&mut self, last: &str) -> Result<Vec<String>, StoreError> {
        let names = sqlx::query_scalar(sql::STREAMS).bind(last).bind(i64::from(EVENTS_PER_PAGE_MAX));
        names.fetch_all(&mut *self.connection).await.map_err(failed(self.file, "listing streams"))
    }

    /// Follows one stream. Gives its head, or `None` where it is empty or its links are broken, and what its
    /// checkpoints noted.
    async fn stream(
        &mut self,
        name: &str,
        verified: &mut Verified,
    ) -> Result<(Option<Head>, BTreeMap<String, Head>), StoreError> {
        let (mut head, mut noted) = (Head::NONE, BTreeMap::new());
        loop {
            let rows: Vec<EventColumns> = sqlx::query_as(sql::EVENTS)
                .bind(name)
                .bind(head.stream_seq)
                .bind(i64::from(EVENTS_PER_PAGE_MAX))
                .fetch_all(&mut *self.connection)
                .await
                .map_err(failed(self.file, "reading events"))?;
            if rows.is_empty() {
                return Ok(((head != Head::NONE).then_some(head), noted));
            }
            for (seq, stream, stream_seq, at_ms, kind, version, body, hash) in rows {
                verified.events += 1;
                let link =
                    Link { stream: &stream, stream_seq, seq, at_ms, kind: &kind, version, body: &body };
                let expected = link.hash(&head.hash);
                let follows = stream_seq == head.stream_seq + 1 && expected.as_bytes().as_slice() == hash;
                if !follows {
                    verified.note(Fault::BrokenLink { stream, stream_seq, seq });
                    return Ok((None, noted));
                }
                head = Head { stream_seq, hash: expected };
                if kind == CHECKPOINT {
                    noted.extend(parse_checkpoint(version, &body).unwrap_or_default());
                } else if kind == CAPTURED && !self.has_samples(version, &body).await? {
                    verified.note(Fault::BadBlob { stream, stream_seq });
                }
            }
        }
    }

    async fn has_samples(&mut self, version: i64, body: &str) -> Result<bool, StoreError> {
        let digest = u32::try_from(version).ok().and_then(|version| captured_digest(version, body).ok());
        let Some(digest) = digest else {
            return Ok(false);
        };
        let bytes: Option<Vec<u8>> = sqlx::query_scalar(sql::BLOB)
            .bind(digest.as_bytes().as_slice())
            .fetch_optional(&mut *self.connection)
            .await
            .map_err(failed(self.file, "reading captured samples"))?;
        Ok(bytes.is_some_and(|bytes| Digest::of_bytes(&bytes) == digest))
    }
}

#[cfg(test)]
mod tests {
    use super::super::story::{Story, open, raw};
    use super::*;

    /// Writes two incidents, changes the file with raw SQL, and gives what verification finds. `{a}` stands for the
    /// first incident's stream.
    async fn check(tampering: &str, expected: impl Fn(String) -> Vec<Fault>) {
        let dir = tempfile::tempdir().unwrap();
        let store = open(&dir).await;
        let (mut a, b) = (Story::at("a", 1, "a"), Story::at("b", 2, "b"));
        for commit in [a.opening(), b.opening(), a.diagnosis(1)] {
            store.commit(&commit).await.unwrap();
        }
        let path = store.file().to_owned();
        store.close().await;
        let stream = stream_name(Stream::Incident(a.id()));
        if !tampering.is_empty() {
            let statement = tampering.replace("{a}", &format!("'{stream}'"));
            let mut file = raw(&path).await;
            let done = sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&mut file).await.unwrap();
            assert!(done.rows_affected() > 0, "{tampering} changed nothing");
        }
        let verified = open(&dir).await.verify().await.unwrap();
        assert_eq!(verified.faults, expected(stream), "{tampering}");
        assert_eq!(verified.is_sound(), verified.faults.is_empty());
    }

    #[tokio::test]
    async fn an_untouched_store_is_sound() {
        check("", |_| Vec::new()).await;
    }

    #[tokio::test]
    async fn everything_is_read_and_the_head_is_that_of_system() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(&dir).await;
        let mut story = Story::new("checkout");
        assert_eq!(store.verify().await.unwrap(), Verified::default());
        store.commit(&story.opening()).await.unwrap();
        let last = store.commit(&story.diagnosis(1)).await.unwrap().events.pop().unwrap();
        let verified = store.verify().await.unwrap();
        assert_eq!((verified.events, verified.streams), (6, 2));
        assert_eq!(verified.head, Some(Head { stream_seq: last.stream_seq, hash: last.hash }));
    }

    #[tokio::test]
    async fn a_stream_longer_than_a_page_is_followed_to_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(&dir).await;
        let mut story = Story::new("checkout");
        store.commit(&story.opening()).await.unwrap();
        let length = i64::from(EVENTS_PER_PAGE_MAX) + 5;
        let mut commit = story.diagnosis(1);
        commit.happenings = std::iter::repeat_n(commit.happenings.remove(0), length as usize - 2).collect();
        commit.projections.clear();
        store.commit(&commit).await.unwrap();
        let verified = store.verify().await.unwrap();
        assert_eq!((verified.events, verified.faults), (length as u64 + 2, Vec::new()));
        assert_eq!(store.restore(0).await.unwrap().open[0].revisions, 1);
        let mut file = raw(store.file()).await;
        sqlx::query("DELETE FROM events WHERE stream_seq = $1")
            .bind(length)
            .execute(&mut file)
            .await
            .unwrap();
        let stream = stream_name(Stream::Incident(story.id()));
        let cut = Fault::CutTail { stream, found: length - 1, written: length };
        assert_eq!(store.verify().await.unwrap().faults, [cut]);
    }

    #[tokio::test]
    async fn a_changed_byte_is_found() {
        let broken = |stream| vec![Fault::BrokenLink { stream, stream_seq: 1, seq: 1 }];
        check("UPDATE events SET body = replace(body, '9.5', '9.4') WHERE seq = 1", broken).await;
        check("UPDATE events SET at_ms = at_ms + 1 WHERE seq = 1", broken).await;
        check("UPDATE events SET kind = 'incident.resolved' WHERE seq = 1", broken).await;
        check("UPDATE events SET hash = zeroblob(3) WHERE seq = 1", broken).await;
    }

    #[tokio::test]
    async fn a_removed_event_is_found() {
        let broken = |stream| vec![Fault::BrokenLink { stream, stream_seq: 3, seq: 7 }];
        check("DELETE FROM events WHERE stream = {a} AND stream_seq = 2", broken).await;
    }

    #[tokio::test]
    async fn a_cut_tail_is_found() {
        let cut = |stream| vec![Fault::CutTail { stream, found: 3, written: 4 }];
        check("DELETE FROM events WHERE stream = {a} AND stream_seq = 4", cut).await;
    }

    #[tokio::test]
    async fn a_missing_stream_is_found() {
        let missing = |stream| vec![Fault::MissingStream { stream, written: 4 }];
        check("DELETE FROM events WHERE stream = {a}", missing).await;
    }

    #[tokio::test]
    async fn a_cut_of_system_alone_is_found() {
        let unnoted = |stream| vec![Fault::Unnoted { stream }];
        check("DELETE FROM events WHERE stream = 'system' AND stream_seq = 3", unnoted).await;
    }

    #[tokio::test]
    async fn changed_and_missing_samples_are_found() {
        let bad = |stream| vec![Fault::BadBlob { stream, stream_seq: 2 }];
        let changed = "UPDATE blobs SET bytes = x'00' WHERE instr(CAST(bytes AS TEXT), '\"a\"') > 0";
        check(changed, bad).await;
        check("DELETE FROM blobs WHERE instr(CAST(bytes AS TEXT), '\"a\"') > 0", bad).await;
    }

    #[test]
    fn a_fault_says_where() {
        let fault = Fault::BrokenLink { stream: "incident:ab".to_owned(), stream_seq: 3, seq: 7 };
        assert_eq!(fault.to_string(), "stream \"incident:ab\" is broken at its event 3 (event 7 of the log)");
    }
}
