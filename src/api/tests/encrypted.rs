//! The listener with TLS, and its certificate while it is exchanged.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use reqwest::{Certificate, Client, ClientBuilder, Identity};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::server::{Server, settings};
use crate::api::{Settings, TlsSettings};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate of this machine and its key, as PEM.
fn issued(authority: &Authority) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    (params.signed_by(&key, authority).unwrap().pem(), key.serialize_pem())
}

fn put(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn client(authority: &Authority) -> ClientBuilder {
    let root = Certificate::from_pem(authority.pem().as_bytes()).unwrap();
    Client::builder().no_proxy().tls_certs_only([root])
}

struct Encrypted {
    server: Server,
    folder: TempDir,
}

impl Encrypted {
    async fn start(authority: &Authority, clients: Option<&Authority>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (cert, key) = issued(authority);
        let file = |name: &str| folder.path().join(name);
        put(&file("cert.pem"), &cert);
        put(&file("key.pem"), &key);
        clients.iter().for_each(|clients| put(&file("clients.pem"), &clients.pem()));
        let tls = TlsSettings {
            cert_file: file("cert.pem"),
            key_file: file("key.pem"),
            client_ca_file: clients.map(|_| file("clients.pem")),
        };
        let server = Server::start_with(Settings { tls: Some(tls), ..settings() }).await;
        Self { server, folder }
    }

    fn put(&self, name: &str, text: &str) {
        put(&self.folder.path().join(name), text);
    }

    /// Asks over a connection of its own.
    async fn ask(&self, client: ClientBuilder) -> Result<String, reqwest::Error> {
        client.build().unwrap().get(format!("{}/metrics", self.server.url)).send().await?.text().await
    }

    fn address(&self) -> &str {
        self.server.url.strip_prefix("https://").unwrap()
    }
}

#[tokio::test]
async fn it_speaks_tls_to_who_trusts_it_and_nothing_else() {
    let (own, other) = (authority(), authority());
    let encrypted = Encrypted::start(&own, None).await;
    let metrics = encrypted.ask(client(&own)).await.unwrap();
    assert!(metrics.contains("portent_api_tls_certificate_usable 1\n"), "{metrics}");
    assert!(encrypted.ask(client(&other)).await.is_err());
    let mut plain = TcpStream::connect(encrypted.address()).await.unwrap();
    plain.write_all(b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer).await;
    assert!(!String::from_utf8_lossy(&answer).contains("healthy"));
    let metrics = encrypted.ask(client(&own)).await.unwrap();
    assert!(metrics.contains("portent_api_tls_handshakes_failed_total 2\n"), "{metrics}");
}

#[tokio::test]
async fn a_new_certificate_is_taken_and_a_broken_one_is_not() {
    let (first, second) = (authority(), authority());
    let encrypted = Encrypted::start(&first, None).await;
    assert!(encrypted.ask(client(&first)).await.is_ok());
    let (cert, key) = issued(&second);
    // Half of the exchange: the certificate does not fit the key.
    encrypted.put("cert.pem", &cert);
    let metrics = encrypted.ask(client(&first)).await.unwrap();
    assert!(metrics.contains("portent_api_tls_certificate_usable 0\n"), "{metrics}");
    encrypted.put("key.pem", &key);
    assert!(encrypted.ask(client(&second)).await.unwrap().contains("portent_api_tls_certificate_usable 1\n"));
    assert!(encrypted.ask(client(&first)).await.is_err());
    for broken in ["", "no PEM", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"] {
        encrypted.put("cert.pem", broken);
        assert!(
            encrypted.ask(client(&second)).await.unwrap().contains("portent_api_tls_certificate_usable 0\n")
        );
    }
}

#[tokio::test]
async fn clients_need_a_certificate_where_authorities_are_set() {
    let (own, clients) = (authority(), authority());
    let encrypted = Encrypted::start(&own, Some(&clients)).await;
    assert!(encrypted.ask(client(&own)).await.is_err());
    let identity = |authority: &Authority| {
        let (cert, key) = issued(authority);
        Identity::from_pem(format!("{cert}{key}").as_bytes()).unwrap()
    };
    assert!(encrypted.ask(client(&own).identity(identity(&own))).await.is_err());
    assert!(encrypted.ask(client(&own).identity(identity(&clients))).await.is_ok());
}

#[tokio::test]
async fn a_silent_handshake_holds_up_nobody_and_ends() {
    let own = authority();
    let encrypted = Encrypted::start(&own, None).await;
    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.push(TcpStream::connect(encrypted.address()).await.unwrap());
    }
    assert!(encrypted.ask(client(&own)).await.is_ok());
    tokio::time::pause();
    for stream in &mut silent {
        // It ends only when the server closes the connection.
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        assert!(rest.is_empty());
    }
}
