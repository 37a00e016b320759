//! The report as text for a terminal.

use std::fmt::Write as _;
use std::time::Duration;

use super::bar::count;
use super::told::{Told, severities, signals};
use crate::backtest::{Difference, Row, Score, Verdict};
use crate::cli::incident_text::plain;
use crate::replay::Found;
use crate::time::{Timestamp, format_duration};

/// More rows of a table, or incidents of a list, are counted only; `--output json` has them all.
const ROWS_MAX: usize = 20;

/// Writes the report.
pub(super) fn text(told: &Told) -> String {
    let mut out = String::new();
    let period = told.report.period;
    let line = |out: &mut String, text: &str| {
        out.push_str(text);
        out.push('\n');
    };
    line(
        &mut out,
        &format!(
            "{} from {} to {} ({:.2} days)",
            plain(&told.new.file),
            seconds(period.begin),
            seconds(period.until),
            period.days()
        ),
    );
    if told.begins_late() {
        let late = format!(
            "the backend holds nothing from {} to then; rates are by what it holds",
            seconds(told.span.since)
        );
        line(&mut out, &late);
    }
    let reading = &told.reading;
    line(
        &mut out,
        &format!(
            "read from {}: {} samples of {} series in {} requests; it took {}",
            plain(&told.source),
            count(reading.samples),
            reading.series,
            reading.requests,
            format_duration(Duration::from_secs(told.took.as_secs()))
        ),
    );
    for warning in &reading.warnings {
        line(&mut out, &format!("the backend warns: {}", plain(warning)));
    }
    tables(told, &mut out);
    for (name, verdict) in sides(told) {
        if let Some(score) = &verdict.score {
            labels(name.as_deref(), score, &mut out);
        }
    }
    // What the other config missed is no news.
    told.report.new.score.iter().for_each(|score| missed(score, &mut out));
    if let (Some(difference), Some(old)) = (&told.report.difference, &told.report.old) {
        differences(told, difference, old, &mut out);
    }
    out
}

/// The verdicts, each with the name of its config where there are two.
fn sides(told: &Told) -> Vec<(Option<String>, &Verdict)> {
    match (&told.report.old, &told.old) {
        (Some(old), Some(named)) => {
            vec![(Some(plain(&told.new.file)), &told.report.new), (Some(plain(&named.file)), old)]
        }
        _ => vec![(None, &told.report.new)],
    }
}

fn tables(told: &Told, out: &mut String) {
    let (new, old) = (&told.report.new.tables, told.report.old.as_ref().map(|old| &old.tables));
    let names = [&new.by_signal, &new.by_service].into_iter().flatten().map(|row| row.name.chars().count());
    let width = names.max().unwrap_or(0).clamp(16, 48) + 2;
    let _ = write!(
        out,
        "\n{:<width$}  {:>9} {:>8} {:>5} {:>5} {:>5} {:>5}",
        "", "incidents", "a day", "P0", "P1", "P2", "P3"
    );
    if old.is_some() {
        let _ = write!(out, "  {:>8} {:>8}", "before", "a day");
    }
    out.push('\n');
    let all = Row { name: "all".to_owned(), counts: new.all };
    let all_old = old.map(|old| Row { name: "all".to_owned(), counts: old.all });
    row(told, &all, old.map(|_| all_old.as_ref()), width, out);
    let groups = [
        ("by signal (that opened it)", &new.by_signal, old.map(|old| &old.by_signal)),
        ("by service", &new.by_service, old.map(|old| &old.by_service)),
    ];
    for (heading, rows, before) in groups {
        let rows = with_missing(rows, before);
        let _ = writeln!(out, "{heading}");
        if rows.is_empty() {
            let _ = writeln!(out, "  none");
        }
        for each in rows.iter().take(ROWS_MAX) {
            let before = before.map(|before| before.iter().find(|other| other.name == each.name));
            row(told, each, before, width, out);
        }
        more(rows.len(), out);
    }
    let beyond = told.report.new.outcome.beyond;
    if beyond > 0 {
        let _ = writeln!(
            out,
            "{beyond} incidents beyond the first 20000 are counted in all and in nothing else; what differs is told up to there"
        );
    }
}

/// The rows, and those that only the other config has.
fn with_missing(rows: &[Row], before: Option<&Vec<Row>>) -> Vec<Row> {
    let is_new = |row: &&Row| !rows.iter().any(|known| known.name == row.name);
    let gone = before.into_iter().flatten().filter(is_new);
    let gone = gone.map(|row| Row { name: row.name.clone(), counts: crate::backtest::Counts::default() });
    rows.iter().cloned().chain(gone).collect()
}

