//! What detection is told beside the samples.
//!
//! A directive stands at a time of the samples, not of the clock. So it means the same whenever it is told: at once, to a
//! series as it stands, or again while history is read anew, between the samples where it stood at first.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::finding::{Anomaly, Finding, Restart, What};
use super::snapshot::{Reader, SnapshotFlaw, Writer, sound};
use super::stage::Detect;
use crate::id::Fingerprint;
use crate::series::{Labels, SeriesKey, Service, SignalName};
use crate::time::Timestamp;

/// Something that a person knows and the samples do not show.
#[derive(Debug, Clone, PartialEq)]
pub enum Directive {
    /// What a series does is normal: its baseline begins anew.
    Rebase {
        /// Which series.
        key: Arc<SeriesKey>,
        /// The first sample of which the new baseline is made.
        since: Timestamp,
        /// The last of them: what comes later is judged by the new baseline.
        at: Timestamp,
    },
}

impl Directive {
    /// The signal whose series it is about.
    pub fn signal(&self) -> &SignalName {
        match self {
            Self::Rebase { key, .. } => &key.signal,
        }
    }
}

/// A baseline that was begun anew since somebody wanted that.
#[derive(Debug, Clone, PartialEq)]
pub struct Rebased {
    /// What signal the series belongs to, in the words of a finding: its anomaly, if any, is over.
    pub finding: Finding,
    /// The first sample of the new baseline.
    pub since: Timestamp,
    /// The last one.
    pub at: Timestamp,
    /// The expected value before.
    pub from: f64,
    /// The mean of the samples that make the new baseline.
    pub to: f64,
    /// How many samples there are so far.
    pub points: usize,
    /// How many it takes until the series is judged again.
    pub needed: usize,
    /// The anomaly that ended.
    pub anomaly: Option<Anomaly>,
}

/// Why a baseline cannot begin anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotRebased {
    /// The series has no state.
    Unknown,
    /// It is lost: there are no samples to begin from.
    Lost,
    /// Its baseline is new as it is.
    Warming {
        /// How many samples it has.
        points: usize,
        /// How many it takes.
        needed: usize,
    },
    /// All its last samples look back over a gap, so that none says where it is.
    Unsettled,
}

/// The directives about one signal's series that the samples have not reached yet.
#[derive(Debug, Clone, Default)]
pub(super) struct Pending {
    /// In order of time; since and at, in milliseconds.
    rebases: BTreeMap<Fingerprint, Vec<(i64, i64)>>,
}

impl Pending {
    fn add(&mut self, series: Fingerprint, since: Timestamp, at: Timestamp) {
        let of_series = self.rebases.entry(series).or_default();
        let rebase = (since.as_millis(), at.as_millis());
        let place = of_series.partition_point(|(_, other)| *other <= rebase.1);
        of_series.insert(place, rebase);
    }

    pub(super) fn keep(&self, out: &mut Writer) {
        out.put(&self.rebases);
    }

    pub(super) fn restore(&mut self, from: &mut Reader<'_>) -> Result<(), SnapshotFlaw> {
        self.rebases = from.take()?;
        let of_series = self.rebases.values();
        let is_sound =
            of_series.into_iter().all(|all| !all.is_empty() && all.is_sorted_by_key(|(_, at)| *at));
        sound(is_sound, "directives out of order")
    }

    /// Whether nothing is pending, which it hardly ever is.
    pub(super) fn is_empty(&self) -> bool {
        self.rebases.is_empty()
    }

    /// The last rebase of a series, in milliseconds: what it did up to there is normal.
    pub(super) fn normal_through_ms(&self, series: Fingerprint) -> i64 {
        self.rebases.get(&series).and_then(|of_series| of_series.last()).map_or(i64::MIN, |(_, at_ms)| *at_ms)
    }

    /// Takes the next rebase of a series up to a time, included; gives since when its baseline is.
    pub(super) fn next_through(&mut self, series: Fingerprint, through_ms: i64) -> Option<i64> {
        let of_series = self.rebases.get_mut(&series)?;
        let (since_ms, _) = of_series.first().copied().filter(|(_, at_ms)| *at_ms <= through_ms)?;
        of_series.remove(0);
        if of_series.is_empty() {
            self.rebases.remove(&series);
        }
        Some(since_ms)
    }

    /// The series with a rebase up to a time.
    pub(super) fn due(&self, through_ms: i64) -> Vec<Fingerprint> {
        let is_due =
            |of_series: &[(i64, i64)]| of_series.first().is_some_and(|(_, at_ms)| *at_ms <= through_ms);
        self.rebases.iter().filter(|(_, of_series)| is_due(of_series)).map(|(series, _)| *series).collect()
    }
}

impl Detect {
    /// Takes a directive of the past, for samples that are still to be read. Of a signal that is not watched it is
    /// ignored.
    pub fn direct(&mut self, directive: &Directive) {
        match directive {
            Directive::Rebase { key, since, at } => {
                if let Some(table) = self.tables.get_mut(&key.signal) {
                    table.directives.add(key.hash, *since, *at);
                }
            }
        }
    }

    /// The series of a signal and a service that have all of these labels, in the order in which they came.
    pub fn named(&self, signal: &SignalName, service: &Service, labels: &Labels) -> Vec<Arc<SeriesKey>> {
        self.tables.get(signal).map(|table| table.named(service, labels)).unwrap_or_default()
    }

    /// Begins the baseline of a series anew, from its samples since its open anomaly began, or else from its last ones.
    /// What was found of it since the last slot closed and not told yet is dropped: it is normal now.
    ///
    /// # Errors
    /// Where there is no baseline to begin anew, or nothing to begin it from.
    pub fn rebase(&mut self, key: &SeriesKey) -> Result<Rebased, NotRebased> {
        let table = self.tables.get_mut(&key.signal).ok_or(NotRebased::Unknown)?;
        let rebased = table.rebase_now(key.hash)?;
        if let Some(pending) = self.pending.get_mut(&key.signal) {
            let is_of_before = |finding: &Finding| match finding.what {
                What::Anomalous(_) | What::Recovered(_) | What::Restarted(Restart::Adopted { .. }) => true,
                What::Lost { .. } | What::Returned | What::Restarted(_) => false,
            };
            pending.retain(|finding| finding.key.hash != key.hash || !is_of_before(finding));
        }
        Ok(rebased)
    }
}
