//! The hierarchy of keys, level by level.

use dataknobs_kv_core::store::{Child, DeleteResult, Expiry};
use dataknobs_kv_core::{Precondition, Projection};

use crate::Harness;
use crate::harness::{expiring, item, refused_for, written};

cases! {
    "children";
    the_top: [L10];
    below_a_prefix: [L10];
    of_nothing: [L10, N3];
    entries_that_are_also_levels: [L10];
    each_once_though_others_lie_between: [L10, K5];
    texts_are_unescaped: [L10, K3, K6];
    prefixes_are_whole_segments: [L10];
    counts_below: [L10];
    in_pages: [L10, L4] [Paging];
    bad_prefixes: [L10, K7];
    expired_ones_do_not_show: [L10, T1];
    follow_changes: [L10, L6];
    wide_levels: [L10, Z2] [Batches];
    deep_levels: [L10, K1];
}

async fn children(h: &Harness, prefix: Option<&str>, counts: bool, limit: u32) -> Vec<Child> {
    let (mut children, mut cursor) = (Vec::new(), None::<String>);
    for _ in 0..10_000 {
        let page = h
            .store
            .children(&h.namespace, prefix, counts, cursor.as_deref(), limit)
            .await
            .unwrap_or_else(|e| panic!("children of {prefix:?}: {e}"));
        assert!(page.children.len() <= limit as usize);
        children.extend(page.children);
        match page.cursor {
            Some(next) => cursor = Some(next),
            None => return children,
        }
    }
    panic!("children without end");
}

fn child(segment: &str, key: &str, is_entry: bool, below: Option<u64>, has_children: bool) -> Child {
    Child { segment: segment.into(), key: key.into(), is_entry, below, has_children }
}

async fn the_top(h: Harness) {
    h.put_keys(&["app.config.debug", "app.name", "log", "users.1.name"]).await;
    assert_eq!(
        children(&h, None, true, 100).await,
        [
            child("app", "app", false, Some(2), true),
            child("log", "log", true, Some(0), false),
            child("users", "users", false, Some(1), true),
        ]
    );
}

async fn below_a_prefix(h: Harness) {
    h.put_keys(&["app", "app.config.debug", "app.config.level", "app.name", "apple", "b.name"]).await;
    assert_eq!(
        children(&h, Some("app"), true, 100).await,
        [child("config", "app.config", false, Some(2), true), child("name", "app.name", true, Some(0), false)]
    );
    assert_eq!(
        children(&h, Some("app.config"), true, 100).await,
        [
            child("debug", "app.config.debug", true, Some(0), false),
            child("level", "app.config.level", true, Some(0), false)
        ]
    );
}

async fn of_nothing(h: Harness) {
    assert!(children(&h, None, true, 10).await.is_empty());
    h.put("a.b", 1).await;
    assert!(children(&h, Some("a.b"), true, 10).await.is_empty());
    assert!(children(&h, Some("x"), true, 10).await.is_empty());
    assert!(children(&h, Some("a.b.c"), true, 10).await.is_empty());
}

async fn entries_that_are_also_levels(h: Harness) {
    h.put_keys(&["a", "a.b", "a.b.c", "a.b.d"]).await;
    assert_eq!(children(&h, None, true, 10).await, [child("a", "a", true, Some(3), true)]);
    assert_eq!(children(&h, Some("a"), true, 10).await, [child("b", "a.b", true, Some(2), true)]);
}

async fn each_once_though_others_lie_between(h: Harness) {
    // In key order: `a`, `a!x`, `a-`, `a.b`: the entry `a` and what is below it do not lie together.
    h.put_keys(&["a", "a!x", "a-", "a.b", "a.c", "a/", "b.c", "b-"]).await;
    let expected = [
        child("a", "a", true, Some(2), true),
        child("a!x", "a!x", true, Some(0), false),
        child("a-", "a-", true, Some(0), false),
        child("a/", "a/", true, Some(0), false),
        child("b-", "b-", true, Some(0), false),
        child("b", "b", false, Some(1), true),
    ];
    assert_eq!(children(&h, None, true, 100).await, expected);
    if !h.slow {
        assert_eq!(children(&h, None, true, 1).await, expected, "also in pages of one");
    }
}

async fn texts_are_unescaped(h: Harness) {
    h.put_keys(&["a\\.b", "a\\.b.c\\\\d", "x.y\\.z.w", "\u{e9}.1"]).await;
    assert_eq!(
        children(&h, None, true, 100).await,
        [
            child("a.b", "a\\.b", true, Some(1), true),
            child("x", "x", false, Some(1), true),
            child("\u{e9}", "\u{e9}", false, Some(1), true),
        ]
    );
    assert_eq!(children(&h, Some("a\\.b"), true, 100).await, [child("c\\d", "a\\.b.c\\\\d", true, Some(0), false)]);
    assert_eq!(children(&h, Some("x"), true, 100).await, [child("y.z", "x.y\\.z", false, Some(1), true)]);
}

