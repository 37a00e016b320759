//! The one place that starts tasks: each has a name and ends when the supervisor says so.

use std::future::Future;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{Instrument, error, info_span};

/// Starts tasks and ends them. Clones are the same supervisor.
///
/// A task that ends by a panic takes everything down in order: half an agent, silently, is worse than none that a
/// process manager starts again.
#[derive(Debug, Clone, Default)]
pub struct Supervisor {
    tracker: TaskTracker,
    cancel: CancellationToken,
    failed: CancellationToken,
}

impl Supervisor {
    /// Starts with no tasks.
    pub fn new() -> Self {
        Self::default()
    }

    /// What tells tasks to end.
    pub fn cancelled(&self) -> CancellationToken {
        self.cancel.clone()
    }

    /// Starts a task.
    pub fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let (cancel, failed) = (self.cancel.clone(), self.failed.clone());
        let inner = self.tracker.spawn(task.instrument(info_span!("task", name)));
        self.tracker.spawn(async move {
            if inner.await.is_err_and(|end| end.is_panic()) {
                error!(task = name, "task {name} ended by a defect; the agent stops");
                failed.cancel();
                cancel.cancel();
            }
        });
    }

    /// Runs work that keeps a processor busy, off the threads that serve requests. `None` where it was ended by a panic
    /// or by the runtime's end.
    pub async fn compute<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        self.tracker.spawn_blocking(work).await.ok()
    }

    /// Takes everything down because of a defect elsewhere.
    pub fn fail(&self) {
        self.failed.cancel();
        self.cancel.cancel();
    }

    /// Whether a task ended by a defect.
    pub fn has_failed(&self) -> bool {
        self.failed.is_cancelled()
    }

    /// Tells all tasks to end and waits for them, for `grace` at most; says whether all have ended.
    pub async fn stop(&self, grace: Duration) -> bool {
        self.cancel.cancel();
        self.tracker.close();
        tokio::time::timeout(grace, self.tracker.wait()).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn stopping_ends_every_task() {
        let supervisor = Supervisor::new();
        let cancelled = supervisor.cancelled();
        supervisor.spawn("waits", async move { cancelled.cancelled().await });
        assert!(supervisor.stop(Duration::from_secs(5)).await);
        assert!(!supervisor.has_failed());
    }

    #[tokio::test]
    async fn a_task_that_panics_takes_the_others_down() {
        let supervisor = Supervisor::new();
        let cancelled = supervisor.cancelled();
        supervisor.spawn("breaks", async { panic!("a defect") });
        cancelled.cancelled().await;
        assert!(supervisor.has_failed());
        assert!(supervisor.stop(Duration::from_secs(5)).await);
    }
}
