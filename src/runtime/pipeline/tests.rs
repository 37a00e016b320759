//! The engine's thread against a store and a backend whose clock is not the agent's.

mod intake;

use wiremock::{Mock, MockServer, ResponseTemplate, matchers};

use super::*;
use crate::engine::{ConfigChange, Reconfiguration, Stream};
use crate::runtime::SnapshotSettings;
use crate::runtime::backend::PulseQuery;
use crate::runtime::snapshot::Keeper;
use crate::runtime::status::Request;
use crate::source::{self, Prometheus, SignalQuery, TimeRange};
use crate::telemetry::Registry;
use crate::{correlate, detect, incident, store};

const HERE: Timestamp = Timestamp::from_millis(1_700_000_100_000);
const DAY_MS: i64 = 24 * 3_600_000;

fn cpu() -> SignalName {
    SignalName::new("cpu")
}

const fn after_ms(ms: i64) -> Timestamp {
    Timestamp::from_millis(HERE.as_millis() + ms)
}

fn refusal() -> Message {
    Message::Input(Input::ReloadFailed { config_hash: "a".to_owned(), because: "no".to_owned() })
}

/// A backend that answers with this `Date`, and has answered once.
async fn backend(served_at: Timestamp, clock: &Clock, metrics: &Metrics) -> (Backend, MockServer) {
    let server = MockServer::start().await;
    let date = jiff::Timestamp::from_millisecond(served_at.as_millis()).unwrap();
    let date = date.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let body = r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#;
    let reply = ResponseTemplate::new(200)
        .set_body_raw(body, "application/json")
        .insert_header("date", date.as_str());
    Mock::given(matchers::any()).respond_with(reply).mount(&server).await;
    let settings = source::Settings::for_test(&server.uri());
    let client = Prometheus::new(&settings).unwrap();
    let backend = Backend::new(client, PulseQuery::of(&settings), clock.clone(), metrics.clone());
    let query = SignalQuery {
        signal: cpu(),
        promql: "up".to_owned(),
        step: Duration::from_secs(15),
        service_label: "service".parse().unwrap(),
    };
    backend.range(&query, TimeRange::new(served_at, served_at).unwrap()).await.unwrap();
    (backend, server)
}

fn settings() -> engine::Settings {
    let plan = detect::SignalPlan {
        settings: detect::Settings::classic(),
        kind: detect::Kind::Other,
        step: Duration::from_secs(15),
        window: Duration::ZERO,
        series_limit: 10,
        overrides: Vec::new(),
    };
    engine::Settings {
        signals: vec![(cpu(), plan)],
        correlate: correlate::Settings::default(),
        incident: incident::Settings::default(),
        questions_per_incident: 0,
        source_lost_after: Duration::from_secs(60),
    }
}

/// A pipeline whose inputs are stepped by hand.
struct Bench {
    pipeline: Pipeline,
    working: Working,
    runtime: tokio::runtime::Runtime,
    asked: watch::Sender<Backend>,
    feed: Option<mpsc::Sender<Tagged>>,
    asks: mpsc::Sender<Request>,
    _server: MockServer,
    folder: tempfile::TempDir,
}

