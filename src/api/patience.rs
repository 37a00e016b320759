//! How long a request waits for the pipeline.

use std::time::Duration;

use super::problem::{Kind, Problem};
use crate::runtime::Unavailable;

/// A client would rather hear that it should try again than wait for ever.
const PATIENCE: Duration = Duration::from_secs(10);

/// Waits for an answer of the pipeline.
pub(super) async fn within_patience<T>(
    answer: impl Future<Output = Result<T, Unavailable>>,
) -> Result<T, Problem> {
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(answer) => answer.map_err(Problem::from),
        Err(_) => {
            let seconds = PATIENCE.as_secs();
            Err(Problem::new(Kind::Unavailable, format!("the pipeline gave no answer within {seconds}s")))
        }
    }
}
