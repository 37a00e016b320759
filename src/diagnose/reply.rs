//! The answer of a model, read strictly: what it cites must stand in the bundle, and what it says is text and no more.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

use super::blind::SourceEvidence;
use super::bundle::{Bundle, Evidence, EvidenceId};
use super::data::{is_visible, shown};
use super::diagnosis::{Cause, Hypothesis};
use super::prompt::HYPOTHESES_MAX;
use crate::series::{Service, SignalName};

/// A longer answer is not read.
const REPLY_BYTES_MAX: usize = 64 * 1024;
const TITLE_CHARS_MAX: usize = 300;
const EXPLANATION_CHARS_MAX: usize = 3_000;
const EVIDENCE_MAX: usize = 20;
/// An error tells at most so many problems, so many allowed words a problem, and so much of what was given.
const PROBLEMS_TOLD_MAX: usize = 8;
const ALLOWED_TOLD_MAX: usize = 70;
const GIVEN_CHARS_MAX: usize = 60;
const SHAPE_CHARS_MAX: usize = 200;

/// Why an answer is not taken: what is wrong and what would be right, so that a model can mend it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReplyError {
    /// It is longer than any good answer.
    #[error("the answer has {bytes} bytes, at most {REPLY_BYTES_MAX} are read")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// It is not JSON of the schema's shape.
    #[error("the answer is not one JSON object of the schema's shape: {0}")]
    Shape(String),
    /// It has more hypotheses than asked for.
    #[error("the answer has {count} hypotheses, at most {HYPOTHESES_MAX} are allowed")]
    TooMany {
        /// How many.
        count: usize,
    },
    /// Its shape is right, what it says is not: all that is wrong.
    #[error("{}", told(.0))]
    Content(Vec<Problem>),
}

/// What is wrong with one hypothesis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Which hypothesis, from 1.
    pub nth: usize,
    /// What is wrong with it.
    pub fault: Fault,
}

/// A fault of a hypothesis.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A text is empty.
    #[error("its {field} is empty")]
    Empty {
        /// Which field.
        field: &'static str,
    },
    /// A text or a list is too long.
    #[error("its {field} has {count} {unit}, at most {max} are allowed")]
    TooLong {
        /// Which field.
        field: &'static str,
        /// How long it is.
        count: usize,
        /// Of what.
        unit: &'static str,
        /// How long it may be.
        max: usize,
    },
    /// A word that is none of the allowed ones: an invented service, signal, cause or id.
    #[error("its {field} names {given:?}, which is not in the data; allowed: {}", quoted(allowed))]
    Unknown {
        /// Which field.
        field: &'static str,
        /// What it says, clipped.
        given: String,
        /// What it may say, clipped.
        allowed: Vec<String>,
    },
    /// It rests on nothing.
    #[error("it cites no evidence; allowed: {}", quoted(allowed))]
    NoEvidence {
        /// The ids of the bundle, clipped.
        allowed: Vec<String>,
    },
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "hypothesis {}: {}", self.nth, self.fault)
    }
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ")
}

fn told(problems: &[Problem]) -> String {
    let mut told: Vec<String> = problems.iter().take(PROBLEMS_TOLD_MAX).map(Problem::to_string).collect();
    if problems.len() > PROBLEMS_TOLD_MAX {
        told.push(format!("and {} problems more", problems.len() - PROBLEMS_TOLD_MAX));
    }
    told.join("; ")
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawReply {
    hypotheses: Vec<RawHypothesis>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawHypothesis {
    title: String,
    cause: String,
    service: String,
    // With a function of its own an optional field may be null, but not missing.
    #[serde(deserialize_with = "Option::deserialize")]
    signal: Option<String>,
    explanation: String,
    evidence: Vec<String>,
}

/// Reads an answer about a bundle; the order of its hypotheses stays, the most likely first. An empty list is a fine
/// answer: nothing is supported.
///
/// Characters that can't be seen are dropped from its texts. A hypothesis from here has no score: what a model thinks
/// of itself is no evidence.
///
/// # Errors
/// Where it is not of the schema's shape, or cites what the bundle does not hold.
pub fn parse_reply(text: &str, bundle: &Bundle) -> Result<Vec<Hypothesis>, ReplyError> {
    if text.len() > REPLY_BYTES_MAX {
        return Err(ReplyError::TooLong { bytes: text.len() });
    }
    let raw: RawReply = serde_json::from_str(text)
        .map_err(|error| ReplyError::Shape(one_line(&error.to_string(), SHAPE_CHARS_MAX)))?;
    if raw.hypotheses.len() > HYPOTHESES_MAX {
        return Err(ReplyError::TooMany { count: raw.hypotheses.len() });
    }
    let vocabulary = Vocabulary::of(bundle);
    let mut problems = Vec::new();
    let mut hypotheses = Vec::new();
    for (index, raw) in raw.hypotheses.iter().enumerate() {
        match hypothesis(raw, &vocabulary) {
            Ok(hypothesis) => hypotheses.push(hypothesis),
            Err(faults) => {
                problems.extend(faults.into_iter().map(|fault| Problem { nth: index + 1, fault }));
            }
        }
    }
    if problems.is_empty() { Ok(hypotheses) } else { Err(ReplyError::Content(problems)) }
}

/// A text from outside as one line of characters that show themselves, of at most so many of them.
pub fn one_line(text: &str, chars_max: usize) -> String {
    clip(&plain(text), chars_max)
}

/// What an answer may name, spelled as the prompt shows it.
struct Vocabulary<'a> {
    /// By the service's name as it is shown; the source of the samples has one too.
    services: BTreeMap<String, Known<'a>>,
    evidence: Vec<&'a EvidenceId>,
}

struct Known<'a> {
    service: Option<&'a Service>,
    signals: BTreeMap<String, &'a SignalName>,
}

