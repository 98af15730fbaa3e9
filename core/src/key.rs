//! Keys and namespaces.
//!
//! A key is 1 to [`MAX_KEY_BYTES`] bytes of UTF-8: segments separated by `.`, none of them empty. Inside a segment a dot
//! is written `\.` and a backslash `\\`; any other use of the backslash is an error, and so are control characters
//! (Unicode's Cc). All else is free. Nothing is normalised: two keys are the same if their bytes are. The length and the
//! order are those of the bytes as written, escapes included.

use std::borrow::Cow;

use crate::{Error, Result, text::decimal};

/// The most bytes of a key.
pub const MAX_KEY_BYTES: usize = 512;
/// The most bytes of a namespace.
pub const MAX_NAMESPACE_BYTES: usize = 64;
/// The namespace where none is named.
pub const DEFAULT_NAMESPACE: &str = "default";

/// How many characters of a bad text a message shows.
const SHOWN_CHARS: usize = 64;

const CONTROL: &str = "control characters are not allowed";

/// Whether it is a legal key; `invalid-argument` names the key, the byte and the rule.
pub fn validate(key: &str) -> Result<()> {
    match fault(key) {
        None => Ok(()),
        Some((at, rule)) => Err(broken("key", key, at, rule)),
    }
}

/// The first broken rule of keys, and the byte where it is broken.
fn fault(key: &str) -> Option<(usize, &'static str)> {
    if key.is_empty() {
        return Some((0, "a key is not empty"));
    }
    if key.len() > MAX_KEY_BYTES {
        return Some((MAX_KEY_BYTES, "a key has at most 512 bytes"));
    }
    let mut empty = true;
    let mut escape_at = None;
    for (at, character) in key.char_indices() {
        if character.is_control() {
            return Some((at, CONTROL));
        }
        match character {
            '.' | '\\' if escape_at.is_some() => escape_at = None,
            _ if escape_at.is_some() => break,
            '.' if empty => return Some((at, "a segment is not empty")),
            '.' => empty = true,
            '\\' => {
                escape_at = Some(at);
                empty = false;
            }
            _ => empty = false,
        }
    }
    match escape_at {
        Some(at) => Some((at, r"a backslash stands only before a dot or a backslash")),
        None if empty => Some((key.len(), "a segment is not empty")),
        None => None,
    }
}

/// Whether it is a legal namespace: 1 to [`MAX_NAMESPACE_BYTES`] bytes of UTF-8 without control characters. Dots mean
/// nothing in it.
pub fn validate_namespace(namespace: &str) -> Result<()> {
    let (at, rule) = if namespace.is_empty() {
        (0, "a namespace is not empty")
    } else if namespace.len() > MAX_NAMESPACE_BYTES {
        (MAX_NAMESPACE_BYTES, "a namespace has at most 64 bytes")
    } else if let Some(at) = control(namespace) {
        (at, CONTROL)
    } else {
        return Ok(());
    };
    Err(broken("namespace", namespace, at, rule))
}

/// Where the first control character is.
pub(crate) fn control(text: &str) -> Option<usize> {
    text.char_indices().find(|(_, character)| character.is_control()).map(|(at, _)| at)
}

/// A key from its segments' texts: escapes and joins them. The reverse of [`split`].
pub fn join<I>(segments: I) -> Result<String>
where
    I: IntoIterator,
    I::Item: AsRef<str>,
{
    let mut key = String::new();
    for (index, segment) in segments.into_iter().enumerate() {
        if index > 0 {
            key.push('.');
        }
        escape_into(&mut key, segment.as_ref());
    }
    validate(&key)?;
    Ok(key)
}

/// The texts of a key's segments, unescaped. The reverse of [`join`].
pub fn split(key: &str) -> Result<Vec<String>> {
    validate(key)?;
    let mut texts = Vec::new();
    for segment in segments(key) {
        texts.push(unescape(segment).into_owned());
    }
    Ok(texts)
}

/// A segment's text as it stands in a key: dots and backslashes escaped.
pub fn escape(segment: &str) -> String {
    let mut escaped = String::with_capacity(segment.len());
    escape_into(&mut escaped, segment);
    escaped
}

fn escape_into(key: &mut String, segment: &str) {
    for character in segment.chars() {
        if matches!(character, '.' | '\\') {
            key.push('\\');
        }
        key.push(character);
    }
}

/// The text of one segment of a legal key. The reverse of [`escape`].
pub fn unescape(segment: &str) -> Cow<'_, str> {
    if !segment.contains('\\') {
        return Cow::Borrowed(segment);
    }
    let mut text = String::with_capacity(segment.len());
    let mut characters = segment.chars();
    while let Some(character) = characters.next() {
        text.push(if character == '\\' { characters.next().unwrap_or('\\') } else { character });
    }
    Cow::Owned(text)
}

/// The first segment as it stands in the key, and what follows its separator; none: it is the only one.
pub fn split_first(key: &str) -> (&str, Option<&str>) {
    let mut at: usize = 0;
    while let Some(place) =
        key.as_bytes().get(at..).and_then(|rest| rest.iter().position(|b| matches!(b, b'.' | b'\\')))
    {
        at = at.saturating_add(place);
        // Both are one byte long, so the key is cut between characters.
        let (first, rest) = key.split_at_checked(at).unwrap_or((key, ""));
        if let Some(rest) = rest.strip_prefix('.') {
            return (first, Some(rest));
        }
        // A backslash, and what it escapes.
        at = at.saturating_add(2);
    }
    (key, None)
}

