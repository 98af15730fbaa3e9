//! Listing, counting and deleting by query.

use dataknobs_kv_core::store::{DeleteResult, Expiry, MAX_PAGE, Query};
use dataknobs_kv_core::{Projection, Value};

use crate::Harness;
use crate::harness::{assert_value, expiring, item, refused, refused_for, with_metadata, written};

cases! {
    "listing";
    nothing_matches: [L1, L2];
    pages_of_any_size_join: [L1, L2, L3] [Paging];
    page_limits: [L2, L8, L9, Z1] [Paging];
    pages_of_one_under_inserts_and_deletes: [L3, D8] [Paging];
    pages_of_one_while_all_is_rewritten: [L3, D8] [Paging];
    the_key_at_the_cursor_may_go: [L3, D8] [Paging];
    a_cursor_outlives_its_entries: [L3, L4, D8] [Paging];
    cursors_belong_to_their_query: [L4] [Paging, Query];
    cursors_belong_to_their_namespace: [L4] [Paging];
    damaged_cursors_are_refused: [L4, E3] [Paging];
    projections: [L5] [Projections];
    own_writes_are_seen: [L6, D8];
    two_handles_see_each_other: [L6, D15] [Over];
    by_metadata: [L7] [Query];
    by_metadata_as_json: [L7, M4] [Query];
    by_metadata_and_pattern: [L7, L8, L9] [Query];
    bad_metadata_queries: [L7] [Query];
    counts: [L8, D9];
    counts_in_parts: [L8] [Paging];
    counts_after_changes: [L8, D9];
    deletes_what_matches_only: [L9];
    deletes_in_parts: [L9] [Paging];
    deletes_the_last_ten_of_thousands: [L9, Z2] [Batches];
    a_hundred_thousand: [L1, L8, L9, Z2] [Batches, Volume];
    deletes_every_shape_of_pattern: [L9, P5];
    expired_entries_do_not_show: [T1, L8, L9, D1];
    thousands_in_one_page: [L1, L2, Z1] [Batches];
    large_values_come_in_parts: [Z2, L3, L5] [Projections, Batches];
}

async fn nothing_matches(h: Harness) {
    h.put_keys(&["a.b", "c"]).await;
    for pattern in ["x", "x.*", "**.x", "a", "[x-z]*"] {
        assert_eq!(h.keys(pattern).await, Vec::<String>::new());
        assert_eq!(h.count(&Query::pattern(pattern), 10).await, 0);
        assert_eq!(h.delete_matching(&Query::pattern(pattern), 10).await, 0);
    }
    assert_eq!(h.keys("**").await, ["a.b", "c"]);
}

fn numbered(count: usize) -> Vec<String> {
    (0..count).map(|at| format!("k.{at:03}")).collect()
}

fn names(entries: Vec<dataknobs_kv_core::Entry>) -> Vec<String> {
    entries.into_iter().map(|entry| entry.key).collect()
}

async fn pages_of_any_size_join(h: Harness) {
    let keys = numbered(h.many(50, 20));
    h.put_all(keys.iter().rev().map(|key| item(key, key)).collect()).await;
    h.put_keys(&["a", "z.1"]).await;
    for limit in [1, 2, 7, 49, 50, 51, MAX_PAGE] {
        assert_eq!(names(h.list(&Query::pattern("k.*"), limit, Projection::Key).await), keys, "pages of {limit}");
        assert_eq!(names(h.list(&Query::pattern("**.0?[13579]"), limit, Projection::Key).await).len(), keys.len() / 2);
    }
}

async fn page_limits(h: Harness) {
    h.put("a", 1).await;
    let query = Query::pattern("**");
    for limit in [0, MAX_PAGE + 1, u32::MAX] {
        refused(h.store.list_entries(&h.namespace, &query, None, limit, Projection::Key).await, "invalid-argument");
        refused(h.store.count(&h.namespace, &query, None, limit).await, "invalid-argument");
        refused(h.store.delete_matching(&h.namespace, &query, None, limit).await, "invalid-argument");
        refused(h.store.children(&h.namespace, None, false, None, limit).await, "invalid-argument");
        refused(h.store.cleanup_expired(Some(&h.namespace), limit).await, "invalid-argument");
    }
    for limit in [1, MAX_PAGE] {
        assert_eq!(h.list(&query, limit, Projection::Key).await.len(), 1);
        assert_eq!(h.count(&query, limit).await, 1);
    }
}

