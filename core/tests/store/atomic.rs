use std::sync::atomic::Ordering;

use dataknobs_kv_core::{
    Error, Precondition, Projection, Store, Value,
    store::{ChangeResult, Expiry, Item, Numeric, SetOptions, SetResult, SwapResult},
};

use crate::support::*;

#[test]
fn a_lost_race_goes_on_from_what_the_refusal_carried() {
    let storage = Awkward::new(10);
    let (store, _) = core(storage.clone());
    for text in ["b", "c", "d"] {
        storage.rival(move |inner| sneak(inner, "k", text));
    }
    storage.rival(|inner| sneak_delete(inner, "k"));
    let appended = run(store.append(NS, "k", "x".into(), Expiry::Unspecified)).unwrap();
    assert_eq!((value(&store, "k"), appended.size), (Some("x".into()), 1));
    assert_eq!(storage.waits.load(Ordering::SeqCst), 4);
    // One to begin with, and one to look at the end.
    assert_eq!(storage.reads.load(Ordering::SeqCst), 2);
}

#[test]
fn rivals_without_end_are_given_up_on() {
    let storage = Awkward::new(10);
    let (store, clock) = core(storage.clone());
    for _ in 0..1000 {
        let clock = clock.clone();
        storage.rival(move |inner| {
            clock.advance(100);
            sneak(inner, "k", "rival");
        });
    }
    let result = run(store.append(NS, "k", "x".into(), Expiry::Unspecified));
    assert_eq!(result, Err(Error::RateLimited(None)));
    assert_eq!(value(&store, "k"), Some("rival".into()));
    assert_eq!(storage.waits.load(Ordering::SeqCst), 99);
}

#[test]
fn a_creation_needs_one_call() {
    let storage = Awkward::new(10);
    let (store, _) = core(storage.clone());
    let swap = |new: &str, options| run(store.compare_and_swap(NS, "k", None, new.into(), options)).unwrap();
    assert!(matches!(swap("a", SetOptions::default()), SwapResult::Swapped(_)));
    assert_eq!(storage.reads.load(Ordering::SeqCst), 0);
    let SwapResult::Different(Some(there)) = swap("b", SetOptions::default()) else { panic!() };
    assert_eq!(there.value.as_deref(), Some(b"a".as_slice()));
    assert_eq!(storage.reads.load(Ordering::SeqCst), 0);
    // A version demanded of what is to be absent: never both, and what is there is still answered.
    let options = SetOptions { precondition: Precondition::Version(there.version), ..SetOptions::default() };
    assert!(matches!(swap("b", options), SwapResult::Different(Some(_))));
}

#[test]
fn a_swap_wants_its_precondition_too() {
    let (store, _) = core(memory());
    let version = put(&store, "k", "a");
    let swap = |precondition| {
        let options = SetOptions { precondition, ..SetOptions::default() };
        run(store.compare_and_swap(NS, "k", Some("a".into()), "a".into(), options)).unwrap()
    };
    assert!(matches!(swap(Precondition::Absent), SwapResult::Different(Some(_))));
    assert!(matches!(swap(Precondition::Version(version.clone())), SwapResult::Swapped(_)));
    assert!(matches!(swap(Precondition::Version(version)), SwapResult::Different(Some(_))));
}

#[test]
fn equal_is_by_meaning() {
    let (store, _) = core(memory());
    let swap = |there: Value, old: Value| {
        put(&store, "k", there);
        matches!(
            run(store.compare_and_swap(NS, "k", Some(old), 1.into(), SetOptions::default())).unwrap(),
            SwapResult::Swapped(_)
        )
    };
    let json = |text: &str| Value::Json(text.into());
    assert!(swap(json("{\"a\":1.0,\"b\":\"\\u0061\"}"), json(" {\"b\":\"a\",\"a\":1}")));
    assert!(!swap(json("[1,2]"), json("[2,1]")));
    assert!(swap(Value::Number(0.0), Value::Number(-0.0)));
    assert!(!swap(Value::Number(1.0), Value::Integer(1)));
    assert!(!swap("1".into(), Value::Integer(1)));
    assert!(!swap("1".into(), b"1".into()));
    let custom = |name: &str| Value::Custom { type_name: name.into(), bytes: vec![1] };
    assert!(swap(custom("x"), custom("x")) && !swap(custom("x"), custom("y")));
}

#[test]
fn counters() {
    let (store, _) = core(memory());
    let add = |key: &str, delta| run(store.increment(NS, key, delta, Expiry::Unspecified)).map(|counted| counted.value);
    let int = Numeric::Integer;
    let num = Numeric::Number;
    assert_eq!(add("i", int(2)), Ok(int(2)));
    assert_eq!(add("i", int(-3)), Ok(int(-1)));
    assert_eq!(add("i", num(0.5)), Ok(num(-0.5)));
    assert_eq!(add("i", int(1)), Ok(num(0.5)));
    put(&store, "max", i64::MAX);
    assert!(matches!(add("max", int(1)), Err(Error::Overflow(_))));
    assert_eq!(add("max", int(-1)), Ok(int(i64::MAX - 1)));
    put(&store, "huge", f64::MAX);
    assert!(matches!(add("huge", num(f64::MAX)), Err(Error::Overflow(_))));
    assert!(matches!(add("huge", num(f64::NAN)), Err(Error::InvalidArgument(_))));
    put(&store, "text", "1");
    assert!(matches!(add("text", int(1)), Err(Error::TypeMismatch(_))));
}

