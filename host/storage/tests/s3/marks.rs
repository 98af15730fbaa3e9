//! Marks of expiry, where writers stall, fail, die or meet: what has expired is never listed, what lives is never hidden.

use std::sync::Arc;

use dataknobs_kv_core::storage::{Outcome, Reclaimed};
use dataknobs_kv_core::{Precondition, Storage};
use tokio::sync::Notify;

use crate::Place;
use crate::common::{NS, With, get, keys, must_write, put, put_expiring, value, write_one};
use crate::relay::Fault;

async fn reclaim(store: &dyn Storage, now: u64) -> Reclaimed {
    store.reclaim(Some(NS), now, 1000).await.unwrap()
}

/// A writer stops between mark and entry, past the expiry; a cleanup comes by; then the writer goes on.
pub(crate) async fn of_a_stalled_writer_are_kept(place: Place) {
    let (relay, slow_place) = place.behind_relay().await;
    let slow = Arc::new(slow_place.open().await);
    let store = place.open().await;
    let go = Arc::new(Notify::new());
    relay.spoil("PUT", "/e/", 1, Fault::Hold(go.clone()));
    let writer = tokio::spawn({
        let slow = slow.clone();
        async move { write_one(&*slow, put_expiring("k", b"v", 1, Some(10)).if_absent(), 1).await }
    });
    while !relay.take().iter().any(|request| request.starts_with("PUT ") && request.contains("/e/")) {
        tokio::task::yield_now().await;
    }
    assert_eq!(reclaim(&store, 50).await, Reclaimed::default());
    go.notify_one();
    assert!(matches!(writer.await.unwrap(), Ok(Outcome::Written(_))));
    assert!(keys(&store, NS, 50, 10).await.is_empty(), "expired, and listed");
    assert!(keys(&store, NS, 9, 10).await == ["k"]);
    assert_eq!(reclaim(&store, 50).await, Reclaimed { count: 1, more: false });
    assert_eq!(reclaim(&store, 50).await, Reclaimed::default());
}

/// The mark is there, the entry was never written: as after a crash between the two.
pub(crate) async fn of_a_refused_write_mean_nothing(place: Place) {
    let (relay, place) = place.behind_relay().await;
    let store = place.open().await;
    relay.spoil("PUT", "/e/", 1, Fault::Answer(403, "AccessDenied"));
    let refused = write_one(&store, put_expiring("k", b"v", 1, Some(10)).if_absent(), 1).await;
    assert_eq!(refused.unwrap_err().code(), "access-denied");
    assert!(keys(&store, NS, 1, 10).await.is_empty() && keys(&store, NS, 50, 10).await.is_empty());
    assert_eq!(reclaim(&store, 50).await, Reclaimed::default());
    // Another entry under the same name has nothing to do with it.
    must_write(&store, put("k", b"2")).await;
    assert_eq!(reclaim(&store, 50).await, Reclaimed::default());
    assert_eq!(keys(&store, NS, 50, 10).await, ["k"]);
    assert!(get(&store, "k", 50).await.is_some());
}

/// An entry is made to stay, and its old mark cannot be removed.
pub(crate) async fn left_behind_do_not_hide_the_living(place: Place) {
    let (relay, place) = place.behind_relay().await;
    let store = place.open().await;
    must_write(&store, put_expiring("k", b"1", 1, Some(10))).await;
    relay.spoil("DELETE", "/x/", 1, Fault::Answer(403, "AccessDenied"));
    must_write(&store, put("k", b"2")).await;
    relay.take();
    assert_eq!(keys(&store, NS, 50, 10).await, ["k"]);
    assert_eq!(relay.take().len(), 3, "two LISTs, and one look at the suspect");
    assert_eq!(reclaim(&store, 50).await, Reclaimed::default());
    assert_eq!(value(&store, "k").await.as_deref(), Some(&b"2"[..]));
}

/// Two write the same key with the same expiry: whoever loses takes away no mark but its own.
pub(crate) async fn of_two_writers_at_one_instant(place: Place) {
    let (one, other) = (place.open().await, place.open().await);
    for round in 0..10 {
        let key = format!("k{round}");
        let write = |store, value: &'static [u8]| write_one(store, put_expiring(&key, value, 1, Some(10)), 1);
        let (a, b) = tokio::join!(write(&one, b"1"), write(&other, b"2"));
        assert!(matches!(a, Ok(Outcome::Written(_))) && matches!(b, Ok(Outcome::Written(_))), "{a:?} {b:?}");
        let mut guarded = put_expiring(&key, b"3", 1, Some(10));
        guarded.precondition = Precondition::Absent;
        assert!(matches!(write_one(&one, guarded, 1).await, Ok(Outcome::Conflict(Some(_)))));
    }
    assert!(keys(&one, NS, 10, 100).await.is_empty());
    assert_eq!(keys(&one, NS, 9, 100).await.len(), 10);
    assert_eq!(reclaim(&one, 10).await, Reclaimed { count: 10, more: false });
}
