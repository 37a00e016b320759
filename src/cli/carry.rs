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
        if let Some(missing) = missing_beside(table, &path, key) {
            // Alone it would make the new config one that is refused. A table may hold a secret and is not shown.
            let shown =
                if value.is_table() { format!("{path} is left out") } else { format!("{path} = {value}") };
            let shown = comment_text(&shown, 400);
            let _ = writeln!(
                lines,
                "# {shown}\n# It is of use with {missing}, which is not carried over: write both."
            );
            continue;
        }
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

/// What a setting needs in the table that it stands in and that will not stand there in the new config: it is a secret, or
/// comes from the environment.
fn missing_beside(table: &Table, path: &str, key: &str) -> Option<&'static str> {
    let names = |key: &str| table.get(key).and_then(Value::as_str).is_some_and(|text| !text.is_empty());
    let is_in = |parent: &str| path.ends_with(&format!("{parent}.{key}")) && !path.contains("headers.");
    let (other, word) = match key {
        "user" if is_in("basic_auth") => ("password_file", "its password"),
        "password_file" if is_in("basic_auth") => ("user", "its user"),
        "cert_file" if is_in("tls") => ("key_file", "its key_file"),
        "key_file" if is_in("tls") => ("cert_file", "its cert_file"),
        "proxy_basic_auth" if is_in("http") => ("proxy_url", "proxy_url"),
        _ => return None,
    };
    (!names(other)).then_some(word)
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

    /// What is written where the file has these lines below `[source.http]`; it has to load.
    #[track_caller]
    fn written(folder: &Path, http: &str) -> String {
        let file = folder.join("portent.toml");
        std::fs::write(&file, format!("[source]\nurl = 'http://a'\n[source.http]\n{http}\n")).unwrap();
        let lines = source_lines(&file).unwrap();
        let text = format!("[source]\nurl = 'http://b'\n{lines}");
        if let Err(report) = config::load_text("t", &text, [], &[]) {
            panic!("for {http}:\n{text}\n{report}");
        }
        lines
    }

    #[test]
    fn what_is_of_no_use_without_a_secret_that_is_left_out_is_commented_out() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let proxy = "proxy_url = 'http://proxy.example:3128'";
        // The second of each comes from the environment.
        for http in [
            "basic_auth = { user = 'me', password = 'hunter2' }",
            "basic_auth = { user = 'me' }",
            &format!("{proxy}\nproxy_basic_auth = {{ user = 'me', password = 'hunter2' }}"),
            &format!("{proxy}\nproxy_basic_auth = {{ user = 'me' }}"),
        ] {
            let lines = written(folder, http);
            assert!(lines.contains("basic_auth.user = \"me\"\n"), "{lines}");
            assert!(!lines.contains("\nhttp.basic_auth") && !lines.starts_with("http.basic_auth"), "{lines}");
            assert!(lines.contains("with its password, which is not carried over"), "{lines}");
            assert!(!lines.contains("hunter"), "{lines}");
        }
        let lines = written(folder, "tls = { cert_file = 'client.pem' }");
        assert!(lines.starts_with("# http.tls.cert_file = "), "{lines}");
        let lines = written(folder, "basic_auth = { password_file = 'password' }");
        assert!(lines.starts_with("# http.basic_auth.password_file = "), "{lines}");
        let lines = written(folder, "proxy_basic_auth = { user = 'me', password_file = 'password' }");
        assert!(lines.starts_with("# http.proxy_basic_auth is left out"), "{lines}");
        let lines = written(folder, "proxy_basic_auth = { user = 'me', password = 'hunter2' }");
        assert!(!lines.contains("hunter"), "{lines}");
    }

    #[test]
    fn a_user_with_a_password_file_is_carried_over() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let password = folder.path().join("password");
        std::fs::write(&password, "p").unwrap();
        std::fs::set_permissions(&password, std::fs::Permissions::from_mode(0o600)).unwrap();
        let lines = written(folder.path(), "basic_auth = { user = 'me', password_file = 'password' }");
        let expected = format!(
            "http.basic_auth.password_file = \"{}\"\nhttp.basic_auth.user = \"me\"\n",
            password.display()
        );
        assert_eq!(lines, expected);
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
