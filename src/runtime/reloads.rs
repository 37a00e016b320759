//! The way to have the config read again, for whoever may want that: a signal of the operating system, a request.

use tokio::sync::{mpsc, oneshot};

/// So many may wait for their turn.
const WAITING_MAX: usize = 8;

type Asked = oneshot::Sender<Result<String, ReloadError>>;

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
        self.0.try_send(reply).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => ReloadError::Busy,
            mpsc::error::TrySendError::Closed(_) => ReloadError::Stopping,
        })?;
        answer.await.unwrap_or(Err(ReloadError::Stopping))
    }
}

impl ReloadQueue {
    /// The next that is asked for; `None` where nobody can ask any more.
    pub async fn next(&mut self) -> Option<oneshot::Sender<Result<String, ReloadError>>> {
        self.0.recv().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn too_many_are_told_so_and_an_agent_that_stops_says_so() {
        let (reloads, queue) = Reloads::channel();
        let waiting: Vec<_> = (0..WAITING_MAX).map(|_| reloads.0.try_send(oneshot::channel().0)).collect();
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
                queue.next().await.unwrap().send(Ok(nth.to_string())).unwrap();
            }
        };
        let (first, second, ()) = tokio::join!(reloads.reload(), reloads.reload(), answering);
        assert_eq!((first.unwrap(), second.unwrap()), ("0".to_owned(), "1".to_owned()));
    }
}
