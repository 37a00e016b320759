//! The certificate of the listener as it stands now.
//!
//! The files are read again for each handshake. While they don't fit each other, as in the middle of a rotation, the
//! certificate of before stays in use: it was good a moment ago, and no certificate would mean no API.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig, version};
use tracing::{error, info};

use super::metrics::Metrics;
use super::private_file::{read_private, read_public};
use super::settings::TlsSettings;
use crate::id::Digest;

/// A chain has about 2 KB a certificate, a file of authorities some hundred KB.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// The files of the certificate, watched.
pub(super) struct Certificates {
    settings: TlsSettings,
    seen: Mutex<Seen>,
    metrics: Metrics,
}

struct Seen {
    /// The hash of the files' bytes; `None` where they could not be read.
    content: Option<Digest>,
    /// What was told of them last.
    error: Option<TlsError>,
    /// What was made of them when they were last sound.
    config: Arc<ServerConfig>,
}

/// Files that make no certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} {because}", path.display())]
pub struct TlsError {
    /// The key of `[api.tls]` whose file it is.
    pub key: &'static str,
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it, and a way out. Quotes nothing from the file.
    pub because: String,
}

/// The bytes of all files.
struct Files {
    cert: Vec<u8>,
    key: Vec<u8>,
    client_ca: Option<Vec<u8>>,
}

impl Certificates {
    /// Reads the files for the first time.
    ///
    /// # Errors
    /// Where they make no certificate.
    pub(super) fn open(settings: &TlsSettings, metrics: Metrics) -> Result<Self, TlsError> {
        let files = Files::read(settings)?;
        let config = Arc::new(configured(settings, &files)?);
        metrics.certificate_usable.set(1);
        let seen = Seen { content: Some(files.digest()), error: None, config };
        Ok(Self { settings: settings.clone(), seen: Mutex::new(seen), metrics })
    }

    /// What the next handshake goes by.
    pub(super) fn config(&self) -> Arc<ServerConfig> {
        let files = Files::read(&self.settings);
        let content = files.as_ref().ok().map(Files::digest);
        // Whoever panicked while holding it has left a state that is whole.
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if content.is_some() && content == seen.content {
            return Arc::clone(&seen.config);
        }
        seen.content = content;
        match files.and_then(|files| configured(&self.settings, &files)) {
            Ok(config) => {
                info!("the listener has a new certificate");
                self.metrics.certificate_usable.set(1);
                seen.error = None;
                seen.config = Arc::new(config);
            }
            Err(error) => {
                self.metrics.certificate_usable.set(0);
                if seen.error.as_ref() != Some(&error) {
                    error!(error = %error, "the certificate of before stays in use: {error}");
                }
                seen.error = Some(error);
            }
        }
        Arc::clone(&seen.config)
    }
}

impl TlsSettings {
    /// Checks that the files make a certificate.
    ///
    /// # Errors
    /// Names the file that does not fit.
    pub fn check(&self) -> Result<(), TlsError> {
        configured(self, &Files::read(self)?).map(drop)
    }

    fn error(key: &'static str, path: &Path, because: impl Into<String>) -> TlsError {
        TlsError { key, path: path.to_owned(), because: because.into() }
    }
}

impl Files {
    fn read(settings: &TlsSettings) -> Result<Self, TlsError> {
        let at = |key, path| move |because: String| TlsSettings::error(key, path, because);
        let TlsSettings { cert_file, key_file, client_ca_file } = settings;
        let cert = read_public(cert_file, FILE_BYTES_MAX).map_err(at("cert_file", cert_file))?;
        let key = read_private(key_file, FILE_BYTES_MAX).map_err(at("key_file", key_file))?;
        let client_ca = match client_ca_file {
            Some(path) => Some(read_public(path, FILE_BYTES_MAX).map_err(at("client_ca_file", path))?),
            None => None,
        };
        Ok(Self { cert, key, client_ca })
    }

    fn digest(&self) -> Digest {
        Digest::of(&[&self.cert, &self.key, self.client_ca.as_deref().unwrap_or_default()])
    }
}

fn configured(settings: &TlsSettings, files: &Files) -> Result<ServerConfig, TlsError> {
    let TlsSettings { cert_file, key_file, .. } = settings;
    let chain =
        certificates(&files.cert).map_err(|because| TlsSettings::error("cert_file", cert_file, because))?;
    let key = PrivateKeyDer::from_pem_slice(&files.key).map_err(|_| {
        let because = "holds no private key that is not encrypted: give one as PEM (PKCS#8, PKCS#1 or SEC1)";
        TlsSettings::error("key_file", key_file, because)
    })?;
    // The same provider as the agent's clients have.
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&version::TLS13, &version::TLS12])
        .map_err(|error| TlsSettings::error("cert_file", cert_file, error.to_string()))?;
    let builder = match (&settings.client_ca_file, &files.client_ca) {
        (Some(path), Some(pem)) => {
            let refused = |because: String| TlsSettings::error("client_ca_file", path, because);
            let mut roots = RootCertStore::empty();
            for certificate in certificates(pem).map_err(refused)? {
                roots.add(certificate).map_err(|error| refused(format!("holds no authority: {error}")))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
            builder.with_client_cert_verifier(verifier.map_err(|error| refused(error.to_string()))?)
        }
        (_, _) => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|error| {
        let because = format!("does not fit {}: {error}", key_file.display());
        TlsSettings::error("cert_file", cert_file, because)
    })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let way_out = "give certificates as PEM (-----BEGIN CERTIFICATE-----)";
    match CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>() {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) => Err(format!("holds no certificate: {way_out}")),
        Err(_) => Err(format!("holds what is no certificate: {way_out}")),
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificates({})", self.settings.cert_file.display())
    }
}
