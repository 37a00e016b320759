//! Each convention by samples of its exporter, and what a hostile backend could do.

#![expect(clippy::unwrap_used, reason = "a test crate: a failure is the message")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use portent::config;
use portent::detect::Kind;
use portent::discover::*;
use portent::series::Labels;
use portent::source::{Point, check_promql};
use portent::time::Timestamp;
use proptest::prelude::*;

const FIXTURE: &str = include_str!("fixtures/conventions.txt");

/// One convention's part of the fixture.
struct Example {
    id: &'static str,
    signals: Vec<&'static str>,
    service: &'static str,
    series: Vec<(&'static str, BTreeMap<String, String>)>,
}

fn examples() -> Vec<Example> {
    FIXTURE.split("\n== ").skip(1).map(example).collect()
}

fn example(text: &'static str) -> Example {
    let (head, body) = text.split_once('\n').unwrap();
    let (id, rest) = head.split_once(": ").unwrap();
    let parts: Vec<&str> = rest.split(" | ").collect();
    let series = body.lines().filter(|line| !line.is_empty()).map(|line| {
        let (name, rest) = line.split_once('{').unwrap();
        let labels = rest.rsplit_once('}').unwrap().0;
        let labels = labels.split("\",").map(|pair| {
            let (name, value) = pair.split_once("=\"").unwrap();
            let value = value.strip_suffix('"').unwrap_or(value);
            (name.to_owned(), value.to_owned())
        });
        (name, labels.collect())
    });
    Example { id, signals: parts[0].split(' ').collect(), service: parts[1], series: series.collect() }
}

impl Example {
    fn names(&self) -> BTreeSet<String> {
        self.series.iter().map(|(name, _)| (*name).to_owned()).collect()
    }

    /// The convention as it is recognised by names and labels.
    fn found(&self) -> (Found, BTreeSet<String>) {
        let mut found = recognise(&self.names());
        found.retain(|found| found.fits(&self.labels(found)));
        let [found] = found.try_into().unwrap();
        let labels = self.labels(&found);
        (found, labels)
    }

    fn labels(&self, found: &Found) -> BTreeSet<String> {
        self.anchored(found).flat_map(|labels| labels.keys().cloned()).collect()
    }

    fn anchored(&self, found: &Found) -> impl Iterator<Item = &BTreeMap<String, String>> {
        let anchor = found.anchor();
        self.series.iter().filter(move |(name, _)| *name == anchor).map(|(_, labels)| labels)
    }

    /// What a backend would answer to the measure query.
    fn points(&self, found: &Found, candidates: &[String]) -> Vec<Point> {
        let keeps = |labels: &&BTreeMap<String, String>| {
            found.convention().matchers.split(',').filter(|matcher| !matcher.is_empty()).all(|matcher| {
                let value = |name: &str| labels.get(name).map_or("", String::as_str);
                match (matcher.split_once("!=\""), matcher.split_once("=~\"5"), matcher.split_once("=\"")) {
                    (Some((name, not)), _, _) => value(name) != not.trim_end_matches('"'),
                    (_, Some((name, _)), _) => value(name).starts_with('5'),
                    (_, _, Some((name, is))) => value(name) == is.trim_end_matches('"'),
                    _ => panic!("{matcher}"),
                }
            })
        };
        let kept: Vec<_> = self.anchored(found).filter(keeps).collect();
        let point = |asked: String, value: usize| Point {
            labels: Labels::new([("portent_asked", asked)]),
            metric: String::new(),
            value: value as f64,
        };
        let mut points = vec![point("total".to_owned(), kept.len())];
        for (place, candidate) in candidates.iter().enumerate() {
            let values: Vec<Vec<&String>> = kept
                .iter()
                .filter_map(|labels| {
                    candidate.split('/').map(|name| labels.get(name).filter(|v| !v.is_empty())).collect()
                })
                .collect();
            points.push(point(format!("series {place}"), values.len()));
            points.push(point(format!("values {place}"), values.iter().collect::<BTreeSet<_>>().len()));
        }
        points
    }

