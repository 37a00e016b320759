//! What detection expects of single series, as metrics: bounded in number, and written where slots close, so that a
//! scrape reads what lies ready and asks nobody.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::encoding::{EncodeMetric, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;

use super::catalogue::BySignal;
use super::labels::Pairs;
use super::places::Places;
use crate::detect::Band;
use crate::runtime::settings::BandSettings;
use crate::series::{SeriesKey, SignalName};
use crate::telemetry::Registry;
use crate::time::Timestamp;

const LABELS: &[&str] = &["signal", "service"];

/// One series as a scrape shows it.
#[derive(Debug)]
struct Row {
    labels: Pairs,
    expected: f64,
    lower: f64,
    upper: f64,
    score: Option<f64>,
}

type Rows = BTreeMap<SignalName, Arc<Vec<Row>>>;

/// The metrics of single series. Clones show the same.
#[derive(Debug, Clone, Default)]
pub(in crate::runtime) struct BandMetrics {
    rows: Arc<Mutex<Rows>>,
    left_out: Family<BySignal, Gauge>,
}

/// Which figure of a row a metric shows.
type Figure = fn(&Row) -> Option<f64>;

/// One of the four metrics.
#[derive(Clone)]
struct Figures {
    rows: Arc<Mutex<Rows>>,
    figure: Figure,
}

impl fmt::Debug for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Figures")
    }
}

impl EncodeMetric for Figures {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), fmt::Error> {
        // Held only while pointers are copied: the engine's thread never waits for a scrape.
        let signals: Vec<Arc<Vec<Row>>> =
            self.rows.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        for row in signals.iter().flat_map(|rows| rows.iter()) {
            if let Some(figure) = (self.figure)(row).filter(|figure| figure.is_finite()) {
                encoder.encode_family(&&row.labels[..])?.encode_gauge(&figure)?;
            }
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Gauge
    }
}

impl BandMetrics {
    /// Registers them.
    pub(super) fn register(&self, to: &mut Registry) {
        let figures = |figure: Figure| Figures { rows: Arc::clone(&self.rows), figure };
        to.register_family(
            "anomaly_score",
            LABELS,
            "How far outside its band the last sample of a series was: 1 is the edge, for every detector. With the series' own labels, as far as `bands.series_limit` goes; nothing while the series warms up or is lost, or where the sample was not judged",
            figures(|row| row.score),
        );
        to.register_family(
            "anomaly_expected",
            LABELS,
            "What is expected of the series' next sample, in the signal's own unit. With the series' own labels",
            figures(|row| Some(row.expected)),
        );
        to.register_family(
            "anomaly_lower",
            LABELS,
            "The lower edge of the band for the series' next sample. With the series' own labels",
            figures(|row| Some(row.lower)),
        );
        to.register_family(
            "anomaly_upper",
            LABELS,
            "The upper edge of the band for the series' next sample. With the series' own labels",
            figures(|row| Some(row.upper)),
        );
        to.register_family(
            "anomaly_series_left_out",
            &["signal"],
            "Series that are judged and have no `portent_anomaly_score`, since `bands.series_limit` is reached",
            self.left_out.clone(),
        );
    }

    fn show(&self, signal: &SignalName, rows: Vec<Row>, left_out: usize) {
        let mut shown = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        shown.insert(signal.clone(), Arc::new(rows));
        drop(shown);
        let label = BySignal { signal: signal.to_string() };
        self.left_out.get_or_create(&label).set(left_out as i64);
    }

    /// Shows one made-up series of a signal.
    #[cfg(test)]
    pub(super) fn show_one(&self, signal: &SignalName) {
        let labels = [("signal", signal.as_str()), ("service", "shop")];
        let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        self.show(signal, vec![Row { labels, expected: 1.0, lower: 0.0, upper: 2.0, score: Some(0.5) }], 0);
    }

    /// Shows nothing of a signal any more.
    pub(super) fn hide(&self, signal: &SignalName) {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner).remove(signal);
        self.left_out.remove(&BySignal { signal: signal.to_string() });
    }
}

/// Which series are shown, kept beside the engine.
#[derive(Debug, Default)]
pub(in crate::runtime) struct Shown {
    places: BTreeMap<SignalName, Places>,
}

/// Where a signal's series and their bands come from.
pub(in crate::runtime) trait Judged {
    /// Shows every series of a signal that is judged, and whether it is anomalous.
    fn each_judged(&self, signal: &SignalName, show: &mut dyn FnMut(&Arc<SeriesKey>, bool));
    /// The band of one.
    fn band(&self, key: &SeriesKey) -> Option<Band>;
}

impl Judged for crate::engine::Engine {
    fn each_judged(&self, signal: &SignalName, show: &mut dyn FnMut(&Arc<SeriesKey>, bool)) {
        Self::each_judged(self, signal, show);
    }

