//! Writes `docs/configuration.md` from the comments in `config/default.toml`, so that the two can't drift apart.

use std::fmt::Write as _;

use super::load::DEFAULTS;

/// An example on real metrics, checked by a test as a whole.
pub(super) const EXAMPLE: &str = include_str!("../../config/prometheus.toml");

const INTRODUCTION: &str = include_str!("reference.md");

/// A section of `config/default.toml` as its comments describe it.
pub(super) struct Described {
    pub(super) name: String,
    pub(super) meaning: String,
    pub(super) keys: Vec<Key>,
}

/// A key of a section.
pub(super) struct Key {
    pub(super) name: String,
    pub(super) default: String,
    pub(super) allowed: String,
    pub(super) meaning: String,
}

/// The text of `docs/configuration.md`.
pub fn reference() -> String {
    let mut page = INTRODUCTION.replace("{{example}}", EXAMPLE.trim_end());
    for section in described() {
        // Writing to a `String` cannot fail.
        let _ = write!(page, "\n## `[{}]`\n\n{}\n", section.name, section.meaning);
        if !section.keys.is_empty() {
            page.push_str("\n| key | default | allowed | what it means |\n| --- | --- | --- | --- |\n");
        }
        for key in &section.keys {
            let [allowed, meaning] = [&key.allowed, &key.meaning].map(|cell| cell.replace('|', "\\|"));
            let _ = writeln!(page, "| `{}` | `{}` | {allowed} | {meaning} |", key.name, key.default);
        }
    }
    page
}

/// Reads the comments: a block right above a section or a key is about it.
pub(super) fn described() -> Vec<Described> {
    let mut sections: Vec<Described> = Vec::new();
    let mut comment: Vec<&str> = Vec::new();
    for line in DEFAULTS.lines() {
        if let Some(words) = line.strip_prefix('#') {
            comment.push(words.trim());
            continue;
        }
        let meaning = |lines: &[&str]| lines.join(" ");
        if let Some(name) = line.strip_prefix('[') {
            sections.push(Described {
                name: name.trim_end_matches(']').to_owned(),
                meaning: meaning(&comment),
                keys: Vec::new(),
            });
        } else if let (Some((name, default)), Some(section)) = (line.split_once(" = "), sections.last_mut()) {
            let split = comment.iter().position(|line| line.starts_with("Allowed:")).unwrap_or(comment.len());
            let (about, allowed) = comment.split_at(split);
            section.keys.push(Key {
                name: name.to_owned(),
                default: default.to_owned(),
                allowed: meaning(allowed).trim_start_matches("Allowed:").trim().to_owned(),
                meaning: meaning(about),
            });
        }
        comment.clear();
    }
    sections
}

#[cfg(test)]
mod tests {
    use super::super::load_text;
    use super::*;

    #[test]
    fn the_page_is_in_step_with_the_defaults() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md");
        let page = std::fs::read_to_string(path).unwrap_or_default();
        assert!(page == reference(), "docs/configuration.md is not what the defaults say: run `make docs`");
    }

    #[test]
    fn every_key_says_what_it_means_and_what_is_allowed() {
        let sections = described();
        assert!(sections.len() >= 12, "{} sections", sections.len());
        for section in sections {
            assert!(!section.meaning.is_empty(), "[{}]", section.name);
            for key in section.keys {
                let known = !key.meaning.is_empty() && !key.allowed.is_empty();
                assert!(known, "{}.{} lacks a comment or a line `# Allowed:`", section.name, key.name);
            }
        }
    }

    /// Tries what the comment of a key says: `1 to 10` or `1s to 1d`.
    #[track_caller]
    fn check(section: &str, key: &Key, value: &str, passes: bool) {
        let quote = if value.ends_with(|last: char| last.is_ascii_alphabetic()) { "\"" } else { "" };
        let text = format!("[{section}]\n{} = {quote}{value}{quote}", key.name);
        let path = format!("{section}.{}", key.name);
        let found = load_text("t", &text, [], &[]).err().map(|report| report.to_string()).unwrap_or_default();
        // Another key may object, where two must fit together.
        let is_refused = found.contains(&format!("{path}: ")) && found.contains("out of range");
        assert_eq!(is_refused, !passes, "{path} = {value}: {found}");
    }

    #[test]
    fn the_ranges_in_the_comments_are_those_that_are_checked() {
        let mut tried = 0;
        for section in described() {
            for key in &section.keys {
                let range = key.allowed.trim_start_matches("whole seconds, ");
                let range = range.split(',').next().unwrap_or_default();
                let Some((least, most)) = range.split_once(" to ") else { continue };
                if !least.starts_with(|first: char| first.is_ascii_digit()) {
                    continue;
                }
                tried += 1;
                check(&section.name, key, least, true);
                match most.strip_prefix("below ") {
                    Some(most) => check(&section.name, key, most, false),
                    None => check(&section.name, key, most, true),
                }
                if let Ok(most) = most.parse::<i64>() {
                    check(&section.name, key, &(most + 1).to_string(), false);
                    check(&section.name, key, "-1", false);
                } else if !most.starts_with("below") {
                    check(&section.name, key, &format!("{most}1ms"), false);
                }
                if least != "0" && least != "0s" {
                    let below = if key.default.starts_with('"') { "1ms" } else { "0" };
                    check(&section.name, key, below, false);
                }
            }
        }
        assert!(tried >= 30, "only {tried} ranges were tried");
    }

    #[test]
    fn the_example_is_sound() {
        let config = load_text("prometheus.toml", EXAMPLE, [], &[]).unwrap();
        assert_eq!(config.signals.len(), 5);
        assert!(config.signals.iter().all(|signal| signal.query.service_label.to_string() == "job"));
    }
}
