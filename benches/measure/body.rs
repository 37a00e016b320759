//! Bodies of `query_range` in the very form in which Prometheus 2.42 writes them.

use std::fmt;
use std::fmt::Write as _;

/// What the series of a body look like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) labels: Labels,
    pub(crate) values: Values,
}

/// Which labels a series has.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Labels {
    /// `service` alone, as after `sum by (service)`.
    Service,
    /// Five and a name, as of a metric that was scraped.
    Scraped,
    /// Eleven and a name, as of a metric from Kubernetes.
    Kubernetes,
}

/// How its values are spelt.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Values {
    /// All digits of a float, as of `rate` and of quotients.
    Long,
    /// Three places.
    Short,
    /// Whole numbers.
    Whole,
    /// By series: long, short, whole, and below a millionth, which has an exponent.
    Mixed,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.labels {
            Labels::Service => "1 label, ",
            Labels::Scraped => "5 labels, ",
            Labels::Kubernetes => "11 labels, ",
        })?;
        f.write_str(match self.values {
            Values::Long => "long floats",
            Values::Short => "three places",
            Values::Whole => "whole numbers",
            Values::Mixed => "all spellings",
        })
    }
}

/// Writes the body with a value for each of these series at each of these times.
pub(crate) fn write(
    text: &mut String,
    shape: Shape,
    series: impl IntoIterator<Item = usize>,
    times_ms: &[i64],
) {
    text.clear();
    text.push_str(r#"{"status":"success","data":{"resultType":"matrix","result":["#);
    for (place, nth) in series.into_iter().enumerate() {
        text.push_str(if place == 0 { r#"{"metric":"# } else { r#",{"metric":"# });
        push_labels(text, shape.labels, nth);
        text.push_str(r#","values":["#);
        for (place, at_ms) in times_ms.iter().enumerate() {
            text.push_str(if place == 0 { "[" } else { ",[" });
            push_time(text, *at_ms);
            text.push_str(",\"");
            push_value(text, shape.values, nth, *at_ms);
            text.push_str("\"]");
        }
        text.push_str("]}");
    }
    text.push_str("]}}");
}

pub(crate) fn push_labels(text: &mut String, labels: Labels, nth: usize) {
    let (service, pod) = (nth / 5, nth);
    let _ = match labels {
        Labels::Service => write!(text, r#"{{"service":"service-{nth:05}"}}"#),
        Labels::Scraped => write!(
            text,
            r#"{{"__name__":"http_request_duration_seconds","instance":"10.0.{}.{}:9100","job":"shop","method":"GET","pod":"pod-{pod:05}","service":"service-{service:04}"}}"#,
            nth / 250,
            nth % 250,
        ),
        Labels::Kubernetes => write!(
            text,
            r#"{{"__name__":"container_cpu_usage_seconds_total","container":"app","cpu":"total","endpoint":"https-metrics","id":"/kubepods/burstable/pod{nth:08x}-5c1b-4e0a-9d4f-{nth:012x}/app","image":"registry.example.com/shop/app:1.{}.{}","instance":"10.0.{}.{}:10250","job":"kubelet","namespace":"shop","node":"node-{}","pod":"app-{service:04}-7d9c5b6f4-{pod:05}","service":"service-{service:04}"}}"#,
            nth % 7,
            nth % 31,
            nth / 250,
            nth % 250,
            nth % 40,
        ),
    };
}

/// Seconds; with three places where they are not whole.
pub(crate) fn push_time(text: &mut String, at_ms: i64) {
    let _ = match at_ms % 1000 {
        0 => write!(text, "{}", at_ms / 1000),
        ms => write!(text, "{}.{ms:03}", at_ms / 1000),
    };
}

pub(crate) fn push_value(text: &mut String, values: Values, nth: usize, at_ms: i64) {
    let noise = noise(nth as u64, at_ms as u64);
    // Rust spells the shortest digits that read back to the same number; so does Go, with an exponent of two digits below 1e-6.
    let _ = match (values, nth % 4) {
        (Values::Long, _) | (Values::Mixed, 0) => write!(text, "{}", 0.9 + 0.2 * noise),
        (Values::Short, _) | (Values::Mixed, 1) => {
            write!(text, "{}", (90_000.0 + 20_000.0 * noise).round() / 1000.0)
        }
        (Values::Whole, _) | (Values::Mixed, 2) => write!(text, "{:.0}", 9_000_000.0 + 2_000_000.0 * noise),
        (Values::Mixed, _) => write!(text, "{}", format!("{:e}", 9e-8 + 2e-8 * noise).replace("e-", "e-0")),
    };
}

/// From 0 to 1, of this series at this time.
fn noise(nth: u64, at: u64) -> f64 {
    let mixed = (nth << 40 ^ at).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    ((mixed ^ (mixed >> 32)) >> 11) as f64 / (1_u64 << 53) as f64
}
