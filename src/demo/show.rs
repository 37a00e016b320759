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
            incident.subject,
            signals.join(", ")
        ));
        if let Some(first) = diagnosis.and_then(|diagnosis| diagnosis.hypotheses.first()) {
            self.line(&format!("    {}", first.title));
            wrapped(&first.text).iter().for_each(|line| self.line(&format!("    {line}")));
        }
        let after = incident.opened_at.since(incident.onset()).as_secs();
        self.line(&format!(
            "    began {}, opened {after} s later as {}",
            clock_time(incident.onset()),
            incident.id
        ));
    }
}

/// A line of text is at most so long.
const LINE_CHARS_MAX: usize = 100;

/// Breaks a text between words.
fn wrapped(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + word.chars().count() < LINE_CHARS_MAX => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) | None => lines.push(word.to_owned()),
        }
    }
    lines
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_broken_between_words_and_loses_none() {
        let text = "word ".repeat(60);
        let lines = wrapped(&text);
        assert!(lines.len() == 3 && lines.iter().all(|line| line.len() <= LINE_CHARS_MAX), "{lines:?}");
        assert_eq!(lines.join(" "), text.trim());
    }

    #[test]
    fn a_time_is_shown_to_the_second() {
        assert_eq!(clock_time(Timestamp::from_millis(1_700_000_000_123)), "22:13:20Z");
    }
}
