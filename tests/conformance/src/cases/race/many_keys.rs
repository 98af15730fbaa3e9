//! Rivals over many keys: batches, transactions, listings, cleanup.

use super::{guarded, rivals, task};
use crate::Harness;
use crate::harness::{expiring, item, together, written};
use dataknobs_kv_core::storage::{Change, Mutation, Outcome};
use dataknobs_kv_core::store::{Action, Check, Expiry, Item, Numeric, Query, SetOptions, SetResult, TransactionResult};
use dataknobs_kv_core::{Attributes, Precondition, Projection, Value, ValueType};
use std::collections::HashSet;

cases! {
    "race";
    batches_in_opposite_order: [D16, B2] [Concurrent, Batches];
    batches_of_one_set_of_keys: [D16, B2] [Concurrent, Batches];
    transfers_keep_the_sum: [X1, X4] [Concurrent, Transact, Atomic];
    write_skew: [X4] [Concurrent, Transact, Atomic];
    transactions_in_opposite_order: [X1, D16] [Concurrent, Transact, Atomic];
    atomic_writes_of_the_storage: [D6, D16] [Concurrent, Raw, Atomic];
    listings_under_writers: [L3, D8] [Concurrent];
    cleanup_against_renewal: [T8, D10] [Concurrent];
    cleanups_at_once: [T8, D10] [Concurrent];
    deletions_by_pattern_at_once: [L9] [Concurrent];
    a_burst_of_everything: [E3, D16] [Concurrent];
}

async fn batches_in_opposite_order(h: Harness) {
    let rounds = h.many(15, 3);
    rivals(&h, 8, |at, store, namespace| async move {
        for round in 0..rounds {
            let mut keys: Vec<String> = (0..20).map(|n| format!("k{:02}", (n * 7 + at + round) % 30)).collect();
            if at % 2 == 0 {
                keys.reverse();
            }
            if at % 4 == 3 {
                for result in store.delete_many(&namespace, &keys).await.unwrap() {
                    result.unwrap();
                }
            } else {
                let items = keys.iter().map(|key| guarded(key, at as i64, Precondition::None)).collect();
                for result in store.set_many(&namespace, items).await.unwrap() {
                    written(result);
                }
            }
        }
    })
    .await;
    let keys = h.keys("**").await;
    assert_eq!(h.count(&Query::pattern("**"), 100).await, keys.len() as u64);
}

async fn batches_of_one_set_of_keys(h: Harness) {
    for round in 0..h.many(10, 2) {
        let keys: Vec<String> = (0..20).map(|at| format!("r{round}.{at:02}")).collect();
        let results = rivals(&h, 8, |at, store, namespace| {
            let items: Vec<Item> = keys.iter().map(|key| guarded(key, at as i64, Precondition::Absent)).collect();
            async move {
                let results = store.set_many(&namespace, items).await.unwrap();
                results.into_iter().map(|r| matches!(r.unwrap(), SetResult::Written(_))).collect::<Vec<bool>>()
            }
        })
        .await;
        for (at, key) in keys.iter().enumerate() {
            let winners: Vec<usize> = (0..8).filter(|rival| results[*rival][at]).collect();
            assert_eq!(winners.len(), 1, "{key}");
            h.expect(key, winners[0] as i64).await;
        }
    }
}

fn integer(state: &dataknobs_kv_core::State) -> i64 {
    match state.decode() {
        Ok(Some(Value::Integer(integer))) => integer,
        other => panic!("expected an integer, got {other:?}"),
    }
}

async fn transfers_keep_the_sum(h: Harness) {
    const ACCOUNTS: usize = 5;
    for at in 0..ACCOUNTS {
        h.put(&format!("account.{at}"), 100).await;
    }
    let rounds = h.many(25, 4);
    let seen = rivals(&h, 6, |at, store, namespace| async move {
        let mut sums = 0;
        for round in 0..rounds {
            let names: Vec<String> = (0..ACCOUNTS).map(|n| format!("account.{n}")).collect();
            if at == 0 {
                // A consistent look: all read, then all checked at one instant.
                let mut states = Vec::new();
                for name in &names {
                    states.push(store.get(&namespace, name).await.unwrap().unwrap());
                }
                let checks = names.iter().zip(&states).map(|(key, state)| Check {
                    key: key.clone(),
                    precondition: Precondition::Version(state.version.clone()),
                });
                if let TransactionResult::Committed(_) =
                    store.transact(&namespace, checks.collect(), vec![]).await.unwrap()
                {
                    assert_eq!(states.iter().map(integer).sum::<i64>(), 100 * ACCOUNTS as i64);
                    sums += 1;
                }
                continue;
            }
            let (from, to) = (&names[(at + round) % ACCOUNTS], &names[(at * 2 + round + 1) % ACCOUNTS]);
            if from == to {
                continue;
            }
            let (a, b) = (
                store.get(&namespace, from).await.unwrap().unwrap(),
                store.get(&namespace, to).await.unwrap().unwrap(),
            );
            let actions = vec![
                Action::Set(guarded(from, integer(&a) - 7, Precondition::Version(a.version))),
                Action::Set(guarded(to, integer(&b) + 7, Precondition::Version(b.version))),
            ];
            store.transact(&namespace, vec![], actions).await.unwrap();
        }
        sums
    })
    .await;
    let mut sum = 0;
    for at in 0..ACCOUNTS {
        sum += integer(&h.entry(&format!("account.{at}")).await);
    }
    assert_eq!(sum, 100 * ACCOUNTS as i64, "after {} consistent looks", seen[0]);
}

