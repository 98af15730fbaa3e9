//! What is done again and again: by the driver, by the storage, and by the store.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use dataknobs_kv_core::storage::{Change, Hint, Mutation, Range};
use dataknobs_kv_core::store::{Item, Query, SetOptions, SetResult};
use dataknobs_kv_core::{Attributes, Precondition, Projection, Storage, Store, Timestamp, Value, ValueType};
use dataknobs_kv_runtime::Runtime;

use super::contest::{Contest, Must, Work, work};
use super::{BATCH, Backend, Bare, CALLERS, MANY, NS, Ours, VALUE};
use crate::Result;

/// The keys that single reads and writes go to.
const KEYS: usize = 1000;
/// A page of a million keys: `g000.i000` to `g999.i999`.
pub(super) const GROUPS: usize = 1000;
const PAGE_MS: f64 = 20.0;

fn key(caller: usize, turn: usize) -> String {
    format!("k{:04}", (caller * 37 + turn * 7) % KEYS)
}

/// The keys of a batch: each caller has its own, so that rivals for a row are not what is measured.
fn batch_keys(caller: usize) -> Vec<String> {
    (0..BATCH).map(|at| format!("b{caller:02}.{at:04}")).collect()
}

pub(super) fn now() -> Timestamp {
    SystemTime::UNIX_EPOCH.elapsed().map_or(0, |span| u64::try_from(span.as_millis()).unwrap_or(0))
}

pub(super) fn value() -> Vec<u8> {
    vec![b'v'; VALUE]
}

pub(super) fn put(key: String) -> Mutation {
    let value = value();
    let attributes = Attributes {
        value_type: ValueType::Bytes,
        content_type: None,
        metadata: None,
        created_at: now(),
        updated_at: now(),
        expires_at: None,
        sliding_ms: None,
        size: value.len() as u64,
        checksum: crc32c::crc32c(&value),
    };
    Mutation { key, change: Change::Put { attributes, value }, precondition: Precondition::None }
}

fn item(key: String) -> Item {
    Item { key, value: Value::Bytes(value()), options: SetOptions::default() }
}

async fn write(storage: &dyn Storage, keys: Vec<String>) -> Result {
    let puts = keys.into_iter().map(put).collect();
    for outcome in storage.write(NS, puts, false, now(), Projection::Key).await? {
        outcome?;
    }
    Ok(())
}

async fn set(store: &dyn Store, key: String) -> Result {
    match store.set(NS, item(key)).await? {
        SetResult::Written(_) => Ok(()),
        SetResult::Conflict(_) => Err("a conflict without a condition".into()),
    }
}

fn whole(read: bool) -> Result {
    if read { Ok(()) } else { Err("not what was written".into()) }
}

/// The entries that are read and written over: of the driver and of ours.
pub(super) async fn prepare(backend: &Backend, url: &str, ours: &Ours, bare: &Arc<dyn Bare>) -> Result {
    let keys: Vec<String> = (0..KEYS).map(|at| format!("k{at:04}")).collect();
    write(&*ours.storage, keys.clone()).await?;
    bare.set_many(0, &keys, &value()).await?;
    if let Some(fill) = backend.fill {
        eprintln!("bench: {}: a million keys", backend.name);
        fill(url.to_owned(), Arc::clone(&ours.storage)).await?;
    }
    Ok(())
}

pub(super) fn contests(
    backend: &Backend,
    url: &str,
    runtime: &Runtime,
    ours: &Ours,
    bare: &Arc<dyn Bare>,
) -> Result<Vec<Contest>> {
    let musts = &backend.musts;
    let mut contests = Vec::new();
    for callers in CALLERS {
        let mut add = |what: &str, must: Must, rivals: [Work; 3]| {
            contests.push(Contest { what: what.to_owned(), callers, must, rivals });
        };
        add("get", Must::Ratio(musts.get), gets(ours, bare));
        let [bare_set, storage_set, store_set] = sets(ours, bare);
        add("set over an entry", Must::Ratio(musts.set), [bare_set, storage_set.clone(), store_set.clone()]);
        for (way, (how, must)) in musts.other_sets.iter().enumerate() {
            let other = work(bare, move |bare, caller, turn| async move {
                bare.set_otherwise(caller, way, &key(caller, turn), &value()).await
            });
            add(&format!("set over an entry, {how}"), *must, [other, storage_set.clone(), store_set.clone()]);
        }
        add("set of a new key", Must::Nothing, new_keys(ours, bare));
        if backend.fill.is_none() && callers == 1 {
            add("set over an entry never met before", Must::Nothing, unmet(url, runtime, bare)?);
        }
        if backend.fill.is_some() || callers == 1 {
            let [bare_batch, storage_batch, store_batch] = batches(ours, bare);
            let (storage, store) = (storage_batch.clone(), store_batch.clone());
            add("set_many of 1000", Must::Ratio(musts.set_many), [bare_batch, storage, store]);
            if backend.name == "redis" {
                let all = work(bare, async |bare, caller, _| bare.set_all(caller, &batch_keys(caller), &value()).await);
                add("set_many of 1000, driver in MULTI", Must::Nothing, [all, storage_batch, store_batch]);
            }
        }
        if backend.fill.is_some() && callers == 1 {
            add("page of 1000 keys of a million, ms", Must::Millis(PAGE_MS), pages(ours, bare, Projection::Key));
            add("page of 1000 with values, ms", Must::Millis(PAGE_MS), pages(ours, bare, Projection::Value));
        }
    }
    Ok(contests)
}

