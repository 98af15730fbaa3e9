//! Reclaim, clear, and the list of namespaces.

use super::{KEYS, all, amend, filled, one, plain, put, put_until, put_version, read};
use crate::Harness;
use dataknobs_kv_core::storage::{Change, Outcome};

cases! {
    "storage";
    extend_is_seen_by_reclaim: [D5, D10] [Raw, Sliding];
    reclaims_only_what_has_expired: [D10, T8] [Raw];
    reclaims_of_all_namespaces: [D10] [Raw];
    reclaims_in_parts: [D10] [Raw];
    clears_in_parts: [D11] [Raw];
    names_in_pages: [D12, N4] [Raw];
}

async fn extend_is_seen_by_reclaim(h: Harness) {
    let now = h.clock.now();
    put_version(&h, put_until(&h, "k", now + 100)).await;
    assert_eq!(one(&h, plain("k", Change::Extend(now + 500))).await, Outcome::Held);
    h.clock.advance(200);
    let storage = h.storage();
    assert_eq!(storage.reclaim(Some(&h.namespace), h.clock.now(), 100).await.unwrap().count, 0);
    assert!(read(&h, "k").await.is_some());
    h.clock.advance(300);
    assert_eq!(storage.reclaim(Some(&h.namespace), h.clock.now(), 100).await.unwrap().count, 1);
}

async fn reclaim(h: &Harness, limit: u32) -> u32 {
    let mut count = 0;
    for _ in 0..10_000 {
        let reclaimed = h.storage().reclaim(Some(&h.namespace), h.clock.now(), limit).await.expect("a reclaim");
        assert!(reclaimed.count <= limit);
        count += reclaimed.count;
        if !reclaimed.more {
            return count;
        }
    }
    panic!("a reclaim without end");
}

async fn reclaims_only_what_has_expired(h: Harness) {
    let now = h.clock.now();
    h.write(
        vec![
            put_until(&h, "expired", now + 10),
            put_until(&h, "renewed", now + 10),
            put_until(&h, "amended", now + 10),
            put_until(&h, "deleted", now + 10),
            put_until(&h, "later", now + 11),
            put(&h, "never", b"v"),
        ],
        false,
    )
    .await;
    h.write(
        vec![put_until(&h, "renewed", now + 1000), plain("amended", amend(&h)), plain("deleted", Change::Delete)],
        false,
    )
    .await;
    assert_eq!(reclaim(&h, 100).await, 0);
    h.clock.advance(10);
    assert_eq!(reclaim(&h, 100).await, 1);
    assert_eq!(reclaim(&h, 100).await, 0);
    assert_eq!(all(&h).await, ["amended", "later", "never", "renewed"]);
    assert!(read(&h, "renewed").await.is_some());
}

async fn reclaims_of_all_namespaces(h: Harness) {
    let storage = h.storage();
    // Long before all other cases: on a server that they share, their entries have not expired by then, and who else runs
    // this case may remove ours, or count theirs.
    h.clock.set(h.clock.now() - 1_000_000_000_000);
    let others = ["x", "y"].map(|suffix| h.beside(format!("{}{suffix}", h.namespace)));
    for space in &others {
        space.write(vec![put_until(&h, "k", h.clock.now() + 5), put(&h, "stays", b"v")], false).await;
    }
    let drain = async || while storage.reclaim(None, h.clock.now(), 1000).await.expect("a reclaim").more {};
    drain().await;
    h.clock.advance(5);
    drain().await;
    for space in &others {
        assert_eq!(all(space).await, ["stays"]);
        assert_eq!(reclaim(space, 10).await, 0);
    }
}

async fn reclaims_in_parts(h: Harness) {
    let now = h.clock.now();
    h.write((0..25).map(|at| put_until(&h, &format!("k{at:02}"), now + 1 + at)).collect(), false).await;
    h.clock.advance(20);
    let first = h.storage().reclaim(Some(&h.namespace), h.clock.now(), 7).await.unwrap();
    assert!(first.count <= 7 && first.more, "{first:?}");
    assert_eq!(first.count + reclaim(&h, 7).await, 20);
    assert_eq!(all(&h).await.len(), 5);
}

async fn clears_in_parts(h: Harness) {
    let other = h.beside(format!("{}~", h.namespace));
    filled(&h).await;
    filled(&other).await;
    put_version(&h, put_until(&h, "zz", h.clock.now() + 5)).await;
    h.clock.advance(5);
    assert!(h.storage().clear(&h.namespace, 4).await.unwrap(), "more is left");
    assert!(all(&h).await.len() >= KEYS.len() - 4);
    let mut calls = 0;
    while h.storage().clear(&h.namespace, 4).await.unwrap() {
        calls += 1;
        assert!(calls < 100, "a clear without end");
    }
    assert!(all(&h).await.is_empty());
    assert_eq!(reclaim(&h, 10).await, 0, "what had expired is gone too");
    assert_eq!(all(&other).await, KEYS);
    let names = h.storage().namespaces(None, 10_000).await.unwrap().names;
    assert!(!names.contains(&h.namespace) && names.contains(&other.namespace));
    assert!(!h.storage().clear(&h.namespace, 4).await.unwrap(), "of nothing");
}

async fn names_in_pages(h: Harness) {
    let names = ["", "!", ".b", "a", "a.b", "b", "\u{e9}", "\u{ffff}", "\u{10000}"]
        .map(|suffix| format!("{}{suffix}", h.namespace));
    for name in names.iter().rev() {
        let space = h.beside(name);
        space.write(vec![put(&h, "k", b"v")], false).await;
    }
    for limit in [1, 4, 10_000] {
        let (mut found, mut after) = (Vec::new(), None::<String>);
        loop {
            let page = h.storage().namespaces(after.as_deref(), limit).await.unwrap();
            assert!(page.names.len() <= limit as usize);
            found.extend(page.names);
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        assert!(found.is_sorted_by(|a, b| a < b), "in order, each once");
        found.retain(|name| name.starts_with(&h.namespace));
        assert_eq!(found, names, "pages of {limit}");
    }
}
