//! The stage: every signal's table, fed by batches, read by the stages after it.

use std::collections::BTreeSet;
use std::time::Duration;

use indexmap::IndexMap;

use super::classic::Verdict;
use super::finding::{Anomaly, Finding, SeriesView};
use super::gaps::Gaps;
use super::guard::{Volume, Volumes};
use super::index::Sums;
use super::settings::SignalPlan;
use super::table::{Beside, Counts, Table};
use crate::id::Fingerprint;
use crate::series::{Batch, SeriesKey, Service, SignalName};
use crate::time::Timestamp;

/// Seconds of a day.
const DAY_S: f64 = 86_400.0;

/// Judges the series of all signals.
#[derive(Debug, Clone)]
pub struct Detect {
    pub(super) tables: IndexMap<SignalName, Table>,
    pub(super) pending: IndexMap<SignalName, Vec<Finding>>,
    pub(super) tallies: IndexMap<SignalName, Tally>,
    /// The volumes of those signals that others ask for it.
    pub(super) volumes: IndexMap<SignalName, Volumes>,
    /// Signals whose share of the expected false openings was set by somebody.
    pub(super) fixed_shares: BTreeSet<SignalName>,
    gaps: Gaps,
}

/// A slot that was closed.
#[derive(Debug, Clone, Default)]
pub struct Closed {
    /// What was found, in order of time.
    pub findings: Vec<Finding>,
    /// The times, in milliseconds, at which any series had a sample, each once.
    pub seen_ms: Vec<i64>,
}

/// Series that stopped at about the same time.
#[derive(Debug, Clone, Default)]
pub struct Loss {
    /// Those that stopped.
    pub stopped: BTreeSet<Fingerprint>,
    /// The services that they belong to; two are enough to know that there is more than one.
    pub services: BTreeSet<Service>,
    /// How many series there were when it began.
    pub tracked: usize,
    /// How many series go on, or have begun since then.
    pub alive: usize,
}

impl Loss {
    /// Counts a series as stopped.
    pub fn add(&mut self, key: &SeriesKey) {
        self.stopped.insert(key.hash);
        if self.services.len() < 2 && !self.services.contains(&key.service) {
            self.services.insert(key.service.clone());
        }
    }
}

/// What detection has counted for one signal since it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Series that have state.
    pub series: usize,
    /// Samples a day of its series, times the number of signals: among so many the expected false openings are shared.
    pub samples_a_day: u64,
    /// Series whose baseline is not full yet.
    pub warming: usize,
    /// Series with an open anomaly.
    pub anomalous: usize,
    /// Series that have stopped.
    pub lost: usize,
    /// Samples judged.
    pub judged_total: u64,
    /// Samples that were kept and not judged, since they look back over a gap.
    pub unsettled_total: u64,
    /// Samples outside their band.
    pub outside_total: u64,
    /// Samples outside their band that are no anomaly, since the series does that all the time.
    pub usual_total: u64,
    /// Samples that would have opened an anomaly, had there been more traffic.
    pub low_traffic_total: u64,
    /// Samples that came again or late and were left out.
    pub repeated_total: u64,
    /// Rows left out because the signal has its limit of series.
    pub untracked_total: u64,
    /// Series forgotten after a day without a sample.
    pub evicted_total: u64,
}

impl Detect {
    /// Starts with no history.
    pub fn new(plans: impl IntoIterator<Item = (SignalName, SignalPlan)>) -> Self {
        let tables: IndexMap<_, _> =
            plans.into_iter().map(|(signal, plan)| (signal, Table::new(plan))).collect();
        let volumes = IndexMap::new();
        let mut detect = Self {
            tables,
            pending: IndexMap::new(),
            tallies: IndexMap::new(),
            volumes,
            fixed_shares: BTreeSet::new(),
            gaps: Gaps::default(),
        };
        detect.follow_volumes();
        detect
    }

    /// Remembers the volumes of the signals that the plans ask for, and of no others.
    pub(super) fn follow_volumes(&mut self) {
        let asked: BTreeSet<SignalName> =
            self.tables.values().flat_map(|table| table.plan.asks_volume_of().cloned()).collect();
        self.volumes.retain(|signal, _| asked.contains(signal));
        for signal in asked {
            self.volumes.entry(signal).or_default();
        }
    }

    /// The volume that a sample of a table stands for.
    pub(super) fn volume_for(&self, table: &Table, service: &Service, at: Timestamp) -> Volume {
        let Some(of) = table.plan.asks_volume_of().next() else { return Volume::Own };
        let step = self.tables.get(of).map_or(Duration::ZERO, |table| table.plan.step);
        self.volumes.get(of).map_or(Volume::Absent, |volumes| volumes.of(service, at, step))
    }

