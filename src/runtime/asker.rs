//! Asks the model, beside the pipeline: what it says comes back as an input.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tracing::warn;

use super::clock::Clock;
use super::pipeline::{Message, ModelNews, Tagged};
use super::supervisor::Supervisor;
use crate::diagnose::{Because, Bundle, cite};
use crate::engine::{Answer, Input};
use crate::llm::Model;
use crate::store::Store;

/// So many questions are out at once.
const QUESTIONS_AT_ONCE: usize = 4;
/// So many questions may wait.
pub(super) const QUESTIONS_WAITING_MAX: usize = 64;

/// A question to the model.
#[derive(Debug)]
pub(super) struct Question {
    /// The revision that it was asked at.
    pub(super) revision: u32,
    /// What it is about.
    pub(super) bundle: Box<Bundle>,
}

/// Asks one question at a time on each of a few tasks.
#[derive(Debug, Clone)]
pub(super) struct Asker {
    pub(super) model: Model,
    pub(super) cache_for: Duration,
    pub(super) store: Store,
    pub(super) clock: Clock,
    pub(super) engine: mpsc::WeakSender<Tagged>,
    pub(super) supervisor: Supervisor,
}

impl Asker {
    /// Takes questions until nobody asks any more.
    pub(super) async fn run(self, mut questions: mpsc::Receiver<Question>) {
        let cancelled = self.supervisor.cancelled();
        let places = Arc::new(Semaphore::new(QUESTIONS_AT_ONCE));
        loop {
            let question = tokio::select! {
                question = questions.recv() => question,
                // An answer that comes after the stop would find nobody; the question is asked again at the next start.
                () = cancelled.cancelled() => None,
            };
            let (Some(question), Ok(place)) = (question, Arc::clone(&places).acquire_owned().await) else {
                return;
            };
            let (asker, cancelled) = (self.clone(), cancelled.clone());
            self.supervisor.spawn("question", async move {
                tokio::select! {
                    () = asker.answer(question) => {}
                    () = cancelled.cancelled() => {}
                }
                drop(place);
            });
        }
    }

    async fn answer(&self, Question { revision, bundle }: Question) {
        let incident = bundle.incident;
        let (answer, news) = self.ask(&bundle).await;
        let answered = Message::Input(Input::Answered { incident, revision, answer });
        let Some(engine) = self.engine.upgrade() else { return };
        for message in [Message::Asked(news), answered] {
            if engine.send(Tagged { generation: None, message, awake: self.clock.awake() }).await.is_err() {
                return;
            }
        }
    }

    async fn ask(&self, bundle: &Bundle) -> (Result<Answer, Because>, ModelNews) {
        let question = self.model.question(bundle);
        if let Some(hypotheses) = self.cached(&question, bundle).await {
            let cited = cite(bundle, &hypotheses);
            let answer = Answer { model: self.model.name().to_owned(), from_cache: true, hypotheses, cited };
            return (Ok(answer), ModelNews { from_cache: true, ..ModelNews::default() });
        }
        let outcome = self.model.ask(&question, bundle).await;
        let news = ModelNews {
            from_cache: false,
            requests: u64::from(outcome.requests),
            prompt_tokens: outcome.prompt_tokens,
            completion_tokens: outcome.completion_tokens,
            fallback: outcome.answer.as_ref().err().map(Because::code),
        };
        if let Some(text) = outcome.reply_text
            && let Err(error) = self.store.cache_reply(&question.key, self.clock.now(), &text).await
        {
            warn!("the model's answer could not be kept for later: {error}");
        }
        let answer = outcome.answer.map(|hypotheses| Answer {
            model: self.model.name().to_owned(),
            from_cache: false,
            cited: cite(bundle, &hypotheses),
            hypotheses,
        });
        (answer, news)
    }

    async fn cached(
        &self,
        question: &crate::llm::Question,
        bundle: &Bundle,
    ) -> Option<Vec<crate::diagnose::Hypothesis>> {
        let not_before = self.clock.now().minus(self.cache_for);
        match self.store.cached_reply(&question.key, not_before).await {
            // What was accepted once is read as strictly again: the rules may have changed since.
            Ok(text) => self.model.read_cached(&text?, bundle).ok(),
            Err(error) => {
                warn!("the cache of answers cannot be read: {error}");
                None
            }
        }
    }
}
