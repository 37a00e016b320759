//! What Prometheus and Alertmanager are told.

use std::process::Command;

use serde_json::Value;

use super::promql::{catalogue, metrics_of};
use super::shipped::{path, text, texts, yaml};
use crate::it::support::has;

const RULES: &str = "config/prometheus/portent.rules.yml";
const RULE_TESTS: &str = "tests/fixtures/rules/portent_test.yml";

fn alerts() -> Vec<Value> {
    let rules = yaml(RULES);
    let groups = rules["groups"].as_array().unwrap();
    groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect()
}

#[track_caller]
fn passes(program: &str, arguments: &[&str]) {
    if !has(program) {
        return;
    }
    let output = Command::new(program).args(arguments).current_dir(path("")).output().unwrap();
    let said =
        [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    assert!(output.status.success(), "{program} {arguments:?}:\n{said}");
}

#[test]
fn prometheus_takes_its_config_and_the_rules() {
    passes("promtool", &["check", "config", "config/prometheus/prometheus.yml"]);
    passes("promtool", &["check", "rules", RULES]);
}

#[test]
fn every_alert_fires_when_it_should_and_only_then() {
    passes("promtool", &["test", "rules", RULE_TESTS]);
}

#[test]
fn alertmanager_takes_its_config() {
    passes("amtool", &["check-config", "config/alertmanager/alertmanager.yml"]);
}

#[test]
fn every_alert_asks_for_metrics_that_the_agent_has() {
    let catalogue = catalogue();
    for alert in alerts() {
        for metric in metrics_of(alert["expr"].as_str().unwrap()) {
            assert!(catalogue.contains(&metric), "{}: {metric} is no metric of the agent", alert["alert"]);
        }
    }
}

#[test]
fn every_alert_is_tried_both_ways_and_leads_to_a_way_out() {
    let tried = yaml(RULE_TESTS);
    let cases: Vec<&Value> = tried["tests"].as_array().unwrap().iter().collect();
    let operations = text("docs/operations.md");
    for alert in alerts() {
        let name = alert["alert"].as_str().unwrap();
        let expectations: Vec<bool> = cases
            .iter()
            .flat_map(|case| case["alert_rule_test"].as_array().unwrap())
            .filter(|test| test["alertname"] == name)
            .map(|test| {
                test.get("exp_alerts").and_then(Value::as_array).is_some_and(|alerts| !alerts.is_empty())
            })
            .collect();
        assert!(expectations.contains(&true) && expectations.contains(&false), "{name}: {expectations:?}");
        assert!(["critical", "warning"].contains(&alert["labels"]["severity"].as_str().unwrap()), "{name}");
        for key in ["summary", "description"] {
            assert!(alert["annotations"][key].as_str().is_some_and(|text| text.len() > 10), "{name}: {key}");
        }
        let runbook = alert["annotations"]["runbook"].as_str().unwrap();
        let anchor =
            runbook.strip_prefix("docs/operations.md#").unwrap_or_else(|| panic!("{name}: {runbook}"));
        let headings = operations.lines().filter_map(|line| line.strip_prefix("### "));
        let mut slugs = headings.map(|heading| heading.to_lowercase().replace(' ', "-"));
        assert!(slugs.any(|slug| slug == anchor), "{name}: docs/operations.md has no heading for {anchor}");
    }
}

#[test]
fn every_alert_has_a_receiver_that_exists() {
    let alertmanager = yaml("config/alertmanager/alertmanager.yml");
    let receivers: Vec<&str> =
        alertmanager["receivers"].as_array().unwrap().iter().map(|r| r["name"].as_str().unwrap()).collect();
    assert!(receivers.contains(&alertmanager["route"]["receiver"].as_str().unwrap()), "{receivers:?}");
    for rule in alertmanager["inhibit_rules"].as_array().unwrap() {
        let source = texts(&rule["source_matchers"])[0].to_owned();
        let known = alerts()
            .iter()
            .any(|alert| source.contains(&format!("\"{}\"", alert["alert"].as_str().unwrap())));
        assert!(known, "{source} names no alert of ours");
    }
}
