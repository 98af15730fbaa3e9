//! A clock in a file, for processes that take their time from it.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use dataknobs_kv_conformance::{HandClock, TestClock};

/// Written whole at every move.
pub(crate) struct ClockFile {
    path: PathBuf,
    now: AtomicU64,
}

impl ClockFile {
    /// In this folder, at the start of a case.
    pub(crate) fn new(folder: &Path) -> Self {
        let clock = ClockFile { path: folder.join("clock"), now: 0.into() };
        clock.set(HandClock::START);
        clock
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl TestClock for ClockFile {
    fn now(&self) -> u64 {
        self.now.load(Ordering::SeqCst)
    }
    fn set(&self, now: u64) {
        let fresh = self.path.with_extension("new");
        std::fs::write(&fresh, now.to_string()).expect("the clock's file");
        std::fs::rename(&fresh, &self.path).expect("the clock's file");
        self.now.store(now, Ordering::SeqCst);
    }
}
