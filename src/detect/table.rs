//! The state of one signal's series, in columns.
//!
//! A row is an index into every column. Rows of series that are forgotten are used again, so an index means nothing
//! outside this file.
#![expect(
    clippy::indexing_slicing,
    reason = "a numeric kernel: every index is a row below `rows_used`, times a stride"
)]

mod bands;
mod rebase;

use std::sync::Arc;
use std::time::Duration;

use super::classic::Verdict;
use super::directive::Pending;
use super::finding::{Anomaly, Finding, Restart, SeriesView, Side, What};
use super::gaps::Gaps;
use super::index::{Index, Standing, Sums};
use super::panel::Panel;
use super::recurrence::{Episodes, Size};
use super::run::{Mark, Run, Step};
use super::seen::Seen;
use super::settings::{FORGET_AFTER, Missing, SignalPlan};
use super::stage::Loss;
use crate::id::Fingerprint;
use crate::series::{BatchRow, SeriesKey, Service};
use crate::time::{Timestamp, millis};

/// A series remembers at least this many samples as they came, for plots and for the samples around an incident.
const RECENT_POINTS_MIN: usize = 64;

/// What one slot counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counts {
    pub(super) judged: u64,
    pub(super) unsettled: u64,
    pub(super) outside: u64,
    pub(super) usual: u64,
    pub(super) repeated: u64,
    pub(super) untracked: u64,
    pub(super) evicted: u64,
}

/// All series of one signal.
#[derive(Debug, Clone)]
pub(super) struct Table {
    pub(super) plan: SignalPlan,
    index: Index,
    free: Vec<usize>,
    recent_len: usize,
    keys: Vec<Arc<SeriesKey>>,
    panel: Panel,
    /// The probability, for one sample of one series, at which a score of 1 stands.
    cut: f64,
    episodes: Vec<Episodes>,
    /// Samples as they came: a ring of `recent_len` a row.
    recent: Vec<Mark>,
    recent_count: Vec<u64>,
    runs: Vec<Run>,
    /// What was said of the last sample of a row; `None` where it was not judged.
    verdicts: Vec<Option<Verdict>>,
    /// The first sample of a row.
    began_ms: Vec<i64>,
    last_ms: Vec<i64>,
    lost: Vec<bool>,
    /// Up to when a row's samples look back over a gap of its own.
    unsettled_ms: Vec<i64>,
    /// Silence up to here says nothing: answers were partial.
    excused_ms: i64,
    pub(super) seen: Seen,
    pub(super) gaps: Gaps,
    /// What was told about samples that have not come yet.
    pub(super) directives: Pending,
    scratch: Vec<Mark>,
}

impl Table {
    pub(super) fn new(plan: SignalPlan) -> Self {
        let recent_len = RECENT_POINTS_MIN.max(plan.settings.baseline_points).max(plan.settings.open_window);
        let panel = Panel::new(&plan.settings, plan.step);
        let cut = plan.settings.cut(1.0);
        Self {
            plan,
            index: Index::default(),
            free: Vec::new(),
            recent_len,
            keys: Vec::new(),
            panel,
            cut,
            episodes: Vec::new(),
            recent: Vec::new(),
            recent_count: Vec::new(),
            runs: Vec::new(),
            verdicts: Vec::new(),
            began_ms: Vec::new(),
            last_ms: Vec::new(),
            lost: Vec::new(),
            unsettled_ms: Vec::new(),
            excused_ms: i64::MIN,
            seen: Seen::default(),
            gaps: Gaps::default(),
            directives: Pending::default(),
            scratch: Vec::new(),
        }
    }

    /// Judges the samples of one series that are newer than what was judged before. Findings of samples up to
    /// `muted_until` are left out.
    pub(super) fn judge(
        &mut self,
        samples: BatchRow<'_>,
        muted_until: Timestamp,
        counts: &mut Counts,
        out: &mut Vec<Finding>,
    ) {
        self.seen.take(samples.times_ms, millis(self.plan.step));
        let Some(row) = self.row_of(samples.key) else {
            counts.untracked += 1;
            return;
        };
        let is_told = !self.directives.is_empty();
        let normal_through_ms = self.directives.normal_through_ms(samples.key.hash);
        for (at_ms, value) in samples.times_ms.iter().zip(samples.values) {
            if *at_ms <= self.last_ms[row] {
                // A step once judged is final: the same range asked twice changes nothing.
                counts.repeated += 1;
                continue;
            }
            if is_told {
                self.obey_before(row, *at_ms);
            }
            let acts = *at_ms > muted_until.as_millis().max(normal_through_ms);
            self.judge_one(row, *at_ms, *value, counts, &mut |finding| {
                if acts {
                    out.push(finding);
                }
            });
        }
        self.note_standing(row);
    }

