//! What every test of this crate stands on.

use std::collections::BTreeSet;
use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use portent_demo_service::{Clock, World};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// A process that ends with the test, whatever happens in between.
pub(crate) struct Process(pub(crate) Child);

impl Process {
    pub(crate) fn start(command: &mut Command) -> Self {
        Self(command.spawn().expect("the program starts"))
    }

    /// Sends it a signal, such as `HUP`.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.0.id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &id]).status().unwrap().success());
    }

    /// Waits until it has ended by itself.
    pub(crate) async fn ended(&mut self) -> std::process::ExitStatus {
        eventually("the process ends", || {
            let status = self.0.try_wait().unwrap();
            async move { status }
        })
        .await
    }

    /// Ends it as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port that was free a moment ago, for programs that cannot tell which one they took. None is given twice, as the
/// first to get it may not listen yet.
pub(crate) fn free_port() -> u16 {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    let port = || std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut given = GIVEN.lock().unwrap();
    (0..100).map(|_| port()).find(|port| given.insert(*port)).unwrap()
}

/// Whether a program can be run; says loudly what is left out where it cannot, and fails where nothing may be left out.
pub(crate) fn has(program: &str) -> bool {
    // nginx knows `-v` alone.
    let asking = if program.ends_with("nginx") { "-v" } else { "--version" };
    let found = Command::new(program).arg(asking).stdout(Stdio::null()).stderr(Stdio::null()).status();
    let has = found.is_ok_and(|status| status.success());
    if !has {
        eprintln!("\n*** SKIPPED: {program} is not installed; `make test` installs it where it can ***\n");
        assert!(std::env::var_os("CI").is_none(), "{program} must be there in CI");
    }
    has
}

/// The time between two looks of [`eventually`].
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

/// Looks again and again until `seen` gives something, for a minute at most. Looks are a little apart, so that what is
/// looked at has the processor; how long it takes is decided by what is seen, never by a fixed time.
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut seen: impl FnMut() -> F,
) -> T {
    let (begun, clock) = (Instant::now(), portent::runtime::Clock::real());
    loop {
        if let Some(found) = seen().await {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_secs(60), "not seen within a minute: {what}");
        clock.sleep(BETWEEN_LOOKS).await;
    }
}

/// Writes a secret, which only its owner may read.
pub(crate) fn write_private(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// A demo-service of the test's own.
pub(crate) struct Demo {
    pub(crate) address: SocketAddr,
    cancel: CancellationToken,
}

impl Demo {
    pub(crate) async fn start(world: World, clock: Clock) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let cancel = CancellationToken::new();
        tokio::spawn(portent_demo_service::serve(listener, world, clock, cancel.clone()));
        Self { address, cancel }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

/// The real time in milliseconds.
pub(crate) fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_millis()).unwrap()
}

pub(crate) fn real_clock() -> Clock {
    Arc::new(now_ms)
}

/// The agent as a process of its own.
pub(crate) struct Agent {
    pub(crate) process: Process,
    pub(crate) url: String,
}

impl Agent {
    /// Starts the binary with a config file; logs go to a file in the same folder.
    pub(crate) fn start(folder: &Path, config: &str) -> Self {
        let port = free_port();
        let file = folder.join("portent.toml");
        std::fs::write(&file, config).unwrap();
        let log = std::fs::OpenOptions::new().create(true).append(true).open(folder.join("log")).unwrap();
        let process = Process::start(
            Command::new(env!("CARGO_BIN_EXE_portent"))
                .arg("run")
                .arg(format!("--config.file={}", file.display()))
                .arg(format!("--storage.path={}", folder.join("portent.db").display()))
                .arg(format!("--web.listen-address=127.0.0.1:{port}"))
                .stderr(log),
        );
        Self { process, url: format!("http://127.0.0.1:{port}") }
    }

    pub(crate) async fn get(&self, path: &str) -> Option<Value> {
        let reply = reqwest::get(format!("{}{path}", self.url)).await.ok()?;
        reply.json().await.ok()
    }

    /// Waits until it says that it is ready.
    pub(crate) async fn ready(&self) {
        eventually("the agent is ready", || async {
            let reply = reqwest::get(format!("{}/-/ready", self.url)).await.ok()?;
            reply.status().is_success().then_some(())
        })
        .await;
    }

    /// Its incidents, each whole, the newest first; `None` while it does not answer.
    pub(crate) async fn incidents(&self) -> Option<Vec<Value>> {
        let list = self.get("/api/v1/incidents?limit=200").await?;
        Some(list.get("incidents")?.as_array()?.clone())
    }
}

/// Where a program's output of this test crate goes.
pub(crate) fn log_of(folder: &Path, name: &str) -> Stdio {
    let path: PathBuf = folder.join(name);
    std::fs::File::create(path).unwrap().into()
}
