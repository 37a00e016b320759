//! A day of virtual time through a fault proxy: what is found, what is left alone, and what the agent says of itself.

use std::collections::BTreeSet;
use std::time::Duration;

use portent::app::App;
use portent::config::{self, Override};
use portent::incident::{Incident, Phase, Subject};
use portent::runtime::{Clock, Status};
use portent::store::{IncidentFilter, Page};
use portent::time::Timestamp;
use portent_demo_service::{Fault, FaultRequest, SERVICES, Schedule, World};

use super::fault_proxy::{FaultProxy, Outage, Trouble};
use super::support::Demo;

const STEP_MS: i64 = 15_000;
const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 3_600_000;
const START_MS: i64 = 1_800_000_000_000;
const HOURS: i64 = 24;

/// All five signals, polled every two minutes; an answer that takes two real seconds is none.
const CONFIG: &str = "[source]\ntimeout = \"2s\"\nretries = 0\nrequests_per_second = 10000\nburst = 10000\n\
    [signal_defaults]\ninterval = \"2m\"\n\
    [signal.request_rate]\nquery = \"demo_request_rate\"\n\
    [signal.error_rate]\nquery = \"demo_error_rate\"\n\
    [signal.latency_p95]\nquery = \"demo_latency_p95\"\n\
    [signal.cpu_usage]\nquery = \"demo_cpu_usage\"\n\
    [signal.memory_bytes]\nquery = \"demo_memory_bytes\"\n";

const fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(START_MS + ms)
}

/// Numbers that a seed decides.
struct Dice(u64);

impl Dice {
    /// A number from `from` up to, and without, `until`.
    fn within(&mut self, from: i64, until: i64) -> i64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        from + i64::try_from((self.0 >> 33) % u64::try_from(until - from).unwrap()).unwrap()
    }
}

/// A fault about every twenty minutes, each of one signal of one service, for a minute to five.
fn world(seed: u64) -> World {
    let world = World::new(seed, Schedule::Off);
    let mut dice = Dice(seed);
    for number in 0..(HOURS * 3 - 1) {
        let service = &SERVICES[usize::try_from(dice.within(0, 5)).unwrap()];
        let body = format!(
            r#"{{"service":"{}","signal":"{}","shape":"step","factor":{},"duration":"{}s"}}"#,
            service.name,
            service.fault_signal.name(),
            service.fault_factor,
            dice.within(60, 300),
        );
        let begins = START_MS + 10 * MINUTE_MS + number * 20 * MINUTE_MS + dice.within(0, 10 * MINUTE_MS);
        world.post(FaultRequest::from_json(body.as_bytes()).unwrap(), begins).unwrap();
    }
    world
}

/// One trouble an hour but in the first and the last, each kind once for less than the time after which a source is lost and
/// once for longer, in an order and at minutes that the seed decides.
fn plan(seed: u64) -> Vec<Outage> {
    use Trouble::{
        Ahead, Behind, Blind, Cut, Garbage, HalfABody, HalfBlind, Hangs, Html, Slow, TooMany, Unauthorized,
        Unavailable,
    };
    let mut dice = Dice(seed ^ 0x5eed);
    let long = [
        Cut,
        HalfABody,
        Slow,
        TooMany,
        Unavailable,
        Html,
        Garbage,
        Unauthorized,
        Ahead,
        Behind,
        Blind,
        HalfBlind,
    ];
    let short = [Cut, HalfABody, Slow, TooMany, Unavailable, Html, Garbage, Ahead, Behind, Blind, Hangs];
    let mut kinds: Vec<(Trouble, bool)> = long.map(|trouble| (trouble, true)).to_vec();
    kinds.extend(short.map(|trouble| (trouble, false)));
    for place in (1..kinds.len()).rev() {
        let other = dice.within(0, i64::try_from(place).unwrap() + 1);
        kinds.swap(place, usize::try_from(other).unwrap());
    }
    let outage = |(hour, (trouble, is_long)): (i64, (Trouble, bool))| {
        let from = (hour + 1) * HOUR_MS + dice.within(MINUTE_MS, 25 * MINUTE_MS);
        let lasts =
            if is_long { dice.within(12 * MINUTE_MS, 25 * MINUTE_MS) } else { dice.within(45_000, 110_000) };
        Outage { trouble, from: at(from), until: at(from + lasts) }
    };
    (0..HOURS - 2).zip(kinds).map(outage).collect()
}

