//! What a fault does: the changes that it makes to single series, each within its span.

use std::f64::consts::TAU;

use crate::wave::{Service, Signal};

const DAY_MS: i64 = 86_400_000;

/// The form of a fault as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Multiplied by the factor at once, and back at once.
    Step,
    /// A factor that grows from 1 to its height over the whole duration, then back at once.
    Ramp,
    /// The series has no value at all.
    Vanish,
    /// Multiplied by the factor for good.
    LevelShift,
    /// A fixed amount on top.
    Offset,
    /// Short steps that come back within the span.
    Pulses,
    /// A sinusoid with a period of one day.
    DailyWave,
    /// Counters restart from zero; no gauge moves.
    CounterReset,
}

impl Shape {
    /// Every shape.
    pub const ALL: [Self; 8] = [
        Self::Step,
        Self::Ramp,
        Self::Vanish,
        Self::LevelShift,
        Self::Offset,
        Self::Pulses,
        Self::DailyWave,
        Self::CounterReset,
    ];
    /// The shapes that can be asked for on a single signal; the others are parts of scenarios.
    pub const SINGLE: [Self; 4] = [Self::Step, Self::Ramp, Self::Vanish, Self::LevelShift];

    /// The name on the wire, such as `level_shift`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Step => "step",
            Self::Ramp => "ramp",
            Self::Vanish => "vanish",
            Self::LevelShift => "level_shift",
            Self::Offset => "offset",
            Self::Pulses => "pulses",
            Self::DailyWave => "daily_wave",
            Self::CounterReset => "counter_reset",
        }
    }

    /// Finds a shape by its name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|shape| shape.name() == name)
    }
}

/// What happens to one series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Change {
    /// Multiplies by this factor.
    Times(f64),
    /// Multiplies by a factor that grows in a straight line from 1 at the start to this at the end of the span.
    RampTo(f64),
    /// Adds this amount, in the unit of the signal.
    Plus(f64),
    /// Multiplies by the factor during the first `lasting_ms` of every `period_ms`, counted from the start.
    Pulses {
        /// The factor within a pulse.
        factor: f64,
        /// From the start of one pulse to the start of the next.
        period_ms: i64,
        /// The length of one pulse.
        lasting_ms: i64,
    },
    /// Multiplies by `1 + amplitude * sin(2 pi t / 1 day)`, with `t` counted from the start, so that it begins without a jump.
    Daily(f64),
    /// Takes the series away.
    Gone,
}

impl Change {
    /// The height of the change as a ratio to the normal value `base`, before any ceiling; 0 for a series that goes away.
    #[must_use]
    pub fn factor(self, base: f64) -> f64 {
        match self {
            Self::Times(factor) | Self::RampTo(factor) | Self::Pulses { factor, .. } => factor,
            Self::Plus(amount) => (base + amount) / base,
            Self::Daily(amplitude) => 1.0 + amplitude,
            Self::Gone => 0.0,
        }
    }

    /// The shape that this change has by itself.
    #[must_use]
    pub fn shape(self) -> Shape {
        match self {
            Self::Times(_) => Shape::Step,
            Self::RampTo(_) => Shape::Ramp,
            Self::Plus(_) => Shape::Offset,
            Self::Pulses { .. } => Shape::Pulses,
            Self::Daily(_) => Shape::DailyWave,
            Self::Gone => Shape::Vanish,
        }
    }
}

/// One change to one series within one span of time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Effect {
    /// The service that it touches.
    pub service: &'static str,
    /// The signal that it touches.
    pub signal: Signal,
    /// What it does.
    pub change: Change,
    /// The first millisecond of it.
    pub start_ms: i64,
    /// The first millisecond after it; none while it lasts until it is deleted.
    pub end_ms: Option<i64>,
    /// Where a ramp reaches its height. It stays where it was when the fault is ended early, or the past would change.
    pub(crate) planned_end_ms: Option<i64>,
}

