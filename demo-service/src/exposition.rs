//! `/metrics`: the gauges, and the same traffic as a real service exposes it, in Prometheus' text format.
//!
//! A series is exposed while its gauge has a value: a service that has vanished exposes nothing, and its counters stand
//! still until it is back.

use std::fmt::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::IntoResponse;
use axum::routing::get;

use crate::Clock;
use crate::counters::{BOUNDS, Counters, Tally};
use crate::faults::World;
use crate::wave::{Service, Signal};

const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
/// What a page needs, roughly; it saves the page from growing in steps.
const PAGE_BYTES: usize = 32 * 1024;

#[derive(Clone)]
struct Exposition {
    world: World,
    clock: Clock,
    counters: Arc<Mutex<Counters>>,
}

/// Serves `/metrics`. Counting starts now.
pub(crate) fn router(world: World, clock: Clock) -> Router {
    let counters = Arc::new(Mutex::new(Counters::new(clock())));
    Router::new().route("/metrics", get(metrics)).with_state(Exposition { world, clock, counters })
}

async fn metrics(State(exposition): State<Exposition>) -> impl IntoResponse {
    let now_ms = (exposition.clock)();
    // Nothing panics while it is held.
    let mut counters = exposition.counters.lock().unwrap_or_else(PoisonError::into_inner);
    let page = render(&exposition.world, &mut counters, now_ms);
    drop(counters);
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], page)
}

/// The whole page as of now.
fn render(world: &World, counters: &mut Counters, now_ms: i64) -> String {
    let mut page = String::with_capacity(PAGE_BYTES);
    let rows: Vec<Row<'_>> = counters
        .advance(world, now_ms)
        .map(|(service, tally)| Row {
            service,
            tally,
            gauges: Signal::ALL.map(|signal| world.value(service.name, signal, now_ms)),
        })
        .collect();
    // Writing to a string can't fail.
    let _ = write_page(&mut page, &rows);
    page
}

/// One service at the moment of the scrape.
struct Row<'a> {
    service: &'static Service,
    tally: &'a Tally,
    gauges: [Option<f64>; Signal::ALL.len()],
}

fn write_page(page: &mut String, rows: &[Row<'_>]) -> fmt::Result {
    for (index, signal) in Signal::ALL.into_iter().enumerate() {
        write_head(page, signal.metric(), "gauge", signal.help())?;
        for row in rows {
            if let Some(value) = row.gauges.get(index).copied().flatten() {
                writeln!(page, "{}{{service=\"{}\"}} {value}", signal.metric(), row.service.name)?;
            }
        }
    }
    write_requests(page, rows)?;
    write_durations(page, rows)?;
    write_head(page, "process_cpu_seconds_total", "counter", "Processor time used in seconds.")?;
    for Row { service, tally, gauges: [_, _, _, processor, _] } in rows {
        if processor.is_some() {
            writeln!(
                page,
                "process_cpu_seconds_total{{service=\"{}\"}} {:.3}",
                service.name, tally.processor_seconds
            )?;
        }
    }
    write_head(page, "process_resident_memory_bytes", "gauge", "Resident memory in bytes.")?;
    for Row { service, gauges: [_, _, _, _, memory], .. } in rows {
        if let Some(memory) = memory {
            writeln!(page, "process_resident_memory_bytes{{service=\"{}\"}} {memory:.0}", service.name)?;
        }
    }
    Ok(())
}

fn write_requests(page: &mut String, rows: &[Row<'_>]) -> fmt::Result {
    write_head(page, "http_requests_total", "counter", "Requests answered, by status code.")?;
    for Row { service, tally, gauges: [requests, errors, ..] } in rows {
        if requests.is_some() {
            writeln!(
                page,
                "http_requests_total{{service=\"{}\",code=\"200\"}} {:.3}",
                service.name, tally.succeeded
            )?;
        }
        if errors.is_some() {
            writeln!(
                page,
                "http_requests_total{{service=\"{}\",code=\"500\"}} {:.3}",
                service.name, tally.failed
            )?;
        }
    }
    Ok(())
}

fn write_durations(page: &mut String, rows: &[Row<'_>]) -> fmt::Result {
    const NAME: &str = "http_request_duration_seconds";
    write_head(page, NAME, "histogram", "How long requests took, in seconds.")?;
    for Row { service, tally, gauges: [_, _, latency, ..] } in rows {
        if latency.is_none() {
            continue;
        }
        let (name, latency) = (service.name, &tally.latency);
        for (bound, count) in BOUNDS.iter().zip(latency.at_most) {
            writeln!(page, "{NAME}_bucket{{service=\"{name}\",le=\"{bound}\"}} {count:.3}")?;
        }
        writeln!(page, "{NAME}_bucket{{service=\"{name}\",le=\"+Inf\"}} {:.3}", latency.count)?;
        writeln!(page, "{NAME}_sum{{service=\"{name}\"}} {:.6}", latency.sum)?;
        writeln!(page, "{NAME}_count{{service=\"{name}\"}} {:.3}", latency.count)?;
    }
    Ok(())
}

fn write_head(page: &mut String, name: &str, kind: &str, help: &str) -> fmt::Result {
    writeln!(page, "# HELP {name} {help}\n# TYPE {name} {kind}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::FaultRequest;
    use crate::schedule::Schedule;
    use crate::wave::SERVICES;

    fn page(world: &World, now_ms: i64) -> String {
        render(world, &mut Counters::new(0), now_ms)
    }

    #[test]
    fn every_gauge_of_every_service_is_exposed_with_its_value() {
        let world = World::new(2, Schedule::On);
        let page = page(&world, 77_777);
        for service in &SERVICES {
            for signal in Signal::ALL {
                let value = world.value(service.name, signal, 77_777).unwrap();
                let line = format!("{}{{service=\"{}\"}} {value}\n", signal.metric(), service.name);
                assert!(page.contains(&line), "{line} is not in {page}");
            }
        }
    }

    #[test]
    fn each_family_has_one_help_and_one_type_before_its_samples() {
        let page = page(&World::new(2, Schedule::On), 60_000);
        let mut current = String::new();
        let mut seen = Vec::new();
        for line in page.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                current = rest.split(' ').next().unwrap().to_owned();
                assert!(!seen.contains(&current), "{current} has two types");
                seen.push(current.clone());
            } else if !line.starts_with('#') {
                assert!(line.starts_with(&current), "{line} under {current}");
            }
        }
        assert_eq!(seen.len(), 9);
    }

    #[test]
    fn a_vanished_service_exposes_nothing() {
        let world = World::new(2, Schedule::On);
        let before = page(&world, 60_000);
        world.post(FaultRequest::from_json(br#"{"scenario":"service_vanishes"}"#).unwrap(), 60_000).unwrap();
        let after = page(&world, 60_000);
        assert!(before.contains("notification-service"));
        assert!(!after.contains("notification-service"));
        assert!(after.contains("payment-service"));
    }
}
