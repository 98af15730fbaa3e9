//! What an adapter can say about its backend's own settings: things that work, and yet are not as they should be.
//!
//! Not part of [`Storage`](dataknobs_kv_core::Storage): nobody needs it to store anything. Each adapter implements
//! [`Diagnose`] in a file of that name.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use dataknobs_kv_core::MemoryStorage;

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Good to know.
    Note,
    /// It works, and something may be lost, slow or seen by others.
    Warning,
    /// It does not work.
    Problem,
}

/// One thing that was found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// What is so, in plain words, and never with a value or a secret.
    pub what: String,
    /// What to do about it; none where nothing needs doing.
    pub advice: Option<String>,
}

impl Finding {
    /// Good to know.
    pub fn note(what: impl Into<String>) -> Self {
        Finding { severity: Severity::Note, what: what.into(), advice: None }
    }

    /// It works, and something may be lost, slow or seen by others.
    pub fn warning(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Finding { severity: Severity::Warning, what: what.into(), advice: Some(advice.into()) }
    }

    /// It does not work.
    pub fn problem(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Finding { severity: Severity::Problem, what: what.into(), advice: Some(advice.into()) }
    }
}

/// Looks at the backend's own settings.
#[async_trait]
pub trait Diagnose: Send + Sync {
    /// What is worth telling. What cannot be found out is left out, or is a note that says so: to look needs rights that to
    /// store does not.
    async fn diagnose(&self) -> Vec<Finding>;
}

/// Clocks that are no further apart count as the same.
const SKEW: u64 = 2000;

/// This machine's time, in milliseconds since the Unix epoch.
#[cfg_attr(
    not(any(feature = "postgres", feature = "redis", feature = "s3", feature = "elasticsearch")),
    allow(dead_code, reason = "for adapters of servers")
)]
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A server's clock, asked between two moments of ours, where it goes too wrong.
#[cfg_attr(
    not(any(feature = "postgres", feature = "redis", feature = "s3", feature = "elasticsearch")),
    allow(dead_code, reason = "for adapters of servers")
)]
pub(crate) fn apart(server: &str, before: u64, theirs: u64, after: u64) -> Option<Finding> {
    let behind = before.checked_sub(theirs).map(|by| (by, "behind"));
    let (by, which) = behind.or_else(|| Some((theirs.checked_sub(after)?, "ahead of")))?;
    (by > SKEW).then(|| {
        Finding::warning(
            format!("the clock of {server} is {:.1} s {which} this machine's", Duration::from_millis(by).as_secs_f64()),
            "let both machines keep their time by NTP: its own expiry only tidies up, and does that too early or too late",
        )
    })
}

/// The same of a clock that tells whole seconds, and so may be later by nearly one.
#[cfg_attr(not(any(feature = "s3", feature = "elasticsearch")), allow(dead_code, reason = "for adapters of servers"))]
pub(crate) fn seconds_apart(server: &str, before: u64, second: u64, after: u64) -> Option<Finding> {
    let theirs = second.saturating_mul(1000);
    apart(server, before, theirs.saturating_add(999).min(before).max(theirs), after)
}

#[async_trait]
impl Diagnose for MemoryStorage {
    async fn diagnose(&self) -> Vec<Finding> {
        vec![Finding::note("what is in memory ends with the process, and no other process sees it")]
    }
}

/// Less room than this is little.
const LITTLE_ROOM: u64 = 256 << 20;

/// Who else may read or write a file of the store, and how much room its disk has left.
pub(crate) fn of_file(path: &Path) -> Vec<Finding> {
    let shown = path.display();
    let mut findings = Vec::new();
    match std::fs::metadata(path) {
        Ok(file) if file.mode() & 0o077 != 0 => findings.push(Finding::warning(
            format!("other users of this machine may read or write {shown} (mode {:03o})", file.mode() & 0o777),
            format!("`chmod 600 {shown}`, unless that is meant"),
        )),
        Ok(_) => {}
        Err(error) => findings.push(Finding::note(format!("{shown} cannot be looked at: {error}"))),
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Ok(disk) = rustix::fs::statvfs(folder.unwrap_or(Path::new("."))) {
        findings.extend(little_room(path, disk.f_bavail.saturating_mul(disk.f_frsize)));
    }
    findings
}

fn little_room(path: &Path, room: u64) -> Option<Finding> {
    (room < LITTLE_ROOM).then(|| {
        Finding::warning(
            format!("the disk of {} has {} MiB left", path.display(), room >> 20),
            "make room: on a full disk writes are refused (`unavailable`)",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_that_are_apart() {
        assert_eq!(apart("s", 10_000, 10_001, 10_002), None);
        assert_eq!(apart("s", 10_000, 8_000, 10_002), None);
        assert_eq!(apart("s", 10_000, 12_002, 10_002), None);
        assert!(apart("s", 10_000, 7_900, 10_002).unwrap().what.contains("2.1 s behind"));
        assert!(apart("s", 10_000, 15_002, 10_002).unwrap().what.contains("5.0 s ahead of"));
    }
    #[test]
    fn clocks_that_tell_seconds() {
        assert_eq!(seconds_apart("s", 12_998, 10, 13_000), None);
        assert!(seconds_apart("s", 13_000, 10, 13_001).unwrap().what.contains("2.0 s behind"));
        assert_eq!(seconds_apart("s", 10_500, 11, 10_501), None);
        assert!(seconds_apart("s", 10_000, 13, 10_501).unwrap().what.contains("2.5 s ahead of"));
    }

    #[test]
    fn room_that_is_little() {
        let path = Path::new("a.redb");
        assert_eq!(little_room(path, LITTLE_ROOM), None);
        assert!(little_room(path, (3 << 20) + 1).unwrap().what.contains("a.redb has 3 MiB left"));
    }
}
