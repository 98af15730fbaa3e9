//! Folding the journal into a new snapshot, step by step, beside the writes that go on.
//!
//! 1. [`Plan`]: the writer notes all entries at one instant, after group `n`.
//! 2. A thread writes them as a snapshot under another name and brings it to the disk,
//! 3. gives it the snapshot's name, and brings the folder to the disk,
//! 4. and begins a new journal, under another name, with the groups after `n`.
//! 5. The writer adds the few that came meanwhile, brings it to the disk, and gives it the journal's name.
//!
//! Before step 3 the old snapshot and the old journal are whole. Between 3 and 5 the old journal has groups that the new
//! snapshot holds already: their numbers tell, and they are passed over. So a crash anywhere leaves a store that opens.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use dataknobs_kv_core::memory::StoredSpace;

use super::config::Compression;
use super::files::{self, Paths, Stamp};
use super::journal;

/// What is to be folded.
pub(super) struct Plan {
    pub(super) paths: Paths,
    pub(super) spaces: Vec<StoredSpace>,
    pub(super) store: String,
    /// The last group that is in `spaces`.
    pub(super) sequence: u64,
    pub(super) compression: Compression,
    /// What the snapshot's file was when it was last ours.
    pub(super) stamp: Option<Stamp>,
    /// Where the journal's groups after `sequence` begin,
    pub(super) from: u64,
    /// and where they end.
    pub(super) end: Arc<AtomicU64>,
    /// Nobody waits for it any more.
    pub(super) stop: Arc<AtomicBool>,
}

/// A snapshot that is in place.
pub(super) struct Folded {
    pub(super) sequence: u64,
    /// Of its text.
    pub(super) bytes: u64,
    pub(super) stamp: Option<Stamp>,
}

/// What the thread did: the snapshot may be in place although the journal failed.
pub(super) struct Done {
    pub(super) folded: io::Result<Folded>,
    /// The new journal, and up to where the old one is in it.
    pub(super) journal: io::Result<(File, u64)>,
}

impl Plan {
    /// Steps 2 to 4.
    pub(super) fn run(self) -> Done {
        let folded = self.write().and_then(|bytes| self.publish(bytes));
        let journal = match &folded {
            Ok(_) => self.journal(),
            Err(_) => Err(io::Error::other("there is no new snapshot")),
        };
        Done { folded, journal }
    }

    /// Step 2. How long its text is.
    pub(super) fn write(&self) -> io::Result<u64> {
        let mut stop = || self.stop.load(Ordering::Relaxed);
        let Plan { paths, spaces, store, sequence, compression, .. } = self;
        let written = files::write_snapshot(paths, spaces, store, *sequence, *compression, &mut stop);
        if written.is_err() {
            // What it takes of a full disk is given back.
            let _ = std::fs::remove_file(&paths.new_snapshot);
        }
        written
    }

    /// Step 3.
    pub(super) fn publish(&self, bytes: u64) -> io::Result<Folded> {
        if self.stamp.is_some() && Stamp::of(&self.paths.snapshot).is_some_and(|stamp| Some(stamp) != self.stamp) {
            let kept = files::keep(&self.paths, ".edited")?;
            tracing::warn!(kept = %kept.display(), "the file was changed while the store is open: the change is not taken, and kept there");
        }
        files::publish_snapshot(&self.paths)?;
        Ok(Folded { sequence: self.sequence, bytes, stamp: Stamp::of(&self.paths.snapshot) })
    }

    /// Step 4.
    pub(super) fn journal(&self) -> io::Result<(File, u64)> {
        let end = self.end.load(Ordering::Acquire);
        Ok((journal::start(&self.paths, &self.store, self.sequence, self.from, end)?, end))
    }
}
