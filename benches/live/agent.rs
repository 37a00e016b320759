//! The agent as its users run it.

use std::fmt;
use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use portent::runtime::Clock;

use super::load;
use crate::Setup;

/// Reading history takes so long at most.
const READY_WITHIN: Duration = Duration::from_secs(1800);
/// The kernel counts CPU time in hundredths of a second.
const TICKS_PER_SECOND: f64 = 100.0;

/// A running agent; it ends with this.
pub(crate) struct Agent {
    child: Child,
    folder: tempfile::TempDir,
    pub(crate) url: String,
}

/// Resident memory.
#[derive(Clone, Copy)]
pub(crate) struct Memory {
    now_mb: f64,
    most_mb: f64,
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} MB, most ever {:.1} MB", self.now_mb, self.most_mb)
    }
}

/// What it used in a time.
pub(crate) struct Spent {
    cpu_s: f64,
    samples: f64,
    lasted: Duration,
}

impl fmt::Display for Spent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = self.cpu_s / self.lasted.as_secs_f64() * 100.0;
        let each_us = self.cpu_s / self.samples.max(1.0) * 1e6;
        let Self { cpu_s, samples, .. } = self;
        write!(f, "{cpu_s:.2} s for {samples:.0} samples, {each_us:.2} µs each; {share:.1} % of a core")
    }
}

impl Agent {
    pub(crate) fn start(setup: &Setup, backend: SocketAddr) -> io::Result<Self> {
        let folder = tempfile::tempdir()?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let per_signal = setup.series_per_signal();
        let (step, interval, history) = (setup.step_s, setup.interval_s, &setup.history);
        let mut config = format!(
            "[source]\nurl = \"http://{backend}\"\nkind = \"prometheus\"\nseries_limit = {per_signal}\n\
             query_delay = \"0s\"\nrequests_per_second = 1000\ntimeout = \"60s\"\n\
             [signal_defaults]\nstep = \"{step}s\"\ninterval = \"{interval}s\"\ntracked_series = {per_signal}\n\
             [runtime]\nhistory = \"{history}\"\n"
        );
        for nth in 0..setup.signals {
            config.push_str(&format!("[signal.s{nth}]\nquery = \"recorded_{nth}\"\n"));
        }
        let file = folder.path().join("portent.toml");
        fs::write(&file, config)?;
        let child = Command::new(&setup.agent)
            .args(["run", "--config.file"])
            .arg(&file)
            .arg("--storage.path")
            .arg(folder.path().join("portent.db"))
            .args(["--web.listen-address", &format!("127.0.0.1:{port}")])
            .stderr(Stdio::from(fs::File::create(folder.path().join("log"))?))
            .stdout(Stdio::null())
            .spawn()?;
        Ok(Self { child, folder, url: format!("http://127.0.0.1:{port}") })
    }

    /// Waits until every signal has read its history.
    pub(crate) async fn ready(&mut self) -> Result<(), String> {
        let begun = Instant::now();
        loop {
            let because = match load::once(&format!("{}/-/ready", self.url)).await {
                Ok(_) => return Ok(()),
                Err(because) => because,
            };
            let has_ended = self.child.try_wait().map_err(|error| error.to_string())?.is_some();
            if has_ended || begun.elapsed() > READY_WITHIN {
                return Err(format!("the agent is not ready: {because}\n{}", self.log()));
            }
            Clock::real().sleep(Duration::from_millis(500)).await;
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// The id of some incident, where there is one.
    pub(crate) async fn an_incident(&self) -> Result<Option<String>, String> {
        let page = load::once(&format!("{}/api/v1/incidents?limit=1", self.url)).await?;
        let page: serde_json::Value = serde_json::from_slice(&page).unwrap_or_default();
        Ok(page["incidents"][0]["id"].as_str().map(str::to_owned))
    }

    pub(crate) fn memory(&self) -> Memory {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let mb = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kb = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
            kb.unwrap_or(f64::NAN) / 1024.0
        };
        Memory { now_mb: mb("VmRSS"), most_mb: mb("VmHWM") }
    }

    /// What it uses in a time in which nobody asks.
    pub(crate) async fn spend(&self, lasting: Duration) -> Result<Spent, String> {
        let judged = async || Ok::<f64, String>(judged(&load::metrics(&self.url).await?));
        let (samples, cpu_s) = (judged().await?, self.cpu_s());
        Clock::real().sleep(lasting).await;
        let (cpu_s, samples) = (self.cpu_s() - cpu_s, judged().await? - samples);
        Ok(Spent { cpu_s, samples, lasted: lasting })
    }

    /// User and system time so far.
    fn cpu_s(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap_or_default();
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields).split_whitespace();
        let ticks = fields.skip(11).take(2).filter_map(|field| field.parse::<f64>().ok());
        ticks.sum::<f64>() / TICKS_PER_SECOND
    }

    /// Ends it as a process manager does, and shows what it complained about.
    pub(crate) async fn stop(mut self) -> Result<(), String> {
        let id = self.child.id().to_string();
        let asked = Command::new("kill").args(["-INT", &id]).status().map_err(|error| error.to_string())?;
        let begun = Instant::now();
        while self.child.try_wait().map_err(|error| error.to_string())?.is_none() {
            if !asked.success() || begun.elapsed() > Duration::from_secs(20) {
                return Err("the agent does not stop".to_owned());
            }
            Clock::real().sleep(Duration::from_millis(50)).await;
        }
        let log = self.log();
        for line in
            log.lines().filter(|line| line.contains("level=warn") || line.contains("level=error")).take(10)
        {
            println!("the agent said: {line}");
        }
        Ok(())
    }
}

pub(crate) fn judged(metrics: &std::collections::BTreeMap<String, f64>) -> f64 {
    metrics.get("portent_samples_judged_total").copied().unwrap_or(0.0)
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
