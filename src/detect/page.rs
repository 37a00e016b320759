//! A part of a signal's series, for whoever lists them: only what is shown is put together.

use super::finding::SeriesView;
use super::index::Standing;
use super::stage::Detect;
use crate::series::{Service, SignalName};

/// How a series stands: the first of these that fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeriesState {
    /// It has stopped.
    Lost,
    /// It has an open anomaly.
    Anomalous,
    /// Its baseline is not full yet.
    Warming,
    /// Nothing of that.
    Normal,
}

impl SeriesState {
    /// Every state.
    pub const ALL: [Self; 4] = [Self::Lost, Self::Anomalous, Self::Warming, Self::Normal];

    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Anomalous => "anomalous",
            Self::Warming => "warming",
            Self::Normal => "normal",
        }
    }

    pub(super) const fn of(standing: Standing) -> Self {
        match standing {
            Standing { is_lost: true, .. } => Self::Lost,
            Standing { is_anomalous: true, .. } => Self::Anomalous,
            Standing { is_warming: true, .. } => Self::Warming,
            Standing { .. } => Self::Normal,
        }
    }
}

/// Which series are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeriesQuery {
    /// Of this signal.
    pub signal: SignalName,
    /// Only those of this service.
    pub service: Option<Service>,
    /// Only those that stand so.
    pub state: Option<SeriesState>,
    /// At most so many.
    pub limit: usize,
}

/// The first of the series that were wanted, by service and labels.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SeriesPage {
    /// How each stands, and what is known of it.
    pub series: Vec<(SeriesState, SeriesView)>,
    /// How many more there are.
    pub left_out: usize,
}

impl Detect {
    /// The first of the series of a signal that are wanted; nothing where the signal is not watched. Costs a look at each
    /// series of the signal at most, and more only for those that are shown.
    pub fn page(&self, wanted: &SeriesQuery) -> SeriesPage {
        self.tables.get(&wanted.signal).map(|table| table.page(wanted)).unwrap_or_default()
    }
}
