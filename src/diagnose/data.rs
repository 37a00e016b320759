//! A bundle as lines of JSON, as a model sees it: compact, bounded, the same bytes for the same bundle.

use serde::Serialize;

use super::blind::{SourceEvidence, sentence};
use super::bundle::{Bundle, Evidence, Item, Movement};
use super::diagnosis::Cause;
use crate::id::Fingerprint;
use crate::incident::Trouble;
use crate::time::Timestamp;

/// The items of the bundle take up at most so many bytes; those that don't fit are left out and counted.
const ITEMS_BYTES_MAX: usize = 48 * 1024;
/// A longer name is cut.
const NAME_CHARS_MAX: usize = 200;
/// A series shows at most so many samples, its last ones.
const POINTS_MAX: usize = 40;
/// An earlier incident shows at most so many signals.
const PAST_SIGNALS_MAX: usize = 10;

/// Writes the bundle: the first line is the incident, each further one an item. No line holds an angle bracket.
pub(super) fn lines(bundle: &Bundle) -> Vec<String> {
    let mut items: Vec<String> = Vec::with_capacity(bundle.items.len());
    let mut bytes = 0;
    for item in &bundle.items {
        let line = encode(&Line::of(item, bundle));
        // An item that is too long makes room for the shorter ones after it.
        if bytes + line.len() <= ITEMS_BYTES_MAX {
            bytes += line.len();
            items.push(line);
        }
    }
    let head = encode(&Head {
        service: shown(&bundle.subject.to_string()),
        severity: bundle.assessment.severity.as_str(),
        onset: bundle.onset.to_string(),
        now_s: seconds(bundle.at, bundle.onset),
        items_left_out: bundle.left_out + (bundle.items.len() - items.len()),
    });
    items.insert(0, head);
    items
}

/// Writes one line of JSON without angle brackets, so that nothing in it can look like a marker.
fn encode(value: &impl Serialize) -> String {
    let text = serde_json::to_string(value).unwrap_or_default();
    debug_assert!(!text.is_empty(), "plain structs of texts and numbers can be written");
    text.replace('<', "\\u003c").replace('>', "\\u003e")
}

/// A name as a model sees it, and as its answer has to spell it: without characters that can't be seen, at most 200
/// characters. What had to be changed ends in a hash of the whole, so that two names never become one.
pub(super) fn shown(name: &str) -> String {
    let is_plain =
        name.chars().all(is_visible) && name.chars().take(NAME_CHARS_MAX + 1).count() <= NAME_CHARS_MAX;
    if is_plain {
        return name.to_owned();
    }
    let hash = Fingerprint::of(&[name.as_bytes()]).to_string();
    let kept: String = name.chars().filter(|c| is_visible(*c)).take(NAME_CHARS_MAX - 40).collect();
    format!("{kept}~{hash}")
}

/// Whether a character shows itself: no control character, no separator of lines, none that hides or turns text.
pub(super) fn is_visible(c: char) -> bool {
    let hides = matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
    !c.is_control() && !hides
}

fn seconds(at: Timestamp, onset: Timestamp) -> f64 {
    short(at.as_millis().saturating_sub(onset.as_millis()) as f64 / 1000.0)
}

/// Six significant digits: more would only cost tokens. What is not finite becomes `null` in JSON.
fn short(value: f64) -> f64 {
    format!("{value:.5e}").parse().unwrap_or(value)
}

fn ratio(value: f64, expected: f64) -> Option<f64> {
    let ratio = value / expected;
    ratio.is_finite().then(|| short(ratio))
}

#[derive(Serialize)]
struct Head {
    service: String,
    severity: &'static str,
    onset: String,
    now_s: f64,
    items_left_out: usize,
}

/// An item on its line; the order of the fields is the order in the text.
#[derive(Serialize)]
#[serde(untagged)]
enum Line<'a> {
    Deviation {
        id: &'a str,
        #[serde(flatten)]
        name: Name,
        is_active: bool,
        side: &'static str,
        onset_s: f64,
        detected_s: f64,
        until_s: f64,
        expected: f64,
        lower: f64,
        upper: f64,
        scale: f64,
        worst: f64,
        ratio: Option<f64>,
        score: f64,
        confidence: f64,
        points: Vec<(f64, f64)>,
    },
    Lost {
        id: &'a str,
        #[serde(flatten)]
        name: Name,
        is_active: bool,
        lost: bool,
        last_seen_s: f64,
        detected_s: f64,
        points: Vec<(f64, f64)>,
    },
    Sibling {
        id: &'a str,
        #[serde(flatten)]
        name: Name,
        #[serde(flatten)]
        stand: Stand,
    },
    Elsewhere {
        id: &'a str,
        #[serde(flatten)]
        name: Name,
        side: &'static str,
        lead_s: f64,
        #[serde(flatten)]
        stand: Stand,
    },
    Source {
        id: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        signal: Option<String>,
        since_s: f64,
        #[serde(skip_serializing_if = "Option::is_none")]
        until_s: Option<f64>,
        says: String,
    },
    Past {
        id: &'a str,
        opened_s: f64,
        lasted_s: Option<f64>,
        signals: Vec<String>,
        cause: Option<&'static str>,
    },
}

