//! What is refused of `[api]` and of the files that it names, and what the summary tells of them.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rcgen::{CertificateParams, KeyPair};

use super::super::load_text;
use super::{sound, write_private};

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    let report = load_text("t", text, [], &[]).map(drop).unwrap_err().to_string();
    assert_eq!(report.lines().collect::<Vec<_>>(), expected, "for:\n{text}");
}

/// The hash of some key, and of another.
const HASH: &str = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";
const OTHER: &str = "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8";

fn entry(name: &str, sha256: &str, scope: &str) -> String {
    format!("[[key]]\nname = \"{name}\"\nsha256 = \"{sha256}\"\nscopes = [\"{scope}\"]\n")
}

/// A certificate of this machine and its key, as PEM.
fn issued() -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

fn open_to_others(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_keys_file_that_cannot_be_used_is_refused_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.toml");
    let shown = path.display();
    let text = format!("[api]\nkeys_file = '{shown}'");
    let refused =
        |because: &str| check(&text, &[&format!("t:2: api.keys_file: keys file {shown} {because}")]);
    refused("cannot be read (entity not found): give a file that the agent may read");
    let sound_entry = entry("ann", HASH, "read");
    let scopes = "give a list of read, ingest, operate, approve, admin";
    let hash = "give the 64 hex digits that `portent key new` prints";
    for (keys, because) in [
        (String::new(), "names no key: make one with `portent key new`".to_owned()),
        ("[[key]]\n".to_owned(), "line 1: an entry has no `name`; it needs name, sha256, scopes".to_owned()),
        (
            sound_entry.clone() + &entry("ann", OTHER, "read"),
            "line 5: the name \"ann\" stands here for the second time".to_owned(),
        ),
        (
            sound_entry.clone() + &entry("bob", HASH, "read"),
            "line 5: \"bob\" has the same key as \"ann\": make one for each".to_owned(),
        ),
        (entry("ann", HASH, "write"), format!("line 1: `scopes` names one that there is not: {scopes}")),
        (entry("ann", &HASH[..63], "read"), format!("line 1: `sha256` is no SHA-256: {hash}")),
    ] {
        write_private(&path, &keys);
        refused(&because);
    }
    for mode in [0o644, 0o660, 0o604] {
        write_private(&path, &sound_entry);
        open_to_others(&path, mode);
        refused(&format!(
            "is open to other accounts (mode {mode:03o}): run `chmod 600 {shown}`, or 640 where the agent reads it by its group"
        ));
    }
    open_to_others(&path, 0o640);
    assert_eq!(sound(&text).secret_files(), [("api.keys_file".to_owned(), path.clone())]);
}

#[test]
fn a_listener_for_other_machines_needs_keys_or_a_word_that_it_does_not() {
    for address in ["0.0.0.0:9098", "[::]:9098", "192.0.2.1:9098"] {
        check(
            &format!("[api]\nlisten_address = '{address}'"),
            &[&format!(
                "t:2: api.listen_address: {address} can be reached from other machines and there are no API keys: listen on \
                 127.0.0.1, or make keys with `portent key new` and set api.keys_file, or set api.allow_without_keys = true \
                 (--web.allow-without-keys) where something else keeps others out"
            )],
        );
        let summary =
            sound(&format!("[api]\nlisten_address = '{address}'\nallow_without_keys = true")).summary();
        assert!(summary.contains(&format!("http://{address}, without keys, wherever")), "{summary}");
    }
    check(
        "[api]\nallow_without_keys = 'yes'",
        &["t:2: api.allow_without_keys: \"yes\" is neither true nor false: give one of them"],
    );
    for loopback in ["127.0.0.1:1", "127.8.8.8:1", "[::1]:1"] {
        let summary = sound(&format!("[api]\nlisten_address = '{loopback}'")).summary();
        assert!(
            summary.contains(&format!("http://{loopback}, without keys, from this machine")),
            "{summary}"
        );
    }
}

