//! State that was written down and read again is the state that there was, whatever was learnt and wherever the cut lies;
//! and bytes that were never written by anybody are refused, or at the least do no harm.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use portent::detect::{
    Combine, Detect, Detector, Detectors, Directive, Kind, MinVolume, Patch, Restoration, SeriesOverride,
    Settings, SignalPlan, SnapshotFlaw, ValidRange, Zone,
};
use portent::series::{Batch, SeriesKey, SignalName};
use portent::source::read_matchers;
use portent::time::Timestamp;
use proptest::prelude::*;

use super::noise::Noise;
use super::shapes::{MONDAY, public_load, time_of_day};
use super::trial::{NEVER_MUTED, labelled};

const STEP: Duration = Duration::from_secs(300);
const SERIES: usize = 6;

fn at(nth: usize) -> Timestamp {
    MONDAY.plus(STEP * nth as u32)
}

fn errors() -> SignalName {
    SignalName::new("errors")
}

fn traffic() -> SignalName {
    SignalName::new("traffic")
}

/// Each time another pointer, as after a restart.
fn keys(signal: &SignalName) -> Vec<Arc<SeriesKey>> {
    (0..SERIES).map(|nth| labelled(signal, &format!("s{}", nth / 2), &nth.to_string())).collect()
}

/// Waves, noise, spikes, a level that shifts, rests, pauses, a series that ends and one that begins late.
fn value(seed: u64, series: usize, nth: usize) -> Option<f64> {
    let mut dice = Noise::new(seed ^ ((series as u64) << 40) ^ ((nth as u64) << 8));
    let wave = if series < 2 { 100.0 * public_load(time_of_day(at(nth))) } else { 100.0 };
    let spike = if dice.below(90) == 0 { 60.0 * dice.uniform() } else { 0.0 };
    let noisy = wave + spike + 2.0 * dice.gaussian();
    match series {
        2 if nth > 500 => Some(noisy + 40.0),
        3 if nth % 200 > 150 => Some(100.0),
        4 if nth % 60 > 40 || nth > 900 => None,
        5 if nth < 130 => None,
        _ => Some(noisy),
    }
}

fn batch(seed: u64, signal: &SignalName, steps: std::ops::Range<usize>) -> Batch {
    let mut batch = Batch::new(signal.clone());
    for (series, key) in keys(signal).into_iter().enumerate() {
        batch.begin_row(key);
        for nth in steps.clone() {
            if let Some(value) = value(seed, series, nth) {
                batch.push(at(nth), value);
            }
        }
    }
    batch
}

