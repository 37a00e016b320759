//! The built-in heuristics: candidate causes from a table of known shapes, ranked by a sum of evidence in bits.
//!
//! | term | bits |
//! | --- | --- |
//! | `strength` | `min(8, log2(1 + peak score))` of the anomaly; 3 for a lost series |
//! | `first` | 1 where the anomaly began before every other of the incident, 0.5 where it shares the first place; 0 where it is alone |
//! | `shape` | what the table gives the cause before anything else is looked at, 0 or negative |
//! | `traffic`, `errors`, ... | what the table gives for another signal of the service that is in trouble too, or that stayed inside its band |
//! | `earlier` | 1 for a cause in another service whose trouble began before, at most 15 minutes before |
//! | `unlinked` | -1.5 for the same, where no link between the two services is known |
//! | `called` | `1/hops` for a cause in a service that this one calls, over `hops` calls, at most three; its trouble may begin up to 5 minutes later |
//! | `callee` | -2 for a cause in a service that calls one that is in trouble too, since at most 15 minutes before and 5 minutes after its own began |
//! | `before` | 0.5 where an earlier incident of the service ended with the same cause |
//!
//! What can't be said adds nothing: a signal that is not configured, a baseline that warms up, a signal that has
//! stopped, one that left its band without becoming an anomaly.

use super::blind::rank_source;
use super::bundle::{Bundle, Evidence, EvidenceId, Item};
use super::diagnosis::{Cause, Contribution, Hypothesis};
use super::links::{Callee, Link, beside};
use super::shapes::{Expectation, SHAPES, Shape, ShapeSide};
use super::wording::{change_of, course, listed, name, others_in_trouble, siblings};
use crate::detect::{Kind, Side};
use crate::incident::{Subject, Trouble};
use crate::series::{Service, SignalName};
use crate::time::Timestamp;

/// So many hypotheses are given at most.
const HYPOTHESES_MAX: usize = 5;
/// The strength of a series that has stopped.
const LOST_BITS: f64 = 3.0;
/// A hypothesis with fewer bits is not worth a reader's time.
const BITS_MIN: f64 = 0.5;

/// Ranks the causes that the bundle supports, the most likely first; of equal scores the one named first in the table.
/// Empty where it supports none.
pub fn rank(bundle: &Bundle) -> Vec<Hypothesis> {
    if bundle.subject == Subject::Source {
        return rank_source(bundle);
    }
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
            what:
                Evidence::Sibling { .. }
                | Evidence::Elsewhere { .. }
                | Evidence::Source(_)
                | Evidence::Past { .. },
            ..
        } => None,
    };
    bundle.items.iter().filter_map(symptom).collect()
}

fn own_cause(bundle: &Bundle, symptom: &Symptom<'_>, shape: &Shape) -> (f64, Hypothesis) {
    let mut terms = vec![Contribution { term: "strength".into(), bits: strength(symptom.trouble) }];
    let first = first_bits(bundle, symptom);
    push(&mut terms, "first", first);
    push(&mut terms, "shape", shape.bits);
    let weights: Vec<Weight<'_>> =
        shape.expects.iter().filter_map(|expectation| weigh(bundle, symptom, expectation)).collect();
    let mut evidence = vec![symptom.id.clone()];
    for weight in &weights {
        push(&mut terms, weight.kind.as_str(), weight.bits);
        evidence.push(weight.id.clone());
    }
    let before = seen_before(bundle, shape.cause);
    if let Some((id, _)) = before {
        push(&mut terms, "before", 0.5);
        evidence.push(id.clone());
    }
    let callee = Callee::of(bundle, symptom.service, symptom.trouble.onset());
    if let Some(callee) = &callee {
        terms.push(Callee::contribution());
        evidence.push(callee.id.clone());
    }
    let title = format!("{}: {} {}", shape.title, name(symptom.signal.as_str()), change_of(symptom.trouble));
    let said = |weight: &Weight<'_>| format!("{} {}", name(weight.signal.as_str()), weight.said);
    let (speaks_for, against): (Vec<_>, Vec<_>) = weights.iter().partition(|weight| weight.bits > 0.0);
    let sentences = [
        course(bundle, symptom.id),
        others_in_trouble(bundle, symptom.id, first),
        siblings(bundle),
        listed("For it", speaks_for.into_iter().map(said).collect()),
        listed("Against it", against.into_iter().map(said).collect()),
        before.map(|(_, at)| format!("The incident of {at} had this cause too.")).unwrap_or_default(),
        callee.map(|callee| callee.sentence(&name(symptom.service.as_str()))).unwrap_or_default(),
        shape.meaning.to_owned(),
    ];
    let text = sentences.iter().filter(|sentence| !sentence.is_empty()).map(String::as_str);
    let text = text.collect::<Vec<_>>().join(" ");
    hypothesis(shape.cause, symptom.service, Some(symptom.signal), title, text, terms, evidence)
}

