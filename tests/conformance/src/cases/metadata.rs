//! Metadata: the caller's, and the system's.

use dataknobs_kv_core::store::{ChangeResult, Expiry, Item, SetOptions};
use dataknobs_kv_core::{Precondition, Value, ValueType};

use crate::Harness;
use crate::harness::{assert_json, changed, expiring, item, refused, refused_for, swapped, with_metadata, written};

cases! {
    "metadata";
    set_replaces_it: [M1];
    nulls_of_a_set_stay: [M1];
    merges_at_the_top: [M2];
    a_null_removes_a_field: [M2, M4];
    merges_do_not_reach_inside: [M2];
    replace_puts_another_in_its_place: [M3] [ReplaceMetadata];
    an_empty_object_is_none: [M4];
    kept_in_meaning: [M4];
    numbers_keep_their_value: [M4];
    odd_names: [M4];
    what_is_refused: [M5, E4];
    depth: [M5, Z1];
    refused_in_merges_too: [M5, E4];
    refused_in_replacements_too: [M5, E4] [ReplaceMetadata];
    system_metadata: [M6];
    checksums: [M6];
    created_and_updated: [M7];
    created_stays_over_every_write: [M7];
    delete_ends_it: [M7];
    changing_it_keeps_the_rest: [M10, C1] [AllTypes];
    of_nothing_is_absent: [M10];
    guarded_changes: [M10, C5, C6] [ChangeGuards];
    ttl_in_it: [M9];
    ttl_with_fractions: [M9];
    bad_ttls_in_it: [M9];
    content_type_in_it: [M9] [AllTypes];
    options_come_before_it: [M9] [AllTypes];
    hints_are_for_sets_only: [M9] [AllTypes];
    hints_in_swaps_and_batches: [M9, B1] [Batches, ChangeGuards];
    large_ones: [M1, M4];
    the_largest: [V8, Z1, E4] [BoundedMetadata];
}

async fn metadata(h: &Harness, key: &str) -> Option<String> {
    h.describe(key).await.unwrap_or_else(|| panic!("{key:?} is not there")).attributes.metadata
}

async fn set_replaces_it(h: Harness) {
    written(h.set("k", 1, with_metadata("{\"a\":1,\"b\":2}")).await);
    assert_json(metadata(&h, "k").await.as_deref(), "{\"a\":1,\"b\":2}");
    written(h.set("k", 1, with_metadata("{\"c\":3}")).await);
    assert_json(metadata(&h, "k").await.as_deref(), "{\"c\":3}");
    assert_eq!(h.entry("k").await.attributes.metadata, metadata(&h, "k").await);
    h.put("k", 1).await;
    assert_eq!(metadata(&h, "k").await, None);
}

async fn nulls_of_a_set_stay(h: Harness) {
    written(h.set("k", 1, with_metadata("{\"a\":null}")).await);
    assert_json(metadata(&h, "k").await.as_deref(), "{\"a\":null}");
}

async fn merges_at_the_top(h: Harness) {
    written(h.set("k", "v", with_metadata("{\"author\":\"Jo\",\"tags\":[\"a\"]}")).await);
    changed(h.update_metadata("k", "{\"reviewed\":true,\"tags\":[\"b\"]}").await);
    assert_json(metadata(&h, "k").await.as_deref(), "{\"author\":\"Jo\",\"tags\":[\"b\"],\"reviewed\":true}");
    h.put("bare", "v").await;
    changed(h.update_metadata("bare", "{\"a\":1}").await);
    assert_json(metadata(&h, "bare").await.as_deref(), "{\"a\":1}");
    changed(h.update_metadata("bare", "{}").await);
    assert_json(metadata(&h, "bare").await.as_deref(), "{\"a\":1}");
}

async fn a_null_removes_a_field(h: Harness) {
    written(h.set("k", 1, with_metadata("{\"a\":1,\"b\":2}")).await);
    changed(h.update_metadata("k", "{\"a\":null,\"never-there\":null}").await);
    assert_json(metadata(&h, "k").await.as_deref(), "{\"b\":2}");
    changed(h.update_metadata("k", "{\"b\":null}").await);
    assert_eq!(metadata(&h, "k").await, None);
}

async fn merges_do_not_reach_inside(h: Harness) {
    written(h.set("k", 1, with_metadata("{\"a\":1}")).await);
    changed(h.update_metadata("k", "{\"a\":{\"b\":1}}").await);
    assert_json(metadata(&h, "k").await.as_deref(), "{\"a\":{\"b\":1}}");
    changed(h.update_metadata("k", "{\"a\":{\"c\":null}}").await);
    assert_json(metadata(&h, "k").await.as_deref(), "{\"a\":{\"c\":null}}");
}

