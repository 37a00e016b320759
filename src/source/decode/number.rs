//! Numbers as Prometheus spells them, read from bytes without a detour: exact to the last bit, or not at all.

/// A decimal number without an exponent, as [`str::parse`] would read it to the bit, and what follows it. `None` where
/// it is spelt otherwise, or where only a longer calculation can tell how to round.
#[inline]
pub(super) fn plain_number(text: &[u8]) -> Option<(f64, &[u8])> {
    let (is_negative, text) = match text.strip_prefix(b"-") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, places, rest) = digits(text, 0)?;
    if places == 0 {
        return None;
    }
    let (value, rest) = match rest.strip_prefix(b".") {
        // The conversion rounds as it should.
        None => (whole as f64, rest),
        Some(fraction) => {
            let (mantissa, places, rest) = digits(fraction, whole)?;
            (divided(mantissa, places)?, rest)
        }
    };
    Some((if is_negative { -value } else { value }, rest))
}

/// Milliseconds of whole seconds or of seconds with up to three places, and what follows them.
#[inline]
pub(super) fn plain_millis(text: &[u8]) -> Option<(i64, &[u8])> {
    let (seconds, places, rest) = digits(text, 0)?;
    if !(1..=12).contains(&places) {
        return None;
    }
    let (number, rest) = match rest.strip_prefix(b".") {
        None => (seconds * 1000, rest),
        Some(fraction) => match digits(fraction, seconds)? {
            (number, 1, rest) => (number * 100, rest),
            (number, 2, rest) => (number * 10, rest),
            (number, 3, rest) => (number, rest),
            _ => return None,
        },
    };
    Some((i64::try_from(number).ok()?, rest))
}

/// Goes on with a number by the digits that follow: the number, how many digits there were, and the rest. `None` where
/// it does not fit.
#[inline]
fn digits(text: &[u8], start: u64) -> Option<(u64, usize, &[u8])> {
    let (mut number, mut places, mut rest) = (start, 0, text);
    loop {
        let (value, length) = match rest.first_chunk::<8>() {
            Some(eight) => up_to_eight_digits(u64::from_le_bytes(*eight)),
            None => {
                let mut padded = [0; 8];
                padded.get_mut(..rest.len())?.copy_from_slice(rest);
                up_to_eight_digits(u64::from_le_bytes(padded))
            }
        };
        number = number.checked_mul(*TENS.get(length)?)?.checked_add(value)?;
        (places, rest) = (places + length, rest.get(length..)?);
        if length < 8 {
            return Some((number, places, rest));
        }
    }
}

/// The number that the digits at the start of eight bytes spell, and how many there are. See D. Lemire, "Quickly
/// parsing eight digits" (2018), for the three multiplications.
#[inline]
fn up_to_eight_digits(bytes: u64) -> (u64, usize) {
    const LOW_BITS: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    // A digit becomes its value, any other byte ten or more.
    let values = bytes ^ u64::from_le_bytes([b'0'; 8]);
    let above_nine = ((values & LOW_BITS) + u64::from_le_bytes([0x80 - 10; 8])) | values;
    let length = (above_nine & !LOW_BITS).trailing_zeros() / 8;
    // The first digit stands lowest: what is missing of eight becomes zeros before it.
    let values = values.checked_shl(64 - 8 * length).unwrap_or(0);
    let pairs = values.wrapping_mul(10).wrapping_add(values >> 8);
    let (outer, inner) = (pairs & 0x0000_00ff_0000_00ff, (pairs >> 16) & 0x0000_00ff_0000_00ff);
    let outer = outer.wrapping_mul(0x000f_4240_0000_0064);
    let inner = inner.wrapping_mul(0x0000_2710_0000_0001);
    (outer.wrapping_add(inner) >> 32, length as usize)
}

const TENS: [u64; 9] = {
    let mut tens = [1; 9];
    let mut place = 1;
    while place < tens.len() {
        tens[place] = tens[place - 1] * 10;
        place += 1;
    }
    tens
};

/// Decimal places up to which a power of five fits into 63 bits.
const PLACES_MAX: usize = 27;

