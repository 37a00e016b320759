//! Every statement, in one place. They keep to what SQLite and PostgreSQL have in common, but for the first few.

use sqlx::{QueryBuilder, Sqlite};

use super::cursor::Cursor;
use super::incidents::{IncidentFilter, Status};

// ---- Of SQLite only ---------------------------------------------------------------------------------------

pub(super) const TABLES: &str = "SELECT name FROM sqlite_schema WHERE type = 'table'";
pub(super) const COPY_TO: &str = "VACUUM INTO $1";

/// The table in which sqlx notes what was applied.
pub(super) const MIGRATIONS_TABLE: &str = "_sqlx_migrations";
pub(super) const SCHEMA_VERSION: &str = "SELECT max(version) FROM _sqlx_migrations";

// ---- The log ----------------------------------------------------------------------------------------------

pub(super) const LAST_SEQ: &str = "SELECT max(seq) FROM events";

pub(super) const LAST: &str = "SELECT seq, hash FROM events ORDER BY seq DESC LIMIT 1";

pub(super) const HASH_OF: &str = "SELECT hash FROM events WHERE seq = $1";

pub(super) const HEAD: &str =
    "SELECT stream_seq, hash FROM events WHERE stream = $1 ORDER BY stream_seq DESC LIMIT 1";

pub(super) const APPEND: &str = "INSERT INTO events (seq, stream, stream_seq, at_ms, kind, version, body, hash) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";

pub(super) const EVENTS: &str = "SELECT seq, stream, stream_seq, at_ms, kind, version, body, hash FROM events \
     WHERE stream = $1 AND stream_seq > $2 ORDER BY stream_seq LIMIT $3";

pub(super) const EVENTS_OF_KIND: &str = "SELECT seq, stream, stream_seq, at_ms, kind, version, body, hash FROM events \
     WHERE stream = $1 AND kind = $2 ORDER BY stream_seq DESC LIMIT $3";

pub(super) const STREAMS: &str =
    "SELECT DISTINCT stream FROM events WHERE stream > $1 ORDER BY stream LIMIT $2";

// ---- Blobs ------------------------------------------------------------------------------------------------

pub(super) const KEEP_BLOB: &str =
    "INSERT INTO blobs (digest, bytes) VALUES ($1, $2) ON CONFLICT (digest) DO NOTHING";

pub(super) const BLOB: &str = "SELECT bytes FROM blobs WHERE digest = $1";

// ---- Incidents --------------------------------------------------------------------------------------------

/// The parameters are in the same order as those of [`UPDATE_INCIDENT`].
pub(super) const INSERT_INCIDENT: &str = "INSERT INTO incidents (id, service, source, severity, phase, phase_revision, resolution, onset_ms, \
     opened_at_ms, changed_at_ms, resolved_at_ms, signals, opened_seq, subject) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";

/// Takes a place in the log that it leaves as it is, so that the parameters are those of [`INSERT_INCIDENT`].
pub(super) const UPDATE_INCIDENT: &str = "UPDATE incidents SET service = $2, source = $3, severity = $4, phase = $5, phase_revision = $6, \
     resolution = $7, onset_ms = $8, opened_at_ms = $9, changed_at_ms = $10, resolved_at_ms = $11, signals = $12, \
     subject = $14 WHERE id = $1 AND opened_seq < $13";

pub(super) const NOTE_DIAGNOSIS: &str = "UPDATE incidents SET hypothesis = $2, cause = $3 WHERE id = $1";

pub(super) const OPEN_INCIDENTS: &str =
    "SELECT id FROM incidents WHERE resolved_at_ms IS NULL ORDER BY opened_at_ms, id";

const INCIDENT_COLUMNS: &str = "SELECT id, service, source, severity, phase, phase_revision, resolution, onset_ms, \
     opened_at_ms, changed_at_ms, resolved_at_ms, signals, hypothesis, cause, subject FROM incidents WHERE ";

pub(super) const COUNTS: &str = "SELECT severity, phase, count(*) FROM incidents GROUP BY severity, phase";

/// The incidents that resolved last.
pub(super) fn past_incidents(limit: i64) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new(INCIDENT_COLUMNS);
    query.push("resolved_at_ms IS NOT NULL ORDER BY resolved_at_ms DESC, id DESC LIMIT ").push_bind(limit);
    query
}

