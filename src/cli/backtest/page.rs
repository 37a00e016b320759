//! The report as one page that needs nothing else: no network, no script, readable in the light and in the dark.

use std::collections::BTreeMap;
use std::time::Duration;

use askama::Template;

use super::bar::count;
use super::plot::{HEIGHT, Plot, WIDTH, place};
use super::text::{seconds, shift};
use super::told::{Told, severities, signals};
use crate::backtest::{Counts, Row, Score, Verdict};
use crate::diagnose::short;
use crate::id::IncidentId;
use crate::incident::{Severity, Trouble};
use crate::replay::Found;
use crate::time::{Timestamp, format_duration};

/// So many incidents are drawn.
const PLOTS_MAX: usize = 60;
/// So many rows a table has, and items a list.
const ROWS_MAX: usize = 30;
/// Incidents over time are shown in at most so many columns, each as long as one of these.
const COLUMNS_MAX: u64 = 62;
const COLUMNS: [u64; 8] = [300, 900, 3600, 3 * 3600, 6 * 3600, 86_400, 7 * 86_400, 28 * 86_400];
/// The picture of the columns.
const COLUMNS_WIDTH: f64 = 960.0;
const COLUMNS_HEIGHT: f64 = 140.0;

#[derive(Template)]
#[template(path = "backtest.html")]
struct Page<'a> {
    told: &'a Told,
    begin: Timestamp,
    until: Timestamp,
    tiles: Vec<Tile>,
    columns: Vec<Column>,
    column_length: String,
    most: usize,
    tables: Vec<Table>,
    scores: Vec<(String, &'a Score)>,
    lists: Vec<List>,
    cards: Vec<Card>,
    not_drawn: usize,
    facts: String,
}

/// A figure with what it was before.
struct Tile {
    name: &'static str,
    value: String,
    before: Option<String>,
}

