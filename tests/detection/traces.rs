//! What the gates say of a sample: for every one exactly one first blocker, or what came of it.

use std::time::Duration;

use portent::detect::{
    Detect, Ending, Gate, MinVolume, Outcome, Settings, SignalPlan, Trace, ValidRange, What,
};
use portent::series::{Batch, SignalName};
use portent::time::Timestamp;
use proptest::prelude::*;

use super::noise::Noise;
use super::trial::{NEVER_MUTED, STEP, key, plan, signal};

const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn at(step: usize) -> Timestamp {
    START.plus(STEP * step as u32)
}

/// Every gate once and in order, one blocker at most, and nothing reached behind it.
#[track_caller]
fn check_form(trace: &Trace) {
    let gates: Vec<Gate> = trace.checks.iter().map(|check| check.gate).collect();
    assert_eq!(gates, Gate::ALL, "{trace:?}");
    let blocked: Vec<Gate> = trace
        .checks
        .iter()
        .filter(|check| check.outcome == Outcome::Blocked)
        .map(|check| check.gate)
        .collect();
    assert_eq!(blocked, Vec::from_iter(trace.blocker()), "{trace:?}");
    for check in &trace.checks {
        let is_behind = trace.blocker().is_some_and(|gate| check.gate > gate);
        assert_eq!(check.outcome == Outcome::NotReached, is_behind, "{trace:?}");
    }
}

/// Asks of each sample what it would do, then judges it, and holds the one against the other. Gives the traces.
#[track_caller]
fn check(settings: &Settings, values: &[Option<f64>]) -> Vec<Trace> {
    let mut detect = Detect::new([(signal(), plan(settings.clone(), STEP))]);
    let (key, mut traces) = (key("a"), Vec::new());
    for (step, value) in values.iter().enumerate() {
        let told = detect.explain(&key, at(step), *value).expect("the signal is watched");
        check_form(&told);
        let before = detect.state_of(&key).and_then(|(anomaly, _)| anomaly);
        let mut batch = Batch::new(signal());
        if let Some(value) = value {
            batch.begin_row(key.clone());
            batch.push(at(step), *value);
        }
        detect.judge(&batch, NEVER_MUTED);
        let findings = detect.close(&signal(), at(step), NEVER_MUTED);
        let after = detect.state_of(&key).and_then(|(anomaly, _)| anomaly);
        let adopted = findings.iter().any(|finding| matches!(finding.what, What::Restarted(_)));
        let came = match (before, after) {
            (None, Some(_)) => "opened",
            (Some(_), Some(_)) if value.is_some() && told.ending.as_str() != "blocked" => "goes_on",
            (Some(_), None) if !adopted => "cleared",
            (_, None) if adopted && told.ending == Ending::Adopted => "adopted",
            (_, _) => "blocked",
        };
        assert_eq!(told.ending.as_str(), came, "step {step}: {told:?}");
        if let (None, Some(anomaly)) = (before, after) {
            let finding = findings.iter().find(|finding| finding.what == What::Anomalous(anomaly));
            let why = finding.and_then(|finding| finding.why.as_ref()).expect("it is kept with the anomaly");
            check_form(why);
            assert_eq!((why.at, why.ending), (at(step), Ending::Opened));
        }
        traces.push(told);
    }
    traces
}

fn noise(seed: u64, len: usize) -> Vec<Option<f64>> {
    let mut noise = Noise::new(seed);
    (0..len).map(|_| Some(100.0 + 5.0 * noise.gaussian())).collect()
}

#[test]
fn every_sample_has_one_first_blocker_or_something_came_of_it() {
    let settings = [
        Settings::default(),
        Settings::classic(),
        Settings { min_deviation_absolute: 40.0, ..Settings::default() },
        Settings { valid: ValidRange { min: Some(60.0), max: Some(150.0) }, ..Settings::default() },
        Settings { volume: Some(MinVolume { least: 120.0, of: None }), ..Settings::classic() },
    ];
    for (place, settings) in settings.iter().enumerate() {
        let mut values = noise(place as u64, 400);
        for step in (100..110).chain(200..280) {
            values[step] = Some(if step < 150 { 300.0 } else { 30.0 });
        }
        values[150..160].fill(None);
        let endings: Vec<&str> = check(settings, &values).iter().map(|trace| trace.ending.as_str()).collect();
        assert!(endings.contains(&"opened") && endings.contains(&"goes_on"), "{place}: {endings:?}");
    }
}