    fn seen(&self) -> (Found, Sighting) {
        let (found, labels) = self.found();
        let candidates = candidates(found.convention().services, &labels);
        let points = self.points(&found, &candidates);
        let seen = Sighting::of(&found, &labels, &candidates, &points).unwrap();
        (found, seen)
    }
}

fn trial(services: &[&str]) -> Trial {
    Trial {
        series: services.len(),
        samples: services.len(),
        services: services.iter().map(|s| (*s).to_owned()).collect(),
        ..Trial::default()
    }
}

fn backend() -> Backend {
    Backend {
        url: "http://prometheus:9090".to_owned(),
        product: "version 2.42.0".to_owned(),
        source_lines: String::new(),
        metrics: 7,
        requests: 9,
        bytes: 1234,
        seconds: 0.5,
        at: Timestamp::from_millis(1_700_000_000_000),
        cut_short: String::new(),
    }
}

/// Watches everything that these examples give.
fn drafted(examples: &[Example], trial: &Trial) -> Draft {
    let mut draft = Draft::default();
    for example in examples {
        let (found, seen) = example.seen();
        let proposals = Proposal::all(&found, &seen);
        draft.begin(found, seen);
        for proposal in proposals {
            if draft.needs(&proposal) {
                draft.add(proposal, Ok(trial.clone()));
            }
        }
    }
    draft
}

/// The signals that the config of a draft watches.
fn watched(draft: &Draft) -> Vec<String> {
    let config = config::load_text("t", &document(draft, &backend()), [], &[]).unwrap();
    config.signals.iter().map(|signal| signal.query.signal.to_string()).collect()
}

#[test]
fn every_convention_has_an_example() {
    let known: Vec<&str> = conventions().map(|convention| convention.id).collect();
    let mut ids: Vec<&str> = examples().iter().map(|example| example.id).collect();
    assert_eq!(known.iter().collect::<BTreeSet<_>>().len(), known.len(), "an id stands twice");
    ids.sort_unstable();
    let mut sorted = known.clone();
    sorted.sort_unstable();
    assert_eq!(ids, sorted);
}

#[test]
fn each_convention_is_recognised_and_gives_its_signals_by_its_service() {
    for example in examples() {
        let (found, seen) = example.seen();
        assert_eq!(found.convention().id, example.id);
        assert_eq!(seen.service.chosen.candidate, example.service, "{}", example.id);
        let proposals = Proposal::all(&found, &seen);
        let names: Vec<&str> = proposals.iter().map(|proposal| proposal.name.as_str()).collect();
        assert_eq!(names, example.signals, "{}", example.id);
        for proposal in proposals {
            check_promql(&proposal.promql).unwrap_or_else(|error| panic!("{}: {error}", proposal.promql));
            assert!(
                !proposal.promql.contains(['{', '}']) || proposal.promql.contains('='),
                "{}",
                proposal.promql
            );
        }
    }
}

#[test]
fn the_config_of_each_convention_loads_and_says_what_was_meant() {
    for example in examples() {
        let service = example.service;
        let (found, seen) = example.seen();
        let proposals = Proposal::all(&found, &seen);
        let draft = drafted(&[example], &trial(&["a", "b"]));
        let text = document(&draft, &backend());
        let config = config::load_text("t", &text, [], &[]).unwrap_or_else(|error| panic!("{error}\n{text}"));
        assert_eq!(config.signals.len(), draft.signals(), "{text}");
        for (signal, proposal) in config.signals.iter().zip(&proposals) {
            assert_eq!(signal.query.promql.trim(), proposal.promql, "{text}");
            assert_eq!(signal.plan.kind, proposal.kind, "{text}");
            assert_eq!(signal.query.service_label.to_string(), service, "{text}");
            assert_eq!(signal.interval, Duration::from_secs(60));
        }
    }
}

#[test]
fn a_metric_that_is_missing_costs_only_its_own_signal() {
    let names = ["http_server_request_duration_seconds_count".to_owned()].into();
    let found = recognise(&names);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].signals, [0, 1], "no buckets, no quantile");
}

#[test]
fn without_a_label_of_the_status_there_is_no_error_rate() {
    let (found, seen) = examples().iter().find(|example| example.id == "http").unwrap().seen();
    let names = |status: Option<&str>| -> Vec<String> {
        let seen = Sighting { status: status.map(str::to_owned), ..seen.clone() };
        Proposal::all(&found, &seen).into_iter().map(|proposal| proposal.name).collect()
    };
    assert_eq!(names(Some("code")), ["request_rate", "error_rate"]);
    assert_eq!(names(None), ["request_rate"]);
}

#[test]
fn two_gauges_named_alike_are_coincidence_and_three_are_golden_signals() {
    let found = |names: &[&str]| recognise(&names.iter().map(|name| (*name).to_owned()).collect()).len();
    assert_eq!(found(&["kafka_request_rate", "kafka_error_rate"]), 0);
    assert_eq!(found(&["a_request_rate", "b_error_rate", "c_latency_p95"]), 0);
    assert_eq!(found(&["a_request_rate", "a_error_rate", "a_latency_p95"]), 1);
}

#[test]
fn a_mesh_is_not_watched_twice() {
    let names = ["istio_requests_total", "envoy_cluster_upstream_rq_total"].map(str::to_owned).into();
    let ids: Vec<_> = recognise(&names).iter().map(|found| found.convention().id).collect();
    assert_eq!(ids, ["istio"]);
}

