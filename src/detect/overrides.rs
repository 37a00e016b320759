//! Settings that hold for some series of a signal and not for the others.

use std::sync::Arc;
use std::time::Duration;

use super::budget::{Allotment, Boundary};
use super::guard::MinVolume;
use super::settings::{Missing, Settings, Sides, SignalPlan};
use super::stage::Detect;
use super::table::Table;
use crate::series::{Matchers, SeriesKey, SignalName};

/// Some settings for the series of a signal that match. Of several that match, the later one wins, setting by setting.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesOverride {
    /// Which entry of the config it is: the same in every signal that it concerns.
    pub entry: u16,
    /// The same in words: its matchers, after the signals that it is limited to.
    pub name: Arc<str>,
    /// Which series are meant.
    pub matchers: Matchers,
    /// What is set for them.
    pub patch: Patch,
}

/// Those settings that somebody has set; the others stay as they are.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Patch {
    /// See [`Settings::false_openings_per_day`].
    pub false_openings_per_day: Option<f64>,
    /// See [`Settings::sigma`].
    pub sigma: Option<f64>,
    /// See [`Settings::budget`]; a threshold of its own takes a series out of any.
    pub budget: Option<Option<Allotment>>,
    /// Where that budget was calibrated to.
    pub boundary: Option<Boundary>,
    /// See [`Settings::exit_score`].
    pub exit_score: Option<f64>,
    /// See [`Settings::sides`].
    pub sides: Option<Sides>,
    /// See [`Settings::min_deviation_absolute`].
    pub min_deviation_absolute: Option<f64>,
    /// See [`Settings::min_deviation_relative`].
    pub min_deviation_relative: Option<f64>,
    /// The lower edge of [`Settings::valid`].
    pub valid_min: Option<Option<f64>>,
    /// The upper edge of [`Settings::valid`].
    pub valid_max: Option<Option<f64>>,
    /// See [`Settings::volume`].
    pub volume: Option<Option<MinVolume>>,
    /// See [`Settings::open_points`].
    pub open_points: Option<usize>,
    /// See [`Settings::open_window`].
    pub open_window: Option<usize>,
    /// See [`Settings::strong_points`].
    pub strong_points: Option<usize>,
    /// See [`Settings::strong_score`].
    pub strong_score: Option<f64>,
    /// See [`Settings::clear_points`].
    pub clear_points: Option<usize>,
    /// See [`Settings::min_confidence`].
    pub min_confidence: Option<f64>,
    /// See [`Settings::adopt_after`].
    pub adopt_after: Option<Duration>,
    /// See [`Settings::missing`].
    pub missing: Option<Missing>,
    /// How long to wait where a series that stops means something.
    pub lost_after: Option<Duration>,
}

/// An override, and for how many series of a signal it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overridden {
    /// Which entry of the config it is.
    pub entry: u16,
    /// The same in words.
    pub name: Arc<str>,
    /// How many series it holds for.
    pub series: usize,
}

impl Detect {
    /// The overrides of a signal in their order, and for how many series each holds.
    pub fn overridden(&self, signal: &SignalName) -> Vec<Overridden> {
        let overrides = self.tables.get(signal).into_iter().flat_map(Table::overridden);
        let told = |(over, series): (&SeriesOverride, usize)| Overridden {
            entry: over.entry,
            name: Arc::clone(&over.name),
            series,
        };
        overrides.map(told).collect()
    }
}

impl Patch {
    /// This one, and over it another: what both set is as the other one says.
    #[must_use]
    pub fn under(self, over: &Self) -> Self {
        let mut valid = (over.valid_min.or(self.valid_min), over.valid_max.or(self.valid_max));
        // Edges of two entries that make no range: the one that was set first is none.
        if let (Some(Some(min)), Some(Some(max))) = valid
            && min >= max
        {
            valid = if over.valid_min.is_some() { (valid.0, Some(None)) } else { (Some(None), valid.1) };
        }
        let boundary = if over.budget.is_some() { over.boundary } else { self.boundary };
        Self {
            false_openings_per_day: over.false_openings_per_day.or(self.false_openings_per_day),
            sigma: over.sigma.or(self.sigma),
            budget: over.budget.or(self.budget),
            boundary,
            exit_score: over.exit_score.or(self.exit_score),
            sides: over.sides.or(self.sides),
            min_deviation_absolute: over.min_deviation_absolute.or(self.min_deviation_absolute),
            min_deviation_relative: over.min_deviation_relative.or(self.min_deviation_relative),
            valid_min: valid.0,
            valid_max: valid.1,
            volume: over.volume.clone().or(self.volume),
            open_points: over.open_points.or(self.open_points),
            open_window: over.open_window.or(self.open_window),
            strong_points: over.strong_points.or(self.strong_points),
            strong_score: over.strong_score.or(self.strong_score),
            clear_points: over.clear_points.or(self.clear_points),
            min_confidence: over.min_confidence.or(self.min_confidence),
            adopt_after: over.adopt_after.or(self.adopt_after),
            missing: over.missing.or(self.missing),
            lost_after: over.lost_after.or(self.lost_after),
        }
    }

