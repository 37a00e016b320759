//! Noise by seed: the same on every machine and in every run.

/// A generator with 64 bits of state (splitmix64, Steele, Lea and Flood 2014).
#[derive(Debug, Clone)]
pub(crate) struct Noise(u64);

impl Noise {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d)
    }

    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Above 0, at most 1.
    pub(crate) fn uniform(&mut self) -> f64 {
        ((self.bits() >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

    /// At least 0, below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.bits() % end
    }

    /// Standard normal (Box and Muller 1958).
    pub(crate) fn gaussian(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// Student's t with three degrees of freedom: a standard deviation of 1.73, and tails that fall as the cube.
    pub(crate) fn student3(&mut self) -> f64 {
        let squares: f64 = (0..3).map(|_| self.gaussian().powi(2)).sum();
        self.gaussian() / (squares / 3.0).sqrt()
    }

    /// The next of a first-order autoregression with unit variance, after `before`.
    pub(crate) fn autoregressed(&mut self, before: f64, memory: f64) -> f64 {
        memory * before + (1.0 - memory * memory).sqrt() * self.gaussian()
    }
}
