//! Tries each rule on files that break it and on files that only look so.

use crate::*;

/// Expects one finding for each fragment, in this order, with the fragment in it.
#[track_caller]
fn check(rule: Rule, path: &str, text: &str, expected: &[&str]) {
    let findings = rule(&File { path: path.to_owned(), text: text.to_owned() });
    let fits = findings.len() == expected.len()
        && findings.iter().zip(expected).all(|(finding, fragment)| finding.contains(fragment));
    assert!(fits, "{path}: {text}\nexpected {expected:#?}\nfound {findings:#?}");
}

#[test]
fn an_arrow_against_the_table_is_found() {
    let check = |text, expected| check(forbidden_arrows, "src/detect/classic.rs", text, expected);
    check(
        "use crate::engine::Event;",
        &["src/detect/classic.rs:1: detect -> engine; `detect` may use id, series, time"],
    );
    check("\n\nfn f(x: crate::store::Row) {}", &["rs:3: detect -> store"]);
    check(
        "use crate::{series::Key, incident::{self, Phase}, llm as l};",
        &["-> incident", "-> incident", "-> llm"],
    );
    check("use crate::{\n    time,\n    api,\n};", &["rs:3: detect -> api"]);
    check("pub use crate::correlate::*;", &["-> correlate"]);
    check("#[cfg(test)] mod tests { use crate::replay::run; }", &["-> replay"]);
    check("macro_rules! m { () => { $crate::engine::step() } }", &["-> engine"]);
}

#[test]
fn a_way_around_the_table_is_found() {
    check(forbidden_arrows, "src/time.rs", "use super::engine;", &["time -> engine; `time` may use nothing"]);
    check(forbidden_arrows, "src/detect/mod.rs", "use super::engine;", &["-> engine"]);
    check(forbidden_arrows, "src/detect/a.rs", "use super::super::engine;", &["-> engine"]);
    check(forbidden_arrows, "src/detect/a.rs", "mod b { use super::super::super::engine; }", &["-> engine"]);
    check(forbidden_arrows, "src/detect/a.rs", "use crate::*;", &["-> *"]);
    check(forbidden_arrows, "src/detect/a.rs", "use crate as all;", &["-> the whole crate"]);
    check(forbidden_arrows, "src/detect/a.rs", "use crate::Shortcut;", &["-> Shortcut"]);
    check(forbidden_arrows, "src/engine/a.rs", "use crate::app;", &["engine -> app"]);
}

#[test]
fn an_arrow_of_the_table_is_no_finding() {
    let check = |text| check(forbidden_arrows, "src/detect/classic.rs", text, &[]);
    check("use crate::{series::{Key, Labels}, time::Timestamp};");
    check("pub(crate) fn f() {} pub(in crate::detect) fn g() -> crate::detect::Verdict {}");
    check("use super::engine; mod tests { use super::*; use super::super::Gate; }");
    check("// use crate::engine;\n/* crate::api */ /// [`crate::store`]\nfn f() {}");
    check("const TEXT: &str = \"crate::engine\"; const RAW: &str = r#\"\"crate::api\"\"#;");
    check("let engine = other_crate::engine::start(self::store::x);");
}

#[test]
fn a_room_without_a_row_is_found() {
    check(forbidden_arrows, "src/teapot/mod.rs", "", &["room `teapot` stands in no row"]);
    check(forbidden_arrows, "src/teapot.rs", "", &["room `teapot`"]);
    check(forbidden_arrows, "src/main.rs", "use crate::{engine, cli};", &[]);
    check(forbidden_arrows, "demo-service/src/wave.rs", "use crate::faults;", &[]);
}

#[test]
fn a_crate_beyond_its_room_is_found() {
    check(escaped_crates, "src/engine/step.rs", "use sqlx::Row;", &["step.rs:1: `sqlx` stops at store"]);
    check(escaped_crates, "src/runtime/a.rs", "#[derive(::sqlx::FromRow)] struct R;", &["`sqlx`"]);
    check(
        escaped_crates,
        "src/api/a.rs",
        "use axum; use clap as c; extern crate sqlx;",
        &["`clap`", "`sqlx`"],
    );
    check(
        escaped_crates,
        "src/llm/a.rs",
        "use {async_openai::Client, utoipa_axum::router};",
        &["`utoipa_axum`"],
    );
    check(escaped_crates, "src/runtime/a.rs", "use portent_demo_service::Wave;", &["demo, app, cli"]);
    check(
        escaped_crates,
        "src/store/a.rs",
        "fn f() -> prometheus_client::Registry {}",
        &["`prometheus_client`"],
    );
}

