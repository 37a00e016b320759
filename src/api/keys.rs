//! The keys of the API: who each belongs to, and what it may do. A file holds only their SHA-256, so that who reads
//! the file cannot use the keys.

use std::collections::BTreeSet;
use std::str::FromStr as _;
use std::sync::Arc;

use subtle::{ConditionallySelectable as _, ConstantTimeEq as _};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::scope::Scope;
use crate::id::Digest;

/// Bytes of randomness in a key that `portent key new` makes: 256 bits, so that its plain SHA-256 can't be guessed.
pub const KEY_BYTES: usize = 32;
/// Begins each key that `portent key new` makes, so that scanners for leaked secrets know one.
pub const KEY_PREFIX: &str = "portent_";
/// Keys in a file, at most.
pub const KEYS_MAX: usize = 1000;
/// Characters of a key's name, at most.
const NAME_CHARS_MAX: usize = 64;
const ENTRY_KEYS: &str = "name, sha256, scopes";

/// The keys of one file. At least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Keys(Vec<Entry>);

/// One key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// The person or machine that it belongs to.
    pub(super) name: Arc<str>,
    /// What it may do.
    pub(super) scopes: Arc<BTreeSet<Scope>>,
    sha256: Digest,
}

impl Keys {
    /// Reads the text of a keys file: a table `[[key]]` for each.
    ///
    /// # Errors
    /// The first mistake with its line. Never quotes a value, which may be a key by mistake, but for names and scopes
    /// that are none.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if let Some(offset) = whole_key(text) {
            let line = line_at(text, offset);
            return Err(format!(
                "line {line} holds a whole key, where its hash belongs: take it out, and make a new one with `portent key new`, \
                 since who reads the file could use this one"
            ));
        }
        let document = DeTable::parse(text).map_err(|error| {
            let line = line_at(text, error.span().map_or(0, |span| span.start));
            format!("line {line} is no TOML: {}", error.message())
        })?;
        let mut keys = Self(Vec::new());
        for (name, value) in document.get_ref() {
            let at = |because: &str| format!("line {}: {because}", line_at(text, name.span().start));
            let DeValue::Array(tables) = value.get_ref() else {
                return Err(at("is no key here: each key is a table `[[key]]`"));
            };
            if name.get_ref() != "key" {
                return Err(at("is no table here: each key is a table `[[key]]`"));
            }
            for table in tables.iter() {
                let line = line_at(text, table.span().start);
                let entry = Entry::read(table).map_err(|because| format!("line {line}: {because}"))?;
                keys.add(entry).map_err(|because| format!("line {line}: {because}"))?;
            }
        }
        if keys.0.is_empty() {
            return Err("names no key: make one with `portent key new`".to_owned());
        }
        Ok(keys)
    }

    fn add(&mut self, entry: Entry) -> Result<(), String> {
        if self.0.len() == KEYS_MAX {
            return Err(format!("this is more than {KEYS_MAX} keys"));
        }
        if self.0.iter().any(|other| other.name == entry.name) {
            return Err(format!("the name {:?} stands here for the second time", entry.name));
        }
        if let Some(other) = self.0.iter().find(|other| other.sha256 == entry.sha256) {
            return Err(format!("{:?} has the same key as {:?}: make one for each", entry.name, other.name));
        }
        self.0.push(entry);
        Ok(())
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The entry of a key that was offered. How long it takes tells neither where a match stands nor how close a miss
    /// was.
    pub(super) fn find(&self, offered: &str) -> Option<&Entry> {
        self.0.get(place_of(self.0.iter(), Digest::of_bytes(offered.as_bytes()))?)
    }
}

/// The place of the entry with that hash. Every entry is compared, whole, whatever was found before.
fn place_of<'a>(entries: impl Iterator<Item = &'a Entry>, offered: Digest) -> Option<usize> {
    let mut found = 0_u32;
    for (place, entry) in (1_u32..).zip(entries) {
        let is_same = entry.sha256.as_bytes()[..].ct_eq(&offered.as_bytes()[..]);
        found = u32::conditional_select(&found, &place, is_same);
    }
    usize::try_from(found).ok()?.checked_sub(1)
}

impl Entry {
    fn read(value: &Spanned<DeValue<'_>>) -> Result<Self, String> {
        let DeValue::Table(table) = value.get_ref() else {
            return Err("is no table: each key is a table `[[key]]`".to_owned());
        };
        let (mut name, mut sha256, mut scopes) = (None, None, None);
        for (key, value) in table {
            match key.get_ref().as_ref() {
                "name" => name = Some(name_of(value.get_ref())?),
                "sha256" => sha256 = Some(hash_of(value.get_ref())?),
                "scopes" => scopes = Some(scopes_of(value.get_ref())?),
                "key" => {
                    return Err(
                        "a key itself does not belong into this file: give its hash as `sha256`".to_owned()
                    );
                }
                _ => return Err(format!("an entry has a key that is unknown here; there are {ENTRY_KEYS}")),
            }
        }
        let missing = |key: &str| format!("an entry has no `{key}`; it needs {ENTRY_KEYS}");
        Ok(Self {
            name: name.ok_or_else(|| missing("name"))?,
            scopes: scopes.ok_or_else(|| missing("scopes"))?,
            sha256: sha256.ok_or_else(|| missing("sha256"))?,
        })
    }
}

