//! TOML as a tree in which every value knows its place.
//!
//! The tree has no `Debug`: it holds secrets before anyone knows which they are.

use std::collections::BTreeMap;
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use super::report::{Mistake, Origin, Place};

/// A value and where it stands.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) value: Value,
    /// The place of its key.
    pub(super) place: Place,
    /// The path of its key; it stays when one table is laid over another.
    pub(super) path: String,
    /// The text of a whole layer that is one value, as an environment variable is: a key that wants a text takes it
    /// though it reads as a number.
    pub(super) text: Option<String>,
}

/// A TOML value.
#[derive(Clone)]
pub(super) enum Value {
    Text(String),
    /// Beyond an `i128` it stays at the largest.
    Integer(i128),
    Float(f64),
    Switch(bool),
    Time(String),
    List(Vec<Node>),
    Table(Table),
}

/// A table by key.
pub(super) type Table = BTreeMap<String, Node>;

impl Node {
    /// Says what is wrong with it.
    pub(super) fn mistake(&self, because: impl Into<String>) -> Mistake {
        Mistake { place: self.place.clone(), path: self.path.clone(), because: because.into() }
    }

    /// The value as a person would recognise it; a long text is cut. Not for secrets.
    pub(super) fn shown(&self) -> String {
        match &self.value {
            Value::Text(text) => quoted(text),
            Value::Integer(i128::MAX) => "a number without end".to_owned(),
            Value::Integer(number) => number.to_string(),
            // With an exponent where it is long.
            Value::Float(number) => format!("{number:?}"),
            Value::Switch(on) => on.to_string(),
            Value::Time(text) => text.clone(),
            Value::List(_) => "a list".to_owned(),
            Value::Table(_) => "a table".to_owned(),
        }
    }

    /// The text of a value that may be one.
    pub(super) fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            Value::Integer(_) | Value::Float(_) | Value::Switch(_) | Value::Time(_) => self.text.as_deref(),
            Value::List(_) | Value::Table(_) => None,
        }
    }
}

/// A text in quotes, cut where it is long.
pub(super) fn quoted(text: &str) -> String {
    const LETTERS_MAX: usize = 80;
    let mut shown: String = text.chars().take(LETTERS_MAX).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    format!("{shown:?}")
}

/// A key appended to the path of its table, in quotes where it is not bare.
pub(super) fn join(path: &str, key: &str) -> String {
    const LETTERS_MAX: usize = 80;
    let is_bare = !key.is_empty()
        && key.len() <= LETTERS_MAX
        && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
    let key = if is_bare { key.to_owned() } else { quoted(key) };
    if path.is_empty() { key } else { format!("{path}.{key}") }
}

/// Reads a whole TOML document.
///
/// # Errors
/// Every syntax error and every key that stands twice, the first of each line.
pub(super) fn document(text: &str, origin: &Arc<Origin>) -> Result<Table, Vec<Mistake>> {
    let reader = Reader { origin, lines: Some(Lines::of(text)), text };
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Ok(reader.table(table.get_ref(), ""));
    }
    let mut mistakes: Vec<Mistake> = errors.iter().map(|error| reader.mistake(error)).collect();
    mistakes.sort_by(|a, b| a.place.cmp(&b.place));
    // What follows an error on the same line is mostly its echo.
    mistakes.dedup_by_key(|mistake| mistake.place.line);
    Err(mistakes)
}

/// Reads one TOML value, or takes the text as it stands where it is none: `30s`, `http://host`.
pub(super) fn value(text: &str, path: String, origin: &Arc<Origin>) -> Node {
    let reader = Reader { origin, lines: None, text };
    let mut node = match DeValue::parse(text) {
        Ok(parsed) => reader.node(parsed.get_ref(), path, 0),
        Err(_) => {
            let place = Place::whole(Arc::clone(origin));
            Node { value: Value::Text(text.to_owned()), place, path, text: None }
        }
    };
    node.text = Some(text.to_owned());
    node
}

struct Reader<'a> {
    origin: &'a Arc<Origin>,
    /// `None` where the text is one value.
    lines: Option<Lines>,
    text: &'a str,
}

impl Reader<'_> {
    fn place(&self, offset: usize) -> Place {
        let (line, column) = self.lines.as_ref().map_or((0, 0), |lines| lines.find(self.text, offset));
        Place { origin: Arc::clone(self.origin), line, column }
    }

    fn table(&self, table: &DeTable<'_>, path: &str) -> Table {
        let mut entries = Table::new();
        for (key, value) in table {
            let name = key.get_ref().to_string();
            let node = self.node(value.get_ref(), join(path, &name), key.span().start);
            entries.insert(name, node);
        }
        entries
    }

    fn node(&self, value: &DeValue<'_>, path: String, offset: usize) -> Node {
        let value = match value {
            DeValue::String(text) => Value::Text(text.to_string()),
            DeValue::Integer(number) => {
                Value::Integer(i128::from_str_radix(number.as_str(), number.radix()).unwrap_or(i128::MAX))
            }
            DeValue::Float(number) => Value::Float(number.as_str().parse().unwrap_or(f64::NAN)),
            DeValue::Boolean(on) => Value::Switch(*on),
            DeValue::Datetime(time) => Value::Time(time.to_string()),
            DeValue::Array(items) => {
                let node = |(nth, item): (usize, &toml::Spanned<DeValue<'_>>)| {
                    // A table of a list has keys of its own, and they have to differ from those of the next one.
                    let is_table = matches!(item.get_ref(), DeValue::Table(_));
                    let path = if is_table { format!("{path}[{nth}]") } else { path.clone() };
                    self.node(item.get_ref(), path, item.span().start)
                };
                Value::List(items.iter().enumerate().map(node).collect())
            }
            DeValue::Table(table) => Value::Table(self.table(table, &path)),
        };
        Node { value, place: self.place(offset), path, text: None }
    }

    /// The parser's own words never quote the text around the error, which may be a secret; neither does this, but
    /// for the name of a key.
    fn mistake(&self, error: &toml::de::Error) -> Mistake {
        let span = error.span().unwrap_or(0..0);
        let message = error.message();
        let because = if message == "duplicate key" {
            let key = self.text.get(span.clone()).unwrap_or_default();
            format!("the key {} stands here for the second time: keep one of them", quoted(key))
        } else if self.is_bare_text(span.start) {
            "the value is no number, nor true or false: put a text in quotes, such as \"30s\"".to_owned()
        } else {
            format!("is no TOML: {message}")
        };
        Mistake { place: self.place(span.start), path: String::new(), because }
    }

    /// Whether an error lies in a value that begins like a word, a number or a path.
    fn is_bare_text(&self, offset: usize) -> bool {
        let start = self.text.get(..offset).and_then(|before| before.rfind('\n')).map_or(0, |end| end + 1);
        let line = self.text.get(start..).and_then(|rest| rest.lines().next()).unwrap_or_default();
        let Some((key, value)) = line.split_once('=') else { return false };
        let begins = |first: char| first.is_ascii_alphanumeric() || matches!(first, '/' | '.');
        offset > start + key.len()
            && !key.contains(['"', '\'', '#'])
            && value.trim_start().starts_with(begins)
    }
}

/// Where the lines of a text begin.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self(std::iter::once(0).chain(ends).collect())
    }

    /// Line and column, both from 1.
    fn find(&self, text: &str, offset: usize) -> (usize, usize) {
        let line = self.0.partition_point(|start| *start <= offset);
        let start = self.0.get(line.saturating_sub(1)).copied().unwrap_or(0);
        let before = text.get(start..offset).unwrap_or_default();
        (line, before.chars().count() + 1)
    }
}
