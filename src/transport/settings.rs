//! What the config says about a way over HTTP, and what may stand there.

use std::path::PathBuf;

use reqwest::Url;
use reqwest::header::{HeaderName, HeaderValue};

use super::client::is_loopback;
use super::pem;
use crate::secret::Secret;

/// How to connect and how to show who asks. The default is plain: the system's authorities, no proxy, no name.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// How the agent shows who it is.
    pub authorization: Authorization,
    /// The tenant, sent as `X-Scope-OrgID`.
    pub tenant: Option<String>,
    /// Further headers of each request: at most 32.
    pub headers: Vec<(String, Secret)>,
    /// How the other side is verified, and with which certificate the agent shows who it is.
    pub tls: Tls,
    /// The forward proxy that requests go through. None is taken from the environment.
    pub proxy: Option<Proxy>,
}

/// What is sent as `Authorization`.
#[derive(Debug, Clone, Default)]
pub enum Authorization {
    /// Nothing.
    #[default]
    None,
    /// HTTP Basic.
    Basic {
        /// The user's name.
        user: String,
        /// The password.
        password: Secret,
    },
    /// A scheme and what comes after it.
    Scheme {
        /// The scheme, such as `Bearer`.
        scheme: String,
        /// What comes after it.
        credentials: Secret,
    },
}

/// How TLS is set up.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// A PEM file of certificates of authorities that are trusted instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// What is shown to a server that asks for a certificate.
    pub certificate: Option<ClientCertificate>,
    /// Takes any certificate: whoever is in between reads and changes everything.
    pub insecure_skip_verify: bool,
}

/// A client certificate.
#[derive(Debug, Clone)]
pub struct ClientCertificate {
    /// A PEM file of the certificate, and of those between it and its authority.
    pub cert_file: PathBuf,
    /// A PEM file of its private key.
    pub key_file: PathBuf,
}

/// A forward proxy.
#[derive(Debug, Clone)]
pub struct Proxy {
    /// Where it is: `http` or `https`, without a user and a password.
    pub url: String,
    /// The user and the password that it wants.
    pub basic_auth: Option<(String, Secret)>,
}

/// A key of these settings that cannot stand as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The key under the block's table: `tls.ca_file`.
    pub key: &'static str,
    /// The value seen and a way out. Never holds a secret.
    pub because: String,
}

/// The header that carries the tenant.
pub(super) const TENANT: &str = "X-Scope-OrgID";

const HEADERS_MAX: usize = 32;
/// What HTTP itself, the body or another key decides.
const HEADERS_TAKEN: [&str; 6] =
    ["host", "content-type", "content-length", "transfer-encoding", "accept-encoding", "proxy-authorization"];

impl Settings {
    /// Everything that is wrong with these settings for requests to a URL, empty where all is well. Reads the files of
    /// certificates and keys.
    pub fn mistakes(&self, to: &str) -> Vec<Mistake> {
        let mut found = Vec::new();
        let mut note = |key, because: Option<String>| {
            found.extend(because.map(|because| Mistake { key, because }));
        };
        match &self.authorization {
            Authorization::None => {}
            Authorization::Basic { user, .. } => note("basic_auth.user", user_mistake(user)),
            Authorization::Scheme { scheme, .. } => note("authorization.scheme", scheme_mistake(scheme)),
        }
        note("tenant", self.tenant.as_deref().and_then(tenant_mistake));
        note("headers", self.headers_mistake());
        note("tls.ca_file", self.tls.ca_file.as_deref().and_then(|file| pem::authorities(file).err()));
        if let Some(certificate) = &self.tls.certificate {
            note("tls.cert_file", pem::certificates(&certificate.cert_file).err());
            note("tls.key_file", pem::private_key(&certificate.key_file).err());
            if found.is_empty() {
                let because = pem::identity(certificate).err();
                found.extend(because.map(|because| Mistake { key: "tls.key_file", because }));
            }
        }
        if let Some(proxy) = &self.proxy {
            let because = proxy_mistake(&proxy.url, to);
            found.extend(because.map(|because| Mistake { key: "proxy_url", because }));
            let because = proxy.basic_auth.as_ref().and_then(|(user, _)| user_mistake(user));
            found.extend(because.map(|because| Mistake { key: "proxy_basic_auth.user", because }));
        }
        found
    }

    fn headers_mistake(&self) -> Option<String> {
        if self.headers.len() > HEADERS_MAX {
            let count = self.headers.len();
            return Some(format!("{count} headers are more than {HEADERS_MAX}: leave some out"));
        }
        self.headers.iter().find_map(|(name, _)| {
            let shown = clip(name);
            let Ok(parsed) = HeaderName::try_from(name.as_str()) else {
                return Some(format!("{shown:?} is no header name: give one such as X-Scope-OrgID"));
            };
            if HEADERS_TAKEN.contains(&parsed.as_str()) {
                return Some(format!("{shown:?} is set by the request itself: leave it out"));
            }
            let is_authorized = !matches!(self.authorization, Authorization::None);
            if parsed.as_str() == "authorization" && is_authorized {
                return Some(format!(
                    "{shown:?} stands beside authorization or basic_auth: keep one of them"
                ));
            }
            let is_tenant = parsed.as_str().eq_ignore_ascii_case(TENANT);
            (is_tenant && self.tenant.is_some())
                .then(|| format!("{shown:?} stands beside tenant: keep one of them"))
        })
    }
}

fn user_mistake(user: &str) -> Option<String> {
    (user.is_empty() || user.contains(':')).then(|| {
        format!("{:?} is empty or has a colon, which HTTP Basic cannot carry: give another", clip(user))
    })
}

fn scheme_mistake(scheme: &str) -> Option<String> {
    let is_token = !scheme.is_empty()
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte));
    if !is_token {
        return Some(format!("{:?} is no scheme: give one word, such as Bearer", clip(scheme)));
    }
    scheme
        .eq_ignore_ascii_case("basic")
        .then(|| "is Basic, which has a user and a password: give them under basic_auth".to_owned())
}

fn tenant_mistake(tenant: &str) -> Option<String> {
    let is_fine = HeaderValue::from_str(tenant).is_ok() && tenant.is_ascii() && tenant.trim() == tenant;
    (!is_fine).then(|| format!("{:?} cannot stand in a header: give printable ASCII", clip(tenant)))
}

/// The text itself is quoted only once it is known to hold no password.
fn proxy_mistake(text: &str, to: &str) -> Option<String> {
    let way_out = "give something like http://proxy:3128";
    let url = match Url::parse(text) {
        Ok(url) => url,
        Err(error) => return Some(format!("is no URL ({error}): {way_out}")),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Some(
            "holds a user or a password: put them under proxy_basic_auth, the password in a file".to_owned(),
        );
    }
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Some(format!("{:?} is neither http nor https: {way_out}", clip(text)));
    }
    if !matches!(url.path(), "" | "/") || url.query().is_some() || url.fragment().is_some() {
        return Some(format!("has a part after its port ({:?}): {way_out}", url.path()));
    }
    let is_own = Url::parse(to).is_ok_and(|to| is_loopback(&to));
    is_own.then(|| {
        "stands beside an address on this host, which is never asked through a proxy: leave it out".to_owned()
    })
}

fn clip(text: &str) -> String {
    text.chars().take(200).collect()
}
