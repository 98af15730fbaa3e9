//! Keys: escaping and order.
#![allow(missing_docs)]

use dataknobs_kv_core::{Pattern, key};
use proptest::prelude::*;

fn segment() -> impl Strategy<Value = String> {
    prop_oneof![r"[a.\\]{1,6}", r"\PC{1,8}"].prop_filter("no control characters", |s| !s.chars().any(char::is_control))
}

fn segments() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(segment(), 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn split_gives_back_what_join_took(segments in segments()) {
        let key = key::join(&segments).unwrap();
        prop_assert_eq!(key::validate(&key), Ok(()));
        prop_assert_eq!(&key::split(&key).unwrap(), &segments);
        let escaped: Vec<&str> = key::segments(&key).collect();
        prop_assert_eq!(escaped.len(), segments.len());
        for (escaped, text) in escaped.into_iter().zip(&segments) {
            prop_assert_eq!(escaped, key::escape(text));
            prop_assert_eq!(key::unescape(escaped), text.as_str());
        }
    }

    #[test]
    fn join_gives_back_what_split_took(key in r"([ab.]|\\\.|\\\\|\\){1,12}") {
        match key::split(&key) {
            Ok(segments) => prop_assert_eq!(key::join(segments).unwrap(), key),
            Err(_) => prop_assert!(key::validate(&key).is_err()),
        }
    }

    #[test]
    fn different_segments_make_different_keys(a in segments(), b in segments()) {
        prop_assert_eq!(key::join(&a).unwrap() == key::join(&b).unwrap(), a == b);
    }

    #[test]
    fn what_is_below_a_key_is_one_range(a in segments(), b in segments(), below in segments()) {
        let (key, other) = (key::join(&a).unwrap(), key::join(&b).unwrap());
        let child = key::join(a.iter().chain(&below)).unwrap();
        let pattern = Pattern::parse(&format!("{}.**", dataknobs_kv_core::pattern::escape_key(&key))).unwrap();
        prop_assert!(pattern.is_range() && pattern.matches(&child) && !pattern.matches(&key));
        prop_assert_eq!(pattern.range().contains(&other), b.len() > a.len() && b.starts_with(&a));
    }

    #[test]
    fn any_text_is_judged_without_panic(text in any::<String>()) {
        prop_assert_eq!(key::validate(&text).is_ok(), key::split(&text).is_ok());
        let _ = key::validate_namespace(&text);
    }
}
