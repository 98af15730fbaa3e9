//! Whatever is sent, and whatever the backend answers: an error of the list, and the store goes on.

use std::sync::Arc;

use dataknobs_kv_core::storage::{Hint, Range};
use dataknobs_kv_core::store::{Expiry, Item, MAX_PAGE, Numeric, Query, SetOptions, SetResult};
use dataknobs_kv_core::{Error, Precondition, Projection, Result, Value};

use crate::Harness;
use crate::harness::{item, refused, refused_for, with_metadata, written};
use crate::wrap::{AlwaysLate, Counting, Damaging, Failing, Picky};

cases! {
    "hostile";
    codes_are_the_list: [E1];
    messages_keep_secrets: [E2];
    odd_text_everywhere: [E3, E1];
    random_text_everywhere: [E3, E1];
    huge_text_everywhere: [E3, Z1];
    extreme_numbers_everywhere: [E3, Z1];
    refused_calls_change_nothing: [E4];
    capabilities_stay: [S1];
    capabilities_are_sound: [S1, S2];
    errors_of_the_backend_come_through: [E5, E1] [Over];
    one_item_may_fail_in_the_backend: [B2, E4, E5] [Over, Batches];
    endless_rivals_end_in_rate_limited: [A6, E5] [Over];
    damaged_values_are_corrupt: [E1, E3, D8] [Over];
    few_round_trips: [B1, D13] [Over];
}

fn known(code: &str) -> bool {
    [
        "invalid-argument",
        "too-large",
        "type-mismatch",
        "overflow",
        "unsupported",
        "access-denied",
        "rate-limited",
        "unavailable",
        "outcome-unknown",
        "corrupt",
        "internal",
    ]
    .contains(&code)
}

async fn codes_are_the_list(h: Harness) {
    let text = || "x".to_owned();
    let all = [
        Error::InvalidArgument(text()),
        Error::too_large("value", 1, 2),
        Error::TypeMismatch(text()),
        Error::Overflow(text()),
        Error::Unsupported(text()),
        Error::AccessDenied(text()),
        Error::RateLimited(Some(Box::new(5))),
        Error::Unavailable(text()),
        Error::OutcomeUnknown(text()),
        Error::Corrupt(text()),
        Error::Internal(text()),
    ];
    let codes: std::collections::BTreeSet<&str> = all.iter().map(Error::code).collect();
    assert!(codes.len() == 11 && codes.into_iter().all(known));
    // Some that every store can be brought to.
    h.put("text", "x").await;
    h.put("max", i64::MAX).await;
    refused(h.increment("text", 1).await, "type-mismatch");
    refused(h.increment("max", 1).await, "overflow");
    refused(h.store.get(&h.namespace, "a..b").await, "invalid-argument");
    // Absence and a lost race are none.
    assert_eq!(h.get("nothing").await, None);
    let lost = h.set("text", 1, SetOptions { precondition: Precondition::Absent, ..SetOptions::default() }).await;
    assert!(matches!(lost, Ok(SetResult::Conflict(_))));
}

async fn messages_keep_secrets(h: Harness) {
    const SECRET: &str = "hunter2-secret";
    h.put("k", SECRET).await;
    let broken = format!("{{\"password\":\"{SECRET}\"");
    let errors = [
        h.increment("k", 1).await.map(drop),
        h.store.append(&h.namespace, "k", Value::from(SECRET.as_bytes()), Expiry::Unspecified).await.map(drop),
        h.set("k", Value::Json(broken.clone()), SetOptions::default()).await.map(drop),
        h.set("k", 1, with_metadata(&broken)).await.map(drop),
        h.set("k", 1, with_metadata(&format!("{{\"{SECRET}\":1,\"{SECRET}\":2}}"))).await.map(drop),
        h.update_metadata("k", &broken).await.map(drop),
        h.swap("k", Some(Value::Json(broken.clone())), SECRET).await.map(drop),
    ];
    for (at, error) in errors.into_iter().enumerate() {
        let error = error.expect_err("refused");
        assert!(!error.to_string().contains(SECRET), "{at}: {error}");
        assert!(!format!("{error:?}").contains(SECRET), "{at}: {error:?}");
    }
}