fn two_of(first: &str, second: &str) -> Vec<Example> {
    let pick = |id: &str| examples().into_iter().find(|example| example.id == id).unwrap();
    vec![pick(first), pick(second)]
}

#[test]
fn the_same_signal_of_the_same_services_is_watched_once() {
    let draft = drafted(&two_of("http", "http_duration"), &trial(&["cart", "pay"]));
    let names = watched(&draft);
    assert_eq!(names, ["request_rate", "error_rate", "latency_p95"]);
    let text = document(&draft, &backend());
    assert!(
        text.contains("latency_p95; request_rate, error_rate of the same services are watched already"),
        "{text}"
    );
}

#[test]
fn a_name_that_is_taken_is_told_apart_by_its_convention() {
    let mut draft = drafted(&two_of("http", "http_duration")[..1], &trial(&["cart"]));
    let (found, seen) = two_of("http", "http_duration")[1].seen();
    let proposals = Proposal::all(&found, &seen);
    draft.begin(found, seen);
    draft.add(proposals[0].clone(), Ok(trial(&["other"])));
    draft.add(proposals[0].clone(), Ok(trial(&["another"])));
    let names = watched(&draft);
    assert_eq!(names[2..], ["http_duration_request_rate", "http_duration_request_rate_2"]);
}

#[test]
fn what_watches_services_by_another_label_leaves_out_those_that_are_watched() {
    let draft = drafted(&two_of("gauges", "process")[..1], &trial(&["cart", "shop"]));
    let (found, seen) = two_of("gauges", "process")[1].seen();
    let with = |values: u64| {
        let mut seen = seen.clone();
        seen.service.others = vec![Measured { candidate: "service".to_owned(), series: 2, values }];
        draft.without(&found, &seen)
    };
    assert_eq!(with(2), "service=\"\"");
    assert_eq!(with(3), "", "a third service would not be watched at all");
    assert_eq!(draft.without(&found, &seen), "", "no series has the label");
}

#[test]
fn what_cannot_be_watched_is_written_with_its_reason_and_commented_out() {
    let mut draft = drafted(&[], &Trial::default());
    let (found, seen) = two_of("http", "grpc")[0].seen();
    let proposals = Proposal::all(&found, &seen);
    draft.begin(found, seen);
    draft.add(proposals[0].clone(), Err("12000 series are above the limit\nof 10000".to_owned()));
    draft.add(proposals[1].clone(), Ok(Trial::default()));
    let text = document(&draft, &backend());
    assert!(
        text.contains("# Off: 12000 series are above the limit of 10000.\n# [signal.request_rate]\n"),
        "{text}"
    );
    assert!(!text.contains("error_rate]"), "a signal without series is left out:\n{text}");
    assert_eq!(config::load_text("t", &text, [], &[]).unwrap().signals.len(), 0);
    let uncommented: String = text
        .lines()
        .map(|line| line.strip_prefix("# ").unwrap_or(line))
        .skip_while(|line| !line.starts_with("[signal."))
        .collect::<Vec<_>>()
        .join("\n");
    assert_eq!(config::load_text("t", &uncommented, [], &[]).unwrap().signals.len(), 1, "{uncommented}");
}

#[test]
fn more_signals_than_a_person_takes_in_are_commented_out() {
    let mut draft = Draft::default();
    for round in 0..4 {
        for example in examples() {
            let (found, seen) = example.seen();
            let proposals = Proposal::all(&found, &seen);
            draft.begin(found, seen);
            proposals.into_iter().for_each(|p| draft.add(p, Ok(trial(&[&round.to_string()]))));
        }
    }
    assert_eq!(draft.signals(), 24);
    let text = document(&draft, &backend());
    assert_eq!(config::load_text("t", &text, [], &[]).unwrap().signals.len(), 24);
    assert!(text.contains("# Off: 24 signals are enough to begin with."), "{text}");
}

#[test]
fn where_nothing_is_recognised_the_config_teaches() {
    let text = document(&Draft::default(), &backend());
    assert!(
        text.contains("Nothing was recognised") && text.contains("Istio (istio_requests_total)"),
        "{text}"
    );
    let config = config::load_text("t", &text, [], &[]).unwrap();
    assert!(config.require_signals().is_err());
    let example: String = text
        .lines()
        .skip_while(|line| !line.contains("[signal_defaults]"))
        .filter_map(|line| line.strip_prefix("# "))
        .collect::<Vec<_>>()
        .join("\n");
    assert_eq!(config::load_text("t", &example, [], &[]).unwrap().signals.len(), 1, "{example}");
}

