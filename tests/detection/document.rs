//! Keeps `docs/detectors.md` in step with the code that it describes.

use std::fs;
use std::path::Path;

use portent::detect::{Missing, Settings, Sides};
use portent::time::format_duration;

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).expect("the page and the tests are part of the tree")
}

#[test]
fn the_document_has_every_setting_with_its_default() {
    // Without `..`, so that a new setting has to be named here.
    let Settings {
        detector,
        combine,
        false_openings_per_day,
        budget,
        exit_score,
        sigma,
        baseline_points,
        scale_floor_absolute,
        scale_floor_relative,
        sides,
        min_deviation_absolute,
        min_deviation_relative,
        open_points,
        open_window,
        strong_points,
        strong_score,
        clear_points,
        min_confidence,
        adopt_after,
        missing,
        zone,
        valid,
        volume,
    } = Settings::default();
    let direction = match sides {
        Sides::Both => "both",
        Sides::Up => "up",
        Sides::Down => "down",
    };
    let (missing, lost_after) = match missing {
        Missing::Ignore => ("ignore", String::new()),
        Missing::Alert { after } => ("alert", format_duration(after)),
    };
    let edge = |edge: Option<f64>| edge.map_or("none".to_owned(), |edge| edge.to_string());
    let least = volume.as_ref().map_or(0.0, |least| least.least);
    let rows = [
        ("detector", detector.to_string()),
        ("combine", combine.as_str().to_owned()),
        ("false_openings_per_day", false_openings_per_day.to_string()),
        ("budget", budget.map_or_else(|| "none".to_owned(), |allotment| allotment.budget.to_string())),
        ("exit_score", exit_score.to_string()),
        ("sigma", sigma.to_string()),
        ("baseline_points", baseline_points.to_string()),
        ("scale_floor_absolute", format!("{scale_floor_absolute:e}")),
        ("scale_floor_relative", scale_floor_relative.to_string()),
        ("direction", direction.to_owned()),
        ("min_deviation_absolute", min_deviation_absolute.to_string()),
        ("min_deviation_relative", min_deviation_relative.to_string()),
        ("open_points", open_points.to_string()),
        ("open_window", open_window.to_string()),
        ("strong_points", strong_points.to_string()),
        ("strong_score", strong_score.to_string()),
        ("clear_points", clear_points.to_string()),
        ("min_confidence", min_confidence.to_string()),
        ("adopt_after", format_duration(adopt_after)),
        ("missing", missing.to_owned()),
        ("lost_after", lost_after),
        ("valid_min", edge(valid.min)),
        ("valid_max", edge(valid.max)),
        ("min_volume", least.to_string()),
        ("volume_signal", String::new()),
        ("timezone", zone.name().to_owned()),
    ];
    let document = read("docs/detectors.md");
    for (name, default) in rows {
        let row = format!("| `{name}` | {default} |");
        assert!(document.contains(&row), "no row begins with {row}");
    }
}

#[test]
fn every_test_that_the_document_names_exists() {
    let files = [
        "drifts",
        "detectors",
        "fleet_day",
        "gaps",
        "impurities",
        "ladder",
        "levels",
        "lives",
        "opening",
        "overrides",
        "properties",
        "rates",
        "seasons",
        "snapshots",
        "spikes",
        "symmetries",
        "table",
        "traces",
        "windows",
    ];
    let mut tests: String = files.map(|file| read(&format!("tests/detection/{file}.rs"))).concat();
    for file in [
        "tests/simulation.rs",
        "tests/it/detectors.rs",
        "tests/it/files.rs",
        "src/detect/panel/claims.rs",
        "src/config/trials/overrides.rs",
        "src/engine/tests/resumed.rs",
        "src/runtime/snapshot/file.rs",
    ] {
        tests.push_str(&read(file));
    }
    for file in ["claims", "level", "range"] {
        tests.push_str(&read(&format!("src/detect/detectors/{file}.rs")));
    }
    let document = read("docs/detectors.md");
    // A claim is a name of at least four words; so is one setting.
    let names = document.split('`').skip(1).step_by(2).filter(|code| {
        *code != "false_openings_per_day"
            && !code.starts_with("portent_")
            && code.chars().all(|c| c.is_ascii_lowercase() || c == '_')
            && code.matches('_').count() >= 3
    });
    let mut count = 0;
    for name in names {
        assert!(tests.contains(&format!("fn {name}(")), "no test is called {name}");
        count += 1;
    }
    assert!(count >= 20, "only {count} tests are named");
}
