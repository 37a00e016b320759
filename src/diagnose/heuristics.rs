//! The built-in heuristics: candidate causes from a table of known shapes, ranked by a sum of evidence in bits.
//!
//! | term | bits |
//! | --- | --- |
//! | `strength` | `min(8, log2(1 + peak score))` of the anomaly; 3 for a lost series |
//! | `first` | 1 where the anomaly began before every other of the incident, 0.5 where it shares the first place |
//! | `shape` | what the table gives the cause before anything else is looked at, 0 or negative |
//! | `traffic`, `errors`, ... | what the table gives for another signal of the service that moved, or did not |
//! | `elsewhere` | 1 for a cause in another service that was in trouble at least a sample earlier, less 1.5 as no link between the two is known |
//! | `before` | 0.5 where an earlier incident of the service ended with the same cause |
//!
//! What can't be said (a signal that is not configured, a baseline that warms up) adds nothing.

use super::bundle::{Bundle, Evidence, EvidenceId, Item, Movement};
use super::diagnosis::{Cause, Contribution, Hypothesis};
use super::shapes::{Expectation, SHAPES, Shape, ShapeSide};
use super::wording::{change_of, siblings_sentence, since_onset};
use crate::detect::{Kind, Side};
use crate::incident::Trouble;
use crate::series::{Service, SignalName};
use crate::time::Timestamp;

/// So many hypotheses are given at most.
const HYPOTHESES_MAX: usize = 5;
/// A hypothesis with fewer bits is not worth a reader's time.
const BITS_MIN: f64 = 0.5;

/// Ranks the causes that the bundle supports, the most likely first; of equal scores the one named first in the table.
/// Empty where it supports none.
pub fn rank(bundle: &Bundle) -> Vec<Hypothesis> {
    let mut found: Vec<(f64, Hypothesis)> = Vec::new();
    for symptom in symptoms(bundle) {
        for shape in SHAPES.iter().filter(|shape| shape.fits(symptom.kind, symptom.side)) {
            found.push(own_cause(bundle, &symptom, shape));
        }
    }
    found.extend(bundle.items.iter().filter_map(|item| cause_elsewhere(bundle, item)));
    found.sort_by(|(a, _), (b, _)| b.total_cmp(a));

    let mut ranked: Vec<Hypothesis> = Vec::new();
    for (bits, hypothesis) in found {
        let is_new = !ranked.iter().any(|h| h.cause == hypothesis.cause && h.service == hypothesis.service);
        if is_new && bits >= BITS_MIN && ranked.len() < HYPOTHESES_MAX {
            ranked.push(hypothesis);
        }
    }
    ranked
}

/// An anomaly of the incident, as the heuristics look at it.
struct Symptom<'a> {
    id: &'a EvidenceId,
    service: &'a Service,
    signal: &'a SignalName,
    kind: Kind,
    side: ShapeSide,
    trouble: &'a Trouble,
}

fn symptoms(bundle: &Bundle) -> Vec<Symptom<'_>> {
    let symptom = |item| match item {
        &Item { ref id, what: Evidence::Anomaly { ref service, ref signal, kind, ref trouble, .. } } => {
            let side = match trouble.side() {
                Some(Side::Up) => ShapeSide::Up,
                Some(Side::Down) => ShapeSide::Down,
                None => ShapeSide::Lost,
            };
            Some(Symptom { id, service, signal, kind, side, trouble })
        }
        Item {
            what: Evidence::Sibling { .. } | Evidence::Elsewhere { .. } | Evidence::Past { .. }, ..
        } => None,
    };
    bundle.items.iter().filter_map(symptom).collect()
}

fn own_cause(bundle: &Bundle, symptom: &Symptom<'_>, shape: &Shape) -> (f64, Hypothesis) {
    let mut terms = vec![Contribution { term: "strength".into(), bits: strength(symptom.trouble) }];
    let first = first_bits(bundle, symptom);
    push(&mut terms, "first", first);
    push(&mut terms, "shape", shape.bits);
    let mut evidence = vec![symptom.id.clone()];
    for expectation in shape.expects {
        if let Some((bits, id)) = weigh(bundle, symptom, expectation) {
            push(&mut terms, expectation.kind.as_str(), bits);
            evidence.push(id);
        }
    }
    if let Some(id) = seen_before(bundle, shape.cause) {
        push(&mut terms, "before", 0.5);
        evidence.push(id);
    }
    let title = format!("{}: {} {}", shape.title, symptom.signal, change_of(symptom.trouble));
    let text =
        format!("{}{} {}", since_onset(bundle, symptom.id, first), siblings_sentence(bundle), shape.meaning);
    hypothesis(shape.cause, symptom.service, Some(symptom.signal), title, text, terms, evidence)
}