/// Takes the name of a key's owner: short and printable, since it goes into logs.
///
/// # Errors
/// A sentence with what is allowed.
pub fn key_name(name: &str) -> Result<&str, String> {
    let is_fine = |char: char| char.is_ascii_alphanumeric() || "-_.@+/ ".contains(char);
    let is_short = (1..=NAME_CHARS_MAX).contains(&name.chars().count());
    if is_short && name.trim() == name && name.chars().all(is_fine) {
        return Ok(name);
    }
    Err(format!("a name has 1 to {NAME_CHARS_MAX} letters, digits, spaces and -_.@+/"))
}

fn name_of(value: &DeValue<'_>) -> Result<Arc<str>, String> {
    match value {
        DeValue::String(name) => key_name(name).map(Arc::from),
        _ => Err("`name` is no text: put it in quotes".to_owned()),
    }
}

fn hash_of(value: &DeValue<'_>) -> Result<Digest, String> {
    let way_out = "give the 64 hex digits that `portent key new` prints";
    let DeValue::String(text) = value else {
        return Err(format!("`sha256` is no text: {way_out}, in quotes"));
    };
    match Digest::from_str(&text.to_ascii_lowercase()) {
        Ok(empty) if empty == Digest::of_bytes(b"") => {
            Err(format!("`sha256` is the hash of nothing: {way_out}"))
        }
        Ok(digest) => Ok(digest),
        Err(_) => Err(format!("`sha256` is no SHA-256: {way_out}")),
    }
}

fn scopes_of(value: &DeValue<'_>) -> Result<Arc<BTreeSet<Scope>>, String> {
    let way_out = format!("give a list of {}", Scope::names());
    let DeValue::Array(items) = value else {
        return Err(format!("`scopes` is no list: {way_out}"));
    };
    let scope = |item: &Spanned<DeValue<'_>>| match item.get_ref() {
        DeValue::String(name) => Scope::of_name(name),
        _ => None,
    };
    match items.iter().map(scope).collect::<Option<BTreeSet<Scope>>>() {
        Some(scopes) if !scopes.is_empty() => Ok(Arc::new(scopes)),
        Some(_) => Err(format!("`scopes` is empty, so that the key may do nothing: {way_out}")),
        None => Err(format!("`scopes` names one that there is not: {way_out}")),
    }
}

/// Where a key itself stands in a text, in a comment too.
fn whole_key(text: &str) -> Option<usize> {
    let is_key = |rest: &str| {
        let digits = rest.bytes().skip(KEY_PREFIX.len()).take(2 * KEY_BYTES);
        digits.filter(u8::is_ascii_hexdigit).count() == 2 * KEY_BYTES
    };
    let mut places = text.match_indices(KEY_PREFIX).map(|(offset, _)| offset);
    places.find(|offset| text.get(*offset..).is_some_and(is_key))
}

