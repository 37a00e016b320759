//! A day of noise over many series opens next to nothing. `make noise` does the same with 10,000.

use super::fleet::{Day, Kindred, TABLE_HEAD, day_of_noise};

const SERIES: usize = 2000;
const SEED: u64 = 1;

fn told(kindred: Kindred, count: usize) -> Day {
    let day = day_of_noise(kindred, count, SEED);
    println!("{TABLE_HEAD}\n{}", day.row(kindred, count, SEED));
    day
}

#[test]
fn a_lone_fault_is_found_among_noise_of_any_kind() {
    for kindred in [Kindred::Gaussian, Kindred::Student3, Kindred::Autoregressed] {
        let day = told(kindred, SERIES / 10);
        assert!(day.finds_enough(), "{kindred:?}: {day:?}");
        assert!(day.naive > 100 * kindred.openings_max(), "the naive rule: {kindred:?}: {day:?}");
    }
}

#[test]
fn a_day_of_gaussian_noise_opens_at_most_once() {
    assert_eq!(told(Kindred::Gaussian, SERIES).broken(Kindred::Gaussian), None);
}

#[test]
fn a_day_of_heavy_tails_opens_at_most_thrice() {
    assert_eq!(told(Kindred::Student3, SERIES).broken(Kindred::Student3), None);
}

#[test]
fn a_day_of_autoregressed_noise_opens_at_most_thrice() {
    assert_eq!(told(Kindred::Autoregressed, SERIES).broken(Kindred::Autoregressed), None);
}
