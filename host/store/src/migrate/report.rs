//! What became of a migration.

use std::fmt;

use dataknobs_kv_core::{Error, Timestamp};
use serde::{Deserialize, Serialize};

use super::compare::Keeps;

/// How many entries, by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Written.
    pub copied: u64,
    /// Bytes of the values written.
    pub bytes: u64,
    /// Not overwritten, and the same in the target already.
    pub same: u64,
    /// Left as the target has them ([`OnExisting::Skip`](super::OnExisting::Skip)).
    pub skipped: u64,
    /// Expired on the way.
    pub expired: u64,
    /// Not copied: each was reported.
    pub failed: u64,
}

impl Counts {
    /// All that were looked at.
    pub fn total(&self) -> u64 {
        self.copied + self.same + self.skipped + self.expired + self.failed
    }

    pub(super) fn add(&mut self, other: Counts) {
        self.copied += other.copied;
        self.bytes += other.bytes;
        self.same += other.same;
        self.skipped += other.skipped;
        self.expired += other.expired;
        self.failed += other.failed;
    }
}

/// An entry that could not be copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it is.
    pub namespace: String,
    /// Which it is.
    pub key: String,
    /// Why. `corrupt`: the source's is damaged; `too-large`, `unsupported`: the target cannot keep it.
    pub error: Error,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} in namespace {:?} was not copied: {}", self.key, self.namespace, self.error)
    }
}

/// An entry that is not in the target as it is in the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Where it is.
    pub namespace: String,
    /// Which it is.
    pub key: String,
    /// What differs: `missing`, `damaged in the source`, `damaged in the target`, or names of its parts.
    pub what: Vec<&'static str>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} in namespace {:?} differs: {}", self.key, self.namespace, self.what.join(", "))
    }
}

/// What the comparison found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verification {
    /// Entries that are the same.
    pub same: u64,
    /// Entries that are not, or are missing or damaged.
    pub different: u64,
    /// With [`OnExisting::Skip`](super::OnExisting::Skip): entries that are not the same because they were left as they
    /// were. Never more than were left.
    pub left: u64,
    /// Entries of the selected namespaces and keys that only the target has. They are no difference.
    pub only_in_target: u64,
}

/// What became of a migration.
#[derive(Clone, Debug, PartialEq)]
pub struct MigrateReport {
    /// Over all runs of a resumed migration.
    pub counts: Counts,
    /// What of each entry the target keeps.
    pub keeps: Keeps,
    /// With [`OnExisting::Fail`](super::OnExisting::Fail): namespace and key of the entry that ended it.
    pub conflict: Option<(String, String)>,
    /// It was told to stop, and can go on from its checkpoint if it has one.
    pub interrupted: bool,
    /// Where it was asked for and reached.
    pub verification: Option<Verification>,
}

impl MigrateReport {
    /// Everything is in the target: nothing failed, nothing ended it early, and a comparison found no difference.
    pub fn is_complete(&self) -> bool {
        self.counts.failed == 0
            && self.conflict.is_none()
            && !self.interrupted
            && self.verification.is_none_or(|verification| verification.different == 0)
    }
}

/// What an observer is told.
#[derive(Debug)]
#[non_exhaustive]
pub enum MigrateEvent<'a> {
    /// A checkpoint was found, and the run goes on from there.
    Resumed {
        /// When it was written, in milliseconds since the Unix epoch.
        saved_at: Timestamp,
        /// What was done by then.
        counts: Counts,
    },
    /// Entries were copied, or left out.
    Copied(Counts),
    /// So many were compared.
    Compared(u64),
    /// One could not be copied.
    Problem(&'a Problem),
    /// One is not the same.
    Difference(&'a Difference),
    /// Something failed for the moment, and is tried again.
    Retry(&'a Error),
}
