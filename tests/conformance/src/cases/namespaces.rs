//! Namespaces: names, isolation, listing, clearing.

use dataknobs_kv_core::store::{DeleteResult, Expiry, MAX_PAGE, Query, SetOptions};
use dataknobs_kv_core::{Precondition, Projection, key};

use crate::Harness;
use crate::harness::{expiring, item, refused, refused_for, written};

cases! {
    "namespaces";
    dots_in_names_mean_nothing: [N1, N2, D15];
    equal_keys_are_two_entries: [N2];
    odd_names_are_isolated: [N1, N2, D15];
    names_of_the_longest: [N1, Z1];
    bad_names_are_refused: [N1, Z1];
    an_unknown_one_is_empty: [N3];
    the_default_is_an_ordinary_one: [N1];
    listings_do_not_cross: [N2, L1, L8];
    deletion_by_pattern_does_not_cross: [N2, L9];
    listed_in_order: [N4, D12];
    listed_in_pages: [N4, D12] [Paging];
    page_limits: [N4, Z1] [Paging];
    clear_takes_one_only: [N5, D11] [Clear];
    clear_takes_what_has_expired: [N5, N4, D11] [Clear];
    clear_keeps_to_its_limit: [N5, D11] [Clear, Paging];
    clear_refuses_bad_limits: [N5, Z1] [Clear, Paging];
    a_cleared_one_is_as_new: [N5, N3, C2] [Clear];
}

const EXPECT: &str = "a namespace listing";

async fn listed(h: &Harness, limit: u32) -> Vec<String> {
    let (mut names, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let page = h.store.namespaces(cursor.as_deref(), limit).await.expect(EXPECT);
        assert!(page.names.len() <= limit as usize);
        names.extend(page.names);
        assert!(names.len() < 100_000, "a listing without end");
        match page.cursor {
            Some(next) => cursor = Some(next),
            None => return names,
        }
    }
}

async fn dots_in_names_mean_nothing(h: Harness) {
    let base = &h.namespace;
    let (short, long) = (h.beside(base), h.beside(format!("{base}.b")));
    short.put("b.c", "short").await;
    long.put("c", "long").await;
    short.expect("b.c", "short").await;
    long.expect("c", "long").await;
    short.expect_absent("c").await;
    long.expect_absent("b.c").await;
    assert_eq!(short.keys("**").await, ["b.c"]);
    assert_eq!(long.keys("**").await, ["c"]);
    for separator in [":", "/", "\\", "|", "::", "\u{ff0e}", " ", "-"] {
        let (first, second) = (h.beside(format!("{base}x")), h.beside(format!("{base}x{separator}b")));
        let (of_first, of_second) = (format!("b{}c", key::escape(separator)), "c");
        first.put(&of_first, "first").await;
        second.put(of_second, "second").await;
        first.expect(&of_first, "first").await;
        second.expect(of_second, "second").await;
        second.expect_absent(&of_first).await;
        assert_eq!(second.keys("**").await, ["c"], "{separator:?}");
    }
}

async fn equal_keys_are_two_entries(h: Harness) {
    let other = h.beside(format!("{}-other", h.namespace));
    let here = h.put("settings", "dark").await;
    let there = other.put("settings", "debug").await;
    assert_ne!(here, there);
    h.expect("settings", "dark").await;
    other.expect("settings", "debug").await;
    assert_eq!(h.delete("settings").await, DeleteResult::Deleted);
    other.expect("settings", "debug").await;
}

async fn odd_names_are_isolated(h: Harness) {
    let base = &h.namespace;
    let odd = [
        "",
        "}",
        "{",
        "a}b",
        "{}",
        "{a}",
        ":",
        "*",
        "a",
        "a*",
        "a?",
        "[a]",
        "a.b",
        "a\\.b",
        "a\\",
        "..",
        ".",
        " ",
        "  ",
        "'",
        "\"",
        "/",
        "//",
        "%",
        "%2F",
        "\u{e9}",
        "e\u{301}",
        "A",
        "\u{1f600}",
        "\u{e000}",
        "\u{ffff}",
        "_",
        "__",
        "--",
        ";",
        "$$",
    ];
    let step = h.many(1, 4);
    let spaces: Vec<Harness> = odd.iter().step_by(step).map(|suffix| h.beside(format!("{base}{suffix}"))).collect();
    for (at, space) in spaces.iter().enumerate() {
        space.put("k", at as i64).await;
        space.put(&format!("only.{at}"), at as i64).await;
    }
    for (at, space) in spaces.iter().enumerate() {
        space.expect("k", at as i64).await;
        assert_eq!(space.keys("**").await, ["k".to_owned(), format!("only.{at}")], "{:?}", space.namespace);
    }
    let names = listed(&h, MAX_PAGE).await;
    for space in &spaces {
        assert_eq!(names.iter().filter(|name| **name == space.namespace).count(), 1, "{:?}", space.namespace);
    }
}

