//! The five services, their five signals, and the noise that rides on them.
//!
//! A normal value is `base * (1 + 0.05 * g + 0.03 * sin(2 pi (t / 1 h + phase)))`: `g` is standard normal and drawn by
//! hashing (seed, service, signal, whole second), the phase of the wave by hashing (seed, service, signal). Both are
//! pure functions, so any moment of the past or the future can be computed by itself and in any order.

use std::f64::consts::TAU;

/// Length of one fault cycle in seconds.
pub const CYCLE_SECONDS: i64 = 600;
/// How long a scheduled fault lasts, in seconds.
pub const FAULT_SECONDS: i64 = 45;
/// Standard deviation of the noise, relative to the value.
pub const NOISE: f64 = 0.05;
/// Amplitude of the slow wave, relative to the value.
pub const WAVE: f64 = 0.03;
/// Period of the slow wave in milliseconds: an hour, so that five minutes of it move by 1.6 % at most.
pub const WAVE_PERIOD_MS: i64 = 3_600_000;

const MEBIBYTE: f64 = 1_048_576.0;

/// One of the five golden signals that every service has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Signal {
    /// Requests a second, failed ones included.
    RequestRate,
    /// Failed requests a second.
    ErrorRate,
    /// The 95th percentile of the request duration, in seconds.
    LatencyP95,
    /// Processor use as a ratio, at most 1.0.
    CpuUsage,
    /// Resident memory in bytes.
    MemoryBytes,
}

impl Signal {
    /// Every signal, in the order of the service table.
    pub const ALL: [Self; 5] =
        [Self::RequestRate, Self::ErrorRate, Self::LatencyP95, Self::CpuUsage, Self::MemoryBytes];

    /// The short name, such as `error_rate`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::RequestRate => "request_rate",
            Self::ErrorRate => "error_rate",
            Self::LatencyP95 => "latency_p95",
            Self::CpuUsage => "cpu_usage",
            Self::MemoryBytes => "memory_bytes",
        }
    }

    /// The name of its gauge, such as `demo_error_rate`.
    #[must_use]
    pub fn metric(self) -> &'static str {
        match self {
            Self::RequestRate => "demo_request_rate",
            Self::ErrorRate => "demo_error_rate",
            Self::LatencyP95 => "demo_latency_p95",
            Self::CpuUsage => "demo_cpu_usage",
            Self::MemoryBytes => "demo_memory_bytes",
        }
    }

    /// One line for a person: what it measures, in which unit.
    #[must_use]
    pub fn help(self) -> &'static str {
        match self {
            Self::RequestRate => "Requests a second, failed ones included.",
            Self::ErrorRate => "Failed requests a second.",
            Self::LatencyP95 => "95th percentile of the request duration in seconds.",
            Self::CpuUsage => "Processor use as a ratio from 0 to 1.",
            Self::MemoryBytes => "Resident memory in bytes.",
        }
    }

    /// Finds a signal by its short name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|signal| signal.name() == name)
    }

    /// The largest value that the signal can take.
    pub(crate) fn ceiling(self) -> f64 {
        match self {
            Self::CpuUsage => 1.0,
            Self::RequestRate | Self::ErrorRate | Self::LatencyP95 | Self::MemoryBytes => f64::MAX,
        }
    }
}

/// One row of the service table: normal values, and the fault that comes back every cycle.
#[derive(Debug, PartialEq)]
pub struct Service {
    /// The value of the `service` label.
    pub name: &'static str,
    /// Which signal the scheduled fault touches.
    pub fault_signal: Signal,
    /// By how much the scheduled fault multiplies that signal.
    pub fault_factor: f64,
    /// When in the cycle the scheduled fault starts, in seconds.
    pub fault_at_seconds: i64,
    base: [f64; 5],
}

impl Service {
    /// Finds a service by its name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        SERVICES.iter().find(|service| service.name == name)
    }

    /// The value of a signal with neither noise nor fault, in the unit of its gauge.
    #[must_use]
    pub fn base(&self, signal: Signal) -> f64 {
        let [request_rate, error_rate, latency_p95, cpu_usage, memory_mebibytes] = self.base;
        match signal {
            Signal::RequestRate => request_rate,
            Signal::ErrorRate => error_rate,
            Signal::LatencyP95 => latency_p95,
            Signal::CpuUsage => cpu_usage,
            Signal::MemoryBytes => memory_mebibytes * MEBIBYTE,
        }
    }
}

/// The five services. `base` is requests/s, errors/s, p95 in s, processor ratio, memory in MiB.
pub static SERVICES: [Service; 5] = [
    Service {
        name: "payment-service",
        base: [45.0, 0.5, 0.12, 0.35, 512.0],
        fault_signal: Signal::ErrorRate,
        fault_factor: 18.0,
        fault_at_seconds: 0,
    },
    Service {
        name: "order-service",
        base: [30.0, 0.3, 0.08, 0.25, 384.0],
        fault_signal: Signal::LatencyP95,
        fault_factor: 15.0,
        fault_at_seconds: 120,
    },
    Service {
        name: "user-service",
        base: [60.0, 0.2, 0.05, 0.20, 256.0],
        fault_signal: Signal::CpuUsage,
        fault_factor: 4.0,
        fault_at_seconds: 240,
    },
    Service {
        name: "inventory-service",
        base: [15.0, 0.1, 0.15, 0.15, 192.0],
        fault_signal: Signal::MemoryBytes,
        fault_factor: 3.5,
        fault_at_seconds: 360,
    },
    Service {
        name: "notification-service",
        base: [8.0, 0.05, 0.20, 0.10, 128.0],
        fault_signal: Signal::RequestRate,
        fault_factor: 12.0,
        fault_at_seconds: 480,
    },
];

