//! Three virtual days at 10,000 series with a sample each 15 s, polled each minute, of which 1 % an hour give way to new
//! ones: bodies as Prometheus writes them through the real decoder and engine in one process.
//!
//! Prints the memory by the hour and fails where it does not stay flat or where a series that went away is not forgotten
//! when it should be. A series is forgotten a day after its last sample, so the table grows by 2,400 rows in the first
//! day and not any more after it; and a series has a memory of its week from its second day on, so that on the second day
//! those that came on the first gain theirs. The third is like those to come. Takes a few minutes; `-- --hours 30` makes it
//! shorter, `-- --series 100000 --hours 2` shows the memory of more.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(clippy::expect_used, reason = "a benchmark ends where a body is not read")]

mod measure {
    #[expect(dead_code, reason = "the other bench measures other shapes")]
    pub(crate) mod body;
}

use std::process::ExitCode;
use std::time::Duration;

use measure::body::{self, Labels, Shape, Values};
use portent::detect::{FORGET_AFTER, Kind, Settings, SignalPlan};
use portent::engine::{self, Coverage, Engine, Input, Restored};
use portent::series::SignalName;
use portent::source::{Interner, decode};
use portent::time::{Timestamp, millis};
use portent::{correlate, incident};

const SHAPE: Shape = Shape { labels: Labels::Scraped, values: Values::Long };
const START_MS: i64 = 1_700_000_000_000;
const STEP_MS: i64 = 15_000;
const POLL_MS: i64 = 60_000;
const HOUR_MS: i64 = 3_600_000;
/// Memory after a day may be so much above that after six hours, beyond what the series that are not forgotten yet take.
const FLAT_MB: f64 = 4.0;
/// What a tracked series takes at most: samples, baseline, key, labels and the incident that tells of its loss.
const SERIES_KB: f64 = 8.0;

fn main() -> ExitCode {
    // `cargo test --benches` runs this too: then one small run shows that it works.
    let arguments: Vec<String> = std::env::args().collect();
    let is_bench = arguments.iter().any(|argument| argument == "--bench");
    let given = |name: &str| arguments.iter().skip_while(|argument| *argument != name).nth(1)?.parse().ok();
    let (series, hours) = (given("--series").unwrap_or(10_000), given("--hours").unwrap_or(72));
    let (series, hours) = if is_bench { (series, hours) } else { (100, 26) };
    let Ok(series) = usize::try_from(series) else { return ExitCode::FAILURE };
    match run(series, hours) {
        Ok(()) => ExitCode::SUCCESS,
        Err(because) => {
            println!("{because}");
            ExitCode::FAILURE
        }
    }
}

fn run(series: usize, hours: i64) -> Result<(), String> {
    let mut life = Life::new(series);
    let mut memory = Vec::new();
    println!(
        "{:>5} {:>8} {:>10} {:>10} {:>10} {:>8}",
        "hour", "RSS MB", "tracked", "forgotten", "open", "events"
    );
    for hour in 1..=hours {
        life.live_until(START_MS + hour * HOUR_MS);
        let tally = life.engine.tallies().first().map(|(_, tally)| *tally).unwrap_or_default();
        let rss = resident_mb();
        memory.push((rss, tally.series));
        println!(
            "{hour:>5} {rss:>8.1} {:>10} {:>10} {:>10} {:>8}",
            tally.series,
            tally.evicted_total,
            life.engine.open_incidents().count(),
            life.events
        );
        let (ever, evicted) = (life.ever(), life.expected_evictions());
        if (tally.evicted_total, tally.series as u64) != (evicted, ever - evicted) {
            return Err(format!("{evicted} of {ever} series should have been forgotten by now"));
        }
    }
    let grown = |from: usize, to: usize| match (memory.get(from - 1), memory.get(to - 1)) {
        (Some(before), Some(after)) => {
            let rows = after.1.saturating_sub(before.1) as f64;
            println!("from hour {from} to {to}: {:+.1} MB, {rows:+} series", after.0 - before.0);
            after.0 - before.0 <= FLAT_MB + rows * SERIES_KB / 1024.0
        }
        (_, None) | (None, _) => true,
    };
    let is_flat = [(6, 24), (49, 72)].map(|(from, to)| grown(from, to));
    if is_flat.contains(&false) { Err("memory is not flat".to_owned()) } else { Ok(()) }
}

/// The agent's core with a backend that is made up.
struct Life {
    engine: Engine,
    interner: Interner,
    signal: SignalName,
    series: usize,
    now_ms: i64,
    text: String,
    events: usize,
}

impl Life {
    fn new(series: usize) -> Self {
        let signal = SignalName::new("endurance");
        let plan = SignalPlan {
            settings: Settings::default(),
            kind: Kind::Other,
            step: Duration::from_millis(STEP_MS as u64),
            window: Duration::ZERO,
            series_limit: series * 2,
            overrides: Vec::new(),
        };
        let settings = engine::Settings {
            signals: vec![(signal.clone(), plan)],
            correlate: correlate::Settings::default(),
            incident: incident::Settings::default(),
            questions_per_incident: 0,
            source_lost_after: Duration::from_secs(180),
        };
        let label = "service".parse().expect("a label's name");
        Self {
            engine: Engine::new(settings, Restored::default(), Timestamp::from_millis(START_MS)),
            interner: Interner::new(signal.clone(), label, series),
            signal,
            series,
            // The first poll is at the start, when nothing has gone yet.
            now_ms: START_MS - POLL_MS,
            text: String::new(),
            events: 0,
        }
    }

    fn live_until(&mut self, until_ms: i64) {
        while self.now_ms < until_ms {
            self.now_ms += POLL_MS;
            self.poll();
        }
    }

    fn poll(&mut self) {
        let times = (0..POLL_MS / STEP_MS).rev().map(|back| self.now_ms - back * STEP_MS).collect::<Vec<_>>();
        let gone = self.gone(self.now_ms);
        body::write(&mut self.text, SHAPE, gone..gone + self.series, &times);
        let answer = decode(self.text.as_bytes(), &mut self.interner, self.series).expect("it is an answer");
        let now = Timestamp::from_millis(self.now_ms);
        for part in answer.batch.into_parts() {
            self.events += self.engine.step(now, Input::Batch(part)).len();
        }
        let from = now.minus(Duration::from_millis((POLL_MS - STEP_MS) as u64));
        let closed =
            Input::SlotClosed { signal: self.signal.clone(), from, through: now, coverage: Coverage::Whole };
        self.events += self.engine.step(now, closed).len();
    }

    /// How many series had given way to others by a poll: a hundredth an hour.
    fn gone(&self, at_ms: i64) -> usize {
        ((at_ms - START_MS) * self.series as i64 / 100 / HOUR_MS) as usize
    }

    /// How many series there were until now.
    fn ever(&self) -> u64 {
        (self.gone(self.now_ms) + self.series) as u64
    }

    /// Series whose last sample is more than a day old.
    fn expected_evictions(&self) -> u64 {
        let day_ms = millis(FORGET_AFTER);
        // Those gone by the poll after the one at which a sample would still be young enough.
        let oldest = self.now_ms - day_ms;
        let first_kept = oldest + (START_MS - oldest).rem_euclid(POLL_MS);
        if first_kept <= START_MS { 0 } else { self.gone(first_kept) as u64 }
    }
}

/// The resident memory of this process.
fn resident_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kb = line.and_then(|line| line.split_whitespace().next()).and_then(|kb| kb.parse::<f64>().ok());
    kb.unwrap_or(f64::NAN) / 1024.0
}
