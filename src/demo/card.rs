//! What the agent found against what really happened.

use std::fmt;

use portent_demo_service::{Fault, World};
use serde::Serialize;

use crate::incident::Incident;
use crate::time::Timestamp;

/// An anomaly found so long after a fault's end is still that fault's: the last sample of it is judged one poll later.
const LATE_MS: i64 = 15_000;

/// Faults so far before and after the watch are no false alarms either.
const HOUR_MS: i64 = 3_600_000;

/// The demo's result.
#[derive(Debug, Clone, Serialize)]
pub struct ScoreCard {
    speed: f64,
    seed: u64,
    /// Virtual seconds that were watched.
    watched_s: f64,
    faults: usize,
    caught: usize,
    missed: Vec<FaultLine>,
    false_incidents: Vec<IncidentLine>,
    /// Incidents about a fault that has one already.
    doubled_incidents: Vec<IncidentLine>,
    /// From a fault's beginning to its incident's opening, in virtual seconds; `null` where nothing was caught.
    median_delay_s: Option<f64>,
    max_delay_s: Option<f64>,
    incidents: Vec<IncidentLine>,
}

#[derive(Debug, Clone, Serialize)]
struct FaultLine {
    service: String,
    signals: Vec<&'static str>,
    started_at: String,
}

#[derive(Debug, Clone, Serialize)]
struct IncidentLine {
    id: String,
    severity: &'static str,
    service: String,
    signals: Vec<String>,
    onset_at: String,
    opened_at: String,
    hypothesis: Option<String>,
}

/// How and for how long the demo ran.
#[derive(Debug, Clone, Copy)]
pub(super) struct Watch {
    pub(super) speed: f64,
    pub(super) seed: u64,
    pub(super) from: Timestamp,
    pub(super) until: Timestamp,
}

impl ScoreCard {
    /// Scores incidents, each with its first hypothesis, against the faults that began while the demo watched. A fault
    /// that had begun before is neither to be caught nor wrong to find.
    pub(super) fn score(world: &World, watch: Watch, incidents: &[(Incident, Option<String>)]) -> Self {
        let (from_ms, until_ms) = (watch.from.as_millis(), watch.until.as_millis());
        let truth = world.truth(from_ms - HOUR_MS, until_ms + HOUR_MS);
        let due: Vec<&Fault> =
            truth.iter().filter(|fault| (from_ms..until_ms).contains(&fault.start_ms)).collect();
        let (mut delays, mut missed) = (Vec::new(), Vec::new());
        for fault in &due {
            let found = incidents.iter().filter(|(incident, _)| explains(fault, incident));
            match found.map(|(incident, _)| incident.opened_at.as_millis() - fault.start_ms).min() {
                Some(delay_ms) => delays.push(delay_ms as f64 / 1000.0),
                None => missed.push(FaultLine::of(fault)),
            }
        }
        let is_false = |incident: &Incident| !truth.iter().any(|fault| explains(fault, incident));
        let doubled = truth
            .iter()
            .flat_map(|fault| incidents.iter().filter(|(incident, _)| explains(fault, incident)).skip(1));
        let wrong = incidents.iter().filter(|(incident, _)| is_false(incident));
        delays.sort_by(f64::total_cmp);
        Self {
            speed: watch.speed,
            seed: watch.seed,
            watched_s: watch.until.since(watch.from).as_secs_f64(),
            faults: due.len(),
            caught: delays.len(),
            missed,
            false_incidents: wrong.map(IncidentLine::of).collect(),
            doubled_incidents: doubled.map(IncidentLine::of).collect(),
            median_delay_s: delays.get(delays.len() / 2).copied(),
            max_delay_s: delays.last().copied(),
            incidents: incidents.iter().map(IncidentLine::of).collect(),
        }
    }

    /// Whether every fault was caught, by one incident, and no incident was false.
    pub fn is_perfect(&self) -> bool {
        self.missed.is_empty() && self.false_incidents.is_empty() && self.doubled_incidents.is_empty()
    }

    /// The card as one JSON object.
    ///
    /// # Errors
    /// Never in practice: every figure is finite.
    pub fn to_json(&self) -> serde_json::Result<String> {
        serde_json::to_string_pretty(self)
    }
}

/// Whether an incident is about a fault: one of its series was found in trouble while the fault, or one of its effects
/// on other services, went on.
fn explains(fault: &Fault, incident: &Incident) -> bool {
    incident.members.iter().any(|member| {
        let found_ms = member.trouble.detected_at().as_millis();
        fault.effects.iter().any(|effect| {
            let end_ms = effect.end_ms.unwrap_or(i64::MAX - LATE_MS);
            effect.service == member.key.service.as_str()
                && effect.signal.name() == member.key.signal.as_str()
                && (effect.start_ms..end_ms + LATE_MS).contains(&found_ms)
        })
    })
}

impl FaultLine {
    fn of(fault: &Fault) -> Self {
        Self {
            service: fault.service.to_owned(),
            signals: fault.signals.iter().map(|signal| signal.name()).collect(),
            started_at: Timestamp::from_millis(fault.start_ms).to_string(),
        }
    }
}

