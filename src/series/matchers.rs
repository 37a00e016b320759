//! Which series are meant: label matchers, as Prometheus knows them.

use std::fmt;
use std::sync::Arc;

use promql_parser::label::{MatchOp, Matcher};

use super::key::SeriesKey;

/// Stands for the service that a series belongs to, whatever labels name it.
const SERVICE: &str = "service";

/// Label matchers, all of which have to hold. A label that a series does not have is empty; regular expressions are
/// anchored at both ends. `service` is the service that the series belongs to, whichever of its labels say so. Clones share
/// them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matchers(Arc<[Matcher]>);

/// Why matchers choose nothing that could be meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoChoice {
    /// Every series has these labels.
    #[error("match every series: leave the table out and set its keys in [signal_defaults] or in a signal")]
    Everything,
    /// No series can have these labels: every series has a service.
    #[error("match no series, since each has a service: give a matcher such as service=\"checkout\"")]
    Nothing,
}

impl Matchers {
    /// Takes matchers that choose some series and leave others.
    ///
    /// # Errors
    /// Where they match all series, or none.
    pub fn new(list: Vec<Matcher>) -> Result<Self, NoChoice> {
        if list.iter().all(is_idle) {
            return Err(NoChoice::Everything);
        }
        if list.iter().any(|matcher| matcher.name == SERVICE && is_empty_only(matcher)) {
            return Err(NoChoice::Nothing);
        }
        Ok(Self(list.into()))
    }

    /// Whether they hold for a series.
    pub fn hold_for(&self, key: &SeriesKey) -> bool {
        self.0.iter().all(|matcher| {
            let value = match matcher.name.as_str() {
                SERVICE => key.service.as_str(),
                name => key.labels.get(name).unwrap_or_default(),
            };
            matcher.is_match(value)
        })
    }

    /// The labels that have to be there with a value, but for the service.
    pub fn wanted_labels(&self) -> impl Iterator<Item = &str> {
        let wanted = self.0.iter().filter(|matcher| matcher.name != SERVICE && !matcher.is_match(""));
        wanted.map(|matcher| matcher.name.as_str())
    }
}

/// Whether a matcher holds whatever the label is; every series has a service, whose name is not empty.
fn is_idle(matcher: &Matcher) -> bool {
    let is_service = matcher.name == SERVICE;
    match &matcher.op {
        MatchOp::Equal => false,
        MatchOp::NotEqual => is_service && matcher.value.is_empty(),
        MatchOp::Re(_) => matcher.value == ".*" || (is_service && matcher.value == ".+"),
        MatchOp::NotRe(_) => is_service && matcher.value.is_empty(),
    }
}

/// Whether a matcher holds for no value but the empty one.
fn is_empty_only(matcher: &Matcher) -> bool {
    match &matcher.op {
        MatchOp::Equal | MatchOp::Re(_) => matcher.value.is_empty(),
        MatchOp::NotEqual => false,
        MatchOp::NotRe(_) => matches!(matcher.value.as_str(), ".*" | ".+"),
    }
}

impl fmt::Display for Matchers {
    /// As PromQL writes them: `{service="checkout", route=~"/api/.*"}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        write!(f, "{{{}}}", list.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::super::key::{Labels, Service, SignalName};
    use super::*;

    fn key(labels: &[(&str, &str)]) -> SeriesKey {
        let labels = Labels::new(labels.iter().copied());
        SeriesKey::new(SignalName::new("errors"), Service::new("checkout"), labels)
    }

    fn equal(name: &str, value: &str) -> Matcher {
        Matcher::new(MatchOp::Equal, name, value)
    }

    #[test]
    fn a_label_that_is_not_there_is_empty() {
        let matchers = Matchers::new(vec![equal("route", "")]).unwrap();
        assert!(matchers.hold_for(&key(&[])));
        assert!(!matchers.hold_for(&key(&[("route", "/")])));
    }

    #[test]
    fn the_service_is_that_of_the_series_whatever_its_labels_are() {
        let matchers = Matchers::new(vec![equal("service", "checkout")]).unwrap();
        assert!(matchers.hold_for(&key(&[("service", "http"), ("job", "checkout")])));
    }

    #[test]
    fn every_matcher_has_to_hold() {
        let matchers = Matchers::new(vec![equal("service", "checkout"), equal("route", "/a")]).unwrap();
        assert!(matchers.hold_for(&key(&[("route", "/a")])));
        assert!(!matchers.hold_for(&key(&[("route", "/b")])));
    }

    #[test]
    fn what_chooses_nothing_is_refused() {
        assert_eq!(Matchers::new(Vec::new()), Err(NoChoice::Everything));
        assert_eq!(Matchers::new(vec![equal("service", "")]), Err(NoChoice::Nothing));
    }
}
