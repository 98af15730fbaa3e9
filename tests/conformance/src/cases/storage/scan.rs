//! Pages, ranges, hints, counts.

use super::{KEYS, all, attributes, filled, plain, put, put_if, put_until, put_version, read, scan};
use crate::Harness;
use dataknobs_kv_core::storage::{Change, Hint, Mutation, Range};
use dataknobs_kv_core::{Attributes, Pattern, Precondition, Projection, State};

cases! {
    "storage";
    ranges: [D8] [Raw];
    pages_go_on: [D8, L3] [Raw];
    pages_under_writes: [D8, L3] [Raw];
    hints_drop_no_match: [D8, P1, P4] [Raw];
    metadata_hints_drop_no_match: [D8, L7] [Raw];
    scan_projections: [D8, L5] [Raw];
    scans_skip_the_expired: [D1, D8] [Raw];
    large_pages_are_cut: [D8, Z2] [Raw];
    counts_or_does_not_know: [D9, D1] [Raw];
}

async fn ranges(h: Harness) {
    filled(&h).await;
    let points = [
        None,
        Some("a"),
        Some("a."),
        Some("a.b"),
        Some("a.zzz"),
        Some("b"),
        Some("\u{e9}"),
        Some("\u{ffff}"),
        Some("\u{10ffff}"),
        Some("!"),
    ];
    for from in points {
        for to in points {
            for after in points {
                let range = Range { from: from.map(Into::into), to: to.map(Into::into), after: after.map(Into::into) };
                let expected: Vec<&str> = KEYS
                    .into_iter()
                    .filter(|key| from.is_none_or(|from| from <= *key))
                    .filter(|key| to.is_none_or(|to| *key < to))
                    .filter(|key| after.is_none_or(|after| after < *key))
                    .collect();
                assert_eq!(scan(&h, range.clone(), Hint::default(), 100).await, expected, "{range:?}");
            }
        }
    }
}

async fn pages_go_on(h: Harness) {
    filled(&h).await;
    for limit in [1, 2, 5, 14, 15, 10_000] {
        assert_eq!(scan(&h, Range::default(), Hint::default(), limit).await, KEYS, "pages of {limit}");
        let range = Range { from: Some("a.".into()), to: Some("c".into()), after: None };
        assert_eq!(scan(&h, range, Hint::default(), limit).await, KEYS[2..10], "pages of {limit}");
    }
}

