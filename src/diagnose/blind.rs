//! An incident about the source: its bundle, and the built-in heuristics for it.
//!
//! | term | bits |
//! | --- | --- |
//! | `silence` | 3 for a backend of which nothing is answered, 2 for series that stopped |
//! | `words` | 1.5 where the failures say that there was no secret to ask with, no connection or no answer in time, that the backend refused, or that what came was no answer |
//! | `gap` | 1.5 where the backend itself had no samples of its targets meanwhile |
//! | `shape` | -0.5 for targets that are gone, -1 for a backend about which no failure says more |

use super::bundle::{Bundle, Evidence, EvidenceId, Item};
use super::diagnosis::{Cause, Contribution, Hypothesis};
use super::gather::PastIncident;
use super::reply::one_line;
use super::wording::{enumerate, name, span};
use crate::incident::{Incident, Silence};
use crate::series::SignalName;
use crate::time::Timestamp;

/// A bundle tells at most so many signals, failures and gaps each.
const ITEMS_MAX: usize = 20;
/// And so many earlier incidents.
const PAST_MAX: usize = 5;
/// A failure is told in at most so many characters.
pub(super) const BECAUSE_CHARS_MAX: usize = 300;

/// What is known about the source.
#[derive(Debug, Clone, PartialEq)]
pub enum SourceEvidence {
    /// A signal that the source does not serve.
    Outage {
        /// The signal.
        signal: SignalName,
        /// Since when.
        since: Timestamp,
        /// What is missing.
        silence: Silence,
        /// Whether it still is.
        is_active: bool,
    },
    /// Polls that fail.
    Failing(FailingPolls),
    /// Steps at which the backend itself took no samples, or those of few of its targets only.
    Gap {
        /// The first.
        from: Timestamp,
        /// The last.
        to: Timestamp,
    },
}

/// The polls of one signal, as far as they fail.
#[derive(Debug, Clone, PartialEq)]
pub struct FailingPolls {
    /// The signal.
    pub signal: SignalName,
    /// The first slot that failed.
    pub since: Timestamp,
    /// Whether the query or the config is at fault, and not the backend.
    pub is_refused: bool,
    /// The last failure in words.
    pub because: String,
}

/// Puts together what is known about an incident of the source: its signals as `b1`, failing polls as `f1`, gaps in what
/// the backend took as `g1`, earlier incidents as `p1`.
pub fn gather_source(
    incident: &Incident,
    now: Timestamp,
    failing: Vec<FailingPolls>,
    gaps: &[(Timestamp, Timestamp)],
    past: &[PastIncident],
) -> Bundle {
    let outages = incident.outages.iter().map(|outage| {
        Evidence::Source(SourceEvidence::Outage {
            signal: outage.signal.clone(),
            since: outage.since,
            silence: outage.silence.clone(),
            is_active: outage.is_active(),
        })
    });
    let failing = failing.into_iter().map(|polls| Evidence::Source(SourceEvidence::Failing(polls)));
    let gap =
        |(from, to): &(Timestamp, Timestamp)| Evidence::Source(SourceEvidence::Gap { from: *from, to: *to });
    let before = past.iter().filter(|past| past.incident != incident.id && past.subject == incident.subject);
    let groups: [(char, Vec<Evidence>, usize); 4] = [
        ('b', outages.collect(), ITEMS_MAX),
        ('f', failing.collect(), ITEMS_MAX),
        ('g', gaps.iter().map(gap).collect(), ITEMS_MAX),
        ('p', before.map(PastIncident::evidence).collect(), PAST_MAX),
    ];
    let (mut items, mut left_out) = (Vec::new(), 0);
    for (class, evidence, limit) in groups {
        left_out += evidence.len().saturating_sub(limit);
        let kept = evidence.into_iter().take(limit).enumerate();
        items.extend(kept.map(|(nth, what)| Item { id: EvidenceId::new(class, nth + 1), what }));
    }
    let (subject, onset, assessment) = (incident.subject.clone(), incident.onset(), incident.assessment);
    Bundle { incident: incident.id, subject, at: now, onset, assessment, items, left_out, calls: Vec::new() }
}

