//! What every program that Prometheus scrapes tells about its process, under the names that it has everywhere:
//! dashboards and alerts of other people look for them. Read from `/proc` at each scrape; nothing elsewhere.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

/// One metric of the process.
#[derive(Debug)]
pub(super) struct ProcessMetric {
    /// The name under which it is scraped.
    pub(super) full_name: &'static str,
    pub(super) kind: MetricType,
    pub(super) help: &'static str,
    of: fn(&Reading) -> f64,
}

/// All of them.
pub(super) const METRICS: &[ProcessMetric] = &[
    ProcessMetric {
        full_name: "process_cpu_seconds_total",
        kind: MetricType::Counter,
        help: "Processor time that the process has used, in user and in system mode",
        of: |reading| reading.cpu_seconds,
    },
    ProcessMetric {
        full_name: "process_resident_memory_bytes",
        kind: MetricType::Gauge,
        help: "Memory of the process that is in RAM",
        of: |reading| reading.resident_bytes,
    },
    ProcessMetric {
        full_name: "process_open_fds",
        kind: MetricType::Gauge,
        help: "File descriptors that are open",
        of: |reading| reading.open_fds,
    },
    ProcessMetric {
        full_name: "process_max_fds",
        kind: MetricType::Gauge,
        help: "File descriptors that may be open",
        of: |reading| reading.max_fds,
    },
    ProcessMetric {
        full_name: "process_start_time_seconds",
        kind: MetricType::Gauge,
        help: "When the process began, as Unix time",
        of: |reading| reading.start_time_seconds,
    },
];

/// The process as it stands at one moment.
#[derive(Debug)]
struct Reading {
    cpu_seconds: f64,
    resident_bytes: f64,
    open_fds: f64,
    max_fds: f64,
    start_time_seconds: f64,
}

/// Reads `/proc/self` when it is scraped.
#[derive(Debug)]
pub(super) struct Process;

impl Collector for Process {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        // Where `/proc` is hidden these metrics are absent, which tells more than a zero.
        let Some(reading) = read() else { return Ok(()) };
        for metric in METRICS {
            let value = (metric.of)(&reading);
            let name = metric.full_name.trim_end_matches("_total");
            let help = format!("{}.", metric.help);
            let into = encoder.encode_descriptor(name, &help, None, metric.kind)?;
            match metric.kind {
                MetricType::Counter => ConstCounter::new(value).encode(into)?,
                MetricType::Gauge | MetricType::Histogram | MetricType::Info | MetricType::Unknown => {
                    ConstGauge::new(value).encode(into)?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(target_os = "linux")]
fn read() -> Option<Reading> {
    use procfs::WithCurrentSystemInfo as _;
    use procfs::process::LimitValue;

    let process = procfs::process::Process::myself().ok()?;
    let stat = process.stat().ok()?;
    let per_second = procfs::ticks_per_second() as f64;
    let max_fds = match process.limits().ok()?.max_open_files.soft_limit {
        LimitValue::Value(most) => most as f64,
        LimitValue::Unlimited => f64::INFINITY,
    };
    Some(Reading {
        cpu_seconds: stat.utime.saturating_add(stat.stime) as f64 / per_second,
        resident_bytes: stat.rss_bytes().get() as f64,
        open_fds: process.fd_count().ok()? as f64,
        max_fds,
        start_time_seconds: procfs::boot_time_secs().ok()? as f64 + stat.starttime as f64 / per_second,
    })
}

#[cfg(not(target_os = "linux"))]
fn read() -> Option<Reading> {
    None
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use super::*;
    use crate::telemetry::Registry;

    #[expect(clippy::disallowed_methods, reason = "the process began before now")]
    fn now_seconds() -> f64 {
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64()
    }

    fn value(text: &str, name: &str) -> f64 {
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} ")));
        line.unwrap_or_else(|| panic!("{name} is missing in:\n{text}")).parse().unwrap()
    }

    #[test]
    fn the_process_tells_what_it_uses() {
        let text = Registry::new().encode();
        for metric in METRICS {
            assert!(value(&text, metric.full_name).is_finite(), "{metric:?}");
        }
        let resident = value(&text, "process_resident_memory_bytes");
        assert!((1e5..1e11).contains(&resident), "{resident} bytes");
        let age = now_seconds() - value(&text, "process_start_time_seconds");
        // The kernel counts from a boot time in whole seconds.
        assert!((-2.0..1e6).contains(&age), "began {age} s ago");
        assert!(value(&text, "process_open_fds") <= value(&text, "process_max_fds"));
        assert_eq!(text.matches("# EOF").count(), 1);
        assert!(text.contains("# TYPE process_cpu_seconds counter\n"), "{text}");
    }

    #[test]
    fn processor_time_grows_with_work() {
        let before = read().unwrap().cpu_seconds;
        let mut sum = 0_u64;
        while read().unwrap().cpu_seconds <= before {
            sum = (0..1_000_000_u64).fold(sum, |sum, n| sum.wrapping_mul(31).wrapping_add(n));
        }
        std::hint::black_box(sum);
    }

    #[test]
    fn memory_that_is_held_is_counted() {
        let before = read().unwrap().resident_bytes;
        let held = vec![1_u8; 64 << 20];
        let grown = read().unwrap().resident_bytes - before;
        assert!(grown > 32e6, "64 MiB are held and {grown} bytes more are counted, with {} held", held.len());
    }
}
