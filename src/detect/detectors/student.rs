//! How improbable a deviation is: tails of the normal and of Student's t distribution, on both sides.
//!
//! A deviation measured in a scale that was itself estimated from few samples is not normal: with ten samples, four
//! sigma come about fifty times as often. Only Student's t keeps p-values honest there (Student 1908).

use std::f64::consts::{PI, SQRT_2};

/// Above this many degrees of freedom the tail is that of this many: a little larger than the real one, and still within
/// 1 % of the normal tail at four sigma.
pub const FREEDOM_MAX: f64 = 10_000.0;

/// The tail of a normal figure farther out is no longer a number.
const SIGMA_MAX: f64 = 37.0;

const TERMS_MAX: usize = 2_000;
/// Keeps the continued fraction off a division by zero.
const TINY: f64 = 1e-300;

/// Returns the probability that a t-distributed figure with `freedom` degrees of freedom is at least `t` away from zero, on
/// either side: 0 to 1.
///
/// `I_x(ν/2, 1/2)` at `x = ν / (ν + t²)` (Abramowitz and Stegun 1964, 26.7.1), the incomplete beta function from its
/// continued fraction (26.5.8). The relative error is below 1e-10 down to probabilities of 1e-100, and there is no
/// underflow to zero above 1e-300. `freedom` is held between 1 and [`FREEDOM_MAX`].
pub fn two_sided(t: f64, freedom: f64) -> f64 {
    let freedom = freedom.clamp(1.0, FREEDOM_MAX);
    let t = t.abs().min(1e150);
    if t.is_nan() || t <= 0.0 {
        return 1.0;
    }
    let (a, b) = (freedom / 2.0, 0.5);
    let ratio = t * t / freedom;
    // `x` and `1 - x`, neither as a difference from 1.
    let (x, rest) = (1.0 / (1.0 + ratio), ratio / (1.0 + ratio));
    // ln(x^a (1-x)^b); the logarithm of `x` from `ratio`, since `x` is near 1 for many degrees of freedom.
    let log_power = -a * ratio.ln_1p() + b * (ratio.ln() - ratio.ln_1p());
    let front = log_power.exp() * gamma_ratio(a) / PI.sqrt();
    let tail = if x < (a + 1.0) / (a + b + 2.0) {
        front * beta_fraction(a, b, x) / a
    } else {
        1.0 - front * beta_fraction(b, a, rest) / b
    };
    tail.clamp(0.0, 1.0)
}

/// Returns the probability that a standard normal figure is at least `sigma` away from zero, on either side: 0 to 1.
///
/// By the series of the error function in the middle and the continued fraction of its complement outside (Abramowitz
/// and Stegun 1964, 7.1.6 and 7.1.14). Beyond 37 it is no longer a number and 0.
pub fn normal_two_sided(sigma: f64) -> f64 {
    const MIDDLE: f64 = 2.0;
    let x = sigma.abs() / SQRT_2;
    if x < MIDDLE {
        let (mut term, mut sum, mut nth) = (x, x, 0.0);
        while term > 1e-17 * sum {
            nth += 1.0;
            term *= 2.0 * x * x / (2.0 * nth + 1.0);
            sum += term;
        }
        return (1.0 - 2.0 / PI.sqrt() * (-x * x).exp() * sum).clamp(0.0, 1.0);
    }
    let fraction = (1..=60).rev().fold(x, |below, nth| x + f64::from(nth) / 2.0 / below);
    ((-x * x).exp() / (PI.sqrt() * fraction)).clamp(0.0, 1.0)
}

/// Returns the deviation that normal noise exceeds, on either side, with a probability: 1 to 37.
pub fn normal_quantile(probability: f64) -> f64 {
    let (mut low, mut high) = (1.0, SIGMA_MAX);
    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if normal_two_sided(middle) > probability { low = middle } else { high = middle }
    }
    high
}

