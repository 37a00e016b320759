//! Sentences that the heuristics put together from evidence.

use std::time::Duration;

use super::bundle::{Bundle, Evidence, EvidenceId};
use crate::detect::Side;
use crate::incident::Trouble;
use crate::time::format_duration;

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
        Trouble::Lost { last_seen, .. } => format!("has had no samples since {last_seen}"),
    }
}

/// When it began, and what moved first.
pub(super) fn since_onset(bundle: &Bundle, id: &EvidenceId, first_bits: f64) -> String {
    let mut sentences = String::new();
    for item in &bundle.items {
        let Evidence::Anomaly { signal, trouble, is_active, .. } = &item.what else { continue };
        if item.id != *id {
            continue;
        }
        let (onset, until) = (trouble.onset(), trouble.until());
        sentences = if *is_active {
            format!(
                "{signal} has been outside its band for {}, since {onset}",
                seconds(bundle.at.since(onset))
            )
        } else {
            format!("{signal} was outside its band from {onset} to {until}")
        };
    }
    let order: Vec<String> = others_in_order(bundle, id);
    if order.is_empty() {
        sentences.push_str("; no other signal of the service is in trouble. ");
    } else {
        let place = if first_bits >= 1.0 { "it moved first, then " } else { "in trouble too: " };
        sentences.push_str(&format!("; {place}{}. ", order.join(", ")));
    }
    sentences
}

fn seconds(span: Duration) -> String {
    format_duration(Duration::from_secs(span.as_secs()))
}

fn others_in_order(bundle: &Bundle, id: &EvidenceId) -> Vec<String> {
    let mut others = Vec::new();
    for item in bundle.items.iter().filter(|item| item.id != *id) {
        if let Evidence::Anomaly { signal, trouble, .. } = &item.what {
            others.push((trouble.onset(), format!("{signal} ({})", change_of(trouble))));
        }
    }
    others.sort();
    others.into_iter().map(|(_, text)| text).collect()
}

/// What did not move: `request_rate (46.1, usually 45.2) and cpu_usage (...) stayed inside their bands.`
pub(super) fn siblings_sentence(bundle: &Bundle) -> String {
    let mut steady = Vec::new();
    for item in &bundle.items {
        if let Evidence::Sibling { signal, movement, .. } = &item.what
            && movement.has_moved == Some(false)
            && let Some(expected) = movement.expected
        {
            steady.push(format!("{signal} ({}, usually {})", short(movement.value), short(expected)));
        }
    }
    match steady.as_slice() {
        [] => "No other signal of the service can be compared.".to_owned(),
        [one] => format!("{one} stayed inside its band."),
        [head @ .., last] => format!("{} and {last} stayed inside their bands.", head.join(", ")),
    }
}

/// Three significant digits, with a unit prefix where the number is large.
pub(super) fn short(value: f64) -> String {
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
        10.0.. => format!(" ({factor:.0}x)"),
        2.0.. => format!(" ({factor:.1}x)"),
        _ => format!(" ({:+.0} %)", (factor - 1.0) * 100.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short() {
        let texts = [0.0, 0.5, 9.0234, 45.0, 536_870_912.0, 12_345.0, 0.000_01, -3.25].map(short);
        assert_eq!(texts, ["0", "0.500", "9.02", "45.0", "537M", "12.3k", "1.00e-5", "-3.25"]);
    }

    #[test]
    fn ratios_say_what_a_reader_would() {
        assert_eq!(ratio(9.0, 0.5), " (18x)");
        assert_eq!(ratio(1.3, 1.0), " (+30 %)");
        assert_eq!(ratio(0.5, 1.0), " (-50 %)");
        assert_eq!(ratio(1.0, 0.0), "");
    }
}
