//! The agent's own metrics: a registry that is passed in, and a catalogue of what is in it.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use prometheus_client::encoding::text::{encode_eof, encode_registry};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{self, Metric};

use super::process::{self, Process};

/// The media type of what [`Registry::encode`] gives: OpenMetrics text, which Prometheus has scraped since 2.5.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Every name starts with it and an underscore.
const PREFIX: &str = "portent";

/// The metrics of one agent. There is no global one: two agents in a process do not meet.
pub struct Registry {
    inner: registry::Registry,
    /// What every program exports, under the names that it has everywhere.
    process: registry::Registry,
    catalogue: Vec<Described>,
}

/// A metric as the reference shows it. The encoded text does not do for that: a family without series is not in it.
struct Described {
    name: String,
    kind: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
}

impl Registry {
    /// Starts with `portent_build_info` and what every program tells about its process.
    pub fn new() -> Self {
        let mut registry = Self {
            inner: registry::Registry::with_prefix(PREFIX),
            process: registry::Registry::default(),
            catalogue: Vec::new(),
        };
        registry.process.register_collector(Box::new(Process));
        registry.catalogue.extend(process::METRICS.iter().map(|metric| Described {
            name: metric.full_name.to_owned(),
            kind: type_name(metric.kind),
            labels: &[],
            help: metric.help,
        }));
        let version = vec![("version", Cow::Borrowed(env!("CARGO_PKG_VERSION")))];
        registry.register_family("build", &["version"], "The build that is running", Info::new(version));
        registry
    }

    /// Adds a metric without labels. Its owner keeps a clone: both share what they count.
    ///
    /// `name` has neither the prefix nor, for a counter, `_total`, nor, for an info, `_info`: those are put on here.
    /// `help` is a sentence without its full stop.
    pub fn register(&mut self, name: &str, help: &'static str, metric: impl Metric) {
        self.register_family(name, &[], help, metric);
    }

    /// Adds a family of metrics with the names of its labels, for the reference.
    pub fn register_family(
        &mut self,
        name: &str,
        labels: &'static [&'static str],
        help: &'static str,
        metric: impl Metric,
    ) {
        let kind = metric.metric_type();
        let full_name = full_name(name, kind);
        debug_assert!(
            is_plain(name),
            "the metric {name} has a suffix or a letter that is put on here or nowhere"
        );
        debug_assert!(
            self.catalogue.iter().all(|known| known.name != full_name),
            "the metric {name} is registered twice"
        );
        self.catalogue.push(Described { name: full_name, kind: type_name(kind), labels, help });
        self.inner.register(name, help, metric);
    }

    /// Everything as OpenMetrics text, for `/metrics`; see [`CONTENT_TYPE`].
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Writing to a `String` cannot fail; our metrics write nothing else.
        let _ = encode_registry(&mut text, &self.inner)
            .and_then(|()| encode_registry(&mut text, &self.process))
            .and_then(|()| encode_eof(&mut text));
        text
    }

    /// A Markdown table of every metric, in the order of their names.
    pub fn reference(&self) -> String {
        let mut rows: Vec<&Described> = self.catalogue.iter().collect();
        rows.sort_by(|a, b| a.name.cmp(&b.name));
        let mut table = "| metric | type | labels | what it tells |\n| --- | --- | --- | --- |\n".to_owned();
        for Described { name, kind, labels, help } in rows {
            let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
            let _ = writeln!(table, "| `{name}` | {kind} | {} | {help}. |", labels.join(", "));
        }
        table
    }
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Registry({} metrics)", self.catalogue.len())
    }
}

/// The name under which a metric is scraped.
fn full_name(name: &str, kind: MetricType) -> String {
    let suffix = match kind {
        MetricType::Counter => "_total",
        MetricType::Info => "_info",
        MetricType::Gauge | MetricType::Histogram | MetricType::Unknown => "",
    };
    format!("{PREFIX}_{name}{suffix}")
}

fn type_name(kind: MetricType) -> &'static str {
    match kind {
        MetricType::Counter => "counter",
        MetricType::Gauge => "gauge",
        MetricType::Histogram => "histogram",
        MetricType::Info => "info",
        MetricType::Unknown => "unknown",
    }
}

fn is_plain(name: &str) -> bool {
    let letters = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    letters && !name.starts_with("portent_") && !name.ends_with("_total") && !name.ends_with("_info")
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;
    use prometheus_client::metrics::family::Family;
    use prometheus_client::metrics::gauge::Gauge;
    use prometheus_client::metrics::histogram::Histogram;

    use super::*;

    #[test]
    fn names_come_out_with_prefix_and_total() {
        let mut registry = Registry::new();
        let (polls, queue) = (Counter::<u64>::default(), Gauge::<i64>::default());
        registry.register("polls", "Polls that were due", polls.clone());
        registry.register("queue_length", "Inputs that wait", queue.clone());
        polls.inc_by(2);
        queue.set(5);
        let text = registry.encode();
        let version = env!("CARGO_PKG_VERSION");
        for line in [
            &format!("portent_build_info{{version=\"{version}\"}} 1"),
            "# HELP portent_polls Polls that were due.",
            "# TYPE portent_polls counter",
            "portent_polls_total 2",
            "# TYPE portent_queue_length gauge",
            "portent_queue_length 5",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing in:\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn two_registries_in_one_process_do_not_meet() {
        let (counter, idle) = (Counter::<u64>::default(), Counter::<u64>::default());
        let [mut one, mut other] = [Registry::new(), Registry::new()];
        one.register("polls", "Polls that were due", counter.clone());
        other.register("polls", "Polls that were due", idle);
        counter.inc();
        assert!(one.encode().contains("portent_polls_total 1\n"));
        assert!(other.encode().contains("portent_polls_total 0\n"));
    }

    #[test]
    fn the_reference_has_every_metric_also_a_family_without_series() {
        let mut registry = Registry::new();
        registry.register("query_duration_seconds", "How long a query took", Histogram::new([0.1, 1.0]));
        let family = Family::<Vec<(String, String)>, Counter>::default();
        registry.register_family("query_failures", &["signal"], "Queries that failed", family);
        assert!(!registry.encode().contains("query_failures"));
        let ours: Vec<String> = registry
            .reference()
            .lines()
            .filter(|row| !row.contains("process_"))
            .map(|row| format!("{row}\n"))
            .collect();
        assert_eq!(
            ours.concat(),
            "| metric | type | labels | what it tells |\n\
             | --- | --- | --- | --- |\n\
             | `portent_build_info` | info | `version` | The build that is running. |\n\
             | `portent_query_duration_seconds` | histogram |  | How long a query took. |\n\
             | `portent_query_failures_total` | counter | `signal` | Queries that failed. |\n"
        );
    }

    #[test]
    #[cfg(debug_assertions)]
    #[should_panic(expected = "registered twice")]
    fn a_name_is_registered_once() {
        let mut registry = Registry::new();
        registry.register("polls", "Polls that were due", Counter::<u64>::default());
        registry.register("polls", "Polls that were due", Counter::<u64>::default());
    }
}