    /// The settings with this over them.
    pub fn applied_to(&self, base: &Settings) -> Settings {
        let mut to = base.clone();
        set(&mut to.false_openings_per_day, self.false_openings_per_day);
        set(&mut to.sigma, self.sigma);
        set(&mut to.exit_score, self.exit_score);
        set(&mut to.sides, self.sides);
        set(&mut to.min_deviation_absolute, self.min_deviation_absolute);
        set(&mut to.min_deviation_relative, self.min_deviation_relative);
        set(&mut to.valid.min, self.valid_min);
        set(&mut to.valid.max, self.valid_max);
        set(&mut to.volume, self.volume.clone());
        set(&mut to.open_points, self.open_points);
        set(&mut to.open_window, self.open_window);
        set(&mut to.strong_points, self.strong_points);
        set(&mut to.strong_score, self.strong_score);
        set(&mut to.clear_points, self.clear_points);
        set(&mut to.min_confidence, self.min_confidence);
        set(&mut to.adopt_after, self.adopt_after);
        set(&mut to.missing, self.missing);
        if let (Missing::Alert { after }, Some(lost_after)) = (&mut to.missing, self.lost_after) {
            *after = lost_after;
        }
        set(&mut to.budget, self.budget);
        // Entries that are sound each by itself may together ask for more points than there are.
        to.open_points = to.open_points.min(to.open_window);
        to.strong_points = to.strong_points.min(to.open_points);
        match self.boundary {
            Some(boundary) => to.with_boundary(boundary),
            None => to,
        }
    }
}

fn set<T>(to: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *to = value;
    }
}

impl SignalPlan {
    /// Which overrides hold for a series, in their order.
    pub fn overrides_of(&self, key: &SeriesKey) -> impl Iterator<Item = &SeriesOverride> {
        self.overrides.iter().filter(|over| over.matchers.hold_for(key))
    }

    /// How a series is judged.
    pub fn settings_of(&self, key: &SeriesKey) -> Settings {
        self.settings_with(self.overrides_of(key))
    }

    /// How series are judged for which these overrides hold, in this order.
    pub fn settings_with<'a>(&self, overrides: impl IntoIterator<Item = &'a SeriesOverride>) -> Settings {
        let patch = overrides.into_iter().fold(Patch::default(), |patch, over| patch.under(&over.patch));
        patch.applied_to(&self.settings)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Patches of a few settings of each sort.
    fn patches() -> impl Strategy<Value = Patch> {
        let edge = || prop::option::of(prop::option::of(-3_i32..3));
        let number = |edge: Option<Option<i32>>| edge.map(|edge| edge.map(f64::from));
        let some =
            (prop::option::of(1.0..5.0_f64), prop::option::of(1_usize..9), prop::option::of(1_usize..9));
        let alerts = prop::option::of(any::<bool>());
        (some, edge(), edge(), alerts, prop::option::of(1_u64..100)).prop_map(
            move |((relative, points, window), min, max, alerts, after)| Patch {
                min_deviation_relative: relative,
                open_points: points,
                open_window: window,
                valid_min: number(min),
                valid_max: number(max),
                missing: alerts.map(|alerts| match alerts {
                    true => Missing::Alert { after: Duration::from_secs(300) },
                    false => Missing::Ignore,
                }),
                lost_after: after.map(Duration::from_secs),
                ..Patch::default()
            },
        )
    }

    proptest! {
        #[test]
        fn the_last_entry_wins_key_by_key(list in prop::collection::vec(patches(), 0..6)) {
            let whole = list.iter().fold(Patch::default(), |patch, over| patch.under(over));
            let last = |of: fn(&Patch) -> Option<f64>| list.iter().rev().find_map(of);
            prop_assert_eq!(whole.min_deviation_relative, last(|patch| patch.min_deviation_relative));
            let base = Settings::default();
            let settings = whole.applied_to(&base);
            let relative = last(|patch| patch.min_deviation_relative);
            let expected = relative.unwrap_or(base.min_deviation_relative);
            prop_assert!((settings.min_deviation_relative - expected).abs() < 1e-12);
            let after = list.iter().rev().find_map(|patch| patch.lost_after);
            match (list.iter().rev().find_map(|patch| patch.missing), after) {
                (Some(Missing::Ignore), _) => prop_assert_eq!(settings.missing, Missing::Ignore),
                (_, Some(after)) => prop_assert_eq!(settings.missing, Missing::Alert { after }),
                (_, None) => prop_assert_eq!(settings.missing, base.missing),
            }
        }

        #[test]
        fn whatever_entries_come_together_the_settings_fit_each_other(list in prop::collection::vec(patches(), 0..6)) {
            let whole = list.iter().fold(Patch::default(), |patch, over| patch.under(over));
            let settings = whole.applied_to(&Settings::classic());
            prop_assert!(settings.strong_points <= settings.open_points);
            prop_assert!(settings.open_points <= settings.open_window);
            if let (Some(min), Some(max)) = (settings.valid.min, settings.valid.max) {
                prop_assert!(min < max);
            }
        }
    }

    #[test]
    fn nothing_set_changes_nothing() {
        for base in [Settings::default(), Settings::classic()] {
            assert_eq!(Patch::default().applied_to(&base), base);
        }
    }

    #[test]
    fn a_threshold_takes_a_series_out_of_the_budget_of_an_earlier_entry() {
        let allotment =
            Allotment { budget: "2/week".parse().unwrap(), scope: super::super::Scope::Matcher(0) };
        let budget = Patch {
            budget: Some(Some(allotment)),
            boundary: Some(Boundary::Openings(7.0)),
            ..Patch::default()
        };
        let own = Patch { false_openings_per_day: Some(2.0), budget: Some(None), ..Patch::default() };
        let settings = budget.clone().under(&own).applied_to(&Settings::default());
        assert_eq!((settings.false_openings_per_day, settings.budget), (2.0, None));
        let settings = own.under(&budget).applied_to(&Settings::default());
        assert_eq!((settings.false_openings_per_day, settings.budget), (7.0, Some(allotment)));
    }
}
