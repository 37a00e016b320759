//! The whole agent at 100,000 series: the real process asks a backend that gives recorded answers, judges them, and is
//! asked itself at a steady rate meanwhile.
//!
//! Prints how long the API's answers take while a tick is worked on and between ticks, memory, and CPU a tick. A tick is
//! worked on from the moment at which the backend is asked for its steps until a status says that they are judged. Fails
//! where the 99th percentile of all answers is more than 50 ms later during a tick than between ticks, or where anything
//! was cut: a series untracked, a poll missed or failed, a question refused.
//!
//!   cargo bench --bench tick -- [--series 100000] [--signals 4] [--step 15] [--interval 15] [--history 1h]
//!                               [--seconds 180] [--rate 200] [--agent FILE]
//!
//! Client, backend and agent share the machine: `sent late` says how late the client itself was.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(clippy::expect_used, reason = "a benchmark ends where its parts do not start")]
#![expect(clippy::disallowed_methods, reason = "it measures real time, in tasks that end with its runtime")]

mod measure {
    #[expect(dead_code, reason = "the other benches write whole bodies")]
    pub(crate) mod body;
}
mod live {
    pub(crate) mod agent;
    pub(crate) mod backend;
    pub(crate) mod load;
    pub(crate) mod report;
}

use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use live::agent::Agent;
use live::backend::Backend;
use live::load::{self, World};
use live::report::Report;

/// What is measured.
pub(crate) struct Setup {
    pub(crate) series: usize,
    pub(crate) signals: usize,
    pub(crate) step_s: i64,
    pub(crate) interval_s: i64,
    pub(crate) history: String,
    pub(crate) seconds: u64,
    pub(crate) rate: f64,
    pub(crate) agent: String,
}

impl Setup {
    fn given() -> Self {
        let arguments: Vec<String> = std::env::args().collect();
        let text = |name: &str| arguments.iter().skip_while(|argument| *argument != name).nth(1).cloned();
        let number = |name: &str| text(name).and_then(|text| text.parse::<u32>().ok());
        let agent = text("--agent").unwrap_or_else(|| env!("CARGO_BIN_EXE_portent").to_owned());
        // `cargo test --benches` runs this too: then one small run shows that it works.
        let is_bench = arguments.iter().any(|argument| argument == "--bench");
        let or = |bench: u32, test: u32| if is_bench { bench } else { test };
        let step_s = number("--step").unwrap_or(or(15, 1)).max(1);
        Self {
            series: number("--series").unwrap_or(or(100_000, 200)) as usize,
            signals: number("--signals").unwrap_or(or(4, 2)).max(1) as usize,
            step_s: step_s.into(),
            interval_s: number("--interval").unwrap_or(step_s).max(step_s).into(),
            history: text("--history").unwrap_or_else(|| if is_bench { "1h" } else { "1m" }.to_owned()),
            seconds: number("--seconds").unwrap_or(or(180, 5)).into(),
            rate: f64::from(number("--rate").unwrap_or(or(200, 50))),
            agent,
        }
    }

    fn series_per_signal(&self) -> usize {
        self.series.div_ceil(self.signals)
    }
}

fn main() -> ExitCode {
    let setup = Setup::given();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    match runtime.block_on(run(&setup)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(because) => {
            println!("{because}");
            ExitCode::FAILURE
        }
    }
}

async fn run(setup: &Setup) -> Result<(), String> {
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let backend = Backend::record(setup.series_per_signal(), setup.step_s, now_s as i64);
    let address = backend.listen().await.map_err(|error| error.to_string())?;
    println!(
        "{} series in {} signals, a step of {} s, polled each {} s, {} of history; {} questions a second for {} s",
        setup.series, setup.signals, setup.step_s, setup.interval_s, setup.history, setup.rate, setup.seconds
    );
    let begun = Instant::now();
    let mut agent = Agent::start(setup, address).map_err(|error| format!("{}: {error}", setup.agent))?;
    agent.ready().await?;
    let after_history = agent.memory();
    println!("history read after {:.0} s: {after_history}", begun.elapsed().as_secs_f64());

    // With nobody asking: what a tick costs.
    let alone = agent.spend(Duration::from_secs((setup.interval_s as u64 * 4).min(setup.seconds))).await?;
    let world = World {
        url: agent.url.clone(),
        signals: setup.signals,
        services: setup.series_per_signal().div_ceil(5),
        explained_s: now_s - 60,
        incident: agent.an_incident().await?,
    };
    let begin = Instant::now();
    let before = load::metrics(&agent.url).await?;
    let asked = load::ask(&world, setup.rate, Duration::from_secs(setup.seconds)).await;
    let after = load::metrics(&agent.url).await?;
    let report = Report::new(asked, &backend.asked_since(begin));
    report.print();
    println!("CPU of the agent with nobody asking: {alone}");
    println!("memory after history {after_history}; at the end {}", agent.memory());
    agent.stop().await?;
    report.verdict(setup, &before, &after)
}
