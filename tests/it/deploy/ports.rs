//! Ports and names that several files must agree on.

use std::collections::BTreeMap;

use super::compose::{health_check, services};
use super::image::instructions;
use super::shipped::{texts, toml, yaml};

/// The port inside each service's container, as the compose file publishes it: on the loopback alone, and under the
/// same number, so that a URL means the same inside and outside.
fn published() -> BTreeMap<String, u16> {
    let port_of = |name: &str, service: &serde_json::Value| {
        let ports = texts(&service["ports"]);
        assert_eq!(ports.len(), 1, "{name}: {ports:?}");
        let parts: Vec<&str> = ports[0].split(':').collect();
        let [host, outside, inside] = parts[..] else { panic!("{name}: {ports:?}") };
        assert_eq!(host, "127.0.0.1", "{name} is published to more than this machine");
        assert_eq!(outside, inside, "{name}");
        inside.parse::<u16>().unwrap()
    };
    services().iter().map(|(name, service)| (name.clone(), port_of(name, service))).collect()
}

fn port_in(text: &str) -> u16 {
    let tail = text.rsplit_once(':').unwrap_or_else(|| panic!("a port in {text}")).1;
    tail.split('/').next().unwrap().parse().unwrap_or_else(|_| panic!("a port in {text}"))
}

#[track_caller]
fn is_a_service(url: &str) {
    let published = published();
    let address = url.trim_start_matches("http://").trim_end_matches('/');
    let (host, port) = address.split_once(':').unwrap_or_else(|| panic!("{url}"));
    assert_eq!(
        published.get(host).map(u16::to_string).as_deref(),
        Some(port),
        "{url} is none of {published:?}"
    );
}

#[test]
fn every_port_is_published_once_and_on_the_loopback_alone() {
    let published = published();
    let mut ports: Vec<&u16> = published.values().collect();
    ports.sort();
    ports.dedup();
    assert_eq!(ports.len(), published.len(), "{published:?}");
}

#[test]
fn a_health_check_asks_its_own_service() {
    let published = published();
    for (name, service) in services() {
        let check = health_check(&service);
        let url = check.iter().find_map(|argument| argument.split_once("http://")).expect("a URL").1;
        assert!(url.starts_with("127.0.0.1:"), "{name}: {url}");
        assert_eq!(port_in(url.split('/').next().unwrap()), published[&name], "{name}: {check:?}");
    }
}

#[test]
fn portent_listens_where_it_is_published_scraped_and_probed() {
    let port = published()["portent"];
    let config = toml("config/compose.toml");
    let api = |key: &str| config["api"][key].as_str().unwrap();
    assert_eq!(api("listen_address"), format!("0.0.0.0:{port}"), "every address inside the container");
    assert_eq!(api("external_url"), format!("http://127.0.0.1:{port}"));
    let default = toml("config/default.toml");
    assert_eq!(port_in(default["api"]["listen_address"].as_str().unwrap()), port, "the probe's default URL");
    let image = instructions();
    let of = |name: &str| {
        image.iter().find(|(word, _)| word == name).unwrap_or_else(|| panic!("{name}")).1.clone()
    };
    assert_eq!(of("EXPOSE"), port.to_string());
    assert!(of("HEALTHCHECK").contains(&format!("http://127.0.0.1:{port}\"")), "{}", of("HEALTHCHECK"));
}

#[test]
fn demo_service_listens_where_it_is_published() {
    let command = services()["demo-service"]["command"].clone();
    let listen = texts(&command).into_iter().find_map(|argument| argument.strip_prefix("--listen-address="));
    assert_eq!(listen, Some(format!("0.0.0.0:{}", published()["demo-service"]).as_str()));
}

#[test]
fn every_url_between_the_services_names_one_and_its_port() {
    is_a_service(toml("config/compose.toml")["source"]["url"].as_str().unwrap());
    is_a_service(
        yaml("config/grafana/provisioning/datasources/prometheus.yml")["datasources"][0]["url"]
            .as_str()
            .unwrap(),
    );
    let prometheus = yaml("config/prometheus/prometheus.yml");
    let alerting = &prometheus["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"];
    texts(alerting).into_iter().for_each(is_a_service);
    let own = format!("127.0.0.1:{}", published()["prometheus"]);
    let mut scraped = Vec::new();
    for job in prometheus["scrape_configs"].as_array().unwrap() {
        for target in texts(&job["static_configs"][0]["targets"]) {
            if target != own {
                is_a_service(target);
            }
            scraped.push(port_in(target));
        }
    }
    scraped.sort_unstable();
    let mut all: Vec<u16> = published().into_values().collect();
    all.sort_unstable();
    assert_eq!(scraped, all, "every service is scraped");
}

#[test]
fn the_step_is_the_scrape_interval_and_grafana_knows_it() {
    let scrape = yaml("config/prometheus/prometheus.yml")["global"]["scrape_interval"].clone();
    assert_eq!(toml("config/compose.toml")["signal_defaults"]["step"].as_str(), scrape.as_str());
    let grafana = yaml("config/grafana/provisioning/datasources/prometheus.yml");
    assert_eq!(grafana["datasources"][0]["jsonData"]["timeInterval"], scrape);
}