impl Effect {
    pub(crate) fn new(service: &Service, signal: Signal, change: Change, span: (i64, Option<i64>)) -> Self {
        let (start_ms, end_ms) = span;
        Self { service: service.name, signal, change, start_ms, end_ms, planned_end_ms: end_ms }
    }

    /// Tells whether the effect acts at some moment of `[from_ms, until_ms)`.
    #[must_use]
    pub fn overlaps(&self, from_ms: i64, until_ms: i64) -> bool {
        overlaps((self.start_ms, self.end_ms), from_ms, until_ms)
    }

    /// Applies the effect to a value; none when the series has no value then.
    pub(crate) fn apply(&self, value: f64, at_ms: i64) -> Option<f64> {
        if at_ms < self.start_ms || self.end_ms.is_some_and(|end_ms| at_ms >= end_ms) {
            return Some(value);
        }
        let elapsed_ms = at_ms.saturating_sub(self.start_ms);
        match self.change {
            Change::Times(factor) => Some(value * factor),
            Change::RampTo(factor) => {
                let whole_ms =
                    self.planned_end_ms.map_or(1, |end_ms| end_ms.saturating_sub(self.start_ms).max(1));
                Some(value * (1.0 + (factor - 1.0) * elapsed_ms as f64 / whole_ms as f64))
            }
            Change::Plus(amount) => Some(value + amount),
            Change::Pulses { factor, period_ms, lasting_ms } => {
                let within = elapsed_ms % period_ms.max(1) < lasting_ms;
                Some(if within { value * factor } else { value })
            }
            Change::Daily(amplitude) => {
                let turned = (elapsed_ms % DAY_MS) as f64 / DAY_MS as f64;
                Some(value * (1.0 + amplitude * (TAU * turned).sin()))
            }
            Change::Gone => None,
        }
    }
}

/// Where a fault comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The schedule, which repeats every ten minutes.
    Scheduled,
    /// Someone asked for it.
    Posted,
}

/// The truth about one fault: what it touches, how, and when.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// Unique, and stable for scheduled faults: `scheduled-payment-service-1700000400`, `posted-1`.
    pub id: String,
    /// Schedule or request.
    pub origin: Origin,
    /// The service where it begins.
    pub service: &'static str,
    /// The signals of that service that it touches, the first to move first; empty when only counters restart.
    pub signals: Vec<Signal>,
    /// Its form.
    pub shape: Shape,
    /// The height of the first effect as a ratio to the normal value, before any ceiling; 0 when series go away or only
    /// counters restart.
    pub factor: f64,
    /// Its first millisecond.
    pub start_ms: i64,
    /// The first millisecond after its last effect; none while it lasts until it is deleted.
    pub end_ms: Option<i64>,
    /// The name of the scenario, when it is one.
    pub scenario: Option<String>,
    /// Each single change, on other services too when it spreads.
    pub effects: Vec<Effect>,
    /// When the counters of the service restart from zero.
    pub counter_resets_ms: Vec<i64>,
}

impl Fault {
    /// Tells whether the fault lasts during some moment of `[from_ms, until_ms)`.
    #[must_use]
    pub fn overlaps(&self, from_ms: i64, until_ms: i64) -> bool {
        overlaps((self.start_ms, self.end_ms), from_ms, until_ms)
    }

    /// Ends the fault, or what is left of it. What has happened before stays as it was.
    pub(crate) fn end(&mut self, now_ms: i64) {
        let cut = |start_ms: i64, end_ms: Option<i64>| {
            Some(end_ms.map_or(now_ms, |end_ms| end_ms.min(now_ms)).max(start_ms))
        };
        for effect in &mut self.effects {
            effect.end_ms = cut(effect.start_ms, effect.end_ms);
        }
        self.end_ms = cut(self.start_ms, self.end_ms);
        self.counter_resets_ms.retain(|reset_ms| *reset_ms <= now_ms);
    }
}

fn overlaps((start_ms, end_ms): (i64, Option<i64>), from_ms: i64, until_ms: i64) -> bool {
    start_ms < until_ms && end_ms.is_none_or(|end_ms| end_ms > from_ms && end_ms > start_ms)
}

