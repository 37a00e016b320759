//! Every story in one table, which stands in `docs/detectors.md`.

use super::fixture::Story;
use super::{drifts, impurities, lives, seasons};

fn every_story() -> Vec<Story> {
    [
        seasons::daily_waves(),
        seasons::weekly_waves(),
        seasons::changes_of_clocks(),
        seasons::jobs_once_a_day(),
        seasons::holidays(),
        impurities::resets(),
        impurities::nans(),
        impurities::skews(),
        lives::newcomers_at_all_steps(),
        lives::vanishing(),
        lives::little_traffic(),
        lives::little_traffic_with_a_guard(),
        lives::little_traffic_itself(),
        drifts::ticking_constants(),
        drifts::small_leaks(),
        drifts::leaks(),
        drifts::shifts(),
        drifts::flaps(),
    ]
    .concat()
}

/// Run with `--no-capture` it prints the table.
#[test]
fn every_story_is_one_that_the_naive_rule_gets_wrong() {
    println!(
        "| story, step | series-days | opened | found | median delay | naive: opened | found | median delay | claim |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    );
    for story in every_story() {
        println!("{}", story.row());
        assert!(
            !story.broken_by(&story.told_naively()).is_empty(),
            "the naive rule keeps it: {}",
            story.name
        );
    }
}
