//! Reads `[[override]]`: settings for the series that match, over those of their signal.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::layers::lay_over;
use super::nearest::nearest;
use super::section::{Notes, Section, listed};
use super::settings::Signal;
use super::signals::detection;
use super::tree::{Node, Table, Value, quoted};
use crate::detect::{self, Allotment, Detector, Missing, Patch, Scope, SeriesOverride};
use crate::series::{Matchers, SignalName};
use crate::source::{labels_of, read_matchers};

/// More entries than this are no exceptions; each is tried on every new series.
const OVERRIDES_MAX: usize = 100;
/// A list of matchers has no more items, nor one of signals.
const ITEMS_MAX: usize = 100;

/// What may differ by series.
const BY_SERIES: [&str; 18] = [
    "false_openings_per_day",
    "budget",
    "exit_score",
    "sigma",
    "direction",
    "min_deviation_absolute",
    "min_deviation_relative",
    "valid_min",
    "valid_max",
    "min_volume",
    "open_points",
    "open_window",
    "strong_points",
    "strong_score",
    "clear_points",
    "min_confidence",
    "adopt_after",
    "missing",
];

/// What a signal has as a whole.
const BY_SIGNAL: [&str; 13] = [
    "query",
    "step",
    "interval",
    "service_label",
    "kind",
    "detector",
    "combine",
    "baseline_points",
    "scale_floor_absolute",
    "scale_floor_relative",
    "volume_signal",
    "timezone",
    "tracked_series",
];

/// The keys by which a boundary is set: a detector that keeps one boundary for a whole signal can't have another for some series.
const OF_BOUNDARY: [&str; 3] = ["sigma", "false_openings_per_day", "budget"];

/// An override as far as it concerns signals that have no table of their own, as those of a recording.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ForOthers {
    /// The signals that it is limited to; `None` for all.
    signals: Option<Vec<SignalName>>,
    over: SeriesOverride,
}

impl ForOthers {
    /// The override, where it concerns a signal.
    pub(super) fn concerning(&self, signal: &SignalName) -> Option<&SeriesOverride> {
        let concerns = self.signals.as_ref().is_none_or(|signals| signals.contains(signal));
        concerns.then_some(&self.over)
    }
}

/// An entry that has been read, before it is laid over any signal.
struct Entry<'a> {
    node: &'a Node,
    table: &'a Table,
    place: usize,
    name: Arc<str>,
    matchers: Matchers,
    signals: Option<Vec<SignalName>>,
}

/// What entries are laid over.
struct Base<'a> {
    /// `None` for signals without a table.
    signal: Option<&'a Signal>,
    table: Table,
}

/// Reads the overrides and adds each to the signals that it concerns. Gives what signals without a table have of them.
pub(super) fn overrides(root: &mut Section<'_>, notes: &Notes, signals: &mut [Signal]) -> Vec<ForOthers> {
    let written = root.section("signal").entries();
    let names: Vec<&str> = written.iter().map(|(name, _)| *name).collect();
    let entries = entries(root, &names);
    let inherited = root.section("signal_defaults").table();
    let tables = root.section("signal");
    let with_own = |signal: &Signal| {
        let mut table = inherited.clone();
        if let Some(Node { value: Value::Table(own), .. }) = tables.table().get(signal.query.signal.as_str())
        {
            // What clashes is told where the signal is read.
            lay_over(&mut table, own.clone(), &mut Vec::new());
        }
        table
    };
    let known: Vec<Signal> = signals.to_vec();
    let mut bases: Vec<Base<'_>> =
        known.iter().map(|signal| Base { signal: Some(signal), table: with_own(signal) }).collect();
    bases.push(Base { signal: None, table: inherited.clone() });
    let mut others = Vec::new();
    for entry in &entries {
        let concerned: Vec<&Base<'_>> = bases.iter().filter(|base| concerns(entry, base)).collect();
        check_labels(root, entry, &concerned);
        check_detectors(root, entry, &concerned);
        for base in concerned {
            let Some(patch) = patch(root, notes, entry, base) else { continue };
            let (name, matchers) = (Arc::clone(&entry.name), entry.matchers.clone());
            let over = SeriesOverride { entry: entry.place as u16, name, matchers, patch };
            let own = base.signal.map(|signal| &signal.query.signal);
            match signals.iter_mut().find(|signal| Some(&signal.query.signal) == own) {
                Some(signal) => signal.plan.overrides.push(over),
                None => others.push(ForOthers { signals: entry.signals.clone(), over }),
            }
        }
    }
    others
}

