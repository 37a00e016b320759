//! 10,000 series of noise for a day at one minute, after a day of warm-up, by the defaults: how often an anomaly opens,
//! what the naive rule makes of the same samples, and whether a lone fault of ten standard deviations and three minutes is
//! found among them.
//!
//! Fails where the claims of `docs/detectors.md` do not hold. Takes some minutes; `-- --series 2000` makes it shorter, and
//! `-- --seed 2` is other noise.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]
#![expect(clippy::expect_used, reason = "the notation of the tests is not read here")]

#[path = "../tests/detection"]
mod detection {
    #[expect(dead_code, reason = "the tests ask more of it")]
    pub(crate) mod fleet;
    #[expect(dead_code, reason = "the tests ask more of it")]
    pub(crate) mod naive;
    pub(crate) mod noise;
    #[expect(dead_code, reason = "the notation that one part of the naive rule reads")]
    pub(crate) mod trial;
}

use std::process::ExitCode;

use detection::fleet::{Kindred, TABLE_HEAD, day_of_noise};

fn main() -> ExitCode {
    // `cargo test --benches` runs this too: then one small run shows that it works.
    let arguments: Vec<String> = std::env::args().collect();
    let number = |name: &str, default: u64| {
        let given = arguments.iter().skip_while(|argument| *argument != name).nth(1);
        given.and_then(|given| given.parse().ok()).unwrap_or(default)
    };
    if !arguments.iter().any(|argument| argument == "--bench") {
        println!("{TABLE_HEAD}\n{}", day_of_noise(Kindred::Gaussian, 10, 1).row(Kindred::Gaussian, 10, 1));
        return ExitCode::SUCCESS;
    }
    let (series, seed) = (number("--series", 10_000) as usize, number("--seed", 1));
    println!("{TABLE_HEAD}");
    let mut broken = Vec::new();
    for kindred in [Kindred::Gaussian, Kindred::Student3, Kindred::Autoregressed] {
        let day = day_of_noise(kindred, series, seed);
        println!("{}", day.row(kindred, series, seed));
        broken.extend(day.broken(kindred));
    }
    if broken.is_empty() {
        return ExitCode::SUCCESS;
    }
    println!("does not hold: {}", broken.join("; "));
    ExitCode::FAILURE
}
