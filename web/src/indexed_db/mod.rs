//! [`Storage`] on IndexedDB.
//!
//! * `config.rs`: settings; `failure.rs`: the browser's errors in the core's words
//! * `format.rs`, `record.js`: entries as records; `database.js`, `transaction.js`: the requests, `memory.js`: the same without
//!   a database; `browser.js`; `shim.rs`: all of these, as Rust sees them
//! * `link.rs`: the connection; `queue.rs`: how calls come to share a transaction; `write.rs`: what happens in it
//! * `scan.rs`: listings; `cleanup.rs`: expired entries, whole namespaces
//!
//! Not by indexed_db_futures: its transaction is undone when the future that holds it is dropped, which here would be
//! everybody's; it has no `getAllRecords`; and its request for each call costs 1.2 to 1.5 of the same in JavaScript, where
//! one crossing for many requests costs 1.1.

mod cleanup;
mod config;
mod failure;
mod format;
mod link;
mod queue;
mod scan;
pub(crate) mod shim;
mod write;

use std::rc::Rc;

use async_trait::async_trait;
use dataknobs_kv_core::storage::{Decide, Hint, Mutation, Names, Outcome, Page, Range, Reclaimed};
use dataknobs_kv_core::{Capabilities, Error, Projection, Result, State, Storage, Timestamp, Version};
use futures::StreamExt;
use futures::channel::{mpsc, oneshot};
use wasm_bindgen_futures::JsFuture;

pub use config::{Durability, IndexedDbConfig};
use failure::Failure;
use link::Link;
use queue::{Answer, Call, Queue};
use scan::Scan;

const MAX_ATOMIC: u32 = 1000;
pub(crate) const MAX_VALUE_BYTES: u64 = 16 << 20;
const MAX_METADATA_BYTES: u64 = 64 << 10;

/// Entries in a database of the browser's, shared by all tabs and workers of a site. Clones share the connection.
#[derive(Clone)]
pub struct IndexedDbStorage {
    queue: Rc<Queue>,
}

impl std::fmt::Debug for IndexedDbStorage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IndexedDbStorage").field("config", &self.queue.link.config).finish_non_exhaustive()
    }
}

impl IndexedDbStorage {
    /// Opens the database, and creates it if it is not there.
    ///
    /// # Errors
    /// `unsupported`: there is no IndexedDB, or a newer version of this package has changed the database. `access-denied`:
    /// the browser does not let the page store anything. `unavailable`: it is held up by another tab, or does not open.
    pub async fn open(config: IndexedDbConfig) -> Result<Self> {
        let queue = Queue::new(Link::new(config));
        queue.link.open().await?;
        Ok(IndexedDbStorage { queue })
    }

    /// Entries in memory, of this page alone: the same rules over the same records.
    pub fn in_memory() -> Self {
        IndexedDbStorage { queue: Queue::new(Link::in_memory()) }
    }

    /// Lets go of the database; later calls are `invalid-argument`.
    pub fn close(&self) {
        self.queue.link.close();
    }

    /// Whoever is to be told, after each transaction, of the namespaces and keys that it changed, and of each whether it is
    /// there now.
    pub fn observe(&self, observer: impl Fn(&[(String, String, bool)]) + 'static) {
        *self.queue.observer.borrow_mut() = Some(Box::new(observer));
    }

    async fn call(&self, namespace: &str, now: Timestamp, call: Call) -> Result<Answer> {
        self.queue.push(namespace, now, call).await.map_err(|_| unanswered())?
    }

    /// Runs it once more where the connection was lost.
    async fn again<T, F: Future<Output = Result<T, Failure>>>(&self, run: impl Fn() -> F) -> Result<T> {
        let result = match run().await {
            Err(failure) if failure.connection_lost() => {
                self.queue.link.forget();
                run().await
            }
            result => result,
        };
        result.map_err(|failure| self.queue.link.error(&failure))
    }
}

fn unanswered() -> Error {
    Error::Internal("a call without an answer".into())
}