/// Reads which series each entry is for.
fn entries<'a>(root: &mut Section<'a>, signals: &[&str]) -> Vec<Entry<'a>> {
    let Some(list) = root.list("override") else { return Vec::new() };
    if let Some(node) = list.get(OVERRIDES_MAX) {
        let found = list.len();
        root.refuse_node(
            node,
            format!("and what follows are too many: {found} overrides, at most {OVERRIDES_MAX}"),
        );
    }
    let mut entries: Vec<Entry<'a>> = Vec::new();
    for (place, node) in list.iter().take(OVERRIDES_MAX).enumerate() {
        let Some(entry) = entry(root, (place, node), signals) else { continue };
        match entries.iter().find(|other| other.name == entry.name) {
            Some(other) => root.refuse_node(
                entry.node,
                format!("is for {}, as {} is: put the keys of both into one", entry.name, other.node.path),
            ),
            None => entries.push(entry),
        }
    }
    entries
}

fn entry<'a>(root: &Section<'_>, (place, node): (usize, &'a Node), signals: &[&str]) -> Option<Entry<'a>> {
    let Value::Table(table) = &node.value else {
        root.refuse_node(node, "must be a table: begin it with a line [[override]]");
        return None;
    };
    let mut section = root.of(node, table);
    let matchers = matchers(&mut section);
    let limited = match table.contains_key("signals") {
        true => Some(limited_to(&mut section, signals)),
        false => None,
    };
    for key in BY_SIGNAL {
        section
            .misplaced(key, "holds for all series of a signal: set it in [signal.NAME] or [signal_defaults]");
    }
    section.knows(&BY_SERIES);
    section.knows(&["lost_after"]);
    if table.keys().all(|key| matches!(key.as_str(), "matchers" | "signals")) {
        section
            .refuse_whole("sets nothing: give what is to be different, such as min_deviation_relative = 0.2");
    }
    section.finish();
    let (matchers, limited) = (matchers?, limited.map_or(Some(None), |limited| limited.map(Some))?);
    let names: Vec<&str> = limited.iter().flatten().map(SignalName::as_str).collect();
    let name = format!("{}{matchers}", names.join("|")).into();
    Some(Entry { node, table, place, name, matchers, signals: limited })
}

/// A text with matchers, or a list of such texts.
fn matchers(section: &mut Section<'_>) -> Option<Matchers> {
    let way_out = "give those of the series that are meant, such as matchers = 'service=\"checkout\"'";
    let node = section.required("matchers", way_out)?;
    let text = match &node.value {
        Value::List(_) => {
            let texts = section.texts("matchers", ITEMS_MAX, |text| {
                let inner = text.trim();
                Ok(inner
                    .strip_prefix('{')
                    .and_then(|rest| rest.strip_suffix('}'))
                    .unwrap_or(inner)
                    .to_owned())
            });
            texts?.join(", ")
        }
        Value::Text(_)
        | Value::Integer(_)
        | Value::Float(_)
        | Value::Switch(_)
        | Value::Time(_)
        | Value::Table(_) => section.text("matchers")?,
    };
    read_matchers(&text).map_err(|because| section.refuse("matchers", because)).ok()
}

/// The signals that an entry is limited to, sorted. Where the config has none, those of a recording are meant.
fn limited_to(section: &mut Section<'_>, known: &[&str]) -> Option<Vec<SignalName>> {
    let read = |text: &str| {
        if known.is_empty() || known.contains(&text) {
            return Ok(SignalName::new(text));
        }
        let way_out = match nearest(text, known.iter().copied()) {
            Some(meant) => format!("did you mean {meant:?}?"),
            None => format!("give {}", listed(known)),
        };
        Err(format!("{} is no signal: {way_out}", quoted(text)))
    };
    let names: BTreeSet<SignalName> = section.texts("signals", ITEMS_MAX, read)?.into_iter().collect();
    if names.is_empty() {
        section.refuse("signals", "has no entry: name signals, or leave it out for all");
        return None;
    }
    Some(names.into_iter().collect())
}

fn concerns(entry: &Entry<'_>, base: &Base<'_>) -> bool {
    match (&entry.signals, base.signal) {
        (None, _) | (Some(_), None) => true,
        (Some(signals), Some(signal)) => signals.contains(&signal.query.signal),
    }
}

/// A label that no query can give is a slip of the pen, and the override would be for nothing.
fn check_labels(root: &Section<'_>, entry: &Entry<'_>, concerned: &[&Base<'_>]) {
    let queries: Vec<&str> =
        concerned.iter().filter_map(|base| Some(base.signal?.query.promql.as_str())).collect();
    let known: Option<Vec<BTreeSet<String>>> = queries.iter().map(|query| labels_of(query)).collect();
    let Some(known) = known.filter(|known| !known.is_empty()) else { return };
    let known: BTreeSet<String> = known.into_iter().flatten().collect();
    let names: Vec<&str> = known.iter().map(String::as_str).collect();
    for label in entry.matchers.wanted_labels().filter(|label| !known.contains(*label)) {
        let way_out = match (nearest(label, names.iter().copied()), names.as_slice()) {
            (Some(meant), _) => format!("did you mean {meant:?}?"),
            (None, []) => "they give none".to_owned(),
            (None, names) => format!("they give {}", listed(names)),
        };
        let because =
            format!("{} is no label that the queries of its signals give: {way_out}", quoted(label));
        root.of(entry.node, entry.table).refuse("matchers", because);
    }
}

/// Some thresholds mean nothing to some detectors, and some detectors have one for all series.
fn check_detectors(root: &Section<'_>, entry: &Entry<'_>, concerned: &[&Base<'_>]) {
    let section = root.of(entry.node, entry.table);
    let signals: Vec<&Signal> = concerned.iter().filter_map(|base| base.signal).collect();
    for key in OF_BOUNDARY.into_iter().filter(|key| entry.table.contains_key(*key)) {
        let shared = signals.iter().find_map(|signal| {
            let mut detectors = signal.plan.settings.detector.iter();
            detectors.find(|detector| has_one_boundary(*detector)).map(|detector| (signal, detector))
        });
        if let Some((signal, detector)) = shared {
            let name = &signal.query.signal;
            let because = format!(
                "{name} is judged by {}, which has one boundary for all series of a signal: set it in [signal.{name}], or \
                 name others in `signals`",
                detector.as_str()
            );
            section.refuse(key, because);
            continue;
        }
        let uses = |signal: &&Signal| {
            let mut detectors = signal.plan.settings.detector.iter();
            match key {
                "sigma" => {
                    detectors.any(|detector| matches!(detector, Detector::Classic | Detector::Seasonal))
                }
                "false_openings_per_day" => {
                    detectors.any(|detector| !matches!(detector, Detector::Classic | Detector::Flatline))
                }
                _ => true,
            }
        };
        if !signals.is_empty() && !signals.iter().any(uses) {
            let names: BTreeSet<String> =
                signals.iter().map(|signal| signal.plan.settings.detector.to_string()).collect();
            let names: Vec<String> = names.into_iter().collect();
            let instead =
                if key == "sigma" { "false_openings_per_day or min_deviation_relative" } else { "sigma" };
            let because = format!("is nothing to the detector {}: give {instead}", names.join(", "));
            section.refuse(key, because);
        }
    }
}

/// Detectors whose tables are made for one boundary.
fn has_one_boundary(detector: Detector) -> bool {
    match detector {
        Detector::Ewma | Detector::RollingZ | Detector::RobustZ | Detector::Level | Detector::Range => true,
        Detector::Tail | Detector::Classic | Detector::Seasonal | Detector::Flatline => false,
    }
}

/// What an entry changes of a signal: its keys are read as if they stood in the signal's own table.
fn patch(root: &Section<'_>, notes: &Notes, entry: &Entry<'_>, base: &Base<'_>) -> Option<Patch> {
    let mut table = base.table.clone();
    let mut clashes = Vec::new();
    lay_over(&mut table, entry.table.clone(), &mut clashes);
    clashes.into_iter().for_each(|clash| notes.add(clash));
    let mut section = root.of(entry.node, &table);
    let mut settings = detection(&mut section)?;
    let own = base.signal.map(|signal| &signal.query.signal);
    if let Some(least) = &mut settings.volume
        && least.of.as_ref() == own
    {
        least.of = None;
    }
    Some(patch_of(&settings, entry))
}

fn patch_of(settings: &detect::Settings, entry: &Entry<'_>) -> Patch {
    let sets = |key: &str| entry.table.contains_key(key);
    let allotment = settings.budget.map(|of| Allotment { scope: Scope::Matcher(entry.place as u16), ..of });
    let lost_after = match settings.missing {
        Missing::Alert { after } => Some(after),
        Missing::Ignore => None,
    };
    Patch {
        // Until a budget of its own is calibrated, the threshold is that of the config, and no other budget's.
        false_openings_per_day: (sets("false_openings_per_day") || sets("budget"))
            .then_some(settings.false_openings_per_day),
        sigma: (sets("sigma") || sets("budget")).then_some(settings.sigma),
        budget: OF_BOUNDARY.into_iter().any(sets).then_some(allotment),
        boundary: None,
        exit_score: sets("exit_score").then_some(settings.exit_score),
        sides: sets("direction").then_some(settings.sides),
        min_deviation_absolute: sets("min_deviation_absolute").then_some(settings.min_deviation_absolute),
        min_deviation_relative: sets("min_deviation_relative").then_some(settings.min_deviation_relative),
        valid_min: sets("valid_min").then_some(settings.valid.min),
        valid_max: sets("valid_max").then_some(settings.valid.max),
        volume: sets("min_volume").then(|| settings.volume.clone()),
        open_points: sets("open_points").then_some(settings.open_points),
        open_window: sets("open_window").then_some(settings.open_window),
        strong_points: sets("strong_points").then_some(settings.strong_points),
        strong_score: sets("strong_score").then_some(settings.strong_score),
        clear_points: sets("clear_points").then_some(settings.clear_points),
        min_confidence: sets("min_confidence").then_some(settings.min_confidence),
        adopt_after: sets("adopt_after").then_some(settings.adopt_after),
        missing: sets("missing").then_some(settings.missing),
        lost_after: lost_after.filter(|_| sets("lost_after")),
    }
}