    fn judge_one(
        &mut self,
        row: usize,
        at_ms: i64,
        value: f64,
        counts: &mut Counts,
        emit: &mut dyn FnMut(Finding),
    ) {
        let at = Timestamp::from_millis(at_ms);
        self.end_silence(row, at, emit);
        self.restart_after_gap(row, at, emit);
        let is_settled = self.is_settled(row, at);
        self.verdicts[row] = None;
        if self.last_ms[row] == i64::MIN {
            self.began_ms[row] = at_ms;
        }
        self.last_ms[row] = at_ms;
        if !is_settled {
            counts.unsettled += 1;
            self.remember(row, Mark { at_ms, value, signed_score: f64::NAN });
            return;
        }
        counts.judged += 1;

        let Some(judged) = self.panel.judge(row, (at, value), self.cut, &self.plan.settings) else {
            self.remember(row, Mark { at_ms, value, signed_score: f64::NAN });
            return;
        };
        let (verdict, baseline) = (judged.verdict, judged.baseline);
        let signed_score = match verdict.side {
            Side::Up => verdict.score,
            Side::Down => -verdict.score,
        };
        let mark = Mark { at_ms, value, signed_score };
        self.remember(row, mark);
        counts.outside += u64::from(verdict.is_outside());
        self.verdicts[row] = Some(verdict);

        let size = Size { deviation: verdict.z.abs(), of: judged.of };
        let counts_at_all = mark.side(self.plan.settings.sides).is_some();
        let is_usual = counts_at_all && self.is_usual(row, at, size);
        let step = if is_usual {
            counts.usual += 1;
            Step::Nothing
        } else {
            self.load_marks(row);
            self.runs[row].step(&self.scratch, &verdict, baseline, &self.plan.settings, self.plan.step)
        };
        if is_usual || !self.runs[row].leaves_out(&verdict, &self.plan.settings) {
            self.panel.learn(row, value);
        } else {
            self.panel.leave_out(row);
        }
        let step = match step {
            Step::Opened(anomaly) => Step::Opened(self.begin(row, anomaly, judged.lead)),
            Step::Nothing | Step::Cleared(_) | Step::Adopt { .. } => step,
        };
        self.act(row, at, step, baseline.mean, emit);
    }

    /// Lets an anomaly that has just opened begin where the run of samples began that opened it.
    fn begin(&mut self, row: usize, mut anomaly: Anomaly, lead: usize) -> Anomaly {
        let marks = self.marks(row);
        for mark in marks.iter().rev().take(lead + 1) {
            anomaly.onset = anomaly.onset.min(Timestamp::from_millis(mark.at_ms));
            if (mark.value - anomaly.expected).abs() > (anomaly.peak_value - anomaly.expected).abs() {
                anomaly.peak_value = mark.value;
            }
        }
        self.runs[row].anomaly = Some(anomaly);
        anomaly
    }

    /// Tells what a sample has changed.
    fn act(&mut self, row: usize, at: Timestamp, step: Step, from: f64, emit: &mut dyn FnMut(Finding)) {
        match step {
            Step::Nothing => {}
            Step::Opened(anomaly) => emit(self.finding(row, at, What::Anomalous(anomaly))),
            Step::Cleared(anomaly) => emit(self.finding(row, at, What::Recovered(anomaly))),
            Step::Adopt { since } => {
                self.rebase(row);
                let to = self.panel.baseline(row, &self.plan.settings).map_or(from, |baseline| baseline.mean);
                emit(self.finding(row, at, What::Restarted(Restart::Adopted { since, from, to })));
            }
        }
    }

    /// Whether a sample outside is what the series does all the time; remembers it either way.
    fn is_usual(&mut self, row: usize, at: Timestamp, size: Size) -> bool {
        if !self.plan.settings.learns_recurrence() {
            return false;
        }
        let episodes = &mut self.episodes[row];
        if self.runs[row].anomaly.is_some() {
            episodes.grow(size);
            return false;
        }
        let is_usual = episodes.is_usual(at, size, self.plan.step);
        if is_usual {
            episodes.again(at, size, self.plan.step);
        } else {
            episodes.begin(at, size);
        }
        is_usual
    }

    /// Makes room for a series that is about to be judged.
    pub(super) fn expect_series(&mut self, key: &Arc<SeriesKey>) {
        let _ = self.row_of(key);
    }

