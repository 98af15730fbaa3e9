//! Removing what has expired.

use crate::Harness;
use crate::harness::{changed, expiring, refused, written};
use dataknobs_kv_core::store::{Expiry, Item, Query};

cases! {
    "expiry";
    cleanup_removes_what_has_expired: [T8];
    cleanup_leaves_what_was_renewed: [T8];
    cleanup_keeps_to_its_limit: [T8] [Paging];
    cleanup_of_one_namespace: [T8, N2];
    cleanup_of_all: [T8];
    cleanup_of_thousands: [T8, Z2] [Batches];
    cleanup_changes_no_answer: [T8];
}

async fn clean(h: &Harness, namespace: Option<&str>) -> u32 {
    let mut count = 0;
    for _ in 0..10_000 {
        let cleaned = h.store.cleanup_expired(namespace, 1000).await.expect("a clean-up");
        count += cleaned.count;
        if !cleaned.more {
            return count;
        }
    }
    panic!("a clean-up without end");
}

async fn cleanup_removes_what_has_expired(h: Harness) {
    for (key, span) in [("a", 10), ("b", 10), ("c", 11), ("d", 1000)] {
        written(h.set(key, 1, expiring(Expiry::After(span))).await);
    }
    h.put("e", 1).await;
    assert_eq!(clean(&h, Some(&h.namespace)).await, 0);
    h.clock.advance(10);
    assert_eq!(clean(&h, Some(&h.namespace)).await, 2);
    assert_eq!(clean(&h, Some(&h.namespace)).await, 0);
    h.clock.advance(1);
    assert_eq!(clean(&h, Some(&h.namespace)).await, 1);
    assert_eq!(h.keys("**").await, ["d", "e"]);
    h.expect("d", 1).await;
}

async fn cleanup_leaves_what_was_renewed(h: Harness) {
    for key in ["touched", "persisted", "rewritten", "deleted", "gone"] {
        written(h.set(key, 1, expiring(Expiry::After(10))).await);
    }
    changed(h.set_expiry("touched", Expiry::After(1000)).await);
    changed(h.set_expiry("persisted", Expiry::Never).await);
    h.delete("deleted").await;
    h.clock.advance(10);
    h.put("rewritten", 2).await;
    assert_eq!(clean(&h, Some(&h.namespace)).await, 1);
    assert_eq!(h.keys("**").await, ["persisted", "rewritten", "touched"]);
    h.clock.advance(10_000);
    assert_eq!(clean(&h, Some(&h.namespace)).await, 1);
    assert_eq!(h.keys("**").await, ["persisted", "rewritten"]);
}

async fn cleanup_keeps_to_its_limit(h: Harness) {
    for at in 0..7 {
        written(h.set(&format!("k{at}"), 1, expiring(Expiry::After(10))).await);
    }
    h.clock.advance(10);
    let first = h.store.cleanup_expired(Some(&h.namespace), 3).await.unwrap();
    assert!(first.count <= 3 && first.more, "{first:?}");
    assert_eq!(first.count + clean(&h, Some(&h.namespace)).await, 7);
    for limit in [0, 10_001] {
        refused(h.store.cleanup_expired(Some(&h.namespace), limit).await, "invalid-argument");
    }
}

async fn cleanup_of_one_namespace(h: Harness) {
    let others = ["x", ".a", "~"].map(|suffix| h.beside(format!("{}{suffix}", h.namespace)));
    for space in others.iter().chain([&h]) {
        written(space.set("k", 1, expiring(Expiry::After(10))).await);
    }
    h.clock.advance(10);
    assert_eq!(clean(&h, Some(&h.namespace)).await, 1);
    for space in &others {
        assert_eq!(clean(&h, Some(&space.namespace)).await, 1, "{:?}", space.namespace);
    }
}

async fn cleanup_of_all(h: Harness) {
    // Long before all other cases: on a server that they share, their entries have not expired by then, and who else cleans
    // all of it may remove ours, and count them.
    h.clock.set(h.clock.now() - 1_500_000_000_000);
    let others = ["", "x", "y"].map(|suffix| h.beside(format!("{}{suffix}", h.namespace)));
    for space in &others {
        written(space.set("gone", 1, expiring(Expiry::After(10))).await);
        space.put("stays", 1).await;
    }
    clean(&h, None).await;
    h.clock.advance(10);
    clean(&h, None).await;
    for space in &others {
        assert_eq!(clean(&h, Some(&space.namespace)).await, 0);
        assert_eq!(space.keys("**").await, ["stays"]);
    }
}

async fn cleanup_of_thousands(h: Harness) {
    let set =
        |at: u64| Item { key: format!("k{at}"), value: 1.into(), options: expiring(Expiry::After(1 + at % 2 * 1000)) };
    h.put_all((0..3000).map(set).collect()).await;
    h.clock.advance(10);
    assert_eq!(clean(&h, Some(&h.namespace)).await, 1500);
    assert_eq!(h.count(&Query::pattern("**"), 10_000).await, 1500);
}

async fn cleanup_changes_no_answer(h: Harness) {
    for at in 0..10_u64 {
        written(h.set(&format!("k{at}"), 1, expiring(Expiry::After(10 + at))).await);
    }
    h.clock.advance(14);
    let before = (h.keys("**").await, h.count(&Query::pattern("**"), 100).await);
    let state = h.entry("k7").await;
    clean(&h, Some(&h.namespace)).await;
    assert_eq!((h.keys("**").await, h.count(&Query::pattern("**"), 100).await), before);
    assert_eq!(h.entry("k7").await, state);
}