async fn write_skew(h: Harness) {
    for round in 0..h.many(100, 5) {
        let (x, y) = (format!("x{round}"), format!("y{round}"));
        let results = rivals(&h, 2, |at, store, namespace| {
            let (checked, set) = if at == 0 { (x.clone(), y.clone()) } else { (y.clone(), x.clone()) };
            async move {
                let checks = vec![Check { key: checked, precondition: Precondition::Absent }];
                let actions = vec![Action::Set(item(&set, 1))];
                store.transact(&namespace, checks, actions).await.unwrap()
            }
        })
        .await;
        let won = results.iter().filter(|result| matches!(result, TransactionResult::Committed(_))).count();
        assert_eq!(won, 1, "round {round}: each checked what the other wrote");
    }
}

async fn transactions_in_opposite_order(h: Harness) {
    let rounds = h.many(15, 3);
    rivals(&h, 6, |at, store, namespace| async move {
        for round in 0..rounds {
            let mut keys: Vec<String> = (0..10).map(|n| format!("k{n}")).collect();
            if at % 2 == 0 {
                keys.reverse();
            }
            let stamp = (at * 1000 + round) as i64;
            let actions = keys.iter().map(|key| Action::Set(item(key, stamp))).collect();
            let result = store.transact(&namespace, vec![], actions).await.unwrap();
            assert!(matches!(result, TransactionResult::Committed(_)), "{result:?}");
        }
    })
    .await;
    let first = integer(&h.entry("k0").await);
    for at in 1..10 {
        assert_eq!(integer(&h.entry(&format!("k{at}")).await), first, "all from the same transaction");
    }
}

async fn atomic_writes_of_the_storage(h: Harness) {
    let storage = h.storage();
    let now = h.clock.now();
    let tasks = (0..6_usize).map(|at| {
        let (storage, namespace) = (storage.clone(), h.namespace.clone());
        task(async move {
            for round in 0..20_usize {
                let value = vec![at as u8, round as u8];
                let attributes = Attributes {
                    value_type: ValueType::Bytes,
                    content_type: None,
                    metadata: None,
                    created_at: now,
                    updated_at: now,
                    expires_at: None,
                    sliding_ms: None,
                    size: 2,
                    checksum: crc32c::crc32c(&value),
                };
                let put = |n: usize| Mutation {
                    key: format!("k{n}"),
                    change: Change::Put { attributes: attributes.clone(), value: value.clone() },
                    precondition: Precondition::None,
                };
                let mut order: Vec<usize> = (0..8).collect();
                order.rotate_left(at);
                let mutations = order.into_iter().map(put).collect();
                let outcomes = storage.write(&namespace, mutations, true, now, Projection::Key).await.unwrap();
                assert!(outcomes.iter().all(|outcome| matches!(outcome, Ok(Outcome::Written(_)))));
            }
        })
    });
    together(tasks.collect()).await;
    let first = storage.get(&h.namespace, "k0", now, true).await.unwrap().expect("there").value;
    for at in 1..8 {
        assert_eq!(storage.get(&h.namespace, &format!("k{at}"), now, true).await.unwrap().expect("there").value, first);
    }
}

