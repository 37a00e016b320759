//! Tails of Student's t by the normal one: a scale that is known from few samples is worth less.

use std::f64::consts::{PI, SQRT_2};

/// The standard normal deviation that is as far out as `t` with these degrees of freedom (Wallace 1959, "Bounds on
/// normal approximations to Student's and the chi-square distributions"; off by less than 1 % from 8 degrees on).
pub(super) fn normal_of_student(t: f64, freedom: f64) -> f64 {
    let weight = (8.0 * freedom + 1.0) / (8.0 * freedom + 3.0);
    let ratio = t.abs() / freedom.sqrt();
    // Beyond this the square of the ratio has no room, and the logarithm is that of the ratio alone.
    let log = if ratio < 1e100 { (ratio * ratio).ln_1p() } else { 2.0 * ratio.ln() };
    weight * (freedom * log).sqrt()
}

/// The deviation `t` with these degrees of freedom that is as far out as a standard normal deviation.
pub(super) fn student_of_normal(z: f64, freedom: f64) -> f64 {
    let weight = (8.0 * freedom + 1.0) / (8.0 * freedom + 3.0);
    (freedom * (z * z / (weight * weight * freedom)).exp_m1()).sqrt()
}

/// The probability that a standard normal deviation is at least so far out, on either side.
///
/// By the series of the error function in the middle and the continued fraction of its complement outside (Abramowitz
/// and Stegun 1964, 7.1.6 and 7.1.14).
pub(super) fn normal_tail(z: f64) -> f64 {
    const MIDDLE: f64 = 2.0;
    let x = z.abs() / SQRT_2;
    if x < MIDDLE {
        let (mut term, mut sum, mut nth) = (x, x, 0.0);
        while term > 1e-17 * sum {
            nth += 1.0;
            term *= 2.0 * x * x / (2.0 * nth + 1.0);
            sum += term;
        }
        return (1.0 - 2.0 / PI.sqrt() * (-x * x).exp() * sum).clamp(0.0, 1.0);
    }
    let fraction = (1..=40).rev().fold(x, |below, nth| x + f64::from(nth) / 2.0 / below);
    ((-x * x).exp() / (PI.sqrt() * fraction)).clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(measured: f64, expected: f64, off: f64) {
        assert!((measured / expected - 1.0).abs() < off, "{measured}, not {expected}");
    }

    #[test]
    fn the_normal_tail_is_that_of_the_tables() {
        check(normal_tail(1.0), 0.317_310_507_862_9, 1e-10);
        check(normal_tail(1.959_963_984_540_05), 0.05, 1e-10);
        check(normal_tail(3.0), 0.002_699_796_063_260, 1e-9);
        check(normal_tail(6.0), 1.973_175_290_075e-9, 1e-9);
        check(normal_tail(0.0), 1.0, 1e-15);
        assert_eq!(normal_tail(1e9).to_bits(), 0.0_f64.to_bits());
    }

    #[test]
    fn the_tail_of_t_is_that_of_the_tables() {
        check(normal_tail(normal_of_student(2.306_004, 8.0)), 0.05, 0.02);
        check(normal_tail(normal_of_student(3.355_387, 8.0)), 0.01, 0.02);
        check(normal_tail(normal_of_student(2.042_272, 30.0)), 0.05, 0.002);
    }

    #[test]
    fn one_is_the_inverse_of_the_other() {
        for z in [0.0, 0.5, 3.0, 6.0] {
            let there = student_of_normal(z, 15.0);
            assert!((normal_of_student(there, 15.0) - z).abs() < 1e-9, "{z}");
        }
        assert!(normal_of_student(1e300, 8.0).is_finite());
    }
}