    /// Judges a batch. What it finds is given out when the slot closes; samples up to `muted_until` teach the
    /// baseline and are otherwise silent. A batch of a signal that is not configured is ignored.
    pub fn judge(&mut self, batch: &Batch, muted_until: Timestamp) {
        let Some(table) = self.tables.get_mut(batch.signal()) else { return };
        // The boundaries depend on how many series there are: the first batch counts as a whole, later ones at the slot's end.
        if table.tracked() == 0 {
            batch.rows().for_each(|row| table.expect_series(row.key));
            self.share_out();
        }
        if let (Some(volumes), Some(table)) =
            (self.volumes.get_mut(batch.signal()), self.tables.get(batch.signal()))
        {
            volumes.take(batch, |series| table.last_sample(series));
        }
        let asked = self.tables.get(batch.signal()).and_then(|table| table.plan.asks_volume_of().next());
        let volumes = asked.and_then(|signal| {
            let step = self.tables.get(signal)?.plan.step;
            Some((self.volumes.get(signal)?, step))
        });
        let Some(table) = self.tables.get_mut(batch.signal()) else { return };
        let beside = Beside { muted_until, volumes };
        let pending = self.pending.entry(batch.signal().clone()).or_default();
        let mut counts = Counts::default();
        for row in batch.rows() {
            table.judge(row, beside, &mut counts, pending);
        }
        self.count(batch.signal(), counts);
    }

    /// Takes note that the backend itself took no samples, or few, from `from` to `to`. Samples of these steps, and of a
    /// signal's window after them, neither open nor clear an anomaly, nor do they teach the baseline.
    pub fn gap(&mut self, from: Timestamp, to: Timestamp) {
        let step = self.tables.values().map(|table| table.plan.step).min().unwrap_or_default();
        self.gaps.add(from, to, step);
        self.tables.values_mut().for_each(|table| table.gaps.add(from, to, step));
    }

    /// Takes gaps that were known before.
    pub(super) fn take_gaps(&mut self, gaps: Gaps) {
        self.tables.values_mut().for_each(|table| table.gaps = gaps.clone());
        self.gaps = gaps;
    }

    /// The gaps of the backend that are still remembered.
    pub fn gaps(&self) -> &Gaps {
        &self.gaps
    }

    /// Takes note that the answer up to `through` is partial: what is missing in it is not lost.
    pub fn excuse(&mut self, signal: &SignalName, through: Timestamp) {
        if let Some(table) = self.tables.get_mut(signal) {
            table.excuse(through);
        }
    }