/// Walks by pages of `limit`, doing something after each.
async fn walk<F: AsyncFnMut(usize, &[String])>(h: &Harness, pattern: &str, limit: u32, mut after: F) -> Vec<String> {
    let (mut keys, mut cursor, mut step) = (Vec::new(), None::<String>, 0);
    let query = Query::pattern(pattern);
    loop {
        let page = h
            .store
            .list_entries(&h.namespace, &query, cursor.as_deref(), limit, Projection::Key)
            .await
            .expect("a page");
        assert!(page.entries.len() <= limit as usize);
        keys.extend(names(page.entries));
        after(step, &keys).await;
        step += 1;
        assert!(step < 10_000, "a listing without end");
        match page.cursor {
            Some(next) => cursor = Some(next),
            None => return keys,
        }
    }
}

async fn pages_of_one_under_inserts_and_deletes(h: Harness) {
    let stay = numbered(50);
    h.put_all(stay.iter().map(|key| item(key, 1)).collect()).await;
    let go: Vec<String> = (0..50).map(|at| format!("k.{at:03}-gone")).collect();
    h.put_all(go.iter().map(|key| item(key, 1)).collect()).await;
    let found = walk(&h, "k.*", 1, async |step, _| {
        // Before, at and after the walk's place.
        h.put(&format!("k.{:03}-new", (step * 7) % 60), 1).await;
        if let Some(key) = go.get((step * 11) % 50) {
            h.delete(key).await;
        }
    })
    .await;
    assert!(found.is_sorted_by(|a, b| a < b), "in order, each once: {found:?}");
    for key in &stay {
        assert!(found.contains(key), "{key} was there throughout");
    }
}

async fn pages_of_one_while_all_is_rewritten(h: Harness) {
    let keys = numbered(h.many(30, 8));
    h.put_all(keys.iter().map(|key| item(key, 0)).collect()).await;
    let found = walk(&h, "**", 1, async |step, _| {
        h.put_all(keys.iter().map(|key| item(key, step as i64)).collect()).await;
    })
    .await;
    assert_eq!(found, keys);
}

async fn the_key_at_the_cursor_may_go(h: Harness) {
    let keys = numbered(12);
    h.put_all(keys.iter().map(|key| item(key, 1)).collect()).await;
    let found = walk(&h, "**", 2, async |_, so_far: &[String]| {
        if let Some(last) = so_far.last() {
            h.delete(last).await;
        }
    })
    .await;
    assert_eq!(found, keys);
}

async fn a_cursor_outlives_its_entries(h: Harness) {
    let keys = numbered(10);
    h.put_all(keys.iter().map(|key| item(key, 1)).collect()).await;
    let query = Query::pattern("k.**");
    let first = h.store.list_entries(&h.namespace, &query, None, 4, Projection::Key).await.unwrap();
    let cursor = first.cursor.expect("there is more");
    assert_eq!(h.delete_matching(&query, 100).await, 10);
    let rest = h.store.list_entries(&h.namespace, &query, Some(&cursor), 4, Projection::Key).await.unwrap();
    assert!(rest.entries.is_empty());
    h.put("k.005", 1).await;
    h.put("k.000", 1).await;
    let again = h.store.list_entries(&h.namespace, &query, Some(&cursor), 4, Projection::Key).await.unwrap();
    assert_eq!(names(again.entries), ["k.005"]);
}

async fn cursors_belong_to_their_query(h: Harness) {
    h.put_all(numbered(10).iter().map(|key| item(key, 1)).collect()).await;
    let query = Query::pattern("k.*");
    let page = h.store.list_entries(&h.namespace, &query, None, 3, Projection::Key).await.unwrap();
    let cursor = page.cursor.expect("there is more");
    let filtered = |metadata: &str| Query { pattern: "k.*".into(), metadata: Some(metadata.into()) };
    for other in [Query::pattern("k.**"), Query::pattern("**"), Query::pattern("a.*"), filtered("{\"a\":1}")] {
        let result = h.store.list_entries(&h.namespace, &other, Some(&cursor), 3, Projection::Key).await;
        refused_for(result, "invalid-argument", &other.pattern);
    }
    let next = h.store.list_entries(&h.namespace, &query, Some(&cursor), 3, Projection::Key).await.unwrap();
    assert_eq!(names(next.entries), ["k.003", "k.004", "k.005"]);
    refused(h.store.children(&h.namespace, Some("k"), false, Some(&cursor), 3).await, "invalid-argument");
}

