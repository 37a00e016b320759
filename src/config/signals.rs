//! Reads `[signal_defaults]` and the signals' own tables, which inherit from it key by key.

use std::time::Duration;

use super::layers::lay_over;
use super::section::{Notes, Section, chosen, listed};
use super::settings::{Signal, SignalDefaults};
use super::tree::{Node, Table, Value, quoted};
use super::zone::zone;
use crate::detect::{
    self, Allotment, Budget, Combine, Detector, Detectors, Kind, MinVolume, Missing, NoBudget, Scope, Sides,
    SignalPlan, ValidRange,
};
use crate::series::SignalName;
use crate::source::{ServiceLabels, SignalQuery, check_promql, longest_window};
use crate::time::format_duration;

/// More signals than this are no golden signals, and each is a query a poll.
const SIGNALS_MAX: usize = 100;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(86_400);

/// Reads the defaults of all signals.
pub(super) fn defaults(root: &mut Section<'_>) -> Option<SignalDefaults> {
    let mut section = root.section("signal_defaults");
    let defaults = tuning(&mut section);
    section.finish();
    defaults
}

/// Reads the signals in the order in which they are written.
pub(super) fn signals(root: &mut Section<'_>, notes: &Notes) -> Vec<Signal> {
    let inherited = root.section("signal_defaults").table();
    let section = root.section("signal");
    let entries = section.entries();
    if let Some((name, node)) = entries.get(SIGNALS_MAX) {
        let found = entries.len();
        section.refuse_node(
            node,
            format!("{name:?} and what follows are too many: {found} signals, at most {SIGNALS_MAX}"),
        );
    }
    let names: Vec<&str> = entries.iter().map(|(name, _)| *name).take(SIGNALS_MAX).collect();
    let read = |(name, node): &(&str, &Node)| signal(&section, (name, node), inherited, (notes, &names));
    entries.iter().take(SIGNALS_MAX).filter_map(read).collect()
}

fn signal(
    section: &Section<'_>,
    (name, node): (&str, &Node),
    inherited: &Table,
    (notes, names): (&Notes, &[&str]),
) -> Option<Signal> {
    if !is_name(name) {
        let way_out = "give a letter, then letters, digits and underscores, all small, at most 64";
        section.refuse_node(node, format!("is no name for a signal: {way_out}"));
    }
    let own = section.table_of(node)?;
    // An inherited value keeps its own path and place, so a mistake in the defaults is told there, and once.
    let mut merged = inherited.clone();
    let mut clashes = Vec::new();
    lay_over(&mut merged, own.clone(), &mut clashes);
    clashes.into_iter().for_each(|clash| notes.add(clash));
    let mut section = section.of(node, &merged);
    let way_out = "give a PromQL expression that returns a series for each service";
    let promql = section.required("query", way_out).and_then(|_| section.parsed("query", promql));
    let tuning = tuning(&mut section);
    if let Some(least) = tuning.as_ref().and_then(|tuning| tuning.detect.volume.as_ref()) {
        check_companion(&section, least, names);
    }
    section.finish();
    let (name, promql, mut tuning) = (SignalName::new(name), promql?, tuning?);
    // A signal that is to ask itself has no companion.
    if let Some(least) = &mut tuning.detect.volume
        && least.of.as_ref() == Some(&name)
    {
        least.of = None;
    }
    Some(Signal {
        plan: SignalPlan { window: longest_window(&promql), ..tuning.plan_for(&name) },
        query: SignalQuery { signal: name, promql, step: tuning.step, service_label: tuning.service_label },
        interval: tuning.interval,
    })
}

/// A companion that is no signal would never tell any volume.
fn check_companion(section: &Section<'_>, least: &MinVolume, names: &[&str]) {
    let Some(of) = &least.of else { return };
    if names.contains(&of.as_str()) {
        return;
    }
    let there_are = listed(names);
    section.refuse(
        "volume_signal",
        format!("{:?} is no signal: give {there_are}, or \"\" for the sample's own value", of.as_str()),
    );
}

fn is_name(name: &str) -> bool {
    const BYTES_MAX: usize = 64;
    name.len() <= BYTES_MAX
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}

fn promql(text: &str) -> Result<String, String> {
    check_promql(text)?;
    Ok(text.to_owned())
}

