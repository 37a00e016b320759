//! From single samples to an anomaly: how many it takes to open one, to clear it, and to accept a new level.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::classic::{Baseline, Verdict};
use super::finding::{Anomaly, Side};
use super::settings::{Settings, Sides};
use crate::time::{Timestamp, millis};

/// A judged sample in the short memory of a series.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Mark {
    pub(super) at_ms: i64,
    pub(super) value: f64,
    /// The score; negative below the expected value. `NaN` while the baseline warms up.
    pub(super) signed_score: f64,
}

impl Mark {
    /// The side on which the sample is anomalous and counts.
    pub(super) fn side(&self, sides: Sides) -> Option<Side> {
        self.side_beyond(1.0, sides)
    }

    /// The side on which the sample is beyond a score and counts.
    fn side_beyond(&self, score: f64, sides: Sides) -> Option<Side> {
        let side = if self.signed_score > score {
            Side::Up
        } else if self.signed_score < -score {
            Side::Down
        } else {
            return None;
        };
        sides.counts(side).then_some(side)
    }
}

/// How sure the evidence makes us that this is no noise: `1 - 4^-E`, where `E` is the sum of the squared scores of the
/// anomalous samples in the window over the number of samples that it takes to open.
///
/// At the boundary (every needed sample with a score of just 1) it is 0.75, the default of `min_confidence`: that gate
/// is then no stricter than the threshold itself.
pub fn confidence(scores: impl IntoIterator<Item = f64>, open_points: usize) -> f64 {
    let sum: f64 = scores.into_iter().map(|score| score * score).sum();
    1.0 - 4.0_f64.powf(-sum / open_points.max(1) as f64)
}

/// The evidence `E` that gives a confidence; the inverse of [`confidence`].
pub(super) fn evidence_for(confidence: f64) -> f64 {
    -(1.0 - confidence.clamp(0.0, 1.0 - 1e-12)).ln() / 4.0_f64.ln()
}

/// Where a series stands between normal and anomalous.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Run {
    pub(super) anomaly: Option<Anomaly>,
    inside_in_a_row: usize,
    stretch: Option<Stretch>,
    /// Samples up to here belong to what is settled, an anomaly that cleared or a level that was left: they are no
    /// evidence for the next anomaly.
    settled_through_ms: Option<i64>,
}

/// A stretch of samples of which most are outside the band.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Stretch {
    since_ms: i64,
    points: usize,
    outside: usize,
    inside_in_a_row: usize,
}

impl Stretch {
    /// Whether it lasts: at least every other of its samples is outside, since a series that is elsewhere more often
    /// than not has a new level though it visits the old one; and it has not been back for half a baseline in a row,
    /// since then it has returned, however long it was away.
    fn lasts(&self, settings: &Settings) -> bool {
        self.outside * 2 >= self.points && self.inside_in_a_row * 2 < settings.baseline_points
    }
}

/// The onset is the first anomalous sample of the window with at least this share of the worst score in it.
const ONSET_SHARE: f64 = 0.25;

/// What a sample changes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Step {
    Nothing,
    Opened(Anomaly),
    Cleared(Anomaly),
    Adopt { since: Timestamp },
}

impl Run {
    /// A series that begins anew: nothing up to here is evidence for an anomaly.
    pub(super) fn settled(through_ms: i64) -> Self {
        Self { settled_through_ms: Some(through_ms), ..Self::default() }
    }