fn row(told: &Told, row: &Row, before: Option<Option<&Row>>, width: usize, out: &mut String) {
    let name: String = plain(&row.name).chars().take(width - 2).collect();
    let per_day = told.per_day(row.counts.total);
    let _ = write!(out, "  {name:<0$}  {1:>9} {per_day:>8.2}", width - 2, row.counts.total);
    for (_, count) in severities(&row.counts) {
        let _ = write!(out, " {count:>5}");
    }
    if let Some(before) = before {
        let before = before.map_or(0, |before| before.counts.total);
        let _ = write!(out, "  {before:>8} {:>8.2}", told.per_day(before));
    }
    out.push('\n');
}

fn more(rows: usize, out: &mut String) {
    if rows > ROWS_MAX {
        let _ = writeln!(out, "  and {} more, see --output json", rows - ROWS_MAX);
    }
}

fn labels(name: Option<&str>, score: &Score, out: &mut String) {
    let share = |share: Option<f64>| share.map_or_else(|| "none".to_owned(), |share| format!("{share:.3}"));
    let name = name.map(|name| format!(" of {name}")).unwrap_or_default();
    let _ = writeln!(
        out,
        "\nlabels{name}: recall {} ({} of {} found), precision {} ({} of {} incidents fit one)",
        share(score.recall()),
        score.found,
        score.labels,
        share(score.precision()),
        score.fitting,
        score.incidents
    );
    if let (Some(median), Some(worst)) = (score.median_delay(), score.delays.last()) {
        let span = |span: Duration| format_duration(Duration::from_secs(span.as_secs()));
        let _ = writeln!(out, "  delay: {} at the median, {} at most", span(median), span(*worst));
    }
    if score.outside > 0 {
        let _ = writeln!(out, "  {} labels lie outside of the span and count for nothing", score.outside);
    }
}

fn missed(score: &Score, out: &mut String) {
    for label in score.missed.iter().take(ROWS_MAX) {
        let part = |text: &Option<String>| {
            text.as_deref().map(|text| format!("  {}", plain(text))).unwrap_or_default()
        };
        let (start, service, signal) = (seconds(label.start), part(&label.service), part(&label.signal));
        let _ = writeln!(out, "  missed: line {}  {start}{service}{signal}", label.line);
    }
    more(score.missed.len(), out);
}

fn differences(told: &Told, difference: &Difference, old: &Verdict, out: &mut String) {
    let against = told.old.as_ref().map(|old| plain(&old.file)).unwrap_or_default();
    let _ = writeln!(
        out,
        "\nagainst {against}: {} in both ({} with another severity), {} moved, {} new, {} gone",
        difference.both.len(),
        difference.reassessed.len(),
        difference.moved.len(),
        difference.only_new.len(),
        difference.only_old.len()
    );
    let (new, old) = (&told.report.new.outcome.found, &old.outcome.found);
    let listed = |heading: &str, places: &[usize], found: &[Found], out: &mut String| {
        for found in places.iter().filter_map(|place| found.get(*place)).take(ROWS_MAX) {
            let _ = writeln!(out, "  {heading}  {}", incident(found));
        }
        more(places.len(), out);
    };
    listed("new  ", &difference.only_new, new, out);
    listed("gone ", &difference.only_old, old, out);
    for pair in difference.moved.iter().take(ROWS_MAX) {
        let (Some(new), Some(old)) = (new.get(pair.new), old.get(pair.old)) else { continue };
        let _ = writeln!(out, "  moved  {}, began {}", incident(new), shift(new.onset, old.onset));
    }
    more(difference.moved.len(), out);
}

/// One incident in a line.
fn incident(found: &Found) -> String {
    format!(
        "{}  {}  {}  {}  {}",
        seconds(found.opened_at),
        found.severity,
        plain(&found.subject.to_string()),
        plain(&signals(found)),
        found.id
    )
}

/// How much earlier or later.
pub(super) fn shift(new: Timestamp, old: Timestamp) -> String {
    match new.cmp(&old) {
        std::cmp::Ordering::Less => format!("{} earlier", format_duration(old.since(new))),
        std::cmp::Ordering::Greater => format!("{} later", format_duration(new.since(old))),
        std::cmp::Ordering::Equal => "at the same time with another series".to_owned(),
    }
}

/// A time to the second.
pub(super) fn seconds(at: Timestamp) -> Timestamp {
    at.align_down(Duration::from_secs(1))
}
