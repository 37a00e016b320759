//! Reads the name of a time zone, by the database that is part of the binary: no host has to have zone files.

use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::nearest::distance;
use super::section::listed;
use crate::detect::{Turn, Zone};

/// Zones are written out from 1970 to 2100: nobody's samples are older, and no rule of today will hold so long.
const UNTIL_S: i64 = 4_102_444_800;
/// More than any zone has in that time; what comes later keeps the last offset.
const TURNS_MAX: usize = 1024;
/// So many names are offered where one is wrong.
const OFFERED_MAX: usize = 3;

/// The zone of that name, such as `Europe/Berlin` or `UTC`.
///
/// # Errors
/// The name as it was given, and those that were probably meant.
pub(super) fn zone(name: &str) -> Result<Zone, String> {
    let database = TimeZoneDatabase::bundled();
    let Ok(found) = database.get(name) else {
        let names: Vec<String> = database.available().map(|name| name.as_str().to_owned()).collect();
        let way_out = match near_misses(name, &names).as_slice() {
            [] => "give a name such as \"Europe/Berlin\", or \"UTC\"".to_owned(),
            near => format!("did you mean {}?", listed(near)),
        };
        return Err(format!("{name:?} is no time zone: {way_out}"));
    };
    Ok(written_out(found.iana_name().unwrap_or(name), &found))
}

fn written_out(name: &str, zone: &TimeZone) -> Zone {
    let offset_ms = |at| i64::from(zone.to_offset(at).seconds()) * 1000;
    let epoch = jiff::Timestamp::UNIX_EPOCH;
    let turns =
        zone.following(epoch).take(TURNS_MAX).take_while(|turn| turn.timestamp().as_second() < UNTIL_S);
    let turns = turns.map(|turn| Turn {
        from_ms: turn.timestamp().as_millisecond(),
        offset_ms: i64::from(turn.offset().seconds()) * 1000,
    });
    Zone::new(name, offset_ms(epoch), turns)
}

/// The names closest to a word, as a whole or by the city alone, where they are close enough to be slips.
fn near_misses<'n>(word: &str, names: &'n [String]) -> Vec<&'n str> {
    const LETTERS_MAX: usize = 64;
    let small = |text: &str| text.to_lowercase().replace([' ', '-'], "_");
    let word = small(word);
    if word.is_empty() || word.len() > LETTERS_MAX {
        return Vec::new();
    }
    let city = |text: &str| text.rsplit('/').next().unwrap_or(text).to_owned();
    let mut ranked: Vec<(usize, &str)> = Vec::new();
    for name in names {
        let whole = small(name);
        // By the city alone, a wrong region costs one edit more than a right one.
        let by_city = distance(&city(&word), &city(&whole)) + 1;
        let (edits, letters) = (distance(&word, &whole), word.chars().count());
        let city_letters = city(&word).chars().count();
        let is_near = |edits: usize, letters: usize| edits * 3 <= letters;
        if is_near(edits, letters.max(whole.chars().count())) {
            ranked.push((edits, name));
        } else if is_near(by_city, city_letters) {
            ranked.push((by_city, name));
        }
    }
    ranked.sort_unstable();
    let best = ranked.first().map_or(0, |(edits, _)| *edits);
    // What is two edits further off than the best is noise beside it.
    ranked
        .into_iter()
        .filter(|(edits, _)| *edits <= best + 1)
        .take(OFFERED_MAX)
        .map(|(_, name)| name)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> i64 {
        crate::time::parse_timestamp(text).unwrap().as_millis()
    }

    #[track_caller]
    fn check_offset(name: &str, at_utc: &str, minutes: i64) {
        assert_eq!(zone(name).unwrap().offset_ms(at(at_utc)) / 60_000, minutes, "{name} at {at_utc}");
    }

    #[track_caller]
    fn check_refused(name: &str, expected: &str) {
        assert_eq!(zone(name).unwrap_err(), format!("{name:?} is no time zone: {expected}"));
    }

    #[test]
    fn clocks_change_when_the_law_says() {
        for (time, minutes) in [("00:59:59", 60), ("01:00:00", 120)] {
            check_offset("Europe/Berlin", &format!("2026-03-29T{time}Z"), minutes);
        }
        for (time, minutes) in [("00:59:59", 120), ("01:00:00", 60)] {
            check_offset("Europe/Berlin", &format!("2026-10-25T{time}Z"), minutes);
        }
        check_offset("America/New_York", "2026-03-08T06:59:59Z", -300);
        check_offset("America/New_York", "2026-03-08T07:00:00Z", -240);
        check_offset("America/New_York", "2099-07-01T00:00:00Z", -240);
        check_offset("Asia/Kathmandu", "2026-01-01T00:00:00Z", 345);
        check_offset("UTC", "2026-07-01T00:00:00Z", 0);
    }

    #[test]
    fn a_name_is_found_in_any_case_and_keeps_its_own() {
        assert_eq!(zone("europe/berlin").unwrap().name(), "Europe/Berlin");
    }

    #[test]
    fn a_wrong_name_is_refused_with_those_that_are_near() {
        check_refused("Europe/Berlni", "did you mean \"Europe/Berlin\"?");
        check_refused("Berlin", "did you mean \"Europe/Berlin\"?");
        check_refused("America/NewYork", "did you mean \"America/New_York\"?");
        check_refused("Mars/Olympus_Mons", "give a name such as \"Europe/Berlin\", or \"UTC\"");
        check_refused("", "give a name such as \"Europe/Berlin\", or \"UTC\"");
    }
}
