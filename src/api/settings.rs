//! Where the API listens, and whom it answers.

use std::net::SocketAddr;
use std::path::PathBuf;

/// Where the API listens, what it calls itself, and whom it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Address and port; loopback unless a person says otherwise.
    pub listen_address: SocketAddr,
    /// The URL under which people reach it, for links; made from the address where it is missing.
    pub external_url: Option<String>,
    /// The path before every route, such as `/portent`; empty for none.
    pub route_prefix: String,
    /// The file of its keys; without one, anybody who reaches it may do everything.
    pub keys_file: Option<PathBuf>,
    /// Whether it may be reached from other machines without keys.
    pub allow_without_keys: bool,
    /// Further names under which it may be asked, in lower case.
    pub allowed_hosts: Vec<String>,
    /// The files for TLS; plain HTTP without.
    pub tls: Option<TlsSettings>,
}

/// The files with which the listener speaks TLS. Each is read again for each handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsSettings {
    /// The certificate and those between it and the root, as PEM.
    pub cert_file: PathBuf,
    /// The certificate's private key, as PEM.
    pub key_file: PathBuf,
    /// The authorities of which clients need a certificate, as PEM; none for clients without.
    pub client_ca_file: Option<PathBuf>,
}

impl Settings {
    /// Plain HTTP at an address, without keys.
    pub fn at(listen_address: SocketAddr) -> Self {
        Self {
            listen_address,
            external_url: None,
            route_prefix: String::new(),
            keys_file: None,
            allow_without_keys: false,
            allowed_hosts: Vec::new(),
            tls: None,
        }
    }
}