/// One sentence about a piece of evidence.
pub(super) fn sentence(evidence: &SourceEvidence) -> String {
    match evidence {
        SourceEvidence::Outage { signal, since, silence: Silence::Unanswered { because }, is_active } => {
            let (signal, verb) = (name(signal.as_str()), if *is_active { "is" } else { "was" });
            let because = one_line(because, BECAUSE_CHARS_MAX);
            format!("signal {signal} {verb} not answered since {since}: {because}")
        }
        SourceEvidence::Outage { signal, since, silence: Silence::Stopped { lost, tracked }, .. } => {
            format!("{lost} of {tracked} series of signal {} stopped at {since}", name(signal.as_str()))
        }
        SourceEvidence::Failing(polls) => {
            let because = one_line(&polls.because, BECAUSE_CHARS_MAX);
            format!("polls of signal {} fail since {}: {because}", name(polls.signal.as_str()), polls.since)
        }
        SourceEvidence::Gap { from, to } => {
            format!("the backend itself took no samples, or few, from {from} to {to}")
        }
    }
}

/// A way in which a backend fails, with the words by which a failure tells it.
struct Manner {
    words: &'static [&'static str],
    title: &'static str,
    meaning: &'static str,
}

const MANNERS: [Manner; 4] = [
    Manner {
        words: &["cannot be sent:"],
        title: "The agent has no secret to ask with",
        meaning: "The file of a token, a password or a header is missing, empty or unreadable, so nothing was sent. \
                  Put it back, and look at what rotates it; it is read anew for each request.",
    },
    Manner {
        words: &["got no answer:", "timed out after"],
        title: "The backend can't be reached",
        meaning: "It is down or too slow, or the way to it is cut. Try its URL from where the agent runs, then look at \
                  its process, its load, DNS and firewalls.",
    },
    Manner {
        words: &["was refused with status"],
        title: "The backend refuses",
        meaning: "It, or a proxy before it, is there and answers with an error. The status says whether it is \
                  overloaded, starting, or no longer accepts the agent's credentials.",
    },
    Manner {
        words: &["was answered"],
        title: "What answers is not the backend",
        meaning: "Something at its address gives pages or broken data: a proxy, a login page, another service. Look \
                  at what the URL returns.",
    },
];

/// Ranks the causes of an incident about the source.
pub(super) fn rank_source(bundle: &Bundle) -> Vec<Hypothesis> {
    let mut found = unanswered(bundle);
    found.extend(stopped(bundle));
    found.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    found.into_iter().map(|(_, hypothesis)| hypothesis).collect()
}

/// The items that a question to the bundle picks out.
fn those<'a>(
    bundle: &'a Bundle,
    is_it: impl Fn(&SourceEvidence) -> bool,
) -> Vec<(&'a Item, &'a SourceEvidence)> {
    let source = |item: &'a Item| match &item.what {
        Evidence::Source(evidence) if is_it(evidence) => Some((item, evidence)),
        Evidence::Source(_)
        | Evidence::Anomaly { .. }
        | Evidence::Sibling { .. }
        | Evidence::Elsewhere { .. }
        | Evidence::Past { .. } => None,
    };
    bundle.items.iter().filter_map(source).collect()
}

fn failure_of(evidence: &SourceEvidence) -> Option<&str> {
    match evidence {
        SourceEvidence::Outage { silence: Silence::Unanswered { because }, .. } => Some(because),
        SourceEvidence::Failing(polls) => (!polls.is_refused).then_some(&polls.because),
        SourceEvidence::Outage { silence: Silence::Stopped { .. }, .. } | SourceEvidence::Gap { .. } => None,
    }
}