/// Calls everything with this text wherever text goes; only errors of a caller's making may come.
async fn bombard(h: &Harness, text: &str) {
    fn fine<T>(result: Result<T>, what: &str, text: &str) {
        if let Err(error) = result {
            let code = error.code();
            assert!(
                ["invalid-argument", "too-large", "type-mismatch", "unsupported"].contains(&code),
                "{what} with {:?}: {error}",
                text.chars().take(100).collect::<String>()
            );
        }
    }
    let (store, namespace) = (&h.store, h.namespace.as_str());
    let none = || Precondition::None;
    let query =
        |pattern: &str, metadata: Option<&str>| Query { pattern: pattern.into(), metadata: metadata.map(Into::into) };
    fine(store.get(namespace, text).await, "get", text);
    fine(h.set(text, text, SetOptions::default()).await, "set", text);
    fine(h.increment(text, 1).await, "increment", text);
    fine(store.append(namespace, text, text.into(), Expiry::Unspecified).await, "append", text);
    fine(h.update_metadata(text, text).await, "update-metadata", text);
    fine(store.children(namespace, Some(text), true, None, 10).await, "children", text);
    fine(store.delete(namespace, text, none(), Projection::Key).await, "delete", text);
    fine(h.set("k", Value::Json(text.into()), SetOptions::default()).await, "set json", text);
    fine(h.set("k", 1, with_metadata(text)).await, "set metadata", text);
    fine(
        h.set("k", 1, SetOptions { content_type: Some(text.into()), ..SetOptions::default() }).await,
        "content type",
        text,
    );
    let custom = Value::Custom { type_name: text.into(), bytes: vec![1] };
    fine(h.set("k", custom, SetOptions::default()).await, "custom", text);
    fine(store.list_entries(namespace, &query(text, None), None, 10, Projection::Key).await, "pattern", text);
    fine(store.list_entries(namespace, &query("**", Some(text)), None, 10, Projection::Key).await, "query", text);
    fine(store.list_entries(namespace, &query("**", None), Some(text), 10, Projection::Key).await, "cursor", text);
    fine(store.count(namespace, &query(text, None), None, 10).await, "count", text);
    fine(store.namespaces(Some(text), 10).await, "namespaces", text);
    fine(store.get(text, "k").await, "namespace", text);
    fine(store.cleanup_expired(Some(text), 10).await, "cleanup", text);
}

async fn still_works(h: &Harness) {
    h.put("still", "works").await;
    h.expect("still", "works").await;
}

async fn odd_text_everywhere(h: Harness) {
    let texts = [
        "",
        " ",
        "\0",
        "\n",
        "\u{7f}",
        "\\",
        "\\\\\\",
        ".",
        "..",
        "\"",
        "'",
        "'; DROP TABLE kv; --",
        "%",
        "%s%n",
        "%00",
        "${jndi:x}",
        "../../etc/passwd",
        "{",
        "}",
        "[",
        "]",
        "[]",
        "{}",
        "{,}",
        "[!",
        "[]]",
        "[a-",
        "**",
        "***",
        "*.*.*",
        "{{{{",
        "null",
        "NaN",
        "1e999",
        "-0",
        "\u{feff}",
        "\u{202e}",
        "\u{ffff}",
        "\u{10ffff}",
        "e\u{301}",
        "\r\n\r\nGET /",
        "a\r\nX-Injected: 1",
        "?a=b&c=d#e",
        "/",
        "//",
        "/v1/x",
        "+",
        "=",
        "AAAA====",
        "\u{1f600}",
        "{\"a\":{\"a\":1}}",
        "{\"ttl\":0}",
        "[1,[2,[3]]]",
        "\"\\ud800\"",
        "\u{d7ff}\u{e000}",
        "\\.",
        ".\\",
        "a.\\",
        "*\\",
        "[\\",
        "{\\",
        "(?:a+)+$",
    ];
    for text in texts.into_iter().step_by(h.many(1, 9)) {
        bombard(&h, text).await;
    }
    still_works(&h).await;
}

async fn random_text_everywhere(h: Harness) {
    const PIECES: [&str; 24] = [
        "a",
        ".",
        "\\",
        "*",
        "**",
        "?",
        "[",
        "]",
        "{",
        "}",
        ",",
        "!",
        "-",
        "\"",
        ":",
        "0",
        "1e9",
        "\u{e9}",
        "\u{1f600}",
        " ",
        "/",
        "\\u0000",
        "\0",
        "^",
    ];
    for _ in 0..h.many(80, 3) {
        let length = rand::random_range(1..12);
        let text: String = (0..length).map(|_| PIECES[rand::random_range(0..PIECES.len())]).collect();
        bombard(&h, &text).await;
    }
    still_works(&h).await;
}

async fn huge_text_everywhere(h: Harness) {
    // Not more than a request line takes, for who sends them so.
    let repeat = |unit: &str| unit.repeat(h.many(6000, 1500) / unit.len());
    for unit in ["x", ".", "*", "a.", "{a,b}", "[", "{", "\\", "(", "\u{1f600}", "[1,"] {
        bombard(&h, &repeat(unit)).await;
    }
    still_works(&h).await;
}

