//! Log lines about what was decided, one an event that a person would want to see go by.

use tracing::{info, warn};

use crate::detect::Restart;
use crate::diagnose::Author;
use crate::engine::{ConfigChange, Event, Happening, SeriesRebased, Stream, SystemEvent};
use crate::incident;
use crate::series::SignalName;

/// Writes the line of one event.
pub(super) fn announce(happening: &Happening) {
    match (&happening.event, happening.stream) {
        (Event::Incident(event), Stream::Incident(id)) => incident_line(&id.to_string(), event),
        (Event::Diagnosed(diagnosis), _) => {
            let id = diagnosis.incident;
            let first = diagnosis.hypotheses.first().map_or("no supported hypothesis", |first| &first.title);
            match &diagnosis.author {
                Author::Model { name, .. } => {
                    info!(incident.id = %id, revision = diagnosis.revision, author = %name, "diagnosis of {id}: {first}");
                }
                Author::Heuristics { because } => {
                    let reason = because.code();
                    info!(incident.id = %id, revision = diagnosis.revision, author = "heuristics", reason, "diagnosis of {id}: {first}");
                }
            }
        }
        (Event::System(event), _) => system_line(event),
        (Event::Captured(_), _) | (Event::Incident(_), Stream::System) => {}
    }
}

fn incident_line(id: &str, event: &incident::Event) {
    match event {
        incident::Event::Opened { service, member, assessment, .. } => {
            let (series, severity) = (&member.key, assessment.severity);
            info!(incident.id = id, %service, %series, %severity, onset = %member.trouble.onset(), "opened incident {id} ({severity}) for {series}");
        }
        incident::Event::SourceOpened { outage, assessment, .. } => {
            let (signal, severity) = (&outage.signal, assessment.severity);
            warn!(incident.id = id, %signal, %severity, onset = %outage.since, "opened incident {id} ({severity}) about the source: signal {signal} is {}", outage.silence.as_str());
        }
        incident::Event::OutageJoined { outage } => {
            let signal = &outage.signal;
            warn!(incident.id = id, %signal, "signal {signal} is {} too, in incident {id}", outage.silence.as_str());
        }
        incident::Event::Joined { member } => {
            let series = &member.key;
            info!(incident.id = id, %series, "{series} joined incident {id}");
        }
        incident::Event::SeverityChanged { assessment } => {
            let severity = assessment.severity;
            info!(incident.id = id, %severity, "incident {id} is {severity} now");
        }
        incident::Event::Resolved { because } => {
            info!(incident.id = id, because = because.as_str(), "resolved incident {id}");
        }
        incident::Event::Worsened { .. }
        | incident::Event::MemberEnded { .. }
        | incident::Event::OutageEnded { .. }
        | incident::Event::AnalysisRequested { .. } => {}
    }
}

fn system_line(event: &SystemEvent) {
    match event {
        SystemEvent::Started { version, config_hash } => {
            info!(%version, %config_hash, "portent {version} started");
        }
        SystemEvent::BaselineRestarted { series, restart: Restart::Adopted { from, to, .. }, .. } => {
            info!(%series, from, to, "{series} has a new level and is judged by it from now on");
        }
        SystemEvent::BaselineRestarted { series, restart: Restart::Gap { .. }, .. } => {
            info!(%series, "{series} starts a new baseline after a gap");
        }
        SystemEvent::BaselineRestarted { series, restart: Restart::Rebased { from, to }, .. } => {
            info!(%series, from, to, "{series} starts a new baseline, as somebody wanted");
        }
        SystemEvent::SeriesRebased(SeriesRebased { key, by, comment, from, to, .. }) => {
            info!(series = %key, by, from, to, comment, "{by} let {key} start a new baseline: {comment}");
        }
        SystemEvent::ConfigReloaded(ConfigChange {
            config_hash, added, removed, changed, sections, ..
        }) => {
            let (added, removed, changed) = (names(added), names(removed), names(changed));
            info!(%config_hash, %added, %removed, %changed, sections = %sections.join(","), "another config is in force");
        }
        // Whoever refused it has logged it: the store may not take this event.
        SystemEvent::ReloadFailed { .. } => {}
        SystemEvent::SourceDegraded { signal, lost, tracked } => {
            warn!(%signal, lost, tracked, "{lost} of {tracked} series of signal {signal} have stopped: that looks like the source, not the services");
        }
        SystemEvent::SignalUnanswered { signal, since, because, .. } => {
            warn!(%signal, %since, "signal {signal} has had no answer since {since}: {because}");
        }
        SystemEvent::SignalAnswered { signal, since } => {
            info!(%signal, %since, "signal {signal} is answered again, for the first time since {since}");
        }
        SystemEvent::StepsNotJudged { signal, from, to, because } => {
            info!(%signal, %from, %to, because = because.as_str(), "signal {signal} is not judged from {from} to {to}");
        }
    }
}

fn names(signals: &[SignalName]) -> String {
    signals.iter().map(SignalName::as_str).collect::<Vec<_>>().join(",")
}
