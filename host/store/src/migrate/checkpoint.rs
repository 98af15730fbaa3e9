//! The file by which an interrupted run goes on.
//!
//! It says how far everything is in the target: what was read and not yet acknowledged is copied again, which changes
//! nothing.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use dataknobs_kv_core::{Error, Result, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::compare::Keeps;
use super::options::{CheckpointFile, MigrateOptions, OnExisting};
use super::report::Counts;
use super::source::Position;
use super::target::Target;
use crate::KvStore;

/// How often it is written.
const EVERY: Duration = Duration::from_millis(500);
/// Its first field.
const KIND: &str = "dataknobs-kv migration";
/// Of its form.
const FORM: u32 = 1;

/// Whether a migration into this store can be resumed: what it acknowledged is there when this process has died. In memory,
/// and in a file with relaxed durability, it may not be.
///
/// # Errors
/// The store's, where it cannot say what it can.
pub async fn can_resume(target: &KvStore) -> Result<bool> {
    Ok(Target::new(target, &MigrateOptions::default()).await?.outlives_us())
}

/// What is copied where, and how: a checkpoint belongs to one job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Job {
    source: String,
    target: String,
    namespaces: Vec<String>,
    pattern: String,
    on_existing: OnExisting,
    fix_sliding: bool,
    keeps: Keeps,
}

impl Job {
    /// The first thing in which another one differs.
    fn differs(&self, other: &Job) -> Option<&'static str> {
        let checks = [
            ("source", self.source == other.source),
            ("target", self.target == other.target),
            ("namespaces", self.namespaces == other.namespaces),
            ("pattern", self.pattern == other.pattern),
            ("treatment of existing entries", self.on_existing == other.on_existing),
            ("treatment of sliding expiries", self.fix_sliding == other.fix_sliding),
            ("kind of target", self.keeps == other.keeps),
        ];
        checks.into_iter().find(|(_, same)| !same).map(|(what, _)| what)
    }
}

/// How far the run is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Progress {
    /// Everything up to here is in the target; none: nothing yet.
    pub(super) position: Option<Position>,
    /// Everything is: only the comparison may be left.
    pub(super) copied: bool,
    /// The target's namespaces were empty, each when it was begun.
    pub(super) fresh: bool,
    pub(super) counts: Counts,
}

impl Default for Progress {
    fn default() -> Self {
        Progress { position: None, copied: false, fresh: true, counts: Counts::default() }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    kind: String,
    form: u32,
    saved_at: Timestamp,
    job: Job,
    progress: Progress,
}

/// The checkpoint of this run.
pub(super) struct Checkpoint {
    file: CheckpointFile,
    job: Job,
    last: Instant,
}

impl Checkpoint {
    /// The checkpoint, and what an earlier run left in it.
    pub(super) async fn open(
        file: &CheckpointFile,
        options: &MigrateOptions,
        keeps: Keeps,
    ) -> Result<(Self, Option<(Timestamp, Progress)>)> {
        let job = Job {
            source: file.source.clone(),
            target: file.target.clone(),
            namespaces: options.namespaces.clone(),
            pattern: options.pattern.clone(),
            on_existing: options.on_existing,
            fix_sliding: options.fix_sliding,
            keeps,
        };
        let checkpoint = Checkpoint { file: file.clone(), job, last: Instant::now() };
        let refused = |why: String| Error::InvalidArgument(format!("the checkpoint {}: {why}", file.path.display()));
        let text = match tokio::fs::read(&file.path).await {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok((checkpoint, None)),
            Err(error) => return Err(refused(error.to_string())),
        };
        let content: Content = match serde_json::from_slice::<serde_json::Value>(&text) {
            Ok(fields) if fields["kind"] != KIND => return Err(refused("this file is something else".into())),
            Ok(fields) if fields["form"] != FORM => return Err(refused("another version wrote it".into())),
            Ok(fields) => serde_json::from_value(fields).map_err(|error| refused(error.to_string()))?,
            Err(_) => return Err(refused("this file is something else".into())),
        };
        if let Some(what) = content.job.differs(&checkpoint.job) {
            return Err(refused(format!("it belongs to another migration: another {what}")));
        }
        Ok((checkpoint, Some((content.saved_at, content.progress))))
    }

    /// Writes it, unless that was done a moment ago.
    pub(super) async fn save_sometimes(&mut self, progress: &Progress, now: Timestamp) -> Result<()> {
        if self.last.elapsed() < EVERY {
            return Ok(());
        }
        self.save(progress, now).await
    }

    pub(super) async fn save(&mut self, progress: &Progress, now: Timestamp) -> Result<()> {
        let content =
            Content { kind: KIND.into(), form: FORM, saved_at: now, job: self.job.clone(), progress: progress.clone() };
        let text = serde_json::to_vec_pretty(&content).map_err(|error| Error::Internal(error.to_string()))?;
        let path = self.file.path.clone();
        let failed = |error| Error::Unavailable(format!("the checkpoint {}: {error}", self.file.path.display()));
        tokio::task::spawn_blocking(move || replace(&path, &text))
            .await
            .map_err(|error| Error::Internal(format!("writing the checkpoint: {error}")))?
            .map_err(failed)?;
        self.last = Instant::now();
        Ok(())
    }

    /// It has served.
    pub(super) async fn remove(self) -> Result<()> {
        match tokio::fs::remove_file(&self.file.path).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::Unavailable(format!("the checkpoint {}: {error}", self.file.path.display())))
            }
            _ => Ok(()),
        }
    }
}

/// The file holds the old text or the new one, whenever the process dies.
fn replace(path: &Path, text: &[u8]) -> std::io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    let partial = path.with_file_name(name);
    let mut file = std::fs::File::create(&partial)?;
    file.write_all(text)?;
    file.sync_all()?;
    std::fs::rename(partial, path)
}
