//! Series that come and go for days: what is held stays within bounds, and what is forgotten is counted, each one.

use std::time::Duration;

use portent::detect::{FORGET_AFTER, Kind, Settings, SignalPlan, Tally};
use portent::engine::{self, Coverage, Engine, Input, Restored};
use portent::series::SignalName;
use portent::source::{Interner, decode};
use portent::time::Timestamp;
use portent::{correlate, incident};

const STEP: Duration = Duration::from_secs(600);
const SERIES: usize = 60;
const DAYS: u32 = 4;
/// One series an hour gives way to a new one.
const STEPS_PER_CHANGE: usize = 6;

fn engine(signal: &SignalName) -> Engine {
    let plan = SignalPlan {
        settings: Settings::default(),
        kind: Kind::Other,
        step: STEP,
        window: Duration::ZERO,
        series_limit: 1000,
        overrides: Vec::new(),
    };
    let settings = engine::Settings {
        signals: vec![(signal.clone(), plan)],
        correlate: correlate::Settings::default(),
        incident: incident::Settings::default(),
        questions_per_incident: 0,
        source_lost_after: Duration::from_secs(180),
    };
    Engine::new(settings, Restored::default(), Timestamp::from_millis(0))
}

/// The body at a step: of the series that were ever there, the newest ones.
fn body(step: usize, at: Timestamp) -> String {
    let gone = step / STEPS_PER_CHANGE;
    let series = (gone..gone + SERIES).map(|nth| {
        let value = 100.0 + ((nth * 31 + step * 17) % 10) as f64;
        let seconds = at.as_millis() / 1000;
        format!(
            r#"{{"metric":{{"pod":"p{nth}","service":"s{}"}},"values":[[{seconds},"{value}"]]}}"#,
            nth / 5
        )
    });
    let series = series.collect::<Vec<_>>().join(",");
    format!(r#"{{"status":"success","data":{{"resultType":"matrix","result":[{series}]}}}}"#)
}

#[test]
fn series_that_went_away_are_forgotten_after_a_day_and_each_is_counted() {
    let signal = SignalName::new("churn");
    let mut engine = engine(&signal);
    let mut interner = Interner::new(signal.clone(), "service".parse().unwrap(), SERIES);
    let steps = 86_400 * DAYS as usize / STEP.as_secs() as usize;
    let (mut held, mut tally) = (0, Tally::default());
    for step in 0..steps {
        let at = Timestamp::from_millis(1_800_000_000_000).plus(STEP * step as u32);
        let answer = decode(body(step, at).as_bytes(), &mut interner, SERIES).unwrap();
        for part in answer.batch.into_parts() {
            engine.step(at, Input::Batch(part));
        }
        let closed =
            Input::SlotClosed { signal: signal.clone(), from: at, through: at, coverage: Coverage::Whole };
        engine.step(at, closed);

        // Series `nth` was last there at the step before the one at which it gave way.
        let forgotten = |nth: &usize| {
            let last = ((nth + 1) * STEPS_PER_CHANGE).saturating_sub(1);
            STEP * (step.saturating_sub(last)) as u32 > FORGET_AFTER
        };
        let ever = step / STEPS_PER_CHANGE + SERIES;
        let evicted = (0..step / STEPS_PER_CHANGE).filter(forgotten).count();
        tally = engine.tallies()[0].1;
        assert_eq!((tally.evicted_total, tally.series), (evicted as u64, ever - evicted), "step {step}");
        assert!(interner.len() <= SERIES + 1, "{} spellings", interner.len());
        held = held.max(tally.series);
    }
    let gone_in_a_day = FORGET_AFTER.as_secs() as usize / STEP.as_secs() as usize / STEPS_PER_CHANGE;
    assert!(held <= SERIES + gone_in_a_day + 1, "{held} series were held");
    assert!(tally.evicted_total > gone_in_a_day as u64 * 2, "{} were forgotten", tally.evicted_total);
    assert_eq!(tally.untracked_total, 0);
}
