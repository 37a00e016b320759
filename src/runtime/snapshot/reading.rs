//! Reads the state of detection at a start, as far as it fits.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use tracing::{info, warn};

use super::file::Reading;
use super::{Asked, Cover, SnapshotMetrics};
use crate::engine::{self, NotResumed, Restored, Resumed, Resumption};
use crate::series::SignalName;
use crate::store::{Store, StoreError};
use crate::time::Timestamp;

/// What came after an older one could not be caught up: polls go back a day at most.
const AGE_MAX: Duration = Duration::from_secs(24 * 3600);

/// Why a snapshot is not used.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error("it cannot be read: {0}")]
    Unreadable(#[from] std::io::Error),
    #[error(transparent)]
    Refused(#[from] NotResumed),
    #[error("it was written at {0}, more than a day ago")]
    Old(Timestamp),
    #[error("it belongs to another log, or to a later state of this one")]
    OtherLog,
    #[error("the log cannot be asked about it: {0}")]
    Log(#[from] StoreError),
}

/// What a start goes by.
pub(in crate::runtime) struct Begin<'a> {
    pub(in crate::runtime) settings: &'a engine::Settings,
    pub(in crate::runtime) restored: &'a Restored,
    pub(in crate::runtime) asked: &'a Asked,
    pub(in crate::runtime) now: Timestamp,
    pub(in crate::runtime) first_muted_until: Timestamp,
}

/// Gives the state that a snapshot holds, where there is one that fits the log. Where it does not, the log of the agent says
/// why, once.
pub(in crate::runtime) async fn resume(
    path: &Path,
    store: &Store,
    start: Begin<'_>,
    metrics: &SnapshotMetrics,
) -> Option<Resumed> {
    match read(path, store, &start).await {
        Ok(Some((resumed, at))) => {
            let (series, signals) = (resumed.series(), resumed.reached(start.restored).len());
            metrics.resumed(series);
            info!(
                "goes on with the state of {series} series of {signals} signals as it was at {at}, from {}",
                path.display()
            );
            Some(resumed)
        }
        Ok(None) => None,
        Err(because) => {
            warn!(
                "the state of detection in {} is not used, and history is read anew: {because}",
                path.display()
            );
            None
        }
    }
}

async fn read(
    path: &Path,
    store: &Store,
    start: &Begin<'_>,
) -> Result<Option<(Resumed, Timestamp)>, Unusable> {
    let Some(mut reading) = Reading::begin(path)? else { return Ok(None) };
    let cover = reading.frame()?.ok_or(std::io::ErrorKind::UnexpectedEof).map_err(std::io::Error::from)?;
    let cover: Cover = postcard::from_bytes(&cover)
        .map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidData, error))?;
    if start.now.since(cover.at) > AGE_MAX {
        return Err(Unusable::Old(cover.at));
    }
    let (seq, hash) = cover.log();
    if !store.holds(seq, &hash).await? {
        return Err(Unusable::OtherLog);
    }
    let mut resumption = Resumption::new(start.settings, asks_anew(&cover, start.asked));
    while let Some(frame) = reading.frame()? {
        resumption.take(&frame)?;
        // State of many series takes a while to read.
        tokio::task::yield_now().await;
    }
    let resumed = resumption.finish(start.restored, start.first_muted_until)?;
    Ok(Some((resumed, cover.at)))
}

/// The signals that ask something else than they did.
fn asks_anew(cover: &Cover, asked: &Asked) -> BTreeSet<SignalName> {
    let before: Asked = cover.asked.iter().map(|(signal, asked)| (SignalName::new(signal), *asked)).collect();
    asked
        .iter()
        .filter(|(signal, asked)| before.get(*signal) != Some(*asked))
        .map(|(signal, _)| signal.clone())
        .collect()
}
