//! Values: types, exact bytes, limits.

use dataknobs_kv_core::store::{SetOptions, SetResult};
use dataknobs_kv_core::{Error, Value, ValueType};

use crate::Harness;
use crate::harness::{assert_value, item, refused, refused_for, written};

cases! {
    "values";
    every_type_comes_back: [V1, V2, V3, V4, V5, V6] [AllTypes];
    text_of_any_characters: [V2] [AllTypes];
    every_byte: [V2];
    empty_values_are_there: [V2, V6] [AllTypes];
    integers_to_the_edge: [V3];
    numbers_in_their_layout: [V4];
    numbers_and_integers_stay_apart: [V4];
    infinities_are_refused: [V4, E4] [RawInput];
    json_to_the_byte: [V5];
    what_is_no_json_is_refused: [V5, E4];
    deep_json: [V5, Z1, E3];
    endless_json_is_refused: [V5, Z1, E3];
    custom_types: [V6, Z1] [AllTypes];
    bad_custom_types_are_refused: [V6, Z1] [AllTypes, RawInput];
    content_types: [V7, Z1] [AllTypes];
    bad_content_types_are_refused: [V7, Z1] [AllTypes, RawInput];
    the_type_may_change: [V1];
    text_that_looks_otherwise_stays_text: [V1];
    a_mebibyte: [V1, M6];
    many_sizes: [V1, M6];
    the_largest_value: [V8, Z1] [BoundedValues];
    a_value_too_large_is_refused: [V8, Z1, E4] [BoundedValues];
    one_too_large_in_a_batch: [V8, B2] [BoundedValues, Batches];
    random_bytes: [V1, M6];
}

async fn round_trip(h: &Harness, key: &str, value: Value) {
    h.put(key, value.clone()).await;
    let state = h.entry(key).await;
    assert_eq!(state.attributes.value_type, value.value_type(), "{key}");
    assert_eq!(state.attributes.size, value.clone().encode().1.len() as u64, "{key}");
    assert_value(state.into_value().expect("sound").as_ref(), &value, key);
}

fn custom(type_name: &str, bytes: &[u8]) -> Value {
    Value::Custom { type_name: type_name.into(), bytes: bytes.into() }
}

async fn every_type_comes_back(h: Harness) {
    let values = [
        Value::from("text"),
        Value::from(b"\x00\x01\xff"),
        Value::Integer(-42),
        Value::Number(1.5),
        Value::Boolean(true),
        Value::Boolean(false),
        Value::Null,
        Value::Json("{\"a\": [1, 2]}".into()),
        custom("pickle", b"\x80\x04."),
    ];
    for (at, value) in values.into_iter().enumerate() {
        round_trip(&h, &format!("k{at}"), value).await;
    }
}

async fn text_of_any_characters(h: Harness) {
    let texts = [
        "",
        " ",
        "\0",
        "a\0b",
        "\n",
        "\r\n",
        "\u{feff}bom",
        "caf\u{e9}",
        "cafe\u{301}",
        "\u{ffff}",
        "\u{1f600}",
        "\"",
        "\\",
        "null",
        "\u{85}\u{2028}",
    ];
    for (at, text) in texts.into_iter().enumerate() {
        round_trip(&h, &format!("k{at}"), Value::from(text)).await;
    }
}

async fn every_byte(h: Harness) {
    round_trip(&h, "all", Value::from((0..=255).collect::<Vec<u8>>())).await;
    round_trip(&h, "not-utf8", Value::from(b"\xff\xfe\xc3\x28")).await;
    round_trip(&h, "zeros", Value::from(vec![0; 100])).await;
    round_trip(&h, "newline", Value::from(b"\n")).await;
    round_trip(&h, "crlf", Value::from(b"a\r\nb\n")).await;
    round_trip(&h, "utf8", Value::from(b"plain text, but bytes")).await;
}

async fn empty_values_are_there(h: Harness) {
    for (at, value) in [Value::from(""), Value::from(Vec::new()), Value::Null, custom("x", b"")].into_iter().enumerate()
    {
        let key = format!("k{at}");
        round_trip(&h, &key, value).await;
        assert_eq!(h.describe(&key).await.expect("there").attributes.size, 0);
        assert_eq!(h.entry(&key).await.attributes.checksum, 0);
    }
    assert_eq!(h.keys("**").await.len(), 4);
    round_trip(&h, "k0", Value::from("filled")).await;
    round_trip(&h, "k0", Value::from("")).await;
}

async fn integers_to_the_edge(h: Harness) {
    for integer in [0, 1, -1, i64::MAX, i64::MIN, 9_007_199_254_740_993, -9_007_199_254_740_993, 100] {
        round_trip(&h, "k", Value::Integer(integer)).await;
        assert_eq!(h.entry("k").await.value, Some(integer.to_string().into_bytes()));
    }
}

