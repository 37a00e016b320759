//! Writes the config: short, each choice with its reason, in an order that does not change.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::catalogue;
use super::convention::{Convention, Tier};
use super::draft::{Draft, Entry, Part, Verdict};
use super::escape::{comment_text, toml_text};
use super::pace::Pace;
use super::proposal::Sighting;
use super::service::Measured;
use crate::detect::Kind;
use crate::time::{Timestamp, format_duration};

/// What was looked at, and what that took.
#[derive(Debug, Clone, PartialEq)]
pub struct Backend {
    /// Its URL, without a secret.
    pub url: String,
    /// What it calls itself, such as `Prometheus 2.42.0`; may hold anything.
    pub product: String,
    /// Further lines of `[source]`, as TOML that is known to be sound; may be empty.
    pub source_lines: String,
    /// How many metrics it has.
    pub metrics: usize,
    /// The requests that were sent.
    pub requests: usize,
    /// The bytes that came back.
    pub bytes: usize,
    /// The time that all of it took.
    pub seconds: f64,
    /// When.
    pub at: Timestamp,
    /// Why not everything was looked at; empty where it was.
    pub cut_short: String,
}

/// Characters of a backend's own words in a comment.
const WORDS_CHARS_MAX: usize = 120;

/// Signals with more series than this have a wider band, unless users feel them.
const SERIES_MANY: usize = 100;

/// Writes the config of a draft.
pub fn document(draft: &Draft, backend: &Backend) -> String {
    let defaults = Defaults::of(draft);
    let mut text = head(draft, backend);
    text.push_str("\n[source]\n");
    let _ = writeln!(text, "url = {}", toml_text(&backend.url));
    text.push_str(&backend.source_lines);
    if draft.entries().next().is_none() {
        text.push_str(&example());
        return text;
    }
    text.push_str(&defaults.section());
    for part in draft.parts.iter().filter(|part| !part.entries.is_empty()) {
        write_part(&mut text, part, &defaults);
    }
    text
}

/// What most signals have in common.
struct Defaults {
    pace: Pace,
    service: String,
}

impl Defaults {
    fn of(draft: &Draft) -> Self {
        let mut paces: BTreeMap<Pace, usize> = BTreeMap::new();
        let mut services: Vec<(&str, usize)> = Vec::new();
        for entry in draft.watched() {
            *paces.entry(entry.proposal.pace).or_default() += 1;
            let service = entry.proposal.service.as_str();
            match services.iter_mut().find(|(known, _)| *known == service) {
                Some((_, count)) => *count += 1,
                None => services.push((service, 1)),
            }
        }
        // Of several the first: the shortest step, the label of the most telling signals.
        let pace = paces.iter().rev().max_by_key(|(_, count)| **count).map(|(pace, _)| *pace);
        let service = services.iter().rev().max_by_key(|(_, count)| *count).map(|(service, _)| *service);
        Self { pace: pace.unwrap_or(Pace::UNKNOWN), service: service.unwrap_or("service").to_owned() }
    }

    fn section(&self) -> String {
        let mut text = "\n[signal_defaults]\n".to_owned();
        text.push_str("# The distance of two samples, or a multiple of it; rates are over four steps.\n");
        write_pace(&mut text, self.pace);
        text.push_str("# What names a service; the parts below say what there was to choose from.\n");
        let _ = writeln!(text, "service_label = {}", toml_text(&self.service));
        text
    }
}

fn write_pace(text: &mut String, pace: Pace) {
    let _ = writeln!(text, "step = \"{}\"", format_duration(pace.step));
    let _ = writeln!(text, "interval = \"{}\"", format_duration(pace.poll()));
    if pace.lost_after() > std::time::Duration::from_secs(300) {
        let _ = writeln!(text, "lost_after = \"{}\"", format_duration(pace.lost_after()));
    }
}

