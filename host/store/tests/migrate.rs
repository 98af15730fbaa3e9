//! Copying from one store to another.

use std::num::NonZeroU32;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use dataknobs_kv::{
    CheckpointFile, Config, Core, Counts, Entry, Error, Keeps, KvStore, ManualClock, MemoryStorage, MigrateEvent,
    MigrateOptions, MigrateReport, OnExisting, Result, Storage, Timestamp, Value, Verification, can_resume, json,
    migrate, plan_migration,
};
use dataknobs_kv_conformance::wrap::{AtWrites, Damaging, Limited};
use tokio::sync::watch;

const NOW: Timestamp = 1_900_000_000_000;

fn memory() -> Arc<dyn Storage> {
    let counter = AtomicU32::new(1);
    Arc::new(MemoryStorage::new(move || u128::from(counter.fetch_add(1, Ordering::Relaxed))))
}

async fn over(storage: Arc<dyn Storage>, clock: &Arc<ManualClock>) -> KvStore {
    KvStore::open_with(Config::from_storage(storage).clock(clock.clone())).await.unwrap()
}

async fn file(path: &Path, clock: &Arc<ManualClock>) -> KvStore {
    let url = format!("file:{}", path.display());
    KvStore::open_with(Config::from_url(&url).unwrap().clock(clock.clone())).await.unwrap()
}

/// Everything that a store keeps, but the versions.
async fn contents(store: &KvStore) -> Vec<(String, Entry)> {
    use futures::TryStreamExt;
    let mut all: Vec<(String, Entry)> = store.dump().try_collect().await.unwrap();
    for (_, entry) in &mut all {
        let state = entry.state.as_mut().unwrap();
        state.version = dataknobs_kv::Version::from_random(0);
    }
    all
}

/// Every type, metadata, content types, each kind of expiry, odd keys, two namespaces, and a history: most of them were
/// written twice.
async fn mixed(store: &KvStore, clock: &ManualClock) {
    let other = store.namespace("a/b.\u{e9}\u{1f600}").unwrap();
    let custom = Value::Custom { type_name: "point 2".into(), bytes: vec![0, 255] };
    let json = Value::Json(r#"{"b": 1,  "a":[1.0, 1e3]}"#.into());
    let values: [Value; 8] = [
        "é\u{0}\n".into(),
        Value::Bytes(vec![0, 1, 254, 255]),
        i64::MIN.into(),
        (-0.0).into(),
        true.into(),
        Value::Null,
        json,
        custom,
    ];
    for (index, value) in values.into_iter().enumerate() {
        let key = format!("types.{index}");
        store.set(&key, "first").await.unwrap();
        clock.advance(7);
        store.set(key, value).await.unwrap();
    }
    for key in ["a b", "a*", r"a\.b", r"a\\b", "A", "\u{ffff}", "\u{10000}", "{x,y}", "what?", "[!a]", "a/b//c"] {
        other.set(key, key).metadata(json!({"key": key, "n": [1, 2.5, null]})).await.unwrap();
    }
    store.set("short", 1).expires_at(NOW + 1_000_001).content_type("text/x-one").await.unwrap();
    store.set("far", 1).expires_at(253_402_300_799_999).await.unwrap();
    store.set("slides", "s").sliding(Duration::from_secs(600)).await.unwrap();
    clock.advance(400_000);
    assert!(store.get("slides").await.unwrap().is_some());
    // Metadata that a set would take a ttl and a content type from.
    store.set("told", "x").await.unwrap();
    store.set_metadata("told", json!({"ttl": 5, "content_type": "a/b"})).await.unwrap();
    store.set("empty", "").await.unwrap();
}

fn verified() -> MigrateOptions {
    MigrateOptions::default().verify(true)
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_arrives_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(NOW));
    let source = over(memory(), &clock).await;
    mixed(&source, &clock).await;
    clock.advance(10_000);
    let there = file(&folder.path().join("there.redb"), &clock).await;
    let report = migrate(&source, &there, verified()).await.unwrap();
    assert!(report.is_complete(), "{report:?}");
    assert_eq!((report.keeps, report.counts.copied), (Keeps::All, 24));
    let back = over(memory(), &clock).await;
    assert!(migrate(&there, &back, verified()).await.unwrap().is_complete());
    assert_eq!(contents(&back).await, contents(&source).await);
    let slides = back.describe("slides").await.unwrap().unwrap().attributes;
    assert_eq!((slides.sliding_ms, slides.expires_at), (Some(600_000), Some(NOW + 56 + 400_000 + 600_000)));
}

