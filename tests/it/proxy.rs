//! What stands between the agent and its backend: a real nginx with TLS, certificates of the test's own, and a forward
//! proxy.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::support::{Process, eventually, free_port, has, log_of};

/// The password that every [`Nginx`] wants at first, for the user `me`.
pub(crate) const PASSWORD: &str = "open sesame";

/// nginx where Debian has it, which is in no ordinary user's path.
const NGINX: [&str; 2] = ["nginx", "/usr/sbin/nginx"];

/// Whether nginx and what makes certificates can be run.
pub(crate) fn has_nginx() -> bool {
    let nginx = if Path::new(NGINX[1]).exists() { NGINX[1] } else { NGINX[0] };
    has(nginx) && has_openssl()
}

fn has_openssl() -> bool {
    // It knows `version` alone.
    let is_there =
        Command::new("openssl").arg("version").output().is_ok_and(|output| output.status.success());
    is_there || has("openssl")
}

/// An authority of the test's own, with what it has signed beside it.
pub(crate) struct Authority {
    folder: PathBuf,
    name: String,
}

impl Authority {
    pub(crate) fn new(folder: &Path, name: &str) -> Self {
        let authority = Self { folder: folder.to_owned(), name: name.to_owned() };
        let constraints = ["-addext", "basicConstraints=critical,CA:TRUE"];
        authority
            .request(name, &[constraints.as_slice(), &["-addext", "keyUsage=critical,keyCertSign"]].concat());
        authority
    }

    /// Its own certificate.
    pub(crate) fn file(&self) -> PathBuf {
        self.folder.join(format!("{}.pem", self.name))
    }

    /// Signs a certificate that is good for this host, for `backend.test` and for a client; gives it and its key.
    pub(crate) fn sign(&self, name: &str) -> (PathBuf, PathBuf) {
        let [own, key] = ["pem", "key"].map(|end| self.folder.join(format!("{}.{end}", self.name)));
        let [own, key] = [own, key].map(|path| path.to_str().unwrap().to_owned());
        let names = "subjectAltName=IP:127.0.0.1,DNS:backend.test";
        let constraints = "basicConstraints=critical,CA:FALSE";
        self.request(name, &["-CA", &own, "-CAkey", &key, "-addext", names, "-addext", constraints]);
        let [certificate, key] = ["pem", "key"].map(|end| self.folder.join(format!("{name}.{end}")));
        (certificate, key)
    }

    fn request(&self, name: &str, more: &[&str]) {
        let [certificate, key] = ["pem", "key"].map(|end| self.folder.join(format!("{name}.{end}")));
        let made = Command::new("openssl")
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"])
            .args(["-days", "2", "-subj", &format!("/CN={name}")])
            .arg("-keyout")
            .arg(key)
            .arg("-out")
            .arg(certificate)
            .args(more)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }
}

/// A running nginx: TLS, the path prefix `/metrics-api`, basic auth, and a tenant that must be `team-a`.
pub(crate) struct Nginx {
    process: Process,
    folder: PathBuf,
    pub(crate) port: u16,
}

impl Nginx {
    /// Starts in front of a backend, and waits until it listens. Where `clients` is given, it wants a certificate that
    /// this authority has signed.
    pub(crate) async fn start(
        folder: &Path,
        server: &(PathBuf, PathBuf),
        backend: &str,
        clients: Option<&Authority>,
    ) -> Self {
        std::fs::create_dir_all(folder).unwrap();
        set_password(folder, PASSWORD);
        let port = free_port();
        let process = Self::run(folder, &config(folder, server, backend, port, clients));
        let mut nginx = Self { process, folder: folder.to_owned(), port };
        nginx.listens().await;
        nginx
    }

    /// Ends it and starts it again with another authority for its clients.
    pub(crate) async fn restart(&mut self, server: &(PathBuf, PathBuf), backend: &str, clients: &Authority) {
        self.process.kill();
        self.process =
            Self::run(&self.folder, &config(&self.folder, server, backend, self.port, Some(clients)));
        self.listens().await;
    }

