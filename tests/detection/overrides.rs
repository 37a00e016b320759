//! Settings that hold for some series: these are judged by them, all others as if nothing were set.

use std::collections::BTreeSet;
use std::time::Duration;

use portent::detect::{Detect, Finding, Missing, Patch, SeriesOverride, Settings, Sides, SignalPlan, What};
use portent::series::{Batch, Service};
use portent::source::read_matchers;
use portent::time::Timestamp;
use proptest::prelude::*;

use super::trial::{NEVER_MUTED, key, plan, signal};

const STEP: Duration = Duration::from_secs(60);
const SERVICES: [&str; 3] = ["a", "b", "c"];

fn over(entry: u16, matchers: &str, patch: Patch) -> SeriesOverride {
    let matchers = read_matchers(matchers).expect("matchers");
    SeriesOverride { entry, name: matchers.to_string().into(), matchers, patch }
}

fn with(settings: &Settings, overrides: Vec<SeriesOverride>) -> SignalPlan {
    SignalPlan { overrides, ..plan(settings.clone(), STEP) }
}

/// Noise about 100 with a fault now and then, another one in each service, and a pause in the last one.
fn value(seed: u64, nth: usize, service: usize) -> Option<f64> {
    let mut state = seed.wrapping_add((nth * 31 + service * 7919) as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut uniform = || {
        state ^= state >> 30;
        state = state.wrapping_mul(0xBF58_476D_1CE4_E5B9).wrapping_add(0x94D0_49BB_1331_11EB);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    let noise = (0..6).map(|_| uniform()).sum::<f64>() - 3.0;
    let fault = match (nth + 40 * service) % 170 {
        100..104 => 12.0,
        150..153 => -9.0,
        _ => 0.0,
    };
    let is_pause = service == 2 && (300..330).contains(&nth);
    (!is_pause).then_some(100.0 + noise + fault)
}

/// Lives through steps; gives everything found.
fn live(detect: &mut Detect, seed: u64, steps: std::ops::Range<usize>) -> Vec<Finding> {
    let mut found = Vec::new();
    for nth in steps {
        let at = Timestamp::from_millis(1_800_000_000_000 + nth as i64 * 60_000);
        let mut batch = Batch::new(signal());
        for (place, service) in SERVICES.iter().enumerate() {
            if let Some(value) = value(seed, nth, place) {
                batch.begin_row(key(service));
                batch.push(at, value);
            }
        }
        detect.judge(&batch, NEVER_MUTED);
        found.extend(detect.close(&signal(), at, NEVER_MUTED));
    }
    found
}

/// What was found, but for why: that names the overrides.
fn told(found: &[Finding], service: Option<&str>) -> Vec<(Timestamp, Service, What)> {
    let is_one = |finding: &&Finding| service.is_none_or(|name| finding.key.service.as_str() == name);
    let told = found.iter().filter(is_one);
    told.map(|finding| (finding.at, finding.key.service.clone(), finding.what.clone())).collect()
}

fn opened(found: &[Finding]) -> BTreeSet<String> {
    let opened = found.iter().filter(|finding| matches!(finding.what, What::Anomalous(_)));
    opened.map(|finding| finding.key.service.to_string()).collect()
}

fn patches() -> impl Strategy<Value = Patch> {
    let some = (
        prop::option::of(0.0..0.2_f64),
        prop::option::of(prop::sample::select(vec![Sides::Both, Sides::Up, Sides::Down])),
        prop::option::of(1_usize..4),
        prop::option::of(0.001..10.0_f64),
        prop::option::of(1.0..6.0_f64),
        prop::option::of(103.0..115.0_f64),
        prop::option::of(any::<bool>()),
    );
    some.prop_map(|(relative, sides, points, openings, sigma, max, alerts)| Patch {
        min_deviation_relative: relative,
        sides,
        open_points: points,
        open_window: points,
        strong_points: points,
        false_openings_per_day: openings,
        sigma,
        valid_max: max.map(Some),
        missing: alerts.map(|alerts| match alerts {
            true => Missing::Alert { after: Duration::from_secs(600) },
            false => Missing::Ignore,
        }),
        ..Patch::default()
    })
}

fn bases() -> impl Strategy<Value = Settings> {
    prop::sample::select(vec![
        Settings::default(),
        Settings::classic(),
        Settings { min_deviation_relative: 0.0, ..Settings::default() },
    ])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_series_that_matches_is_judged_as_if_all_had_its_settings(
        base in bases(),
        patch in patches(),
        seed in any::<u64>(),
    ) {
        let overrides = vec![over(0, "service=\"b\"", patch.clone())];
        let mixed = live(&mut Detect::new([(signal(), with(&base, overrides))]), seed, 0..500);
        let all = live(&mut Detect::new([(signal(), with(&patch.applied_to(&base), Vec::new()))]), seed, 0..500);
        let plain = live(&mut Detect::new([(signal(), with(&base, Vec::new()))]), seed, 0..500);
        prop_assert_eq!(told(&mixed, Some("b")), told(&all, Some("b")));
        for other in ["a", "c"] {
            prop_assert_eq!(told(&mixed, Some(other)), told(&plain, Some(other)));
        }
    }

    #[test]
    fn overrides_that_match_no_series_change_nothing(base in bases(), patch in patches(), seed in any::<u64>()) {
        let overrides = vec![over(0, "service=~\"x|y\"", patch)];
        let mixed = live(&mut Detect::new([(signal(), with(&base, overrides))]), seed, 0..400);
        prop_assert_eq!(mixed, live(&mut Detect::new([(signal(), with(&base, Vec::new()))]), seed, 0..400));
    }

    #[test]
    fn a_reload_of_the_same_overrides_changes_nothing(
        base in bases(),
        patch in patches(),
        seed in any::<u64>(),
        half in 0_usize..400,
    ) {
        let plans = || [(signal(), with(&base, vec![over(0, "service!~\"a|c\"", patch.clone())]))];
        let whole = live(&mut Detect::new(plans()), seed, 0..400);
        let mut detect = Detect::new(plans());
        let mut found = live(&mut detect, seed, 0..half);
        prop_assert!(detect.reconfigure(plans(), &BTreeSet::new()).is_empty());
        found.extend(live(&mut detect, seed, half..400));
        prop_assert_eq!(found, whole);
    }

    #[test]
    fn the_last_of_several_that_match_decides(base in bases(), first in patches(), last in patches(), seed in any::<u64>()) {
        let both = vec![over(0, "service=\"b\"", first.clone()), over(1, "service=~\"b.*\"", last.clone())];
        let one = vec![over(0, "service=\"b\"", first.under(&last))];
        let of_both = live(&mut Detect::new([(signal(), with(&base, both))]), seed, 0..300);
        let of_one = live(&mut Detect::new([(signal(), with(&base, one))]), seed, 0..300);
        prop_assert_eq!(told(&of_both, None), told(&of_one, None));
    }
}

#[test]
fn an_override_holds_from_the_next_sample_on_and_no_series_warms_up_anew() {
    let base = Settings { min_deviation_relative: 0.0, ..Settings::classic() };
    let patch = Patch { min_deviation_absolute: Some(50.0), ..Patch::default() };
    let mut detect = Detect::new([(signal(), with(&base, Vec::new()))]);
    assert_eq!(opened(&live(&mut detect, 1, 0..300)).len(), 3);
    let quiet = vec![over(0, "service=\"a\"", patch)];
    assert!(detect.reconfigure([(signal(), with(&base, quiet))], &BTreeSet::new()).is_empty());
    assert_eq!(detect.tallies()[0].1.warming, 0);
    live(&mut detect, 1, 300..330);
    let later = live(&mut detect, 1, 330..700);
    assert_eq!(opened(&later), BTreeSet::from(["b".to_owned(), "c".to_owned()]));
    let held: Vec<_> = detect.overridden(&signal()).iter().map(|over| over.series).collect();
    assert_eq!(held, [1]);
    assert!(detect.reconfigure([(signal(), with(&base, Vec::new()))], &BTreeSet::new()).is_empty());
    assert_eq!(opened(&live(&mut detect, 1, 700..1100)).len(), 3, "it was for as long as it stood there");
}

#[test]
fn a_series_that_may_stop_now_is_lost_no_more_and_the_others_are() {
    let plans = |overrides| [(signal(), with(&Settings::default(), overrides))];
    let mut detect = Detect::new(plans(Vec::new()));
    live(&mut detect, 3, 0..330);
    assert_eq!(detect.tallies()[0].1.lost, 1);
    let may_stop = Patch { missing: Some(Missing::Ignore), ..Patch::default() };
    detect.reconfigure(plans(vec![over(0, "service=\"a\"", may_stop.clone())]), &BTreeSet::new());
    assert_eq!(detect.tallies()[0].1.lost, 1, "it is another one");
    detect.reconfigure(plans(vec![over(0, "service=\"c\"", may_stop)]), &BTreeSet::new());
    assert_eq!(detect.tallies()[0].1.lost, 0);
}

#[test]
fn the_gates_say_which_overrides_hold() {
    let patch = Patch { min_deviation_relative: Some(0.01), ..Patch::default() };
    let overrides = vec![over(0, "service=\"a\"", patch)];
    let mut detect = Detect::new([(signal(), with(&Settings::default(), overrides))]);
    live(&mut detect, 1, 0..200);
    let at = Timestamp::from_millis(1_800_000_000_000 + 200 * 60_000);
    let text = |service: &str| {
        let trace = detect.explain(&key(service), at, Some(100.0)).expect("the signal is watched");
        format!("{:?}", trace.checks)
    };
    assert!(text("a").contains("overrides"), "{}", text("a"));
    assert!(!text("b").contains("overrides"));
    let views = detect.of_signal(&signal());
    let of = |service: &str| views.iter().find(|view| view.key.service.as_str() == service);
    assert_eq!(of("a").map(|view| view.overrides.len()), Some(1));
    assert_eq!(of("b").map(|view| view.overrides.len()), Some(0));
}
