//! Keeps the row of an incident in step with its events.

use sqlx::SqliteConnection;

use super::error::{damaged, failed};
use super::events::read_incident;
use super::{Store, StoreError, sql};
use crate::diagnose::Diagnosis;
use crate::engine::Event;
use crate::id::IncidentId;
use crate::incident::{self, Incident, Phase};
use crate::series::{Service, SignalName};

/// What a commit did to one incident.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Touched {
    first_seq: i64,
    is_new: bool,
    diagnosis: Option<Diagnosis>,
}

impl Touched {
    /// Nothing yet; its first event stands there in the log.
    pub(super) fn at(first_seq: i64) -> Self {
        Self { first_seq, is_new: false, diagnosis: None }
    }

    /// Takes one event in.
    pub(super) fn take(&mut self, event: &Event) {
        match event {
            Event::Incident(incident::Event::Opened { .. } | incident::Event::SourceOpened { .. }) => {
                self.is_new = true;
            }
            Event::Diagnosed(diagnosis) => self.diagnosis = Some(diagnosis.clone()),
            Event::Incident(_) | Event::Captured(_) | Event::System(_) => {}
        }
    }
}

impl Store {
    /// Writes the row of an incident that a commit touched. Its state is read from its events where it is not given.
    pub(super) async fn project(
        &self,
        connection: &mut SqliteConnection,
        id: IncidentId,
        touched: &Touched,
        state: Option<&Incident>,
    ) -> Result<(), StoreError> {
        let read = match state {
            Some(_) => None,
            None => read_incident(self.file(), connection, id).await?,
        };
        let unknown = || damaged(self.file(), "events", format!("incident {id} has no opening"));
        let incident = state.or(read.as_ref()).ok_or_else(unknown)?;
        let (phase_revision, resolution, resolved_at_ms) = match incident.phase {
            Phase::Detected => (None, None, None),
            Phase::Analyzing { revision } | Phase::Diagnosed { revision } => {
                (Some(i64::from(revision)), None, None)
            }
            Phase::Resolved { at, because } => (None, Some(because.as_str()), Some(at.as_millis())),
        };
        let statement = if touched.is_new { sql::INSERT_INCIDENT } else { sql::UPDATE_INCIDENT };
        let written = sqlx::query(statement)
            .bind(id.to_string())
            .bind(incident.subject.service().map_or("", Service::as_str))
            .bind(incident.source.as_str())
            .bind(incident.assessment.severity.as_str())
            .bind(incident.phase.as_str())
            .bind(phase_revision)
            .bind(resolution)
            .bind(incident.onset().as_millis())
            .bind(incident.opened_at.as_millis())
            .bind(incident.changed_at.as_millis())
            .bind(resolved_at_ms)
            .bind(signals_text(incident))
            .bind(touched.first_seq)
            .bind(incident.subject.as_str())
            .execute(&mut *connection)
            .await;
        match written {
            Ok(done) if done.rows_affected() == 1 => {}
            Ok(_) => return Err(damaged(self.file(), "incidents", format!("incident {id} has no row"))),
            Err(error) if error.as_database_error().is_some_and(|error| error.is_unique_violation()) => {
                return Err(StoreError::AlreadyOpened { file: self.file().to_owned(), incident: id });
            }
            Err(error) => return Err(failed(self.file(), "writing an incident's row")(error)),
        }
        match &touched.diagnosis {
            Some(diagnosis) => self.note(connection, diagnosis).await,
            None => Ok(()),
        }
    }

    async fn note(&self, connection: &mut SqliteConnection, diagnosis: &Diagnosis) -> Result<(), StoreError> {
        let first = diagnosis.hypotheses.first();
        let note = sqlx::query(sql::NOTE_DIAGNOSIS)
            .bind(diagnosis.incident.to_string())
            .bind(first.map(|hypothesis| hypothesis.title.as_str()))
            .bind(first.map(|hypothesis| hypothesis.cause.as_str()));
        note.execute(connection).await.map_err(failed(self.file(), "noting a diagnosis"))?;
        Ok(())
    }
}

/// The signals in trouble in the order in which they joined, each once, as a JSON list.
fn signals_text(incident: &Incident) -> String {
    let signals = incident.signals();
    let names: Vec<&str> = signals.iter().map(SignalName::as_str).collect();
    serde_json::Value::from(names).to_string()
}
