//! Where the rows of a table stand: by series, by service, and those in trouble, with the counts of each.
//!
//! All of it is kept as rows change, so that a question about one service, or about how many series are lost, looks at
//! what it asks for and not at every series.

use std::collections::{BTreeMap, BTreeSet};

use indexmap::IndexMap;

use crate::id::Fingerprint;
use crate::series::Service;

/// What is counted of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Standing {
    pub(super) is_warming: bool,
    pub(super) is_anomalous: bool,
    pub(super) is_lost: bool,
}

impl Standing {
    fn is_trouble(self) -> bool {
        self.is_anomalous || self.is_lost
    }
}

/// How many rows stand how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Sums {
    pub(super) warming: usize,
    pub(super) anomalous: usize,
    pub(super) lost: usize,
}

/// The rows in use, in the order in which their series came.
#[derive(Debug, Clone, Default)]
pub(super) struct Index {
    by_hash: IndexMap<Fingerprint, usize>,
    by_service: BTreeMap<Service, Vec<usize>>,
    /// Anomalous and lost rows by arrival, since the numbers of rows are used again.
    troubled: BTreeMap<u64, usize>,
    /// When a row's series came, by row.
    arrival: Vec<u64>,
    standings: Vec<Standing>,
    sums: Sums,
    arrivals: u64,
}

impl Index {
    pub(super) fn row_of(&self, hash: Fingerprint) -> Option<usize> {
        self.by_hash.get(&hash).copied()
    }

    pub(super) fn len(&self) -> usize {
        self.by_hash.len()
    }

    pub(super) fn sums(&self) -> Sums {
        self.sums
    }

    pub(super) fn rows(&self) -> impl Iterator<Item = usize> {
        self.by_hash.values().copied()
    }

    /// The rows of a service.
    pub(super) fn of_service(&self, service: &Service) -> &[usize] {
        self.by_service.get(service).map(Vec::as_slice).unwrap_or_default()
    }

    /// The rows of each service, in the order of their names.
    pub(super) fn services(&self) -> impl Iterator<Item = &[usize]> {
        self.by_service.values().map(Vec::as_slice)
    }

    /// How a row was last said to stand.
    pub(super) fn standing(&self, row: usize) -> Standing {
        self.standings.get(row).copied().unwrap_or_default()
    }

    /// The rows that are anomalous or lost.
    pub(super) fn troubled(&self) -> impl Iterator<Item = usize> {
        self.troubled.values().copied()
    }

    /// Takes a row into use. Nothing of it counts until it is said how it stands.
    pub(super) fn insert(&mut self, hash: Fingerprint, service: &Service, row: usize) {
        self.by_hash.insert(hash, row);
        match self.by_service.get_mut(service) {
            Some(rows) => rows.push(row),
            None => {
                self.by_service.insert(service.clone(), vec![row]);
            }
        }
        if row >= self.arrival.len() {
            self.arrival.resize(row + 1, 0);
            self.standings.resize(row + 1, Standing::default());
        }
        if let Some(arrival) = self.arrival.get_mut(row) {
            *arrival = self.arrivals;
        }
        self.arrivals += 1;
    }

    /// Says how a row stands now.
    #[inline]
    pub(super) fn stands(&mut self, row: usize, now: Standing) {
        let before = self.standings.get(row).copied().unwrap_or_default();
        if before != now {
            self.moves(row, before, now);
        }
    }

    fn moves(&mut self, row: usize, before: Standing, now: Standing) {
        let (Some(standing), Some(arrival)) = (self.standings.get_mut(row), self.arrival.get(row)) else {
            return;
        };
        *standing = now;
        for (count, before, now) in [
            (&mut self.sums.warming, before.is_warming, now.is_warming),
            (&mut self.sums.anomalous, before.is_anomalous, now.is_anomalous),
            (&mut self.sums.lost, before.is_lost, now.is_lost),
        ] {
            *count = *count + usize::from(now) - usize::from(before);
        }
        match (before.is_trouble(), now.is_trouble()) {
            (false, true) => {
                self.troubled.insert(*arrival, row);
            }
            (true, false) => {
                self.troubled.remove(arrival);
            }
            (true, true) | (false, false) => {}
        }
    }

    /// Takes rows out of use; the others keep their order.
    pub(super) fn remove(&mut self, gone: &[(usize, Service)]) {
        if gone.is_empty() {
            return;
        }
        let mut is_gone = vec![false; self.standings.len()];
        for (row, _) in gone {
            self.stands(*row, Standing::default());
            if let Some(is_gone) = is_gone.get_mut(*row) {
                *is_gone = true;
            }
        }
        let stays = |row: usize| !is_gone.get(row).copied().unwrap_or(false);
        self.by_hash.retain(|_, row| stays(*row));
        let services: BTreeSet<&Service> = gone.iter().map(|(_, service)| service).collect();
        for service in services {
            let Some(rows) = self.by_service.get_mut(service) else { continue };
            rows.retain(|row| stays(*row));
            if rows.is_empty() {
                self.by_service.remove(service);
            }
        }
    }
}
