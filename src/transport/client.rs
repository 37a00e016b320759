//! A ready client for the next request, made anew when a certificate or a key has changed.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::Url;
use reqwest::header::HeaderMap;
use secrecy::SecretString;
use tracing::{info, warn};

use super::headers::headers;
use super::pem::{self, Stamp};
use super::settings::{Mistake, Proxy, Settings};
use crate::secret::{Secret, SecretError, expose};

/// The agent's name in each request.
const USER_AGENT: &str = concat!("portent/", env!("CARGO_PKG_VERSION"));

/// As many characters of what a connection failed on are shown.
const REASON_CHARS_MAX: usize = 512;

/// Where requests go.
#[derive(Debug, Clone)]
pub struct Destination {
    /// The table of the settings, for errors and the log: `source.http`.
    pub table: &'static str,
    /// The base of what is asked: `http` or `https`.
    pub url: Url,
    /// How long one attempt may take, from connecting to the last byte; `None` where the caller holds the time.
    pub timeout: Option<Duration>,
}

/// A way to one destination. Clones share its connections.
#[derive(Clone)]
pub struct Transport {
    shared: Arc<Shared>,
}

struct Shared {
    settings: Settings,
    to: Destination,
    /// What the client was made of: certificates, keys, the proxy's password.
    files: Vec<PathBuf>,
    current: Mutex<Current>,
}

struct Current {
    client: reqwest::Client,
    /// The files as they were when the client was last made, or could not be.
    seen: Vec<Option<Stamp>>,
    trouble: Option<String>,
}

/// A client and the headers of the next request.
pub struct Ready {
    /// The client, which follows no redirect.
    pub client: reqwest::Client,
    /// What every request carries; secret values are marked as such.
    pub headers: HeaderMap,
    /// The secrets in those headers, to be struck out of what the other side says.
    pub secrets: Vec<SecretString>,
}

/// Why no request can be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransportError {
    /// Settings that cannot be used.
    #[error("{}: {}", .0.key, .0.because)]
    Settings(Mistake),
    /// A client that cannot be made.
    #[error("no HTTP client can be made: {0}")]
    Client(String),
    /// A secret that cannot be had.
    #[error(transparent)]
    Secret(#[from] SecretError),
    /// A secret that cannot stand in a header.
    #[error("the secret of header {header} holds characters that no header may have")]
    SecretText {
        /// The header.
        header: String,
    },
    /// The thread that reads secrets was ended, as happens while the process stops.
    #[error("the worker that reads secrets ended")]
    Worker,
}

impl Transport {
    /// Prepares the way; nothing is sent yet. Warns where the other side will not be verified.
    ///
    /// # Errors
    /// The first of the settings' mistakes, or why no client can be made of them.
    pub fn new(settings: &Settings, to: Destination) -> Result<Self, TransportError> {
        if let Some(mistake) = settings.mistakes(to.url.as_str()).into_iter().next() {
            return Err(TransportError::Settings(mistake));
        }
        if settings.tls.insecure_skip_verify {
            warn!(
                "{}.tls.insecure_skip_verify is on: whoever is between the agent and {} can read its secrets and \
                 change every answer; set ca_file instead",
                to.table, to.url
            );
        }
        let files = files(settings);
        let seen = stamps(&files);
        let client = build(settings, &to).map_err(TransportError::Client)?;
        let current = Mutex::new(Current { client, seen, trouble: None });
        Ok(Self { shared: Arc::new(Shared { settings: settings.clone(), to, files, current }) })
    }

    /// Gives the client and the headers of the next request. Secrets in files are read anew, off the async workers;
    /// where a certificate or a key is another than before, the client is made anew, and stays as it was where that
    /// fails.
    ///
    /// # Errors
    /// A secret that cannot be had or cannot be sent.
    pub async fn ready(&self) -> Result<Ready, TransportError> {
        if self.shared.files.is_empty() && !reads_files(&self.shared.settings) {
            return self.shared.ready();
        }
        let shared = Arc::clone(&self.shared);
        let work = tokio::task::spawn_blocking(move || shared.ready());
        work.await.unwrap_or(Err(TransportError::Worker))
    }

    /// Why the newest certificates or keys are not used, where they cannot be.
    pub fn trouble(&self) -> Option<String> {
        self.shared.current().trouble.clone()
    }

    /// What a request failed on that got no answer, with a way out where there is one.
    pub fn explain(&self, error: &reqwest::Error) -> String {
        let reason = innermost(error);
        match way_out(&format!("{error:?}")) {
            Some(way_out) => format!("{reason}: {way_out}").replace("HTTP", self.shared.to.table),
            None => reason,
        }
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Transport({} to {})", self.shared.to.table, self.shared.to.url)
    }
}

impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ready").field("headers", &self.headers).finish_non_exhaustive()
    }
}

impl Shared {
    fn current(&self) -> std::sync::MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ready(&self) -> Result<Ready, TransportError> {
        let client = self.client();
        let (headers, secrets) = headers(&client, &self.settings)?;
        Ok(Ready { client, headers, secrets })
    }

