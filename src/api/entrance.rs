//! What the API needs from outside before it lets anybody in: its keys, its certificate, and what counts both.

use std::sync::Arc;

use super::Settings;
use super::keyring::{Keyring, KeysError};
use super::metrics::Metrics;
use super::serve::CONNECTIONS_MAX;
use super::tls::{Certificates, TlsError};
use crate::telemetry::Registry;

/// The keys and the certificate of the API, each read again when its files change.
#[derive(Debug, Clone)]
pub struct Entrance {
    pub(super) keyring: Option<Arc<Keyring>>,
    pub(super) certificates: Option<Arc<Certificates>>,
    pub(super) metrics: Metrics,
    pub(super) connections_max: usize,
}

/// An API that can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum EntranceError {
    /// Other machines would reach it without a key, and nobody said that they may.
    #[error(transparent)]
    Unguarded(#[from] Unguarded),
    /// The keys can't be used.
    #[error("api.keys_file: {0}")]
    Keys(#[from] KeysError),
    /// The certificate can't be used.
    #[error("api.tls: {0}")]
    Tls(#[from] TlsError),
}

/// Other machines would reach the API without a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0} can be reached from other machines and there are no API keys: listen on 127.0.0.1, or make keys with \
     `portent key new` and set api.keys_file, or set api.allow_without_keys = true (--web.allow-without-keys) \
     where something else keeps others out"
)]
pub struct Unguarded(pub std::net::SocketAddr);

impl Settings {
    /// Checks that not everybody on the network may do everything by accident.
    ///
    /// # Errors
    /// Where they could.
    pub fn check_guarded(&self) -> Result<(), Unguarded> {
        let is_guarded = self.keys_file.is_some() || self.allow_without_keys;
        if is_guarded || super::hosts::is_loopback(self.listen_address) {
            return Ok(());
        }
        Err(Unguarded(self.listen_address))
    }
}

impl Entrance {
    /// Reads keys and certificate for the first time.
    ///
    /// # Errors
    /// Where one can't be used, or where there should be keys and are none.
    pub fn open(settings: &Settings, registry: &mut Registry) -> Result<Self, EntranceError> {
        settings.check_guarded()?;
        let metrics = Metrics::new(registry);
        let keys = settings.keys_file.as_ref().map(|path| Keyring::open(path, metrics.clone()));
        let tls = settings.tls.as_ref().map(|tls| Certificates::open(tls, metrics.clone()));
        Ok(Self {
            keyring: keys.transpose()?.map(Arc::new),
            certificates: tls.transpose()?.map(Arc::new),
            metrics,
            connections_max: CONNECTIONS_MAX,
        })
    }
}
