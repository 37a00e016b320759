//! What is different for some series.

use std::time::Duration;

use super::super::load_text;
use super::sound;
use crate::detect::{Missing, Scope, Sides};
use crate::series::{Labels, SeriesKey, Service, SignalName};

const SIGNALS: &str =
    "[signal.errors]\nquery = 'sum by (service, route) (rate(e[5m]))'\n[signal.latency]\nquery = 'l'\n";

fn key(signal: &str, service: &str, labels: &[(&str, &str)]) -> SeriesKey {
    SeriesKey::new(SignalName::new(signal), Service::new(service), Labels::new(labels.iter().copied()))
}

/// What is said of an entry that follows two signals; its first line is the fifth.
#[track_caller]
fn check(entry: &str, expected: &[&str]) {
    let text = format!("{SIGNALS}[[override]]\n{entry}");
    let report = load_text("t", &text, [], &[]).map(drop).unwrap_err().to_string();
    assert_eq!(report.lines().collect::<Vec<_>>(), expected, "for:\n{text}");
}

#[test]
fn the_last_entry_that_matches_wins_key_by_key() {
    let config = sound(&format!(
        "[signal_defaults]\nmissing = 'ignore'\nlost_after = '7m'\n{SIGNALS}
         [[override]]\nmatchers = 'service=\"a\"'\nmin_deviation_relative = 0.5\ndirection = 'up'\nmissing = 'alert'
         [[override]]\nmatchers = ['service=~\"a|b\"', 'route=\"/x\"']\nmin_deviation_relative = 0.2
         [[override]]\nsignals = ['errors']\nmatchers = 'service=\"a\"'\nvalid_max = 1"
    ));
    let settings = |signal: &str, service: &str, labels: &[(&str, &str)]| {
        config.plan_for(&SignalName::new(signal)).settings_of(&key(signal, service, labels))
    };
    let a = settings("errors", "a", &[("route", "/x")]);
    assert_eq!((a.min_deviation_relative, a.sides, a.valid.max), (0.2, Sides::Up, Some(1.0)));
    assert_eq!(a.missing, Missing::Alert { after: Duration::from_secs(420) });
    let other_route = settings("errors", "a", &[("route", "/y")]);
    assert_eq!((other_route.min_deviation_relative, other_route.sides), (0.5, Sides::Up));
    assert_eq!(settings("latency", "a", &[]).valid.max, None, "limited to another signal");
    let b = settings("errors", "b", &[("route", "/x")]);
    assert_eq!((b.min_deviation_relative, b.sides, b.missing), (0.2, Sides::Both, Missing::Ignore));
    let own = config.signals[0].plan.settings.clone();
    assert_eq!(settings("errors", "c", &[]), own);
    assert_eq!(settings("recorded", "a", &[]).sides, Sides::Up, "a signal without a table has them too");
}

#[test]
fn a_budget_of_an_override_is_its_own_and_a_threshold_takes_series_out() {
    let config = sound(&format!(
        "[signal_defaults]\nbudget = '3/week'\n{SIGNALS}
         [[override]]\nmatchers = 'service=\"a\"'\nbudget = '1/week'
         [[override]]\nmatchers = 'service=\"b\"'\nfalse_openings_per_day = 2
         [[override]]\nmatchers = 'service=\"c\"'\nbudget = ''"
    ));
    let plan = &config.signals[0].plan;
    let of = |service: &str| {
        let settings = plan.settings_of(&key("errors", service, &[]));
        (settings.budget.map(|of| (of.budget.to_string(), of.scope)), settings.false_openings_per_day)
    };
    assert_eq!(of("a"), (Some(("1/week".to_owned(), Scope::Matcher(0))), 0.1));
    assert_eq!(of("b"), (None, 2.0));
    assert_eq!(of("c"), (None, 0.1));
    assert_eq!(of("d"), (Some(("3/week".to_owned(), Scope::Common)), 0.1));
}

#[test]
fn traffic_is_told_by_the_signal_that_the_table_names() {
    let config = sound(
        "[signal.errors]\nquery = 'e'\nvolume_signal = 'latency'\n[signal.latency]\nquery = 'l'\n\
         [[override]]\nmatchers = 'service=\"a\"'\nmin_volume = 5",
    );
    let plan = &config.signals[0].plan;
    let least = plan.settings_of(&key("errors", "a", &[])).volume.unwrap();
    assert_eq!((least.least, least.of), (5.0, Some(SignalName::new("latency"))));
    assert_eq!(plan.settings.volume, None);
}

#[test]
fn an_entry_that_says_too_little_is_refused() {
    check(
        "clear_points = 4",
        &[
            "t:5: override[0].matchers: is missing: give those of the series that are meant, such as matchers = 'service=\"checkout\"'",
        ],
    );
    check(
        "matchers = 'service=\"a\"'",
        &[
            "t:5: override[0]: sets nothing: give what is to be different, such as min_deviation_relative = 0.2",
        ],
    );
}