    /// The client, made anew where a file has changed. Looking at the files costs a few microseconds.
    fn client(&self) -> reqwest::Client {
        // Before they are read: a file that changes meanwhile differs at the next look.
        let seen = stamps(&self.files);
        let mut current = self.current();
        if seen == current.seen {
            return current.client.clone();
        }
        let table = self.to.table;
        current.seen = seen;
        match build(&self.settings, &self.to) {
            Ok(client) => {
                info!("{table}: certificates or keys have changed and are used from now on");
                current.client = client;
                current.trouble = None;
            }
            Err(because) => {
                warn!("{table}: certificates or keys have changed, and the former are kept: {because}");
                current.trouble = Some(because);
            }
        }
        current.client.clone()
    }
}

/// The files that a client is made of.
fn files(settings: &Settings) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = settings.tls.ca_file.iter().cloned().collect();
    if let Some(certificate) = &settings.tls.certificate {
        files.extend([certificate.cert_file.clone(), certificate.key_file.clone()]);
    }
    if let Some(Proxy { basic_auth: Some((_, Secret::File(file))), .. }) = &settings.proxy {
        files.push(file.clone());
    }
    files
}

fn stamps(files: &[PathBuf]) -> Vec<Option<Stamp>> {
    files.iter().map(|file| Stamp::of(file)).collect()
}

fn reads_files(settings: &Settings) -> bool {
    use super::settings::Authorization::{Basic, None, Scheme};
    let authorization = match &settings.authorization {
        None => Option::None,
        Basic { password: secret, .. } | Scheme { credentials: secret, .. } => Some(secret),
    };
    let mut secrets = settings.headers.iter().map(|(_, secret)| secret).chain(authorization);
    secrets.any(|secret| matches!(secret, Secret::File(_)))
}

/// Makes a client. It follows no redirect, since that would turn a POST into a GET of a login page and carry secrets
/// elsewhere; and takes no proxy from the environment.
fn build(settings: &Settings, to: &Destination) -> Result<reqwest::Client, String> {
    let mut builder = reqwest::Client::builder()
        .user_agent(USER_AGENT)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy();
    if let Some(timeout) = to.timeout {
        builder = builder.timeout(timeout);
    }
    let proxy = settings.proxy.as_ref().filter(|_| !is_loopback(&to.url));
    if let Some(Proxy { url, basic_auth }) = proxy {
        let mut proxy = reqwest::Proxy::all(url).map_err(|error| innermost(&error))?;
        if let Some((user, password)) = basic_auth {
            let password = password.read().map_err(|error| error.to_string())?;
            proxy = proxy.basic_auth(user, expose(&password));
        }
        builder = builder.proxy(proxy);
    }
    let is_encrypted =
        to.url.scheme() == "https" || proxy.is_some_and(|proxy| proxy.url.starts_with("https:"));
    match &settings.tls.ca_file {
        Some(file) => builder = builder.tls_certs_only(pem::authorities(file)?),
        // Without TLS there is nothing to verify, and an image without CA certificates must do.
        None if !is_encrypted => builder = builder.tls_certs_only([]),
        None => {}
    }
    if let Some(certificate) = &settings.tls.certificate {
        builder = builder.identity(pem::identity(certificate)?);
    }
    if settings.tls.insecure_skip_verify {
        builder = builder.tls_danger_accept_invalid_certs(true);
    }
    builder.build().map_err(|error| innermost(&error))
}

pub(super) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// The reason at the bottom of a chain of errors. The outer ones quote the URL.
pub fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut error = error;
    while let Some(inner) = error.source() {
        error = inner;
    }
    // Only the outermost error of the client carries the URL.
    match error.downcast_ref::<reqwest::Error>() {
        Some(error) if error.is_builder() => "the request cannot be built".to_owned(),
        Some(_) => "the request failed".to_owned(),
        None => {
            let clean =
                error.to_string().chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>();
            clean.chars().take(REASON_CHARS_MAX).collect()
        }
    }
}

/// What to do about a connection that failed; `HTTP` stands for the table of the settings.
fn way_out(error: &str) -> Option<&'static str> {
    const WAYS_OUT: [(&str, &str); 9] = [
        (
            "UnknownIssuer",
            "its certificate is of an authority that is not trusted: set HTTP.tls.ca_file to that authority",
        ),
        ("CaUsedAsEndEntity", "set HTTP.tls.ca_file to the authority of its certificate"),
        ("NotValidForName", "its certificate is for another name: ask it by a name that the certificate has"),
        ("Expired", "its certificate has expired: renew it"),
        ("CertificateRequired", "it wants a certificate: set HTTP.tls.cert_file and HTTP.tls.key_file"),
        ("UnknownCA", "it does not know the authority of the certificate in HTTP.tls.cert_file"),
        ("BadCertificate", "it does not take the certificate in HTTP.tls.cert_file"),
        ("ProxyAuth", "the proxy wants a user and a password: set HTTP.proxy_basic_auth"),
        ("InvalidContentType", "it does not speak TLS there: is the URL to begin with http?"),
    ];
    WAYS_OUT.iter().find(|(sign, _)| error.contains(sign)).map(|(_, way_out)| *way_out)
}
