//! What cited evidence says, in words that stand without the bundle.

use std::time::Duration;

use super::bundle::{Bundle, Evidence, EvidenceId, Movement};
use super::diagnosis::Hypothesis;
use super::reply::one_line;
use super::wording::{change_of, enumerate, name, short};
use crate::detect::Side;
use crate::incident::Trouble;
use crate::time::format_duration;

/// A longer name of a series is cut.
const SERIES_CHARS_MAX: usize = 200;

/// An item of a bundle that a hypothesis cites.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Citation {
    /// The id by which it is cited.
    pub id: EvidenceId,
    /// One sentence.
    pub says: String,
}

/// Tells what each cited item says, in the order of the bundle, each once.
pub fn cite(bundle: &Bundle, hypotheses: &[Hypothesis]) -> Vec<Citation> {
    let is_cited = |id: &EvidenceId| hypotheses.iter().any(|hypothesis| hypothesis.evidence.contains(id));
    let cited = bundle.items.iter().filter(|item| is_cited(&item.id));
    cited.map(|item| Citation { id: item.id.clone(), says: sentence(&item.what) }).collect()
}

fn sentence(evidence: &Evidence) -> String {
    let shown = |series: &str| one_line(series, SERIES_CHARS_MAX);
    match evidence {
        Evidence::Anomaly { series, trouble, .. } => match trouble {
            Trouble::Deviation(anomaly) => format!(
                "{} {} at a score of {}; its band was {} to {} and it left it at {}",
                shown(series),
                change_of(trouble),
                short(anomaly.peak_score),
                short(anomaly.lower),
                short(anomaly.upper),
                anomaly.onset
            ),
            Trouble::Lost { .. } => format!("{} {}", shown(series), change_of(trouble)),
        },
        Evidence::Sibling { series, movement, .. } => format!("{} {}", shown(series), standing(movement)),
        Evidence::Elsewhere { series, side, onset, movement, .. } => match side {
            Some(Side::Up) => {
                format!("{} rose out of its band at {onset}; it {}", shown(series), standing(movement))
            }
            Some(Side::Down) => {
                format!("{} fell out of its band at {onset}; it {}", shown(series), standing(movement))
            }
            None => format!("{} has had no samples since {onset}", shown(series)),
        },
        Evidence::Source(evidence) => super::blind::sentence(evidence),
        Evidence::Past { incident, opened_at, signals, cause, lasted_s } => {
            let signals = enumerate(signals.iter().map(|signal| name(signal.as_str())).collect());
            let cause =
                cause.map_or("no supported cause".to_owned(), |cause| format!("cause {}", cause.as_str()));
            let lasted = lasted_s.map_or("still open".to_owned(), |seconds| {
                format!("lasted {}", format_duration(Duration::from_secs(seconds.max(0.0) as u64)))
            });
            format!("incident {incident} of {opened_at}: {}, {cause}, {lasted}", signals)
        }
    }
}

fn standing(movement: &Movement) -> String {
    let now = format!("stood at {}", short(movement.value));
    match (movement.expected, movement.score) {
        (Some(expected), Some(score)) => {
            format!(
                "{now}, usually {}; its strongest score since the onset was {}",
                short(expected),
                short(score)
            )
        }
        (Some(_), None) | (None, _) => format!("{now} and cannot be compared"),
    }
}