    /// Takes a judged sample. `marks` are the last samples with this one at the end, oldest first.
    pub(super) fn step(
        &mut self,
        marks: &[Mark],
        verdict: &Verdict,
        baseline: Baseline,
        settings: &Settings,
        step: Duration,
    ) -> Step {
        let Some(current) = marks.last() else { return Step::Nothing };
        // What cannot be is no level, however long it lasts.
        let is_away = self.leaves_out(verdict, settings) && settings.valid.side(current.value).is_none();
        if self.stretch_is_a_level(current.at_ms, is_away, settings) {
            let since_ms = self.stretch.map_or(current.at_ms, |stretch| stretch.since_ms);
            *self = Self { settled_through_ms: Some(current.at_ms), ..Self::default() };
            return Step::Adopt { since: Timestamp::from_millis(since_ms) };
        }
        let boundary = if self.anomaly.is_some() { settings.exit_score } else { 1.0 };
        match (&mut self.anomaly, current.side_beyond(boundary, settings.sides)) {
            (Some(anomaly), Some(side)) => {
                self.inside_in_a_row = 0;
                anomaly.until = Timestamp::from_millis(current.at_ms);
                if side == anomaly.side && verdict.score > anomaly.peak_score {
                    (anomaly.peak_score, anomaly.peak_value) = (verdict.score, current.value);
                }
                Step::Nothing
            }
            (Some(anomaly), None) => {
                self.inside_in_a_row += 1;
                if self.inside_in_a_row < settings.clear_samples(step) {
                    return Step::Nothing;
                }
                let ended = *anomaly;
                (self.anomaly, self.settled_through_ms) = (None, Some(current.at_ms));
                Step::Cleared(ended)
            }
            (None, Some(side)) => {
                match open(self.unsettled(marks), side, verdict, baseline, settings, step) {
                    Some(anomaly) => {
                        (self.anomaly, self.inside_in_a_row) = (Some(anomaly), 0);
                        Step::Opened(anomaly)
                    }
                    None => Step::Nothing,
                }
            }
            (None, None) => Step::Nothing,
        }
    }

    /// Whether no count is beyond what samples can make.
    pub(super) fn is_sound(&self) -> bool {
        const MOST: usize = 1 << 40;
        let is_count = |count: usize| count < MOST;
        let of_stretch = self.stretch.is_none_or(|stretch| {
            [stretch.points, stretch.outside, stretch.inside_in_a_row].into_iter().all(is_count)
        });
        is_count(self.inside_in_a_row) && of_stretch
    }

    /// Takes back what has just opened.
    pub(super) fn withdraw(&mut self) {
        self.anomaly = None;
    }

    /// How many samples in a row are inside since the last that was not, while an anomaly is open.
    pub(super) fn inside_in_a_row(&self) -> usize {
        self.inside_in_a_row
    }

    /// Whether a sample stays out of the baseline: it is outside, or an anomaly is open and not yet left.
    pub(super) fn leaves_out(&self, verdict: &Verdict, settings: &Settings) -> bool {
        verdict.score > if self.anomaly.is_some() { settings.exit_score } else { 1.0 }
    }

    /// The samples that can be evidence for another anomaly.
    pub(super) fn unsettled<'a>(&self, marks: &'a [Mark]) -> &'a [Mark] {
        let first = marks.partition_point(|mark| Some(mark.at_ms) <= self.settled_through_ms);
        marks.get(first..).unwrap_or_default()
    }

    /// Takes a sample into the stretch and says whether that is a level by now. A sample at the old level never makes
    /// it one: the new baseline begins where the series is.
    fn stretch_is_a_level(&mut self, at_ms: i64, is_outside: bool, settings: &Settings) -> bool {
        if self.stretch.is_none() && !is_outside {
            return false;
        }
        let fresh = Stretch { since_ms: at_ms, points: 0, outside: 0, inside_in_a_row: 0 };
        let mut stretch = self.stretch.unwrap_or(fresh);
        stretch.points += 1;
        stretch.outside += usize::from(is_outside);
        stretch.inside_in_a_row = if is_outside { 0 } else { stretch.inside_in_a_row + 1 };
        self.stretch = stretch.lasts(settings).then_some(stretch);
        let share = self.anomaly.map_or(1.0, |anomaly| settings.adopt_share(anomaly.peak_score));
        let points = (share * settings.adopt_points() as f64).ceil() as usize;
        self.stretch.is_some()
            && is_outside
            && stretch.points >= points
            && at_ms.saturating_sub(stretch.since_ms) >= millis(settings.adopt_after.mul_f64(share))
    }
}