/// The relative deviation of one series from its base: noise and slow wave.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Texture {
    key: u64,
    phase: f64,
}

impl Texture {
    pub(crate) fn new(seed: u64, service: &Service, signal: Signal) -> Self {
        let mut key = mix(seed);
        for byte in service.name.bytes().chain([0]).chain(signal.name().bytes()) {
            key = mix(key ^ u64::from(byte));
        }
        Self { key, phase: unit(mix(key ^ 0x70_68_61_73_65)) }
    }

    /// What to multiply the base with at that moment: 1.0 in the mean.
    pub(crate) fn at(self, at_ms: i64) -> f64 {
        1.0 + NOISE * self.gaussian(at_ms.div_euclid(1000)) + WAVE * self.wave(at_ms)
    }

    fn wave(self, at_ms: i64) -> f64 {
        let turned = at_ms.rem_euclid(WAVE_PERIOD_MS) as f64 / WAVE_PERIOD_MS as f64;
        (TAU * (turned + self.phase)).sin()
    }

    /// Standard normal by Box and Muller (Annals of Mathematical Statistics 29, 1958), from two hashes of the second.
    fn gaussian(self, second: i64) -> f64 {
        let first = mix(self.key ^ mix(second.cast_unsigned()));
        let second = mix(first);
        // 1 - u lies in (0, 1], so that the logarithm is finite.
        (-2.0 * (1.0 - unit(first)).ln()).sqrt() * (TAU * unit(second)).cos()
    }
}

/// One step of splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
fn mix(value: u64) -> u64 {
    let z = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Maps the upper 53 bits to [0, 1).
fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn deviations(service: &str, signal: Signal, seed: u64) -> Vec<f64> {
        let texture = Texture::new(seed, Service::named(service).unwrap(), signal);
        (0..50_000)
            .map(|second| texture.at(second * 1000) - 1.0 - WAVE * texture.wave(second * 1000))
            .collect()
    }

    fn mean_and_sd(values: &[f64]) -> (f64, f64) {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64;
        (mean, variance.sqrt())
    }

    #[test]
    fn noise_is_five_percent_around_zero_on_every_series() {
        for service in &SERVICES {
            for signal in Signal::ALL {
                let (mean, sd) = mean_and_sd(&deviations(service.name, signal, 7));
                assert!(mean.abs() < 0.001, "{} {}: mean {mean}", service.name, signal.name());
                assert!((sd - NOISE).abs() < 0.001, "{} {}: sd {sd}", service.name, signal.name());
            }
        }
    }

    #[test]
    fn noise_has_the_tail_of_a_gaussian() {
        let values = deviations("user-service", Signal::CpuUsage, 3);
        let beyond = values.iter().filter(|value| value.abs() > 3.0 * NOISE).count();
        // 0.27 % of 50,000 is 135.
        assert!((80..200).contains(&beyond), "{beyond} beyond three sigma");
    }

    #[test]
    fn consecutive_seconds_are_independent() {
        let values = deviations("payment-service", Signal::ErrorRate, 1);
        let products: Vec<f64> = values.windows(2).map(|pair| pair[0] * pair[1] / NOISE.powi(2)).collect();
        assert!(mean_and_sd(&products).0.abs() < 0.02);
    }

    #[test]
    fn series_and_seeds_have_noise_of_their_own() {
        let base = deviations("payment-service", Signal::ErrorRate, 1);
        for other in [
            deviations("payment-service", Signal::CpuUsage, 1),
            deviations("order-service", Signal::ErrorRate, 1),
            deviations("payment-service", Signal::ErrorRate, 2),
        ] {
            let products: Vec<f64> = base.iter().zip(&other).map(|(a, b)| a * b / NOISE.powi(2)).collect();
            assert!(mean_and_sd(&products).0.abs() < 0.02);
        }
    }

    #[test]
    fn the_wave_is_slow_against_five_minutes_and_three_percent_high() {
        let texture = Texture::new(5, &SERVICES[0], Signal::RequestRate);
        let wave: Vec<f64> = (0..3600).map(|second| WAVE * texture.wave(second * 1000)).collect();
        let highest = wave.iter().copied().fold(f64::MIN, f64::max);
        let steepest = wave.windows(300).map(|span| (span[299] - span[0]).abs()).fold(0.0, f64::max);
        assert!((highest - WAVE).abs() < 1e-6);
        assert!(steepest < 0.017, "{steepest}");
    }

    #[test]
    fn every_moment_that_a_clock_can_show_has_a_finite_value() {
        let texture = Texture::new(u64::MAX, &SERVICES[4], Signal::MemoryBytes);
        for at_ms in [i64::MIN, -1, 0, 1, i64::MAX] {
            assert!(texture.at(at_ms).is_finite());
        }
    }
}