/// The gate that blocks the last of some samples after an hour of noise.
#[track_caller]
fn check_blocker(settings: &Settings, last: &[f64], expected: Gate) {
    let mut values = noise(7, 240);
    values.extend(last.iter().map(|value| Some(*value)));
    let traces = check(settings, &values);
    let last = traces.last().expect("there are samples");
    assert_eq!(last.blocker(), Some(expected), "{last:?}");
}

#[test]
fn each_gate_can_be_the_first_to_block() {
    let tail = Settings::default();
    let classic = Settings { open_points: 3, open_window: 3, ..Settings::classic() };
    check_blocker(&tail, &[101.0], Gate::Score);
    check_blocker(
        &Settings { sides: portent::detect::Sides::Down, ..tail.clone() },
        &[300.0; 3],
        Gate::Direction,
    );
    let absolute = Settings { min_deviation_absolute: 500.0, ..tail.clone() };
    check_blocker(&absolute, &[300.0; 3], Gate::DeviationAbsolute);
    let relative = Settings { min_deviation_relative: 5.0, ..tail.clone() };
    check_blocker(&relative, &[300.0; 3], Gate::DeviationRelative);
    check_blocker(&classic, &[140.0], Gate::OpenPoints);
    check_blocker(&Settings { min_confidence: 0.9999, ..classic }, &[125.0, 125.0, 125.0], Gate::Confidence);
    let low = Settings { volume: Some(MinVolume { least: 1000.0, of: None }), ..tail.clone() };
    check_blocker(&low, &[300.0; 3], Gate::LowTraffic);
    let strict = Settings { false_openings_per_day: 1e-6, ..tail };
    check_blocker(&strict, &[116.0; 3], Gate::FalseDiscovery);
}

#[test]
fn what_is_no_sample_is_blocked_by_its_quality() {
    let mut detect = Detect::new([(signal(), plan(Settings::default(), STEP))]);
    let because = |trace: &Trace| match trace.checks[0].inputs.first() {
        Some((name, portent::detect::Input::Text(because))) if name == "because" => because.clone(),
        other => panic!("{other:?}"),
    };
    let key = key("a");
    let ask =
        |detect: &Detect, step, value| because(&detect.explain(&key, at(step), value).expect("watched"));
    assert_eq!(ask(&detect, 0, Some(1.0)), "new_series");
    for step in 0..10 {
        let mut batch = Batch::new(signal());
        batch.begin_row(key.clone());
        batch.push(at(step), 100.0);
        detect.judge(&batch, NEVER_MUTED);
    }
    assert_eq!(ask(&detect, 10, Some(100.0)), "warming_up");
    assert_eq!(ask(&detect, 9, Some(100.0)), "late_or_duplicate");
    assert_eq!(ask(&detect, 10, None), "no_sample");
    detect.excuse(&signal(), at(10));
    assert_eq!(ask(&detect, 10, None), "partial_answer");
}

#[test]
fn a_value_that_cannot_be_opens_whatever_the_series_has_done_and_is_never_adopted() {
    let settings = Settings { valid: ValidRange { min: None, max: Some(104.0) }, ..Settings::default() };
    let mut values: Vec<Option<f64>> = (0..240).map(|step| Some(100.0 + (step % 5) as f64)).collect();
    let hour = 4 * 60;
    values.extend(std::iter::repeat_n(Some(104.5), 2 * hour));
    let traces = check(&settings, &values);
    let opened: Vec<usize> =
        (0..traces.len()).filter(|step| traces[*step].ending == Ending::Opened).collect();
    assert_eq!(opened, [242], "the third of them");
    assert!(traces[243..].iter().all(|trace| trace.ending == Ending::GoesOn));
    let plain = check(&Settings::default(), &values);
    assert!(plain.iter().all(|trace| trace.ending != Ending::Opened), "nothing else is wrong with it");
}