fn strength(trouble: &Trouble) -> f64 {
    match trouble {
        Trouble::Deviation(anomaly) => (1.0 + anomaly.peak_score).log2().min(8.0),
        Trouble::Lost { .. } => 3.0,
    }
}

fn first_bits(bundle: &Bundle, symptom: &Symptom<'_>) -> f64 {
    let onset = symptom.trouble.onset();
    let others: Vec<Timestamp> = symptoms(bundle)
        .iter()
        .filter(|other| other.id != symptom.id)
        .map(|other| other.trouble.onset())
        .collect();
    if others.is_empty() || others.iter().any(|other| *other < onset) {
        0.0
    } else if others.contains(&onset) {
        0.5
    } else {
        1.0
    }
}

/// What another signal of the service says about a cause: its bits and the item that says so.
fn weigh(bundle: &Bundle, symptom: &Symptom<'_>, expectation: &Expectation) -> Option<(f64, EvidenceId)> {
    let mut steady = None;
    for item in &bundle.items {
        match &item.what {
            Evidence::Anomaly { kind, trouble, .. }
                if *kind == expectation.kind && item.id != *symptom.id =>
            {
                let bits = match trouble.side() {
                    Some(Side::Up) => expectation.if_up,
                    Some(Side::Down) | None => expectation.if_down,
                };
                return Some((bits, item.id.clone()));
            }
            Evidence::Sibling { kind, movement, .. } if *kind == expectation.kind => {
                if movement.has_moved == Some(false) {
                    steady = Some((expectation.if_steady, item.id.clone()));
                }
            }
            Evidence::Anomaly { .. }
            | Evidence::Sibling { .. }
            | Evidence::Elsewhere { .. }
            | Evidence::Past { .. } => {}
        }
    }
    steady
}

fn seen_before(bundle: &Bundle, cause: Cause) -> Option<EvidenceId> {
    bundle.items.iter().find_map(|item| match &item.what {
        Evidence::Past { cause: Some(past), .. } if *past == cause => Some(item.id.clone()),
        Evidence::Past { .. }
        | Evidence::Anomaly { .. }
        | Evidence::Sibling { .. }
        | Evidence::Elsewhere { .. } => None,
    })
}

/// Another service that was in trouble before this one may be where the cause lies.
fn cause_elsewhere(bundle: &Bundle, item: &Item) -> Option<(f64, Hypothesis)> {
    let Evidence::Elsewhere { service, signal, onset, movement, side, .. } = &item.what else { return None };
    if *onset >= bundle.onset {
        return None;
    }
    let strength = match (side, movement) {
        (Some(_), Movement { score: Some(score), .. }) => (1.0 + score).log2().min(8.0),
        (Some(_), Movement { score: None, .. }) => return None,
        (None, _) => 3.0,
    };
    let mut terms = vec![Contribution { term: "strength".into(), bits: strength }];
    push(&mut terms, "elsewhere", 1.0 - 1.5);
    let lead = bundle.onset.since(*onset).as_secs_f64();
    let title = format!("{service} was in trouble first: its {signal} moved {lead:.0} s earlier");
    let text = format!(
        "{service}/{signal} left its normal range {lead:.0} s before {} did. If {} calls {service} or shares something \
         with it, look there first; no link between the two is known here, and coincidence is possible.",
        bundle.service, bundle.service
    );
    let evidence = vec![item.id.clone()];
    Some(hypothesis(Cause::Dependency, service, Some(signal), title, text, terms, evidence))
}

fn push(terms: &mut Vec<Contribution>, term: &'static str, bits: f64) {
    if bits.abs() > 0.0 {
        terms.push(Contribution { term: term.into(), bits });
    }
}

#[expect(
    clippy::too_many_arguments,
    reason = "one call site's worth of a struct literal, to sum the score once"
)]
fn hypothesis(
    cause: Cause,
    service: &Service,
    signal: Option<&SignalName>,
    title: String,
    text: String,
    contributions: Vec<Contribution>,
    evidence: Vec<EvidenceId>,
) -> (f64, Hypothesis) {
    let bits = contributions.iter().map(|term| term.bits).sum();
    let (service, signal) = (service.clone(), signal.cloned());
    (bits, Hypothesis { cause, service, signal, title, text, score: Some(bits), contributions, evidence })
}
