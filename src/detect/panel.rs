//! What judges the series of a signal: the detectors that its plan names, behind one face.

#[cfg(test)]
mod claims;
mod kept;
mod member;
mod seasonal;
mod turns;
mod window;

use std::time::Duration;

use self::member::Member;
use super::classic::{Baseline, Verdict};
use super::detectors::Floors;
use super::detectors::student::normal_quantile;
use super::recurrence::Matter;
use super::selection::Combine;
use super::settings::Settings;
use crate::time::Timestamp;

/// What the panel holds of a sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Judged {
    pub(super) verdict: Verdict,
    pub(super) baseline: Baseline,
    /// How many samples before this one have made the verdict with it.
    pub(super) lead: usize,
    /// What it is about.
    pub(super) of: Matter,
}

/// The detectors of a signal, with a row a series each.
#[derive(Debug, Clone)]
pub(super) struct Panel {
    members: Vec<Member>,
    bound: Bound,
    asked: Asked,
    /// The last boundaries that were worked out: rows of several settings take turns.
    turns: Vec<(Asked, Bound)>,
}

/// Where the boundary of each detector is.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Bound {
    /// The probability of a single sample at which a score of 1 stands, where the detector knows any.
    cut: f64,
    /// The same, in standard deviations of normal noise; never below what the settings say.
    sigma: f64,
    floors: Floors,
}

/// What a boundary was made of.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Asked {
    cut: f64,
    sigma: f64,
    floors: Floors,
    combine: Combine,
}

impl Judged {
    /// A verdict about one sample by itself.
    fn pointwise(verdict: Verdict, baseline: Baseline) -> Self {
        Self { verdict, baseline, lead: 0, of: Matter::Level }
    }

    /// Whether it is about a deviation to a side: a rest has none.
    fn has_side(&self) -> bool {
        self.of != Matter::Rest
    }
}

impl Asked {
    fn new(cut: f64, settings: &Settings) -> Self {
        let floors =
            Floors { absolute: settings.scale_floor_absolute, relative: settings.scale_floor_relative };
        Self { cut, sigma: settings.sigma, floors, combine: settings.combine }
    }

    fn bound(&self, settings: &Settings) -> Bound {
        let cut = settings.shared(self.cut);
        Bound { cut, sigma: self.sigma.max(normal_quantile(cut)), floors: self.floors }
    }
}

impl Panel {
    pub(super) fn new(settings: &Settings, step: Duration) -> Self {
        let asked = Asked::new(settings.cut(1.0), settings);
        let bound = asked.bound(settings);
        let mut members: Vec<Member> =
            settings.detector.iter().map(|detector| Member::new(detector, settings, step)).collect();
        members.iter_mut().for_each(|member| member.tune(&bound));
        Self { members, bound, asked, turns: Vec::new() }
    }

    pub(super) fn grow(&mut self) {
        self.members.iter_mut().for_each(Member::grow);
    }

    pub(super) fn forget(&mut self, row: usize) {
        self.members.iter_mut().for_each(|member| member.forget(row));
    }

    /// Whether the row gives verdicts.
    pub(super) fn is_warm(&self, row: usize, settings: &Settings) -> bool {
        let mut warm = self.members.iter().map(|member| member.is_warm(row, settings));
        match settings.combine {
            Combine::Any => warm.any(|is_warm| is_warm),
            Combine::All => warm.all(|is_warm| is_warm),
        }
    }

    /// Judges a sample; `None` while the row warms up, and then the sample is learnt at once. `cut` is the probability
    /// at which a score of 1 stands, where a detector knows any.
    pub(super) fn judge(
        &mut self,
        row: usize,
        sample: (Timestamp, f64),
        cut: f64,
        settings: &Settings,
    ) -> Option<Judged> {
        let asked = Asked::new(cut, settings);
        if asked != self.asked {
            self.turn_to(asked, settings);
        }
        if let [only] = self.members.as_mut_slice() {
            let judged = only.judge(row, sample, &self.bound, settings);
            if judged.is_none() {
                only.learn(row, sample.1);
            }
            return judged;
        }
        self.judge_together(row, sample, settings)
    }

    /// Asks several detectors.
    fn judge_together(
        &mut self,
        row: usize,
        sample: (Timestamp, f64),
        settings: &Settings,
    ) -> Option<Judged> {
        let (mut decided, mut are_all_warm) = (None, true);
        // Every one judges, also where another one has decided: it is part of how they go on.
        for member in &mut self.members {
            match member.judge(row, sample, &self.bound, settings) {
                Some(judged) => decided = Some(combined(decided, judged, settings.combine)),
                None => are_all_warm = false,
            }
        }
        let is_warm = are_all_warm || settings.combine == Combine::Any;
        let decided = decided.filter(|_| is_warm);
        if decided.is_none() {
            self.learn(row, sample.1);
        }
        decided
    }

    /// Learns the sample that was judged last, as one that belongs to the baseline.
    pub(super) fn learn(&mut self, row: usize, value: f64) {
        self.members.iter_mut().for_each(|member| member.learn(row, value));
    }

    /// Leaves the sample that was judged last out of the baseline, with what led up to it.
    pub(super) fn leave_out(&mut self, row: usize) {
        self.members.iter_mut().for_each(|member| member.leave_out(row));
    }

    /// Makes the last samples the level, flagged ones too.
    pub(super) fn rebase(&mut self, row: usize, values: &[f64]) {
        self.members.iter_mut().for_each(|member| member.rebase(row, values));
    }

    /// How many samples the level of a row has, of how many that make it whole; of the detector that has the least.
    pub(super) fn held(&self, row: usize, settings: &Settings) -> (usize, usize) {
        let held = self.members.iter().map(|member| member.held(row, settings));
        held.min_by_key(|(held, whole)| (whole - held, usize::MAX - whole)).unwrap_or_default()
    }

    /// The band for the next sample: what is expected and its two edges, of the first detector that has one; `None` while
    /// none has.
    pub(super) fn band(&self, row: usize, settings: &Settings) -> Option<(f64, f64, f64)> {
        self.members.iter().find_map(|member| member.band(row, settings))
    }

    /// What is expected of the next sample; `None` while the row warms up.
    pub(super) fn baseline(&self, row: usize, settings: &Settings) -> Option<Baseline> {
        self.members.iter().find_map(|member| member.baseline(row, settings))
    }
}

/// What two detectors say of a sample together.
fn combined(first: Option<Judged>, second: Judged, combine: Combine) -> Judged {
    let Some(first) = first else { return second };
    match combine {
        Combine::Any if second.verdict.score > first.verdict.score => second,
        Combine::Any => first,
        Combine::All => both(first, second),
    }
}

/// The weaker one decides. One that is above and one that is below do not mean the same, and together find nothing.
fn both(first: Judged, second: Judged) -> Judged {
    let mut weaker = if second.verdict.score < first.verdict.score { second } else { first };
    if first.has_side() && second.has_side() && first.verdict.side != second.verdict.side {
        weaker.verdict.score = weaker.verdict.score.min(1.0);
    }
    let sided = if first.has_side() { first } else { second };
    weaker.verdict.side = sided.verdict.side;
    weaker
}
