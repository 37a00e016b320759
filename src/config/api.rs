//! Reads `[api]`.

use super::section::Section;
use super::sections::http_url;
use crate::api::{Settings, TlsSettings, check_keys_file, host_name};

/// Names in `api.allowed_hosts`, at most.
const HOSTS_MAX: usize = 100;

/// Reads `[api]`, and the files that it names.
pub(super) fn api(root: &mut Section<'_>) -> Option<Settings> {
    let mut section = root.section("api");
    let listen_address = section.parsed("listen_address", |text| {
        let way_out = "give a number address and a port, such as 127.0.0.1:9098 or [::1]:9098";
        text.parse().map_err(|_| format!("{text:?} is no address to listen on: {way_out}"))
    });
    let external_url = section.parsed("external_url", |text| match text {
        "" => Ok(None),
        url => http_url(url).map(Some),
    });
    let route_prefix = section.parsed("route_prefix", route_prefix);
    let allowed_hosts = section.texts("allowed_hosts", HOSTS_MAX, host_name);
    let keys_file = section.file("keys_file");
    if let Some(error) = keys_file.as_ref().and_then(|path| check_keys_file(path).err()) {
        section.refuse("keys_file", error.to_string());
    }
    let allow_without_keys = section.switch("allow_without_keys");
    let tls = tls(&mut section);
    let settings = Settings {
        external_url: external_url.unwrap_or_default(),
        route_prefix: route_prefix.unwrap_or_default(),
        keys_file,
        allow_without_keys: allow_without_keys?,
        allowed_hosts: allowed_hosts.unwrap_or_default(),
        tls,
        ..Settings::at(listen_address?)
    };
    if let Err(unguarded) = settings.check_guarded() {
        section.refuse("listen_address", unguarded.to_string());
    }
    section.finish();
    Some(settings)
}

fn tls(section: &mut Section<'_>) -> Option<TlsSettings> {
    let mut section = section.section("tls");
    let cert_file = section.file("cert_file");
    let key_file = section.file("key_file");
    let client_ca_file = section.file("client_ca_file");
    let tls = match (cert_file, key_file, client_ca_file) {
        (Some(cert_file), Some(key_file), client_ca_file) => {
            let tls = TlsSettings { cert_file, key_file, client_ca_file };
            if let Err(error) = tls.check() {
                section.refuse(error.key, error.to_string());
            }
            Some(tls)
        }
        (Some(_), None, _) => {
            section.refuse("cert_file", "has no private key beside it: give api.tls.key_file");
            None
        }
        (None, Some(_), _) => {
            section.refuse("key_file", "has no certificate beside it: give api.tls.cert_file");
            None
        }
        (None, None, Some(_)) => {
            section.refuse(
                "client_ca_file",
                "needs a listener with TLS: give api.tls.cert_file and api.tls.key_file",
            );
            None
        }
        (None, None, None) => None,
    };
    section.finish();
    tls
}

fn route_prefix(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Ok(String::new());
    }
    let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'_' | b'.' | b'~');
    let prefix = text.trim_end_matches('/');
    let segments = prefix.split('/').skip(1);
    if !text.starts_with('/') || !text.bytes().all(is_fine) {
        return Err(format!("{text:?} is no path: give one that starts with a slash, such as /portent"));
    }
    if segments.clone().any(|segment| matches!(segment, "" | "." | "..")) {
        return Err(format!("{text:?} has an empty or a dotted part: give a path such as /tools/portent"));
    }
    Ok(prefix.to_owned())
}
