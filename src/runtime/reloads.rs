//! The way to have the config read again, for whoever may want that: a signal of the operating system, a request.

use tokio::sync::{mpsc, oneshot};

use crate::series::SignalName;
use crate::store::KeptCalibration;

/// So many may wait for their turn.
const WAITING_MAX: usize = 8;

/// What somebody wants, with the way back to whoever that is.
#[derive(Debug)]
pub enum Asked {
    /// Go by the config as it stands now; the answer says what changed.
    Reload(oneshot::Sender<Result<String, ReloadError>>),
    /// Say what a reload would change.
    Foresee(oneshot::Sender<Foreseen>),
    /// Go by other boundaries, which the budgets of the config in force were calibrated to.
    Recalibrate(Vec<KeptCalibration>, oneshot::Sender<Result<(), ReloadError>>),
}

/// What a reload would change, were it made now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Foreseen {
    /// The hash of the config in force.
    pub hash_before: String,
    /// The hash that would be in force; `None` where the config cannot even be read.
    pub config_hash: Option<String>,
    /// The signals that would be other ones.
    pub signals: Vec<SignalForeseen>,
    /// How many signals would stay as they are.
    pub unchanged: usize,
    /// The other keys that differ, with the value before and after; `None` where there is none or it is not shown.
    pub keys: Vec<(String, Option<String>, Option<String>)>,
    /// Why the reload would be refused, a line for each mistake; empty where it would not.
    pub refused: Vec<String>,
}

/// What a reload would do to one signal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignalForeseen {
    /// The signal.
    pub signal: SignalName,
    /// What would become of it.
    pub fate: Fate,
    /// Its settings that differ, inherited ones too: the key, the value before and the value after.
    pub settings: Vec<(String, Option<String>, Option<String>)>,
}

/// What would become of a signal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It is new: its history is read.
    Added,
    /// It is not watched any more.
    Removed,
    /// It is judged by the new settings, from what its series have learnt.
    Kept,
    /// Its series begin without state, and its history is read anew.
    Anew {
        /// Why.
        because: &'static str,
    },
}

/// Asks for reloads. Clones ask the same agent.
#[derive(Debug, Clone)]
pub struct Reloads(mpsc::Sender<Asked>);

/// The other end: whoever does it takes one at a time.
#[derive(Debug)]
pub struct ReloadQueue(mpsc::Receiver<Asked>);

/// A reload that did not happen. The config of before is in force.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReloadError {
    /// The config is not fit to be used; a line for each mistake.
    #[error("{0}")]
    Refused(String),
    /// Too many wait already.
    #[error("{WAITING_MAX} reloads wait already; try again")]
    Busy,
    /// The agent stops.
    #[error("the agent is stopping; the config is not read again")]
    Stopping,
}

impl Reloads {
    /// Makes both ends.
    pub fn channel() -> (Self, ReloadQueue) {
        let (ask, asked) = mpsc::channel(WAITING_MAX);
        (Self(ask), ReloadQueue(asked))
    }

    /// Has the config read again, after those that asked before, and says what changed. It goes on where the caller
    /// stops waiting.
    ///
    /// # Errors
    /// Says why the config stays as it was.
    pub async fn reload(&self) -> Result<String, ReloadError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Asked::Reload(reply))?;
        answer.await.unwrap_or(Err(ReloadError::Stopping))
    }

    /// Has the config read, and says what a reload would change. Nothing changes; what would be refused is a part of the
    /// answer.
    ///
    /// # Errors
    /// Where nobody can look: too many wait already, or the agent stops.
    pub async fn foresee(&self) -> Result<Foreseen, ReloadError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Asked::Foresee(reply))?;
        answer.await.map_err(|_| ReloadError::Stopping)
    }

    /// Has the agent go by what its budgets were calibrated to.
    ///
    /// # Errors
    /// Says why the boundaries stay as they were.
    pub async fn recalibrate(&self, kept: Vec<KeptCalibration>) -> Result<(), ReloadError> {
        let (reply, answer) = oneshot::channel();
        self.ask(Asked::Recalibrate(kept, reply))?;
        answer.await.unwrap_or(Err(ReloadError::Stopping))
    }

    fn ask(&self, asked: Asked) -> Result<(), ReloadError> {
        self.0.try_send(asked).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => ReloadError::Busy,
            mpsc::error::TrySendError::Closed(_) => ReloadError::Stopping,
        })
    }
}

impl ReloadQueue {
    /// The next that is asked for; `None` where nobody can ask any more.
    pub async fn next(&mut self) -> Option<Asked> {
        self.0.recv().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn too_many_are_told_so_and_an_agent_that_stops_says_so() {
        let (reloads, queue) = Reloads::channel();
        let waiting: Vec<_> =
            (0..WAITING_MAX).map(|_| reloads.0.try_send(Asked::Reload(oneshot::channel().0))).collect();
        assert!(waiting.iter().all(Result::is_ok));
        assert_eq!(reloads.reload().await, Err(ReloadError::Busy));
        drop(queue);
        assert_eq!(reloads.reload().await, Err(ReloadError::Stopping));
    }

    #[tokio::test]
    async fn each_gets_the_answer_to_its_own() {
        let (reloads, mut queue) = Reloads::channel();
        let answering = async {
            for nth in 0..2 {
                let Some(Asked::Reload(reply)) = queue.next().await else { panic!("not a reload") };
                reply.send(Ok(nth.to_string())).unwrap();
            }
        };
        let (first, second, ()) = tokio::join!(reloads.reload(), reloads.reload(), answering);
        assert_eq!((first.unwrap(), second.unwrap()), ("0".to_owned(), "1".to_owned()));
    }
}