/// A column of the picture over time.
struct Column {
    x: String,
    end: String,
    width: String,
    /// Top, height and class of each part.
    parts: Vec<(String, String, &'static str)>,
    /// The height of the line that the other config has.
    before: Option<String>,
    title: String,
}

struct Table {
    heading: &'static str,
    rows: Vec<TableRow>,
    has_before: bool,
    more: usize,
}

struct TableRow {
    name: String,
    total: usize,
    by_severity: [usize; 4],
    per_day: String,
    before: String,
    /// Shares of the longest bar, in percent.
    share: String,
    share_before: String,
}

struct List {
    heading: &'static str,
    items: Vec<String>,
    more: usize,
}

struct Card {
    severity: &'static str,
    subject: String,
    signals: String,
    /// What the other config says of it; empty without one.
    mark: &'static str,
    series: String,
    says: String,
    opened: Timestamp,
    lasted: String,
    id: IncidentId,
    plot: Option<Plot>,
}

/// Writes the page.
///
/// # Errors
/// Never in practice: the template is a part of the program.
pub(super) fn page(told: &Told) -> Result<String, askama::Error> {
    let report = &told.report;
    let (columns, column_length, most) = columns(told);
    let (cards, not_drawn) = cards(told);
    let page = Page {
        told,
        begin: seconds(report.period.begin),
        until: seconds(report.period.until),
        tiles: tiles(told),
        columns,
        column_length,
        most,
        tables: tables(told),
        scores: scores(told),
        lists: lists(told),
        cards,
        not_drawn,
        facts: format!(
            "{} samples of {} series in {} requests",
            count(told.reading.samples),
            told.reading.series,
            told.reading.requests
        ),
    };
    page.render()
}

fn tiles(told: &Told) -> Vec<Tile> {
    let (new, old) = (&told.report.new, told.report.old.as_ref());
    let rate = |verdict: &Verdict| format!("{:.2}", told.per_day(verdict.tables.all.total));
    let urgent = |verdict: &Verdict| {
        let counts = &verdict.tables.all;
        (counts.of(Severity::P0) + counts.of(Severity::P1)).to_string()
    };
    let mut tiles = vec![
        tile("incidents a day", new, old, rate),
        tile("incidents", new, old, |verdict| verdict.tables.all.total.to_string()),
        tile("P0 or P1", new, old, urgent),
    ];
    if new.score.is_some() {
        let share =
            |share: Option<f64>| share.map_or_else(|| "none".to_owned(), |share| format!("{share:.2}"));
        let of = |verdict: &Verdict, get: &dyn Fn(&Score) -> String| {
            verdict.score.as_ref().map(get).unwrap_or_default()
        };
        tiles.push(tile("recall", new, old, |verdict| of(verdict, &|score| share(score.recall()))));
        tiles.push(tile("precision", new, old, |verdict| of(verdict, &|score| share(score.precision()))));
        let delay = |score: &Score| {
            let delay = score.median_delay();
            delay.map_or_else(
                || "none".to_owned(),
                |delay| format_duration(Duration::from_secs(delay.as_secs())),
            )
        };
        tiles.push(tile("median delay", new, old, |verdict| of(verdict, &delay)));
    }
    tiles
}

fn tile(name: &'static str, new: &Verdict, old: Option<&Verdict>, of: impl Fn(&Verdict) -> String) -> Tile {
    Tile { name, value: of(new), before: old.map(&of) }
}

/// Incidents over time by severity, the length of a column in words, and the most that one has.
fn columns(told: &Told) -> (Vec<Column>, String, usize) {
    let period = told.report.period;
    let whole = period.until.since(period.begin).as_secs().max(1);
    let fits = |length: &&u64| whole / **length < COLUMNS_MAX;
    let length = Duration::from_secs(COLUMNS.iter().find(fits).copied().unwrap_or(whole / COLUMNS_MAX + 1));
    let new = by_column(&told.report.new.outcome.found, length);
    let old = told.report.old.as_ref().map(|old| by_column(&old.outcome.found, length));
    let sums = new.values().chain(old.iter().flat_map(BTreeMap::values)).map(|counts| counts.iter().sum());
    let most: usize = sums.max().unwrap_or(0);
    let scale = COLUMNS_HEIGHT / most.max(1) as f64;
    let first = period.begin.align_down(length);
    let count = period.until.since(first).as_secs() / length.as_secs().max(1) + 1;
    let width = COLUMNS_WIDTH / count as f64;
    let column = |nth: u64| {
        let at = first.plus(length.saturating_mul(u32::try_from(nth).unwrap_or(u32::MAX)));
        let counts = new.get(&at).copied().unwrap_or_default();
        let before: Option<usize> =
            old.as_ref().map(|old| old.get(&at).copied().unwrap_or_default().iter().sum());
        let (mut top, mut parts) = (COLUMNS_HEIGHT, Vec::new());
        for (severity, count) in Severity::ALL.iter().zip(counts).filter(|(_, count)| *count > 0) {
            let height = scale * count as f64;
            top -= height;
            parts.push((place(top), place(height), severity.as_str()));
        }
        let sum: usize = counts.iter().sum();
        let was = before.map(|before| format!(", before {before}")).unwrap_or_default();
        Column {
            x: place(width * nth as f64),
            end: place(width * (nth as f64 + 1.0) - 1.5),
            width: place((width - 1.5).max(1.0)),
            parts,
            before: before.map(|before| place(COLUMNS_HEIGHT - scale * before as f64)),
            title: format!("{at}: {sum}{was}"),
        }
    };
    ((0..count).map(column).collect(), format_duration(length), most)
}

fn by_column(found: &[Found], length: Duration) -> BTreeMap<Timestamp, [usize; 4]> {
    let mut columns: BTreeMap<Timestamp, [usize; 4]> = BTreeMap::new();
    for found in found {
        let counts = columns.entry(found.opened_at.align_down(length)).or_default();
        let mut slots = Severity::ALL.iter().zip(counts);
        if let Some((_, count)) = slots.find(|(severity, _)| **severity == found.severity) {
            *count += 1;
        }
    }
    columns
}

fn tables(told: &Told) -> Vec<Table> {
    let (new, old) = (&told.report.new.tables, told.report.old.as_ref().map(|old| &old.tables));
    let table = |heading: &'static str, rows: &[Row], before: Option<&Vec<Row>>| {
        let was = |name: &str| before.and_then(|rows| rows.iter().find(|row| row.name == name));
        let gone =
            before.into_iter().flatten().filter(|row| !rows.iter().any(|known| known.name == row.name));
        let gone = gone.map(|row| Row { name: row.name.clone(), counts: Counts::default() });
        let all: Vec<Row> = rows.iter().cloned().chain(gone).collect();
        let total = |row: &Row| row.counts.total.max(was(&row.name).map_or(0, |was| was.counts.total));
        let longest = all.iter().map(total).max().unwrap_or(0).max(1) as f64;
        let share = |count: usize| format!("{:.1}", 100.0 * count as f64 / longest);
        let shown = all.iter().take(ROWS_MAX).map(|row| {
            let before = was(&row.name).map_or(0, |was| was.counts.total);
            TableRow {
                name: row.name.clone(),
                total: row.counts.total,
                by_severity: severities(&row.counts).map(|(_, count)| count),
                per_day: format!("{:.2}", told.per_day(row.counts.total)),
                before: format!("{:.2}", told.per_day(before)),
                share: share(row.counts.total),
                share_before: share(before),
            }
        });
        let rows: Vec<TableRow> = shown.collect();
        Table { heading, more: all.len() - rows.len(), rows, has_before: before.is_some() }
    };
    vec![
        table("By signal", &new.by_signal, old.map(|old| &old.by_signal)),
        table("By service", &new.by_service, old.map(|old| &old.by_service)),
    ]
}

