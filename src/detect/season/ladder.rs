//! Which rung explains most: plain, time of day or time of week, by how well each foretold slots not yet seen.

use serde::{Deserialize, Serialize};

/// A rung of the ladder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub enum Rung {
    /// A level, and no season.
    #[default]
    Plain,
    /// The time of day.
    Day,
    /// The time of week, as what it differs from the time of day.
    Week,
}

impl Rung {
    /// All, from the lowest.
    pub const ALL: [Self; 3] = [Self::Plain, Self::Day, Self::Week];

    /// The word for it in an explanation.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Day => "time of day",
            Self::Week => "time of week",
        }
    }
}

/// A series is foretold in another way from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RungChange {
    /// How it was.
    pub from: Rung,
    /// How it is.
    pub to: Rung,
}

/// A rung is taken where its error is below this share of that of the best rung below it, and kept while it is lower.
const TAKEN_BELOW: f64 = 0.9;
/// Errors count with at most so many scales of the plain rung: an outage is a miss of every rung, and must not drown
/// what one of them knows better.
pub(super) const ERROR_SCALES_MAX: f64 = 30.0;
/// Squares above this do not fit.
const SQUARE_MAX: f64 = 1e37;

/// How the rungs stand.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Ladder {
    /// Faded means of squared errors.
    squares: [f32; 3],
    /// How many slots were foretold by all rungs up to `highest`.
    count: u16,
    highest: Rung,
    rung: Rung,
}

impl Ladder {
    pub(super) fn rung(&self) -> Rung {
        self.rung
    }

    /// The root of the mean squared error of each rung that foretells.
    pub(super) fn errors(&self) -> [Option<f64>; 3] {
        let of = |rung: Rung| {
            let is_told = self.count > 0 && rung <= self.highest;
            is_told.then(|| f64::from(self.square(rung)).sqrt())
        };
        Rung::ALL.map(of)
    }

    fn square(&self, rung: Rung) -> f32 {
        let [plain, day, week] = self.squares;
        match rung {
            Rung::Plain => plain,
            Rung::Day => day,
            Rung::Week => week,
        }
    }

    /// Takes the errors of the rungs at a slot that none had seen. As soon as a further rung foretells, the comparison
    /// begins anew, so that all are measured by the same slots. What lies longer back than `memory` slots fades.
    pub(super) fn observe(&mut self, errors: [Option<f64>; 3], cap: f64, memory: u16) {
        let highest = match errors {
            [_, Some(_), Some(_)] => Rung::Week,
            [_, Some(_), None] => Rung::Day,
            [_, None, _] => Rung::Plain,
        };
        // A slot that a rung never saw says nothing about any of them.
        if highest < self.highest {
            return;
        }
        if highest > self.highest {
            (self.highest, self.count) = (highest, 0);
        }
        self.count = self.count.saturating_add(1).min(memory.max(1));
        for (square, error) in self.squares.iter_mut().zip(errors) {
            let new = error.unwrap_or(0.0).abs().min(cap).powi(2).min(SQUARE_MAX);
            let old = f64::from(*square);
            *square = (old + (new - old) / f64::from(self.count)) as f32;
        }
    }

    /// Chooses anew. A day's profile has to have foretold two days, so that three are seen; a week's one week.
    pub(super) fn choose(&mut self, day_slots: u16) -> Option<RungChange> {
        let needed = match self.highest {
            Rung::Plain => return None,
            Rung::Day => day_slots.saturating_mul(2),
            Rung::Week => day_slots.saturating_mul(7),
        };
        if self.count < needed {
            return None;
        }
        let error = |rung: Rung| f64::from(self.square(rung)).sqrt();
        let share = |is_kept: bool| if is_kept { 1.0 } else { TAKEN_BELOW };
        let mut best = Rung::Plain;
        for rung in [Rung::Day, Rung::Week] {
            if rung <= self.highest && error(rung) < share(self.rung >= rung) * error(best) {
                best = rung;
            }
        }
        let change = RungChange { from: self.rung, to: best };
        self.rung = best;
        (change.from != change.to).then_some(change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u16 = 96;

    /// The rung after so many slots with these errors.
    #[track_caller]
    fn check(slots: u16, errors: [Option<f64>; 3], expected: Rung) {
        let mut ladder = Ladder::default();
        for _ in 0..slots {
            ladder.observe(errors, f64::MAX, 7 * DAY);
            ladder.choose(DAY);
        }
        assert_eq!(ladder.rung(), expected, "{slots} of {errors:?}");
    }

    #[test]
    fn a_rung_needs_cycles_and_a_margin() {
        check(2 * DAY - 1, [Some(10.0), Some(1.0), None], Rung::Plain);
        check(2 * DAY, [Some(10.0), Some(1.0), None], Rung::Day);
        check(9 * DAY, [Some(10.0), Some(9.1), None], Rung::Plain);
        check(7 * DAY - 1, [Some(10.0), Some(1.0), Some(0.5)], Rung::Plain);
        check(7 * DAY, [Some(10.0), Some(1.0), Some(0.5)], Rung::Week);
        check(7 * DAY, [Some(10.0), Some(1.0), Some(0.95)], Rung::Day);
        check(7 * DAY, [Some(10.0), Some(11.0), Some(5.0)], Rung::Week);
    }

    #[test]
    fn a_constant_needs_no_season() {
        check(30 * DAY, [Some(0.0), Some(0.0), Some(0.0)], Rung::Plain);
    }

    #[test]
    fn a_rung_that_explains_no_more_is_left() {
        let mut ladder = Ladder::default();
        let mut run = |errors| {
            (0..14 * DAY).for_each(|_| ladder.observe(errors, f64::MAX, 7 * DAY));
            ladder.choose(DAY)
        };
        assert_eq!(run([Some(10.0), Some(1.0), None]), Some(RungChange { from: Rung::Plain, to: Rung::Day }));
        assert_eq!(run([Some(10.0), Some(9.9), None]), None);
        let left = Some(RungChange { from: Rung::Day, to: Rung::Plain });
        assert_eq!(run([Some(10.0), Some(20.0), None]), left);
    }
}
