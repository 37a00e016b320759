//! A signal and its series as a reader sees them.

use std::time::Duration;

use serde::Serialize;
use utoipa::ToSchema;

use super::member_view::SeriesNameView;
use super::vocabulary;
use crate::detect::{self, Missing, SeriesOverride, SeriesState, SeriesView, Sides, SignalPlan, Tally};
use crate::runtime::SignalStatus;
use crate::series::SignalName;

/// A signal as the config has it.
#[derive(Debug, Clone, PartialEq)]
pub struct SignalInfo {
    /// Its name.
    pub name: SignalName,
    /// The query that returns all its series.
    pub promql: String,
    /// How often it is polled.
    pub interval: Duration,
    /// How its series are judged.
    pub plan: SignalPlan,
}

/// A signal: its settings, and how many series it has.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Signal)]
pub(super) struct SignalView {
    /// Its name.
    name: String,
    /// What it measures.
    #[schema(value_type = vocabulary::Kind)]
    kind: &'static str,
    /// The query that returns all its series.
    promql: String,
    /// The time between two samples, in seconds.
    step_s: f64,
    /// How often it is polled, in seconds.
    interval_s: f64,
    /// How far back one sample looks, in seconds: the longest range of the query. For so long after a gap, samples are not
    /// judged.
    window_s: f64,
    /// At most so many series are tracked.
    series_limit: usize,
    /// How its samples are judged.
    detection: DetectionView,
    /// What holds for some of its series only, in the order in which it counts: of several, the last that sets something wins.
    overrides: Vec<OverrideView>,
    /// How many series it has, by state.
    series: SeriesCountsView,
    /// The last step that was judged; null before the first.
    #[schema(required = true)]
    #[schema(format = DateTime)]
    judged_through_at: Option<String>,
}

/// How the series that match are judged.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SignalOverride)]
pub(super) struct OverrideView {
    /// The signals that it is limited to, where it is, and its matchers.
    name: String,
    /// Its matchers, as PromQL writes them.
    matchers: String,
    /// How many series match now.
    series: usize,
    /// How series are judged for which no other override holds.
    detection: DetectionView,
}

/// How samples are judged.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Detection)]
pub(super) struct DetectionView {
    /// Which detectors judge.
    #[schema(value_type = Vec<vocabulary::Detector>)]
    detectors: Vec<&'static str>,
    /// How the verdicts of several become one.
    #[schema(value_type = vocabulary::Combine)]
    combine: &'static str,
    /// So many openings a day are expected of noise alone, over all series; not of the classic rule.
    false_openings_per_day: f64,
    /// An open anomaly goes on while the score is above this.
    exit_score: f64,
    /// Half the width of the band, in scales: of the classic rule, and at least of other detectors that know no fitted tail.
    sigma: f64,
    /// The deviation, in scales, that a lasting anomaly needs to open after every gate but the floors and the least
    /// deviations; but for the classic rule, as rare as the boundary in normal noise.
    effective_sigma: f64,
    /// Which deviations count.
    #[schema(value_type = vocabulary::Sides)]
    sides: &'static str,
    /// How many samples before the current one make the baseline.
    baseline_points: usize,
    /// The scale is never below this, in the signal's own unit.
    scale_floor_absolute: f64,
    /// The scale is never below this share of the baseline's mean.
    scale_floor_relative: f64,
    /// A deviation below this, in the signal's own unit, is never anomalous.
    min_deviation_absolute: f64,
    /// A deviation below this share of the baseline's mean is never anomalous.
    min_deviation_relative: f64,
    /// So many anomalous samples among the last `open_window` open an anomaly.
    open_points: usize,
    /// The number of samples in which `open_points` are looked for.
    open_window: usize,
    /// So many samples suffice where each has at least `strong_score`.
    strong_points: usize,
    /// The score from which a sample is strong evidence by itself.
    strong_score: f64,
    /// So many samples inside the band in a row clear an anomaly.
    clear_points: usize,
    /// An anomaly opens only with this confidence.
    min_confidence: f64,
    /// After so many seconds outside the band a new level becomes the baseline.
    adopt_after_s: f64,
    /// After so many seconds without a sample a series is lost; null where series come and go.
    #[schema(required = true)]
    lost_after_s: Option<f64>,
}

/// The series of a signal, counted.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = SeriesCounts)]
pub(super) struct SeriesCountsView {
    /// Series that have state.
    tracked: usize,
    /// Of these, series whose baseline is not full yet.
    warming: usize,
    /// Of these, series with an open anomaly.
    anomalous: usize,
    /// Of these, series that have stopped.
    lost: usize,
}

