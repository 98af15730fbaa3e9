//! All or nothing.

use dataknobs_kv_core::store::{Action, Check, Expiry, Failure, Item, SetOptions, TransactionResult};
use dataknobs_kv_core::{Precondition, Result, Value, Version};

use crate::Harness;
use crate::harness::{expiring, item, refused, with_metadata};

cases! {
    "transact";
    applies_all: [X1, X2] [Transact, Atomic];
    answers_versions: [X2, C1] [Transact, Atomic];
    a_failed_check_applies_none: [X1, X3] [Transact, Atomic];
    a_failed_precondition_applies_none: [X1, X3] [Transact, Atomic];
    says_what_stood_in_the_way: [X3] [Transact, Atomic];
    deletes_of_nothing_are_fine: [X2] [Transact, Atomic];
    checks_change_nothing: [X4, C1] [Transact, Atomic];
    checks_alone: [X4, X2] [Transact, Atomic];
    checks_of_absence: [X4] [Transact, Atomic];
    nothing_at_all: [X2] [Transact, Atomic];
    keys_come_once: [X5, E4] [Transact, Atomic];
    checked_and_acted_on: [X5] [Transact, Atomic];
    checked_and_deleted: [X5] [Transact, Atomic];
    both_demands_count: [X5] [Transact, Atomic];
    one_bad_part_refuses_all: [X6, E4] [Transact, Atomic];
    with_options: [X1, M9, T4] [Transact, Atomic];
    of_a_thousand_parts: [X1, Z1] [Transact, Atomic];
    of_too_many_parts: [X6, Z1, E4] [Transact, Atomic];
    creates_anew: [X1, T7] [Transact, Atomic];
    refused_where_it_cannot_be: [X6, S2, E4] [Transact, NotAtomic];
}

fn check(key: &str, precondition: Precondition) -> Check {
    Check { key: key.into(), precondition }
}

fn set(key: &str, value: impl Into<Value>) -> Action {
    Action::Set(item(key, value))
}

fn set_if(key: &str, value: impl Into<Value>, precondition: Precondition) -> Action {
    let options = SetOptions { precondition, ..SetOptions::default() };
    Action::Set(Item { key: key.into(), value: value.into(), options })
}

fn delete(key: &str) -> Action {
    Action::Delete(key.into())
}

async fn transact(h: &Harness, checks: Vec<Check>, actions: Vec<Action>) -> Result<TransactionResult> {
    h.store.transact(&h.namespace, checks, actions).await
}

#[track_caller]
fn committed(result: Result<TransactionResult>) -> Vec<Option<Version>> {
    match result {
        Ok(TransactionResult::Committed(versions)) => versions,
        other => panic!("expected it to be committed, got {other:?}"),
    }
}

#[track_caller]
fn failed(result: Result<TransactionResult>) -> Failure {
    match result {
        Ok(TransactionResult::Failed(failure)) => failure,
        other => panic!("expected it to fail, got {other:?}"),
    }
}

async fn applies_all(h: Harness) {
    h.put_keys(&["from", "gone"]).await;
    committed(transact(&h, vec![], vec![set("from", 1), delete("gone"), set("to", 2)]).await);
    assert_eq!(h.keys("**").await, ["from", "to"]);
    h.expect("from", 1).await;
    h.expect("to", 2).await;
}

async fn answers_versions(h: Harness) {
    let before = h.put("b", 0).await;
    let versions = committed(transact(&h, vec![], vec![set("a", 1), delete("x"), set("b", 2)]).await);
    assert_eq!(versions.len(), 3);
    assert_eq!(versions[0], Some(h.entry("a").await.version));
    assert_eq!(versions[1], None);
    assert_eq!(versions[2], Some(h.entry("b").await.version));
    assert_ne!(versions[2], Some(before));
    assert_ne!(versions[0], versions[2]);
}

async fn a_failed_check_applies_none(h: Harness) {
    let stale = h.put("checked", 1).await;
    let current = h.put("checked", 2).await;
    h.put_keys(&["a", "b"]).await;
    let states = (h.entry("a").await, h.entry("b").await);
    h.clock.advance(5);
    let checks = vec![check("checked", Precondition::Version(stale))];
    let failure = failed(transact(&h, checks, vec![set("a", 9), delete("b"), set("new", 9)]).await);
    assert_eq!((failure.in_checks, failure.index), (true, 0));
    let state = failure.current.expect("it is there");
    assert_eq!((state.version, state.value), (current, None));
    assert_eq!((h.entry("a").await, h.entry("b").await), states);
    h.expect_absent("new").await;
}