/// A whole number over a power of ten, which is not one, rounded to the nearest, the even one of two.
///
/// Where both are exact in floating point, so is the rounding of their quotient. Otherwise a product with the
/// reciprocal of the power of five, cut to 64 bits, holds the quotient between two bounds; see D. Lemire, "Number
/// parsing at a gigabyte per second" (2021), for the idea. Where the bounds would round apart: `None`.
#[inline]
fn divided(mantissa: u64, places: usize) -> Option<f64> {
    if places == 0 {
        return None;
    }
    if mantissa < 1 << f64::MANTISSA_DIGITS
        && let Some(ten) = EXACT_TENS.get(places)
    {
        return Some(mantissa as f64 / ten);
    }
    let (reciprocal, scale) = *RECIPROCALS.get(places)?;
    let zeros = mantissa.leading_zeros();
    let product = u128::from(mantissa.checked_shl(zeros)?) * u128::from(reciprocal);
    // The true quotient is at least `high` and less than `high + 2`.
    let high = (product >> 64) as u64;
    let spare = 64 - high.leading_zeros() - f64::MANTISSA_DIGITS;
    let half = 1 << (spare - 1);
    let low = high & ((1 << spare) - 1);
    if low == half || low == half - 1 {
        return None;
    }
    let rounded = (high >> spare) + u64::from(low > half);
    let exponent = i64::from(spare) + 64 - i64::from(scale) - i64::from(zeros) - places as i64;
    let power = u64::try_from(exponent + 1023).ok()? << 52;
    Some(rounded as f64 * f64::from_bits(power))
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

    /// Read at all, and to the bit as the standard library does.
    #[track_caller]
    fn check(text: &str) {
        let expected: f64 = text.parse().unwrap();
        for tail in ["", "\"]", "\"],[1700000015,\"7\"]"] {
            let spelt = format!("{text}{tail}");
            let (value, rest) =
                plain_number(spelt.as_bytes()).unwrap_or_else(|| panic!("{text} is not plain"));
            assert_eq!((value.to_bits(), rest), (expected.to_bits(), tail.as_bytes()), "{text}");
        }
    }

    #[test]
    fn numbers_as_prometheus_spells_them_are_plain() {
        for text in [
            "0",
            "-0",
            "1",
            "-1",
            "42",
            "0.1",
            "-0.25",
            "0.30000000000000004",
            "12345678",
            "123456789.5",
            "0.000001234567890123456",
            "18446744073709551615",
            "9007199254740993",
            "9007199254740992.9",
            "100.0",
            "1700000000.123",
            "0.00000000000000000000000001",
            "3.141592653589793",
            "2.718281828459045",
        ] {
            check(text);
        }
    }

    #[test]
    fn what_is_spelt_otherwise_is_left_to_others() {
        for text in ["", "-", ".5", "1.", "+1", "NaN", "+Inf", "x", "18446744073709551616", "1..2", "--1"] {
            let read = plain_number(text.as_bytes());
            assert!(read.is_none_or(|(_, rest)| !rest.is_empty()), "{text}: {read:?}");
        }
        // The exponent is seen by whoever expects a quote.
        assert_eq!(plain_number(b"1e5").map(|(_, rest)| rest), Some(&b"e5"[..]));
    }

    #[test]
    fn what_lies_halfway_between_two_numbers_is_right_or_left_to_others() {
        for whole in (1_u64 << 53..).step_by(2).take(200) {
            for text in [format!("{}.0", whole + 1), format!("{whole}.9999"), format!("{}.0001", whole + 1)] {
                let expected: f64 = text.parse().unwrap();
                if let Some((value, _)) = plain_number(text.as_bytes()) {
                    assert_eq!(value.to_bits(), expected.to_bits(), "{text}");
                }
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
            let expected: f64 = text.parse().unwrap();
            if let Some((value, rest)) = plain_number(text.as_bytes()) {
                prop_assert_eq!((value.to_bits(), rest), (expected.to_bits(), &b""[..]), "{}", text);
            }
        }

        #[test]
        fn the_shortest_spelling_of_any_value_is_read_to_the_bit(value in -1e15_f64..1e15, scale in 0_i32..20) {
            let value = value / 10_f64.powi(scale);
            let text = value.to_string();
            if let Some((read, rest)) = plain_number(text.as_bytes()) {
                prop_assert_eq!((read.to_bits(), rest), (value.to_bits(), &b""[..]), "{}", text);
            }
        }

        #[test]
        fn milliseconds_are_whole(seconds in 0_i64..1_000_000_000_000, ms in 0_i64..1000) {
            let spelt = format!("{seconds}.{ms:03},");
            prop_assert_eq!(plain_millis(spelt.as_bytes()), Some((seconds * 1000 + ms, &b","[..])));
        }

        #[test]
        fn digits_are_told_from_any_other_bytes(bytes in any::<[u8; 8]>(), digits in "[0-9]{0,8}") {
            let mut text = digits.into_bytes();
            text.extend(bytes);
            let eight = *text.first_chunk::<8>().unwrap();
            let length = eight.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let number = eight[..length].iter().fold(0, |number, byte| number * 10 + u64::from(byte - b'0'));
            prop_assert_eq!(up_to_eight_digits(u64::from_le_bytes(eight)), (number, length));
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
            read += usize::from(plain_number(text.as_bytes()).is_some());
        }
        assert!(read > 9_900, "{read} of 10000");
    }
}
