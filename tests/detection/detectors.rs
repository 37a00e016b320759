//! Every detector by its name in a config, alone and with others: what it is for is found, and nothing before.

use std::time::Duration;

use portent::config::load_text;
use portent::detect::{Detector, Settings};

use super::fleet::{Kindred, openings_of_noise};
use super::noise::Noise;
use super::trial::Trial;

const STEP: Duration = Duration::from_secs(300);
/// Four days of calm.
const CALM: usize = 1152;

/// The settings that `[signal_defaults]` with these lines gives.
fn settings(lines: &str) -> Settings {
    let config = load_text("test", &format!("[signal_defaults]\n{lines}"), [], &[]);
    config.expect("a sound config").signal_defaults.detect
}

/// Noise of mean 100 and deviation 1 for four days, then what a detector is for.
fn story(detector: Detector) -> Vec<f64> {
    let mut noise = Noise::new(900 + detector as u64);
    let calm: Vec<f64> = (0..CALM).map(|_| 100.0 + noise.gaussian()).collect();
    let mut fault = |_| match detector {
        Detector::Flatline => 100.3,
        Detector::Level => 108.0 + noise.gaussian(),
        Detector::Tail
        | Detector::Classic
        | Detector::Ewma
        | Detector::RollingZ
        | Detector::RobustZ
        | Detector::Seasonal
        | Detector::Range => 150.0 + noise.gaussian(),
    };
    let fault: Vec<f64> = (0..60).map(&mut fault).collect();
    [calm, fault].concat()
}

/// The places at which anomalies open.
fn openings(settings: Settings, values: Vec<f64>) -> Vec<usize> {
    let outcome = Trial::with_step(settings, STEP).feed_all(values);
    outcome.chars().enumerate().filter(|(_, letter)| *letter == 'O').map(|(nth, _)| nth).collect()
}

#[test]
fn every_detector_by_its_name_finds_what_it_is_for_and_nothing_before() {
    for detector in Detector::ALL {
        let settings = settings(&format!("detector = \"{}\"", detector.as_str()));
        let found = openings(settings, story(detector));
        assert!(found.first().is_some_and(|first| *first >= CALM), "{detector:?}: {found:?}");
    }
}

#[test]
fn any_of_several_detectors_finds_what_each_is_for() {
    let names = Detector::ALL.map(|detector| format!("{:?}", detector.as_str())).join(", ");
    for detector in Detector::ALL {
        let found = openings(settings(&format!("detector = [{names}]")), story(detector));
        assert!(found.first().is_some_and(|first| *first >= CALM), "{detector:?}: {found:?}");
    }
}

#[test]
fn where_all_have_to_agree_what_only_one_sees_opens_nothing() {
    let both = "detector = [\"robust_z\", \"flatline\"]\ncombine = \"all\"";
    for detector in [Detector::RobustZ, Detector::Flatline] {
        assert!(openings(settings(both), story(detector)).is_empty(), "{detector:?}");
    }
    let both = "detector = [\"robust_z\", \"range\"]\ncombine = \"all\"";
    assert_eq!(openings(settings(both), story(Detector::Range)).len(), 1);
}

#[test]
fn a_level_beyond_the_range_is_adopted_and_the_old_one_stays_normal() {
    let calm = story(Detector::Range);
    let mut trial = Trial::with_step(settings("detector = \"range\""), STEP);
    trial.feed_all(calm.iter().copied().take(CALM));
    let beyond = trial.feed_all((0..60).map(|nth| 150.0 + f64::from(nth % 3)));
    assert_eq!(beyond.matches('O').count(), 1, "{beyond}");
    assert_eq!(beyond.matches('A').count(), 1, "{beyond}");
    let back = trial.feed_all(calm.into_iter().take(60));
    assert!(back.chars().all(|letter| letter == '.'), "{back}");
}

#[test]
fn a_rest_begins_with_its_first_sample() {
    let mut trial = Trial::with_step(settings("detector = \"flatline\""), STEP);
    trial.feed_all(story(Detector::Flatline).into_iter().take(CALM + 20));
    let anomaly = trial.view().anomaly.expect("it stands still");
    let since = anomaly.detected_at.since(anomaly.onset);
    assert!(since >= STEP * 11, "{since:?}");
}

#[test]
fn a_day_of_noise_of_any_kind_is_no_rest() {
    let settings = settings("detector = \"flatline\"");
    for kindred in [Kindred::Gaussian, Kindred::Student3, Kindred::Autoregressed] {
        assert_eq!(openings_of_noise(settings.clone(), kindred, 200, 2), 0, "{kindred:?}");
    }
}
