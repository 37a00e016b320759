//! Times and durations as Prometheus' HTTP API writes them.
//!
//! Inside they are whole milliseconds. Nothing before the year -9999 or after 9999 is taken for a time.

const SECOND_MAX: f64 = 253_402_300_799.0;
const UNITS_MS: [(&str, i64); 7] = [
    ("y", 31_536_000_000),
    ("w", 604_800_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Reads Unix seconds with a fraction, or RFC 3339; none when it is neither.
pub(crate) fn parse_timestamp_ms(text: &str) -> Option<i64> {
    match text.parse::<f64>() {
        Ok(seconds) => seconds_to_ms(seconds),
        Err(_) => parse_rfc3339_ms(text),
    }
}

/// Reads a number of seconds, or a Prometheus duration such as `1h30m`. A number may be zero or negative, and a part of
/// a millisecond is cut off.
pub(crate) fn parse_duration_ms(text: &str) -> Option<i64> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds.is_finite() && seconds.abs() <= SECOND_MAX => Some((seconds * 1000.0) as i64),
        Ok(_) => None,
        Err(_) => parse_units_ms(text),
    }
}

/// Writes a time as Prometheus does: seconds, and three decimals when it is not a whole one.
pub(crate) fn push_seconds(out: &mut String, at_ms: i64) {
    use std::fmt::Write as _;
    let (seconds, rest_ms) = (at_ms / 1000, at_ms % 1000);
    if at_ms < 0 && seconds == 0 {
        out.push('-');
    }
    // Writing to a string can't fail.
    let _ = write!(out, "{seconds}");
    if rest_ms != 0 {
        let _ = write!(out, ".{:03}", rest_ms.abs());
    }
}

fn seconds_to_ms(seconds: f64) -> Option<i64> {
    let sensible = seconds.is_finite() && seconds.abs() <= SECOND_MAX;
    sensible.then(|| (seconds * 1000.0).round() as i64)
}

/// Numbers with units, each unit at most once and the larger before the smaller.
fn parse_units_ms(text: &str) -> Option<i64> {
    let mut rest = text;
    let mut total_ms: i64 = 0;
    let mut units = UNITS_MS.iter();
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits_end = rest.find(|letter: char| !letter.is_ascii_digit())?;
        let (digits, tail) = rest.split_at_checked(digits_end)?;
        let unit_end = tail.find(|letter: char| letter.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at_checked(unit_end)?;
        let (_, unit_ms) = units.find(|(name, _)| *name == unit)?;
        total_ms = digits.parse::<i64>().ok()?.checked_mul(*unit_ms)?.checked_add(total_ms)?;
        rest = tail;
    }
    Some(total_ms)
}

