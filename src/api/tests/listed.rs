//! Incidents: lists, filters, pages, one in full, and its timeline.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::server::{Server, refused, settings};
use super::story::{Story, minute};
use crate::api::Settings;
use crate::diagnose::{Author, Because};
use crate::engine::Stream;

const LIST: &str = "/api/v1/incidents";
const UNKNOWN: &str = "/api/v1/incidents/00000000000000000000";

fn services(body: &Value) -> Vec<&str> {
    body["incidents"].as_array().unwrap().iter().map(|row| row["service"].as_str().unwrap()).collect()
}

/// Four incidents, one in each phase: a detected, b analyzing, c diagnosed, d resolved. a and b are P2, c and d are P3.
async fn four() -> Server {
    let server = Server::start().await;
    let a = Story::at("a", 1, 10.0);
    let (mut b, mut c, mut d) = (Story::at("b", 2, 10.0), Story::at("c", 3, 1.5), Story::at("d", 4, 1.5));
    let heuristics = Author::Heuristics { because: Because::ModelOff };
    for commit in [
        a.opening(),
        b.opening(),
        b.request(1),
        c.opening(),
        c.request(1),
        c.diagnosis(1, heuristics),
        d.opening(),
        d.recovery(),
    ] {
        server.tell(&commit).await;
    }
    server
}

#[tokio::test]
async fn filters_keep_what_fits() {
    let server = four().await;
    let (second, third) = (minute(2), minute(3).as_millis() / 1000);
    let cases: [(String, &[&str]); 19] = [
        (String::new(), &["d", "c", "b", "a"]),
        ("?status=open".to_owned(), &["c", "b", "a"]),
        ("?status=resolved".to_owned(), &["d"]),
        ("?status=detected".to_owned(), &["a"]),
        ("?status=analyzing".to_owned(), &["b"]),
        ("?status=diagnosed".to_owned(), &["c"]),
        ("?severity=P0".to_owned(), &[]),
        ("?severity=P2".to_owned(), &["b", "a"]),
        ("?severity=P3,P2,P3".to_owned(), &["d", "c", "b", "a"]),
        ("?severity=P3&severity=P0".to_owned(), &["d", "c"]),
        ("?service=c".to_owned(), &["c"]),
        ("?service=C".to_owned(), &[]),
        ("?source=detector".to_owned(), &["d", "c", "b", "a"]),
        (format!("?since={second}"), &["d", "c", "b"]),
        (format!("?since={third}.0"), &["d", "c"]),
        (format!("?until={second}"), &["a"]),
        (format!("?since={second}&until={third}"), &["b"]),
        // A plus sign that was not encoded.
        ("?since=2023-11-14T23:16:20+01:00&status=open".to_owned(), &["c"]),
        ("?status=open&severity=P2&service=b&source=detector&limit=1".to_owned(), &["b"]),
    ];
    for (query, expected) in cases {
        let body = server.json(LIST, &format!("{LIST}{query}")).await;
        assert_eq!(services(&body), expected, "{query}");
        assert_eq!(body["next_cursor"], Value::Null, "{query}");
    }
}

#[tokio::test]
async fn a_row_says_the_phase_the_severity_and_the_top_hypothesis() {
    let server = four().await;
    let body = server.json(LIST, LIST).await;
    let (resolved, diagnosed) = (&body["incidents"][0], &body["incidents"][1]);
    assert_eq!(
        (&resolved["status"], &resolved["resolved_because"]),
        (&json!("resolved"), &json!("recovered"))
    );
    assert_eq!((&resolved["lasted_s"], &resolved["top_hypothesis"]), (&json!(15.0), &Value::Null));
    assert_eq!(resolved["signals"], json!(["error_rate"]));
    assert_eq!((&diagnosed["status"], &diagnosed["severity"]), (&json!("diagnosed"), &json!("P3")));
    assert_eq!(
        (&diagnosed["resolved_at"], &diagnosed["opened_at"]),
        (&Value::Null, &json!(minute(3).to_string()))
    );
    assert_eq!(diagnosed["top_hypothesis"], json!({ "cause": "failure", "title": "c fails by itself (1)" }));
}