#[test]
fn matchers_that_choose_nothing_or_are_none_are_refused() {
    let given = |matchers: &str| format!("matchers = '{matchers}'\nclear_points = 9");
    check(
        &given("service=~\".*\""),
        &[
            "t:6: override[0].matchers: match every series: leave the table out and set its keys in [signal_defaults] or in a signal",
        ],
    );
    check(
        &given("service=checkout"),
        &[
            "t:6: override[0].matchers: \"service=checkout\" are no label matchers: give matchers such as service=\"checkout\", route=~\"/api/.*\"",
        ],
    );
    check(
        &given("route=~\"(\""),
        &[
            "t:6: override[0].matchers: has \"(\", which is no regular expression that Prometheus takes: correct it, or use = or !=",
        ],
    );
}

#[test]
fn what_is_not_there_is_refused_where_that_is_known() {
    let given = |signals: &str, label: &str| {
        format!("matchers = '{label}=\"a\"'\nsignals = [{signals}]\nclear_points = 9")
    };
    check(
        &given("'error'", "service"),
        &["t:7: override[0].signals: \"error\" is no signal: did you mean \"errors\"?"],
    );
    check(
        &given("'cpu'", "service"),
        &["t:7: override[0].signals: \"cpu\" is no signal: give \"errors\" or \"latency\""],
    );
    check(
        &given("'errors'", "rout"),
        &[
            "t:6: override[0].matchers: \"rout\" is no label that the queries of its signals give: did you mean \"route\"?",
        ],
    );
    check(
        &given("'errors'", "pod"),
        &[
            "t:6: override[0].matchers: \"pod\" is no label that the queries of its signals give: they give \"route\" or \"service\"",
        ],
    );
    // A bare metric may have any label.
    sound(&format!("{SIGNALS}[[override]]\n{}", given("'latency'", "pod")));
}

#[test]
fn what_a_signal_has_as_a_whole_is_refused() {
    let whole = "holds for all series of a signal: set it in [signal.NAME] or [signal_defaults]";
    for line in ["detector = 'classic'", "baseline_points = 30", "step = '1m'", "timezone = 'UTC'"] {
        let key = line.split(' ').next().unwrap_or_default();
        check(&format!("matchers = 'service=\"a\"'\n{line}"), &[&format!("t:7: override[0].{key}: {whole}")]);
    }
}

#[test]
fn values_are_checked_as_in_a_signal() {
    let given = |lines: &str| format!("matchers = 'service=\"a\"'\n{lines}");
    check(
        &given("direction = 'sideways'\nclear_point = 9"),
        &[
            "t:7: override[0].direction: \"sideways\" is not allowed: give \"both\", \"up\" or \"down\"",
            "t:8: override[0].clear_point: is no key here: did you mean `clear_points`?",
        ],
    );
    check(
        &given("open_points = 3"),
        &[
            "t:7: override[0].open_points: open_points = 3 is above open_window = 1: lower the one or raise the other",
        ],
    );
    check(
        &given("budget = '2/week'\nfalse_openings_per_day = 1"),
        &[
            "t:8: override[0].false_openings_per_day: is given together with budget, from which it is calibrated: keep one of them",
        ],
    );
    check(
        &given("sigma = 4"),
        &[
            "t:7: override[0].sigma: is nothing to the detector tail: give false_openings_per_day or min_deviation_relative",
        ],
    );
    check(
        &given("clear_points = 9\n[[override]]\nmatchers = '{service=\"a\"}'\nopen_window = 2"),
        &["t:8: override[1]: is for {service=\"a\"}, as override[0] is: put the keys of both into one"],
    );
}

#[test]
fn a_detector_with_one_boundary_for_all_takes_no_threshold_for_some() {
    let text = "[signal.x]\nquery = 'x'\ndetector = ['tail', 'ewma']\n[[override]]\nmatchers = 'service=\"a\"'\nbudget = '2/week'";
    let report = load_text("t", text, [], &[]).map(drop).unwrap_err().to_string();
    assert_eq!(
        report,
        "t:6: override[0].budget: x is judged by ewma, which has one boundary for all series of a signal: set it in \
         [signal.x], or name others in `signals`"
    );
}

#[test]
fn another_override_is_a_change_of_the_signals_that_it_concerns() {
    let text = format!(
        "{SIGNALS}[[override]]\nsignals = ['errors']\nmatchers = 'service=\"a\"'\nclear_points = 9\nopen_window = 2"
    );
    let (before, after) = (sound(&text), sound(&text.replace("clear_points = 9", "clear_points = 8")));
    let changes = after.changes_since(&before);
    assert_eq!(changes.keys, ["override[0].clear_points"]);
    assert_eq!(changes.told.sections, ["override"]);
    assert_eq!(changes.told.changed, [SignalName::new("errors")]);
    let told = after.signal_changes_since(&before, &SignalName::new("errors"));
    let told: Vec<_> = told
        .iter()
        .map(|change| (change.key.as_str(), change.before.as_deref(), change.after.as_deref()))
        .collect();
    assert_eq!(told, [("override errors{service=\"a\"}: clear_points", Some("9"), Some("8"))]);
    let without = sound(SIGNALS);
    assert_eq!(without.changes_since(&before).told.changed, [SignalName::new("errors")]);
    assert_ne!(without.hash(), before.hash());
}
