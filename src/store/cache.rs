//! Remembers what models answered.

use super::error::failed;
use super::{Store, StoreError, sql};
use crate::id::Digest;
use crate::time::Timestamp;

/// So many answers are kept; beyond that, the oldest go.
pub const CACHED_REPLIES_MAX: i64 = 10_000;

impl Store {
    /// The answer to a question, by the hash of all that was asked, where it was given at `not_before` or later.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn cached_reply(
        &self,
        key: &Digest,
        not_before: Timestamp,
    ) -> Result<Option<String>, StoreError> {
        let reply = sqlx::query_scalar(sql::CACHED_REPLY)
            .bind(key.as_bytes().as_slice())
            .bind(not_before.as_millis())
            .fetch_optional(self.readers());
        reply.await.map_err(failed(self.file(), "looking up a cached reply"))
    }

    /// Remembers an answer, in place of an earlier one to the same question.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn cache_reply(&self, key: &Digest, at: Timestamp, reply: &str) -> Result<(), StoreError> {
        self.cache_within(key, at, reply, CACHED_REPLIES_MAX).await
    }

    async fn cache_within(
        &self,
        key: &Digest,
        at: Timestamp,
        reply: &str,
        most: i64,
    ) -> Result<(), StoreError> {
        let failed = failed(self.file(), "caching a reply");
        let mut transaction = self.begin().await?;
        let keep =
            sqlx::query(sql::CACHE_REPLY).bind(key.as_bytes().as_slice()).bind(at.as_millis()).bind(reply);
        keep.execute(&mut *transaction).await.map_err(&failed)?;
        let count: i64 =
            sqlx::query_scalar(sql::COUNT_REPLIES).fetch_one(&mut *transaction).await.map_err(&failed)?;
        if count > most {
            let evict = sqlx::query(sql::EVICT_REPLIES).bind(count - most);
            evict.execute(&mut *transaction).await.map_err(&failed)?;
        }
        transaction.commit().await.map_err(&failed)
    }
}

#[cfg(test)]
mod tests {
    use super::super::story::open;
    use super::*;

    fn key(n: u8) -> Digest {
        Digest::of_bytes(&[n])
    }

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    #[tokio::test]
    async fn an_answer_is_found_while_it_is_young_enough() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(&dir).await;
        store.cache_reply(&key(1), at(100), "because").await.unwrap();
        assert_eq!(store.cached_reply(&key(1), at(100)).await.unwrap().as_deref(), Some("because"));
        assert_eq!(store.cached_reply(&key(1), at(101)).await.unwrap(), None);
        assert_eq!(store.cached_reply(&key(2), at(0)).await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_newer_answer_takes_the_place_of_the_old() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(&dir).await;
        store.cache_reply(&key(1), at(100), "old").await.unwrap();
        store.cache_reply(&key(1), at(200), "new").await.unwrap();
        assert_eq!(store.cached_reply(&key(1), at(150)).await.unwrap().as_deref(), Some("new"));
    }

    #[tokio::test]
    async fn the_oldest_answer_goes_when_there_are_too_many() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(&dir).await;
        for (n, age) in [(1, 30), (2, 10), (3, 20), (4, 40)] {
            store.cache_within(&key(n), at(age), "text", 3).await.unwrap();
        }
        for (n, is_there) in [(1, true), (2, false), (3, true), (4, true)] {
            assert_eq!(store.cached_reply(&key(n), at(0)).await.unwrap().is_some(), is_there, "{n}");
        }
    }
}
