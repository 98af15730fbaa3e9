use std::sync::atomic::Ordering;

use dataknobs_kv_core::{
    Error, Precondition, Projection, Store, Value,
    store::{DeleteResult, Expiry, Item, SetOptions, SetResult},
};

use crate::support::*;

fn with(key: &str, value: impl Into<Value>, options: SetOptions) -> Item {
    Item { key: key.into(), value: value.into(), options }
}

#[test]
fn each_item_stands_for_itself() {
    let storage = Awkward::new(2);
    let (store, _) = core(storage.clone());
    put_item(&store, with("kept", "old", SetOptions { expiry: Expiry::After(70), ..SetOptions::default() }));
    put(&store, "there", "old");
    let keep = SetOptions { expiry: Expiry::Keep, ..SetOptions::default() };
    let absent = |on_conflict| SetOptions { precondition: Precondition::Absent, on_conflict, ..SetOptions::default() };
    storage.writes.store(0, Ordering::SeqCst);
    let results = run(store.set_many(
        NS,
        vec![
            item("a", "1"),
            item("b..", "bad"),
            with("kept", "new", keep.clone()),
            item("nan", f64::NAN),
            with("there", "new", absent(Projection::Value)),
            with("kept.too", "new", keep.clone()),
            item("large", vec![0; (16 << 20) + 1]),
            with("fresh", "new", keep),
        ],
    ))
    .unwrap();
    assert!(matches!(results[0], Ok(SetResult::Written(_))));
    assert!(matches!(results[1], Err(Error::InvalidArgument(_))));
    assert!(matches!(results[2], Ok(SetResult::Written(_))));
    assert!(matches!(results[3], Err(Error::InvalidArgument(_))));
    assert!(matches!(&results[4], Ok(SetResult::Conflict(Some(state))) if state.value.as_deref() == Some(b"old")));
    assert!(matches!(results[5], Ok(SetResult::Written(_))));
    assert!(matches!(results[6], Err(Error::TooLarge(_))));
    assert!(matches!(results[7], Ok(SetResult::Written(_))));
    assert_eq!(storage.writes.load(Ordering::SeqCst), 1, "in one write");
    let kept = run(store.get(NS, "kept")).unwrap().unwrap();
    assert_eq!((kept.value.as_deref(), kept.attributes.expires_at), (Some(b"new".as_slice()), Some(1_000_070)));
    let keys = ["a", "b..", "no"].map(String::from);
    let read = run(store.get_many(NS, &keys, true)).unwrap();
    assert!(matches!(read[0], Ok(Some(_))) && matches!(read[1], Err(Error::InvalidArgument(_))) && read[2] == Ok(None));
    let deleted = run(store.delete_many(NS, &keys)).unwrap();
    assert!(matches!(deleted[0], Ok(DeleteResult::Deleted)) && deleted[1].is_err());
    assert!(matches!(deleted[2], Ok(DeleteResult::Absent)));
}

#[test]
fn a_rival_of_a_kept_expiry_is_no_conflict() {
    let storage = Awkward::new(10);
    let (store, _) = core(storage.clone());
    storage.rival(|inner| sneak(inner, "k", "rival"));
    let keep = SetOptions { expiry: Expiry::Keep, ..SetOptions::default() };
    let results = run(store.set_many(NS, vec![with("k", "mine", keep), item("other", "1")])).unwrap();
    assert!(results.iter().all(|result| matches!(result, Ok(SetResult::Written(_)))), "{results:?}");
    assert_eq!(value(&store, "k"), Some("mine".into()));
}

#[test]
fn a_call_as_a_whole() {
    let (store, _) = core(memory());
    assert_eq!(run(store.set_many(NS, Vec::new())), Ok(Vec::new()));
    assert_eq!(run(store.get_many(NS, &[], true)), Ok(Vec::new()));
    assert_eq!(run(store.delete_many(NS, &[])), Ok(Vec::new()));
    let twice = run(store.set_many(NS, vec![item("a", "1"), item("a", "2")]));
    assert!(matches!(twice, Err(Error::InvalidArgument(_))));
    assert!(matches!(run(store.delete_many(NS, &["a".into(), "a".into()])), Err(Error::InvalidArgument(_))));
    assert_eq!(value(&store, "a"), None);
    let many: Vec<String> = (0..1001).map(|index| format!("k{index}")).collect();
    assert!(matches!(run(store.get_many(NS, &many, true)), Err(Error::TooLarge(_))));
    assert!(matches!(run(store.delete_many(NS, &many)), Err(Error::TooLarge(_))));
    let many = many.iter().map(|key| item(key, 1)).collect();
    assert!(matches!(run(store.set_many(NS, many)), Err(Error::TooLarge(_))));
}

#[test]
fn conflicts_carry_no_more_than_an_answer_may_hold() {
    let (store, _) = core(memory());
    for key in ["a", "b", "c", "d"] {
        put(&store, key, vec![1; 3 << 20]);
    }
    let absent =
        SetOptions { precondition: Precondition::Absent, on_conflict: Projection::Value, ..SetOptions::default() };
    let items = ["a", "b", "c", "d"].map(|key| with(key, "new", absent.clone())).into();
    let results = run(store.set_many(NS, items)).unwrap();
    let carried: Vec<bool> = results
        .into_iter()
        .map(|result| match result {
            Ok(SetResult::Conflict(Some(state))) => state.value.is_some(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(carried, [true, true, false, false]);
}
