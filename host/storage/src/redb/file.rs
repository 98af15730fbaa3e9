//! The file: opening it, refusing what is not ours, and opening it again after a failure.
//!
//! redb latches every I/O error: from then on the database answers nothing but errors until it has been closed and opened
//! again. So the database lies behind a lock that the writer alone takes for writing, to exchange it.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock, TryLockError};

use dataknobs_kv_core::{Error, Result};
use redb::{
    Builder, Database, DatabaseError, ReadOnlyTable, ReadTransaction, ReadableDatabase, TableError, TableHandle,
    WriteTransaction,
};

use super::config::RedbConfig;
use super::failure::{Failure, guarded};
use super::format::{self, Bytes};
use crate::files::{folder_of, io_error, locked, sync_folder};

/// The open file.
pub(super) struct StoreFile {
    config: RedbConfig,
    /// None where it could not be opened again, and after [`StoreFile::close`].
    database: RwLock<Option<Database>>,
    /// A latched failure was met: the writer should open the file again.
    failed: AtomicBool,
    commits: AtomicU64,
}

impl StoreFile {
    pub(super) fn open(config: RedbConfig, create: bool) -> Result<Self> {
        let (database, commits) = open_or_create(&config, create)?;
        Ok(StoreFile {
            config,
            database: RwLock::new(Some(database)),
            failed: AtomicBool::new(false),
            commits: AtomicU64::new(commits),
        })
    }

    pub(super) fn config(&self) -> &RedbConfig {
        &self.config
    }

    pub(super) fn path(&self) -> &Path {
        &self.config.path
    }

    /// The number of the last commit, counted from the file's creation.
    pub(super) fn commits(&self) -> u64 {
        self.commits.load(Ordering::Acquire)
    }

    pub(super) fn committed(&self, commits: u64) {
        self.commits.store(commits, Ordering::Release);
    }

    pub(super) fn failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// Notes whether the failure needs the file to be opened again.
    pub(super) fn note(&self, failure: &Failure) {
        if failure.latched() {
            self.failed.store(true, Ordering::Release);
        }
    }

    /// Runs a read on one snapshot.
    pub(super) fn read<T>(&self, read: impl FnOnce(&Snapshot) -> Result<T, Failure>) -> Result<T> {
        guarded(|| read(&Snapshot { transaction: self.with_database(|database| Ok(database.begin_read()?))? })).map_err(
            |failure| {
                self.note(&failure);
                failure.into_error(self.path())
            },
        )
    }

    pub(super) fn begin_write(&self) -> Result<WriteTransaction, Failure> {
        self.with_database(|database| Ok(database.begin_write()?))
    }

    fn with_database<T>(&self, use_it: impl FnOnce(&Database) -> Result<T, Failure>) -> Result<T, Failure> {
        let unavailable = |what: &str| Failure::Ours(Error::Unavailable(format!("{} {what}", self.path().display())));
        // Never waits: whoever opens the file again may need seconds, and this runs where futures are polled.
        let guard = match self.database.try_read() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Err(unavailable("is being opened again after a failure")),
        };
        match &*guard {
            Some(database) => use_it(database),
            None => Err(unavailable("is closed after a failure, and could not be opened again yet")),
        }
    }

    /// Closes the file and opens it again, checked and repaired by redb. Reads under way fail.
    pub(super) fn reopen(&self) -> Result<()> {
        let mut slot = self.database.write().unwrap_or_else(PoisonError::into_inner);
        close(slot.take());
        self.failed.store(true, Ordering::Release);
        let (database, commits) = open_existing(&self.config)?;
        *slot = Some(database);
        self.committed(commits);
        self.failed.store(false, Ordering::Release);
        Ok(())
    }

    /// Closes the file and gives up its lock, also while reads are under way: they fail.
    pub(super) fn close(&self) {
        close(self.database.write().unwrap_or_else(PoisonError::into_inner).take());
    }
}

fn close(database: Option<Database>) {
    if let Some(database) = database
        && let Err(failure) = guarded(|| Ok(database.close()?))
    {
        tracing::warn!(?failure, "closing the store's file: the next opening will check it");
    }
}

