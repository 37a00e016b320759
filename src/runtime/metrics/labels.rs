//! The labels under which a series is shown: `signal`, `service` and its own.

use std::sync::Arc;

use crate::series::SeriesKey;

/// Names and values, each name once.
pub(super) type Pairs = Arc<[(String, String)]>;

/// What stands before a label of the series whose name is taken, as Prometheus itself has it.
const PREFIX: &str = "exported_";

/// `signal` and `service` first, then the series' own labels. One that says the same as these is left out; one whose name
/// is taken gets `exported_` before it, as often as it takes. What Prometheus would not take in a name becomes `_`.
pub(super) fn pairs_of(key: &SeriesKey) -> Pairs {
    let mut pairs =
        vec![("signal".to_owned(), key.signal.to_string()), ("service".to_owned(), key.service.to_string())];
    for (name, value) in key.labels.iter() {
        let mut name = plain(name);
        if pairs.iter().any(|(taken, own)| *taken == name && own == value) {
            continue;
        }
        while pairs.iter().any(|(taken, _)| *taken == name) {
            name.insert_str(0, PREFIX);
        }
        pairs.push((name, value.to_owned()));
    }
    pairs.into()
}

/// A name that every Prometheus takes: it refuses the whole scrape for another one. Two underscores at the beginning are
/// Prometheus' own.
fn plain(name: &str) -> String {
    let fits = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let mut plain: String = name.chars().map(|letter| if fits(letter) { letter } else { '_' }).collect();
    if plain.starts_with("__") || plain.starts_with(|first: char| first.is_ascii_digit()) || plain.is_empty()
    {
        plain.insert_str(0, PREFIX);
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::{Labels, Service, SignalName};

    fn shown(service: &str, labels: &[(&str, &str)]) -> String {
        let labels = Labels::new(labels.iter().copied());
        let key = SeriesKey::new(SignalName::new("cpu"), Service::new(service), labels);
        let pairs = pairs_of(&key);
        let own = pairs.iter().skip(2).map(|(name, value)| format!("{name}={value}"));
        own.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_label_that_says_the_same_stands_once() {
        assert_eq!(shown("shop", &[("service", "shop"), ("pod", "p")]), "pod=p");
        assert_eq!(shown("ns/shop", &[("app", "shop"), ("namespace", "ns")]), "app=shop namespace=ns");
    }

    #[test]
    fn a_name_that_is_taken_is_told_apart() {
        assert_eq!(shown("shop", &[("service", "other")]), "exported_service=other");
        let both = shown("shop", &[("exported_signal", "a"), ("signal", "b")]);
        assert_eq!(both, "exported_signal=a exported_exported_signal=b");
    }

    #[test]
    fn no_name_makes_prometheus_refuse_the_scrape() {
        let odd = [("service.name", "a"), ("service-name", "b"), ("__name__", "c"), ("1st", "d"), ("ü", "e")];
        assert_eq!(
            shown("shop", &odd),
            "exported_1st=d exported___name__=c service_name=b exported_service_name=a _=e"
        );
    }
}