/// The line, from 1, in which a byte of a text stands.
fn line_at(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use proptest::prelude::*;

    use super::*;

    fn entry(name: &str, key: &str, scopes: &str) -> String {
        let sha256 = Digest::of_bytes(key.as_bytes());
        format!("[[key]]\nname = \"{name}\"\nsha256 = \"{sha256}\"\nscopes = [{scopes}]\n")
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(Keys::parse(text).unwrap_err(), expected, "for:\n{text}");
    }

    #[test]
    fn a_key_is_found_by_its_text_alone() {
        let text = entry("ann", "k1", "'read', 'operate'")
            + &entry("ci", "k2", "'ingest'")
                .to_uppercase()
                .replace("[[KEY]]\nNAME", "[[key]]\nname")
                .replace("SHA256", "sha256")
                .replace("SCOPES", "scopes")
                .replace("INGEST", "ingest");
        let keys = Keys::parse(&text).unwrap();
        assert_eq!(keys.find("k1").unwrap().name.as_ref(), "ann");
        assert_eq!(
            keys.find("k1").unwrap().scopes.iter().copied().collect::<Vec<_>>(),
            [Scope::Read, Scope::Operate]
        );
        assert_eq!(keys.find("k2").unwrap().name.as_ref(), "CI");
        for other in ["", "k", "k3", "K1", "ann", &Digest::of_bytes(b"k1").to_string()] {
            assert!(keys.find(other).is_none(), "{other:?}");
        }
    }

    #[test]
    fn every_entry_is_compared_wherever_the_match_stands() {
        let text: String = (0..50).map(|n| entry(&format!("n{n}"), &format!("k{n}"), "'read'")).collect();
        let keys = Keys::parse(&text).unwrap();
        for (key, place) in [("k0", Some(0)), ("k25", Some(25)), ("k49", Some(49)), ("none", None)] {
            let compared = Cell::new(0);
            let entries = keys.0.iter().inspect(|_| compared.set(compared.get() + 1));
            assert_eq!(place_of(entries, Digest::of_bytes(key.as_bytes())), place);
            assert_eq!(compared.get(), 50, "{key}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let sound = entry("a", "k", "'read'");
        check("", "names no key: make one with `portent key new`");
        check("key = []", "names no key: make one with `portent key new`");
        check("key = 'secret'", "line 1: is no key here: each key is a table `[[key]]`");
        check("\nname = 'a'", "line 2: is no key here: each key is a table `[[key]]`");
        check("[[keys]]", "line 1: is no table here: each key is a table `[[key]]`");
        check("key = ['secret']", "line 1: is no table: each key is a table `[[key]]`");
        check("[[key]]\n", "line 1: an entry has no `name`; it needs name, sha256, scopes");
        check(
            &(sound.clone() + "key = 'k'"),
            "line 1: a key itself does not belong into this file: give its hash as `sha256`",
        );
        check(
            &(sound.clone() + "x = 1"),
            "line 1: an entry has a key that is unknown here; there are name, sha256, scopes",
        );
        check(
            &(sound.clone() + &entry("a", "l", "'read'")),
            "line 5: the name \"a\" stands here for the second time",
        );
        check(
            &(sound.clone() + &entry("b", "k", "'read'")),
            "line 5: \"b\" has the same key as \"a\": make one for each",
        );
        check(
            &sound.replace("'read'", "'write'"),
            "line 1: `scopes` names one that there is not: give a list of read, ingest, operate, approve, admin",
        );
        check(
            &sound.replace("'read'", ""),
            "line 1: `scopes` is empty, so that the key may do nothing: give a list of read, ingest, operate, approve, admin",
        );
        check(
            &entry("a", "", "'read'"),
            "line 1: `sha256` is the hash of nothing: give the 64 hex digits that `portent key new` prints",
        );
        check(
            "[[key]]\nsha256 = 'abc'",
            "line 1: `sha256` is no SHA-256: give the 64 hex digits that `portent key new` prints",
        );
        check(
            &sound.replace("\"a\"", "\"a\\n\""),
            "line 1: a name has 1 to 64 letters, digits, spaces and -_.@+/",
        );
    }

    #[test]
    fn a_key_that_stands_in_the_file_by_mistake_is_not_repeated() {
        for text in [
            "[[key]]\nname = s3cr3t",
            "[[key]]\nname = \"s3cr3t\"\nsha256 = \"s3cr3t\"",
            "[[key]]\nkey = \"s3cr3t\"",
            "[[key]]\nscopes = \"s3cr3t\"",
            "s3cr3t",
            "\"s3cr3t\" = 1",
            "[[key]]\n\"s3cr3t\" = 1",
        ] {
            let error = Keys::parse(text).unwrap_err();
            assert!(!error.contains("s3cr3t"), "{error}");
        }
    }

    #[test]
    fn a_file_that_holds_a_whole_key_is_refused_wherever_it_stands() {
        let key = format!("{KEY_PREFIX}{}", "0aF9".repeat(16));
        let sound = entry("a", &key, "'read'");
        assert!(Keys::parse(&sound).is_ok());
        for text in [
            format!("{sound}#   {key}\n"),
            format!("{sound}# portent_{key}"),
            sound.replace("\"a\"", &format!("\"{key}\"")),
            sound.replace("sha256 = \"", &format!("sha256 = \"{key}")),
        ] {
            let error = Keys::parse(&text).unwrap_err();
            assert!(error.contains("holds a whole key") && !error.contains("0aF9"), "{error}\n{text}");
        }
        assert!(Keys::parse(&format!("{sound}# {KEY_PREFIX}\n# {}", &key[..key.len() - 1])).is_ok());
    }

    #[test]
    fn more_keys_than_allowed_are_refused() {
        let text: String =
            (0..=KEYS_MAX).map(|n| entry(&format!("n{n}"), &format!("k{n}"), "'read'")).collect();
        assert!(Keys::parse(&text).unwrap_err().contains("more than 1000 keys"));
    }

    proptest! {
        #[test]
        fn no_text_panics_or_gives_a_key_without_a_name(text in "(\\PC|\n){0,200}") {
            if let Ok(keys) = Keys::parse(&text) {
                prop_assert!(keys.0.iter().all(|entry| !entry.name.is_empty() && !entry.scopes.is_empty()));
            }
        }

        #[test]
        fn no_broken_file_opens_the_door(cut in 0_usize..400, junk in "[\\[\\]=\"'\na-f0-9]{0,20}") {
            let whole = entry("ann", "k1", "'read'") + &entry("ci", "k2", "'ingest'");
            let cut = cut.min(whole.len());
            let text = format!("{}{junk}{}", &whole[..cut], &whole[cut..]);
            if let Ok(keys) = Keys::parse(&text) {
                for (key, entry) in [("k1", Scope::Read), ("k2", Scope::Ingest)] {
                    if let Some(found) = keys.find(key) {
                        prop_assert_eq!(found.scopes.iter().copied().collect::<Vec<_>>(), vec![entry]);
                    }
                }
                prop_assert!(keys.find("").is_none() && keys.find(&junk).is_none());
            }
        }
    }
}
