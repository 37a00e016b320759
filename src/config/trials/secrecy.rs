//! What stays secret.

use super::super::{Config, load};
use super::{sound, with_env, write_private};
use crate::secret::{Secret, expose};
use crate::transport::Authorization;

/// Looks like nothing else in a report.
const SECRET: &str = "hunter2-s3cr3t";

fn token(config: &Config) -> String {
    let http = &config.source.http;
    let Authorization::Scheme { credentials, .. } = &http.authorization else { panic!("{http:?}") };
    expose(&credentials.read().unwrap()).to_owned()
}

#[test]
fn no_secret_is_in_debug_summary_or_hash() {
    let with = |secret: &str| {
        sound(&format!(
            "[source.http]\nbasic_auth = {{ user = 'me', password = '{secret}' }}\nheaders.X-Key = '{secret}'\n\
             [llm]\napi_key = '{secret}'"
        ))
    };
    let config = with(SECRET);
    for text in [format!("{config:?}"), format!("{config:#?}"), config.summary()] {
        assert!(!text.contains(SECRET), "{text}");
    }
    assert_eq!(config.hash(), with("another").hash());
    assert_ne!(config.hash(), sound("").hash(), "the user is no secret");
}

#[test]
fn no_report_quotes_a_secret() {
    for text in [
        "[source.http]\nauthorization.credentials = 'hunter2-s3cr3t'\nauthorization.credentials_file = 'x'",
        "[source.http]\nauthorization.credentials = 'hunter2-s3cr3t'\nbasic_auth = { user = 'a', password = 'hunter2-s3cr3t' }",
        "[source.http]\nbasic_auth = { password = 'hunter2-s3cr3t' }",
        "[source.http]\nbasic_auth = 'hunter2-s3cr3t'",
        "[source.http]\nauthorization.credentals = 'hunter2-s3cr3t'",
        "[source.http]\nauthorization.credentials = hunter2-s3cr3t",
        "[source.http]\nauthorization.credentials = ['hunter2-s3cr3t']",
        "[source.http]\nauthorization.credentials = 'hunter2-s3cr3t",
        "[source.http]\nheaders = ['hunter2-s3cr3t']",
        "[source.http]\nheaders.'a b' = 'hunter2-s3cr3t'",
        "[source.http]\nheaders.X-Key = ['hunter2-s3cr3t']",
        "[source.http]\nheaders.X-Key = { text = 'hunter2-s3cr3t' }",
        "[source]\nbearer_token = 'hunter2-s3cr3t'",
        "[source]\nbasic_auth.password = 'hunter2-s3cr3t'",
        "[source]\nheaders.X = 'hunter2-s3cr3t'",
        "[source.http]\nproxy_url = 'http://me:hunter2-s3cr3t@host'",
        "[source]\nurl = 'http://me:hunter2-s3cr3t@host'",
        "[source]\nurl = 'ftp://me:hunter2-s3cr3t@host'",
        "[source]\nurl = 'http://host/?token=hunter2-s3cr3t'",
        "[llm]\nbase_url = 'http://me:hunter2-s3cr3t@host'",
        "[llm]\nbase_url = 'http://host/?key=hunter2-s3cr3t'",
        "[llm]\napi_key = 'hunter2-s3cr3t'\nno_such_key = 1",
        "[api]\nexternal_url = 'http://me:hunter2-s3cr3t@host'",
        "llm = 'hunter2-s3cr3t'",
        "apikey = 'hunter2-s3cr3t'",
    ] {
        let report = super::super::load_text("t", text, [], &[]).map(drop).unwrap_err();
        assert!(!format!("{report}{report:?}").contains(SECRET), "{text}\n{report}");
    }
}

#[test]
fn a_secret_file_next_to_the_config_is_read_from_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let [config, key] = ["portent.toml", "key"].map(|name| folder.path().join(name));
    std::fs::write(
        &config,
        "source.http.authorization.credentials_file = 'key'\nsource.http.headers.X-Key = { file = 'key' }",
    )
    .unwrap();
    write_private(&key, &format!("{SECRET}\n"));
    let loaded = load(Some(&config), [], &[]).unwrap();
    assert_eq!(token(&loaded), SECRET);
    let files = [("source.http.authorization.credentials_file", &key), ("source.http.headers.X-Key", &key)];
    assert_eq!(loaded.secret_files(), files.map(|(name, path)| (name.to_owned(), path.clone())));

    write_private(&key, "");
    let report = load(Some(&config), [], &[]).unwrap_err();
    assert_eq!(report.mistakes().len(), 2, "{report}");
    assert!(report.to_string().contains("is empty: give a file that the agent may read"), "{report}");
}

#[test]
fn a_later_layer_replaces_a_secret_in_the_other_form_and_can_unset_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    write_private(&file, "from-file");
    let text = format!("source.http.authorization.credentials_file = {:?}", file.to_str().unwrap());
    let over = with_env(&text, &[("PORTENT__SOURCE__HTTP__AUTHORIZATION__CREDENTIALS", "12345")]).unwrap();
    assert_eq!(token(&over), "12345", "a number is a text here");
    let env = [("PORTENT__SOURCE__HTTP__AUTHORIZATION__CREDENTIALS_FILE", file.to_str().unwrap())];
    assert_eq!(
        token(&with_env("source.http.authorization.credentials = 'inline'", &env).unwrap()),
        "from-file"
    );
    let unset = with_env(&text, &[("PORTENT__SOURCE__HTTP__AUTHORIZATION__CREDENTIALS_FILE", "")]).unwrap();
    assert!(matches!(unset.source.http.authorization, Authorization::None));
    let key = sound("llm.api_key = 'k'").llm.api_key;
    assert!(matches!(key, Some(Secret::Inline(_))), "{key:?}");
}