    fn band(&self, key: &SeriesKey) -> Option<Band> {
        Self::band(self, key)
    }
}

impl Shown {
    /// Brings the metrics up to what is judged of the signals whose slots closed up to these times. `series` says how many
    /// series each signal has.
    pub(in crate::runtime) fn follow(
        &mut self,
        metrics: &BandMetrics,
        settings: BandSettings,
        series: &[(&SignalName, usize)],
        closed: &BTreeMap<SignalName, Timestamp>,
        judged: &impl Judged,
    ) {
        let gone = |signal: &SignalName| !settings.export || !series.iter().any(|(name, _)| *name == signal);
        let gone: Vec<SignalName> = self.places.keys().filter(|signal| gone(signal)).cloned().collect();
        gone.iter().for_each(|signal| self.hide(metrics, signal));
        if !settings.export || closed.is_empty() {
            return;
        }
        let shares = shares(settings.series_limit, series);
        for ((signal, _), share) in series.iter().zip(shares) {
            let has_less = self.places.get(*signal).is_some_and(|places| places.len() > share);
            let Some(at) = closed.get(*signal).copied().or(has_less.then(Timestamp::default)) else {
                continue;
            };
            let places = self.places.entry((*signal).clone()).or_default();
            let mut all = Vec::new();
            judged.each_judged(signal, &mut |key, is_anomalous| {
                if let Some(candidate) = places.note((key, is_anomalous), share) {
                    all.push(candidate);
                }
            });
            let left_out = places.settle(all, share, at);
            let row = |key: &SeriesKey, labels: &Pairs| {
                let Band { expected, lower, upper, score, .. } = judged.band(key)?;
                Some(Row { labels: Arc::clone(labels), expected, lower, upper, score })
            };
            let rows = places.iter().filter_map(|(key, labels)| row(key, labels)).collect();
            metrics.show(signal, rows, left_out);
        }
    }

    /// Shows nothing of a signal until its next slot closes: nobody knows how it stands.
    pub(in crate::runtime) fn hide(&mut self, metrics: &BandMetrics, signal: &SignalName) {
        if self.places.remove(signal).is_some() {
            metrics.hide(signal);
        }
    }

    /// Shows nothing of any signal until its next slot closes.
    pub(in crate::runtime) fn hide_all(&mut self, metrics: &BandMetrics) {
        std::mem::take(&mut self.places).keys().for_each(|signal| metrics.hide(signal));
    }
}

