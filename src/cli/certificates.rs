//! The certificates with which a command asks a running agent.

use std::path::Path;

use anyhow::Context as _;
use reqwest::{Certificate, ClientBuilder, Identity};

/// Has a client trust only the authorities in a file, where one is given, and show the certificate in another.
///
/// # Errors
/// Names the flag and the file that can't be used.
pub(super) fn with_certificates(
    mut builder: ClientBuilder,
    ca_file: Option<&Path>,
    client_cert_file: Option<&Path>,
) -> anyhow::Result<ClientBuilder> {
    if let Some(path) = ca_file {
        let shown = path.display();
        let bytes = std::fs::read(path).with_context(|| format!("--ca-file {shown}"))?;
        let found = Certificate::from_pem_bundle(&bytes).ok().filter(|found| !found.is_empty());
        let found = found.with_context(|| format!("--ca-file {shown} holds no certificate as PEM"))?;
        builder = builder.tls_certs_only(found);
    }
    if let Some(path) = client_cert_file {
        let shown = path.display();
        let bytes = std::fs::read(path).with_context(|| format!("--client-cert-file {shown}"))?;
        let identity = Identity::from_pem(&bytes).with_context(|| {
            format!("--client-cert-file {shown} needs a certificate and its private key as PEM")
        })?;
        builder = builder.identity(identity);
    }
    Ok(builder)
}
