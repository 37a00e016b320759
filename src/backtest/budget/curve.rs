//! The curve of incidents over boundaries, and the boundary at which it meets a budget.

use super::poisson::rate_interval;

/// What the pipeline opened at one boundary.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Level {
    /// The boundary, as a multiple of a first guess: the larger, the looser.
    pub looseness: f64,
    /// Incidents that opened.
    pub incidents: usize,
}

/// Where a budget meets the curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fitted {
    /// The boundary, as a multiple of the same guess.
    pub looseness: f64,
    /// Incidents a day that are expected there. It is the budget, unless the boundary is at a limit.
    pub per_day: f64,
    /// The rate lies in here with about 95 % confidence, as far as the past is like the future.
    pub interval: (f64, f64),
    /// Whether history shows too few incidents that far out, so that the slope of the curve leads there.
    pub is_extrapolated: bool,
    /// Whether the boundary is one beyond which nothing changes.
    pub limit: Option<Limit>,
}

/// A boundary beyond which a budget leads no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// Not even the loosest boundary gives as many incidents as the budget accepts: it is taken.
    Loosest,
}

/// A level with so many incidents is the foot of the curve: fewer say little, more are far from where it leads.
const FOOT: f64 = 12.0;
/// So many incidents at a boundary are enough to speak of what was seen, and not of what follows from it.
const SEEN: f64 = 5.0;
/// Without any other knowledge, half the openings are left at half the probability; that counts as one incident.
const PRIOR_SLOPE: f64 = 1.0;
const PRIOR_INCIDENTS: f64 = 1.0;
const SLOPES: (f64, f64) = (0.25, 8.0);
/// The normal deviate of a two-sided 95 %.
const NORMAL_95: f64 = 1.959_964;

/// Finds the boundary at which so many incidents a day are expected. `levels` are in order of their looseness and hold what
/// `days` showed; `None` where there is none.
///
/// Below the first level with enough incidents, its foot, the number of incidents falls as a power of the looseness, as the tail of the largest of many does (Hill
/// 1975): its exponent is fitted by what lies between the levels, with a weak prior of 1.
pub fn fit(levels: &[Level], days: f64, per_day: f64) -> Option<Fitted> {
    let days = days.max(1e-6);
    let wanted = per_day * days;
    let counts = rising(levels.iter().map(|level| level.incidents as f64).collect());
    let last = counts.len().checked_sub(1)?;
    let foot = counts.iter().position(|count| *count >= FOOT).unwrap_or(last);
    let (foot_level, foot_count) = (levels.get(foot)?, counts.get(foot)?.max(0.5));
    let (slope, weight) = slope(levels.get(..=foot)?);
    let depth = (wanted / foot_count).ln().min(0.0) / slope;
    let (looseness, expected) = if wanted <= foot_count {
        (foot_level.looseness * depth.exp(), wanted)
    } else {
        between(levels, &counts, wanted).unwrap_or((levels.get(last)?.looseness, counts.get(last)?.max(0.5)))
    };
    let is_limited = expected < wanted;
    let expected = expected / days;
    let shown = shown(levels, &counts, looseness);
    let is_extrapolated = shown < SEEN;
    let interval = if is_extrapolated || expected * days < SEEN {
        // The foot is a count, and the way down from it a slope: both are known only so far.
        let of_slope = depth / weight.max(1.0).sqrt() * slope;
        let spread = NORMAL_95 * (1.0 / foot_count.max(1.0) + of_slope * of_slope).sqrt();
        (expected * (-spread).exp(), expected * spread.exp())
    } else {
        let (low, high) = rate_interval((expected * days).round() as u64);
        (low / days, high / days)
    };
    let limit = is_limited.then_some(Limit::Loosest);
    Some(Fitted { looseness, per_day: expected, interval, is_extrapolated, limit })
}

