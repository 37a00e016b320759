//! How many samples it takes: to open, to be sure, to clear.

use std::time::Duration;

use portent::detect::{Noise, Settings, What, baseline_of, confidence, judge};

use super::trial::{Trial, check};

#[track_caller]
fn check_on_calm(settings: &Settings, values: &str, expected: &str) {
    check(settings, &format!("10~1x40 {values}"), &format!("lx19 .x21 {expected}"));
}

/// Beyond the band but not strong: a score of 1.3.
const WEAK: &str = "14";
/// Strong by itself: a score of 3.3.
const STRONG: &str = "20";

#[test]
fn so_many_samples_of_the_window_open() {
    let three_of_five = Settings { open_points: 3, open_window: 5, ..Settings::classic() };
    check_on_calm(&three_of_five, &format!("{WEAK}x3"), "^^O");
    check_on_calm(&three_of_five, &format!("{WEAK} 10 {WEAK} 10 {WEAK}"), "^.^.O");
    check_on_calm(&three_of_five, &format!("{WEAK} 10x2 {WEAK} 10 {WEAK}"), "^..^.^");
    check_on_calm(&Settings::classic(), &format!("{WEAK} 10 {WEAK} {WEAK} 10 {WEAK}x3"), "^.^^.^^O");
    let one = Settings { open_points: 1, open_window: 1, strong_points: 1, ..Settings::classic() };
    check_on_calm(&one, WEAK, "O");
}

#[test]
fn samples_on_both_sides_do_not_add_up() {
    check_on_calm(&Settings::classic(), "14 6 14 6 14 6", "^v^v^v");
    check_on_calm(&Settings::classic(), "20 0 10 20 0 10", "^v.^v.");
}

#[test]
fn strong_samples_need_fewer() {
    check_on_calm(&Settings::classic(), &format!("{STRONG}x2"), "^O");
    check_on_calm(&Settings::classic(), &format!("{STRONG} {WEAK}x2"), "^^O");
    let never_alone = Settings { strong_points: 3, ..Settings::classic() };
    check_on_calm(&never_alone, &format!("{STRONG}x3"), "^^O");
    let stricter = Settings { strong_score: 4.0, ..Settings::classic() };
    check_on_calm(&stricter, &format!("{STRONG}x3"), "^^O");
}

#[test]
fn samples_before_a_gap_are_no_evidence() {
    check_on_calm(&Settings::classic(), &format!("{STRONG} _x4 {STRONG} {STRONG}"), "^ ____ ^O");
    check_on_calm(&Settings::classic(), &format!("{STRONG} _x2 {STRONG}"), "^ __ O");
}

#[test]
fn an_anomaly_clears_after_so_many_samples_inside() {
    check_on_calm(&Settings::classic(), &format!("{STRONG}x2 10~1x6"), "^O ...C ..");
    check_on_calm(&Settings::classic(), &format!("{STRONG}x2 10x3 {WEAK} 10~1x4"), "^O ... ^ ...C");
    let at_once = Settings { clear_points: 1, ..Settings::classic() };
    check_on_calm(&at_once, &format!("{STRONG}x2 10 10"), "^O C.");
}

#[test]
fn what_cleared_an_anomaly_is_no_evidence_for_the_next() {
    let nervous = Settings { clear_points: 1, open_window: 5, ..Settings::classic() };
    let mut trial = Trial::new(nervous);
    let outcome = trial.run("10~1x40 20x3 10 20 20");
    assert!(outcome.ends_with("^O^C^O"), "{outcome}");
    let mut onsets: Vec<_> = trial
        .findings
        .iter()
        .filter_map(|finding| match &finding.what {
            What::Anomalous(anomaly) => Some(anomaly.onset),
            _ => None,
        })
        .collect();
    onsets.dedup();
    assert_eq!(onsets.len(), 2, "two anomalies have two onsets");
}

