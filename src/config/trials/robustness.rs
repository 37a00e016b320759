//! Hostile input: nothing panics, and no key goes unread.

use proptest::prelude::*;

use super::super::load::DEFAULTS;
use super::super::reference::described;
use super::super::{DEMO, load, load_text};
use super::with_env;

#[test]
fn the_demo_config_is_sound() {
    let config = load_text("demo.toml", DEMO, [], &[]).unwrap();
    let names: Vec<&str> = config.signals.iter().map(|signal| signal.query.signal.as_str()).collect();
    assert_eq!(names, ["request_rate", "error_rate", "latency_p95", "cpu_usage", "memory_bytes"]);
    assert_eq!(config.incident.criticality.len(), 5);
}

/// Layer 0 itself passes, so each of its keys is read by somebody; and a key beside them is not.
#[test]
fn an_unknown_key_is_found_in_every_section() {
    let sections: Vec<String> = described().into_iter().map(|section| section.name).collect();
    let free = ["source.http.headers", "llm.http.headers", "incident.criticality"];
    for section in sections.iter().map(String::as_str).filter(|name| !free.contains(name)).chain(["signal.x"])
    {
        let query = if section == "signal.x" { "query = 'up'\n" } else { "" };
        let report = load_text("t", &format!("[{section}]\n{query}zzz = 1"), [], &[]).map(drop).unwrap_err();
        let expected = format!(": {section}.zzz: is no key of [{section}]: see docs/configuration.md");
        assert!(report.to_string().ends_with(&expected) && report.mistakes().len() == 1, "{report}");
    }
}

/// Each key of layer 0, given a value of every kind: the report names the key, or the value is fine.
#[test]
fn a_value_of_any_kind_is_taken_or_refused_by_name() {
    for section in described() {
        for key in &section.keys {
            let path = format!("{}.{}", section.name, key.name);
            for value in ["-1", "1e400", "nan", "true", "'\\u0000é'", "''", "[1]", "{ a = 1 }", "1979-05-27"]
            {
                let Err(report) = load_text("t", &format!("{path} = {value}"), [], &[]) else { continue };
                let text = report.to_string();
                assert!(text.contains(&path) || key.name == "enabled", "{path}: {text}");
                assert!(text.lines().all(|line| line.starts_with("t:1:")), "{path} = {value}: {text}");
            }
        }
    }
}

#[test]
fn a_hundred_signals_pass_and_one_more_does_not() {
    let signals = |count: usize| -> String {
        (0..count).map(|index| format!("[signal.s{index}]\nquery = 'up'\n")).collect()
    };
    assert_eq!(load_text("t", &signals(100), [], &[]).unwrap().signals.len(), 100);
    let report = load_text("t", &signals(101), [], &[]).unwrap_err().to_string();
    let expected = "t:201: signal.s100: \"s100\" and what follows are too many: 101 signals, at most 100";
    assert_eq!(report, expected);
}

#[test]
fn deep_nesting_is_refused_and_does_not_overflow_the_stack() {
    for open in ["[", "{a=", "{a=["] {
        assert!(load_text("t", &format!("x = {}", open.repeat(100_000)), [], &[]).is_err());
        assert!(with_env("", &[("PORTENT__X", &open.repeat(100_000))]).is_err());
    }
    assert!(load_text("t", &"a.".repeat(100_000), [], &[]).is_err());
    assert!(load_text("t", &format!("{}a = 1", "a.".repeat(20_000)), [], &[]).is_err());
    assert!(load_text("t", &format!("[{}a]", "a.".repeat(20_000)), [], &[]).is_err());
    assert!(with_env("", &[(&format!("PORTENT{}", "__A".repeat(100_000)), "1")]).is_err());
}

#[test]
fn a_file_that_cannot_be_a_config_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("portent.toml");
    let refused = |expected: &str| {
        let report = load(Some(&path), [], &[]).map(drop).unwrap_err().to_string();
        assert!(
            report.starts_with(&format!("{}: ", path.display())) && report.contains(expected),
            "{report}"
        );
    };
    refused("cannot be read (entity not found): give the path of a TOML file");
    std::fs::write(&path, b"[log]\n# \xff\xfe").unwrap();
    refused("is no UTF-8 in line 2: save it as UTF-8");
    std::fs::write(&path, "#".repeat((1 << 20) + 1)).unwrap();
    refused("is larger than 1048576 bytes");
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    refused("cannot be read (is a directory)");
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC{0,200}", toml in "[a-z\\[\\]{}='\"\\n._0-9, -]{0,120}") {
        let _ = load_text("t", &text, [], &[]);
        let _ = load_text("t", &toml, [("PORTENT__SIGNAL__X".to_owned(), toml.clone())], &[]);
    }

    #[test]
    fn no_damage_to_a_config_panics_and_every_refusal_has_a_place(
        at in 0..DEFAULTS.len(),
        drop in 0..40_usize,
        insert in prop::sample::select(vec!["", "=", "\"", "[", "]", "\n", "é", "0", "-", "{", "\u{0}", "'''", "."]),
    ) {
        let mut damaged: Vec<u8> = DEFAULTS.bytes().collect();
        let end = (at + drop).min(damaged.len());
        damaged.splice(at..end, insert.bytes());
        let text = format!("{}\n{DEMO}", String::from_utf8_lossy(&damaged));
        if let Err(report) = load_text("t", &text, [], &[]) {
            for mistake in report.mistakes() {
                prop_assert!(mistake.place.line > 0, "{mistake}");
            }
        }
    }

    #[test]
    fn bytes_from_a_file_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = load_text("t", &String::from_utf8_lossy(&bytes), [], &[]);
    }
}
