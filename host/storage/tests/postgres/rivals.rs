//! Rivals over several pools, as several processes have them.

use std::sync::Arc;

use dataknobs_kv_core::storage::{Change, Mutation, Outcome};
use dataknobs_kv_core::store::{Expiry, Numeric};
use dataknobs_kv_core::{Core, Precondition, Projection, State, Storage, Store, Version};
use dataknobs_kv_storage::PostgresStorage;
use rand::RngExt;
use rand::seq::SliceRandom;

use super::Place;
use super::common::*;

crate::tests! {
    opposite_orders_end, increments_over_pools, a_conflict_never_carries_what_was_asked_for, one_creator_wins,
    checks_of_absence_exclude_each_other, transfers_keep_the_sum, reclaim_beside_renewals, clears_at_once,
}

const POOLS: usize = 4;

async fn pools(place: &Place) -> Vec<Arc<PostgresStorage>> {
    let mut pools = Vec::new();
    for _ in 0..POOLS {
        let mut config = place.config();
        config.pool_size = 4;
        pools.push(Arc::new(PostgresStorage::open(config, true).await.unwrap()));
    }
    pools
}

/// Runs them all at once.
async fn together<T: Send + 'static>(
    tasks: impl IntoIterator<Item = impl Future<Output = T> + Send + 'static>,
) -> Vec<T> {
    let tasks: Vec<_> = tasks.into_iter().map(tokio::spawn).collect();
    let mut results = Vec::new();
    for task in tasks {
        results.push(task.await.expect("a task of the test failed"));
    }
    results
}

/// Batches of 20 of 30 keys in any order, of all kinds of changes: no error, and atomic ones are never half done.
async fn opposite_orders_end(place: Arc<Place>) {
    let pools = pools(&place).await;
    let tasks = (0..8).map(|task| {
        let storage = pools[task % POOLS].clone();
        async move {
            for round in 0..60 {
                let mut order: Vec<usize> = (0..30).collect();
                order.shuffle(&mut rand::rng());
                let kind = rand::rng().random_range(0..3);
                let mutations = order[..20]
                    .iter()
                    .map(|at| {
                        let key = format!("k{at:02}");
                        match (kind, at % 4) {
                            (0, _) => put(&key, format!("{task}-{round}").as_bytes()),
                            (_, 0) => put(&key, b"x"),
                            (_, 1) => delete(&key),
                            (_, 2) => amend(&key, "{}"),
                            _ => Mutation { key, change: Change::Check, precondition: Precondition::None },
                        }
                    })
                    .collect();
                let results = storage.write(NS, mutations, kind == 1, 1, Projection::Key).await.expect("no deadlock");
                for result in results {
                    result.expect("no deadlock");
                }
            }
        }
    });
    together(tasks).await;
    let deadlocks = place
        .driver()
        .await
        .query_one("select deadlocks from pg_stat_database where datname = current_database()", &[])
        .await
        .unwrap();
    println!("deadlocks in this database, ever: {}", deadlocks.get::<_, i64>(0));
}

async fn increments_over_pools(place: Arc<Place>) {
    let pools = pools(&place).await;
    let tasks = (0..16).map(|task| {
        let store = Core::new(pools[task % POOLS].clone(), dataknobs_kv_conformance::harness::HandClock::default());
        async move {
            for _ in 0..25 {
                // The host queues calls for one key and waits between tries; here all rivals meet unqueued.
                store.increment(NS, "n", Numeric::Integer(1), Expiry::Unspecified).await.unwrap();
            }
        }
    });
    together(tasks).await;
    assert_eq!(value(&*pools[0], "n").await.as_deref(), Some(b"400".as_slice()));
}