async fn cursors_belong_to_their_namespace(h: Harness) {
    let other = h.beside(format!("{}-other", h.namespace));
    for space in [&h, &other] {
        space.put_all(numbered(5).iter().map(|key| item(key, 1)).collect()).await;
    }
    let query = Query::pattern("k.*");
    let page = h.store.list_entries(&h.namespace, &query, None, 2, Projection::Key).await.unwrap();
    let cursor = page.cursor.expect("there is more");
    let result = h.store.list_entries(&other.namespace, &query, Some(&cursor), 2, Projection::Key).await;
    refused(result, "invalid-argument");
}

async fn damaged_cursors_are_refused(h: Harness) {
    h.put_all(numbered(10).iter().map(|key| item(key, 1)).collect()).await;
    let query = Query::pattern("k.*");
    let page = h.store.list_entries(&h.namespace, &query, None, 3, Projection::Key).await.unwrap();
    let cursor = page.cursor.expect("there is more");
    let mut damaged: Vec<String> =
        ["", "x", "0", "null", "k.003", "../..", "AAAA", "\u{1f600}", "%00", "{}"].map(String::from).into();
    damaged.push("A".repeat(5000));
    damaged.push(cursor.clone() + "x");
    damaged.push(cursor.chars().skip(1).collect());
    damaged.push(cursor.chars().take(cursor.chars().count() / 2).collect());
    for bad in damaged {
        let listed = h.store.list_entries(&h.namespace, &query, Some(&bad), 3, Projection::Key).await;
        refused_for(listed, "invalid-argument", &bad);
        refused_for(h.store.count(&h.namespace, &query, Some(&bad), 3).await, "invalid-argument", &bad);
        refused_for(h.store.delete_matching(&h.namespace, &query, Some(&bad), 3).await, "invalid-argument", &bad);
        refused_for(h.store.children(&h.namespace, None, false, Some(&bad), 3).await, "invalid-argument", &bad);
    }
    assert_eq!(h.keys("**").await.len(), 10);
}

async fn projections(h: Harness) {
    let version = written(h.set("a", "hello", with_metadata("{\"by\":\"me\"}")).await);
    let query = Query::pattern("**");
    let keys = h.list(&query, 10, Projection::Key).await;
    assert_eq!(keys.len(), 1);
    assert_eq!((keys[0].key.as_str(), &keys[0].state), ("a", &None));
    let attributes = h.list(&query, 10, Projection::Attributes).await;
    let state = attributes[0].state.clone().expect("a state");
    assert_eq!(state.version, version);
    assert_eq!(state.attributes.size, 5);
    assert_eq!(state.attributes.metadata.as_deref(), Some("{\"by\":\"me\"}"));
    assert!(state.value.is_none());
    let values = h.list(&query, 10, Projection::Value).await;
    let full = values[0].state.clone().expect("a state");
    assert_eq!(full.attributes, state.attributes);
    assert_value(full.into_value().unwrap().as_ref(), &Value::from("hello"), "a");
}

async fn own_writes_are_seen(h: Harness) {
    for at in 0..h.many(20, 5) {
        let key = format!("k.{at:02}");
        h.put(&key, 1).await;
        let keys = h.keys("k.*").await;
        assert_eq!(keys.len(), at + 1);
        assert_eq!(keys.last(), Some(&key));
    }
    h.delete("k.00").await;
    assert!(!h.keys("k.*").await.contains(&"k.00".to_owned()));
}

