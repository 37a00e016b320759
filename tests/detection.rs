//! The `detect` room from outside: claims about what is flagged, what opens, what is learned and what is forgotten,
//! each of which the naive rule breaks where it has an opinion at all.
//!
//! `trial` holds the notation in which most of them are written.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test crate: a failure is the message, and figures are printed"
)]

mod detection {
    pub(crate) mod fixture;
    pub(crate) mod fleet;
    pub(crate) mod naive;
    pub(crate) mod noise;
    pub(crate) mod shapes;
    pub(crate) mod trial;

    mod budget;
    mod detectors;
    mod document;
    mod drifts;
    mod fleet_day;
    mod gaps;
    mod impurities;
    mod index;
    mod ladder;
    mod levels;
    mod lives;
    mod opening;
    mod overrides;
    mod properties;
    mod rates;
    mod rebase;
    mod seasons;
    mod snapshots;
    mod spikes;
    mod symmetries;
    mod table;
    mod traces;
    mod windows;
}