/// What a day left behind.
struct Day {
    incidents: Vec<Incident>,
    /// The steps of each signal that the log says were not judged.
    marked: BTreeSet<(String, i64)>,
    status: Status,
    /// Requests to a backend that answered nobody, by outage.
    refused: Vec<(Outage, usize)>,
}

/// Runs the agent for a day, and looks at what it says of itself near the end of each outage and six minutes after it.
async fn live(world: &World, plan: &[Outage]) -> Day {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::jumping(at(0));
    // Time stands whenever this test is at work.
    let awake = clock.awake();
    let time = clock.clone();
    let demo = Demo::start(world.clone(), std::sync::Arc::new(move || time.now().as_millis())).await;
    let proxy = FaultProxy::start(demo.address, clock.clone(), plan).await;
    let set = |path: &str, value: &str| Override {
        path: path.to_owned(),
        value: format!("{value:?}"),
        flag: "test".to_owned(),
    };
    let overrides = [
        set("source.url", &format!("http://{}", proxy.address)),
        set("store.path", &folder.path().join("portent.db").to_string_lossy()),
        set("api.listen_address", "127.0.0.1:0"),
    ];
    let config = config::load_text("day.toml", CONFIG, [], &overrides).unwrap();
    let app = App::start(&config, clock.clone()).await.unwrap();
    for outage in plan {
        clock.sleep_until(outage.from.plus(outage.lasts() / 10 * 9)).await;
        tells_the_truth(&app, Some(outage)).await;
        clock.sleep_until(outage.until.plus(Duration::from_secs(360))).await;
        tells_the_truth(&app, None).await;
    }
    clock.sleep_until(at(HOURS * HOUR_MS)).await;
    tells_the_truth(&app, None).await;
    let refused = plan.iter().map(|outage| (*outage, proxy.refused_in(outage))).collect();
    let day = Day {
        incidents: incidents(&app).await,
        marked: marked(&app).await,
        status: (*app.handle.status()).clone(),
        refused,
    };
    let verified = app.store.verify().await.unwrap();
    assert!(verified.is_sound(), "{verified:?}");
    app.stop().await.unwrap();
    drop(awake);
    day
}

async fn incidents(app: &App) -> Vec<Incident> {
    let (mut all, mut page) = (Vec::new(), Page { limit: 200, after: None });
    loop {
        let (rows, next) = app.store.incidents(&IncidentFilter::default(), page).await.unwrap();
        for row in rows {
            all.extend(app.store.incident(row.id).await.unwrap());
        }
        match next {
            Some(next) => page.after = Some(next),
            None => return all,
        }
    }
}

/// The steps that the log says were not judged.
async fn marked(app: &App) -> BTreeSet<(String, i64)> {
    let mut marked = BTreeSet::new();
    let mut after = 0;
    loop {
        let events = app.store.events(portent::engine::Stream::System, after, 1000).await.unwrap();
        let Some(last) = events.last() else { return marked };
        after = last.stream_seq;
        for event in events.iter().filter(|event| event.kind == "system.steps_not_judged") {
            let body: serde_json::Value = serde_json::from_str(&event.body).unwrap();
            let (from, to) = (body["from_ms"].as_i64().unwrap(), body["to_ms"].as_i64().unwrap());
            let signal = body["signal"].as_str().unwrap();
            marked.extend((from..=to).step_by(STEP_MS as usize).map(|step| (signal.to_owned(), step)));
        }
    }
}

