//! Versions, preconditions and compare-and-swap.

use std::collections::HashSet;

use dataknobs_kv_core::store::{DeleteResult, Expiry, SetOptions, SetResult};
use dataknobs_kv_core::{Precondition, Projection, Value, Version};

use crate::Harness;
use crate::harness::{
    assert_json, assert_value, changed, conflict, different, expiring, only_if, refused, swapped, with_metadata,
    written,
};

cases! {
    "versions";
    every_write_changes_it: [C1];
    reading_leaves_it: [C1];
    equal_writes_change_it: [C1, C2];
    not_again_after_delete: [C2, D14];
    not_again_when_a_value_returns: [C2, D14];
    not_again_under_another_key: [C2, D14];
    not_again_after_expiry: [C2, T7];
    their_form: [C4];
    set_if_absent: [C5, C6];
    set_if_version: [C5, C6];
    delete_if_version: [C5, C6];
    delete_if_absent: [C5, C6] [ChangeGuards];
    an_unknown_version_never_wins: [C5, E3];
    a_conflict_carries_as_much_as_asked: [C6] [Conflicts];
    a_conflict_with_nothing: [C6];
    a_lost_race_changes_nothing: [C6, M7];
    a_stale_version_never_wins_again: [C2, C5];
    swap_of_text: [C7];
    swap_from_nothing: [C7];
    swap_to_the_same: [C7, C1];
    swap_compares_types: [C7] [AllTypes, JsonScalars];
    swap_of_every_type: [C7] [AllTypes];
    swap_of_numbers: [C7];
    swap_of_json_by_meaning: [C7];
    swap_of_json_that_differs: [C7];
    swap_shows_what_is_there: [C7, C6] [Conflicts];
    swap_with_options: [C8] [ChangeGuards];
    swap_with_a_precondition: [C8] [ChangeGuards];
    swap_refuses_bad_values: [C7, V5, E4];
    survives_opening_again: [S3, C2, T1] [Reopen, Durable];
}

async fn every_write_changes_it(h: Harness) {
    let mut seen = HashSet::new();
    let mut fresh = async |version: Version| {
        assert_eq!(h.entry("k").await.version, version, "the version that was answered is the one there");
        assert!(seen.insert(version), "a version came twice");
    };
    fresh(h.put("k", 1).await).await;
    fresh(h.put("k", 2).await).await;
    fresh(h.increment("k", 1).await.unwrap().version).await;
    fresh(changed(h.update_metadata("k", "{\"a\":1}").await)).await;
    fresh(changed(h.set_expiry("k", Expiry::After(1000)).await)).await;
    fresh(swapped(h.swap("k", Some(Value::Integer(3)), "x").await)).await;
    fresh(h.store.append(&h.namespace, "k", "y".into(), Expiry::Unspecified).await.unwrap().version).await;
}

async fn reading_leaves_it(h: Harness) {
    let version = h.put("k", 1).await;
    for _ in 0..3 {
        assert_eq!(h.entry("k").await.version, version);
        assert_eq!(h.describe("k").await.expect("there").version, version);
        h.keys("**").await;
    }
    h.clock.advance(1_000_000);
    assert_eq!(h.entry("k").await.version, version);
}

async fn equal_writes_change_it(h: Harness) {
    let mut seen = HashSet::new();
    for _ in 0..h.many(50, 5) {
        assert!(seen.insert(h.put("k", "same").await));
    }
    for _ in 0..h.many(10, 3) {
        assert!(seen.insert(h.increment("zero", 0).await.unwrap().version));
    }
}

async fn not_again_after_delete(h: Harness) {
    let mut seen = HashSet::new();
    for _ in 0..h.many(30, 4) {
        assert!(seen.insert(h.put("k", "same").await), "a version came again");
        assert_eq!(h.delete("k").await, DeleteResult::Deleted);
    }
    h.put("k", "same").await;
    for version in seen.into_iter().take(5) {
        conflict(h.set("k", "new", only_if(Precondition::Version(version))).await);
    }
    h.expect("k", "same").await;
}