impl<'a> Vocabulary<'a> {
    fn of(bundle: &'a Bundle) -> Self {
        let evidence = bundle.items.iter().map(|item| &item.id).collect();
        let mut vocabulary = Self { services: BTreeMap::new(), evidence };
        let subject = bundle.subject.to_string();
        let own = bundle.subject.service();
        vocabulary.learn(&subject, own, []);
        for item in &bundle.items {
            match &item.what {
                Evidence::Anomaly { service, signal, .. } | Evidence::Elsewhere { service, signal, .. } => {
                    vocabulary.learn(service.as_str(), Some(service), [signal]);
                }
                Evidence::Sibling { signal, .. } => vocabulary.learn(&subject, own, [signal]),
                Evidence::Source(SourceEvidence::Outage { signal, .. }) => {
                    vocabulary.learn(&subject, own, [signal]);
                }
                Evidence::Source(SourceEvidence::Failing(polls)) => {
                    vocabulary.learn(&subject, own, [&polls.signal]);
                }
                Evidence::Source(SourceEvidence::Gap { .. }) => {}
                Evidence::Past { signals, .. } => vocabulary.learn(&subject, own, signals),
            }
        }
        vocabulary
    }

    fn learn(
        &mut self,
        name: &str,
        service: Option<&'a Service>,
        signals: impl IntoIterator<Item = &'a SignalName>,
    ) {
        let known = self.services.entry(shown(name));
        let known = known.or_insert_with(|| Known { service, signals: BTreeMap::new() });
        known.signals.extend(signals.into_iter().map(|signal| (shown(signal.as_str()), signal)));
    }
}

fn hypothesis(raw: &RawHypothesis, vocabulary: &Vocabulary<'_>) -> Result<Hypothesis, Vec<Fault>> {
    let mut faults = Vec::new();
    let mut keep = |fault: Fault| faults.push(fault);
    let title = prose("title", &raw.title, TITLE_CHARS_MAX).map_err(&mut keep).ok();
    let text = prose("explanation", &raw.explanation, EXPLANATION_CHARS_MAX).map_err(&mut keep).ok();
    let cause = cause(&raw.cause).map_err(&mut keep).ok();
    let place = place(raw, vocabulary).map_err(&mut keep).ok();
    let evidence = evidence(&raw.evidence, vocabulary).map_err(&mut keep).ok();
    match (title, text, cause, place, evidence) {
        (Some(title), Some(text), Some(cause), Some((service, signal)), Some(evidence)) => {
            let contributions = Vec::new();
            Ok(Hypothesis { cause, service, signal, title, text, score: None, contributions, evidence })
        }
        _ => Err(faults),
    }
}

fn prose(field: &'static str, text: &str, max: usize) -> Result<String, Fault> {
    let text = plain(text);
    match text.chars().count() {
        0 => Err(Fault::Empty { field }),
        count if count > max => Err(Fault::TooLong { field, count, unit: "characters", max }),
        _ => Ok(text),
    }
}

fn cause(given: &str) -> Result<Cause, Fault> {
    let known = Cause::ALL.into_iter().find(|cause| cause.as_str() == given);
    known.ok_or_else(|| unknown("cause", given, Cause::ALL.iter().map(|cause| cause.as_str())))
}

fn place(
    raw: &RawHypothesis,
    vocabulary: &Vocabulary<'_>,
) -> Result<(Option<Service>, Option<SignalName>), Fault> {
    let names = vocabulary.services.keys().map(String::as_str);
    let known = vocabulary.services.get(&raw.service);
    let known = known.ok_or_else(|| unknown("service", &raw.service, names))?;
    let signal = match &raw.signal {
        None => None,
        Some(given) => {
            let names = known.signals.keys().map(String::as_str).chain(["null"]);
            let signal = known.signals.get(given);
            Some((*signal.ok_or_else(|| unknown("signal", given, names))?).clone())
        }
    };
    Ok((known.service.cloned(), signal))
}

