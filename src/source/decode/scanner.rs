//! JSON, token by token, over a text: no tree, no copy, bounded depth.

use super::number::{plain_millis, plain_number};
use super::text::{Flaw, Text};
use crate::time::Timestamp;

/// Arrays and objects that are skipped may stand this deep in one another.
const DEPTH_MAX: usize = 64;

/// How far an array or an object has been walked.
#[derive(Debug, Default)]
pub(super) struct Walk {
    begun: bool,
}

impl Walk {
    /// Beyond its first element or member.
    pub(super) fn begun() -> Self {
        Self { begun: true }
    }
}

/// Reads tokens from where it stands; a failed read leaves it there or behind.
#[derive(Debug, Clone)]
pub(super) struct Scanner<'a> {
    text: &'a str,
    body: &'a [u8],
    at: usize,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, body: text.as_bytes(), at: 0 }
    }

    /// A scanner of the same text that stands elsewhere.
    pub(super) fn standing_at(&self, at: usize) -> Self {
        Self { at, ..*self }
    }

    /// The byte where it stands.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Takes these very bytes where they stand next, and says whether they did. Where they do not, the same may still
    /// be spelt with white space or in another order.
    #[inline]
    pub(super) fn pass(&mut self, bytes: &[u8]) -> bool {
        let is_next = self.body.get(self.at..).is_some_and(|rest| rest.starts_with(bytes));
        if is_next {
            self.at += bytes.len();
        }
        is_next
    }

    /// The text from a place behind to where it stands.
    #[inline]
    pub(super) fn since(&self, start: usize) -> &'a str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    pub(super) fn flaw(&self, because: &'static str) -> Flaw {
        Flaw { at: self.at, because }
    }

    fn expected(&self, because: &'static str) -> Flaw {
        self.flaw(if self.at >= self.body.len() { "the text ends too early" } else { because })
    }

    /// The next byte that is not white space; the scanner then stands on it.
    #[inline]
    pub(super) fn peek(&mut self) -> Option<u8> {
        loop {
            match self.body.get(self.at).copied() {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                other => return other,
            }
        }
    }

    /// Takes one punctuation byte.
    #[inline]
    pub(super) fn take(&mut self, byte: u8, because: &'static str) -> Result<(), Flaw> {
        if self.peek() != Some(byte) {
            return Err(self.expected(because));
        }
        self.at += 1;
        Ok(())
    }

    /// Refuses anything but white space up to the end.
    pub(super) fn finish(&mut self) -> Result<(), Flaw> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.flaw("something follows the end of the text")),
        }
    }

    /// Steps to the next element of an array that has been opened; `false` where it closes.
    #[inline]
    pub(super) fn next_element(&mut self, walk: &mut Walk) -> Result<bool, Flaw> {
        match self.peek() {
            Some(b']') => {
                self.at += 1;
                Ok(false)
            }
            Some(b',') if walk.begun => {
                self.at += 1;
                match self.peek() {
                    Some(b']') => Err(self.flaw("a comma is followed by no element")),
                    _ => Ok(true),
                }
            }
            Some(_) if !walk.begun => {
                walk.begun = true;
                Ok(true)
            }
            _ => Err(self.expected("an array goes on with neither a comma nor its end")),
        }
    }

    /// Steps to the next member of an object that has been opened and takes its name and colon; `None` where the
    /// object closes.
    pub(super) fn next_member(&mut self, walk: &mut Walk) -> Result<Option<Text<'a>>, Flaw> {
        match self.peek() {
            Some(b'}') => {
                self.at += 1;
                return Ok(None);
            }
            Some(b',') if walk.begun => self.at += 1,
            _ if walk.begun => {
                return Err(self.expected("an object goes on with neither a comma nor its end"));
            }
            _ => walk.begun = true,
        }
        let name = self.string()?;
        self.take(b':', "a member's name is followed by no colon")?;
        Ok(Some(name))
    }

    /// Takes a string.
    #[inline]
    pub(super) fn string(&mut self) -> Result<Text<'a>, Flaw> {
        self.take(b'"', "a string is expected")?;
        let start = self.at;
        let mut escaped = false;
        loop {
            match self.body.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    self.at += 2;
                }
                Some(0..=0x1f) => return Err(self.flaw("a string holds a bare control character")),
                Some(_) => self.at += 1,
                None => {
                    self.at = self.body.len();
                    return Err(self.expected("a string does not end"));
                }
            }
        }
        let raw = self.since(start);
        self.at += 1;
        Ok(Text::new(raw, start, escaped))
    }

    /// Takes a number, by the grammar of JSON.
    fn number(&mut self) -> Result<&'a str, Flaw> {
        self.peek();
        let start = self.at;
        if self.body.get(self.at) == Some(&b'-') {
            self.at += 1;
        }
        self.digits()?;
        if self.body.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.body.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = self.body.get(self.at) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(self.since(start))
    }

    fn digits(&mut self) -> Result<(), Flaw> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.body.get(self.at) {
            self.at += 1;
        }
        if self.at == start { Err(self.expected("a number is expected")) } else { Ok(()) }
    }

    /// Takes an array of samples: pairs of a time in Unix seconds and a value in a string.
    pub(super) fn samples(&mut self, mut take: impl FnMut(Timestamp, f64)) -> Result<(), Flaw> {
        self.take(b'[', "a series' values are no array")?;
        let mut walk = Walk::default();
        while self.next_element(&mut walk)? {
            if !self.plain_samples(&mut take) {
                let (at, value) = self.odd_sample()?;
                take(at, value);
            }
        }
        Ok(())
    }

    /// Takes samples as every backend spells them, without white space or escapes, while one follows the other; `false`
    /// where not even the first is such. Decides nothing: what it does not know is read again token by token.
    #[inline]
    fn plain_samples(&mut self, take: &mut impl FnMut(Timestamp, f64)) -> bool {
        let mut rest = self.body.get(self.at..).unwrap_or_default();
        let mut any = false;
        while let Some((at, value, after)) = plain_sample(rest) {
            take(at, value);
            any = true;
            self.at = self.body.len() - after.len();
            match after.strip_prefix(b",") {
                Some(next) => rest = next,
                None => break,
            }
        }
        any
    }

    #[cold]
    fn odd_sample(&mut self) -> Result<(Timestamp, f64), Flaw> {
        self.take(b'[', "a sample is no pair of time and value")?;
        let at = self.odd_timestamp()?;
        self.take(b',', "a sample has no value")?;
        let value = self.string()?.number()?;
        self.take(b']', "a sample has more than a time and a value")?;
        Ok((at, value))
    }

    fn odd_timestamp(&mut self) -> Result<Timestamp, Flaw> {
        self.peek();
        let flaw = self.flaw("a time is no number of seconds");
        let digits = self.number().map_err(|inner| if inner.at > flaw.at { inner } else { flaw })?;
        let seconds = digits.parse::<f64>().ok();
        seconds.and_then(Timestamp::from_seconds).ok_or(flaw)
    }

    /// Passes over one value of any kind.
    pub(super) fn skip(&mut self) -> Result<(), Flaw> {
        self.skip_within(DEPTH_MAX)
    }

    fn skip_within(&mut self, depth: usize) -> Result<(), Flaw> {
        match self.peek() {
            Some(b'"') => self.string().map(drop),
            Some(b'{') => {
                let depth = self.open(depth)?;
                let mut walk = Walk::default();
                while self.next_member(&mut walk)?.is_some() {
                    self.skip_within(depth)?;
                }
                Ok(())
            }
            Some(b'[') => {
                let depth = self.open(depth)?;
                let mut walk = Walk::default();
                while self.next_element(&mut walk)? {
                    self.skip_within(depth)?;
                }
                Ok(())
            }
            Some(b't') => self.word(b"true"),
            Some(b'f') => self.word(b"false"),
            Some(b'n') => self.word(b"null"),
            _ => self.number().map(drop),
        }
    }

    fn open(&mut self, depth: usize) -> Result<usize, Flaw> {
        let left = depth.checked_sub(1).ok_or_else(|| self.flaw("values are nested too deep"))?;
        self.at += 1;
        Ok(left)
    }

    fn word(&mut self, word: &'static [u8]) -> Result<(), Flaw> {
        let rest = self.body.get(self.at..).unwrap_or_default();
        if !rest.starts_with(word) {
            return Err(self.expected("a value is expected"));
        }
        self.at += word.len();
        Ok(())
    }
}