#[test]
fn a_crate_in_its_room_is_no_finding() {
    check(escaped_crates, "src/store/sqlite.rs", "use sqlx::Row;", &[]);
    check(escaped_crates, "src/cli/run.rs", "#[derive(clap::Parser)] struct A;", &[]);
    check(escaped_crates, "src/store/metrics.rs", "use prometheus_client::registry::Registry;", &[]);
    check(escaped_crates, "src/engine/step.rs", "// sqlx::query\nlet sqlx = self.axum + \"clap::Arg\";", &[]);
}

#[test]
fn an_impure_core_is_found() {
    let check_in = |path, text, expected| check(impurities, path, text, expected);
    check_in("src/engine/a.rs", "async fn f() { g().await }", &["`async` in the core", "`await`"]);
    check_in("src/detect/a.rs", "use std::{time::{Duration, Instant}};", &["`Instant`"]);
    check_in("src/replay.rs", "let now = std::time::SystemTime::now();", &["`SystemTime`"]);
    check_in(
        "src/series/a.rs",
        "\nuse std::collections::{BTreeMap, HashMap, HashSet};",
        &["a.rs:2: `HashMap`", "`HashSet`"],
    );
    check_in("src/incident/a.rs", "tracing::info!(\"x\"); rand::random()", &["`tracing`", "`rand`"]);
    check_in("src/schedule/a.rs", "#[tokio::test] fn t() {}", &["`tokio`"]);
    check_in(
        "src/runtime/a.rs",
        "async fn f(map: HashMap<u8, Instant>) { tokio::task::yield_now().await }",
        &[],
    );
    check_in("src/diagnose/a.rs", "// an Instant in a HashMap\nlet (tokio, rand) = (\"async\", 1);", &[]);
}

#[test]
fn a_drawer_is_found() {
    check(drawers, "src/engine/utils.rs", "", &["`utils`"]);
    check(drawers, "tests/common/mod.rs", "", &["`common`"]);
    check(drawers, "src/types.rs", "", &["`types`"]);
    check(drawers, "src/utilisation/remodel.rs", "", &[]);
}

#[test]
fn what_has_grown_too_long_is_found() {
    let body = |lines: usize| format!("fn f() {{\n{}}}\n", "    g();\n".repeat(lines - 2));
    check(oversized, "src/a.rs", &body(FUNCTION_LINES_MAX), &[]);
    check(
        oversized,
        "src/a.rs",
        &body(FUNCTION_LINES_MAX + 1),
        &["src/a.rs:1: fn f has 101 lines, at most 100"],
    );
    check(oversized, "src/a.rs", &"\n".repeat(FILE_LINES_MAX), &[]);
    check(oversized, "src/a.rs", &"\n".repeat(FILE_LINES_MAX + 1), &["src/a.rs: 601 lines, at most 600"]);
}

#[test]
fn code_in_a_mod_file_is_found() {
    let contents =
        "//! What.\n#![allow(x)]\n#[cfg(test)]\nmod a;\npub(crate) mod b;\npub use self::a::{B, C};\nuse x;";
    check(more_than_contents, "src/a/mod.rs", contents, &[]);
    check(more_than_contents, "src/a/mod.rs", "mod a;\nfn f() {}", &["src/a/mod.rs:2: `fn` in a mod.rs"]);
    check(more_than_contents, "src/a/mod.rs", "pub(crate) struct A;", &["`struct`"]);
    check(more_than_contents, "src/a/mod.rs", "#[cfg(test)]\nmod tests { }", &["mod.rs:2: `mod`"]);
    check(more_than_contents, "src/a.rs", "fn f() {}", &[]);
}

#[test]
fn a_shortcut_is_found() {
    check(shortcuts, "tests/it/a.rs", "#[test]\n#[ignore = \"slow\"]\nfn f() {}", &["a.rs:2: `#[ignore]`"]);
    check(shortcuts, "src/a.rs", "#[cfg_attr(windows, ignore)] fn f() {}", &["`#[ignore]`"]);
    check(
        shortcuts,
        "src/a.rs",
        "fn f() { todo!() }\nfn g() { unimplemented!() }",
        &["`todo!`", "rs:2: `unimplemented!`"],
    );
    check(
        shortcuts,
        "tests/a.rs",
        "std::thread::sleep(x); use tokio::time::{self, sleep};",
        &["sleeps", "sleeps"],
    );
    check(shortcuts, "tests/a.rs", "time::sleep_until(x).await", &["sleeps"]);
    check(shortcuts, "tests/a.rs", "// todo!()\nlet todo = \"#[ignore]\"; clock.sleep(ignore);", &[]);
    check(shortcuts, "src/runtime/clock.rs", "tokio::time::sleep(x).await", &[]);
}