async fn numbers_in_their_layout(h: Harness) {
    for (number, text) in [
        (1.5, "1.5"),
        (100.0, "100"),
        (1e21, "1e+21"),
        (1e-7, "1e-7"),
        (0.000001, "0.000001"),
        (123456789012345680000.0, "123456789012345680000"),
        (0.0, "0"),
        (-0.0, "-0"),
        (0.1, "0.1"),
        (1.0 / 3.0, "0.3333333333333333"),
        (f64::MAX, "1.7976931348623157e+308"),
        (f64::MIN_POSITIVE, "2.2250738585072014e-308"),
        (5e-324, "5e-324"),
        (-2.5e-10, "-2.5e-10"),
    ] {
        h.put("k", number).await;
        let state = h.entry("k").await;
        assert_eq!(state.value.as_deref(), Some(text.as_bytes()), "{number:e}");
        let Ok(Some(Value::Number(back))) = state.into_value() else { panic!("{text} is a number") };
        assert_eq!(back.to_bits(), f64::to_bits(number), "{text}");
    }
}

async fn numbers_and_integers_stay_apart(h: Harness) {
    h.put("integer", 1_i64).await;
    h.put("number", 1.0).await;
    assert_eq!(h.entry("integer").await.attributes.value_type, ValueType::Integer);
    assert_eq!(h.entry("number").await.attributes.value_type, ValueType::Number);
    assert_eq!(h.entry("number").await.value, Some(b"1".to_vec()));
}

async fn infinities_are_refused(h: Harness) {
    h.put("k", "old").await;
    for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        refused(h.set("k", number, SetOptions::default()).await, "invalid-argument");
        refused(h.swap("k", Some("old".into()), number).await, "invalid-argument");
    }
    h.expect("k", "old").await;
}

async fn json_to_the_byte(h: Harness) {
    for (at, text) in [
        "{}",
        "[]",
        " { \"b\" : 1 ,\n \"a\" : 2 } ",
        "{\"a\":1,\"a\":2}",
        "{\"e\":\"\\u00e9\\/\"}",
        "[1e400000, -0, 0.10, 12345678901234567890]",
        "{\"\":{\"\":[null,true,false]}}",
        "{\"lone\":\"\\ud800\"}",
        "\t[\r\n]\t",
        "{\"x\\u0000\":\"\\u0000\"}",
    ]
    .into_iter()
    .enumerate()
    {
        round_trip(&h, &format!("k{at}"), Value::Json(text.into())).await;
    }
}

const NO_JSON: [&str; 22] = [
    " ",
    "{",
    "}",
    "[1,]",
    "{\"a\":1,}",
    "{a:1}",
    "{'a':1}",
    "[01]",
    "[+1]",
    "[.5]",
    "[1.]",
    "[1e]",
    "nul",
    "[NaN]",
    "[Infinity]",
    "[\"\t\"]",
    "[\"\\x41\"]",
    "[\"\\u12\"]",
    "[1] [2]",
    "\u{feff}{}",
    "[1]x",
    "{\"a\" 1}",
];

async fn what_is_no_json_is_refused(h: Harness) {
    h.put("k", "old").await;
    for text in NO_JSON.into_iter().skip(usize::from(h.slow)) {
        refused_for(h.set("k", Value::Json(text.into()), SetOptions::default()).await, "invalid-argument", text);
    }
    h.expect("k", "old").await;
}

async fn deep_json(h: Harness) {
    let nested = |depth: usize| Value::Json("[".repeat(depth) + &"]".repeat(depth));
    round_trip(&h, "k", nested(128)).await;
    refused(h.set("k", nested(129), SetOptions::default()).await, "invalid-argument");
    h.expect("k", nested(128)).await;
}

async fn endless_json_is_refused(h: Harness) {
    for depth in [10_000, 200_000] {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let text = open.repeat(depth) + "1" + &close.repeat(depth);
            refused(h.set("k", Value::Json(text), SetOptions::default()).await, "invalid-argument");
            refused(h.set("k", Value::Json(open.repeat(depth)), SetOptions::default()).await, "invalid-argument");
        }
    }
    h.expect_absent("k").await;
}

async fn custom_types(h: Harness) {
    for name in ["x", "text", "bytes", "a b", "application/x; v=1", "~!@#$%^&*()", &"n".repeat(64)] {
        round_trip(&h, "k", custom(name, b"\x00\xff")).await;
        assert_eq!(h.entry("k").await.attributes.value_type, ValueType::Custom(name.into()));
    }
}

async fn bad_custom_types_are_refused(h: Harness) {
    for name in ["", &"n".repeat(65), "\u{e9}", "a\n", "\0", "\u{7f}", "tab\t"] {
        refused_for(h.set("k", custom(name, b"x"), SetOptions::default()).await, "invalid-argument", name);
    }
    h.expect_absent("k").await;
}

