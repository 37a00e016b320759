//! Where a page of incidents ended.

use std::fmt;
use std::str::FromStr;

use crate::id::IncidentId;
use crate::time::Timestamp;

/// The last incident of a page. It stays good whatever is written meanwhile; its text says nothing to whoever holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    pub(super) opened_at: Timestamp,
    pub(super) id: IncidentId,
}

/// A text that is no cursor.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no cursor: take the one that the page before gave")]
pub struct CursorError(String);

/// The digits of a time.
const TIME_DIGITS: usize = 16;

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:0TIME_DIGITS$x}{}", self.opened_at.as_millis(), self.id)
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let error = || CursorError(text.chars().take(80).collect());
        let (time, id) = text.split_at_checked(TIME_DIGITS).ok_or_else(error)?;
        let millis = u64::from_str_radix(time, 16).map_err(|_| error())?;
        let id = id.parse().map_err(|_| error())?;
        let cursor = Self { opened_at: Timestamp::from_millis(millis.cast_signed()), id };
        // One cursor has one spelling.
        if cursor.to_string() == text { Ok(cursor) } else { Err(error()) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::id::Fingerprint;

    proptest! {
        #[test]
        fn a_cursor_survives_its_own_spelling(at_ms: i64, seed: u64) {
            let id = IncidentId::derive(Fingerprint::of(&[&seed.to_be_bytes()]), at_ms);
            let cursor = Cursor { opened_at: Timestamp::from_millis(at_ms), id };
            prop_assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }

        #[test]
        fn no_text_panics(text in "\\PC{0,60}") {
            let _ = text.parse::<Cursor>();
        }

        #[test]
        fn hex_of_another_length_or_case_is_refused(text in "[0-9a-f]{0,35}|[0-9a-f]{37,50}|[0-9A-F]{35}[A-F]") {
            prop_assert!(text.parse::<Cursor>().is_err());
        }

        #[test]
        fn what_is_taken_is_spelled_the_same(text in "[0-9a-f+]{36}") {
            if let Ok(cursor) = text.parse::<Cursor>() {
                prop_assert_eq!(cursor.to_string(), text);
            }
        }
    }
}
