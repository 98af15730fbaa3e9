//! When two texts mean the same.

use super::{Tree, numbers_equal};

/// Whether two valid JSON texts mean the same: objects unordered (of fields with one name the last counts), strings
/// unescaped (lone surrogates are equal only to themselves), numbers as exact decimals (`1.0`, `1` and `10e-1` are equal,
/// and so are `0` and `-0`). What is not JSON equals nothing.
pub fn equal(a: &str, b: &str) -> bool {
    match (Tree::parse(a), Tree::parse(b)) {
        (Ok(a), Ok(b)) => trees_equal(&a, &b),
        _ => false,
    }
}

fn trees_equal(a: &Tree<'_>, b: &Tree<'_>) -> bool {
    match (a, b) {
        (Tree::Number(a), Tree::Number(b)) => numbers_equal(a, b),
        (Tree::Array(a), Tree::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| trees_equal(a, b)),
        (Tree::Object(a), Tree::Object(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.name == b.name && trees_equal(&a.value, &b.value))
        }
        (Tree::String(a), Tree::String(b)) => a == b,
        (Tree::Boolean(a), Tree::Boolean(b)) => a == b,
        (Tree::Null, Tree::Null) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_in_meaning() {
        for (a, b) in [
            ("1.0", "1"),
            ("10e-1", "1"),
            (" [1, 2]", "[1.0,2e0]\n"),
            (r#"{"a":1,"b":[true]}"#, r#"{ "b":[true], "a":1 }"#),
            (r#"{"\u0061":1}"#, r#"{"a":1}"#),
            (r#""\u00e9\/""#, r#""é/""#),
            (r#""\ud834\udd1e""#, "\"𝄞\""),
            (r#""\ud800""#, r#""\uD800""#),
            (r#"{"a":1,"a":2}"#, r#"{"a":2}"#),
            (r#"{"b":0,"a":1,"c":3,"a":2}"#, r#"{"c":3,"a":1,"b":1,"a":2,"b":0}"#),
            ("null", "null"),
            ("{}", "{ }"),
        ] {
            assert!(equal(a, b) && equal(b, a), "{a} {b}");
        }
    }

    #[test]
    fn different_in_meaning() {
        for (a, b) in [
            ("1", "2"),
            ("1", "\"1\""),
            ("0", "false"),
            ("null", "false"),
            ("[1,2]", "[2,1]"),
            ("[1]", "[1,1]"),
            ("[]", "{}"),
            (r#"{"a":1}"#, r#"{"a":1,"b":null}"#),
            (r#"{"a":1}"#, r#"{"b":1}"#),
            (r#"{"a":1,"a":2}"#, r#"{"a":1}"#),
            (r#""\ud800""#, r#""\ud801""#),
            ("\"e\u{301}\"", "\"é\""),
            ("9007199254740993", "9007199254740992"),
            ("1", "1 1"),
            ("x", "x"),
        ] {
            assert!(!equal(a, b) && !equal(b, a), "{a} {b}");
        }
    }
}
