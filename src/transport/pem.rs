//! Certificates and keys in PEM files: read with a limit, checked as a whole, and watched for change.

use std::io::Read as _;
use std::path::Path;
use std::time::SystemTime;

use reqwest::{Certificate, Identity};

use super::client::innermost;
use super::settings::ClientCertificate;
use crate::secret::read_private;

/// A bundle of all public authorities has a quarter of this.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// What tells that a file is another than it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    written: Option<SystemTime>,
    bytes: u64,
    node: u64,
}

impl Stamp {
    /// Looks at a file; `None` where there is none. A link is followed, as a mounted secret is a link that is turned.
    pub(super) fn of(file: &Path) -> Option<Self> {
        let seen = std::fs::metadata(file).ok()?;
        #[cfg(unix)]
        let node = std::os::unix::fs::MetadataExt::ino(&seen);
        #[cfg(not(unix))]
        let node = 0;
        Some(Self { written: seen.modified().ok(), bytes: seen.len(), node })
    }
}

/// The authorities in a file; at least one.
pub(super) fn authorities(file: &Path) -> Result<Vec<Certificate>, String> {
    let certificates = certificates(file)?;
    let built = reqwest::Client::builder().no_proxy().tls_certs_only(certificates.clone()).build();
    let shown = file.display();
    built.map(|_| certificates).map_err(|error| {
        let because = innermost(&error);
        format!("file {shown} has a certificate that cannot be used ({because}): give authorities in PEM")
    })
}

/// The certificates in a file; at least one.
pub(super) fn certificates(file: &Path) -> Result<Vec<Certificate>, String> {
    let shown = file.display();
    let found = Certificate::from_pem_bundle(&read(file)?).unwrap_or_default();
    if found.is_empty() {
        return Err(format!("file {shown} holds no certificate: give one that has BEGIN CERTIFICATE in it"));
    }
    Ok(found)
}

/// The text of a private key that others than its owner and group may not read.
pub(super) fn private_key(file: &Path) -> Result<Vec<u8>, String> {
    let text = read_private(file).map_err(|error| format!("{error}"))?;
    let has_key = text.contains("PRIVATE KEY-----");
    let shown = file.display();
    let way_out = "give one that has BEGIN PRIVATE KEY in it, without a password";
    has_key.then(|| text.into_bytes()).ok_or_else(|| format!("file {shown} holds no private key: {way_out}"))
}

/// A certificate and its key, which must belong together.
pub(super) fn identity(of: &ClientCertificate) -> Result<Identity, String> {
    let (key, certificate) = (private_key(&of.key_file)?, read(&of.cert_file)?);
    let together = [certificate.as_slice(), b"\n", key.as_slice()].concat();
    let identity = Identity::from_pem(&together).and_then(|identity| {
        let built =
            reqwest::Client::builder().no_proxy().tls_certs_only([]).identity(identity.clone()).build();
        built.map(|_| identity)
    });
    identity.map_err(|error| {
        let (key, certificate) = (of.key_file.display(), of.cert_file.display());
        let because = innermost(&error);
        format!(
            "file {key} is not the private key of the certificate in {certificate} ({because}): give a pair"
        )
    })
}

fn read(file: &Path) -> Result<Vec<u8>, String> {
    let shown = file.display();
    let refused = |error: std::io::Error| {
        format!("file {shown} cannot be read: {}: give a file that the agent may read", error.kind())
    };
    // Looked at before it is opened: opening a pipe would wait for its writer.
    if !std::fs::metadata(file).map_err(refused)?.is_file() {
        return Err(format!("file {shown} is no regular file: give a PEM file"));
    }
    let mut bytes = Vec::new();
    let opened = std::fs::File::open(file).map_err(refused)?;
    opened.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(refused)?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("file {shown} is larger than {FILE_BYTES_MAX} bytes: give a PEM file"));
    }
    Ok(bytes)
}
