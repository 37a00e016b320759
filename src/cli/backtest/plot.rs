//! Geometry of the plots on the page: times and values become places in a box. Only numbers leave it.

use std::fmt::Write as _;
use std::time::Duration;

use super::text::seconds;
use crate::diagnose::short;
use crate::incident::Trouble;
use crate::replay::{Found, Trace};
use crate::time::Timestamp;

/// The box of an incident's plot, in units of its picture.
pub(super) const WIDTH: f64 = 320.0;
pub(super) const HEIGHT: f64 = 90.0;
/// Free space above and below the values.
const MARGIN: f64 = 6.0;

/// One series around an incident.
#[derive(Debug)]
pub(super) struct Plot {
    /// The way of the values, as SVG writes it.
    pub(super) path: String,
    /// The top and the height of the band as it was when the incident opened.
    pub(super) band: Option<(String, String)>,
    /// What was expected then.
    pub(super) expected: Option<String>,
    pub(super) onset: String,
    pub(super) opened: String,
    /// `None` where it was not resolved by then.
    pub(super) resolved: Option<String>,
    pub(super) highest: String,
    pub(super) lowest: String,
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
    pub(super) is_cut: bool,
}

/// A scale from values to places.
struct Axis {
    from: f64,
    span: f64,
    begin: f64,
    length: f64,
}

impl Axis {
    fn new(from: f64, to: f64, begin: f64, length: f64) -> Self {
        // A constant lies in the middle.
        let (from, span) = if to > from { (from, to - from) } else { (from - 0.5, 1.0) };
        Self { from, span, begin, length }
    }

    fn at(&self, value: f64) -> f64 {
        let share = ((value - self.from) / self.span).clamp(0.0, 1.0);
        self.begin + self.length * share
    }
}

impl Plot {
    /// Draws an incident's worst series; `None` where there are too few samples to draw.
    pub(super) fn of(found: &Found) -> Option<Self> {
        let trace = found.trace.as_ref()?;
        let ((first, _), (last, _)) = (trace.points.first()?, trace.points.last()?);
        if first == last {
            return None;
        }
        let anomaly = found.worst.as_ref().and_then(|worst| match worst.trouble {
            Trouble::Deviation(anomaly) => Some(anomaly),
            Trouble::Lost { .. } => None,
        });
        let edges = anomaly.iter().flat_map(|anomaly| [anomaly.lower, anomaly.upper, anomaly.expected]);
        let values = trace.points.iter().map(|(_, value)| *value);
        let (lowest, highest) = values
            .chain(edges)
            .filter(|value| value.is_finite())
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        let x = Axis::new(first.as_seconds(), last.as_seconds(), 0.0, WIDTH);
        let y = Axis::new(lowest, highest, HEIGHT - MARGIN, -(HEIGHT - 2.0 * MARGIN));
        let mark = |at: Timestamp| place(x.at(at.as_seconds()));
        let band = anomaly.map(|anomaly| {
            let (top, bottom) = (y.at(anomaly.upper), y.at(anomaly.lower));
            (place(top), place((bottom - top).max(0.5)))
        });
        Some(Self {
            path: path(trace, &x, &y),
            band,
            expected: anomaly.map(|anomaly| place(y.at(anomaly.expected))),
            onset: mark(found.onset),
            opened: mark(found.opened_at),
            resolved: found.resolved_at.filter(|at| at <= last).map(mark),
            highest: short(highest),
            lowest: short(lowest),
            first: seconds(*first),
            last: seconds(*last),
            is_cut: trace.is_cut,
        })
    }
}

/// A line through the samples, which breaks where some are missing.
fn path(trace: &Trace, x: &Axis, y: &Axis) -> String {
    let mut steps: Vec<Duration> =
        trace.points.iter().zip(trace.points.iter().skip(1)).map(|((a, _), (b, _))| b.since(*a)).collect();
    steps.sort();
    let usual = steps.get(steps.len() / 2).copied().unwrap_or_default();
    let mut path = String::new();
    let mut before: Option<Timestamp> = None;
    for (at, value) in &trace.points {
        let goes_on = before.is_some_and(|before| at.since(before) <= usual.mul_f64(2.5));
        let word = if goes_on { 'L' } else { 'M' };
        // Writing into a text does not fail.
        let _ = write!(path, "{word}{} {}", place(x.at(at.as_seconds())), place(y.at(*value)));
        before = Some(*at);
    }
    path
}

/// A place with one digit after the point.
pub(super) fn place(at: f64) -> String {
    format!("{at:.1}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_breaks_where_samples_are_missing() {
        let at = |seconds: i64| Timestamp::from_millis(seconds * 1000);
        let points = [0, 15, 30, 90, 105].map(|seconds| (at(seconds), seconds as f64)).to_vec();
        let trace = Trace { points, is_cut: false };
        let (x, y) = (Axis::new(0.0, 105.0, 0.0, 105.0), Axis::new(0.0, 105.0, 105.0, -105.0));
        assert_eq!(path(&trace, &x, &y), "M0.0 105.0L15.0 90.0L30.0 75.0M90.0 15.0L105.0 0.0");
    }

    #[test]
    fn a_constant_lies_in_the_middle() {
        let axis = Axis::new(7.0, 7.0, 0.0, 10.0);
        assert_eq!(place(axis.at(7.0)), "5.0");
        assert_eq!(place(axis.at(f64::INFINITY)), "10.0");
    }
}
