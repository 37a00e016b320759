//! The binary, started as `docker-compose.yml` starts it.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

/// Ends with the test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn it_starts_as_the_compose_file_says_and_answers_what_is_probed_and_scraped() {
    let text =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docker-compose.yml")).unwrap();
    let compose: Value = serde_saphyr::from_str(&text).unwrap();
    let service = &compose["services"]["demo-service"];
    assert_eq!(service["entrypoint"][0], "/usr/local/bin/portent-demo-service");
    let listen = "--listen-address=0.0.0.0:9105";
    let arguments: Vec<&str> =
        service["command"].as_array().unwrap().iter().map(|argument| argument.as_str().unwrap()).collect();
    assert!(arguments.contains(&listen), "{arguments:?}");
    // Any free port of the loopback: the test stands beside others.
    let here = arguments
        .iter()
        .map(|argument| if *argument == listen { "--listen-address=127.0.0.1:0" } else { argument });
    let mut process = Process(
        Command::new(env!("CARGO_BIN_EXE_portent-demo-service"))
            .args(here)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap(),
    );
    let mut said = String::new();
    BufReader::new(process.0.stdout.take().unwrap()).read_line(&mut said).unwrap();
    let url = said.trim_end().trim_end_matches('/').rsplit(' ').next().unwrap();
    for path in ["/-/healthy", "/-/ready", "/metrics"] {
        assert!(reqwest::get(format!("{url}{path}")).await.unwrap().status().is_success(), "{url}{path}");
    }
}