/// How many series of each signal are shown: an equal share for each, and what one does not need goes to the others.
fn shares(limit: usize, series: &[(&SignalName, usize)]) -> Vec<usize> {
    let mut by_need: Vec<(usize, usize)> = series.iter().map(|(_, need)| *need).enumerate().collect();
    by_need.sort_by_key(|(place, need)| (*need, *place));
    let mut shares = vec![0; series.len()];
    let (mut left, mut waiting) = (limit, series.len());
    for (place, need) in by_need {
        let share = need.min(left / waiting.max(1));
        if let Some(of_signal) = shares.get_mut(place) {
            *of_signal = share;
        }
        (left, waiting) = (left - share, waiting - 1);
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::{Labels, Service};

    /// Series of one signal by the names of their pods; some are anomalous.
    pub(super) struct Made {
        keys: Vec<(Arc<SeriesKey>, bool)>,
    }

    impl Judged for Made {
        fn each_judged(&self, signal: &SignalName, show: &mut dyn FnMut(&Arc<SeriesKey>, bool)) {
            let own = self.keys.iter().filter(|(key, _)| key.signal == *signal);
            own.for_each(|(key, is_anomalous)| show(key, *is_anomalous));
        }

        fn band(&self, key: &SeriesKey) -> Option<Band> {
            let (key, is_anomalous) = self.keys.iter().find(|(other, _)| other.hash == key.hash)?;
            let score = Some(if *is_anomalous { 4.0 } else { 0.5 });
            let (at, key) = (Timestamp::from_millis(0), Arc::clone(key));
            Some(Band { key, at, value: 2.0, expected: 2.0, lower: 1.0, upper: 3.0, score })
        }
    }

    fn some(signal: &str, count: usize, anomalous: &[usize]) -> Made {
        let key = |nth: usize| {
            let labels = Labels::new([("service", "shop".to_owned()), ("pod", format!("p{nth}"))]);
            Arc::new(SeriesKey::new(SignalName::new(signal), Service::new("shop"), labels))
        };
        Made { keys: (0..count).map(|nth| (key(nth), anomalous.contains(&nth))).collect() }
    }

    struct Bench {
        registry: Registry,
        metrics: BandMetrics,
        shown: Shown,
        slot: i64,
    }

    impl Bench {
        fn new() -> Self {
            let (mut registry, metrics) = (Registry::new(), BandMetrics::default());
            metrics.register(&mut registry);
            Self { registry, metrics, shown: Shown::default(), slot: 0 }
        }

        /// A slot closes; gives the pods that have a score.
        fn close(&mut self, limit: usize, series: &Made) -> Vec<String> {
            self.slot += 1;
            let signal = SignalName::new("cpu");
            let closed = BTreeMap::from([(signal.clone(), Timestamp::from_millis(self.slot * 1000))]);
            let settings = BandSettings { export: limit > 0, series_limit: limit };
            let count = [(&signal, series.keys.len())];
            self.shown.follow(&self.metrics, settings, &count, &closed, series);
            self.pods()
        }

        fn pods(&self) -> Vec<String> {
            let text = self.registry.encode();
            let scores = text.lines().filter(|line| line.starts_with("portent_anomaly_score{"));
            let pod = |line: &str| line.split("pod=\"").nth(1)?.split('"').next().map(str::to_owned);
            let mut pods: Vec<String> = scores.filter_map(pod).collect();
            pods.sort();
            pods
        }
    }

    #[test]
    fn a_series_has_its_own_labels_and_four_figures() {
        let mut bench = Bench::new();
        bench.close(10, &some("cpu", 1, &[]));
        let text = bench.registry.encode();
        for line in [
            "portent_anomaly_score{signal=\"cpu\",service=\"shop\",pod=\"p0\"} 0.5",
            "portent_anomaly_expected{signal=\"cpu\",service=\"shop\",pod=\"p0\"} 2.0",
            "portent_anomaly_lower{signal=\"cpu\",service=\"shop\",pod=\"p0\"} 1.0",
            "portent_anomaly_upper{signal=\"cpu\",service=\"shop\",pod=\"p0\"} 3.0",
            "portent_anomaly_series_left_out{signal=\"cpu\"} 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing in:\n{text}");
        }
    }

    #[test]
    fn beyond_the_limit_the_same_series_stay_and_what_is_left_out_is_counted() {
        let mut bench = Bench::new();
        let first = bench.close(5, &some("cpu", 20, &[]));
        assert_eq!(first.len(), 5);
        assert_eq!(bench.close(5, &some("cpu", 23, &[])), first, "newcomers drive nobody out");
        assert!(bench.registry.encode().contains("portent_anomaly_series_left_out{signal=\"cpu\"} 18\n"));
    }

    #[test]
    fn an_anomaly_is_shown_and_stays_when_it_is_over() {
        let mut bench = Bench::new();
        let first = bench.close(5, &some("cpu", 20, &[]));
        let hidden = (0..20).find(|nth| !first.contains(&format!("p{nth}"))).unwrap();
        let during = bench.close(5, &some("cpu", 20, &[hidden]));
        assert!(during.contains(&format!("p{hidden}")), "{during:?}");
        assert_eq!(during.iter().filter(|pod| !first.contains(pod)).count(), 1, "one for one");
        for _ in 0..10 {
            assert_eq!(
                bench.close(5, &some("cpu", 20, &[])),
                during,
                "presence does not flap with the anomaly"
            );
        }
    }

    #[test]
    fn more_anomalies_than_places_drive_each_other_out_no_further() {
        let mut bench = Bench::new();
        let all: Vec<usize> = (0..20).collect();
        let first = bench.close(5, &some("cpu", 20, &all));
        for _ in 0..5 {
            assert_eq!(bench.close(5, &some("cpu", 20, &all)), first);
        }
    }

    #[test]
    fn what_is_not_judged_any_more_and_what_is_switched_off_is_gone() {
        let mut bench = Bench::new();
        assert_eq!(bench.close(5, &some("cpu", 3, &[])), ["p0", "p1", "p2"]);
        assert_eq!(bench.close(5, &some("cpu", 2, &[])), ["p0", "p1"]);
        assert_eq!(bench.close(1, &some("cpu", 2, &[])).len(), 1, "a smaller limit counts at once");
        assert_eq!(bench.close(0, &some("cpu", 2, &[])), [] as [&str; 0]);
        assert!(!bench.registry.encode().contains("left_out{"));
    }

    #[test]
    fn what_one_signal_does_not_need_goes_to_the_others() {
        let names = ["a", "b", "c"].map(SignalName::new);
        let of = |limit, needs: [usize; 3]| {
            let series: Vec<(&SignalName, usize)> = names.iter().zip(needs).collect();
            shares(limit, &series)
        };
        assert_eq!(of(100, [500, 2, 500]), [49, 2, 49]);
        assert_eq!(of(100, [10, 20, 30]), [10, 20, 30]);
        assert_eq!(of(2, [10, 20, 30]), [0, 1, 1]);
    }
}