#[test]
fn appends() {
    let (store, _) = core(memory());
    let append = |key: &str, tail: Value| run(store.append(NS, key, tail, Expiry::Unspecified)).map(|done| done.size);
    let json = |text: &str| Value::Json(text.into());
    assert_eq!(append("t", "é".into()), Ok(2));
    assert_eq!(append("t", "x".into()), Ok(3));
    assert_eq!(value(&store, "t"), Some("éx".into()));
    assert!(matches!(append("t", b"x".into()), Err(Error::TypeMismatch(_))));
    assert!(matches!(append("t", json("[]")), Err(Error::TypeMismatch(_))));
    assert_eq!(append("j", json(" {\"a\":1} ")), Ok(11));
    for tail in ["s".into(), 1.into(), 1.5.into(), true.into(), ().into(), json("[2]")] {
        append("j", tail).unwrap();
    }
    assert_eq!(value(&store, "j"), Some(json("[ {\"a\":1},\"s\",1,1.5,true,null,[2] ]")));
    assert!(matches!(append("j", b"x".into()), Err(Error::TypeMismatch(_))));
    put(&store, "o", json("{}"));
    assert!(matches!(append("o", 1.into()), Err(Error::TypeMismatch(_))));
    let custom = Value::Custom { type_name: "c".into(), bytes: vec![1] };
    assert!(matches!(append("c", custom), Err(Error::TypeMismatch(_))));
    put(&store, "full", vec![0; 16 << 20]);
    assert!(matches!(append("full", vec![1].into()), Err(Error::TooLarge(_))));
    assert!(matches!(
        append("deep", json(&format!("{}{}", "[".repeat(128), "]".repeat(128)))),
        Err(Error::InvalidArgument(_))
    ));
}

#[test]
fn what_is_not_named_is_kept() {
    let (store, clock) = core(memory());
    let options = SetOptions {
        expiry: Expiry::After(100),
        content_type: Some("text/x".into()),
        metadata: Some("{\"a\":1}".into()),
        ..SetOptions::default()
    };
    put_item(&store, Item { key: "k".into(), value: "a".into(), options });
    let first = run(store.describe(NS, "k")).unwrap().unwrap().attributes;
    clock.advance(10);
    run(store.append(NS, "k", "b".into(), Expiry::Unspecified)).unwrap();
    let second = run(store.get(NS, "k")).unwrap().unwrap().attributes;
    assert_eq!(second.updated_at, first.updated_at + 10);
    let but = |attributes: &dataknobs_kv_core::Attributes| {
        let mut attributes = attributes.clone();
        (attributes.updated_at, attributes.size, attributes.checksum) = (0, 0, 0);
        attributes
    };
    assert_eq!(but(&second), but(&first));
    run(store.append(NS, "k", "c".into(), Expiry::Never)).unwrap();
    assert_eq!(run(store.describe(NS, "k")).unwrap().unwrap().attributes.expires_at, None);
}

#[test]
fn metadata_changes_over_rivals() {
    let storage = Awkward::new(10);
    let (store, _) = core(storage.clone());
    let version = put(&store, "k", "a");
    storage.rival(|inner| sneak(inner, "k", "rival"));
    let changed = run(store.update_metadata(NS, "k", "{\"a\":1}", Precondition::None)).unwrap();
    assert!(matches!(changed, ChangeResult::Written(_)));
    assert_eq!(value(&store, "k"), Some("rival".into()));
    let refused = run(store.replace_metadata(NS, "k", "{}", Precondition::Version(version.clone()))).unwrap();
    assert!(
        matches!(refused, ChangeResult::Conflict(Some(state)) if state.version != version && state.value.is_none())
    );
    storage.rival(|inner| sneak_delete(inner, "k"));
    assert_eq!(run(store.set_expiry(NS, "k", Expiry::Never, Precondition::None)), Ok(ChangeResult::Absent));
    assert_eq!(
        run(store.set_expiry(NS, "k", Expiry::Never, Precondition::Version(version))),
        Ok(ChangeResult::Conflict(None))
    );
    assert_eq!(run(store.set_expiry(NS, "k", Expiry::Never, Precondition::Absent)), Ok(ChangeResult::Absent));
}

#[test]
fn a_set_that_keeps_the_expiry_keeps_that_of_a_rival() {
    let storage = Awkward::new(10);
    let (store, clock) = core(storage.clone());
    put(&store, "k", "a");
    let hand = clock.clone();
    storage.rival(move |inner| {
        let rival = dataknobs_kv_core::Core::new(inner.clone(), hand.clone());
        let options = SetOptions { expiry: Expiry::After(50), ..SetOptions::default() };
        put_item(&rival, Item { key: "k".into(), value: "r".into(), options });
    });
    let keep = |precondition, on_conflict| SetOptions {
        expiry: Expiry::Keep,
        precondition,
        on_conflict,
        ..SetOptions::default()
    };
    put_item(&store, Item { key: "k".into(), value: "b".into(), options: keep(Precondition::None, Projection::Key) });
    let state = run(store.get(NS, "k")).unwrap().unwrap();
    assert_eq!(state.attributes.expires_at, Some(1_000_050));
    let refused = Item { key: "k".into(), value: "c".into(), options: keep(Precondition::Absent, Projection::Value) };
    let SetResult::Conflict(Some(there)) = run(store.set(NS, refused)).unwrap() else { panic!() };
    assert_eq!(there.value.as_deref(), Some(b"b".as_slice()));
}