/// Returns the standard normal deviation that is as far out as `t` with `freedom` degrees of freedom (Wallace 1959, "Bounds
/// on normal approximations to Student's and the chi-square distributions"; off by less than 1 % from 8 degrees on). It
/// takes nanoseconds: for samples.
pub fn normal_of_student(t: f64, freedom: f64) -> f64 {
    let ratio = t.abs() / freedom.sqrt();
    // Beyond this the square of the ratio has no room, and the logarithm is that of the ratio alone.
    let log = if ratio < 1e100 { (ratio * ratio).ln_1p() } else { 2.0 * ratio.ln() };
    wallace(freedom) * (freedom * log).sqrt()
}

/// Returns the `t` with `freedom` degrees of freedom that is as far out as a standard normal deviation: the inverse of
/// [`normal_of_student`].
pub fn student_of_normal(z: f64, freedom: f64) -> f64 {
    let weight = wallace(freedom);
    (freedom * (z * z / (weight * weight * freedom)).exp_m1()).sqrt()
}

fn wallace(freedom: f64) -> f64 {
    (8.0 * freedom + 1.0) / (8.0 * freedom + 3.0)
}

/// Returns the `t` that is exceeded, on either side, as often as a normal figure exceeds `sigma`; never below `sigma`.
///
/// Newton's method on the logarithms, whose curve bends one way only, so that it converges from anywhere. It takes a
/// microsecond or two: for tables, not for samples. `sigma` is held between 1 and 37.
pub fn edge_of(sigma: f64, freedom: f64) -> f64 {
    let freedom = freedom.clamp(1.0, FREEDOM_MAX);
    let sigma = sigma.clamp(1.0, SIGMA_MAX);
    let wanted = normal_two_sided(sigma).ln();
    let mut log_t = sigma.ln();
    for _ in 0..200 {
        let t = log_t.exp();
        let tail = two_sided(t, freedom);
        let density = gamma_ratio(freedom / 2.0) / (PI * freedom).sqrt()
            * (-(freedom + 1.0) / 2.0 * (t * t / freedom).ln_1p()).exp();
        // A step is held short, so that it does not end where the tail is no longer a number.
        let change = ((tail.ln() - wanted) * tail / (2.0 * density * t)).clamp(-1.0, 1.0);
        log_t += change;
        if change.abs() < 1e-12 {
            break;
        }
    }
    log_t.exp()
}

/// `Γ(a + 1/2) / Γ(a)`, from its asymptotic series where `a` is large, and by recurrence from there where it is not.
fn gamma_ratio(a: f64) -> f64 {
    let (mut a, mut factor) = (a, 1.0);
    while a < 20.0 {
        factor *= a / (a + 0.5);
        a += 1.0;
    }
    let inverse = 1.0 / a;
    let series = [21.0 / 32_768.0, -399.0 / 262_144.0, -869.0 / 4_194_304.0];
    // 1 - 1/8a + 1/128a² + 5/1024a³ - 21/32768a⁴ - 399/262144a⁵ + 869/4194304a⁶
    let high = -series[0] + inverse * (series[1] - inverse * series[2]);
    let sum = 1.0 + inverse * (-0.125 + inverse * (1.0 / 128.0 + inverse * (5.0 / 1024.0 + inverse * high)));
    factor * a.sqrt() * sum
}

/// The continued fraction of the incomplete beta function, evaluated from the front (modified Lentz: Thompson and Barnett
/// 1986).
fn beta_fraction(a: f64, b: f64, x: f64) -> f64 {
    let off_zero = |figure: f64| if figure.abs() < TINY { TINY } else { figure };
    let mut c = 1.0;
    let mut d = 1.0 / off_zero(1.0 - (a + b) * x / (a + 1.0));
    let mut result = d;
    for nth in 1..=TERMS_MAX {
        let m = nth as f64;
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / off_zero(1.0 + even * d);
        c = off_zero(1.0 + even / c);
        result *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / off_zero(1.0 + odd * d);
        c = off_zero(1.0 + odd / c);
        result *= d * c;
        if (d * c - 1.0).abs() < 1e-14 {
            break;
        }
    }
    result
}

