//! The state of one signal's series, in columns.
//!
//! A row is an index into every column. Rows of series that are forgotten are used again, so an index means nothing
//! outside this file.
#![expect(
    clippy::indexing_slicing,
    reason = "a numeric kernel: every index is a row below `rows_used`, times a stride"
)]

mod bands;
mod explain;
mod invalid;
mod kept;
mod memory;
mod page;
mod rebase;
mod rows;
mod silence;
mod variants;
mod view;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use self::variants::Variants;
use super::classic::Verdict;
use super::directive::Pending;
use super::finding::{Anomaly, Finding, Restart, Side, What};
use super::gaps::Gaps;
use super::gate::Trace;
use super::guard::{Volume, Volumes};
use super::index::{Index, Standing};
use super::panel::{Judged, Panel};
use super::pauses::Pauses;
use super::recurrence::{Episodes, Size};
use super::run::{Mark, Run, Step};
use super::seen::Seen;
use super::settings::{FORGET_AFTER, Missing, Settings, SignalPlan};
use crate::series::{BatchRow, SeriesKey};
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
    pub(super) low_traffic: u64,
    pub(super) repeated: u64,
    pub(super) untracked: u64,
    pub(super) evicted: u64,
}

/// One sample, and how much traffic it stands for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sample {
    pub(super) at_ms: i64,
    pub(super) value: f64,
    pub(super) volume: Volume,
}

