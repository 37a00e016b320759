//! Reads the shipped files, and asks the binary about what they say.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// A path of the repository.
pub(crate) fn path(relative: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(relative)
}

#[track_caller]
pub(crate) fn text(relative: &str) -> String {
    let file = path(relative);
    std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

#[track_caller]
pub(crate) fn yaml(relative: &str) -> Value {
    serde_saphyr::from_str(&text(relative)).unwrap_or_else(|error| panic!("{relative}: {error}"))
}

#[track_caller]
pub(crate) fn json(relative: &str) -> Value {
    serde_json::from_str(&text(relative)).unwrap_or_else(|error| panic!("{relative}: {error}"))
}

#[track_caller]
pub(crate) fn toml(relative: &str) -> toml::Table {
    text(relative).parse().unwrap_or_else(|error| panic!("{relative}: {error}"))
}

/// The texts of a list; panics where one is no text, so that nothing is passed over.
#[track_caller]
pub(crate) fn texts(list: &Value) -> Vec<&str> {
    let list = list.as_array().unwrap_or_else(|| panic!("a list, not {list}"));
    list.iter().map(|item| item.as_str().unwrap_or_else(|| panic!("a text, not {item}"))).collect()
}

/// Runs the binary as a file tells it to, with arguments that lead nowhere on this machine.
pub(crate) fn portent(arguments: &[String]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_portent")).args(arguments).output().unwrap()
}

/// The command line is understood: what fails then is the file or the agent that is not there, with exit code 1. Words
/// that the binary doesn't know are exit code 2.
#[track_caller]
pub(crate) fn understands(arguments: &[&str]) {
    let nowhere = format!("http://127.0.0.1:{}", crate::it::support::free_port());
    let elsewhere: Vec<String> = arguments
        .iter()
        .map(|argument| match argument.split_once('=') {
            Some((flag @ "--url", _)) => format!("{flag}={nowhere}"),
            Some((flag @ ("--config.file" | "--storage.path"), _)) => format!("{flag}=/nonexistent/file"),
            _ if argument.starts_with('/') => "/nonexistent/file".to_owned(),
            _ => (*argument).to_owned(),
        })
        .collect();
    let output = portent(&elsewhere);
    assert_eq!(output.status.code(), Some(1), "{elsewhere:?}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_flag_that_does_not_exist_is_not_understood() {
    let output = portent(&["run".to_owned(), "--config.fil=/nonexistent/file".to_owned()]);
    assert_eq!(output.status.code(), Some(2));
}