    /// Takes the probability at which a score of 1 stands from now on.
    pub(super) fn set_cut(&mut self, cut: f64) {
        self.cut = cut;
    }

    /// Ends what a series that has a sample again was silent for. Where no slot closed in between, as when what was
    /// missed is caught up, the loss is told now, so that it does not matter when anybody looked.
    fn end_silence(&mut self, row: usize, at: Timestamp, emit: &mut dyn FnMut(Finding)) {
        let (last_seen, before) = (Timestamp::from_millis(self.last_ms[row]), at.minus(self.plan.step));
        if !self.lost[row] && self.recent_count[row] > 0 && self.has_stopped(row, before) {
            self.lost[row] = true;
            let known_at = self.silent_since(row).plus(self.lost_after()).min(before);
            emit(self.finding(row, known_at, What::Lost { last_seen }));
        }
        if self.lost[row] {
            self.lost[row] = false;
            emit(self.finding(row, at, What::Returned));
        }
    }

    /// Whether a sample stands for itself: it does not where it looks back over a gap of its series, or of the backend.
    fn is_settled(&mut self, row: usize, at: Timestamp) -> bool {
        let window = self.plan.window;
        let pause = at.since(Timestamp::from_millis(self.last_ms[row]));
        if self.recent_count[row] > 0 && pause > self.plan.step.saturating_mul(2) && !window.is_zero() {
            self.unsettled_ms[row] = at.plus(window).as_millis();
        }
        at.as_millis() >= self.unsettled_ms[row] && (self.gaps.is_empty() || !self.gaps.distort(at, window))
    }

    /// Takes note that an answer was partial: whoever is missing in it may be there all the same.
    pub(super) fn excuse(&mut self, through: Timestamp) {
        self.excused_ms = self.excused_ms.max(through.as_millis());
    }

    /// Ends a slot: what is lost as of `through`, and the anomalies that go on.
    pub(super) fn close(&mut self, through: Timestamp, counts: &mut Counts, out: &mut Vec<Finding>) {
        self.obey(through);
        // The samples of a daily series are a day apart.
        let forget_after = FORGET_AFTER.max(self.baseline_span());
        // In answers that are always partial too: else the rows of what is long gone would fill the table.
        self.forget_before(through.minus(forget_after), counts);
        let rows: Vec<usize> = self.index.rows().collect();
        for row in rows {
            if let Some(anomaly) = self.runs[row].anomaly {
                out.push(self.finding(row, anomaly.until, What::Anomalous(anomaly)));
            }
            let was_lost = self.lost[row];
            if !was_lost && self.has_stopped(row, through) {
                self.lost[row] = true;
                self.note_standing(row);
            }
            if self.lost[row] {
                let last_seen = Timestamp::from_millis(self.last_ms[row]);
                let known_at = self.silent_since(row).plus(self.lost_after()).min(through);
                let at = if was_lost { through } else { known_at };
                out.push(self.finding(row, at, What::Lost { last_seen }));
            }
        }
    }

    /// Takes another plan under which the state goes on. What was held to be lost stays so, unless series may stop now.
    pub(super) fn replan(&mut self, plan: SignalPlan) {
        debug_assert!(plan.keeps_state_of(&self.plan), "a row has room for the baseline of its plan");
        if plan.settings.missing == Missing::Ignore {
            self.lost.fill(false);
            let rows: Vec<usize> = self.index.rows().collect();
            rows.into_iter().for_each(|row| self.note_standing(row));
        }
        self.plan = plan;
    }

    /// Only a series with a full baseline can be lost: one that was never established is not missed.
    fn has_stopped(&self, row: usize, through: Timestamp) -> bool {
        let established = self.panel.is_warm(row, &self.plan.settings);
        let alerts = matches!(self.plan.settings.missing, Missing::Alert { .. });
        alerts && established && through.since(self.silent_since(row)) >= self.lost_after()
    }

    fn silent_since(&self, row: usize) -> Timestamp {
        Timestamp::from_millis(self.last_ms[row].max(self.excused_ms))
    }

    /// How long a series is silent until it is lost.
    pub(super) fn lost_after(&self) -> Duration {
        let least = self.plan.step.saturating_mul(2);
        match self.plan.settings.missing {
            Missing::Alert { after } => after.max(least),
            Missing::Ignore => least,
        }
    }

