//! How far it is, on standard error: a bar that is written over on a terminal, else a line now and then.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use crate::runtime::{Clock, Progress};
use crate::time::{Timestamp, format_duration};

/// The bar has so many signs.
const SIGNS: usize = 24;
/// Where it is no terminal, a line is written each time that so much more is done.
const LINE_EVERY: f64 = 0.1;

/// Shows how far it is.
#[derive(Debug)]
pub(in crate::cli) struct Bar {
    name: &'static str,
    is_terminal: bool,
    clock: Clock,
    begun: Timestamp,
    told: f64,
}

impl Bar {
    pub(in crate::cli) fn new(name: &'static str, clock: &Clock) -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        Self { name, is_terminal, clock: clock.clone(), begun: clock.now(), told: 0.0 }
    }

    /// The real time since it began.
    pub(super) fn took(&self) -> Duration {
        self.clock.now().since(self.begun)
    }

    pub(in crate::cli) fn show(&mut self, progress: Progress) {
        let line = line(progress, self.took());
        // Whoever closed the pipe does not want to know.
        if self.is_terminal {
            let _ = write!(std::io::stderr(), "\r\x1b[2K{} {line}", bar(progress.share));
            let _ = std::io::stderr().flush();
        } else if progress.share >= self.told + LINE_EVERY || progress.share >= 1.0 {
            self.told = progress.share;
            let _ = writeln!(std::io::stderr(), "{}: {line}", self.name);
        }
    }

    /// Takes it away, so that what follows stands on a line of its own.
    pub(in crate::cli) fn clear(&self) {
        if self.is_terminal {
            let _ = write!(std::io::stderr(), "\r\x1b[2K");
        }
    }
}

fn bar(share: f64) -> String {
    let full = ((share.clamp(0.0, 1.0) * SIGNS as f64).round() as usize).min(SIGNS);
    format!("[{}{}]", "#".repeat(full), "-".repeat(SIGNS - full))
}

fn line(progress: Progress, took: Duration) -> String {
    let Progress { share, at, requests, samples, incidents } = progress;
    let left = match share {
        share if share > 0.02 && share < 1.0 => {
            let left = Duration::from_secs((took.as_secs_f64() * (1.0 - share) / share) as u64);
            format!(", about {} left", format_duration(left))
        }
        _ => String::new(),
    };
    let percent = (share * 100.0).floor();
    format!(
        "{percent:>3} %  {at}  {requests} requests, {} samples, {incidents} incidents{left}",
        count(samples)
    )
}

/// A large number as people read it.
pub(super) fn count(number: usize) -> String {
    match number {
        0..10_000 => number.to_string(),
        10_000..10_000_000 => format!("{:.0} k", number as f64 / 1e3),
        _ => format!("{:.1} M", number as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_how_far_it_is_and_how_long_it_will_take() {
        let progress = Progress {
            share: 0.25,
            at: Timestamp::from_millis(1_700_000_000_000),
            requests: 12,
            samples: 1_234_567,
            incidents: 3,
        };
        let line = line(progress, Duration::from_secs(30));
        assert_eq!(
            line,
            " 25 %  2023-11-14T22:13:20Z  12 requests, 1235 k samples, 3 incidents, about 1m30s left"
        );
        assert_eq!(bar(0.25), "[######------------------]");
        assert_eq!((bar(0.0).len(), bar(7.0).len()), (26, 26));
    }
}