async fn a_failed_precondition_applies_none(h: Harness) {
    h.put_keys(&["a", "b"]).await;
    let states = (h.entry("a").await, h.entry("b").await);
    let actions = vec![set("new", 1), delete("a"), set_if("b", 2, Precondition::Absent), set("later", 1)];
    let failure = failed(transact(&h, vec![], actions).await);
    assert_eq!((failure.in_checks, failure.index), (false, 2));
    assert_eq!(failure.current.map(|state| state.version), Some(states.1.version.clone()));
    assert_eq!((h.entry("a").await, h.entry("b").await), states);
    assert_eq!(h.keys("**").await, ["a", "b"]);
}

async fn says_what_stood_in_the_way(h: Harness) {
    let version = h.put("there", 1).await;
    let holds = || Precondition::Version(version.clone());
    let stale = || Precondition::Version(Version::from_random(1));
    for (checks, actions, in_checks, index, present) in [
        (vec![check("there", Precondition::Absent)], vec![set("a", 1)], true, 0, true),
        (vec![check("nothing", Precondition::Absent), check("there", stale())], vec![set("a", 1)], true, 1, true),
        (vec![check("there", holds()), check("nothing", stale())], vec![set("a", 1)], true, 1, false),
        (vec![check("there", holds())], vec![set("a", 1), set_if("nothing", 1, stale())], false, 1, false),
        (vec![], vec![set_if("there", 1, Precondition::Absent)], false, 0, true),
    ] {
        let failure = failed(transact(&h, checks, actions).await);
        assert_eq!((failure.in_checks, failure.index, failure.current.is_some()), (in_checks, index, present));
        assert!(failure.current.is_none_or(|state| state.value.is_none() && state.version == version));
    }
    assert_eq!(h.keys("**").await, ["there"]);
}

async fn deletes_of_nothing_are_fine(h: Harness) {
    let versions = committed(transact(&h, vec![], vec![delete("x"), set("a", 1), delete("y")]).await);
    assert_eq!(versions.iter().map(Option::is_some).collect::<Vec<_>>(), [false, true, false]);
    h.expect("a", 1).await;
}

async fn checks_change_nothing(h: Harness) {
    h.put("checked", 1).await;
    let before = h.entry("checked").await;
    h.clock.advance(5);
    committed(
        transact(&h, vec![check("checked", Precondition::Version(before.version.clone()))], vec![set("a", 1)]).await,
    );
    assert_eq!(h.entry("checked").await, before);
    committed(transact(&h, vec![check("nothing", Precondition::Absent)], vec![set("a", 1)]).await);
    h.expect_absent("nothing").await;
    assert_eq!(h.keys("**").await, ["a", "checked"]);
}

async fn checks_alone(h: Harness) {
    let version = h.put("a", 1).await;
    let checks = || vec![check("a", Precondition::Version(version.clone())), check("b", Precondition::Absent)];
    assert_eq!(committed(transact(&h, checks(), vec![]).await), []);
    h.put("b", 1).await;
    let failure = failed(transact(&h, checks(), vec![]).await);
    assert_eq!((failure.in_checks, failure.index), (true, 1));
}

async fn checks_of_absence(h: Harness) {
    let guarded = || vec![check("lock", Precondition::Absent)];
    committed(transact(&h, guarded(), vec![set("lock", "mine")]).await);
    let failure = failed(transact(&h, guarded(), vec![set("lock", "theirs")]).await);
    assert!(failure.current.is_some());
    h.expect("lock", "mine").await;
    h.delete("lock").await;
    committed(transact(&h, guarded(), vec![set("lock", "theirs")]).await);
}

async fn nothing_at_all(h: Harness) {
    assert_eq!(committed(transact(&h, vec![], vec![]).await), []);
}

async fn keys_come_once(h: Harness) {
    h.put("a", "old").await;
    let none = || Precondition::None;
    refused(transact(&h, vec![], vec![set("a", 1), set("a", 2)]).await, "invalid-argument");
    refused(transact(&h, vec![], vec![set("a", 1), delete("a")]).await, "invalid-argument");
    refused(transact(&h, vec![check("a", none()), check("a", none())], vec![]).await, "invalid-argument");
    h.expect("a", "old").await;
}

async fn checked_and_acted_on(h: Harness) {
    let version = h.put("a", 1).await;
    let holds = || vec![check("a", Precondition::Version(version.clone()))];
    committed(transact(&h, holds(), vec![set("a", 2), set("b", 2)]).await);
    h.expect("a", 2).await;
    let failure = failed(transact(&h, holds(), vec![set("b", 3), set("a", 3)]).await);
    assert!(failure.current.is_some());
    h.expect("a", 2).await;
    h.expect("b", 2).await;
}

async fn checked_and_deleted(h: Harness) {
    let version = h.put("a", 1).await;
    let holds = || vec![check("a", Precondition::Version(version.clone()))];
    assert_eq!(committed(transact(&h, holds(), vec![delete("a")]).await), [None]);
    h.expect_absent("a").await;
    failed(transact(&h, holds(), vec![delete("a"), set("b", 1)]).await);
    h.expect_absent("b").await;
    committed(transact(&h, vec![check("a", Precondition::Absent)], vec![delete("a"), set("b", 1)]).await);
    h.expect("b", 1).await;
}

