//! All or nothing.

use super::{all, amend, attributes, plain, put, put_if, put_until, put_version, read};
use crate::Harness;
use crate::harness::refused;
use dataknobs_kv_core::storage::{Change, Mutation, Outcome};
use dataknobs_kv_core::{Precondition, Projection, Version};

cases! {
    "storage";
    atomic_writes_apply_all: [D6, X1] [Raw, Atomic];
    atomic_writes_apply_none: [D6, X1] [Raw, Atomic];
    atomic_amend_of_nothing_fails: [D6] [Raw, Atomic];
    atomic_delete_of_nothing_does_not: [D6] [Raw, Atomic];
    atomic_of_too_many_is_refused: [D6, S2] [Raw];
}

async fn atomic_writes_apply_all(h: Harness) {
    let version = put_version(&h, put(&h, "amended", b"v")).await;
    put_version(&h, put(&h, "gone", b"v")).await;
    let outcomes = h
        .write(
            vec![
                put(&h, "z", b"1"),
                Mutation { key: "amended".into(), change: amend(&h), precondition: Precondition::Version(version) },
                plain("gone", Change::Delete),
                plain("nothing", Change::Delete),
                Mutation { key: "lock".into(), change: Change::Check, precondition: Precondition::Absent },
                put(&h, "a", b"2"),
            ],
            true,
        )
        .await;
    let outcomes: Vec<Outcome> = outcomes.into_iter().map(|outcome| outcome.expect("an outcome")).collect();
    assert!(matches!(outcomes[0], Outcome::Written(_)) && matches!(outcomes[1], Outcome::Written(_)));
    assert_eq!(outcomes[2..5], [Outcome::Deleted, Outcome::Absent, Outcome::Held]);
    assert!(matches!(outcomes[5], Outcome::Written(_)));
    assert_eq!(all(&h).await, ["a", "amended", "z"]);
    assert_eq!(read(&h, "amended").await.expect("there").value, Some(b"v".to_vec()));
}

/// None was applied, and these were in the way.
async fn none_applied(h: &Harness, mutations: Vec<Mutation>, in_the_way: &[usize]) {
    let keys: Vec<String> = mutations.iter().map(|mutation| mutation.key.clone()).collect();
    let mut before = Vec::new();
    for key in &keys {
        before.push(read(h, key).await);
    }
    let outcomes = h.write(mutations, true).await;
    let mut said = 0;
    for (at, outcome) in outcomes.iter().enumerate() {
        match outcome.as_ref().expect("an outcome") {
            Outcome::NotApplied => {}
            Outcome::Conflict(state) => {
                assert!(in_the_way.contains(&at), "{at} was not in the way");
                assert_eq!(state, &before[at]);
                said += 1;
            }
            Outcome::Absent => {
                assert!(in_the_way.contains(&at) && before[at].is_none(), "{at} was not in the way");
                said += 1;
            }
            other => panic!("{at}: {other:?} though nothing may be applied"),
        }
    }
    assert!(said >= 1, "at least one says why: {outcomes:?}");
    for (key, before) in keys.iter().zip(before) {
        assert_eq!(read(h, key).await, before, "{key}");
    }
}

async fn atomic_writes_apply_none(h: Harness) {
    put_version(&h, put(&h, "a", b"1")).await;
    put_version(&h, put(&h, "b", b"1")).await;
    let before = all(&h).await;
    let stale = || Precondition::Version(Version::from_random(4));
    let put_stale = |key: &str| put_if(key, b"n", attributes(b"n", h.clock.now()), stale());
    let check = |key: &str, precondition| Mutation { key: key.into(), change: Change::Check, precondition };
    none_applied(&h, vec![put(&h, "new", b"2"), plain("a", Change::Delete), put_stale("b")], &[2]).await;
    none_applied(&h, vec![put_stale("b"), put(&h, "new", b"2"), plain("a", amend(&h))], &[0]).await;
    none_applied(&h, vec![put(&h, "a", b"2"), check("b", Precondition::Absent), put(&h, "new", b"2")], &[1]).await;
    none_applied(&h, vec![put(&h, "a", b"2"), check("nothing", stale())], &[1]).await;
    none_applied(&h, vec![put_stale("x"), put(&h, "a", b"2"), put_stale("b")], &[0, 2]).await;
    let delete_stale = Mutation { key: "b".into(), change: Change::Delete, precondition: stale() };
    none_applied(&h, vec![put(&h, "new", b"2"), delete_stale], &[1]).await;
    assert_eq!(all(&h).await, before);
}

async fn atomic_amend_of_nothing_fails(h: Harness) {
    put_version(&h, put(&h, "a", b"1")).await;
    none_applied(&h, vec![put(&h, "a", b"2"), plain("nothing", amend(&h))], &[1]).await;
    if h.capabilities.sliding {
        none_applied(&h, vec![put(&h, "a", b"2"), plain("nothing", Change::Extend(h.clock.now() + 5))], &[1]).await;
    }
    put_version(&h, put_until(&h, "expired", h.clock.now() + 5)).await;
    h.clock.advance(5);
    none_applied(&h, vec![put(&h, "a", b"2"), plain("expired", amend(&h))], &[1]).await;
}

async fn atomic_delete_of_nothing_does_not(h: Harness) {
    put_version(&h, put_until(&h, "expired", h.clock.now() + 5)).await;
    h.clock.advance(5);
    let outcomes = h
        .write(vec![plain("nothing", Change::Delete), put(&h, "a", b"1"), plain("expired", Change::Delete)], true)
        .await;
    assert_eq!(outcomes[0], Ok(Outcome::Absent));
    assert!(matches!(outcomes[1], Ok(Outcome::Written(_))));
    assert_eq!(outcomes[2], Ok(Outcome::Absent));
    assert_eq!(all(&h).await, ["a"]);
}

async fn atomic_of_too_many_is_refused(h: Harness) {
    let most = h.capabilities.max_atomic;
    if most > 20_000 {
        return;
    }
    let mutations = (0..=most).map(|at| put(&h, &format!("k{at}"), b"v")).collect();
    let result = h.storage().write(&h.namespace, mutations, true, h.clock.now(), Projection::Key).await;
    refused(result, "unsupported");
    assert!(all(&h).await.is_empty());
}