fn strength(trouble: &Trouble) -> f64 {
    match trouble {
        Trouble::Deviation(anomaly) => bits_of(anomaly.peak_score),
        Trouble::Lost { .. } => LOST_BITS,
    }
}

fn bits_of(score: f64) -> f64 {
    (1.0 + score.max(0.0)).log2().min(8.0)
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

/// What another signal of the service says about a cause.
struct Weight<'a> {
    kind: Kind,
    bits: f64,
    id: &'a EvidenceId,
    signal: &'a SignalName,
    said: &'static str,
}

/// Looks for the signal that the table asks about: in trouble too, or inside its band in every series. What says
/// nothing gives no weight.
fn weigh<'a>(bundle: &'a Bundle, symptom: &Symptom<'_>, expectation: &Expectation) -> Option<Weight<'a>> {
    let weight = |(bits, said): (f64, &'static str), id: &'a EvidenceId, signal: &'a SignalName| {
        (bits.abs() > 0.0).then_some(Weight { kind: expectation.kind, bits, id, signal, said })
    };
    let mut steady = None;
    let mut all_are_steady = true;
    for item in &bundle.items {
        match &item.what {
            Evidence::Anomaly { kind, trouble, signal, .. }
                if *kind == expectation.kind && item.id != *symptom.id =>
            {
                let said = match (trouble.side(), symptom.side) {
                    (Some(Side::Up), _) => (expectation.if_up, "up"),
                    (Some(Side::Down), _) => (expectation.if_down, "down"),
                    (None, ShapeSide::Lost) => (expectation.if_down, "gone"),
                    // A signal that has stopped is not one that has fallen.
                    (None, ShapeSide::Up | ShapeSide::Down) => return None,
                };
                return weight(said, &item.id, signal);
            }
            Evidence::Sibling { kind, movement, signal, .. } if *kind == expectation.kind => {
                all_are_steady &= movement.has_moved == Some(false);
                steady = steady.or_else(|| weight((expectation.if_steady, "as usual"), &item.id, signal));
            }
            Evidence::Anomaly { .. }
            | Evidence::Sibling { .. }
            | Evidence::Elsewhere { .. }
            | Evidence::Source(_)
            | Evidence::Past { .. } => {}
        }
    }
    steady.filter(|_| all_are_steady)
}

fn seen_before(bundle: &Bundle, cause: Cause) -> Option<(&EvidenceId, Timestamp)> {
    bundle.items.iter().find_map(|item| match &item.what {
        Evidence::Past { cause: Some(past), opened_at, .. } if *past == cause => Some((&item.id, *opened_at)),
        Evidence::Past { .. }
        | Evidence::Source(_)
        | Evidence::Anomaly { .. }
        | Evidence::Sibling { .. }
        | Evidence::Elsewhere { .. } => None,
    })
}

/// Another service that was in trouble shortly before this one, or that it calls, may be where the cause lies.
fn cause_elsewhere(bundle: &Bundle, item: &Item) -> Option<(f64, Hypothesis)> {
    let Evidence::Elsewhere { service, signal, onset, movement, side, .. } = &item.what else { return None };
    let link = Link::of(bundle, service);
    if !link.may_cause(*onset, bundle.onset) {
        return None;
    }
    let (strength, moved) = match side {
        Some(Side::Up) => (bits_of(movement.score?), "rose out of its band"),
        Some(Side::Down) => (bits_of(movement.score?), "fell out of its band"),
        None => (LOST_BITS, "stopped"),
    };
    let mut terms = vec![Contribution { term: "strength".into(), bits: strength }];
    if *onset < bundle.onset {
        push(&mut terms, "earlier", 1.0);
    }
    terms.extend(link.contribution());
    let mut evidence = vec![item.id.clone()];
    let callee = Callee::of(bundle, service, *onset);
    if let Some(callee) = &callee {
        terms.push(Callee::contribution());
        evidence.push(callee.id.clone());
    }
    let (there, here) = (name(service.as_str()), name(&bundle.subject.to_string()));
    let (signal_name, when) = (name(signal.as_str()), beside(*onset, bundle.onset));
    let title = format!("{there} was in trouble {when}: its {signal_name} {moved}");
    let text = format!(
        "{signal_name} of {there} {moved} at {onset}, {when}{} the trouble of {here} began. {}{}",
        if *onset == bundle.onset { " as" } else { " than" },
        link.sentence(&there, &here),
        callee.map(|callee| format!(" {}", callee.sentence(&there))).unwrap_or_default()
    );
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
    let (service, signal) = (Some(service.clone()), signal.cloned());
    (bits, Hypothesis { cause, service, signal, title, text, score: Some(bits), contributions, evidence })
}