async fn replace_puts_another_in_its_place(h: Harness) {
    written(h.set("k", "v", with_metadata("{\"a\":1,\"b\":2}")).await);
    let replace = async |text: &str| h.store.replace_metadata(&h.namespace, "k", text, Precondition::None).await;
    changed(replace("{\"c\":null}").await);
    assert_json(metadata(&h, "k").await.as_deref(), "{\"c\":null}");
    changed(replace("{}").await);
    assert_eq!(metadata(&h, "k").await, None);
    h.expect("k", "v").await;
    let absent = h.store.replace_metadata(&h.namespace, "nothing", "{}", Precondition::None).await;
    assert_eq!(absent, Ok(ChangeResult::Absent));
}

async fn an_empty_object_is_none(h: Harness) {
    written(h.set("k", 1, with_metadata("{}")).await);
    assert_eq!(metadata(&h, "k").await, None);
    written(h.set("k", 1, with_metadata(" { \n } ")).await);
    assert_eq!(metadata(&h, "k").await, None);
}

async fn kept_in_meaning(h: Harness) {
    for (given, kept) in [
        ("{ \"b\" : [ 1 , 2 ] , \"a\" : null }", "{\"a\":null,\"b\":[1,2]}"),
        ("{\"z\":{\"y\":1,\"x\":2},\"a\":\"\\u0041\"}", "{\"a\":\"A\",\"z\":{\"x\":2,\"y\":1}}"),
        ("{\"a\":1e2}", "{\"a\":100}"),
        ("{\"a\":1.50}", "{\"a\":1.5}"),
        ("{\"\u{1f600}\":1,\"\u{ffff}\":2}", "{\"\u{ffff}\":2,\"\u{1f600}\":1}"),
        ("{\"a\":\"\\ud83d\\ude00\"}", "{\"a\":\"\u{1f600}\"}"),
        ("{\"a\":\"\\/\"}", "{\"a\":\"/\"}"),
    ] {
        written(h.set("k", 1, with_metadata(given)).await);
        assert_eq!(metadata(&h, "k").await.as_deref(), Some(kept), "{given}");
    }
}

async fn numbers_keep_their_value(h: Harness) {
    for number in ["0", "-1", "9007199254740991", "-9007199254740992", "1.5", "1e300", "-2.5e-10", "0.1", "123456.789"]
    {
        written(h.set("k", 1, with_metadata(&format!("{{\"n\":{number}}}"))).await);
        let text = metadata(&h, "k").await.unwrap();
        let kept: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(kept["n"].as_f64(), number.parse().ok(), "{number} came back as {text}");
    }
}

async fn odd_names(h: Harness) {
    let text = "{\"\":1,\".x\":2,\"a.b\":3,\"$ref\":4,\"__proto__\":5,\"a b\":6,\"\u{e9}\":7,\"e\u{301}\":8,\"\\\"\":9,\"\\n\":10}";
    written(h.set("k", 1, with_metadata(text)).await);
    assert_json(metadata(&h, "k").await.as_deref(), text);
    changed(h.update_metadata("k", "{\"\":null,\"a.b\":30}").await);
    let after = metadata(&h, "k").await.unwrap();
    let after: serde_json::Value = serde_json::from_str(&after).unwrap();
    assert_eq!((after.get(""), after["a.b"].as_i64(), after[".x"].as_i64()), (None, Some(30), Some(2)));
}

const REFUSED: [&str; 24] = [
    " ",
    "[]",
    "1",
    "\"text\"",
    "null",
    "true",
    "{",
    "{\"a\":1}x",
    "{\"a\":1,}",
    "{a:1}",
    "{\"a\":01}",
    "{\"a\":1,\"a\":1}",
    "{\"a\":1,\"\\u0061\":2}",
    "{\"x\":{\"a\":1,\"a\":1}}",
    "{\"x\":[{\"a\":1,\"a\":1}]}",
    "{\"a\":\"\\u0000\"}",
    "{\"\\u0000\":1}",
    "{\"a\":\"\\ud800\"}",
    "{\"\\udfff\":1}",
    "{\"a\":\"\\ud800x\"}",
    "{\"a\":1e400}",
    "{\"a\":-1e400000}",
    "{\"a\":NaN}",
    "{\"a\":[\"\\udc00\\ud800\"]}",
];

