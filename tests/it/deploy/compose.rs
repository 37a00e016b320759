//! `docker-compose.yml`.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::shipped::{path, portent, text, texts, toml, understands, yaml};
use crate::it::support::{Process, eventually, free_port, has, log_of};

/// The services by their names.
pub(crate) fn services() -> BTreeMap<String, Value> {
    let compose = yaml("docker-compose.yml");
    let services = compose["services"].as_object().expect("services");
    services.iter().map(|(name, service)| (name.clone(), service.clone())).collect()
}

/// The health check's program and its arguments.
pub(crate) fn health_check(service: &Value) -> Vec<&str> {
    let test = texts(&service["healthcheck"]["test"]);
    assert_eq!(test.first(), Some(&"CMD"), "without a shell: {test:?}");
    test[1..].to_vec()
}

/// The volumes as (source, target, mode).
pub(crate) fn mounts(service: &Value) -> Vec<(&str, &str, &str)> {
    let Some(list) = service.get("volumes") else { return Vec::new() };
    let parts = |volume| {
        let mut parts = str::split(volume, ':');
        (parts.next().unwrap(), parts.next().expect("a target"), parts.next().unwrap_or("rw"))
    };
    texts(list).into_iter().map(parts).collect()
}

/// Whether a version is exact: three numbers, whatever follows them.
pub(crate) fn is_exact(tag: &str) -> bool {
    let number = tag.trim_start_matches('v').split('-').next().unwrap_or_default();
    let parts: Vec<&str> = number.split('.').collect();
    parts.len() == 3 && parts.iter().all(|part| part.parse::<u32>().is_ok())
}

#[test]
fn the_five_services_are_there() {
    let names: Vec<String> = services().into_keys().collect();
    assert_eq!(names, ["alertmanager", "demo-service", "grafana", "portent", "prometheus"]);
}

#[test]
fn every_image_has_an_exact_version_and_ours_has_this_release() {
    for (name, service) in services() {
        let image = service["image"].as_str().expect("an image");
        let (repository, tag) = image.split_once(':').expect("a tag");
        assert!(is_exact(tag), "{name}: {image}");
        assert_eq!(
            repository == "portent",
            service.get("build").is_some(),
            "{name} is built where it is ours"
        );
        if repository == "portent" {
            assert_eq!(tag, env!("CARGO_PKG_VERSION"), "{name}");
        }
    }
    assert!(!is_exact("latest") && !is_exact("3.11") && !is_exact("v3") && is_exact("v3.11.3"));
}

#[test]
fn every_service_is_held_to_the_least() {
    for (name, service) in services() {
        assert_eq!(service["read_only"], true, "{name}");
        assert_eq!(texts(&service["cap_drop"]), ["ALL"], "{name}");
        assert_eq!(texts(&service["security_opt"]), ["no-new-privileges:true"], "{name}");
        assert!(service.get("privileged").is_none() && service.get("network_mode").is_none(), "{name}");
        assert!(!texts(&service["tmpfs"]).is_empty(), "{name} has somewhere to write");
    }
}

#[test]
fn every_service_has_a_health_check_that_ends_in_time() {
    for (name, service) in services() {
        assert!(!health_check(&service).is_empty(), "{name}");
        let seconds = |key: &str| -> u32 {
            let value = service["healthcheck"][key].as_str().expect("a duration");
            value.strip_suffix('s').and_then(|number| number.parse().ok()).expect("seconds")
        };
        assert!(seconds("timeout") < seconds("interval"), "{name}");
        assert!(service["healthcheck"]["retries"].as_u64().is_some_and(|retries| retries > 0), "{name}");
    }
}

#[test]
fn a_service_waits_for_the_health_of_those_it_needs() {
    let services = services();
    let mut ready = BTreeSet::new();
    // One is ready to start when all that it waits for have started: a circle never is.
    while ready.len() < services.len() {
        let before = ready.len();
        for (name, service) in &services {
            let none = serde_json::Map::new();
            let needs = service.get("depends_on").and_then(Value::as_object).unwrap_or(&none);
            for (needed, how) in needs {
                assert!(services.contains_key(needed), "{name} waits for {needed}");
                assert_eq!(how["condition"], "service_healthy", "{name} waits for {needed}");
            }
            if needs.keys().all(|needed| ready.contains(needed)) {
                ready.insert(name.clone());
            }
        }
        assert!(ready.len() > before, "a circle: only {ready:?} can start");
    }
    assert_eq!(services["portent"]["depends_on"]["prometheus"]["condition"], "service_healthy");
}

#[test]
fn every_mounted_file_exists_and_is_read_only_and_every_volume_is_declared() {
    let compose = yaml("docker-compose.yml");
    let declared: BTreeSet<&str> =
        compose["volumes"].as_object().expect("volumes").keys().map(String::as_str).collect();
    let mut used = BTreeSet::new();
    for (name, service) in services() {
        for (source, target, mode) in mounts(&service) {
            assert!(target.starts_with('/'), "{name}: {target}");
            if source.starts_with("./") {
                assert!(path(source).exists(), "{name} mounts {source}, which does not exist");
                assert_eq!(mode, "ro", "{name}: {source}");
            } else {
                used.insert(
                    *declared.get(source).unwrap_or_else(|| panic!("{name}: {source} is declared nowhere")),
                );
            }
        }
    }
    assert_eq!(used, declared);
}

