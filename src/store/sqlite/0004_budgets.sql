-- The last good calibration of each noise budget, a row for each boundary that it set.
CREATE TABLE budgets (
    name TEXT NOT NULL,
    signal TEXT NOT NULL,
    budget TEXT NOT NULL,
    kind TEXT NOT NULL,
    boundary REAL NOT NULL,
    per_day REAL NOT NULL,
    low REAL NOT NULL,
    high REAL NOT NULL,
    is_extrapolated INTEGER NOT NULL,
    is_limited INTEGER NOT NULL,
    days REAL NOT NULL,
    at_ms INTEGER NOT NULL,
    config_hash TEXT NOT NULL,
    PRIMARY KEY (name, signal)
) STRICT;
