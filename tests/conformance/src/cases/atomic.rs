//! Increment and append.

use dataknobs_kv_core::store::{Expiry, Numeric, SetOptions};
use dataknobs_kv_core::{Result, Value, ValueType};

use crate::Harness;
use crate::harness::{item, refused, refused_for, with_metadata, written};

cases! {
    "atomic";
    counts_from_nothing: [A1];
    counts_both_ways: [A1];
    answers_what_is_there: [A1, C1];
    numbers_make_numbers: [A1];
    edges_of_integers: [A2, E4];
    edges_of_numbers: [A2, E4];
    deltas_are_finite: [A2] [RawInput];
    only_numbers_count: [A3, E4] [AllTypes, JsonScalars];
    stored_as_numbers_are: [A1, V3, V4];
    a_counter_is_a_value: [A1, C7];
    appends_text: [A4];
    appends_bytes: [A4];
    appends_to_nothing: [A4, A5];
    appends_elements: [A5];
    appends_to_odd_arrays: [A5];
    refuses_to_mix: [A5, E4] [AllTypes, JsonScalars];
    refuses_bad_tails: [A5, V5, E4];
    appended_depth_is_bounded: [A5, V5, Z1];
    keep_the_rest: [A7, T3] [AllTypes];
    a_log_grows: [A4];
    too_large_in_the_end: [A4, V8, E4] [BoundedValues];
}

async fn append(h: &Harness, key: &str, tail: impl Into<Value>) -> Result<u64> {
    h.store.append(&h.namespace, key, tail.into(), Expiry::Unspecified).await.map(|appended| appended.size)
}

async fn add(h: &Harness, key: &str, delta: Numeric) -> Result<Numeric> {
    h.store.increment(&h.namespace, key, delta, Expiry::Unspecified).await.map(|counted| counted.value)
}

use Numeric::{Integer, Number};

async fn counts_from_nothing(h: Harness) {
    assert_eq!(add(&h, "views", Integer(1)).await, Ok(Integer(1)));
    assert_eq!(add(&h, "stock", Integer(-1)).await, Ok(Integer(-1)));
    assert_eq!(add(&h, "zero", Integer(0)).await, Ok(Integer(0)));
    assert_eq!(add(&h, "half", Number(0.5)).await, Ok(Number(0.5)));
    h.expect("zero", 0).await;
    h.expect("half", 0.5).await;
}

async fn counts_both_ways(h: Harness) {
    h.put("k", 10).await;
    for (delta, sum) in [(5, 15), (-20, -5), (0, -5), (5, 0), (1_000_000_000_000, 1_000_000_000_000)] {
        assert_eq!(add(&h, "k", Integer(delta)).await, Ok(Integer(sum)));
        h.expect("k", sum).await;
    }
}

async fn answers_what_is_there(h: Harness) {
    let first = h.increment("k", 3).await.unwrap();
    let state = h.entry("k").await;
    assert_eq!(state.version, first.version);
    assert_eq!(state.attributes.value_type, ValueType::Integer);
    assert_eq!((state.attributes.created_at, state.attributes.updated_at), (h.clock.now(), h.clock.now()));
    let second = h.increment("k", 3).await.unwrap();
    assert_ne!(first.version, second.version);
    let appended = h.store.append(&h.namespace, "log", "abc".into(), Expiry::Unspecified).await.unwrap();
    assert_eq!((h.entry("log").await.version, appended.size), (appended.version, 3));
}

async fn numbers_make_numbers(h: Harness) {
    h.put("k", 1).await;
    assert_eq!(add(&h, "k", Number(0.5)).await, Ok(Number(1.5)));
    assert_eq!(add(&h, "k", Integer(1)).await, Ok(Number(2.5)));
    assert_eq!(add(&h, "k", Number(0.5)).await, Ok(Number(3.0)));
    assert_eq!(h.entry("k").await.attributes.value_type, ValueType::Number);
    assert_eq!(add(&h, "k", Integer(-3)).await, Ok(Number(0.0)));
}

async fn edges_of_integers(h: Harness) {
    h.put("max", i64::MAX - 1).await;
    assert_eq!(add(&h, "max", Integer(1)).await, Ok(Integer(i64::MAX)));
    h.put("min", i64::MIN + 1).await;
    assert_eq!(add(&h, "min", Integer(-1)).await, Ok(Integer(i64::MIN)));
    for (key, delta) in [("max", 1), ("max", i64::MAX), ("min", -1), ("min", i64::MIN)] {
        refused(add(&h, key, Integer(delta)).await, "overflow");
    }
    h.expect("max", i64::MAX).await;
    h.expect("min", i64::MIN).await;
    assert_eq!(add(&h, "max", Integer(i64::MIN)).await, Ok(Integer(-1)));
    assert_eq!(add(&h, "fresh", Integer(i64::MIN)).await, Ok(Integer(i64::MIN)));
}

