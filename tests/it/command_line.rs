//! The command line, as a person or a script uses it.

use std::process::Output;

use assert_cmd::Command;

fn portent(arguments: &[&str]) -> Output {
    Command::cargo_bin("portent").unwrap().args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_cycle_of_the_demo_catches_every_fault_and_nothing_else() {
    let output = portent(&["demo", "--speed", "60", "--cycles", "1", "--seed", "3", "--output", "json"]);
    let card: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(card["faults"], 5, "{card:#}");
    assert_eq!(card["caught"], 5, "{card:#}");
    assert_eq!(card["false_incidents"], serde_json::json!([]), "{card:#}");
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn a_sound_config_passes_and_a_broken_one_names_every_mistake() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("portent.toml");
    std::fs::write(&file, "[signal.up]\nquery = \"up\"\n").unwrap();
    let sound = portent(&["check", "config", file.to_str().unwrap()]);
    assert!(sound.status.success(), "{}", text(&sound.stderr));
    assert!(text(&sound.stdout).contains("up"), "{}", text(&sound.stdout));

    std::fs::write(&file, "[signal.up]\nquery = \"up[\"\nsigma = 42\nintervall = \"5m\"\n").unwrap();
    let broken = portent(&["check", "config", file.to_str().unwrap()]);
    assert_eq!(broken.status.code(), Some(1));
    let report = text(&broken.stderr);
    for part in [":2", "query", ":3", "42", ":4", "intervall", "interval"] {
        assert!(report.contains(part), "{part} is missing in:\n{report}");
    }
}

#[test]
fn a_recording_replays_to_one_incident_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("recording.csv");
    let mut rows = vec!["time,service,error_rate,request_rate".to_owned()];
    for n in 0..60 {
        let wave = if n % 2 == 0 { 0.02 } else { -0.02 };
        let errors = if (40..44).contains(&n) { 9.0 } else { 0.5 + wave };
        rows.push(format!("{},checkout,{errors},{}", 1_700_000_000 + n * 15, 45.0 + wave));
    }
    // Rows may come in any order.
    rows[1..].reverse();
    std::fs::write(&file, rows.join("\n")).unwrap();
    let output = portent(&["replay", file.to_str().unwrap()]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let lines: Vec<serde_json::Value> =
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 1, "{lines:#?}");
    let incident = &lines[0];
    assert_eq!(incident["anomalies"][0]["signal"], "error_rate");
    assert_eq!(incident["anomalies"][0]["onset"], 1_700_000_600.0);
    assert_eq!(incident["anomalies"][0]["until"], 1_700_000_645.0);
    assert_eq!(incident["diagnoses"][0]["hypotheses"][0]["cause"], "failure");
    assert_eq!(
        output.stdout,
        portent(&["replay", file.to_str().unwrap()]).stdout,
        "a replay is the same each time"
    );
}

#[test]
fn a_recording_that_is_none_is_refused_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("recording.csv");
    std::fs::write(&file, "time,service,cpu\n1,a,0.5\n2,a,oops\n").unwrap();
    let output = portent(&["replay", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let error = text(&output.stderr);
    assert!(error.contains("recording.csv") && error.contains('3') && error.contains("oops"), "{error}");
}

#[test]
fn help_and_version_teach() {
    let help = text(&portent(&["--help"]).stdout);
    for word in ["demo", "run", "check", "replay"] {
        assert!(help.contains(word), "{word} is missing in:\n{help}");
    }
    assert!(text(&portent(&["--version"]).stdout).starts_with("portent "));
}

#[test]
fn a_config_file_that_is_not_there_is_named() {
    let output = portent(&["run", "--config.file=/nonexistent/portent.toml"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("/nonexistent/portent.toml"), "{}", text(&output.stderr));
}

#[test]
fn the_environment_stands_over_the_file_and_is_named_where_it_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("portent.toml");
    std::fs::write(
        &file,
        "[signal.up]\nquery = \"up\"\ndetector = \"classic\"\nopen_points = 3\nopen_window = 3\nsigma = 4\n",
    )
    .unwrap();
    let check = |name: &str, value: &str| {
        let mut command = Command::cargo_bin("portent").unwrap();
        command.env(name, value).args(["check", "config", file.to_str().unwrap()]).output().unwrap()
    };
    let sound = check("PORTENT__SIGNAL__UP__SIGMA", "5");
    assert!(text(&sound.stdout).contains("5.00 sigma"), "{}", text(&sound.stdout));
    let broken = check("PORTENT__SIGNAL__UP__SIGMA", "42");
    assert_eq!(broken.status.code(), Some(1));
    assert!(text(&broken.stderr).contains("PORTENT__SIGNAL__UP__SIGMA"), "{}", text(&broken.stderr));
}

#[test]
fn a_demo_whose_port_is_taken_says_so_and_ends() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut command = Command::cargo_bin("portent").unwrap();
    // The limit is for the defect of not ending at all.
    command.timeout(std::time::Duration::from_secs(60)).args(["demo", "--web.listen-address", &address]);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains(&address), "{}", text(&output.stderr));
}

#[test]
fn the_demo_listens_for_other_machines_where_it_is_told_that_it_may() {
    let demo = |more: &[&str]| {
        let mut command = Command::cargo_bin("portent").unwrap();
        let args = ["demo", "--speed", "1000", "--cycles", "1", "--output", "json"];
        command.timeout(std::time::Duration::from_secs(120)).args(args);
        command.args(["--web.listen-address", "0.0.0.0:0"]).args(more).output().unwrap()
    };
    let refused = demo(&[]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(text(&refused.stderr).contains("--web.allow-without-keys"), "{}", text(&refused.stderr));
    let let_in = demo(&["--web.allow-without-keys"]);
    let card: serde_json::Value = serde_json::from_slice(&let_in.stdout)
        .unwrap_or_else(|_| panic!("no score card: {}", text(&let_in.stderr)));
    assert_eq!(card["faults"], 5, "{card:#}");
}