#[test]
fn a_slow_metric_has_a_step_of_its_own_and_is_not_lost_at_once() {
    let (found, seen) = two_of("http", "grpc")[0].seen();
    let mut draft = Draft::default();
    for (place, seconds) in [15, 15, 120].into_iter().enumerate() {
        let pace = Some(Pace::of(Duration::from_secs(seconds)));
        let seen = Sighting { pace, ..seen.clone() };
        let proposals = Proposal::all(&found, &seen);
        draft.begin(found.clone(), seen);
        draft.add(proposals[0].clone(), Ok(trial(&[&place.to_string()])));
    }
    let config = config::load_text("t", &document(&draft, &backend()), [], &[]).unwrap();
    let steps: Vec<u64> = config.signals.iter().map(|signal| signal.query.step.as_secs()).collect();
    assert_eq!(steps, [15, 15, 120]);
    let lost = config::load_text("t", &document(&draft, &backend()), [], &[]).unwrap();
    let text = format!("{:?}", lost.signals[2].plan.settings.missing);
    assert!(text.contains("1200s"), "{text}");
}

#[test]
fn the_same_backend_gives_the_same_config() {
    let write = || document(&drafted(&examples(), &trial(&["a"])), &backend());
    assert_eq!(write(), write());
}

#[test]
fn kinds_that_the_name_does_not_tell_are_written() {
    assert_ne!(Kind::of_name("jvm_gc_time"), Kind::Cpu);
    let pick = examples().into_iter().find(|example| example.id == "jvm").unwrap();
    assert!(document(&drafted(&[pick], &trial(&["a"])), &backend()).contains("kind = \"cpu\""));
}

/// What a hostile backend may call things.
fn hostile() -> impl Strategy<Value = String> {
    prop_oneof![
        "\\PC{0,40}",
        "[\"'\\\\\n\r\t\u{0}\u{7f}\u{85}\u{2028}\u{202e}\u{feff}#\\]\\[={}a]{0,40}",
        Just("'''\n[source]\nurl = \"http://evil\"\n".to_owned()),
        Just("x\"}) or vector(1) #".to_owned()),
    ]
}

proptest! {
    #[test]
    fn whatever_a_backend_says_the_config_loads(
        url_path in "[a-z]{0,9}", product in hostile(), help in hostile(), warning in hostile(),
        reason in hostile(), service in hostile(), cut_short in hostile(), which in 0..24_usize,
    ) {
        let examples = examples();
        let (found, seen) = examples[which % examples.len()].seen();
        let seen = Sighting { help, ..seen };
        let mut draft = Draft::default();
        let proposals = Proposal::all(&found, &seen);
        draft.begin(found.clone(), seen);
        let trial = Trial { warnings: vec![warning], not_values: 1, without_service: 1, ..trial(&[&service]) };
        for (place, proposal) in proposals.into_iter().enumerate() {
            draft.add(proposal, if place == 1 { Err(reason.clone()) } else { Ok(trial.clone()) });
        }
        draft.pass_over(found, &reason);
        let url = format!("http://h/{url_path}");
        let text = document(&draft, &Backend { url: url.clone(), product, cut_short, ..backend() });
        let config = config::load_text("t", &text, [], &[]);
        prop_assert!(config.is_ok(), "{:?}\n{text}", config.err());
        let config = config.unwrap();
        prop_assert_eq!(config.signals.len(), draft.signals());
        prop_assert_eq!(config.source.url, url);
    }

    #[test]
    fn names_of_a_backend_never_leave_their_place(prefix in hostile()) {
        let names: BTreeSet<String> =
            ["request_rate", "error_rate", "latency_p95"].map(|end| format!("{prefix}_{end}")).into();
        for found in recognise(&names) {
            let seen = examples()[0].seen().1;
            for proposal in Proposal::all(&found, &seen) {
                prop_assert!(check_promql(&proposal.promql).is_ok(), "{}", proposal.promql);
            }
        }
    }

    #[test]
    fn a_text_in_toml_is_read_back(text in hostile()) {
        let table: toml::Table = format!("x = {}", toml_text(&text)).parse().unwrap();
        prop_assert_eq!(table["x"].as_str(), Some(text.as_str()));
    }

    #[test]
    fn a_comment_is_one_short_line(text in hostile(), chars in 1..30_usize) {
        let comment = comment_text(&text, chars);
        prop_assert!(comment.chars().count() <= chars && !comment.chars().any(char::is_control));
        let commented = format!("# {comment}\nx = 1");
        prop_assert!(commented.parse::<toml::Table>().is_ok());
    }

    #[test]
    fn a_label_value_in_promql_stays_a_value(text in hostile()) {
        let selector = format!("up{{job={}}}", promql_text(&text));
        if let Ok(promql_parser::parser::Expr::VectorSelector(parsed)) = promql_parser::parser::parse(&selector) {
            prop_assert_eq!(&parsed.matchers.matchers[0].value, &text);
        }
    }
}
