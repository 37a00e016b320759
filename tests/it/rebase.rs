//! A baseline that begins anew since somebody wants that, by the agent as a process of its own, over a kill.

use portent_demo_service::{FaultRequest, Schedule, World};
use serde_json::{Value, json};

use super::support::{Agent, Demo, eventually, now_ms, real_clock};

const SERVICE: &str = "payment-service";

/// How the series stands.
async fn series(agent: &Agent) -> Option<Value> {
    let detail = agent.get(&format!("/api/v1/signals/error_rate?service={SERVICE}")).await?;
    detail["series"].as_array()?.first().cloned()
}

async fn metrics(agent: &Agent) -> Option<String> {
    reqwest::get(format!("{}/metrics", agent.url)).await.ok()?.text().await.ok()
}

/// The value of a metric of the series.
async fn figure(agent: &Agent, name: &str) -> Option<f64> {
    let text = metrics(agent).await?;
    let begin = format!("{name}{{signal=\"error_rate\",service=\"{SERVICE}\"");
    text.lines().find(|line| line.starts_with(&begin))?.rsplit(' ').next()?.parse().ok()
}

/// The member of the first incident that is this series.
async fn member(agent: &Agent) -> Option<Value> {
    let incidents = agent.incidents().await?;
    let id = incidents.first()?["id"].as_str()?.to_owned();
    let incident = agent.get(&format!("/api/v1/incidents/{id}")).await?;
    let members = incident["members"].as_array()?;
    members.iter().find(|member| member["series"]["signal"] == "error_rate").cloned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebase_ends_the_anomaly_at_once_and_a_kill_does_not_bring_it_back() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(23, Schedule::Off);
    let demo = Demo::start(world.clone(), real_clock()).await;
    let config = format!(
        "[source]\nurl = \"{}\"\nquery_delay = \"0s\"\nrequests_per_second = 10000\nburst = 10000\n\
         [signal_defaults]\nstep = \"1s\"\ninterval = \"1s\"\n\
         [runtime]\nhistory = \"2m\"\nfirst_look = \"1s\"\n[signal.error_rate]\nquery = \"demo_error_rate\"\n",
        demo.url()
    );
    let mut agent = Agent::start(folder.path(), &config);
    agent.ready().await;
    let usual = eventually("the series has a band", || figure(&agent, "portent_anomaly_expected")).await;
    let fault =
        json!({"service": SERVICE, "signal": "error_rate", "shape": "step", "factor": 10, "duration": "10m"});
    world.post(FaultRequest::from_json(fault.to_string().as_bytes()).unwrap(), now_ms()).unwrap();
    eventually("the fault opens an incident", || member(&agent)).await;
    assert!(figure(&agent, "portent_anomaly_score").await.unwrap() > 1.0);

    let wanted = json!({"signal": "error_rate", "service": SERVICE, "comment": "a load test that stays"});
    let url = format!("{}/api/v1/series/rebase", agent.url);
    let reply = reqwest::Client::new().post(url).json(&wanted).send().await.unwrap();
    let (status, body) = (reply.status(), reply.json::<Value>().await.unwrap());
    assert_eq!(status, 200, "{body:#}");
    assert!(body["anomalous_since_at"].is_string(), "{body:#}");
    assert_eq!(member(&agent).await.unwrap()["ended"]["because"], "rebased", "with the reply it has ended");
    let text = metrics(&agent).await.unwrap();
    assert!(text.contains("portent_series_rebased_total{signal=\"error_rate\"} 1\n"), "{text}");

    agent.process.kill();
    let agent = Agent::start(folder.path(), &config);
    agent.ready().await;
    let again = series(&agent).await.unwrap();
    assert_ne!(again["state"], "anomalous", "history shows the step, and what was said about it: {again:#}");
    let level = eventually("the new level has a band", || async {
        let series = series(&agent).await?;
        assert_ne!(series["state"], "anomalous", "{series:#}");
        figure(&agent, "portent_anomaly_expected").await
    })
    .await;
    assert!(level > 5.0 * usual, "{level} after {usual}");
    assert_eq!(agent.incidents().await.unwrap().len(), 1, "no other incident");
}
