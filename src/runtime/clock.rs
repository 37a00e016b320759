//! The one place that reads a clock: real time, or time that runs faster.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::jumping::{Awake, Jumping};
use crate::time::{Timestamp, millis};

/// A clock whose time may run faster than real time. Clones are the same clock. It never goes back.
///
/// Slots, holds and everything that a person reads go by this clock. Deadlines of I/O, retries and rate limits go by
/// real time: a network does not get faster because the demo does.
#[derive(Debug, Clone)]
pub struct Clock {
    pace: Pace,
    /// The latest time shown, in milliseconds.
    shown_ms: Arc<AtomicI64>,
}

#[derive(Debug, Clone)]
enum Pace {
    /// The wall clock, read each time: a machine that was suspended or whose clock was set is followed.
    Wall,
    /// Time that began at the wall clock's and runs at another speed.
    Scaled { begun: Instant, origin: Timestamp, speed: f64 },
    /// Time that stands while anything is at work and jumps to the next sleeper when nothing is.
    Jumping(Arc<Jumping>),
}

/// Speeds beyond this leave no real time for a poll's round trip.
const SPEED_MAX: f64 = 10_000.0;

impl Clock {
    /// The real time.
    pub fn real() -> Self {
        Self { pace: Pace::Wall, shown_ms: Arc::new(AtomicI64::new(i64::MIN)) }
    }

    /// Time that starts at the real time and runs `speed` times as fast: from 0.001 to 10,000; others are taken as the
    /// nearest of these.
    #[expect(clippy::disallowed_methods, reason = "this is the clock that everything else asks")]
    pub fn scaled(speed: f64) -> Self {
        let speed = if speed.is_finite() { speed.clamp(0.001, SPEED_MAX) } else { 1.0 };
        let pace = Pace::Scaled { begun: Instant::now(), origin: wall(), speed };
        Self { pace, shown_ms: Arc::new(AtomicI64::new(i64::MIN)) }
    }

    /// Time that stands while anything is at work and jumps to the next sleeper when nothing is: a day passes in as long
    /// as its work takes, in the same order each time. Whoever sleeps by it holds an [`Awake`] meanwhile.
    pub fn jumping(origin: Timestamp) -> Self {
        Self { pace: Pace::Jumping(Jumping::new(origin)), shown_ms: Arc::new(AtomicI64::new(i64::MIN)) }
    }

    /// Says that somebody is at work, until it is dropped: a clock that jumps stands still meanwhile. It means nothing to
    /// the others.
    pub fn awake(&self) -> Awake {
        match &self.pace {
            Pace::Wall | Pace::Scaled { .. } => Awake::default(),
            Pace::Jumping(jumping) => Awake::new(jumping),
        }
    }

    /// Lets a span pass on a clock that jumps, as during an answer that takes long; the others go by themselves.
    pub fn pass(&self, span: Duration) {
        if let Pace::Jumping(jumping) = &self.pace {
            jumping.pass(span);
        }
    }

    /// Makes everybody who sleeps by a clock that jumps look first whether something else woke them. The others need no
    /// such word: their sleepers look while time passes.
    pub(super) fn rouse(&self) {
        if let Pace::Jumping(jumping) = &self.pace {
            jumping.rouse();
        }
    }

    /// The time now. A wall clock that is set back stands still until it has caught up.
    pub fn now(&self) -> Timestamp {
        let now = match &self.pace {
            Pace::Wall => wall(),
            Pace::Scaled { begun, origin, speed } => origin.plus(begun.elapsed().mul_f64(*speed)),
            Pace::Jumping(jumping) => jumping.now(),
        };
        let before = self.shown_ms.fetch_max(now.as_millis(), Ordering::SeqCst);
        now.max(Timestamp::from_millis(before))
    }

    /// How many times faster than real time it runs.
    pub fn speed(&self) -> f64 {
        match self.pace {
            Pace::Wall | Pace::Jumping(_) => 1.0,
            Pace::Scaled { speed, .. } => speed,
        }
    }

    /// Waits until the clock shows `until`; returns at once where it does already.
    #[expect(clippy::disallowed_methods, reason = "this is the sleep that everything else asks for")]
    pub async fn sleep_until(&self, until: Timestamp) {
        if let Pace::Jumping(jumping) = &self.pace {
            return jumping.sleep_until(until).await;
        }
        let ahead = until.since(self.now());
        if !ahead.is_zero() {
            tokio::time::sleep(ahead.div_f64(self.speed())).await;
        }
    }

    /// Waits for a span of real time, however fast this clock goes and whoever is at work.
    #[expect(clippy::disallowed_methods, reason = "this is the sleep that everything else asks for")]
    pub(super) async fn pause(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }

    /// Waits for a span of this clock's time.
    pub async fn sleep(&self, span: Duration) {
        self.sleep_until(self.now().plus(span)).await;
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the clock that everything else asks")]
fn wall() -> Timestamp {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(millis(since_epoch))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    #[expect(clippy::disallowed_methods, reason = "the paused clock of the test itself")]
    async fn a_scaled_sleep_takes_its_share_of_real_time() {
        let clock = Clock::scaled(60.0);
        let (start, begun) = (clock.now(), Instant::now());
        clock.sleep(Duration::from_secs(60)).await;
        let real = begun.elapsed().as_secs_f64();
        assert!((real - 1.0).abs() < 0.01, "{real} s");
        assert!((clock.now().since(start).as_secs_f64() - 60.0).abs() < 0.6);
    }

    #[test]
    fn it_never_goes_back() {
        let clock = Clock::real();
        let shown = clock.now();
        clock.shown_ms.store(shown.as_millis() + 3_600_000, Ordering::SeqCst);
        assert_eq!(
            clock.now(),
            shown.plus(Duration::from_secs(3600)),
            "a clock that was set back stands still"
        );
    }

    #[test]
    fn speeds_that_make_no_sense_are_bounded() {
        assert!((Clock::scaled(f64::NAN).speed() - 1.0).abs() < f64::EPSILON);
        assert!((Clock::scaled(-3.0).speed() - 0.001).abs() < f64::EPSILON);
    }
}
