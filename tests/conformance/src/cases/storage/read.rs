//! Reads of one and of many; keys and namespaces of any characters.

use super::{all, filled, one, plain, put, put_until, put_version, read};
use crate::Harness;
use dataknobs_kv_core::Projection;
use dataknobs_kv_core::storage::{Change, Hint, Outcome, Range};

cases! {
    "storage";
    expiry_goes_by_the_time_given: [D1, T1] [Raw];
    reads_many_in_order: [D13] [Raw];
    reads_many_in_parts: [D13, Z2] [Raw];
    keys_of_any_characters: [D15, K2] [Raw];
    names_and_keys_never_join: [D15, N2] [Raw];
    capabilities_agree: [S1] [Raw];
    waiting_ends: [A6] [Raw];
}

async fn expiry_goes_by_the_time_given(h: Harness) {
    let storage = h.storage();
    let end = h.clock.now() + 1000;
    put_version(&h, put_until(&h, "k", end)).await;
    for (now, there) in [(end - 1, true), (end, false), (end + 1_000_000, false), (end - 1, true)] {
        let what = format!("{now} of {end}");
        assert_eq!(storage.get(&h.namespace, "k", now, true).await.unwrap().is_some(), there, "{what}");
        let many = storage.get_many(&h.namespace, &["k".into()], now, false).await.unwrap();
        assert_eq!(many[0].as_ref().unwrap().is_some(), there, "{what}");
        let page =
            storage.scan(&h.namespace, Range::default(), Hint::default(), now, 10, Projection::Key).await.unwrap();
        assert_eq!(page.items.len(), usize::from(there), "{what}");
        if let Some(count) = storage.count(&h.namespace, Range::default(), now).await.unwrap() {
            assert_eq!(count, u64::from(there), "{what}");
        }
    }
}

async fn reads_many_in_order(h: Harness) {
    filled(&h).await;
    let wanted: Vec<String> = ["c", "nothing", "a", "\u{10000}", "b", "b.a", "zzz", "a.b"].map(String::from).into();
    for with_value in [true, false] {
        let results = h.storage().get_many(&h.namespace, &wanted, h.clock.now(), with_value).await.unwrap();
        assert_eq!(results.len(), wanted.len());
        for (key, result) in wanted.iter().zip(results) {
            let single = h.storage().get(&h.namespace, key, h.clock.now(), with_value).await.unwrap();
            assert_eq!(result.unwrap(), single, "{key}");
        }
    }
}

async fn reads_many_in_parts(h: Harness) {
    let wanted: Vec<String> = (0..20).map(|at| format!("k{at:02}")).collect();
    for (at, key) in wanted.iter().enumerate() {
        put_version(&h, put(&h, key, &vec![at as u8; 1 << 20])).await;
    }
    let mut at = 0;
    while at < wanted.len() {
        let results = h.storage().get_many(&h.namespace, &wanted[at..], h.clock.now(), true).await.unwrap();
        assert!(!results.is_empty() && results.len() <= 16, "{} MiB at once", results.len());
        for result in results {
            assert_eq!(result.unwrap().expect("there").value.expect("asked for")[0], at as u8);
            at += 1;
        }
    }
}

async fn keys_of_any_characters(h: Harness) {
    let keys = [
        "/",
        "//",
        "a//b",
        "../x",
        "*",
        "**",
        "?",
        "}",
        "{",
        "'",
        "\"",
        "\\",
        "\\\\",
        "%",
        "%2F",
        " ",
        "  ",
        ".",
        "..",
        ".a",
        "a.",
        "a..b",
        "-",
        "--",
        "$1",
        ":",
        "::",
        "a:b",
        "\u{e9}",
        "e\u{301}",
        "\u{ffff}",
        "\u{10ffff}",
        "\u{feff}",
        "NUL",
        "a\u{2028}b",
        "'; --",
    ];
    h.write(keys.iter().map(|key| put(&h, key, key.as_bytes())).collect(), false).await;
    let mut sorted = keys.to_vec();
    sorted.sort();
    assert_eq!(all(&h).await, sorted);
    for key in keys {
        assert_eq!(read(&h, key).await.expect("there").value, Some(key.as_bytes().to_vec()), "{key:?}");
    }
    for key in keys.iter().step_by(2) {
        assert_eq!(one(&h, plain(key, Change::Delete)).await, Outcome::Deleted);
    }
    assert_eq!(all(&h).await.len(), keys.len() / 2);
}

async fn names_and_keys_never_join(h: Harness) {
    let base = &h.namespace;
    let pairs = [
        (format!("{base}a"), "b.c"),
        (format!("{base}a.b"), "c"),
        (format!("{base}a"), "b:c"),
        (format!("{base}a:b"), "c"),
        (format!("{base}a"), "b/c"),
        (format!("{base}a/b"), "c"),
        (base.clone(), "ab.c"),
        (format!("{base}ab"), ".c"),
        (format!("{base}}}"), "x"),
        (format!("{base}{{"), "}x"),
        (format!("{base}{{}}"), "x"),
        (format!("{base}\\"), "x"),
        (format!("{base}*"), "x"),
    ];
    for (at, (namespace, key)) in pairs.iter().enumerate() {
        h.beside(namespace).write(vec![put(&h, key, &[at as u8])], false).await;
    }
    for (at, (namespace, key)) in pairs.iter().enumerate() {
        let state = read(&h.beside(namespace), key).await.expect("there");
        assert_eq!(state.value, Some(vec![at as u8]), "{namespace:?} {key:?}");
        let own = pairs.iter().filter(|(other, _)| other == namespace).count();
        assert_eq!(all(&h.beside(namespace)).await.len(), own, "{namespace:?}");
    }
}

async fn capabilities_agree(h: Harness) {
    assert_eq!(h.storage().capabilities(), h.capabilities);
    assert_eq!(h.storage().capabilities(), h.storage().capabilities());
}

async fn waiting_ends(h: Harness) {
    for attempt in [1, 2, 10] {
        h.storage().backoff(&h.namespace, "k", attempt).await;
    }
}
