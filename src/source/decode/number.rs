//! Numbers as Prometheus spells them, read from bytes without a detour: exact to the last bit, or not at all.

/// A decimal number without an exponent, as [`str::parse`] would read it to the bit, and what follows it. `None` where
/// it is spelt otherwise, where only a longer calculation can tell how to round, or where the text ends soon after.
#[inline]
pub(super) fn plain_number(text: &[u8]) -> Option<(f64, &[u8])> {
    let (is_negative, text) = match text {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    let (whole, rest) = whole(text)?;
    let (value, rest) = match rest {
        [b'.', fraction @ ..] => {
            let (mantissa, places, rest) = fraction_digits(fraction, whole)?;
            (divided(mantissa, places)?, rest)
        }
        // The conversion rounds as it should.
        _ => (whole as f64, rest),
    };
    Some((if is_negative { -value } else { value }, rest))
}

/// Milliseconds of whole seconds or of seconds with up to three places, and what follows them.
#[inline]
pub(super) fn plain_millis(text: &[u8]) -> Option<(i64, &[u8])> {
    let (seconds, rest) = match ten_digits(text) {
        Some((seconds, rest @ ([b',', ..] | [b'.', ..]))) => (seconds, rest),
        Some(_) | None => whole(text)?,
    };
    let seconds = i64::try_from(seconds).ok().filter(|seconds| *seconds < SECONDS_END)?;
    let [b'.', fraction @ ..] = rest else { return Some((seconds * 1000, rest)) };
    let (mut millis, mut unit, mut rest) = (seconds * 1000, 1000, fraction);
    while let [digit @ b'0'..=b'9', after @ ..] = rest {
        unit /= 10;
        millis += i64::from(digit - b'0') * unit;
        rest = after;
        if unit == 0 {
            return None;
        }
    }
    (unit < 1000).then_some((millis, rest))
}

/// Times from here on are left to others.
const SECONDS_END: i64 = 1_000_000_000_000;

/// Digits that certainly fit into 64 bits.
const DIGITS_MAX: usize = 19;

/// The number that at least one digit spells. Digit by digit: how many there are is much the same from sample to sample,
/// which a processor foresees, and it need not wait for the count before it goes on behind.
#[inline]
fn whole(text: &[u8]) -> Option<(u64, &[u8])> {
    let (mut number, mut rest) = (0_u64, text);
    while let [digit @ b'0'..=b'9', after @ ..] = rest {
        number = number.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
        rest = after;
    }
    (1..=DIGITS_MAX).contains(&(text.len() - rest.len())).then_some((number, rest))
}

/// Ten digits: seconds of the years 2001 to 2286.
#[inline]
fn ten_digits(text: &[u8]) -> Option<(u64, &[u8])> {
    let (eight, rest) = text.split_first_chunk::<8>()?;
    let [ninth @ b'0'..=b'9', tenth @ b'0'..=b'9', rest @ ..] = rest else { return None };
    let values = digit_values(*eight);
    let last = u64::from(ninth - b'0') * 10 + u64::from(tenth - b'0');
    (not_digits(values) == 0).then(|| (number_of(values) * 100 + last, rest))
}

/// Goes on with a number by the digits after its point: the number, how many digits there were, at least one, and the
/// rest.
#[inline]
fn fraction_digits(text: &[u8], whole: u64) -> Option<(u64, usize, &[u8])> {
    let values = digit_values(*text.first_chunk::<8>()?);
    let others = not_digits(values);
    if others != 0 {
        let (value, places) = leading(values, others);
        let number = shifted(whole, places, value)?;
        return (places > 0).then_some((number, places, text.get(places..)?));
    }
    // Of 15 to 17 digits, as most quotients have, none can foresee how many: both parts are read in any case.
    let (second, third) = text.get(8..)?.first_chunk::<16>()?.split_at(8);
    let (second, third) = (digit_values(*second.first_chunk()?), digit_values(*third.first_chunk()?));
    let (second_value, second_places) = leading(second, not_digits(second));
    let third_others = if second_places == 8 { not_digits(third) } else { FIRST_BYTE_HIGH };
    let (third_value, third_places) = leading(third, third_others);
    let number = shifted(whole, 8, number_of(values))?;
    let number = shifted(number, second_places, second_value)?;
    let number = shifted(number, third_places, third_value)?;
    let places = 8 + second_places + third_places;
    (places < 24).then_some((number, places, text.get(places..)?))
}

#[inline]
fn shifted(number: u64, places: usize, value: u64) -> Option<u64> {
    number.checked_mul(*TENS.get(places)?)?.checked_add(value)
}

const HIGH_BITS: u64 = 0x8080_8080_8080_8080;
const FIRST_BYTE_HIGH: u64 = 0x80;

/// Eight bytes, the first one lowest: a digit becomes its value, any other byte ten or more.
#[inline]
fn digit_values(bytes: [u8; 8]) -> u64 {
    u64::from_le_bytes(bytes) ^ u64::from_le_bytes([b'0'; 8])
}

/// The high bit of each byte that is no digit's value.
#[inline]
fn not_digits(values: u64) -> u64 {
    (((values & !HIGH_BITS) + u64::from_le_bytes([0x80 - 10; 8])) | values) & HIGH_BITS
}

/// The number that the digits before the first other byte spell, and how many there are.
#[inline]
fn leading(values: u64, others: u64) -> (u64, usize) {
    let length = others.trailing_zeros() / 8;
    // The first digit stands lowest: what is missing of eight becomes zeros before it.
    (number_of(values.checked_shl(64 - 8 * length).unwrap_or(0)), length as usize)
}

/// The number that the values of eight digits make. See D. Lemire, "Quickly parsing eight digits" (2018).
#[inline]
fn number_of(values: u64) -> u64 {
    let pairs = values.wrapping_mul(10).wrapping_add(values >> 8);
    let (outer, inner) = (pairs & 0x0000_00ff_0000_00ff, (pairs >> 16) & 0x0000_00ff_0000_00ff);
    let outer = outer.wrapping_mul(0x000f_4240_0000_0064);
    let inner = inner.wrapping_mul(0x0000_2710_0000_0001);
    outer.wrapping_add(inner) >> 32
}

const TENS: [u64; 9] = [1, 10, 100, 1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

/// Decimal places up to which a power of five fits into 63 bits.
const PLACES_MAX: usize = 27;

/// A whole number over a power of ten, rounded to the nearest, the even one of two. `None` above 27 places, and where
/// it takes a longer calculation.
///
/// A product with the reciprocal of the power of five, cut to 64 bits, holds the quotient between two bounds; see
/// D. Lemire, "Number parsing at a gigabyte per second" (2021), for the idea. Where the bounds would round apart, the
/// quotient of two numbers that floating point holds exactly is rounded as it should be.
#[inline]
fn divided(mantissa: u64, places: usize) -> Option<f64> {
    let (reciprocal, scale) = *RECIPROCALS.get(places)?;
    let zeros = mantissa.leading_zeros();
    let product = u128::from(mantissa.checked_shl(zeros).unwrap_or(0)) * u128::from(reciprocal);
    // The true quotient is at least `high` and less than `high + 2`.
    let high = (product >> 64) as u64;
    // One bit fewer where the product is short of its highest.
    let spare = 10 + (high >> 63) as u32;
    let (half, low) = (1 << (spare - 1), high & ((1 << spare) - 1));
    if low == half || low == half - 1 || mantissa == 0 {
        return exactly_divided(mantissa, places);
    }
    let rounded = (high >> spare) + u64::from(low > half);
    let exponent = i64::from(spare) + 64 - i64::from(scale) - i64::from(zeros) - places as i64;
    let power = u64::try_from(exponent + 1023).ok()? << 52;
    Some(rounded as f64 * f64::from_bits(power))
}

#[cold]
fn exactly_divided(mantissa: u64, places: usize) -> Option<f64> {
    let is_exact = mantissa < 1 << f64::MANTISSA_DIGITS;
    EXACT_TENS.get(places).filter(|_| is_exact).map(|ten| mantissa as f64 / ten)
}

/// Powers of ten that floating point holds exactly.
const EXACT_TENS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18,
    1e19, 1e20, 1e21, 1e22,
];

/// For each power of five: two to the power of the second over it, cut to a number of exactly 64 bits. Of five to the
/// power of zero there is none.
const RECIPROCALS: [(u64, u32); PLACES_MAX + 1] = {
    let mut table = [(0, 0); PLACES_MAX + 1];
    let (mut place, mut five) = (1, 1_u64);
    while place < table.len() {
        five *= 5;
        let scale = 63 + (64 - five.leading_zeros());
        table[place] = (((1_u128 << scale) / five as u128) as u64, scale);
        place += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What follows a value, mostly.
    const TAIL: &str = "\"],[1700000015,\"7.123456\"]";

    /// The bits of a text that is plain, where all of it is read and nothing behind it.
    fn bits(text: &str) -> Option<u64> {
        let spelt = format!("{text}{TAIL}");
        let (value, rest) = plain_number(spelt.as_bytes())?;
        assert_eq!(rest, TAIL.as_bytes(), "{text}");
        Some(value.to_bits())
    }

    fn by_std(text: &str) -> u64 {
        text.parse::<f64>().unwrap().to_bits()
    }

    #[test]
    fn numbers_as_prometheus_spells_them_are_plain() {
        let words = "0 -0 1 -1 42 0.1 -0.25 0.30000000000000004 12345678 123456789.5 0.0 -0.0 100.0 0.5 0.125 \
                     0.000001234567890123456 9999999999999999999 9007199254740993 9007199254740992.9 1700000000.123 \
                     0.00000000000000000000001 3.141592653589793 2.718281828459045 123456789012345.6";
        for text in words.split_whitespace() {
            assert_eq!(bits(text), Some(by_std(text)), "{text}");
        }
    }

    #[test]
    fn what_is_spelt_otherwise_is_left_to_others() {
        for text in ["", "-", ".5", "1.", "+1", "NaN", "+Inf", "x", "18446744073709551616", "1..2", "--1"] {
            let spelt = format!("{text}{TAIL}");
            assert_eq!(plain_number(spelt.as_bytes()), None, "{text}");
        }
        // The exponent is seen by whoever expects a quote.
        assert_eq!(plain_number(b"1e5").map(|(_, rest)| rest), Some(&b"e5"[..]));
        assert_eq!(plain_number(b"0.25"), None, "the text ends");
    }

    #[test]
    fn what_lies_halfway_between_two_numbers_is_right_or_left_to_others() {
        for whole in (1_u64 << 53..).step_by(2).take(200) {
            for text in [format!("{}.0", whole + 1), format!("{whole}.9999"), format!("{}.0001", whole + 1)] {
                assert!(bits(&text).is_none_or(|bits| bits == by_std(&text)), "{text}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4096, ..ProptestConfig::default() })]

        #[test]
        fn a_plain_number_is_read_to_the_bit(
            mantissa in any::<u64>(), shift in 0_u32..64, places in 0_usize..30, negative in any::<bool>(),
        ) {
            let digits = (mantissa >> shift).to_string();
            let padded = format!("{digits:0>width$}", width = places + 1);
            let (whole, fraction) = padded.split_at(padded.len() - places);
            let sign = if negative { "-" } else { "" };
            let point = if places == 0 { "" } else { "." };
            let text = format!("{sign}{whole}{point}{fraction}");
            prop_assert!(bits(&text).is_none_or(|bits| bits == by_std(&text)), "{}", text);
        }

        #[test]
        fn the_shortest_spelling_of_any_value_is_read_to_the_bit(value in -1e15_f64..1e15, scale in 0_i32..20) {
            let value = value / 10_f64.powi(scale);
            let text = value.to_string();
            prop_assert!(bits(&text).is_none_or(|bits| bits == value.to_bits()), "{}", text);
        }

        #[test]
        fn milliseconds_are_whole(seconds in 0_i64..1_000_000_000_000, ms in 0_i64..1000) {
            for (spelt, ms) in [(format!("{seconds}.{ms:03},"), ms), (format!("{seconds},"), 0)] {
                prop_assert_eq!(plain_millis(spelt.as_bytes()), Some((seconds * 1000 + ms, &b","[..])));
            }
        }

        #[test]
        fn digits_are_told_from_any_other_bytes(bytes in any::<[u8; 8]>(), digits in "[0-9]{0,8}") {
            let mut text = digits.into_bytes();
            text.extend(bytes);
            let eight = *text.first_chunk::<8>().unwrap();
            let length = eight.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let number = eight[..length].iter().fold(0, |number, byte| number * 10 + u64::from(byte - b'0'));
            let values = digit_values(eight);
            prop_assert_eq!(leading(values, not_digits(values)), (number, length));
        }
    }

    /// Random values over all that Prometheus spells without an exponent: how many are read without help.
    #[test]
    fn nearly_every_value_is_plain() {
        let mut mixed = 1_u64;
        let mut read = 0;
        for _ in 0..10_000 {
            mixed = mixed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let text = ((mixed >> 11) as f64 / (1_u64 << 53) as f64).to_string();
            read += usize::from(bits(&text).is_some());
        }
        assert!(read > 9_900, "{read} of 10000");
    }
}
