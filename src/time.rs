//! Time as every room speaks of it: milliseconds UTC, passed in as a value and never read from a clock here.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A point in time: milliseconds since 1970-01-01 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct Timestamp(i64);

impl Timestamp {
    /// Takes milliseconds since the epoch.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Takes seconds since the epoch; `None` where they are not finite or beyond what milliseconds in an `i64` hold.
    pub fn from_seconds(seconds: f64) -> Option<Self> {
        let millis = (seconds * 1000.0).round();
        (millis.abs() < 9.0e18).then_some(Self(millis as i64))
    }

    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Seconds since the epoch.
    pub fn as_seconds(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// This time and a span more; saturates.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(self.0.saturating_add(millis(span)))
    }

    /// This time and a span less; saturates.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        Self(self.0.saturating_sub(millis(span)))
    }

    /// How long ago `earlier` was; zero if it lies in the future.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0).max(0).unsigned_abs())
    }

    /// The last multiple of `step` that is not after this time. A step of zero leaves it as it is.
    #[must_use]
    pub fn align_down(self, step: Duration) -> Self {
        match millis(step) {
            0 => self,
            step => Self(self.0.saturating_sub(self.0.rem_euclid(step))),
        }
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC; bare milliseconds where the year has more than four digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(time) => write!(f, "{time}"),
            Err(_) => write!(f, "{}ms", self.0),
        }
    }
}

/// Reads a time as the Prometheus API does: Unix seconds, with a fraction or without, or RFC 3339.
///
/// # Errors
/// Names the text where it is neither.
pub fn parse_timestamp(text: &str) -> Result<Timestamp, TimeError> {
    if let Ok(seconds) = text.parse::<f64>()
        && let Some(time) = Timestamp::from_seconds(seconds)
    {
        return Ok(time);
    }
    let time: jiff::Timestamp = text.parse().map_err(|_| TimeError::Timestamp(clip(text)))?;
    Ok(Timestamp(time.as_millisecond()))
}

/// Milliseconds of a span, saturating at what an `i64` holds.
pub fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

/// The units of a Prometheus duration, largest first, in milliseconds.
const UNITS: [(&str, u64); 7] = [
    ("y", 365 * 86_400_000),
    ("w", 7 * 86_400_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Reads a Prometheus duration: `30s`, `5m`, `1h30m`, `1d`, `0`. Units descend and each stands once.
///
/// # Errors
/// Names the text where it is no such duration or does not fit into 64 bits of milliseconds.
pub fn parse_duration(text: &str) -> Result<Duration, TimeError> {
    let error = || TimeError::Duration(clip(text));
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let (mut rest, mut total, mut next_unit) = (text, 0_u64, 0);
    while !rest.is_empty() || next_unit == 0 {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (number, tail) = rest.split_at(digits);
        let letters = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (name, tail) = tail.split_at(letters);
        let place = UNITS.iter().position(|(unit, _)| *unit == name).ok_or_else(error)?;
        let (_, scale) = UNITS.get(place).ok_or_else(error)?;
        if place < next_unit {
            return Err(error());
        }
        let amount: u64 = number.parse().map_err(|_| error())?;
        total = amount.checked_mul(*scale).and_then(|ms| total.checked_add(ms)).ok_or_else(error)?;
        (rest, next_unit) = (tail, place + 1);
    }
    Ok(Duration::from_millis(total))
}

/// Writes a span as a Prometheus duration: `90s` becomes `1m30s`.
pub fn format_duration(span: Duration) -> String {
    let mut left = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    if left == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, scale) in UNITS.iter().skip(1) {
        let amount = left / scale;
        // A count of weeks hides that a month was meant; weeks stand alone or not at all.
        if amount > 0 && (*unit != "w" || left % scale == 0) {
            text.push_str(&format!("{amount}{unit}"));
            left %= scale;
        }
    }
    text
}

/// A text that is no time or no duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// Neither Unix seconds nor RFC 3339.
    #[error("{0:?} is no time: give Unix seconds or RFC 3339, such as 2026-01-31T08:00:00Z")]
    Timestamp(String),
    /// Not a Prometheus duration.
    #[error("{0:?} is no duration: give a number and a unit, such as 30s, 5m, 1h30m, 1d")]
    Duration(String),
}

fn clip(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<u64>) {
        assert_eq!(parse_duration(text).ok().map(|d| d.as_millis()), expected.map(u128::from), "{text}");
    }

    #[test]
    fn durations_read_as_prometheus_reads_them() {
        check("30s", Some(30_000));
        check("1h30m", Some(5_400_000));
        check("1d", Some(86_400_000));
        check("1w2d", Some(777_600_000));
        check("250ms", Some(250));
        check("0", Some(0));
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in
            ["", "5", "m5", "5 m", "5m5m", "1s1h", "-5m", "1.5h", "5min", "99999999999999999999s", "s"]
        {
            check(text, None);
        }
    }

    #[test]
    fn times_read_as_seconds_or_rfc_3339() {
        assert_eq!(parse_timestamp("1.5"), Ok(Timestamp(1500)));
        assert_eq!(parse_timestamp("1970-01-01T00:00:02Z"), Ok(Timestamp(2000)));
        for text in ["", "NaN", "inf", "1e300", "yesterday"] {
            assert!(parse_timestamp(text).is_err(), "{text}");
        }
    }

    #[test]
    fn alignment_never_moves_forward() {
        assert_eq!(Timestamp(-1).align_down(Duration::from_millis(10)), Timestamp(-10));
        assert_eq!(Timestamp(19).align_down(Duration::from_millis(10)), Timestamp(10));
    }

    proptest! {
        #[test]
        fn a_duration_survives_its_own_spelling(ms in 0_u64..400_000_000_000) {
            let span = Duration::from_millis(ms);
            prop_assert_eq!(parse_duration(&format_duration(span)), Ok(span));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,40}") {
            let _ = parse_duration(&text);
            let _ = parse_timestamp(&text);
        }
    }
}
