//! Each promise of the cache. Reads and writes are held back at will, so that every race comes out the same way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::time::Duration;

use async_trait::async_trait;
use dataknobs_kv_conformance::model::random_operations;
use dataknobs_kv_conformance::run::runtime;
use dataknobs_kv_conformance::wrap::{Counting, Wrap};
use dataknobs_kv_conformance::{native, storage_by_wrap};
use dataknobs_kv_core::storage::{Amendment, Change, Hint, Mutation, Names, Outcome, Page, Range, Reclaimed};
use dataknobs_kv_core::store::{ChangeResult, Expiry, Numeric, SetOptions, SwapResult};
use dataknobs_kv_core::{
    Attributes, Capabilities, Core, Error, MemoryStorage, Precondition, Projection, Result, State, Storage, Store,
    Timestamp, Value, ValueType, Version,
};
use tokio::sync::Semaphore;

use super::{CacheConfig, Cached};
use crate::memory;

const NS: &str = "n";
const MINUTE: Duration = Duration::from_secs(60);

/// Holds things back. Open at first.
struct Gate {
    open: AtomicBool,
    waiting: AtomicU32,
    permits: Semaphore,
}

impl Gate {
    fn new() -> Self {
        Gate { open: AtomicBool::new(true), waiting: 0.into(), permits: Semaphore::new(0) }
    }
    fn shut(&self) {
        self.open.store(false, SeqCst);
        self.permits.forget_permits(usize::MAX);
    }
    fn let_go(&self) {
        self.open.store(true, SeqCst);
        self.permits.add_permits(1000);
    }
    async fn pass(&self) {
        self.waiting.fetch_add(1, SeqCst);
        if !self.open.load(SeqCst) {
            self.permits.acquire().await.unwrap().forget();
        }
        self.waiting.fetch_sub(1, SeqCst);
    }
    /// Until so many are held back.
    async fn held(&self, count: u32) {
        while self.waiting.load(SeqCst) < count {
            tokio::task::yield_now().await;
        }
    }
}

/// A storage that others use too, whose answers can be held back.
struct Gated {
    memory: MemoryStorage,
    /// After a read has its answer.
    reads: Gate,
    /// Before a write.
    before: Gate,
    /// After a write was applied.
    after: Gate,
    /// What writes are answered with.
    lost: AtomicBool,
}

#[async_trait]
impl Wrap for Gated {
    fn inner(&self) -> &dyn Storage {
        &self.memory
    }
    fn capabilities(&self) -> Capabilities {
        Capabilities { shared: true, ..self.memory.capabilities() }
    }
    async fn get(&self, namespace: &str, key: &str, now: Timestamp, with_value: bool) -> Result<Option<State>> {
        let state = self.memory.get(namespace, key, now, with_value).await;
        self.reads.pass().await;
        state
    }
    async fn get_many(
        &self,
        namespace: &str,
        keys: &[String],
        now: Timestamp,
        with_value: bool,
    ) -> Result<Vec<Result<Option<State>>>> {
        let states = self.memory.get_many(namespace, keys, now, with_value).await;
        self.reads.pass().await;
        states
    }
    async fn write(
        &self,
        namespace: &str,
        mutations: Vec<Mutation>,
        atomic: bool,
        now: Timestamp,
        on_conflict: Projection,
    ) -> Result<Vec<Result<Outcome>>> {
        self.before.pass().await;
        let outcomes = self.memory.write(namespace, mutations, atomic, now, on_conflict).await;
        self.after.pass().await;
        if self.lost.load(SeqCst) { Err(Error::OutcomeUnknown("no answer".into())) } else { outcomes }
    }
    async fn clear(&self, namespace: &str, limit: u32) -> Result<bool> {
        self.before.pass().await;
        let more = self.memory.clear(namespace, limit).await;
        self.after.pass().await;
        more
    }
}

storage_by_wrap!(Gated);

/// A cache, what is below it, and what another process sees.
struct Place {
    cache: Arc<Cached>,
    calls: Arc<Counting>,
    gated: Arc<Gated>,
    other: MemoryStorage,
}

