//! Strings: literals to text and back.

use std::borrow::Cow;

use super::{Event, Reader};

/// The text that a JSON string literal stands for; none for lone surrogates, and for what is no string literal.
pub fn parse_string(literal: &str) -> Option<String> {
    let mut reader = Reader::new(literal);
    let Ok(Event::String(literal)) = reader.read() else { return None };
    if reader.read() != Ok(Event::End) {
        return None;
    }
    String::from_utf8(decode(literal).into_owned()).ok()
}

/// What a valid string literal stands for, in UTF-8 where that can hold it. A lone surrogate becomes the three bytes that
/// UTF-8 would give it if it were allowed: so the bytes are equal exactly where the strings are, and are no UTF-8 where
/// there is a lone surrogate.
pub(crate) fn decode(literal: &str) -> Cow<'_, [u8]> {
    let literal = literal.strip_prefix('"').unwrap_or(literal);
    let mut rest = literal.strip_suffix('"').unwrap_or(literal).as_bytes();
    if !rest.contains(&b'\\') {
        return Cow::Borrowed(rest);
    }
    let mut text = Vec::with_capacity(rest.len());
    loop {
        let (byte, after) = match rest {
            [] => return Cow::Owned(text),
            [b'\\', b'u', digits @ ..] => {
                let (unit, mut after) = hexadecimal(digits);
                let mut code = unit;
                if let (0xd800..0xdc00, [b'\\', b'u', digits @ ..]) = (unit, after)
                    && let (low @ 0xdc00..0xe000, behind) = hexadecimal(digits)
                {
                    code = (((unit & 0x3ff) << 10) | (low & 0x3ff)).saturating_add(0x10000);
                    after = behind;
                }
                push_code_point(&mut text, code);
                rest = after;
                continue;
            }
            [b'\\', b'b', after @ ..] => (0x08, after),
            [b'\\', b'f', after @ ..] => (0x0c, after),
            [b'\\', b'n', after @ ..] => (b'\n', after),
            [b'\\', b'r', after @ ..] => (b'\r', after),
            [b'\\', b't', after @ ..] => (b'\t', after),
            // Quotes, slashes and backslashes stand for themselves.
            [b'\\', byte, after @ ..] | [byte, after @ ..] => (*byte, after),
        };
        text.push(byte);
        rest = after;
    }
}

/// Four hexadecimal digits, and what follows them.
fn hexadecimal(text: &[u8]) -> (u32, &[u8]) {
    let (digits, rest) = text.split_at_checked(4).unwrap_or((text, &[]));
    let mut number = 0;
    for digit in digits {
        number = (number << 4) | char::from(*digit).to_digit(16).unwrap_or(0);
    }
    (number, rest)
}

fn push_code_point(text: &mut Vec<u8>, code: u32) {
    match char::from_u32(code) {
        Some(character) => text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes()),
        None => {
            let six_bits = |shift: u32| 0x80 | ((code >> shift) & 0x3f) as u8;
            text.extend_from_slice(&[0xe0 | (code >> 12) as u8, six_bits(6), six_bits(0)]);
        }
    }
}

/// The text as a JSON string literal; only what must be escaped is.
pub fn quote(text: &str) -> String {
    let mut literal = String::with_capacity(text.len().saturating_add(2));
    quote_into(&mut literal, text);
    literal
}

/// As [`quote`], at the end of `out`.
pub(crate) fn quote_into(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    // All that is escaped is ASCII, so the text is cut between characters.
    while let Some(at) = rest.bytes().position(|b| b == b'"' || b == b'\\' || b < 0x20) {
        let (plain, special) = rest.split_at_checked(at).unwrap_or((rest, ""));
        out.push_str(plain);
        let mut characters = special.chars();
        match characters.next() {
            Some('"') => out.push_str("\\\""),
            Some('\\') => out.push_str("\\\\"),
            Some('\u{8}') => out.push_str("\\b"),
            Some('\u{c}') => out.push_str("\\f"),
            Some('\n') => out.push_str("\\n"),
            Some('\r') => out.push_str("\\r"),
            Some('\t') => out.push_str("\\t"),
            Some(control) => {
                out.push_str("\\u00");
                for shift in [4, 0] {
                    out.push(char::from_digit((u32::from(control) >> shift) & 0xf, 16).unwrap_or('0'));
                }
            }
            None => break,
        }
        rest = characters.as_str();
    }
    out.push_str(rest);
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_to_text() {
        for (literal, text) in [
            (r#""""#, ""),
            (r#""plain é𝄞""#, "plain é𝄞"),
            (r#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t"),
            (r#""\u0041\u00e9\u20AC\ud834\udd1e!""#, "Aé€𝄞!"),
            (r#""\udbff\udfff\ud800\udc00""#, "\u{10ffff}\u{10000}"),
            (r#""\u0000""#, "\0"),
            (r#" "a" "#, "a"),
        ] {
            assert_eq!(parse_string(literal).as_deref(), Some(text), "{literal}");
        }
    }

    #[test]
    fn lone_surrogates_and_other_things_are_no_text() {
        for literal in
            [r#""\ud800""#, r#""\udc00\ud800""#, r#""\ud800x""#, r#""\ud800\ud800\udc00""#, "1", "\"a", "\"a\" 1", ""]
        {
            assert_eq!(parse_string(literal), None, "{literal}");
        }
        assert_ne!(decode(r#""\ud800""#), decode(r#""\ud801""#));
        assert_eq!(decode(r#""\ud800\ud834\udd1e""#), decode(r#""\uD800𝄞""#));
    }

    #[test]
    fn text_to_literals() {
        let text = "a\"\\\u{0}\u{1f}\u{8}\u{c}\n\r\t/\u{7f}é𝄞\u{2028}";
        assert_eq!(quote(text), "\"a\\\"\\\\\\u0000\\u001f\\b\\f\\n\\r\\t/\u{7f}é𝄞\u{2028}\"");
        assert_eq!(parse_string(&quote(text)).as_deref(), Some(text));
    }
}