fn gets(ours: &Ours, bare: &Arc<dyn Bare>) -> [Work; 3] {
    [
        work(bare, async |bare, caller, turn| whole(bare.get(caller, &key(caller, turn)).await?)),
        work(&ours.storage, async |storage, caller, turn| {
            let state = storage.get(NS, &key(caller, turn), now(), true).await?;
            whole(state.and_then(|state| state.value).is_some_and(|value| value.len() == VALUE))
        }),
        work(&ours.store, async |store, caller, turn| {
            let state = store.get(NS, &key(caller, turn)).await?;
            whole(state.and_then(|state| state.value).is_some_and(|value| value.len() == VALUE))
        }),
    ]
}

fn sets(ours: &Ours, bare: &Arc<dyn Bare>) -> [Work; 3] {
    [
        work(bare, async |bare, caller, turn| bare.set(caller, &key(caller, turn), &value()).await),
        work(&ours.storage, async |storage, caller, turn| write(&*storage, vec![key(caller, turn)]).await),
        work(&ours.store, async |store, caller, turn| set(&*store, key(caller, turn)).await),
    ]
}

fn new_keys(ours: &Ours, bare: &Arc<dyn Bare>) -> [Work; 3] {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    fn new() -> String {
        format!("n{:08}", NEXT.fetch_add(1, Ordering::Relaxed))
    }
    [
        work(bare, async |bare, caller, _| bare.set(caller, &new(), &value()).await),
        work(&ours.storage, async |storage, _, _| write(&*storage, vec![new()]).await),
        work(&ours.store, async |store, _, _| set(&*store, new()).await),
    ]
}

/// Another one has written these, and we meet each for the first time: more of them than a contest needs.
fn unmet(url: &str, runtime: &Runtime, bare: &Arc<dyn Bare>) -> Result<[Work; 3]> {
    const MOST: usize = 8 * BATCH;
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let met: Arc<tokio::sync::OnceCell<Ours>> = Arc::default();
    let shared = Arc::new((url.to_owned(), runtime.clone(), met));
    async fn ours(shared: &(String, Runtime, Arc<tokio::sync::OnceCell<Ours>>)) -> Result<(&Ours, String)> {
        let (url, runtime, met) = shared;
        let ours = met
            .get_or_try_init(async || {
                let other = Ours::open(url, runtime).await?;
                for from in (0..MOST).step_by(BATCH) {
                    write(&*other.storage, (from..from + BATCH).map(|at| format!("u{at:05}")).collect()).await?;
                }
                Ours::open(url, runtime).await
            })
            .await?;
        Ok((ours, format!("u{:05}", NEXT.fetch_add(1, Ordering::Relaxed) % MOST)))
    }
    Ok([
        work(bare, async |bare, caller, turn| bare.set(caller, &key(caller, turn), &value()).await),
        work(&shared, async |shared, _, _| {
            let (ours, key) = ours(&shared).await?;
            write(&*ours.storage, vec![key]).await
        }),
        work(&shared, async |shared, _, _| {
            let (ours, key) = ours(&shared).await?;
            set(&*ours.store, key).await
        }),
    ])
}

fn batches(ours: &Ours, bare: &Arc<dyn Bare>) -> [Work; 3] {
    [
        work(bare, async |bare, caller, _| bare.set_many(caller, &batch_keys(caller), &value()).await),
        work(&ours.storage, async |storage, caller, _| write(&*storage, batch_keys(caller)).await),
        work(&ours.store, async |store, caller, _| {
            let items = batch_keys(caller).into_iter().map(item).collect();
            for result in store.set_many(NS, items).await? {
                result?;
            }
            Ok(())
        }),
    ]
}

fn group(caller: usize, turn: usize) -> usize {
    (caller * 313 + turn * 389) % GROUPS
}

fn pages(ours: &Ours, bare: &Arc<dyn Bare>, want: Projection) -> [Work; 3] {
    fn full(count: usize) -> Result {
        if count == 1000 { Ok(()) } else { Err("a short page".into()) }
    }
    [
        work(bare, move |bare, caller, turn| async move {
            let after = format!("g{:03}.", group(caller, turn));
            full(bare.page(caller, &after, want == Projection::Value).await?)
        }),
        work(&ours.storage, move |storage, caller, turn| async move {
            let from = Some(format!("g{:03}.", group(caller, turn)));
            let range = Range { from, ..Range::default() };
            full(storage.scan(MANY, range, Hint::default(), now(), 1000, want).await?.items.len())
        }),
        work(&ours.store, move |store, caller, turn| async move {
            let query = Query::pattern(format!("g{:03}.**", group(caller, turn)));
            full(store.list_entries(MANY, &query, None, 1000, want).await?.entries.len())
        }),
    ]
}
