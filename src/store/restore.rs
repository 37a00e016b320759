//! Gives the engine what it needs to go on.

use std::collections::BTreeMap;

use sqlx::SqliteConnection;

use super::error::{damaged, failed};
use super::events::read_incident;
use super::incidents::IncidentRow;
use super::row::{IncidentColumns, digest_of, incident_of};
use super::{Store, StoreError, sql};
use crate::detect::Directive;
use crate::diagnose::PastIncident;
use crate::engine::{DIRECTIVES_MAX, Event, Restored, SystemEvent};
use crate::id::{Digest, IncidentId};
use crate::incident::{Incident, Phase};
use crate::record::decode;
use crate::series::SignalName;
use crate::time::Timestamp;

impl Store {
    /// The number and the hash of the last event of the whole log; 0 and the zero hash before the first.
    ///
    /// # Errors
    /// Where the log cannot be read.
    pub async fn last_event(&self) -> Result<(i64, Digest), StoreError> {
        let mut connection = self.read().await?;
        let last: Option<(i64, Vec<u8>)> = sqlx::query_as(sql::LAST)
            .fetch_optional(&mut *connection)
            .await
            .map_err(failed(self.file(), "reading the end of the log"))?;
        let Some((seq, hash)) = last else { return Ok((0, Digest::ZERO)) };
        Ok((seq, digest_of(self.file(), "events", &hash)?))
    }

    /// Whether the log has an event of this number with this hash: what belongs to that belongs to this log.
    ///
    /// # Errors
    /// Where the log cannot be read.
    pub async fn holds(&self, seq: i64, hash: &Digest) -> Result<bool, StoreError> {
        let mut connection = self.read().await?;
        let found: Option<(Vec<u8>,)> = sqlx::query_as(sql::HASH_OF)
            .bind(seq)
            .fetch_optional(&mut *connection)
            .await
            .map_err(failed(self.file(), "looking up an event of the log"))?;
        Ok(found.is_some_and(|(held,)| held == hash.as_bytes()))
    }

    /// Reads back what a restart must not forget: the open incidents, rebuilt from their events, in the order in which
    /// they were opened; the `past_limit` incidents that resolved last; how far each signal is judged; what detection
    /// was told.
    ///
    /// # Errors
    /// Where the database fails or an event can't be read: an agent that forgot an open incident would open it again.
    pub async fn restore(&self, past_limit: u32) -> Result<Restored, StoreError> {
        let failed = failed(self.file(), "restoring");
        let mut snapshot = self.snapshot().await?;
        let ids: Vec<String> =
            sqlx::query_scalar(sql::OPEN_INCIDENTS).fetch_all(&mut *snapshot).await.map_err(&failed)?;
        let mut open: Vec<Incident> = Vec::with_capacity(ids.len());
        for text in ids {
            let bad = |what: &str| damaged(self.file(), "incidents", format!("incident {text:?} {what}"));
            let id: IncidentId = text.parse().map_err(|_| bad("has a bad id"))?;
            let incident = read_incident(self.file(), &mut snapshot, id).await?;
            open.push(incident.ok_or_else(|| bad("is open, but its events are missing"))?);
        }
        let past: Vec<IncidentColumns> = sql::past_incidents(i64::from(past_limit))
            .build_query_as()
            .fetch_all(&mut *snapshot)
            .await
            .map_err(&failed)?;
        let past = past.into_iter().map(|columns| incident_of(self.file(), columns).map(past_incident));
        let past = past.collect::<Result<_, _>>()?;
        let judged: Vec<(String, i64)> =
            sqlx::query_as(sql::JUDGED).fetch_all(&mut *snapshot).await.map_err(&failed)?;
        let judged_through: BTreeMap<SignalName, Timestamp> = judged
            .into_iter()
            .map(|(signal, through_ms)| (SignalName::new(&signal), Timestamp::from_millis(through_ms)))
            .collect();
        let directives = self.directives(&mut snapshot).await?;
        Ok(Restored { open, past, judged_through, directives })
    }
}

impl Store {
    /// What detection was told, the oldest first.
    async fn directives(&self, connection: &mut SqliteConnection) -> Result<Vec<Directive>, StoreError> {
        let limit = i64::try_from(DIRECTIVES_MAX).unwrap_or(i64::MAX);
        let rows: Vec<(i64, String, i64, String)> = sqlx::query_as(sql::DIRECTIVES)
            .bind(limit)
            .fetch_all(connection)
            .await
            .map_err(failed(self.file(), "reading the directives"))?;
        let directive = |(seq, kind, version, body): (i64, String, i64, String)| {
            let bad = |why: String| damaged(self.file(), "directives", format!("event {seq} {why}"));
            let version = u32::try_from(version).map_err(|_| bad(format!("has version {version}")))?;
            match decode(&kind, version, &body).map_err(|error| bad(format!("can't be read: {error}")))? {
                Event::System(SystemEvent::SeriesRebased(rebased)) => Ok(rebased.directive()),
                Event::System(_) | Event::Incident(_) | Event::Diagnosed(_) | Event::Captured(_) => {
                    Err(bad(format!("is {kind}, which tells detection nothing")))
                }
            }
        };
        rows.into_iter().rev().map(directive).collect()
    }
}

