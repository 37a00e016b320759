//! State that outlasts the process.

use tracing::warn;

use super::Pipeline;
use crate::engine::{Engine, Restored, Resumed};
use crate::id::Digest;
use crate::runtime::snapshot::Keeper;
use crate::time::Timestamp;

impl Pipeline {
    /// The engine of a start, which goes on from what was kept.
    pub(super) fn first_engine(
        &self,
        restored: Restored,
        resumed: Option<Resumed>,
        now: Timestamp,
    ) -> Engine {
        match resumed {
            Some(resumed) => {
                let first_muted_until = now.minus(self.first_look);
                Engine::resume(self.settings.clone(), restored, resumed, first_muted_until)
            }
            None => self.engine(restored, now),
        }
    }

    /// Has the state written down, where it was not for long enough.
    pub(super) fn keep_where_due(&mut self, engine: &Engine) {
        if self.keeper.is_due() {
            self.keep(engine, Keeper::write);
        }
    }

    /// Has the state written down at the end.
    pub(super) fn keep_last(&mut self, engine: &Engine) {
        if self.keeper.settings.is_on {
            self.keep(engine, Keeper::write_last);
        }
    }

    /// All that the engine has decided is committed by now, so its state belongs to the end of the log.
    fn keep(&mut self, engine: &Engine, write: impl FnOnce(&mut Keeper, &Engine, (i64, Digest))) {
        match self.runtime.block_on(self.store.last_event()) {
            Ok(last) => write(&mut self.keeper, engine, last),
            Err(error) => {
                warn!("the state of detection is not written, since the log cannot be read: {error}")
            }
        }
    }
}