/// Reads `2015-07-01T20:10:30.781Z` or the same with an offset such as `+02:00`.
fn parse_rfc3339_ms(text: &str) -> Option<i64> {
    let (date, time) = text.split_once(['T', 't'])?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let zone_at = time.find(['Z', 'z', '+', '-'])?;
    let (clock, zone) = time.split_at_checked(zone_at)?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let [hour, minute, second] = numbers(clock, ':', [2, 2, 2])?;
    let in_range = (1..=12).contains(&month)
        && (1..=days_in_month(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    if !in_range || fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let millis =
        fraction.bytes().chain(*b"000").take(3).fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
    let seconds =
        ((days_from_epoch(year, month, day) * 24 + hour) * 60 + minute) * 60 + second - zone_seconds(zone)?;
    Some(seconds * 1000 + millis)
}

fn zone_seconds(zone: &str) -> Option<i64> {
    if zone.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let (sign, clock) = zone.split_at_checked(1)?;
    let [hour, minute] = numbers(clock, ':', [2, 2])?;
    let seconds = (hour * 60 + minute) * 60;
    (hour < 24 && minute < 60).then_some(if sign == "-" { -seconds } else { seconds })
}

/// Reads numbers of fixed widths between separators.
fn numbers<const N: usize>(text: &str, separator: char, widths: [usize; N]) -> Option<[i64; N]> {
    let mut parts = text.split(separator);
    let mut read = [0; N];
    for (slot, width) in read.iter_mut().zip(widths) {
        let part = parts.next().filter(|part| part.len() == width)?;
        *slot = part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok()).flatten()?;
    }
    parts.next().is_none().then_some(read)
}

fn days_in_month(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar (Hinnant, "chrono-compatible low-level date algorithms").
fn days_from_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn time(text: &str, expected: Option<i64>) {
        assert_eq!(parse_timestamp_ms(text), expected, "{text}");
    }

    #[track_caller]
    fn lasting(text: &str, expected: Option<i64>) {
        assert_eq!(parse_duration_ms(text), expected, "{text}");
    }

    #[test]
    fn a_time_is_seconds_with_a_fraction() {
        time("1435781451.781", Some(1_435_781_451_781));
        time("1435781451", Some(1_435_781_451_000));
        time("-1.5", Some(-1_500));
        time("1e3", Some(1_000_000));
    }

    #[test]
    fn a_time_is_rfc_3339() {
        time("2015-07-01T20:10:51.781Z", Some(1_435_781_451_781));
        time("2015-07-01T22:10:51.7819999+02:00", Some(1_435_781_451_781));
        time("2015-07-01T15:40:51-04:30", Some(1_435_781_451_000));
        time("1970-01-01T00:00:00Z", Some(0));
        time("2000-02-29T23:59:59Z", Some(951_868_799_000));
        time("1969-12-31T23:59:59.5Z", Some(-500));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "abc",
            "NaN",
            "inf",
            "1e30",
            "2015-07-01",
            "2015-13-01T00:00:00Z",
            "2015-02-29T00:00:00Z",
            "2015-07-01T24:00:00Z",
            "2015-07-01T00:00:00",
            "2015-07-01T00:00:00.Z",
            "2015-7-01T00:00:00Z",
            "2015-07-01T00:00:00+2:00",
            "2015-07-01T00:00:00+\u{e9}",
            "+015-07-01T00:00:00Z",
        ] {
            time(text, None);
        }
    }

    #[test]
    fn a_duration_is_seconds_or_units() {
        lasting("15", Some(15_000));
        lasting("0.5", Some(500));
        lasting("-1", Some(-1_000));
        lasting("0.0001", Some(0));
        lasting("15s", Some(15_000));
        lasting("1h30m", Some(5_400_000));
        lasting("1d1ms", Some(86_400_001));
        lasting("0s", Some(0));
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in [
            "",
            "s",
            "m5",
            "-1s",
            "5x",
            "30m1h",
            "5s5s",
            "1.5m",
            "5 s",
            "NaN",
            "1e99",
            "99999999999999999y",
            "5\u{b5}s",
        ] {
            lasting(text, None);
        }
    }

    #[track_caller]
    fn written(at_ms: i64, expected: &str) {
        let mut out = String::new();
        push_seconds(&mut out, at_ms);
        assert_eq!(out, expected);
    }

    #[test]
    fn a_time_is_written_as_prometheus_writes_it() {
        written(1_435_781_451_000, "1435781451");
        written(1_435_781_451_500, "1435781451.500");
        written(7, "0.007");
        written(-7, "-0.007");
        written(-1_250, "-1.250");
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = (parse_timestamp_ms(&text), parse_duration_ms(&text));
        }

        #[test]
        fn no_date_panics(text in "[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{0,12})?[Zz+-].{0,6}") {
            let _ = parse_timestamp_ms(&text);
        }

        #[test]
        fn a_written_time_is_read_back(at_ms in -62_135_596_800_000_i64..253_402_300_799_000) {
            let mut out = String::new();
            push_seconds(&mut out, at_ms);
            prop_assert_eq!(parse_timestamp_ms(&out), Some(at_ms));
        }
    }
}