#[test]
fn a_companion_below_the_least_volume_holds_back_and_an_absent_one_does_not() {
    let companion = SignalName::new("request_rate");
    let least = MinVolume { least: 1.0, of: Some(companion.clone()) };
    let settings = Settings { volume: Some(least), ..Settings::default() };
    let watched = |requests: Option<f64>| {
        let plans: [(SignalName, SignalPlan); 2] =
            [(signal(), plan(settings.clone(), STEP)), (companion.clone(), plan(Settings::default(), STEP))];
        let mut detect = Detect::new(plans);
        let (errors, mut opened) = (key("a"), 0);
        let traffic = std::sync::Arc::new(portent::series::SeriesKey::new(
            companion.clone(),
            errors.service.clone(),
            errors.labels.clone(),
        ));
        for (step, value) in noise(3, 400).into_iter().enumerate() {
            let mut batch = Batch::new(companion.clone());
            if let Some(requests) = requests {
                batch.begin_row(traffic.clone());
                batch.push(at(step), requests);
            }
            detect.judge(&batch, NEVER_MUTED);
            detect.close(&companion, at(step), NEVER_MUTED);
            let mut batch = Batch::new(signal());
            batch.begin_row(errors.clone());
            batch.push(at(step), if (300..320).contains(&step) { 900.0 } else { value.unwrap_or_default() });
            detect.judge(&batch, NEVER_MUTED);
            let found = detect.close(&signal(), at(step), NEVER_MUTED);
            let opens = |what: &What| matches!(what, What::Anomalous(open) if open.detected_at == at(step));
            opened += usize::from(found.iter().any(|finding| opens(&finding.what)));
        }
        opened
    };
    assert_eq!([watched(Some(0.2)), watched(Some(20.0)), watched(None)], [0, 1, 1]);
}

#[test]
fn nothing_of_asking_why_changes_what_is_decided_later() {
    let values = noise(11, 300);
    let run = |asks: bool| {
        let mut detect = Detect::new([(signal(), plan(Settings::default(), STEP))]);
        let key = key("a");
        for (step, value) in values.iter().enumerate() {
            if asks {
                let _ = detect.explain(&key, at(step), Some(1e6));
            }
            let mut batch = Batch::new(signal());
            batch.begin_row(key.clone());
            batch.push(at(step), value.unwrap_or_default());
            detect.judge(&batch, NEVER_MUTED);
        }
        detect.of_signal(&signal())
    };
    assert_eq!(format!("{:?}", run(true)), format!("{:?}", run(false)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn whatever_comes_the_gates_agree_with_what_came_of_it(
        seed in 0_u64..1000,
        faults in proptest::collection::vec((60_usize..280, 1_usize..40, -3.0_f64..3.0), 0..5),
        holes in proptest::collection::vec((30_usize..280, 1_usize..12), 0..3),
        is_classic in any::<bool>(),
        open_points in 1_usize..4,
        ranged in any::<bool>(),
    ) {
        let mut values = noise(seed, 300);
        for (from, len, size) in faults {
            for value in values.iter_mut().skip(from).take(len) {
                *value = value.map(|value| value + 100.0 * size);
            }
        }
        for (from, len) in holes {
            values.iter_mut().skip(from).take(len).for_each(|value| *value = None);
        }
        let base = if is_classic { Settings::classic() } else { Settings::default() };
        let max = ranged.then_some(150.0);
        let valid = ValidRange { min: None, max };
        let settings = Settings {
            open_points, open_window: open_points.max(base.open_window), strong_points: open_points, valid,
            adopt_after: Duration::from_secs(600), ..base
        };
        check(&settings, &values);
    }
}