#[async_trait(?Send)]
#[deny(clippy::missing_trait_methods)]
impl Storage for IndexedDbStorage {
    fn capabilities(&self) -> Capabilities {
        Capabilities {
            durable: !self.queue.link.is_memory(),
            shared: !self.queue.link.is_memory(),
            max_atomic: MAX_ATOMIC,
            max_value_bytes: MAX_VALUE_BYTES,
            max_metadata_bytes: MAX_METADATA_BYTES,
            sliding: true,
            cheap_amend: true,
            native_expiry: false,
            indexed_scan: true,
            extra: Vec::new(),
        }
    }

    fn default_ttls(&self) -> Vec<(String, u64)> {
        Vec::new()
    }

    async fn get(&self, namespace: &str, key: &str, now: Timestamp, with_value: bool) -> Result<Option<State>> {
        let call = Call::Read { keys: vec![key.to_owned()], with_value };
        match self.call(namespace, now, call).await? {
            Answer::Read(states) => states.into_iter().next().ok_or_else(unanswered)?,
            _ => Err(unanswered()),
        }
    }

    async fn get_many(
        &self,
        namespace: &str,
        keys: &[String],
        now: Timestamp,
        with_value: bool,
    ) -> Result<Vec<Result<Option<State>>>> {
        match self.call(namespace, now, Call::Read { keys: keys.to_vec(), with_value }).await? {
            Answer::Read(states) => Ok(states),
            _ => Err(unanswered()),
        }
    }

    async fn write(
        &self,
        namespace: &str,
        mutations: Vec<Mutation>,
        atomic: bool,
        now: Timestamp,
        on_conflict: Projection,
    ) -> Result<Vec<Result<Outcome>>> {
        if atomic && mutations.len() > MAX_ATOMIC as usize {
            return Err(Error::Unsupported(format!("an atomic write has at most {MAX_ATOMIC} mutations")));
        }
        match self.call(namespace, now, Call::Write { mutations, atomic, on_conflict }).await? {
            Answer::Written(outcomes) => Ok(outcomes),
            _ => Err(unanswered()),
        }
    }

    async fn scan(
        &self,
        namespace: &str,
        range: Range,
        hint: Hint,
        now: Timestamp,
        limit: u32,
        want: Projection,
    ) -> Result<Page> {
        Scan::new(namespace, range, &hint, now, limit, want).run(&self.queue.link).await
    }

    async fn count(&self, namespace: &str, range: Range, now: Timestamp) -> Result<Option<u64>> {
        self.again(|| scan::count(&self.queue.link, namespace, &range, now)).await
    }

    async fn reclaim(&self, namespace: Option<&str>, now: Timestamp, limit: u32) -> Result<Reclaimed> {
        self.again(|| cleanup::reclaim(&self.queue.link, namespace, now, limit)).await
    }

    async fn clear(&self, namespace: &str, limit: u32) -> Result<bool> {
        let more = self.again(|| cleanup::clear(&self.queue.link, namespace, limit)).await?;
        self.queue.tell(&[(namespace.to_owned(), String::new(), false)]);
        Ok(more)
    }

    async fn namespaces(&self, after: Option<&str>, limit: u32) -> Result<Names> {
        self.again(|| cleanup::namespaces(&self.queue.link, after, limit)).await
    }

    async fn backoff(&self, _namespace: &str, _key: &str, attempt: u32) {
        // Up to 2, 4, 8 ... 64 ms, at random.
        let longest = 2_f64.powi(attempt.min(6) as i32);
        // A timer of the browser's never fails.
        let _ = JsFuture::from(shim::sleep(js_sys::Math::random() * longest)).await;
    }

    async fn update(
        &self,
        namespace: &str,
        key: &str,
        now: Timestamp,
        want: Projection,
        decide: &mut Decide<'_>,
    ) -> Option<Result<Option<Version>>> {
        let (questions, mut asked) = mpsc::unbounded();
        let mut answer: oneshot::Receiver<_> =
            self.queue.push(namespace, now, Call::Update { key: key.to_owned(), want, questions });
        loop {
            futures::select_biased! {
                question = asked.next() => if let Some(queue::Question { state, decision }) = question {
                    // Who asked may have given up.
                    let _ = decision.send(decide(state, now));
                },
                answer = &mut answer => return Some(match answer {
                    Ok(Ok(Answer::Updated(result))) => result,
                    Ok(Ok(_)) | Err(_) => Err(unanswered()),
                    Ok(Err(error)) => Err(error),
                }),
            }
        }
    }
}
