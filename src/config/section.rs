//! Typed reading of one table: each reader notes what is wrong and goes on, so that all mistakes come at once.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::ops::{Bound, RangeBounds, RangeInclusive};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::layers::no_table;
use super::nearest::nearest;
use super::report::{Mistake, Origin, Place};
use super::tree::{Node, Table, Value, join, quoted};
use crate::secret::{Secret, SecretError, read_private};
use crate::time::{format_duration, parse_duration};

/// What reading has found out.
#[derive(Default)]
pub(super) struct Notes {
    mistakes: RefCell<Vec<Mistake>>,
    secrets: RefCell<BTreeSet<String>>,
}

impl Notes {
    /// Notes a mistake.
    pub(super) fn add(&self, mistake: Mistake) {
        self.mistakes.borrow_mut().push(mistake);
    }

    /// The mistakes, and the paths of the values that are secret.
    pub(super) fn into_parts(self) -> (Vec<Mistake>, BTreeSet<String>) {
        (self.mistakes.into_inner(), self.secrets.into_inner())
    }
}

/// One table, as far as it has been read. Its readers give `None` where the key is missing or mistaken.
pub(super) struct Section<'a> {
    path: String,
    place: Place,
    table: &'a Table,
    notes: &'a Notes,
    asked: BTreeSet<&'static str>,
}

static NOTHING: Table = Table::new();

impl<'a> Section<'a> {
    /// The whole config.
    pub(super) fn root(table: &'a Table, notes: &'a Notes) -> Self {
        let place = Place::whole(Arc::new(Origin::Defaults));
        Self { path: String::new(), place, table, notes, asked: BTreeSet::new() }
    }