async fn both_demands_count(h: Harness) {
    let version = h.put("a", 1).await;
    let holds = || Precondition::Version(version.clone());
    let stale = || Precondition::Version(Version::from_random(3));
    failed(transact(&h, vec![check("a", holds())], vec![set_if("a", 2, stale())]).await);
    failed(transact(&h, vec![check("a", stale())], vec![set_if("a", 2, holds())]).await);
    failed(transact(&h, vec![check("a", Precondition::Absent)], vec![set_if("a", 2, holds())]).await);
    failed(transact(&h, vec![check("a", holds())], vec![set_if("a", 2, Precondition::Absent)]).await);
    failed(transact(&h, vec![check("b", Precondition::Absent)], vec![set_if("b", 2, holds())]).await);
    h.expect("a", 1).await;
    h.expect_absent("b").await;
    committed(transact(&h, vec![check("a", holds())], vec![set_if("a", 2, holds())]).await);
    committed(transact(&h, vec![check("b", Precondition::Absent)], vec![set_if("b", 2, Precondition::Absent)]).await);
}

async fn one_bad_part_refuses_all(h: Harness) {
    let bad_items = [
        item("bad", Value::Json("{".into())),
        Item { key: "bad".into(), value: 1.into(), options: with_metadata("[]") },
        Item { key: "bad".into(), value: 1.into(), options: expiring(Expiry::At(1)) },
        item("x..y", 1),
    ];
    for bad in bad_items {
        refused(transact(&h, vec![], vec![set("a", 1), Action::Set(bad), set("b", 1)]).await, "invalid-argument");
    }
    assert!(h.keys("**").await.is_empty());
}

async fn with_options(h: Harness) {
    let now = h.clock.now();
    let actions = vec![
        Action::Set(Item { key: "a".into(), value: 1.into(), options: expiring(Expiry::After(10)) }),
        Action::Set(Item { key: "b".into(), value: 1.into(), options: with_metadata("{\"ttl\":2,\"m\":1}") }),
        set("c", 1),
    ];
    committed(transact(&h, vec![], actions).await);
    for (key, expires_at) in [("a", Some(now + 10)), ("b", Some(now + 2000)), ("c", None)] {
        assert_eq!(h.entry(key).await.attributes.expires_at, expires_at, "{key}");
    }
    assert_eq!(h.entry("b").await.attributes.metadata.as_deref(), Some("{\"m\":1,\"ttl\":2}"));
}

async fn of_a_thousand_parts(h: Harness) {
    let actions = |value: i64| (0..1000).map(|at| set(&format!("k.{at:04}"), value)).collect::<Vec<_>>();
    assert_eq!(committed(transact(&h, vec![], actions(1)).await).len(), 1000);
    let mut with_a_stale_one = actions(2);
    with_a_stale_one[999] = set_if("k.0999", 2, Precondition::Absent);
    let failure = failed(transact(&h, vec![], with_a_stale_one).await);
    assert_eq!((failure.in_checks, failure.index), (false, 999));
    h.expect("k.0000", 1).await;
    h.expect("k.0999", 1).await;
}

async fn of_too_many_parts(h: Harness) {
    let actions: Vec<Action> = (0..1001).map(|at| set(&format!("k.{at:04}"), 1)).collect();
    let checks: Vec<Check> = (0..1001).map(|at| check(&format!("k.{at:04}"), Precondition::Absent)).collect();
    for result in [transact(&h, vec![], actions).await, transact(&h, checks, vec![set("a", 1)]).await] {
        refused(result, "too-large");
    }
    assert!(h.keys("**").await.is_empty());
}

async fn creates_anew(h: Harness) {
    let start = h.clock.now();
    h.put("living", 1).await;
    h.store
        .set(&h.namespace, Item { key: "expired".into(), value: 1.into(), options: expiring(Expiry::After(5)) })
        .await
        .unwrap();
    h.clock.advance(10);
    committed(transact(&h, vec![], vec![set("living", 2), set("expired", 2)]).await);
    assert_eq!(h.entry("living").await.attributes.created_at, start);
    assert_eq!(h.entry("expired").await.attributes.created_at, start + 10);
}

async fn refused_where_it_cannot_be(h: Harness) {
    h.put("a", "old").await;
    refused(transact(&h, vec![], vec![set("a", 1), set("b", 1)]).await, "unsupported");
    refused(transact(&h, vec![check("c", Precondition::Absent)], vec![set("a", 1)]).await, "unsupported");
    h.expect("a", "old").await;
    h.expect_absent("b").await;
}
