//! Why a sample opened something, or did not: what every gate goes by.
//!
//! None of this runs while samples are judged, but for the one that opens an anomaly.

use std::sync::Arc;

use super::{Counts, Sample, Table};
use crate::detect::classic::Verdict;
use crate::detect::finding::{Anomaly, Finding, Restart, Side, What};
use crate::detect::gate::{Check, Ending, Gate, Outcome, Trace};
use crate::detect::guard::Volume;
use crate::detect::panel::Judged;
use crate::detect::recurrence::{Matter, Size};
use crate::detect::run::{Evidence, evidence};
use crate::detect::settings::{CUT_MAX, Settings};
use crate::series::SeriesKey;
use crate::time::Timestamp;

/// How the detector sees a sample under more and more of what widens its band.
#[derive(Debug, Clone, Copy)]
struct Sights {
    /// As if there were no other series, and nothing but the series' own past.
    alone: Verdict,
    /// With the least absolute deviation.
    absolute: Verdict,
    /// With the least relative one too.
    relative: Verdict,
    /// As it is judged, among all series.
    shared: Verdict,
}

impl Sights {
    fn same(verdict: Verdict) -> Self {
        Self { alone: verdict, absolute: verdict, relative: verdict, shared: verdict }
    }
}

/// What the gates of opening go by.
struct Facts {
    sample: Sample,
    /// The probability at which a score of 1 stands.
    cut: f64,
    sights: Sights,
    /// The side and the number of samples in a row outside the valid range; forces where it is enough of them.
    invalid: (Option<Side>, usize),
    is_low: bool,
    /// How many earlier episodes as large there are, the first of them, and whether that makes it usual.
    alike: (usize, Option<Timestamp>, bool),
    evidence: Evidence,
}

impl Table {
    /// What every gate said of the sample with which an anomaly has just opened.
    pub(super) fn opening_trace(
        &self,
        row: usize,
        sample: Sample,
        judged: &Judged,
        anomaly: &Anomaly,
    ) -> Arc<Trace> {
        let settings = self.settings(row);
        let verdict = judged.verdict;
        // The episode that begins with this very sample is among them by now.
        let (alike, first, _) = self.alike(row, sample, &verdict, judged.of);
        let earlier = alike.saturating_sub(1);
        let facts = Facts {
            sample,
            cut: self.variants.cut(row),
            sights: Sights::same(verdict),
            invalid: (self.forced(row, sample.value), self.invalid_run(row)),
            is_low: false,
            alike: (earlier, first.filter(|_| earlier > 0), false),
            evidence: evidence(&self.marks(row), anomaly.side, settings, self.plan.step),
        };
        let mut checks = vec![self.quality_passed(row)];
        checks.extend(self.gates_of_opening(settings, &facts));
        checks.extend([Check::new(Gate::Exit, Outcome::Off), Check::new(Gate::Hold, Outcome::Off)]);
        Arc::new(Trace::new(Timestamp::from_millis(sample.at_ms), checks, Some(Ending::Opened)))
    }

    /// Judges a sample, or a step without one, and says what every gate made of it.
    pub(in crate::detect) fn explain(
        mut self,
        key: &SeriesKey,
        (at, value): (Timestamp, Option<f64>),
        volume: Volume,
    ) -> Trace {
        let blocked = |check: Check| Trace::new(at, with_rest(check), None);
        let Some(row) = self.index.row_of(key.hash) else {
            let because =
                if self.index.len() >= self.plan.series_limit { "series_limit" } else { "new_series" };
            return blocked(Check::of(Gate::DataQuality, false).text("because", because));
        };
        if let Some(check) = self.no_sample(row, at, value) {
            return blocked(check);
        }
        let value = value.unwrap_or_default();
        let sample = Sample { at_ms: at.as_millis(), value, volume };
        let before = self.clone();
        let mut found = Vec::new();
        self.judge_one(row, sample, &mut Counts::default(), &mut |finding| found.push(finding));
        if self.verdicts[row].is_none() {
            return blocked(self.not_judged(row, at));
        }
        let ending = ending(&before, &self, row, &found);
        let mut checks = vec![self.quality_passed(row)];
        checks.extend(match before.runs[row].anomaly {
            Some(_) => self.gates_of_leaving(row),
            None => self.gates_of_a_calm_series(row, sample, &before),
        });
        Trace::new(at, checks, ending)
    }

