//! What a person sees while the demo runs.

use std::io::{IsTerminal as _, Write as _};

use crate::diagnose::Diagnosis;
use crate::incident::Incident;
use crate::time::Timestamp;

/// Where to show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// Incidents on standard output, progress on standard error.
    Text,
    /// Everything on standard error: standard output is for the result.
    Progress,
}

impl Show {
    /// Writes a line.
    pub(super) fn line(self, text: &str) {
        clear_progress();
        // Whoever closed the pipe does not want to know.
        let _ = match self {
            Self::Text => writeln!(std::io::stdout(), "{text}"),
            Self::Progress => writeln!(std::io::stderr(), "{text}"),
        };
    }

    /// Writes an incident with its first hypothesis.
    pub(super) fn incident(self, incident: &Incident, diagnosis: Option<&Diagnosis>) {
        let signals: Vec<&str> = incident.members.iter().map(|member| member.key.signal.as_str()).collect();
        self.line(&format!(
            "\n{}  {}  {}  {}",
            clock_time(incident.opened_at),
            incident.assessment.severity,
            incident.service,
            signals.join(", ")
        ));
        if let Some(first) = diagnosis.and_then(|diagnosis| diagnosis.hypotheses.first()) {
            self.line(&format!("    {}", first.title));
            self.line(&format!("    {}", first.text));
        }
        let after = incident.opened_at.since(incident.onset()).as_secs();
        self.line(&format!(
            "    began {}, opened {after} s later as {}",
            clock_time(incident.onset()),
            incident.id
        ));
    }
}

/// Shows how far it is, on a terminal only, in one line that is written over.
pub(super) fn progress(text: &str) {
    if std::io::stderr().is_terminal() {
        let _ = write!(std::io::stderr(), "\r\x1b[2K{text}");
        let _ = std::io::stderr().flush();
    }
}

fn clear_progress() {
    progress("");
}

/// `02:13:45Z` of a time.
fn clock_time(at: Timestamp) -> String {
    let text = at.to_string();
    let time = text.split_once('T').map_or(text.as_str(), |(_, time)| time);
    format!("{}Z", time.trim_end_matches('Z').split('.').next().unwrap_or(time))
}
