//! Baselines that begin anew since somebody wants that, at once and in history that is read again.

use portent::detect::{Detect, Directive, NotRebased, Rebased, Settings};
use portent::series::{Labels, Service};
use portent::time::Timestamp;

use super::trial::{NEVER_MUTED, STEP, Trial, batch_of, plan, signal};

impl Trial {
    fn rebase(&mut self) -> Result<Rebased, NotRebased> {
        let key = self.key.clone();
        self.detect.rebase(&key)
    }
}

#[test]
fn a_rebase_ends_the_anomaly_and_warms_up_on_the_new_level_alone() {
    let mut trial = Trial::new(Settings::classic());
    assert_eq!(trial.run("10~1x40 90~1x5"), format!("{}{}^O^^^", "l".repeat(19), ".".repeat(21)));
    let rebased = trial.rebase().expect("it is warm");
    assert_eq!((rebased.points, rebased.needed), (5, 19));
    assert!((rebased.from - 10.0).abs() < 0.2 && (rebased.to - 90.0).abs() < 0.5, "{rebased:?}");
    assert!(rebased.anomaly.is_some());
    assert_eq!(trial.tally().anomalous, 0);
    // Fourteen more make the baseline; the old level is the odd one now.
    assert_eq!(trial.run("90~1x20 10x2"), format!("{}{}vO", "l".repeat(14), ".".repeat(6)));
}

#[test]
fn a_rebase_after_a_full_window_on_the_new_level_judges_at_once() {
    let mut trial = Trial::new(Settings::classic());
    trial.run("10~1x40 90~1x19");
    let rebased = trial.rebase().expect("it is warm");
    assert_eq!(rebased.points, 19);
    assert_eq!(trial.run("90~1x3 10x2"), "...vO");
}

#[test]
fn what_was_flagged_before_a_rebase_is_no_evidence_after_it() {
    let mut trial = Trial::new(Settings::classic());
    trial.run("10~1x40 14 14");
    assert!(trial.view().signed_scores.last().is_some_and(|score| *score > 1.0));
    trial.rebase().expect("it is warm");
    // One sample alone is not enough, though those before it were on the same side.
    assert_eq!(trial.run("900"), "^");
}

#[test]
fn a_series_without_a_baseline_is_refused_with_how_much_is_missing() {
    let mut trial = Trial::new(Settings::classic());
    assert_eq!(trial.rebase().err(), Some(NotRebased::Unknown));
    trial.run("10~1x12");
    assert_eq!(trial.rebase().err(), Some(NotRebased::Warming { points: 12, needed: 19 }));
    trial.run("10~1x30 _x60");
    assert_eq!(trial.rebase().err(), Some(NotRebased::Lost));
}

#[test]
fn series_are_found_by_service_and_labels() {
    let mut trial = Trial::new(Settings::classic());
    trial.run("10");
    let found = |service: &str, labels: &[(&str, &str)]| {
        let labels = Labels::new(labels.iter().copied());
        trial.detect.named(&signal(), &Service::new(service), &labels).len()
    };
    assert_eq!(found("a", &[]), 1);
    assert_eq!(found("a", &[("service", "a")]), 1);
    assert_eq!(found("a", &[("pod", "p")]), 0);
    assert_eq!(found("b", &[]), 0);
}

/// Feeds samples from `since` on, each as a slot of its own or all in one batch.
fn replay(detect: &mut Detect, trial: &Trial, samples: &[(Timestamp, f64)], parts: usize) {
    for part in samples.chunks(parts) {
        detect.judge(&batch_of(&trial.key, part.iter().copied()), NEVER_MUTED);
    }
}

#[test]
fn history_that_is_read_again_gives_the_state_that_the_rebase_left() {
    let begin = Timestamp::from_millis(1_800_000_000_000);
    let level = |nth: i64| if nth < 40 { 10.0 } else { 90.0 } + (nth * 7 % 5) as f64 / 3.0;
    let samples: Vec<(Timestamp, f64)> =
        (0_i64..).map(|nth| (begin.plus(STEP * nth as u32), level(nth))).take(80).collect();
    for cut in 42..70 {
        let mut live = Trial::new(Settings::classic());
        let (before, after) = samples.split_at(cut);
        let mut detect = live.detect.clone();
        replay(&mut detect, &live, before, 1);
        let rebased = detect.rebase(&live.key).expect("it is warm");
        replay(&mut detect, &live, after, 1);
        live.detect = detect;

        let directive = Directive::Rebase { key: live.key.clone(), since: rebased.since, at: rebased.at };
        for parts in [1, 7, 80] {
            let mut again = Detect::new([(signal(), plan(Settings::classic(), STEP))]);
            again.direct(&directive);
            replay(&mut again, &live, &samples, parts);
            let seen = again.of_signal(&signal());
            assert_eq!(format!("{seen:?}"), format!("{:?}", live.detect.of_signal(&signal())), "cut {cut}");
            let end = samples[79].0;
            let told = again.close(&signal(), end, NEVER_MUTED);
            assert!(
                told.iter().all(|finding| finding.at > rebased.at),
                "what a person said is normal opens nothing: {told:?}"
            );
        }
    }
}

#[test]
fn a_rebase_is_done_by_the_end_of_its_slot_where_no_sample_follows() {
    let mut trial = Trial::new(Settings::classic());
    trial.run("10~1x40 90~1x5");
    let rebased = trial.rebase().expect("it is warm");
    let begin = Timestamp::from_millis(1_800_000_000_000);
    let values = super::trial::parse("10~1x40 90~1x5").into_iter().flatten();
    let mut times = (1_u32..).map(|nth| begin.plus(STEP * nth));
    let samples: Vec<(Timestamp, f64)> =
        values.map(|value| (times.next().expect("time goes on"), value)).collect();
    let mut again = Detect::new([(signal(), plan(Settings::classic(), STEP))]);
    again.direct(&Directive::Rebase { key: trial.key.clone(), since: rebased.since, at: rebased.at });
    replay(&mut again, &trial, &samples, 45);
    again.close(&signal(), rebased.at, NEVER_MUTED);
    assert_eq!(
        format!("{:?}", again.of_signal(&signal())),
        format!("{:?}", trial.detect.of_signal(&signal()))
    );
}
