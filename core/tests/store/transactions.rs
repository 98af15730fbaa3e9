use std::sync::atomic::Ordering;

use dataknobs_kv_core::{
    Error, Precondition, Store, Version,
    store::{Action, Check, Expiry, Failure, Item, SetOptions, TransactionResult},
};

use crate::support::*;

fn check(key: &str, precondition: Precondition) -> Check {
    Check { key: key.into(), precondition }
}

fn set(key: &str, value: &str, precondition: Precondition) -> Action {
    let options = SetOptions { precondition, ..SetOptions::default() };
    Action::Set(Item { key: key.into(), value: value.into(), options })
}

fn delete(key: &str) -> Action {
    Action::Delete(key.into())
}

fn failed(result: Result<TransactionResult, Error>) -> (bool, u32, Option<Version>) {
    match result {
        Ok(TransactionResult::Failed(Failure { in_checks, index, current })) => {
            assert!(current.as_ref().is_none_or(|state| state.value.is_none()));
            (in_checks, index, current.map(|state| state.version))
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn all_or_nothing() {
    use Precondition::{Absent, None as Any, Version as Is};
    let (store, _) = core(memory());
    let a = put(&store, "a", "1");
    let z = put(&store, "z", "1");
    // Out of key order on purpose.
    let done = run(store.transact(
        NS,
        vec![check("z", Is(z.clone())), check("a", Is(a.clone()))],
        vec![set("n", "new", Absent), delete("a"), delete("no"), set("b", "new", Any)],
    ));
    let Ok(TransactionResult::Committed(versions)) = done else { panic!("{done:?}") };
    assert_eq!(versions.iter().map(Option::is_some).collect::<Vec<_>>(), [true, false, false, true]);
    assert_eq!(run(store.describe(NS, "n")).unwrap().unwrap().version, versions[0].clone().unwrap());
    assert_eq!((value(&store, "a"), value(&store, "b")), (None, Some("new".into())));
    assert_eq!(run(store.describe(NS, "z")).unwrap().unwrap().version, z, "a check changes nothing");

    let n = versions[0].clone();
    let result = run(store.transact(NS, vec![check("z", Any)], vec![set("b", "no", Any), set("n", "no", Absent)]));
    assert_eq!(failed(result), (false, 1, n));
    let result =
        run(store.transact(NS, vec![check("q", Absent), check("z", Is(a.clone()))], vec![set("b", "no", Any)]));
    assert_eq!(failed(result), (true, 1, Some(z.clone())));
    // Checks come before actions.
    let result = run(store.transact(NS, vec![check("z", Absent)], vec![set("n", "no", Absent)]));
    assert_eq!(failed(result), (true, 0, Some(z.clone())));
    assert_eq!(value(&store, "b"), Some("new".into()));
    assert_eq!(run(store.transact(NS, vec![], vec![])), Ok(TransactionResult::Committed(vec![])));
}

#[test]
fn a_key_may_be_checked_and_acted_on() {
    use Precondition::{Absent, None as Any, Version as Is};
    let (store, _) = core(memory());
    let a = put(&store, "a", "1");
    let run1 = |checked, own| run(store.transact(NS, vec![check("a", checked)], vec![set("a", "1", own)]));
    assert_eq!(failed(run1(Absent, Any)), (true, 0, Some(a.clone())));
    assert_eq!(failed(run1(Any, Absent)), (false, 0, Some(a.clone())));
    assert_eq!(failed(run1(Is(a.clone()), Absent)), (false, 0, Some(a.clone())));
    assert_eq!(failed(run1(Absent, Is(a.clone()))), (true, 0, Some(a.clone())));
    let other = put(&store, "b", "1");
    assert_eq!(failed(run1(Is(a.clone()), Is(other.clone()))), (false, 0, Some(a.clone())));
    assert_eq!(failed(run1(Is(other.clone()), Is(a.clone()))), (true, 0, Some(a.clone())));
    assert!(matches!(run1(Is(a.clone()), Is(a.clone())), Ok(TransactionResult::Committed(_))));
    assert!(failed(run1(Is(a.clone()), Any)).0);
    let result = run(store.transact(NS, vec![check("x", Absent)], vec![delete("x")]));
    assert_eq!(result, Ok(TransactionResult::Committed(vec![None])));
    assert!(failed(run(store.transact(NS, vec![check("a", Absent)], vec![delete("a")]))).0);
}

#[test]
fn what_is_refused() {
    use Precondition::None as Any;
    let storage = Awkward { max_atomic: 1, ..Awkward::new(10) };
    let (single, _) = core(storage.clone());
    let (store, _) = core(Awkward { max_atomic: 2, ..Awkward::new(10) });
    let one = || vec![set("a", "1", Any)];
    let two = || vec![set("a", "1", Any), delete("b")];
    assert!(matches!(run(single.transact(NS, vec![check("a", Any)], one())), Ok(TransactionResult::Committed(_))));
    assert!(matches!(run(single.transact(NS, vec![], two())), Err(Error::Unsupported(_))));
    assert!(matches!(run(store.transact(NS, vec![check("a", Any)], two())), Ok(TransactionResult::Committed(_))));
    assert!(matches!(run(store.transact(NS, vec![check("c", Any)], two())), Err(Error::TooLarge(_))));
    let twice = run(store.transact(NS, vec![], vec![delete("a"), set("a", "1", Any)]));
    assert!(matches!(twice, Err(Error::InvalidArgument(_))));
    let twice = run(store.transact(NS, vec![check("a", Any), check("a", Any)], vec![]));
    assert!(matches!(twice, Err(Error::InvalidArgument(_))));
    assert!(matches!(run(store.transact(NS, vec![], vec![delete("a..")])), Err(Error::InvalidArgument(_))));
    assert!(matches!(run(store.transact(NS, vec![check("", Any)], one())), Err(Error::InvalidArgument(_))));
    let many = (0..1001).map(|index| delete(&format!("k{index}"))).collect();
    assert!(matches!(run(store.transact(NS, vec![], many)), Err(Error::TooLarge(_))));
    assert_eq!(value(&store, "a"), Some("1".into()));
}

#[test]
fn kept_expiries_are_those_of_rivals() {
    let storage = Awkward::new(1);
    let (store, clock) = core(storage.clone());
    put(&store, "k", "a");
    put(&store, "l", "a");
    let hand = clock.clone();
    storage.rival(move |inner| {
        let rival = dataknobs_kv_core::Core::new(inner.clone(), hand.clone());
        let options = SetOptions { expiry: Expiry::After(50), ..SetOptions::default() };
        put_item(&rival, Item { key: "k".into(), value: "r".into(), options });
    });
    let keep = |key: &str, precondition| {
        let options = SetOptions { expiry: Expiry::Keep, precondition, ..SetOptions::default() };
        Action::Set(Item { key: key.into(), value: "b".into(), options })
    };
    let actions = vec![keep("k", Precondition::None), keep("l", Precondition::None), keep("m", Precondition::Absent)];
    let done = run(store.transact(NS, vec![], actions));
    assert!(matches!(done, Ok(TransactionResult::Committed(_))), "{done:?}");
    assert_eq!(storage.waits.load(Ordering::SeqCst), 1);
    assert_eq!(run(store.describe(NS, "k")).unwrap().unwrap().attributes.expires_at, Some(1_000_050));
    let refused = run(store.transact(NS, vec![], vec![delete("l"), keep("k", Precondition::Absent)]));
    assert_eq!(failed(refused).1, 1);
    assert_eq!(value(&store, "l"), Some("b".into()));
}