/// Readiness and metrics say how it is, at a moment within an outage or outside of all.
async fn tells_the_truth(app: &App, outage: Option<&Outage>) {
    let get = async |path: &str| {
        let reply = reqwest::get(format!("{}{path}", app.url())).await.unwrap();
        (reply.status().as_u16(), reply.text().await.unwrap())
    };
    let is_long = outage.is_some_and(|outage| outage.lasts() > Duration::from_secs(600));
    let is_silence = outage.is_some_and(|outage| outage.trouble.is_silence());
    let (ready, text) = get("/-/ready").await;
    let (healthy, _) = get("/-/healthy").await;
    let (_, metrics) = get("/metrics").await;
    let metric = |name: &str| -> f64 {
        let line = metrics.lines().find(|line| line.split(' ').next() == Some(name));
        line.and_then(|line| line.rsplit(' ').next()).unwrap().parse().unwrap()
    };
    let when = format!("{outage:?}: {text}");
    assert_eq!(healthy, 200, "{when}");
    match (is_silence, is_long) {
        (true, true) => {
            assert_eq!((ready, metric("portent_ready") as i64), (503, 0), "{when}");
            assert!(text.contains("the source is lost"), "{when}");
            assert!(metric("portent_source_up").abs() < 0.5, "{when}");
        }
        // Too short to be sure that anybody asked.
        (true, false) => {}
        (false, _) => {
            assert_eq!((ready, metric("portent_ready") as i64), (200, 1), "{when}");
            assert!(metric("portent_source_up") > 0.5, "{when}");
        }
    }
    let skew = metric("portent_source_clock_skew_seconds");
    let expected = match outage.map(|outage| outage.trouble) {
        Some(Trouble::Ahead) if is_long => 600.0,
        Some(Trouble::Behind) if is_long => -600.0,
        Some(Trouble::Ahead | Trouble::Behind) => return,
        _ => 0.0,
    };
    assert!((skew - expected).abs() < 5.0, "{skew} s: {when}");
}

/// Whether an incident's member is what a fault did.
fn is_of(fault: &Fault, member: &portent::incident::Member) -> bool {
    let onset = member.trouble.onset().as_millis();
    fault.service == member.key.service.as_str()
        && fault.signals.iter().any(|signal| signal.name() == member.key.signal.as_str())
        && (fault.start_ms..fault.end_ms.unwrap_or(i64::MAX) + STEP_MS).contains(&onset)
}

/// The onset, the series and the id of what was found of services.
fn found(day: &Day) -> BTreeSet<(Timestamp, String, String)> {
    let of = |incident: &Incident| {
        let id = incident.id.to_string();
        let row = move |member: &portent::incident::Member| {
            (member.trouble.onset(), member.key.to_string(), id.clone())
        };
        incident.members.iter().map(row).collect::<Vec<_>>()
    };
    day.incidents.iter().flat_map(of).collect()
}

/// Whether a time is away from an outage and from what it leaves behind: less history for a baseline.
fn is_clear(time: Timestamp, plan: &[Outage]) -> bool {
    plan.iter().all(|outage| {
        let after = if outage.trouble.is_blindness() { 20 } else { 6 };
        time < outage.from.minus(Duration::from_secs(360))
            || time > outage.until.plus(Duration::from_secs(after * 60))
    })
}

async fn a_day_through_the_proxy(seed: u64) {
    let (world, plan) = (world(seed), plan(seed));
    let (calm, day) = tokio::join!(live(&world, &[]), live(&world, &plan));
    let faults = world.truth(START_MS, START_MS + HOURS * HOUR_MS);
    let blind: Vec<&Outage> = plan.iter().filter(|outage| outage.trouble.is_blindness()).collect();

    for (name, day) in [("calm", &calm), ("stormy", &day)] {
        let members = || day.incidents.iter().flat_map(|incident| &incident.members);
        for member in members() {
            let is_true = faults.iter().any(|fault| is_of(fault, member));
            assert!(is_true, "seed {seed}, {name}: a false incident: {member:?}");
        }
        for fault in &faults {
            let had_data = name == "calm"
                || blind.iter().all(|outage| {
                    let margin = Duration::from_secs(600);
                    !fault.overlaps(
                        outage.from.minus(Duration::from_secs(60)).as_millis(),
                        outage.until.plus(margin).as_millis(),
                    )
                });
            let is_found = members().any(|member| is_of(fault, member));
            assert!(is_found || !had_data, "seed {seed}, {name}: not found: {fault:?}");
        }
    }
    let clear = |day: &Day| -> BTreeSet<_> {
        found(day).into_iter().filter(|(onset, ..)| is_clear(*onset, &plan)).collect()
    };
    let (calm_found, found) = (clear(&calm), clear(&day));
    assert!(calm_found.len() > 20, "{}", calm_found.len());
    assert_eq!(calm_found, found, "seed {seed}");

    for (outage, refused) in &day.refused {
        // Five signals would have asked twice in four minutes each; one at a time tries.
        let most = outage.lasts().as_secs() / 60 + 6;
        assert!(*refused as u64 <= most, "seed {seed}: {refused} requests during {outage:?}");
    }
    the_source_has_its_own_incidents(&calm, &[]);
    the_source_has_its_own_incidents(&day, &plan);
    what_was_not_judged_is_marked(&calm, &[]);
    what_was_not_judged_is_marked(&day, &plan);
    each_step_was_judged_once(&calm.status, &day.status, &plan);
}

