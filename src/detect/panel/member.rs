//! One detector of a panel, whatever it is.

use std::time::Duration;

use super::seasonal::Seasonal;
use super::window::Window;
use super::{Bound, Judged};
use crate::detect::Opinion;
use crate::detect::classic::{Baseline, Verdict, judge};
use crate::detect::detectors::{
    Ewma, EwmaSettings, Flatline, FlatlineSettings, Level, LevelSettings, Range, RangeSettings, RobustZ,
    RobustZSettings, RollingZ, RollingZSettings, Single, Tail,
};
use crate::detect::finding::Side;
use crate::detect::opinion::SCORE_MAX;
use crate::detect::recurrence::Matter;
use crate::detect::selection::Detector;
use crate::detect::settings::{Settings, Sides};
use crate::time::Timestamp;

/// A level of a single detector is made of so many samples.
const LEVEL_POINTS: usize = 30;

/// A detector with the state of a signal's series, a row each.
#[derive(Debug, Clone)]
pub(super) enum Member {
    Tail(Box<Tail>),
    Classic(Window),
    Ewma(Ewma),
    RollingZ(RollingZ),
    RobustZ(RobustZ),
    Seasonal(Seasonal),
    Level(Level),
    Range(Box<Range>),
    Flatline(Flatline),
}

