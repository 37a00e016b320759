//! The naive rule, for comparison, at its best: it looks at every sample and not only at the last of each poll.

/// Whether each sample is more than 3 standard deviations of the 19 samples before it away from their mean. The first
/// 19 are not judged; where the 19 do not vary there is no z, and nothing is flagged.
pub(crate) fn flags(values: &[f64]) -> Vec<bool> {
    (0..values.len()).map(|at| at >= 19 && z(&values[at - 19..at], values[at]).abs() > 3.0).collect()
}

/// The z-score of a sample against the ones before it.
pub(crate) fn z(before: &[f64], current: f64) -> f64 {
    let n = before.len() as f64;
    let mean = before.iter().sum::<f64>() / n;
    let variance = before.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>() / n;
    if variance > 0.0 { (current - mean) / variance.sqrt() } else { 0.0 }
}

/// The z-scores of the last `count` samples of the notation.
pub(crate) fn last_scores(values: &str, count: usize) -> Vec<f64> {
    let values: Vec<f64> = super::trial::parse(values).into_iter().flatten().collect();
    (values.len() - count..values.len()).map(|at| z(&values[at - 19..at], values[at])).collect()
}
