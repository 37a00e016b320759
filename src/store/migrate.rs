//! Brings the schema up to date: forward only, with a copy of the file before, never from a newer one.

use std::fs;
use std::path::Path;

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{SqlSafeStr, SqliteConnection};

use super::error::failed;
use super::lock::{beside, private};
use super::open::sync_folder;
use super::{StoreError, sql};

/// Every migration, embedded.
pub(super) fn migrations() -> Vec<Migration> {
    vec![
        migration(1, "first", include_str!("sqlite/0001_first.sql")),
        migration(2, "subject", include_str!("sqlite/0002_subject.sql")),
        migration(3, "directives", include_str!("sqlite/0003_directives.sql")),
        migration(4, "budgets", include_str!("sqlite/0004_budgets.sql")),
    ]
}

fn migration(version: i64, name: &'static str, statements: &'static str) -> Migration {
    Migration::new(version, name.into(), MigrationType::Simple, statements.into_sql_str(), false)
}

/// Checks the schema and applies what is missing.
pub(super) async fn bring_up_to_date(
    connection: &mut SqliteConnection,
    file: &Path,
    migrations: Vec<Migration>,
) -> Result<(), StoreError> {
    let known = migrations.iter().map(|migration| migration.version).max().unwrap_or(0);
    let found = schema_version(connection, file).await?;
    if found > known {
        return Err(StoreError::NewerSchema { file: file.to_owned(), found, known });
    }
    if found > 0 && found < known {
        back_up(connection, file, found).await?;
    }
    let migrator = Migrator::with_migrations(migrations);
    migrator.run(connection).await.map_err(|error| match error {
        MigrateError::VersionMismatch(version) | MigrateError::VersionMissing(version) => {
            StoreError::ForeignSchema { file: file.to_owned(), version }
        }
        other => StoreError::Migration { file: file.to_owned(), because: other.to_string() },
    })
}

/// The newest version that was applied; 0 for an empty file.
async fn schema_version(connection: &mut SqliteConnection, file: &Path) -> Result<i64, StoreError> {
    let failed = failed(file, "reading its schema");
    let tables: Vec<String> =
        sqlx::query_scalar(sql::TABLES).fetch_all(&mut *connection).await.map_err(&failed)?;
    if tables.is_empty() {
        return Ok(0);
    }
    if !tables.iter().any(|table| table == sql::MIGRATIONS_TABLE) {
        return Err(StoreError::NotAStore { file: file.to_owned() });
    }
    let version: Option<i64> =
        sqlx::query_scalar(sql::SCHEMA_VERSION).fetch_one(connection).await.map_err(&failed)?;
    Ok(version.unwrap_or(0))
}

/// Copies the store to `<file>.backup-v<version>`. The copy gets its name only when it is whole and on disk; a copy of
/// the same version from an earlier attempt is replaced, as the file may have grown since.
async fn back_up(connection: &mut SqliteConnection, file: &Path, version: i64) -> Result<(), StoreError> {
    let unmade = |source| StoreError::Place { file: file.to_owned(), doing: "backed up", source };
    let backup = beside(file, &format!(".backup-v{version}"));
    let unfinished = beside(&backup, ".unfinished");
    // SQLite copies into an empty file, which thus has our rights and not the default ones.
    let copy = private().create(true).truncate(true).open(&unfinished).map_err(unmade)?;
    let not_text = || unmade(std::io::Error::new(std::io::ErrorKind::InvalidInput, "its path is no UTF-8"));
    let target = unfinished.to_str().ok_or_else(not_text)?;
    let copied = sqlx::query(sql::COPY_TO).bind(target).execute(connection).await;
    copied.map_err(failed(file, "copying it before a migration"))?;
    copy.sync_all().map_err(unmade)?;
    fs::rename(&unfinished, &backup).map_err(unmade)?;
    sync_folder(&backup).map_err(unmade)
}

#[cfg(test)]
mod tests {
    use super::super::story::{Story, open, raw};
    use super::super::{Settings, Store};
    use super::*;

    const NEXT: &str = "ALTER TABLE incidents ADD COLUMN owner TEXT;";

    fn newer() -> Vec<Migration> {
        let mut migrations = migrations();
        migrations.push(migration(5, "owner", NEXT));
        migrations
    }

