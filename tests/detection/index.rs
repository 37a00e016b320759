//! What is looked up by service, by trouble and by count is what a look at every series finds.

use std::sync::Arc;
use std::time::Duration;

use portent::detect::{Detect, SeriesQuery, SeriesState, SeriesView, Settings};
use portent::series::{SeriesKey, Service, SignalName};
use portent::time::Timestamp;
use proptest::prelude::*;

use super::noise::Noise;
use super::trial::{NEVER_MUTED, batch_of, labelled, plan};

/// An hour: a day without a sample is soon over.
const STEP: Duration = Duration::from_secs(3600);
const SERVICES: u64 = 4;
const PODS: u64 = 3;

fn signals() -> [SignalName; 2] {
    ["errors", "latency"].map(SignalName::new)
}

/// Every series that the story may show.
fn keys() -> Vec<Arc<SeriesKey>> {
    let mut keys = Vec::new();
    for signal in signals() {
        for (service, pod) in (0..SERVICES).flat_map(|service| (0..PODS).map(move |pod| (service, pod))) {
            keys.push(labelled(&signal, &format!("s{service}"), &format!("p{pod}")));
        }
    }
    keys
}

/// A detector after some days in which series come, misbehave, fall silent and are forgotten; `look` sees it after
/// each slot.
fn live(seed: u64, look: &mut dyn FnMut(&Detect)) {
    let settings = Settings { baseline_points: 8, ..Settings::classic() };
    let mut detect = Detect::new(signals().map(|signal| (signal, plan(settings.clone(), STEP))));
    let (keys, mut noise) = (keys(), Noise::new(seed));
    let mut moods: Vec<u64> = keys.iter().map(|_| noise.below(4)).collect();
    for hour in 1..=160_u32 {
        let now = Timestamp::from_millis(1_800_000_000_000).plus(STEP * hour);
        for (key, mood) in keys.iter().zip(&mut moods) {
            if noise.below(20) == 0 {
                *mood = noise.below(4);
            }
            let value = match mood {
                0 | 1 => 100.0 + noise.gaussian(),
                2 => 500.0 + noise.gaussian(),
                _ => continue,
            };
            detect.judge(&batch_of(key, [(now, value)]), NEVER_MUTED);
        }
        for signal in signals() {
            detect.close(&signal, now, NEVER_MUTED);
        }
        look(&detect);
    }
}

fn all(detect: &Detect) -> Vec<SeriesView> {
    signals().iter().flat_map(|signal| detect.of_signal(signal)).collect()
}

fn state(view: &SeriesView) -> SeriesState {
    match view {
        SeriesView { is_lost: true, .. } => SeriesState::Lost,
        SeriesView { anomaly: Some(_), .. } => SeriesState::Anomalous,
        SeriesView { expected: None, .. } => SeriesState::Warming,
        SeriesView { .. } => SeriesState::Normal,
    }
}

/// The page by a look at every series of the signal: those that are wanted, in order, and how many more there are.
fn listed(detect: &Detect, wanted: &SeriesQuery) -> (Vec<(SeriesState, String)>, usize) {
    let mut views = detect.of_signal(&wanted.signal);
    views.retain(|view| {
        wanted.service.as_ref().is_none_or(|service| view.key.service == *service)
            && wanted.state.is_none_or(|wanted| state(view) == wanted)
    });
    views.sort_by(|a, b| (&a.key.service, &a.key.labels).cmp(&(&b.key.service, &b.key.labels)));
    let left_out = views.len().saturating_sub(wanted.limit);
    let shown = views.iter().take(wanted.limit).map(|view| (state(view), view.key.to_string()));
    (shown.collect(), left_out)
}

fn names(views: impl IntoIterator<Item = SeriesView>) -> Vec<String> {
    views.into_iter().map(|view| view.key.to_string()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn lookups_find_what_a_look_at_every_series_finds(seed in any::<u64>(), limit in 0_usize..8) {
        let mut seen = [0; 4];
        live(seed, &mut |detect| {
            for (signal, tally) in detect.tallies() {
                let views = detect.of_signal(&signal);
                let count = |is: fn(&SeriesView) -> bool| views.iter().filter(|view| is(view)).count();
                let counted = [
                    views.len(),
                    count(|view| view.expected.is_none()),
                    count(|view| view.anomaly.is_some()),
                    count(|view| view.is_lost),
                ];
                assert_eq!([tally.series, tally.warming, tally.anomalous, tally.lost], counted, "seed {seed}");
                seen[0] += tally.evicted_total;
                for (sum, count) in seen[1..].iter_mut().zip(&counted[1..]) {
                    *sum += *count as u64;
                }
            }
            for service in (0..=SERVICES).map(|service| Service::new(&format!("s{service}"))) {
                let own = all(detect).into_iter().filter(|view| view.key.service == service);
                assert_eq!(names(detect.of_service(&service)), names(own), "seed {seed}");
                let is_elsewhere = |view: &SeriesView| {
                    view.key.service != service && (view.anomaly.is_some() || view.is_lost)
                };
                let elsewhere = all(detect).into_iter().filter(is_elsewhere).take(limit);
                assert_eq!(names(detect.moved_elsewhere(&service, limit)), names(elsewhere), "seed {seed}");
            }
            let services = [None, Some("s0"), Some("s9")].map(|name| name.map(Service::new));
            let states = SeriesState::ALL.map(Some).into_iter().chain([None]);
            for (state, service) in states.flat_map(|state| services.clone().map(|service| (state, service))) {
                for signal in signals() {
                    let wanted = SeriesQuery { signal, service: service.clone(), state, limit };
                    let page = detect.page(&wanted);
                    let shown = page.series.iter().map(|(state, view)| (*state, view.key.to_string()));
                    assert_eq!((shown.collect(), page.left_out), listed(detect, &wanted), "seed {seed}");
                }
            }
            for view in all(detect) {
                let last = view.recent.last().map(|(at, _)| *at);
                assert_eq!(detect.last_sample(&view.key), last, "seed {seed}");
            }
        });
        // A story without them would show nothing.
        prop_assert!(seen.iter().all(|count| *count > 0), "seed {}: {:?}", seed, seen);
    }
}