fn place(config: CacheConfig) -> Place {
    let other = memory();
    let gated = Arc::new(Gated {
        memory: other.clone(),
        reads: Gate::new(),
        before: Gate::new(),
        after: Gate::new(),
        lost: false.into(),
    });
    let calls = Counting::new(gated.clone());
    Place { cache: Arc::new(Cached::new(calls.clone(), config)), calls, gated, other }
}

fn minute() -> Place {
    place(CacheConfig::default().ttl(MINUTE))
}

impl Place {
    fn reads(&self) -> u32 {
        self.calls.taken()[0]
    }
    /// A read in a task of its own, held back with the answer of now.
    async fn held_read(&self, key: &'static str) -> tokio::task::JoinHandle<Option<String>> {
        self.gated.reads.shut();
        let cache = self.cache.clone();
        let task = tokio::spawn(async move { text(&*cache, key, 1).await });
        self.gated.reads.held(1).await;
        task
    }
    /// As `held_read`, of a write: before it is applied, or after.
    async fn held_write(&self, gate: &Gate, mutation: Mutation) -> tokio::task::JoinHandle<Outcome> {
        gate.shut();
        let cache = self.cache.clone();
        let task = tokio::spawn(async move { write(&*cache, mutation).await });
        gate.held(1).await;
        task
    }
}

fn put_until(key: &str, value: &str, expires_at: Option<Timestamp>) -> Mutation {
    let attributes = Attributes {
        value_type: ValueType::Text,
        content_type: None,
        metadata: None,
        created_at: 1,
        updated_at: 1,
        expires_at,
        sliding_ms: None,
        size: value.len() as u64,
        checksum: 0,
    };
    let change = Change::Put { attributes, value: value.as_bytes().to_vec() };
    Mutation { key: key.into(), change, precondition: Precondition::None }
}

fn put(key: &str, value: &str) -> Mutation {
    put_until(key, value, None)
}

fn delete(key: &str) -> Mutation {
    Mutation { key: key.into(), change: Change::Delete, precondition: Precondition::None }
}

async fn write(storage: &dyn Storage, mutation: Mutation) -> Outcome {
    storage.write(NS, vec![mutation], false, 1, Projection::Value).await.unwrap().remove(0).unwrap()
}

fn string(state: Option<State>) -> Option<String> {
    state.map(|state| String::from_utf8(state.value.unwrap()).unwrap())
}

async fn text(storage: &dyn Storage, key: &str, now: Timestamp) -> Option<String> {
    string(storage.get(NS, key, now, true).await.unwrap())
}

async fn version(storage: &dyn Storage, key: &str) -> Version {
    storage.get(NS, key, 1, false).await.unwrap().unwrap().version
}