fn evidence(given: &[String], vocabulary: &Vocabulary<'_>) -> Result<Vec<EvidenceId>, Fault> {
    let names = || vocabulary.evidence.iter().map(|id| id.as_str());
    if given.is_empty() {
        return Err(Fault::NoEvidence { allowed: allowed(names()) });
    }
    if given.len() > EVIDENCE_MAX {
        let (count, max) = (given.len(), EVIDENCE_MAX);
        return Err(Fault::TooLong { field: "evidence", count, unit: "ids", max });
    }
    let mut cited: Vec<EvidenceId> = Vec::with_capacity(given.len());
    for word in given {
        let id = vocabulary.evidence.iter().find(|id| id.as_str() == word);
        let id = (*id.ok_or_else(|| unknown("evidence", word, names()))?).clone();
        if !cited.contains(&id) {
            cited.push(id);
        }
    }
    Ok(cited)
}

fn unknown<'a>(field: &'static str, given: &str, names: impl Iterator<Item = &'a str>) -> Fault {
    Fault::Unknown { field, given: one_line(given, GIVEN_CHARS_MAX), allowed: allowed(names) }
}

fn allowed<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut names = names.map(str::to_owned);
    let mut told: Vec<String> = names.by_ref().take(ALLOWED_TOLD_MAX).collect();
    if names.next().is_some() {
        told.push("...".to_owned());
    }
    told
}

