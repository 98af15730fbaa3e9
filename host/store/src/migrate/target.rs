//! Writing pages to the target: below its rules where it is ours, by its own calls where not.

use std::sync::Arc;

use dataknobs_kv_core::storage::{Change, Mutation, Outcome};
use dataknobs_kv_core::store::{ChangeResult, Expiry, Item, MAX_ITEMS, SetOptions, SetResult};
use dataknobs_kv_core::{
    Attributes, Capabilities, Clock, Entry, Error, Precondition, Projection, Result, State, Storage, Store, Timestamp,
    metadata,
};

use super::compare::{Keeps, Rules};
use super::options::{MigrateOptions, OnExisting};
use super::report::{Counts, Problem};
use super::retry::{Retry, passes};
use super::source::Read;
use crate::KvStore;

/// Where entries go.
pub(super) struct Target {
    store: KvStore,
    /// Below the rules; none: over the store's own calls.
    storage: Option<Arc<dyn Storage>>,
    capabilities: Capabilities,
    clock: Arc<dyn Clock>,
    on_existing: OnExisting,
    fix_sliding: bool,
}

/// What became of a page.
#[derive(Default)]
pub(super) struct Written {
    pub(super) counts: Counts,
    pub(super) problems: Vec<Problem>,
    /// With [`OnExisting::Fail`]: namespace and key of an entry that is not the same.
    pub(super) conflict: Option<(String, String)>,
}

/// What became of one entry.
enum Put {
    Written,
    Conflict(Option<Box<State>>),
}

impl Target {
    pub(super) async fn new(target: &KvStore, options: &MigrateOptions) -> Result<Self> {
        Ok(Target {
            store: target.clone(),
            storage: target.storage.clone(),
            capabilities: target.capabilities().await?,
            clock: target.clock().clone(),
            on_existing: options.on_existing,
            fix_sliding: options.fix_sliding,
        })
    }

    pub(super) fn store(&self) -> &Arc<dyn Store> {
        self.store.store()
    }

    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(super) fn keeps(&self) -> Keeps {
        if self.storage.is_some() { Keeps::All } else { Keeps::Content }
    }

    /// How entries are compared; `created`: the target had none of its own.
    pub(super) fn rules(&self, created: bool) -> Rules {
        Rules { keeps: self.keeps(), created, fixed_sliding: self.fix_sliding && !self.capabilities.sliding }
    }

    /// Whether what it acknowledged is there after the death of this process.
    pub(super) fn outlives_us(&self) -> bool {
        self.storage.is_none() || self.capabilities.durable || self.capabilities.shared
    }

    /// Whether the namespace holds nothing.
    pub(super) async fn is_empty(&self, namespace: &str) -> Result<bool> {
        let query = dataknobs_kv_core::store::Query::pattern("**");
        let mut cursor = None;
        loop {
            let page = self.store().list_entries(namespace, &query, cursor.as_deref(), 1, Projection::Key).await?;
            match page.cursor {
                _ if !page.entries.is_empty() => return Ok(false),
                None => return Ok(true),
                next => cursor = next,
            }
        }
    }

    /// Why the target cannot keep it, if it cannot.
    fn unfit(&self, attributes: &Attributes) -> Option<Error> {
        let Capabilities { max_value_bytes, max_metadata_bytes, sliding, .. } = self.capabilities;
        let metadata = attributes.metadata.as_ref().map_or(0, String::len) as u64;
        if attributes.size > max_value_bytes {
            Some(Error::too_large("value", max_value_bytes, attributes.size))
        } else if metadata > max_metadata_bytes {
            Some(Error::too_large("metadata", max_metadata_bytes, metadata))
        } else if attributes.sliding_ms.is_some() && !sliding && !self.fix_sliding {
            Some(Error::Unsupported("its expiry slides, and the target has no sliding expiry".into()))
        } else {
            None
        }
    }

    /// Sorts out what need not be written: the rest.
    fn fitting(&self, namespace: &str, reads: Vec<Read>, written: &mut Written) -> Vec<Entry> {
        let now = self.clock.now();
        let fixed = self.rules(false).fixed_sliding;
        let mut entries = Vec::with_capacity(reads.len());
        for read in reads {
            let (key, error) = match read {
                Read::Entry(_, state) if state.attributes.expired(now) => {
                    written.counts.expired += 1;
                    continue;
                }
                Read::Entry(key, mut state) => match self.unfit(&state.attributes) {
                    None => {
                        if fixed {
                            state.attributes.sliding_ms = None;
                        }
                        entries.push(Entry { key, state: Some(state) });
                        continue;
                    }
                    Some(error) => (key, error),
                },
                Read::Damaged(key, error) => (key, error),
            };
            written.counts.failed += 1;
            written.problems.push(Problem { namespace: namespace.to_owned(), key, error });
        }
        entries
    }