async fn pages_under_writes(h: Harness) {
    let keys: Vec<String> = (0..40).map(|at| format!("k{at:02}")).collect();
    h.write(keys.iter().map(|key| put(&h, key, b"0")).collect(), false).await;
    let (mut found, mut after, mut step) = (Vec::<String>::new(), None, 0_usize);
    loop {
        let range = Range { after: after.clone(), ..Range::default() };
        let page =
            h.storage().scan(&h.namespace, range, Hint::default(), h.clock.now(), 1, Projection::Key).await.unwrap();
        found.extend(page.items.into_iter().map(|entry| entry.key));
        // Everything is rewritten, some that were not there come and some of those go.
        let mut writes: Vec<Mutation> = keys.iter().map(|key| put(&h, key, b"1")).collect();
        writes.push(put(&h, &format!("k{:02}-new", (step * 13) % 40), b"1"));
        writes.push(plain(&format!("k{:02}-new", (step * 7) % 40), Change::Delete));
        writes.dedup_by(|a, b| a.key == b.key);
        h.write(writes, false).await;
        step += 1;
        assert!(step < 1000, "a scan without end");
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    assert!(found.is_sorted_by(|a, b| a < b), "in order, each once: {found:?}");
    assert!(keys.iter().all(|key| found.contains(key)), "what was there throughout came: {found:?}");
}

const VALID: [&str; 18] = [
    "a",
    "a\\.b",
    "a.b",
    "a\\\\b",
    "axb",
    "a[b]",
    "a*b",
    "a?b",
    "a%b",
    "a_b",
    "A.b",
    "\\.",
    "x",
    "x.y.z",
    "(a)",
    "caf\u{e9}",
    "cafe\u{301}",
    "\u{1f600}.x",
];

async fn hints_drop_no_match(h: Harness) {
    h.write(VALID.iter().map(|key| put(&h, key, b"v")).collect(), false).await;
    for text in [
        "a?b",
        "[!x]",
        "a*",
        "*",
        "**",
        "a.*",
        "**.b",
        "?",
        "??",
        "{a,x}*",
        "{a,x}.**",
        "a[!x]b",
        "a\\*b",
        "a\\?b",
        "a[[]b]",
        "a_b",
        "a%b",
        "[aA].b",
        "a\\\\b",
        "a\\.b",
        "caf?",
        "cafe?",
        "(a)",
        "*\\.*",
        "**.?",
        "\u{1f600}.?",
        "{a%b,a_b,a\\\\b}",
    ] {
        let pattern = Pattern::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        let hint = Hint { pattern: Some(text.into()), metadata: None };
        for limit in [2, 100] {
            let found = scan(&h, Range::default(), hint.clone(), limit).await;
            for key in VALID.iter().filter(|key| pattern.matches(key)) {
                assert!(found.iter().any(|other| other == key), "{text} matches {key:?}");
            }
            assert!(found.is_sorted_by(|a, b| a < b));
        }
    }
}

async fn metadata_hints_drop_no_match(h: Harness) {
    let texts = [
        "{\"a\":1}",
        "{\"a\":100}",
        "{\"a\":\"1\"}",
        "{\"a\":null}",
        "{\"a\":[1,2]}",
        "{\"a\":{\"b\":1,\"c\":2}}",
        "{\"a\":\"\u{e9}\"}",
        "{\"a.b\":1}",
        "{\"\":1}",
        "{\"b\":1}",
    ];
    let put_with = |at: usize, metadata: &str| {
        let attributes = Attributes { metadata: Some(metadata.into()), ..attributes(b"v", h.clock.now()) };
        put_if(&format!("k{at}"), b"v", attributes, Precondition::None)
    };
    h.write(texts.iter().enumerate().map(|(at, text)| put_with(at, text)).collect(), false).await;
    put_version(&h, put(&h, "none", b"v")).await;
    for (query, expected) in [
        ("{\"a\":1}", vec!["k0"]),
        ("{\"a\":1.0}", vec!["k0"]),
        ("{\"a\":1e2}", vec!["k1"]),
        ("{\"a\":null}", vec!["k3"]),
        ("{\"a\":{\"c\":2,\"b\":1}}", vec!["k5"]),
        ("{\"a\":\"\\u00e9\"}", vec!["k6"]),
        ("{\"a.b\":1}", vec!["k7"]),
        ("{}", vec!["k0", "k9", "none"]),
    ] {
        let hint = Hint { pattern: None, metadata: Some(query.into()) };
        let found = scan(&h, Range::default(), hint, 100).await;
        assert!(expected.iter().all(|key| found.iter().any(|other| other == key)), "{query}: {found:?}");
    }
}

async fn scan_projections(h: Harness) {
    put_version(&h, put(&h, "k", b"value")).await;
    let page = async |want| {
        let storage = h.storage();
        let page =
            storage.scan(&h.namespace, Range::default(), Hint::default(), h.clock.now(), 10, want).await.unwrap();
        assert_eq!((page.items.len(), page.items[0].key.as_str()), (1, "k"));
        page.items[0].state.clone()
    };
    let full = read(&h, "k").await.expect("there");
    assert_eq!(page(Projection::Key).await, None);
    assert_eq!(page(Projection::Attributes).await, Some(State { value: None, ..full.clone() }));
    assert_eq!(page(Projection::Value).await, Some(full));
}

async fn scans_skip_the_expired(h: Harness) {
    let now = h.clock.now();
    let writes = (0..30).map(|at| put_until(&h, &format!("k{at:02}"), now + 10 + at % 3)).collect();
    h.write(writes, false).await;
    h.clock.advance(11);
    let expected: Vec<String> = (0..30).filter(|at| at % 3 == 2).map(|at| format!("k{at:02}")).collect();
    for limit in [1, 4, 100] {
        assert_eq!(scan(&h, Range::default(), Hint::default(), limit).await, expected);
    }
}

async fn large_pages_are_cut(h: Harness) {
    let value = vec![1; 1 << 20];
    for at in 0..20 {
        put_version(&h, put(&h, &format!("k{at:02}"), &value)).await;
    }
    let (mut count, mut after, mut pages) = (0, None, 0);
    loop {
        let range = Range { after, ..Range::default() };
        let page = h
            .storage()
            .scan(&h.namespace, range, Hint::default(), h.clock.now(), 1000, Projection::Value)
            .await
            .unwrap();
        let bytes: usize =
            page.items.iter().filter_map(|entry| entry.state.as_ref()?.value.as_ref()).map(Vec::len).sum();
        assert!(bytes <= 16 << 20, "{bytes} bytes in one page");
        count += page.items.len();
        pages += 1;
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    assert!(count == 20 && pages >= 2, "{count} in {pages} pages");
    assert_eq!(all(&h).await.len(), 20);
}

async fn counts_or_does_not_know(h: Harness) {
    filled(&h).await;
    put_version(&h, put_until(&h, "a.soon", h.clock.now() + 5)).await;
    let count = async |from: Option<&str>, to: Option<&str>| {
        let range = Range { from: from.map(Into::into), to: to.map(Into::into), after: None };
        h.storage().count(&h.namespace, range, h.clock.now()).await.expect("a count")
    };
    for (from, to, expected) in [
        (None, None, 15),
        (Some("a."), Some("a/"), 4),
        (Some("c"), None, 4),
        (Some("x"), Some("y"), 0),
        (Some("b"), Some("a"), 0),
    ] {
        if let Some(found) = count(from, to).await {
            assert_eq!(found, expected, "{from:?} to {to:?}");
        }
    }
    h.clock.advance(5);
    if let Some(found) = count(None, None).await {
        assert_eq!(found, 14);
    }
    if let Some(found) = count(Some("a."), Some("a/")).await {
        assert_eq!(found, 3);
    }
}