fn tuning(section: &mut Section<'_>) -> Option<SignalDefaults> {
    let step = step(section);
    let interval = section.duration("interval", SECOND..=DAY);
    if let (Some(step), Some(interval)) = (step, interval)
        && interval < step
    {
        let (step, interval) = (format_duration(step), format_duration(interval));
        let because = format!("an interval of {interval} is shorter than the step of {step}");
        section.refuse_pair(
            ["interval", "step"],
            format!("{because}: poll no more often than there are samples"),
        );
    }
    let service_label = service_label(section);
    let mut kinds = vec![("auto", None)];
    kinds.extend(Kind::ALL.map(|kind| (kind.as_str(), Some(kind))));
    let kind = section.choice("kind", &kinds);
    let detect = detection(section);
    let tracked_series = section.count("tracked_series", 1..=1_000_000);
    Some(SignalDefaults {
        step: step?,
        interval: interval?,
        service_label: service_label?,
        kind: kind?,
        detect: detect?,
        tracked_series: tracked_series?,
    })
}

fn step(section: &mut Section<'_>) -> Option<Duration> {
    let step = section.duration("step", SECOND..=HOUR)?;
    if step.subsec_nanos() == 0 {
        return Some(step);
    }
    section.refuse("step", format!("{:?} has a part of a second: give whole seconds", format_duration(step)));
    None
}

/// A label, several joined with a slash, or a list of them.
fn service_label(section: &mut Section<'_>) -> Option<ServiceLabels> {
    let node = section.node("service_label")?;
    let Value::List(items) = &node.value else {
        return section.parsed("service_label", str::parse);
    };
    let names: Option<Vec<&str>> = items.iter().map(Node::as_text).collect();
    let Some(names) = names else {
        section.refuse("service_label", "has an item that is no text: give a list of label names");
        return None;
    };
    names.join("/").parse().map_err(|because: String| section.refuse("service_label", because)).ok()
}

/// Reads how samples are judged.
pub(super) fn detection(section: &mut Section<'_>) -> Option<detect::Settings> {
    let detector = detectors(section);
    let combine = section.choice("combine", &Combine::ALL.map(|combine| (combine.as_str(), combine)));
    let false_openings_per_day = section.number("false_openings_per_day", 1e-6..=1e6);
    let exit_score = section.number("exit_score", 0.1..=1.0);
    let sigma = section.number("sigma", 1.0..=10.0);
    let budget = budget(section);
    let baseline_points = section.count("baseline_points", 8..=240);
    let scale_floor_absolute = section.number("scale_floor_absolute", 0.0..);
    let scale_floor_relative = section.number("scale_floor_relative", 0.0..=1.0);
    let sides =
        section.choice("direction", &[("both", Sides::Both), ("up", Sides::Up), ("down", Sides::Down)]);
    let min_deviation_absolute = section.number("min_deviation_absolute", 0.0..);
    let min_deviation_relative = section.number("min_deviation_relative", 0.0..=100.0);
    let open_points = section.count("open_points", 1..=32);
    let open_window = section.count("open_window", 1..=32);
    let strong_points = section.count("strong_points", 1..=32);
    at_most(section, ("open_points", open_points), ("open_window", open_window));
    at_most(section, ("strong_points", strong_points), ("open_points", open_points));
    let strong_score = section.number("strong_score", 1.0..=1000.0);
    let clear_points = section.count("clear_points", 1..=1000);
    let min_confidence = section.number("min_confidence", 0.0..1.0);
    let adopt_after = section.duration("adopt_after", Duration::from_secs(60)..=30 * DAY);
    let missing = missing(section);
    let zone = section.parsed("timezone", zone);
    let valid = valid_range(section);
    let volume = volume(section);
    Some(detect::Settings {
        detector: detector?,
        combine: combine?,
        false_openings_per_day: false_openings_per_day?,
        budget: budget?,
        exit_score: exit_score?,
        sigma: sigma?,
        baseline_points: baseline_points?,
        scale_floor_absolute: scale_floor_absolute?,
        scale_floor_relative: scale_floor_relative?,
        sides: sides?,
        min_deviation_absolute: min_deviation_absolute?,
        min_deviation_relative: min_deviation_relative?,
        open_points: open_points?,
        open_window: open_window?,
        strong_points: strong_points?,
        strong_score: strong_score?,
        clear_points: clear_points?,
        min_confidence: min_confidence?,
        adopt_after: adopt_after?,
        missing: missing?,
        zone: zone?,
        valid: valid?,
        volume: volume?,
    })
}

