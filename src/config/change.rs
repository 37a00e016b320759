//! What differs between two configs: which keys and which signals, never which values.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::Read as _;

use super::settings::Config;
use super::tree::{Node, Table, Value};
use crate::engine::ConfigChange;
use crate::id::Digest;
use crate::series::SignalName;

/// Of a file that a key names, so much is looked at.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Sections whose files are read while the agent runs: there, another content is another setting.
const FOLLOWED: [&str; 2] = ["source.", "llm."];
/// What is set up once, at the start.
const AT_START: [&str; 4] = ["api", "store", "log.format", "runtime.queue_limit"];

/// A digest of each value by the path of its key, secrets too: it is compared and never shown.
#[derive(Clone, Default)]
pub(super) struct Marks(BTreeMap<String, Digest>);

impl fmt::Debug for Marks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Marks({} keys)", self.0.len())
    }
}

/// Takes the marks of merged settings.
pub(super) fn marks(settings: &Table) -> Marks {
    let mut marks = Marks::default();
    settings.values().for_each(|node| mark(node, &mut marks));
    marks
}

fn mark(node: &Node, marks: &mut Marks) {
    let text = match &node.value {
        Value::Table(table) => return table.values().for_each(|node| mark(node, marks)),
        Value::List(items) if items.iter().any(is_table) => {
            return items.iter().for_each(|item| mark(item, marks));
        }
        Value::List(items) => {
            // The path of an item may be that of its list.
            let mut within = BTreeMap::new();
            for (place, item) in items.iter().enumerate() {
                let mut own = Marks::default();
                mark(item, &mut own);
                within.extend(own.0.into_iter().map(|(path, digest)| (format!("{place} {path}"), digest)));
            }
            within.iter().map(|(path, digest)| format!("{path} {digest}\n")).collect()
        }
        Value::Text(text) => format!("{text:?} {}", content(node, text)),
        // 3 and 3.0 are the same setting.
        Value::Integer(number) => (*number as f64).to_string(),
        Value::Float(number) => number.to_string(),
        Value::Switch(on) => on.to_string(),
        Value::Time(text) => text.clone(),
    };
    marks.0.insert(node.path.clone(), Digest::of_bytes(text.as_bytes()));
}

fn is_table(node: &Node) -> bool {
    matches!(node.value, Value::Table(_))
}

/// A digest of the file that a key names, where its content is followed.
fn content(node: &Node, path: &str) -> String {
    let names_a_file = node.path.ends_with("_file") || node.path.ends_with(".file");
    if path.is_empty() || !names_a_file || !FOLLOWED.iter().any(|section| node.path.starts_with(section)) {
        return String::new();
    }
    let folder = node.place.origin.folder().map(std::path::PathBuf::from).unwrap_or_default();
    let file = folder.join(path);
    // What cannot be read is refused by whoever reads the key; opening a pipe would wait for its writer.
    if !file.is_file() {
        return String::new();
    }
    let mut bytes = Vec::new();
    let read = std::fs::File::open(file).and_then(|file| file.take(FILE_BYTES_MAX).read_to_end(&mut bytes));
    read.map(|_| Digest::of_bytes(&bytes).to_string()).unwrap_or_default()
}

/// What differs between two configs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// The keys with another value, sorted; those of signals too.
    pub keys: Vec<String>,
    /// The same in words for the log of events.
    pub told: ConfigChange,
}

impl Changes {
    /// Whether a key below a section, or that key itself, is another one now.
    pub fn touch(&self, section: &str) -> bool {
        self.keys.iter().any(|key| is_below(key, section))
    }

    /// The keys that differ and are read at the start only.
    pub fn at_start_only(&self) -> Vec<&str> {
        let is_one = |key: &&str| AT_START.iter().any(|section| is_below(key, section));
        self.keys.iter().map(String::as_str).filter(is_one).collect()
    }
}

