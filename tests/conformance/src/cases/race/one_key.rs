//! Rivals for one key.

use super::{guarded, rivals};
use crate::Harness;
use crate::harness::{item, written};
use dataknobs_kv_core::store::{DeleteResult, Expiry, Item, Numeric, SetOptions, SetResult, SwapResult};
use dataknobs_kv_core::{Error, Precondition, Projection, Value, Version};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

cases! {
    "race";
    increments: [A6, A1] [Concurrent];
    increments_of_a_hot_key: [A6, E5] [Concurrent];
    increments_and_sets: [A6, C5] [Concurrent];
    appends_of_text: [A6, A4] [Concurrent];
    appends_of_elements: [A6, A5] [Concurrent];
    creators: [C5, D16] [Concurrent];
    setters_of_one_version: [C5, C6, D16] [Concurrent];
    deleters: [C5, D16] [Concurrent];
    deleters_of_one_version: [C5] [Concurrent];
    swappers: [C8, C7] [Concurrent];
    conflicts_never_carry_what_was_asked: [C6, D3] [Concurrent];
    value_and_metadata_together: [M8, D16] [Concurrent];
    what_was_written_is_seen_by_whoever_asks_next: [D17, L6] [Concurrent];
    metadata_against_values: [M8, M10, D16] [Concurrent];
    merges_lose_nothing: [M2, A6] [Concurrent];
}

async fn increments(h: Harness) {
    let (tasks, each) = (8, h.many(25, 5));
    let answers = rivals(&h, tasks, |_, store, namespace| async move {
        let mut answers = Vec::new();
        for _ in 0..each {
            let counted = store.increment(&namespace, "count", Numeric::Integer(1), Expiry::Unspecified).await.unwrap();
            let Numeric::Integer(integer) = counted.value else { panic!("an integer stays one") };
            answers.push(integer);
        }
        answers
    })
    .await;
    for own in &answers {
        assert!(own.is_sorted_by(|a, b| a < b), "each sees its own before");
    }
    let mut all: Vec<i64> = answers.into_iter().flatten().collect();
    all.sort();
    assert_eq!(all, (1..=(tasks * each) as i64).collect::<Vec<_>>(), "none lost, none doubled");
    h.expect("count", (tasks * each) as i64).await;
}

async fn increments_of_a_hot_key(h: Harness) {
    // Many callers, one increment each: every one gets through.
    let count = h.many(200, 20);
    let answers = rivals(&h, count, |_, store, namespace| async move {
        store.increment(&namespace, "hot", Numeric::Integer(1), Expiry::Unspecified).await.map(|_| ())
    })
    .await;
    assert!(answers.iter().all(Result::is_ok), "{:?}", answers.iter().find(|answer| answer.is_err()));
    h.expect("hot", count as i64).await;
}

async fn increments_and_sets(h: Harness) {
    h.put("k", 0).await;
    let sums = rivals(&h, 6, |at, store, namespace| async move {
        for round in 0..20_i64 {
            if at == 0 {
                written(store.set(&namespace, item("k", round * 1000)).await);
            } else {
                store.increment(&namespace, "k", Numeric::Integer(1), Expiry::Unspecified).await.unwrap();
            }
        }
    })
    .await;
    assert_eq!(sums.len(), 6);
    let Some(Value::Integer(last)) = h.value("k").await else { panic!("an integer") };
    assert!((0..=19_100).contains(&last) && last % 1000 <= 100, "{last}");
}

async fn appends_of_text(h: Harness) {
    let each = h.many(15, 4);
    rivals(&h, 6, |at, store, namespace| async move {
        for round in 0..each {
            let tail = format!("[{at}:{round}]");
            store.append(&namespace, "log", tail.into(), Expiry::Unspecified).await.unwrap();
        }
    })
    .await;
    let Some(Value::Text(log)) = h.value("log").await else { panic!("a text") };
    for at in 0..6 {
        let mut last = 0;
        for round in 0..each {
            let tail = format!("[{at}:{round}]");
            assert_eq!(log.matches(&tail).count(), 1, "{tail} in {log}");
            let place = log.find(&tail).unwrap();
            assert!(place >= last, "each caller's own in their order");
            last = place;
        }
    }
}

