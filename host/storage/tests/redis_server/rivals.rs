//! Several stores, each with connections of its own, on one key.

use dataknobs_kv_core::storage::Outcome;
use dataknobs_kv_core::{Projection, Storage};
use tokio::task::JoinSet;

use crate::Bed;
use crate::common::*;

/// Read, add one, write if nobody did meanwhile.
pub(crate) async fn increments(bed: Bed) {
    const STORES: usize = 6;
    const EACH: u64 = 100;
    let mut rivals = JoinSet::new();
    for store in 0..STORES {
        let storage = bed.open(if store % 2 == 0 { "" } else { "pool_size=2" }).await;
        rivals.spawn(async move {
            for _ in 0..EACH {
                let mut current = get(&*storage, "n", 1).await;
                loop {
                    let number: u64 = current
                        .as_ref()
                        .map_or(0, |state| String::from_utf8_lossy(state.value.as_ref().unwrap()).parse().unwrap());
                    let next = put("n", (number + 1).to_string().as_bytes());
                    let guarded = match &current {
                        Some(state) => next.if_version(&state.version),
                        None => next.if_absent(),
                    };
                    match write_one(&*storage, guarded, 1).await.unwrap() {
                        Outcome::Written(_) => break,
                        Outcome::Conflict(state) => current = state,
                        other => panic!("{other:?}"),
                    }
                }
            }
        });
    }
    rivals.join_all().await;
    let storage = bed.open("").await;
    assert_eq!(value(&*storage, "n").await.unwrap(), (STORES as u64 * EACH).to_string().into_bytes());
}

/// A batch longer than a piece: each mutation stands for itself, results in order.
pub(crate) async fn batches_in_pieces(bed: Bed) {
    let storage = bed.open("").await;
    let name = |at: usize| format!("k{at:04}");
    for at in (0..1000).step_by(7) {
        must_write(&*storage, put(&name(at), b"old")).await;
    }
    let batch = (0..1000).map(|at| put(&name(at), b"new").if_absent()).collect();
    let results = storage.write(NS, batch, false, 1, Projection::Value).await.unwrap();
    for (at, result) in results.into_iter().enumerate() {
        match result.unwrap() {
            Outcome::Conflict(Some(state)) if at % 7 == 0 => assert_eq!(state.value.unwrap(), b"old"),
            Outcome::Written(_) if at % 7 != 0 => {}
            other => panic!("{at}: {other:?}"),
        }
    }
    // Pieces are bounded in bytes as well: 40 values of 1 MiB.
    let batch = (0..40).map(|at| put(&name(at), &vec![7; 1 << 20])).collect();
    let results = storage.write(NS, batch, false, 1, Projection::Key).await.unwrap();
    assert!(results.iter().all(|result| matches!(result, Ok(Outcome::Written(_)))));
    let names: Vec<_> = (0..40).map(name).collect();
    let states = storage.get_many(NS, &names, 1, true).await.unwrap();
    assert!((7..=9).contains(&states.len()), "{}", states.len());
    let page = storage.scan(NS, Default::default(), Default::default(), 1, 1000, Projection::Value).await.unwrap();
    assert!((7..=9).contains(&page.items.len()) && page.next.is_some(), "{}", page.items.len());
}
