//! Keys: what they may hold, how they are escaped, their order.

use dataknobs_kv_core::store::{Action, Check, DeleteResult, Expiry, Numeric, Query, SetOptions};
use dataknobs_kv_core::{Precondition, Projection, Value, key};

use crate::Harness;
use crate::harness::{item, refused, refused_for, written};

cases! {
    "keys";
    vectors: [K1, K2, K3, K5, K6];
    every_printable_character: [K2, K3, K4];
    separators_of_others_stay_apart: [K4, D15];
    prefixes_are_other_keys: [K4, D15];
    case_is_kept_apart: [K4];
    unicode_forms_are_kept_apart: [K4];
    rare_characters_are_legal: [K2];
    order_is_bytewise: [K5, L1];
    dots_do_not_change_the_order: [K5, L1];
    longest_keys: [K1, Z1];
    longest_keys_page_by_one: [K5, L1, L3] [Paging];
    longest_key_in_longest_namespace: [K1, N1, Z1];
    many_segments: [K1, Z1];
    too_long_keys_are_refused: [K1, K7, Z1];
    empty_segments_are_refused: [K1, K7];
    the_empty_key_is_refused: [K1, K7] [RawInput];
    bad_escapes_are_refused: [K3, K7];
    control_characters_are_refused: [K2, K7] [RawInput];
    an_escaped_dot_is_no_separator: [K3, K6];
    join_and_split_are_inverse: [K6];
    join_refuses_what_no_key_can_hold: [K6, K1, K2];
    every_function_refuses_a_bad_key: [K7, E4];
    batches_refuse_a_bad_key: [K7, B2] [Batches];
    transactions_refuse_a_bad_key: [K7, X6] [Transact, Atomic];
    the_message_names_the_key: [K7, E2];
    wildcards_in_keys_are_text: [K2, D15];
}

