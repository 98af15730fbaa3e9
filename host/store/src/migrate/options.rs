//! What is to be copied, and how.

use std::fmt;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use dataknobs_kv_core::{Error, Pattern, Result, key};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::report::MigrateEvent;

/// What happens to keys that the target has already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnExisting {
    /// They are set again.
    #[default]
    Overwrite,
    /// They stay as they are.
    Skip,
    /// One that is not the same ends the migration; what was copied before stays.
    Fail,
}

/// Where an interrupted run leaves word of how far it came.
///
/// The names say what is copied where: a run that finds the checkpoint of other stores refuses it. They go into the file, so
/// they must hold no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointFile {
    /// The file. It is removed when all is done.
    pub path: PathBuf,
    /// What the source is called.
    pub source: String,
    /// What the target is called.
    pub target: String,
}

/// Who is told of what happens.
pub(super) type Observer = Arc<dyn Fn(MigrateEvent<'_>) + Send + Sync>;

/// What is to be copied, and how. By default everything, over whatever the target has.
#[derive(Clone)]
pub struct MigrateOptions {
    pub(super) namespaces: Vec<String>,
    pub(super) pattern: String,
    pub(super) on_existing: OnExisting,
    pub(super) fix_sliding: bool,
    pub(super) rate: Option<NonZeroU32>,
    pub(super) verify: bool,
    pub(super) checkpoint: Option<CheckpointFile>,
    pub(super) retry_for: Duration,
    pub(super) observer: Option<Observer>,
    pub(super) stop: Option<watch::Receiver<bool>>,
}

impl Default for MigrateOptions {
    fn default() -> Self {
        MigrateOptions {
            namespaces: Vec::new(),
            pattern: "**".into(),
            on_existing: OnExisting::default(),
            fix_sliding: false,
            rate: None,
            verify: false,
            checkpoint: None,
            retry_for: Duration::from_secs(60),
            observer: None,
            stop: None,
        }
    }
}

impl MigrateOptions {
    /// Only these namespaces; without this call, or with none: all.
    pub fn namespaces<N: Into<String>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.namespaces = names.into_iter().map(Into::into).collect();
        self.namespaces.sort();
        self.namespaces.dedup();
        self
    }

    /// Only keys that match this pattern.
    pub fn pattern(mut self, pattern: impl Into<String>) -> Self {
        self.pattern = pattern.into();
        self
    }

    /// What happens to keys that the target has already.
    pub fn on_existing(mut self, on_existing: OnExisting) -> Self {
        self.on_existing = on_existing;
        self
    }

    /// Where the target has no sliding expiry, entries that have one expire when they would now, and slide no more. Without
    /// this they are not copied but reported.
    pub fn fix_sliding(mut self, fix: bool) -> Self {
        self.fix_sliding = fix;
        self
    }

    /// At most so many entries a second are read.
    pub fn rate(mut self, entries: NonZeroU32) -> Self {
        self.rate = Some(entries);
        self
    }

    /// Compares everything afterwards.
    pub fn verify(mut self, verify: bool) -> Self {
        self.verify = verify;
        self
    }

    /// Keeps a checkpoint, and goes on from it where the file is there already.
    ///
    /// The target must hold what it acknowledged when this process dies; so one in memory, and a file with relaxed
    /// durability, are refused.
    pub fn checkpoint(mut self, file: CheckpointFile) -> Self {
        self.checkpoint = Some(file);
        self
    }

    /// How long an error that may pass (`unavailable`, `rate-limited`, `outcome-unknown`) is tried again before it ends the
    /// run: a minute unless told.
    pub fn retry_for(mut self, span: Duration) -> Self {
        self.retry_for = span;
        self
    }

    /// Is told of progress and of problems as they come.
    pub fn observer(mut self, observer: impl Fn(MigrateEvent<'_>) + Send + Sync + 'static) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// When this becomes true, what is under way is finished, the checkpoint written and the run ended.
    pub fn stop(mut self, stop: watch::Receiver<bool>) -> Self {
        self.stop = Some(stop);
        self
    }

    pub(super) fn check(&self) -> Result<()> {
        self.namespaces.iter().try_for_each(|name| key::validate_namespace(name))?;
        Pattern::parse(&self.pattern)?;
        match &self.checkpoint {
            Some(file) if file.path.file_name().is_none() => {
                Err(Error::InvalidArgument("the checkpoint's path names no file".into()))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn tell(&self, event: MigrateEvent<'_>) {
        if let Some(observer) = &self.observer {
            observer(event);
        }
    }

    pub(super) fn stopped(&self) -> bool {
        self.stop.as_ref().is_some_and(|stop| *stop.borrow())
    }
}

impl fmt::Debug for MigrateOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MigrateOptions")
            .field("namespaces", &self.namespaces)
            .field("pattern", &self.pattern)
            .field("on_existing", &self.on_existing)
            .field("fix_sliding", &self.fix_sliding)
            .field("rate", &self.rate)
            .field("verify", &self.verify)
            .field("checkpoint", &self.checkpoint)
            .field("retry_for", &self.retry_for)
            .finish_non_exhaustive()
    }
}
