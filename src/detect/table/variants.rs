//! How each row is judged: a few distinct settings, and which of them a row has since its series appeared.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Table;
use crate::detect::overrides::SeriesOverride;
use crate::detect::settings::{Settings, SignalPlan};
use crate::series::SeriesKey;

/// The distinct settings of a table's rows. Matchers are tried when a series appears, and never for a sample.
#[derive(Debug, Clone)]
pub(super) struct Variants {
    /// The first is the plan's own.
    all: Vec<Variant>,
    by_overrides: BTreeMap<Vec<u16>, u32>,
    of_row: Vec<u32>,
}

#[derive(Debug, Clone)]
struct Variant {
    settings: Settings,
    /// The probability, for one sample of one series, at which a score of 1 stands.
    cut: f64,
    /// The places of the overrides in the plan.
    overrides: Vec<u16>,
    /// How many series have it.
    series: usize,
}

impl Variant {
    fn new(settings: Settings, overrides: Vec<u16>, samples_a_day: f64) -> Self {
        Self { cut: settings.cut(samples_a_day), settings, overrides, series: 0 }
    }
}

#[expect(
    clippy::indexing_slicing,
    reason = "a row's variant is one of those that there are, and the first always is"
)]
impl Variants {
    pub(super) fn new(plan: &SignalPlan, samples_a_day: f64) -> Self {
        let own = Variant::new(plan.settings.clone(), Vec::new(), samples_a_day);
        Self { all: vec![own], by_overrides: BTreeMap::from([(Vec::new(), 0)]), of_row: Vec::new() }
    }

    /// How a row is judged.
    #[inline]
    pub(super) fn settings(&self, row: usize) -> &Settings {
        &self.all[self.of_row[row] as usize].settings
    }

    /// The probability, for one sample of a row, at which a score of 1 stands.
    #[inline]
    pub(super) fn cut(&self, row: usize) -> f64 {
        self.all[self.of_row[row] as usize].cut
    }

    /// The places, in the plan, of the overrides that hold for a row.
    fn overrides(&self, row: usize) -> &[u16] {
        &self.all[self.of_row[row] as usize].overrides
    }

    /// Has the expected false openings shared among so many samples a day.
    pub(super) fn share(&mut self, samples_a_day: f64) {
        self.all.iter_mut().for_each(|variant| variant.cut = variant.settings.cut(samples_a_day));
    }

    pub(super) fn grow(&mut self) {
        self.of_row.push(0);
    }

    /// Gives a row that has a series from now on the settings of that series.
    pub(super) fn take_in(&mut self, row: usize, key: &SeriesKey, plan: &SignalPlan, samples_a_day: f64) {
        let overrides = places(plan, key);
        let known = self.by_overrides.get(&overrides).copied();
        let variant = known.unwrap_or_else(|| {
            let place = self.all.len() as u32;
            let applied = overrides.iter().filter_map(|nth| plan.overrides.get(usize::from(*nth)));
            let settings = plan.settings_with(applied);
            self.all.push(Variant::new(settings, overrides.clone(), samples_a_day));
            self.by_overrides.insert(overrides, place);
            place
        });
        self.of_row[row] = variant;
        self.all[variant as usize].series += 1;
    }

    /// A row has no series any more.
    pub(super) fn leave(&mut self, row: usize) {
        let variant = &mut self.all[self.of_row[row] as usize];
        variant.series = variant.series.saturating_sub(1);
    }

    /// How many series each override of the plan holds for.
    fn series(&self, overrides: usize) -> Vec<usize> {
        let mut counts = vec![0; overrides];
        for variant in &self.all {
            for place in &variant.overrides {
                counts[usize::from(*place)] += variant.series;
            }
        }
        counts
    }
}

/// The places of the overrides that hold for a series.
fn places(plan: &SignalPlan, key: &SeriesKey) -> Vec<u16> {
    let holds = |(_, over): &(usize, &SeriesOverride)| over.matchers.hold_for(key);
    plan.overrides.iter().enumerate().filter(holds).map(|(place, _)| place as u16).collect()
}

impl Table {
    /// Gives every row its settings anew, after the plan has changed.
    pub(super) fn resolve(&mut self) {
        let mut variants = Variants::new(&self.plan, self.samples_a_day);
        for (row, key) in self.keys.iter().enumerate() {
            variants.grow();
            if self.in_use.get(row).copied().unwrap_or_default() {
                variants.take_in(row, key, &self.plan, self.samples_a_day);
            }
        }
        self.variants = variants;
    }

    /// The overrides of the plan, each with how many series it holds for now.
    pub(in crate::detect) fn overridden(&self) -> impl Iterator<Item = (&SeriesOverride, usize)> {
        self.plan.overrides.iter().zip(self.variants.series(self.plan.overrides.len()))
    }

    /// The names of the overrides that hold for a row, in their order.
    pub(super) fn overrides_of(&self, row: usize) -> Vec<Arc<str>> {
        let places = self.variants.overrides(row).iter();
        let held = places.filter_map(|place| self.plan.overrides.get(usize::from(*place)));
        held.map(|over| Arc::clone(&over.name)).collect()
    }
}