/// A time, a value, and what follows them.
#[inline]
fn plain_sample(text: &[u8]) -> Option<(Timestamp, f64, &[u8])> {
    let (millis, after) = plain_millis(text.strip_prefix(b"[")?)?;
    let after = after.strip_prefix(b",\"")?;
    let (value, after) = match plain_number(after) {
        Some((value, after @ [b'"', ..])) => (value, after),
        Some(_) | None => any_number(after)?,
    };
    Some((Timestamp::from_millis(millis), value, after.strip_prefix(b"\"]")?))
}

/// A number as the standard library reads it, up to a quote.
fn any_number(text: &[u8]) -> Option<(f64, &[u8])> {
    let (number, after) = text.split_at_checked(next_quote(text)?)?;
    Some((std::str::from_utf8(number).ok()?.parse().ok()?, after))
}

const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

/// Where the next quote stands, eight bytes at a time. See S. E. Anderson, "Bit Twiddling Hacks", on finding a byte in
/// a word.
#[inline]
fn next_quote(text: &[u8]) -> Option<usize> {
    let (words, tail) = text.as_chunks::<8>();
    for (place, word) in words.iter().enumerate() {
        let differs = u64::from_le_bytes(*word) ^ u64::from_le_bytes([b'"'; 8]);
        let same = differs.wrapping_sub(u64::from_le_bytes([1; 8])) & !differs & HIGH_BITS;
        if same != 0 {
            return Some(place * 8 + (same.trailing_zeros() / 8) as usize);
        }
    }
    let start = text.len() - tail.len();
    tail.iter().position(|byte| *byte == b'"').map(|place| start + place)
}