async fn prefixes_are_whole_segments(h: Harness) {
    h.put_keys(&["app.a", "apple.b", "ap.c", "app\\.d", "app-e.f", "x.app.g"]).await;
    assert_eq!(children(&h, Some("app"), true, 10).await, [child("a", "app.a", true, Some(0), false)]);
    assert_eq!(children(&h, Some("ap"), true, 10).await, [child("c", "ap.c", true, Some(0), false)]);
}

async fn counts_below(h: Harness) {
    let keys: Vec<String> = (0..h.many(60, 12)).map(|at| format!("p.{}.{}.x", at % 3, at)).collect();
    h.put_all(keys.iter().map(|key| item(key, 1)).collect()).await;
    h.put("p.1", 1).await;
    let each = keys.len() as u64 / 3;
    let expected = [("0", false), ("1", true), ("2", false)]
        .map(|(s, entry)| child(s, &format!("p.{s}"), entry, Some(each), true));
    assert_eq!(children(&h, Some("p"), true, 100).await, expected);
    let without = children(&h, Some("p"), false, 100).await;
    assert_eq!(without, expected.map(|child| Child { below: None, ..child }));
}

async fn in_pages(h: Harness) {
    let keys: Vec<String> =
        (0..12).flat_map(|at| [format!("c{at:02}"), format!("c{at:02}.x"), format!("c{at:02}-")]).collect();
    h.put_all(keys.iter().map(|key| item(key, 1)).collect()).await;
    let whole = children(&h, None, true, 1000).await;
    assert_eq!(whole.len(), 24);
    for limit in [1, 2, 5, 24] {
        assert_eq!(children(&h, None, true, limit).await, whole, "pages of {limit}");
    }
    let page = h.store.children(&h.namespace, None, true, None, 3).await.unwrap();
    let cursor = page.cursor.expect("there is more");
    for (prefix, namespace) in [(Some("c01"), h.namespace.clone()), (None, format!("{}-other", h.namespace))] {
        let result = h.store.children(&namespace, prefix, true, Some(&cursor), 3).await;
        refused_for(result, "invalid-argument", "a cursor of another query");
    }
}

async fn bad_prefixes(h: Harness) {
    h.put("a.b", 1).await;
    for prefix in ["a.", ".a", "a..b", "a\\", "a\\b"] {
        let result = h.store.children(&h.namespace, Some(prefix), false, None, 10).await;
        refused_for(result, "invalid-argument", prefix);
    }
    let long = "x".repeat(513);
    refused_for(h.store.children(&h.namespace, Some(&long), false, None, 10).await, "invalid-argument", "513 bytes");
}

async fn expired_ones_do_not_show(h: Harness) {
    written(h.set("a", 1, expiring(Expiry::After(10))).await);
    written(h.set("b.c", 1, expiring(Expiry::After(10))).await);
    written(h.set("b.d", 1, expiring(Expiry::After(20))).await);
    h.clock.advance(10);
    assert_eq!(children(&h, None, true, 10).await, [child("b", "b", false, Some(1), true)]);
    h.clock.advance(10);
    assert!(children(&h, None, true, 10).await.is_empty());
}

async fn follow_changes(h: Harness) {
    h.put_keys(&["a", "a.b", "c"]).await;
    assert_eq!(h.delete("a").await, DeleteResult::Deleted);
    assert_eq!(
        children(&h, None, true, 10).await,
        [child("a", "a", false, Some(1), true), child("c", "c", true, Some(0), false)]
    );
    let gone = h.store.delete(&h.namespace, "a.b", Precondition::None, Projection::Key).await;
    assert_eq!(gone, Ok(DeleteResult::Deleted));
    assert_eq!(children(&h, None, true, 10).await, [child("c", "c", true, Some(0), false)]);
}

async fn wide_levels(h: Harness) {
    let keys: Vec<String> = (0..1500).map(|at| format!("p.{at:04}.x")).collect();
    h.put_all(keys.iter().map(|key| item(key, 1)).collect()).await;
    let found = children(&h, Some("p"), false, 1000).await;
    assert_eq!(found.len(), 1500);
    assert!(found.iter().all(|child| child.has_children && !child.is_entry));
    assert_eq!(children(&h, None, true, 10).await, [child("p", "p", false, Some(1500), true)]);
}

async fn deep_levels(h: Harness) {
    let key = "a.".repeat(255) + "a";
    h.put(&key, 1).await;
    assert_eq!(children(&h, None, true, 10).await, [child("a", "a", false, Some(1), true)]);
    let parent = "a.".repeat(254) + "a";
    assert_eq!(children(&h, Some(&parent), true, 10).await, [child("a", &key, true, Some(0), false)]);
    assert!(children(&h, Some(&key), true, 10).await.is_empty());
    // A prefix so long that no key can lie below it.
    assert!(children(&h, Some(&"x".repeat(512)), true, 10).await.is_empty());
}
