-- Times are milliseconds UTC. A released migration is never edited: SQLite's own table of migrations holds its checksum.

-- The log. A stream is `system` or `incident:<id>`; each event's hash covers its header, its body's bytes and the hash
-- before it in its stream.
CREATE TABLE events (
    seq        INTEGER PRIMARY KEY,
    stream     TEXT    NOT NULL,
    stream_seq INTEGER NOT NULL,
    at_ms      INTEGER NOT NULL,
    kind       TEXT    NOT NULL,
    version    INTEGER NOT NULL,
    body       TEXT    NOT NULL,
    hash       BLOB    NOT NULL,
    UNIQUE (stream, stream_seq)
) STRICT;

-- What bodies refer to by digest.
CREATE TABLE blobs (
    digest BLOB NOT NULL PRIMARY KEY,
    bytes  BLOB NOT NULL
) STRICT;

-- What the incidents' events add up to, for lists. `phase_revision`, `resolution` and `resolved_at_ms` are the data of
-- the phases that have them; `hypothesis` and `cause` are of the first hypothesis of the last diagnosis.
CREATE TABLE incidents (
    id             TEXT    NOT NULL PRIMARY KEY,
    service        TEXT    NOT NULL,
    source         TEXT    NOT NULL,
    severity       TEXT    NOT NULL,
    phase          TEXT    NOT NULL,
    phase_revision INTEGER,
    resolution     TEXT,
    onset_ms       INTEGER NOT NULL,
    opened_at_ms   INTEGER NOT NULL,
    changed_at_ms  INTEGER NOT NULL,
    resolved_at_ms INTEGER,
    signals        TEXT    NOT NULL,
    hypothesis     TEXT,
    cause          TEXT,
    opened_seq     INTEGER NOT NULL
) STRICT;

CREATE INDEX incidents_by_time     ON incidents (opened_at_ms, id);
CREATE INDEX incidents_by_service  ON incidents (service, opened_at_ms, id);
CREATE INDEX incidents_by_severity ON incidents (severity, opened_at_ms, id);
CREATE INDEX incidents_by_phase    ON incidents (phase, opened_at_ms, id);
CREATE INDEX incidents_by_state    ON incidents (severity, phase);
CREATE INDEX incidents_open        ON incidents (opened_at_ms, id) WHERE resolved_at_ms IS NULL;
CREATE INDEX incidents_by_end      ON incidents (resolved_at_ms, id) WHERE resolved_at_ms IS NOT NULL;

-- The last step that was judged, by signal.
CREATE TABLE judged (
    signal     TEXT    NOT NULL PRIMARY KEY,
    through_ms INTEGER NOT NULL
) STRICT;

-- Answers of models, by the hash of what was asked.
CREATE TABLE llm_cache (
    key   BLOB    NOT NULL PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    reply TEXT    NOT NULL
) STRICT;

CREATE INDEX llm_cache_by_age ON llm_cache (at_ms);