/// Through another store's calls: a service's client, or as here the core itself.
#[tokio::test(flavor = "multi_thread")]
async fn through_a_store_the_content_arrives() {
    let clock = Arc::new(ManualClock::new(NOW));
    let source = over(memory(), &clock).await;
    mixed(&source, &clock).await;
    clock.advance(10_000);
    let remote = || KvStore::over(Arc::new(Core::new(memory(), clock.clone())), "default").unwrap();
    let target = remote();
    let report = migrate(&source, &target, verified()).await.unwrap();
    assert!(report.is_complete(), "{report:?}");
    assert_eq!(report.keeps, Keeps::Content);
    let told = target.describe("told").await.unwrap().unwrap().attributes;
    assert_eq!((told.content_type, told.expires_at), (None, None), "metadata means nothing more than it did");
    assert_eq!(told.created_at, clock_now(&clock));
    // And a local store takes even the times from a remote one.
    let local = over(memory(), &clock).await;
    assert!(migrate(&target, &local, verified()).await.unwrap().is_complete());
    assert_eq!(contents(&local).await, contents(&target).await);
}

fn clock_now(clock: &ManualClock) -> Timestamp {
    dataknobs_kv::Clock::now(clock)
}

#[tokio::test(flavor = "multi_thread")]
async fn namespaces_and_keys_are_selected() {
    let clock = Arc::new(ManualClock::new(NOW));
    let source = over(memory(), &clock).await;
    for name in ["a", "b", "c"] {
        let space = source.namespace(name).unwrap();
        space.set_many([("x.1", name), ("x.2", name), ("y", name)]).await.unwrap().all().unwrap();
    }
    let target = over(memory(), &clock).await;
    let options = || MigrateOptions::default().namespaces(["c", "a", "c", "none"]).pattern("x.*").verify(true);
    target.namespace("a").unwrap().set_many([("x.0", "own"), ("z", "own")]).await.unwrap().all().unwrap();
    let report = migrate(&source, &target, options()).await.unwrap();
    assert!(report.is_complete());
    assert_eq!(report.counts, Counts { copied: 4, bytes: 4, ..Counts::default() });
    let found = Verification { same: 4, only_in_target: 1, ..Verification::default() };
    assert_eq!(report.verification, Some(found));
    let keys: Vec<_> = contents(&target).await.into_iter().map(|(name, entry)| name + " " + &entry.key).collect();
    assert_eq!(keys, ["a x.0", "a x.1", "a x.2", "a z", "c x.1", "c x.2"]);
    for options in [MigrateOptions::default().namespaces([""]), MigrateOptions::default().pattern("a[")] {
        assert_eq!(migrate(&source, &target, options).await.unwrap_err().code(), "invalid-argument");
    }
    let same = migrate(&source, &source.namespace("b").unwrap(), verified()).await.unwrap_err();
    assert_eq!(same.code(), "invalid-argument");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_target_has_already() {
    let clock = Arc::new(ManualClock::new(NOW));
    let source = over(memory(), &clock).await;
    source.set_many([("a", "new"), ("b", "new"), ("c", "same")]).await.unwrap().all().unwrap();
    clock.advance(1000);
    let target = over(memory(), &clock).await;
    target.set_many([("b", "old"), ("c", "same")]).await.unwrap().all().unwrap();

    let plan = |on| plan_migration(&source, Some(&target), MigrateOptions::default().on_existing(on));
    let skip = Counts { copied: 1, bytes: 3, same: 1, skipped: 1, ..Counts::default() };
    assert_eq!(plan(OnExisting::Skip).await.unwrap().counts, skip);
    assert_eq!(plan(OnExisting::Overwrite).await.unwrap().counts.copied, 3);
    let conflict = Some(("default".to_owned(), "b".to_owned()));
    assert_eq!(plan(OnExisting::Fail).await.unwrap().conflict, conflict);
    assert_eq!(target.keys("**").await.unwrap(), ["b", "c"], "a plan writes nothing");

    let report = migrate(&source, &target, verified().on_existing(OnExisting::Fail)).await.unwrap();
    assert_eq!((report.conflict.clone(), report.is_complete()), (conflict, false));
    assert_eq!(target.get("b").await.unwrap(), Some("old".into()));

    target.delete("a").await.unwrap();
    let report = migrate(&source, &target, verified().on_existing(OnExisting::Skip)).await.unwrap();
    assert_eq!(report.counts, skip);
    let found = report.verification.unwrap();
    assert_eq!((found.different, found.left), (1, 1), "the same value, written at another time");
    assert_eq!(target.get("b").await.unwrap(), Some("old".into()));

    let report = migrate(&source, &target, verified()).await.unwrap();
    assert!(report.is_complete(), "{report:?}");
    let b = target.entry("b").await.unwrap().unwrap();
    assert_eq!(b.clone().into_value().unwrap(), Some("new".into()));
    assert_eq!((b.attributes.created_at, b.attributes.updated_at), (NOW + 1000, NOW));
}

/// Without verification; what was seen of problems.
async fn reported(source: &KvStore, target: &KvStore, options: MigrateOptions) -> (MigrateReport, Vec<String>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let observer = {
        let seen = seen.clone();
        move |event: MigrateEvent<'_>| match event {
            MigrateEvent::Problem(problem) => {
                seen.lock().unwrap().push(format!("{} {}", problem.key, problem.error.code()));
            }
            MigrateEvent::Difference(difference) => {
                seen.lock().unwrap().push(format!("{} {}", difference.key, difference.what.join(" ")));
            }
            _ => {}
        }
    };
    let report = migrate(source, target, options.observer(observer)).await.unwrap();
    let seen = seen.lock().unwrap().clone();
    (report, seen)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_copied_is_reported_and_the_rest_goes_on() {
    let clock = Arc::new(ManualClock::new(NOW));
    let raw = memory();
    let good = over(raw.clone(), &clock).await;
    for index in 0..2500 {
        let key = if index % 997 == 5 { format!("k{index:04}.damaged") } else { format!("k{index:04}") };
        good.set(key, index).await.unwrap();
    }
    let source = over(Arc::new(Damaging { storage: raw }), &clock).await;
    let target = over(memory(), &clock).await;
    let (report, seen) = reported(&source, &target, verified()).await;
    let damaged = ["k0005.damaged", "k1002.damaged", "k1999.damaged"];
    let expected = damaged.map(|key| format!("{key} corrupt")).into_iter();
    let expected: Vec<_> = expected.chain(damaged.map(|key| format!("{key} damaged in the source"))).collect();
    assert_eq!(seen, expected);
    assert_eq!((report.counts.copied, report.counts.failed), (2497, 3));
    assert!(!report.is_complete());
    assert_eq!(report.verification.unwrap().same, 2497);

    // What the target has no room or no word for.
    let source = over(memory(), &clock).await;
    source.set("big", Value::Bytes(vec![7; (4 << 20) + 1])).await.unwrap();
    source.set("fits", Value::Bytes(vec![7; 4 << 20])).await.unwrap();
    source.set("slides", 1).sliding(Duration::from_secs(60)).await.unwrap();
    let target = || async { over(Arc::new(Limited { storage: memory() }), &clock).await };
    let (report, seen) = reported(&source, &target().await, MigrateOptions::default()).await;
    assert_eq!(seen, ["big too-large", "slides unsupported"]);
    assert_eq!((report.counts.copied, report.counts.failed), (1, 2));
    let target = target().await;
    let planned = plan_migration(&source, Some(&target), MigrateOptions::default()).await.unwrap();
    assert_eq!((planned.counts.copied, planned.counts.failed), (1, 2));
    let (report, seen) = reported(&source, &target, verified().fix_sliding(true)).await;
    assert_eq!((seen, report.counts.copied), (vec!["big too-large".to_owned(), "big missing".to_owned()], 2));
    let slides = target.describe("slides").await.unwrap().unwrap().attributes;
    assert_eq!((slides.sliding_ms, slides.expires_at), (None, Some(NOW + 60_000)));
}

fn at_writes(storage: Arc<dyn Storage>, act: impl Fn(u32) -> Result<()> + Send + Sync + 'static) -> Arc<dyn Storage> {
    Arc::new(AtWrites::new(storage, act))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_expires_on_the_way_is_no_difference() {
    let clock = Arc::new(ManualClock::new(NOW));
    let source = over(memory(), &clock).await;
    for index in 0..1500 {
        source.set(format!("k{index:04}"), 1).expires_at(NOW + 1 + index % 2 * 1000).await.unwrap();
    }
    // The clock moves when the first page has been read and is written.
    let moving = clock.clone();
    let target = at_writes(memory(), move |count| {
        if count == 0 {
            moving.set(NOW + 1);
        }
        Ok(())
    });
    let report = migrate(&source, &over(target, &clock).await, verified()).await.unwrap();
    assert!(report.is_complete(), "{report:?}");
    assert!((750..1500).contains(&report.counts.copied), "{report:?}");
    assert_eq!(report.verification.unwrap().same, 750);
}

#[tokio::test(start_paused = true)]
async fn what_passes_is_tried_again() {
    let clock = Arc::new(ManualClock::new(NOW));
    let source = over(memory(), &clock).await;
    source.set_many((0..100).map(|i| (format!("k{i}"), i))).await.unwrap().all().unwrap();
    let errors = [
        Error::Unavailable("x".into()),
        Error::OutcomeUnknown("x".into()),
        Error::RateLimited(Some(Box::new(3))),
        Error::RateLimited(None),
    ];
    let target =
        at_writes(memory(), move |count| errors.get(count as usize).map_or(Ok(()), |error| Err(error.clone())));
    let target = over(target, &clock).await;
    let report = migrate(&source, &target, verified().on_existing(OnExisting::Fail)).await.unwrap();
    assert!(report.is_complete() && report.counts.copied == 100, "{report:?}");

    let never = over(at_writes(memory(), |_| Err(Error::Unavailable("gone".into()))), &clock).await;
    let began = tokio::time::Instant::now();
    let error =
        migrate(&source, &never, MigrateOptions::default().retry_for(Duration::from_secs(30))).await.unwrap_err();
    assert_eq!(error.code(), "unavailable");
    assert!((20..=30).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
    let denied = over(at_writes(memory(), |_| Err(Error::AccessDenied("no".into()))), &clock).await;
    assert_eq!(migrate(&source, &denied, verified()).await.unwrap_err().code(), "access-denied");
}

#[tokio::test(start_paused = true)]
async fn a_rate_is_kept() {
    let clock = Arc::new(ManualClock::new(NOW));
    let source = over(memory(), &clock).await;
    source.set_many((0..100).map(|i| (format!("k{i}"), i))).await.unwrap().all().unwrap();
    let began = tokio::time::Instant::now();
    let options = MigrateOptions::default().rate(NonZeroU32::new(10).unwrap());
    assert!(migrate(&source, &over(memory(), &clock).await, options).await.unwrap().is_complete());
    assert!((9..=10).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_run_goes_on_from_its_checkpoint() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(NOW));
    let source = over(memory(), &clock).await;
    for name in ["a", "b"] {
        let items = (0..10_000).map(|i| (format!("k{i:05}"), i));
        source.namespace(name).unwrap().set_many(items).await.unwrap().all().unwrap();
    }
    let path = folder.path().join("target.redb");
    let target = file(&path, &clock).await;
    let checkpoint = CheckpointFile {
        path: folder.path().join("checkpoint.json"),
        source: "memory:".into(),
        target: "file:target.redb".into(),
    };
    let options = || verified().on_existing(OnExisting::Fail).checkpoint(checkpoint.clone());
    let (sender, stop) = watch::channel(false);
    // Told to stop somewhere in the second namespace.
    let observer = move |event: MigrateEvent<'_>| {
        if matches!(event, MigrateEvent::Copied(counts) if counts.copied >= 13_000) {
            sender.send_replace(true);
        }
    };
    let report = migrate(&source, &target, options().observer(observer).stop(stop)).await.unwrap();
    assert!(report.interrupted && !report.is_complete(), "{report:?}");
    let came = report.counts.copied;
    assert!((13_000..20_000).contains(&came), "{came}");
    let text = std::fs::read_to_string(&checkpoint.path).unwrap();
    assert!(text.contains(r#""namespace": "b""#), "{text}");

    for other in [
        verified(),
        options().pattern("k*"),
        options().namespaces(["b"]),
        options().on_existing(OnExisting::Skip),
        options().fix_sliding(true),
    ] {
        let other = other.checkpoint(checkpoint.clone());
        let error = migrate(&source, &target, other).await.unwrap_err();
        assert!(matches!(&error, Error::InvalidArgument(text) if text.contains("another migration")), "{error}");
    }
    let elsewhere = CheckpointFile { target: "file:other.redb".into(), ..checkpoint.clone() };
    assert!(migrate(&source, &target, options().checkpoint(elsewhere)).await.is_err());

    // Entries that were copied are not looked at again; what was under way may be written twice.
    source.namespace("a").unwrap().set("k00000", "changed meanwhile").await.unwrap();
    let resumed = Arc::new(Mutex::new(None));
    let observer = {
        let resumed = resumed.clone();
        move |event: MigrateEvent<'_>| {
            if let MigrateEvent::Resumed { counts, .. } = event {
                *resumed.lock().unwrap() = Some(counts.copied);
            }
        }
    };
    let report = migrate(&source, &target, options().observer(observer)).await.unwrap();
    assert_eq!(*resumed.lock().unwrap(), Some(came));
    assert_eq!((report.counts.total(), report.interrupted), (20_000, false));
    let found = report.verification.unwrap();
    assert_eq!((found.same, found.different), (19_999, 1), "the change is seen by the comparison");
    assert!(!checkpoint.path.exists());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside the target");

    std::fs::write(&checkpoint.path, "{}").unwrap();
    let error = migrate(&source, &target, options()).await.unwrap_err();
    assert!(error.to_string().contains("something else"), "{error}");
    assert!(checkpoint.path.exists(), "what is not ours is left");
    let error = migrate(&source, &over(memory(), &clock).await, options()).await.unwrap_err();
    assert_eq!(error.code(), "unsupported", "memory does not outlive the process");
    assert!(can_resume(&target).await.unwrap());
    drop(target);
    let relaxed = KvStore::open(&format!("file:{}?durability=relaxed", path.display())).await.unwrap();
    assert!(!can_resume(&relaxed).await.unwrap());
}