    /// Writes a page. An error is one for the whole of it; some of it may have been written then.
    pub(super) async fn write(&self, namespace: &str, reads: Vec<Read>, options: &MigrateOptions) -> Result<Written> {
        let mut written = Written::default();
        let mut pending = self.fitting(namespace, reads, &mut written);
        let mut retry = Retry::new(options);
        while !pending.is_empty() {
            let now = self.clock.now();
            let expired = |entry: &Entry| entry.state.as_ref().is_none_or(|state| state.attributes.expired(now));
            let before = pending.len();
            pending.retain(|entry| !expired(entry));
            written.counts.expired += (before - pending.len()) as u64;

            let results = match self.put(namespace, &pending, now).await {
                Ok(results) if results.len() == pending.len() => results,
                Ok(_) => return Err(Error::Internal("a bulk write answered another number of items".into())),
                Err(error) => {
                    retry.after(error).await?;
                    continue;
                }
            };
            let mut again = Vec::new();
            let mut reason = None;
            for (entry, result) in pending.into_iter().zip(results) {
                let Some(state) = &entry.state else { continue };
                match result {
                    Ok(Put::Written) => {
                        written.counts.copied += 1;
                        written.counts.bytes += state.attributes.size;
                    }
                    Ok(Put::Conflict(Some(there))) if self.on_existing != OnExisting::Overwrite => {
                        self.existing(namespace, &entry.key, state, &there, &mut written);
                    }
                    Ok(Put::Conflict(_)) => again.push(entry),
                    Err(error) if passes(&error) => {
                        reason = Some(error);
                        again.push(entry);
                    }
                    Err(error @ Error::AccessDenied(_)) => return Err(error),
                    Err(error) => {
                        written.counts.failed += 1;
                        written.problems.push(Problem { namespace: namespace.to_owned(), key: entry.key, error });
                    }
                }
            }
            pending = again;
            if !pending.is_empty() {
                retry.after(reason.unwrap_or(Error::RateLimited(None))).await?;
            }
        }
        Ok(written)
    }

    /// What is to be done about one that is there already.
    fn existing(&self, namespace: &str, key: &str, ours: &State, there: &State, written: &mut Written) {
        // The same one is what an earlier run wrote, as far as anyone can see.
        if self.rules(false).content(&ours.attributes, &there.attributes).is_empty() {
            written.counts.same += 1;
        } else if self.on_existing == OnExisting::Skip {
            written.counts.skipped += 1;
        } else {
            written.conflict.get_or_insert_with(|| (namespace.to_owned(), key.to_owned()));
        }
    }

    /// What would become of a page.
    pub(super) async fn plan(&self, namespace: &str, reads: Vec<Read>) -> Result<Written> {
        let mut written = Written::default();
        let entries = self.fitting(namespace, reads, &mut written);
        let mut there = Vec::new();
        if self.on_existing == OnExisting::Overwrite {
            there.resize_with(entries.len(), || None);
        } else {
            let keys: Vec<String> = entries.iter().map(|entry| entry.key.clone()).collect();
            let space = self.store.namespace(namespace)?;
            there = space.get_entries(keys, false).await?.all()?;
        }
        for (entry, there) in entries.into_iter().zip(there) {
            let Some(state) = entry.state else { continue };
            match there {
                Some(there) => self.existing(namespace, &entry.key, &state, &there, &mut written),
                None => {
                    written.counts.copied += 1;
                    written.counts.bytes += state.attributes.size;
                }
            }
        }
        Ok(written)
    }

    fn precondition(&self) -> (Precondition, Projection) {
        match self.on_existing {
            OnExisting::Overwrite => (Precondition::None, Projection::Key),
            OnExisting::Skip | OnExisting::Fail => (Precondition::Absent, Projection::Attributes),
        }
    }

    /// One result per entry.
    async fn put(&self, namespace: &str, entries: &[Entry], now: Timestamp) -> Result<Vec<Result<Put>>> {
        match &self.storage {
            Some(storage) => self.put_below(&**storage, namespace, entries, now).await,
            None => self.put_through(namespace, entries).await,
        }
    }

