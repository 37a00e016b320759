//! What detection tells the stages after it.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::gate::Trace;
use super::settings::Kind;
use crate::series::SeriesKey;
use crate::time::Timestamp;

/// A side of the baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Side {
    /// Above it.
    Up,
    /// Below it.
    Down,
}

impl Side {
    /// The word for it in API and log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
        }
    }
}

/// Something that a series did, as of one of its samples.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// Which series.
    pub key: Arc<SeriesKey>,
    /// What its signal measures.
    pub kind: Kind,
    /// The time of the sample that showed it; for a loss, the end of the range that had no sample.
    pub at: Timestamp,
    /// What it did.
    pub what: What,
    /// Of an anomaly: what every gate said of the sample that opened it; `None` where nobody kept it.
    pub why: Option<Arc<Trace>>,
}

/// What a series did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum What {
    /// It is anomalous: the anomaly has just opened, or goes on.
    Anomalous(Anomaly),
    /// It is back inside its band: the anomaly as it ended.
    Recovered(Anomaly),
    /// It has stopped while its signal's query still answers.
    Lost {
        /// Its last sample.
        last_seen: Timestamp,
    },
    /// It has samples again after a loss.
    Returned,
    /// Its baseline begins anew, so that nothing it does now can be compared with before.
    Restarted(Restart),
}

/// Why a baseline begins anew.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Restart {
    /// It stayed outside its band for so long that this is its level now.
    Adopted {
        /// When it left the old level.
        since: Timestamp,
        /// The mean before.
        from: f64,
        /// The mean now.
        to: f64,
    },
    /// It had no samples for so long that the old level means nothing.
    Gap {
        /// How long it was gone.
        lasted: Duration,
    },
    /// Somebody said that what it does is normal.
    Rebased {
        /// The mean before.
        from: f64,
        /// The mean of the samples that it begins from.
        to: f64,
    },
}

/// An anomaly as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Anomaly {
    /// Above or below.
    pub side: Side,
    /// The first anomalous sample of the run that opened it.
    pub onset: Timestamp,
    /// The sample at which it opened.
    pub detected_at: Timestamp,
    /// The last anomalous sample so far.
    pub until: Timestamp,
    /// The expected value when it opened.
    pub expected: f64,
    /// The lower edge of the band when it opened.
    pub lower: f64,
    /// The upper edge of the band when it opened.
    pub upper: f64,
    /// The scale of the baseline when it opened.
    pub scale: f64,
    /// The value of the worst sample so far.
    pub peak_value: f64,
    /// The score of the worst sample so far.
    pub peak_score: f64,
    /// How sure the evidence makes us, 0 to 1, when it opened.
    pub confidence: f64,
}

/// A series as it stands, for whoever explains it.
#[derive(Debug, Clone, PartialEq)]
pub struct SeriesView {
    /// Which series.
    pub key: Arc<SeriesKey>,
    /// What its signal measures.
    pub kind: Kind,
    /// The open anomaly, where there is one.
    pub anomaly: Option<Anomaly>,
    /// Whether it is lost at the moment.
    pub is_lost: bool,
    /// Up to when its samples say nothing since they look back over a gap; `None` where there was none.
    pub unsettled_until: Option<Timestamp>,
    /// The last value seen.
    pub value: f64,
    /// The expected value for the next sample; `None` while the baseline warms up.
    pub expected: Option<f64>,
    /// The edges of the band for the next sample, likewise: the lower one and the upper one.
    pub band: Option<(f64, f64)>,
    /// The scale of the baseline, likewise.
    pub scale: Option<f64>,
    /// The last samples, oldest first.
    pub recent: Vec<(Timestamp, f64)>,
    /// The score of each of them, negative below the expected value; `NaN` while the baseline warmed up.
    pub signed_scores: Vec<f64>,
    /// The names of the overrides that hold for it, in their order.
    pub overrides: Vec<Arc<str>>,
}

impl SeriesView {
    /// The strongest score, and its side, of the samples from `since` on; `None` where none was judged.
    pub fn strongest_since(&self, since: Timestamp) -> Option<(f64, Side)> {
        let judged = self.recent.iter().zip(&self.signed_scores);
        let judged = judged.filter(|((at, _), score)| *at >= since && score.is_finite());
        let (_, score) = judged.max_by(|(_, a), (_, b)| a.abs().total_cmp(&b.abs()))?;
        Some((score.abs(), if *score < 0.0 { Side::Down } else { Side::Up }))
    }
}
