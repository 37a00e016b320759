//! Why a sample opened an anomaly, or did not: the API and the command against an agent as a process of its own.

use assert_cmd::Command;
use portent_demo_service::{FaultRequest, Schedule, World};
use serde_json::{Value, json};

use super::support::{Agent, Demo, eventually, now_ms, real_clock};

const SERVICE: &str = "payment-service";

/// The status of an answer, and what it says.
async fn ask(agent: &Agent, query: &str) -> (u16, Value) {
    let reply = reqwest::get(format!("{}/api/v1/explain?{query}", agent.url)).await.unwrap();
    (reply.status().as_u16(), reply.json().await.unwrap())
}

/// The only series of an answer.
async fn explained(agent: &Agent, at: &str) -> Value {
    let (status, body) = ask(agent, &format!("signal=error_rate&service={SERVICE}&time={at}")).await;
    assert_eq!(status, 200, "{body:#}");
    assert_eq!(body["series"].as_array().unwrap().len(), 1, "{body:#}");
    body["series"][0].clone()
}

/// The member of the first incident that is this series.
async fn member(agent: &Agent) -> Option<Value> {
    let id = agent.incidents().await?.first()?["id"].as_str()?.to_owned();
    let incident = agent.get(&format!("/api/v1/incidents/{id}")).await?;
    let members = incident["members"].as_array()?;
    members.iter().find(|member| member["series"]["signal"] == "error_rate").cloned()
}

fn outcomes(gates: &Value) -> Vec<&str> {
    gates["gates"].as_array().unwrap().iter().map(|gate| gate["outcome"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_gate_of_a_sample_is_told_and_what_comes_later_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(29, Schedule::Off);
    let demo = Demo::start(world.clone(), real_clock()).await;
    let config = format!(
        "[source]\nurl = \"{}\"\nquery_delay = \"0s\"\nrequests_per_second = 10000\nburst = 10000\n\
         [signal_defaults]\nstep = \"1s\"\ninterval = \"1s\"\n\
         [runtime]\nhistory = \"2m\"\nfirst_look = \"1s\"\n[signal.error_rate]\nquery = \"demo_error_rate\"\n",
        demo.url()
    );
    let agent = Agent::start(folder.path(), &config);
    agent.ready().await;
    let calm_at = (now_ms() / 1000 - 30).to_string();
    let calm = explained(&agent, &calm_at).await;
    let came = (&calm["explained"]["ending"], &calm["explained"]["blocker"]);
    assert_eq!(came, (&json!("blocked"), &json!("score")), "{calm:#}");
    assert_eq!(outcomes(&calm["explained"])[0], "passed", "{calm:#}");
    assert_eq!((&calm["incident"], &calm["stored"]), (&Value::Null, &Value::Null));

    let fault =
        json!({"service": SERVICE, "signal": "error_rate", "shape": "step", "factor": 10, "duration": "10m"});
    world.post(FaultRequest::from_json(fault.to_string().as_bytes()).unwrap(), now_ms()).unwrap();
    let member = eventually("the fault opens an incident", || member(&agent)).await;
    let detected_at = member["detected_at"].as_str().unwrap();
    let opened = explained(&agent, detected_at).await;
    assert_eq!(opened["explained"]["ending"], "opened", "{opened:#}");
    assert_eq!(
        (&opened["stored"]["ending"], &opened["stored"]["at"]),
        (&json!("opened"), &json!(detected_at))
    );
    assert!(opened["incident"].is_string(), "{opened:#}");
    assert!(!outcomes(&opened["explained"]).contains(&"blocked"), "{opened:#}");
    let again = explained(&agent, &calm_at).await;
    assert_eq!(again["explained"], calm["explained"], "a fault that came later is none of its business");

    let flags = ["--signal", "error_rate", "--service", SERVICE, "--time", detected_at, "--url", &agent.url];
    let run = |more: &[&str]| {
        let mut command = Command::cargo_bin("portent").unwrap();
        let output = command.arg("explain").args(flags).args(more).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let text = run(&[]);
    assert!(text.contains("opened an anomaly") && text.contains("\n  false_discovery"), "{text}");
    let json: Value = serde_json::from_str(&run(&["--output", "json"])).unwrap();
    assert_eq!(json["series"][0]["explained"], opened["explained"]);

    for (query, status, kind) in [
        (format!("signal=errors&service={SERVICE}&time={calm_at}"), 404, "unknown-signal"),
        (format!("signal=error_rate&service=nobody&time={calm_at}"), 404, "unknown-series"),
        (format!("signal=error_rate&service={SERVICE}"), 400, "invalid-parameter"),
        (
            format!("signal=error_rate&service={SERVICE}&time={}", now_ms() / 1000 + 3600),
            400,
            "invalid-parameter",
        ),
        (format!("signal=error_rate&service={SERVICE}&time=noon"), 400, "invalid-parameter"),
    ] {
        let (seen, problem) = ask(&agent, &query).await;
        let expected = format!("urn:portent:problem:{kind}");
        assert_eq!(
            (seen, problem["type"].as_str()),
            (status, Some(expected.as_str())),
            "{query}: {problem:#}"
        );
    }
}
