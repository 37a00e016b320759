//! How many steps to ask for at once, where answers were too large or too slow.

/// From so many points on there is nothing to hold back: no backend answers more.
const POINTS_MAX: u64 = 11_000;

/// Points of one request, learnt from what failed and from what was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::runtime) struct Appetite {
    at_once: u64,
    /// What is known to be too much.
    too_much: u64,
}

impl Appetite {
    pub(in crate::runtime) const WHOLE: Self = Self { at_once: u64::MAX, too_much: u64::MAX };

    /// Points that the next request may ask for: at least one.
    pub(in crate::runtime) fn at_once(self) -> u64 {
        self.at_once
    }

    /// So many were too many: a quarter next time, since an answer that is too much is also dear.
    pub(in crate::runtime) fn was_too_much(&mut self, points: u64) {
        *self = Self { at_once: (points / 4).max(1), too_much: points.max(2) };
    }

    /// A request was answered: twice as many next time, as long as that stays well below what failed.
    pub(in crate::runtime) fn was_answered(&mut self) {
        self.at_once = self.at_once.saturating_mul(2).min(self.too_much / 2);
    }

    /// All that was due was answered. What was too much once is tried again by and by: it may have been a bad moment.
    pub(in crate::runtime) fn was_whole(&mut self) {
        self.too_much = self.too_much.saturating_mul(2);
        if self.too_much > POINTS_MAX {
            *self = Self::WHOLE;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_shrinks_to_what_is_answered_and_does_not_run_into_the_limit_again() {
        let mut appetite = Appetite::WHOLE;
        appetite.was_too_much(1000);
        let mut asked = Vec::new();
        for _ in 0..4 {
            asked.push(appetite.at_once());
            appetite.was_answered();
        }
        assert_eq!(asked, [250, 500, 500, 500]);
        appetite.was_too_much(500);
        assert_eq!(appetite.at_once(), 125);
        appetite.was_answered();
        appetite.was_answered();
        assert_eq!(appetite.at_once(), 250);
    }

    #[test]
    fn one_step_is_always_asked_for() {
        let mut appetite = Appetite::WHOLE;
        for points in [3, 1, 1, 1] {
            appetite.was_too_much(points);
            appetite.was_answered();
            assert_eq!(appetite.at_once(), 1);
        }
    }

    #[test]
    fn a_bad_moment_is_forgotten() {
        let mut appetite = Appetite::WHOLE;
        appetite.was_too_much(4);
        for _ in 0..12 {
            appetite.was_answered();
            appetite.was_whole();
        }
        assert_eq!(appetite, Appetite::WHOLE);
    }
}