async fn what_is_refused(h: Harness) {
    let version = written(h.set("k", "old", with_metadata("{\"kept\":1}")).await);
    for text in REFUSED {
        refused_for(h.set("k", "new", with_metadata(text)).await, "invalid-argument", text);
    }
    let state = h.entry("k").await;
    assert_eq!(state.version, version);
    assert_json(state.attributes.metadata.as_deref(), "{\"kept\":1}");
}

async fn depth(h: Harness) {
    let nested = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
    written(h.set("k", 1, with_metadata(&nested(128))).await);
    assert_eq!(metadata(&h, "k").await, Some(nested(128)));
    for depth in [129, 10_000, 20_000] {
        refused(h.set("k", 1, with_metadata(&nested(depth))).await, "invalid-argument");
        refused(h.update_metadata("k", &nested(depth)).await, "invalid-argument");
    }
}

async fn refused_in_merges_too(h: Harness) {
    let version = written(h.set("k", "v", with_metadata("{\"kept\":1}")).await);
    for text in REFUSED {
        refused_for(h.update_metadata("k", text).await, "invalid-argument", text);
        refused_for(h.update_metadata("nothing", text).await, "invalid-argument", text);
    }
    assert_eq!(h.entry("k").await.version, version);
}

async fn refused_in_replacements_too(h: Harness) {
    let version = written(h.set("k", "v", with_metadata("{\"kept\":1}")).await);
    for text in REFUSED {
        let result = h.store.replace_metadata(&h.namespace, "k", text, Precondition::None).await;
        refused_for(result, "invalid-argument", text);
    }
    assert_eq!(h.entry("k").await.version, version);
}

async fn system_metadata(h: Harness) {
    let at = h.clock.now();
    let version = written(h.set("k", "h\u{e9}llo", expiring(Expiry::After(5000))).await);
    let state = h.describe("k").await.expect("there");
    assert_eq!(state.version, version);
    assert_eq!(state.value, None);
    let attributes = state.attributes;
    assert_eq!(attributes.value_type, ValueType::Text);
    assert_eq!((attributes.created_at, attributes.updated_at), (at, at));
    assert_eq!(attributes.expires_at, Some(at + 5000));
    assert_eq!(attributes.size, 6);
    assert_eq!(attributes.content_type, None);
    assert_eq!(h.entry("k").await.attributes, attributes, "get and describe agree");
    assert_eq!(h.describe("nothing").await, None);
}

async fn checksums(h: Harness) {
    // The check value of CRC-32C, and others computed elsewhere.
    for (text, checksum) in [("123456789", 0xe306_9283_u32), ("", 0), ("a", 0xc1d0_4330)] {
        h.put("k", Value::from(text.as_bytes())).await;
        assert_eq!(h.describe("k").await.expect("there").attributes.checksum, checksum, "{text:?}");
    }
}

async fn created_and_updated(h: Harness) {
    let start = h.clock.now();
    h.put("k", 1).await;
    h.clock.advance(10);
    h.put("k", 2).await;
    let state = h.entry("k").await;
    assert_eq!((state.attributes.created_at, state.attributes.updated_at), (start, start + 10));
    h.clock.advance(10);
    h.entry("k").await;
    h.describe("k").await;
    assert_eq!(h.entry("k").await.attributes.updated_at, start + 10, "reading updates nothing");
}

async fn created_stays_over_every_write(h: Harness) {
    let start = h.clock.now();
    h.put("k", 1).await;
    let mut step = 0;
    let mut check = async |what: &str| {
        step += 1;
        let attributes = h.entry("k").await.attributes;
        assert_eq!((attributes.created_at, attributes.updated_at), (start, start + step), "{what}");
        h.clock.advance(1);
    };
    h.clock.advance(1);
    h.increment("k", 1).await.unwrap();
    check("increment").await;
    changed(h.update_metadata("k", "{\"a\":1}").await);
    check("metadata").await;
    swapped(h.swap("k", Some(Value::Integer(2)), "text").await);
    check("swap").await;
    h.store.append(&h.namespace, "k", "more".into(), Expiry::Unspecified).await.unwrap();
    check("append").await;
    h.put("k", 1).await;
    check("set").await;
    changed(h.set_expiry("k", Expiry::After(10_000)).await);
    let attributes = h.entry("k").await.attributes;
    assert_eq!((attributes.created_at, attributes.updated_at), (start, start + 5), "an expiry alone is no update");
}

