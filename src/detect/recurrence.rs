//! What has come again and again for days is how a series is, and no anomaly.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::{Timestamp, millis};

/// So many earlier ones as large make it usual.
const OFTEN: usize = 4;
/// As large: at least its share of this one.
const AS_LARGE: f64 = 1.25;
/// At most so many are remembered.
const REMEMBERED: usize = 16;
/// The first of that many is at least so long ago, and at least so many steps; of more, accordingly less.
const SINCE: (Duration, u32) = (Duration::from_secs(86_400), 96);
/// From this score on it is grave.
const GRAVE: f64 = 2.0;
/// They count for so long, and for at least so many steps.
const FOR: (Duration, u32) = (Duration::from_secs(14 * 86_400), 500);

/// What a series did: when, and how far out.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Episode {
    at_ms: i64,
    size: Size,
}

/// What a verdict is about. What a season foretells otherwise is another matter than a jump, and a rest than either.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Matter {
    /// The level of the last minutes or hours.
    Level,
    /// The time of day and week.
    Season,
    /// All that the series has been.
    History,
    /// How long the series stands still.
    Rest,
}

/// How far out something is, in scales, and of what.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Size {
    pub(super) deviation: f64,
    /// The score of the sample that is asked about; what is remembered has its first.
    pub(super) score: f64,
    pub(super) of: Matter,
}

impl Size {
    /// Whether another one is of the same kind and about as large, or larger.
    fn is_matched_by(self, other: Self) -> bool {
        self.of == other.of && other.deviation * AS_LARGE >= self.deviation
    }

    fn grow(&mut self, other: Self) {
        if self.of == other.of {
            self.deviation = self.deviation.max(other.deviation);
        }
    }
}

/// The episodes of a series that are remembered.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Episodes {
    all: Vec<Episode>,
}

impl Episodes {
    /// Whether something this far out, in scales, is usual: it came at least four times within two weeks, about as large or
    /// larger, four times spread over more than a day; what is slight also eight times over half of one, or sixteen over a
    /// quarter. What is grave is no habit within a day, however often it comes.
    pub(super) fn is_usual(&self, at: Timestamp, size: Size, step: Duration) -> bool {
        let at_ms = at.as_millis();
        let (count, first) = self.alike(at, size, step);
        let sooner = if size.score < GRAVE { (count / OFTEN).max(1) } else { 1 };
        let least_ms = span_ms(SINCE, step) / sooner as i64;
        count >= OFTEN && first.is_some_and(|first| at_ms.saturating_sub(first) >= least_ms)
    }

    /// How many earlier episodes that still count are as large, and when the first of them was, in milliseconds.
    pub(super) fn alike(&self, at: Timestamp, size: Size, step: Duration) -> (usize, Option<i64>) {
        let at_ms = at.as_millis();
        let counts = |episode: &&Episode| {
            size.is_matched_by(episode.size) && at_ms.saturating_sub(episode.at_ms) <= span_ms(FOR, step)
        };
        let first = self.all.iter().filter(counts).map(|episode| episode.at_ms).min();
        (self.all.iter().filter(counts).count(), first)
    }

    /// One more has begun.
    pub(super) fn begin(&mut self, at: Timestamp, size: Size) {
        if self.all.len() >= REMEMBERED {
            self.all.remove(0);
        }
        self.all.push(Episode { at_ms: at.as_millis(), size });
    }

    /// One that is usual has come again: it stays remembered, once an hour at most.
    pub(super) fn again(&mut self, at: Timestamp, size: Size, step: Duration) {
        let apart = span_ms(SINCE, step) / 24;
        match self.all.last_mut() {
            Some(last) if at.as_millis().saturating_sub(last.at_ms) < apart => {
                last.size.grow(size);
            }
            Some(_) | None => self.begin(at, size),
        }
    }

    /// The one that goes on is this far out now.
    pub(super) fn grow(&mut self, size: Size) {
        if let Some(last) = self.all.last_mut() {
            last.size.grow(size);
        }
    }

    /// Whether there are no more than are remembered.
    pub(super) fn is_sound(&self) -> bool {
        self.all.len() <= REMEMBERED
    }

    pub(super) fn forget(&mut self) {
        self.all.clear();
    }
}

/// How long, in milliseconds, what a series did is remembered as what it does.
pub(super) fn counts_for_ms(step: Duration) -> i64 {
    span_ms(FOR, step)
}

fn span_ms((time, steps): (Duration, u32), step: Duration) -> i64 {
    millis(time.max(step.saturating_mul(steps)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_secs(60);

    fn size(deviation: f64) -> Size {
        Size { deviation, score: 1.5, of: Matter::Level }
    }

    fn hour(n: i64) -> Timestamp {
        Timestamp::from_millis(n * 3_600_000)
    }

    fn episodes(hours: impl IntoIterator<Item = i64>) -> Episodes {
        let mut episodes = Episodes::default();
        hours.into_iter().for_each(|n| episodes.begin(hour(n), size(10.0)));
        episodes
    }

    #[test]
    fn one_outage_makes_the_next_no_less() {
        assert!(!episodes([0]).is_usual(hour(168), size(10.0), STEP));
        assert!(!episodes([0, 24, 48]).is_usual(hour(72), size(10.0), STEP));
    }

    #[test]
    fn what_comes_each_night_is_usual_from_the_fifth_on() {
        let nights = episodes([0, 24, 48, 72]);
        assert!(nights.is_usual(hour(96), size(12.0), STEP));
        assert!(!nights.is_usual(hour(96), size(13.0), STEP), "it is larger than ever");
    }

    #[test]
    fn jumps_each_morning_make_nothing_of_another_kind_usual() {
        let nights = episodes([0, 24, 48, 72]);
        for of in [Matter::Season, Matter::History, Matter::Rest] {
            assert!(!nights.is_usual(hour(96), Size { deviation: 5.0, score: 1.5, of }, STEP), "{of:?}");
        }
    }

    #[test]
    fn a_few_times_within_a_day_is_not_usual() {
        assert!(!episodes([0, 1, 2, 3, 4, 5]).is_usual(hour(20), size(10.0), STEP));
        assert!(
            !episodes([0, 0, 0, 0, 0, 0, 0, 0, 0, 0]).is_usual(hour(1), size(10.0), STEP),
            "ten in an hour"
        );
    }

    #[test]
    fn what_comes_every_hour_is_usual_sooner_than_what_comes_each_night() {
        let hours = episodes(0..8);
        assert!(!hours.is_usual(hour(11), size(10.0), STEP));
        let grave = Size { score: 2.0, ..size(10.0) };
        assert!(!hours.is_usual(hour(12), grave, STEP), "what is grave is asked to come for a day");
        assert!(hours.is_usual(hour(12), size(10.0), STEP), "eight times in half a day");
        assert!(episodes((0..16).map(|n| n / 3)).is_usual(hour(6), size(10.0), STEP), "sixteen in a quarter");
    }

    #[test]
    fn what_was_long_ago_does_not_count() {
        assert!(!episodes([0, 24, 48, 72]).is_usual(hour(24 * 17), size(10.0), STEP));
    }

    #[test]
    fn hours_of_an_hourly_series_are_few() {
        let step = Duration::from_secs(3600);
        let nights = episodes([0, 24, 48, 72]);
        assert!(!nights.is_usual(hour(95), size(10.0), step), "fewer than 96 steps ago");
        assert!(nights.is_usual(hour(400), size(10.0), step), "500 steps are more than two weeks");
    }
}