async fn extreme_numbers_everywhere(h: Harness) {
    let (store, namespace) = (&h.store, h.namespace.as_str());
    let query = Query::pattern("**");
    for limit in [0, 1, MAX_PAGE, MAX_PAGE + 1, i32::MAX as u32, u32::MAX] {
        let fine = (1..=MAX_PAGE).contains(&limit);
        let results = [
            store.list_entries(namespace, &query, None, limit, Projection::Key).await.map(drop),
            store.count(namespace, &query, None, limit).await.map(drop),
            store.delete_matching(namespace, &query, None, limit).await.map(drop),
            store.children(namespace, None, true, None, limit).await.map(drop),
            store.cleanup_expired(Some(namespace), limit).await.map(drop),
        ];
        // A runner may not pass limits on; what it passes on must be judged.
        for result in results {
            match result {
                Ok(()) => assert!(fine || h.slow),
                error => drop(refused_for(error, "invalid-argument", &limit.to_string())),
            }
        }
    }
    let now = h.clock.now();
    for span in [0, 1, u64::from(u32::MAX), i64::MAX as u64, u64::MAX - now, u64::MAX] {
        for expiry in [Expiry::After(span), Expiry::At(span)] {
            if let Err(error) = h.set("k", 1, SetOptions { expiry, ..SetOptions::default() }).await {
                assert_eq!(error.code(), "invalid-argument", "{expiry:?}");
            }
        }
    }
    for delta in [i64::MIN, -1, i64::MAX] {
        if let Err(error) = h.increment("count", delta).await {
            assert_eq!(error.code(), "overflow");
        }
    }
    still_works(&h).await;
}

async fn refused_calls_change_nothing(h: Harness) {
    written(h.set("k", "old", with_metadata("{\"m\":1}")).await);
    let before = h.entry("k").await;
    h.clock.advance(10);
    let bad = [
        SetOptions { expiry: Expiry::After(0), ..SetOptions::default() },
        SetOptions { expiry: Expiry::At(u64::MAX), ..SetOptions::default() },
        with_metadata("[]"),
        with_metadata("{\"ttl\":-1}"),
    ];
    for options in bad {
        refused(h.set("k", "new", options).await, "invalid-argument");
    }
    refused(h.increment("k", 1).await, "type-mismatch");
    refused(h.store.append(&h.namespace, "k", Value::Integer(1), Expiry::Unspecified).await, "type-mismatch");
    refused(h.update_metadata("k", "nope").await, "invalid-argument");
    refused(h.set_expiry("k", Expiry::After(0)).await, "invalid-argument");
    assert_eq!(h.entry("k").await, before);
    assert_eq!(h.keys("**").await, ["k"]);
}

async fn capabilities_stay(h: Harness) {
    let first = h.store.capabilities().await.expect("capabilities");
    h.put("k", 1).await;
    assert_eq!(h.store.capabilities().await.expect("capabilities"), first);
    assert_eq!(h.capabilities, first, "what the store says is what its backend declares");
}

async fn capabilities_are_sound(h: Harness) {
    let c = h.store.capabilities().await.expect("capabilities");
    assert!(c.max_atomic >= 1);
    assert!(c.max_value_bytes >= 1 << 20, "a value of a mebibyte is always possible");
    assert!(c.max_metadata_bytes >= 16 << 10, "metadata of 16 KiB is always possible");
}

async fn errors_of_the_backend_come_through(h: Harness) {
    for error in [
        Error::Unavailable("no connection".into()),
        Error::RateLimited(Some(Box::new(50))),
        Error::AccessDenied("not yours".into()),
        Error::OutcomeUnknown("no answer".into()),
        Error::Corrupt("a page".into()),
    ] {
        let f = h.over(|storage| Arc::new(Failing { storage, error: error.clone() }));
        let (store, namespace) = (&f.store, f.namespace.as_str());
        let code = error.code();
        assert_eq!(store.get(namespace, "k").await, Err(error.clone()));
        refused(store.describe(namespace, "k").await, code);
        refused(store.set(namespace, item("k", 1)).await, code);
        refused(store.delete(namespace, "k", Precondition::None, Projection::Key).await, code);
        refused(f.swap("k", None, 1).await, code);
        refused(f.increment("k", 1).await, code);
        refused(store.append(namespace, "k", "x".into(), Expiry::Unspecified).await, code);
        refused(f.update_metadata("k", "{}").await, code);
        refused(f.set_expiry("k", Expiry::Never).await, code);
        refused(store.list_entries(namespace, &Query::pattern("**"), None, 10, Projection::Key).await, code);
        refused(store.count(namespace, &Query::pattern("a*"), None, 10).await, code);
        refused(store.delete_matching(namespace, &Query::pattern("**"), None, 10).await, code);
        refused(store.children(namespace, None, false, None, 10).await, code);
        refused(store.cleanup_expired(Some(namespace), 10).await, code);
        refused(store.clear(namespace, 10).await, code);
        refused(store.namespaces(None, 10).await, code);
        let many = store.set_many(namespace, vec![item("a", 1), item("b", 2)]).await;
        match many {
            Err(whole) => assert_eq!(whole, error),
            Ok(each) => assert!(each.len() == 2 && each.iter().all(|one| one.as_ref().is_err_and(|e| *e == error))),
        }
        // What breaks a rule never reaches the backend.
        refused(store.get(namespace, "a..b").await, "invalid-argument");
    }
    still_works(&h).await;
}