    fn gates_of_a_calm_series(&self, row: usize, sample: Sample, before: &Self) -> Vec<Check> {
        let settings = self.settings(row);
        let (sights, of) = before.sights(row, sample);
        let forced = self.forced(row, sample.value);
        let mut verdict = if sights.shared.is_outside() { sights.shared } else { sights.relative };
        let mut marks = self.marks(row);
        match (forced, self.verdicts[row]) {
            (Some(_), Some(judged)) => verdict = judged,
            (Some(_) | None, _) => {
                if let Some(last) = marks.last_mut() {
                    last.signed_score = signed(&verdict);
                }
            }
        }
        let marks = before.runs[row].unsettled(&marks);
        let is_low = settings.is_low(sample.volume, sample.value, sights.shared.expected);
        let facts = Facts {
            sample,
            cut: self.variants.cut(row),
            sights,
            invalid: (forced, self.invalid_run(row)),
            is_low,
            alike: before.alike(row, sample, &verdict, of),
            evidence: evidence(marks, verdict.side, settings, self.plan.step),
        };
        let mut checks = self.gates_of_opening(settings, &facts);
        checks.extend([Check::new(Gate::Exit, Outcome::Off), Check::new(Gate::Hold, Outcome::Off)]);
        checks
    }

    /// What an open anomaly is asked: only how it is left.
    fn gates_of_leaving(&self, row: usize) -> Vec<Check> {
        let settings = self.settings(row);
        let score = self.verdicts[row].map_or(0.0, |verdict| verdict.score);
        let hold = settings.clear_samples(self.plan.step);
        let inside = self.runs[row].inside_in_a_row();
        let mut checks: Vec<Check> = Gate::ALL
            .into_iter()
            .filter(|gate| (Gate::LowTraffic..=Gate::FalseDiscovery).contains(gate))
            .map(|gate| Check::new(gate, Outcome::Off).text("because", "an anomaly is open"))
            .collect();
        let exit = Check::new(Gate::Exit, Outcome::Passed);
        checks.push(exit.number("score", score).number("exit_score", settings.exit_score));
        let is_held = if inside == 0 { Outcome::Off } else { Outcome::Passed };
        let held = Check::new(Gate::Hold, is_held);
        checks.push(held.count("inside_in_a_row", inside).count("needed", hold));
        checks
    }

    /// The gates between a judged sample and an anomaly.
    fn gates_of_opening(&self, settings: &Settings, facts: &Facts) -> Vec<Check> {
        let mut checks = vec![low_traffic(settings, facts)];
        checks.extend(self.gates_of_the_score(settings, facts));
        checks.push(valid_range(settings, facts, self.invalid_points(settings)));
        let forced = facts.invalid.0.is_some();
        let usual = match (settings.learns_recurrence(), forced) {
            (true, false) => Check::of(Gate::Usual, !facts.alike.2),
            (true, true) | (false, _) => Check::new(Gate::Usual, Outcome::Off),
        };
        let usual = usual.count("earlier_ones_alike", facts.alike.0);
        checks.push(match facts.alike.1 {
            Some(first) => usual.time("first_at", first),
            None => usual,
        });
        let Evidence { outside, strong, confidence, .. } = facts.evidence;
        let enough = Check::of(Gate::OpenPoints, facts.evidence.is_enough(settings));
        let enough = enough.count("outside", outside).count("open_points", settings.open_points);
        let enough = enough.count("open_window", settings.open_window).count("strong", strong);
        checks.push(enough.count("strong_points", settings.strong_points));
        let sure = Check::of(Gate::Confidence, facts.evidence.is_sure(settings));
        checks.push(sure.number("confidence", confidence).number("min_confidence", settings.min_confidence));
        let rare = match (!settings.is_classic(), forced) {
            (true, false) => Check::of(Gate::FalseDiscovery, facts.sights.shared.is_outside()),
            (true, true) => Check::new(Gate::FalseDiscovery, Outcome::Overruled),
            (false, _) => Check::new(Gate::FalseDiscovery, Outcome::Off),
        };
        let rare = rare.number("score", facts.sights.shared.score).number("probability", facts.cut);
        let rare = rare.number("false_openings_per_day", settings.false_openings_per_day);
        checks.push(rare.number("samples_a_day", self.samples_a_day));
        checks
    }

