//! The naive rule, for comparison: at each poll the last 20 points of a series, the mean and standard deviation of the
//! first 19, anomalous where the 20th is too many of them away.

use portent_demo_service::{SERVICES, Signal, World};

use super::world::{POLL_MS, Run, STEP_MS, Sampling};

/// The z-score of the last of 20 points against the 19 before; 0 where they do not vary.
fn z(points: &[f64]) -> f64 {
    let (current, before) = points.split_last().unwrap();
    let n = before.len() as f64;
    let mean = before.iter().sum::<f64>() / n;
    let variance = before.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>() / n;
    if variance > 0.0 { (current - mean) / variance.sqrt() } else { 0.0 }
}

fn flags(world: &World, run: Run, sampling: Sampling, sigma: f64) -> Vec<(&'static str, Signal, i64)> {
    let mut flags = Vec::new();
    let mut poll = run.acts_from_ms - run.acts_from_ms.rem_euclid(POLL_MS) + sampling.poll_offset_ms;
    while poll <= run.until_ms {
        let last = poll - poll.rem_euclid(STEP_MS);
        for service in &SERVICES {
            for signal in Signal::ALL {
                let steps = (0..20).map(|n| last - (19 - n) * STEP_MS);
                let points: Vec<f64> =
                    steps.filter_map(|step| sampling.value(world, service.name, signal, step)).collect();
                if points.len() == 20 && z(&points).abs() > sigma {
                    flags.push((service.name, signal, poll));
                }
            }
        }
        poll += POLL_MS;
    }
    flags
}

/// How often the bare rule fires.
pub(crate) fn naive_openings(world: &World, run: Run, sampling: Sampling) -> usize {
    flags(world, run, sampling, 3.0).len()
}

/// How many of the scheduled faults of the first cycle it sees at all. Its gate on the confidence makes the 3 sigma of
/// the published rule a 5.5.
pub(crate) fn naive_caught(world: &World, run: Run, sampling: Sampling) -> usize {
    let found = flags(world, run, sampling, 5.5);
    let faults = world.truth(run.acts_from_ms, run.acts_from_ms + 600_000);
    let is_seen = |fault: &&portent_demo_service::Fault| {
        found.iter().any(|(service, signal, at)| {
            fault.service == *service
                && fault.signals.contains(signal)
                && (fault.start_ms..fault.end_ms.unwrap_or(i64::MAX)).contains(at)
        })
    };
    faults.iter().filter(is_seen).count()
}
