//! EWMA: the sample against the exponentially weighted mean and deviation of those before it.
#![expect(clippy::indexing_slicing, reason = "a numeric kernel: counts end at the tables' length")]

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::edge::Edges;
use super::memory::{Floors, Memory, usable};
use super::single::{Keep, Rows, Single};
use crate::detect::Opinion;
use crate::detect::snapshot::{Reader, SnapshotFlaw, Writer, sound};

/// A memory of more points would need a longer table of edges and say the same.
const POINTS_MAX: usize = 1440;

/// How [`Ewma`] judges.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EwmaSettings {
    /// The memory: the weights fade so that mean and deviation are as certain as those of this many equal ones. 8 to
    /// 1,440 points.
    pub memory: Memory,
    /// It says nothing before it has so many samples. 3 to the memory's points.
    pub min_points: usize,
    /// The edge of the band: as improbable as so many standard deviations in a normal distribution. 1 to 10.
    pub sigma: f64,
    /// What the deviation never falls below.
    pub floors: Floors,
}

impl Default for EwmaSettings {
    fn default() -> Self {
        Self { memory: Memory::default(), min_points: 20, sigma: 4.0, floors: Floors::default() }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
struct State {
    mean: f64,
    /// Weighted, around the weighted mean; what that lacks is in the table of edges.
    variance: f64,
    count: u32,
}

/// The exponentially weighted mean and variance of each row: 24 bytes a row.
#[derive(Debug, Clone, PartialEq)]
pub struct Ewma {
    floors: Floors,
    min_points: u32,
    edges: Edges,
    /// The weight of a new sample, by how many came before it.
    weights: Vec<f64>,
    rows: Rows<State>,
}

impl Ewma {
    /// Makes the detector without rows, for series with a sample each `step`.
    pub fn new(settings: &EwmaSettings, step: Duration) -> Self {
        let points = settings.memory.points_at(step, POINTS_MAX);
        let fading = 2.0 / (points as f64 + 1.0);
        // The sum of the squared weights: what the mean's variance is of a sample's.
        let (mut weights, mut squares) = (Vec::new(), vec![1.0]);
        for before in 0..2 * points {
            let weight = fading.max(1.0 / (before as f64 + 1.0));
            let last = squares.last().copied().unwrap_or(1.0);
            let kept = (1.0 - weight) * (1.0 - weight);
            weights.push(weight);
            squares.push(if before == 0 { 1.0 } else { kept * last + weight * weight });
        }
        weights.push(fading);
        if let Some(last) = squares.last_mut() {
            // From here on the table stands still; the sum has come within a few hundredths of its limit.
            *last = 1.0 / points as f64;
        }
        let edges = Edges::new(settings.sigma, 2 * points, |count| {
            let squares = squares[count].min(0.5);
            (1.0 / squares - 1.0, ((1.0 + squares) / (1.0 - squares)).sqrt())
        });
        Self {
            floors: settings.floors,
            min_points: settings.min_points.clamp(3, points) as u32,
            edges,
            weights,
            rows: Rows::default(),
        }
    }

    fn scale(&self, state: &State) -> f64 {
        self.floors.hold(state.variance.sqrt(), state.mean)
    }
}

impl Single for Ewma {
    fn grow(&mut self) {
        self.rows.grow();
    }

    fn forget(&mut self, row: usize) {
        self.rows.forget(row);
    }

    #[inline]
    fn judge(&mut self, row: usize, _at_ms: i64, value: f64) -> Option<Opinion> {
        let value = usable(value)?;
        let state = self.rows[row];
        if state.count < self.min_points {
            return None;
        }
        Some(self.edges.opinion(value, state.mean, self.scale(&state), state.count as usize))
    }

    #[inline]
    fn learn(&mut self, row: usize, _at_ms: i64, value: f64) {
        let Some(value) = usable(value) else { return };
        let state = &mut self.rows[row];
        let weight = self.weights[state.count as usize];
        let deviation = value - state.mean;
        let increment = weight * deviation;
        state.mean += increment;
        state.variance = (1.0 - weight) * (state.variance + increment * deviation);
        if (state.count as usize) < self.edges.points() {
            state.count += 1;
        }
    }

    fn tune(&mut self, sigma: f64, floors: Floors) {
        self.floors = floors;
        self.edges.move_to(sigma);
    }

    fn held(&self, row: usize) -> usize {
        self.rows[row].count as usize
    }

    fn band(&self, row: usize) -> Option<(f64, f64, f64)> {
        let state = &self.rows[row];
        let is_warm = state.count >= self.min_points;
        is_warm.then(|| self.edges.band(state.mean, self.scale(state), state.count as usize))
    }
}

impl Keep for Ewma {
    fn keep(&self, row: usize, out: &mut Writer) {
        out.put(&self.rows[row]);
    }

    fn restore(&mut self, row: usize, from: &mut Reader<'_>) -> Result<(), SnapshotFlaw> {
        let state: State = from.take()?;
        sound(state.count as usize <= self.edges.points() && state.is_sound(), "a row of ewma")?;
        self.rows[row] = state;
        Ok(())
    }
}

impl State {
    fn is_sound(&self) -> bool {
        self.mean.is_finite() && self.variance >= 0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[f64]) -> Ewma {
        let mut ewma = Ewma::new(&EwmaSettings::default(), Duration::from_secs(60));
        ewma.grow();
        ewma.rebase(0, values);
        ewma
    }

    #[test]
    fn the_first_samples_weigh_alike() {
        let ewma = of(&[1.0, 5.0, 3.0, 7.0]);
        assert!((ewma.rows[0].mean - 4.0).abs() < 1e-12 && (ewma.rows[0].variance - 5.0).abs() < 1e-12);
    }

    #[test]
    fn what_is_a_memory_ago_has_faded_to_a_seventh() {
        let mut values = vec![0.0; 1000];
        values.push(1.0);
        let fresh = of(&values).rows[0].mean;
        values.extend([0.0; 240]);
        let faded = of(&values).rows[0].mean;
        assert!((faded / fresh - (-2.0_f64).exp()).abs() < 0.01, "{}", faded / fresh);
    }
}