async fn two_handles_see_each_other(h: Harness) {
    let other = h.over(|storage| storage);
    h.put("mine", 1).await;
    other.expect("mine", 1).await;
    other.put("theirs", 2).await;
    h.expect("theirs", 2).await;
    assert_eq!(h.keys("**").await, ["mine", "theirs"]);
    let page = h.store.list_entries(&h.namespace, &Query::pattern("**"), None, 1, Projection::Key).await.unwrap();
    let cursor = page.cursor.expect("there is more");
    let next = other.store.list_entries(&h.namespace, &Query::pattern("**"), Some(&cursor), 1, Projection::Key).await;
    assert_eq!(names(next.expect("any handle goes on").entries), ["theirs"]);
    assert_eq!(other.delete("mine").await, DeleteResult::Deleted);
    h.expect_absent("mine").await;
}

fn holding(metadata: &str) -> Query {
    Query { pattern: "**".into(), metadata: Some(metadata.into()) }
}

async fn found(h: &Harness, metadata: &str) -> Vec<String> {
    names(h.list(&holding(metadata), 100, Projection::Key).await)
}

async fn by_metadata(h: Harness) {
    for (key, metadata) in [
        ("a", "{\"author\":\"Jo\",\"reviewed\":true}"),
        ("b", "{\"author\":\"Jo\",\"reviewed\":false}"),
        ("c", "{\"author\":\"Al\",\"tags\":[\"x\",\"y\"]}"),
        ("d", "{\"nested\":{\"a\":1,\"b\":2}}"),
        ("e", "{\"nothing\":null}"),
    ] {
        written(h.set(key, 1, with_metadata(metadata)).await);
    }
    h.put("f", 1).await;
    assert_eq!(found(&h, "{\"author\":\"Jo\"}").await, ["a", "b"]);
    assert_eq!(found(&h, "{\"author\":\"Jo\",\"reviewed\":true}").await, ["a"]);
    assert_eq!(found(&h, "{\"author\":\"jo\"}").await, Vec::<String>::new());
    assert_eq!(found(&h, "{\"tags\":[\"x\",\"y\"]}").await, ["c"]);
    assert_eq!(found(&h, "{\"tags\":[\"x\"]}").await, Vec::<String>::new(), "arrays are compared whole");
    assert_eq!(found(&h, "{\"nested\":{\"a\":1}}").await, Vec::<String>::new(), "objects are compared whole");
    assert_eq!(found(&h, "{\"nothing\":null}").await, ["e"], "a field that is null is not one that is missing");
    assert_eq!(found(&h, "{}").await, ["a", "b", "c", "d", "e", "f"]);
}

async fn by_metadata_as_json(h: Harness) {
    written(h.set("a", 1, with_metadata("{\"n\":100,\"s\":\"\\u00e9\",\"o\":{\"x\":1,\"y\":2}}")).await);
    written(h.set("b", 1, with_metadata("{\"n\":\"100\",\"s\":\"e\\u0301\",\"o\":{\"x\":1}}")).await);
    for query in
        ["{\"n\":100}", "{\"n\":1e2}", "{ \"n\" : 100.0 }", "{\"s\":\"\u{e9}\"}", "{\"o\":{\"y\":2,\"x\":1.0}}"]
    {
        assert_eq!(found(&h, query).await, ["a"], "{query}");
    }
    assert_eq!(found(&h, "{\"n\":\"100\"}").await, ["b"]);
    assert_eq!(found(&h, "{\"n\":true}").await, Vec::<String>::new());
}

async fn by_metadata_and_pattern(h: Harness) {
    for key in ["x.1", "x.2", "y.1"] {
        written(h.set(key, 1, with_metadata("{\"keep\":false}")).await);
    }
    written(h.set("x.3", 1, with_metadata("{\"keep\":true}")).await);
    let query = Query { pattern: "x.*".into(), metadata: Some("{\"keep\":false}".into()) };
    assert_eq!(names(h.list(&query, 100, Projection::Key).await), ["x.1", "x.2"]);
    assert_eq!(h.count(&query, 100).await, 2);
    assert_eq!(h.delete_matching(&query, 100).await, 2);
    assert_eq!(h.keys("**").await, ["x.3", "y.1"]);
}

