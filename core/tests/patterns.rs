//! Patterns against globset, an independent matcher, with `.` for `/`; and their ranges.
#![allow(missing_docs)]

use dataknobs_kv_core::{Pattern, key, pattern};
use globset::{GlobBuilder, GlobMatcher};
use proptest::prelude::*;

/// The same pattern for globset.
fn oracle(pattern: &str) -> GlobMatcher {
    // In globset a class that is turned round takes the separator too.
    let glob = as_path(pattern).replace("[!", "[!/");
    GlobBuilder::new(&glob)
        .literal_separator(true)
        .backslash_escape(true)
        .empty_alternates(true)
        .build()
        .unwrap_or_else(|error| panic!("{glob}: {error}"))
        .compile_matcher()
}

fn as_path(key: &str) -> String {
    key.chars().map(|c| if c == '.' { '/' } else { c }).collect()
}

/// Keys of few characters, so that patterns meet them often; of ASCII, since globset matches bytes.
fn keys() -> impl Strategy<Value = String> {
    prop::collection::vec("[abc0_-]{1,4}", 1..5).prop_map(|segments| segments.join("."))
}

fn segment_pattern() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[abc0_-]",
        2 => Just("*".to_owned()),
        2 => Just("?".to_owned()),
        1 => Just("[ab]".to_owned()),
        1 => Just("[a-c]".to_owned()),
        1 => Just("[!a]".to_owned()),
        1 => Just("[!0-9b]".to_owned()),
        1 => Just("[0_-]".to_owned()),
        1 => Just("{a,bc}".to_owned()),
        1 => Just("{a*,?b,{0,c}}".to_owned()),
        1 => Just("\\a".to_owned()),
    ];
    // Three stars side by side are three different things to each.
    prop::collection::vec(piece, 1..5).prop_map(|pieces| pieces.concat().replace("***", "**").replace("***", "**"))
}

fn patterns() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        3 => segment_pattern(),
        1 => Just("**".to_owned()),
        1 => (segment_pattern(), segment_pattern()).prop_map(|(a, b)| {
            // Between braces globset takes two stars for one.
            format!("{{{},{}}}", a.replace("**", "*"), b.replace("**", "*"))
        }),
    ];
    let parts = prop::collection::vec(part, 1..5).prop_map(|parts| parts.join("."));
    parts.prop_filter("few alternatives", |pattern| match Pattern::parse(pattern) {
        Ok(_) => true,
        Err(error) => !error.message().contains("1000 alternatives"),
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn globset_agrees(pattern in patterns(), keys in prop::collection::vec(keys(), 1..20)) {
        let ours = Pattern::parse(&pattern).unwrap();
        let theirs = oracle(&pattern);
        for key in &keys {
            prop_assert_eq!(ours.matches(key), theirs.is_match(as_path(key)), "{} {}", pattern, key);
        }
    }

    #[test]
    fn a_key_made_from_a_pattern_matches(pattern in patterns(), run in "[ab]{0,3}", rest in "[ab]{1,3}") {
        // Every wildcard is given a text of its own.
        let mut key = String::new();
        let mut characters = pattern.chars().peekable();
        // Of braces the first alternative is taken: the depth whose others are passed over.
        let (mut class, mut depth, mut passing) = (String::new(), 0, None);
        while let Some(c) = characters.next() {
            match c {
                '{' => depth += 1,
                '}' => {
                    passing = passing.filter(|&passing| passing != depth);
                    depth -= 1;
                }
                _ if passing.is_some() => {}
                ',' if depth > 0 => passing = Some(depth),
                '*' if characters.next_if_eq(&'*').is_some() => key.push_str(&rest),
                '*' => key.push_str(&run),
                '?' => key.push('é'),
                '[' => {
                    class.clear();
                    class.extend(characters.by_ref().take_while(|&c| c != ']'));
                    key.push(if class.starts_with('!') { 'z' } else { class.chars().next().unwrap() });
                }
                '\\' => key.extend(characters.next()),
                c => key.push(c),
            }
        }
        prop_assume!(key::validate(&key).is_ok());
        prop_assert!(Pattern::parse(&pattern).unwrap().matches(&key), "{pattern} {key}");
    }

    #[test]
    fn all_matches_lie_in_the_range(pattern in patterns(), keys in prop::collection::vec(keys(), 1..20)) {
        let pattern = Pattern::parse(&pattern).unwrap();
        for key in &keys {
            if pattern.matches(key) {
                prop_assert!(pattern.range().contains(key));
            }
            if pattern.is_range() {
                prop_assert_eq!(pattern.matches(key), pattern.range().contains(key));
            }
            if let Some(exact) = pattern.exact() {
                prop_assert_eq!(pattern.matches(key), key == exact);
            }
        }
    }

    #[test]
    fn any_text_is_refused_or_compiled(pattern in r"[ab.*?\[\]{},!^\\-]{1,40}", key in r"([ab*?{},!-]|\\\.|\\\\){1,6}") {
        if let Ok(pattern) = Pattern::parse(&pattern) {
            prop_assert!(!pattern.matches(&key) || pattern.range().contains(&key));
        }
    }

    #[test]
    fn arbitrary_text_never_panics(pattern in any::<String>()) {
        let _ = Pattern::parse(&pattern).map(|pattern| pattern.matches("a.b"));
    }

    #[test]
    fn escaped_keys_match_themselves_alone(
        segments in prop::collection::vec(r"[ab.\\*?\[\]{},!^é-]{1,5}", 1..4),
        other in prop::collection::vec(r"[ab.\\*?\[\]{},!^é-]{1,5}", 1..4),
    ) {
        let (key, other) = (key::join(&segments).unwrap(), key::join(&other).unwrap());
        let escaped = pattern::escape_key(&key);
        let literal = Pattern::parse(&escaped).unwrap();
        prop_assert_eq!(literal.exact(), Some(key.as_str()));
        prop_assert!(literal.matches(&key));
        prop_assert_eq!(literal.matches(&other), key == other);
        // The general path says the same as the short one.
        let general = Pattern::parse(&format!("{escaped}{{,.no*}}")).unwrap();
        prop_assert!(general.exact().is_none() && general.matches(&key));
        prop_assert_eq!(general.matches(&other), key == other || other.starts_with(&format!("{key}.no")));
    }

    #[test]
    fn one_character_is_one_character(text in any::<char>().prop_filter("legal", |c| !c.is_control())) {
        let key = key::join(["a".to_owned(), format!("x{text}y")]).unwrap();
        for pattern in ["a.x?y", "a.*", "a.x*y", "*.x[!z]y", "**.x?y"] {
            let expected = text != 'z' || !pattern.contains("[!z]");
            prop_assert_eq!(Pattern::parse(pattern).unwrap().matches(&key), expected, "{} {}", pattern, key);
        }
        let class = format!("a.x[{}{}]y", if matches!(text, ']' | '\\' | '!' | '^') { "\\" } else { "" }, text);
        prop_assert!(Pattern::parse(&class).unwrap().matches(&key), "{}", class);
    }
}
