//! Where the API listens.

use std::net::SocketAddr;

/// Where the API listens and what it calls itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Address and port; loopback unless a person says otherwise.
    pub listen_address: SocketAddr,
    /// The URL under which people reach it, for links; made from the address where it is missing.
    pub external_url: Option<String>,
    /// The path before every route, such as `/portent`; empty for none.
    pub route_prefix: String,
}
