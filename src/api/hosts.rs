//! The names under which the agent may be asked.
//!
//! A page of another site can make a browser ask this agent under a name of its own that it lets lead here (DNS
//! rebinding); the browser then takes both for one site. So a request under a name that nobody has set is refused. An
//! address can't be made to lead elsewhere.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use axum::http::uri::Authority;
use axum::http::{HeaderMap, Uri, header};
use reqwest::Url;

use super::Settings;

/// The names and addresses under which the agent may be asked.
#[derive(Debug, Clone)]
pub(super) struct Hosts {
    names: BTreeSet<String>,
    listens_on: IpAddr,
}

/// What is wrong with how a request names the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Misnamed {
    /// No host, several, or text that is none.
    Unclear,
    /// A name that nobody has set.
    Foreign(String),
}

impl Hosts {
    pub(super) fn new(settings: &Settings) -> Self {
        let external = settings.external_url.as_deref().and_then(|url| Url::parse(url).ok());
        let external = external.as_ref().and_then(Url::host_str).map(plain);
        let names = settings.allowed_hosts.iter().map(|host| plain(host));
        let names = names.chain(external).chain(["localhost".to_owned()]).collect();
        Self { names, listens_on: settings.listen_address.ip() }
    }

    /// Checks under which name a request was made.
    pub(super) fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Misnamed> {
        let mut given = headers.get_all(header::HOST).iter();
        let (host, more) = (given.next(), given.next());
        let host = host.and_then(|host| host.to_str().ok()).filter(|_| more.is_none());
        let host: Authority = host.and_then(|host| host.parse().ok()).ok_or(Misnamed::Unclear)?;
        // In a request's first line it stands only toward a proxy; then it counts, and both have to be fine.
        for authority in [Some(&host), uri.authority()].into_iter().flatten() {
            if authority.as_str().contains('@') {
                return Err(Misnamed::Unclear);
            }
            if !self.is_own(authority.host()) {
                return Err(Misnamed::Foreign(authority.host().chars().take(80).collect()));
            }
        }
        Ok(())
    }

    fn is_own(&self, host: &str) -> bool {
        let name = plain(host);
        if self.names.contains(&name) {
            return true;
        }
        match name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>() {
            // Behind 0.0.0.0 stand all addresses of the machine, and in a cluster those that lead to it.
            Ok(address) => {
                address.is_loopback() || address == self.listens_on || self.listens_on.is_unspecified()
            }
            Err(_) => false,
        }
    }
}

/// As names are compared: in lower case, without the dot at the end.
fn plain(host: &str) -> String {
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

/// Takes a host name as `api.allowed_hosts` has it: without scheme, port and path.
///
/// # Errors
/// A sentence with a way out.
pub fn host_name(text: &str) -> Result<String, String> {
    let way_out = "give a name such as portent.example.org";
    let authority = text.parse::<Authority>().ok().filter(|authority| authority.host() == text);
    let is_fine = |char: char| char.is_ascii_alphanumeric() || "-_.[]:".contains(char);
    match authority {
        Some(_) if text.chars().all(is_fine) => Ok(plain(text)),
        Some(_) | None => Err(format!("{text:?} is no host name without scheme, port and path: {way_out}")),
    }
}

/// Whether only this machine can reach an address.
pub(super) fn is_loopback(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn hosts(listen: &str) -> Hosts {
        Hosts::new(&Settings {
            external_url: Some("https://Portent.Example.org:8443/x".to_owned()),
            allowed_hosts: vec!["portent".to_owned(), "10.9.8.7".to_owned()],
            ..Settings::at(listen.parse().unwrap())
        })
    }

    fn judge(listen: &str, given: &[&str]) -> Result<(), Misnamed> {
        let mut headers = HeaderMap::new();
        for host in given {
            headers.append(header::HOST, HeaderValue::from_str(host).unwrap());
        }
        hosts(listen).check(&Uri::from_static("/x"), &headers)
    }

    #[track_caller]
    fn check(listen: &str, host: &str, is_own: bool) {
        let expected = if is_own { Ok(()) } else { Err(Misnamed::Foreign(plain_host(host))) };
        assert_eq!(judge(listen, &[host]), expected, "{host} at {listen}");
    }

    fn plain_host(host: &str) -> String {
        host.parse::<Authority>().unwrap().host().to_owned()
    }

    #[test]
    fn names_that_were_set_and_addresses_that_are_its_own_pass() {
        for host in [
            "localhost",
            "LOCALHOST:9098",
            "localhost.",
            "127.0.0.1",
            "127.0.0.1:1",
            "127.8.8.8",
            "[::1]:9098",
            "portent.example.org",
            "portent.example.org:443",
            "PORTENT:9098",
            "10.9.8.7",
        ] {
            check("127.0.0.1:9098", host, true);
        }
        check("192.0.2.1:9098", "192.0.2.1:9098", true);
        check("0.0.0.0:9098", "10.1.2.3:9098", true);
        check("[::]:9098", "[2001:db8::1]:9098", true);
    }

    #[test]
    fn other_names_do_not() {
        for host in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "xlocalhost",
            "portent.evil",
            "10.1.2.3",
            "0.0.0.0",
            "2130706433",
            "[::ffff:10.1.2.3]",
        ] {
            check("127.0.0.1:9098", host, false);
        }
        check("0.0.0.0:9098", "evil.example", false);
        check("192.0.2.1:9098", "192.0.2.2", false);
    }

    #[test]
    fn a_host_that_is_missing_twofold_or_none_is_unclear() {
        for given in [
            &[][..],
            &["localhost", "localhost"],
            &["localhost", "evil"],
            &[""],
            &["a b"],
            &["u@localhost"],
            &["a/b"],
        ] {
            assert_eq!(judge("127.0.0.1:9098", given), Err(Misnamed::Unclear), "{given:?}");
        }
    }

    #[test]
    fn what_is_set_is_a_name_alone() {
        for text in ["portent", "Portent.Example.org", "10.0.0.1", "[::1]"] {
            assert!(host_name(text).is_ok(), "{text}");
        }
        for text in ["", "http://portent", "portent:9098", "portent/x", "a b", "*", "*.example.org", "u@h"] {
            assert!(host_name(text).unwrap_err().contains("no host name"), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic_or_pass_as_our_own(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                let headers = HeaderMap::from_iter([(header::HOST, value)]);
                let passes = hosts("192.0.2.1:9098").check(&Uri::from_static("/"), &headers).is_ok();
                let text = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
                let own = ["localhost", "portent", "127.", "192.0.2.1", "10.9.8.7", "[::1]"];
                prop_assert!(!passes || own.iter().any(|own| text.starts_with(own)), "{text}");
            }
        }
    }
}
