//! A backend that is slow or answers nothing: polls don't pile up, and no answer is no data.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use portent::app::App;
use portent::config::{self, Override};
use portent::runtime::{Clock, PollStatus};
use portent_demo_service::{Schedule, World};
use tokio::sync::Semaphore;

use super::support::eventually;

/// What stands between the agent and the demo-service.
#[derive(Clone)]
struct Gate {
    is_down: Arc<AtomicBool>,
    /// Each request takes a turn; none is left while the backend is slow.
    turns: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    most_waiting: Arc<AtomicUsize>,
    /// Requests for more points than this are refused, as by a backend that takes too long for them.
    points_max: Arc<AtomicUsize>,
    refused: Arc<AtomicUsize>,
}

/// The points a series that a range query asks for.
fn points(form: &[u8]) -> usize {
    let text = std::str::from_utf8(form).unwrap();
    let number = |name: &str| -> f64 {
        let pair = text.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        pair.unwrap().parse().unwrap()
    };
    ((number("end") - number("start")) / number("step")) as usize + 1
}

async fn pass(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    if gate.is_down.load(Ordering::SeqCst) {
        return (StatusCode::SERVICE_UNAVAILABLE, "<html>down</html>").into_response();
    }
    let (head, body) = request.into_parts();
    let form = axum::body::to_bytes(body, 1 << 16).await.unwrap();
    if points(&form) > gate.points_max.load(Ordering::SeqCst) {
        gate.refused.fetch_add(1, Ordering::SeqCst);
        let refusal = r#"{"status":"error","errorType":"timeout","error":"query timed out"}"#;
        return (StatusCode::SERVICE_UNAVAILABLE, refusal).into_response();
    }
    let request = Request::from_parts(head, form.into());
    let waiting = gate.waiting.fetch_add(1, Ordering::SeqCst) + 1;
    gate.most_waiting.fetch_max(waiting, Ordering::SeqCst);
    gate.turns.acquire().await.unwrap().forget();
    gate.waiting.fetch_sub(1, Ordering::SeqCst);
    next.run(request).await
}

/// An agent that polls one signal each second of a clock that runs ten times as fast.
async fn agent(turns: usize, points_max: usize) -> (App, Gate, Clock, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::scaled(10.0);
    let time = clock.clone();
    let gate = Gate {
        is_down: Arc::default(),
        turns: Arc::new(Semaphore::new(turns)),
        waiting: Arc::default(),
        most_waiting: Arc::default(),
        points_max: Arc::new(AtomicUsize::new(points_max)),
        refused: Arc::default(),
    };
    let router =
        portent_demo_service::router(World::new(31, Schedule::Off), Arc::new(move || time.now().as_millis()))
            .layer(from_fn_with_state(gate.clone(), pass));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let set = |path: &str, value: &str| Override {
        path: path.to_owned(),
        value: format!("{value:?}"),
        flag: "test".to_owned(),
    };
    let overrides = [
        set("source.url", &url),
        set("store.path", &folder.path().join("portent.db").to_string_lossy()),
        set("api.listen_address", "127.0.0.1:0"),
    ];
    let text = "[source]\nquery_delay = \"0s\"\nretries = 0\nrequests_per_second = 10000\nburst = 10000\n\
                [signal_defaults]\nstep = \"1s\"\ninterval = \"1s\"\nlost_after = \"5s\"\n\
                [signal.cpu_usage]\nquery = \"demo_cpu_usage\"\n";
    let config = config::load_text("outage.toml", text, [], &overrides).unwrap();
    let app = App::start(&config, clock.clone()).await.unwrap();
    (app, gate, clock, folder)
}

fn polls(app: &App) -> PollStatus {
    app.handle.status().signals.first().map(|signal| signal.polls.clone()).unwrap_or_default()
}

/// Lets the agent's clock show a span more. Other tasks have their turns meanwhile.
async fn pass_time(clock: &Clock, span: Duration) {
    let until = clock.now().plus(span);
    eventually("time passes", || async { (clock.now() >= until).then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_backend_gets_one_poll_at_a_time_and_missed_slots_are_counted() {
    let (app, gate, clock, _folder) = agent(1000, usize::MAX).await;
    eventually("it is ready", || async { app.handle.status().is_ready.then_some(()) }).await;
    assert!(gate.turns.forget_permits(usize::MAX) > 0, "turns were left");
    eventually("a poll that waits", || async { (gate.waiting.load(Ordering::SeqCst) > 0).then_some(()) })
        .await;
    gate.most_waiting.store(1, Ordering::SeqCst);
    pass_time(&clock, Duration::from_secs(20)).await;
    assert_eq!(gate.most_waiting.load(Ordering::SeqCst), 1, "polls pile up");

    let judged = app.handle.status().signals[0].tally.judged_total;
    gate.turns.add_permits(1000);
    let missed = eventually("the slots that passed are counted", || async {
        let missed = polls(&app).missed_total;
        (missed >= 15).then_some(missed)
    })
    .await;
    assert!(missed < 100, "{missed}");
    // What was missed is asked for afterwards: five services, at least fifteen steps each.
    eventually("the steps that were missed are judged", || async {
        (app.handle.status().signals[0].tally.judged_total >= judged + 5 * 15).then_some(())
    })
    .await;
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_is_down_is_no_loss_of_any_service() {
    let (app, gate, clock, _folder) = agent(1_000_000, usize::MAX).await;
    eventually("it is ready", || async { app.handle.status().is_ready.then_some(()) }).await;
    gate.is_down.store(true, Ordering::SeqCst);
    // Ten times as long as a series may be silent before it is lost.
    pass_time(&clock, Duration::from_secs(50)).await;
    let down = eventually("polls that fail", || async {
        let polls = polls(&app);
        (polls.failed_total > 10).then_some(polls)
    })
    .await;
    assert!(down.last_error.as_deref().is_some_and(|error| error.contains("503")), "{:?}", down.last_error);
    assert_eq!(app.handle.status().signals[0].tally.lost, 0, "no answer is no loss");

    gate.is_down.store(false, Ordering::SeqCst);
    eventually("polls that are answered again", || async {
        let polls = polls(&app);
        (polls.answered_total > down.answered_total + 5 && polls.last_error.is_none()).then_some(())
    })
    .await;
    let status = app.handle.status();
    assert_eq!((status.signals[0].tally.lost, status.open_incidents.len()), (0, 0), "{status:#?}");
    let incidents: serde_json::Value =
        reqwest::get(format!("{}/api/v1/incidents", app.url())).await.unwrap().json().await.unwrap();
    assert_eq!(incidents["incidents"], serde_json::json!([]));
    app.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_cannot_answer_much_at_once_is_asked_for_less() {
    // History is more than half an hour of one step a second.
    let (app, gate, _clock, _folder) = agent(1_000_000, 40).await;
    eventually("it is ready", || async { app.handle.status().is_ready.then_some(()) }).await;
    let refused = gate.refused.load(Ordering::SeqCst);
    assert!((3..=6).contains(&refused), "quarter by quarter, and not again once it is known: {refused}");
    let status = app.handle.status();
    let (signal, history) = (&status.signals[0], 5 * 1800);
    assert!(signal.tally.judged_total > history, "{signal:?}");
    assert_eq!((signal.tally.lost, signal.tally.repeated_total), (0, 0), "no step twice: {signal:?}");
    app.stop().await.unwrap();
}