    fn gates_of_the_score(&self, settings: &Settings, facts: &Facts) -> [Check; 4] {
        let Sights { alone, absolute, relative, shared } = facts.sights;
        let (forced, _) = facts.invalid;
        let gate = |gate: Gate, verdict: &Verdict| {
            let passes = verdict.is_outside() || shared.is_outside();
            match (passes, forced.is_some()) {
                (true, _) => Check::new(gate, Outcome::Passed),
                (false, true) => Check::new(gate, Outcome::Overruled),
                (false, false) => Check::new(gate, Outcome::Blocked),
            }
        };
        let off = |check: Check, least: f64| match least > 0.0 {
            true => check,
            false => Check { outcome: Outcome::Off, ..check },
        };
        let half = (alone.upper - alone.lower) / 2.0;
        let deviation = alone.score * half;
        let score = gate(Gate::Score, &alone)
            .text("detector", &settings.detector.to_string())
            .number("value", facts.sample.value)
            .number("expected", alone.expected)
            .number("lower", alone.lower)
            .number("upper", alone.upper)
            .number("score", alone.score);
        let score = if settings.is_classic() {
            score.number("sigma", settings.sigma)
        } else {
            score.number("probability", CUT_MAX.max(facts.cut))
        };
        let side = forced.unwrap_or(if shared.is_outside() { shared.side } else { alone.side });
        let counts = settings.sides.counts(side);
        let direction = Check::of(Gate::Direction, counts).text("side", side.as_str());
        let direction = direction.text("direction", settings.sides.as_str());
        let least = settings.min_deviation_absolute;
        let absolute = gate(Gate::DeviationAbsolute, &absolute).number("deviation", deviation);
        let absolute = off(absolute.number("least", least), least);
        let share = settings.min_deviation_relative;
        let relative = gate(Gate::DeviationRelative, &relative).number("deviation", deviation);
        let relative = relative.number("share", share).number("least", share * alone.expected.abs());
        [score, direction, absolute, off(relative, share)]
    }

    /// How the detectors see a sample, and what that is about: on copies, since looking teaches.
    fn sights(&self, row: usize, sample: Sample) -> (Sights, Matter) {
        let at = Timestamp::from_millis(sample.at_ms);
        let settings = self.settings(row);
        let see = |absolute: f64, relative: f64, cut: f64| {
            let least = (absolute, relative);
            let (min_deviation_absolute, min_deviation_relative) = least;
            let settings = Settings { min_deviation_absolute, min_deviation_relative, ..settings.clone() };
            self.panel.clone().judge(row, (at, sample.value), cut, &settings)
        };
        let (absolute, relative) = (settings.min_deviation_absolute, settings.min_deviation_relative);
        let cut = self.variants.cut(row);
        let alone = CUT_MAX.max(cut);
        let shared = see(absolute, relative, cut);
        let seen = [see(0.0, 0.0, alone), see(absolute, 0.0, alone), see(absolute, relative, alone)];
        let nothing = Verdict {
            expected: sample.value,
            lower: sample.value,
            upper: sample.value,
            z: 0.0,
            score: 0.0,
            side: Side::Up,
        };
        let of = shared.as_ref().map_or(Matter::Level, |judged| judged.of);
        let shared = shared.map_or(nothing, |judged| judged.verdict);
        let [alone, absolute, relative] = seen.map(|judged| judged.map_or(shared, |judged| judged.verdict));
        (Sights { alone, absolute, relative, shared }, of)
    }

    fn alike(
        &self,
        row: usize,
        sample: Sample,
        verdict: &Verdict,
        of: Matter,
    ) -> (usize, Option<Timestamp>, bool) {
        let at = Timestamp::from_millis(sample.at_ms);
        let size = Size { deviation: verdict.z.abs(), score: verdict.score, of };
        let (count, first_ms) = self.episodes[row].alike(at, size, self.plan.step);
        let counts = self.settings(row).sides.counts(verdict.side) && verdict.is_outside();
        let is_usual = self.settings(row).learns_recurrence()
            && counts
            && self.episodes[row].is_usual(at, size, self.plan.step);
        (count, first_ms.map(Timestamp::from_millis), is_usual)
    }