async fn appends_of_elements(h: Harness) {
    let each = h.many(15, 4) as i64;
    rivals(&h, 6, |at, store, namespace| async move {
        for round in 0..each {
            let tail = Value::Json((at as i64 * 100 + round).to_string());
            store.append(&namespace, "list", tail, Expiry::Unspecified).await.unwrap();
        }
    })
    .await;
    let Some(Value::Json(text)) = h.value("list").await else { panic!("JSON") };
    let mut list: Vec<i64> = serde_json::from_str(&text).expect("an array of integers");
    list.sort();
    let expected: Vec<i64> = (0..6).flat_map(|at| (0..each).map(move |round| at * 100 + round)).collect();
    assert_eq!(list, expected);
}

/// The one that won, of all that tried.
fn winner(results: Vec<Result<SetResult, Error>>, what: &str) -> (usize, Version) {
    let won: Vec<(usize, Version)> = results
        .into_iter()
        .enumerate()
        .filter_map(|(at, result)| match result.unwrap_or_else(|e| panic!("{what}: {e}")) {
            SetResult::Written(version) => Some((at, version)),
            SetResult::Conflict(_) => None,
        })
        .collect();
    let [winner] = &won[..] else { panic!("{what}: {} winners", won.len()) };
    winner.clone()
}

async fn creators(h: Harness) {
    for round in 0..h.many(25, 3) {
        let key = format!("k{round}");
        let results = rivals(&h, 16, |at, store, namespace| {
            let item = guarded(&key, at as i64, Precondition::Absent);
            async move { store.set(&namespace, item).await }
        })
        .await;
        let (at, version) = winner(results, &key);
        h.expect(&key, at as i64).await;
        assert_eq!(h.entry(&key).await.version, version);
    }
}

async fn setters_of_one_version(h: Harness) {
    let mut version = h.put("k", -1).await;
    for round in 0..h.many(25, 3) {
        let results = rivals(&h, 16, |at, store, namespace| {
            let item = guarded("k", at as i64, Precondition::Version(version.clone()));
            async move { store.set(&namespace, item).await }
        })
        .await;
        let (at, next) = winner(results, &format!("round {round}"));
        h.expect("k", at as i64).await;
        version = next;
    }
}

async fn deleters(h: Harness) {
    for round in 0..h.many(20, 3) {
        h.put("k", round as i64).await;
        let results = rivals(&h, 16, |_, store, namespace| async move {
            store.delete(&namespace, "k", Precondition::None, Projection::Key).await
        })
        .await;
        let deleted = results.iter().filter(|result| **result == Ok(DeleteResult::Deleted)).count();
        let absent = results.iter().filter(|result| **result == Ok(DeleteResult::Absent)).count();
        assert_eq!((deleted, absent), (1, 15), "{results:?}");
    }
}

async fn deleters_of_one_version(h: Harness) {
    for round in 0..h.many(10, 2) {
        let version = h.put("k", round as i64).await;
        let results = rivals(&h, 8, |at, store, namespace| {
            let precondition = Precondition::Version(version.clone());
            async move {
                if at % 2 == 0 {
                    let deleted = store.delete(&namespace, "k", precondition, Projection::Key).await.unwrap();
                    return deleted == DeleteResult::Deleted;
                }
                matches!(store.set(&namespace, guarded("k", "new", precondition)).await.unwrap(), SetResult::Written(_))
            }
        })
        .await;
        assert_eq!(results.iter().filter(|won| **won).count(), 1, "round {round}");
    }
}

async fn swappers(h: Harness) {
    h.put("k", 0).await;
    for round in 0..h.many(20, 3) as i64 {
        let results = rivals(&h, 12, |at, store, namespace| async move {
            // All from the same value, each to one of its own; the last digits say whose.
            let new = Value::Integer((round + 1) * 100 + at as i64);
            let there = store.get(&namespace, "k").await.unwrap().unwrap().into_value().unwrap();
            let old = there.filter(|value| matches!(value, Value::Integer(i) if i / 100 == round));
            match old {
                Some(old) => {
                    store.compare_and_swap(&namespace, "k", Some(old), new, SetOptions::default()).await.unwrap()
                }
                None => SwapResult::Different(None),
            }
        })
        .await;
        let won = results.iter().filter(|result| matches!(result, SwapResult::Swapped(_))).count();
        assert_eq!(won, 1, "round {round}");
    }
    // From nothing.
    let results = rivals(&h, 12, |at, store, namespace| async move {
        store.compare_and_swap(&namespace, "new", None, Value::Integer(at as i64), SetOptions::default()).await.unwrap()
    })
    .await;
    assert_eq!(results.iter().filter(|result| matches!(result, SwapResult::Swapped(_))).count(), 1);
}