async fn not_again_when_a_value_returns(h: Harness) {
    let first = h.put("k", "A").await;
    h.put("k", "B").await;
    let third = h.put("k", "A").await;
    assert_ne!(first, third);
    conflict(h.set("k", "C", only_if(Precondition::Version(first))).await);
    h.expect("k", "A").await;
    written(h.set("k", "C", only_if(Precondition::Version(third))).await);
}

async fn not_again_under_another_key(h: Harness) {
    let here = h.put("a", "same").await;
    let there = h.put("b", "same").await;
    assert_ne!(here, there);
    conflict(h.set("b", "new", only_if(Precondition::Version(here))).await);
}

async fn not_again_after_expiry(h: Harness) {
    let first = written(h.set("k", "same", expiring(Expiry::After(10))).await);
    h.clock.advance(10);
    let second = written(h.set("k", "same", expiring(Expiry::After(10))).await);
    assert_ne!(first, second);
    conflict(h.set("k", "new", only_if(Precondition::Version(first))).await);
}

async fn their_form(h: Harness) {
    for at in 0..h.many(20, 3) {
        let version = h.put("k", at as i64).await;
        assert!(Version::new(version.as_str()).is_ok(), "{version}");
    }
    for bad in ["", " ", "a b", "a\"", "a\\", "\u{e9}", "\n", &"x".repeat(65)] {
        refused(Version::new(bad), "invalid-argument");
    }
}

async fn set_if_absent(h: Harness) {
    let first = written(h.set("k", 1, only_if(Precondition::Absent)).await);
    conflict(h.set("k", 2, only_if(Precondition::Absent)).await);
    h.expect("k", 1).await;
    assert_eq!(h.entry("k").await.version, first);
    h.delete("k").await;
    written(h.set("k", 3, only_if(Precondition::Absent)).await);
    h.expect("k", 3).await;
}

async fn set_if_version(h: Harness) {
    let first = h.put("k", 1).await;
    let second = written(h.set("k", 2, only_if(Precondition::Version(first.clone()))).await);
    conflict(h.set("k", 3, only_if(Precondition::Version(first))).await);
    h.expect("k", 2).await;
    h.delete("k").await;
    assert_eq!(conflict(h.set("k", 3, only_if(Precondition::Version(second))).await), None);
    h.expect_absent("k").await;
}

async fn delete_if_version(h: Harness) {
    let first = h.put("k", 1).await;
    let second = h.put("k", 2).await;
    let delete = async |version: &Version| {
        h.store.delete(&h.namespace, "k", Precondition::Version(version.clone()), Projection::Attributes).await
    };
    assert!(matches!(delete(&first).await, Ok(DeleteResult::Conflict(_))));
    h.expect("k", 2).await;
    assert_eq!(delete(&second).await, Ok(DeleteResult::Deleted));
    h.expect_absent("k").await;
    let again = delete(&second).await;
    assert!(matches!(again, Ok(DeleteResult::Conflict(None) | DeleteResult::Absent)), "{again:?}");
}

async fn delete_if_absent(h: Harness) {
    let delete = async || h.store.delete(&h.namespace, "k", Precondition::Absent, Projection::Key).await;
    assert_eq!(delete().await, Ok(DeleteResult::Absent));
    h.put("k", 1).await;
    assert!(matches!(delete().await, Ok(DeleteResult::Conflict(_))));
    h.expect("k", 1).await;
}

async fn an_unknown_version_never_wins(h: Harness) {
    h.put("k", 1).await;
    for text in ["0", "1", "x", "*", "W/1", "null", "-1", &"f".repeat(32), &"~".repeat(64), "'", "<>", "a,b"] {
        let stale = only_if(Precondition::Version(Version::new(text).unwrap()));
        conflict(h.set("k", 2, stale.clone()).await);
        conflict(h.set("nothing", 2, stale).await);
    }
    h.expect("k", 1).await;
    h.expect_absent("nothing").await;
}