async fn a_conflict_never_carries_what_was_asked_for(place: Arc<Place>) {
    let pools = pools(&place).await;
    let first = must_write(&*pools[0], put("a", b"0")).await;
    let tasks = (0..8).map(|task| {
        let (storage, mut version) = (pools[task % POOLS].clone(), first.clone());
        async move {
            let (mut won, mut lost) = (0, 0);
            for round in 0..200 {
                let mutation = match round % 3 {
                    0 => put("a", b"1").if_version(&version),
                    1 => amend("a", r#"{"m":1}"#).if_version(&version),
                    _ => put("a", b"2").if_version(&version),
                };
                match write_one(&*storage, mutation, 1).await.unwrap() {
                    Outcome::Written(new) => (version, won) = (new, won + 1),
                    Outcome::Conflict(Some(state)) => {
                        assert_ne!(state.version, version, "what was asked for");
                        (version, lost) = (state.version, lost + 1);
                    }
                    other => panic!("{other:?}"),
                }
            }
            (won, lost)
        }
    });
    let results = together(tasks).await;
    let lost: u32 = results.iter().map(|(_, lost)| lost).sum();
    assert!(lost > 0, "they never met");
}

async fn one_creator_wins(place: Arc<Place>) {
    let pools = pools(&place).await;
    for round in 0..100 {
        let key = format!("k{round}");
        // Over nothing, and over what has expired.
        if round % 2 == 1 {
            write_one(&*pools[0], put_expiring(&key, b"old", 1, Some(5)), 1).await.unwrap();
        }
        let tasks = (0..8).map(|task| {
            let (storage, key) = (pools[task % POOLS].clone(), key.clone());
            async move {
                let mutation = put_expiring(&key, &[task as u8], 10, None).if_absent();
                let mut mutations = vec![mutation];
                if task >= 4 {
                    mutations.push(put(&format!("other{task}"), b"v"));
                }
                storage.write(NS, mutations, false, 10, Projection::Attributes).await.unwrap().remove(0).unwrap()
            }
        });
        let outcomes = together(tasks).await;
        let winners: Vec<&Version> = outcomes
            .iter()
            .filter_map(|outcome| match outcome {
                Outcome::Written(version) => Some(version),
                Outcome::Conflict(Some(State { attributes, .. })) => {
                    assert_eq!(attributes.created_at, 10);
                    None
                }
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(winners.len(), 1, "round {round}");
        assert_eq!(&get(&*pools[0], &key, 10).await.unwrap().version, winners[0]);
    }
}

async fn checks_of_absence_exclude_each_other(place: Arc<Place>) {
    let pools = pools(&place).await;
    for round in 0..150 {
        let (x, y) = (format!("x{round}"), format!("y{round}"));
        let both = [(pools[0].clone(), x.clone(), y.clone()), (pools[1].clone(), y.clone(), x.clone())];
        let tasks = both.map(|(storage, absent, wanted)| async move {
            let check = Mutation { key: absent, change: Change::Check, precondition: Precondition::Absent };
            let results = storage.write(NS, vec![check, put(&wanted, b"v")], true, 1, Projection::Key).await.unwrap();
            matches!(results[1], Ok(Outcome::Written(_)))
        });
        let won = together(tasks).await;
        assert!(won.iter().filter(|won| **won).count() == 1, "round {round}: {won:?}");
        let there = [get(&*pools[0], &x, 1).await.is_some(), get(&*pools[0], &y, 1).await.is_some()];
        assert_eq!(there.iter().filter(|there| **there).count(), 1);
    }
}

async fn transfers_keep_the_sum(place: Arc<Place>) {
    let pools = pools(&place).await;
    for at in 0..5 {
        must_write(&*pools[0], put(&format!("k{at}"), b"100")).await;
    }
    let tasks = (0..8).map(|task| {
        let storage = pools[task % POOLS].clone();
        async move {
            let mut done = 0;
            while done < 20 {
                let mut order: Vec<usize> = (0..5).collect();
                order.shuffle(&mut rand::rng());
                let [from, to] = [format!("k{}", order[0]), format!("k{}", order[1])];
                let (a, b) = (get(&*storage, &from, 1).await.unwrap(), get(&*storage, &to, 1).await.unwrap());
                let of = |state: &State| -> i64 {
                    std::str::from_utf8(state.value.as_ref().unwrap()).unwrap().parse().unwrap()
                };
                let mutations = vec![
                    put(&from, (of(&a) - 1).to_string().as_bytes()).if_version(&a.version),
                    put(&to, (of(&b) + 1).to_string().as_bytes()).if_version(&b.version),
                ];
                let results = storage.write(NS, mutations, true, 1, Projection::Key).await.unwrap();
                let written = results.iter().filter(|one| matches!(one, Ok(Outcome::Written(_)))).count();
                assert!(written == 0 || written == 2);
                done += written / 2;
            }
        }
    });
    together(tasks).await;
    let mut sum = 0;
    for at in 0..5 {
        let value = value(&*pools[0], &format!("k{at}")).await.unwrap();
        sum += std::str::from_utf8(&value).unwrap().parse::<i64>().unwrap();
    }
    assert_eq!(sum, 500);
}

async fn reclaim_beside_renewals(place: Arc<Place>) {
    let pools = pools(&place).await;
    for round in 0..20_u64 {
        let now = 100 + round * 100;
        let keys: Vec<String> = (0..50).map(|at| format!("k{at:02}")).collect();
        let expiring = keys.iter().map(|key| put_expiring(key, b"old", now, Some(now + 1))).collect();
        pools[0].write(NS, expiring, false, now, Projection::Key).await.unwrap();
        let renewing = {
            let (storage, keys) = (pools[1].clone(), keys.clone());
            tokio::spawn(async move {
                for key in keys {
                    let mutation = put_expiring(&key, b"new", now + 5, None);
                    write_one(&*storage, mutation, now + 5).await.unwrap();
                }
            })
        };
        let mut reclaimed = 0;
        for storage in pools[2..].iter().cycle().take(10) {
            reclaimed += storage.reclaim(None, now + 5, 20).await.unwrap().count;
        }
        renewing.await.unwrap();
        assert!(reclaimed <= 50);
        for key in &keys {
            assert_eq!(value_at(&*pools[0], key, now + 6).await, Some(b"new".to_vec()), "renewed");
        }
    }
}

async fn value_at(storage: &dyn Storage, key: &str, now: u64) -> Option<Vec<u8>> {
    get(storage, key, now).await.and_then(|state| state.value)
}

async fn clears_at_once(place: Arc<Place>) {
    let pools = pools(&place).await;
    let puts = (0..1000).map(|at| put(&format!("k{at:04}"), b"v")).collect();
    pools[0].write(NS, puts, false, 1, Projection::Key).await.unwrap();
    let tasks = pools.iter().cloned().map(|storage| async move { while storage.clear(NS, 10).await.unwrap() {} });
    together(tasks).await;
    assert_eq!(super::count(&*pools[0]).await, 0);
}