async fn conflicts_never_carry_what_was_asked(h: Harness) {
    h.put("k", 0).await;
    let rounds = h.many(40, 5);
    rivals(&h, 8, |at, store, namespace| async move {
        let mut version = store.describe(&namespace, "k").await.unwrap().unwrap().version;
        for round in 0..rounds {
            let asked = version.clone();
            let item = guarded("k", (at * 1000 + round) as i64, Precondition::Version(asked.clone()));
            match store.set(&namespace, item).await.unwrap() {
                SetResult::Written(next) => version = next,
                SetResult::Conflict(Some(state)) => {
                    assert_ne!(state.version, asked, "the version that was demanded was there");
                    version = state.version;
                }
                SetResult::Conflict(None) => version = store.describe(&namespace, "k").await.unwrap().unwrap().version,
            }
        }
    })
    .await;
}

async fn value_and_metadata_together(h: Harness) {
    let set = |at: i64| {
        let text = "x".repeat(1 + at as usize * 37 % 2000);
        let options = SetOptions { metadata: Some(format!("{{\"size\":{}}}", text.len())), ..SetOptions::default() };
        Item { key: "k".into(), value: text.into(), options }
    };
    written(h.store.set(&h.namespace, set(0)).await);
    let rounds = h.many(40, 5);
    rivals(&h, 6, |at, store, namespace| async move {
        for round in 0..rounds {
            if at % 2 == 0 {
                written(store.set(&namespace, set((at * 100 + round) as i64)).await);
                continue;
            }
            let state = store.get(&namespace, "k").await.unwrap().unwrap();
            let size = state.value.as_ref().unwrap().len();
            assert_eq!(state.attributes.size, size as u64);
            assert_eq!(state.attributes.metadata, Some(format!("{{\"size\":{size}}}")));
            assert_eq!(state.attributes.checksum, crc32c::crc32c(state.value.as_ref().unwrap()));
        }
    })
    .await;
}

/// One writes and asks, the others only ask: a read that began before a write must not outlive it anywhere.
async fn what_was_written_is_seen_by_whoever_asks_next(h: Harness) {
    h.put("k", 0).await;
    let rounds = h.many(1500, 30) as i64;
    let acknowledged = Arc::new(AtomicI64::new(0));
    rivals(&h, 5, |at, store, namespace| {
        let acknowledged = acknowledged.clone();
        async move {
            for round in 1..=rounds {
                if at == 0 {
                    written(store.set(&namespace, item("k", round)).await);
                    acknowledged.store(round, Ordering::SeqCst);
                }
                let least = acknowledged.load(Ordering::SeqCst);
                let state = store.get(&namespace, "k").await.unwrap().unwrap();
                let Some(Value::Integer(seen)) = state.into_value().unwrap() else { panic!("an integer") };
                assert!(seen >= least, "{seen} after {least} was acknowledged");
            }
        }
    })
    .await;
    h.expect("k", rounds).await;
}

async fn metadata_against_values(h: Harness) {
    h.put("k", "start").await;
    let rounds = h.many(30, 5);
    rivals(&h, 6, |at, store, namespace| async move {
        for round in 0..rounds {
            if at % 2 == 0 {
                let value = "y".repeat(1 + (at * 53 + round * 17) % 3000);
                written(store.set(&namespace, item("k", value)).await);
            } else {
                let patch = format!("{{\"by\":{at}}}");
                store.update_metadata(&namespace, "k", &patch, Precondition::None).await.unwrap();
            }
            let state = store.get(&namespace, "k").await.unwrap().unwrap();
            let value = state.value.as_ref().unwrap();
            assert_eq!(state.attributes.size, value.len() as u64, "size and value belong together");
            assert_eq!(state.attributes.checksum, crc32c::crc32c(value), "checksum and value belong together");
        }
    })
    .await;
}

async fn merges_lose_nothing(h: Harness) {
    h.put("k", "value").await;
    let each = h.many(10, 3);
    rivals(&h, 6, |at, store, namespace| async move {
        for round in 0..each {
            let patch = format!("{{\"f{at}-{round}\":1}}");
            store.update_metadata(&namespace, "k", &patch, Precondition::None).await.unwrap();
        }
    })
    .await;
    let text = h.describe("k").await.expect("there").attributes.metadata.expect("metadata");
    let fields: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text).expect("an object");
    assert_eq!(fields.len(), 6 * each);
}
