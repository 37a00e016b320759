//! The dashboards, as far as a file can be judged; `panels` runs their queries.

use std::collections::BTreeSet;

use serde_json::Value;

use super::shipped::{json, path};

/// The schema of the Grafana that docker-compose.yml pins.
const SCHEMA_VERSION: u64 = 42;
/// The columns of Grafana's grid.
const GRID_WIDTH: u64 = 24;
/// Wider ones hide their neighbours on a laptop.
const PANEL_WIDTH_MAX: u64 = 12;

/// The dashboards with the names of their files.
pub(crate) fn dashboards() -> Vec<(String, Value)> {
    let mut files: Vec<String> = std::fs::read_dir(path("dashboards"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    files.sort();
    assert_eq!(files, ["overview.json", "self.json", "series.json"]);
    files.into_iter().map(|file| (file.clone(), json(&format!("dashboards/{file}")))).collect()
}

/// The panels that show something: rows only group them.
pub(crate) fn panels(dashboard: &Value) -> Vec<Value> {
    let all = dashboard["panels"].as_array().unwrap().iter();
    all.filter(|panel| panel["type"] != "row").cloned().collect()
}

#[test]
fn a_dashboard_keeps_its_address_and_says_what_it_is() {
    let mut uids = BTreeSet::new();
    for (file, dashboard) in dashboards() {
        let uid = dashboard["uid"].as_str().unwrap().to_owned();
        assert!((8..=40).contains(&uid.len()), "{file}: {uid}");
        assert!(uids.insert(uid), "{file}: its uid is taken");
        assert_eq!(dashboard["schemaVersion"], SCHEMA_VERSION, "{file}");
        assert_eq!(dashboard["timezone"], "browser", "{file}");
        assert!(dashboard.get("id").is_none(), "{file}: an id belongs to one Grafana");
        assert!(dashboard["description"].as_str().is_some_and(|text| text.len() > 20), "{file}");
    }
    assert_eq!(
        uids,
        BTreeSet::from(["portent-overview", "portent-self", "portent-series"].map(str::to_owned))
    );
}

#[test]
fn every_panel_and_every_query_uses_the_data_source_that_is_chosen() {
    for (file, dashboard) in dashboards() {
        let variables = dashboard["templating"]["list"].as_array().unwrap();
        assert_eq!(variables[0]["name"], "datasource", "{file}: what the other variables need comes first");
        assert_eq!(
            (&variables[0]["type"], &variables[0]["query"]),
            (&"datasource".into(), &"prometheus".into())
        );
        let chosen = serde_json::json!({"type": "prometheus", "uid": "${datasource}"});
        for variable in variables.iter().filter(|variable| variable["type"] == "query") {
            assert_eq!(variable["datasource"], chosen, "{file}: {}", variable["name"]);
        }
        for panel in panels(&dashboard) {
            assert_eq!(panel["datasource"], chosen, "{file}: {}", panel["title"]);
            let targets = panel["targets"].as_array().unwrap();
            assert!(!targets.is_empty(), "{file}: {}", panel["title"]);
            for target in targets {
                assert_eq!(target["datasource"], chosen, "{file}: {}", panel["title"]);
            }
        }
    }
}

#[test]
fn every_panel_has_a_title_a_description_a_unit_and_thresholds() {
    for (file, dashboard) in dashboards() {
        let mut ids = BTreeSet::new();
        for panel in dashboard["panels"].as_array().unwrap() {
            assert!(ids.insert(panel["id"].as_u64().unwrap()), "{file}: {} has a taken id", panel["title"]);
            assert!(panel["title"].as_str().is_some_and(|title| !title.is_empty()), "{file}: {panel}");
        }
        for panel in panels(&dashboard) {
            let title = &panel["title"];
            let kinds = ["timeseries", "stat", "state-timeline"];
            assert!(kinds.contains(&panel["type"].as_str().unwrap()), "{file}: {title}");
            assert!(panel["description"].as_str().is_some_and(|text| text.len() > 20), "{file}: {title}");
            let defaults = &panel["fieldConfig"]["defaults"];
            assert!(defaults["unit"].as_str().is_some_and(|unit| !unit.is_empty()), "{file}: {title}");
            let steps = defaults["thresholds"]["steps"].as_array().unwrap();
            assert!(steps[0]["value"].is_null(), "{file}: {title}: the first step has no bound");
            let bounds: Vec<f64> = steps[1..].iter().map(|step| step["value"].as_f64().unwrap()).collect();
            assert!(bounds.windows(2).all(|pair| pair[0] < pair[1]), "{file}: {title}: {bounds:?}");
            let refs: BTreeSet<&str> = panel["targets"]
                .as_array()
                .unwrap()
                .iter()
                .map(|target| target["refId"].as_str().unwrap())
                .collect();
            assert_eq!(refs.len(), panel["targets"].as_array().unwrap().len(), "{file}: {title}");
        }
    }
}

#[test]
fn no_panel_lies_over_another_or_beyond_the_grid() {
    for (file, dashboard) in dashboards() {
        let mut taken = BTreeSet::new();
        for panel in dashboard["panels"].as_array().unwrap() {
            let [x, y, w, h] = ["x", "y", "w", "h"].map(|key| panel["gridPos"][key].as_u64().unwrap());
            let title = &panel["title"];
            assert!(w > 0 && h > 0 && x + w <= GRID_WIDTH, "{file}: {title}");
            assert!(panel["type"] == "row" || w <= PANEL_WIDTH_MAX, "{file}: {title} is {w} wide");
            for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
                assert!(taken.insert(cell), "{file}: {title} lies over another at {cell:?}");
            }
        }
    }
}

#[test]
fn the_overview_leads_to_the_series() {
    let dashboards = dashboards();
    let [overview, series] = ["overview.json", "series.json"].map(|name| {
        dashboards.iter().find(|(file, _)| file == name).map(|(_, dashboard)| dashboard).unwrap()
    });
    let to_series = format!("/d/{}", series["uid"].as_str().unwrap());
    let linked = panels(overview).into_iter().filter(|panel| {
        panel["links"].as_array().is_some_and(|links| links.iter().any(|link| link["url"] == *to_series))
    });
    assert_eq!(linked.count(), 2);
}

#[test]
fn a_dashboard_leads_to_the_agent_and_to_the_other() {
    for (file, dashboard) in dashboards() {
        let links = dashboard["links"].as_array().unwrap();
        let to_agent =
            links.iter().filter(|link| link["url"].as_str().is_some_and(|url| url.starts_with("${agent}/")));
        assert!(to_agent.count() >= 2, "{file}");
        let variables = dashboard["templating"]["list"].as_array().unwrap();
        assert!(variables.iter().any(|variable| variable["name"] == "agent"), "{file}");
        assert!(
            links.iter().any(|link| link["type"] == "dashboards" && link["tags"] == dashboard["tags"]),
            "{file}"
        );
    }
}
