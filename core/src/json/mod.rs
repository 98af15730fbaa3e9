//! JSON as the contract means it: RFC 8259, at most [`MAX_DEPTH`] levels deep, kept to the byte.
//!
//! Lone surrogates (`"\ud800"`) and names that come twice are JSON, so values may hold them; metadata may not
//! ([`crate::metadata`]). Reading takes time linear in the text and a bounded stack.

mod equal;
mod float;
mod number;
mod read;
mod text;
mod tree;

use std::fmt;

use crate::text::decimal;

pub use equal::equal;
pub(crate) use float::{digits as float_digits, parse as parse_float};
pub use number::format_number;
pub(crate) use number::{format_integer, is_whole, numbers_equal, parse_integer, parse_natural, push_zeros};
pub(crate) use read::{Event, Reader};
pub(crate) use text::{decode, quote_into};
pub use text::{parse_string, quote};
pub(crate) use tree::{Field, Tree};

/// The most levels of arrays and objects in each other.
pub const MAX_DEPTH: u32 = 128;

/// What is wrong with a text, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonError {
    /// Byte offset.
    pub at: usize,
    /// The rule.
    pub rule: &'static str,
}

impl JsonError {
    /// Both as text.
    pub fn message(&self) -> String {
        ["not JSON at byte ", &decimal(self.at as u64), ": ", self.rule].concat()
    }
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message())
    }
}

impl std::error::Error for JsonError {}

/// Whether the text is one JSON value, at most [`MAX_DEPTH`] levels deep.
pub fn validate(text: &str) -> Result<(), JsonError> {
    read_to_end(Reader::new(text))
}

/// As [`validate`], for a value that is to be an element of an array: one level less.
pub fn validate_element(text: &str) -> Result<(), JsonError> {
    read_to_end(Reader::with_depth(text, MAX_DEPTH.saturating_sub(1)))
}

/// Whether the text is one JSON number and nothing else.
pub(crate) fn is_number(text: &str) -> bool {
    is_number_start(text) && text.trim_ascii_end().len() == text.len() && validate(text).is_ok()
}

/// Whether a JSON value that starts so is a number.
pub(crate) fn is_number_start(text: &str) -> bool {
    matches!(text.as_bytes().first(), Some(b'-' | b'0'..=b'9'))
}

fn read_to_end(mut reader: Reader<'_>) -> Result<(), JsonError> {
    while reader.read()? != Event::End {}
    Ok(())
}

/// A valid JSON array with one more element at its end; none where the text is no array. What was there stays to the
/// byte. The element is to pass [`validate_element`].
pub fn append_element(array: &str, element: &str) -> Option<String> {
    // Of ASCII's white space JSON allows all but one outside of strings, and that one is in no valid text.
    let body = array.trim_ascii_end().strip_suffix(']')?.trim_ascii_end();
    let empty = body.trim_ascii_start().strip_prefix('[')?.is_empty();
    let tail = array.get(body.len()..)?;
    let mut appended = String::with_capacity(array.len().saturating_add(element.len()).saturating_add(1));
    appended.push_str(body);
    if !empty {
        appended.push(',');
    }
    appended.push_str(element.trim_ascii());
    appended.push_str(tail);
    Some(appended)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_appended_and_the_rest_stays() {
        for (array, element, expected) in [
            ("[]", "1", "[1]"),
            ("[ ]", "1", "[1 ]"),
            ("[1]", "\"a\"", "[1,\"a\"]"),
            (" [\n  1.0,\n  { } \n]\n", " [2] ", " [\n  1.0,\n  { },[2] \n]\n"),
            ("[\"]\"]", "null", "[\"]\",null]"),
        ] {
            let appended = append_element(array, element).unwrap();
            assert_eq!(appended, expected);
            assert_eq!(validate(&appended), Ok(()));
        }
        for other in ["{}", "1", "\"[]\"", "null", "", "]"] {
            assert_eq!(append_element(other, "1"), None, "{other}");
        }
    }

    #[test]
    fn an_element_is_one_level_less_deep() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(validate(&nested(128)), Ok(()));
        assert_eq!(validate_element(&nested(127)), Ok(()));
        assert!(validate_element(&nested(128)).is_err());
    }
}