/// What the last samples say together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Evidence {
    /// How many of the window are outside, on the side that is looked at.
    pub(super) outside: usize,
    /// How many of these are strong.
    pub(super) strong: usize,
    /// How sure they make us.
    pub(super) confidence: f64,
}

impl Evidence {
    /// Whether there are enough of them.
    pub(super) fn is_enough(&self, settings: &Settings) -> bool {
        self.outside >= settings.open_points || self.strong >= settings.strong_points
    }

    /// Whether they are strong enough. Rounding in the sum of squares may not turn "exactly enough" into "too little".
    pub(super) fn is_sure(&self, settings: &Settings) -> bool {
        self.confidence >= settings.min_confidence - 1e-9
    }
}

/// The samples of the opening window that are outside on a side, newest first.
fn counted<'a>(
    marks: &'a [Mark],
    side: Side,
    settings: &'a Settings,
    step: Duration,
) -> impl DoubleEndedIterator<Item = &'a Mark> {
    let now_ms = marks.last().map_or(i64::MIN, |mark| mark.at_ms);
    // Samples on the far side of a gap say nothing about now.
    let oldest_ms = now_ms.saturating_sub(millis(step).saturating_mul(settings.open_window as i64 + 1));
    let within = marks.iter().rev().take(settings.open_window).filter(move |mark| mark.at_ms >= oldest_ms);
    within.filter(move |mark| mark.side(settings.sides) == Some(side))
}

/// The evidence of the last samples, oldest first.
pub(super) fn evidence(marks: &[Mark], side: Side, settings: &Settings, step: Duration) -> Evidence {
    let counted = || counted(marks, side, settings, step);
    Evidence {
        outside: counted().count(),
        strong: counted().filter(|mark| mark.signed_score.abs() >= settings.strong_score).count(),
        confidence: confidence(counted().map(|mark| mark.signed_score), settings.open_points),
    }
}

/// Opens an anomaly where the last samples carry the evidence.
fn open(
    marks: &[Mark],
    side: Side,
    verdict: &Verdict,
    baseline: Baseline,
    settings: &Settings,
    step: Duration,
) -> Option<Anomaly> {
    let current = marks.last()?;
    let evidence = evidence(marks, side, settings, step);
    if !evidence.is_enough(settings) || !evidence.is_sure(settings) {
        return None;
    }
    let counted = || counted(marks, side, settings, step);
    let worst = counted().max_by(|a, b| a.signed_score.abs().total_cmp(&b.signed_score.abs()))?;
    // A stray sample of noise just before a fault is not its beginning.
    let begun = ONSET_SHARE * worst.signed_score.abs();
    let first = counted().rfind(|mark| mark.signed_score.abs() >= begun)?;
    Some(Anomaly {
        side,
        onset: Timestamp::from_millis(first.at_ms),
        detected_at: Timestamp::from_millis(current.at_ms),
        until: Timestamp::from_millis(current.at_ms),
        expected: verdict.expected,
        lower: verdict.lower,
        upper: verdict.upper,
        scale: baseline.scale,
        peak_value: worst.value,
        peak_score: worst.signed_score.abs(),
        confidence: evidence.confidence,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_at_the_boundary_is_three_quarters() {
        assert!((confidence([1.0; 3], 3) - 0.75).abs() < 1e-12);
        assert!((evidence_for(0.75) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn more_evidence_is_more_confidence_and_never_more_than_one() {
        let rising = [[1.0; 3], [1.5; 3], [2.0; 3], [1e9; 3]].map(|scores| confidence(scores, 3));
        assert!(rising.is_sorted() && rising.iter().all(|c| (0.0..=1.0).contains(c)), "{rising:?}");
    }
}
