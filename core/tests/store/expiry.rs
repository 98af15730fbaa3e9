use std::sync::atomic::Ordering;

use dataknobs_kv_core::{
    Error, MAX_TIMESTAMP, Precondition, Store,
    store::{ChangeResult, Expiry, Item, SetOptions},
};

use crate::support::*;

const START: u64 = 1_000_000;

fn expiring(key: &str, expiry: Expiry) -> Item {
    Item { key: key.into(), value: "v".into(), options: SetOptions { expiry, ..SetOptions::default() } }
}

fn expires_at(store: &impl Store, key: &str) -> Option<u64> {
    run(store.describe(NS, key)).unwrap().unwrap().attributes.expires_at
}

#[test]
fn which_expiry_counts() {
    let storage = Awkward { ttls: vec![(NS.into(), 70)], ..Awkward::new(10) };
    let (store, _) = core(storage);
    let set = |expiry, metadata: Option<&str>| {
        let options = SetOptions { expiry, metadata: metadata.map(Into::into), ..SetOptions::default() };
        run(store.set(NS, Item { key: "k".into(), value: "v".into(), options })).map(|_| expires_at(&store, "k"))
    };
    assert_eq!(set(Expiry::Unspecified, None), Ok(Some(START + 70)));
    assert_eq!(set(Expiry::Unspecified, Some("{\"ttl\":0.005}")), Ok(Some(START + 5)));
    assert_eq!(set(Expiry::Keep, Some("{\"ttl\":1}")), Ok(Some(START + 5)));
    assert_eq!(set(Expiry::Never, Some("{\"ttl\":1}")), Ok(None));
    assert_eq!(set(Expiry::Keep, None), Ok(None));
    assert_eq!(set(Expiry::At(START + 1), None), Ok(Some(START + 1)));
    assert_eq!(set(Expiry::At(MAX_TIMESTAMP), None), Ok(Some(MAX_TIMESTAMP)));
    // What is said plainly wins over a hint that means nothing.
    assert_eq!(set(Expiry::Never, Some("{\"ttl\":-1}")), Ok(None));
    for (expiry, metadata) in [
        (Expiry::After(0), None),
        (Expiry::Sliding(0), None),
        (Expiry::At(START), None),
        (Expiry::At(0), None),
        (Expiry::At(MAX_TIMESTAMP + 1), None),
        (Expiry::After(u64::MAX), None),
        (Expiry::Sliding(MAX_TIMESTAMP), None),
        (Expiry::Unspecified, Some("{\"ttl\":-1}")),
        (Expiry::Unspecified, Some("{\"ttl\":0}")),
    ] {
        let refused = set(expiry, metadata);
        assert!(matches!(refused, Err(Error::InvalidArgument(_))), "{expiry:?} {metadata:?}: {refused:?}");
    }
    // A new counter in a namespace with a default expires too.
    run(store.append(NS, "new", "x".into(), Expiry::Unspecified)).unwrap();
    assert_eq!(expires_at(&store, "new"), Some(START + 70));
}

#[test]
fn a_read_starts_a_sliding_expiry_anew() {
    let storage = Awkward::new(10);
    let (store, clock) = core(storage.clone());
    let version = put_item(&store, expiring("k", Expiry::Sliding(80)));
    clock.advance(9);
    let writes = storage.writes.load(Ordering::SeqCst);
    assert_eq!(run(store.get(NS, "k")).unwrap().unwrap().attributes.expires_at, Some(START + 80));
    assert_eq!(storage.writes.load(Ordering::SeqCst), writes, "less than an eighth has passed");
    clock.advance(1);
    assert!(run(store.describe(NS, "k")).is_ok());
    assert_eq!(expires_at(&store, "k"), Some(START + 80));
    let state = run(store.get(NS, "k")).unwrap().unwrap();
    assert_eq!((state.attributes.expires_at, &state.version), (Some(START + 90), &version));
    assert_eq!(expires_at(&store, "k"), Some(START + 90));
    clock.advance(50);
    let states = run(store.get_many(NS, &["k".into(), "no".into(), "k".into()], true)).unwrap();
    assert_eq!(states[0].as_ref().unwrap().as_ref().unwrap().attributes.expires_at, Some(START + 140));
    assert_eq!(states[0], states[2]);
    assert_eq!(expires_at(&store, "k"), Some(START + 140));
    clock.advance(80);
    assert_eq!(run(store.get(NS, "k")), Ok(None));
}

#[test]
fn a_lost_race_does_not_fail_the_read() {
    let storage = Awkward::new(10);
    let (store, clock) = core(storage.clone());
    put_item(&store, expiring("k", Expiry::Sliding(80)));
    clock.advance(40);
    storage.rival(|inner| sneak(inner, "k", "rival"));
    let state = run(store.get(NS, "k")).unwrap().unwrap();
    assert_eq!((state.value.as_deref(), state.attributes.expires_at), (Some(b"v".as_slice()), Some(START + 80)));
    assert_eq!(expires_at(&store, "k"), None, "the rival's entry is left alone");
}

#[test]
fn without_sliding_it_is_refused() {
    let storage = Awkward { sliding: false, ..Awkward::new(10) };
    let (store, _) = core(storage);
    assert!(matches!(run(store.set(NS, expiring("k", Expiry::Sliding(80)))), Err(Error::Unsupported(_))));
    put(&store, "k", "v");
    let refused = run(store.set_expiry(NS, "k", Expiry::Sliding(80), Precondition::None));
    assert!(matches!(refused, Err(Error::Unsupported(_))));
}

#[test]
fn touch_and_persist() {
    let (store, clock) = core(memory());
    let before = put_item(&store, expiring("k", Expiry::Sliding(80)));
    let set = |expiry| {
        let changed = run(store.set_expiry(NS, "k", expiry, Precondition::None)).unwrap();
        let state = run(store.describe(NS, "k")).unwrap().unwrap();
        assert_eq!(changed, ChangeResult::Written(state.version));
        (state.attributes.expires_at, state.attributes.sliding_ms)
    };
    clock.advance(5);
    assert_eq!(set(Expiry::Keep), (Some(START + 85), Some(80)));
    assert_eq!(set(Expiry::After(10)), (Some(START + 15), None));
    assert_eq!(set(Expiry::Keep), (Some(START + 15), None));
    assert_eq!(set(Expiry::Never), (None, None));
    assert!(run(store.set_expiry(NS, "k", Expiry::Unspecified, Precondition::None)).is_err());
    assert_ne!(run(store.describe(NS, "k")).unwrap().unwrap().version, before);
    assert_eq!(run(store.set_expiry(NS, "no", Expiry::Never, Precondition::None)), Ok(ChangeResult::Absent));
}