async fn delete_ends_it(h: Harness) {
    written(
        h.set(
            "k",
            1,
            SetOptions { metadata: Some("{\"a\":1}".into()), expiry: Expiry::After(100), ..Default::default() },
        )
        .await,
    );
    h.delete("k").await;
    h.clock.advance(7);
    h.put("k", 2).await;
    let attributes = h.entry("k").await.attributes;
    assert_eq!((attributes.created_at, attributes.expires_at), (h.clock.now(), None));
    assert_eq!(attributes.metadata, None);
}

async fn changing_it_keeps_the_rest(h: Harness) {
    let start = h.clock.now();
    let options = SetOptions {
        content_type: Some("text/plain".into()),
        metadata: Some("{\"a\":1}".into()),
        expiry: Expiry::After(1000),
        ..SetOptions::default()
    };
    let before = written(h.set("k", "value", options).await);
    h.clock.advance(10);
    let version = changed(h.update_metadata("k", "{\"b\":2}").await);
    assert_ne!(version, before);
    let state = h.entry("k").await;
    assert_eq!(state.version, version);
    let attributes = state.attributes;
    assert_eq!(attributes.content_type.as_deref(), Some("text/plain"));
    assert_eq!(attributes.expires_at, Some(start + 1000));
    assert_eq!((attributes.created_at, attributes.updated_at, attributes.size), (start, start + 10, 5));
    h.expect("k", "value").await;
    let again = changed(h.update_metadata("k", "{\"b\":2}").await);
    assert_ne!(again, version, "an equal change is a write too");
}

async fn of_nothing_is_absent(h: Harness) {
    assert_eq!(h.update_metadata("k", "{\"a\":1}").await, Ok(ChangeResult::Absent));
    h.expect_absent("k").await;
    written(h.set("k", 1, expiring(Expiry::After(5))).await);
    h.clock.advance(5);
    assert_eq!(h.update_metadata("k", "{\"a\":1}").await, Ok(ChangeResult::Absent));
    h.expect_absent("k").await;
}

async fn guarded_changes(h: Harness) {
    let (store, namespace) = (&h.store, h.namespace.as_str());
    let first = h.put("k", 1).await;
    let only_if = Precondition::Version(first.clone());
    let second = changed(store.update_metadata(namespace, "k", "{\"a\":1}", only_if.clone()).await);
    match store.update_metadata(namespace, "k", "{\"a\":2}", only_if.clone()).await {
        Ok(ChangeResult::Conflict(Some(state))) => {
            assert_eq!(state.version, second);
            assert_eq!(state.value, None);
        }
        other => panic!("expected a conflict with the state, got {other:?}"),
    }
    let absent = store.update_metadata(namespace, "k", "{\"a\":2}", Precondition::Absent).await;
    assert!(matches!(absent, Ok(ChangeResult::Conflict(_))), "{absent:?}");
    assert_json(metadata(&h, "k").await.as_deref(), "{\"a\":1}");
    let replaced = store.replace_metadata(namespace, "k", "{\"b\":1}", Precondition::Version(second)).await;
    changed(replaced);
    let stale = store.replace_metadata(namespace, "k", "{}", only_if.clone()).await;
    assert!(matches!(stale, Ok(ChangeResult::Conflict(_))), "{stale:?}");
    assert_json(metadata(&h, "k").await.as_deref(), "{\"b\":1}");
    let gone = store.update_metadata(namespace, "nothing", "{}", only_if).await;
    assert!(matches!(gone, Ok(ChangeResult::Conflict(None) | ChangeResult::Absent)), "{gone:?}");
    h.expect_absent("nothing").await;
}

async fn ttl_in_it(h: Harness) {
    written(h.set("k", 1, with_metadata("{\"author\":\"Jo\",\"ttl\":86400}")).await);
    let state = h.entry("k").await;
    assert_eq!(state.attributes.expires_at, Some(h.clock.now() + 86_400_000));
    assert_json(state.attributes.metadata.as_deref(), "{\"author\":\"Jo\",\"ttl\":86400}");
    h.clock.advance(86_399_999);
    h.expect("k", 1).await;
    h.clock.advance(1);
    h.expect_absent("k").await;
}

async fn ttl_with_fractions(h: Harness) {
    for (ttl, span) in [("0.25", 250), ("1.5", 1500), ("1e1", 10_000), ("0.001", 1)] {
        written(h.set("k", 1, with_metadata(&format!("{{\"ttl\":{ttl}}}"))).await);
        assert_eq!(h.entry("k").await.attributes.expires_at, Some(h.clock.now() + span), "{ttl}");
    }
}

