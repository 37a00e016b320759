//! The rows in the order in which they are listed.

use super::Table;
use crate::detect::page::{SeriesPage, SeriesQuery, SeriesState};

impl Table {
    pub(in crate::detect) fn page(&self, wanted: &SeriesQuery) -> SeriesPage {
        let mut page = SeriesPage::default();
        match &wanted.service {
            Some(service) => self.add_to_page(self.index.of_service(service), wanted, &mut page),
            None => {
                let services = self.index.services();
                services.for_each(|rows| self.add_to_page(rows, wanted, &mut page));
            }
        }
        page
    }

    /// Adds the rows of a service, as far as there is room; the others are only counted.
    fn add_to_page(&self, rows: &[usize], wanted: &SeriesQuery, page: &mut SeriesPage) {
        let is_wanted = |row: &&usize| wanted.state.is_none_or(|state| self.state(**row) == state);
        let room = wanted.limit.saturating_sub(page.series.len());
        if room == 0 {
            page.left_out += match wanted.state {
                Some(_) => rows.iter().filter(is_wanted).count(),
                None => rows.len(),
            };
            return;
        }
        let mut rows: Vec<usize> = rows.iter().filter(is_wanted).copied().collect();
        rows.sort_by(|a, b| self.keys[*a].labels.cmp(&self.keys[*b].labels));
        page.left_out += rows.len().saturating_sub(room);
        page.series.extend(rows.into_iter().take(room).map(|row| (self.state(row), self.view(row))));
    }

    fn state(&self, row: usize) -> SeriesState {
        SeriesState::of(self.index.standing(row))
    }
}