#[test]
fn an_anomaly_knows_its_onset_its_worst_sample_and_its_end() {
    let mut trial = Trial::new(Settings::classic());
    trial.run("10~1x40");
    let calm_until = trial.now;
    trial.run("20 30 50 25 10~1x4");
    let ended = trial.findings.iter().find_map(|finding| match &finding.what {
        What::Recovered(anomaly) => Some(*anomaly),
        _ => None,
    });
    let ended = ended.expect("it recovered");
    let step = |nth: u64| calm_until.plus(Duration::from_secs(15 * nth));
    assert_eq!((ended.onset, ended.detected_at, ended.until), (step(1), step(2), step(4)));
    assert_eq!(ended.peak_value.to_bits(), 50.0_f64.to_bits());
    assert!(ended.lower < 10.0 && (9.9..10.1).contains(&ended.expected) && ended.upper < 20.0, "{ended:?}");
}

/// The worked example of `docs/detectors.md`.
#[test]
fn the_worked_example_of_the_document_holds() {
    let settings = Settings::classic();
    let window: Vec<f64> = (0..19).map(|nth| if nth % 2 == 0 { 90.0 } else { 110.0 }).collect();
    let baseline = baseline_of(&window, Noise::default(), &settings);
    let scores = [140.0, 150.0, 160.0].map(|value| judge(value, baseline, &settings).score);
    let rounded = |value: f64| (value * 1000.0).round() as i64;
    assert_eq!((rounded(baseline.mean), rounded(baseline.scale)), (99_474, 10_260));
    assert_eq!(scores.map(rounded), [1_317, 1_642, 1_966]);
    assert_eq!(rounded(confidence(scores, 3)), 978);

    let mut trial = Trial::new(settings);
    trial.feed_all(window);
    assert_eq!(trial.feed_all([140.0, 150.0, 160.0]), "^^O");
    let opened = trial.view().anomaly.expect("it opened");
    assert_eq!(rounded(opened.confidence), 978);
}

#[test]
fn min_confidence_raises_the_threshold_exactly_as_it_is_shown() {
    let bare = Settings { scale_floor_relative: 0.0, min_deviation_relative: 0.0, ..Settings::classic() };
    let cases = [
        bare.clone(),
        Settings { min_confidence: 0.9, ..bare.clone() },
        Settings { min_confidence: 0.99, ..bare.clone() },
        Settings { min_confidence: 0.999, sigma: 5.0, ..bare.clone() },
        Settings { min_confidence: 0.0, sigma: 4.0, ..bare.clone() },
        Settings { min_confidence: 0.99, open_points: 3, open_window: 5, ..bare.clone() },
        Settings { min_confidence: 0.8, open_points: 3, open_window: 5, ..bare.clone() },
        Settings { min_confidence: 0.99, open_points: 1, open_window: 4, strong_points: 1, ..bare },
    ];
    for settings in cases {
        let measured = threshold(&settings);
        let shown = settings.effective_sigma(0.0);
        println!(
            "sigma {}, confidence {}, {} of {}: measured {measured:.4}, shown {shown:.4}",
            settings.sigma, settings.min_confidence, settings.open_points, settings.open_window
        );
        assert!((measured - shown).abs() < 1e-3, "measured {measured}, shown {shown}: {settings:?}");
    }
}

/// The least lasting deviation, in scales, that opens an anomaly: by bisection.
fn threshold(settings: &Settings) -> f64 {
    let mut calm = Trial::new(settings.clone());
    calm.run("100~3x200");
    let view = calm.view();
    let (expected, scale) = view.expected.zip(view.scale).expect("the baseline is full");
    let opens = |z: f64| {
        let values = std::iter::repeat_n(expected + z * scale, 2 * settings.open_window);
        calm.clone().feed_all(values).contains('O')
    };
    let (mut stays, mut opened) = (0.5, 60.0);
    assert!(!opens(stays) && opens(opened));
    while opened - stays > 1e-5 {
        let middle = f64::midpoint(stays, opened);
        if opens(middle) {
            opened = middle;
        } else {
            stays = middle;
        }
    }
    opened
}
