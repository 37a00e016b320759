//! What a config says, key by key, for a person who wants to know what another one would change.

use std::collections::{BTreeMap, BTreeSet};

use super::settings::Config;
use super::tree::{Node, Table, Value, join};
use crate::series::SignalName;

/// Sections whose values may be shown. The others say how something is reached, and hold secrets or the paths of them.
const SHOWN: [&str; 7] = ["signal", "signal_defaults", "override", "correlate", "incident", "runtime", "log"];
/// A value is shown up to here.
const CHARS_MAX: usize = 2_000;

/// The values that may be shown, by the path of their key.
#[derive(Debug, Clone, Default)]
pub(super) struct Values(BTreeMap<String, String>);

/// A key with another value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyChange {
    /// The key; of a signal without its table.
    pub key: String,
    /// The value before; `None` where there was none, or where it is not shown.
    pub before: Option<String>,
    /// The value after, likewise.
    pub after: Option<String>,
}

/// Takes the values of merged settings that may be shown.
pub(super) fn values(settings: &Table, secrets: &BTreeSet<String>) -> Values {
    let mut values = Values::default();
    for (section, node) in settings {
        if SHOWN.contains(&section.as_str()) {
            note(node, secrets, &mut values);
        }
    }
    values
}

fn note(node: &Node, secrets: &BTreeSet<String>, values: &mut Values) {
    if let Value::Table(table) = &node.value {
        return table.values().for_each(|node| note(node, secrets, values));
    }
    if let Value::List(items) = &node.value
        && items.iter().any(|item| matches!(item.value, Value::Table(_)))
    {
        return items.iter().for_each(|item| note(item, secrets, values));
    }
    if !secrets.contains(&node.path) {
        let shown: String = text(&node.value).chars().take(CHARS_MAX).collect();
        values.0.insert(node.path.clone(), shown);
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::Text(text) | Value::Time(text) => text.clone(),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Switch(on) => on.to_string(),
        Value::List(items) => items.iter().map(|node| text(&node.value)).collect::<Vec<_>>().join(", "),
        Value::Table(table) => {
            let pair = |(key, node): (&String, &Node)| format!("{key} = {}", text(&node.value));
            table.iter().map(pair).collect::<Vec<_>>().join(", ")
        }
    }
}

impl Config {
    /// What an override sets, in the order of the keys.
    pub(super) fn set_by_override(&self, entry: u16) -> BTreeMap<String, String> {
        let prefix = format!("override[{entry}].");
        let pairs = self.values.0.iter();
        let pairs = pairs.filter_map(|(key, value)| Some((key.strip_prefix(&prefix)?, value)));
        let set = pairs.filter(|(key, _)| !matches!(*key, "matchers" | "signals"));
        set.map(|(key, value)| (key.to_owned(), value.clone())).collect()
    }

    /// The settings of a signal that differ from `before`, whether they are its own, inherited, or of some of its series.
    pub fn signal_changes_since(&self, before: &Self, signal: &SignalName) -> Vec<KeyChange> {
        let own = format!("{}.", join("signal", signal.as_str()));
        let of_signal = |config: &Self| -> BTreeMap<String, String> {
            let below = |prefix: &str| {
                let pairs = config.values.0.iter();
                let pairs = pairs.filter_map(|(key, value)| Some((key.strip_prefix(prefix)?, value)));
                pairs.map(|(key, value)| (key.to_owned(), value.clone())).collect::<BTreeMap<_, _>>()
            };
            let mut settings = below("signal_defaults.");
            settings.extend(below(&own));
            let signal = config.signals.iter().find(|known| known.query.signal == *signal);
            for over in signal.iter().flat_map(|signal| &signal.plan.overrides) {
                let set = config.set_by_override(over.entry).into_iter();
                settings.extend(set.map(|(key, value)| (format!("override {}: {key}", over.name), value)));
            }
            settings
        };
        let (before, after) = (of_signal(before), of_signal(self));
        differing(before.keys().chain(after.keys()), |key| {
            (before.get(key).cloned(), after.get(key).cloned())
        })
    }

    /// The other keys of `keys`, with their values where these may be shown.
    pub fn key_changes_since(&self, before: &Self, keys: &[String]) -> Vec<KeyChange> {
        let others = keys.iter().filter(|key| !key.starts_with("signal."));
        let value = |config: &Self, key: &String| config.values.0.get(key).cloned();
        let change = |key: &String| KeyChange {
            key: key.clone(),
            before: value(before, key),
            after: value(self, key),
        };
        others.map(change).collect()
    }
}

fn differing<'k>(
    keys: impl Iterator<Item = &'k String>,
    values: impl Fn(&String) -> (Option<String>, Option<String>),
) -> Vec<KeyChange> {
    let keys: BTreeSet<&String> = keys.collect();
    let change = |key: &String| {
        let (before, after) = values(key);
        (before != after).then(|| KeyChange { key: key.clone(), before, after })
    };
    keys.into_iter().filter_map(change).collect()
}

#[cfg(test)]
mod tests {
    use super::super::load_text;
    use super::*;

    fn load(text: &str) -> Config {
        load_text("portent.toml", text, [], &[]).unwrap_or_else(|report| panic!("{report}"))
    }

    #[track_caller]
    fn check(from: &str, to: &str, expected: &[(&str, &str, &str)]) {
        let text = "[signal_defaults]\nsigma = 3\n[signal.up]\nquery = \"up\"\n[signal.cpu]\nquery = \"cpu\"\nsigma = 5\n";
        let (before, after) = (load(text), load(&text.replace(from, to)));
        let told: Vec<(String, String, String)> = ["up", "cpu"]
            .into_iter()
            .flat_map(|name| {
                let changes = after.signal_changes_since(&before, &SignalName::new(name));
                let text = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
                changes.into_iter().map(move |change| {
                    (format!("{name}.{}", change.key), text(change.before), text(change.after))
                })
            })
            .collect();
        let expected = expected
            .iter()
            .map(|(key, before, after)| ((*key).to_owned(), (*before).to_owned(), (*after).to_owned()));
        assert_eq!(told, expected.collect::<Vec<_>>());
    }

    #[test]
    fn a_default_is_a_setting_of_each_signal_that_inherits_it() {
        check("sigma = 3", "sigma = 4", &[("up.sigma", "3", "4")]);
        check("sigma = 5\n", "", &[("cpu.sigma", "5", "3")]);
        check("query = \"up\"", "query = \"up > 0\"", &[("up.query", "up", "up > 0")]);
        check("sigma = 3", "sigma = 3 # the same", &[]);
    }

    #[test]
    fn how_something_is_reached_is_named_and_not_shown() {
        let text = "[signal.up]\nquery = \"up\"\n[source.http.authorization]\ncredentials = \"hunter2\"\n[runtime]\nhistory = \"1h\"\n";
        let (before, after) = (load(text), load(&text.replace("hunter2", "hunter3").replace("1h", "2h")));
        let keys = after.changes_since(&before).keys;
        let told = after.key_changes_since(&before, &keys);
        let shown: Vec<_> =
            told.iter().map(|change| (change.key.as_str(), change.after.as_deref())).collect();
        assert_eq!(shown, [("runtime.history", Some("2h")), ("source.http.authorization.credentials", None)]);
        assert!(!format!("{told:?} {:?}", after.values).contains("hunter"));
    }
}