fn scores(told: &Told) -> Vec<(String, &Score)> {
    let old = told.report.old.as_ref().and_then(|old| old.score.as_ref());
    let name = |named: Option<&super::told::Named>| named.map(|named| named.file.clone()).unwrap_or_default();
    let new = told.report.new.score.as_ref().map(|score| (name(Some(&told.new)), score));
    new.into_iter().chain(old.map(|score| (name(told.old.as_ref()), score))).collect()
}

fn lists(told: &Told) -> Vec<List> {
    let (Some(difference), Some(old)) = (&told.report.difference, &told.report.old) else {
        return Vec::new();
    };
    let (new, old) = (&told.report.new.outcome.found, &old.outcome.found);
    let line = |found: &Found| {
        format!("{}  {}  {}  {}", seconds(found.opened_at), found.severity, found.subject, signals(found))
    };
    let list = |heading: &'static str, places: &[usize], found: &[Found]| List {
        heading,
        items: places.iter().take(ROWS_MAX).filter_map(|place| found.get(*place)).map(line).collect(),
        more: places.len().saturating_sub(ROWS_MAX),
    };
    let moved = difference.moved.iter().take(ROWS_MAX).filter_map(|pair| {
        let (new, old) = (new.get(pair.new)?, old.get(pair.old)?);
        Some(format!("{}, began {}", line(new), shift(new.onset, old.onset)))
    });
    vec![
        list("Only with the new config", &difference.only_new, new),
        list("Only with the old config", &difference.only_old, old),
        List {
            heading: "Moved",
            items: moved.collect(),
            more: difference.moved.len().saturating_sub(ROWS_MAX),
        },
    ]
}

/// The incidents that are drawn: those that only one config has first, then the worst; and how many are not.
fn cards(told: &Told) -> (Vec<Card>, usize) {
    let difference = told.report.difference.as_ref();
    let mark = |place: usize| match difference {
        None => "",
        Some(difference) if difference.only_new.binary_search(&place).is_ok() => "new",
        Some(difference) if difference.moved.iter().any(|pair| pair.new == place) => "moved",
        Some(_) => "in both",
    };
    let new = told.report.new.outcome.found.iter().enumerate().map(|(place, found)| (mark(place), found));
    let old = told.report.old.iter().flat_map(|old| &old.outcome.found);
    let gone = old.enumerate().filter(|(place, _)| {
        difference.is_some_and(|difference| difference.only_old.binary_search(place).is_ok())
    });
    let mut all: Vec<(&'static str, &Found)> = new.chain(gone.map(|(_, found)| ("gone", found))).collect();
    let rank = |mark: &str| ["new", "gone", "moved"].iter().position(|one| *one == mark).unwrap_or(3);
    all.sort_by_key(|(mark, found)| {
        (rank(mark), found.trace.is_none(), found.severity, std::cmp::Reverse(found.opened_at))
    });
    let not_drawn = all.len().saturating_sub(PLOTS_MAX);
    (all.into_iter().take(PLOTS_MAX).map(|(mark, found)| card(mark, found)).collect(), not_drawn)
}

fn card(mark: &'static str, found: &Found) -> Card {
    let says = match found.worst.as_ref().map(|worst| worst.trouble) {
        Some(Trouble::Deviation(anomaly)) => format!(
            "{} where {} to {} was expected; score {:.1}",
            short(anomaly.peak_value),
            short(anomaly.lower),
            short(anomaly.upper),
            anomaly.peak_score
        ),
        Some(Trouble::Lost { last_seen, .. }) => format!("no samples since {}", seconds(last_seen)),
        None => "the source gave no samples".to_owned(),
    };
    let lasted = match found.resolved_at {
        Some(at) => format!("resolved after {}", span(at.since(found.opened_at))),
        None => "not resolved by the end".to_owned(),
    };
    Card {
        severity: found.severity.as_str(),
        subject: found.subject.to_string(),
        signals: signals(found),
        mark,
        series: found.worst.as_ref().map(|worst| worst.series.clone()).unwrap_or_default(),
        says,
        opened: seconds(found.opened_at),
        lasted,
        id: found.id,
        plot: Plot::of(found),
    }
}

fn span(span: Duration) -> String {
    format_duration(Duration::from_secs(span.as_secs()))
}
