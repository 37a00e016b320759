//! Delays during ticks and between them.

use std::collections::BTreeMap;
use std::time::Instant;

use super::agent::judged;
use super::load::{Ask, Asked};
use crate::Setup;

/// A tick may delay the answers by so much at the 99th percentile.
const DELAY_MAX_MS: f64 = 50.0;

pub(crate) struct Report {
    asked: Vec<Asked>,
    /// From when to when each tick was worked on.
    ticks: Vec<(Instant, Instant)>,
}

impl Report {
    /// `begun` holds when the backend was asked for the steps of a signal up to a time.
    pub(crate) fn new(mut asked: Vec<Asked>, begun: &BTreeMap<(usize, i64), Instant>) -> Self {
        asked.sort_by_key(|asked| asked.done);
        let end = |(signal, through_s): (usize, i64), begun: Instant| {
            let told = asked.iter().filter(|asked| asked.done > begun && asked.sent > begun);
            let reached = |asked: &&Asked| {
                let through = asked.judged.get(signal).and_then(|at| unix_s(at));
                through.is_some_and(|at| at >= through_s)
            };
            told.into_iter().find(reached).map(|asked| asked.done)
        };
        let ticks = begun.iter().filter_map(|(what, at)| Some((*at, end(*what, *at)?))).collect();
        Self { asked, ticks }
    }

    fn is_during(&self, asked: &Asked) -> bool {
        self.ticks.iter().any(|(from, to)| asked.due <= *to && asked.done >= *from)
    }

    /// The delays of some questions, during ticks and between them.
    fn split(&self, of: impl Fn(&Asked) -> bool) -> (Delays, Delays) {
        let delays = |is_during: bool| {
            let some = self.asked.iter().filter(|asked| of(asked) && self.is_during(asked) == is_during);
            Delays::new(some.map(Asked::delay_ms).collect())
        };
        (delays(true), delays(false))
    }

    pub(crate) fn print(&self) {
        let lasted = Delays::new(
            self.ticks.iter().map(|(from, to)| to.duration_since(*from).as_secs_f64() * 1e3).collect(),
        );
        println!(
            "{} ticks of a signal: {:.0} ms in the median, {:.0} ms at most\n",
            self.ticks.len(),
            lasted.at(0.5),
            lasted.at(1.0)
        );
        println!(
            "{:<12} {:>7} {:>8} {:>8} {:>8}   {:>7} {:>8} {:>8} {:>8}   {:>9}",
            "delay in ms", "during", "p50", "p99", "max", "between", "p50", "p99", "max", "later p99"
        );
        let row = |name: &str, (during, between): (Delays, Delays)| {
            println!("{name:<12} {during}   {between}   {:>9.2}", during.at(0.99) - between.at(0.99));
        };
        let mut asks: Vec<Ask> = self.asked.iter().map(|asked| asked.ask).collect();
        asks.sort();
        asks.dedup();
        for ask in asks {
            row(&format!("{ask:?}"), self.split(|asked| asked.ask == ask));
        }
        row("all", self.split(|_| true));
        let late = |asked: &Asked| asked.sent.duration_since(asked.due).as_secs_f64() * 1e3;
        let late = Delays::new(self.asked.iter().map(late).collect());
        println!(
            "sent late: {:.2} ms in the median, {:.2} ms at p99, {:.2} ms at most\n",
            late.at(0.5),
            late.at(0.99),
            late.at(1.0)
        );
    }

    /// Whether nothing was cut and nothing delayed.
    pub(crate) fn verdict(
        &self,
        setup: &Setup,
        before: &BTreeMap<String, f64>,
        after: &BTreeMap<String, f64>,
    ) -> Result<(), String> {
        let of = |name: &str| after.get(name).copied().unwrap_or(0.0);
        let since = |name: &str| of(name) - before.get(name).copied().unwrap_or(0.0);
        let tracked = of("portent_series_tracked");
        let polled = setup.series_per_signal() * setup.signals;
        println!(
            "{tracked:.0} series tracked, {:.0} samples judged, {:.0} incidents opened",
            judged(after) - judged(before),
            since("portent_incidents_opened_total"),
        );
        let refused: Vec<&Asked> = self.asked.iter().filter(|asked| asked.refused.is_some()).collect();
        if let Some(first) = refused.first() {
            let because = first.refused.as_deref().unwrap_or_default();
            return Err(format!(
                "{} questions were refused, such as {:?}: {because}",
                refused.len(),
                first.ask
            ));
        }
        let untracked = of("portent_series_untracked_total");
        if tracked as usize != polled || untracked > 0.0 {
            return Err(format!("{polled} series should be tracked; {untracked} rows were left out"));
        }
        for name in ["portent_missed_evaluations_total", "portent_source_query_failures_total"] {
            if since(name) > 0.0 {
                return Err(format!("{name} grew by {}", since(name)));
            }
        }
        let (during, between) = self.split(|_| true);
        let later = during.at(0.99) - between.at(0.99);
        if later > DELAY_MAX_MS {
            return Err(format!(
                "a tick delays the answers by {later:.1} ms at p99; at most {DELAY_MAX_MS} are wanted"
            ));
        }
        Ok(())
    }
}

/// Unix seconds of a time as the API writes it.
fn unix_s(text: &str) -> Option<i64> {
    Some(portent::time::parse_timestamp(text).ok()?.as_millis() / 1000)
}

/// Delays in order, in ms.
struct Delays(Vec<f64>);

impl Delays {
    fn new(mut delays: Vec<f64>) -> Self {
        delays.sort_by(f64::total_cmp);
        Self(delays)
    }

    /// A quantile, 0 to 1; 0 where there is none.
    fn at(&self, quantile: f64) -> f64 {
        let place = (self.0.len() as f64 * quantile).ceil() as usize;
        self.0.get(place.saturating_sub(1)).copied().unwrap_or(0.0)
    }
}

impl std::fmt::Display for Delays {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (p50, p99, max) = (self.at(0.5), self.at(0.99), self.at(1.0));
        write!(f, "{:>7} {p50:>8.2} {p99:>8.2} {max:>8.2}", self.0.len())
    }
}
