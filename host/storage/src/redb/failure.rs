//! redb's errors in the core's words.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use dataknobs_kv_core::Error;

use crate::files::is_disk_full;

/// What went wrong below an operation.
#[derive(Debug)]
pub(super) enum Failure {
    /// redb reported it. Boxed: large, and rare.
    Redb(Box<redb::Error>),
    /// redb panicked: it trusts files that were closed cleanly, and so meets damage unprepared.
    Panicked,
    /// Ours, in the core's words already.
    Ours(Error),
}

macro_rules! from_redb {
    ($($error:ident)*) => {$(
        impl From<redb::$error> for Failure {
            fn from(error: redb::$error) -> Self {
                Failure::Redb(Box::new(error.into()))
            }
        }
    )*};
}
from_redb! { StorageError TableError TransactionError CommitError DatabaseError SetDurabilityError }

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Ours(error)
    }
}

impl Failure {
    /// The file cannot be used further until it has been opened again.
    pub(super) fn latched(&self) -> bool {
        match self {
            Failure::Redb(error) => matches!(
                **error,
                redb::Error::Io(_)
                    | redb::Error::Backend(_)
                    | redb::Error::PreviousIo
                    | redb::Error::DatabaseClosed
                    | redb::Error::LockPoisoned(_)
            ),
            Failure::Panicked => true,
            Failure::Ours(_) => false,
        }
    }

    pub(super) fn disk_full(&self) -> bool {
        match self {
            Failure::Redb(error) => match &**error {
                redb::Error::Io(error) => is_disk_full(error),
                _ => false,
            },
            _ => false,
        }
    }

    /// In the core's words, for an operation of which nothing was applied.
    pub(super) fn into_error(self, path: &Path) -> Error {
        let path = path.display();
        match self {
            Failure::Ours(error) => error,
            Failure::Panicked => Error::Corrupt(format!("{path} is damaged: its pages are not as they were written")),
            Failure::Redb(error) => match *error {
                redb::Error::Io(error) if is_disk_full(&error) => {
                    Error::Unavailable(format!("{path}: the disk is full ({error})"))
                }
                redb::Error::Io(error) => Error::Unavailable(format!("{path}: {error}")),
                redb::Error::Backend(error) => Error::Unavailable(format!("{path}: {error}")),
                redb::Error::Corrupted(message) => Error::Corrupt(format!("{path} is damaged: {message}")),
                redb::Error::PreviousIo | redb::Error::DatabaseClosed | redb::Error::LockPoisoned(_) => {
                    Error::Unavailable(format!("{path} is being opened again after a failure"))
                }
                redb::Error::ValueTooLarge(bytes) => {
                    Error::too_large("value", super::MAX_VALUE_BYTES as u64, bytes as u64)
                }
                error => Error::Internal(format!("{path}: {error}")),
            },
        }
    }
}

/// Turns redb's panics into failures: a damaged file must not take the process down.
pub(super) fn guarded<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    // After a panic the file is opened again, so nothing that it left half done is used. Its message is on stderr.
    catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(Failure::Panicked))
}