/// The incidents that fit, the newest first, from behind the cursor on.
pub(super) fn list_incidents(
    filter: &IncidentFilter,
    after: Option<Cursor>,
    limit: i64,
) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new(INCIDENT_COLUMNS);
    query.push("1 = 1");
    match filter.status {
        Some(Status::Open) => {
            query.push(" AND resolved_at_ms IS NULL");
        }
        Some(Status::Phase(phase)) => {
            query.push(" AND phase = ").push_bind(phase.as_str());
        }
        None => {}
    }
    if !filter.severities.is_empty() {
        let mut list = query.push(" AND severity IN (").separated(", ");
        for severity in &filter.severities {
            list.push_bind(severity.as_str());
        }
        query.push(")");
    }
    if let Some(service) = &filter.service {
        query.push(" AND subject = 'service' AND service = ").push_bind(service.as_str().to_owned());
    }
    if let Some(subject) = filter.subject {
        query.push(" AND subject = ").push_bind(subject);
    }
    if let Some(source) = filter.source {
        query.push(" AND source = ").push_bind(source.as_str());
    }
    if let Some(since) = filter.since {
        query.push(" AND opened_at_ms >= ").push_bind(since.as_millis());
    }
    if let Some(until) = filter.until {
        query.push(" AND opened_at_ms < ").push_bind(until.as_millis());
    }
    if let Some(Cursor { opened_at, id }) = after {
        query.push(" AND (opened_at_ms, id) < (").push_bind(opened_at.as_millis());
        query.push(", ").push_bind(id.to_string()).push(")");
    }
    query.push(" ORDER BY opened_at_ms DESC, id DESC LIMIT ").push_bind(limit);
    query
}

// ---- Watermarks -------------------------------------------------------------------------------------------

/// A step once judged is final: the watermark never goes back.
pub(super) const ADVANCE: &str = "INSERT INTO judged (signal, through_ms) VALUES ($1, $2) \
     ON CONFLICT (signal) DO UPDATE SET through_ms = excluded.through_ms \
     WHERE excluded.through_ms > judged.through_ms";

pub(super) const JUDGED: &str = "SELECT signal, through_ms FROM judged";

// ---- Directives -------------------------------------------------------------------------------------------

pub(super) const KEEP_DIRECTIVE: &str = "INSERT INTO directives (seq) VALUES ($1)";

/// The newest first.
pub(super) const DIRECTIVES: &str = "SELECT events.seq, events.kind, events.version, events.body FROM directives \
     JOIN events ON events.seq = directives.seq ORDER BY directives.seq DESC LIMIT $1";

// ---- Budgets ----------------------------------------------------------------------------------------------

pub(super) const FORGET_BUDGETS: &str = "DELETE FROM budgets";

pub(super) const KEEP_BUDGET: &str = "INSERT INTO budgets (name, signal, budget, kind, boundary, per_day, low, high, \
     is_extrapolated, is_limited, days, at_ms, config_hash) \
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)";

pub(super) const BUDGETS: &str = "SELECT name, signal, budget, kind, boundary, per_day, low, high, is_extrapolated, \
     is_limited, days, at_ms, config_hash FROM budgets ORDER BY name, rowid";

/// The signals of an incident are in the order in which they joined.
pub(super) const OPENED_SINCE: &str = "SELECT json_extract(body, '$.member.series'), count(*) FROM incidents \
     JOIN events ON events.seq = incidents.opened_seq \
     WHERE opened_at_ms >= $1 AND subject = 'service' AND json_extract(body, '$.member.series') IS NOT NULL GROUP BY 1";

// ---- Cached replies ---------------------------------------------------------------------------------------

pub(super) const CACHED_REPLY: &str = "SELECT reply FROM llm_cache WHERE key = $1 AND at_ms >= $2";

pub(super) const CACHE_REPLY: &str = "INSERT INTO llm_cache (key, at_ms, reply) VALUES ($1, $2, $3) \
     ON CONFLICT (key) DO UPDATE SET at_ms = excluded.at_ms, reply = excluded.reply";

pub(super) const COUNT_REPLIES: &str = "SELECT count(*) FROM llm_cache";

pub(super) const EVICT_REPLIES: &str =
    "DELETE FROM llm_cache WHERE key IN (SELECT key FROM llm_cache ORDER BY at_ms, key LIMIT $1)";