fn of_type(content_type: &str) -> SetOptions {
    SetOptions { content_type: Some(content_type.into()), ..SetOptions::default() }
}

async fn content_types(h: Harness) {
    for content_type in
        ["text/plain", "text/html; charset=utf-8", "application/json", "x", "image/png", "\"odd\", \\ stuff"]
    {
        written(h.set("k", "v", of_type(content_type)).await);
        let state = h.entry("k").await;
        assert_eq!(state.attributes.content_type.as_deref(), Some(content_type));
        assert_eq!(state.attributes.value_type, ValueType::Text, "the content type does not change the type");
    }
    let longest = "x".repeat(255);
    written(h.set("k", Value::from(b"v"), of_type(&longest)).await);
    assert_eq!(h.entry("k").await.attributes.content_type, Some(longest));
    h.put("k", "v").await;
    assert_eq!(h.entry("k").await.attributes.content_type, None, "a set without one clears it");
}

async fn bad_content_types_are_refused(h: Harness) {
    for content_type in ["", " ", " x", "x ", "a\nb", "a\r\nX: y", "\0", "\u{e9}", "\u{7f}", &"x".repeat(256)] {
        refused_for(h.set("k", "v", of_type(content_type)).await, "invalid-argument", content_type);
    }
    h.expect_absent("k").await;
}

async fn the_type_may_change(h: Harness) {
    for value in [
        Value::from("1"),
        Value::Integer(1),
        Value::Number(1.0),
        Value::from(b"1"),
        Value::Json("[1]".into()),
        Value::Null,
    ] {
        round_trip(&h, "k", value).await;
    }
    assert_eq!(h.keys("**").await, ["k"]);
}

async fn text_that_looks_otherwise_stays_text(h: Harness) {
    for text in ["1", "1.5", "true", "null", "{}", "[1]", "\"quoted\"", "-0", "NaN", "2024-01-15"] {
        round_trip(&h, "k", Value::from(text)).await;
    }
}

async fn a_mebibyte(h: Harness) {
    round_trip(&h, "text", Value::from("\u{e9}x".repeat(350_000))).await;
    round_trip(&h, "bytes", Value::from((0..1 << 20).map(|at: u32| (at % 251) as u8).collect::<Vec<u8>>())).await;
    round_trip(&h, "json", Value::Json(format!("[{}1]", "1,".repeat(500_000)))).await;
    h.put("bytes", Value::from(b"small again")).await;
    h.expect("bytes", Value::from(b"small again")).await;
}

async fn many_sizes(h: Harness) {
    for size in [1, 2, 63, 64, 65, 255, 256, 4095, 4096, 4097, 8191, 8192, 65_535, 65_536, 65_537, 300_000] {
        let bytes: Vec<u8> = (0..size).map(|at| (at * 7 % 256) as u8).collect();
        round_trip(&h, "k", Value::from(bytes)).await;
    }
}

fn largest(h: &Harness) -> usize {
    usize::try_from(h.capabilities.max_value_bytes).expect("a size that fits")
}

async fn the_largest_value(h: Harness) {
    round_trip(&h, "k", Value::from(vec![b'x'; largest(&h)])).await;
    h.delete("k").await;
}

async fn a_value_too_large_is_refused(h: Harness) {
    h.put("k", "old").await;
    let large = Value::from(vec![b'x'; largest(&h) + 1]);
    let error = refused(h.set("k", large.clone(), SetOptions::default()).await, "too-large");
    let Error::TooLarge(exceeded) = error else { unreachable!() };
    assert_eq!(exceeded.what, "value");
    assert_eq!((exceeded.limit, exceeded.actual), (largest(&h) as u64, largest(&h) as u64 + 1));
    refused(h.swap("k", Some("old".into()), large).await, "too-large");
    h.expect("k", "old").await;
}

async fn one_too_large_in_a_batch(h: Harness) {
    let items = vec![item("a", 1), item("b", Value::from(vec![0; largest(&h) + 1])), item("c", 3)];
    let mut results = h.store.set_many(&h.namespace, items).await.expect("the others are done");
    assert!(matches!(results.remove(2), Ok(SetResult::Written(_))));
    refused(results.remove(1), "too-large");
    assert!(matches!(results.remove(0), Ok(SetResult::Written(_))));
    assert_eq!(h.keys("**").await, ["a", "c"]);
}

async fn random_bytes(h: Harness) {
    for at in 0..h.many(20, 4) {
        let length = rand::random::<u16>() as usize % 3000;
        let bytes: Vec<u8> = (0..length).map(|_| rand::random()).collect();
        round_trip(&h, &format!("k{at}"), Value::from(bytes)).await;
    }
}