/// A member by the face that it shows.
enum Face<'a> {
    Tail(&'a mut Tail),
    Classic(&'a mut Window),
    Seasonal(&'a mut Seasonal),
    Single(&'a mut dyn Single),
}

impl Member {
    pub(super) fn new(detector: Detector, settings: &Settings, step: Duration) -> Self {
        match detector {
            Detector::Tail => Self::Tail(Box::new(Tail::new(settings, step))),
            Detector::Classic => Self::Classic(Window::new(settings.baseline_points)),
            Detector::Ewma => Self::Ewma(Ewma::new(&EwmaSettings::default(), step)),
            Detector::RollingZ => Self::RollingZ(RollingZ::new(&RollingZSettings::default(), step)),
            Detector::RobustZ => Self::RobustZ(RobustZ::new(&RobustZSettings::default(), step)),
            Detector::Seasonal => Self::Seasonal(Seasonal::new(settings, step)),
            Detector::Level => Self::Level(Level::new(&LevelSettings::default(), step)),
            Detector::Range => Self::Range(Box::new(Range::new(&RangeSettings::default(), step))),
            Detector::Flatline => Self::Flatline(Flatline::new(&FlatlineSettings::default(), step)),
        }
    }

    fn face(&mut self) -> Face<'_> {
        match self {
            Self::Tail(tail) => Face::Tail(tail),
            Self::Classic(window) => Face::Classic(window),
            Self::Seasonal(seasonal) => Face::Seasonal(seasonal),
            Self::Ewma(single) => Face::Single(single),
            Self::RollingZ(single) => Face::Single(single),
            Self::RobustZ(single) => Face::Single(single),
            Self::Level(single) => Face::Single(single),
            Self::Range(single) => Face::Single(single.as_mut()),
            Self::Flatline(single) => Face::Single(single),
        }
    }

    fn single(&self) -> Option<&dyn Single> {
        match self {
            Self::Tail(_) | Self::Classic(_) | Self::Seasonal(_) => None,
            Self::Ewma(single) => Some(single),
            Self::RollingZ(single) => Some(single),
            Self::RobustZ(single) => Some(single),
            Self::Level(single) => Some(single),
            Self::Range(single) => Some(single.as_ref()),
            Self::Flatline(single) => Some(single),
        }
    }

    pub(super) fn grow(&mut self) {
        match self.face() {
            Face::Tail(tail) => tail.grow(),
            Face::Classic(window) => window.grow(),
            Face::Seasonal(seasonal) => seasonal.grow(),
            Face::Single(single) => single.grow(),
        }
    }

    pub(super) fn forget(&mut self, row: usize) {
        match self.face() {
            Face::Tail(tail) => tail.forget(row),
            Face::Classic(window) => window.forget(row),
            Face::Seasonal(seasonal) => seasonal.forget(row),
            Face::Single(single) => single.forget(row),
        }
    }

    /// Takes another boundary, from the next sample on.
    pub(super) fn tune(&mut self, bound: &Bound) {
        if let Face::Single(single) = self.face() {
            single.tune(bound.sigma, bound.floors);
        }
    }

    /// Whether the row gives verdicts.
    pub(super) fn is_warm(&self, row: usize, settings: &Settings) -> bool {
        match self {
            Self::Tail(tail) => tail.is_warm(row),
            Self::Classic(window) => window.held(row).0 == window.held(row).1,
            Self::Flatline(flatline) => flatline.is_warm(row),
            Self::Ewma(_)
            | Self::RollingZ(_)
            | Self::RobustZ(_)
            | Self::Level(_)
            | Self::Range(_)
            | Self::Seasonal(_) => self.band(row, settings).is_some(),
        }
    }

    /// Judges a sample; `None` while the row warms up.
    pub(super) fn judge(
        &mut self,
        row: usize,
        sample: (Timestamp, f64),
        bound: &Bound,
        settings: &Settings,
    ) -> Option<Judged> {
        let (at, value) = sample;
        if let Self::Flatline(flatline) = self {
            let opinion = flatline.judge(row, at.as_millis(), value)?;
            return Some(of_rest(&opinion, flatline.run(row), settings));
        }
        let of = self.matter();
        Some(match self.face() {
            Face::Tail(tail) => of_tail(tail, row, sample, bound.cut, settings)?,
            Face::Classic(window) => {
                let baseline = window.expect(row, settings)?;
                Judged::pointwise(judge(value, baseline, settings), baseline)
            }
            Face::Seasonal(seasonal) => {
                let opinion = seasonal.judge(row, sample, bound.sigma)?;
                Judged { of, ..of_opinion(value, &opinion, bound.sigma, settings) }
            }
            Face::Single(single) => {
                let opinion = single.judge(row, at.as_millis(), value)?;
                Judged { of, ..of_opinion(value, &opinion, bound.sigma, settings) }
            }
        })
    }

    /// What its verdicts are about, but for those of the tail.
    fn matter(&self) -> Matter {
        match self {
            Self::Seasonal(_) => Matter::Season,
            Self::Range(_) => Matter::History,
            Self::Flatline(_) => Matter::Rest,
            Self::Tail(_)
            | Self::Classic(_)
            | Self::Ewma(_)
            | Self::RollingZ(_)
            | Self::RobustZ(_)
            | Self::Level(_) => Matter::Level,
        }
    }

    /// Learns the sample that was judged last, as one that belongs to the baseline.
    pub(super) fn learn(&mut self, row: usize, value: f64) {
        match self.face() {
            Face::Tail(tail) => tail.learn(row),
            Face::Classic(window) => window.learn(row, value),
            // It learns whatever it judges.
            Face::Seasonal(_) => {}
            Face::Single(single) => single.learn(row, 0, value),
        }
    }

    /// Leaves the sample that was judged last out, with what led up to it.
    pub(super) fn leave_out(&mut self, row: usize) {
        if let Face::Tail(tail) = self.face() {
            tail.drop_pending(row);
        }
    }

    /// Makes the last samples the level, flagged ones too.
    pub(super) fn rebase(&mut self, row: usize, values: &[f64]) {
        let last = values.get(values.len().saturating_sub(LEVEL_POINTS)..).unwrap_or_default();
        match self {
            Self::Tail(tail) => tail.rebase(row, values),
            Self::Classic(window) => window.rebase(row, values),
            Self::Seasonal(seasonal) => seasonal.rebase(row),
            Self::Ewma(ewma) => ewma.rebase(row, last),
            Self::RollingZ(rolling) => rolling.rebase(row, last),
            Self::RobustZ(robust) => robust.rebase(row, last),
            Self::Level(level) => level.rebase(row, last),
            // Weeks of history are worth more than a clean beginning: what was normal stays so, and this is too.
            Self::Range(range) => last.iter().for_each(|value| range.learn(row, 0, *value)),
            // A rest that is adopted is a constant from here on; any other level leaves the habit to move as it is.
            Self::Flatline(flatline) => {
                if flatline.is_stuck(row) {
                    flatline.rebase(row, last);
                }
            }
        }
    }

    /// How many samples the level of a row has, of how many that make it whole.
    pub(super) fn held(&self, row: usize, settings: &Settings) -> (usize, usize) {
        match self {
            Self::Tail(tail) => tail.held(row),
            Self::Classic(window) => window.held(row),
            Self::Seasonal(_) => (if self.is_warm(row, settings) { LEVEL_POINTS } else { 0 }, LEVEL_POINTS),
            Self::Ewma(_)
            | Self::RollingZ(_)
            | Self::RobustZ(_)
            | Self::Level(_)
            | Self::Range(_)
            | Self::Flatline(_) => {
                (self.single().map_or(0, |single| single.held(row)).min(LEVEL_POINTS), LEVEL_POINTS)
            }
        }
    }

    /// The band for the next sample: what is expected and its two edges; `None` while the row warms up, and where the
    /// detector has none.
    pub(super) fn band(&self, row: usize, settings: &Settings) -> Option<(f64, f64, f64)> {
        let (expected, lower, upper) = match self {
            Self::Tail(tail) => {
                let (expected, _) = tail.expectation(row, settings)?;
                let half = tail.half_width(row, settings)?;
                return Some((expected, expected - half, expected + half));
            }
            Self::Classic(window) => {
                let baseline = window.baseline(row, settings)?;
                let edges = judge(baseline.mean, baseline, settings);
                return Some((edges.expected, edges.lower, edges.upper));
            }
            Self::Seasonal(seasonal) => {
                let next = seasonal.next(row, settings.sigma)?;
                (next.expected, next.lower, next.upper)
            }
            Self::Ewma(_)
            | Self::RollingZ(_)
            | Self::RobustZ(_)
            | Self::Level(_)
            | Self::Range(_)
            | Self::Flatline(_) => self.single()?.band(row)?,
        };
        let least = settings.least_deviation(expected);
        Some((expected, lower.min(expected - least), upper.max(expected + least)))
    }

    /// What is expected of the next sample; `None` while the row warms up.
    pub(super) fn baseline(&self, row: usize, settings: &Settings) -> Option<Baseline> {
        match self {
            Self::Tail(tail) => tail.expectation(row, settings).map(|(mean, scale)| Baseline { mean, scale }),
            Self::Classic(window) => window.baseline(row, settings),
            Self::Flatline(flatline) => {
                flatline.is_warm(row).then(|| Baseline { mean: flatline.mean(row), scale: 0.0 })
            }
            Self::Ewma(_)
            | Self::RollingZ(_)
            | Self::RobustZ(_)
            | Self::Level(_)
            | Self::Range(_)
            | Self::Seasonal(_) => {
                let (mean, lower, upper) = self.band(row, settings)?;
                Some(Baseline { mean, scale: (upper - lower) / (2.0 * settings.sigma) })
            }
        }
    }
}

fn of_tail(
    tail: &mut Tail,
    row: usize,
    sample: (Timestamp, f64),
    cut: f64,
    settings: &Settings,
) -> Option<Judged> {
    let opinion = tail.judge(row, sample, cut, settings)?;
    let verdict = Verdict {
        expected: opinion.expected,
        lower: opinion.expected - opinion.half,
        upper: opinion.expected + opinion.half,
        z: signed(opinion.side, opinion.deviation),
        score: opinion.score,
        side: opinion.side,
    };
    let baseline = Baseline { mean: opinion.expected, scale: opinion.scale };
    let lead = opinion.run.saturating_sub(1);
    Some(Judged { lead, of: opinion.of, ..Judged::pointwise(verdict, baseline) })
}

/// The least deviations widen the band of any detector: on its side, a sample has to be as far from what is expected.
fn of_opinion(value: f64, opinion: &Opinion, sigma: f64, settings: &Settings) -> Judged {
    let Opinion { expected, side, score, .. } = *opinion;
    let least = settings.least_deviation(expected);
    let away = match side {
        Side::Up => value - expected,
        Side::Down => expected - value,
    };
    let verdict = Verdict {
        expected,
        lower: opinion.lower.min(expected - least),
        upper: opinion.upper.max(expected + least),
        z: signed(side, score * sigma),
        score: if least > 0.0 { score.min(away.max(0.0) / least) } else { score },
        side,
    };
    Judged::pointwise(verdict, Baseline { mean: expected, scale: opinion.scale })
}

/// A rest has no side of its own: it counts on whichever one counts, and began with its first sample.
fn of_rest(opinion: &Opinion, run: usize, settings: &Settings) -> Judged {
    let Opinion { expected, lower, upper, score, .. } = *opinion;
    let side = match settings.sides {
        Sides::Both => opinion.side,
        Sides::Up => Side::Up,
        Sides::Down => Side::Down,
    };
    let verdict = Verdict { expected, lower, upper, z: signed(side, score), score, side };
    let baseline = Baseline { mean: expected, scale: opinion.scale };
    Judged { lead: run.saturating_sub(1), of: Matter::Rest, ..Judged::pointwise(verdict, baseline) }
}

fn signed(side: Side, deviation: f64) -> f64 {
    let deviation = match side {
        Side::Up => deviation,
        Side::Down => -deviation,
    };
    deviation.clamp(-SCORE_MAX, SCORE_MAX)
}