/// What holds for all samples of a batch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Beside<'a> {
    /// Findings of samples up to here are left out.
    pub(super) muted_until: Timestamp,
    /// The volume of each service, and the step of the signal that tells it, where one is asked.
    pub(super) volumes: Option<(&'a Volumes, Duration)>,
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
    /// How each row is judged, with the probability at which its score of 1 stands.
    variants: Variants,
    /// Among so many samples a day, over all signals, the expected false openings are shared.
    samples_a_day: f64,
    episodes: Vec<Episodes>,
    /// Samples as they came: a ring of `recent_len`, a power of two, a row.
    recent: Vec<Mark>,
    recent_count: Vec<u64>,
    runs: Vec<Run>,
    /// What was said of the last sample of a row; `None` where it was not judged.
    verdicts: Vec<Option<Verdict>>,
    /// How many samples in a row were outside the valid range.
    invalid: Vec<u8>,
    /// Why the anomalies opened that are open, by row.
    openings: BTreeMap<usize, Arc<Trace>>,
    /// The first sample of a row.
    began_ms: Vec<i64>,
    last_ms: Vec<i64>,
    lost: Vec<bool>,
    /// Up to when a row's samples look back over a gap of its own.
    unsettled_ms: Vec<i64>,
    /// How long a row is usually silent.
    pauses: Vec<Pauses>,
    /// Whether a row has a series; else it waits to be used again.
    in_use: Vec<bool>,
    /// The row that was asked for last.
    last_row: usize,
    step_ms: i64,
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
        // A mask wraps it then.
        let recent_len = recent_len.next_power_of_two();
        let step_ms = millis(plan.step);
        let panel = Panel::new(&plan.settings, plan.step);
        let variants = Variants::new(&plan, 1.0);
        Self {
            plan,
            index: Index::default(),
            free: Vec::new(),
            recent_len,
            keys: Vec::new(),
            panel,
            variants,
            samples_a_day: 1.0,
            episodes: Vec::new(),
            recent: Vec::new(),
            recent_count: Vec::new(),
            runs: Vec::new(),
            verdicts: Vec::new(),
            invalid: Vec::new(),
            openings: BTreeMap::new(),
            began_ms: Vec::new(),
            last_ms: Vec::new(),
            lost: Vec::new(),
            unsettled_ms: Vec::new(),
            pauses: Vec::new(),
            in_use: Vec::new(),
            last_row: usize::MAX - 1,
            step_ms,
            excused_ms: i64::MIN,
            seen: Seen::default(),
            gaps: Gaps::default(),
            directives: Pending::default(),
            scratch: Vec::new(),
        }
    }

    /// Judges the samples of one series that are newer than what was judged before.
    pub(super) fn judge(
        &mut self,
        samples: BatchRow<'_>,
        beside: Beside<'_>,
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
            let acts = *at_ms > beside.muted_until.as_millis().max(normal_through_ms);
            let volume = beside.volumes.map_or(Volume::Own, |(volumes, step)| {
                volumes.of(&samples.key.service, Timestamp::from_millis(*at_ms), step)
            });
            let sample = Sample { at_ms: *at_ms, value: *value, volume };
            self.judge_one(row, sample, counts, &mut |finding| {
                if acts {
                    out.push(finding);
                }
            });
        }
        self.note_standing(row);
    }

    fn judge_one(&mut self, row: usize, sample: Sample, counts: &mut Counts, emit: &mut dyn FnMut(Finding)) {
        let Sample { at_ms, value, .. } = sample;
        let at = Timestamp::from_millis(at_ms);
        let was_silent = self.was_silent(row, at_ms);
        if was_silent {
            self.end_silence(row, at, emit);
            self.note_pause(row, at);
            self.restart_after_gap(row, at, emit);
        }
        let is_settled = self.is_settled(row, at, was_silent);
        self.verdicts[row] = None;
        if self.last_ms[row] == i64::MIN {
            self.began_ms[row] = at_ms;
        }
        self.last_ms[row] = at_ms;
        self.note_validity(row, value);
        if !is_settled {
            counts.unsettled += 1;
            self.remember(row, Mark { at_ms, value, signed_score: f64::NAN });
            return;
        }
        counts.judged += 1;

        let Some(mut judged) =
            self.panel.judge(row, (at, value), self.variants.cut(row), self.variants.settings(row))
        else {
            self.remember(row, Mark { at_ms, value, signed_score: f64::NAN });
            return;
        };
        self.hold_to_the_range(row, value, &mut judged);
        let Judged { verdict, baseline, .. } = &judged;
        let signed_score = match verdict.side {
            Side::Up => verdict.score,
            Side::Down => -verdict.score,
        };
        let mark = Mark { at_ms, value, signed_score };
        self.remember(row, mark);
        counts.outside += u64::from(verdict.is_outside());
        self.verdicts[row] = Some(*verdict);

        let size = Size { deviation: verdict.z.abs(), score: verdict.score, of: judged.of };
        let counts_at_all = mark.side(self.settings(row).sides).is_some();
        let is_calm = self.runs[row].anomaly.is_none();
        let settings = self.settings(row);
        let is_low = counts_at_all && is_calm && settings.is_low(sample.volume, value, baseline.mean);
        let is_usual = counts_at_all && !is_low && self.is_usual(row, (at, value), size);
        let step = if is_usual {
            counts.usual += 1;
            Step::Nothing
        } else {
            // Only where an anomaly may open it matters what came before.
            if is_calm && counts_at_all {
                self.load_marks(row);
            } else {
                self.scratch.clear();
                self.scratch.push(mark);
            }
            self.runs[row].step(
                &self.scratch,
                verdict,
                *baseline,
                self.variants.settings(row),
                self.plan.step,
            )
        };
        let step = if is_low { self.withhold(row, step, counts) } else { step };
        let settings = self.settings(row);
        let is_valid = settings.valid.side(value).is_none();
        if is_usual || (is_valid && !self.runs[row].leaves_out(verdict, settings)) {
            self.panel.learn(row, value);
        } else {
            self.panel.leave_out(row);
        }
        let step = match step {
            Step::Opened(anomaly) => {
                let anomaly = self.begin(row, anomaly, judged.lead);
                let why = self.opening_trace(row, sample, &judged, &anomaly);
                self.openings.insert(row, why);
                Step::Opened(anomaly)
            }
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
                self.rebase(row, since);
                let to = self.panel.baseline(row, self.settings(row)).map_or(from, |baseline| baseline.mean);
                emit(self.finding(row, at, What::Restarted(Restart::Adopted { since, from, to })));
            }
        }
    }

    /// Whether a sample outside is what the series does all the time; remembers it either way. What cannot be never is.
    fn is_usual(&mut self, row: usize, (at, value): (Timestamp, f64), size: Size) -> bool {
        if !self.settings(row).learns_recurrence() || self.forced(row, value).is_some() {
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

    /// Has the expected false openings shared among so many samples a day from now on.
    pub(super) fn share(&mut self, samples_a_day: f64) {
        self.samples_a_day = samples_a_day;
        self.variants.share(samples_a_day);
    }

    /// How a row is judged.
    fn settings(&self, row: usize) -> &Settings {
        self.variants.settings(row)
    }

    /// With too little traffic nothing opens; what is open is left as always.
    fn withhold(&mut self, row: usize, step: Step, counts: &mut Counts) -> Step {
        match step {
            Step::Opened(_) => {
                counts.low_traffic += 1;
                self.runs[row].withdraw();
                Step::Nothing
            }
            Step::Nothing | Step::Cleared(_) | Step::Adopt { .. } => step,
        }
    }

    /// Ends a slot: what is lost as of `through`, and the anomalies that go on.
    pub(super) fn close(&mut self, through: Timestamp, counts: &mut Counts, out: &mut Vec<Finding>) {
        self.obey(through);
        // The samples of a daily series are a day apart.
        let forget_after = FORGET_AFTER.max(self.baseline_span());
        // In answers that are always partial too: else the rows of what is long gone would fill the table.
        self.forget_before(through.minus(forget_after), counts);
        let runs = &self.runs;
        self.openings.retain(|row, _| runs[*row].anomaly.is_some());
        let stopped = self.take_stopped(through);
        // Of a series that is well, only the time of its last sample was looked at.
        let troubled: Vec<usize> = self.index.troubled().collect();
        for row in troubled {
            if let Some(anomaly) = self.runs[row].anomaly {
                out.push(self.finding(row, anomaly.until, What::Anomalous(anomaly)));
            }
            if self.lost[row] {
                let last_seen = Timestamp::from_millis(self.last_ms[row]);
                let is_new = stopped.binary_search(&row).is_ok();
                let known_at = || self.silent_since(row).plus(self.lost_after_of(row)).min(through);
                let at = if is_new { known_at() } else { through };
                out.push(self.finding(row, at, What::Lost { last_seen }));
            }
        }
    }

    /// Takes another plan under which the state goes on. What was held to be lost stays so, unless series may stop now.
    pub(super) fn replan(&mut self, plan: SignalPlan) {
        debug_assert!(plan.keeps_state_of(&self.plan), "a row has room for the baseline of its plan");
        self.step_ms = millis(plan.step);
        self.plan = plan;
        self.resolve();
        let rows: Vec<usize> = self.index.rows().collect();
        for row in rows {
            if self.lost[row] && self.settings(row).missing == Missing::Ignore {
                self.lost[row] = false;
                self.note_standing(row);
            }
        }
    }

    /// Keeps the index in step with a row that may have changed.
    fn note_standing(&mut self, row: usize) {
        let standing = Standing {
            is_warming: !self.panel.is_warm(row, self.settings(row)),
            is_anomalous: self.runs[row].anomaly.is_some(),
            is_lost: self.lost[row],
        };
        self.index.stands(row, standing);
    }

    fn finding(&self, row: usize, at: Timestamp, what: What) -> Finding {
        let why = match &what {
            What::Anomalous(anomaly) | What::Recovered(anomaly) => {
                self.openings.get(&row).filter(|why| why.at == anomaly.detected_at).map(Arc::clone)
            }
            What::Lost { .. } | What::Returned | What::Restarted(_) => None,
        };
        Finding { key: Arc::clone(&self.keys[row]), kind: self.plan.kind, at, what, why }
    }

    /// The time that a baseline without gaps covers.
    fn baseline_span(&self) -> Duration {
        self.plan.step.saturating_mul(self.plan.settings.baseline_points as u32)
    }

    /// Takes the last samples as they came for the baseline, flagged ones too.
    fn rebase(&mut self, row: usize, since: Timestamp) {
        let mut marks = self.marks(row);
        // What was not judged is no level either.
        marks.retain(|mark| mark.at_ms >= since.as_millis() && !mark.signed_score.is_nan());
        let values: Vec<f64> = marks.iter().map(|mark| mark.value).collect();
        self.panel.rebase(row, &values);
    }
}