    /// What stopped of one signal, or of all, with a last sample within `span`; each signal is silent up to what
    /// `through` says of it. The series in `found` are known to have stopped then, even if they are back.
    pub fn loss<'a>(
        &self,
        of: Option<&SignalName>,
        span: (Timestamp, Timestamp),
        through: impl Fn(&SignalName) -> Option<Timestamp>,
        found: impl IntoIterator<Item = &'a SeriesKey>,
    ) -> Loss {
        let mut loss = Loss::default();
        found.into_iter().for_each(|key| loss.add(key));
        for (signal, table) in self.tables.iter().filter(|(signal, _)| of.is_none_or(|of| of == *signal)) {
            if let Some(through) = through(signal) {
                table.stopped_within(span, through, &mut loss);
            }
        }
        loss
    }

    /// How many series of a signal have state.
    pub fn tracked(&self, signal: &SignalName) -> usize {
        self.tables.get(signal).map_or(0, Table::tracked)
    }

    /// How many series of a signal had samples lately, of how many that are known.
    pub fn alive(&self, signal: &SignalName, through: Timestamp) -> (usize, usize) {
        self.tables.get(signal).map_or((0, 0), |table| (table.alive(through), table.tracked()))
    }

    /// Up to when series of a signal went on stopping at most `apart` after each other, from `from` on, as seen when it is
    /// judged up to `through`.
    pub fn stopping_until(
        &self,
        signal: &SignalName,
        from: Timestamp,
        apart: Duration,
        through: Timestamp,
    ) -> Timestamp {
        let Some(table) = self.tables.get(signal) else { return from };
        let ends = table.silent_since_ms(from, through).into_iter().map(Timestamp::from_millis);
        ends.fold(from, |until, end| if end.since(until) <= apart { end } else { until })
    }

    /// How long a series of a signal is silent until it is lost.
    pub fn lost_after(&self, signal: &SignalName) -> Duration {
        self.tables.get(signal).map_or(Duration::ZERO, Table::lost_after)
    }

    /// How a signal is judged.
    pub fn plan(&self, signal: &SignalName) -> Option<&SignalPlan> {
        self.tables.get(signal).map(|table| &table.plan)
    }

    /// Closes a slot of one signal, whose answer reached up to `through`: gives all that was found since the last one
    /// closed, in order of time, and what goes on. Muted slots give nothing.
    pub fn close(&mut self, signal: &SignalName, through: Timestamp, muted_until: Timestamp) -> Vec<Finding> {
        self.finish(signal, through, muted_until).findings
    }

    /// Closes a slot as [`Self::close`] does, and tells which steps had a sample.
    pub fn finish(&mut self, signal: &SignalName, through: Timestamp, muted_until: Timestamp) -> Closed {
        let mut findings = self.pending.get_mut(signal).map(std::mem::take).unwrap_or_default();
        let Some(table) = self.tables.get_mut(signal) else { return Closed::default() };
        if let Some(volumes) = self.volumes.get_mut(signal) {
            volumes.read_through(through);
        }
        let seen_ms = table.seen.finish();
        let mut counts = Counts::default();
        table.close(through, &mut counts, &mut findings);
        if through <= muted_until {
            findings.clear();
        }
        // Stable: of one moment, what was found first stays first.
        findings.sort_by_key(|finding| (finding.at, finding.key.hash));
        self.count(signal, counts);
        self.share_out();
        Closed { findings, seen_ms }
    }

    /// Shares the expected number of false openings out: an equal part to each signal, and that among its samples of a day.
    fn share_out(&mut self) {
        let signals = self.tables.len();
        for (signal, table) in &mut self.tables {
            if !self.fixed_shares.contains(signal) {
                table.share(samples_a_day(table, signals));
            }
        }
    }

    fn count(&mut self, signal: &SignalName, counts: Counts) {
        let tally = self.tallies.entry(signal.clone()).or_default();
        tally.judged_total += counts.judged;
        tally.unsettled_total += counts.unsettled;
        tally.outside_total += counts.outside;
        tally.usual_total += counts.usual;
        tally.low_traffic_total += counts.low_traffic;
        tally.repeated_total += counts.repeated;
        tally.untracked_total += counts.untracked;
        tally.evicted_total += counts.evicted;
    }

    /// Whether a signal is watched.
    pub fn watches(&self, signal: &SignalName) -> bool {
        self.tables.contains_key(signal)
    }

    /// The anomaly of a series and whether it is lost; `None` where the series has no state.
    pub fn state_of(&self, key: &SeriesKey) -> Option<(Option<Anomaly>, bool)> {
        self.tables.get(&key.signal)?.state_of(key.hash)
    }

    /// What was said of a series' last sample; `None` where it was not judged: while the baseline warms up, and where the
    /// sample says nothing since it looks back over a gap.
    pub fn verdict_of(&self, key: &SeriesKey) -> Option<Verdict> {
        self.tables.get(&key.signal)?.verdict_of(key.hash)
    }

    /// The time of a series' last sample; `None` where it has no state.
    pub fn last_sample(&self, key: &SeriesKey) -> Option<Timestamp> {
        self.tables.get(&key.signal)?.last_sample(key.hash)
    }

    /// The series of one service over all signals.
    pub fn of_service(&self, service: &Service) -> Vec<SeriesView> {
        let tables = self.tables.values();
        tables.flat_map(|table| table.rows_of_service(service).iter().map(|row| table.view(*row))).collect()
    }

    /// Series that are anomalous or lost now, but those of one service; at most `limit`.
    pub fn moved_elsewhere(&self, service: &Service, limit: usize) -> Vec<SeriesView> {
        let elsewhere = |table: &Table, row: &usize| table.service(*row) != service;
        self.tables
            .values()
            .flat_map(|table| table.troubled_rows().map(move |row| (table, row)))
            .filter(|(table, row)| elsewhere(table, row))
            .take(limit)
            .map(|(table, row)| table.view(row))
            .collect()
    }

    /// The series of one signal.
    pub fn of_signal(&self, signal: &SignalName) -> Vec<SeriesView> {
        let table = self.tables.get(signal);
        table.map(|table| table.rows().map(|row| table.view(row)).collect()).unwrap_or_default()
    }

    /// What was counted, a row a signal, in the order of the config.
    pub fn tallies(&self) -> Vec<(SignalName, Tally)> {
        let row = |(signal, table): (&SignalName, &Table)| {
            let counted = self.tallies.get(signal).copied().unwrap_or_default();
            let samples_a_day = samples_a_day(table, self.tables.len()) as u64;
            let Sums { warming, anomalous, lost } = table.sums();
            (
                signal.clone(),
                Tally { series: table.tracked(), samples_a_day, warming, anomalous, lost, ..counted },
            )
        };
        self.tables.iter().map(row).collect()
    }
}

/// Samples a day of a table's series, for each of so many signals. It leaves the others' series alone, so that it does not
/// matter whose history is read first; and goes in steps of a tenth, so that one that comes or goes does not move every
/// boundary.
fn samples_a_day(table: &Table, signals: usize) -> f64 {
    let samples = table.tracked() as f64 * DAY_S / table.plan.step.as_secs_f64().max(1e-3);
    1.1_f64.powf((samples * signals as f64).max(1.0).log(1.1).ceil())
}