/// Where between two levels so many incidents lie; `None` where no level has as many.
fn between(levels: &[Level], counts: &[f64], wanted: f64) -> Option<(f64, f64)> {
    let above = counts.iter().position(|count| *count >= wanted)?;
    let (below, above) = (above.checked_sub(1)?, above);
    let (left, right) = (levels.get(below)?.looseness.ln(), levels.get(above)?.looseness.ln());
    let (few, many) = (counts.get(below)?.max(0.5).ln(), counts.get(above)?.ln());
    let share = (wanted.ln() - few) / (many - few).max(1e-12);
    Some(((left + share.clamp(0.0, 1.0) * (right - left)).exp(), wanted))
}

/// The incidents of the loosest level that is no looser than a boundary.
fn shown(levels: &[Level], counts: &[f64], looseness: f64) -> f64 {
    let pairs = levels.iter().zip(counts);
    let below = pairs.filter(|(level, _)| level.looseness <= looseness * (1.0 + 1e-9));
    below.map(|(_, count)| *count).fold(0.0, f64::max)
}

/// Counts that never fall from level to level: those that do are pooled with their neighbours (isotonic regression: Ayer et
/// al. 1955).
fn rising(counts: Vec<f64>) -> Vec<f64> {
    let mut blocks: Vec<(f64, usize)> = Vec::with_capacity(counts.len());
    for count in counts {
        blocks.push((count, 1));
        while let [.., (before, n), (after, m)] = blocks.as_slice()
            && before > after
        {
            let pooled = ((before * *n as f64 + after * *m as f64) / (n + m) as f64, n + m);
            blocks.truncate(blocks.len() - 2);
            blocks.push(pooled);
        }
    }
    blocks.into_iter().flat_map(|(mean, n)| std::iter::repeat_n(mean, n)).collect()
}

/// The exponent by which incidents fall with looseness below the last level, and how many incidents it rests on.
fn slope(levels: &[Level]) -> (f64, f64) {
    let counts = rising(levels.iter().map(|level| level.incidents as f64).collect());
    let Some(last) = levels.last() else { return (PRIOR_SLOPE, PRIOR_INCIDENTS) };
    let total = counts.last().copied().unwrap_or(0.0);
    // Incidents between two levels, with the depths of both below the last one.
    let mut before = 0.0;
    let mut cells = Vec::with_capacity(levels.len());
    let mut deeper = f64::INFINITY;
    for (level, count) in levels.iter().zip(&counts) {
        let depth = (last.looseness / level.looseness).ln().max(0.0);
        cells.push((count - before, depth, deeper));
        (before, deeper) = (*count, depth);
    }
    let likelihood = |slope: f64| -> f64 {
        let cell = |(count, depth, deeper): &(f64, f64, f64)| {
            let share = (-slope * depth).exp() - (-slope * deeper).exp();
            if *count > 0.0 { count * share.max(1e-300).ln() } else { 0.0 }
        };
        // As many incidents of the prior slope, seen exactly.
        let prior = PRIOR_INCIDENTS * (slope.ln() - slope / PRIOR_SLOPE);
        cells.iter().map(cell).sum::<f64>() + prior
    };
    (highest(likelihood), total + PRIOR_INCIDENTS)
}