async fn listings_under_writers(h: Harness) {
    let stay: Vec<String> = (0..40).map(|at| format!("s{at:02}")).collect();
    h.put_all(stay.iter().map(|key| item(key, 0)).collect()).await;
    let rounds = h.many(30, 4);
    rivals(&h, 5, |at, store, namespace| {
        let stay = stay.clone();
        async move {
            if at > 0 {
                for round in 0..rounds {
                    written(store.set(&namespace, item(&stay[(round * at) % 40], round as i64)).await);
                    let guest = format!("s{:02}-{}", (round * 11) % 40, at);
                    written(store.set(&namespace, item(&guest, 1)).await);
                    store.delete(&namespace, &guest, Precondition::None, Projection::Key).await.unwrap();
                }
                return;
            }
            for limit in [3, 7, 1000] {
                let (mut found, mut cursor) = (Vec::new(), None::<String>);
                loop {
                    let page = store
                        .list_entries(&namespace, &Query::pattern("s*"), cursor.as_deref(), limit, Projection::Key)
                        .await
                        .unwrap();
                    found.extend(page.entries.into_iter().map(|entry| entry.key));
                    match page.cursor {
                        Some(next) => cursor = Some(next),
                        None => break,
                    }
                }
                assert!(found.is_sorted_by(|a, b| a < b), "in order, each once: {found:?}");
                assert!(stay.iter().all(|key| found.contains(key)), "what was there throughout came: {found:?}");
            }
        }
    })
    .await;
}

async fn cleanup_against_renewal(h: Harness) {
    for round in 0..h.many(10, 2) {
        let keys: Vec<String> = (0..20).map(|at| format!("r{round}.{at:02}")).collect();
        for key in &keys {
            written(h.set(key, "old", expiring(Expiry::After(10))).await);
        }
        h.clock.advance(10);
        rivals(&h, 6, |at, store, namespace| {
            let keys = keys.clone();
            async move {
                if at % 2 == 0 {
                    while store.cleanup_expired(Some(&namespace), 3).await.unwrap().more {}
                    return;
                }
                for key in keys.iter().skip(at / 2).step_by(3) {
                    written(store.set(&namespace, item(key, "renewed")).await);
                }
            }
        })
        .await;
        assert_eq!(h.keys(&format!("r{round}.*")).await, keys, "what was renewed stays");
        h.expect(&keys[0], "renewed").await;
    }
}

async fn cleanups_at_once(h: Harness) {
    for at in 0..60 {
        written(h.set(&format!("k{at}"), 1, expiring(Expiry::After(10))).await);
    }
    h.put("stays", 1).await;
    h.clock.advance(10);
    let counts = rivals(&h, 6, |_, store, namespace| async move {
        let mut count = 0;
        loop {
            let cleaned = store.cleanup_expired(Some(&namespace), 7).await.unwrap();
            count += cleaned.count;
            if !cleaned.more {
                return count;
            }
        }
    })
    .await;
    assert_eq!(counts.iter().sum::<u32>(), 60, "each counted once");
    assert_eq!(h.keys("**").await, ["stays"]);
}

async fn deletions_by_pattern_at_once(h: Harness) {
    let keys: Vec<String> = (0..60).map(|at| format!("k.{at:02}")).collect();
    h.put_all(keys.iter().map(|key| item(key, 1)).collect()).await;
    h.put("stays", 1).await;
    let counts = rivals(&h, 6, |_, store, namespace| async move {
        let (mut count, mut cursor) = (0, None::<String>);
        loop {
            let progress =
                store.delete_matching(&namespace, &Query::pattern("k.*"), cursor.as_deref(), 10).await.unwrap();
            count += progress.count;
            match progress.cursor {
                Some(next) => cursor = Some(next),
                None => return count,
            }
        }
    })
    .await;
    assert_eq!(counts.iter().sum::<u64>(), 60, "each counted once");
    assert_eq!(h.keys("**").await, ["stays"]);
}

async fn a_burst_of_everything(h: Harness) {
    let errors = rivals(&h, 60, |at, store, namespace| async move {
        let key = format!("k{}", at % 5);
        let none = Precondition::None;
        let result = match at % 10 {
            0 => store.get(&namespace, &key).await.map(drop),
            1 => store.set(&namespace, item(&key, at as i64)).await.map(drop),
            2 => store.delete(&namespace, &key, none, Projection::Key).await.map(drop),
            3 => store.increment(&namespace, &key, Numeric::Integer(1), Expiry::Unspecified).await.map(drop),
            4 => store.update_metadata(&namespace, &key, "{\"a\":1}", none).await.map(drop),
            5 => store.set_expiry(&namespace, &key, Expiry::After(1000), none).await.map(drop),
            6 => store.list_entries(&namespace, &Query::pattern("**"), None, 10, Projection::Value).await.map(drop),
            7 => store.compare_and_swap(&namespace, &key, None, 1.into(), SetOptions::default()).await.map(drop),
            8 => store.cleanup_expired(Some(&namespace), 10).await.map(drop),
            _ => store.count(&namespace, &Query::pattern("k*"), None, 10).await.map(drop),
        };
        result.err()
    })
    .await;
    let errors: HashSet<String> = errors.into_iter().flatten().map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}");
}