fn valid_range(section: &mut Section<'_>) -> Option<ValidRange> {
    let (min, max) = (edge(section, "valid_min"), edge(section, "valid_max"));
    let range = ValidRange { min: min?, max: max? };
    if let (Some(min), Some(max)) = (range.min, range.max)
        && min >= max
    {
        let because = format!("valid_min = {min} is not below valid_max = {max}");
        section
            .refuse_pair(["valid_min", "valid_max"], format!("{because}: lower the one or raise the other"));
    }
    Some(range)
}

/// A number, or none.
fn edge(section: &mut Section<'_>, key: &'static str) -> Option<Option<f64>> {
    const EDGE_MAX: f64 = 1e18;
    let node = section.node(key)?;
    match node.as_text() {
        Some("none") => Some(None),
        Some(_) => {
            section.refuse(key, format!("{} is no number: give a number, or \"none\"", node.shown()));
            None
        }
        None => section.number(key, -EDGE_MAX..=EDGE_MAX).map(Some),
    }
}

fn volume(section: &mut Section<'_>) -> Option<Option<MinVolume>> {
    let least = section.number("min_volume", 0.0..);
    let of = section.text("volume_signal");
    let (least, of) = (least?, of?);
    let of = (!of.is_empty()).then(|| SignalName::new(&of));
    Some((least > 0.0).then_some(MinVolume { least, of }))
}

/// A detector by its name, or a list of them.
fn detectors(section: &mut Section<'_>) -> Option<Detectors> {
    let node = section.node("detector")?;
    let words = Detector::ALL.map(|detector| (detector.as_str(), detector));
    let items = match &node.value {
        Value::List(items) => items.as_slice(),
        Value::Text(_)
        | Value::Switch(_)
        | Value::Integer(_)
        | Value::Float(_)
        | Value::Time(_)
        | Value::Table(_) => std::slice::from_ref(node),
    };
    // Each is looked at, so that all mistakes come at once.
    let read = |item: &Node| chosen(item, &words).map_err(|because| section.refuse_node(item, because)).ok();
    let read: Vec<Option<Detector>> = items.iter().map(read).collect();
    let list: Vec<Detector> = read.into_iter().collect::<Option<_>>()?;
    let twice = list
        .iter()
        .enumerate()
        .find(|(nth, detector)| list.iter().take(*nth).any(|other| other == *detector));
    if let Some((_, detector)) = twice {
        section.refuse("detector", format!("{:?} stands twice: give each once", detector.as_str()));
        return None;
    }
    let chosen = Detectors::of(list);
    if chosen.is_none() {
        let names = Detector::ALL.map(Detector::as_str);
        section.refuse("detector", format!("has no entry: give at least one of {}", listed(&names)));
    }
    chosen
}

/// The keys that a budget stands in place of.
const THRESHOLDS: [&str; 2] = ["false_openings_per_day", "sigma"];

/// The budget that a signal has a part in, where there is one: a threshold of its own takes it out of the common one.
fn budget(section: &mut Section<'_>) -> Option<Option<Allotment>> {
    let text = section.text("budget")?;
    if text.is_empty() {
        return Some(None);
    }
    let read = |because: NoBudget| section.refuse("budget", format!("{} {because}", quoted(&text)));
    let budget: Budget = text.parse().map_err(read).ok()?;
    let is_own = section.sets("budget");
    if let Some(threshold) = THRESHOLDS.into_iter().find(|threshold| section.sets(threshold)) {
        if is_own {
            let because = "is given together with budget, from which it is calibrated: keep one of them";
            section.refuse(threshold, because);
        }
        return Some(None);
    }
    let is_signal = section.path().starts_with("signal.");
    let scope = if is_own && is_signal { Scope::Signal } else { Scope::Common };
    Some(Some(Allotment { budget, scope }))
}

fn missing(section: &mut Section<'_>) -> Option<Missing> {
    let alerts = section.choice("missing", &[("alert", true), ("ignore", false)]);
    let after = section.duration("lost_after", SECOND..=7 * DAY);
    Some(if alerts? { Missing::Alert { after: after? } } else { Missing::Ignore })
}

fn at_most(
    section: &Section<'_>,
    (key, count): (&str, Option<usize>),
    (limit_key, limit): (&str, Option<usize>),
) {
    if let (Some(count), Some(limit)) = (count, limit)
        && count > limit
    {
        let because = format!("{key} = {count} is above {limit_key} = {limit}");
        section.refuse_pair([key, limit_key], format!("{because}: lower the one or raise the other"));
    }
}