    /// Adds up the series whose last sample lies in a span and which have been silent since then up to `through`, all
    /// that were there when it began, and those that were there when it could be known, new ones too. What the sum holds
    /// as stopped already did stop, even if it is back.
    pub(super) fn stopped_within(&self, span: (Timestamp, Timestamp), through: Timestamp, loss: &mut Loss) {
        let silent_ms = through.minus(self.plan.step.saturating_mul(2)).as_millis();
        let alive_ms = through.minus(self.lost_after()).as_millis();
        // Where a long time is caught up at once, what began later was not there yet when it was lost.
        let known_ms = span.0.plus(self.lost_after()).max(span.1).as_millis();
        for row in self.index.rows() {
            let (began_ms, last_ms) = (self.began_ms[row], self.last_ms[row]);
            if last_ms < span.0.as_millis() {
                continue;
            }
            let has_stopped = last_ms <= span.1.as_millis() && last_ms < silent_ms;
            loss.tracked += usize::from(has_stopped || began_ms <= span.0.as_millis());
            if has_stopped {
                loss.add(&self.keys[row]);
            } else if last_ms > alive_ms
                && began_ms <= known_ms
                && !loss.stopped.contains(&self.keys[row].hash)
            {
                loss.alive += 1;
            }
        }
    }

    /// The last samples of the series that have been silent since then up to `through`, from a time on, in order.
    pub(super) fn silent_since_ms(&self, from: Timestamp, through: Timestamp) -> Vec<i64> {
        let silent_ms = through.minus(self.plan.step.saturating_mul(2)).as_millis();
        let ends = self.index.rows().map(|row| self.last_ms[row]);
        let mut ends: Vec<i64> = ends.filter(|ms| (from.as_millis()..silent_ms).contains(ms)).collect();
        ends.sort_unstable();
        ends.dedup();
        ends
    }

    /// How many series had a sample within the time after which they are lost.
    pub(super) fn alive(&self, through: Timestamp) -> usize {
        let oldest_ms = through.minus(self.lost_after()).as_millis();
        self.index.rows().filter(|row| self.last_ms[*row] > oldest_ms).count()
    }

    pub(super) fn tracked(&self) -> usize {
        self.index.len()
    }

    /// How many series are warming up, anomalous and lost.
    pub(super) fn sums(&self) -> Sums {
        self.index.sums()
    }

    pub(super) fn state_of(&self, hash: Fingerprint) -> Option<(Option<Anomaly>, bool)> {
        self.index.row_of(hash).map(|row| (self.runs[row].anomaly, self.lost[row]))
    }

    /// What was said of a series' last sample; `None` where it was not judged.
    pub(super) fn verdict_of(&self, hash: Fingerprint) -> Option<Verdict> {
        self.index.row_of(hash).and_then(|row| self.verdicts[row])
    }

    /// The time of a series' last sample; `None` where it has no state.
    pub(super) fn last_sample(&self, hash: Fingerprint) -> Option<Timestamp> {
        let row = self.index.row_of(hash)?;
        (self.recent_count[row] > 0).then(|| Timestamp::from_millis(self.last_ms[row]))
    }

    /// Every row, in the order in which the series came.
    pub(super) fn rows(&self) -> impl Iterator<Item = usize> {
        self.index.rows()
    }

    pub(super) fn rows_of_service(&self, service: &Service) -> &[usize] {
        self.index.of_service(service)
    }

    /// The anomalous and lost rows.
    pub(super) fn troubled_rows(&self) -> impl Iterator<Item = usize> {
        self.index.troubled()
    }

    pub(super) fn service(&self, row: usize) -> &Service {
        &self.keys[row].service
    }

    /// Keeps the index in step with a row that may have changed.
    fn note_standing(&mut self, row: usize) {
        let standing = Standing {
            is_warming: !self.panel.is_warm(row, &self.plan.settings),
            is_anomalous: self.runs[row].anomaly.is_some(),
            is_lost: self.lost[row],
        };
        self.index.stands(row, standing);
    }

    /// The whole of what is known about a row.
    pub(super) fn view(&self, row: usize) -> SeriesView {
        let recent = self.marks(row);
        let baseline = self.panel.baseline(row, &self.plan.settings);
        SeriesView {
            key: Arc::clone(&self.keys[row]),
            kind: self.plan.kind,
            anomaly: self.runs[row].anomaly,
            is_lost: self.lost[row],
            unsettled_until: Some(self.unsettled_ms[row])
                .filter(|until_ms| *until_ms > i64::MIN)
                .map(Timestamp::from_millis),
            value: recent.last().map_or(f64::NAN, |mark| mark.value),
            expected: baseline.map(|b| b.mean),
            band: self.panel.band(row, &self.plan.settings).map(|(_, lower, upper)| (lower, upper)),
            scale: baseline.map(|b| b.scale),
            recent: recent.iter().map(|mark| (Timestamp::from_millis(mark.at_ms), mark.value)).collect(),
            signed_scores: recent.iter().map(|mark| mark.signed_score).collect(),
        }
    }

