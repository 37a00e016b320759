//! The engine's part in diagnosis: when one is due, what is asked, and what becomes of an answer.

use super::event::{Event, Stream};
use super::input::{Answer, Effect, Failure, Reply};
use super::step::Engine;
use crate::diagnose::{
    Author, Because, Bundle, Diagnosis, FailingPolls, Surroundings, cite, gather, gather_source, rank,
};
use crate::id::IncidentId;
use crate::incident::{self, Requester, Subject};
use crate::time::Timestamp;

/// Series of other services that a bundle may look at.
const ELSEWHERE_MAX: usize = 64;

impl Engine {
    /// Somebody wants a new diagnosis.
    pub(super) fn analyze(&mut self, now: Timestamp, id: IncidentId, effects: &mut Vec<Effect>) {
        let reply = match self.diagnose(now, id, Requester::Person, effects) {
            Some(revision) => Reply::Analyzing { revision },
            None => Reply::UnknownIncident,
        };
        effects.push(Effect::Reply(reply));
    }

    /// Makes a diagnosis at once by heuristics, and asks the model, where there is one, for a better one.
    pub(super) fn diagnose(
        &mut self,
        now: Timestamp,
        id: IncidentId,
        by: Requester,
        effects: &mut Vec<Effect>,
    ) -> Option<u32> {
        let bundle = self.bundle(now, id)?;
        let revision = self.incident(id)?.revisions + 1;
        let request = incident::Event::AnalysisRequested { revision, by };
        self.record(now, Stream::Incident(id), Event::Incident(request), effects);

        let asked = self.questions.get(&id).copied().unwrap_or(0);
        let because = if self.settings.questions_per_incident == 0 {
            Because::ModelOff
        } else if by == Requester::Pipeline && asked >= self.settings.questions_per_incident {
            Because::QuestionsUsed
        } else {
            if by == Requester::Pipeline {
                self.questions.insert(id, asked + 1);
            }
            self.asked.insert(id, revision);
            Because::ModelPending
        };
        let is_asked = because == Because::ModelPending;
        let author = Author::Heuristics { because };
        let hypotheses = rank(&bundle);
        let cited = cite(&bundle, &hypotheses);
        self.diagnosed(
            now,
            Diagnosis { incident: id, revision, at: now, author, hypotheses, cited },
            effects,
        );
        if is_asked {
            effects.push(Effect::Ask { revision, bundle: Box::new(bundle) });
        }
        Some(revision)
    }

    /// The model has answered, or could not. An answer to a question that a newer one has replaced is dropped.
    pub(super) fn answered(
        &mut self,
        now: Timestamp,
        id: IncidentId,
        asked_at: u32,
        answer: Result<Answer, Because>,
        effects: &mut Vec<Effect>,
    ) {
        if self.asked.get(&id) != Some(&asked_at) {
            return;
        }
        self.asked.remove(&id);
        let Some(revision) = self.incident(id).map(|incident| incident.revisions + 1) else { return };
        let (author, hypotheses, cited) = match answer {
            Ok(answer) => {
                let author = Author::Model { name: answer.model, from_cache: answer.from_cache };
                (author, answer.hypotheses, answer.cited)
            }
            Err(because) => {
                let bundle = self.bundle(now, id);
                let hypotheses = bundle.as_ref().map(rank).unwrap_or_default();
                let cited = bundle.map(|bundle| cite(&bundle, &hypotheses)).unwrap_or_default();
                (Author::Heuristics { because }, hypotheses, cited)
            }
        };
        self.diagnosed(
            now,
            Diagnosis { incident: id, revision, at: now, author, hypotheses, cited },
            effects,
        );
    }

    fn diagnosed(&mut self, now: Timestamp, diagnosis: Diagnosis, effects: &mut Vec<Effect>) {
        let id = diagnosis.incident;
        let cause = diagnosis.hypotheses.first().map(|first| first.cause);
        match cause {
            Some(cause) => self.causes.insert(id, cause),
            None => self.causes.remove(&id),
        };
        for past in self.past.iter_mut().filter(|past| past.incident == id) {
            past.cause = cause;
        }
        self.record(now, Stream::Incident(id), Event::Diagnosed(diagnosis), effects);
    }

    fn bundle(&self, now: Timestamp, id: IncidentId) -> Option<Bundle> {
        let incident = self.incident(id)?;
        let past: Vec<_> =
            self.past.iter().filter(|past| past.subject == incident.subject).cloned().collect();
        match &incident.subject {
            Subject::Service(service) => {
                let own = self.detect.of_service(service);
                let elsewhere = self.detect.moved_elsewhere(service, ELSEWHERE_MAX);
                let calls = &self.settings.correlate.calls;
                let elsewhere = Surroundings { troubled: &elsewhere, calls };
                Some(gather(incident, now, &own, elsewhere, &past))
            }
            Subject::Source => {
                let failing = self.unanswered().map(|(signal, unanswered)| FailingPolls {
                    signal: signal.clone(),
                    since: unanswered.since,
                    is_refused: unanswered.failure != Failure::Backend,
                    because: unanswered.because.clone(),
                });
                let gaps = self.detect.gaps().since(incident.onset());
                Some(gather_source(incident, now, failing.collect(), &gaps, &past))
            }
        }
    }
}
