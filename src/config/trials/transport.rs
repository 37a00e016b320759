//! What is refused of `[source.http]` and `[llm.http]`, and with which words.

use super::super::load_text;
use super::{sound, write_private};
use crate::secret::Secret;
use crate::transport::Authorization;

/// Each text is a config on its own; each line of the answer is a mistake.
#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let report = load_text("t", text, [], &[]).map(drop).unwrap_err().to_string();
    assert_eq!(report.lines().collect::<Vec<_>>(), expected, "for:\n{text}");
}

/// The same block under either section: `before` is its first lines, `expected` what is said about it.
#[track_caller]
fn check_block(lines: &str, expected: &str) {
    for section in ["source", "llm"] {
        check(&format!("[{section}.http]\n{lines}"), &[&format!("t:2: {section}.http.{expected}")]);
    }
}

#[test]
fn the_same_block_is_read_for_each_client() {
    let block = "tenant = 'team-a'\nproxy_url = 'http://proxy:3128'\nheaders.X-A = 'b'\n\
                 authorization = { scheme = 'Token', credentials = 'c' }\ntls.insecure_skip_verify = true";
    let urls = "[source]\nurl = 'https://metrics.example'\n[llm]\nbase_url = 'https://model.example/v1'";
    let config = sound(&format!("{urls}\n[source.http]\n{block}\n[llm.http]\n{block}"));
    for http in [&config.source.http, &config.llm.http] {
        assert_eq!(http.tenant.as_deref(), Some("team-a"));
        assert_eq!(http.proxy.as_ref().map(|proxy| proxy.url.as_str()), Some("http://proxy:3128"));
        assert!(http.tls.insecure_skip_verify && http.headers.len() == 1);
        assert!(matches!(&http.authorization, Authorization::Scheme { scheme, .. } if scheme == "Token"));
    }
}

#[test]
fn keys_that_have_moved_say_where_they_are() {
    check(
        "[source]\nbearer_token_file = '/x'",
        &["t:2: source.bearer_token_file: has moved: give source.http.authorization.credentials_file"],
    );
    check(
        "[source]\nbasic_auth.user = 'me'",
        &["t:2: source.basic_auth: has moved: give [source.http.basic_auth]"],
    );
    check(
        "[source]\nheaders.X-A = 'me'",
        &[
            "t:2: source.headers: has moved: give [source.http.headers], or source.http.tenant for X-Scope-OrgID",
        ],
    );
}

#[test]
fn credentials_are_given_once_and_whole() {
    check(
        "[source.http.authorization]\ncredentials = 'a'\ncredentials_file = '/b'",
        &["t:3: source.http.authorization.credentials_file: stands beside `credentials`: keep one of them"],
    );
    check(
        "[source.http]\nauthorization.credentials = 'a'\nbasic_auth = { user = 'me', password = 'p' }",
        &["t:3: source.http.basic_auth.user: stands beside authorization: keep one of them"],
    );
    check(
        "[llm]\napi_key = 'a'\nhttp.authorization.credentials = 'b'",
        &["t:2: llm.api_key: stands beside llm.http, which has an Authorization already: keep one of them"],
    );
    check_block("basic_auth.user = 'me'", "basic_auth.user: has no password: give password_file beside it");
    check_block("basic_auth.password = 'p'", "basic_auth.password: has no user beside it: give user");
    check_block(
        "basic_auth = { user = 'me:you', password = 'p' }",
        "basic_auth.user: \"me:you\" is empty or has a colon, which HTTP Basic cannot carry: give another",
    );
    check_block(
        "authorization = { scheme = 'Bearer x', credentials = 'p' }",
        "authorization.scheme: \"Bearer x\" is no scheme: give one word, such as Bearer",
    );
    check_block(
        "authorization = { scheme = 'Basic', credentials = 'p' }",
        "authorization.scheme: is Basic, which has a user and a password: give them under basic_auth",
    );
    check_block(
        "authorization.credentials_file = '/nonexistent/token'",
        "authorization.credentials_file: secret file /nonexistent/token cannot be read: entity not found: give a file that the agent may read",
    );
}

