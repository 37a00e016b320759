//! Databases.

use super::list::{BASE, SIGNAL};
use crate::detect::Kind;
use crate::discover::convention::{Convention, Template, Tier};

pub(super) const ALL: &[Convention] = &[POSTGRES];

const POSTGRES: Convention = Convention {
    id: "postgres",
    title: "PostgreSQL by postgres_exporter (pg_stat_database_*)",
    tier: Tier::Platform,
    needs: &["pg_stat_database_xact_commit"],
    anchor: "pg_stat_database_xact_commit",
    services: &["server", "instance", "job"],
    signals: &[
        Template {
            name: "postgres_transactions",
            kind: Kind::Traffic,
            query: "sum by ({by}) (rate(pg_stat_database_xact_commit{{m}}[{window}]))",
            keys: &[("min_deviation_absolute", "5.0")],
            ..SIGNAL
        },
        Template {
            name: "postgres_rollbacks",
            kind: Kind::Errors,
            needs: &["pg_stat_database_xact_rollback"],
            query: "sum by ({by}) (rate(pg_stat_database_xact_rollback{{m}}[{window}]))",
            keys: &[("direction", "\"up\""), ("min_deviation_absolute", "1.0")],
            ..SIGNAL
        },
        Template {
            name: "postgres_connections",
            kind: Kind::Other,
            needs: &["pg_stat_activity_count"],
            query: "sum by ({by}) (pg_stat_activity_count{{m}})",
            keys: &[("direction", "\"up\""), ("min_deviation_absolute", "10")],
            why: "Connections pile up behind locks, leaks and slow queries.",
        },
    ],
    ..BASE
};