async fn edges_of_numbers(h: Harness) {
    h.put("k", f64::MAX).await;
    refused(add(&h, "k", Number(f64::MAX)).await, "overflow");
    h.expect("k", f64::MAX).await;
    assert_eq!(add(&h, "k", Number(-f64::MAX)).await, Ok(Number(0.0)));
}

async fn deltas_are_finite(h: Harness) {
    h.put("k", 1).await;
    for delta in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        refused(add(&h, "k", Number(delta)).await, "invalid-argument");
        refused(add(&h, "nothing", Number(delta)).await, "invalid-argument");
    }
    h.expect("k", 1).await;
    h.expect_absent("nothing").await;
}

async fn only_numbers_count(h: Harness) {
    let others = [
        Value::from("1"),
        Value::from(""),
        Value::from(b"1"),
        Value::Boolean(true),
        Value::Null,
        Value::Json("1".into()),
        Value::Json("[1]".into()),
        Value::Custom { type_name: "n".into(), bytes: b"1".into() },
    ];
    for value in others {
        let version = h.put("k", value.clone()).await;
        refused(h.increment("k", 1).await, "type-mismatch");
        assert_eq!(h.entry("k").await.version, version);
        h.expect("k", value).await;
    }
}

async fn stored_as_numbers_are(h: Harness) {
    add(&h, "k", Integer(1_000_000)).await.unwrap();
    assert_eq!(h.entry("k").await.value, Some(b"1000000".to_vec()));
    add(&h, "n", Number(1e21)).await.unwrap();
    assert_eq!(h.entry("n").await.value, Some(b"1e+21".to_vec()));
    assert_eq!(h.entry("n").await.attributes.size, 5);
}

async fn a_counter_is_a_value(h: Harness) {
    add(&h, "k", Integer(5)).await.unwrap();
    crate::harness::swapped(h.swap("k", Some(5.into()), 10).await);
    assert_eq!(add(&h, "k", Integer(1)).await, Ok(Integer(11)));
    h.delete("k").await;
    assert_eq!(add(&h, "k", Integer(1)).await, Ok(Integer(1)));
}

async fn appends_text(h: Harness) {
    h.put("log", "start").await;
    assert_eq!(append(&h, "log", "\n2024-01-15 10:30 User login").await, Ok(33));
    assert_eq!(append(&h, "log", "").await, Ok(33));
    assert_eq!(append(&h, "log", "\u{e9}").await, Ok(35), "in bytes");
    h.expect("log", "start\n2024-01-15 10:30 User login\u{e9}").await;
    assert_eq!(h.entry("log").await.attributes.size, 35);
}

async fn appends_bytes(h: Harness) {
    h.put("k", Value::from(b"\xff")).await;
    assert_eq!(append(&h, "k", Value::from(b"\x00\xfe")).await, Ok(3));
    assert_eq!(append(&h, "k", Value::from(b"")).await, Ok(3));
    h.expect("k", Value::from(b"\xff\x00\xfe")).await;
}

async fn appends_to_nothing(h: Harness) {
    assert_eq!(append(&h, "text", "a").await, Ok(1));
    h.expect("text", "a").await;
    assert_eq!(append(&h, "bytes", Value::from(b"\x00")).await, Ok(1));
    h.expect("bytes", Value::from(b"\x00")).await;
    append(&h, "json", Value::Json("{\"a\":1}".into())).await.unwrap();
    assert_eq!(h.entry("json").await.attributes.value_type, ValueType::Json);
    elements(&h, "json", "[{\"a\":1}]").await;
    append(&h, "json", Value::Json("[2]".into())).await.unwrap();
    elements(&h, "json", "[{\"a\":1},[2]]").await;
}

/// Expects a JSON value of this meaning.
async fn elements(h: &Harness, key: &str, expected: &str) {
    let Some(Value::Json(text)) = h.value(key).await else { panic!("{key:?} is no JSON") };
    crate::harness::assert_json(Some(&text), expected);
}

async fn appends_elements(h: Harness) {
    h.put("k", Value::Json("[]".into())).await;
    for tail in [
        Value::from("te\"xt\n"),
        Value::Integer(-5),
        Value::Number(1.5),
        Value::Boolean(true),
        Value::Null,
        Value::Json("{\"a\":[1]}".into()),
        Value::Json(" [1] ".into()),
    ] {
        let size = append(&h, "k", tail).await.unwrap();
        assert_eq!(size, h.entry("k").await.attributes.size);
    }
    elements(&h, "k", "[\"te\\\"xt\\n\",-5,1.5,true,null,{\"a\":[1]},[1]]").await;
}

