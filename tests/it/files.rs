//! The commands that need no backend: files in, lines out.

use std::path::{Path, PathBuf};
use std::process::Output;

use assert_cmd::Command;
use portent::detect::Detector;
use serde_json::Value;
use tempfile::TempDir;

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }
}

fn portent(arguments: &[&str], file: &Path) -> Output {
    Command::cargo_bin("portent").unwrap().args(arguments).arg(file).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// `time,value` rows of a series that is ten times as high for ten minutes, from minute 200 on.
fn rows(minutes: std::ops::Range<i64>) -> Vec<String> {
    let value = |n: i64| if (200..210).contains(&n) { 1000 } else { 100 + n * 7 % 5 };
    minutes.map(|n| format!("{},{}", 1_700_000_000 + n * 60, value(n))).collect()
}

fn csv(header: &str, rows: &[String]) -> String {
    format!("{header}\n{}\n", rows.join("\n"))
}

/// The rows that were printed, split into their cells.
#[track_caller]
fn printed(output: &Output) -> Vec<Vec<&str>> {
    assert!(output.status.success(), "{}", text(&output.stderr));
    let mut lines = text(&output.stdout).lines();
    assert_eq!(lines.next(), Some("timestamp,value,expected,lower,upper,score,event"));
    lines.map(|line| line.split(',').collect()).collect()
}

fn events<'o>(rows: &[Vec<&'o str>]) -> Vec<(usize, &'o str)> {
    rows.iter().enumerate().filter(|(_, row)| !row[6].is_empty()).map(|(n, row)| (n, row[6])).collect()
}

#[test]
fn a_file_of_one_series_comes_back_row_by_row_with_what_was_known_then() {
    let folder = Folder::new();
    let rows_in = rows(0..300);
    let output = portent(&["detect"], &folder.file("cpu.csv", &csv("timestamp,value", &rows_in)));
    let out = printed(&output);
    assert!(out.iter().map(|row| format!("{},{}", row[0], row[1])).eq(rows_in.iter().cloned()));
    assert_eq!(out[0][2..], ["", "", "", "", ""], "nothing is known of the first sample");
    let [expected, lower, upper, score] = [2, 3, 4, 5].map(|cell| out[201][cell].parse::<f64>().unwrap());
    assert!(lower < expected && expected < upper && upper < 1000.0 && score > 1.0, "{:?}", out[201]);
    let events = events(&out);
    let [(opened, "open"), (closed, "close")] = events[..] else { panic!("{events:?}") };
    assert!((200..205).contains(&opened) && (210..230).contains(&closed), "{events:?}");
    assert!(output.stderr.is_empty(), "{}", text(&output.stderr));

    let half = portent(&["detect"], &folder.file("half.csv", &csv("timestamp,value", &rows_in[..203])));
    assert_eq!(printed(&half), out[..203], "a row knows of a later one");
    let named = portent(
        &["detect", "--detector", "classic"],
        &folder.file("cpu.csv", &csv("timestamp,value", &rows_in)),
    );
    assert_eq!(printed(&named).len(), out.len());
}

#[test]
fn late_repeated_and_empty_rows_stand_in_their_place_without_a_verdict() {
    let folder = Folder::new();
    let mut rows_in = rows(0..300);
    rows_in.insert(100, rows_in[99].clone());
    rows_in.insert(150, rows_in[120].clone());
    for (n, value) in [(50, "NaN"), (60, ""), (70, "-inf")] {
        let time = rows_in[n].split(',').next().unwrap().to_owned();
        rows_in[n] = format!("{time},{value}");
    }
    let file = folder.file("cpu.csv", &csv("timestamp,value", &rows_in));
    let output = portent(&["detect"], &file);
    let out = printed(&output);
    assert!(out.iter().map(|row| format!("{},{}", row[0], row[1])).eq(rows_in.iter().cloned()));
    let bare: Vec<usize> = (40..out.len()).filter(|n| out[*n][2].is_empty()).collect();
    assert_eq!(bare, [50, 60, 70, 100, 150]);
    let said = text(&output.stderr);
    assert!(
        said.contains("rows without a verdict: 1 late, 1 with the same time again, 3 without a value"),
        "{said}"
    );
    let events = events(&out);
    assert_eq!(events.iter().map(|(_, event)| *event).collect::<Vec<_>>(), ["open", "close"], "{events:?}");

    let strict = portent(&["detect", "--strict"], &file);
    assert_eq!(strict.status.code(), Some(1));
    let said = text(&strict.stderr);
    assert!(said.contains("cpu.csv: line 102: the time") && said.contains("again after line 101"), "{said}");
    let late = rows_in[0].clone();
    let file = folder.file("late.csv", &csv("timestamp,value", &[rows_in[1].clone(), late]));
    let said = portent(&["detect", "--strict"], &file);
    let said = text(&said.stderr);
    assert!(
        said.contains("late.csv: line 3: the time") && said.contains("after the later one of line 2"),
        "{said}"
    );
}