    async fn put_below(
        &self,
        storage: &dyn Storage,
        namespace: &str,
        entries: &[Entry],
        now: Timestamp,
    ) -> Result<Vec<Result<Put>>> {
        let (precondition, on_conflict) = self.precondition();
        let mut results = Vec::with_capacity(entries.len());
        for part in entries.chunks(MAX_ITEMS) {
            let mutations: Vec<Mutation> = part.iter().filter_map(|entry| mutation(entry, &precondition)).collect();
            let outcomes = storage.write(namespace, mutations, false, now, on_conflict).await?;
            results.extend(outcomes.into_iter().map(|outcome| match outcome? {
                Outcome::Written(_) => Ok(Put::Written),
                Outcome::Conflict(there) => Ok(Put::Conflict(there.map(Box::new))),
                _ => Err(Error::Internal("the storage gave an answer out of place".into())),
            }));
        }
        Ok(results)
    }

    async fn put_through(&self, namespace: &str, entries: &[Entry]) -> Result<Vec<Result<Put>>> {
        let space = self.store.namespace(namespace)?;
        let (precondition, on_conflict) = self.precondition();
        let mut results: Vec<Option<Result<Put>>> = Vec::new();
        results.resize_with(entries.len(), || None);
        let (mut items, mut places) = (Vec::with_capacity(entries.len()), Vec::with_capacity(entries.len()));
        for (slot, entry) in results.iter_mut().zip(entries) {
            match item(entry, &precondition, on_conflict) {
                Ok(item) if claims_content_type(&item) => *slot = Some(put_alone(&space, item).await),
                Ok(item) => {
                    items.push(item);
                    places.push(slot);
                }
                Err(error) => *slot = Some(Err(error)),
            }
        }
        for (slot, result) in places.into_iter().zip(space.set_items(items).await?) {
            *slot = Some(result.map(Put::from));
        }
        let missing = || Err(Error::Internal("a bulk write left an item out".into()));
        Ok(results.into_iter().map(|result| result.unwrap_or_else(missing)).collect())
    }
}

impl From<SetResult> for Put {
    fn from(result: SetResult) -> Self {
        match result {
            SetResult::Written(_) => Put::Written,
            SetResult::Conflict(there) => Put::Conflict(there.map(Box::new)),
        }
    }
}

/// All that the source knows of the entry, as it is.
fn mutation(entry: &Entry, precondition: &Precondition) -> Option<Mutation> {
    let state = entry.state.as_ref()?;
    let change = Change::Put { attributes: state.attributes.clone(), value: state.value.clone()? };
    Some(Mutation { key: entry.key.clone(), change, precondition: precondition.clone() })
}

/// The same in the store's own words.
fn item(entry: &Entry, precondition: &Precondition, on_conflict: Projection) -> Result<Item> {
    let missing = || Error::Internal("an entry without its value".into());
    let state = entry.state.as_ref().ok_or_else(missing)?;
    let value = state.decode()?.ok_or_else(missing)?;
    let attributes = &state.attributes;
    let expiry = match (attributes.sliding_ms, attributes.expires_at) {
        (Some(span), _) => Expiry::Sliding(span),
        (None, Some(at)) => Expiry::At(at),
        (None, None) => Expiry::Never,
    };
    let options = SetOptions {
        expiry,
        content_type: attributes.content_type.clone(),
        metadata: attributes.metadata.clone(),
        precondition: precondition.clone(),
        on_conflict,
    };
    Ok(Item { key: entry.key.clone(), value, options })
}

/// Whether a set would take a content type from its metadata, which the source's entry does not have.
fn claims_content_type(item: &Item) -> bool {
    let SetOptions { content_type: None, metadata: Some(metadata), .. } = &item.options else { return false };
    matches!(metadata::hints(metadata), Ok((_, Some(_))))
}

/// Sets the value first and gives it its metadata then, which takes no content type from it.
async fn put_alone(space: &KvStore, mut item: Item) -> Result<Put> {
    let (key, metadata) = (item.key.clone(), item.options.metadata.take().unwrap_or_default());
    let result = space.store().set(space.namespace_name(), item).await?;
    let SetResult::Written(version) = result else { return Ok(result.into()) };
    let guard = Precondition::Version(version);
    match space.store().replace_metadata(space.namespace_name(), &key, &metadata, guard).await? {
        ChangeResult::Written(_) => Ok(Put::Written),
        // Someone else wrote it meanwhile.
        ChangeResult::Absent => Ok(Put::Conflict(None)),
        ChangeResult::Conflict(there) => Ok(Put::Conflict(there.map(Box::new))),
    }
}