async fn names_of_the_longest(h: Harness) {
    for unit in ["n", "\u{e9}", "\u{1f600}", "}", "/"] {
        let mut name = h.namespace.clone();
        while name.len() + unit.len() <= 64 {
            name.push_str(unit);
        }
        while name.len() < 64 {
            name.push('x');
        }
        let space = h.beside(name.clone());
        space.put("k", unit).await;
        space.expect("k", unit).await;
        assert!(listed(&h, MAX_PAGE).await.contains(&name));
        let longer = h.beside(name + "x");
        refused(longer.set("k", 1, SetOptions::default()).await, "invalid-argument");
    }
}

async fn bad_names_are_refused(h: Harness) {
    for name in
        ["x".repeat(65), "\u{1f600}".repeat(17), "a\u{0}b".into(), "\u{7f}".into(), "a\nb".into(), "\u{85}".into()]
    {
        let there = h.beside(&name);
        refused_for(there.set("k", 1, SetOptions::default()).await, "invalid-argument", &name);
        refused_for(h.store.get(&name, "k").await, "invalid-argument", &name);
        refused_for(h.store.describe(&name, "k").await, "invalid-argument", &name);
        refused_for(h.store.delete(&name, "k", Precondition::None, Projection::Key).await, "invalid-argument", &name);
        refused_for(there.increment("k", 1).await, "invalid-argument", &name);
        refused_for(there.swap("k", None, 1).await, "invalid-argument", &name);
        refused_for(there.set_expiry("k", Expiry::Never).await, "invalid-argument", &name);
        refused_for(there.update_metadata("k", "{}").await, "invalid-argument", &name);
        let query = Query::pattern("**");
        refused_for(h.store.list_entries(&name, &query, None, 10, Projection::Key).await, "invalid-argument", &name);
        refused_for(h.store.count(&name, &query, None, 10).await, "invalid-argument", &name);
        refused_for(h.store.delete_matching(&name, &query, None, 10).await, "invalid-argument", &name);
        refused_for(h.store.children(&name, None, false, None, 10).await, "invalid-argument", &name);
        refused_for(h.store.cleanup_expired(Some(&name), 10).await, "invalid-argument", &name);
    }
}

async fn an_unknown_one_is_empty(h: Harness) {
    h.expect_absent("k").await;
    assert_eq!(h.describe("k").await, None);
    assert_eq!(h.delete("k").await, DeleteResult::Absent);
    assert!(h.keys("**").await.is_empty());
    assert_eq!(h.count(&Query::pattern("**"), 100).await, 0);
    assert_eq!(h.delete_matching(&Query::pattern("**"), 100).await, 0);
    assert!(h.store.children(&h.namespace, None, true, None, 10).await.unwrap().children.is_empty());
    let cleaned = h.store.cleanup_expired(Some(&h.namespace), 10).await.unwrap();
    assert_eq!((cleaned.count, cleaned.more), (0, false));
    assert!(!listed(&h, MAX_PAGE).await.contains(&h.namespace), "reading makes no namespace");
}

async fn the_default_is_an_ordinary_one(h: Harness) {
    assert_eq!(key::DEFAULT_NAMESPACE, "default");
    let default = h.beside(key::DEFAULT_NAMESPACE);
    let key = h.namespace.clone();
    default.put(&key, "there").await;
    default.expect(&key, "there").await;
    h.expect_absent(&key).await;
    assert_eq!(default.delete(&key).await, DeleteResult::Deleted);
}

async fn listings_do_not_cross(h: Harness) {
    let (before, after) = (h.beside(format!("{}!", h.namespace)), h.beside(format!("{}~", h.namespace)));
    for space in [&before, &h, &after] {
        for key in ["a", "b.c", "z"] {
            space.put(key, space.namespace.as_str()).await;
        }
    }
    h.put("only", 1).await;
    assert_eq!(h.keys("**").await, ["a", "b.c", "only", "z"]);
    assert_eq!(before.keys("**").await, ["a", "b.c", "z"]);
    assert_eq!(after.keys("**").await, ["a", "b.c", "z"]);
    assert_eq!(h.count(&Query::pattern("**"), 1000).await, 4);
    assert_eq!(after.count(&Query::pattern("**"), 1000).await, 3);
}