#[test]
fn columns_stand_anywhere_times_may_be_written_out_and_cells_come_back_as_they_came() {
    let folder = Folder::new();
    let file = folder
        .file("cpu.csv", "host,value,timestamp\na,\"1.50\",2026-01-31 08:00:00\nb, 2 ,2026-01-31 08:01:00\n");
    let output = portent(&["detect"], &file);
    let out = printed(&output);
    assert_eq!((out[0][0], out[0][1]), ("2026-01-31 08:00:00", "1.50"));
    assert_eq!((out[1][0], out[1][1]), ("2026-01-31 08:01:00", " 2 "));
}

#[test]
fn what_is_no_series_is_refused_with_file_line_and_way_out() {
    let folder = Folder::new();
    for (text_in, parts) in [
        ("", ["bad.csv: line 1", "give a header timestamp,value"]),
        ("timestamp,value\n", ["bad.csv: line 1", "a row for each sample"]),
        ("time,value\n1,2\n", ["bad.csv: line 1", "column \"timestamp\" is missing"]),
        ("timestamp,reading\n1,2\n", ["bad.csv: line 1", "column \"value\" is missing"]),
        ("timestamp,value\n1,2\n2,high\n", ["bad.csv: line 3", "\"high\" is no number: give one"]),
        ("timestamp,value\nnoon,2\n", ["bad.csv: line 2", "\"noon\" is no time: give Unix seconds"]),
        ("timestamp,value\n1,2,3\n", ["bad.csv: line 2", "remove the cells"]),
    ] {
        let output = portent(&["detect"], &folder.file("bad.csv", text_in));
        assert_eq!(output.status.code(), Some(1), "{text_in:?}");
        let said = text(&output.stderr);
        assert!(parts.iter().all(|part| said.contains(part)), "{text_in:?}: {said}");
        assert_eq!(said.lines().count(), 1, "{said}");
    }
    let missing = portent(&["detect"], &folder.0.path().join("nowhere.csv"));
    assert_eq!(missing.status.code(), Some(1));
    assert!(text(&missing.stderr).contains("nowhere.csv cannot be opened"), "{}", text(&missing.stderr));
}

#[test]
fn whoever_closes_the_output_has_seen_enough() {
    let folder = Folder::new();
    let series = folder.file("cpu.csv", &csv("timestamp,value", &rows(0..20_000)));
    let binary = assert_cmd::cargo::cargo_bin("portent");
    let mut child = std::process::Command::new(binary)
        .arg("detect")
        .arg(series)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stderr), "");
}

/// Four days at five minutes, then a rise by half that stands still.
fn four_days() -> Vec<String> {
    let value = |n: i64| if n < 1152 { 100.0 + (n * 7919 % 1009) as f64 / 300.0 } else { 150.0 };
    (0..1200).map(|n| format!("{},{}", 1_700_000_000 + n * 300, value(n))).collect()
}

#[test]
fn every_detector_judges_a_file_by_its_name() {
    let folder = Folder::new();
    let file = folder.file("cpu.csv", &csv("timestamp,value", &four_days()));
    let names = Detector::ALL.map(Detector::as_str);
    for name in names.into_iter().chain(["tail,flatline", "range, level"]) {
        let output = portent(&["detect", "--detector", name], &file);
        let out = printed(&output);
        let opened = events(&out).into_iter().find(|(_, event)| *event == "open").map(|(nth, _)| nth);
        assert!(opened.is_some_and(|nth| nth >= 1152), "{name}: {opened:?}");
    }
}

#[test]
fn a_detector_that_is_none_is_refused_with_those_that_there_are() {
    let folder = Folder::new();
    let file = folder.file("cpu.csv", &csv("timestamp,value", &rows(0..3)));
    let output = portent(&["detect", "--detector", "oracle"], &file);
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(said.contains("\"oracle\" is no detector: give one of tail"), "{said}");
    let output = portent(&["detect", "--detector", "tail,oracle"], &file);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("\"oracle\" is no detector"), "{}", text(&output.stderr));
}

#[test]
fn settings_of_a_config_apply_to_the_signal_named_value() {
    let folder = Folder::new();
    let file = folder.file("cpu.csv", &csv("timestamp,value", &rows(0..300)));
    let config = |text: &str| folder.file("portent.toml", text).display().to_string();
    let with = |text: &str| {
        let output = portent(&["detect", "--config.file", &config(text)], &file);
        events(&printed(&output)).len()
    };
    assert_eq!(with("[signal_defaults]\ndirection = \"up\"\n"), 2);
    assert_eq!(with("[signal_defaults]\ndirection = \"down\"\n"), 0);
    assert_eq!(with("[signal.value]\nquery = \"up\"\ndirection = \"down\"\n"), 0);
}