impl IncidentLine {
    fn of((incident, hypothesis): &(Incident, Option<String>)) -> Self {
        Self {
            id: incident.id.to_string(),
            severity: incident.assessment.severity.as_str(),
            service: incident.subject.to_string(),
            signals: incident.members.iter().map(|member| member.key.signal.to_string()).collect(),
            onset_at: incident.onset().to_string(),
            opened_at: incident.opened_at.to_string(),
            hypothesis: hypothesis.clone(),
        }
    }
}

impl fmt::Display for ScoreCard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\nScore card: {:.0} s watched at speed {}, seed {}",
            self.watched_s, self.speed, self.seed
        )?;
        writeln!(f, "  faults   {:>3}   caught {}   missed {}", self.faults, self.caught, self.missed.len())?;
        let (wrong, doubled) = (self.false_incidents.len(), self.doubled_incidents.len());
        writeln!(f, "  incidents {:>2}   false {wrong}   doubled {doubled}", self.incidents.len())?;
        if let (Some(median), Some(longest)) = (self.median_delay_s, self.max_delay_s) {
            writeln!(
                f,
                "  from a fault's beginning to its incident: {median:.0} s in the median, {longest:.0} s at most"
            )?;
        }
        for fault in &self.missed {
            writeln!(f, "  missed: {} {} at {}", fault.service, fault.signals.join(", "), fault.started_at)?;
        }
        for incident in &self.false_incidents {
            let signals = incident.signals.join(", ");
            writeln!(f, "  false: {} {} {signals} at {}", incident.id, incident.service, incident.onset_at)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use portent_demo_service::Schedule;

    use super::*;
    use crate::correlate;
    use crate::detect::{Anomaly, Finding, Kind, Side, What};
    use crate::incident::{self, Member, MemberState, Opening, Source, Trouble};
    use crate::series::{Labels, SeriesKey, Service, SignalName};

    /// A cycle's start: a multiple of 600 s.
    const START_MS: i64 = 1_800_000_000_000;

    fn incident(service: &str, signal: &str, found_ms: i64) -> (Incident, Option<String>) {
        let at = Timestamp::from_millis(found_ms);
        let labels = Labels::new([("service", service)]);
        let key = Arc::new(SeriesKey::new(SignalName::new(signal), Service::new(service), labels));
        let anomaly = Anomaly {
            side: Side::Up,
            onset: at,
            detected_at: at,
            until: at,
            expected: 1.0,
            lower: 0.9,
            upper: 1.1,
            scale: 0.03,
            peak_value: 9.0,
            peak_score: 80.0,
            confidence: 1.0,
        };
        let finding = Finding {
            key: Arc::clone(&key),
            kind: Kind::Other,
            at,
            what: What::Anomalous(anomaly),
            why: None,
        };
        let trouble = Trouble::Deviation(anomaly);
        let member = Member { key, kind: Kind::Other, trouble, state: MemberState::Active, why: None };
        let opening =
            Opening { fingerprint: correlate::fingerprint(&finding), source: Source::Detector, member };
        let event = opening.event(&incident::Settings::default());
        (Incident::from_opening(at, &event).unwrap(), None)
    }

    #[track_caller]
    fn check(incidents: &[(Incident, Option<String>)], caught: usize, wrong: usize, is_perfect: bool) {
        let until = Timestamp::from_millis(START_MS + 100_000);
        let watch = Watch { speed: 1.0, seed: 1, from: Timestamp::from_millis(START_MS), until };
        let card = ScoreCard::score(&World::new(1, Schedule::On), watch, incidents);
        // Of the schedule, only payment-service's fault begins in the first hundred seconds.
        assert_eq!((card.faults, card.caught, card.false_incidents.len()), (1, caught, wrong), "{card}");
        assert_eq!(card.is_perfect(), is_perfect);
    }

    #[test]
    fn a_fault_that_is_found_is_caught() {
        check(&[incident("payment-service", "error_rate", START_MS + 15_000)], 1, 0, true);
    }

    #[test]
    fn a_fault_that_nobody_found_is_missed() {
        check(&[], 0, 0, false);
    }

    #[test]
    fn another_service_signal_or_time_is_false_and_leaves_the_fault_missed() {
        check(&[incident("order-service", "error_rate", START_MS + 15_000)], 0, 1, false);
        check(&[incident("payment-service", "cpu_usage", START_MS + 15_000)], 0, 1, false);
        check(&[incident("payment-service", "error_rate", START_MS + 90_000)], 0, 1, false);
    }

    #[test]
    fn a_second_incident_about_one_fault_spoils_the_card() {
        let found =
            [15_000, 30_000].map(|after_ms| incident("payment-service", "error_rate", START_MS + after_ms));
        check(&found, 1, 0, false);
    }

    #[test]
    fn a_fault_before_the_watch_is_neither_due_nor_false() {
        let early = incident("notification-service", "request_rate", START_MS - 110_000);
        check(&[early, incident("payment-service", "error_rate", START_MS + 15_000)], 1, 0, true);
    }
}
