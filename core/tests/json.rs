//! JSON against serde_json, and metadata.
#![allow(missing_docs)]

use dataknobs_kv_core::{json, metadata};
use proptest::{collection::vec, prelude::*, sample::Index};
use serde_json::{Value, value::RawValue};

/// Whether it is JSON by another reader, which like ours keeps lone surrogates and numbers of any size.
fn is_json(text: &str) -> bool {
    serde_json::from_str::<&RawValue>(text).is_ok()
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3i64..1000).prop_map(Value::from),
        (-1000i32..1000, 0u32..4).prop_map(|(n, e)| Value::from(f64::from(n) / 2f64.powi(e as i32))),
        "[ab\"\\\\é\u{1f}/𝄞]{0,4}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec(("[abé\"]{0,2}", inner), 0..4).prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// The same value written otherwise: fields turned round, spaces, escapes, other forms of numbers.
fn rewritten(value: &Value, out: &mut String) {
    match value {
        Value::Null | Value::Bool(_) => out.push_str(&value.to_string()),
        Value::Number(number) => {
            let number = number.as_f64().unwrap();
            out.push_str(&format!("{}e-2", json::format_number(number * 100.0)));
        }
        Value::String(text) => {
            out.push('"');
            for unit in text.encode_utf16() {
                out.push_str(&format!("\\u{unit:04X}"));
            }
            out.push('"');
        }
        Value::Array(elements) => {
            out.push_str("[ ");
            for (index, element) in elements.iter().enumerate() {
                out.push_str(if index > 0 { "\n, " } else { "" });
                rewritten(element, out);
            }
            out.push(']');
        }
        Value::Object(fields) => {
            out.push_str("{ ");
            for (index, (name, value)) in fields.iter().rev().enumerate() {
                out.push_str(if index > 0 { "\t," } else { "" });
                rewritten(&Value::from(name.as_str()), out);
                out.push_str(" : ");
                rewritten(value, out);
            }
            out.push_str("}\r\n");
        }
    }
}

