//! A real Prometheus, with history that is there before it starts.

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use super::support::{Process, eventually, free_port, log_of};

/// A running Prometheus.
pub(crate) struct Prometheus {
    _process: Process,
    pub(crate) url: String,
}

impl Prometheus {
    /// Makes blocks of `openmetrics`, starts, and waits until it is ready. It scrapes `target` every `scrape_s` seconds.
    pub(crate) async fn start(folder: &Path, openmetrics: Option<&str>, target: &str, scrape_s: u32) -> Self {
        Self::scraping(folder, openmetrics, &[("demo", target)], scrape_s).await
    }

    /// As [`Prometheus::start`], with a job for each target; the target `self` is its own.
    pub(crate) async fn scraping(
        folder: &Path,
        openmetrics: Option<&str>,
        jobs: &[(&str, &str)],
        scrape_s: u32,
    ) -> Self {
        let data = folder.join("prometheus");
        std::fs::create_dir_all(&data).unwrap();
        if let Some(text) = openmetrics {
            let file = folder.join("history.om");
            std::fs::write(&file, text).unwrap();
            let made = Command::new("promtool")
                .args(["tsdb", "create-blocks-from", "openmetrics", "-q"])
                .args([&file, &data])
                .output()
                .unwrap();
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        }
        let port = free_port();
        let own = format!("127.0.0.1:{port}");
        let jobs: Vec<String> = jobs
            .iter()
            .map(|(job, target)| {
                let target = if *target == "self" { own.as_str() } else { target };
                format!(
                    "{{job_name: {job}, honor_labels: true, static_configs: [{{targets: ['{target}']}}]}}"
                )
            })
            .collect();
        let config = folder.join("prometheus.yml");
        std::fs::write(
            &config,
            format!(
                "global: {{scrape_interval: {scrape_s}s, scrape_timeout: {scrape_s}s}}\nscrape_configs: [{}]\n",
                jobs.join(", ")
            ),
        )
        .unwrap();
        let process = Process::start(
            Command::new("prometheus")
                .arg(format!("--config.file={}", config.display()))
                .arg(format!("--storage.tsdb.path={}", data.display()))
                .arg(format!("--web.listen-address=127.0.0.1:{port}"))
                .stdout(log_of(folder, "prometheus.out"))
                .stderr(log_of(folder, "prometheus.err")),
        );
        let url = format!("http://127.0.0.1:{port}");
        eventually("Prometheus is ready", || async {
            let reply = reqwest::get(format!("{url}/-/ready")).await.ok()?;
            reply.status().is_success().then_some(())
        })
        .await;
        Self { _process: process, url }
    }
}

/// Turns one scrape into OpenMetrics lines with a time, labelled as the scrape of [`Prometheus`] would label them.
pub(crate) fn stamp(exposition: &str, target: &str, at_ms: i64, into: &mut String) {
    for line in exposition.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let own = format!("instance=\"{target}\",job=\"demo\"");
        let series = match series.split_once('{') {
            Some((name, labels)) => format!("{name}{{{own},{labels}"),
            None => format!("{series}{{{own}}}"),
        };
        writeln!(into, "{series} {value} {}.{:03}", at_ms / 1000, at_ms % 1000).unwrap();
    }
}