fn past_incident(row: IncidentRow) -> PastIncident {
    let IncidentRow { id, subject, opened_at, signals, cause, phase, .. } = row;
    let resolved_at = match phase {
        Phase::Resolved { at, .. } => Some(at),
        Phase::Detected | Phase::Analyzing { .. } | Phase::Diagnosed { .. } => None,
    };
    PastIncident { incident: id, subject, opened_at, signals, cause, resolved_at }
}

#[cfg(test)]
mod tests {
    use super::super::story::{Story, open, raw};
    use super::*;
    use crate::diagnose::Cause;
    use crate::series::Service;

    #[tokio::test]
    async fn a_restart_gives_back_the_state_in_memory() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(&dir).await;
        let (mut first, second) = (Story::at("a", 1, "a"), Story::at("b", 2, "b"));
        let mut done = Story::at("c", 3, "c");
        let commits = [
            first.opening(),
            second.opening(),
            first.joining("latency_p95"),
            first.diagnosis(1),
            done.opening(),
            done.diagnosis(1),
            done.diagnosis(2),
            done.recovery(),
        ];
        for mut commit in commits {
            commit.advanced.push((SignalName::new("error_rate"), Timestamp::from_millis(77)));
            store.commit(&commit).await.unwrap();
        }
        drop(store);
        let restored = open(&dir).await.restore(10).await.unwrap();
        assert_eq!(restored.open, [first.incident().clone(), second.incident().clone()]);
        let Phase::Resolved { at, .. } = done.incident().phase else { panic!("not resolved") };
        let past = PastIncident {
            incident: done.id(),
            subject: Service::new("c").into(),
            opened_at: done.incident().opened_at,
            signals: vec![SignalName::new("error_rate")],
            cause: Some(Cause::Failure),
            resolved_at: Some(at),
        };
        assert_eq!(restored.past, [past]);
        let judged = BTreeMap::from([(SignalName::new("error_rate"), Timestamp::from_millis(77))]);
        assert_eq!(restored.judged_through, judged);
    }

    #[tokio::test]
    async fn what_detection_was_told_comes_back_in_its_order() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(&dir).await;
        let told = |nth: i64| {
            let at = Timestamp::from_millis(nth * 1000);
            let labels = crate::series::Labels::new([("service", "shop")]);
            let key = crate::series::SeriesKey::new(SignalName::new("cpu"), Service::new("shop"), labels);
            let (by, comment) = ("ada".to_owned(), "moved".to_owned());
            let key = std::sync::Arc::new(key);
            let rebased =
                crate::engine::SeriesRebased { key, since: at, at, from: 1.0, to: 2.0, by, comment };
            let directive = rebased.directive();
            let event = Event::System(SystemEvent::SeriesRebased(rebased));
            let stream = crate::engine::Stream::System;
            (crate::engine::Happening { stream, at, event }, directive)
        };
        let (happenings, directives): (Vec<_>, Vec<_>) = [5, 3, 9].map(told).into_iter().unzip();
        for happening in happenings {
            let happenings = vec![happening];
            store.commit(&crate::store::Commit { happenings, ..Default::default() }).await.unwrap();
        }
        drop(store);
        assert_eq!(open(&dir).await.restore(10).await.unwrap().directives, directives);
    }

    #[tokio::test]
    async fn the_past_is_limited_to_what_resolved_last() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(&dir).await;
        let mut ids = Vec::new();
        for n in 0..4 {
            let mut story = Story::at("a", n, &n.to_string());
            store.commit(&story.opening()).await.unwrap();
            store.commit(&story.recovery()).await.unwrap();
            ids.insert(0, story.id());
        }
        let past = store.restore(2).await.unwrap().past;
        assert_eq!(past.iter().map(|past| past.incident).collect::<Vec<_>>(), ids[..2]);
    }

    #[tokio::test]
    async fn an_open_incident_without_events_stops_the_restart_and_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(&dir).await;
        let story = Story::new("checkout");
        store.commit(&story.opening()).await.unwrap();
        let mut file = raw(store.file()).await;
        sqlx::query("DELETE FROM events WHERE stream <> 'system'").execute(&mut file).await.unwrap();
        let text = store.restore(1).await.unwrap_err().to_string();
        assert!(text.contains(&story.id().to_string()) && text.contains("missing"), "{text}");
    }
}