fn some(text: &str) -> Option<String> {
    Some(text.into())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_callers_that_miss_together_read_once() {
    for value in [None, Some("v")] {
        let place = minute();
        if let Some(value) = value {
            write(&place.other, put("k", value)).await;
        }
        place.gated.reads.shut();
        let callers: Vec<_> = (0..1000)
            .map(|at| {
                let cache = place.cache.clone();
                tokio::spawn(async move {
                    // Some ask for many, some for the attributes alone.
                    match at % 3 {
                        0 => string(cache.get_many(NS, &["k".into()], 1, true).await.unwrap().remove(0).unwrap()),
                        _ => text(&*cache, "k", 1).await,
                    }
                })
            })
            .collect();
        while place.cache.stats().misses < 1000 {
            tokio::task::yield_now().await;
        }
        place.gated.reads.let_go();
        for caller in callers {
            assert_eq!(caller.await.unwrap().as_deref(), value);
        }
        assert_eq!(place.reads(), 1);
        assert_eq!(place.cache.stats().reads, 1);
        // And it is remembered, absence too.
        assert_eq!(text(&*place.cache, "k", 1).await.as_deref(), value);
        assert_eq!((place.reads(), place.cache.stats().hits), (0, 1));
        assert_eq!(place.cache.table.under_way(), 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_that_ask_for_many_share_their_keys() {
    let place = minute();
    place.gated.reads.shut();
    let keys = |from: usize| (from..from + 10).map(|at| format!("k{at}")).collect::<Vec<_>>();
    let call = |keys: Vec<String>| {
        let cache = place.cache.clone();
        tokio::spawn(async move { cache.get_many(NS, &keys, 1, true).await.unwrap().len() })
    };
    let first = call(keys(0));
    place.gated.reads.held(1).await;
    // Half of it is being read already.
    let second = call(keys(5));
    place.gated.reads.held(2).await;
    let third = call(keys(2));
    while place.cache.stats().misses < 30 {
        tokio::task::yield_now().await;
    }
    place.gated.reads.let_go();
    assert_eq!((first.await.unwrap(), second.await.unwrap(), third.await.unwrap()), (10, 10, 10));
    assert_eq!((place.reads(), place.cache.stats().reads), (2, 15));
}

#[tokio::test]
async fn an_entry_never_outlives_its_expiry() {
    let place = minute();
    write(&place.other, put_until("k", "v", Some(1000))).await;
    assert_eq!(text(&*place.cache, "k", 1).await, some("v"));
    assert_eq!(text(&*place.cache, "k", 999).await, some("v"));
    assert_eq!(place.reads(), 1);
    assert_eq!(text(&*place.cache, "k", 1000).await, None);
    assert_eq!(text(&*place.cache, "k", 1001).await, None);
    // The storage was asked once more, in case that somebody renewed it, and then absence is remembered.
    assert_eq!(place.reads(), 1);
    // By an earlier time that absence says nothing.
    assert_eq!(text(&*place.cache, "k", 999).await, some("v"));
    assert_eq!(place.reads(), 1);
    // Renewed elsewhere: seen when the old life ends.
    assert_eq!(text(&*place.cache, "k", 1).await, some("v"));
    write(&place.other, put_until("k", "w", Some(9000))).await;
    assert_eq!(text(&*place.cache, "k", 1000).await, some("w"));
}

#[tokio::test]
async fn what_was_removed_as_expired_stays_so_when_the_clock_is_set_back() {
    let place = minute();
    write(&place.other, put_until("k", "v", Some(1000))).await;
    assert_eq!(text(&*place.cache, "k", 1).await, some("v"));
    assert_eq!(place.cache.reclaim(None, 1000, 10).await.unwrap().count, 1);
    assert_eq!(text(&*place.cache, "k", 1).await, None);
}

#[tokio::test]
async fn own_writes_are_seen_at_once() {
    let place = minute();
    let amendment = Amendment {
        content_type: Some("a/b".into()),
        metadata: None,
        updated_at: 2,
        expires_at: Some(9),
        sliding_ms: None,
    };
    let amend = Mutation { key: "k".into(), change: Change::Amend(amendment), precondition: Precondition::None };
    let extend = Mutation { key: "k".into(), change: Change::Extend(99), precondition: Precondition::None };
    let mut seen = Vec::new();
    for mutation in [put("k", "a"), put("k", "b"), amend, extend, delete("k"), put("k", "c")] {
        let before = place.cache.get(NS, "k", 1, true).await.unwrap();
        assert_eq!(before.as_ref(), seen.last().and_then(Option::as_ref), "it is kept as it is");
        write(&*place.cache, mutation).await;
        let state = place.cache.get(NS, "k", 1, true).await.unwrap();
        assert_eq!(state, place.other.get(NS, "k", 1, true).await.unwrap());
        assert_ne!(Some(&state), seen.last());
        seen.push(state);
    }
    let both = vec![put("k", "d"), put("l", "e")];
    assert_eq!(text(&*place.cache, "l", 1).await, None);
    place.cache.write(NS, both, true, 1, Projection::Key).await.unwrap();
    assert_eq!((text(&*place.cache, "k", 1).await, text(&*place.cache, "l", 1).await), (some("d"), some("e")));
}

#[tokio::test]
async fn a_read_that_began_before_a_write_is_not_remembered_after_it() {
    let place = minute();
    write(&place.other, put("k", "old")).await;
    let held = place.held_read("k").await;
    write(&*place.cache, put("k", "new")).await;
    // Who comes now does not wait for the old answer either.
    let cache = place.cache.clone();
    let next = tokio::spawn(async move { text(&*cache, "k", 1).await });
    place.gated.reads.held(2).await;
    place.gated.reads.let_go();
    assert_eq!(held.await.unwrap(), some("old"), "it began before");
    assert_eq!(next.await.unwrap(), some("new"));
    assert_eq!(text(&*place.cache, "k", 1).await, some("new"));
    assert_eq!(place.cache.table.under_way(), 0);
}

#[tokio::test]
async fn a_read_during_a_write_is_not_remembered_after_it() {
    let place = minute();
    write(&place.other, put("k", "old")).await;
    // Read, and answered, while the write waits.
    let writing = place.held_write(&place.gated.before, put("k", "new")).await;
    assert_eq!(text(&*place.cache, "k", 1).await, some("old"));
    place.gated.before.let_go();
    writing.await.unwrap();
    assert_eq!(text(&*place.cache, "k", 1).await, some("new"));
    // Read while the write waits, and answered after it.
    let place = minute();
    write(&place.other, put("k", "old")).await;
    let writing = place.held_write(&place.gated.before, put("k", "new")).await;
    let held = place.held_read("k").await;
    place.gated.before.let_go();
    writing.await.unwrap();
    place.gated.reads.let_go();
    assert_eq!(held.await.unwrap(), some("old"));
    assert_eq!(text(&*place.cache, "k", 1).await, some("new"));
    assert_eq!(place.cache.table.under_way(), 0);
}

#[tokio::test]
async fn writes_that_fail_or_are_given_up_leave_nothing_old() {
    let place = minute();
    write(&place.other, put("k", "old")).await;
    assert_eq!(text(&*place.cache, "k", 1).await, some("old"));
    place.gated.lost.store(true, SeqCst);
    let lost = place.cache.write(NS, vec![put("k", "new")], false, 1, Projection::Key).await;
    assert_eq!(lost.unwrap_err().code(), "outcome-unknown");
    place.gated.lost.store(false, SeqCst);
    assert_eq!(text(&*place.cache, "k", 1).await, some("new"));
    // Applied, and dropped before it was answered; a read came between.
    let writing = place.held_write(&place.gated.after, delete("k")).await;
    writing.abort();
    assert!(writing.await.unwrap_err().is_cancelled());
    assert_eq!(text(&*place.cache, "k", 1).await, None);
    assert_eq!(place.cache.table.under_way(), 0);
}

#[tokio::test]
async fn the_storage_decides_on_guarded_writes_and_a_lost_one_refreshes() {
    let place = minute();
    write(&place.other, put("k", "old")).await;
    let stale = version(&*place.cache, "k").await;
    assert_eq!(text(&*place.cache, "k", 1).await, some("old"));
    write(&place.other, put("k", "new")).await;
    assert_eq!(text(&*place.cache, "k", 1).await, some("old"), "another process's write, not seen yet");
    let guarded = Mutation { precondition: Precondition::Version(stale.clone()), ..put("k", "x") };
    let Outcome::Conflict(state) = write(&*place.cache, guarded).await else { panic!("a lost race") };
    assert_eq!(string(state), some("new"));
    assert_eq!(text(&*place.cache, "k", 1).await, some("new"), "a retry starts from what is there");
    // A check that fails refreshes too; one that holds keeps what is there.
    let check =
        |version| Mutation { key: "k".into(), change: Change::Check, precondition: Precondition::Version(version) };
    assert_eq!(write(&*place.cache, check(version(&place.other, "k").await)).await, Outcome::Held);
    place.reads();
    assert_eq!(text(&*place.cache, "k", 1).await, some("new"));
    assert_eq!(place.reads(), 0);
    write(&place.other, put("k", "newer")).await;
    assert!(matches!(write(&*place.cache, check(stale)).await, Outcome::Conflict(_)));
    assert_eq!(text(&*place.cache, "k", 1).await, some("newer"));
}

/// The core reads before it decides: never is anything refused because of what is no longer there.
#[tokio::test]
async fn nothing_is_refused_on_account_of_an_old_answer() {
    let clock = || dataknobs_kv_conformance::HandClock::default();
    let place = minute();
    let near = Core::new(place.cache.clone() as Arc<dyn Storage>, clock());
    let far = Core::new(place.other.clone(), clock());
    let item = |key: &str, value: Value| dataknobs_kv_core::store::Item {
        key: key.into(),
        value,
        options: SetOptions::default(),
    };
    let value = |state: Option<State>| state.and_then(|state| state.decode().unwrap());
    // What the near one believes, and what is there.
    for key in ["swap", "count", "metadata", "expiry"] {
        assert_eq!(Store::get(&near, NS, key).await.unwrap(), None);
    }
    Store::set(&far, NS, item("swap", "one".into())).await.unwrap();
    let swapped = near.compare_and_swap(NS, "swap", Some("one".into()), "two".into(), SetOptions::default()).await;
    assert!(matches!(swapped, Ok(SwapResult::Swapped(_))), "{swapped:?}");
    assert_eq!(value(Store::get(&near, NS, "swap").await.unwrap()), Some("two".into()));
    Store::set(&far, NS, item("swap", "three".into())).await.unwrap();
    let Ok(SwapResult::Different(there)) =
        near.compare_and_swap(NS, "swap", Some("two".into()), "x".into(), SetOptions::default()).await
    else {
        panic!("three is not two")
    };
    assert_eq!(value(there), Some("three".into()));

    Store::set(&far, NS, item("count", "text".into())).await.unwrap();
    let mismatch = near.increment(NS, "count", Numeric::Integer(1), Expiry::Unspecified).await;
    assert_eq!(mismatch.unwrap_err().code(), "type-mismatch");
    assert_eq!(value(Store::get(&near, NS, "count").await.unwrap()), Some("text".into()));
    Store::set(&far, NS, item("count", Value::Integer(5))).await.unwrap();
    let counted = near.increment(NS, "count", Numeric::Integer(1), Expiry::Unspecified).await.unwrap();
    assert_eq!(counted.value, Numeric::Integer(6));

    Store::set(&far, NS, item("metadata", "m".into())).await.unwrap();
    let changed = near.update_metadata(NS, "metadata", r#"{"a":1}"#, Precondition::None).await.unwrap();
    assert!(matches!(changed, ChangeResult::Written(_)), "{changed:?}");
    Store::set(&far, NS, item("expiry", "e".into())).await.unwrap();
    let refused = near.set_expiry(NS, "expiry", Expiry::Never, Precondition::Absent).await.unwrap();
    assert!(matches!(refused, ChangeResult::Conflict(Some(_))), "{refused:?}");
    // Where it was there and no longer is.
    assert!(Store::get(&near, NS, "expiry").await.unwrap().is_some());
    Store::delete(&far, NS, "expiry", Precondition::None, Projection::Key).await.unwrap();
    let absent = near.set_expiry(NS, "expiry", Expiry::Never, Precondition::Absent).await.unwrap();
    assert_eq!(absent, ChangeResult::Absent);
    // Listings, also of keys by name and with values, go past it.
    Store::set(&far, NS, item("listed", "l".into())).await.unwrap();
    let query = dataknobs_kv_core::store::Query { pattern: "{listed,swap}".into(), metadata: None };
    let listed = near.list_entries(NS, &query, None, 10, Projection::Value).await.unwrap();
    assert_eq!(listed.entries.len(), 2);
}

#[tokio::test]
async fn an_emptied_namespace_is_empty() {
    let place = minute();
    write(&place.other, put("k", "v")).await;
    assert_eq!(text(&*place.cache, "k", 1).await, some("v"));
    place.cache.clear(NS, 10).await.unwrap();
    assert_eq!(text(&*place.cache, "k", 1).await, None);
    // Read before, answered after; read while it is emptied.
    write(&*place.cache, put("k", "v")).await;
    let held = place.held_read("k").await;
    place.cache.clear(NS, 10).await.unwrap();
    place.gated.reads.let_go();
    assert_eq!(held.await.unwrap(), some("v"));
    assert_eq!(text(&*place.cache, "k", 1).await, None);
    write(&*place.cache, put("k", "v")).await;
    place.gated.before.shut();
    let cache = place.cache.clone();
    let clearing = tokio::spawn(async move { cache.clear(NS, 10).await });
    place.gated.before.held(1).await;
    assert_eq!(text(&*place.cache, "k", 1).await, some("v"));
    place.gated.before.let_go();
    clearing.await.unwrap().unwrap();
    assert_eq!(text(&*place.cache, "k", 1).await, None);
}

#[tokio::test(start_paused = true)]
async fn what_others_write_is_seen_after_the_ttl() {
    let place = minute();
    let capabilities = place.cache.capabilities();
    assert_eq!(capabilities.extra, [("stale-reads-ms".to_owned(), "60000".to_owned())]);
    assert_eq!(text(&*place.cache, "k", 1).await, None);
    write(&place.other, put("k", "v")).await;
    tokio::time::advance(MINUTE - Duration::from_millis(1)).await;
    assert_eq!(text(&*place.cache, "k", 1).await, None);
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(text(&*place.cache, "k", 1).await, some("v"));
    // The age counts from the beginning of the read, however long it takes.
    tokio::time::advance(MINUTE).await;
    let held = place.held_read("k").await;
    write(&place.other, put("k", "w")).await;
    tokio::time::advance(MINUTE).await;
    let cache = place.cache.clone();
    let late = tokio::spawn(async move { text(&*cache, "k", 1).await });
    place.gated.reads.held(2).await;
    place.gated.reads.let_go();
    assert_eq!((held.await.unwrap(), late.await.unwrap()), (some("v"), some("w")));
    assert_eq!(text(&*place.cache, "k", 1).await, some("w"));
}

#[tokio::test]
async fn memory_is_bounded_by_entries_and_by_bytes() {
    let place = place(CacheConfig::default().entries(100));
    for at in 0..1000 {
        text(&*place.cache, &format!("k{at}"), 1).await;
    }
    assert!(place.cache.stats().entries <= 100, "{:?}", place.cache.stats());
    let large = "x".repeat(1 << 20);
    for at in 0..100 {
        let key = format!("large{at}");
        write(&place.other, put(&key, &large)).await;
        text(&*place.cache, &key, 1).await;
    }
    place.reads();
    for at in 0..100 {
        text(&*place.cache, &format!("large{at}"), 1).await;
    }
    // A MiB counts as 17: five of them are kept.
    assert!(place.reads() >= 95, "{:?}", place.cache.stats());
}

#[tokio::test]
async fn many_are_answered_in_order_and_in_parts() {
    let place = minute();
    let large = "x".repeat(5 << 20);
    for key in ["a", "b", "c"] {
        write(&place.other, put(key, &large)).await;
    }
    write(&place.other, put("s", "small")).await;
    let keys = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect::<Vec<_>>();
    let many = async |names: &[&str]| {
        let states = place.cache.get_many(NS, &keys(names), 1, true).await.unwrap();
        let lengths = states.into_iter().map(|state| string(state.unwrap()).map_or(0, |text| text.len()));
        lengths.collect::<Vec<_>>()
    };
    assert_eq!(many(&["s", "absent", "s", "a"]).await, [5, 0, 5, 5 << 20]);
    assert_eq!(place.reads(), 1);
    assert_eq!(many(&["absent", "a", "s"]).await, [0, 5 << 20, 5]);
    assert_eq!(place.reads(), 0);
    // Neither what is read nor what is kept makes an answer too large; each call gets on.
    assert_eq!(many(&["b", "c", "s"]).await, [5 << 20]);
    assert_eq!(many(&["c", "s"]).await, [5 << 20, 5]);
    assert_eq!(many(&["a", "b", "c"]).await, [5 << 20]);
    assert_eq!(many(&[]).await, [0_usize; 0]);
    // Without values it goes past the cache, and so is of the present.
    write(&place.other, delete("s")).await;
    assert_eq!(place.cache.get_many(NS, &keys(&["s"]), 1, false).await.unwrap(), [Ok(None)]);
}

#[tokio::test]
async fn attributes_alone_do_not_stand_for_a_value() {
    let place = minute();
    write(&place.other, put("k", "v")).await;
    assert!(place.cache.get(NS, "k", 1, false).await.unwrap().unwrap().value.is_none());
    assert_eq!(text(&*place.cache, "k", 1).await, some("v"));
    assert_eq!(place.reads(), 2);
    assert!(place.cache.get(NS, "k", 1, false).await.unwrap().unwrap().value.is_none());
    assert_eq!(place.reads(), 0);
}

#[tokio::test]
async fn who_gives_up_holds_nobody_up_and_leaves_nothing() {
    let place = minute();
    write(&place.other, put("k", "v")).await;
    let first = place.held_read("k").await;
    let cache = place.cache.clone();
    let second = tokio::spawn(async move { text(&*cache, "k", 1).await });
    while place.cache.stats().misses < 2 {
        tokio::task::yield_now().await;
    }
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());
    place.gated.reads.let_go();
    assert_eq!(second.await.unwrap(), some("v"));
    assert_eq!(place.reads(), 1);
    let third = place.held_read("l").await;
    third.abort();
    assert!(third.await.unwrap_err().is_cancelled());
    assert_eq!(place.cache.table.under_way(), 0);
    place.gated.reads.let_go();
    assert_eq!(text(&*place.cache, "l", 1).await, None);
}

#[tokio::test]
async fn errors_are_not_remembered() {
    use dataknobs_kv_conformance::wrap::Failing;
    let failing = Failing { storage: Arc::new(memory()), error: Error::Unavailable("away".into()) };
    let cache = Cached::new(Arc::new(failing), CacheConfig::default());
    for _ in 0..2 {
        assert_eq!(cache.get(NS, "k", 1, true).await.unwrap_err().code(), "unavailable");
        assert!(cache.get_many(NS, &["k".into(), "l".into()], 1, true).await.unwrap().iter().all(Result::is_err));
    }
    assert_eq!((cache.stats().hits, cache.stats().entries, cache.table.under_way()), (0, 0, 0));
}

/// One writer, many readers: what was acknowledged is seen by whoever asks afterwards.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn under_load_nobody_sees_the_past() {
    let place = minute();
    let acknowledged = Arc::new(AtomicU32::new(0));
    write(&*place.cache, put("k", "0")).await;
    let readers: Vec<_> = (0..8)
        .map(|_| {
            let (cache, acknowledged) = (place.cache.clone(), acknowledged.clone());
            tokio::spawn(async move {
                loop {
                    let least = acknowledged.load(SeqCst);
                    let seen: u32 = text(&*cache, "k", 1).await.unwrap().parse().unwrap();
                    assert!(seen >= least, "{seen} after {least}");
                    if least == 3000 {
                        return;
                    }
                    tokio::task::yield_now().await;
                }
            })
        })
        .collect();
    for value in 1..=3000 {
        write(&*place.cache, put("k", &value.to_string())).await;
        acknowledged.store(value, SeqCst);
        tokio::task::yield_now().await;
    }
    for reader in readers {
        reader.await.unwrap();
    }
}

#[test]
fn random_operations_against_the_model() {
    random_operations(&runtime(), 400, "", async || {
        native::harness(Arc::new(Cached::new(Arc::new(memory()), CacheConfig::default())))
    });
}
