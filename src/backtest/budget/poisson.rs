//! What a count says about the rate behind it.

/// Counts above this have the approximation of Wilson and Hilferty, which is right to four digits there.
const EXACT_MAX: u64 = 400;
/// The normal deviate of a two-sided 95 %.
const NORMAL_95: f64 = 1.959_964;

/// Returns the counts between which 95 % of a Poisson distribution lie at least: each tail beyond has at most 2.5 %.
/// `mean` is not negative.
pub fn poisson_interval(mean: f64) -> (u64, u64) {
    let mean = mean.clamp(0.0, 1e9);
    let (mut low, mut high) = (0, (mean + 10.0 * mean.sqrt() + 20.0) as u64);
    let top = high;
    // The first count of which no more than 2.5 % lie below, and the last of which no more than 2.5 % lie above.
    while low < top && at_most(low, mean) <= 0.025 {
        low += 1;
    }
    while high > 0 && 1.0 - at_most(high - 1, mean) <= 0.025 {
        high -= 1;
    }
    (low, high)
}

/// Returns the means for which a count is no surprise at 95 % (Garwood 1936): exact, so never too narrow.
pub fn rate_interval(count: u64) -> (f64, f64) {
    if count > EXACT_MAX {
        return (wilson_hilferty(count as f64, -NORMAL_95), wilson_hilferty(count as f64 + 1.0, NORMAL_95));
    }
    let top = count as f64 + 10.0 * (count as f64).sqrt() + 20.0;
    let low = match count.checked_sub(1) {
        Some(below) => bisect(top, |mean| 1.0 - at_most(below, mean) < 0.025),
        None => 0.0,
    };
    (low, bisect(top, |mean| at_most(count, mean) > 0.025))
}

/// The mean up to which something holds.
fn bisect(top: f64, holds: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (0.0, top);
    for _ in 0..80 {
        let middle = (low + high) / 2.0;
        if holds(middle) { low = middle } else { high = middle }
    }
    (low + high) / 2.0
}

/// A quantile of the gamma distribution of that shape (Wilson and Hilferty 1931).
fn wilson_hilferty(shape: f64, deviate: f64) -> f64 {
    let spread = 1.0 / (9.0 * shape);
    shape * (1.0 - spread + deviate * spread.sqrt()).powi(3)
}

/// The probability of at most so many.
fn at_most(count: u64, mean: f64) -> f64 {
    // In logarithms, so that a large mean does not vanish.
    let (mut log_term, mut sum) = (-mean, (-mean).exp());
    for nth in 1..=count {
        log_term += (mean / nth as f64).ln();
        sum += log_term.exp();
    }
    if mean <= 0.0 { 1.0 } else { sum.min(1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_of_a_count_is_the_tabulated_one() {
        // Garwood's table: 0, 1, 10 and 100.
        for (count, low, high) in
            [(0, 0.0, 3.6889), (1, 0.025_32, 5.5716), (10, 4.7954, 18.390), (100, 81.364, 121.627)]
        {
            let found = rate_interval(count);
            assert!((found.0 - low).abs() < 1e-3 && (found.1 - high).abs() < 1e-3, "{count}: {found:?}");
        }
        let (exact, approximate) =
            (rate_interval(400), (wilson_hilferty(400.0, -NORMAL_95), wilson_hilferty(401.0, NORMAL_95)));
        assert!((exact.0 - approximate.0).abs() < 0.05 && (exact.1 - approximate.1).abs() < 0.05);
    }

    #[test]
    fn the_range_of_a_mean_holds_nineteen_of_twenty_counts() {
        assert_eq!(poisson_interval(0.0), (0, 0));
        for mean in [0.5, 4.0, 80.0, 560.0] {
            let (low, high) = poisson_interval(mean);
            let below = if low > 0 { at_most(low - 1, mean) } else { 0.0 };
            let inside = at_most(high, mean) - below;
            assert!((0.95..0.995).contains(&inside), "{mean}: {low} to {high} hold {inside}");
        }
        assert_eq!(poisson_interval(100.0), (81, 120));
    }
}