    /// A table in this one; an empty one where it is missing or no table, which is noted.
    pub(super) fn section(&mut self, key: &'static str) -> Section<'a> {
        self.asked.insert(key);
        let (path, place) = (join(&self.path, key), self.place.clone());
        let empty = Section { path, place, table: &NOTHING, notes: self.notes, asked: BTreeSet::new() };
        match self.table.get(key) {
            Some(node) => self.table_of(node).map_or(empty, |table| self.of(node, table)),
            None => empty,
        }
    }

    /// A table whose keys are free to be made up, as the names of signals are.
    pub(super) fn of<'b>(&self, node: &'b Node, table: &'b Table) -> Section<'b>
    where
        'a: 'b,
    {
        let (path, place) = (node.path.clone(), node.place.clone());
        Section { path, place, table, notes: self.notes, asked: BTreeSet::new() }
    }

    /// The table that a node is; noted where it is none.
    pub(super) fn table_of<'b>(&self, node: &'b Node) -> Option<&'b Table> {
        if let Value::Table(table) = &node.value {
            return Some(table);
        }
        self.notes.add(node.mistake(no_table(&node.path)));
        None
    }

    /// The path of this table.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// All keys of this table.
    pub(super) fn table(&self) -> &'a Table {
        self.table
    }

    /// The entries of a table whose keys are free, in the order in which they are written.
    pub(super) fn entries(&self) -> Vec<(&'a str, &'a Node)> {
        let mut entries: Vec<_> = self.table.iter().map(|(key, node)| (key.as_str(), node)).collect();
        entries.sort_by(|(_, a), (_, b)| a.place.cmp(&b.place));
        entries
    }

    /// Notes every key that nobody asked for.
    pub(super) fn finish(self) {
        for (key, node) in self.table {
            if self.asked.contains(key.as_str()) || !self.is_own(node) {
                continue;
            }
            let hint = match nearest(key, self.asked.iter().copied()) {
                Some(meant) => format!("is no key here: did you mean `{meant}`?"),
                None if self.path.is_empty() => "is no section: see docs/configuration.md".to_owned(),
                None => format!("is no key of [{}]: see docs/configuration.md", self.path),
            };
            self.notes.add(node.mistake(hint));
        }
    }

    /// Notes what is wrong with a key of this table; at the table itself where the key is missing.
    pub(super) fn refuse(&self, key: &str, because: impl Into<String>) {
        let because = because.into();
        self.notes.add(match self.table.get(key) {
            Some(node) => node.mistake(because),
            None => Mistake { place: self.place.clone(), path: join(&self.path, key), because },
        });
    }

    /// Notes what is wrong with the table as a whole.
    pub(super) fn refuse_whole(&self, because: impl Into<String>) {
        let (place, path) = (self.place.clone(), self.path.clone());
        self.notes.add(Mistake { place, path, because: because.into() });
    }

    /// Notes what is wrong with two keys together: at the one that this table sets itself, or was set last.
    pub(super) fn refuse_pair(&self, keys: [&str; 2], because: impl Into<String>) {
        let nodes = keys.into_iter().filter_map(|key| Some((key, self.table.get(key)?)));
        let last = nodes.max_by_key(|(_, node)| (self.is_own(node), node.place.clone()));
        self.refuse(last.map_or(keys[0], |(key, _)| key), because);
    }

    /// Whether somebody has set a key in this table itself: neither inherited nor the built-in default.
    pub(super) fn sets(&self, key: &str) -> bool {
        let node = self.table.get(key);
        node.is_some_and(|node| self.is_own(node) && *node.place.origin != Origin::Defaults)
    }

    /// Notes what is wrong with an entry whose key is free.
    pub(super) fn refuse_node(&self, node: &Node, because: impl Into<String>) {
        self.notes.add(node.mistake(because));
    }

    /// A key that was here once; noted with what to give instead.
    pub(super) fn moved(&mut self, key: &'static str, instead: &str) {
        if self.table.contains_key(key) {
            self.asked.insert(key);
            self.refuse(key, format!("has moved: give {instead}"));
        }
    }

    /// A key that belongs elsewhere; noted with where.
    pub(super) fn misplaced(&mut self, key: &'static str, because: &str) {
        if self.table.contains_key(key) {
            self.asked.insert(key);
            self.refuse(key, because);
        }
    }

    /// Keys that are read by somebody else.
    pub(super) fn knows(&mut self, keys: &[&'static str]) {
        self.asked.extend(keys);
    }

    /// A list whose items are read one by one; `None` where the key is not there, or is no list, which is noted.
    pub(super) fn list(&mut self, key: &'static str) -> Option<&'a [Node]> {
        self.asked.insert(key);
        let node = self.table.get(key)?;
        if let Value::List(items) = &node.value {
            return Some(items);
        }
        self.refuse(key, format!("must be a list of tables: begin each with a line [[{key}]]"));
        None
    }

    /// The node of a key; noted where it is missing.
    pub(super) fn node(&mut self, key: &'static str) -> Option<&'a Node> {
        self.required(key, "give a value")
    }

    /// The node of a key; noted with a way out where it is missing.
    pub(super) fn required(&mut self, key: &'static str, way_out: &str) -> Option<&'a Node> {
        self.asked.insert(key);
        let node = self.table.get(key);
        if node.is_none() {
            self.refuse(key, format!("is missing: {way_out}"));
        }
        node
    }

    /// A text.
    pub(super) fn text(&mut self, key: &'static str) -> Option<String> {
        let node = self.node(key)?;
        let text = node.as_text();
        if text.is_none() {
            self.refuse(key, format!("{} is no text: put it in quotes", node.shown()));
        }
        text.map(str::to_owned)
    }

    /// A text that is read further.
    pub(super) fn parsed<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        let text = self.text(key)?;
        parse(&text).map_err(|because| self.refuse(key, because)).ok()
    }

    /// A text that is "not set" where it is empty.
    pub(super) fn optional(&mut self, key: &'static str) -> Option<String> {
        self.text(key).filter(|text| !text.is_empty())
    }

    /// A list of texts, each read further.
    pub(super) fn texts<T>(
        &mut self,
        key: &'static str,
        most: usize,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        let node = self.node(key)?;
        let Value::List(items) = &node.value else {
            self.refuse(key, format!("{} is no list: give [\"...\", \"...\"]", node.shown()));
            return None;
        };
        if items.len() > most {
            self.refuse(key, format!("has {} entries: give {most} at most", items.len()));
            return None;
        }
        let read = |item: &Node| match item.as_text().map(&parse) {
            Some(read) => read.map_err(|because| self.refuse_node(item, because)).ok(),
            None => {
                self.refuse_node(item, format!("{} is no text: put it in quotes", item.shown()));
                None
            }
        };
        // Each is looked at, so that all mistakes come at once.
        let texts: Vec<Option<T>> = items.iter().map(read).collect();
        texts.into_iter().collect()
    }

    /// `true` or `false`.
    pub(super) fn switch(&mut self, key: &'static str) -> Option<bool> {
        let node = self.node(key)?;
        if let Value::Switch(on) = node.value {
            return Some(on);
        }
        self.refuse(key, format!("{} is neither true nor false: give one of them", node.shown()));
        None
    }

    /// A whole number.
    pub(super) fn count<T>(&mut self, key: &'static str, allowed: RangeInclusive<T>) -> Option<T>
    where
        T: TryFrom<i128> + PartialOrd + Display,
    {
        let node = self.node(key)?;
        let way_out = format!("give a whole number from {} to {}", allowed.start(), allowed.end());
        let Value::Integer(number) = node.value else {
            self.refuse(key, format!("{} is no whole number: {way_out}", node.shown()));
            return None;
        };
        let within = T::try_from(number).ok().filter(|number| allowed.contains(number));
        if within.is_none() {
            self.refuse(key, format!("{} is out of range: {way_out}", node.shown()));
        }
        within
    }

    /// A number, with or without a fraction; never `nan` or `inf`.
    pub(super) fn number(&mut self, key: &'static str, allowed: impl RangeBounds<f64>) -> Option<f64> {
        let node = self.node(key)?;
        let way_out = way_out(&allowed);
        let number = match node.value {
            Value::Integer(number) => number as f64,
            Value::Float(number) => number,
            Value::Text(_) | Value::Switch(_) | Value::Time(_) | Value::List(_) | Value::Table(_) => {
                self.refuse(key, format!("{} is no number: {way_out}", node.shown()));
                return None;
            }
        };
        if number.is_finite() && allowed.contains(&number) {
            return Some(number);
        }
        self.refuse(key, format!("{} is out of range: {way_out}", node.shown()));
        None
    }

    /// A Prometheus duration.
    pub(super) fn duration(
        &mut self,
        key: &'static str,
        allowed: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let node = self.node(key)?;
        let (least, most) = (format_duration(*allowed.start()), format_duration(*allowed.end()));
        let way_out = format!("give {least} to {most}");
        let Some(text) = node.as_text() else {
            self.refuse(key, format!("{} has no unit: {way_out}, in quotes", node.shown()));
            return None;
        };
        let Ok(span) = parse_duration(text) else {
            self.refuse(key, format!("{} is no duration, such as 30s or 1h30m: {way_out}", quoted(text)));
            return None;
        };
        if allowed.contains(&span) {
            return Some(span);
        }
        self.refuse(key, format!("{} is out of range: {way_out}", quoted(text)));
        None
    }

    /// One of some words.
    pub(super) fn choice<T: Copy>(&mut self, key: &'static str, words: &[(&'static str, T)]) -> Option<T> {
        let node = self.node(key)?;
        match chosen(node, words) {
            Ok(choice) => Some(choice),
            Err(because) => {
                self.refuse(key, because);
                None
            }
        }
    }

    /// A secret, under its own key as text or under another as the path of a file. Of both the one in the higher layer
    /// counts; two in one layer are a mistake. What is in the file is checked now and read again when it is wanted.
    pub(super) fn secret(&mut self, key: &'static str, file_key: &'static str) -> Option<Secret> {
        self.notes.secrets.borrow_mut().insert(join(&self.path, key));
        let rank = |node: &Node| node.place.origin.rank();
        let inline = self.secret_text(key);
        let file = self.secret_text(file_key);
        match (inline, file) {
            (Some((node, _)), Some((file_node, _))) if rank(node) == rank(file_node) => {
                self.refuse(file_key, format!("stands beside `{key}`: keep one of them"));
                None
            }
            (Some((node, text)), file) if file.is_none_or(|(file, _)| rank(file) < rank(node)) => {
                Some(Secret::inline(text))
            }
            (_, Some((node, text))) => self.secret_file(node, text),
            (_, None) => None,
        }
    }

    /// The file of a secret; noted where it gives none, or everybody may read it.
    pub(super) fn secret_file(&self, node: &Node, path: &str) -> Option<Secret> {
        let path = beside(node, path);
        let secret = Secret::File(path.clone());
        match secret.read().and_then(|_| read_private(&path)) {
            Ok(_) => Some(secret),
            Err(error @ SecretError::Public { .. }) => {
                self.refuse_node(node, error.to_string());
                None
            }
            Err(error) => {
                self.refuse_node(node, format!("{error}: give a file that the agent may read"));
                None
            }
        }
    }

    /// A file; `None` where it is not set. A relative path starts at the folder of the file that names it.
    pub(super) fn file(&mut self, key: &'static str) -> Option<PathBuf> {
        let text = self.optional(key)?;
        self.table.get(key).map(|node| beside(node, &text))
    }

    /// Marks an entry whose key is free as one that is never shown.
    pub(super) fn hide(&self, node: &Node) {
        self.notes.secrets.borrow_mut().insert(node.path.clone());
    }

    /// Whether a value stands in this table itself; a signal's table has what it inherits in it too.
    fn is_own(&self, node: &Node) -> bool {
        self.path.is_empty() || node.path.strip_prefix(&self.path).is_some_and(|rest| rest.starts_with('.'))
    }

    /// The text that is set, which may be a secret and is not shown.
    fn secret_text(&mut self, key: &'static str) -> Option<(&'a Node, &'a str)> {
        let node = self.node(key)?;
        let text = node.as_text();
        if text.is_none() {
            self.refuse(key, "is no text: put it in quotes");
        }
        text.filter(|text| !text.is_empty()).map(|text| (node, text))
    }
}

fn beside(node: &Node, path: &str) -> PathBuf {
    node.place.origin.folder().map(PathBuf::from).unwrap_or_default().join(path)
}

/// The meaning of a word.
///
/// # Errors
/// The value seen and the words that are allowed.
pub(super) fn chosen<T: Copy>(node: &Node, words: &[(&'static str, T)]) -> Result<T, String> {
    let text = node.as_text();
    if let Some((_, choice)) = words.iter().find(|(word, _)| Some(*word) == text) {
        return Ok(*choice);
    }
    let names: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
    Err(format!("{} is not allowed: give {}", node.shown(), listed(&names)))
}

/// `"a", "b" or "c"`.
pub(super) fn listed(names: &[&str]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
    match names.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
        None => String::new(),
    }
}

fn way_out(allowed: &impl RangeBounds<f64>) -> String {
    let from = match allowed.start_bound() {
        Bound::Included(least) => format!("from {least}"),
        Bound::Excluded(least) => format!("above {least}"),
        Bound::Unbounded => String::new(),
    };
    match allowed.end_bound() {
        Bound::Included(most) => format!("give a number {from} to {most}"),
        Bound::Excluded(most) => format!("give a number {from} to below {most}"),
        Bound::Unbounded => format!("give a number {from} on"),
    }
}
