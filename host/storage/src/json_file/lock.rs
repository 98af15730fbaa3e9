//! One user at a time: a lock file beside the snapshot, there only while the store is open.
//!
//! The snapshot itself cannot be locked: its name passes to another file with each compaction. The operating system gives
//! the lock up when the process dies; the file that then stays is used again.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};

use dataknobs_kv_core::{Error, Result};

use crate::files::{io_error, locked};

/// The lock, held as long as this lives.
pub(super) struct Lock {
    path: PathBuf,
    _file: File,
}

impl Lock {
    /// Takes the lock of the store at `store`.
    pub(super) fn take(store: &Path) -> Result<Self> {
        let path = beside(store, ".lock");
        // Whoever gives a lock up removes its file first: then the one that was locked here is not the one of that name,
        // and the lock is nobody's.
        for _ in 0..100 {
            let file = File::options()
                .create(true)
                .truncate(false)
                .read(true)
                .write(true)
                .open(&path)
                .map_err(|error| io_error(&path, &error))?;
            match file.try_lock() {
                Ok(()) if is_at(&file, &path) => return Ok(Lock { path, _file: file }),
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Err(locked(store)),
                Err(TryLockError::Error(error)) => {
                    return Err(Error::Unavailable(format!("{} cannot be locked: {error}", path.display())));
                }
            }
        }
        Err(locked(store))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Where it stays, the next to open the store uses it.
        let _ = fs::remove_file(&self.path);
    }
}

/// Whether the file of that name is this one.
fn is_at(file: &File, path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
        match (file.metadata(), fs::metadata(path)) {
            (Ok(ours), Ok(named)) => identity(ours) == identity(named),
            _ => false,
        }
    }
    // Elsewhere an open file cannot be removed.
    #[cfg(not(unix))]
    {
        let _ = (file, path);
        true
    }
}

/// The file's name with something added at its end.
pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(ending);
    path.with_file_name(name)
}