/// One incident about the source for each silence or blindness that lasted, and none else.
fn the_source_has_its_own_incidents(day: &Day, plan: &[Outage]) {
    let mut about: Vec<&Incident> =
        day.incidents.iter().filter(|incident| incident.subject == Subject::Source).collect();
    about.sort_by_key(|incident| incident.onset());
    let is_lasting = |outage: &&Outage| {
        let trouble = outage.trouble;
        (trouble.is_silence() || trouble.is_blindness()) && outage.lasts() > Duration::from_secs(600)
    };
    let lasting: Vec<&Outage> = plan.iter().filter(is_lasting).collect();
    assert_eq!(about.len(), lasting.len(), "{about:#?}");
    for (incident, outage) in about.iter().zip(lasting) {
        // Where series stopped, the onset is their last sample.
        let onset = incident.onset().plus(Duration::from_millis(STEP_MS.unsigned_abs()));
        assert!(outage.holds(onset), "{outage:?}: {incident:?}");
        let Phase::Resolved { at, .. } = incident.phase else { panic!("{outage:?}: {incident:?}") };
        assert!(
            at > outage.until && at < outage.until.plus(Duration::from_secs(600)),
            "{outage:?}: {incident:?}"
        );
    }
}

/// The log tells of each step that had no samples, and of no other than those at which the backend was half blind.
fn what_was_not_judged_is_marked(day: &Day, plan: &[Outage]) {
    let blind = |kinds: &[Trouble]| -> BTreeSet<(String, i64)> {
        let of = |outage: &Outage| {
            let first = (outage.from.as_millis() + STEP_MS - 1).div_euclid(STEP_MS) * STEP_MS;
            (first..outage.until.as_millis()).step_by(STEP_MS as usize)
        };
        let outages = plan.iter().filter(|outage| kinds.contains(&outage.trouble));
        let steps: Vec<i64> = outages.flat_map(of).collect();
        let signals = day.status.signals.iter().map(|signal| signal.name.to_string());
        signals.flat_map(|signal| steps.iter().map(move |step| (signal.clone(), *step))).collect()
    };
    let (all, some) = (blind(&[Trouble::Blind]), blind(&[Trouble::Blind, Trouble::HalfBlind]));
    let unmarked: Vec<_> = all.difference(&day.marked).collect();
    let wrong: Vec<_> = day.marked.difference(&some).collect();
    assert!(unmarked.is_empty() && wrong.is_empty(), "unmarked: {unmarked:?}, marked wrongly: {wrong:?}");
}

/// No hole that the backend did not have, and nothing twice.
fn each_step_was_judged_once(calm: &Status, stormy: &Status, plan: &[Outage]) {
    // What was never taken: the samples of all five services, or of the three that were not seen.
    let never_taken = |outage: &Outage| {
        let steps = (outage.until.as_millis() - 1).div_euclid(STEP_MS)
            - (outage.from.as_millis() - 1).div_euclid(STEP_MS);
        let services = match outage.trouble {
            Trouble::Blind => 5,
            Trouble::HalfBlind => 3,
            _ => 0,
        };
        u64::try_from(steps * services).unwrap()
    };
    let missing: u64 = plan.iter().map(never_taken).sum();
    for (calm, stormy) in calm.signals.iter().zip(&stormy.signals) {
        assert_eq!(calm.judged_through, stormy.judged_through, "{stormy:?}");
        let last_slot = at(HOURS * HOUR_MS).since(stormy.judged_through.unwrap());
        assert!(last_slot <= Duration::from_secs(180), "{stormy:?}");
        assert_eq!((calm.tally.repeated_total, stormy.tally.repeated_total), (0, 0));
        // What the two services that were seen had meanwhile is kept and not judged.
        let kept = stormy.tally.unsettled_total;
        assert_eq!(stormy.tally.judged_total + kept + missing, calm.tally.judged_total, "{stormy:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_of_outages_finds_what_a_calm_day_finds_seed_1() {
    a_day_through_the_proxy(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_of_outages_finds_what_a_calm_day_finds_seed_2() {
    a_day_through_the_proxy(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_of_outages_finds_what_a_calm_day_finds_seed_3() {
    a_day_through_the_proxy(3).await;
}
