//! What two configs find in the same samples: the same, the same at another time, or something that the other does not.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::id::IncidentId;
use crate::incident::Subject;
use crate::replay::Found;

/// Of one subject, incidents so far apart may still be about the same trouble: what a hold takes.
const APART: Duration = Duration::from_secs(120);

/// An incident of each side, by their places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    /// The place among the new ones.
    pub new: usize,
    /// The place among the old ones.
    pub old: usize,
}

/// What differs between two runs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Difference {
    /// Incidents of both with the same id: the same series left its band first, at the same sample.
    pub both: Vec<Pair>,
    /// Those of these whose severity differs.
    pub reassessed: Vec<Pair>,
    /// Incidents about the same subject at the same time that began at another sample or with another series.
    pub moved: Vec<Pair>,
    /// Places of incidents that only the new config opens.
    pub only_new: Vec<usize>,
    /// Places of incidents that only the old config opens.
    pub only_old: Vec<usize>,
}

impl Difference {
    /// Compares what two runs found.
    pub fn of(new: &[Found], old: &[Found]) -> Self {
        let places: BTreeMap<IncidentId, usize> =
            old.iter().enumerate().map(|(place, found)| (found.id, place)).collect();
        let mut difference = Self::default();
        let mut matched: BTreeSet<usize> = BTreeSet::new();
        let mut left: Vec<usize> = Vec::new();
        for (place, found) in new.iter().enumerate() {
            match places.get(&found.id) {
                Some(other) => {
                    matched.insert(*other);
                    let pair = Pair { new: place, old: *other };
                    difference.both.push(pair);
                    if old.get(*other).is_some_and(|other| other.severity != found.severity) {
                        difference.reassessed.push(pair);
                    }
                }
                None => left.push(place),
            }
        }
        let mut open: BTreeMap<&Subject, Vec<usize>> = BTreeMap::new();
        for (place, found) in old.iter().enumerate().filter(|(place, _)| !matched.contains(place)) {
            open.entry(&found.subject).or_default().push(place);
        }
        for place in left {
            let Some(found) = new.get(place) else { continue };
            let others = open.get_mut(&found.subject);
            let near = others.and_then(|others| {
                let is_near = |other: &usize| old.get(*other).is_some_and(|other| overlap(found, other));
                let nth = others.iter().position(is_near)?;
                Some(others.remove(nth))
            });
            match near {
                Some(old) => difference.moved.push(Pair { new: place, old }),
                None => difference.only_new.push(place),
            }
        }
        difference.only_old = open.into_values().flatten().collect();
        difference.only_old.sort_unstable();
        difference
    }
}

fn overlap(a: &Found, b: &Found) -> bool {
    a.onset <= b.until.plus(APART) && b.onset <= a.until.plus(APART)
}
