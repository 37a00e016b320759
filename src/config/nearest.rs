//! Finds the word that was probably meant.

/// The candidate that is closest to a word, where it is close enough to be a slip: a third of the letters at most.
pub(super) fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Beyond this a word is no slip of any key, and the table below would be large.
    const LETTERS_MAX: usize = 64;
    if word.len() > LETTERS_MAX {
        return None;
    }
    let ranked = candidates.into_iter().map(|candidate| (distance(word, candidate), candidate));
    let (edits, best) = ranked.min()?;
    let letters = word.chars().count().max(best.chars().count());
    (edits * 3 <= letters).then_some(best)
}

/// The number of letters to add, drop, change or swap with their neighbour (optimal string alignment).
pub(super) fn distance(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for i in 1..=from.len() {
        let mut row = vec![i];
        for j in 1..=to.len() {
            let change = last[j - 1] + usize::from(from[i - 1] != to[j - 1]);
            let mut best = change.min(last[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && from[i - 1] == to[j - 2] && from[i - 2] == to[j - 1] {
                best = best.min(before[j - 2] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(word: &str, expected: Option<&str>) {
        let keys = ["interval", "sigma", "step", "url", "open_points"];
        assert_eq!(nearest(word, keys), expected, "{word}");
    }

    #[test]
    fn a_slip_finds_its_key() {
        check("intervall", Some("interval"));
        check("sgima", Some("sigma"));
        check("open_point", Some("open_points"));
        check("urk", Some("url"));
    }

    #[test]
    fn another_word_finds_none() {
        check("colour", None);
        check("x", None);
        check(&"i".repeat(10_000), None);
    }

    #[test]
    fn nothing_is_near_where_there_is_nothing() {
        assert_eq!(nearest("x", []), None);
    }
}