fn is_below(key: &str, section: &str) -> bool {
    key.strip_prefix(section).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

impl Config {
    /// What is different here from `before`.
    pub fn changes_since(&self, before: &Self) -> Changes {
        let paths: BTreeSet<&String> = self.marks.0.keys().chain(before.marks.0.keys()).collect();
        let differs = |path: &&String| self.marks.0.get(*path) != before.marks.0.get(*path);
        let keys: Vec<String> = paths.into_iter().filter(differs).cloned().collect();
        let sections: BTreeSet<&str> = keys.iter().filter_map(|key| key.split(['.', '[']).next()).collect();
        let find = |config: &Self, name: &SignalName| {
            config.signals.iter().find(|signal| signal.query.signal == *name).cloned()
        };
        let names = |config: &Self, is_one: &dyn Fn(&SignalName) -> bool| -> Vec<SignalName> {
            let names = config.signals.iter().map(|signal| signal.query.signal.clone());
            names.filter(|name| is_one(name)).collect()
        };
        let told = ConfigChange {
            hash_before: before.hash(),
            config_hash: self.hash(),
            added: names(self, &|name| find(before, name).is_none()),
            removed: names(before, &|name| find(self, name).is_none()),
            changed: names(self, &|name| {
                find(before, name).is_some_and(|before| Some(before) != find(self, name))
            }),
            sections: sections.into_iter().filter(|name| *name != "signal").map(str::to_owned).collect(),
        };
        Changes { keys, told }
    }
}

#[cfg(test)]
mod tests {
    use super::super::load_text;
    use super::super::trials::write_private;
    use super::*;

    const TEXT: &str = "[source]\nhttp.authorization.credentials = \"one\"\n[signal.up]\nquery = \"up\"\n[signal.cpu]\nquery = \"cpu\"\n";

    fn load(text: &str) -> Config {
        load_text("portent.toml", text, [], &[]).unwrap_or_else(|report| panic!("{report}"))
    }

    #[track_caller]
    fn check(from: &str, to: &str, keys: &[&str]) -> Changes {
        let changes = load(&TEXT.replace(from, to)).changes_since(&load(TEXT));
        assert_eq!(changes.keys, keys);
        changes
    }

    #[test]
    fn the_same_config_differs_in_nothing() {
        let changes = check("[signal.up]", "# a comment\n[signal.up]", &[]);
        let hash = load(TEXT).hash();
        let same = ConfigChange { hash_before: hash.clone(), config_hash: hash, ..ConfigChange::default() };
        assert_eq!(changes.told, same);
    }

    #[test]
    fn a_signal_is_added_removed_or_changed() {
        let changes = check("signal.up", "signal.down", &["signal.down.query", "signal.up.query"]).told;
        assert_eq!(
            (changes.added, changes.removed),
            (vec![SignalName::new("down")], vec![SignalName::new("up")])
        );
        let changes = check("\"up\"", "\"up > 0\"", &["signal.up.query"]).told;
        assert_eq!((changes.changed, changes.sections), (vec![SignalName::new("up")], vec![]));
    }

    #[test]
    fn a_default_changes_every_signal_that_inherits_it() {
        let changes = check(
            "[signal.up]",
            "[signal_defaults]\nsigma = 4\n[signal.up]\nsigma = 3",
            &["signal.up.sigma", "signal_defaults.sigma"],
        );
        assert_eq!(changes.told.changed, [SignalName::new("cpu")]);
        assert_eq!(changes.told.sections, ["signal_defaults"]);
    }

    #[test]
    fn another_secret_is_a_change_of_its_key_though_the_hash_is_the_same() {
        let changes = check("\"one\"", "\"two\"", &["source.http.authorization.credentials"]);
        assert_eq!(changes.told.hash_before, changes.told.config_hash);
        assert!(changes.touch("source") && !changes.touch("sour"));
        assert!(!format!("{changes:?}").contains("two"));
    }

    #[test]
    fn another_content_of_a_followed_file_is_a_change_of_its_key() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        let text = format!("[source.http.authorization]\ncredentials_file = {:?}\n", file.to_string_lossy());
        write_private(&file, "one");
        let before = load(&text);
        write_private(&file, "two");
        assert_eq!(load(&text).changes_since(&before).keys, ["source.http.authorization.credentials_file"]);
    }

    #[test]
    fn what_is_set_up_once_is_named() {
        let text = "[api]\nlisten_address = \"127.0.0.1:1\"\n[log]\nformat = \"json\"\nlevel = \"debug\"\n[signal.up]";
        let changes = load(&TEXT.replace("[signal.up]", text)).changes_since(&load(TEXT));
        assert_eq!(changes.at_start_only(), ["api.listen_address", "log.format"]);
        assert!(changes.touch("log.level"));
    }
}