/// Where a function with one summit is highest (golden section, on a scale of factors).
fn highest(of: impl Fn(f64) -> f64) -> f64 {
    let (mut low, mut high) = (SLOPES.0.ln(), SLOPES.1.ln());
    let part = (5.0_f64.sqrt() - 1.0) / 2.0;
    for _ in 0..60 {
        let (left, right) = (high - part * (high - low), low + part * (high - low));
        if of(left.exp()) < of(right.exp()) { low = left } else { high = right }
    }
    ((low + high) / 2.0).exp()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Levels at factors of 2, of which each has `of` incidents.
    fn levels(of: impl Fn(f64) -> f64) -> Vec<Level> {
        let level = |nth: i32| {
            let looseness = 2.0_f64.powi(nth);
            let incidents = of(looseness).round() as usize;
            Level { looseness, incidents }
        };
        (-4..=6).map(level).collect()
    }

    #[test]
    fn a_power_is_followed_in_what_was_seen_and_beyond() {
        for slope in [0.7, 1.0, 2.0] {
            let all = levels(|looseness: f64| 40.0 * looseness.powf(slope));
            for wanted in [30.0, 10.0, 1.0_f64] {
                let fitted = fit(&all, 10.0, wanted / 10.0).unwrap();
                let expected = (wanted / 40.0).powf(1.0 / slope);
                let apart = (fitted.looseness / expected).ln().abs() * slope;
                assert!(apart < 0.35, "{slope} {wanted}: {fitted:?}, expected {expected}");
                let (low, high) = fitted.interval;
                assert!(low < wanted / 10.0 && wanted / 10.0 < high, "{fitted:?}");
                assert_eq!(fitted.limit, None);
            }
        }
    }

    #[test]
    fn what_history_cannot_show_is_extrapolated_and_said_to_be() {
        let all = levels(|looseness| 40.0 * looseness);
        assert!(!fit(&all, 10.0, 2.0).unwrap().is_extrapolated);
        let rare = fit(&all, 10.0, 0.01).unwrap();
        assert!(rare.is_extrapolated, "{rare:?}");
        let often = fit(&all, 10.0, 2.0).unwrap();
        let width = |fitted: Fitted| (fitted.interval.1 / fitted.interval.0).ln();
        assert!(width(rare) > 1.5 * width(often), "{rare:?} {often:?}");
    }

    #[test]
    fn where_nothing_opens_the_loosest_boundary_is_taken() {
        let quiet = fit(&levels(|_| 0.0), 10.0, 1.0).unwrap();
        assert_eq!((quiet.looseness, quiet.limit), (64.0, Some(Limit::Loosest)));
        assert!(quiet.is_extrapolated && quiet.per_day <= 0.05, "{quiet:?}");
        assert_eq!(fit(&[], 10.0, 1.0), None);
    }

    #[test]
    fn counts_that_fall_are_pooled() {
        assert_eq!(rising(vec![1.0, 3.0, 2.0, 2.0, 7.0]), [1.0, 7.0 / 3.0, 7.0 / 3.0, 7.0 / 3.0, 7.0]);
        assert_eq!(rising(vec![4.0, 0.0]), [2.0, 2.0]);
        assert_eq!(rising(Vec::new()), [0.0; 0]);
    }

    proptest! {
        #[test]
        fn a_stricter_budget_never_gets_a_looser_boundary(
            counts in proptest::collection::vec(0_usize..300, 1..9),
            days in 1.0_f64..40.0,
            strict in 0.001_f64..10.0,
            factor in 1.0_f64..30.0,
        ) {
            let level = |(nth, count): (usize, &usize)| Level {
                looseness: 3.0_f64.powi(nth as i32 - 2),
                incidents: *count,
            };
            let levels: Vec<Level> = counts.iter().enumerate().map(level).collect();
            let looseness = |per_day: f64| fit(&levels, days, per_day).unwrap().looseness;
            prop_assert!(looseness(strict) <= looseness(strict * factor) * (1.0 + 1e-9));
        }

        #[test]
        fn it_is_a_number_and_its_interval_holds_it(
            counts in proptest::collection::vec(0_usize..5000, 1..9),
            per_day in 0.001_f64..1000.0,
        ) {
            let level = |(nth, count): (usize, &usize)| Level {
                looseness: 3.0_f64.powi(nth as i32), incidents: *count
            };
            let levels: Vec<Level> = counts.iter().enumerate().map(level).collect();
            let fitted = fit(&levels, 14.0, per_day).unwrap();
            let (low, high) = fitted.interval;
            prop_assert!(fitted.looseness > 0.0 && fitted.looseness.is_finite());
            prop_assert!(low <= fitted.per_day && fitted.per_day <= high && high.is_finite(), "{:?}", fitted);
        }
    }
}
