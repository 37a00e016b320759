//! Opens a store: its folder, its lock, its schema, its connections.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::migrate::Migration;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Sqlite, SqlitePool, Transaction};

use super::error::failed;
use super::lock::{Lock, private};
use super::migrate::{bring_up_to_date, migrations};
use super::{Settings, StoreError};

/// An open store. Clones share it; it closes with the last of them.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    file: PathBuf,
    writer: SqlitePool,
    readers: SqlitePool,
    // Last, so that the lock ends after the connections.
    _lock: Lock,
}

/// A connection is waited for this long.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(3);

/// SQLite waits this long for a lock. Only a program from outside can hold one against us.
const BUSY_TIMEOUT: Duration = Duration::from_secs(2);

const READERS_MAX: u32 = 4;

/// The write-ahead log is cut back to this size when it has been merged: 64 MiB.
const WAL_BYTES_MAX: &str = "67108864";

impl Store {
    /// Opens the store, makes it where there is none, and brings its schema up to date.
    ///
    /// A new file can be read and written by its owner only. An older schema is copied to
    /// `<path>.backup-v<version>` before it is migrated.
    ///
    /// # Errors
    /// Where another process has it open, a newer release has written it, it is something else than a store, or the
    /// file system refuses.
    pub async fn open(settings: &Settings) -> Result<Self, StoreError> {
        Self::open_with(settings, migrations()).await
    }

    pub(super) async fn open_with(
        settings: &Settings,
        migrations: Vec<Migration>,
    ) -> Result<Self, StoreError> {
        let unmade = |source| StoreError::Place { file: settings.path.clone(), doing: "made", source };
        let file = settle(&settings.path).map_err(unmade)?;
        if file.is_dir() {
            return Err(StoreError::Folder { file });
        }
        let lock = Lock::take(&file)?;
        make(&file).map_err(unmade)?;

        let options = SqliteConnectOptions::new()
            .filename(&file)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT);
        // Nothing of a file is changed, not even its journal mode, before it is known to be ours.
        let mut first = options.connect().await.map_err(failed(&file, "opening it"))?;
        bring_up_to_date(&mut first, &file, migrations).await?;
        first.close().await.map_err(failed(&file, "opening it"))?;

        let options =
            options.journal_mode(SqliteJournalMode::Wal).pragma("journal_size_limit", WAL_BYTES_MAX);
        let writer = pool(1).connect_lazy_with(options.clone());
        let readers = pool(READERS_MAX).connect_lazy_with(options.pragma("query_only", "ON"));
        drop(writer.acquire().await.map_err(failed(&file, "opening it"))?);
        Ok(Self { inner: Arc::new(Inner { file, writer, readers, _lock: lock }) })
    }

    /// Closes the connections, which merges the write-ahead log into the file. Calls of other clones fail from then
    /// on; the lock ends with the last clone. A store that is only dropped loses nothing either.
    pub async fn close(self) {
        self.inner.readers.close().await;
        self.inner.writer.close().await;
    }

    /// The file, with links resolved.
    pub fn file(&self) -> &Path {
        &self.inner.file
    }

    pub(super) fn readers(&self) -> &SqlitePool {
        &self.inner.readers
    }

    pub(super) async fn read(&self) -> Result<PoolConnection<Sqlite>, StoreError> {
        self.readers().acquire().await.map_err(failed(self.file(), "beginning to read"))
    }

    /// Begins a transaction that writes. It takes SQLite's lock at once, so that it can't fail for it halfway.
    pub(super) async fn begin(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        let begun = self.inner.writer.begin_with("BEGIN IMMEDIATE").await;
        begun.map_err(failed(self.file(), "beginning a transaction"))
    }

    /// Begins a transaction that sees one state of the store, whatever is committed meanwhile.
    pub(super) async fn snapshot(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        self.readers().begin().await.map_err(failed(self.file(), "beginning to read"))
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Store({})", self.file().display())
    }
}

/// Connections live as long as the pool, and are not asked whether they still do.
fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
}

/// Makes the folder and resolves links, so that one file has one lock however its path is written.
fn settle(path: &Path) -> io::Result<PathBuf> {
    let no_name = || io::Error::new(io::ErrorKind::InvalidInput, "the path names no file");
    let name = path.file_name().ok_or_else(no_name)?;
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        Some(_) | None => Path::new("."),
    };
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)?;
    match path.canonicalize() {
        Ok(file) => Ok(file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(folder.canonicalize()?.join(name)),
        Err(error) => Err(error),
    }
}