async fn one_item_may_fail_in_the_backend(h: Harness) {
    let p = h.over(|storage| Arc::new(Picky { storage }));
    let items = vec![item("a", 1), item("refuse.1", 2), item("b", 3), item("refuse.2", 4)];
    let mut results = p.store.set_many(&p.namespace, items).await.expect("the others are done");
    assert_eq!(results.len(), 4);
    refused(results.remove(3), "unavailable");
    written(results.remove(2));
    refused(results.remove(1), "unavailable");
    written(results.remove(0));
    assert_eq!(h.keys("**").await, ["a", "b"]);
    h.expect("b", 3).await;
}

async fn endless_rivals_end_in_rate_limited(h: Harness) {
    let clock = h.clock.clone();
    let late = h.over(|storage| Arc::new(AlwaysLate { storage, clock, lost: 0.into() }));
    h.put("count", 1).await;
    h.put("log", "x").await;
    refused(late.increment("count", 1).await, "rate-limited");
    refused(late.store.append(&h.namespace, "log", "y".into(), Expiry::Unspecified).await, "rate-limited");
    still_works(&h).await;
}

async fn damaged_values_are_corrupt(h: Harness) {
    let d = h.over(|storage| Arc::new(Damaging { storage }));
    h.put_keys(&["a", "damaged.text", "z"]).await;
    h.put("damaged.number", 1.5).await;
    h.put("damaged.json", Value::Json("[1]".into())).await;
    assert_eq!(d.keys("**").await, ["a", "damaged.json", "damaged.number", "damaged.text", "z"]);
    refused(d.store.get(&d.namespace, "damaged.text").await, "corrupt");
    refused(d.increment("damaged.number", 1).await, "corrupt");
    refused(d.store.append(&d.namespace, "damaged.json", 1.into(), Expiry::Unspecified).await, "corrupt");
    d.expect("a", "a").await;
    let wanted = ["a", "damaged.text", "z"].map(String::from);
    let results = d.store.get_many(&d.namespace, &wanted, true).await.expect("the others are read");
    assert!(results[0].is_ok() && results[2].is_ok());
    refused(results[1].clone(), "corrupt");
    assert_eq!(d.delete("damaged.text").await, dataknobs_kv_core::store::DeleteResult::Deleted);
    assert_eq!(d.keys("**").await.len(), 4);
}

async fn few_round_trips(h: Harness) {
    let counting = Counting::new(h.storage());
    let shared = counting.clone();
    let c = h.over(move |_| shared);
    let keys: Vec<String> = (0..500).map(|at| format!("k.{at:03}")).collect();
    let items: Vec<Item> = keys.iter().map(|key| item(key, 1)).collect();
    counting.taken();
    c.store.set_many(&c.namespace, items).await.unwrap();
    assert_eq!(counting.taken(), [0, 1, 0], "a batch is one write");
    c.store.get_many(&c.namespace, &keys, true).await.unwrap();
    assert_eq!(counting.taken(), [1, 0, 0], "a batch is one read");
    c.get("k.000").await;
    assert_eq!(counting.taken(), [1, 0, 0]);
    c.put("k.000", 2).await;
    assert_eq!(counting.taken(), [0, 1, 0], "a plain set reads nothing");
    c.delete("k.000").await;
    assert_eq!(counting.taken(), [0, 1, 0], "a plain delete reads nothing");
    c.store.increment(&c.namespace, "k.001", Numeric::Integer(1), Expiry::Unspecified).await.unwrap();
    let [reads, writes, _] = counting.taken();
    assert!(reads <= 1 && writes == 1, "an undisturbed increment is a read and a write");
    c.store.list_entries(&c.namespace, &Query::pattern("k.**"), None, 100, Projection::Key).await.unwrap();
    let [reads, writes, scans] = counting.taken();
    assert!(reads == 0 && writes == 0 && scans > 0);
    let storage = h.storage();
    let page = storage.scan(&h.namespace, Range::default(), Hint::default(), h.clock.now(), 100, Projection::Key);
    if page.await.expect("a page").items.len() == 100 {
        assert!(scans <= 2, "a page is a page, and not {scans}");
    }
    c.store.delete_many(&c.namespace, &keys).await.unwrap();
    assert_eq!(counting.taken(), [0, 1, 0]);
}
