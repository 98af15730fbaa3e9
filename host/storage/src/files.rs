//! What the adapters that keep their data in files have in common: the operating system's errors in the core's words, and
//! folders.

use std::io::{self, ErrorKind};
use std::path::Path;

use dataknobs_kv_core::Error;

/// An error of the operating system about this file, for an operation of which nothing was applied.
pub(crate) fn io_error(path: &Path, error: &io::Error) -> Error {
    let name = path.display();
    match error.kind() {
        ErrorKind::NotFound => Error::InvalidArgument(format!("{name} does not exist")),
        ErrorKind::NotADirectory => Error::InvalidArgument(format!("{name}: a part of its path is not a folder")),
        ErrorKind::InvalidFilename => {
            Error::InvalidArgument(format!("{name}: the name is too long, or not allowed here"))
        }
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Error::AccessDenied(format!("{name}: {error}")),
        _ if is_disk_full(error) => Error::Unavailable(format!("{name}: the disk is full ({error})")),
        _ => Error::Unavailable(format!("{name}: {error}")),
    }
}

pub(crate) fn is_disk_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge)
}

/// Another process, or this one, uses the file.
pub(crate) fn locked(path: &Path) -> Error {
    Error::Unavailable(format!(
        "{} is locked by another process (or is open in this one already): a file has one user at a time",
        path.display()
    ))
}

/// The folder that a file is in.
pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// A new name in a folder survives a power cut only once the folder is on disk.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    #[cfg(unix)]
    return std::fs::File::open(folder)?.sync_all();
    // Elsewhere a folder cannot be opened, and its names need no such thing.
    #[cfg(not(unix))]
    {
        let _ = folder;
        Ok(())
    }
}