async fn a_conflict_carries_as_much_as_asked(h: Harness) {
    let version = written(h.set("k", "there", with_metadata("{\"m\":1}")).await);
    let stale = Precondition::Version(Version::from_random(7));
    for precondition in [Precondition::Absent, stale.clone()] {
        let set = async |on_conflict| {
            let options = SetOptions { precondition: precondition.clone(), on_conflict, ..SetOptions::default() };
            conflict(h.set("k", "new", options).await)
        };
        assert_eq!(set(Projection::Key).await, None);
        let attributes = set(Projection::Attributes).await.expect("a state");
        assert_eq!((&attributes.version, &attributes.value), (&version, &None));
        assert_eq!(attributes.attributes.metadata.as_deref(), Some("{\"m\":1}"));
        let full = set(Projection::Value).await.expect("a state");
        assert_eq!(full.version, version);
        assert_value(full.into_value().unwrap().as_ref(), &Value::from("there"), "in the conflict");
    }
    for on_conflict in [Projection::Key, Projection::Attributes, Projection::Value] {
        match h.store.delete(&h.namespace, "k", stale.clone(), on_conflict).await {
            Ok(DeleteResult::Conflict(state)) => {
                assert_eq!(state.is_some(), on_conflict != Projection::Key);
                assert_eq!(state.is_some_and(|state| state.value.is_some()), on_conflict == Projection::Value);
            }
            other => panic!("expected a conflict, got {other:?}"),
        }
    }
}

async fn a_conflict_with_nothing(h: Harness) {
    let version = h.put("k", 1).await;
    h.delete("k").await;
    for on_conflict in [Projection::Key, Projection::Attributes, Projection::Value] {
        let options =
            SetOptions { precondition: Precondition::Version(version.clone()), on_conflict, ..SetOptions::default() };
        assert_eq!(conflict(h.set("k", 2, options).await), None);
    }
}

async fn a_lost_race_changes_nothing(h: Harness) {
    written(h.set("k", "there", SetOptions { expiry: Expiry::After(1000), ..with_metadata("{\"m\":1}") }).await);
    let before = h.entry("k").await;
    h.clock.advance(10);
    let options = SetOptions { precondition: Precondition::Absent, ..with_metadata("{\"other\":1}") };
    assert!(matches!(h.set("k", "new", options).await, Ok(SetResult::Conflict(_))));
    different(h.swap("k", None, "new").await);
    different(h.swap("k", Some("else".into()), "new").await);
    assert_eq!(h.entry("k").await, before);
}

async fn a_stale_version_never_wins_again(h: Harness) {
    let mut stale = Vec::new();
    for at in 0..h.many(20, 4) {
        stale.push(h.put("k", at as i64 % 2).await);
    }
    let current = stale.pop().unwrap();
    for version in stale {
        conflict(h.set("k", 9, only_if(Precondition::Version(version))).await);
    }
    written(h.set("k", 9, only_if(Precondition::Version(current))).await);
}

async fn swap_of_text(h: Harness) {
    h.put("version", "1.0.0").await;
    let version = swapped(h.swap("version", Some("1.0.0".into()), "1.1.0").await);
    assert_eq!(h.entry("version").await.version, version);
    different(h.swap("version", Some("1.0.0".into()), "1.2.0").await);
    h.expect("version", "1.1.0").await;
    for near in ["1.1.0 ", " 1.1.0", "1.1.", "1.1.00", "1.1.0\u{200b}", ""] {
        different(h.swap("version", Some(near.into()), "x").await);
    }
}

async fn swap_from_nothing(h: Harness) {
    assert_eq!(different(h.swap("k", Some("x".into()), "y").await), None);
    h.expect_absent("k").await;
    swapped(h.swap("k", None, "y").await);
    h.expect("k", "y").await;
    different(h.swap("k", None, "z").await);
    different(h.swap("k", Some(Value::Null), "z").await);
    h.put("null", Value::Null).await;
    different(h.swap("null", None, 1).await);
    swapped(h.swap("null", Some(Value::Null), 1).await);
}

async fn swap_to_the_same(h: Harness) {
    let first = h.put("k", "x").await;
    let second = swapped(h.swap("k", Some("x".into()), "x").await);
    assert_ne!(first, second);
}

