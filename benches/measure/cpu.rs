//! CPU time: what the thread used, whatever else the machine did meanwhile.

use rustix::time::{ClockId, clock_gettime};

/// Measures the CPU time of the thread that started it.
pub(crate) struct Stopwatch {
    begun: f64,
}

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Self { begun: thread_micros() }
    }

    pub(crate) fn micros(&self) -> f64 {
        thread_micros() - self.begun
    }
}

fn thread_micros() -> f64 {
    let used = clock_gettime(ClockId::ThreadCPUTime);
    used.tv_sec as f64 * 1e6 + used.tv_nsec as f64 / 1e3
}

pub(crate) fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}