fn head(draft: &Draft, backend: &Backend) -> String {
    let mut text = String::new();
    let date: String = backend.at.to_string().chars().take(10).collect();
    let url = comment_text(&backend.url, WORDS_CHARS_MAX);
    let product = comment_text(&backend.product, WORDS_CHARS_MAX);
    let _ = writeln!(text, "# Written by `portent init` on {date} for {url} ({product}).");
    let (requests, bytes) = (backend.requests, size(backend.bytes));
    let _ = writeln!(
        text,
        "# {} metrics were looked at with {requests} requests ({bytes}, {}); nothing was changed there.",
        backend.metrics,
        span(backend.seconds)
    );
    if !backend.cut_short.is_empty() {
        let _ = writeln!(text, "# NOT EVERYTHING WAS LOOKED AT: {}", comment_text(&backend.cut_short, 300));
    }
    if draft.parts.is_empty() {
        let _ = writeln!(text, "#\n# Nothing was recognised. What was looked for:");
        catalogue::all().for_each(|known| {
            let _ = writeln!(text, "#   {}", known.title.replace("{p}", "..."));
        });
        return text;
    }
    let (mut series, mut bytes) = (0, 0);
    draft.watched().for_each(|entry| {
        series += entry.trial.series;
        bytes += entry.trial.bytes;
    });
    let signals = draft.signals();
    let _ =
        writeln!(text, "# {signals} signals, {series} series, {} for a poll of all of them.", size(bytes));
    text.push_str("#\n# Found, and watched of it:\n");
    draft.parts.iter().for_each(|part| {
        let _ = writeln!(text, "#   {}: {}", comment_text(&part.found.title(), 200), outcome(part));
    });
    text.push_str(
        "#\n# Next: portent check config THIS_FILE --live, then portent run --config.file=THIS_FILE\n",
    );
    text
}

/// What became of a convention, in a few words.
fn outcome(part: &Part) -> String {
    let names = |wanted: fn(&Verdict) -> bool| {
        let entries = part.entries.iter().filter(|entry| wanted(&entry.verdict));
        entries.map(|entry| entry.proposal.name.as_str()).collect::<Vec<_>>().join(", ")
    };
    let watched = names(|verdict| *verdict == Verdict::Watched);
    let off = names(|verdict| *verdict != Verdict::Watched);
    let mut words = Vec::new();
    if !watched.is_empty() {
        words.push(watched);
    }
    if !off.is_empty() {
        words.push(format!("off: {off}"));
    }
    if !part.twice.is_empty() {
        words.push(format!("{} of the same services are watched already", part.twice.join(", ")));
    }
    if !part.note.is_empty() {
        words.push(comment_text(&part.note, 300));
    }
    if words.is_empty() {
        words.push("its queries give no series now".to_owned());
    }
    words.join("; ")
}

fn write_part(text: &mut String, part: &Part, defaults: &Defaults) {
    let convention = part.found.convention();
    let _ = writeln!(text, "\n# ---- {} ----", comment_text(&part.found.title(), 200));
    if let Some(seen) = &part.seen {
        write_seen(text, &part.found.anchor(), seen);
    }
    for entry in &part.entries {
        text.push('\n');
        write_entry(text, entry, convention, defaults);
    }
}

/// What its services are called and how far apart its samples are.
fn write_seen(text: &mut String, anchor: &str, seen: &Sighting) {
    let chosen = &seen.service.chosen;
    let coverage = match chosen.series >= seen.series {
        true => "on all series".to_owned(),
        false => format!("on {} of {} series", chosen.series, seen.series),
    };
    let _ = write!(text, "# Service: {} ({}, {coverage})", chosen.candidate, values(chosen));
    let others: Vec<String> = seen
        .service
        .others
        .iter()
        .map(|other| match other.series >= seen.series {
            true => format!("{} ({})", other.candidate, values(other)),
            false => format!("{} ({}, on {} series)", other.candidate, values(other), other.series),
        })
        .collect();
    if !others.is_empty() {
        let _ = write!(text, "; or {}", others.join(", "));
    }
    text.push_str(".\n");
    if seen.pace.is_none() {
        text.push_str("# How far apart its samples are could not be measured: the step is a guess.\n");
    }
    if !seen.help.is_empty() {
        let _ = writeln!(text, "# {anchor} by its exporter: {}", comment_text(&seen.help, WORDS_CHARS_MAX));
    }
}