/// The segments of a legal key as they stand in it, still escaped.
pub fn segments(key: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(key);
    std::iter::from_fn(move || {
        let (first, after) = split_first(rest?);
        rest = after;
        Some(first)
    })
}

/// What is wrong with a text of the caller's.
pub(crate) fn broken(what: &str, text: &str, at: usize, rule: &str) -> Error {
    Error::invalid(&[what, " ", &shown(text), ": byte ", &decimal(at as u64), ": ", rule])
}

/// A text of the caller's for a message: in quotes and shortened, what is not to be seen escaped. `{:?}` says nearly the same
/// with four kilobytes of tables more.
pub(crate) fn shown(text: &str) -> String {
    let mut shown = String::from("\"");
    for (count, character) in text.chars().enumerate() {
        if count == SHOWN_CHARS {
            return [&shown, "\"… (", &decimal(text.len() as u64), " bytes)"].concat();
        }
        match character {
            '"' | '\\' => shown.extend(['\\', character]),
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            '\0' => shown.push_str("\\0"),
            _ if character.is_control() || is_invisible(character) => {
                let code = hexadecimal(&u32::from(character).to_be_bytes());
                let zeros = code.bytes().take_while(|digit| *digit == b'0').count();
                shown.extend(["\\u{", code.get(zeros..).unwrap_or_default(), "}"]);
            }
            _ => shown.push(character),
        }
    }
    shown.push('"');
    shown
}

/// What is to be said of a key, put together.
pub fn about(key: &str, what: &[&str]) -> String {
    ["key ", &shown(key), ": ", &what.concat()].concat()
}

/// Characters that change how others look: without width, line ends, and directions of writing.
fn is_invisible(character: char) -> bool {
    matches!(character, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// Two digits for each byte.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    let mut digits = String::new();
    for byte in bytes {
        for digit in [byte >> 4, byte & 0xf] {
            digits.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
        }
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(result: Result<()>) -> String {
        match result {
            Err(Error::InvalidArgument(message)) => message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn legal_keys() {
        let longest = "é".repeat(256);
        for key in [
            "a",
            "a.b",
            r"a\.b",
            r"\\",
            r"\.",
            r"a\\.b",
            r"a\.",
            "a b",
            "*",
            "[x]",
            "{",
            "/",
            "ключ.𝄞",
            "'\"",
            " ",
            &longest,
        ] {
            assert_eq!(validate(key), Ok(()), "{key}");
        }
    }

    #[test]
    fn bad_keys_are_named_with_place_and_rule() {
        for (key, at, rule) in [
            ("", 0, "not empty"),
            (".", 0, "a segment"),
            (".a", 0, "a segment"),
            ("a.", 2, "a segment"),
            ("a..b", 2, "a segment"),
            ("é..b", 3, "a segment"),
            (r"a\", 1, "backslash"),
            (r"a\b", 1, "backslash"),
            (r"a\\\", 3, "backslash"),
            (r"a.\*", 2, "backslash"),
            ("a\u{0}", 1, "control"),
            ("a\nb", 1, "control"),
            ("\u{7f}", 0, "control"),
            ("é\u{85}", 2, "control"),
        ] {
            let message = message(validate(key));
            assert!(message.contains(&format!("byte {at}: ")) && message.contains(rule), "{key:?}: {message}");
            assert!(message.starts_with(&format!("key {key:?}")), "{message}");
            assert!(!message.chars().any(char::is_control));
        }
    }

    #[test]
    fn long_keys_are_refused_and_shortened_in_the_message() {
        assert_eq!(validate(&"a".repeat(512)), Ok(()));
        let message = message(validate(&"é".repeat(300)));
        assert_eq!(message, format!("key \"{}\"… (600 bytes): byte 512: a key has at most 512 bytes", "é".repeat(64)));
    }

    #[test]
    fn namespaces() {
        let longest = "n".repeat(64);
        for namespace in ["a", "a.b", "..", r"\", "a/b", "}", DEFAULT_NAMESPACE, &longest] {
            assert_eq!(validate_namespace(namespace), Ok(()), "{namespace}");
        }
        assert!(message(validate_namespace("")).contains("not empty"));
        assert!(message(validate_namespace(&"n".repeat(65))).contains("at most 64 bytes"));
        assert!(message(validate_namespace("a\tb")).contains("byte 1: control"));
    }

    #[test]
    fn join_and_split_are_inverse() {
        let segments = ["a.b", r"c\", ".", "*", " é"];
        let key = join(segments).unwrap();
        assert_eq!(key, r"a\.b.c\\.\..*. é");
        assert_eq!(split(&key).unwrap(), segments);
        assert!(join(["a", ""]).is_err());
        assert!(join([""; 0]).is_err());
        assert!(join(["a", "b\0"]).is_err());
        assert!(join(["a".repeat(511), "b".into()]).is_err());
        assert!(split("a..b").is_err());
    }

    #[test]
    fn first_segments() {
        assert_eq!(split_first("a.b.c"), ("a", Some("b.c")));
        assert_eq!(split_first(r"a\.b.c"), (r"a\.b", Some("c")));
        assert_eq!(split_first(r"a\\.b"), (r"a\\", Some("b")));
        assert_eq!(split_first("é"), ("é", None));
        assert_eq!(segments(r"a\.b.c.é").collect::<Vec<_>>(), [r"a\.b", "c", "é"]);
    }
}