#[test]
fn a_host_that_is_no_name_is_refused_and_all_are_looked_at() {
    let way_out = "is no host name without scheme, port and path: give a name such as portent.example.org";
    check(
        "[api]\nallowed_hosts = [\n  'http://portent',\n  'portent',\n  'portent:9098',\n  '*.example.org',\n  '',\n]",
        &[
            &format!("t:3: api.allowed_hosts: \"http://portent\" {way_out}"),
            &format!("t:5: api.allowed_hosts: \"portent:9098\" {way_out}"),
            &format!("t:6: api.allowed_hosts: \"*.example.org\" {way_out}"),
            &format!("t:7: api.allowed_hosts: \"\" {way_out}"),
        ],
    );
}

#[test]
fn files_that_make_no_certificate_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let [cert, key, other] = ["cert.pem", "key.pem", "other.pem"].map(file);
    let (cert_pem, key_pem) = issued();
    write_private(&cert, &cert_pem);
    write_private(&key, &key_pem);
    write_private(&other, &issued().1);
    let [cert_shown, key_shown, other_shown] = [&cert, &key, &other].map(|path| path.display().to_string());
    check(
        &format!("[api.tls]\ncert_file = '{cert_shown}'"),
        &["t:2: api.tls.cert_file: has no private key beside it: give api.tls.key_file"],
    );
    check(
        &format!("[api.tls]\nkey_file = '{key_shown}'"),
        &["t:2: api.tls.key_file: has no certificate beside it: give api.tls.cert_file"],
    );
    check(
        &format!("[api.tls]\nclient_ca_file = '{cert_shown}'"),
        &[
            "t:2: api.tls.client_ca_file: needs a listener with TLS: give api.tls.cert_file and api.tls.key_file",
        ],
    );
    let pair = |cert: &str, key: &str| format!("[api.tls]\ncert_file = '{cert}'\nkey_file = '{key}'");
    let report = load_text("t", &pair(&cert_shown, &other_shown), [], &[]).map(drop).unwrap_err().to_string();
    assert!(
        report.starts_with(&format!("t:2: api.tls.cert_file: {cert_shown} does not fit {other_shown}: ")),
        "{report}"
    );
    check(
        &pair(&key_shown, &key_shown),
        &[&format!(
            "t:2: api.tls.cert_file: {key_shown} holds no certificate: give certificates as PEM (-----BEGIN CERTIFICATE-----)"
        )],
    );
    check(
        &pair(&cert_shown, &cert_shown),
        &[&format!(
            "t:3: api.tls.key_file: {cert_shown} holds no private key that is not encrypted: give one as PEM (PKCS#8, PKCS#1 or SEC1)"
        )],
    );
    open_to_others(&key, 0o644);
    check(
        &pair(&cert_shown, &key_shown),
        &[&format!(
            "t:3: api.tls.key_file: {key_shown} is open to other accounts (mode 644): run `chmod 600 {key_shown}`, or 640 where \
             the agent reads it by its group"
        )],
    );
}

#[test]
fn the_summary_names_the_files_and_how_the_api_is_reached() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let (cert_pem, key_pem) = issued();
    let [cert, key, keys] = ["cert.pem", "key.pem", "keys.toml"].map(file);
    write_private(&cert, &cert_pem);
    write_private(&key, &key_pem);
    write_private(&keys, &entry("ann", HASH, "read"));
    let (cert, key, keys) = (cert.display(), key.display(), keys.display());
    let config = sound(&format!(
        "[source]\nurl = 'https://metrics.example'\n[source.http.tls]\ncert_file = '{cert}'\nkey_file = '{key}'\n\
         ca_file = '{cert}'\n[api]\nlisten_address = '0.0.0.0:9098'\nkeys_file = '{keys}'\n\
         tls = {{ cert_file = '{cert}', key_file = '{key}', client_ca_file = '{cert}' }}"
    ));
    let summary = config.summary();
    for line in [
        "api          https://0.0.0.0:9098, with keys".to_owned(),
        format!("secret file  {key} (source.http.tls.key_file)"),
        format!("secret file  {keys} (api.keys_file)"),
        format!("secret file  {key} (api.tls.key_file)"),
        format!("certificate  {cert} (source.http.tls.ca_file)"),
        format!("certificate  {cert} (source.http.tls.cert_file)"),
        format!("certificate  {cert} (api.tls.cert_file)"),
        format!("certificate  {cert} (api.tls.client_ca_file)"),
    ] {
        assert!(summary.lines().any(|shown| shown == line), "{line:?} is missing in:\n{summary}");
    }
}