fn values(measured: &Measured) -> String {
    match measured.values {
        1 => "1 value".to_owned(),
        count => format!("{count} values"),
    }
}

fn write_entry(text: &mut String, entry: &Entry, convention: &Convention, defaults: &Defaults) {
    let (proposal, trial) = (&entry.proposal, &entry.trial);
    let body = table(entry, convention, defaults);
    match &entry.verdict {
        Verdict::Watched => {
            let _ = writeln!(
                text,
                "# {} series; a poll brings {} samples in {} and {}.",
                trial.series,
                trial.samples,
                size(trial.bytes),
                span(trial.seconds)
            );
            write_flaws(text, entry);
            if !proposal.why.is_empty() {
                let _ = writeln!(text, "# {}", proposal.why);
            }
            text.push_str(&body);
        }
        Verdict::Off { because } => {
            let _ = writeln!(text, "# Off: {}.", comment_text(because, 400).trim_end_matches('.'));
            body.lines().for_each(|line| {
                let _ = writeln!(text, "{}", format!("# {line}").trim_end());
            });
        }
    }
}

fn write_flaws(text: &mut String, entry: &Entry) {
    let trial = &entry.trial;
    if trial.without_service > 0 {
        let label = &entry.proposal.service;
        let _ = writeln!(text, "# {} series lack {label} and are not judged.", trial.without_service);
    }
    if trial.not_values > 0 {
        let _ = writeln!(text, "# {} samples were NaN or infinite and are not judged.", trial.not_values);
    }
    for warning in trial.warnings.iter().take(2) {
        let _ = writeln!(text, "# The backend warns: {}", comment_text(warning, WORDS_CHARS_MAX));
    }
}

/// The signal's table.
fn table(entry: &Entry, convention: &Convention, defaults: &Defaults) -> String {
    let proposal = &entry.proposal;
    let mut text = format!("[signal.{}]\nquery = {}\n", proposal.name, query(&proposal.promql));
    if proposal.service != defaults.service {
        let _ = writeln!(text, "service_label = {}", toml_text(&proposal.service));
    }
    if proposal.pace != defaults.pace {
        write_pace(&mut text, proposal.pace);
    }
    if Kind::of_name(&proposal.name) != proposal.kind {
        let _ = writeln!(text, "kind = \"{}\"", proposal.kind.as_str());
    }
    for (key, value) in &proposal.keys {
        let _ = writeln!(text, "{key} = {value}");
    }
    if convention.tier != Tier::Golden && entry.trial.series > SERIES_MANY {
        text.push_str("sigma = 4.0 # so many series, of which users feel none directly\n");
    }
    text
}

/// A query as a TOML string that a person can read.
fn query(promql: &str) -> String {
    let is_plain = !promql.contains('\'') && promql.chars().all(|c| c == '\n' || !c.is_control());
    match (is_plain, promql.contains('\n')) {
        (true, true) => format!("'''\n{promql}\n'''"),
        (true, false) => format!("'{promql}'"),
        (false, _) => toml_text(promql),
    }
}

fn example() -> String {
    "
# A signal is a PromQL expression that gives a series for each service. Name yours, then take out the comment signs:
#
# [signal_defaults]
# service_label = \"job\"
#
# [signal.request_rate]
# query = 'sum by (job) (rate(YOUR_REQUESTS_TOTAL[1m]))'
# min_deviation_absolute = 1.0
"
    .to_owned()
}

/// Bytes as people read them.
fn size(bytes: usize) -> String {
    match bytes {
        0..1000 => format!("{bytes} B"),
        1000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        _ => format!("{:.1} MB", bytes as f64 / 1e6),
    }
}

/// Seconds as people read them.
fn span(seconds: f64) -> String {
    if seconds < 1.0 { format!("{:.0} ms", (seconds * 1000.0).ceil()) } else { format!("{seconds:.1} s") }
}
