//! Sentences that the heuristics put together from evidence.

use std::time::Duration;

use indexmap::IndexMap;

use super::bundle::{Bundle, Evidence, EvidenceId, Movement};
use super::reply::one_line;
use crate::detect::Side;
use crate::incident::Trouble;
use crate::series::SignalName;
use crate::time::{Timestamp, format_duration};

/// A sentence names at most so many things; the rest is counted.
const LIST_MAX: usize = 5;
/// A longer name is cut.
const NAME_CHARS_MAX: usize = 60;

/// A name from outside, fit for a sentence.
pub(super) fn name(text: &str) -> String {
    let name = one_line(text, NAME_CHARS_MAX);
    if name.is_empty() { "(no name)".to_owned() } else { name }
}

/// A span in whole seconds.
pub(super) fn span(span: Duration) -> String {
    format_duration(Duration::from_secs(span.as_secs()))
}

/// `rose to 9.02 from 0.503 (18x)`.
pub(super) fn change_of(trouble: &Trouble) -> String {
    match trouble {
        Trouble::Deviation(anomaly) => {
            let verb = match anomaly.side {
                Side::Up => "rose",
                Side::Down => "fell",
            };
            let (peak, expected) = (anomaly.peak_value, anomaly.expected);
            format!("{verb} to {} from {}{}", short(peak), short(expected), ratio(peak, expected))
        }
        Trouble::Lost { last_seen, .. } => format!("stopped at {last_seen}"),
    }
}

/// When an anomaly began and how long it has lasted, as far as samples show it.
pub(super) fn course(bundle: &Bundle, id: &EvidenceId) -> String {
    let item = bundle.items.iter().find(|item| item.id == *id);
    let Some(Evidence::Anomaly { signal, trouble, is_active, .. }) = item.map(|item| &item.what) else {
        return String::new();
    };
    let signal = name(signal.as_str());
    let (onset, until) = (trouble.onset(), trouble.until());
    let lasted = span(until.since(onset));
    match (trouble, is_active) {
        (Trouble::Deviation(_), true) if until <= onset => format!("{signal} left its band at {onset}."),
        (Trouble::Deviation(_), true) => {
            format!("{signal} left its band at {onset} and was still outside {lasted} later.")
        }
        (Trouble::Deviation(_), false) => format!("{signal} was outside its band for {lasted} from {onset}."),
        (Trouble::Lost { .. }, true) => {
            format!("{signal} has no samples since {onset}, {} ago.", span(bundle.at.since(onset)))
        }
        (Trouble::Lost { .. }, false) => {
            format!("{signal} had no samples for at least {lasted} from {onset}.")
        }
    }
}

/// What else of the incident moved, and in which order.
pub(super) fn others_in_trouble(bundle: &Bundle, id: &EvidenceId, first_bits: f64) -> String {
    let onset_of = |item: &super::bundle::Item| match &item.what {
        Evidence::Anomaly { trouble, .. } => Some(trouble.onset()),
        Evidence::Sibling { .. }
        | Evidence::Elsewhere { .. }
        | Evidence::Source(_)
        | Evidence::Past { .. } => None,
    };
    let Some(own) = bundle.items.iter().find(|item| item.id == *id).and_then(onset_of) else {
        return String::new();
    };
    let mut others = Vec::new();
    for item in bundle.items.iter().filter(|item| item.id != *id) {
        if let Evidence::Anomaly { signal, trouble, .. } = &item.what {
            others.push((trouble.onset(), name(signal.as_str()), trouble));
        }
    }
    if others.is_empty() {
        return "No other signal of the service is in trouble.".to_owned();
    }
    others.sort_by(|(a, a_name, _), (b, b_name, _)| (a, a_name).cmp(&(b, b_name)));
    let said = others
        .into_iter()
        .map(|(onset, signal, trouble)| format!("{signal} {}, {}", change_of(trouble), relation(onset, own)));
    let first = if first_bits >= 1.0 { "It moved first. " } else { "" };
    format!("{first}{}", listed("In trouble too", said.collect()))
}

fn relation(onset: Timestamp, own: Timestamp) -> String {
    match onset.cmp(&own) {
        std::cmp::Ordering::Less => format!("{} earlier", span(own.since(onset))),
        std::cmp::Ordering::Equal => "at the same time".to_owned(),
        std::cmp::Ordering::Greater => format!("{} later", span(onset.since(own))),
    }
}