async fn appends_to_odd_arrays(h: Harness) {
    for (there, after) in [
        (" [ ] ", "[7]"),
        ("[\n]", "[7]"),
        ("[1 , 2 ]\n", "[1,2,7]"),
        ("[\"]\"]", "[\"]\",7]"),
        ("[[]]", "[[],7]"),
        ("\t[\"\\\\\"]", "[\"\\\\\",7]"),
    ] {
        h.put("k", Value::Json(there.into())).await;
        append(&h, "k", 7).await.unwrap();
        elements(&h, "k", after).await;
    }
}

async fn refuses_to_mix(h: Harness) {
    let custom = |bytes: &[u8]| Value::Custom { type_name: "c".into(), bytes: bytes.into() };
    for (there, tail) in [
        (Value::from("a"), Value::from(b"b")),
        (Value::from(b"a"), Value::from("b")),
        (Value::from("a"), Value::Integer(1)),
        (Value::from("a"), Value::Json("[]".into())),
        (Value::Integer(1), Value::Integer(1)),
        (Value::Integer(1), Value::from("1")),
        (Value::Null, Value::from("x")),
        (Value::Boolean(true), Value::from("x")),
        (Value::Json("{}".into()), Value::Json("1".into())),
        (Value::Json("\"text\"".into()), Value::from("x")),
        (Value::Json("1".into()), Value::Integer(1)),
        (Value::Json("[]".into()), Value::from(b"x")),
        (Value::Json("[]".into()), custom(b"x")),
        (custom(b"a"), custom(b"b")),
        (custom(b"a"), Value::from(b"b")),
        (Value::from(b"a"), custom(b"b")),
    ] {
        let version = h.put("k", there.clone()).await;
        let what = format!("{tail:?} to {there:?}");
        refused_for(append(&h, "k", tail).await, "type-mismatch", &what);
        assert_eq!(h.entry("k").await.version, version, "{what}");
    }
    refused(append(&h, "nothing", custom(b"x")).await, "type-mismatch");
    h.expect_absent("nothing").await;
}

async fn refuses_bad_tails(h: Harness) {
    h.put("k", Value::Json("[1]".into())).await;
    for bad in ["[", "1,2", "1]", "{", "nul"] {
        refused_for(append(&h, "k", Value::Json(bad.into())).await, "invalid-argument", bad);
        refused_for(append(&h, "nothing", Value::Json(bad.into())).await, "invalid-argument", bad);
    }
    h.expect("k", Value::Json("[1]".into())).await;
    h.expect_absent("nothing").await;
}

async fn appended_depth_is_bounded(h: Harness) {
    let nested = |depth: usize| Value::Json("[".repeat(depth) + &"]".repeat(depth));
    h.put("k", Value::Json("[]".into())).await;
    append(&h, "k", nested(127)).await.unwrap();
    refused(append(&h, "k", nested(128)).await, "invalid-argument");
    refused(append(&h, "nothing", nested(128)).await, "invalid-argument");
    append(&h, "other", nested(127)).await.unwrap();
    h.expect_absent("nothing").await;
}

async fn keep_the_rest(h: Harness) {
    let start = h.clock.now();
    let options = SetOptions {
        expiry: Expiry::After(1000),
        content_type: Some("text/plain".into()),
        ..with_metadata("{\"m\":1}")
    };
    written(h.set("count", 1, options.clone()).await);
    written(h.set("log", "a", options.clone()).await);
    written(h.set("list", Value::Json("[]".into()), options).await);
    h.clock.advance(10);
    h.increment("count", 1).await.unwrap();
    append(&h, "log", "b").await.unwrap();
    append(&h, "list", 1).await.unwrap();
    for key in ["count", "log", "list"] {
        let attributes = h.entry(key).await.attributes;
        assert_eq!(attributes.metadata.as_deref(), Some("{\"m\":1}"), "{key}");
        assert_eq!(attributes.content_type.as_deref(), Some("text/plain"), "{key}");
        assert_eq!(attributes.expires_at, Some(start + 1000), "{key}");
        assert_eq!((attributes.created_at, attributes.updated_at), (start, start + 10), "{key}");
    }
}

async fn a_log_grows(h: Harness) {
    let mut expected = String::new();
    for at in 0..h.many(100, 10) {
        let line = format!("{at}:{}\n", "x".repeat(at));
        expected.push_str(&line);
        assert_eq!(append(&h, "log", line).await, Ok(expected.len() as u64));
    }
    h.expect("log", expected).await;
}

async fn too_large_in_the_end(h: Harness) {
    let limit = usize::try_from(h.capabilities.max_value_bytes).expect("a size that fits");
    h.store.set(&h.namespace, item("k", Value::from(vec![b'x'; limit]))).await.unwrap();
    refused(append(&h, "k", Value::from(b"y")).await, "too-large");
    assert_eq!(h.describe("k").await.expect("there").attributes.size, limit as u64);
    assert_eq!(append(&h, "k", Value::from(b"")).await, Ok(limit as u64));
}