impl Bench {
    /// At a backend whose clock is so far ahead.
    fn ahead_by(ahead_ms: i64) -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let (folder, clock) = (tempfile::tempdir().unwrap(), Clock::jumping(HERE));
        let metrics = Metrics::new(&mut Registry::new());
        let path = folder.path().join("portent.db");
        let (store, (backend, server)) = runtime.block_on(async {
            let store = Store::open(&store::Settings { path }).await.unwrap();
            (store, backend(after_ms(ahead_ms), &clock, &metrics).await)
        });
        let (feed, queue) = mpsc::channel(64);
        let (asks, requests) = mpsc::channel(64);
        let (sender, backend) = watch::channel(backend);
        let pipeline = Pipeline {
            settings: settings(),
            first_look: Duration::ZERO,
            bands: BandSettings { export: true, series_limit: 10 },
            store,
            time: EngineTime::new(HERE),
            clock: clock.clone(),
            backend,
            queue,
            requests,
            later: Vec::new(),
            questions: None,
            answers: feed.downgrade(),
            generation: watch::Sender::new(0),
            status: watch::Sender::default(),
            keeper: Keeper {
                settings: SnapshotSettings { is_on: false, interval: Duration::from_secs(600) },
                asked: BTreeMap::new(),
                path: folder.path().join("portent.db.snapshot"),
                version: String::new(),
                metrics: metrics.snapshot.clone(),
                clock: clock.clone(),
                begun_at: HERE,
                writing: None,
            },
            metrics,
            runtime: runtime.handle().clone(),
        };
        let working = Working {
            engine: pipeline.engine(Restored::default(), HERE),
            polls: BTreeMap::new(),
            model: ModelStatus::default(),
            started_at: HERE,
            told: Told::default(),
            shown: Shown::default(),
            closed: BTreeMap::new(),
            refused: Vec::new(),
        };
        Self { pipeline, working, runtime, asked: sender, feed: Some(feed), asks, _server: server, folder }
    }

    fn turn(&mut self, messages: impl IntoIterator<Item = Message>) {
        let tag = |message| Tagged { generation: None, message, awake: self.pipeline.clock.awake() };
        let mut waiting: Vec<Tagged> = messages.into_iter().map(tag).collect();
        self.pipeline.turn(&mut self.working, &mut waiting).unwrap();
    }

    /// The kinds of the events that are written down, and how many milliseconds after the start they were decided.
    fn written(&self) -> Vec<(String, i64)> {
        let events = self.pipeline.store.events(Stream::System, 0, 100);
        let events = self.runtime.block_on(events).unwrap();
        events.into_iter().map(|event| (event.kind, event.at.as_millis() - HERE.as_millis())).collect()
    }
}

#[test]
fn a_reload_has_the_time_that_every_other_input_has() {
    let mut bench = Bench::ahead_by(600_000);
    let input = Reconfiguration {
        settings: settings(),
        asks_anew: std::collections::BTreeSet::new(),
        first_look: Duration::ZERO,
        change: ConfigChange::default(),
    };
    let (reply, _done) = tokio::sync::oneshot::channel();
    let snapshots = (bench.pipeline.keeper.settings, BTreeMap::new());
    let reload = Box::new(Reconfigure { input, questions: None, bands: bench.pipeline.bands, snapshots });
    bench.turn([refusal(), Message::Reconfigure(reload, reply)]);
    let expected =
        [("system.reload_failed".to_owned(), 600_000), ("system.config_reloaded".to_owned(), 600_000)];
    assert_eq!(bench.written(), expected);
}

#[test]
fn an_engine_that_is_made_anew_believes_the_steps_that_it_judged_by_the_backends_time() {
    let mut bench = Bench::ahead_by(3 * DAY_MS);
    let judged = after_ms(3 * DAY_MS - 15_000);
    let commit = Commit { advanced: vec![(cpu(), judged)], ..Commit::default() };
    bench.runtime.block_on(bench.pipeline.store.commit(&commit)).unwrap();
    let failure = StoreError::NotAStore { file: bench.folder.path().to_owned() };
    bench.pipeline.rebuild(&mut bench.working, &failure);
    assert_eq!(bench.working.engine.judged_through(&cpu()), Some(judged));
}

#[test]
fn ticks_before_the_first_answer_do_not_run_ahead_of_a_backend_that_is_behind() {
    let mut bench = Bench::ahead_by(-600_000);
    let silent = source::Settings::for_test("http://127.0.0.1:9");
    let (clock, metrics) = (bench.pipeline.clock.clone(), bench.pipeline.metrics.clone());
    let client = Prometheus::new(&silent).unwrap();
    let unknown = Backend::new(client, PulseQuery::of(&silent), clock, metrics);
    let known = bench.asked.send_replace(unknown);
    bench.turn([Message::Input(Input::Tick)]);
    bench.asked.send_replace(known);
    bench.turn([refusal()]);
    // Of a `Date`, which is cut to the second, the nearer end counts.
    assert_eq!(bench.written(), [("system.reload_failed".to_owned(), -599_000)]);
}
