//! Copying entries from one store to another: any pair of backends, in bounded memory, resumable.
//!
//! * `options`: what is to be copied, and how; `report`: what became of it
//! * `run`: the pipeline of pages from one store to the other; `source` reads them, `target` writes them
//! * `compare`: what of an entry a target can keep, and whether two are the same; `verify`: compares everything afterwards
//! * `checkpoint`: the file by which an interrupted run goes on; `pace`: the rate; `retry`: what passes is waited for

mod checkpoint;
mod compare;
mod options;
mod pace;
mod report;
mod retry;
mod run;
mod source;
mod target;
mod verify;

use dataknobs_kv_core::Result;

use crate::KvStore;

pub use checkpoint::can_resume;
pub use compare::Keeps;
pub use options::{CheckpointFile, MigrateOptions, OnExisting};
pub use report::{Counts, Difference, MigrateEvent, MigrateReport, Problem, Verification};

/// Copies the entries of `source` to `target`: values with their types and exact bytes, metadata, content type and expiry
/// to the millisecond.
///
/// Where the target was opened in this process ([`KvStore::open`]), entries are written below the rules, and
/// `created_at`, `updated_at` and sliding expiries arrive as they are ([`Keeps::All`]). Over any other store (a service's
/// client) the store itself sets the times, and a sliding expiry starts anew ([`Keeps::Content`]). Versions are the
/// target's own always, and an entry that the target has already keeps its `created_at`.
///
/// It is no moment's picture: what is written to the source meanwhile may or may not come along. What expires on the way is
/// left out. An entry that cannot be copied is reported and the rest goes on; what the backend is short of only for a
/// while is tried again. At most some 80 MiB of values are held at a time.
///
/// ```
/// use dataknobs_kv::{KvStore, MigrateOptions, migrate};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> dataknobs_kv::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let url = format!("file:{}/data.redb", folder.path().display());
/// let memory = KvStore::open("memory:").await?;
/// memory.set("app.name", "MyApplication").await?;
///
/// let file = KvStore::open(&url).await?; // "file:data.redb"
/// let report = migrate(&memory, &file, MigrateOptions::default().verify(true)).await?;
/// assert!(report.is_complete());
/// assert_eq!(report.counts.copied, 1);
/// assert_eq!(file.get("app.name").await?, Some("MyApplication".into()));
/// # Ok(()) }
/// ```
///
/// # Errors
/// `invalid-argument` for options that make no sense together, and for a checkpoint of another job; otherwise the error
/// that ended the run. What was copied before it stays, and the checkpoint says where to go on.
pub async fn migrate(source: &KvStore, target: &KvStore, options: MigrateOptions) -> Result<MigrateReport> {
    run::migrate(source, target, options).await
}

/// Reads everything that [`migrate`] would copy and says what would become of it, and writes nothing.
///
/// Without a target (one that does not exist yet) nothing is known of its limits and entries. `verify`, `rate` and the
/// checkpoint of the options have no meaning here, except that the rate is kept.
///
/// # Errors
/// As [`migrate`].
pub async fn plan_migration(
    source: &KvStore,
    target: Option<&KvStore>,
    options: MigrateOptions,
) -> Result<MigrateReport> {
    run::plan(source, target, options).await
}
