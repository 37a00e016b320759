//! How layers meet.

use std::time::Duration;

use super::super::{Override, load, load_text};
use super::{sound, with_env};
use crate::detect::{self, Kind, Missing};
use crate::series::{Service, SignalName};
use crate::{correlate, incident};

const TWO_SIGNALS: &str = "
    [signal.b_errors]
    query = 'errors'
    sigma = 5
    [signal.a_latency]
    query = 'latency'
    service_label = ['namespace', 'app']
    kind = 'memory'
    step = '30s'
";

fn flag(path: &str, value: &str, flag: &str) -> Override {
    Override { path: path.to_owned(), value: value.to_owned(), flag: flag.to_owned() }
}

#[test]
fn the_built_in_defaults_are_sound_and_define_no_signals() {
    let config = load(None, [], &[]).unwrap();
    assert!(config.signals.is_empty());
    assert!(config.require_signals().unwrap_err().to_string().contains("[signal.error_rate]"));
}

#[test]
fn the_defaults_in_code_are_those_of_layer_zero() {
    let config = load(None, [], &[]).unwrap();
    assert_eq!(config.signal_defaults.detect, detect::Settings::default());
    assert_eq!(config.correlate, correlate::Settings::default());
    assert_eq!(config.incident, incident::Settings::default());
}

#[test]
fn a_signal_inherits_what_it_does_not_set() {
    let config = sound(&format!("[signal_defaults]\nsigma = 4\nclear_points = 9\n{TWO_SIGNALS}"));
    let [errors, latency] = config.signals.as_slice() else { panic!("{:?}", config.signals) };
    assert_eq!(errors.query.signal, SignalName::new("b_errors"), "the order is that of the file");
    assert_eq!((errors.plan.settings.sigma, errors.plan.settings.clear_points), (5.0, 9));
    assert_eq!((latency.plan.settings.sigma, latency.plan.settings.clear_points), (4.0, 9));
    assert_eq!((errors.plan.kind, latency.plan.kind), (Kind::Errors, Kind::Memory));
    assert_eq!(latency.query.service_label.to_string(), "namespace/app");
    assert_eq!((latency.query.step, latency.plan.step), (Duration::from_secs(30), Duration::from_secs(30)));
}

#[test]
fn a_recorded_signal_without_a_table_is_judged_by_the_defaults() {
    let config = sound(&format!("[signal_defaults]\nmissing = 'ignore'\n{TWO_SIGNALS}"));
    let plan = config.plan_for(&SignalName::new("cpu_usage"));
    assert_eq!((plan.kind, plan.settings.missing), (Kind::Cpu, Missing::Ignore));
    assert_eq!(config.plan_for(&SignalName::new("b_errors")), config.signals[0].plan);
}

#[test]
fn the_environment_lies_over_the_file_and_flags_over_the_environment() {
    let env = || [("PORTENT__STORE__PATH".to_owned(), "/env.db".to_owned())];
    let file = "[store]\npath = '/file.db'";
    let path = |config: super::super::Config| config.store.path;
    assert_eq!(path(sound(file)).to_str(), Some("/file.db"));
    assert_eq!(path(load_text("t", file, env(), &[]).unwrap()).to_str(), Some("/env.db"));
    let flags = [flag("store.path", "/flag.db", "--storage.path")];
    assert_eq!(path(load_text("t", file, env(), &flags).unwrap()).to_str(), Some("/flag.db"));
}

#[test]
fn the_environment_reaches_into_nested_tables_and_leaves_the_rest() {
    let config = with_env(
        TWO_SIGNALS,
        &[
            ("PORTENT__SIGNAL__B_ERRORS__SIGMA", "7"),
            ("PORTENT__SIGNAL__C_NEW", "{ query = 'up', interval = '5m' }"),
            ("PORTENT__INCIDENT__CRITICALITY", "{ \"payment-service\" = \"critical\" }"),
            ("PORTENT__SOURCE__HTTP__HEADERS__X-SCOPE-ORGID", "42"),
            ("PORTENT__SOURCE__TIMEOUT", "3s"),
            ("PORTENT__LLM__ENABLED", "true"),
            ("PORTENT__LLM__MODEL", "small"),
            ("portent__source__url", "not ours"),
            ("HOME", "/home/me"),
        ],
    )
    .unwrap();
    let sigma = |name: &str| config.plan_for(&SignalName::new(name)).settings.sigma;
    assert_eq!((sigma("b_errors"), sigma("a_latency")), (7.0, 3.0));
    assert_eq!(config.signals.len(), 3);
    let critical = config.incident.criticality_of(&Service::new("payment-service"));
    assert_eq!(critical, incident::Criticality::Critical);
    assert_eq!(config.source.http.headers[0].0, "x-scope-orgid");
    assert_eq!(config.source.timeout, Duration::from_secs(3));
    assert!(config.llm.enabled && config.llm.model == "small");
}

