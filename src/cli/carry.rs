//! What of a config's `[source]` goes into the config that `init` writes: all but secrets that stand there as text.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use toml::{Table, Value};

use crate::discover::{comment_text, toml_text};
use crate::time::parse_duration;

/// Texts under these keys are no secrets.
const PLAIN_KEYS: [&str; 5] = ["kind", "pulse", "scheme", "tenant", "user"];

/// Gives the lines that stand below `[source]`, without `url`. Texts that may be secrets are named and left out, since
/// what is written may be shown to others.
///
/// # Errors
/// Where the file can't be read.
pub(super) fn source_lines(file: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let table: Table = text.parse().with_context(|| format!("{} is no TOML", file.display()))?;
    let mut lines = String::new();
    if let Some(Value::Table(source)) = table.get("source") {
        write_table(&mut lines, source, "", file);
    }
    Ok(lines)
}

fn write_table(lines: &mut String, table: &Table, path: &str, file: &Path) {
    for (key, value) in table.iter().filter(|(key, _)| !(path.is_empty() && *key == "url")) {
        let spelled = spelled(key);
        let path = if path.is_empty() { spelled } else { format!("{path}.{spelled}") };
        let kept = match value {
            Value::Table(table) => {
                write_table(lines, table, &path, file);
                continue;
            }
            Value::Integer(_) | Value::Float(_) | Value::Boolean(_) => Some(value.to_string()),
            Value::String(text) if key == "file" || key.ends_with("_file") => {
                (!text.is_empty()).then(|| toml_text(&absolute(file, text).to_string_lossy()))
            }
            Value::String(text) => is_plain(&path, key, text).then(|| toml_text(text)),
            Value::Array(_) | Value::Datetime(_) => None,
        };
        // Writing to a `String` cannot fail.
        let _ = match kept {
            Some(value) => writeln!(lines, "{path} = {value}"),
            None => writeln!(
                lines,
                "# {} is left out: {} holds it as text. Put it into a file, or write it here.",
                comment_text(&path, 200),
                comment_text(&file.to_string_lossy(), 200)
            ),
        };
    }
}

/// Whether a text is no secret: by its key, since it is a span of time, or since it is a URL without a user.
fn is_plain(path: &str, key: &str, text: &str) -> bool {
    let is_url = || {
        let is_web = text.starts_with("http://") || text.starts_with("https://");
        is_web && !text.contains(['@', '?', '#'])
    };
    !path.contains("headers.") && (PLAIN_KEYS.contains(&key) || parse_duration(text).is_ok() || is_url())
}

/// Relative paths start at the file's folder, and the new config may lie in another.
fn absolute(file: &Path, path: &str) -> PathBuf {
    let joined = file.parent().unwrap_or(Path::new("")).join(path);
    std::path::absolute(&joined).unwrap_or(joined)
}

fn spelled(key: &str) -> String {
    let is_bare =
        !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    if is_bare { key.to_owned() } else { toml_text(key) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    #[test]
    fn all_but_secrets_in_text_is_carried_over() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("portent.toml");
        std::fs::write(folder.path().join("key"), "k").unwrap();
        let text = "[source]\nurl = 'http://a'\ntimeout = '30s'\nseries_limit = 7\n\
                    basic_auth = { user = 'me', password = 'hunter2' }\n\
                    headers = { X-Scope-OrgID = 'hunter3', 'X-Key' = { file = 'key' } }\n[signal.x]\nquery = 'up'\n";
        std::fs::write(&file, text).unwrap();
        let lines = source_lines(&file).unwrap();
        let key = folder.path().join("key").display().to_string();
        for line in [
            "timeout = \"30s\"".to_owned(),
            "series_limit = 7".to_owned(),
            "basic_auth.user = \"me\"".to_owned(),
            format!("headers.X-Key.file = \"{key}\""),
        ] {
            assert!(lines.contains(&line), "{line} is missing in:\n{lines}");
        }
        assert!(lines.contains("# basic_auth.password is left out"), "{lines}");
        assert!(lines.contains("# headers.X-Scope-OrgID is left out"), "{lines}");
        assert!(
            !lines.contains("hunter") && !lines.contains("http://a") && !lines.contains("signal"),
            "{lines}"
        );
    }

    #[test]
    fn what_is_carried_over_is_sound() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("portent.toml");
        config::write_private(&folder.path().join("token"), "t");
        std::fs::write(
            &file,
            "[source]\nquery_delay = '7s'\nhttp.authorization.credentials_file = 'token'\n",
        )
        .unwrap();
        let written = format!("[source]\nurl = 'http://b'\n{}", source_lines(&file).unwrap());
        let config = config::load_text("t", &written, [], &[]).unwrap();
        assert_eq!(config.secret_files()[0].1, folder.path().join("token"));
        assert_eq!(config.source.query_delay.as_secs(), 7);
    }
}