async fn bad_ttls_in_it(h: Harness) {
    h.put("k", "old").await;
    for ttl in ["0", "-1", "0.0", "-0", "1e300", "18446744073709551616", "1e18"] {
        refused_for(h.set("k", 1, with_metadata(&format!("{{\"ttl\":{ttl}}}"))).await, "invalid-argument", ttl);
    }
    h.expect("k", "old").await;
    for other in ["\"60\"", "null", "[60]", "true", "{\"ttl\":1}"] {
        written(h.set("k", 1, with_metadata(&format!("{{\"ttl\":{other}}}"))).await);
        assert_eq!(h.entry("k").await.attributes.expires_at, None, "{other} is no number");
    }
}

async fn content_type_in_it(h: Harness) {
    let text = "{\"content_type\":\"application/pdf\",\"author\":\"Jo\"}";
    written(h.set("k", Value::from(b"%PDF"), with_metadata(text)).await);
    let attributes = h.entry("k").await.attributes;
    assert_eq!(attributes.content_type.as_deref(), Some("application/pdf"));
    assert_json(attributes.metadata.as_deref(), text);
    written(h.set("k", 1, with_metadata("{\"content_type\":7}")).await);
    assert_eq!(h.entry("k").await.attributes.content_type, None);
}

async fn options_come_before_it(h: Harness) {
    let options = |expiry| SetOptions {
        expiry,
        content_type: Some("text/plain".into()),
        metadata: Some("{\"ttl\":10,\"content_type\":\"text/html\"}".into()),
        ..SetOptions::default()
    };
    written(h.set("k", 1, options(Expiry::After(5))).await);
    let attributes = h.entry("k").await.attributes;
    assert_eq!(attributes.expires_at, Some(h.clock.now() + 5));
    assert_eq!(attributes.content_type.as_deref(), Some("text/plain"));
    written(h.set("k", 1, options(Expiry::Never)).await);
    assert_eq!(h.entry("k").await.attributes.expires_at, None);
}

async fn hints_are_for_sets_only(h: Harness) {
    h.put("k", 1).await;
    changed(h.update_metadata("k", "{\"ttl\":10,\"content_type\":\"text/html\"}").await);
    let attributes = h.entry("k").await.attributes;
    assert_eq!((attributes.expires_at, attributes.content_type), (None, None));
    h.increment("k", 1).await.unwrap();
    assert_eq!(h.entry("k").await.attributes.expires_at, None);
}

async fn hints_in_swaps_and_batches(h: Harness) {
    let options = with_metadata("{\"ttl\":10}");
    let swap = h.store.compare_and_swap(&h.namespace, "swap", None, 1.into(), options.clone()).await;
    swapped(swap);
    let batch = vec![Item { key: "batch".into(), value: 1.into(), options }, item("plain", 1)];
    for result in h.store.set_many(&h.namespace, batch).await.unwrap() {
        written(result);
    }
    for (key, expires_at) in
        [("swap", Some(h.clock.now() + 10_000)), ("batch", Some(h.clock.now() + 10_000)), ("plain", None)]
    {
        assert_eq!(h.entry(key).await.attributes.expires_at, expires_at, "{key}");
    }
}

async fn large_ones(h: Harness) {
    let fields: Vec<String> =
        (0..h.many(500, 50)).map(|at| format!("\"field-{at:04}\":\"{}\"", "v".repeat(100))).collect();
    let text = format!("{{{}}}", fields.join(","));
    written(h.set("k", 1, with_metadata(&text)).await);
    assert_eq!(metadata(&h, "k").await, Some(text));
    changed(h.update_metadata("k", "{\"field-0001\":null}").await);
    assert!(!metadata(&h, "k").await.unwrap().contains("field-0001"));
}

async fn the_largest(h: Harness) {
    let limit = usize::try_from(h.capabilities.max_metadata_bytes).expect("a size that fits");
    let of = |size: usize| format!("{{\"a\":\"{}\"}}", "x".repeat(size - 8));
    written(h.set("k", "old", with_metadata(&of(limit))).await);
    assert_eq!(metadata(&h, "k").await.map(|text| text.len()), Some(limit));
    refused(h.set("k", "new", with_metadata(&of(limit + 1))).await, "too-large");
    refused(h.update_metadata("k", "{\"b\":1}").await, "too-large");
    h.expect("k", "old").await;
}
