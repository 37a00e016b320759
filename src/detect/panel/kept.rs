//! The rows of a panel as bytes, and back.

use super::member::Member;
use super::{Asked, Panel};
use crate::detect::detectors::Floors;
use crate::detect::selection::Combine;
use crate::detect::settings::Settings;
use crate::detect::snapshot::{Reader, SnapshotFlaw, Writer, sound};

impl Panel {
    /// Writes down where the boundary of each detector is: a range moves its edges only when there is a reason to.
    pub(in crate::detect) fn keep_boundary(&self, out: &mut Writer) {
        let Asked { cut, sigma, floors, combine } = self.asked;
        out.put(&(cut, sigma, floors, combine == Combine::All));
    }

    /// Moves the boundaries of a panel without rows to where they were.
    pub(in crate::detect) fn restore_boundary(
        &mut self,
        from: &mut Reader<'_>,
        settings: &Settings,
    ) -> Result<(), SnapshotFlaw> {
        let (cut, sigma, floors, is_all): (f64, f64, Floors, bool) = from.take()?;
        let is_floor = |floor: f64| (0.0..1e150).contains(&floor);
        let is_sound = (f64::MIN_POSITIVE..=1.0).contains(&cut)
            && (0.1..=1000.0).contains(&sigma)
            && is_floor(floors.absolute)
            && is_floor(floors.relative);
        sound(is_sound, "a boundary that no settings make")?;
        let combine = if is_all { Combine::All } else { Combine::Any };
        self.asked = Asked { cut, sigma, floors, combine };
        self.bound = self.asked.bound(settings);
        self.members.iter_mut().for_each(|member| member.tune(&self.bound));
        Ok(())
    }

    pub(in crate::detect) fn keep(&self, row: usize, out: &mut Writer) {
        self.members.iter().for_each(|member| member.keep(row, out));
    }

    /// Fills a row that was grown.
    pub(in crate::detect) fn restore(
        &mut self,
        row: usize,
        from: &mut Reader<'_>,
    ) -> Result<(), SnapshotFlaw> {
        self.members.iter_mut().try_for_each(|member| member.restore(row, from))
    }
}

impl Member {
    fn keep(&self, row: usize, out: &mut Writer) {
        use crate::detect::detectors::Keep as _;
        match self {
            Self::Tail(it) => it.keep(row, out),
            Self::Classic(it) => it.keep(row, out),
            Self::Ewma(it) => it.keep(row, out),
            Self::RollingZ(it) => it.keep(row, out),
            Self::RobustZ(it) => it.keep(row, out),
            Self::Seasonal(it) => it.keep(row, out),
            Self::Level(it) => it.keep(row, out),
            Self::Range(it) => it.keep(row, out),
            Self::Flatline(it) => it.keep(row, out),
        }
    }

    fn restore(&mut self, row: usize, from: &mut Reader<'_>) -> Result<(), SnapshotFlaw> {
        use crate::detect::detectors::Keep as _;
        match self {
            Self::Tail(it) => it.restore(row, from),
            Self::Classic(it) => it.restore(row, from),
            Self::Ewma(it) => it.restore(row, from),
            Self::RollingZ(it) => it.restore(row, from),
            Self::RobustZ(it) => it.restore(row, from),
            Self::Seasonal(it) => it.restore(row, from),
            Self::Level(it) => it.restore(row, from),
            Self::Range(it) => it.restore(row, from),
            Self::Flatline(it) => it.restore(row, from),
        }
    }
}
