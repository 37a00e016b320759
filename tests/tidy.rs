//! Holds the shape of the house: which room may use which, what the core may not touch, names and sizes.
//!
//! Every rule is a function from one source file to what is wrong in it. It works on tokens, so that prose in
//! comments and strings never counts, and it is tried on small files in `trials`: a rule that can't fail is a
//! defect.
#![expect(clippy::expect_used, reason = "a source tree that can't be read is a failed test")]

// The block makes `tests/tidy/` the folder of these modules.
mod tidy {
    pub(crate) mod rust;
    mod trials;
}

use std::fs;
use std::path::Path;

use tidy::rust::{Function, after_group, functions, mentions, tokens};

/// The rooms under `src/`, each with the rooms that it may use: rows above it only, and `*` is everything.
///
/// A new arrow is an architecture change: its commit says why, and changes `docs/architecture.md` too.
#[rustfmt::skip]
const ALLOWED: &[(&str, &[&str])] = &[
    // Words.
    ("id", &[]),
    ("time", &[]),
    ("secret", &[]),
    ("series", &["id", "time"]),
    // Core: values in, values out.
    ("detect", &["id", "series", "time"]),
    ("correlate", &["detect", "id", "time", "secret", "series"]),
    ("incident", &["correlate", "detect", "id", "time", "secret", "series"]),
    ("diagnose", &["incident", "correlate", "detect", "id", "time", "secret", "series"]),
    ("schedule", &["id", "time", "secret", "series"]),
    ("engine", &["diagnose", "incident", "correlate", "detect", "id", "time", "secret", "series"]),
    ("replay", &["engine", "schedule", "diagnose", "incident", "correlate", "detect",
        "id", "time", "secret", "series"]),
    ("backtest", &["replay", "engine", "incident", "detect", "id", "time", "secret", "series"]),
    // Ports: one outside world each.
    ("record", &["engine", "diagnose", "incident", "correlate", "detect", "id", "time", "secret", "series"]),
    ("transport", &["id", "time", "secret", "series"]),
    ("source", &["transport", "id", "time", "secret", "series"]),
    // Pure, but it speaks of what a source can be asked.
    ("discover", &["source", "detect", "id", "time", "secret", "series"]),
    ("store", &["record", "engine", "diagnose", "incident", "correlate", "detect",
        "id", "time", "secret", "series"]),
    ("llm", &["transport", "diagnose", "id", "time", "secret", "series"]),
    // Shell.
    ("telemetry", &["time"]),
    ("runtime", &["telemetry", "llm", "store", "source", "record", "backtest", "replay", "engine", "schedule",
        "diagnose", "incident", "correlate", "detect", "id", "time", "secret", "series"]),
    // Edge.
    ("api", &["config", "runtime", "telemetry", "store", "record", "replay", "engine", "diagnose", "incident",
        "correlate", "detect", "id", "time", "secret", "series"]),
    ("config", &["api", "runtime", "telemetry", "llm", "store", "source", "transport", "record", "replay", "engine",
        "schedule", "diagnose", "incident", "correlate", "detect", "id", "time", "secret", "series"]),
    // Top: the only place that names implementations.
    ("demo", &["*"]),
    ("cli", &["*"]),
    ("app", &["*"]),
    ("lib", &["*"]),
    ("main", &["*"]),
];

/// The one pair that looks at each other: `config` makes `api::Settings`, `api` shows how a reload went.
const MUTUAL: (&str, &str) = ("api", "config");

/// Crates that stop at a room, and the rooms or file names where they may be named.
const STOPS: &[(&str, &[&str])] = &[
    ("async_openai", &["llm"]),
    ("askama", &["cli"]),
    ("axum", &["api", "app", "demo"]),
    ("clap", &["cli", "main"]),
    ("portent_demo_service", &["demo", "app", "cli"]),
    ("prometheus_client", &["telemetry", "runtime", "metrics.rs"]),
    ("prometheus_http_query", &["source"]),
    ("sqlx", &["store"]),
    ("utoipa", &["api"]),
    ("utoipa_axum", &["api"]),
];

const CORE: &[&str] = &[
    "series",
    "detect",
    "correlate",
    "incident",
    "diagnose",
    "schedule",
    "engine",
    "replay",
    "backtest",
    "discover",
];

/// Words that break the core's promise to be a function of its arguments.
const IMPURE: &[(&str, &str)] = &[
    ("async", "the core is sans-I/O: return an effect"),
    ("await", "the core is sans-I/O: return an effect"),
    ("Instant", "time is an argument: take `now`"),
    ("SystemTime", "time is an argument: take `now`"),
    ("HashMap", "its order leaks into events: take IndexMap or BTreeMap"),
    ("HashSet", "its order leaks into events: take IndexSet or BTreeSet"),
];

