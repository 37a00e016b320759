//! Tests of a try that comes to no end.

use std::time::Duration;

use super::{Backend, Pass, PulseQuery};
use crate::runtime::clock::Clock;
use crate::runtime::metrics::Metrics;
use crate::series::SignalName;
use crate::source::{Prometheus, Settings, SourceError};
use crate::telemetry::Registry;
use crate::time::Timestamp;

/// A backend that is silent, and due for a try of the first of two signals.
async fn silent() -> (Backend, [SignalName; 2], [super::Place; 2], SourceError) {
    let clock = Clock::jumping(Timestamp::default());
    let settings = Settings::for_test("http://127.0.0.1:9");
    let client = Prometheus::new(&settings).unwrap();
    let metrics = Metrics::new(&mut Registry::new());
    let backend = Backend::new(client, PulseQuery::of(&settings), clock.clone(), metrics);
    let signals = ["cpu", "errors"].map(SignalName::new);
    let places = signals.each_ref().map(|signal| backend.join(signal, Duration::from_secs(60)));
    let query = crate::source::SignalQuery {
        signal: SignalName::new("cpu"),
        promql: "up".to_owned(),
        step: Duration::from_secs(15),
        service_label: "service".parse().unwrap(),
    };
    let range = crate::source::TimeRange::new(Timestamp::default(), Timestamp::default()).unwrap();
    let error = backend.range(&query, range).await.unwrap_err();
    assert!(backend.failed(&SignalName::new("cpu"), &error) || backend.silent_since().is_none());
    assert!(backend.failed(&SignalName::new("errors"), &error), "both failed");
    clock.pass(Duration::from_secs(3600));
    (backend, signals, places, error)
}

fn try_it(backend: &Backend, signal: &SignalName) -> super::shared::Trying {
    match backend.admit(signal) {
        Pass::Granted(trying) => trying,
        Pass::Held { because, .. } => panic!("{signal} is held: {because}"),
    }
}

#[tokio::test]
async fn whoever_waits_for_a_try_that_is_given_up_hears_of_it() {
    let (backend, [cpu, errors], _places, _) = silent().await;
    let trying = try_it(&backend, &cpu);
    let mut bell = backend.bell();
    bell.borrow_and_update();
    assert!(matches!(backend.admit(&errors), Pass::Held { .. }), "one is trying");
    drop(trying);
    assert_eq!(bell.has_changed().ok(), Some(true));
    assert!(!matches!(backend.admit(&cpu), Pass::Held { .. }), "a place is free");
}

#[tokio::test]
async fn a_try_that_had_its_outcome_rings_no_second_time() {
    let (backend, [cpu, _], _places, error) = silent().await;
    let trying = try_it(&backend, &cpu);
    let mut bell = backend.bell();
    backend.failed(&cpu, &error);
    bell.borrow_and_update();
    drop(trying);
    assert_eq!(bell.has_changed().ok(), Some(false), "who tried would wake itself");
}
