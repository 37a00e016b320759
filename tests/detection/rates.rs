//! How often noise is flagged and how often faults are found, measured on seeded noise. The figures stand in
//! `docs/detectors.md`.

use std::time::Duration;

use portent::detect::{Detect, Finding, Settings, What};
use portent::series::{Batch, SeriesKey};
use portent::time::Timestamp;

use super::naive;
use super::noise::Noise;
use super::trial::{NEVER_MUTED, STEP, key, plan, signal};

const HOUR: usize = 240;
const DAY: usize = 24 * HOUR;
const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

/// Many series through one detector, an hour a batch.
struct Fleet {
    detect: Detect,
    keys: Vec<std::sync::Arc<SeriesKey>>,
    step: usize,
}

impl Fleet {
    fn new(series: usize) -> Self {
        let detect = Detect::new([(signal(), plan(Settings::classic(), STEP))]);
        Self { detect, keys: (0..series).map(|nth| key(&nth.to_string())).collect(), step: 0 }
    }

    /// Feeds `span` steps of `value(series, step)`.
    fn feed(&mut self, span: usize, mut value: impl FnMut(usize, usize) -> f64) -> Vec<Finding> {
        let mut batch = Batch::new(signal());
        for (series, key) in self.keys.iter().enumerate() {
            batch.begin_row(key.clone());
            for step in self.step..self.step + span {
                batch.push(at(step), value(series, step));
            }
        }
        self.step += span;
        self.detect.judge(&batch, NEVER_MUTED);
        self.detect.close(&signal(), at(self.step - 1), NEVER_MUTED)
    }

    /// Samples judged and samples outside so far.
    fn counted(&self) -> (u64, u64) {
        let tally = self.detect.tallies()[0].1;
        (tally.judged_total, tally.outside_total)
    }
}

fn at(step: usize) -> Timestamp {
    START.plus(STEP * step as u32)
}

/// The steps at which anomalies opened.
fn openings(findings: &[Finding]) -> Vec<(String, Timestamp, Timestamp)> {
    let opened = findings.iter().filter_map(|finding| match &finding.what {
        What::Anomalous(anomaly) if anomaly.detected_at == finding.at => {
            Some((finding.key.service.as_str().to_owned(), anomaly.onset, anomaly.detected_at))
        }
        What::Recovered(anomaly) => {
            Some((finding.key.service.as_str().to_owned(), anomaly.onset, anomaly.detected_at))
        }
        _ => None,
    });
    let mut openings: Vec<_> = opened.collect();
    openings.sort();
    openings.dedup();
    openings
}

/// The share of samples outside, of each hour of a day over 400 series of stationary noise.
fn flag_rates(name: &str, mut next: impl FnMut(&mut Noise, f64) -> f64) -> Vec<f64> {
    const SERIES: usize = 400;
    let mut noises: Vec<(Noise, f64)> = (0..SERIES).map(|seed| (Noise::new(seed as u64), 0.0)).collect();
    let mut fleet = Fleet::new(SERIES);
    let (mut rates, mut opened, mut before) = (Vec::new(), 0, (0, 0));
    for _ in 0..24 {
        let findings = fleet.feed(HOUR, |series, _| {
            let (noise, last) = &mut noises[series];
            *last = next(noise, *last);
            100.0 + 5.0 * *last
        });
        opened += openings(&findings).len();
        let (judged, outside) = fleet.counted();
        rates.push((outside - before.1) as f64 / (judged - before.0) as f64);
        before = (judged, outside);
    }
    println!(
        "{name}, 400 series (seeds 0 to 399): outside in hour 2 {:.3} %, in hour 24 {:.3} %, ratio {:.2}; \
         {:.2} openings a series and day",
        100.0 * rates[1],
        100.0 * rates[23],
        rates[23] / rates[1],
        opened as f64 / SERIES as f64,
    );
    rates
}

#[track_caller]
fn check_stationary(rates: &[f64]) {
    assert!(rates[1] > 0.0 && rates[23] <= 1.5 * rates[1], "hour 2 {}, hour 24 {}", rates[1], rates[23]);
}

#[test]
fn the_flag_rate_on_heavy_tails_does_not_grow_over_a_day() {
    check_stationary(&flag_rates("t(3)", |noise, _| noise.student3()));
}

#[test]
fn the_flag_rate_on_autoregressed_noise_does_not_grow_over_a_day() {
    check_stationary(&flag_rates("AR(1) 0.8", |noise, last| noise.autoregressed(last, 0.8)));
}