const IMPURE_CRATES: &[(&str, &str)] = &[
    ("rand", "a replay must decide the same again"),
    ("tokio", "the core is sans-I/O: return an effect"),
    ("tracing", "the core returns what happened, the shell logs it"),
];

const BANNED_NAMES: &[&str] =
    &["utils", "util", "helpers", "helper", "common", "manager", "types", "misc", "model", "models"];

const FILE_LINES_MAX: usize = 600;
const FUNCTION_LINES_MAX: usize = 100;

// ---- Claims about the tree --------------------------------------------------------------------------------

#[test]
fn a_room_uses_only_what_its_row_allows() {
    hold(forbidden_arrows);
}

#[test]
fn third_party_crates_stop_at_their_room() {
    hold(escaped_crates);
}

#[test]
fn the_core_knows_no_clock_no_io_no_randomness() {
    hold(impurities);
}

#[test]
fn no_file_is_named_like_a_drawer() {
    hold(drawers);
}

#[test]
fn files_and_functions_stay_readable() {
    hold(oversized);
}

#[test]
fn a_mod_file_is_a_table_of_contents() {
    hold(more_than_contents);
}

#[test]
fn nothing_is_ignored_unfinished_or_slept_through() {
    hold(shortcuts);
}

#[test]
fn the_table_points_one_way() {
    for (row, (room, uses)) in ALLOWED.iter().enumerate() {
        let above = &ALLOWED[..row];
        assert!(above.iter().all(|(other, _)| other != room), "`{room}` has two rows");
        for used in uses.iter().filter(|used| **used != "*" && (*room, **used) != MUTUAL) {
            assert!(
                above.iter().any(|(other, _)| other == used),
                "`{room}` uses `{used}`, which is not above it"
            );
        }
    }
}

#[test]
fn the_architecture_page_names_tests_that_are_there_and_the_table_as_it_is() {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/architecture.md")).unwrap();
    let tree = tree();
    let codes = page.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
    let named: Vec<&str> = codes.filter_map(|code| Some(code.split_once(": ")?.1)).collect();
    assert!(named.len() > 10, "the page names its tests as `place: test`: {named:?}");
    for name in named {
        let is_there = tree.iter().any(|file| file.text.contains(&format!("fn {name}(")));
        assert!(is_there, "docs/architecture.md names the test {name}, which does not exist");
    }
    for (room, _) in ALLOWED {
        assert!(page.contains(&format!("`{room}`")), "docs/architecture.md does not name the room {room}");
    }
}

type Rule = fn(&File) -> Vec<String>;

#[track_caller]
fn hold(rule: Rule) {
    let findings: Vec<String> = tree().iter().flat_map(rule).collect();
    assert!(findings.is_empty(), "{} found:\n{}", findings.len(), findings.join("\n"));
}

// ---- Rules ------------------------------------------------------------------------------------------------

fn forbidden_arrows(file: &File) -> Vec<String> {
    let Some((room, depth)) = home(&file.path) else {
        return Vec::new();
    };
    let Some((_, allowed)) = ALLOWED.iter().find(|(row, _)| *row == room) else {
        return vec![format!("{}:1: room `{room}` stands in no row of ALLOWED", file.path)];
    };
    let fine = |target: &str| target == room || allowed.contains(&target) || allowed.contains(&"*");
    let list = if allowed.is_empty() { "nothing".to_owned() } else { allowed.join(", ") };
    mentions(&tokens(&file.text))
        .iter()
        .filter_map(|mention| Some((mention.line, mention.room(depth)?)))
        .filter(|(_, target)| !fine(target))
        .map(|(line, target)| format!("{}:{line}: {room} -> {target}; `{room}` may use {list}", file.path))
        .collect()
}

fn escaped_crates(file: &File) -> Vec<String> {
    let Some((room, _)) = home(&file.path) else {
        return Vec::new();
    };
    let name = file.path.rsplit('/').next().unwrap_or_default();
    let mut findings = Vec::new();
    for mention in mentions(&tokens(&file.text)) {
        let stop = STOPS.iter().find(|(stopped, _)| mention.names_crate(stopped));
        if let Some((stopped, places)) =
            stop.filter(|(_, places)| !places.contains(&room) && !places.contains(&name))
        {
            let places = places.join(", ");
            findings.push(format!("{}:{}: `{stopped}` stops at {places}", file.path, mention.line));
        }
    }
    findings
}

fn impurities(file: &File) -> Vec<String> {
    if home(&file.path).is_none_or(|(room, _)| !CORE.contains(&room)) {
        return Vec::new();
    }
    let tokens = tokens(&file.text);
    let words = tokens.iter().filter_map(|token| {
        let (word, why) = IMPURE.iter().find(|(word, _)| token.text == *word)?;
        Some(format!("{}:{}: `{word}` in the core; {why}", file.path, token.line))
    });
    let crates = mentions(&tokens).into_iter().filter_map(|mention| {
        let (name, why) = IMPURE_CRATES.iter().find(|(name, _)| mention.names_crate(name))?;
        Some(format!("{}:{}: `{name}` in the core; {why}", file.path, mention.line))
    });
    words.chain(crates).collect()
}

