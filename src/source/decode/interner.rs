//! Labels parsed once: the text of a series' labels leads to its key.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::matrix::DecodeError;
use super::scanner::{Scanner, Walk};
use super::text::Flaw;
use crate::id::Fingerprint;
use crate::series::{Labels, SeriesKey, SignalName};
use crate::source::ServiceLabels;

/// Labels whose text is longer are parsed each time instead of being remembered.
const TEXT_BYTES_MAX: usize = 16 * 1024;

/// Labels in an error are cut after this many characters.
const LABELS_CHARS_MAX: usize = 512;

/// Remembers the keys of one signal's series by the text in which an answer spells their labels.
///
/// The same series gives the same `Arc` from answer to answer. When more spellings are held than the capacity, those
/// that the last answer did not show are forgotten, so it holds at most the capacity and one answer.
#[derive(Debug)]
pub struct Interner {
    signal: SignalName,
    service_label: ServiceLabels,
    capacity: usize,
    by_text: HashMap<Box<str>, Entry>,
    /// The series of the answer that is being read.
    in_answer: HashSet<Fingerprint>,
    answer: u64,
}

#[derive(Debug)]
struct Entry {
    /// Missing where the labels name no service.
    key: Option<Arc<SeriesKey>>,
    /// The last answer that showed it.
    answer: u64,
}

impl Interner {
    /// Starts one that remembers nothing yet.
    pub fn new(signal: SignalName, service_label: ServiceLabels, capacity: usize) -> Self {
        Self {
            signal,
            service_label,
            capacity,
            by_text: HashMap::new(),
            in_answer: HashSet::new(),
            answer: 0,
        }
    }

    /// Whether its keys are those of this signal and these service labels.
    pub fn is_for(&self, signal: &SignalName, service_label: &ServiceLabels) -> bool {
        self.signal == *signal && self.service_label == *service_label
    }

    /// How many spellings are held.
    pub fn len(&self) -> usize {
        self.by_text.len()
    }

    /// Whether none is held.
    pub fn is_empty(&self) -> bool {
        self.by_text.is_empty()
    }

    pub(super) fn signal(&self) -> &SignalName {
        &self.signal
    }

    pub(super) fn begin_answer(&mut self) {
        self.answer += 1;
        self.in_answer.clear();
    }

    pub(super) fn end_answer(&mut self) {
        if self.by_text.len() > self.capacity {
            let answer = self.answer;
            self.by_text.retain(|_, entry| entry.answer == answer);
        }
    }

    /// The key of the series whose labels are spelt like this at this byte of the body; `None` where they name no
    /// service.
    pub(super) fn key(&mut self, text: &str, at: usize) -> Result<Option<Arc<SeriesKey>>, DecodeError> {
        let key = match self.by_text.get_mut(text) {
            Some(entry) => {
                entry.answer = self.answer;
                entry.key.clone()
            }
            None => self.learn(text, at)?,
        };
        if let Some(key) = &key
            && !self.in_answer.insert(key.hash)
        {
            let labels = key.labels.to_string().chars().take(LABELS_CHARS_MAX).collect();
            return Err(DecodeError::Duplicate { labels });
        }
        Ok(key)
    }

    fn learn(&mut self, text: &str, at: usize) -> Result<Option<Arc<SeriesKey>>, DecodeError> {
        let labels = labels(text).map_err(|flaw| Flaw { at: at + flaw.at, ..flaw })?;
        let service = self.service_label.service_of(&labels);
        let key = service.map(|service| Arc::new(SeriesKey::new(self.signal.clone(), service, labels)));
        if text.len() <= TEXT_BYTES_MAX {
            let entry = Entry { key: key.clone(), answer: self.answer };
            self.by_text.insert(text.into(), entry);
        }
        Ok(key)
    }
}

/// Reads an object of strings; the metric's name is no label.
fn labels(text: &str) -> Result<Labels, Flaw> {
    let mut scanner = Scanner::new(text);
    scanner.take(b'{', "a series' labels are no object")?;
    let mut walk = Walk::default();
    let mut pairs = Vec::new();
    while let Some(name) = scanner.next_member(&mut walk)? {
        let name = name.resolve()?;
        let value = scanner.string()?.resolve()?;
        if name != "__name__" {
            pairs.push((name, value));
        }
    }
    Ok(Labels::new(pairs))
}