/// Makes the file where there is none: SQLite gives its companions the rights of the file.
fn make(file: &Path) -> io::Result<()> {
    match private().create_new(true).open(file) {
        Ok(made) => {
            made.sync_all()?;
            sync_folder(file)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Makes the name of a file survive a loss of power, where the system has such a thing.
pub(super) fn sync_folder(file: &Path) -> io::Result<()> {
    match file.parent() {
        Some(folder) if cfg!(unix) => fs::File::open(folder)?.sync_all(),
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::story::{Story, open};
    use super::*;

    #[tokio::test]
    async fn a_second_open_is_refused_while_the_first_lives() {
        let dir = tempfile::tempdir().unwrap();
        let first = open(&dir).await;
        let settings = Settings { path: dir.path().join("portent.db") };
        let error = Store::open(&settings).await.unwrap_err();
        assert!(matches!(error, StoreError::InUse { holder: Some(_), .. }), "{error}");
        assert!(error.to_string().contains("portent.db"), "{error}");
        drop(first);
        Store::open(&settings).await.unwrap();
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_link_to_an_open_store_is_that_store() {
        let dir = tempfile::tempdir().unwrap();
        let _first = open(&dir).await;
        let link = dir.path().join("link.db");
        std::os::unix::fs::symlink(dir.path().join("portent.db"), &link).unwrap();
        let error = Store::open(&Settings { path: link }).await.unwrap_err();
        assert!(matches!(error, StoreError::InUse { .. }), "{error}");
    }

    #[tokio::test]
    async fn a_missing_folder_is_made_and_only_the_owner_may_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/portent.db");
        let store = Store::open(&Settings { path: path.clone() }).await.unwrap();
        store.commit(&Story::new("checkout").opening()).await.unwrap();
        #[cfg(unix)]
        for suffix in ["", "-wal", "-shm", ".lock"] {
            use std::os::unix::fs::PermissionsExt;
            let file = super::super::lock::beside(&path, suffix);
            let mode = fs::metadata(&file).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{}", file.display());
        }
    }

    #[tokio::test]
    async fn what_was_committed_is_there_after_a_reopening() {
        let dir = tempfile::tempdir().unwrap();
        let story = Story::new("checkout");
        let store = open(&dir).await;
        store.commit(&story.opening()).await.unwrap();
        drop(store);
        assert_eq!(open(&dir).await.incident(story.id()).await.unwrap(), Some(story.incident().clone()));
    }

    #[tokio::test]
    async fn what_was_committed_is_on_disk_though_nobody_closed_the_store() {
        let (dir, crashed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut story = Story::new("checkout");
        let store = open(&dir).await;
        for commit in [story.opening(), story.diagnosis(1)] {
            store.commit(&commit).await.unwrap();
            // What a kill at this moment leaves behind, with the lock file of a process that is gone.
            for name in ["portent.db", "portent.db-wal", "portent.db.lock"] {
                fs::copy(dir.path().join(name), crashed.path().join(name)).unwrap();
            }
            let survivor = open(&crashed).await;
            let incident = survivor.incident(story.id()).await.unwrap();
            assert_eq!(incident.as_ref(), Some(Story::state_of(&commit)));
            assert!(survivor.verify().await.unwrap().is_sound());
            survivor.close().await;
        }
    }

    #[tokio::test]
    async fn every_connection_is_set_up_for_durability() {
        let dir = tempfile::tempdir().unwrap();
        let store = open(&dir).await;
        let mut connection = store.inner.writer.acquire().await.unwrap();
        let journal: String =
            sqlx::query_scalar("PRAGMA journal_mode").fetch_one(&mut *connection).await.unwrap();
        let synchronous: i64 =
            sqlx::query_scalar("PRAGMA synchronous").fetch_one(&mut *connection).await.unwrap();
        assert_eq!((journal.as_str(), synchronous), ("wal", 2), "2 is FULL");
    }

    #[tokio::test]
    async fn another_programs_file_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("portent.db");
        fs::write(&path, "these are my notes, and no database at all. ".repeat(40)).unwrap();
        let error = Store::open(&Settings { path: path.clone() }).await.unwrap_err();
        assert!(matches!(error, StoreError::NotAStore { .. }), "{error}");
        assert!(fs::read_to_string(&path).unwrap().starts_with("these are my notes"));
    }
}