fn drawers(file: &File) -> Vec<String> {
    let parts = file.path.trim_end_matches(".rs").split('/');
    let banned = parts.filter(|part| BANNED_NAMES.contains(part));
    banned.map(|part| format!("{}: `{part}` names a drawer, not a noun of the domain", file.path)).collect()
}

fn oversized(file: &File) -> Vec<String> {
    let mut findings = Vec::new();
    let lines = file.text.lines().count();
    if lines > FILE_LINES_MAX {
        findings.push(format!("{}: {lines} lines, at most {FILE_LINES_MAX}", file.path));
    }
    for Function { name, line, lines } in functions(&tokens(&file.text)) {
        if lines > FUNCTION_LINES_MAX {
            findings.push(format!(
                "{}:{line}: fn {name} has {lines} lines, at most {FUNCTION_LINES_MAX}",
                file.path
            ));
        }
    }
    findings
}

fn more_than_contents(file: &File) -> Vec<String> {
    if !file.path.ends_with("/mod.rs") {
        return Vec::new();
    }
    let tokens = tokens(&file.text);
    let text = |index: usize| tokens.get(index).map_or("", |token| token.text.as_str());
    let mut at = 0;
    while at < tokens.len() {
        at = match text(at) {
            "#" if text(at + 1) == "!" => after_group(&tokens, at + 2),
            "#" => after_group(&tokens, at + 1),
            "pub" if text(at + 1) == "(" => after_group(&tokens, at + 1),
            "pub" => at + 1,
            "mod" if text(at + 2) == ";" => at + 3,
            "use" => at + 1 + tokens[at..].iter().take_while(|token| token.text != ";").count(),
            other => {
                return vec![format!("{}:{}: `{other}` in a mod.rs", file.path, tokens[at].line)];
            }
        };
    }
    Vec::new()
}

fn shortcuts(file: &File) -> Vec<String> {
    let tokens = tokens(&file.text);
    let mut findings = Vec::new();
    let mut find = |line: usize, what: &str| findings.push(format!("{}:{line}: {what}", file.path));
    for (index, token) in tokens.iter().enumerate() {
        let next = |offset: usize| tokens.get(index + offset).map_or("", |token| token.text.as_str());
        match token.text.as_str() {
            "todo" | "unimplemented" if next(1) == "!" => find(token.line, &format!("`{}!`", token.text)),
            "#" if next(1) == "[" => {
                let attribute = &tokens[index + 2..after_group(&tokens, index + 1)];
                let may_ignore = ["ignore", "cfg_attr"].contains(&next(2));
                if may_ignore && attribute.iter().any(|token| token.text == "ignore") {
                    find(token.line, "`#[ignore]`: a test runs or goes");
                }
            }
            _ => {}
        }
    }
    // Under `src/` this is clippy's to judge, where a reason can be given.
    let is_test = file.path.starts_with("tests/") || file.path.starts_with("benches/");
    for mention in mentions(&tokens).iter().filter(|_| is_test) {
        let mut pairs = mention.segments.windows(2);
        if pairs.any(|pair| ["thread", "time"].contains(&pair[0].as_str()) && pair[1].starts_with("sleep")) {
            find(mention.line, "sleeps: wait for the thing itself");
        }
    }
    findings
}

// ---- Reading the tree -------------------------------------------------------------------------------------

struct File {
    /// Relative to the root of the workspace, with forward slashes.
    path: String,
    text: String,
}

fn tree() -> Vec<File> {
    let mut files = Vec::new();
    for folder in ["src", "demo-service/src", "tests", "benches"] {
        collect(folder, &mut files);
    }
    for expected in ["src/lib.rs", "demo-service/src/lib.rs", "tests/tidy.rs"] {
        assert!(files.iter().any(|file| file.path == expected), "{expected} was not read");
    }
    files
}

fn collect(folder: &str, files: &mut Vec<File>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let Ok(entries) = fs::read_dir(root.join(folder)) else {
        return;
    };
    for entry in entries {
        let entry = entry.expect("a directory entry can be read");
        let path = format!("{folder}/{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            collect(&path, files);
        } else if path.ends_with(".rs") {
            let text = fs::read_to_string(entry.path()).expect("a source file is UTF-8");
            files.push(File { path, text });
        }
    }
}

/// The room of a file and how deep its module lies below the crate; `None` outside `src/`.
fn home(path: &str) -> Option<(&str, usize)> {
    let module = path.strip_prefix("src/")?.trim_end_matches(".rs").trim_end_matches("/mod");
    let room = module.split('/').next()?;
    let is_root = ["lib", "main"].contains(&module);
    Some((room, if is_root { 0 } else { module.split('/').count() }))
}