#[tokio::test]
async fn following_the_links_shows_every_incident_once_while_new_ones_arrive() {
    let server = Server::start().await;
    let mut expected = BTreeSet::new();
    for nth in 0..7 {
        // Two a moment: the id decides between them.
        let story = Story::at(&format!("s{nth}"), nth / 2, 10.0);
        server.tell(&story.opening()).await;
        expected.insert(story.id().to_string());
    }
    let mut next = Some(format!("{LIST}?limit=2&severity=P2%2CP3"));
    let (mut seen, mut pages) = (Vec::new(), 0);
    while let Some(path) = next {
        let reply = server.get(&path).await;
        let link = reply.headers().get("link").map(|link| link.to_str().unwrap().to_owned());
        let body: Value = reply.json().await.unwrap();
        server.hold("get", LIST, "200", &body);
        seen.extend(
            body["incidents"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()),
        );
        pages += 1;
        server.tell(&Story::at("late", 100 + pages, 10.0).opening()).await;
        next = link.map(|link| {
            let path = link.strip_prefix('<').unwrap().strip_suffix(">; rel=\"next\"").unwrap().to_owned();
            assert!(path.ends_with(&format!("cursor={}", body["next_cursor"].as_str().unwrap())), "{path}");
            assert!(path.contains("limit=2&severity=P2%2CP3&"), "{path}");
            path
        });
        assert_eq!(next.is_some(), body["next_cursor"].is_string());
    }
    assert_eq!((pages, seen.len()), (4, 7));
    assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), expected);
}

#[tokio::test]
async fn links_stand_below_the_external_url_where_there_is_one() {
    let external_url = Some("https://ops.example/portent/".to_owned());
    let settings = Settings { external_url, route_prefix: "/portent".to_owned(), ..settings() };
    let server = Server::start_with(settings).await;
    for nth in 0..2 {
        server.tell(&Story::at(&nth.to_string(), nth, 10.0).opening()).await;
    }
    let reply = server.get("/portent/api/v1/incidents?limit=1").await;
    let link = reply.headers()["link"].to_str().unwrap();
    assert!(link.starts_with("<https://ops.example/portent/api/v1/incidents?limit=1&cursor="), "{link}");
}

#[tokio::test]
async fn an_incident_in_full_has_its_members_its_points_and_its_top_hypothesis() {
    let server = Server::start().await;
    let mut story = Story::new("checkout");
    server.tell(&story.opening()).await;
    server.tell(&story.loss("request_rate")).await;
    let body = server.json("/api/v1/incidents/{id}", &story.path("")).await;
    assert_eq!((&body["id"], &body["status"]), (&json!(story.id().to_string()), &json!("detected")));
    assert_eq!(body["assessment"]["points"], 2);
    assert_eq!(body["severity"], body["assessment"]["severity"]);
    assert_eq!((&body["top_hypothesis"], &body["revisions"]), (&Value::Null, &json!(0)));
    let (first, lost) = (&body["members"][0], &body["members"][1]);
    assert_eq!((&first["trouble"], &first["kind"]), (&json!("deviation"), &json!("errors")));
    assert_eq!(first["series"]["labels"], json!({ "pod": "p-1", "service": "checkout" }));
    assert_eq!((&first["onset_at"], &first["is_active"]), (&json!(minute(0).to_string()), &json!(true)));
    assert_eq!(
        (&first["deviation"]["ratio"], &first["deviation"]["peak_score"]),
        (&json!(4.0), &json!(10.0))
    );
    assert_eq!((&lost["trouble"], &lost["deviation"]), (&json!("lost"), &Value::Null));

    for commit in [
        story.request(1),
        story.diagnosis(1, Author::Heuristics { because: Because::ModelOff }),
        story.recovery(),
    ] {
        server.tell(&commit).await;
    }
    let body = server.json("/api/v1/incidents/{id}", &story.path("")).await;
    assert_eq!((&body["status"], &body["revisions"]), (&json!("resolved"), &json!(1)));
    assert_eq!(body["top_hypothesis"]["title"], "checkout fails by itself (1)");
    assert_eq!(body["members"][0]["ended"]["because"], "recovered");
    let ended = &body["members"][1]["ended"];
    assert_eq!((&ended["because"], &ended["adopted"]["to"]), (&json!("level_adopted"), &json!(9.5)));
}