fn custom(type_name: &str, bytes: &[u8]) -> Value {
    Value::Custom { type_name: type_name.into(), bytes: bytes.into() }
}

async fn swap_compares_types(h: Harness) {
    let ones = [
        Value::from("1"),
        Value::from(b"1"),
        Value::Integer(1),
        Value::Number(1.0),
        Value::Json("1".into()),
        custom("x", b"1"),
        custom("y", b"1"),
        Value::Boolean(true),
    ];
    for (at, there) in ones.iter().enumerate() {
        h.put("k", there.clone()).await;
        for (other, old) in ones.iter().enumerate() {
            if at != other {
                different(h.swap("k", Some(old.clone()), "swapped").await);
            }
        }
        swapped(h.swap("k", Some(there.clone()), "swapped").await);
    }
}

async fn swap_of_every_type(h: Harness) {
    for (old, near) in [
        (Value::from(""), Value::from(" ")),
        (Value::from(b"\xff\x01"), Value::from(b"\xff")),
        (Value::Integer(i64::MIN), Value::Integer(i64::MIN + 1)),
        (Value::Number(0.1), Value::Number(0.1 + f64::EPSILON)),
        (Value::Boolean(false), Value::Boolean(true)),
        (Value::Null, Value::from("")),
        (Value::Json("[1]".into()), Value::Json("[2]".into())),
        (custom("t", b"a"), custom("T", b"a")),
    ] {
        h.put("k", old.clone()).await;
        different(h.swap("k", Some(near), 1).await);
        swapped(h.swap("k", Some(old), 1).await);
    }
}

async fn swap_of_numbers(h: Harness) {
    h.put("k", 0.0).await;
    swapped(h.swap("k", Some((-0.0).into()), 100.0).await);
    swapped(h.swap("k", Some(1e2.into()), 9007199254740993.0).await);
    swapped(h.swap("k", Some(9007199254740992.0.into()), 1.5).await);
    h.put("integer", 9_007_199_254_740_993_i64).await;
    different(h.swap("integer", Some(9_007_199_254_740_992_i64.into()), 0).await);
    swapped(h.swap("integer", Some(9_007_199_254_740_993_i64.into()), 0).await);
}

fn json(text: &str) -> Value {
    Value::Json(text.into())
}

async fn swap_of_json_by_meaning(h: Harness) {
    for (there, old) in [
        ("{\"a\":1,\"b\":[true,null]}", " { \"b\" : [ true , null ] , \"a\" : 1 } "),
        ("[100]", "[1e2]"),
        ("[1.50]", "[15e-1]"),
        ("[0.1]", "[0.10]"),
        ("[\"\\u00e9\\/\"]", "[\"\u{e9}/\"]"),
        ("[\"\\ud83d\\ude00\"]", "[\"\u{1f600}\"]"),
        ("[12345678901234567890]", "[12345678901234567890.0]"),
        ("[0]", "[-0]"),
    ] {
        h.put("k", json(there)).await;
        swapped(h.swap("k", Some(json(old)), json("{\"new\" : 1}")).await);
        h.expect("k", json("{\"new\" : 1}")).await;
    }
}

async fn swap_of_json_that_differs(h: Harness) {
    for (there, old) in [
        ("[1,2]", "[2,1]"),
        ("[1]", "[\"1\"]"),
        ("{\"a\":1}", "{\"a\":1,\"b\":null}"),
        ("{\"a\":null}", "{}"),
        ("[12345678901234567890]", "[12345678901234567891]"),
        ("[0.1]", "[0.10000000000000000001]"),
        ("[\"\u{e9}\"]", "[\"e\\u0301\"]"),
        ("[1e400]", "[1e401]"),
        ("[false]", "[null]"),
        ("[]", "{}"),
    ] {
        h.put("k", json(there)).await;
        different(h.swap("k", Some(json(old)), 1).await);
        h.expect("k", json(there)).await;
    }
}