/// The signals of one service among the effects, each once, in the order of their onset.
pub(crate) fn touched(service: &Service, effects: &[Effect]) -> Vec<Signal> {
    let mut own: Vec<&Effect> = effects.iter().filter(|effect| effect.service == service.name).collect();
    own.sort_by_key(|effect| effect.start_ms);
    let mut signals = Vec::new();
    for effect in own {
        if !signals.contains(&effect.signal) {
            signals.push(effect.signal);
        }
    }
    signals
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(change: Change, at_ms: i64, expected: Option<f64>) {
        let effect = Effect {
            service: "user-service",
            signal: Signal::CpuUsage,
            change,
            start_ms: 1_000,
            end_ms: Some(5_000),
            planned_end_ms: Some(5_000),
        };
        let seen = effect.apply(2.0, at_ms);
        assert_eq!(seen.is_some(), expected.is_some(), "{change:?} at {at_ms}");
        let distance = seen.zip(expected).map_or(0.0, |(a, b)| (a - b).abs());
        assert!(distance < 1e-9, "{change:?} at {at_ms}: {seen:?} instead of {expected:?}");
    }

    #[test]
    fn nothing_acts_outside_its_span() {
        let pulses = Change::Pulses { factor: 9.0, period_ms: 10, lasting_ms: 10 };
        for change in [
            Change::Times(3.0),
            Change::RampTo(3.0),
            Change::Plus(3.0),
            pulses,
            Change::Daily(0.5),
            Change::Gone,
        ] {
            for at_ms in [i64::MIN, 0, 999, 5_000, i64::MAX] {
                check(change, at_ms, Some(2.0));
            }
        }
    }

    #[test]
    fn a_step_multiplies_from_its_first_to_its_last_millisecond() {
        check(Change::Times(3.0), 1_000, Some(6.0));
        check(Change::Times(3.0), 4_999, Some(6.0));
    }

    #[test]
    fn a_ramp_grows_in_a_straight_line() {
        check(Change::RampTo(5.0), 1_000, Some(2.0));
        check(Change::RampTo(5.0), 2_000, Some(4.0));
        check(Change::RampTo(5.0), 4_000, Some(8.0));
    }

    #[test]
    fn an_offset_adds_and_a_vanished_series_has_no_value() {
        check(Change::Plus(0.6), 2_000, Some(2.6));
        check(Change::Gone, 1_000, None);
    }

    #[test]
    fn pulses_come_back_with_their_period() {
        let pulses = Change::Pulses { factor: 0.5, period_ms: 1_000, lasting_ms: 300 };
        check(pulses, 1_000, Some(1.0));
        check(pulses, 1_300, Some(2.0));
        check(pulses, 2_299, Some(1.0));
    }

    #[test]
    fn a_daily_wave_starts_without_a_jump() {
        check(Change::Daily(0.5), 1_000, Some(2.0));
    }

    #[test]
    fn a_fault_that_is_ended_early_keeps_its_past() {
        let effect = Effect {
            service: "user-service",
            signal: Signal::CpuUsage,
            change: Change::RampTo(5.0),
            start_ms: 0,
            end_ms: Some(4_000),
            planned_end_ms: Some(4_000),
        };
        let mut fault = Fault {
            id: "posted-1".into(),
            origin: Origin::Posted,
            service: "user-service",
            signals: vec![Signal::CpuUsage],
            shape: Shape::Ramp,
            factor: 5.0,
            start_ms: 0,
            end_ms: Some(4_000),
            scenario: None,
            effects: vec![effect],
            counter_resets_ms: vec![1_000, 3_000],
        };
        let before = effect.apply(1.0, 1_500);
        fault.end(2_000);
        assert_eq!(fault.effects[0].apply(1.0, 1_500), before);
        assert_eq!(fault.effects[0].apply(1.0, 2_000), Some(1.0));
        assert_eq!((fault.end_ms, fault.counter_resets_ms), (Some(2_000), vec![1_000]));
    }
}