async fn deletion_by_pattern_does_not_cross(h: Harness) {
    let others = ["", "x", ".a", "*", "!", "~"].map(|suffix| h.beside(format!("{}-{suffix}", h.namespace)));
    for space in others.iter().chain([&h]) {
        space.put("a", 1).await;
        space.put("b.c", 2).await;
    }
    assert_eq!(h.delete_matching(&Query::pattern("**"), 1000).await, 2);
    assert!(h.keys("**").await.is_empty());
    for space in &others {
        assert_eq!(space.keys("**").await, ["a", "b.c"], "{:?}", space.namespace);
    }
}

async fn listed_in_order(h: Harness) {
    let base = &h.namespace;
    // In byte order; by UTF-16 the last two would change places.
    let names = ["", "-", ".", "A", "B", "a", "b", "\u{e9}", "\u{ffff}", "\u{10000}"].map(|s| format!("{base}{s}"));
    for name in names.iter().rev() {
        h.beside(name).put("k", 1).await;
    }
    let found = listed(&h, MAX_PAGE).await;
    assert!(found.is_sorted(), "in byte order");
    let own: Vec<&String> = found.iter().filter(|name| name.starts_with(base)).collect();
    assert_eq!(own, names.iter().collect::<Vec<_>>());
}

async fn listed_in_pages(h: Harness) {
    let names: Vec<String> = (0..7).map(|at| format!("{}-{at}", h.namespace)).collect();
    for name in &names {
        h.beside(name).put("k", 1).await;
    }
    let whole = listed(&h, MAX_PAGE).await;
    for limit in [1, 3] {
        let paged = listed(&h, limit).await;
        let own = |all: &[String]| all.iter().filter(|n| n.starts_with(&h.namespace)).cloned().collect::<Vec<_>>();
        assert_eq!(own(&paged), names, "pages of {limit}");
        assert_eq!(own(&whole), names);
    }
}

async fn page_limits(h: Harness) {
    for limit in [0, MAX_PAGE + 1, u32::MAX] {
        refused(h.store.namespaces(None, limit).await, "invalid-argument");
    }
    h.store.namespaces(None, MAX_PAGE).await.unwrap();
}

async fn cleared(h: &Harness, limit: u32) {
    for _ in 0..10_000 {
        if !h.store.clear(&h.namespace, limit).await.expect("clear") {
            return;
        }
    }
    panic!("clear without end");
}

async fn clear_takes_one_only(h: Harness) {
    let base = &h.namespace;
    let others = ["x", ".b", "*", "\\", "~", "!"].map(|suffix| h.beside(format!("{base}{suffix}")));
    for space in others.iter().chain([&h]) {
        space.put_keys(&["a", "b.c", "b.d"]).await;
    }
    // Read before: a cache may not go on answering from what it saw.
    h.expect("a", "a").await;
    cleared(&h, 1000).await;
    assert!(h.keys("**").await.is_empty());
    h.expect_absent("a").await;
    assert!(!listed(&h, MAX_PAGE).await.contains(base));
    for space in &others {
        assert_eq!(space.keys("**").await, ["a", "b.c", "b.d"], "{:?}", space.namespace);
        space.expect("b.c", "b.c").await;
    }
}

async fn clear_takes_what_has_expired(h: Harness) {
    written(h.set("short", 1, expiring(Expiry::After(10))).await);
    h.put("long", 1).await;
    h.clock.advance(11);
    cleared(&h, 1000).await;
    assert!(!listed(&h, MAX_PAGE).await.contains(&h.namespace));
    assert_eq!(h.store.cleanup_expired(Some(&h.namespace), 10).await.unwrap().count, 0, "nothing is left to clean up");
}

async fn clear_keeps_to_its_limit(h: Harness) {
    h.put_keys(&["a", "b", "c", "d", "e"]).await;
    assert!(h.store.clear(&h.namespace, 2).await.unwrap(), "more is left");
    assert_eq!(h.keys("**").await.len(), 3);
    cleared(&h, 1).await;
    assert!(h.keys("**").await.is_empty());
}

async fn clear_refuses_bad_limits(h: Harness) {
    h.put("a", 1).await;
    for limit in [0, MAX_PAGE + 1] {
        refused(h.store.clear(&h.namespace, limit).await, "invalid-argument");
    }
    refused(h.store.clear(&"x".repeat(65), 10).await, "invalid-argument");
    h.expect("a", 1).await;
}

async fn a_cleared_one_is_as_new(h: Harness) {
    let before = h.put("a", 1).await;
    let created = h.entry("a").await.attributes.created_at;
    cleared(&h, 1000).await;
    h.clock.advance(5);
    let again = h.store.set(&h.namespace, item("a", 1)).await;
    assert_ne!(written(again), before);
    assert_eq!(h.entry("a").await.attributes.created_at, created + 5);
    assert_eq!(listed(&h, MAX_PAGE).await.iter().filter(|name| **name == h.namespace).count(), 1);
}