/// The tables as one transaction sees them.
pub(super) struct Snapshot {
    transaction: ReadTransaction,
}

impl Snapshot {
    pub(super) fn head(&self) -> Result<ReadOnlyTable<Bytes, Bytes>, Failure> {
        Ok(self.transaction.open_table(format::HEAD)?)
    }

    pub(super) fn body(&self) -> Result<ReadOnlyTable<Bytes, Bytes>, Failure> {
        Ok(self.transaction.open_table(format::BODY)?)
    }

    pub(super) fn expiry(&self) -> Result<ReadOnlyTable<Bytes, ()>, Failure> {
        Ok(self.transaction.open_table(format::EXPIRY)?)
    }
}

fn open_or_create(config: &RedbConfig, create: bool) -> Result<(Database, u64)> {
    let path = &config.path;
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => Err(Error::InvalidArgument(format!("{} is a folder", path.display()))),
        Ok(metadata) if !metadata.is_file() => {
            Err(Error::InvalidArgument(format!("{} is not a regular file", path.display())))
        }
        // Nothing is lost by using it: as if it were not there.
        Ok(metadata) if metadata.len() == 0 && create => create_in_place(config),
        Ok(_) => open_existing(config),
        Err(error) if error.kind() == ErrorKind::NotFound && create => create_new(config),
        Err(error) => Err(io_error(path, &error)),
    }
}

fn builder(config: &RedbConfig) -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(config.cache_bytes);
    let path = config.path.clone();
    let started = std::sync::Once::new();
    builder.set_repair_callback(move |repair| {
        started.call_once(|| tracing::info!(path = %path.display(), "the file was not closed cleanly: checking it"));
        tracing::debug!(path = %path.display(), progress = repair.progress(), "checking");
    });
    builder
}

/// Opens a file that is there. One that is not ours is left as it is, to the byte.
fn open_existing(config: &RedbConfig) -> Result<(Database, u64)> {
    let path = &config.path;
    // For reading first: that writes nothing. Not possible after a crash, when redb has to repair before it can read.
    let looked_at = guarded(|| match builder(config).open_read_only(path) {
        Ok(database) => check(path, &database.begin_read()?).map(Some),
        Err(DatabaseError::RepairAborted) => Ok(None),
        Err(error) => Err(error.into()),
    });
    match looked_at.map_err(|failure| open_error(path, failure))? {
        Some(Contents::Nothing) => return create_in_place(config),
        Some(Contents::Store { .. }) | None => {}
    }
    guarded(|| {
        let database = builder(config).open(path)?;
        let contents = check(path, &database.begin_read()?)?;
        Ok(match contents {
            Contents::Store { commits } => (database, commits),
            Contents::Nothing => {
                initialise(&database)?;
                (database, 0)
            }
        })
    })
    .map_err(|failure| open_error(path, failure))
}

/// Makes a store under another name and then gives it its own: under its own name there is never half a store, and of
/// several processes that create it one wins.
fn create_new(config: &RedbConfig) -> Result<(Database, u64)> {
    let path = &config.path;
    let folder = folder_of(path);
    if !folder.is_dir() {
        return Err(Error::InvalidArgument(format!("the folder {} does not exist", folder.display())));
    }
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{:016x}.new", rand::random::<u64>()));
    let unfinished = Unfinished(folder.join(name));

    let database = guarded(|| {
        let database = builder(config).create(&unfinished.0)?;
        initialise(&database)?;
        Ok(database)
    })
    .map_err(|failure| open_error(path, failure))?;
    match fs::hard_link(&unfinished.0, path) {
        Ok(()) => {
            drop(unfinished);
            if let Err(error) = sync_folder(folder) {
                tracing::warn!(folder = %folder.display(), %error, "the folder could not be synchronised");
            }
            Ok((database, 0))
        }
        Err(error) => {
            close(Some(database));
            drop(unfinished);
            match error.kind() {
                ErrorKind::AlreadyExists => open_existing(config),
                // A file system without links.
                _ => create_in_place(config),
            }
        }
    }
}

/// Removes the other name, whatever happens.
struct Unfinished(PathBuf);

