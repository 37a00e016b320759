//! Strings of an answer, borrowed from it, and the place at which it goes wrong.

use std::borrow::Cow;
use std::fmt;

/// Where a text stops being the JSON that was expected, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flaw {
    /// The byte, counted from zero.
    pub at: usize,
    /// What is wrong there.
    pub because: &'static str,
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.because, self.at)
    }
}

/// A string as it stands between its quotes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Text<'a> {
    raw: &'a str,
    at: usize,
    escaped: bool,
}

impl<'a> Text<'a> {
    /// Takes what stands between the quotes, where they start, and whether there is a backslash among them.
    #[inline]
    pub(super) fn new(raw: &'a str, at: usize, escaped: bool) -> Self {
        Self { raw, at, escaped }
    }

    /// Where its first byte stands.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// The text with its escapes resolved.
    pub(super) fn resolve(&self) -> Result<Cow<'a, str>, Flaw> {
        if self.escaped { self.unescape(self.raw).map(Cow::Owned) } else { Ok(Cow::Borrowed(self.raw)) }
    }

    /// The number that the text spells; infinities and `NaN` included, as Prometheus spells them.
    pub(super) fn number(&self) -> Result<f64, Flaw> {
        let flaw = Flaw { at: self.at, because: "a sample's value is no number" };
        self.resolve()?.parse().map_err(|_| flaw)
    }

    fn unescape(&self, text: &str) -> Result<String, Flaw> {
        let mut resolved = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(slash) = rest.find('\\') {
            let (before, escape) = rest.split_at(slash);
            resolved.push_str(before);
            let at = self.at + text.len() - escape.len();
            let flaw = Flaw { at, because: "a string holds an escape that JSON does not know" };
            let (c, length) = unescape_one(escape).ok_or(flaw)?;
            resolved.push(c);
            rest = escape.get(length..).ok_or(flaw)?;
        }
        resolved.push_str(rest);
        Ok(resolved)
    }
}

/// The character that an escape at the start of the text stands for, and how many bytes spell it.
fn unescape_one(escape: &str) -> Option<(char, usize)> {
    let simple = match escape.as_bytes().get(1)? {
        b'"' => '"',
        b'\\' => '\\',
        b'/' => '/',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => return unescape_unicode(escape),
        _ => return None,
    };
    Some((simple, 2))
}

fn unescape_unicode(escape: &str) -> Option<(char, usize)> {
    let unit = |start: usize| {
        let digits = escape.get(start..start + 6)?.strip_prefix("\\u")?;
        // `from_str_radix` would take a sign.
        let all_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        all_hex.then(|| u16::from_str_radix(digits, 16).ok()).flatten()
    };
    let first = unit(0)?;
    if !(0xd800..0xe000).contains(&first) {
        return Some((char::from_u32(u32::from(first))?, 6));
    }
    let pair = [first, unit(6)?];
    let c = char::decode_utf16(pair).next()?.ok()?;
    Some((c, 12))
}