#[test]
fn a_number_in_the_environment_is_a_text_where_one_is_wanted() {
    let config = with_env("", &[("PORTENT__LLM__MODEL", "4"), ("PORTENT__STORE__PATH", "2026")]).unwrap();
    assert_eq!((config.llm.model.as_str(), config.store.path.to_str()), ("4", Some("2026")));
}

#[test]
fn a_mistake_in_the_environment_or_a_flag_names_it() {
    let report =
        with_env("", &[("PORTENT__SOURCE__TIMEOUT", "soon"), ("PORTENT__API__PORT", "80")]).unwrap_err();
    assert_eq!(
        report.to_string(),
        "environment variable PORTENT__API__PORT: api.port: is no key of [api]: see docs/configuration.md\n\
         environment variable PORTENT__SOURCE__TIMEOUT: source.timeout: \"soon\" is no duration, such as 30s or \
         1h30m: give 10ms to 10m"
    );
    let flags = [flag("log.level", "loud", "--log.level")];
    assert_eq!(
        load_text("t", "", [], &flags).unwrap_err().to_string(),
        "flag --log.level: log.level: \"loud\" is not allowed: give \"error\", \"warn\", \"info\", \"debug\" or \
         \"trace\""
    );
}

#[test]
fn variables_that_name_no_key_or_one_key_twice_are_refused() {
    let report = with_env(
        "",
        &[
            ("PORTENT__", "1"),
            ("PORTENT__LOG__LEVEL", "info"),
            ("PORTENT__LOG__Level", "warn"),
            ("PORTENT__SOURCE", "5"),
            ("PORTENT__STORE____PATH", "x"),
        ],
    );
    assert_eq!(
        report.unwrap_err().to_string(),
        "environment variable PORTENT__: names no key: write it as PORTENT__SECTION__KEY\n\
         environment variable PORTENT__LOG__Level: sets the same key as PORTENT__LOG__LEVEL: keep one of them\n\
         environment variable PORTENT__SOURCE: source: must be a table: give its keys, such as [source] with a line for \
         each\n\
         environment variable PORTENT__STORE____PATH: names no key: write it as PORTENT__SECTION__KEY"
    );
}

#[test]
fn mistakes_of_all_layers_come_at_once_in_their_order() {
    let env = [("PORTENT__LOG__FORMAT".to_owned(), "xml".to_owned())];
    let flags = [flag("api.listen_address", "here", "--web.listen-address")];
    let report = load_text("portent.toml", "[runtime]\nqueue_limit = 0\n", env, &flags).unwrap_err();
    let origins: Vec<String> = report.mistakes().iter().map(|m| m.place.origin.to_string()).collect();
    assert_eq!(
        origins,
        ["portent.toml", "environment variable PORTENT__LOG__FORMAT", "flag --web.listen-address"]
    );
}

#[test]
fn the_same_settings_have_the_same_hash_in_whatever_layer_and_spelling() {
    let base = sound("[signal_defaults]\nsigma = 4").hash();
    assert_eq!(base.len(), 64);
    assert_eq!(base, sound("signal_defaults.sigma = 4.0").hash());
    assert_eq!(base, with_env("", &[("PORTENT__SIGNAL_DEFAULTS__SIGMA", "4")]).unwrap().hash());
    assert_ne!(base, sound("signal_defaults.sigma = 4.5").hash());
    assert_ne!(base, sound("signal_defaults.sigma = 4\n[signal.x]\nquery = 'up'").hash());
}
