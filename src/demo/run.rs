//! Starts both halves of the demo, watches, and scores.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use portent_demo_service::{CYCLE_SECONDS, Schedule, World};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::card::{ScoreCard, Watch};
use super::show::{Show, progress};
use crate::app::App;
use crate::config::{self, Config, Override};
use crate::id::IncidentId;
use crate::incident::Incident;
use crate::runtime::Clock;
use crate::store::{IncidentFilter, Page};
use crate::telemetry;
use crate::time::{Timestamp, format_duration};

/// How the demo runs.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How many times faster than real time.
    pub speed: f64,
    /// End after so many cycles of five faults.
    pub cycles: Option<u32>,
    /// Makes the noise.
    pub seed: u64,
    /// Where the agent's API listens.
    pub listen_address: String,
    /// Whether other machines may reach it, which has no keys.
    pub allow_without_keys: bool,
    /// The least severe level that is logged.
    pub log_level: String,
}

/// After the last cycle, a fault that has just begun may go on, be polled and be judged: 45 s, a poll, a sample.
const LAST_FAULT: Duration = Duration::from_secs(90);
/// Of so many newest incidents it looks for those that are new.
const NEWEST: u32 = 20;
/// How often the demo looks for new incidents, in real time.
const LOOK: Duration = Duration::from_millis(200);

/// Runs the demo until its cycles are over or `stop` is done, and scores what was found.
///
/// # Errors
/// Where a port is taken or the agent does not start.
pub async fn run(
    settings: &Settings,
    show: Show,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<ScoreCard> {
    let clock = Clock::scaled(settings.speed);
    let world = World::new(settings.seed, Schedule::On);
    let cancel = CancellationToken::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.context("no free port on loopback")?;
    let source = format!("http://{}", listener.local_addr()?);
    let folder = tempfile::Builder::new().prefix("portent-demo-").tempdir().context("no temporary folder")?;
    let config = demo_config(settings, &source, folder.path())?;
    telemetry::install(&config.log)?;

    let time = clock.clone();
    let service = portent_demo_service::serve(
        listener,
        world.clone(),
        Arc::new(move || time.now().as_millis()),
        cancel.clone(),
    );
    let watched = async {
        let card = run_agent(&config, &world, settings, &clock, show, stop).await;
        // However the agent ended, the other half ends with it.
        cancel.cancel();
        card
    };
    let (served, card) = tokio::join!(service, watched);
    let card = card?;
    served.context("demo-service")?;
    Ok(card)
}

async fn run_agent(
    config: &Config,
    world: &World,
    settings: &Settings,
    clock: &Clock,
    show: Show,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<ScoreCard> {
    let app = App::start(config, clock.clone()).await?;
    show.line(&format!("agent: {}    five services with known faults: {}", app.url(), config.source.url));
    let card = watch(&app, world, settings, clock, show, stop).await;
    app.stop().await?;
    card
}

fn demo_config(settings: &Settings, source: &str, folder: &Path) -> anyhow::Result<Config> {
    let set = |path: &str, value: &str| Override {
        path: path.to_owned(),
        value: format!("{value:?}"),
        flag: "demo".to_owned(),
    };
    let allow_without_keys = Override {
        path: "api.allow_without_keys".to_owned(),
        value: settings.allow_without_keys.to_string(),
        flag: "--web.allow-without-keys".to_owned(),
    };
    let overrides = [
        set("source.url", source),
        set("store.path", &folder.join("demo.db").to_string_lossy()),
        set("api.listen_address", &settings.listen_address),
        set("log.level", &settings.log_level),
        allow_without_keys,
    ];
    Ok(config::load_text("config/demo.toml", config::DEMO, [], &overrides)?)
}

async fn watch(
    app: &App,
    world: &World,
    settings: &Settings,
    clock: &Clock,
    show: Show,
    stop: impl Future<Output = ()>,
) -> anyhow::Result<ScoreCard> {
    let from = clock.now();
    let end =
        settings.cycles.map(|cycles| from.plus(Duration::from_secs(cycles as u64 * CYCLE_SECONDS as u64)));
    tokio::pin!(stop);
    let mut known: Vec<IncidentId> = Vec::new();
    loop {
        let now = clock.now();
        let status = app.handle.status();
        for id in new_incidents(app, &known).await? {
            if let Some(incident) = app.store.incident(id).await? {
                show.incident(&incident, app.store.diagnosis(id, None).await?.as_ref());
            }
            known.push(id);
        }
        let done = end.is_some_and(|end| now >= end.plus(LAST_FAULT));
        progress(&progress_line(&status, known.len(), from, now, end));
        if done {
            break;
        }
        tokio::select! {
            () = clock.sleep(LOOK.mul_f64(clock.speed())) => {}
            () = &mut stop => break,
            () = app.failed() => anyhow::bail!("a part of the agent ended by a defect"),
        }
    }
    progress("");
    // Stopped before its end, it answers only for faults that have had their time.
    let answered = clock.now().minus(LAST_FAULT).max(from);
    let until = end.map_or(answered, |end| end.min(answered));
    let watch = Watch { speed: settings.speed, seed: settings.seed, from, until };
    Ok(ScoreCard::score(world, watch, &incidents(app).await?))
}

fn progress_line(
    status: &crate::runtime::Status,
    found: usize,
    from: Timestamp,
    now: Timestamp,
    end: Option<Timestamp>,
) -> String {
    if let Some(because) = &status.not_ready_because {
        return format!("starting: {because}");
    }
    let series: usize = status.signals.iter().map(|signal| signal.tally.series).sum();
    let seconds = |span: Duration| format_duration(Duration::from_secs(span.as_secs()));
    let length = end.map_or(String::new(), |end| format!(" of {}", seconds(end.since(from))));
    format!("watching {series} series for {}{length}; incidents so far: {found}", seconds(now.since(from)))
}

/// Incidents that have a diagnosis and were not shown yet, the oldest first.
async fn new_incidents(app: &App, known: &[IncidentId]) -> anyhow::Result<Vec<IncidentId>> {
    let page = Page { limit: NEWEST, after: None };
    let (rows, _) = app.store.incidents(&IncidentFilter::default(), page).await?;
    let new = rows.into_iter().rev().filter(|row| row.hypothesis.is_some() && !known.contains(&row.id));
    Ok(new.map(|row| row.id).collect())
}

/// Every incident so far with its first hypothesis, the oldest first.
async fn incidents(app: &App) -> anyhow::Result<Vec<(Incident, Option<String>)>> {
    let mut all = Vec::new();
    let mut page = Page { limit: 200, after: None };
    loop {
        let (rows, next) = app.store.incidents(&IncidentFilter::default(), page).await?;
        for row in rows {
            if let Some(incident) = app.store.incident(row.id).await? {
                all.push((incident, row.hypothesis));
            }
        }
        match next {
            Some(next) => page.after = Some(next),
            None => break,
        }
    }
    all.reverse();
    Ok(all)
}