#[tokio::test]
async fn the_timeline_is_the_log_page_by_page() {
    let server = Server::start().await;
    let mut story = Story::new("checkout");
    for commit in [story.opening(), story.request(1), story.recovery()] {
        server.tell(&commit).await;
    }
    let stored = server.store.events(Stream::Incident(story.id()), 0, 100).await.unwrap();
    let (mut next, mut seen) = (Some(story.path("/events?limit=2")), Vec::new());
    while let Some(path) = next {
        let reply = server.get(&path).await;
        let link = reply.headers().get("link").map(|link| link.to_str().unwrap().to_owned());
        let text = reply.text().await.unwrap();
        let body: Value = serde_json::from_str(&text).unwrap();
        server.hold("get", "/api/v1/incidents/{id}/events", "200", &body);
        for event in body["events"].as_array().unwrap() {
            let own = &stored[seen.len()];
            assert_eq!((&event["seq"], &event["stream_seq"]), (&json!(own.seq), &json!(own.stream_seq)));
            assert_eq!((&event["type"], &event["v"]), (&json!(own.kind), &json!(own.version)));
            assert_eq!(
                (&event["at"], &event["hash"]),
                (&json!(own.at.to_string()), &json!(own.hash.to_string()))
            );
            assert!(text.contains(&format!("\"body\":{},", own.body)), "byte for byte: {text}");
            seen.push(own.kind.clone());
        }
        next = link.map(|link| link.trim_matches(['<', '>']).split('>').next().unwrap().to_owned());
    }
    let kinds =
        ["incident.opened", "incident.analysis_requested", "incident.member_ended", "incident.resolved"];
    assert_eq!(seen, kinds);
    // Whoever has seen all asks for what comes after the last.
    let body = server.json("/api/v1/incidents/{id}/events", &story.path("/events?cursor=4")).await;
    assert_eq!(body, json!({ "events": [], "next_cursor": null }));
}

#[tokio::test]
async fn what_can_not_be_listed_is_refused_with_what_can() {
    let server = four().await;
    for (query, words) in [
        (
            "?status=closed",
            &["\"status\"", "\"closed\"", "open, detected, analyzing, diagnosed, resolved"][..],
        ),
        ("?status=", &["\"status\"", "\"\""]),
        ("?status=open&status=resolved", &["\"status\" stands more than once"]),
        ("?severity=P4", &["\"severity\"", "\"P4\"", "P0, P1, P2, P3"]),
        ("?severity=P1,", &["\"severity\"", "\"\""]),
        ("?service=", &["\"service\"", "not empty"]),
        ("?source=rumour", &["\"source\"", "\"rumour\"", "detector"]),
        ("?since=yesterday", &["\"since\"", "\"yesterday\"", "RFC 3339"]),
        ("?until=1e300", &["\"until\"", "Unix seconds"]),
        ("?limit=201", &["\"limit\"", "\"201\"", "1 to 200"]),
        ("?limit=-1", &["\"limit\"", "\"-1\""]),
        ("?cursor=zz", &["\"cursor\"", "\"zz\"", "next_cursor"]),
        (
            "?sevrity=P0",
            &[
                "\"sevrity\" is unknown",
                "status, severity, service, subject, source, since, until, limit, cursor",
            ],
        ),
    ] {
        refused(server.get(&format!("{LIST}{query}")).await, 400, "invalid-parameter", words).await;
    }
}

#[tokio::test]
async fn an_id_that_is_none_and_an_id_that_nobody_has_are_two_problems() {
    let server = Server::start().await;
    for rest in ["", "/events", "/diagnosis"] {
        for id in ["x", "5F0C2A4BE8D19C3377A1", "%00", "%ff", "..%2f"] {
            let reply = server.get(&format!("{LIST}/{id}{rest}")).await;
            refused(reply, 400, "invalid-parameter", &[]).await;
        }
        let reply = server.get(&format!("{UNKNOWN}{rest}")).await;
        refused(reply, 404, "unknown-incident", &["00000000000000000000"]).await;
        let reply = server.get(&format!("{UNKNOWN}{rest}?x=1")).await;
        refused(reply, 400, "invalid-parameter", &["\"x\" is unknown"]).await;
    }
}

#[tokio::test]
async fn a_store_that_fails_is_a_problem_that_keeps_its_paths_to_itself() {
    let server = Server::start().await;
    server.store.clone().close().await;
    for path in
        [LIST.to_owned(), UNKNOWN.to_owned(), format!("{UNKNOWN}/events"), format!("{UNKNOWN}/diagnosis")]
    {
        let body = refused(server.get(&path).await, 500, "store-failed", &["log"]).await;
        assert!(!body.to_string().contains("portent.db"), "{body}");
    }
}