/// What did not move, with its figures; what moved a little; and what nothing can be said about.
pub(super) fn siblings(bundle: &Bundle) -> String {
    let mut signals: IndexMap<&SignalName, Vec<&Movement>> = IndexMap::new();
    for item in &bundle.items {
        if let Evidence::Sibling { signal, movement, .. } = &item.what {
            signals.entry(signal).or_default().push(movement);
        }
    }
    let (mut steady, mut moved, mut unknown) = (Vec::new(), Vec::new(), Vec::new());
    for (signal, series) in signals {
        let signal = name(signal.as_str());
        if series.iter().any(|movement| movement.has_moved == Some(true)) {
            moved.push(signal);
        } else if series.iter().all(|movement| movement.has_moved == Some(false)) {
            steady.push(format!("{signal}{}", figures(&series)));
        } else {
            unknown.push(signal);
        }
    }
    let sentences = [
        listed("Inside their bands", steady),
        listed("Outside for a moment, but no anomaly", moved),
        listed("Not comparable at the moment", unknown),
    ];
    let sentences: Vec<String> = sentences.into_iter().filter(|sentence| !sentence.is_empty()).collect();
    sentences.join(" ")
}

/// ` (46.1, usually 45.2)`, or how many series it is.
fn figures(series: &[&Movement]) -> String {
    match series {
        [Movement { value, expected: Some(expected), .. }] => {
            format!(" ({}, usually {})", short(*value), short(*expected))
        }
        [_] => String::new(),
        several => format!(" ({} series)", several.len()),
    }
}

/// `Inside their bands: a; b; 3 more.`, or nothing where there is nothing to list.
pub(super) fn listed(heading: &str, things: Vec<String>) -> String {
    if things.is_empty() { String::new() } else { format!("{heading}: {}.", enumerate(things)) }
}

/// `a; b; 3 more`.
pub(super) fn enumerate(mut things: Vec<String>) -> String {
    if things.len() > LIST_MAX {
        let more = things.len() - (LIST_MAX - 1);
        things.truncate(LIST_MAX - 1);
        things.push(format!("{more} more"));
    }
    things.join("; ")
}

/// Writes three significant digits, with a unit prefix where the number is large.
pub fn short(value: f64) -> String {
    // Zero has no sign.
    let value = value + 0.0;
    let size = value.abs();
    if size >= 1e15 || (size > 0.0 && size < 1e-4) {
        return format!("{value:.2e}");
    }
    let (scaled, unit) = match size {
        1e12.. => (value / 1e12, "T"),
        1e9.. => (value / 1e9, "G"),
        1e6.. => (value / 1e6, "M"),
        1e4.. => (value / 1e3, "k"),
        _ => (value, ""),
    };
    let digits = match scaled.abs() {
        100.0.. => 0,
        10.0.. => 1,
        1.0.. => 2,
        0.1.. => 3,
        0.01.. => 4,
        _ if size > 0.0 => 6,
        _ => 0,
    };
    format!("{scaled:.digits$}{unit}")
}

fn ratio(now: f64, before: f64) -> String {
    let factor = now / before;
    if !factor.is_finite() || factor <= 0.0 {
        return String::new();
    }
    match factor {
        1e4.. => format!(" ({}x)", short(factor)),
        10.0.. => format!(" ({factor:.0}x)"),
        2.0.. => format!(" ({factor:.1}x)"),
        0.995..1.005 => String::new(),
        _ => format!(" ({:+.0} %)", (factor - 1.0) * 100.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let texts = [0.0, 0.5, 9.0234, 45.0, 536_870_912.0, 12_345.0, 0.000_01, -3.25, -0.0].map(short);
        assert_eq!(texts, ["0", "0.500", "9.02", "45.0", "537M", "12.3k", "1.00e-5", "-3.25", "0"]);
    }

    #[test]
    fn ratios_say_what_a_reader_would() {
        assert_eq!(ratio(9.0, 0.5), " (18x)");
        assert_eq!(ratio(1.3, 1.0), " (+30 %)");
        assert_eq!(ratio(0.5, 1.0), " (-50 %)");
        assert_eq!(ratio(1.0, 0.0), "");
        assert_eq!(ratio(1.001, 1.0), "");
        assert_eq!(ratio(5e200, 1e-5), " (5.00e205x)");
    }

    #[test]
    fn a_long_list_is_counted() {
        let things = |count: usize| (1..=count).map(|nth| nth.to_string()).collect();
        assert_eq!(listed("For it", things(0)), "");
        assert_eq!(listed("For it", things(5)), "For it: 1; 2; 3; 4; 5.");
        assert_eq!(listed("For it", things(9)), "For it: 1; 2; 3; 4; 5 more.");
    }
}