    #[tokio::test]
    async fn an_older_schema_is_copied_and_then_migrated() {
        let dir = tempfile::tempdir().unwrap();
        let (story, settings) = (Story::new("checkout"), Settings { path: dir.path().join("portent.db") });
        let old = open(&dir).await;
        old.commit(&story.opening()).await.unwrap();
        drop(old);

        let new = Store::open_with(&settings, newer()).await.unwrap();
        assert_eq!(new.incident(story.id()).await.unwrap(), Some(story.incident().clone()));
        let mut file = raw(&settings.path).await;
        sqlx::query("SELECT owner FROM incidents").fetch_all(&mut file).await.unwrap();

        let copy = Store::open(&Settings { path: dir.path().join("portent.db.backup-v4") }).await.unwrap();
        assert_eq!(copy.incident(story.id()).await.unwrap(), Some(story.incident().clone()));
    }

    #[tokio::test]
    async fn an_incident_of_the_first_schema_is_about_its_service() {
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings { path: dir.path().join("portent.db") };
        drop(Store::open_with(&settings, migrations().into_iter().take(1).collect()).await.unwrap());
        let mut file = raw(&settings.path).await;
        let row = "INSERT INTO incidents (id, service, source, severity, phase, onset_ms, opened_at_ms, \
                   changed_at_ms, signals, opened_seq) \
                   VALUES ('5f0c2a4be8d19c3377a1', 'checkout', 'detector', 'P2', 'detected', 1, 2, 3, '[]', 1)";
        sqlx::query(row).execute(&mut file).await.unwrap();
        drop(file);
        let store = Store::open(&settings).await.unwrap();
        let page = crate::store::Page { limit: 9, after: None };
        let (rows, _) = store.incidents(&crate::store::IncidentFilter::default(), page).await.unwrap();
        assert_eq!(rows[0].subject, crate::series::Service::new("checkout").into());
    }

    #[tokio::test]
    async fn a_new_or_current_store_is_not_copied() {
        let dir = tempfile::tempdir().unwrap();
        drop(open(&dir).await);
        drop(open(&dir).await);
        let names = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
        assert!(!names.into_iter().any(|name| name.to_string_lossy().contains("backup")));
    }

    #[tokio::test]
    async fn a_newer_schema_is_refused_with_both_versions_and_a_way_out() {
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings { path: dir.path().join("portent.db") };
        drop(Store::open_with(&settings, newer()).await.unwrap());
        let error = Store::open(&settings).await.unwrap_err();
        assert!(matches!(error, StoreError::NewerSchema { found: 5, known: 4, .. }), "{error}");
        let text = error.to_string();
        for part in ["portent.db", "version 5", "up to 4", "newer release"] {
            assert!(text.contains(part), "{text} lacks {part:?}");
        }
    }

    #[tokio::test]
    async fn a_migration_that_fails_leaves_the_store_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let (story, settings) = (Story::new("checkout"), Settings { path: dir.path().join("portent.db") });
        let old = open(&dir).await;
        old.commit(&story.opening()).await.unwrap();
        drop(old);
        let mut broken = migrations();
        broken.push(migration(5, "broken", "CREATE TABLE more (id TEXT) STRICT; DROP TABLE no_such_table;"));
        let error = Store::open_with(&settings, broken).await.unwrap_err();
        assert!(matches!(error, StoreError::Migration { .. }), "{error}");
        let again = Store::open(&settings).await.unwrap();
        assert_eq!(again.incident(story.id()).await.unwrap(), Some(story.incident().clone()));
    }

    #[tokio::test]
    async fn a_schema_of_another_making_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings { path: dir.path().join("portent.db") };
        let other = vec![migration(1, "first", "CREATE TABLE incidents (id TEXT) STRICT;")];
        drop(Store::open_with(&settings, other).await.unwrap());
        let error = Store::open(&settings).await.unwrap_err();
        assert!(matches!(error, StoreError::ForeignSchema { version: 1, .. }), "{error}");
    }

    #[tokio::test]
    async fn another_programs_database_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let settings = Settings { path: dir.path().join("portent.db") };
        fs::write(&settings.path, "").unwrap();
        let mut file = raw(&settings.path).await;
        sqlx::query("CREATE TABLE recipes (name TEXT)").execute(&mut file).await.unwrap();
        let error = Store::open(&settings).await.unwrap_err();
        assert!(matches!(error, StoreError::NotAStore { .. }), "{error}");
    }
}
