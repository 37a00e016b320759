//! A real VictoriaMetrics.

use std::path::Path;
use std::process::Command;

use super::support::{Process, eventually, free_port, log_of};

/// A running VictoriaMetrics.
pub(crate) struct Victoria {
    _process: Process,
    pub(crate) url: String,
}

impl Victoria {
    /// Starts, waits until it is ready, and takes in what [`super::prometheus::Prometheus`] would be started with.
    pub(crate) async fn start(folder: &Path, openmetrics: &str) -> Self {
        let port = free_port();
        let process = Process::start(
            Command::new("victoria-metrics")
                .arg(format!("-storageDataPath={}", folder.join("victoria").display()))
                .arg(format!("-httpListenAddr=127.0.0.1:{port}"))
                .arg("-retentionPeriod=1")
                .stdout(log_of(folder, "victoria.out"))
                .stderr(log_of(folder, "victoria.err")),
        );
        let url = format!("http://127.0.0.1:{port}");
        eventually("VictoriaMetrics is ready", || async {
            let reply = reqwest::get(format!("{url}/health")).await.ok()?;
            reply.status().is_success().then_some(())
        })
        .await;
        let client = reqwest::Client::new();
        let import =
            client.post(format!("{url}/api/v1/import/prometheus")).body(in_milliseconds(openmetrics));
        assert!(import.send().await.unwrap().status().is_success());
        // What was taken in shows only after it was flushed.
        reqwest::get(format!("{url}/internal/force_flush")).await.unwrap();
        Self { _process: process, url }
    }
}

/// Turns OpenMetrics, whose times are seconds with three decimals here, into the older text, whose are milliseconds.
fn in_milliseconds(openmetrics: &str) -> String {
    let lines = openmetrics.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (sample, at) = line.rsplit_once(' ').unwrap();
            format!("{sample} {}\n", at.replace('.', ""))
        })
        .collect()
}