/// Two signals, one of which is judged only where the other has enough.
fn plans(settings: &Settings) -> Vec<(SignalName, SignalPlan)> {
    // What a series is judged by is not written down: it follows from its labels.
    let matchers = read_matchers(r#"service="s1""#).expect("matchers");
    let patch = Patch { min_deviation_relative: Some(0.4), exit_score: Some(0.5), ..Patch::default() };
    let overridden = SeriesOverride { entry: 0, name: matchers.to_string().into(), matchers, patch };
    let plan = |settings: &Settings| SignalPlan {
        settings: settings.clone(),
        kind: Kind::Other,
        step: STEP,
        window: STEP * 2,
        series_limit: 1000,
        overrides: vec![overridden.clone()],
    };
    let guarded = Settings {
        volume: Some(MinVolume { least: 20.0, of: Some(traffic()) }),
        valid: ValidRange { min: Some(0.0), max: Some(155.0) },
        ..settings.clone()
    };
    vec![(errors(), plan(&guarded)), (traffic(), plan(settings))]
}

fn frames(detect: &Detect) -> Vec<Vec<u8>> {
    detect.snapshot(|_| true).collect()
}

fn restored(settings: &Settings, frames: &[Vec<u8>]) -> Result<Detect, SnapshotFlaw> {
    let mut restoration = Restoration::new(plans(settings), BTreeSet::new());
    frames.iter().try_for_each(|frame| restoration.take(frame))?;
    Ok(restoration.finish(|_| NEVER_MUTED)?.0)
}

/// Judges a step of both signals and closes it, unless the cut lies between.
fn judge(detect: &mut Detect, seed: u64, nth: usize) {
    for signal in [traffic(), errors()] {
        detect.judge(&batch(seed, &signal, nth..nth + 1), NEVER_MUTED);
    }
    if nth == 333 {
        detect.gap(at(nth - 3), at(nth));
    }
    if nth == 700 {
        let key = Arc::clone(&keys(&errors())[1]);
        detect.direct(&Directive::Rebase { key, since: at(nth - 30), at: at(nth + 40) });
    }
}

fn close(detect: &mut Detect, nth: usize) -> String {
    let found = [traffic(), errors()].map(|signal| detect.finish(&signal, at(nth), NEVER_MUTED));
    format!("{found:?}")
}

fn views(detect: &Detect) -> String {
    let views = [errors(), traffic()].map(|signal| detect.of_signal(&signal));
    let verdicts = keys(&errors()).into_iter().map(|key| (detect.verdict_of(&key), detect.band(&key)));
    format!("{views:?} {:?}", verdicts.collect::<Vec<_>>())
}

fn settings(detectors: &[Detector], combine: Combine) -> Settings {
    let detector = Detectors::of(detectors.iter().copied()).expect("there are some");
    Settings { detector, combine, ..Settings::default() }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Findings, verdicts and views after a restart are those without one, to the last bit: so is what would be written down.
    #[test]
    fn a_restart_from_a_snapshot_finds_exactly_what_none_would_have_found(
        seed in any::<u64>(),
        picked in proptest::sample::subsequence(Detector::ALL.to_vec(), 1..=9),
        is_all in any::<bool>(),
        cut in 0_usize..1000,
        is_within_a_slot in any::<bool>(),
    ) {
        let settings = settings(&picked, if is_all { Combine::All } else { Combine::Any });
        let mut whole = Detect::new(plans(&settings));
        for nth in 0..cut {
            judge(&mut whole, seed, nth);
            close(&mut whole, nth);
        }
        if is_within_a_slot {
            judge(&mut whole, seed, cut);
        }
        let mut again = restored(&settings, &frames(&whole)).expect("it was just written down");
        prop_assert_eq!(views(&again), views(&whole));
        // What was judged within the slot is judged again and changes nothing.
        for nth in cut..cut + 400 {
            judge(&mut again, seed, nth);
            judge(&mut whole, seed, nth);
            prop_assert_eq!(close(&mut again, nth), close(&mut whole, nth), "step {}", nth);
        }
        prop_assert_eq!(views(&again), views(&whole));
        prop_assert!(frames(&again) == frames(&whole), "the state is the same to the last bit");
    }
}

/// State of all nine detectors after four days.
fn old() -> (Settings, Vec<Vec<u8>>) {
    let settings = settings(&Detector::ALL, Combine::Any);
    let mut detect = Detect::new(plans(&settings));
    for nth in 0..1150 {
        judge(&mut detect, 7, nth);
        close(&mut detect, nth);
    }
    let frames = frames(&detect);
    (settings, frames)
}

#[test]
fn each_detector_alone_goes_on_after_days_as_if_nothing_had_been() {
    for detector in Detector::ALL {
        let settings = settings(&[detector], Combine::Any);
        let mut whole = Detect::new(plans(&settings));
        for nth in 0..1150 {
            judge(&mut whole, 3, nth);
            close(&mut whole, nth);
        }
        let mut again = restored(&settings, &frames(&whole)).expect("it was just written down");
        for nth in 1150..1450 {
            judge(&mut again, 3, nth);
            judge(&mut whole, 3, nth);
            assert_eq!(close(&mut again, nth), close(&mut whole, nth), "{detector:?} at {nth}");
        }
        assert!(frames(&again) == frames(&whole), "{detector:?}");
    }
}

#[test]
fn bytes_that_nobody_wrote_are_refused_or_do_no_harm() {
    let (settings, frames) = old();
    let mut dice = Noise::new(11);
    let (mut refused, mut taken) = (0, 0);
    for _ in 0..600 {
        let mut frames = frames.clone();
        for _ in 0..=dice.below(2) {
            let nth = dice.below(frames.len() as u64) as usize;
            let frame = &mut frames[nth];
            if frame.is_empty() {
                continue;
            }
            let place = dice.below(frame.len() as u64) as usize;
            match dice.below(4) {
                0 => frame.truncate(place),
                1 => frame[place] = 0xff,
                _ => frame[place] ^= 1 << dice.below(8),
            }
        }
        match restored(&settings, &frames) {
            Err(_) => refused += 1,
            Ok(mut detect) => {
                taken += 1;
                for nth in 1150..1190 {
                    judge(&mut detect, 7, nth);
                    close(&mut detect, nth);
                }
                let _ = views(&detect);
            }
        }
    }
    assert!(refused > 100 && taken > 100, "{refused} refused, {taken} taken");
}

#[test]
fn a_snapshot_that_lacks_a_part_is_refused() {
    let (settings, frames) = old();
    for nth in 0..frames.len() {
        let mut fewer = frames.clone();
        fewer.remove(nth);
        assert!(restored(&settings, &fewer).is_err(), "without part {nth} of {}", frames.len());
    }
    let mut other = frames;
    other[0][1] = 99;
    let flaw = restored(&settings, &other).err();
    assert_eq!(flaw, Some(SnapshotFlaw::Version { found: 99, known: 1 }));
}

/// What a signal has learnt means nothing under another step, baseline, choice of detectors or zone, or to another query.
#[test]
fn a_signal_whose_plan_changed_begins_without_state_and_the_others_go_on() {
    let (settings, frames) = old();
    let fresh = |change: &dyn Fn(&mut SignalPlan), asks_anew: &[SignalName]| {
        let mut plans = plans(&settings);
        change(&mut plans[0].1);
        let mut restoration = Restoration::new(plans, asks_anew.iter().cloned().collect());
        frames.iter().for_each(|frame| restoration.take(frame).expect("it is as it was written"));
        let (detect, restored) = restoration.finish(|_| NEVER_MUTED).expect("it is whole");
        let held =
            [errors(), traffic()].map(|signal| (detect.of_signal(&signal).len(), restored.contains(&signal)));
        held.map(|(series, is_restored)| {
            assert_eq!(series > 0, is_restored);
            is_restored
        })
    };
    let berlin = Zone::new("Europe/Berlin", 3_600_000, []);
    assert_eq!(fresh(&|_| {}, &[]), [true, true]);
    assert_eq!(fresh(&|plan| plan.settings.sigma = 9.0, &[]), [true, true]);
    assert_eq!(fresh(&|plan| plan.settings.open_window = 32, &[]), [true, true]);
    assert_eq!(fresh(&|plan| plan.step = STEP * 2, &[]), [false, true]);
    assert_eq!(fresh(&|plan| plan.settings.baseline_points += 1, &[]), [false, true]);
    assert_eq!(fresh(&|plan| plan.settings.detector = Detector::Tail.into(), &[]), [false, true]);
    assert_eq!(fresh(&|plan| plan.settings.zone = berlin.clone(), &[]), [false, true]);
    assert_eq!(fresh(&|_| {}, &[errors()]), [false, true]);
}

/// The verdicts of the samples after a time, of a series that was watched all along and of one whose history was read from so
/// many samples before, and how many series of the latter warm up.
fn from_history(
    detector: Detector,
    history: usize,
    spike: f64,
) -> (Vec<Option<f64>>, Vec<Option<f64>>, usize) {
    const MINUTE: Duration = Duration::from_secs(60);
    const KNOWN: usize = 5000;
    let settings = settings(&[detector], Combine::Any);
    let plan = SignalPlan {
        settings,
        kind: Kind::Other,
        step: MINUTE,
        window: Duration::ZERO,
        series_limit: 10,
        overrides: vec![],
    };
    let key = Arc::clone(&keys(&errors())[0]);
    let mut dice = Noise::new(detector as u64 + 5);
    let mut value = |nth: usize| {
        let rest = (nth % 90 < 4).then_some(100.0);
        rest.unwrap_or(100.0 + 2.0 * dice.gaussian() + if nth % 170 == 169 { spike } else { 0.0 })
    };
    let values: Vec<f64> = (0..KNOWN + 200).map(&mut value).collect();
    let time = |nth: usize| MONDAY.plus(MINUTE * nth as u32);
    let (mut old, mut young) = (Detect::new([(errors(), plan.clone())]), Detect::new([(errors(), plan)]));
    let feed = |detect: &mut Detect, nth: usize| {
        let mut batch = Batch::new(errors());
        batch.begin_row(Arc::clone(&key));
        batch.push(time(nth), values[nth]);
        detect.judge(&batch, NEVER_MUTED);
        detect.close(&errors(), time(nth), NEVER_MUTED);
        detect.verdict_of(&key).map(|verdict| verdict.score)
    };
    for nth in 0..KNOWN {
        feed(&mut old, nth);
    }
    for nth in KNOWN - history..KNOWN {
        feed(&mut young, nth);
    }
    let warming = young.tallies()[0].1.warming;
    let scores = |detect: &mut Detect| (KNOWN..KNOWN + 200).map(|nth| feed(detect, nth)).collect::<Vec<_>>();
    (scores(&mut old), scores(&mut young), warming)
}

/// What a start reads where nothing was kept: so many points, and an hour at least.
#[test]
fn from_history_alone_what_remembers_no_more_than_that_says_the_same_and_range_says_that_it_warms_up() {
    for detector in Detector::ALL {
        let points = settings(&[detector], Combine::Any).history_points() as usize;
        // What is flagged is learnt by none but one that begins anew, while it warms up: then a window is another one.
        let spike = if matches!(detector, Detector::RollingZ | Detector::RobustZ) { 0.0 } else { 25.0 };
        let (old, young, warming) = from_history(detector, points.max(76), spike);
        let apart = || {
            let pairs = old.iter().zip(&young).map(|(old, young)| old.zip(*young));
            pairs
                .map(|pair| pair.map_or(f64::INFINITY, |(old, young)| (old - young).abs()))
                .fold(0.0, f64::max)
        };
        assert!(old.iter().all(Option::is_some), "{detector:?}");
        match detector {
            Detector::RollingZ | Detector::RobustZ => assert!(apart() < 1e-9, "{detector:?}: {}", apart()),
            // What came before has a weight of e^-4 left, but the one that begins anew has learnt spikes that the other left out.
            Detector::Ewma | Detector::Level => {
                let largest = old.iter().flatten().fold(1.0, |largest, score| f64::max(largest, *score));
                assert!(apart() < 0.25 * largest, "{detector:?}: {} of {largest}", apart());
            }
            Detector::Range => {
                assert_eq!(warming, 1, "{detector:?}");
                assert!(young.iter().all(Option::is_none), "{detector:?}");
                continue;
            }
            Detector::Tail | Detector::Classic | Detector::Seasonal | Detector::Flatline => {}
        }
        assert_eq!(warming, 0, "{detector:?}");
        assert!(young.iter().all(Option::is_some), "{detector:?}");
        println!("{detector:?}: scores at most {:.3} apart", apart());
    }
}