#[test]
fn every_file_that_a_command_names_is_mounted_there() {
    for (name, service) in services() {
        let Some(command) = service.get("command") else { continue };
        for argument in texts(command) {
            if let Some(file) = argument.strip_prefix("--config.file=") {
                let mounted = mounts(&service).iter().any(|(_, target, _)| *target == file);
                assert!(mounted, "{name} reads {file}, where nothing is mounted");
            }
            if let Some((_, folder)) = argument.split_once(".path=") {
                let mounted =
                    mounts(&service).iter().any(|(_, target, mode)| *target == folder && *mode == "rw");
                assert!(mounted, "{name} writes to {folder}, which is no volume");
            }
        }
    }
}

#[test]
fn what_one_file_says_of_another_is_where_it_is_mounted() {
    let services = services();
    let target_of = |service: &str, wanted: &str| -> String {
        let mounts = mounts(&services[service]);
        let found = mounts.iter().find(|(source, _, _)| *source == wanted);
        found.unwrap_or_else(|| panic!("{service} does not mount {wanted}")).1.to_owned()
    };
    let store = toml("config/compose.toml")["store"]["path"].as_str().unwrap().to_owned();
    assert!(store.starts_with(&format!("{}/", target_of("portent", "portent"))), "{store}");

    let rules = target_of("prometheus", "./config/prometheus/portent.rules.yml");
    let beside = target_of("prometheus", "./config/prometheus/prometheus.yml");
    let folder = beside.rsplit_once('/').unwrap().0;
    for file in texts(&yaml("config/prometheus/prometheus.yml")["rule_files"]) {
        assert_eq!(format!("{folder}/{file}"), rules);
    }

    let dashboards = target_of("grafana", "./dashboards");
    let provider = yaml("config/grafana/provisioning/dashboards/portent.yml");
    assert_eq!(provider["providers"][0]["options"]["path"], dashboards.as_str());
    let home =
        services["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"].as_str().unwrap();
    let file =
        home.strip_prefix(&format!("{dashboards}/")).expect("the home dashboard is one of the mounted");
    assert!(path("dashboards").join(file).exists(), "{home}");
    for kind in ["datasources", "dashboards"] {
        let target = target_of("grafana", &format!("./config/grafana/provisioning/{kind}"));
        assert_eq!(target, format!("/etc/grafana/provisioning/{kind}"));
    }
}

#[test]
fn grafana_has_no_default_password_and_calls_nobody() {
    let grafana = &services()["grafana"]["environment"];
    assert_eq!(grafana["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"], "true");
    assert_eq!(grafana["GF_AUTH_ANONYMOUS_ORG_ROLE"], "Viewer");
    assert_eq!(grafana["GF_ANALYTICS_REPORTING_ENABLED"], "false");
    assert!(!text("docker-compose.yml").contains("PASSWORD"));
}

#[test]
fn portents_config_passes_its_own_check() {
    let output =
        portent(&["check".into(), "config".into(), path("config/compose.toml").display().to_string()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn portent_understands_its_command_and_its_health_checks() {
    let services = services();
    understands(&texts(&services["portent"]["command"]));
    for name in ["portent", "demo-service"] {
        let check = health_check(&services[name]);
        assert_eq!(check[0], "/usr/local/bin/portent", "{name}");
        understands(&check[1..]);
    }
}

#[tokio::test]
async fn the_health_check_of_alertmanager_says_yes_to_a_real_one_with_the_shipped_config() {
    if !has("prometheus-alertmanager") || !has("amtool") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (services, port) = (services(), free_port());
    let at = |argument: &str| argument.replace("127.0.0.1:9093", &format!("127.0.0.1:{port}"));
    let arguments = texts(&services["alertmanager"]["command"]).into_iter().map(|argument| {
        match argument.split_once('=') {
            Some((flag @ "--config.file", _)) => {
                format!("{flag}={}", path("config/alertmanager/alertmanager.yml").display())
            }
            Some((flag @ "--storage.path", _)) => format!("{flag}={}", folder.path().join("data").display()),
            _ => at(argument),
        }
    });
    let _process = Process::start(
        std::process::Command::new("prometheus-alertmanager")
            .args(arguments)
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdout(log_of(folder.path(), "alertmanager.out"))
            .stderr(log_of(folder.path(), "alertmanager.err")),
    );
    let check = health_check(&services["alertmanager"]);
    assert_eq!(check[0], "/bin/amtool");
    let ask = |url: &dyn Fn(&str) -> String| {
        let arguments: Vec<String> = check[1..].iter().map(|argument| url(argument)).collect();
        std::process::Command::new("amtool").args(arguments).output().unwrap().status.success()
    };
    eventually("Alertmanager is healthy", || async { ask(&at).then_some(()) }).await;
    let nowhere = free_port();
    assert!(
        !ask(&|argument: &str| argument.replace("9093", &nowhere.to_string())),
        "a check that can't fail"
    );
}
