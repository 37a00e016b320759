//! `deploy/portent.service`.

use std::process::Command;

use super::shipped::{path, text, understands};
use crate::it::support::has;

const UNIT: &str = "deploy/portent.service";

/// The unit's settings as (section, key, value).
fn settings() -> Vec<(String, String, String)> {
    let mut section = String::new();
    let mut settings = Vec::new();
    for line in text(UNIT).lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = name.to_owned();
        } else {
            let (key, value) = line.split_once('=').unwrap_or_else(|| panic!("{line} is no setting"));
            settings.push((section.clone(), key.to_owned(), value.to_owned()));
        }
    }
    settings
}

#[track_caller]
fn service(key: &str) -> String {
    let settings = settings();
    let found = settings.iter().find(|(section, name, _)| section == "Service" && name == key);
    found.unwrap_or_else(|| panic!("{key} is missing")).2.clone()
}

#[test]
fn the_unit_starts_what_the_binary_understands_and_checks_the_same_config_before() {
    let (start, before) = (service("ExecStart"), service("ExecStartPre"));
    let program = "/usr/local/bin/portent ";
    let arguments = |line: &str| -> Vec<String> {
        let rest = line.strip_prefix(program).unwrap_or_else(|| panic!("{line}"));
        rest.split(' ').map(str::to_owned).collect()
    };
    for line in [&start, &before] {
        let arguments = arguments(line);
        understands(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    }
    let config = arguments(&before)[2].clone();
    assert!(start.contains(&format!("--config.file={config}")), "{start} does not read {config}");
}

#[test]
fn the_unit_writes_into_its_state_directory_alone() {
    let state = format!("/var/lib/{}", service("StateDirectory"));
    assert!(service("ExecStart").contains(&format!("--storage.path={state}/")));
    assert_eq!(service("WorkingDirectory"), format!("%S/{}", service("StateDirectory")));
    assert_eq!((service("ProtectSystem"), service("DynamicUser")), ("strict".to_owned(), "yes".to_owned()));
    assert!(settings().iter().all(|(_, key, _)| key != "ReadWritePaths"), "nothing else is written");
}

#[test]
fn the_unit_reloads_restarts_and_waits_for_the_stop() {
    assert_eq!(service("ExecReload"), "/bin/kill -HUP $MAINPID");
    assert_eq!(service("Restart"), "on-failure");
    // Tasks and store have 15 s together, then what is left on threads has 5 s.
    let stop: u32 = service("TimeoutStopSec").parse().unwrap();
    assert!(stop > 15 + 5, "{stop} s");
}

#[test]
fn the_unit_gives_the_process_no_more_than_it_needs() {
    for (key, value) in [
        ("NoNewPrivileges", "yes"),
        ("CapabilityBoundingSet", ""),
        ("MemoryDenyWriteExecute", "yes"),
        ("RestrictAddressFamilies", "AF_INET AF_INET6 AF_UNIX"),
        ("SystemCallFilter", "@system-service"),
        ("PrivateDevices", "yes"),
        ("ProtectHome", "yes"),
        ("RestrictNamespaces", "yes"),
    ] {
        assert_eq!(service(key), value, "{key}");
    }
    let text = text(UNIT);
    assert!(text.contains("\n#LoadCredential=llm.key:/etc/portent/llm.key\n"), "an example for secrets");
    assert!(text.contains("/run/credentials/portent.service/llm.key"), "and where the config finds it");
}

#[test]
fn systemd_finds_nothing_wrong_with_the_unit_and_little_that_is_exposed() {
    if !has("systemd-analyze") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("portent.service");
    // The binary is not installed where the unit looks for it: this build stands in.
    let here = text(UNIT).replace("/usr/local/bin/portent", env!("CARGO_BIN_EXE_portent"));
    std::fs::write(&file, here).unwrap();
    let verified = Command::new("systemd-analyze").arg("verify").arg("--man=no").arg(&file).output().unwrap();
    let said = String::from_utf8_lossy(&verified.stderr);
    assert!(verified.status.success() && !said.contains("portent.service"), "{said}");
    // In tenths: systemd calls up to 1.9 "OK", and 9.6 is what a unit without any of this has.
    let security = Command::new("systemd-analyze")
        .args(["security", "--offline=true", "--threshold=15", "--no-pager"])
        .arg(path(UNIT))
        .output()
        .unwrap();
    assert!(security.status.success(), "{}", String::from_utf8_lossy(&security.stdout));
}