async fn bad_metadata_queries(h: Harness) {
    for metadata in
        ["", "[]", "1", "null", "{", "{\"a\":1,\"a\":2}", "{\"a\":\"\\ud800\"}", "{\"a\":\"\\u0000\"}", "{\"a\":1e999}"]
    {
        let query = holding(metadata);
        refused_for(
            h.store.list_entries(&h.namespace, &query, None, 10, Projection::Key).await,
            "invalid-argument",
            metadata,
        );
        refused_for(h.store.count(&h.namespace, &query, None, 10).await, "invalid-argument", metadata);
        refused_for(h.store.delete_matching(&h.namespace, &query, None, 10).await, "invalid-argument", metadata);
    }
}

async fn counts(h: Harness) {
    h.put_keys(&["a", "a.b", "a.b.c", "a.bb", "b.b", "b\\.b"]).await;
    for (pattern, count) in
        [("**", 6), ("a.**", 3), ("a.b*", 2), ("a", 1), ("a.b", 1), ("*", 2), ("**.b", 2), ("x", 0), ("{a,b}.b", 2)]
    {
        assert_eq!(h.count(&Query::pattern(pattern), 1000).await, count, "{pattern}");
    }
}

async fn counts_in_parts(h: Harness) {
    h.put_all(numbered(50).iter().map(|key| item(key, 1)).collect()).await;
    for limit in [1, 7, 50, MAX_PAGE] {
        assert_eq!(h.count(&Query::pattern("k.*"), limit).await, 50);
        assert_eq!(h.count(&Query::pattern("k.**.?[0-4]?"), limit).await, 50);
        assert_eq!(h.count(&Query::pattern("**.??1"), limit).await, 5);
    }
}

async fn counts_after_changes(h: Harness) {
    let count = async || h.count(&Query::pattern("**"), 1000).await;
    h.put("a", 1).await;
    h.put("a", 2).await;
    assert_eq!(count().await, 1, "written twice, there once");
    h.put("b", 1).await;
    h.delete("a").await;
    h.delete("a").await;
    assert_eq!(count().await, 1);
    written(h.set("c", 1, expiring(Expiry::After(5))).await);
    assert_eq!(count().await, 2);
    h.clock.advance(5);
    assert_eq!(count().await, 1);
    written(h.set("c", 1, expiring(Expiry::Never)).await);
    assert_eq!(count().await, 2);
}

async fn deletes_what_matches_only(h: Harness) {
    h.put_keys(&["app.temp", "app.temp.a", "app.temp.b.c", "app.temporary", "app.tempx.a", "b.temp.a"]).await;
    assert_eq!(h.delete_matching(&Query::pattern("app.temp.*"), 100).await, 1);
    assert_eq!(h.delete_matching(&Query::pattern("app.temp.**"), 100).await, 1);
    assert_eq!(h.delete_matching(&Query::pattern("app.temp.**"), 100).await, 0);
    assert_eq!(h.keys("**").await, ["app.temp", "app.temporary", "app.tempx.a", "b.temp.a"]);
    assert_eq!(h.delete_matching(&Query::pattern("app.temp"), 100).await, 1);
    h.expect_absent("app.temp").await;
}

async fn deletes_in_parts(h: Harness) {
    for limit in [1, 7, MAX_PAGE] {
        h.put_all(numbered(30).iter().map(|key| item(key, 1)).collect()).await;
        h.put("z", 1).await;
        let first = h.store.delete_matching(&h.namespace, &Query::pattern("k.*"), None, limit).await.unwrap();
        assert!(first.count <= u64::from(limit));
        assert_eq!(first.count + h.delete_matching(&Query::pattern("k.*"), limit).await, 30, "parts of {limit}");
        assert_eq!(h.keys("**").await, ["z"]);
    }
}

async fn deletes_the_last_ten_of_thousands(h: Harness) {
    let count = 5000;
    let keys: Vec<String> =
        (0..count).map(|at| format!("k.{at:05}.{}", if at >= count - 10 { "end" } else { "mid" })).collect();
    h.put_all(keys.iter().map(|key| item(key, 1)).collect()).await;
    assert_eq!(h.delete_matching(&Query::pattern("**.end"), 1000).await, 10);
    assert_eq!(h.count(&Query::pattern("**"), MAX_PAGE).await, count as u64 - 10);
    assert_eq!(h.delete_matching(&Query::pattern("k.**"), MAX_PAGE).await, count as u64 - 10);
}