#[test]
fn the_flag_rate_on_gaussian_noise_does_not_grow_over_a_day() {
    let rates = flag_rates("Gaussian", |noise, _| noise.gaussian());
    check_stationary(&rates);
    assert!(rates[23] < 0.006, "three sigma is 0.27 % where the scale is known: {}", rates[23]);
}

/// 100 with 5 % of Gaussian noise and a wave of 3 % and an hour, as the demo service has them.
fn demo_like(series: usize, step: usize, noise: &mut Noise) -> f64 {
    let phase = series as f64 / 7.0 + step as f64 / HOUR as f64;
    100.0 * (1.0 + 0.05 * noise.gaussian() + 0.03 * (std::f64::consts::TAU * phase).sin())
}

fn demo_noises(series: usize, seed: u64) -> Vec<Noise> {
    (0..series).map(|nth| Noise::new(seed * 1_000_000 + nth as u64)).collect()
}

/// One fault of 45 s every 20 minutes, each series at a time of its own.
const FAULT_EVERY: usize = 80;
const FAULT_STEPS: usize = 3;
/// A fault is found where an anomaly opens by its end or at most this much later.
const GRACE: Duration = Duration::from_secs(60);
const RECALL_SERIES: usize = 30;

/// Found and all faults of one size, in scales of the noise.
fn recall(size: f64) -> (usize, usize) {
    let mut noises = demo_noises(RECALL_SERIES, size as u64);
    let mut fleet = Fleet::new(RECALL_SERIES);
    let fault_of = |series: usize, step: usize| (step + 7 * series) % FAULT_EVERY;
    let mut findings = Vec::new();
    for hour in 0..25 {
        findings.extend(fleet.feed(HOUR, |series, step| {
            let is_faulty = hour > 0 && fault_of(series, step) < FAULT_STEPS;
            demo_like(series, step, &mut noises[series]) + if is_faulty { 5.0 * size } else { 0.0 }
        }));
    }
    let openings = openings(&findings);
    let (mut found, mut all) = (0, 0);
    for series in 0..RECALL_SERIES {
        let name = series.to_string();
        for step in (HOUR..HOUR + DAY - FAULT_EVERY).filter(|step| fault_of(series, *step) == 0) {
            let (begins, ends) = (at(step), at(step + FAULT_STEPS).plus(GRACE));
            all += 1;
            found += usize::from(
                openings.iter().any(|(of, _, detected)| *of == name && (begins..=ends).contains(detected)),
            );
        }
    }
    (found, all)
}

#[test]
fn recall_grows_with_the_size_of_the_fault() {
    println!("| fault | found | of | recall |\n| --- | --- | --- | --- |");
    let mut recalls = Vec::new();
    for size in [3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 12.0] {
        let (found, all) = recall(size);
        println!("| {size} sigma | {found} | {all} | {:.3} |", found as f64 / all as f64);
        assert!(all >= 2000, "{all} faults");
        recalls.push(found as f64 / all as f64);
    }
    assert!(recalls.is_sorted(), "{recalls:?}");
    assert!(recalls[3] >= 0.97, "six sigma: {}", recalls[3]);
}

#[test]
fn noise_without_faults_opens_less_than_once_a_day() {
    const SERIES: usize = 25;
    let (mut opened, mut naive_flags) = (0, 0);
    for seed in 0..20 {
        let mut noises = demo_noises(SERIES, 1000 + seed);
        let mut fleet = Fleet::new(SERIES);
        let mut naive_windows: Vec<Vec<f64>> = vec![Vec::new(); SERIES];
        for _ in 0..24 {
            let findings = fleet.feed(HOUR, |series, step| {
                let value = demo_like(series, step, &mut noises[series]);
                naive_windows[series].push(value);
                value
            });
            opened += openings(&findings).len();
        }
        let polled =
            |values: &Vec<f64>| naive::flags(values).iter().skip(3).step_by(4).filter(|f| **f).count();
        naive_flags += naive_windows.iter().map(polled).sum::<usize>();
    }
    println!(
        "25 series x 24 h without faults, 20 seeds: {:.2} openings a day; the naive rule, polled each minute, flags {:.0}",
        opened as f64 / 20.0,
        naive_flags as f64 / 20.0
    );
    assert!(opened <= 20, "{opened} in 20 days");
    assert!(naive_flags > 20 * 200, "{naive_flags} in 20 days");
}
