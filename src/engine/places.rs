//! Where a series stands among the members of the open incidents: of thousands that are in trouble for long, each is
//! looked up at every slot.

use std::collections::BTreeMap;

use super::step::Engine;
use crate::id::{Fingerprint, IncidentId};
use crate::incident::{Incident, Member};
use crate::series::SeriesKey;

/// The places of each series among the members of each open incident, in the order in which it joined. Members are never
/// taken away, so a place stays what it is.
#[derive(Debug, Clone, Default)]
pub(super) struct Places(BTreeMap<(Fingerprint, IncidentId), Vec<usize>>);

impl Places {
    /// Takes note of all members of an incident that is open now.
    pub(super) fn hold(&mut self, incident: &Incident) {
        for (place, member) in incident.members.iter().enumerate() {
            self.0.entry((member.key.hash, incident.id)).or_default().push(place);
        }
    }

    /// Takes note of the member that has just joined.
    pub(super) fn join(&mut self, incident: &Incident) {
        if let Some((member, before)) = incident.members.split_last() {
            self.0.entry((member.key.hash, incident.id)).or_default().push(before.len());
        }
    }

    /// Forgets an incident that is not open any more.
    pub(super) fn retire(&mut self, incident: &Incident) {
        for member in &incident.members {
            self.0.remove(&(member.key.hash, incident.id));
        }
    }
}

impl Engine {
    /// The troubles of a series in the open incidents of its service, in the order in which these opened.
    pub(super) fn members_of(&self, key: &SeriesKey) -> impl Iterator<Item = (IncidentId, &Member)> {
        let series = key.hash;
        self.open_of(&key.service).flat_map(move |incident| {
            let places = self.places.0.get(&(series, incident.id)).map(Vec::as_slice).unwrap_or_default();
            places.iter().filter_map(|place| Some((incident.id, incident.members.get(*place)?)))
        })
    }
}