impl Drop for Unfinished {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Makes a store of an empty file, or of a redb file without tables.
fn create_in_place(config: &RedbConfig) -> Result<(Database, u64)> {
    let path = &config.path;
    guarded(|| {
        let database = builder(config).create(path)?;
        // Another process may have been faster.
        if let Contents::Store { commits } = check(path, &database.begin_read()?)? {
            return Ok((database, commits));
        }
        initialise(&database)?;
        Ok((database, 0))
    })
    .map_err(|failure| open_error(path, failure))
}

fn initialise(database: &Database) -> Result<(), Failure> {
    let transaction = database.begin_write()?;
    {
        let mut meta = transaction.open_table(format::META)?;
        meta.insert(format::META_MAGIC, format::MAGIC)?;
        meta.insert(format::META_FORMAT, format::FORMAT.to_string().as_bytes())?;
        meta.insert(format::META_COMMITS, 0_u64.to_be_bytes().as_slice())?;
        transaction.open_table(format::HEAD)?;
        transaction.open_table(format::BODY)?;
        transaction.open_table(format::EXPIRY)?;
    }
    Ok(transaction.commit()?)
}

enum Contents {
    /// No table at all.
    Nothing,
    /// A store that this version can use.
    Store { commits: u64 },
}

fn check(path: &Path, transaction: &ReadTransaction) -> Result<Contents, Failure> {
    let tables: Vec<_> = transaction.list_tables()?.map(|table| table.name().to_owned()).collect();
    if tables.is_empty() && transaction.list_multimap_tables()?.next().is_none() {
        return Ok(Contents::Nothing);
    }
    let path = path.display();
    let foreign = || {
        Failure::Ours(Error::InvalidArgument(format!("{path} is the redb database of another program: left as it is")))
    };
    let meta = match transaction.open_table(format::META) {
        Ok(meta) => meta,
        Err(TableError::Storage(error)) => return Err(error.into()),
        Err(_) => return Err(foreign()),
    };
    if meta.get(format::META_MAGIC)?.is_none_or(|magic| magic.value() != format::MAGIC) {
        return Err(foreign());
    }
    let damaged = |what: &str| Failure::Ours(Error::Corrupt(format!("{path} is damaged: {what}")));
    let number = meta.get(format::META_FORMAT)?.ok_or_else(|| damaged("it has no format number"))?;
    let number: u32 = std::str::from_utf8(number.value())
        .ok()
        .and_then(|number| number.parse().ok())
        .ok_or_else(|| damaged("its format number is none"))?;
    if number > format::FORMAT {
        return Err(Failure::Ours(Error::Unsupported(format!(
            "{path} was written by a newer version of dataknobs-kv (format {number}; this one knows {})",
            format::FORMAT
        ))));
    }
    let commits = meta.get(format::META_COMMITS)?.ok_or_else(|| damaged("it has no commit number"))?;
    let commits =
        commits.value().try_into().map(u64::from_be_bytes).map_err(|_| damaged("its commit number is none"))?;
    for table in [format::HEAD.name(), format::BODY.name(), format::EXPIRY.name()] {
        if !tables.iter().any(|present| present == table) {
            return Err(damaged(&format!("its table `{table}` is gone")));
        }
    }
    Ok(Contents::Store { commits })
}

/// Why a file could not be opened.
fn open_error(path: &Path, failure: Failure) -> Error {
    let Failure::Redb(error) = failure else { return failure.into_error(path) };
    let name = path.display();
    match *error {
        redb::Error::DatabaseAlreadyOpen | redb::Error::LockProtocolMismatch => locked(path),
        redb::Error::UpgradeRequired(version) => Error::Unsupported(format!(
            "{name} is in redb's old file format {version}, which this version does not read"
        )),
        redb::Error::Io(error) if error.kind() == ErrorKind::InvalidData => {
            Error::Corrupt(format!("{name} is no dataknobs-kv file, or its beginning is damaged"))
        }
        redb::Error::Io(error) if error.kind() == ErrorKind::UnexpectedEof => {
            Error::Corrupt(format!("{name} is truncated"))
        }
        redb::Error::Io(error) => io_error(path, &error),
        error => Failure::Redb(Box::new(error)).into_error(path),
    }
}
