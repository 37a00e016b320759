//! Labels parsed once: the text of a series' labels leads to its key.

use std::sync::Arc;

use indexmap::IndexMap;

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
///
/// Backends give series in the same order each time. So each spelling remembers which one followed it: mostly one
/// comparison with the text that is expected finds the key, and the text is neither walked nor hashed.
#[derive(Debug)]
pub struct Interner {
    signal: SignalName,
    service_label: ServiceLabels,
    capacity: usize,
    /// Only texts that were read as labels to their last byte stand here.
    by_text: IndexMap<Box<str>, Entry>,
    /// The last answer that showed a series, whatever its spelling.
    shown: IndexMap<Fingerprint, u64>,
    answer: u64,
    /// Where in `by_text` the series that was read last stands.
    last: Option<usize>,
    /// Where the next one is expected.
    expected: usize,
    /// How many series the last two answers had so far.
    series: (usize, usize),
}

#[derive(Debug)]
struct Entry {
    /// With its place in `shown`; missing where the labels name no service.
    key: Option<(Arc<SeriesKey>, usize)>,
    /// The last answer that showed it.
    answer: u64,
    /// Where the series stands that followed it.
    next: usize,
}

impl Interner {
    /// Starts one that remembers nothing yet.
    pub fn new(signal: SignalName, service_label: ServiceLabels, capacity: usize) -> Self {
        Self {
            signal,
            service_label,
            capacity,
            by_text: IndexMap::new(),
            shown: IndexMap::new(),
            answer: 0,
            last: None,
            expected: 0,
            series: (0, 0),
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

    /// How many series the answer before had.
    pub(super) fn series_before(&self) -> usize {
        self.series.0
    }

    pub(super) fn begin_answer(&mut self) {
        self.answer += 1;
        (self.last, self.expected) = (None, 0);
        self.series = (self.series.1, 0);
    }

    pub(super) fn end_answer(&mut self) {
        if self.by_text.len().max(self.shown.len()) <= self.capacity {
            return;
        }
        let answer = self.answer;
        self.by_text.retain(|_, entry| entry.answer == answer);
        self.shown.clear();
        for (place, entry) in self.by_text.values_mut().enumerate() {
            entry.next = place + 1;
            if let Some((key, shown)) = &mut entry.key {
                (*shown, _) = self.shown.insert_full(key.hash, answer);
            }
        }
    }

    /// The text of the labels that are expected next: an object, whole to its closing brace, so that a body which goes
    /// on with it has these labels there.
    pub(super) fn expected(&self) -> Option<&str> {
        self.by_text.get_index(self.expected).map(|(text, _)| text.as_ref())
    }

    /// The key of the series that was expected; `None` where its labels name no service.
    pub(super) fn take_expected(&mut self) -> Result<Option<Arc<SeriesKey>>, DecodeError> {
        self.take(self.expected)
    }

    /// The key of the series whose labels are spelt like this at this byte of the body; `None` where they name no
    /// service.
    pub(super) fn key(&mut self, text: &str, at: usize) -> Result<Option<Arc<SeriesKey>>, DecodeError> {
        if let Some(place) = self.by_text.get_index_of(text) {
            return self.take(place);
        }
        let labels = labels(text).map_err(|flaw| Flaw { at: at + flaw.at, ..flaw })?;
        let service = self.service_label.service_of(&labels);
        let key = service.map(|service| Arc::new(SeriesKey::new(self.signal.clone(), service, labels)));
        let key = key.map(|key| {
            let (shown, _) = match self.shown.get_index_of(&key.hash) {
                Some(place) => (place, None),
                None => self.shown.insert_full(key.hash, 0),
            };
            (key, shown)
        });
        if text.len() <= TEXT_BYTES_MAX {
            let next = self.by_text.len() + 1;
            let (place, _) = self.by_text.insert_full(text.into(), Entry { key, answer: 0, next });
            return self.take(place);
        }
        self.series.1 += 1;
        self.show(key.as_ref())?;
        Ok(key.map(|(key, _)| key))
    }

    /// Notes that the answer shows the spelling at this place.
    fn take(&mut self, place: usize) -> Result<Option<Arc<SeriesKey>>, DecodeError> {
        if place != self.expected
            && let Some((_, before)) = self.last.and_then(|last| self.by_text.get_index_mut(last))
        {
            before.next = place;
        }
        let Some((_, entry)) = self.by_text.get_index_mut(place) else { return Ok(None) };
        entry.answer = self.answer;
        (self.last, self.expected) = (Some(place), entry.next);
        self.series.1 += 1;
        let key = entry.key.clone();
        self.show(key.as_ref())?;
        Ok(key.map(|(key, _)| key))
    }

    /// Refuses a series that the answer has shown before, perhaps in another spelling.
    fn show(&mut self, key: Option<&(Arc<SeriesKey>, usize)>) -> Result<(), DecodeError> {
        let Some((key, place)) = key else { return Ok(()) };
        let Some((_, shown)) = self.shown.get_index_mut(*place) else { return Ok(()) };
        if std::mem::replace(shown, self.answer) == self.answer {
            let labels = key.labels.to_string().chars().take(LABELS_CHARS_MAX).collect();
            return Err(DecodeError::Duplicate { labels });
        }
        Ok(())
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
