//! What an adapter can say about its backend's own settings: things that work, and yet are not as they should be.
//!
//! Not part of [`Storage`]: nobody needs it to store anything. Adapters that have something to say implement [`Diagnose`] and
//! are listed in [`Location::open_for_diagnosis`].

use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use dataknobs_kv_core::{MemoryStorage, Result, Storage};

use crate::redb::Durability;
use crate::{Location, OpenOptions, RedbStorage, memory};

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

impl Location {
    /// As [`Location::open`], with whoever knows more about the backend, where there is someone.
    pub async fn open_for_diagnosis(
        &self,
        options: &OpenOptions,
    ) -> Result<(Arc<dyn Storage>, Option<Arc<dyn Diagnose>>)> {
        fn both<S: Storage + Diagnose + 'static>(storage: S) -> (Arc<dyn Storage>, Option<Arc<dyn Diagnose>>) {
            let storage = Arc::new(storage);
            (Arc::clone(&storage) as Arc<dyn Storage>, Some(storage))
        }
        Ok(match self {
            Location::Memory => both(memory()),
            Location::Redb(config) => both(RedbStorage::open(config.clone(), options.create).await?),
            #[cfg(feature = "postgres")]
            Location::Postgres(config) => {
                both(crate::PostgresStorage::open(config.as_ref().clone(), options.create).await?)
            }
            #[cfg(feature = "redis")]
            Location::Redis(config) => both(crate::RedisStorage::open(config.clone(), options.create).await?),
            #[allow(unreachable_patterns, reason = "other adapters come with features")]
            _ => (self.open(options).await?, None),
        })
    }
}

/// Clocks that are no further apart count as the same.
const SKEW: u64 = 2000;

/// This machine's time, in milliseconds since the Unix epoch.
#[cfg_attr(not(any(feature = "postgres", feature = "redis")), allow(dead_code, reason = "for adapters of servers"))]
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A server's clock, asked between two moments of ours, where it goes too wrong.
#[cfg_attr(not(any(feature = "postgres", feature = "redis")), allow(dead_code, reason = "for adapters of servers"))]
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

#[async_trait]
impl Diagnose for MemoryStorage {
    async fn diagnose(&self) -> Vec<Finding> {
        vec![Finding::note("what is in memory ends with the process, and no other process sees it")]
    }
}

/// Less room than this is little.
const LITTLE_ROOM: u64 = 256 << 20;

#[async_trait]
impl Diagnose for RedbStorage {
    async fn diagnose(&self) -> Vec<Finding> {
        let config = self.config();
        let path = config.path.display();
        let mut findings = Vec::new();
        if config.durability == Durability::Relaxed {
            findings.push(Finding::warning(
                "durability is relaxed: the death of the process loses about the last second of writes",
                "leave `durability=relaxed` out of the connection string where acknowledged writes must stay",
            ));
        }
        match std::fs::metadata(&config.path) {
            Ok(file) if file.mode() & 0o077 != 0 => findings.push(Finding::warning(
                format!("other users of this machine may read or write {path} (mode {:03o})", file.mode() & 0o777),
                format!("`chmod 600 {path}`, unless that is meant"),
            )),
            Ok(_) => {}
            Err(error) => findings.push(Finding::note(format!("{path} cannot be looked at: {error}"))),
        }
        let folder = config.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        if let Ok(disk) = rustix::fs::statvfs(folder.unwrap_or(std::path::Path::new("."))) {
            let room = disk.f_bavail.saturating_mul(disk.f_frsize);
            if room < LITTLE_ROOM {
                findings.push(Finding::warning(
                    format!("the disk of {path} has {} MiB left", room >> 20),
                    "make room: on a full disk writes are refused (`unavailable`)",
                ));
            }
        }
        findings
    }
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
}