/// One line of visible characters, without space at its ends or twice in a row.
fn plain(text: &str) -> String {
    let visible = text.chars().filter_map(|c| match c {
        c if is_visible(c) => Some(c),
        c if c.is_control() || c == '\u{2028}' || c == '\u{2029}' => Some(' '),
        _ => None,
    });
    let visible: String = visible.collect();
    visible.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A text of at most so many characters; three dots at its end say that there was more.
fn clip(text: &str, chars_max: usize) -> String {
    if text.chars().nth(chars_max).is_none() {
        return text.to_owned();
    }
    let kept: String = text.chars().take(chars_max.saturating_sub(3)).collect();
    format!("{kept}...")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::super::sample;
    use super::*;

    fn good() -> Value {
        json!({ "hypotheses": [
            {
                "title": "The database became slow", "cause": "dependency", "service": "db",
                "signal": "latency_p95", "explanation": "It was slow 30 s before.", "evidence": ["o1", "a1", "a1"]
            },
            {
                "title": "A bad release", "cause": "failure", "service": "checkout",
                "signal": null, "explanation": "Traffic did not move.", "evidence": ["a1", "s1"]
            }
        ]})
    }

    /// Changes a good answer and says what the error has to name; an empty text stands for no error.
    #[track_caller]
    fn check(path: &str, value: Value, expected: &str) {
        let mut reply = good();
        *reply.pointer_mut(path).unwrap() = value;
        match parse_reply(&reply.to_string(), &sample::bundle()) {
            Ok(_) => assert_eq!("", expected),
            Err(error) => {
                assert!(!expected.is_empty() && error.to_string().contains(expected), "{error}");
            }
        }
    }

    #[test]
    fn a_good_answer_keeps_its_order_and_has_no_score() {
        let hypotheses = parse_reply(&good().to_string(), &sample::bundle()).unwrap();
        let first = &hypotheses[0];
        assert_eq!((first.cause, &first.service), (Cause::Dependency, &Some(Service::new("db"))));
        assert_eq!(first.signal, Some(SignalName::new("latency_p95")));
        assert_eq!(first.evidence.iter().map(EvidenceId::as_str).collect::<Vec<_>>(), ["o1", "a1"]);
        assert_eq!((first.score, first.contributions.len()), (None, 0));
        assert_eq!(hypotheses[1].title, "A bad release");
    }

    #[test]
    fn no_hypothesis_is_an_answer() {
        assert_eq!(parse_reply(r#"{"hypotheses":[]}"#, &sample::bundle()), Ok(Vec::new()));
    }

    #[test]
    fn what_is_invented_is_named_together_with_what_is_allowed() {
        check("/hypotheses/0/evidence", json!(["a1", "z9"]), r#""z9""#);
        check("/hypotheses/0/evidence", json!(["a1", "z9"]), r#"allowed: "a1", "a2", "s1", "o1", "p1""#);
        check("/hypotheses/0/cause", json!("gremlins"), r#"allowed: "traffic", "dependency""#);
        check("/hypotheses/0/service", json!("payments"), r#"allowed: "checkout", "db""#);
        check("/hypotheses/0/signal", json!("error_rate"), r#"allowed: "latency_p95", "null""#);
        check("/hypotheses/1/signal", json!("memory_bytes"), "");
        check("/hypotheses/1/evidence", json!([]), "hypothesis 2: it cites no evidence");
    }

    #[test]
    fn texts_are_bounded_and_visible() {
        check("/hypotheses/0/title", json!(" \n\u{200b}\u{0}"), "title is empty");
        check("/hypotheses/0/explanation", json!(""), "explanation is empty");
        check("/hypotheses/0/title", json!("x".repeat(301)), "title has 301 characters, at most 300");
        check("/hypotheses/0/explanation", json!("x".repeat(3001)), "at most 3000");
        check("/hypotheses/0/evidence", json!(vec!["a1"; 21]), "evidence has 21 ids, at most 20");
        check("/hypotheses/0/title", json!("データベースが遅い"), "");
        let mut reply = good();
        reply["hypotheses"][0]["title"] = json!("\u{1b}[31m red\u{202e}\r\nline ");
        let hypotheses = parse_reply(&reply.to_string(), &sample::bundle()).unwrap();
        assert_eq!(hypotheses[0].title, "[31m red line");
    }

    #[test]
    fn the_shape_is_strict() {
        check("/hypotheses/0/title", json!(1), "invalid type");
        check("/hypotheses/0/evidence", json!("a1"), "invalid type");
        check("/hypotheses", json!({}), "invalid type");
        check("/hypotheses", json!(vec![good()["hypotheses"][0].clone(); 6]), "has 6 hypotheses, at most 5");
        for field in ["title", "cause", "service", "signal", "explanation", "evidence"] {
            let mut one = good()["hypotheses"][0].clone();
            one.as_object_mut().unwrap().remove(field);
            check("/hypotheses/0", one, &format!("missing field `{field}`"));
        }
        let mut one = good()["hypotheses"][0].clone();
        one["confidence"] = json!(0.99);
        check("/hypotheses/0", one, "unknown field `confidence`");
        for text in
            ["", "The database is slow.", "```json\n{\"hypotheses\":[]}\n```", "{\"hypotheses\":[]} so", "[]"]
        {
            let error = parse_reply(text, &sample::bundle()).unwrap_err();
            assert!(matches!(error, ReplyError::Shape(_)), "{text}: {error}");
        }
    }

    #[test]
    fn every_problem_is_told_and_no_error_is_long() {
        let mut reply = good();
        reply["hypotheses"][0]["title"] = json!("");
        reply["hypotheses"][0]["cause"] = json!("magic".repeat(1_000));
        reply["hypotheses"][1]["service"] = json!("nobody");
        let error = parse_reply(&reply.to_string(), &sample::bundle()).unwrap_err().to_string();
        for part in ["hypothesis 1: its title", "hypothesis 1: its cause", "hypothesis 2: its service"] {
            assert!(error.contains(part), "{error}");
        }
        assert!(error.len() < 1_000, "{}", error.len());
        let long = format!(r#"{{"{}":1}}"#, "k".repeat(10_000));
        assert!(parse_reply(&long, &sample::bundle()).unwrap_err().to_string().len() < 400);
        let huge = " ".repeat(REPLY_BYTES_MAX + 1);
        assert!(matches!(parse_reply(&huge, &sample::bundle()), Err(ReplyError::TooLong { .. })));
    }

    #[test]
    fn a_name_that_the_prompt_had_to_change_is_understood() {
        let mut bundle = sample::bundle();
        bundle.subject = Service::new(&"long".repeat(100)).into();
        let mut reply = good();
        reply["hypotheses"][1]["service"] = json!(shown(&bundle.subject.to_string()));
        let hypotheses = parse_reply(&reply.to_string(), &bundle).unwrap();
        assert_eq!(hypotheses[1].service.as_ref(), bundle.subject.service());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,200}") {
            let _ = parse_reply(&text, &sample::bundle()).map_err(|error| error.to_string());
        }

        #[test]
        fn no_mutation_of_a_good_answer_panics(at in 0_usize..600, cut in 0_usize..40, put in "\\PC{0,12}") {
            let mut reply: Vec<char> = good().to_string().chars().collect();
            let at = at.min(reply.len());
            let end = (at + cut).min(reply.len());
            reply.splice(at..end, put.chars());
            let reply: String = reply.into_iter().collect();
            match parse_reply(&reply, &sample::bundle()) {
                Ok(hypotheses) => prop_assert!(hypotheses.iter().all(|one| !one.evidence.is_empty())),
                Err(error) => prop_assert!(error.to_string().len() < 8_000),
            }
        }
    }
}