/// A series as it stands.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Series)]
pub(super) struct SeriesStateView {
    /// Which series.
    series: SeriesNameView,
    /// Lost, or anomalous, or warming up, or normal: the first of these that fits.
    #[schema(value_type = vocabulary::SeriesState)]
    state: &'static str,
    /// Up to when its samples were, or are, not judged, since they look back over a gap of its own; null where it had none.
    #[schema(required = true)]
    #[schema(format = DateTime)]
    unsettled_until_at: Option<String>,
    /// When its last sample was; null where none is remembered.
    #[schema(required = true)]
    #[schema(format = DateTime)]
    at: Option<String>,
    /// The last value; null where none is remembered.
    #[schema(required = true)]
    value: Option<f64>,
    /// The score of the last sample as it was judged: 1 is the edge of the band; null while the baseline warmed up.
    #[schema(required = true)]
    score: Option<f64>,
    /// What is expected of the next sample; null while the baseline warms up.
    #[schema(required = true)]
    expected: Option<f64>,
    /// The lower edge of the band for the next sample.
    #[schema(required = true)]
    lower: Option<f64>,
    /// The upper edge of the band for the next sample.
    #[schema(required = true)]
    upper: Option<f64>,
    /// Since when it is anomalous; null where it is not.
    #[schema(required = true)]
    #[schema(format = DateTime)]
    anomalous_since_at: Option<String>,
    /// The names of the overrides of its signal that hold for it, in their order.
    overrides: Vec<String>,
}

impl SignalView {
    pub(super) fn new(info: &SignalInfo, status: Option<&SignalStatus>) -> Self {
        Self {
            name: info.name.to_string(),
            kind: info.plan.kind.as_str(),
            promql: info.promql.clone(),
            step_s: info.plan.step.as_secs_f64(),
            interval_s: info.interval.as_secs_f64(),
            window_s: info.plan.window.as_secs_f64(),
            series_limit: info.plan.series_limit,
            detection: DetectionView::new(
                &info.plan.settings,
                status.map_or(0, |status| status.tally.samples_a_day),
            ),
            overrides: overrides(info, status),
            series: status.map(|status| (&status.tally).into()).unwrap_or_default(),
            judged_through_at: status.and_then(|status| status.judged_through).map(|at| at.to_string()),
        }
    }
}

fn overrides(info: &SignalInfo, status: Option<&SignalStatus>) -> Vec<OverrideView> {
    let samples_a_day = status.map_or(0, |status| status.tally.samples_a_day);
    let view = |over: &SeriesOverride| OverrideView {
        name: over.name.to_string(),
        matchers: over.matchers.to_string(),
        series: status
            .and_then(|status| status.overridden.iter().find(|known| known.entry == over.entry))
            .map_or(0, |known| known.series),
        detection: DetectionView::new(&info.plan.settings_with([over]), samples_a_day),
    };
    info.plan.overrides.iter().map(view).collect()
}

impl DetectionView {
    fn new(settings: &detect::Settings, samples_a_day: u64) -> Self {
        Self {
            detectors: settings.detector.iter().map(detect::Detector::as_str).collect(),
            combine: settings.combine.as_str(),
            false_openings_per_day: settings.false_openings_per_day,
            exit_score: settings.exit_score,
            sigma: settings.sigma,
            effective_sigma: settings.effective_sigma(samples_a_day as f64),
            sides: match settings.sides {
                Sides::Both => "both",
                Sides::Up => "up",
                Sides::Down => "down",
            },
            baseline_points: settings.baseline_points,
            scale_floor_absolute: settings.scale_floor_absolute,
            scale_floor_relative: settings.scale_floor_relative,
            min_deviation_absolute: settings.min_deviation_absolute,
            min_deviation_relative: settings.min_deviation_relative,
            open_points: settings.open_points,
            open_window: settings.open_window,
            strong_points: settings.strong_points,
            strong_score: settings.strong_score,
            clear_points: settings.clear_points,
            min_confidence: settings.min_confidence,
            adopt_after_s: settings.adopt_after.as_secs_f64(),
            lost_after_s: match settings.missing {
                Missing::Ignore => None,
                Missing::Alert { after } => Some(after.as_secs_f64()),
            },
        }
    }
}

impl From<&Tally> for SeriesCountsView {
    fn from(tally: &Tally) -> Self {
        Self { tracked: tally.series, warming: tally.warming, anomalous: tally.anomalous, lost: tally.lost }
    }
}

impl SeriesStateView {
    pub(super) fn new(state: SeriesState, view: &SeriesView) -> Self {
        let finite = |number: f64| Some(number).filter(|number| number.is_finite());
        Self {
            series: view.key.as_ref().into(),
            state: state.as_str(),
            unsettled_until_at: view.unsettled_until.map(|until| until.to_string()),
            at: view.recent.last().map(|(at, _)| at.to_string()),
            value: finite(view.value),
            score: view.signed_scores.last().and_then(|score| finite(score.abs())),
            expected: view.expected.and_then(finite),
            lower: view.band.and_then(|(lower, _)| finite(lower)),
            upper: view.band.and_then(|(_, upper)| finite(upper)),
            anomalous_since_at: view.anomaly.map(|anomaly| anomaly.onset.to_string()),
            overrides: view.overrides.iter().map(ToString::to_string).collect(),
        }
    }
}
