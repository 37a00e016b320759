//! Reads `[source.http]` and `[llm.http]`: the same block for every HTTP client.

use super::section::Section;
use super::tree::{Node, Value};
use crate::secret::Secret;
use crate::transport::{Authorization, ClientCertificate, Mistake, Proxy, Settings, Tls};

/// Keys that were in `[source]` itself once, and what to give instead.
pub(super) const FORMER: [(&str, &str); 4] = [
    ("bearer_token", "source.http.authorization.credentials"),
    ("bearer_token_file", "source.http.authorization.credentials_file"),
    ("basic_auth", "[source.http.basic_auth]"),
    ("headers", "[source.http.headers], or source.http.tenant for X-Scope-OrgID"),
];

/// Reads the table `http` of a section for requests to a URL.
pub(super) fn http(parent: &mut Section<'_>, to: &str) -> Settings {
    let mut section = parent.section("http");
    let settings = Settings {
        tenant: section.optional("tenant"),
        proxy: proxy(&mut section),
        authorization: authorization(&mut section),
        tls: tls(&mut section),
        headers: headers(&mut section),
    };
    for mistake in settings.mistakes(to) {
        refuse(&mut section, mistake);
    }
    section.finish();
    settings
}

fn authorization(section: &mut Section<'_>) -> Authorization {
    let mut table = section.section("authorization");
    let scheme = table.text("scheme");
    let credentials = table.secret("credentials", "credentials_file");
    table.finish();
    let basic = basic_auth(section.section("basic_auth"));
    match (basic, credentials, scheme) {
        (Some(_), Some(_), _) => {
            section.section("basic_auth").refuse("user", "stands beside authorization: keep one of them");
            Authorization::None
        }
        (Some((user, password)), None, _) => Authorization::Basic { user, password },
        (None, Some(credentials), Some(scheme)) => Authorization::Scheme { scheme, credentials },
        (None, _, _) => Authorization::None,
    }
}

/// A user and a password: both or none.
fn basic_auth(mut table: Section<'_>) -> Option<(String, Secret)> {
    let user = table.optional("user");
    let password = table.secret("password", "password_file");
    let both = match (user, password) {
        (Some(user), Some(password)) => Some((user, password)),
        (Some(_), None) => {
            table.refuse("user", "has no password: give password_file beside it");
            None
        }
        (None, Some(_)) => {
            table.refuse_pair(["password", "password_file"], "has no user beside it: give user");
            None
        }
        (None, None) => None,
    };
    table.finish();
    both
}

fn proxy(section: &mut Section<'_>) -> Option<Proxy> {
    let url = section.optional("proxy_url");
    let basic_auth = basic_auth(section.section("proxy_basic_auth"));
    if url.is_none() && basic_auth.is_some() {
        section.section("proxy_basic_auth").refuse("user", "has no proxy: give proxy_url");
    }
    Some(Proxy { url: url?, basic_auth })
}

fn tls(section: &mut Section<'_>) -> Tls {
    let mut table = section.section("tls");
    let ca_file = table.file("ca_file");
    let certificate = match (table.file("cert_file"), table.file("key_file")) {
        (Some(cert_file), Some(key_file)) => Some(ClientCertificate { cert_file, key_file }),
        (Some(_), None) => {
            table.refuse("cert_file", "has no private key beside it: give key_file");
            None
        }
        (None, Some(_)) => {
            table.refuse("key_file", "has no certificate beside it: give cert_file");
            None
        }
        (None, None) => None,
    };
    let insecure_skip_verify = table.switch("insecure_skip_verify").unwrap_or(false);
    table.finish();
    Tls { ca_file, certificate, insecure_skip_verify }
}

fn headers(section: &mut Section<'_>) -> Vec<(String, Secret)> {
    let section = section.section("headers");
    let read = |(name, node): (&str, &Node)| Some((name.to_owned(), header(&section, node)?));
    section.entries().into_iter().filter_map(read).collect()
}

/// A text, or `{ file = "..." }`.
fn header(section: &Section<'_>, node: &Node) -> Option<Secret> {
    if let Some(text) = node.as_text() {
        section.hide(node);
        return Some(Secret::inline(text));
    }
    let Value::Table(table) = &node.value else {
        section.refuse_node(node, "is neither a text nor a file: give \"...\" or { file = \"...\" }");
        return None;
    };
    let mut within = section.of(node, table);
    let file = within.node("file");
    let path = within.optional("file");
    within.finish();
    section.secret_file(file?, &path?)
}

/// Puts what the room says at the key that it is about.
fn refuse(section: &mut Section<'_>, mistake: Mistake) {
    let Mistake { key, because } = mistake;
    match key.split_once('.') {
        Some((table, key)) => section.section(table).refuse(key, because),
        None if key == "headers" => refuse_header(&section.section("headers"), because),
        None => section.refuse(key, because),
    }
}

/// Puts a mistake at the header that it begins with; at the table where it is about all of them.
fn refuse_header(section: &Section<'_>, because: String) {
    let mut entries = section.entries().into_iter();
    match entries.find(|(name, _)| because.starts_with(&format!("{name:?} "))) {
        Some((_, node)) => section.refuse_node(node, because),
        None => section.refuse_whole(because),
    }
}
