//! Clocks for the component.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use dataknobs_kv_core::{Clock, Error, Result, Timestamp};

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        // A clock set before 1970 counts as 1970.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::try_from(since.as_millis()).unwrap_or(Timestamp::MAX)
    }
}

/// A clock that stands still until it is moved: for tests.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicU64);

impl ManualClock {
    /// A clock that stands at this instant, in milliseconds since the Unix epoch.
    pub fn new(now: Timestamp) -> Self {
        ManualClock(AtomicU64::new(now))
    }

    /// Moves it to this instant.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now, Ordering::SeqCst);
    }

    /// Moves it on by so many milliseconds.
    pub fn advance(&self, milliseconds: u64) {
        self.0.fetch_add(milliseconds, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.0.load(Ordering::SeqCst)
    }
}

/// A clock that reads a file at every look: decimal milliseconds since the Unix epoch. It lets a test move the time of a
/// whole process.
///
/// Where the file cannot be read or holds no number (it may just be written), the clock stands where it last stood.
#[derive(Debug)]
pub struct FileClock {
    path: PathBuf,
    last: AtomicU64,
}

impl FileClock {
    /// The file must exist and hold a number.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let now = read(&path).map_err(|e| Error::InvalidArgument(format!("the clock file {}: {e}", path.display())))?;
        Ok(FileClock { path, last: AtomicU64::new(now) })
    }
}

impl Clock for FileClock {
    fn now(&self) -> Timestamp {
        if let Ok(now) = read(&self.path) {
            self.last.store(now, Ordering::SeqCst);
        }
        self.last.load(Ordering::SeqCst)
    }
}

fn read(path: &Path) -> io::Result<Timestamp> {
    let text = fs::read_to_string(path)?;
    text.trim().parse().map_err(|_| io::Error::other("it holds no number of milliseconds"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_moves_the_clock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("clock");
        assert_eq!(FileClock::open(&path).unwrap_err().code(), "invalid-argument");
        fs::write(&path, "1000\n").unwrap();
        let clock = FileClock::open(&path).unwrap();
        assert_eq!(clock.now(), 1000);
        fs::write(&path, "2500").unwrap();
        assert_eq!(clock.now(), 2500);
        fs::write(&path, "").unwrap();
        assert_eq!(clock.now(), 2500);
    }

    #[test]
    fn a_manual_clock_moves_by_hand() {
        let clock = ManualClock::new(5);
        clock.advance(7);
        assert_eq!(clock.now(), 12);
        clock.set(3);
        assert_eq!(clock.now(), 3);
    }
}