/// The logarithmic derivative of the gamma function, for 1 and more.
pub(super) fn digamma(x: f64) -> f64 {
    // By recurrence to where the series converges.
    let (mut x, mut shift) = (x, 0.0);
    while x < 6.0 {
        shift -= 1.0 / x;
        x += 1.0;
    }
    let inverse = 1.0 / (x * x);
    shift + x.ln() - 0.5 / x - inverse * (1.0 / 12.0 - inverse * (1.0 / 120.0 - inverse / 252.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `t`, degrees of freedom and the tail to 15 digits, from arithmetic of 40 digits.
    const TABLE: &[(f64, f64, f64)] = &[
        (0.1, 1.0, 9.36548965138893e-1),
        (1.0, 1.0, 5.0e-1),
        (2.5, 1.0, 2.42237883181687e-1),
        (4.0, 1.0, 1.55958260754739e-1),
        (8.0, 1.0, 7.91668483211311e-2),
        (30.0, 1.0, 2.12128048110708e-2),
        (0.1, 2.0, 9.2946543841414e-1),
        (1.0, 2.0, 4.22649730810374e-1),
        (2.5, 2.0, 1.29611720221511e-1),
        (4.0, 2.0, 5.71909584179366e-2),
        (8.0, 2.0, 1.52680721653381e-2),
        (30.0, 2.0, 1.10926268195966e-3),
        (0.1, 4.0, 9.25155840939453e-1),
        (1.0, 4.0, 3.73900966300059e-1),
        (2.5, 4.0, 6.67665448119881e-2),
        (4.0, 4.0, 1.61300899000925e-2),
        (8.0, 4.0, 1.32389690921717e-3),
        (30.0, 4.0, 7.35285609766132e-6),
        (0.1, 7.0, 9.23148059604792e-1),
        (1.0, 7.0, 3.50616662820208e-1),
        (2.5, 7.0, 4.09922185857529e-2),
        (4.0, 7.0, 5.18991334929681e-3),
        (8.0, 7.0, 9.11492117087536e-5),
        (30.0, 7.0, 1.17884688807331e-8),
        (0.1, 11.0, 9.22143592777146e-1),
        (1.0, 11.0, 3.38800696196202e-1),
        (2.5, 11.0, 2.95063740873642e-2),
        (4.0, 11.0, 2.08619356697496e-3),
        (8.0, 11.0, 6.53221715538471e-6),
        (30.0, 11.0, 6.66693122136505e-12),
        (0.1, 30.0, 9.21009611790271e-1),
        (1.0, 30.0, 3.2530861542603e-1),
        (2.5, 30.0, 1.81156490680667e-2),
        (4.0, 30.0, 3.81845636083757e-4),
        (8.0, 30.0, 6.26582247570076e-9),
        (30.0, 30.0, 6.25179163060889e-24),
        (0.1, 88.43, 9.20570687289999e-1),
        (1.0, 88.43, 3.20039054339116e-1),
        (2.5, 88.43, 1.42640721957037e-2),
        (4.0, 88.43, 1.31187365296117e-4),
        (8.0, 88.43, 4.50707932756378e-12),
        (30.0, 88.43, 3.9324408287977e-48),
        (0.1, 239.0, 9.20428155961974e-1),
        (1.0, 239.0, 3.18321877907848e-1),
        (2.5, 239.0, 1.30907038290857e-2),
        (4.0, 239.0, 8.44927896106435e-5),
        (8.0, 239.0, 5.36517955642398e-14),
        (30.0, 239.0, 5.33229694040445e-83),
        (0.1, 1000.0, 9.20364369023604e-1),
        (1.0, 1000.0, 3.17552418084672e-1),
        (2.5, 1000.0, 1.25785678010908e-2),
        (4.0, 1000.0, 6.80099192087816e-5),
        (8.0, 1000.0, 3.42666148239147e-15),
        (30.0, 1000.0, 1.53746874440435e-141),
        (0.1, 10000.0, 9.20346330031075e-1),
        (1.0, 10000.0, 3.17334704330429e-1),
        (2.5, 10000.0, 1.24352195505837e-2),
        (4.0, 10000.0, 6.37986688231396e-5),
        (8.0, 10000.0, 1.38212087290654e-15),
        (30.0, 10000.0, 2.04432704742557e-189),
    ];

    #[test]
    fn tails_agree_with_tabulated_values() {
        for &(t, freedom, expected) in TABLE {
            let found = two_sided(t, freedom);
            assert!((found / expected - 1.0).abs() < 1e-10, "{t} {freedom}: {found} for {expected}");
            assert!((two_sided(-t, freedom) / expected - 1.0).abs() < 1e-10);
        }
    }

    #[test]
    fn the_normal_tail_agrees_with_tabulated_values() {
        let table = [
            (0.0, 1.0),
            (1.0, 0.317310507862914),
            (1.95996398454005, 0.05),
            (1.5, 0.133614402537716),
            (3.0, 0.00269979606326019),
            (4.0, 6.33424836662398e-5),
            (6.0, 1.9731752900754e-9),
            (10.0, 1.52397060483211e-23),
        ];
        for (sigma, expected) in table {
            let found = normal_two_sided(sigma);
            assert!((found / expected - 1.0).abs() < 1e-9, "{sigma}: {found} for {expected}");
        }
    }

    #[test]
    fn beyond_what_is_a_number_the_normal_tail_is_nothing() {
        assert_eq!(normal_two_sided(1e9).to_bits(), 0.0_f64.to_bits());
    }

    #[test]
    fn a_quantile_has_its_probability() {
        for probability in [1e-3, 1e-6, 1e-15] {
            let found = normal_two_sided(normal_quantile(probability));
            assert!((found / probability - 1.0).abs() < 1e-9, "{probability}: {found}");
        }
    }

    #[test]
    fn the_quick_tail_of_t_is_that_of_the_tables() {
        for (t, freedom, expected, off) in
            [(2.306_004, 8.0, 0.05, 0.02), (3.355_387, 8.0, 0.01, 0.02), (2.042_272, 30.0, 0.05, 0.002)]
        {
            let found = normal_two_sided(normal_of_student(t, freedom));
            assert!((found / expected - 1.0).abs() < off, "{t} {freedom}: {found} for {expected}");
        }
    }

    #[test]
    fn the_quick_tail_of_t_has_an_inverse() {
        for z in [0.0, 0.5, 3.0, 6.0] {
            let there = student_of_normal(z, 15.0);
            assert!((normal_of_student(there, 15.0) - z).abs() < 1e-9, "{z}");
        }
        assert!(normal_of_student(1e300, 8.0).is_finite());
    }

    #[test]
    fn an_edge_has_its_tail() {
        for freedom in [1.0, 3.3, 11.0, 88.0, 239.0, 5000.0] {
            for sigma in [1.0, 3.0, 4.0, 6.0, 10.0] {
                let tail = normal_two_sided(sigma);
                let found = two_sided(edge_of(sigma, freedom), freedom);
                assert!((found / tail - 1.0).abs() < 1e-8, "{freedom} {sigma}: {found} for {tail}");
            }
        }
    }

    #[test]
    fn tails_fall_with_distance_and_with_freedom() {
        for freedom in [1.0, 2.5, 10.0, 100.0, 9_999.0] {
            let tails: Vec<f64> = (0..400).map(|n| two_sided(f64::from(n) * 0.1, freedom)).collect();
            assert!(tails.windows(2).all(|pair| pair[1] <= pair[0] * (1.0 + 1e-12)), "{freedom}");
        }
        let tails: Vec<f64> = (1..400).map(|n| two_sided(3.0, f64::from(n))).collect();
        assert!(tails.windows(2).all(|pair| pair[1] < pair[0]));
    }

    #[test]
    fn nothing_gives_a_figure_that_is_no_probability() {
        for t in [0.0, f64::MIN_POSITIVE, 1e-160, 1e-9, 1e9, 1e154, f64::MAX, f64::INFINITY, f64::NAN] {
            for freedom in [-1.0, 0.0, 1.0, 3.0, 1e3, 1e300, f64::INFINITY] {
                let tail = two_sided(t, freedom);
                assert!((0.0..=1.0).contains(&tail), "{t} {freedom}: {tail}");
            }
        }
    }
}
