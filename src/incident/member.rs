//! One series' part in an incident.

use std::sync::Arc;

use crate::detect::{Anomaly, Kind, Restart, Side, Trace};
use crate::series::SeriesKey;
use crate::time::Timestamp;

/// A series that is, or was, in trouble within an incident.
#[derive(Debug, Clone, PartialEq)]
pub struct Member {
    /// Which series.
    pub key: Arc<SeriesKey>,
    /// What its signal measures.
    pub kind: Kind,
    /// What is wrong with it.
    pub trouble: Trouble,
    /// Whether it still is.
    pub state: MemberState,
    /// What every gate said of the sample that opened its anomaly; `None` for a loss, and where nobody kept it.
    pub why: Option<Arc<Trace>>,
}

/// What is wrong with a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Trouble {
    /// It left its band.
    Deviation(Anomaly),
    /// It stopped.
    Lost {
        /// Its last sample.
        last_seen: Timestamp,
        /// When it was held to be lost.
        detected_at: Timestamp,
    },
}

impl Trouble {
    /// When it began.
    pub fn onset(&self) -> Timestamp {
        match self {
            Self::Deviation(anomaly) => anomaly.onset,
            Self::Lost { last_seen, .. } => *last_seen,
        }
    }

    /// The sample, or the end of the empty range, that showed it.
    pub fn detected_at(&self) -> Timestamp {
        match self {
            Self::Deviation(anomaly) => anomaly.detected_at,
            Self::Lost { detected_at, .. } => *detected_at,
        }
    }

    /// The last sample that was outside the band; for a lost series, when it was held to be lost.
    pub fn until(&self) -> Timestamp {
        match self {
            Self::Deviation(anomaly) => anomaly.until,
            Self::Lost { detected_at, .. } => *detected_at,
        }
    }

    /// The side on which the series left its band; `None` where it stopped.
    pub fn side(&self) -> Option<Side> {
        match self {
            Self::Deviation(anomaly) => Some(anomaly.side),
            Self::Lost { .. } => None,
        }
    }

    /// Whether two troubles of one series are the same, perhaps at another time of its course.
    pub fn is_same_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Deviation(a), Self::Deviation(b)) => a.onset == b.onset,
            (Self::Lost { last_seen: a, .. }, Self::Lost { last_seen: b, .. }) => a == b,
            (Self::Deviation(_), Self::Lost { .. }) | (Self::Lost { .. }, Self::Deviation(_)) => false,
        }
    }
}

/// Whether a member's trouble goes on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MemberState {
    /// It does.
    Active,
    /// It has ended.
    Ended {
        /// The last sample that was outside, or the last before the end.
        until: Timestamp,
        /// How it ended.
        because: Ended,
    },
}

/// How a member's trouble ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Ended {
    /// The series is back inside its band.
    Recovered,
    /// The series has samples again.
    Returned,
    /// The series' baseline began anew.
    Restarted(Restart),
    /// After a restart of the agent, history does not show the trouble any more.
    NotInHistory,
    /// The series has been gone for so long that it was forgotten. This is no recovery.
    Forgotten,
    /// A change of the config took the signal, its query or this sort of trouble out of what is watched. This is no
    /// recovery.
    Unwatched,
}

impl Ended {
    /// Whether a trouble can end like this. Of a series that stopped while it was outside its band, and has samples
    /// again, only the loss is over.
    pub(super) fn ends(&self, trouble: &Trouble) -> bool {
        !matches!((self, trouble), (Self::Returned, Trouble::Deviation(_)))
    }

    /// The word for it in API and log.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Recovered => "recovered",
            Self::Returned => "returned",
            Self::Restarted(Restart::Adopted { .. }) => "level_adopted",
            Self::Restarted(Restart::Gap { .. }) => "baseline_restarted",
            Self::Restarted(Restart::Rebased { .. }) => "rebased",
            Self::NotInHistory => "not_in_history",
            Self::Forgotten => "forgotten",
            Self::Unwatched => "unwatched",
        }
    }
}
