//! What a person reads who has made a mistake in a config file: one message for each of the mistakes that are made.
//!
//! Every row of the table goes through the real binary. The messages are held as one snapshot, so that a change of
//! wording is seen and read as a whole; the properties that each must have are asserted beside it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use assert_cmd::Command;

use super::bad_config_table::{CHECKED, RUN};

/// A folder with everything that a row may point to. `$DIR` in a row stands for it.
fn prepared() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text, mode) in [
        ("secret", "hunter2-hunter2\n", 0o600),
        ("open-secret", "hunter2-hunter2\n", 0o644),
        ("empty-secret", "\n", 0o600),
        ("no.pem", "this is no certificate\n", 0o600),
        ("open.pem", "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n", 0o644),
        ("keys-without-scopes.toml", "[[key]]\nname = 'ci'\nsha256 = 'abc'\n", 0o600),
        ("keys-open.toml", "", 0o644),
        ("no-database", "this is no database, and it is longer than the header of one would be", 0o600),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    std::fs::create_dir(folder.path().join("folder")).unwrap();
    folder
}

/// What the binary says of a config, with what differs from run to run taken out.
fn said(arguments: &[&str], text: &str, folder: &Path, taken: &str) -> String {
    let file = folder.join("portent.toml");
    let place = folder.to_str().unwrap();
    std::fs::write(&file, text.replace("$DIR", place).replace("$TAKEN", taken)).unwrap();
    let mut command = Command::cargo_bin("portent").unwrap();
    let file = file.to_str().unwrap();
    // The limit is for the defect of not ending at all.
    command.timeout(std::time::Duration::from_secs(60));
    let output = command.args(arguments.iter().map(|word| word.replace("$FILE", file))).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}\nis not refused; standard error says:\n{error}");
    assert!(output.stdout.is_empty(), "{text}\nis refused, yet standard output says something");
    assert!(!error.contains("hunter2"), "a secret is shown:\n{error}");
    assert!(!error.contains("panicked"), "{error}");
    error.replace(file, "portent.toml").replace(place, "$DIR").replace(taken, "$TAKEN")
}

#[test]
fn every_bad_config_has_a_clear_message_of_its_own() {
    let folder = prepared();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap().to_string();
    let checked = CHECKED.iter().map(|row| (row, &["check", "config", "$FILE"][..]));
    let run = RUN.iter().map(|row| (row, &["run", "--config.file=$FILE"][..]));
    let mut page = String::new();
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    let mut rows = 0;
    for ((name, text), arguments) in checked.chain(run) {
        let message = said(arguments, text, folder.path(), &taken);
        assert!(
            message.contains("portent.toml") || arguments[0] == "run",
            "{name} does not say where: {message}"
        );
        if let Some(other) = seen.insert(message.clone(), name) {
            panic!("{name} and {other} have the same message: {message}");
        }
        writeln!(page, "# {name}\n{}\n", message.trim_end()).unwrap();
        rows += 1;
    }
    assert!(rows >= 60, "{rows} rows");
    insta::assert_snapshot!("bad_configs", page);
}