async fn swap_shows_what_is_there(h: Harness) {
    let version = written(h.set("k", "there", with_metadata("{\"m\":1}")).await);
    let state = different(h.swap("k", Some("else".into()), "new").await).expect("a state");
    assert_eq!(state.version, version);
    assert_eq!(state.attributes.metadata.as_deref(), Some("{\"m\":1}"));
    assert_value(state.into_value().unwrap().as_ref(), &Value::from("there"), "instead");
    assert_eq!(different(h.swap("nothing", Some("x".into()), "new").await), None);
}

async fn swap_with_options(h: Harness) {
    written(h.set("k", 1, SetOptions { expiry: Expiry::After(100), ..with_metadata("{\"old\":1}") }).await);
    let options = SetOptions {
        expiry: Expiry::After(50),
        content_type: Some("text/plain".into()),
        metadata: Some("{\"new\":1}".into()),
        ..SetOptions::default()
    };
    swapped(h.store.compare_and_swap(&h.namespace, "k", Some(1.into()), 2.into(), options).await);
    let attributes = h.entry("k").await.attributes;
    assert_eq!(attributes.expires_at, Some(h.clock.now() + 50));
    assert_eq!(attributes.content_type.as_deref(), Some("text/plain"));
    assert_json(attributes.metadata.as_deref(), "{\"new\":1}");
    swapped(h.store.compare_and_swap(&h.namespace, "k", Some(2.into()), 3.into(), expiring(Expiry::Keep)).await);
    let attributes = h.entry("k").await.attributes;
    assert_eq!((attributes.expires_at, attributes.metadata), (Some(h.clock.now() + 50), None), "as in a set");
}

async fn swap_with_a_precondition(h: Harness) {
    let first = h.put("k", 1).await;
    let second = h.put("k", 1).await;
    let swap = async |old: Option<Value>, precondition| {
        let options = SetOptions { precondition, ..SetOptions::default() };
        h.store.compare_and_swap(&h.namespace, "k", old, 2.into(), options).await
    };
    assert!(different(swap(Some(1.into()), Precondition::Version(first)).await).is_some());
    different(swap(Some(1.into()), Precondition::Absent).await);
    different(swap(Some(7.into()), Precondition::Version(second.clone())).await);
    h.expect("k", 1).await;
    swapped(swap(Some(1.into()), Precondition::Version(second.clone())).await);
    h.delete("k").await;
    different(swap(None, Precondition::Version(second)).await);
    swapped(swap(None, Precondition::Absent).await);
}

async fn swap_refuses_bad_values(h: Harness) {
    h.put("k", json("[1]")).await;
    refused(h.swap("k", Some(json("[1]")), json("[1")).await, "invalid-argument");
    refused(h.swap("k", Some(json("[1")), json("[1]")).await, "invalid-argument");
    h.expect("k", json("[1]")).await;
}

async fn survives_opening_again(h: Harness) {
    let options = SetOptions {
        expiry: Expiry::After(5000),
        content_type: Some("text/plain".into()),
        metadata: Some("{\"author\":\"Jo\"}".into()),
        ..SetOptions::default()
    };
    let stale = h.put("k", "before").await;
    written(h.set("k", "value", options).await);
    written(h.set("old", 1, expiring(Expiry::After(10))).await);
    h.put("gone", 1).await;
    h.delete("gone").await;
    let before = h.entry("k").await;
    let h = h.reopen().await;
    assert_eq!(h.entry("k").await, before);
    assert_eq!(h.keys("**").await, ["k", "old"]);
    h.expect_absent("gone").await;
    conflict(h.set("k", "new", only_if(Precondition::Version(stale))).await);
    h.clock.advance(10);
    h.expect_absent("old").await;
    let next = written(h.set("k", "new", only_if(Precondition::Version(before.version.clone()))).await);
    let h = h.reopen().await;
    assert_eq!(h.entry("k").await.version, next);
    assert_eq!(h.entry("k").await.attributes.created_at, before.attributes.created_at);
    assert_eq!(h.store.cleanup_expired(Some(&h.namespace), 100).await.unwrap().count, 1);
    h.clock.advance(5000);
    h.expect("k", "new").await;
}