#[test]
fn headers_that_cannot_be_sent_are_refused() {
    check_block(
        "headers.'a b' = 'c'",
        "headers.\"a b\": \"a b\" is no header name: give one such as X-Scope-OrgID",
    );
    check_block("headers.Host = 'c'", "headers.Host: \"Host\" is set by the request itself: leave it out");
    check_block(
        "headers.Authorization = 'c'\nbasic_auth = { user = 'me', password = 'p' }",
        "headers.Authorization: \"Authorization\" stands beside authorization or basic_auth: keep one of them",
    );
    check_block(
        "headers.x-scope-orgid = 'c'\ntenant = 'd'",
        "headers.x-scope-orgid: \"x-scope-orgid\" stands beside tenant: keep one of them",
    );
    check_block("tenant = \"a\\nb\"", "tenant: \"a\\nb\" cannot stand in a header: give printable ASCII");
    check(
        "[source.http.headers]\nX-A = { path = '/a' }",
        &[
            "t:2: source.http.headers.X-A.file: is missing: give a value",
            "t:2: source.http.headers.X-A.path: is no key of [source.http.headers.X-A]: see docs/configuration.md",
        ],
    );
    check_block(
        "headers.X-A = { file = '/nonexistent/a' }",
        "headers.X-A.file: secret file /nonexistent/a cannot be read: entity not found: give a file that the agent may read",
    );
}

#[test]
fn a_proxy_that_cannot_be_one_is_refused() {
    let away = "[source]\nurl = 'https://metrics.example'\n[source.http]\n";
    let refused = |line: &str, expected: &str| {
        check(&format!("{away}{line}"), &[&format!("t:4: source.http.{expected}")]);
    };
    refused(
        "proxy_url = 'http://me:pw@proxy'",
        "proxy_url: holds a user or a password: put them under proxy_basic_auth, the password in a file",
    );
    refused(
        "proxy_url = 'socks5://proxy'",
        "proxy_url: \"socks5://proxy\" is neither http nor https: give something like http://proxy:3128",
    );
    refused(
        "proxy_url = 'http://proxy/path'",
        "proxy_url: has a part after its port (\"/path\"): give something like http://proxy:3128",
    );
    refused(
        "proxy_basic_auth = { user = 'me', password = 'p' }",
        "proxy_basic_auth.user: has no proxy: give proxy_url",
    );
    check(
        "[source.http]\nproxy_url = 'http://proxy:3128'",
        &[
            "t:2: source.http.proxy_url: stands beside an address on this host, which is never asked through a proxy: leave it out",
        ],
    );
}

#[test]
fn files_of_tls_are_checked_when_the_config_loads() {
    check_block(
        "tls.ca_file = '/nonexistent/ca'",
        "tls.ca_file: file /nonexistent/ca cannot be read: entity not found: give a file that the agent may read",
    );
    check_block("tls.cert_file = '/x'", "tls.cert_file: has no private key beside it: give key_file");
    check_block("tls.key_file = '/x'", "tls.key_file: has no certificate beside it: give cert_file");
    check_block(
        "tls.insecure_skip_verify = 'yes'",
        "tls.insecure_skip_verify: \"yes\" is neither true nor false: give one of them",
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("text");
    write_private(&path, "no PEM");
    let shown = path.display();
    check_block(
        &format!("tls.ca_file = '{shown}'"),
        &format!("tls.ca_file: file {shown} holds no certificate: give one that has BEGIN CERTIFICATE in it"),
    );
    check(
        &format!("[source.http.tls]\ncert_file = '{shown}'\nkey_file = '{shown}'"),
        &[
            &format!(
                "t:2: source.http.tls.cert_file: file {shown} holds no certificate: give one that has BEGIN CERTIFICATE in it"
            ),
            &format!(
                "t:3: source.http.tls.key_file: file {shown} holds no private key: give one that has BEGIN PRIVATE KEY in it, without a password"
            ),
        ],
    );
}

#[cfg(unix)]
#[test]
fn a_secret_that_everybody_may_read_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    write_private(&path, "-----BEGIN PRIVATE KEY-----");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let shown = path.display();
    let because = format!("secret file {shown} may be read by everybody (mode 0644): chmod o-rwx it");
    for key in ["authorization.credentials_file", "headers.X-A.file", "proxy_basic_auth.password_file"] {
        let report = load_text("t", &format!("[source.http]\n{key} = '{shown}'"), [], &[]).map(drop);
        let report = report.unwrap_err().to_string();
        assert!(report.contains(&format!("source.http.{key}: {because}")), "{report}");
    }
    check(&format!("[llm]\napi_key_file = '{shown}'"), &[&format!("t:2: llm.api_key_file: {because}")]);
    let report =
        load_text("t", &format!("[source.http.tls]\ncert_file = '{shown}'\nkey_file = '{shown}'"), [], &[]);
    let report = report.map(drop).unwrap_err().to_string();
    assert!(report.contains(&format!("source.http.tls.key_file: {because}")), "{report}");

    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
    let key = sound(&format!("llm.api_key_file = '{shown}'")).llm.api_key;
    assert!(matches!(key, Some(Secret::File(_))), "{key:?}");
}
