//! Another boundary than that of the sample before: rows that are judged by other settings take turns.

use super::{Asked, Panel};
use crate::detect::settings::Settings;

/// More boundaries than there are distinct thresholds in a signal are those of other days.
const TURNS_MAX: usize = 16;

impl Panel {
    /// Judges by another boundary from the next sample on. One that was asked for lately is not worked out anew.
    #[cold]
    pub(super) fn turn_to(&mut self, asked: Asked, settings: &Settings) {
        let known = self.turns.iter().find(|(other, _)| *other == asked).map(|(_, bound)| *bound);
        let bound = known.unwrap_or_else(|| {
            let bound = asked.bound(settings);
            if self.turns.len() >= TURNS_MAX {
                self.turns.clear();
            }
            self.turns.push((asked, bound));
            bound
        });
        (self.asked, self.bound) = (asked, bound);
        self.members.iter_mut().for_each(|member| member.tune(&self.bound));
    }
}