/// Whole numbers and halves as one kind, as JSON has it.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| same(a, b)))
        }
        _ => a == b,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_json_is(text in r#"[\[\]{}:, "\\u0-9dDeE.+\-truefalsn]{0,12}"#) {
        prop_assert_eq!(json::validate(&text).is_ok(), is_json(&text), "{}", text);
    }

    #[test]
    fn one_change_to_json(value in values(), at in any::<Index>(), replacement in r#"[\[\]{}:, "\\u0eE.\-t\x01é]{0,2}"#) {
        let mut text = value.to_string();
        prop_assert_eq!(json::validate(&text), Ok(()));
        let places: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
        let at = places[at.index(places.len())];
        let length = text[at..].chars().next().unwrap().len_utf8();
        text.replace_range(at..at + length, &replacement);
        prop_assert_eq!(json::validate(&text).is_ok(), is_json(&text), "{}", text);
    }

    #[test]
    fn no_text_makes_it_panic(text in any::<String>()) {
        let _ = (json::validate(&text), json::parse_string(&text), json::equal(&text, &text));
        let _ = (json::append_element(&text, &text), metadata::canonical(&text), metadata::hints(&text));
        let _ = (metadata::merge(Some(&text), &text), metadata::contains(Some(&text), &text));
    }

    #[test]
    fn equal_in_meaning(a in values(), b in values()) {
        let mut again = String::new();
        rewritten(&a, &mut again);
        prop_assert!(json::equal(&a.to_string(), &again), "{} {}", a, again);
        prop_assert_eq!(json::equal(&a.to_string(), &b.to_string()), same(&a, &b), "{} {}", a, b);
    }

    #[test]
    fn strings(text in any::<String>()) {
        let literal = json::quote(&text);
        prop_assert_eq!(serde_json::from_str::<String>(&literal).unwrap(), text.clone());
        prop_assert_eq!(json::parse_string(&literal), Some(text.clone()));
        prop_assert_eq!(json::parse_string(&serde_json::to_string(&text).unwrap()), Some(text));
    }

    #[test]
    fn numbers_read_back(bits in any::<u64>()) {
        let number = f64::from_bits(bits);
        prop_assume!(number.is_finite());
        let text = json::format_number(number);
        prop_assert_eq!(text.parse::<f64>().unwrap().to_bits(), bits);
        prop_assert_eq!(json::validate(&text), Ok(()));
        prop_assert!(text.len() <= 25);
        // The exponent form begins and ends where ECMAScript says.
        let size = number.abs();
        prop_assert_eq!(text.contains('e'), size != 0.0 && !(1e-6..1e21).contains(&size), "{}", text);
        prop_assert!(!text.contains('e') || text.contains("e+") || text.contains("e-"));
        let scientific = format!("{number:e}");
        prop_assert!(json::equal(&text, &scientific));
    }

    #[test]
    fn decimals(digits in "[1-9][0-9]{0,30}", exponent in -40i64..40, shift in 0usize..40) {
        let written = format!("{digits}e{exponent}");
        let zeros = "0".repeat(shift);
        let moved = format!("{digits}{zeros}e{}", exponent - shift as i64);
        prop_assert!(json::equal(&written, &moved), "{} {}", written, moved);
        let behind = format!("0.{zeros}{digits}E+{}", exponent + (shift + digits.len()) as i64).replace("+-", "-");
        prop_assert!(json::equal(&written, &behind), "{} {}", written, behind);
        for other in [format!("{digits}1e{exponent}"), format!("{digits}e{}", exponent + 1)] {
            prop_assert!(!json::equal(&written, &other), "{} {}", written, other);
        }
    }

    #[test]
    fn an_element_more(elements in vec(values(), 0..5), element in values()) {
        let mut text = String::new();
        rewritten(&Value::from(elements.clone()), &mut text);
        let appended = json::append_element(&text, &element.to_string()).unwrap();
        let expected: Vec<Value> = elements.into_iter().chain([element]).collect();
        prop_assert!(json::equal(&appended, &Value::from(expected).to_string()), "{}", appended);
        prop_assert!(text.trim_end().strip_suffix(']').is_some_and(|start| appended.starts_with(start.trim_end())));
    }

    #[test]
    fn canonical_metadata(fields in vec(("[abé\"\u{1}𝄞]{0,3}", values()), 0..5)) {
        let object = Value::Object(fields.into_iter().collect());
        let mut text = String::new();
        rewritten(&object, &mut text);
        let canonical = metadata::canonical(&text).unwrap();
        prop_assert_eq!(canonical.is_none(), object.as_object().unwrap().is_empty());
        let Some(canonical) = canonical else { return Ok(()) };
        prop_assert!(json::equal(&canonical, &text));
        prop_assert_eq!(metadata::canonical(&object.to_string()).unwrap(), Some(canonical.clone()), "one form for one meaning");
        prop_assert_eq!(metadata::canonical(&canonical).unwrap(), Some(canonical.clone()));
        // serde_json keeps fields sorted, and differs only in how it writes numbers.
        prop_assert!(same(&serde_json::from_str(&canonical).unwrap(), &object));
        prop_assert!(metadata::contains(Some(&canonical), &text));
    }

    #[test]
    fn merging_is_field_by_field(
        base in vec(("[ab]{1,2}", values()), 0..5),
        patch in vec(("[ab]{1,2}", values()), 0..5),
    ) {
        let (base, patch) = (Value::Object(base.into_iter().collect()), Value::Object(patch.into_iter().collect()));
        let stored = metadata::canonical(&base.to_string()).unwrap();
        let merged = metadata::merge(stored.as_deref(), &patch.to_string()).unwrap();
        let mut expected = base.as_object().unwrap().clone();
        for (name, value) in patch.as_object().unwrap() {
            if value.is_null() {
                expected.remove(name);
            } else {
                expected.insert(name.clone(), value.clone());
            }
        }
        prop_assert_eq!(merged, metadata::canonical(&Value::Object(expected).to_string()).unwrap());
    }

    #[test]
    fn ttl_is_rounded_up(thousandths in 1u64..10_000_000_000, tail in "[0-9]{0,3}") {
        let seconds = format!("{}.{:03}{tail}", thousandths / 1000, thousandths % 1000);
        let up = u64::from(tail.contains(|digit| digit != '0'));
        prop_assert_eq!(metadata::hints(&format!("{{\"ttl\":{seconds}}}")).unwrap().0, Some(thousandths + up), "{}", seconds);
    }
}
