//! Which series of a signal are shown where not all can be.
//!
//! A series keeps its place as long as it is judged. One without a place that becomes anomalous takes that of the one
//! whose last anomaly is longest ago, and keeps it afterwards: so every anomaly can be looked at, the line does not end
//! with the anomaly, and what is shown changes no more often than anomalies begin elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::labels::{Pairs, pairs_of};
use crate::id::Fingerprint;
use crate::series::SeriesKey;
use crate::time::Timestamp;

/// The places of one signal.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// By the hash of the series: an order that is the same in every process and favours nobody.
    taken: BTreeMap<Fingerprint, Place>,
    seen: BTreeSet<Fingerprint>,
    judged: usize,
}

#[derive(Debug)]
struct Place {
    key: Arc<SeriesKey>,
    labels: Pairs,
    is_anomalous: bool,
    last_anomalous: Option<Timestamp>,
}

/// A series without a place, and whether it is anomalous.
pub(super) type Candidate = (Arc<SeriesKey>, bool);

impl Places {
    pub(super) fn len(&self) -> usize {
        self.taken.len()
    }

    /// Takes note of a series that is judged; gives it back where it may get a place.
    pub(super) fn note(
        &mut self,
        (key, is_anomalous): (&Arc<SeriesKey>, bool),
        share: usize,
    ) -> Option<Candidate> {
        self.judged += 1;
        if let Some(place) = self.taken.get_mut(&key.hash) {
            place.is_anomalous = is_anomalous;
            self.seen.insert(key.hash);
            return None;
        }
        // Where every place is taken, only an anomaly can change that; one that gets free is given out at the next slot.
        (is_anomalous || self.taken.len() < share).then(|| (Arc::clone(key), is_anomalous))
    }

    /// Gives the places out anew after all series were noted; says how many series have none.
    pub(super) fn settle(&mut self, mut candidates: Vec<Candidate>, share: usize, at: Timestamp) -> usize {
        let seen = std::mem::take(&mut self.seen);
        self.taken.retain(|hash, _| seen.contains(hash));
        for place in self.taken.values_mut().filter(|place| place.is_anomalous) {
            place.last_anomalous = place.last_anomalous.max(Some(at));
        }
        while self.taken.len() > share {
            self.free(|_| true);
        }
        // Anomalous ones first, each kind in the order of the hashes.
        candidates.sort_by_key(|(key, is_anomalous)| (!is_anomalous, key.hash));
        for (key, is_anomalous) in candidates {
            if self.taken.len() >= share && !(is_anomalous && self.free(|place| !place.is_anomalous)) {
                break;
            }
            let last_anomalous = is_anomalous.then_some(at);
            let labels = pairs_of(&key);
            self.taken.insert(key.hash, Place { key, labels, is_anomalous, last_anomalous });
        }
        std::mem::take(&mut self.judged).saturating_sub(self.taken.len())
    }

    /// The series that have a place.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&SeriesKey, &Pairs)> {
        self.taken.values().map(|place| (&*place.key, &place.labels))
    }

    /// Frees the place of the series whose last anomaly is longest ago among some; says whether there was one.
    fn free(&mut self, among: impl Fn(&Place) -> bool) -> bool {
        let among = self.taken.iter().filter(|(_, place)| among(place));
        let longest = among.min_by_key(|(hash, place)| (place.is_anomalous, place.last_anomalous, **hash));
        let hash = longest.map(|(hash, _)| *hash);
        hash.is_some_and(|hash| self.taken.remove(&hash).is_some())
    }
}
