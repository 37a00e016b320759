//! Five simulated services with a known fault schedule, as a scrape target and as a Prometheus API.
//!
//! Every gauge is a function of service, signal, time and seed, so nothing is stored: any range of the past or of the
//! future is answered at once, and the clock that is passed in may run faster than the wall clock.
//!
//! | service | request_rate /s | error_rate /s | latency_p95 s | cpu ratio | memory MiB | fault | fires at t mod 600 in |
//! | --- | --- | --- | --- | --- | --- | --- | --- |
//! | payment-service | 45 | 0.5 | 0.12 | 0.35 | 512 | error_rate x18 | [0, 45) |
//! | order-service | 30 | 0.3 | 0.08 | 0.25 | 384 | latency_p95 x15 | [120, 165) |
//! | user-service | 60 | 0.2 | 0.05 | 0.20 | 256 | cpu_usage x4, at most 1.0 | [240, 285) |
//! | inventory-service | 15 | 0.1 | 0.15 | 0.15 | 192 | memory_bytes x3.5 | [360, 405) |
//! | notification-service | 8 | 0.05 | 0.20 | 0.10 | 128 | request_rate x12 | [480, 525) |
//!
//! Each value carries Gaussian noise of 5 %, drawn anew each second, and a wave of 3 % with a period of one hour. Faults
//! multiply or add to the normal value before the noise; no value is below zero, and processor use is at most 1.0.
//!
//! # Paths
//!
//! - `GET /metrics`: the gauges `demo_request_rate`, `demo_error_rate`, `demo_latency_p95`, `demo_cpu_usage` and
//!   `demo_memory_bytes` with the label `service`, and the same traffic as `http_requests_total`,
//!   `http_request_duration_seconds`, `process_cpu_seconds_total` and `process_resident_memory_bytes`.
//! - `GET` or `POST /api/v1/query` and `/api/v1/query_range`: plain selectors and their sums, in Prometheus' shapes,
//!   with its limits, and `up` as Prometheus adds it.
//!   `GET /api/v1/status/buildinfo`, `GET /-/healthy`, `GET /-/ready`.
//! - `GET /faults?from=&until=`: the truth about all faults. `POST /faults`: starts one now, a scenario
//!   (`{"scenario": "bad_deployment", "service": "user-service"}`) or a change to one signal (`{"service":
//!   "user-service", "signal": "cpu_usage", "shape": "step", "factor": 3, "duration": "45s"}` with shape `step`, `ramp`,
//!   `vanish` or `level_shift`). `DELETE /faults/{id}`: ends one now.
//! - `GET /scenarios`: the scenarios below and the call graph.
//!
//! # Scenarios
//!
//! - `memory_leak_gradual`: memory grows to 4 times its value over 30 minutes, latency to 1.5 times in the last 10; then
//!   the process restarts.
//! - `cpu_spike_traffic_surge`: for 3 minutes 5 times the requests, 3 times the processor use, twice the latency.
//! - `latency_spike_database`: for 3 minutes 8 times the latency at 0.6 times the processor use, and 3 times the errors
//!   from second 15 on.
//! - `pod_crash_loop`: for 5 minutes a crash each minute, with 20 s of few requests, many errors and little memory.
//! - `dependency_failure_timeout`: for 3 minutes 10 times the latency and 25 times the errors, spreading from the callee
//!   to its callers by 15 s a hop, each with 0.6 of the excess of the one before ([`CALLS`] is the call graph).
//! - `bad_deployment`: for 10 minutes 8 times the errors, 2.5 times the latency, 1.5 times the processor use, 1.2 times
//!   the memory.
//! - `injected_latency`: 600 ms on top of the latency for 30 s.
//! - `service_vanishes`: the service exports nothing for 2 minutes.
//! - `counter_reset`: the counters of the service restart from zero.
//! - `level_shift`: twice the requests until it is deleted.
//! - `daily_wave`: requests and processor use swing by half with a period of one day until it is deleted.

mod control;
mod counters;
mod effect;
mod exposition;
mod faults;
mod problem;
mod query;
mod request;
mod scenario;
mod schedule;
mod selector;
mod service;
mod unix_time;
mod wave;

pub use self::effect::{Change, Effect, Fault, Origin, Shape};
pub use self::faults::{DeleteError, POSTED_MAX, PostError, SCHEDULED_TRUTH_MAX, World};
pub use self::query::STEPS_MAX;
pub use self::request::{DURATION_MAX_MS, DURATION_MIN_MS, FACTOR_MAX, FaultRequest, FieldError};
pub use self::scenario::{CALLS, SPREAD_DELAY_MS, Scenario};
pub use self::schedule::Schedule;
pub use self::service::{Clock, router, serve};
pub use self::wave::{CYCLE_SECONDS, FAULT_SECONDS, NOISE, SERVICES, Service, Signal, WAVE, WAVE_PERIOD_MS};