    fn finding(&self, row: usize, at: Timestamp, what: What) -> Finding {
        Finding { key: Arc::clone(&self.keys[row]), kind: self.plan.kind, at, what }
    }

    fn row_of(&mut self, key: &Arc<SeriesKey>) -> Option<usize> {
        if let Some(row) = self.index.row_of(key.hash) {
            return Some(row);
        }
        if self.index.len() >= self.plan.series_limit {
            return None;
        }
        let row = match self.free.pop() {
            Some(row) => {
                self.keys[row] = Arc::clone(key);
                self.forget_state(row);
                row
            }
            None => self.grow(key),
        };
        self.index.insert(key.hash, &key.service, row);
        Some(row)
    }

    fn grow(&mut self, key: &Arc<SeriesKey>) -> usize {
        let row = self.keys.len();
        let blank = Mark { at_ms: i64::MIN, value: 0.0, signed_score: f64::NAN };
        self.keys.push(Arc::clone(key));
        self.panel.grow();
        self.episodes.push(Episodes::default());
        self.recent.resize((row + 1) * self.recent_len, blank);
        self.recent_count.push(0);
        self.runs.push(Run::default());
        self.verdicts.push(None);
        self.began_ms.push(i64::MIN);
        self.last_ms.push(i64::MIN);
        self.lost.push(false);
        self.unsettled_ms.push(i64::MIN);
        row
    }

    fn forget_state(&mut self, row: usize) {
        self.panel.forget(row);
        self.episodes[row].forget();
        (self.recent_count[row], self.runs[row]) = (0, Run::default());
        (self.began_ms[row], self.last_ms[row]) = (i64::MIN, i64::MIN);
        (self.lost[row], self.unsettled_ms[row]) = (false, i64::MIN);
        self.verdicts[row] = None;
    }

    fn forget_before(&mut self, oldest: Timestamp, counts: &mut Counts) {
        let is_old = |row: &usize| self.last_ms[*row] < oldest.as_millis();
        let gone: Vec<(usize, Service)> =
            self.index.rows().filter(is_old).map(|row| (row, self.keys[row].service.clone())).collect();
        self.index.remove(&gone);
        counts.evicted += gone.len() as u64;
        self.free.extend(gone.into_iter().map(|(row, _)| row));
    }

    fn restart_after_gap(&mut self, row: usize, at: Timestamp, emit: &mut dyn FnMut(Finding)) {
        if self.recent_count[row] == 0 {
            return;
        }
        let lasted = at.since(Timestamp::from_millis(self.last_ms[row]));
        if lasted > self.plan.settings.adopt_after.max(self.baseline_span()) {
            self.panel.forget(row);
            (self.recent_count[row], self.runs[row]) = (0, Run::default());
            emit(self.finding(row, at, What::Restarted(Restart::Gap { lasted })));
        }
    }

    /// The time that a baseline without gaps covers.
    fn baseline_span(&self) -> Duration {
        self.plan.step.saturating_mul(self.plan.settings.baseline_points as u32)
    }

    /// Takes the last samples as they came for the baseline, flagged ones too.
    fn rebase(&mut self, row: usize) {
        let mut marks = self.marks(row);
        // What was not judged is no level either.
        marks.retain(|mark| !mark.signed_score.is_nan());
        let values: Vec<f64> = marks.iter().map(|mark| mark.value).collect();
        self.panel.rebase(row, &values);
    }

    fn remember(&mut self, row: usize, mark: Mark) {
        let place = (self.recent_count[row] % self.recent_len as u64) as usize;
        self.recent[row * self.recent_len + place] = mark;
        self.recent_count[row] += 1;
    }

    /// The samples of the opening window, oldest first, into the scratch column.
    fn load_marks(&mut self, row: usize) {
        let count = self.recent_count[row];
        let held = count.min(self.plan.settings.open_window as u64).min(self.recent_len as u64);
        self.scratch.clear();
        for nth in count - held..count {
            let place = (nth % self.recent_len as u64) as usize;
            self.scratch.push(self.recent[row * self.recent_len + place]);
        }
    }

    /// All remembered samples, oldest first.
    fn marks(&self, row: usize) -> Vec<Mark> {
        let count = self.recent_count[row];
        let held = count.min(self.recent_len as u64);
        let place = |nth: u64| row * self.recent_len + (nth % self.recent_len as u64) as usize;
        (count - held..count).map(|nth| self.recent[place(nth)]).collect()
    }
}