/// Which series; its labels only where service and signal do not tell.
#[derive(Serialize)]
struct Name {
    service: String,
    signal: String,
    measures: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    series: Option<String>,
}

#[derive(Serialize)]
struct Stand {
    moved: Option<bool>,
    value: f64,
    expected: Option<f64>,
    ratio: Option<f64>,
    score: Option<f64>,
}

impl<'a> Line<'a> {
    fn of(item: &'a Item, bundle: &Bundle) -> Self {
        let id = item.id.as_str();
        let after = |at: Timestamp| seconds(at, bundle.onset);
        match &item.what {
            Evidence::Anomaly { service, signal, series, kind, trouble, is_active, points } => {
                let name = Name::of(service.as_str(), signal.as_str(), series, kind.as_str());
                let from = points.len().saturating_sub(POINTS_MAX);
                let points =
                    points.iter().skip(from).map(|(at, value)| (after(*at), short(*value))).collect();
                Self::anomaly((id, name), trouble, *is_active, points, bundle.onset)
            }
            Evidence::Sibling { signal, series, kind, movement } => {
                let service = bundle.subject.to_string();
                let name = Name::of(&service, signal.as_str(), series, kind.as_str());
                Self::Sibling { id, name, stand: Stand::of(movement) }
            }
            Evidence::Elsewhere { service, signal, series, kind, side, onset, movement } => {
                let name = Name::of(service.as_str(), signal.as_str(), series, kind.as_str());
                let side = side.map_or("stopped", |side| side.as_str());
                let lead_s = seconds(bundle.onset, *onset);
                Self::Elsewhere { id, name, side, lead_s, stand: Stand::of(movement) }
            }
            Evidence::Source(evidence) => Self::source(id, evidence, bundle.onset),
            Evidence::Past { incident: _, opened_at, signals, cause, lasted_s } => Self::Past {
                id,
                opened_s: after(*opened_at),
                lasted_s: lasted_s.map(short),
                signals: signals.iter().take(PAST_SIGNALS_MAX).map(|signal| shown(signal.as_str())).collect(),
                cause: cause.map(Cause::as_str),
            },
        }
    }

    fn source(id: &'a str, evidence: &SourceEvidence, onset: Timestamp) -> Self {
        let (signal, since, until) = match evidence {
            SourceEvidence::Outage { signal, since, .. } => (Some(signal), *since, None),
            SourceEvidence::Failing(polls) => (Some(&polls.signal), polls.since, None),
            SourceEvidence::Gap { from, to } => (None, *from, Some(*to)),
        };
        Self::Source {
            id,
            signal: signal.map(|signal| shown(signal.as_str())),
            since_s: seconds(since, onset),
            until_s: until.map(|until| seconds(until, onset)),
            says: sentence(evidence),
        }
    }

    fn anomaly(
        (id, name): (&'a str, Name),
        trouble: &Trouble,
        is_active: bool,
        points: Vec<(f64, f64)>,
        onset: Timestamp,
    ) -> Self {
        match trouble {
            Trouble::Deviation(anomaly) => Self::Deviation {
                id,
                name,
                is_active,
                side: anomaly.side.as_str(),
                onset_s: seconds(anomaly.onset, onset),
                detected_s: seconds(anomaly.detected_at, onset),
                until_s: seconds(anomaly.until, onset),
                expected: short(anomaly.expected),
                lower: short(anomaly.lower),
                upper: short(anomaly.upper),
                scale: short(anomaly.scale),
                worst: short(anomaly.peak_value),
                ratio: ratio(anomaly.peak_value, anomaly.expected),
                score: short(anomaly.peak_score),
                confidence: short(anomaly.confidence),
                points,
            },
            Trouble::Lost { last_seen, detected_at } => Self::Lost {
                id,
                name,
                is_active,
                lost: true,
                last_seen_s: seconds(*last_seen, onset),
                detected_s: seconds(*detected_at, onset),
                points,
            },
        }
    }
}

impl Name {
    fn of(service: &str, signal: &str, series: &str, measures: &'static str) -> Self {
        let tells_more = series != format!("{service}/{signal}");
        Self {
            service: shown(service),
            signal: shown(signal),
            measures,
            series: tells_more.then(|| shown(series)),
        }
    }
}

impl Stand {
    fn of(movement: &Movement) -> Self {
        Self {
            moved: movement.has_moved,
            value: short(movement.value),
            expected: movement.expected.map(short),
            ratio: movement.expected.and_then(|expected| ratio(movement.value, expected)),
            score: movement.score.map(short),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_names_never_become_one() {
        let long = "n".repeat(300);
        assert_ne!(shown(&format!("{long}a")), shown(&format!("{long}b")));
        assert_ne!(shown("a\u{200b}b"), shown("ab"));
        assert!(shown(&long).chars().count() <= NAME_CHARS_MAX);
        assert_eq!(shown("checkout"), "checkout");
    }
}
