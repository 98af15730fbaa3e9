//! What goes through JSON comes back the same.

use proptest::prelude::*;

use super::*;
use crate::store::{self, Expiry, Numeric, SetOptions};
use crate::{Attributes, Precondition, Projection, State, Value, ValueType, Version};

fn there_and_back(value: &Value) {
    for typed in [TypedValue::new(value).unwrap(), TypedValue::with_type(value).unwrap()] {
        let text = to_json(&typed).unwrap();
        assert!(!text.contains(['\n', '\r']), "{text}");
        let back = from_json::<TypedValue>(text.as_bytes()).unwrap().to_value().unwrap();
        assert!(exactly(&back, value), "{text}");
    }
}

/// Equal to the bit: `-0` is not `0` here.
fn exactly(a: &Value, b: &Value) -> bool {
    a.clone().encode() == b.clone().encode()
}

#[test]
fn values_survive() {
    for value in [
        Value::Text(String::new()),
        "text".into(),
        "\u{0}\n\"\\\u{2028}é😀".into(),
        "12".into(),
        "null".into(),
        Value::Bytes(vec![]),
        Value::Bytes(vec![0]),
        Value::Bytes((0..=255).collect()),
        Value::Integer(0),
        Value::Integer(i64::MAX),
        Value::Integer(i64::MIN),
        Value::Number(1.0),
        Value::Number(-0.0),
        Value::Number(0.0),
        Value::Number(1.5),
        Value::Number(1e21),
        Value::Number(1e-7),
        Value::Number(5e-324),
        Value::Number(f64::MAX),
        Value::Number(9_007_199_254_740_993.0),
        Value::Boolean(true),
        Value::Boolean(false),
        Value::Null,
        Value::Json("{}".into()),
        Value::Json(r#"{"b": 1,"a":1, "a":2}"#.into()),
        Value::Json("[1.0, 1e0,\t-0]".into()),
        Value::Json("{\n  \"a\": 1\r\n}".into()),
        Value::Json(" [1] ".into()),
        Value::Json("\n1".into()),
        Value::Json("\t1".into()),
        Value::Json(r#""text""#.into()),
        Value::Json(r#""\ud800""#.into()),
        Value::Json(r#"{"\ud800":"\udfff\u0000"}"#.into()),
        Value::Json("1".into()),
        Value::Json("1.0".into()),
        Value::Json("-0".into()),
        Value::Json("1e400".into()),
        Value::Json("123456789012345678901234567890".into()),
        Value::Json("true".into()),
        Value::Json("null".into()),
        Value::Custom { type_name: "x".into(), bytes: vec![255] },
        Value::Custom { type_name: " a%b ".into(), bytes: vec![] },
        Value::Json(format!("{}1{}", "[".repeat(127), "]".repeat(127))),
    ] {
        there_and_back(&value);
    }
}

#[test]
fn the_type_is_left_out_where_json_tells_it() {
    for (value, json) in [
        ("a".into(), r#"{"value":"a"}"#),
        (Value::Integer(1), r#"{"value":1}"#),
        (Value::Number(1.0), r#"{"value":1,"type":"number"}"#),
        (Value::Number(1.5), r#"{"value":1.5}"#),
        (Value::Number(-0.0), r#"{"value":-0}"#),
        (Value::Null, r#"{"value":null}"#),
        (Value::Boolean(true), r#"{"value":true}"#),
        (Value::Json("[1, 2]".into()), r#"{"value":[1, 2]}"#),
        (Value::Json("1".into()), r#"{"value":1,"type":"json"}"#),
        (Value::Json("1e400".into()), r#"{"value":1e400}"#),
        (Value::Json("[1,\n2]".into()), r#"{"value":"[1,\n2]","type":"json-text"}"#),
        (Value::Bytes(vec![255]), r#"{"value":"/w==","type":"bytes"}"#),
        (Value::Custom { type_name: "date".into(), bytes: vec![1] }, r#"{"value":"AQ==","type":"custom:date"}"#),
    ] {
        let typed = TypedValue::new(&value).unwrap();
        assert_eq!(to_json(&typed).unwrap(), json);
    }
}

#[test]
fn what_is_no_value_is_refused() {
    for value in [
        Value::Number(f64::NAN),
        Value::Number(f64::INFINITY),
        Value::Json("{".into()),
        Value::Json(String::new()),
        Value::Custom { type_name: String::new(), bytes: vec![] },
    ] {
        assert!(TypedValue::new(&value).is_err());
    }
    for text in [
        r#"{"value":1,"type":"text"}"#,
        r#"{"value":"1","type":"integer"}"#,
        r#"{"value":1.5,"type":"integer"}"#,
        r#"{"value":"1","type":"number"}"#,
        r#"{"value":1e400,"type":"number"}"#,
        r#"{"value":0,"type":"boolean"}"#,
        r#"{"value":0,"type":"null"}"#,
        r#"{"value":"*","type":"bytes"}"#,
        r#"{"value":[1],"type":"bytes"}"#,
        r#"{"value":"\ud800","type":"text"}"#,
        r#"{"value":"{","type":"json-text"}"#,
        r#"{"value":"","type":"custom:"}"#,
        r#"{"value":"","type":"strange"}"#,
    ] {
        let typed = from_json::<TypedValue>(text.as_bytes()).unwrap();
        assert!(matches!(typed.to_value(), Err(Error::InvalidArgument(_))), "{text}");
    }
    assert!(from_json::<TypedValue>(br#"{"value":1,"typo":2}"#).is_err());
}

#[test]
fn messages_show_no_values() {
    let error = from_json::<Touch>(br#"{"ttl_ms":"secret"}"#).err().unwrap();
    assert!(!error.to_string().contains("secret") && error.to_string().contains("u64"), "{error}");
    let error = from_json::<Touch>(br#"{"ttl_ms":-5}"#).err().unwrap();
    assert!(!error.to_string().contains("-5") && error.to_string().contains("u64"), "{error}");
    let error = from_json::<Touch>(br#"{"ttlms":5}"#).err().unwrap();
    assert!(error.to_string().contains("unknown field `ttlms`"), "{error}");
}

fn attributes(value_type: ValueType) -> Attributes {
    Attributes {
        value_type,
        content_type: Some("image/png".into()),
        metadata: Some(r#"{"a":"é","b":[1,2]}"#.into()),
        created_at: 1,
        updated_at: 253_402_300_799_999,
        expires_at: Some(7),
        sliding_ms: Some(8),
        size: u64::MAX,
        checksum: u32::MAX,
    }
}

#[test]
fn entries_survive() {
    let version = Version::new("v1").unwrap();
    for value in [Value::Null, Value::Number(1.0), Value::Json("[1,\n 2] ".into()), Value::Bytes(vec![1, 2])] {
        let (value_type, bytes) = value.encode();
        for value in [Some(bytes), None] {
            let state =
                State { version: version.clone(), attributes: attributes(value_type.clone()), value: value.clone() };
            let line = to_json(&Entry::new("a.b", Some(state.clone())).unwrap()).unwrap();
            assert!(!line.contains('\n'));
            assert_eq!(Entry::from_line(&line).unwrap().into_state().unwrap().unwrap(), state);
            let again = from_json::<Entry>(line.as_bytes()).unwrap();
            assert_eq!(again.key, "a.b");
            assert_eq!(again.into_state().unwrap().unwrap(), state);
        }
    }
    assert_eq!(to_json(&Entry::new("k", None).unwrap()).unwrap(), r#"{"key":"k"}"#);
    assert!(Entry::from_line(r#"{"key":"k"}"#).unwrap().into_state().unwrap().is_none());
    assert!(Entry::from_line(r#"{"key":"k","extra":1}"#).is_err());
    assert!(from_json::<Entry>(br#"{"key":"k","extra":1}"#).is_ok());
    let broken = State { version, attributes: attributes(ValueType::Integer), value: Some(b"x".to_vec()) };
    assert!(matches!(Entry::new("k", Some(broken)), Err(Error::Corrupt(_))));
}

#[test]
fn line_breaks_in_metadata_are_spaces_or_errors() {
    let item = |metadata: &str| store::Item {
        key: "k".into(),
        value: Value::Null,
        options: SetOptions { metadata: Some(metadata.into()), ..SetOptions::default() },
    };
    let sent = Item::try_from(&item("{\n\"a\":\r\n1}")).unwrap();
    assert_eq!(sent.metadata.unwrap().get(), "{ \"a\":  1}");
    assert!(Item::try_from(&item("{\"a\":\"\n\"}")).is_err());
}

#[test]
fn an_entry_sets_itself_again() {
    let line = r#"{"key":"k","type":"number","value":1,"metadata":{"a":1},"content_type":"x/y","expires_at":9}"#;
    let item = Entry::from_line(line).unwrap().into_item().unwrap();
    assert_eq!(item.value, Value::Number(1.0));
    assert_eq!(item.options.expiry, Expiry::At(9));
    assert_eq!(item.options.metadata.as_deref(), Some(r#"{"a":1}"#));
    assert_eq!(item.options.content_type.as_deref(), Some("x/y"));
    let item = Entry::from_line(r#"{"key":"k","value":null}"#).unwrap().into_item().unwrap();
    assert_eq!((item.value, item.options.expiry), (Value::Null, Expiry::Never));
    assert!(Entry::from_line(r#"{"key":"k"}"#).unwrap().into_item().is_err());
}

fn options() -> Vec<SetOptions> {
    let expiries = [
        Expiry::Unspecified,
        Expiry::Keep,
        Expiry::Never,
        Expiry::After(u64::MAX),
        Expiry::Sliding(1),
        Expiry::At(253_402_300_799_999),
    ];
    let preconditions = [Precondition::None, Precondition::Absent, Precondition::Version(Version::new("0a!").unwrap())];
    let mut all = Vec::new();
    for expiry in expiries {
        for precondition in preconditions.clone() {
            for on_conflict in [Projection::Key, Projection::Attributes, Projection::Value] {
                all.push(SetOptions {
                    expiry,
                    content_type: Some("text/html".into()),
                    metadata: Some(r#"{"a": {"b":"\ud800"}}"#.into()),
                    precondition: precondition.clone(),
                    on_conflict,
                });
            }
        }
    }
    all.push(SetOptions::default());
    all
}

#[test]
fn requests_survive() {
    for options in options() {
        let item = store::Item { key: "k".into(), value: Value::Number(2.0), options: options.clone() };
        let text = to_json(&Item::try_from(&item).unwrap()).unwrap();
        assert_eq!(store::Item::try_from(from_json::<Item>(text.as_bytes()).unwrap()).unwrap(), item);
        let (key, read) = Batch::read(&serde_json::from_str::<Box<RawValue>>(&text).unwrap());
        assert_eq!((key.as_str(), read.unwrap()), ("k", item.clone()));

        let checks = vec![store::Check { key: "c".into(), precondition: options.precondition.clone() }];
        let actions = vec![store::Action::Set(item), store::Action::Delete("d".into())];
        let text = to_json(&Transaction::new(checks.clone(), &actions).unwrap()).unwrap();
        let read = from_json::<Transaction>(text.as_bytes()).unwrap().into_parts().unwrap();
        assert_eq!(read, (checks, actions));

        for old in [None, Some(Value::Null), Some(Value::Number(1.0)), Some(Value::Bytes(vec![]))] {
            let swap = CompareAndSwap::new(old.as_ref(), &Value::Json("1".into()), options.clone()).unwrap();
            let text = to_json(&swap).unwrap();
            let (old_read, new, read) = from_json::<CompareAndSwap>(text.as_bytes()).unwrap().into_parts().unwrap();
            assert_eq!((old_read, new), (old, Value::Json("1".into())));
            assert_eq!(read, SetOptions { on_conflict: Projection::Value, ..options.clone() });
        }
        for delta in [Numeric::Integer(i64::MIN), Numeric::Number(1.0), Numeric::Number(0.5)] {
            let text = to_json(&Increment::new(delta, options.expiry).unwrap()).unwrap();
            let read = from_json::<Increment>(text.as_bytes()).unwrap().into_parts().unwrap();
            assert_eq!(read, (delta, options.expiry));
        }
        let text = to_json(&Touch::from(options.expiry)).unwrap();
        assert_eq!(Expiry::try_from(from_json::<Touch>(text.as_bytes()).unwrap()).unwrap(), options.expiry);
    }
}

#[test]
fn a_bad_item_is_read_alone_and_named() {
    for text in [
        r#"{"key":"k"}"#,
        r#"{"key":"k","value":1,"ttl_ms":-1}"#,
        r#"{"key":"k","value":1,"ttl_ms":1,"expires_at":2}"#,
        r#"{"key":"k","value":1,"if_absent":true,"if_version":"v"}"#,
        r#"{"key":"k","value":1,"if_version":"a b"}"#,
        r#"{"key":"k","value":1,"ttl":1}"#,
        r#"{"key":"k","value":"*","type":"bytes"}"#,
        r#"{"key":"k","value":1,"expiry":"soon"}"#,
        r#"{"key":"k","value":1,"on_conflict":"all"}"#,
    ] {
        let (key, read) = Batch::read(&serde_json::from_str::<Box<RawValue>>(text).unwrap());
        assert_eq!(key, "k");
        assert!(matches!(read, Err(Error::InvalidArgument(_))), "{text}");
    }
    assert!(from_json::<CompareAndSwap>(br#"{"new":1,"old_type":"text"}"#).unwrap().into_parts().is_err());
    assert!(from_json::<CompareAndSwap>(br#"{"old":1}"#).unwrap().into_parts().is_err());
    assert!(from_json::<Increment>(br#"{"delta":"1"}"#).unwrap().into_parts().is_err());
    assert!(from_json::<Increment>(br#"{"delta":null}"#).unwrap().into_parts().is_err());
    assert!(from_json::<Increment>(br#"{"delta":9223372036854775808}"#).unwrap().into_parts().is_err());
    assert_eq!(
        from_json::<Increment>(b"{}").unwrap().into_parts().unwrap(),
        (Numeric::Integer(1), Expiry::Unspecified)
    );
}

fn errors() -> Vec<Error> {
    let text = || "message".to_owned();
    vec![
        Error::InvalidArgument(text()),
        Error::too_large("value", 1, u64::MAX),
        Error::TypeMismatch(text()),
        Error::Overflow(text()),
        Error::Unsupported(text()),
        Error::AccessDenied(text()),
        Error::RateLimited(None),
        Error::RateLimited(Some(Box::new(5))),
        Error::Unavailable(text()),
        Error::OutcomeUnknown(text()),
        Error::Corrupt(text()),
        Error::Internal(text()),
    ]
}

#[test]
fn errors_survive() {
    for error in errors() {
        assert_eq!(ErrorInfo::from(&error).into_error(), error);
        let text = to_json(&Problem::from(&error)).unwrap();
        assert_eq!(from_json::<Problem>(text.as_bytes()).unwrap().into_error(), error);
        let text = to_json(&ItemResult::failed("k".into(), &error)).unwrap();
        assert_eq!(from_json::<ItemResult>(text.as_bytes()).unwrap().into_set(), Err(error.clone()));
        assert!(http_status(&error) >= 400 && exit_code(&error) >= 2);
    }
}

#[test]
fn outcomes_survive() {
    use store::{DeleteResult, SetResult, TransactionResult};
    let version = Version::new("v").unwrap();
    let state = State { version: version.clone(), attributes: attributes(ValueType::Text), value: Some(vec![65]) };
    let again = |result: &ItemResult| from_json::<ItemResult>(to_json(result).unwrap().as_bytes()).unwrap();
    for result in
        [SetResult::Written(version.clone()), SetResult::Conflict(None), SetResult::Conflict(Some(state.clone()))]
    {
        assert_eq!(again(&ItemResult::of_set("k".into(), Ok(result.clone()))).into_set(), Ok(result));
    }
    for result in [DeleteResult::Deleted, DeleteResult::Absent, DeleteResult::Conflict(Some(state.clone()))] {
        assert_eq!(again(&ItemResult::of_delete("k".into(), Ok(result.clone()))).into_delete(), Ok(result));
    }
    for result in [None, Some(state.clone())] {
        assert_eq!(again(&ItemResult::of_get("k".into(), Ok(result.clone()))).into_get(), Ok(result));
    }
    for result in [
        TransactionResult::Committed(vec![Some(version), None]),
        TransactionResult::Failed(store::Failure { in_checks: true, index: 3, current: Some(state) }),
        TransactionResult::Failed(store::Failure { in_checks: false, index: 0, current: None }),
    ] {
        let text = to_json(&Committed::new(result.clone(), |_, _| "k".into()).unwrap()).unwrap();
        assert_eq!(from_json::<Committed>(text.as_bytes()).unwrap().into_result().unwrap(), result);
    }
}

#[test]
fn headers_and_paths_survive() {
    for name in ["text", "custom:a", "custom: a ", "custom:%20", "custom:a b%"] {
        let value_type = ValueType::parse(name).unwrap();
        let text = header::type_to_header(&value_type);
        assert!(!text.contains(' '));
        assert_eq!(header::type_from_header(&text).unwrap(), value_type);
    }
    assert_eq!(header::to_ascii("{\"a\":\"é😀\u{7f}\",\n\"b\":1}"), r#"{"a":"\u00e9\ud83d\ude00\u007f", "b":1}"#);
    assert_eq!(header::percent_decode("a%2Fb+%C3%a9").unwrap(), "a/b+é");
    for bad in ["%", "%4", "%zz", "%ff", "%+1"] {
        assert!(header::percent_decode(bad).is_err(), "{bad}");
    }
}

proptest! {
    #[test]
    fn any_text_and_bytes(text in any::<String>(), bytes in any::<Vec<u8>>(), integer in any::<i64>(), number in any::<f64>()) {
        there_and_back(&Value::Integer(integer));
        if number.is_finite() {
            there_and_back(&Value::Number(number));
        }
        prop_assert_eq!(header::percent_decode(&header::percent_encode(&text)).unwrap(), text.clone());
        there_and_back(&Value::Json(serde_json::to_string_pretty(&[&text]).unwrap()));
        there_and_back(&Value::Text(text));
        there_and_back(&Value::Custom { type_name: "c".into(), bytes: bytes.clone() });
        there_and_back(&Value::Bytes(bytes));
    }
}
