//! How every HTTP client of the agent connects and shows who it is: one block of settings, one way to a ready client.
//!
//! Nothing is taken from the environment: no proxy, no key. No redirect is followed. Secrets are read anew for each
//! request; certificates are looked at for each request and read again when they changed.

mod client;
mod headers;
mod pem;
mod settings;
#[cfg(test)]
mod tests;

pub use self::client::{Destination, Ready, Transport, TransportError, innermost};
pub use self::settings::{Authorization, ClientCertificate, Mistake, Proxy, Settings, Tls};