async fn vectors(h: Harness) {
    let file: serde_json::Value =
        serde_json::from_str(include_str!("../../../vectors/keys.json")).expect("the vectors are JSON");
    let texts = |json: &serde_json::Value| -> Vec<String> {
        json.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    for valid in file["valid"].as_array().unwrap() {
        let (name, segments) = (valid["key"].as_str().unwrap(), texts(&valid["segments"]));
        assert_eq!(key::split(name).unwrap(), segments, "{name:?}");
        assert_eq!(key::join(&segments).unwrap(), name, "{segments:?}");
        h.put(name, name).await;
        h.expect(name, name).await;
    }
    for invalid in texts(&file["invalid"]) {
        refused_for(key::validate(&invalid), "invalid-argument", &invalid);
    }
    for segments in file["unjoinable"].as_array().unwrap() {
        refused_for(key::join(texts(segments)), "invalid-argument", &segments.to_string());
    }
    let ordered = texts(&file["ordered"]);
    let other = h.beside(format!("{}-ordered", h.namespace));
    other.put_all(ordered.iter().rev().map(|key| item(key, 1)).collect()).await;
    assert_eq!(other.keys("**").await, ordered);
}

async fn every_printable_character(h: Harness) {
    let characters: Vec<char> = (' '..='~').step_by(h.many(1, 7)).chain(['.', '\\', '/', '*', '%', '"']).collect();
    let mut keys: Vec<String> = characters.iter().map(|c| key::join([format!("x{c}y")]).unwrap()).collect();
    keys.sort();
    keys.dedup();
    h.put_all(keys.iter().map(|key| item(key, key)).collect()).await;
    for key in &keys {
        h.expect(key, key).await;
    }
    assert_eq!(h.keys("**").await, keys);
}

async fn separators_of_others_stay_apart(h: Harness) {
    let mut keys =
        vec!["a?x", "a?y", "a:x", "a/x", "a\\\\x", "a|x", "a\\.x", "a.x", "a%x", "a%2Ex", "a x", "a+x", "a#x"];
    h.put_keys(&keys).await;
    for key in &keys {
        h.expect(key, *key).await;
    }
    keys.sort();
    assert_eq!(h.keys("**").await, keys);
    assert_eq!(h.delete("a/x").await, DeleteResult::Deleted);
    h.expect("a:x", "a:x").await;
    h.expect("a\\\\x", "a\\\\x").await;
}

async fn prefixes_are_other_keys(h: Harness) {
    let mut keys = vec!["p", "p.x", "px", "p.x.y", "p-x", "p/x", "p\\.x", "p.x/y", "p//x", "p/", "/p", "p~"];
    h.put_keys(&keys).await;
    keys.sort();
    assert_eq!(h.keys("**").await, keys);
    assert_eq!(h.delete("p").await, DeleteResult::Deleted);
    h.expect_absent("p").await;
    for key in keys.iter().filter(|key| **key != "p") {
        h.expect(key, *key).await;
    }
}

async fn case_is_kept_apart(h: Harness) {
    let mut keys = vec!["key", "Key", "KEY", "kEY", "İ", "i", "ı", "I", "ß", "SS", "ss", "ſs"];
    h.put_keys(&keys).await;
    for key in &keys {
        h.expect(key, *key).await;
    }
    keys.sort();
    assert_eq!(h.keys("**").await, keys);
}

async fn unicode_forms_are_kept_apart(h: Harness) {
    let mut keys =
        vec!["caf\u{e9}", "cafe\u{301}", "\u{212b}", "\u{c5}", "A\u{30a}", "\u{fb01}", "fi", "\u{ff21}", "A"];
    h.put_keys(&keys).await;
    for key in &keys {
        h.expect(key, *key).await;
    }
    keys.sort();
    assert_eq!(h.keys("**").await, keys);
}

async fn rare_characters_are_legal(h: Harness) {
    let mut keys = vec![
        "\u{a0}",
        "\u{ad}",
        "\u{200b}",
        "\u{200d}",
        "\u{2028}",
        "\u{202e}x",
        "\u{feff}",
        "\u{fffd}",
        "\u{fffe}",
        "\u{ffff}",
        "\u{fdd0}",
        "\u{e000}",
        "\u{10ffff}",
        "\u{1f469}\u{200d}\u{1f680}",
        " ",
        " x ",
        "x ",
        "'",
        "\"",
        "`",
        "${x}",
        "<b>",
        "\u{5d0}\u{5d1}",
        "\u{645}",
        "\u{4e2d}\u{6587}",
        "%00",
        "--",
        "-x",
        "NUL",
        "con",
        "..".trim_matches('.'),
    ];
    keys.retain(|key| !key.is_empty());
    h.put_keys(&keys).await;
    for key in &keys {
        h.expect(key, *key).await;
    }
    keys.sort();
    assert_eq!(h.keys("**").await, keys);
}

async fn order_is_bytewise(h: Harness) {
    // By UTF-16 the characters beyond U+FFFF would come before U+E000; by any collation the cases would mix.
    let keys = [
        "A",
        "B",
        "Z",
        "_",
        "a",
        "b",
        "z",
        "~",
        "\u{e9}",
        "\u{d7ff}",
        "\u{e000}",
        "\u{ffee}",
        "\u{ffff}",
        "\u{10000}",
        "\u{10ffff}",
    ];
    let mut mixed = keys;
    mixed.reverse();
    mixed.swap(2, 9);
    h.put_keys(&mixed).await;
    assert_eq!(h.keys("**").await, keys);
}

async fn dots_do_not_change_the_order(h: Harness) {
    let keys =
        ["a", "a b", "a!", "a!b", "a-", "a.", "a.b", "a.b.c", "a.b/c", "a/", "a0", "a\\.b", "a\\\\b", "aa", "a~"];
    let keys: Vec<&str> = keys.into_iter().filter(|key| !key.ends_with('.')).collect();
    let mut mixed = keys.clone();
    mixed.reverse();
    h.put_keys(&mixed).await;
    assert_eq!(h.keys("**").await, keys);
}

/// Keys of exactly 512 bytes in shapes that escaping, cutting or encoding might make longer.
fn longest() -> Vec<String> {
    let fill = |unit: &str, pad: &str| {
        let mut text = unit.repeat(512 / unit.len());
        while text.len() < 512 {
            text.push_str(pad);
        }
        assert_eq!(text.len(), 512);
        text
    };
    vec![
        fill("x", "x"),
        fill("/", "/"),
        fill("\\\\", "x"),
        fill("\\.", "x"),
        fill("[", "["),
        fill("%", "%"),
        fill("'", "'"),
        format!("xx{}", ".a".repeat(255)),
        fill("\u{e9}", "x"),
        fill("\u{20ac}", "x"),
        fill("\u{1f600}", "x"),
        format!(
            "x{}",
            fill("\u{1f600}", "x").trim_end_matches('\u{1f600}').to_owned() + &"\u{1f600}".repeat(127) + "xyz"
        ),
    ]
}

async fn longest_keys(h: Harness) {
    let mut keys = longest();
    keys.retain(|key| key.len() == 512);
    assert!(keys.len() >= 12, "{}", keys.len());
    h.put_all(keys.iter().enumerate().map(|(at, key)| item(key, at as i64)).collect()).await;
    for (at, key) in keys.iter().enumerate() {
        h.expect(key, at as i64).await;
    }
    keys.sort();
    assert_eq!(h.keys("**").await, keys);
    for key in &keys {
        assert_eq!(h.delete(key).await, DeleteResult::Deleted);
    }
    assert!(h.keys("**").await.is_empty());
}

async fn longest_keys_page_by_one(h: Harness) {
    let mut keys = longest();
    // Beside each a neighbour that differs in its last place only, where that is a legal key.
    for key in longest() {
        let mut other = key;
        let last = other.pop();
        other.push(if last == Some('x') { 'y' } else { 'x' });
        keys.push(other);
    }
    keys.extend(["\u{ffff}", "\u{e000}", "\u{10000}", "a", "a.b", "/", "\\.", "~"].map(String::from));
    keys.retain(|name| key::validate(name).is_ok());
    keys.sort();
    keys.dedup();
    assert!(keys.len() > 25, "{} keys", keys.len());
    h.put_all(keys.iter().rev().map(|key| item(key, 1)).collect()).await;
    for limit in [1, 2, 7] {
        let entries = h.list(&Query::pattern("**"), limit, Projection::Key).await;
        let found: Vec<String> = entries.into_iter().map(|entry| entry.key).collect();
        assert_eq!(found, keys, "pages of {limit}");
    }
}

async fn longest_key_in_longest_namespace(h: Harness) {
    for pad in ["x", "/", "\u{1f600}", "\\"] {
        let mut namespace = h.namespace.clone();
        while namespace.len() + pad.len() <= 64 {
            namespace.push_str(pad);
        }
        while namespace.len() < 64 {
            namespace.push('-');
        }
        let there = h.beside(namespace);
        let key = "/".repeat(512);
        there.put(&key, "far out").await;
        there.expect(&key, "far out").await;
        assert_eq!(there.keys("**").await, [key]);
    }
}

async fn many_segments(h: Harness) {
    let key = "a.".repeat(255) + "a";
    h.put(&key, 1).await;
    h.expect(&key, 1).await;
    assert_eq!(h.keys("**").await, std::slice::from_ref(&key));
    assert_eq!(h.keys("a.**.a").await, [key]);
}

async fn too_long_keys_are_refused(h: Harness) {
    for key in ["x".repeat(513), "\u{1f600}".repeat(129), "a.".repeat(256) + "a", "x".repeat(100_000)] {
        refused(h.set(&key, 1, SetOptions::default()).await, "invalid-argument");
        refused(h.store.get(&h.namespace, &key).await, "invalid-argument");
    }
    assert!(h.keys("**").await.is_empty());
}

async fn empty_segments_are_refused(h: Harness) {
    for key in [".", "..", ".a", "a.", "a..b", "a.b.", "a\\..", "a...b"] {
        refused_for(h.set(key, 1, SetOptions::default()).await, "invalid-argument", key);
        refused_for(h.store.get(&h.namespace, key).await, "invalid-argument", key);
    }
    assert!(h.keys("**").await.is_empty());
}

async fn the_empty_key_is_refused(h: Harness) {
    refused(h.set("", 1, SetOptions::default()).await, "invalid-argument");
    refused(h.store.get(&h.namespace, "").await, "invalid-argument");
    assert!(h.keys("**").await.is_empty());
}

async fn bad_escapes_are_refused(h: Harness) {
    for key in ["a\\", "\\", "a\\b", "\\x.y", "a.b\\", "a\\\\\\", "a\\*", "a\\\u{e9}"] {
        refused_for(h.set(key, 1, SetOptions::default()).await, "invalid-argument", key);
        refused_for(h.store.get(&h.namespace, key).await, "invalid-argument", key);
    }
    assert!(h.keys("**").await.is_empty());
}

async fn control_characters_are_refused(h: Harness) {
    for code in (0..=0x1f).chain(0x7f..=0x9f) {
        let c = char::from_u32(code).unwrap();
        for key in [format!("{c}"), format!("a{c}b"), format!("a.{c}"), format!("a{c}")] {
            refused_for(h.set(&key, 1, SetOptions::default()).await, "invalid-argument", &key);
        }
    }
    assert!(h.keys("**").await.is_empty());
}

async fn an_escaped_dot_is_no_separator(h: Harness) {
    h.put("a\\.b.c", "two segments").await;
    h.put("a.b.c", "three segments").await;
    h.expect("a\\.b.c", "two segments").await;
    assert_eq!(h.keys("*.*").await, ["a\\.b.c"]);
    assert_eq!(h.keys("*.*.*").await, ["a.b.c"]);
    assert_eq!(key::join(["a.b", "c"]).unwrap(), "a\\.b.c");
    assert_eq!(key::split("a\\.b.c").unwrap(), ["a.b", "c"]);
}

async fn join_and_split_are_inverse(h: Harness) {
    let pieces = ["a", ".", "\\", "..", "\\.", ".\\", "a.b", "\\\\", " ", "*", "\u{e9}", "a\\", "x.", ".x"];
    let mut seen = std::collections::BTreeMap::new();
    for first in pieces {
        for second in pieces {
            let joined = key::join([first, second]).unwrap();
            assert_eq!(key::split(&joined).unwrap(), [first, second], "{joined:?}");
            assert_eq!(seen.insert(joined.clone(), (first, second)), None, "{joined:?} stands for two");
        }
        let alone = key::join([first]).unwrap();
        assert_eq!(key::split(&alone).unwrap(), [first]);
        assert_eq!(alone, key::escape(first));
    }
    for joined in seen.keys().step_by(h.many(5, 40)) {
        h.put(joined, joined).await;
        h.expect(joined, joined).await;
    }
}

async fn join_refuses_what_no_key_can_hold(h: Harness) {
    let none: [&str; 0] = [];
    refused(key::join(none), "invalid-argument");
    refused(key::join([""]), "invalid-argument");
    refused(key::join(["a", ""]), "invalid-argument");
    refused(key::join(["a\u{0}"]), "invalid-argument");
    refused(key::join(["x".repeat(513)]), "invalid-argument");
    refused(key::join([".".repeat(257)]), "invalid-argument");
    let longest = key::join([".".repeat(256)]).unwrap();
    h.put(&longest, 1).await;
    h.expect(&longest, 1).await;
}

async fn every_function_refuses_a_bad_key(h: Harness) {
    let (store, namespace) = (&h.store, h.namespace.as_str());
    for bad in ["a..b", "a\\x", ".a"] {
        let none = Precondition::None;
        refused(store.get(namespace, bad).await, "invalid-argument");
        refused(store.describe(namespace, bad).await, "invalid-argument");
        refused(store.set(namespace, item(bad, 1)).await, "invalid-argument");
        refused(store.delete(namespace, bad, none.clone(), Projection::Key).await, "invalid-argument");
        refused(h.swap(bad, None, 1).await, "invalid-argument");
        refused(store.increment(namespace, bad, Numeric::Integer(1), Expiry::Unspecified).await, "invalid-argument");
        refused(store.append(namespace, bad, Value::from("x"), Expiry::Unspecified).await, "invalid-argument");
        refused(store.update_metadata(namespace, bad, "{\"a\":1}", none.clone()).await, "invalid-argument");
        refused(store.set_expiry(namespace, bad, Expiry::Never, none.clone()).await, "invalid-argument");
        refused(store.children(namespace, Some(bad), false, None, 10).await, "invalid-argument");
    }
    assert!(h.keys("**").await.is_empty());
}

async fn batches_refuse_a_bad_key(h: Harness) {
    let items = vec![item("good.1", 1), item("bad..key", 2), item("good.2", 3)];
    let mut results = h.store.set_many(&h.namespace, items).await.unwrap();
    assert_eq!(results.len(), 3);
    written(results.remove(2));
    refused(results.remove(1), "invalid-argument");
    written(results.remove(0));
    let keys: Vec<String> = ["good.1", "bad\\", "good.2"].map(String::from).into();
    let mut read = h.store.get_many(&h.namespace, &keys, true).await.unwrap();
    assert_eq!(read.len(), 3);
    assert!(read.remove(2).unwrap().is_some());
    refused(read.remove(1), "invalid-argument");
    assert!(read.remove(0).unwrap().is_some());
    let mut gone = h.store.delete_many(&h.namespace, &keys).await.unwrap();
    assert_eq!(gone.len(), 3);
    assert_eq!(gone.remove(2), Ok(DeleteResult::Deleted));
    refused(gone.remove(1), "invalid-argument");
    assert_eq!(gone.remove(0), Ok(DeleteResult::Deleted));
}

async fn transactions_refuse_a_bad_key(h: Harness) {
    let check = |key: &str| Check { key: key.into(), precondition: Precondition::Absent };
    let good = || Action::Set(item("good", 1));
    let bad = [
        h.store.transact(&h.namespace, vec![check("a..b")], vec![good()]).await,
        h.store.transact(&h.namespace, vec![], vec![good(), Action::Set(item("a..b", 1))]).await,
        h.store.transact(&h.namespace, vec![], vec![good(), Action::Delete("a..b".into())]).await,
    ];
    for result in bad {
        refused(result, "invalid-argument");
    }
    h.expect_absent("good").await;
}

async fn the_message_names_the_key(h: Harness) {
    let error = refused(h.set("first..last", "a-secret-value", SetOptions::default()).await, "invalid-argument");
    assert!(error.message().contains("first..last"), "{error}");
    assert!(!error.message().contains("a-secret-value"), "{error}");
    let escape = refused(h.store.get(&h.namespace, "wrong\\escape").await, "invalid-argument");
    assert!(escape.message().contains("wrong"), "{escape}");
    assert_ne!(
        error.message().replace("first..last", ""),
        escape.message().replace("wrong\\escape", ""),
        "names the rule"
    );
}

async fn wildcards_in_keys_are_text(h: Harness) {
    let keys = ["*", "**", "?", "[a]", "{a,b}", "a", "b", "a*", "a[b]c", "a]", "{", "}"];
    h.put_keys(&keys).await;
    for key in keys {
        h.expect(key, key).await;
    }
    assert_eq!(h.delete("*").await, DeleteResult::Deleted);
    assert_eq!(h.delete("a*").await, DeleteResult::Deleted);
    assert_eq!(h.keys("**").await.len(), keys.len() - 2);
    assert_eq!(h.keys("\\*\\*").await, ["**"]);
    assert_eq!(h.keys("a\\[b\\]*").await, ["a[b]c"]);
}
