//! A time zone as detection needs it: how far local clocks are ahead of UTC, and when that changes.

use std::sync::Arc;

/// The offsets of one time zone over time, as values: no zone file is read here.
///
/// Copies share their table, and two zones are equal where they have the same name and the same turns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone {
    name: Arc<str>,
    /// In order of time; the first is that of all times before the second.
    turns: Arc<[Turn]>,
}

/// From when on local clocks are ahead of UTC by how much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// Milliseconds since 1970-01-01 UTC.
    pub from_ms: i64,
    /// Local time minus UTC, in milliseconds; negative west of Greenwich.
    pub offset_ms: i64,
}

impl Zone {
    /// Takes a zone whose clocks are `first_ms` ahead of UTC until the first of its turns, which are put in order.
    pub fn new(name: &str, first_ms: i64, turns: impl IntoIterator<Item = Turn>) -> Self {
        let mut all = vec![Turn { from_ms: i64::MIN, offset_ms: first_ms }];
        all.extend(turns);
        all.sort_by_key(|turn| turn.from_ms);
        Self { name: Arc::from(name), turns: all.into() }
    }

    /// Coordinated universal time, whose clocks never change.
    pub fn utc() -> Self {
        Self::new("UTC", 0, [])
    }

    /// The name by which it was asked for, such as `Europe/Berlin`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How many milliseconds local clocks are ahead of UTC at a time.
    pub fn offset_ms(&self, at_ms: i64) -> i64 {
        let after = self.turns.partition_point(|turn| turn.from_ms <= at_ms);
        self.turns.get(after.saturating_sub(1)).map_or(0, |turn| turn.offset_ms)
    }

    /// What local clocks show at a time, as milliseconds since their own 1970-01-01 00:00; saturates.
    pub fn local_ms(&self, at_ms: i64) -> i64 {
        at_ms.saturating_add(self.offset_ms(at_ms))
    }
}

impl Default for Zone {
    fn default() -> Self {
        Self::utc()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR_MS: i64 = 3_600_000;

    #[test]
    fn an_offset_holds_from_its_turn_until_the_next() {
        let turns =
            [Turn { from_ms: 2000, offset_ms: HOUR_MS }, Turn { from_ms: 1000, offset_ms: 2 * HOUR_MS }];
        let zone = Zone::new("Some/Where", HOUR_MS, turns);
        let offsets = [i64::MIN, 999, 1000, 1999, 2000, i64::MAX].map(|at| zone.offset_ms(at) / HOUR_MS);
        assert_eq!(offsets, [1, 1, 2, 2, 1, 1]);
    }

    #[test]
    fn utc_is_local_time_as_it_is() {
        for at in [i64::MIN, -1, 0, 1_800_000_000_000, i64::MAX] {
            assert_eq!(Zone::utc().local_ms(at), at);
        }
    }
}