    fn run(folder: &Path, config: &str) -> Process {
        let file = folder.join("nginx.conf");
        std::fs::write(&file, config).unwrap();
        let program = NGINX.iter().rev().find(|program| Path::new(program).exists()).unwrap_or(&NGINX[0]);
        Process::start(
            Command::new(program)
                .arg("-c")
                .arg(&file)
                .arg("-p")
                .arg(folder)
                .stdout(log_of(folder, "nginx.out"))
                .stderr(log_of(folder, "nginx.err")),
        )
    }

    async fn listens(&mut self) {
        let port = self.port;
        eventually("nginx listens", || async { TcpStream::connect(("127.0.0.1", port)).await.ok() }).await;
        let said = || std::fs::read_to_string(self.folder.join("nginx.err")).unwrap_or_default();
        assert!(self.process.0.try_wait().unwrap().is_none(), "nginx has ended: {}", said());
    }

    pub(crate) fn url(&self) -> String {
        format!("https://127.0.0.1:{}/metrics-api", self.port)
    }

    /// Wants another password from now on.
    pub(crate) fn set_password(&self, password: &str) {
        set_password(&self.folder, password);
    }
}

fn set_password(folder: &Path, password: &str) {
    std::fs::write(folder.join("users"), format!("me:{{PLAIN}}{password}\n")).unwrap();
}

fn config(
    folder: &Path,
    (certificate, key): &(PathBuf, PathBuf),
    backend: &str,
    port: u16,
    clients: Option<&Authority>,
) -> String {
    let [folder, certificate, key] = [folder, certificate, key].map(|path| path.to_str().unwrap());
    let clients = clients.map_or(String::new(), |clients| {
        format!("ssl_client_certificate {}; ssl_verify_client on;", clients.file().display())
    });
    let spool: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|kind| format!("{kind}_temp_path {folder}/{kind};\n"))
        .concat();
    // One process, so that ending it ends it; as whoever runs the test, who alone may read the folder.
    let user = if is_root() { "user root;" } else { "" };
    format!(
        "daemon off; master_process off; {user} pid {folder}/nginx.pid; error_log stderr warn;
         events {{ }}
         http {{
             access_log off;
             {spool}
             server {{
                 listen 127.0.0.1:{port} ssl;
                 ssl_certificate {certificate};
                 ssl_certificate_key {key};
                 {clients}
                 location /metrics-api/ {{
                     if ($http_x_scope_orgid != 'team-a') {{ return 403; }}
                     auth_basic metrics;
                     auth_basic_user_file {folder}/users;
                     proxy_pass {backend}/;
                 }}
             }}
         }}"
    )
}

fn is_root() -> bool {
    std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").unwrap()) == 0
}

/// A forward proxy that knows one host, `backend.test`, which it finds on this one. It wants a user and a password.
pub(crate) struct ForwardProxy {
    pub(crate) url: String,
    /// Tunnels that it has opened.
    pub(crate) tunnels: Arc<AtomicUsize>,
}

impl ForwardProxy {
    /// Starts; `credentials` is what must come after `Basic`.
    pub(crate) async fn start(credentials: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let tunnels = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&tunnels);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(tunnel(stream, credentials, Arc::clone(&counted)));
            }
        });
        Self { url, tunnels }
    }
}

/// Serves one `CONNECT`.
async fn tunnel(mut client: TcpStream, credentials: &'static str, tunnels: Arc<AtomicUsize>) -> Option<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).ok()?;
    let port: u16 = head.strip_prefix("CONNECT backend.test:")?.split(' ').next()?.parse().ok()?;
    let is_known = head.lines().filter_map(|line| line.split_once(": ")).any(|(name, value)| {
        name.eq_ignore_ascii_case("proxy-authorization") && value == format!("Basic {credentials}")
    });
    if !is_known {
        client
            .write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n")
            .await
            .ok()?;
        return None;
    }
    let mut server = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.ok()?;
    tunnels.fetch_add(1, Ordering::SeqCst);
    tokio::io::copy_bidirectional(&mut client, &mut server).await.ok()?;
    Some(())
}