fn unanswered(bundle: &Bundle) -> Vec<(f64, Hypothesis)> {
    let is_unanswered = |evidence: &SourceEvidence| {
        matches!(evidence, SourceEvidence::Outage { silence: Silence::Unanswered { .. }, .. })
    };
    if those(bundle, is_unanswered).is_empty() {
        return Vec::new();
    }
    let mut found = Vec::new();
    for manner in &MANNERS {
        let tells = |evidence: &SourceEvidence| {
            let said = failure_of(evidence).map(str::to_lowercase);
            // One failure has one manner: the first that its words fit.
            let first = said.and_then(|said| {
                MANNERS.iter().find(|manner| manner.words.iter().any(|word| said.contains(word)))
            });
            first.is_some_and(|first| first.title == manner.title)
        };
        let items = those(bundle, tells);
        if !items.is_empty() {
            let terms = vec![term("silence", 3.0), term("words", 1.5)];
            found.push(hypothesis((Cause::Backend, manner.title, manner.meaning), bundle, &items, terms));
        }
    }
    if found.is_empty() {
        let items = those(bundle, is_unanswered);
        let said = (
            Cause::Backend,
            "The backend fails",
            "None of the failures says which way. Look at its log and at what lies between it and the agent.",
        );
        found.push(hypothesis(said, bundle, &items, vec![term("silence", 3.0), term("shape", -1.0)]));
    }
    found
}

fn stopped(bundle: &Bundle) -> Vec<(f64, Hypothesis)> {
    let is_stopped = |evidence: &SourceEvidence| {
        matches!(evidence, SourceEvidence::Outage { silence: Silence::Stopped { .. }, .. })
    };
    let is_gap = |evidence: &SourceEvidence| matches!(evidence, SourceEvidence::Gap { .. });
    let items = those(bundle, is_stopped);
    if items.is_empty() {
        return Vec::new();
    }
    let gaps = those(bundle, is_gap);
    let mut terms = vec![term("silence", 2.0)];
    if !gaps.is_empty() {
        terms.push(term("gap", 1.5));
    }
    let scraping = (
        Cause::Scraping,
        "The backend's scrapes stopped",
        "It answers, but takes no new samples of most targets. Look at its targets page, its configuration, service \
         discovery, its disk, and the network toward the targets.",
    );
    let gone = (
        Cause::Gone,
        "Most targets are gone",
        "Services of more than one name vanished at once: a cluster, a node pool or a network went away, or a change \
         of labels took them out of the query. Check `up` and the target list.",
    );
    let both: Vec<_> = items.iter().chain(&gaps).copied().collect();
    vec![
        hypothesis(scraping, bundle, &both, terms),
        hypothesis(gone, bundle, &items, vec![term("silence", 2.0), term("shape", -0.5)]),
    ]
}

fn term(term: &'static str, bits: f64) -> Contribution {
    Contribution { term: term.into(), bits }
}

fn hypothesis(
    (cause, title, meaning): (Cause, &str, &str),
    bundle: &Bundle,
    items: &[(&Item, &SourceEvidence)],
    contributions: Vec<Contribution>,
) -> (f64, Hypothesis) {
    let signal_of = |evidence: &SourceEvidence| match evidence {
        SourceEvidence::Outage { signal, .. } => Some(signal.clone()),
        SourceEvidence::Failing(polls) => Some(polls.signal.clone()),
        SourceEvidence::Gap { .. } => None,
    };
    let mut signals: Vec<SignalName> = items.iter().filter_map(|(_, evidence)| signal_of(evidence)).collect();
    signals.sort();
    signals.dedup();
    let concerned = enumerate(signals.iter().map(|signal| name(signal.as_str())).collect());
    let first = items.first().map(|(_, evidence)| sentence(evidence)).unwrap_or_default();
    let lasted = span(bundle.at.since(bundle.onset));
    let text = format!(
        "It began at {}, {lasted} ago, and concerns {concerned}. First, {first}. {meaning}",
        bundle.onset
    );
    let bits = contributions.iter().map(|term| term.bits).sum();
    let evidence = items.iter().map(|(item, _)| item.id.clone()).collect();
    let said = Hypothesis {
        cause,
        service: None,
        signal: if let [only] = signals.as_slice() { Some(only.clone()) } else { None },
        title: title.to_owned(),
        text,
        score: Some(bits),
        contributions,
        evidence,
    };
    (bits, said)
}
