//! Series that stop: a service that is gone, or a source that is broken.

use super::story::{Fault, Story, WARM, World, fault};

const SERVICES: &[&str] = &["a", "b", "c", "d", "e"];

fn gone(services: &[&'static str], slots: std::ops::Range<i64>) -> Vec<Fault> {
    services.iter().map(|service| fault(service, "error_rate", slots.clone(), None)).collect()
}

fn told(services: &'static [&'static str], faults: Vec<Fault>, until: i64) -> Vec<String> {
    let mut story = Story::warm(World { services, signals: &["error_rate"], faults });
    story.play(WARM..until);
    let kept =
        |line: &String| ["opened", "degraded", "ended", "resolved"].iter().any(|word| line.starts_with(word));
    story.log().into_iter().filter(kept).collect()
}

#[test]
fn a_lost_series_opens_an_incident_that_resolves_after_its_return() {
    let log = told(SERVICES, gone(&["c"], 30..70), 100);
    assert_eq!(log, ["opened c error_rate P2", "ended returned", "resolved recovered"]);
}

#[test]
fn losing_most_series_is_one_event_about_the_source_and_no_incident() {
    assert_eq!(told(SERVICES, gone(&["a", "b", "c", "d"], 30..70), 100), ["degraded 4 of 5"]);
    assert_eq!(told(SERVICES, gone(SERVICES, 30..300), 300), ["degraded 5 of 5"]);
}

#[test]
fn what_is_still_gone_when_the_rest_returns_opens_an_incident_then() {
    let faults = [gone(&["a", "b", "c"], 30..70), gone(&["d"], 30..200)].concat();
    assert_eq!(told(SERVICES, faults, 100), ["degraded 4 of 5", "opened d error_rate P2"]);
}

#[test]
fn all_that_one_service_has_is_that_service_and_not_the_source() {
    let pods: &[&str] = &["shop/1", "shop/2", "shop/3", "shop/4", "cart"];
    let log = told(pods, gone(&pods[..4], 30..200), 100);
    assert_eq!(log, ["opened shop error_rate P2"]);
}

#[test]
fn a_source_that_breaks_twice_is_told_twice() {
    let faults = [gone(SERVICES, 30..70), gone(SERVICES, 80..120)].concat();
    assert_eq!(told(SERVICES, faults, 130), ["degraded 5 of 5"; 2]);
}
