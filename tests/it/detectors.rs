//! A running agent whose signals are each judged by another detector.

use std::collections::BTreeMap;

use portent::detect::Detector;
use portent_demo_service::{Schedule, World};
use serde_json::{Value, json};

use super::support::{Agent, Demo, eventually, real_clock};

#[tokio::test(flavor = "multi_thread")]
async fn every_detector_judges_in_the_agent_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let demo = Demo::start(World::new(43, Schedule::Off), real_clock()).await;
    let mut config = format!(
        "[source]\nurl = \"{}\"\nquery_delay = \"0s\"\nrequests_per_second = 10000\nburst = 10000\n\
         [signal_defaults]\nstep = \"1s\"\ninterval = \"1s\"\n\
         [runtime]\nhistory = \"2m\"\nfirst_look = \"1s\"\n",
        demo.url()
    );
    for detector in Detector::ALL {
        let name = detector.as_str();
        config += &format!("[signal.by_{name}]\nquery = \"demo_error_rate\"\ndetector = \"{name}\"\n");
    }
    config += "[signal.by_two]\nquery = \"demo_error_rate\"\ndetector = [\"flatline\", \"tail\"]\ncombine = \"all\"\n";
    let agent = Agent::start(folder.path(), &config);
    agent.ready().await;

    eventually("every signal is judged", || async {
        let status = agent.get("/api/v1/status").await?;
        let rows = status["signals"].as_array()?;
        let judged = rows.iter().filter(|row| row["judged_total"].as_u64().is_some_and(|count| count > 0));
        (judged.count() == Detector::ALL.len() + 1).then_some(())
    })
    .await;

    let signals = agent.get("/api/v1/signals").await.unwrap();
    let told: BTreeMap<&str, &Value> = signals["signals"]
        .as_array()
        .unwrap()
        .iter()
        .map(|signal| (signal["name"].as_str().unwrap(), &signal["detection"]))
        .collect();
    for detector in Detector::ALL {
        let name = detector.as_str();
        assert_eq!(told[format!("by_{name}").as_str()]["detectors"], json!([name]));
    }
    assert_eq!(told["by_two"]["detectors"], json!(["tail", "flatline"]));
    assert_eq!(told["by_two"]["combine"], "all");
}
