//! Keeps the last good calibration of each noise budget, and counts what opened against it.

use std::sync::Arc;

use super::error::{damaged, failed};
use super::{Store, StoreError, sql};
use crate::detect::{Boundary, Budget};
use crate::record::decode_series;
use crate::series::{SeriesKey, SignalName};
use crate::time::Timestamp;

/// A calibration as it is kept.
#[derive(Debug, Clone, PartialEq)]
pub struct KeptCalibration {
    /// Whose budget it is: a signal, `*` for the common one, or the matchers of an override.
    pub name: String,
    /// The budget that it was made for.
    pub budget: Budget,
    /// Where the boundary of each of its signals lies.
    pub boundaries: Vec<(SignalName, Boundary)>,
    /// Incidents a day that were expected there.
    pub per_day: f64,
    /// The rate lay in here with about 95 % confidence.
    pub interval: (f64, f64),
    /// Whether history showed too few incidents that far out.
    pub is_extrapolated: bool,
    /// Whether even the loosest boundary opened fewer than the budget accepts.
    pub is_limited: bool,
    /// On how many days it rests.
    pub days: f64,
    /// When it was made.
    pub at: Timestamp,
    /// The hash of the config that it was made for.
    pub config_hash: String,
}

type Columns = (String, String, String, String, f64, f64, f64, f64, bool, bool, f64, i64, String);

impl Store {
    /// Keeps calibrations in place of all that were kept before.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn keep_budgets(&self, all: &[KeptCalibration]) -> Result<(), StoreError> {
        let failed = failed(self.file(), "keeping the calibrations of budgets");
        let mut transaction = self.begin().await?;
        sqlx::query(sql::FORGET_BUDGETS).execute(&mut *transaction).await.map_err(&failed)?;
        for kept in all {
            for (signal, boundary) in &kept.boundaries {
                let row = sqlx::query(sql::KEEP_BUDGET)
                    .bind(&kept.name)
                    .bind(signal.as_str())
                    .bind(kept.budget.to_string())
                    .bind(boundary.kind())
                    .bind(boundary.value())
                    .bind(kept.per_day)
                    .bind(kept.interval.0)
                    .bind(kept.interval.1)
                    .bind(kept.is_extrapolated)
                    .bind(kept.is_limited)
                    .bind(kept.days)
                    .bind(kept.at.as_millis())
                    .bind(&kept.config_hash);
                row.execute(&mut *transaction).await.map_err(&failed)?;
            }
        }
        transaction.commit().await.map_err(&failed)
    }

    /// The calibrations that were kept last.
    ///
    /// # Errors
    /// Where the database fails or a row is damaged.
    pub async fn budgets(&self) -> Result<Vec<KeptCalibration>, StoreError> {
        let rows: Vec<Columns> = sqlx::query_as(sql::BUDGETS)
            .fetch_all(self.readers())
            .await
            .map_err(failed(self.file(), "reading the calibrations of budgets"))?;
        let mut all: Vec<KeptCalibration> = Vec::new();
        for (
            name,
            signal,
            budget,
            kind,
            value,
            per_day,
            low,
            high,
            is_extrapolated,
            is_limited,
            days,
            at,
            config_hash,
        ) in rows
        {
            let bad = || damaged(self.file(), "budgets", format!("{name} {signal}: {budget} {kind}"));
            let boundary = Boundary::of_kind(&kind, value).ok_or_else(bad)?;
            let boundary = (SignalName::new(&signal), boundary);
            if let Some(last) = all.last_mut().filter(|last| last.name == name) {
                last.boundaries.push(boundary);
                continue;
            }
            let (budget, at) = (budget.parse().map_err(|_| bad())?, Timestamp::from_millis(at));
            let interval = (low, high);
            all.push(KeptCalibration {
                name,
                budget,
                boundaries: vec![boundary],
                per_day,
                interval,
                is_extrapolated,
                is_limited,
                days,
                at,
                config_hash,
            });
        }
        Ok(all)
    }

    /// How many incidents about services opened since a time, by the series that opened each.
    ///
    /// # Errors
    /// Where the database fails.
    pub async fn opened_since(&self, since: Timestamp) -> Result<Vec<(Arc<SeriesKey>, u64)>, StoreError> {
        let rows: Vec<(String, i64)> = sqlx::query_as(sql::OPENED_SINCE)
            .bind(since.as_millis())
            .fetch_all(self.readers())
            .await
            .map_err(failed(self.file(), "counting the incidents of budgets"))?;
        let read = |(series, count): (String, i64)| {
            let key = decode_series(&series);
            let key = key.ok_or_else(|| damaged(self.file(), "events", format!("the series {series}")));
            Ok((key?, count.unsigned_abs()))
        };
        rows.into_iter().map(read).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::story::{Story, open};
    use super::*;

    fn kept(name: &str, signals: &[&str]) -> KeptCalibration {
        KeptCalibration {
            name: name.to_owned(),
            budget: "2/week".parse().unwrap(),
            boundaries: signals
                .iter()
                .map(|signal| (SignalName::new(signal), Boundary::Openings(1.5)))
                .collect(),
            per_day: 0.25,
            interval: (0.1, 0.4),
            is_extrapolated: true,
            is_limited: false,
            days: 14.0,
            at: Timestamp::from_millis(77),
            config_hash: "abc".to_owned(),
        }
    }

    #[tokio::test]
    async fn a_calibration_outlives_a_restart_and_makes_room_for_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(&dir).await;
        assert_eq!(store.budgets().await.unwrap(), []);
        let all = [kept("*", &["a", "b"]), kept("c", &["c"])];
        store.keep_budgets(&all).await.unwrap();
        drop(store);
        let store = open(&dir).await;
        assert_eq!(store.budgets().await.unwrap(), all);
        store.keep_budgets(&all[1..]).await.unwrap();
        assert_eq!(store.budgets().await.unwrap(), all[1..]);
    }

    #[tokio::test]
    async fn incidents_count_for_the_series_that_opened_them() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(&dir).await;
        let mut first = Story::at("a", 1, "a");
        store.commit(&first.opening()).await.unwrap();
        store.commit(&first.joining("latency_p95")).await.unwrap();
        store.commit(&Story::at("b", 2, "b").opening()).await.unwrap();
        let key = first.incident().members[0].key.clone();
        let opened = store.opened_since(Timestamp::from_millis(0)).await.unwrap();
        assert_eq!(opened.iter().map(|(_, count)| count).sum::<u64>(), 2);
        assert!(opened.iter().any(|(series, _)| *series == key), "{opened:?}");
        assert!(store.opened_since(Timestamp::from_millis(i64::MAX)).await.unwrap().is_empty());
    }
}