// ---- Recordings -------------------------------------------------------------------------------------------

/// Three services, one after the other, so that time begins again twice. `cart` fails from minute 100 on, `shop` one
/// minute later, and `shop` fails harder.
fn recording() -> String {
    let mut rows = vec!["time,service,latency,cpu".to_owned()];
    for (service, from, peak) in [("shop", 101, 40.0), ("cart", 100, 9.0), ("mail", 999, 0.0)] {
        for n in 0..120_i64 {
            let noise = 0.01 * (n * 7 % 5) as f64;
            let latency = if n >= from { peak } else { 0.5 + noise };
            let cpu = if n % 10 == 0 { String::new() } else { (0.2 + noise).to_string() };
            rows.push(format!("{},{service},{latency},{cpu}", 1_700_000_000 + n * 60));
        }
    }
    rows.push("1700000000,other,NaN,1".to_owned());
    // The same row again counts once.
    rows.push(rows[1].clone());
    rows.join("\n")
}

#[track_caller]
fn incidents(output: &Output) -> Vec<Value> {
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn first_services(incident: &Value) -> Vec<&str> {
    let diagnoses = incident["diagnoses"].as_array().unwrap();
    diagnoses.iter().map(|diagnosis| diagnosis["hypotheses"][0]["service"].as_str().unwrap()).collect()
}

#[test]
fn calls_between_services_move_the_cause_to_the_service_that_is_called() {
    let folder = Folder::new();
    let file = folder.file("day.csv", &recording());
    let alone = incidents(&portent(&["replay"], &file));
    let about = |incidents: &[Value], service: &str| {
        incidents.iter().find(|incident| incident["service"] == service).unwrap().clone()
    };
    assert_eq!(alone.len(), 2, "{alone:#?}");
    assert_eq!(first_services(&about(&alone, "shop")).last(), Some(&"shop"));

    let edges = folder.file("edges.csv", "source,target\nshop,cart\nshop,mail\n").display().to_string();
    let linked = incidents(&portent(&["replay", "--edges", &edges], &file));
    assert_eq!(first_services(&about(&linked, "shop")).last(), Some(&"cart"), "{linked:#?}");
    assert_eq!(first_services(&about(&linked, "cart")).last(), Some(&"cart"));
    assert_eq!(about(&alone, "cart"), about(&linked, "cart"), "it calls nobody");
}

#[test]
fn a_line_of_a_replay_has_what_scripts_need_and_nothing_of_the_future() {
    let folder = Folder::new();
    let text_in = recording();
    let whole = incidents(&portent(&["replay"], &folder.file("day.csv", &text_in)));
    let said = portent(&["replay"], &folder.file("day.csv", &text_in)).stderr;
    assert!(
        text(&said).contains("day.csv: cells that are NaN or infinite and count as empty: 1"),
        "{}",
        text(&said)
    );
    for incident in &whole {
        let opened_at = incident["opened_at"].as_f64().unwrap();
        assert!(incident["resolved_at"].is_null());
        assert!(["P0", "P1", "P2", "P3"].contains(&incident["severity"].as_str().unwrap()));
        for anomaly in incident["anomalies"].as_array().unwrap() {
            let time = |key: &str| anomaly[key].as_f64().unwrap();
            assert!(time("onset") <= time("detected_at") && time("detected_at") <= time("until"));
            assert!(time("score") > 1.0 && time("detected_at") <= opened_at);
            assert!(anomaly["service"].is_string() && anomaly["signal"].is_string());
        }
        for diagnosis in incident["diagnoses"].as_array().unwrap() {
            assert!(diagnosis["at"].as_f64().unwrap() >= opened_at);
            let first = &diagnosis["hypotheses"][0];
            assert!(first["text"].is_string() && first["score"].is_number() && first["signal"].is_string());
        }
    }
    // A recording that ends when the first incident was diagnosed says the same of it.
    let end = whole[0]["diagnoses"][0]["at"].as_f64().unwrap();
    let kept = text_in
        .lines()
        .filter(|line| line.split(',').next().unwrap().parse::<f64>().map_or(true, |time| time <= end));
    let cut = kept.collect::<Vec<_>>().join("\n");
    let then = incidents(&portent(&["replay"], &folder.file("cut.csv", &cut)));
    assert_eq!(then[0]["diagnoses"][0], whole[0]["diagnoses"][0]);
    assert_eq!(then[0]["opened_at"], whole[0]["opened_at"]);
}

#[test]
fn calls_that_cannot_be_read_are_refused_with_file_and_line() {
    let folder = Folder::new();
    let file = folder.file("day.csv", &recording());
    let edges = folder.file("edges.csv", "source,target\nshop,\n").display().to_string();
    let output = portent(&["replay", "--edges", &edges], &file);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.contains("edges.csv: line 2: column \"target\" is empty"), "{said}");
}