    /// A step that has nothing to judge.
    fn no_sample(&self, row: usize, at: Timestamp, value: Option<f64>) -> Option<Check> {
        let (last_ms, had_samples) = (self.last_ms[row], self.recent_count[row] > 0);
        let check = Check::of(Gate::DataQuality, false);
        let last = Timestamp::from_millis(last_ms);
        if had_samples && at.as_millis() <= last_ms {
            return Some(check.text("because", "late_or_duplicate").time("last_sample_at", last));
        }
        if value.is_some() {
            return None;
        }
        let is_excused = at.as_millis() <= self.excused_ms;
        let because = if is_excused { "partial_answer" } else { "no_sample" };
        let check = check.text("because", because);
        let silence = at.since(self.silent_since(row)).as_secs_f64();
        let check =
            if had_samples { check.time("last_sample_at", last).number("silent_s", silence) } else { check };
        let check = check.number("lost_after_s", self.lost_after_of(row).as_secs_f64());
        Some(check.text("is_lost", if self.lost[row] || self.has_stopped(row, at) { "yes" } else { "no" }))
    }

    /// A sample that was taken and not judged.
    fn not_judged(&self, row: usize, at: Timestamp) -> Check {
        let check = Check::of(Gate::DataQuality, false);
        if at.as_millis() < self.unsettled_ms[row] {
            let until = Timestamp::from_millis(self.unsettled_ms[row]);
            return check.text("because", "gap_of_the_series").time("until_at", until);
        }
        if self.gaps.distort(at, self.plan.window) {
            return check.text("because", "gap_of_the_backend");
        }
        let (held, needed) = self.panel.held(row, self.settings(row));
        check.text("because", "warming_up").count("samples", held).count("needed", needed)
    }

    fn quality_passed(&self, row: usize) -> Check {
        let began = Timestamp::from_millis(self.began_ms[row]);
        let check = Check::of(Gate::DataQuality, true).time("first_sample_at", began);
        match self.overrides_of(row).as_slice() {
            [] => check,
            names => check.text("overrides", &names.join(", ")),
        }
    }
}

fn low_traffic(settings: &Settings, facts: &Facts) -> Check {
    let Some(least) = &settings.volume else { return Check::new(Gate::LowTraffic, Outcome::Off) };
    let check = Check::of(Gate::LowTraffic, !facts.is_low).number("min_volume", least.least);
    let asked = least.of.as_ref().map_or("the value itself", |signal| signal.as_str());
    let check = check.text("volume_signal", asked);
    match facts.sample.volume {
        Volume::Own => check.number("volume", facts.sample.value.max(facts.sights.shared.expected)),
        Volume::Known { value, at } => check.number("volume", value).time("volume_at", at),
        Volume::Unread => check.text("volume", "not read yet"),
        Volume::Absent => check.text("volume", "the companion has no sample of this service"),
    }
}

fn valid_range(settings: &Settings, facts: &Facts, needed: usize) -> Check {
    let range = settings.valid;
    if !range.is_set() {
        return Check::new(Gate::ValidRange, Outcome::Off);
    }
    let mut check = Check::new(Gate::ValidRange, Outcome::Passed).number("value", facts.sample.value);
    for (name, edge) in [("valid_min", range.min), ("valid_max", range.max)] {
        if let Some(edge) = edge {
            check = check.number(name, edge);
        }
    }
    let is = if range.side(facts.sample.value).is_some() { "outside" } else { "within" };
    check.text("is", is).count("outside_in_a_row", facts.invalid.1).count("needed", needed)
}

/// What came of a sample, by what it changed; `None` where a gate blocked.
fn ending(before: &Table, after: &Table, row: usize, found: &[Finding]) -> Option<Ending> {
    let said = found.iter().find_map(|finding| match &finding.what {
        What::Anomalous(_) => Some(Ending::Opened),
        What::Recovered(_) => Some(Ending::Cleared),
        What::Restarted(Restart::Adopted { .. }) => Some(Ending::Adopted),
        What::Restarted(Restart::Gap { .. } | Restart::Rebased { .. })
        | What::Lost { .. }
        | What::Returned => None,
    });
    let goes_on = before.runs[row].anomaly.is_some() && after.runs[row].anomaly.is_some();
    said.or(goes_on.then_some(Ending::GoesOn))
}

fn signed(verdict: &Verdict) -> f64 {
    match verdict.side {
        Side::Up => verdict.score,
        Side::Down => -verdict.score,
    }
}

/// A check that blocks before anything was judged, with the gates that were not reached.
fn with_rest(check: Check) -> Vec<Check> {
    let rest = Gate::ALL.into_iter().filter(|gate| *gate != check.gate);
    let mut checks: Vec<Check> = rest.map(|gate| Check::new(gate, Outcome::NotReached)).collect();
    checks.push(check);
    checks
}
