//! From layers to a config that is sound, or to a report of everything that is wrong.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use super::layers::{self, Override};
use super::report::{Mistake, Origin, Place, Report};
use super::section::{Notes, Section};
use super::settings::Config;
use super::tree::{self, Node, Table, Value};
use super::{api, change, overrides, sections, signals, values};
use crate::id::Digest;

/// Layer 0: every key with its default.
pub(super) const DEFAULTS: &str = include_str!("../../config/default.toml");

/// The config of `portent demo`.
pub const DEMO: &str = include_str!("../../config/demo.toml");

/// A config file is written by hand; a larger one is another file by mistake.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Reads the environment, which nobody else in this crate may. Bytes that are no UTF-8 become the replacement sign.
pub fn environment() -> Vec<(String, String)> {
    let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect()
}

/// Loads a config: the built-in defaults, then the file, then the environment, then the flags.
///
/// # Errors
/// Every mistake in all of them; where a layer is not even TOML, its syntax errors alone.
pub fn load(
    file: Option<&Path>,
    env: impl IntoIterator<Item = (String, String)>,
    overrides: &[Override],
) -> Result<Config, Report> {
    let Some(path) = file else { return assemble(None, env, overrides) };
    let origin = Arc::new(Origin::File(path.to_owned()));
    let text = read(path).map_err(|because| {
        let place = Place::whole(Arc::clone(&origin));
        report_of(vec![Mistake { place, path: String::new(), because }])
    })?;
    assemble(Some((&text, origin)), env, overrides)
}

/// Loads a config from a text instead of a file; `name` stands for its path in the report.
///
/// # Errors
/// As [`load`].
pub fn load_text(
    name: &str,
    text: &str,
    env: impl IntoIterator<Item = (String, String)>,
    overrides: &[Override],
) -> Result<Config, Report> {
    assemble(Some((text, Arc::new(Origin::File(name.into())))), env, overrides)
}

fn read(path: &Path) -> Result<String, String> {
    let way_out = "give the path of a TOML file that the agent may read";
    let refused = |error: std::io::Error| format!("cannot be read ({}): {way_out}", error.kind());
    let file = std::fs::File::open(path).map_err(refused)?;
    let mut bytes = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(refused)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("is larger than {FILE_BYTES_MAX} bytes: {way_out}"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
        format!("is no UTF-8 in line {line}: save it as UTF-8")
    })
}

fn assemble(
    file: Option<(&str, Arc<Origin>)>,
    env: impl IntoIterator<Item = (String, String)>,
    overrides: &[Override],
) -> Result<Config, Report> {
    let mut mistakes = Vec::new();
    let mut settings = tree::document(DEFAULTS, &Arc::new(Origin::Defaults)).map_err(report_of)?;
    let variables = layers::environment(env, &mut mistakes);
    if let Some((text, origin)) = file {
        match tree::document(text, &origin) {
            Ok(layer) => layers::lay_over(&mut settings, layer, &mut mistakes),
            // What cannot be parsed lacks keys, and all that would be said about those is noise.
            Err(syntax) => return Err(report_of([mistakes, syntax].concat())),
        }
    }
    for layer in variables.into_iter().chain(layers::flags(overrides)) {
        layers::lay_over(&mut settings, layer, &mut mistakes);
    }
    let notes = Notes::default();
    let draft = draft(&settings, &notes);
    let (noted, secrets) = notes.into_parts();
    mistakes.extend(noted);
    match (Report::of(mistakes), draft) {
        (Some(report), _) => Err(report),
        (None, Some(config)) => {
            let (marks, values) = (change::marks(&settings), values::values(&settings, &secrets));
            Ok(Config { hash: hash_of(&settings, &secrets), marks, values, ..config })
        }
        (None, None) => Err(report_of(Vec::new())),
    }
}

/// Reads every section, also where one before is mistaken. Each reader notes why it has nothing to give.
fn draft(settings: &Table, notes: &Notes) -> Option<Config> {
    let mut root = Section::root(settings, notes);
    let source = sections::source(&mut root);
    let signal_defaults = signals::defaults(&mut root);
    let mut signals = signals::signals(&mut root, notes);
    let overrides = overrides::overrides(&mut root, notes, &mut signals);
    let correlate = sections::correlate(&mut root);
    let incident = sections::incident(&mut root);
    let llm = sections::llm(&mut root);
    let store = sections::store(&mut root);
    let api = api::api(&mut root);
    let log = sections::log(&mut root);
    let runtime = sections::runtime(&mut root);
    root.finish();
    let (source, source_lost_after) = source?;
    Some(Config {
        source,
        source_lost_after,
        signals,
        signal_defaults: signal_defaults?,
        overrides,
        correlate: correlate?,
        incident: incident?,
        llm: llm?,
        store: store?,
        api: api?,
        log: log?,
        runtime: runtime?,
        hash: Digest::ZERO,
        marks: change::Marks::default(),
        values: values::Values::default(),
    })
}

fn report_of(mistakes: Vec<Mistake>) -> Report {
    Report::of(mistakes).unwrap_or_else(|| {
        let place = Place::whole(Arc::new(Origin::Defaults));
        let because = "a section was refused without a reason, which is a defect of portent".to_owned();
        Report::one(Mistake { place, path: String::new(), because })
    })
}

/// Hashes a line for each value, in the order of their paths.
fn hash_of(settings: &Table, secrets: &BTreeSet<String>) -> Digest {
    let mut lines = String::new();
    for node in settings.values() {
        write_lines(node, secrets, &mut lines);
    }
    Digest::of_bytes(lines.as_bytes())
}

fn write_lines(node: &Node, secrets: &BTreeSet<String>, lines: &mut String) {
    let value = match &node.value {
        Value::Table(table) => {
            return table.values().for_each(|node| write_lines(node, secrets, lines));
        }
        _ if secrets.contains(&node.path) => return,
        Value::List(items) => {
            return items.iter().for_each(|node| write_lines(node, secrets, lines));
        }
        Value::Text(text) => format!("{text:?}"),
        // 3 and 3.0 are the same setting.
        Value::Integer(number) => (*number as f64).to_string(),
        Value::Float(number) => number.to_string(),
        Value::Switch(on) => on.to_string(),
        Value::Time(text) => text.clone(),
    };
    lines.push_str(&format!("{} = {value}\n", node.path));
}
