//! Columns of a CSV file, by the names in its header.

use csv::StringRecord;

/// A cell's text is shown up to this many characters.
const SHOWN_CHARS_MAX: usize = 80;

/// Looks up the place of a column. What is wrong, with `way_out`, where it is missing or stands twice.
pub(super) fn column(header: &StringRecord, wanted: &str, way_out: &str) -> Result<usize, String> {
    let mut places = header.iter().enumerate().filter(|(_, column)| column.trim() == wanted);
    match (places.next(), places.next()) {
        (Some((place, _)), None) => Ok(place),
        (Some((first, _)), Some((again, _))) => {
            let (first, again) = (first + 1, again + 1);
            Err(format!("column {wanted:?} stands twice, in place {first} and {again}: rename or remove one"))
        }
        (None, _) => {
            let seen = shown(&header.iter().collect::<Vec<_>>().join(","));
            Err(format!("column {wanted:?} is missing in {seen:?}: {way_out}"))
        }
    }
}

/// As much of a text as an error shows.
pub(super) fn shown(text: &str) -> String {
    text.chars().take(SHOWN_CHARS_MAX).collect()
}
