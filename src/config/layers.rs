//! Lays the layers over each other: file over defaults, environment over file, flags over environment.

use std::sync::Arc;

use super::report::{Mistake, Origin, Place};
use super::tree::{self, Node, Table, Value};

/// A key that a flag sets.
#[derive(Clone)]
pub struct Override {
    /// The key's path, such as `store.path`.
    pub path: String,
    /// Its value as TOML, or a bare text: `5`, `30s`, `/var/lib/portent.db`.
    pub value: String,
    /// The flag's name, such as `--storage.path`.
    pub flag: String,
}

/// Every variable of the environment that is meant for us starts like this.
const PREFIX: &str = "PORTENT__";
/// Separates the parts of a key's path in a variable's name.
const SEPARATOR: &str = "__";

/// Lays a table over another: tables are merged, anything else is replaced.
pub(super) fn lay_over(lower: &mut Table, upper: Table, mistakes: &mut Vec<Mistake>) {
    for (key, node) in upper {
        let Some(below) = lower.get_mut(&key) else {
            lower.insert(key, node);
            continue;
        };
        match (&mut below.value, node) {
            (Value::Table(table), Node { value: Value::Table(over), place, .. }) => {
                below.place = place;
                lay_over(table, over, mistakes);
            }
            (Value::Table(_), node) => mistakes.push(node.mistake(no_table(&node.path))),
            (_, node) => *below = node,
        }
    }
}

/// The refusal of a value where a table is wanted. It does not quote the value, which may be a secret that slipped.
pub(super) fn no_table(path: &str) -> String {
    format!("must be a table: give its keys, such as [{path}] with a line for each")
}

/// Makes a layer of each variable that starts with `PORTENT__`, in the order of their names: `PORTENT__SOURCE__URL` is
/// `source.url`.
pub(super) fn environment(
    variables: impl IntoIterator<Item = (String, String)>,
    mistakes: &mut Vec<Mistake>,
) -> Vec<Table> {
    let mut ours: Vec<(String, String)> =
        variables.into_iter().filter(|(name, _)| name.starts_with(PREFIX)).collect();
    ours.sort();
    let mut layers = Vec::new();
    let mut seen: Vec<(Vec<String>, String)> = Vec::new();
    for (name, text) in ours {
        let parts: Vec<String> =
            name[PREFIX.len()..].split(SEPARATOR).map(|part| part.to_ascii_lowercase()).collect();
        let origin = Arc::new(Origin::Environment(name.clone()));
        let mut refuse = |because: String| {
            mistakes.push(Mistake { place: Place::whole(Arc::clone(&origin)), path: String::new(), because });
        };
        if parts.len() > PARTS_MAX || parts.iter().any(String::is_empty) {
            refuse("names no key: write it as PORTENT__SECTION__KEY".to_owned());
        } else if let Some((_, other)) = seen.iter().find(|(path, _)| *path == parts) {
            refuse(format!("sets the same key as {other}: keep one of them"));
        } else {
            layers.push(layer_of(&parts, &text, &origin));
            seen.push((parts, name));
        }
    }
    layers
}

/// Makes a layer of each flag.
pub(super) fn flags(overrides: &[Override]) -> Vec<Table> {
    let layer = |flag: &Override| {
        let origin = Arc::new(Origin::Flag(flag.flag.clone()));
        let parts: Vec<String> = flag.path.split('.').map(str::to_owned).collect();
        layer_of(&parts, &flag.value, &origin)
    };
    overrides.iter().map(layer).collect()
}

/// No key lies deeper; it bounds the tree that a variable's name can make.
const PARTS_MAX: usize = 8;

fn layer_of(parts: &[String], text: &str, origin: &Arc<Origin>) -> Table {
    let path_to =
        |depth: usize| parts[..=depth].iter().fold(String::new(), |path, part| tree::join(&path, part));
    let Some((last, tables)) = parts.split_last() else { return Table::new() };
    let mut layer = Table::from([(last.clone(), tree::value(text, path_to(tables.len()), origin))]);
    for (depth, part) in tables.iter().enumerate().rev() {
        let place = Place::whole(Arc::clone(origin));
        let node = Node { value: Value::Table(layer), place, path: path_to(depth), text: None };
        layer = Table::from([(part.clone(), node)]);
    }
    layer
}
