//! Names: signals, services, labels, and the key that identifies a series on disk.

use std::fmt;
use std::sync::Arc;

use crate::id::Fingerprint;

/// The name of a signal, as its table in the config is called: `error_rate`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SignalName(Arc<str>);

impl SignalName {
    /// Takes a name as it stands.
    pub fn new(name: &str) -> Self {
        Self(Arc::from(name))
    }

    /// The bare text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SignalName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The service that a series belongs to, by the label that the config names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Service(Arc<str>);

impl Service {
    /// Takes a name as it stands.
    pub fn new(name: &str) -> Self {
        Self(Arc::from(name))
    }

    /// The bare text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Labels sorted by name, each name once.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Labels(Box<[(Box<str>, Box<str>)]>);

impl Labels {
    /// Sorts the pairs; of two with the same name the later one stays. Empty values are dropped, as Prometheus holds
    /// a label without a value to be absent.
    pub fn new<N: Into<Box<str>>, V: Into<Box<str>>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let mut by_name = std::collections::BTreeMap::new();
        for (name, value) in pairs {
            by_name.insert(name.into(), value.into());
        }
        by_name.retain(|_, value: &mut Box<str>| !value.is_empty());
        Self(by_name.into_iter().collect())
    }

    /// The value of a label, where it is there.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(n, _)| *n == name).map(|(_, value)| value)
    }

    /// The pairs in order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_ref(), value.as_ref()))
    }
}

impl fmt::Display for Labels {
    /// As PromQL writes them: `{code="500", service="checkout"}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (place, (name, value)) in self.iter().enumerate() {
            let comma = if place == 0 { "" } else { ", " };
            write!(f, "{comma}{name}={value:?}")?;
        }
        f.write_str("}")
    }
}

/// Identifies a series: its signal and its sorted labels, with a 128-bit hash of both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesKey {
    /// The signal whose query returned it.
    pub signal: SignalName,
    /// The service that it belongs to.
    pub service: Service,
    /// All its labels but the metric's name.
    pub labels: Labels,
    /// The hash of signal and labels: the same in every process.
    pub hash: Fingerprint,
}

impl SeriesKey {
    /// Makes a key and computes its hash.
    pub fn new(signal: SignalName, service: Service, labels: Labels) -> Self {
        let mut parts: Vec<&[u8]> = vec![b"series", signal.as_str().as_bytes()];
        for (name, value) in labels.iter() {
            parts.push(name.as_bytes());
            parts.push(value.as_bytes());
        }
        let hash = Fingerprint::of(&parts);
        Self { signal, service, labels, hash }
    }
}

impl fmt::Display for SeriesKey {
    /// `checkout/latency_p95`, with the labels where the service alone does not tell.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.service, self.signal)?;
        if self.labels.iter().any(|(_, value)| value != self.service.as_str()) {
            write!(f, "{}", self.labels)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(pairs: &[(&str, &str)]) -> SeriesKey {
        SeriesKey::new(SignalName::new("cpu"), Service::new("a"), Labels::new(pairs.iter().copied()))
    }

    #[test]
    fn the_order_of_labels_does_not_matter() {
        assert_eq!(key(&[("a", "1"), ("b", "2")]).hash, key(&[("b", "2"), ("a", "1")]).hash);
    }

    #[test]
    fn an_empty_label_is_absent() {
        assert_eq!(key(&[("a", "1"), ("b", "")]).hash, key(&[("a", "1")]).hash);
    }

    #[test]
    fn another_label_is_another_series() {
        assert_ne!(key(&[("a", "1")]).hash, key(&[("a", "2")]).hash);
        assert_ne!(key(&[("a", "1")]).hash, key(&[]).hash);
    }

    #[test]
    fn a_key_shows_labels_only_where_the_service_does_not_tell() {
        assert_eq!(key(&[("service", "a")]).to_string(), "a/cpu");
        assert_eq!(key(&[("service", "a"), ("pod", "p")]).to_string(), r#"a/cpu{pod="p", service="a"}"#);
    }
}
