//! The report as one JSON object; times are Unix seconds.

use serde::Serialize;

use super::told::{Told, severities};
use crate::backtest::{Counts, Pair, Row, Score, Verdict};
use crate::incident::Trouble;
use crate::replay::Found;

/// Writes the report.
///
/// # Errors
/// Never in practice: every figure is finite.
pub(super) fn json(told: &Told) -> serde_json::Result<String> {
    serde_json::to_string_pretty(&View::of(told))
}

#[derive(Serialize)]
struct View {
    config: String,
    config_hash: String,
    against: Option<String>,
    against_hash: Option<String>,
    source: String,
    since: f64,
    until: f64,
    /// The first sample where that is later than `since`; rates are by the time from here.
    begins: f64,
    days: f64,
    read: ReadView,
    new: VerdictView,
    old: Option<VerdictView>,
    difference: Option<DifferenceView>,
    /// The conditions of `--fail-on` that were met.
    failed: Vec<FailedView>,
    seconds: f64,
}

#[derive(Serialize)]
struct ReadView {
    requests: usize,
    samples: usize,
    bytes: usize,
    series: usize,
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct VerdictView {
    all: CountsView,
    by_signal: Vec<RowView>,
    by_service: Vec<RowView>,
    score: Option<ScoreView>,
    incidents: Vec<FoundView>,
    /// Incidents beyond those that are listed.
    not_listed: usize,
}

#[derive(Serialize)]
struct CountsView {
    incidents: usize,
    per_day: f64,
    by_severity: serde_json::Map<String, serde_json::Value>,
}

#[derive(Serialize)]
struct RowView {
    name: String,
    #[serde(flatten)]
    counts: CountsView,
}

#[derive(Serialize)]
struct ScoreView {
    labels: usize,
    labels_outside: usize,
    found: usize,
    recall: Option<f64>,
    incidents: usize,
    fitting: usize,
    precision: Option<f64>,
    delay_median_seconds: Option<f64>,
    delay_max_seconds: Option<f64>,
    missed: Vec<MissedView>,
}

#[derive(Serialize)]
struct MissedView {
    line: usize,
    start: f64,
    end: f64,
    service: Option<String>,
    signal: Option<String>,
}

#[derive(Serialize)]
struct FoundView {
    id: String,
    /// `null` where it is about the source of the samples.
    service: Option<String>,
    severity: &'static str,
    onset: f64,
    opened_at: f64,
    resolved_at: Option<f64>,
    until: f64,
    opened_by: String,
    signals: Vec<String>,
    series: usize,
    worst: Option<WorstView>,
}

#[derive(Serialize)]
struct WorstView {
    signal: String,
    series: String,
    /// `up`, `down` or `lost`.
    side: &'static str,
    /// `null` for a series that stopped.
    score: Option<f64>,
    value: Option<f64>,
    expected: Option<f64>,
    lower: Option<f64>,
    upper: Option<f64>,
}

/// Ids; a pair has that of the new config first.
#[derive(Serialize)]
struct DifferenceView {
    both: Vec<String>,
    reassessed: Vec<String>,
    moved: Vec<[String; 2]>,
    only_new: Vec<String>,
    only_old: Vec<String>,
}

#[derive(Serialize)]
struct FailedView {
    condition: String,
    because: String,
}

impl View {
    fn of(told: &Told) -> Self {
        let (report, reading) = (&told.report, &told.reading);
        let failed = |broken: &crate::backtest::Broken| FailedView {
            condition: broken.condition.clone(),
            because: broken.because.clone(),
        };
        Self {
            config: told.new.file.clone(),
            config_hash: told.new.hash.clone(),
            against: told.old.as_ref().map(|old| old.file.clone()),
            against_hash: told.old.as_ref().map(|old| old.hash.clone()),
            source: told.source.clone(),
            since: told.span.since.as_seconds(),
            until: told.span.until.as_seconds(),
            begins: report.period.begin.as_seconds(),
            days: report.period.days(),
            read: ReadView {
                requests: reading.requests,
                samples: reading.samples,
                bytes: reading.bytes,
                series: reading.series,
                warnings: reading.warnings.clone(),
            },
            new: VerdictView::of(told, &report.new),
            old: report.old.as_ref().map(|old| VerdictView::of(told, old)),
            difference: DifferenceView::of(told),
            failed: told.broken.iter().map(failed).collect(),
            seconds: told.took.as_secs_f64(),
        }
    }
}

impl VerdictView {
    fn of(told: &Told, verdict: &Verdict) -> Self {
        let row = |row: &Row| RowView { name: row.name.clone(), counts: CountsView::of(told, &row.counts) };
        Self {
            all: CountsView::of(told, &verdict.tables.all),
            by_signal: verdict.tables.by_signal.iter().map(row).collect(),
            by_service: verdict.tables.by_service.iter().map(row).collect(),
            score: verdict.score.as_ref().map(ScoreView::of),
            incidents: verdict.outcome.found.iter().map(FoundView::of).collect(),
            not_listed: verdict.outcome.beyond,
        }
    }
}

impl CountsView {
    fn of(told: &Told, counts: &Counts) -> Self {
        let by_severity = severities(counts).map(|(name, count)| (name.to_owned(), count.into()));
        Self {
            incidents: counts.total,
            per_day: told.per_day(counts.total),
            by_severity: by_severity.into_iter().collect(),
        }
    }
}

impl ScoreView {
    fn of(score: &Score) -> Self {
        let missed = |label: &crate::backtest::Label| MissedView {
            line: label.line,
            start: label.start.as_seconds(),
            end: label.end.as_seconds(),
            service: label.service.clone(),
            signal: label.signal.clone(),
        };
        Self {
            labels: score.labels,
            labels_outside: score.outside,
            found: score.found,
            recall: score.recall(),
            incidents: score.incidents,
            fitting: score.fitting,
            precision: score.precision(),
            delay_median_seconds: score.median_delay().map(|delay| delay.as_secs_f64()),
            delay_max_seconds: score.delays.last().map(std::time::Duration::as_secs_f64),
            missed: score.missed.iter().map(missed).collect(),
        }
    }
}

impl FoundView {
    fn of(found: &Found) -> Self {
        let worst = |worst: &crate::replay::Worst| {
            let anomaly = match worst.trouble {
                Trouble::Deviation(anomaly) => Some(anomaly),
                Trouble::Lost { .. } => None,
            };
            WorstView {
                signal: worst.signal.to_string(),
                series: worst.series.clone(),
                side: anomaly.map_or("lost", |anomaly| anomaly.side.as_str()),
                score: anomaly.map(|anomaly| anomaly.peak_score),
                value: anomaly.map(|anomaly| anomaly.peak_value),
                expected: anomaly.map(|anomaly| anomaly.expected),
                lower: anomaly.map(|anomaly| anomaly.lower),
                upper: anomaly.map(|anomaly| anomaly.upper),
            }
        };
        Self {
            id: found.id.to_string(),
            service: found.subject.service().map(ToString::to_string),
            severity: found.severity.as_str(),
            onset: found.onset.as_seconds(),
            opened_at: found.opened_at.as_seconds(),
            resolved_at: found.resolved_at.map(crate::time::Timestamp::as_seconds),
            until: found.until.as_seconds(),
            opened_by: found.opened_by.to_string(),
            signals: found.signals.iter().map(ToString::to_string).collect(),
            series: found.series,
            worst: found.worst.as_ref().map(worst),
        }
    }
}

impl DifferenceView {
    fn of(told: &Told) -> Option<Self> {
        let (difference, old) = (told.report.difference.as_ref()?, told.report.old.as_ref()?);
        let id = |found: &[Found], place: usize| {
            found.get(place).map(|found| found.id.to_string()).unwrap_or_default()
        };
        let new_id = |place: usize| id(&told.report.new.outcome.found, place);
        let old_id = |place: usize| id(&old.outcome.found, place);
        let news = |pairs: &[Pair]| pairs.iter().map(|pair| new_id(pair.new)).collect();
        Some(Self {
            both: news(&difference.both),
            reassessed: news(&difference.reassessed),
            moved: difference.moved.iter().map(|pair| [new_id(pair.new), old_id(pair.old)]).collect(),
            only_new: difference.only_new.iter().copied().map(new_id).collect(),
            only_old: difference.only_old.iter().copied().map(old_id).collect(),
        })
    }
}