async fn a_hundred_thousand(h: Harness) {
    const COUNT: u64 = 100_000;
    let key = |at: u64| format!("k.{}.{at:06}", if at >= COUNT - 10 { "y" } else { "x" });
    for from in (0..COUNT).step_by(1000) {
        h.put_all((from..from + 1000).map(|at| item(&key(at), 1)).collect()).await;
    }
    assert_eq!(h.count(&Query::pattern("k.**"), MAX_PAGE).await, COUNT);
    assert_eq!(names(h.list(&Query::pattern("k.y.*"), 100, Projection::Key).await).len(), 10);
    assert_eq!(h.delete_matching(&Query::pattern("**.y.*"), MAX_PAGE).await, 10, "the last ten of all");
    assert_eq!(h.list(&Query::pattern("**"), MAX_PAGE, Projection::Key).await.len() as u64, COUNT - 10);
    assert_eq!(h.delete_matching(&Query::pattern("k.**"), MAX_PAGE).await, COUNT - 10);
    assert!(h.keys("**").await.is_empty());
}

async fn deletes_every_shape_of_pattern(h: Harness) {
    for (pattern, left) in [
        ("a.b", vec!["a", "a.c.d", "a\\.b", "b"]),
        ("{a,b}", vec!["a.b", "a.c.d", "a\\.b"]),
        ("a.**", vec!["a", "a\\.b", "b"]),
        ("[a-z]", vec!["a.b", "a.c.d", "a\\.b"]),
        ("a\\.b", vec!["a", "a.b", "a.c.d", "b"]),
        ("**", vec![]),
    ] {
        h.put_keys(&["a", "a.b", "a.c.d", "a\\.b", "b"]).await;
        assert_eq!(h.delete_matching(&Query::pattern(pattern), 100).await, 5 - left.len() as u64, "{pattern}");
        assert_eq!(h.keys("**").await, left, "{pattern}");
    }
}

async fn expired_entries_do_not_show(h: Harness) {
    for (key, span) in [("a", 10), ("b", 20), ("c.d", 10), ("e.f", 30)] {
        written(h.set(key, 1, expiring(Expiry::After(span))).await);
    }
    h.clock.advance(9);
    assert_eq!(h.keys("**").await, ["a", "b", "c.d", "e.f"]);
    h.clock.advance(1);
    assert_eq!(h.keys("**").await, ["b", "e.f"]);
    assert_eq!(h.count(&Query::pattern("**"), 100).await, 2);
    assert_eq!(h.count(&Query::pattern("a"), 100).await, 0);
    assert_eq!(h.delete_matching(&Query::pattern("*"), 100).await, 1, "only what lives is counted");
    assert_eq!(h.keys("**").await, ["e.f"]);
    assert_eq!(h.delete("a").await, DeleteResult::Absent);
}

async fn thousands_in_one_page(h: Harness) {
    let keys: Vec<String> = (0..2500).map(|at| format!("k.{at:05}")).collect();
    h.put_all(keys.iter().map(|key| item(key, 1)).collect()).await;
    assert_eq!(names(h.list(&Query::pattern("**"), MAX_PAGE, Projection::Key).await), keys);
    assert_eq!(names(h.list(&Query::pattern("k.*"), 999, Projection::Attributes).await), keys);
    assert_eq!(names(h.list(&Query::pattern("k.*5"), 100, Projection::Key).await).len(), 250);
}

async fn large_values_come_in_parts(h: Harness) {
    let value = vec![b'x'; 1 << 20];
    let keys = numbered(20);
    for key in &keys {
        h.put(key, value.clone()).await;
    }
    let entries = h.list(&Query::pattern("**"), MAX_PAGE, Projection::Value).await;
    assert_eq!(entries.len(), 20);
    for (entry, key) in entries.iter().zip(&keys) {
        assert_eq!(&entry.key, key);
        assert_eq!(entry.state.as_ref().and_then(|state| state.value.as_ref()).map(Vec::len), Some(value.len()));
    }
    assert_eq!(h.keys("**").await, keys);
}
