//! The caller's metadata: JSON objects, kept in meaning and not in text, since backends such as PostgreSQL's jsonb
//! rewrite them.
//!
//! So that every backend gives back the same, only what all of them can hold is taken: an object at most 128 levels deep,
//! no name twice in one object at any level, no U+0000, no lone surrogates, and numbers that a 64-bit float holds. A
//! fraction becomes the nearest float; a whole number that would become another (2^53 + 1) is refused rather than
//! changed, and so is what would become infinite, or zero by being too small. `-0` is `0`.

use std::{borrow::Cow, cmp::Ordering};

use crate::text::decimal;
use crate::{
    Error, MAX_TIMESTAMP, Result,
    json::{self, Event, Field, JsonError, Reader, Tree},
};

/// The most bytes of a content type.
pub const MAX_CONTENT_TYPE_BYTES: usize = 255;

/// Checks and rewrites: compact, names sorted by their bytes, numbers as [`json::format_number`] writes them; none where
/// the object is empty.
pub fn canonical(text: &str) -> Result<Option<String>> {
    Ok(write_object(&fields_of(text)?))
}

/// `patch` merged into `base` at the top level: a null removes a field, anything else replaces it whole. `base` comes
/// from the storage: `corrupt` where it is no metadata.
pub fn merge(base: Option<&str>, patch: &str) -> Result<Option<String>> {
    let patch = fields_of(patch)?;
    let base = match base {
        None => Vec::new(),
        Some(base) => fields_of(base).map_err(|error| Error::Corrupt(["stored ", &error.message()].concat()))?,
    };
    // Both are sorted by name.
    let (mut old, mut new) = (base.as_slice(), patch.as_slice());
    let mut text = String::new();
    loop {
        let order = match (old, new) {
            ([field, ..], [change, ..]) => field.name.cmp(&change.name),
            ([_, ..], []) => Ordering::Less,
            ([], [_, ..]) => Ordering::Greater,
            ([], []) => break,
        };
        let mut taken = None;
        if let ([field, after @ ..], Ordering::Less | Ordering::Equal) = (old, order) {
            (taken, old) = (Some(field), after);
        }
        if let ([change, after @ ..], Ordering::Equal | Ordering::Greater) = (new, order) {
            (taken, new) = (Some(change).filter(|change| !matches!(change.value, Tree::Null)), after);
        }
        if let Some(field) = taken {
            let before = if text.is_empty() { '{' } else { ',' };
            write_field(&mut text, before, field);
        }
    }
    Ok((!text.is_empty()).then(|| text + "}"))
}

/// Whether `metadata` holds every field of `wanted`, equal as JSON. False where `wanted` is no legal metadata. Who asks
/// more than once takes a [`Filter`].
pub fn contains(metadata: Option<&str>, wanted: &str) -> bool {
    Filter::parse(wanted).is_ok_and(|filter| filter.matches(metadata))
}

/// The numeric `ttl` (seconds) in metadata, as milliseconds rounded up, and its text `content_type`. A `ttl` or
/// `content_type` of another type is ordinary metadata. `invalid-argument` for a `ttl` not above 0 or beyond the year
/// 9999, and for a text that is no content type.
pub fn hints(metadata: &str) -> Result<(Option<u64>, Option<String>)> {
    let (mut ttl, mut content_type) = (None, None);
    for field in object(Tree::parse(metadata).map_err(not_json)?)? {
        match (&*field.name, field.value) {
            (b"ttl", Tree::Number(seconds)) => ttl = Some(milliseconds(seconds)?),
            (b"content_type", Tree::String(text)) => {
                let text = String::from_utf8(text.into_owned()).map_err(|_| invalid(LONE_SURROGATE))?;
                validate_content_type(&text).map_err(|error| invalid(&error.message()))?;
                content_type = Some(text);
            }
            _ => {}
        }
    }
    Ok((ttl, content_type))
}

/// A content type is 1 to [`MAX_CONTENT_TYPE_BYTES`] visible ASCII characters; spaces may stand inside.
pub fn validate_content_type(content_type: &str) -> Result<()> {
    let legal = (1..=MAX_CONTENT_TYPE_BYTES).contains(&content_type.len())
        && content_type.bytes().all(|b| matches!(b, b' '..=b'~'))
        && !content_type.starts_with(' ')
        && !content_type.ends_with(' ');
    match legal {
        true => Ok(()),
        false => Err(Error::InvalidArgument(
            "a content type is 1 to 255 visible ASCII characters, with spaces only inside".into(),
        )),
    }
}

/// What a query wants of metadata: fields that must be there, equal as JSON, arrays and objects whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// Names in order, and the canonical texts of their values.
    fields: Vec<(Vec<u8>, String)>,
}

impl Filter {
    /// From a JSON object, by the rules of [`canonical`].
    pub fn parse(wanted: &str) -> Result<Self> {
        let mut fields = Vec::new();
        for field in fields_of(wanted)? {
            let mut text = String::new();
            write(&mut text, &field.value);
            fields.push((field.name.into_owned(), text));
        }
        Ok(Filter { fields })
    }

    /// Whether nothing is wanted: all metadata matches, and none does.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Whether the metadata holds every wanted field. It need not be canonical; what is no JSON object holds nothing.
    pub fn matches(&self, metadata: Option<&str>) -> bool {
        self.is_empty() || metadata.is_some_and(|metadata| self.all_in(metadata).unwrap_or(false))
    }

    fn all_in(&self, metadata: &str) -> Result<bool, JsonError> {
        let mut found: usize = 0;
        let mut reader = Reader::new(metadata);
        if reader.read()? != Event::BeginObject {
            return Ok(false);
        }
        while let Event::Name(name) = reader.read()? {
            let name = json::decode(name);
            let value = reader.skip()?;
            let wanted = self.fields.binary_search_by(|(wanted, _)| wanted.as_slice().cmp(&name));
            if let Some((_, wanted)) = wanted.ok().and_then(|index| self.fields.get(index)) {
                if value != wanted && !json::equal(value, wanted) {
                    return Ok(false);
                }
                found = found.saturating_add(1);
            }
        }
        Ok(found == self.fields.len())
    }
}

const LONE_SURROGATE: &str = "a lone surrogate";

fn invalid(rule: &str) -> Error {
    Error::invalid(&["metadata: ", rule])
}

fn not_json(error: JsonError) -> Error {
    invalid(&error.message())
}

fn broken(at: usize, rule: &str) -> Error {
    Error::invalid(&["metadata: byte ", &decimal(at as u64), ": ", rule])
}

/// The checked fields of a JSON object, sorted by name.
fn fields_of(text: &str) -> Result<Vec<Field<'_>>> {
    let mut reader = Reader::new(text);
    loop {
        match reader.read().map_err(not_json)? {
            Event::End => break,
            Event::Name(literal) | Event::String(literal) => match std::str::from_utf8(&json::decode(literal)) {
                Err(_) => return Err(broken(reader.start(), LONE_SURROGATE)),
                Ok(text) if text.contains('\0') => {
                    return Err(broken(reader.start(), "U+0000 is not allowed"));
                }
                Ok(_) => {}
            },
            Event::Number(literal) => {
                canonical_number(literal).map_err(|rule| broken(reader.start(), rule))?;
            }
            _ => {}
        }
    }
    let (tree, repeated) = Tree::parse_noting(text).map_err(not_json)?;
    if let Some(at) = repeated {
        return Err(broken(at, "a name comes twice in one object"));
    }
    object(tree)
}

fn object(tree: Tree<'_>) -> Result<Vec<Field<'_>>> {
    match tree {
        Tree::Object(fields) => Ok(fields),
        _ => Err(invalid("an object is wanted")),
    }
}

/// None where there are no fields.
fn write_object(fields: &[Field<'_>]) -> Option<String> {
    if fields.is_empty() {
        return None;
    }
    let mut text = String::new();
    write_fields(&mut text, fields);
    Some(text)
}

fn write_fields(out: &mut String, fields: &[Field<'_>]) {
    if fields.is_empty() {
        out.push('{');
    }
    for (index, field) in fields.iter().enumerate() {
        write_field(out, if index == 0 { '{' } else { ',' }, field);
    }
    out.push('}');
}

fn write_field(out: &mut String, before: char, field: &Field<'_>) {
    out.push(before);
    write_string(out, &field.name);
    out.push(':');
    write(out, &field.value);
}

/// Checked: it is UTF-8.
fn write_string(out: &mut String, text: &[u8]) {
    json::quote_into(out, std::str::from_utf8(text).unwrap_or_default());
}

/// The tree is checked: its strings are UTF-8 and its numbers legal.
fn write(out: &mut String, tree: &Tree<'_>) {
    match tree {
        Tree::Null => out.push_str("null"),
        Tree::Boolean(true) => out.push_str("true"),
        Tree::Boolean(false) => out.push_str("false"),
        Tree::Number(literal) => out.push_str(&canonical_number(literal).unwrap_or(Cow::Borrowed(literal))),
        Tree::String(text) => write_string(out, text),
        Tree::Array(elements) => {
            out.push('[');
            for (index, element) in elements.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(out, element);
            }
            out.push(']');
        }
        Tree::Object(fields) => write_fields(out, fields),
    }
}

/// The number as a float is written, or the rule that it breaks.
fn canonical_number(literal: &str) -> Result<Cow<'_, str>, &'static str> {
    // Up to 15 digits every whole number is a float.
    if literal.len() <= 15 && literal.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(Cow::Borrowed(literal));
    }
    let number = json::parse_float(literal);
    if !number.is_finite() {
        return Err("a number is larger than a 64-bit float holds");
    }
    if number == 0.0 {
        return if json::numbers_equal(literal, "0") {
            Ok(Cow::Borrowed("0"))
        } else {
            Err("a number is smaller than a 64-bit float holds")
        };
    }
    let text = json::format_number(number);
    if json::is_whole(literal) && !json::numbers_equal(literal, &text) {
        return Err("a whole number is beyond what a 64-bit float holds exactly; write it as a string");
    }
    Ok(Cow::Owned(text))
}

/// Decimal seconds as milliseconds, rounded up: from the number's digits, since `0.07 * 1000.0` is above 70.
fn milliseconds(seconds: &str) -> Result<u64> {
    let number = json::parse_float(seconds);
    if number <= 0.0 {
        return Err(invalid("`ttl` is a number of seconds above 0"));
    }
    let beyond = || invalid("`ttl` reaches beyond the year 9999");
    if !number.is_finite() {
        return Err(beyond());
    }
    let (mut digits, point) = json::float_digits(number);
    // How many digits of the milliseconds stand before the point.
    let whole = usize::try_from(point.saturating_add(3)).unwrap_or(0);
    if whole > 15 {
        return Err(beyond());
    }
    let fraction = digits.len() > whole;
    digits.truncate(whole);
    let missing = whole.saturating_sub(digits.len());
    json::push_zeros(&mut digits, missing);
    // Nothing stands before the point: that is 0.
    let milliseconds = json::parse_natural(&digits).unwrap_or(0).saturating_add(u64::from(fraction));
    if milliseconds > MAX_TIMESTAMP {
        return Err(beyond());
    }
    Ok(milliseconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(text: &str) -> String {
        canonical(text).unwrap().unwrap()
    }

    fn refusal<T: std::fmt::Debug>(result: Result<T>) -> String {
        match result {
            Err(Error::InvalidArgument(message)) => message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn canonical_form() {
        for (text, expected) in [
            (r#" { "b" : [ 1 , {"z":1,"y":[ ]} ] , "a":null } "#, r#"{"a":null,"b":[1,{"y":[],"z":1}]}"#),
            (r#"{"\u0062":"\u00e9\/\n","a":true}"#, "{\"a\":true,\"b\":\"é/\\n\"}"),
            (r#"{"":1,"é":2,"z":3,"𝄞":4,"Z":5,"\uffee":6}"#, "{\"\":1,\"Z\":5,\"z\":3,\"é\":2,\"\u{ffee}\":6,\"𝄞\":4}"),
            (r#"{"a":{"a":{}}}"#, r#"{"a":{"a":{}}}"#),
            (
                r#"{"n":[1.0,1e2,-0,-0.0,0.10,1e21,123456789012345678e-17,9007199254740992,-9007199254740992,1e23,0e999]}"#,
                r#"{"n":[1,100,0,0,0.1,1e+21,1.2345678901234567,9007199254740992,-9007199254740992,1e+23,0]}"#,
            ),
        ] {
            assert_eq!(object(text), expected);
            assert_eq!(object(expected), expected, "canonical text stays");
        }
        assert_eq!(canonical(" { } "), Ok(None));
    }

    #[test]
    fn what_no_backend_shares_is_refused() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(128), "]".repeat(128));
        for (text, rule) in [
            ("", "a value is missing"),
            ("[]", "an object"),
            ("null", "an object"),
            ("\"a\"", "an object"),
            ("{\"a\":1,}", "byte 7"),
            (r#"{"a":1,"b":2,"a":3}"#, "byte 13: a name comes twice"),
            (r#"{"a":1,"\u0061":1}"#, "byte 7: a name comes twice"),
            (r#"{"a":[{"b":{"c":1,"c":1}}]}"#, "byte 18: a name comes twice"),
            (r#"{"a":"\u0000"}"#, "byte 5: U+0000"),
            (r#"{"\u0000":1}"#, "byte 1: U+0000"),
            (r#"{"a":["\ud800"]}"#, "byte 6: a lone surrogate"),
            (r#"{"\udc00\ud800":1}"#, "byte 1: a lone surrogate"),
            (r#"{"a":1e400}"#, "byte 5: a number is larger"),
            (r#"{"a":-1e99999999999999999999}"#, "byte 5: a number is larger"),
            (r#"{"a":1e-400}"#, "byte 5: a number is smaller"),
            (r#"{"a":9007199254740993}"#, "byte 5: a whole number"),
            (r#"{"a":[-9007199254740993.0]}"#, "byte 6: a whole number"),
            (r#"{"a":18446744073709551616}"#, "byte 5: a whole number"),
            (&deep, "128"),
            (&"{\"a\":".repeat(100_000), "128"),
        ] {
            let message = refusal(canonical(text));
            assert!(message.starts_with("metadata: ") && message.contains(rule), "{text:.40}: {message}");
        }
    }

    #[test]
    fn merging() {
        for (base, patch, expected) in [
            (None, r#"{"a":1}"#, Some(r#"{"a":1}"#)),
            (None, r#"{"a":null}"#, None),
            (Some(r#"{"a":1}"#), "{}", Some(r#"{"a":1}"#)),
            (Some(r#"{"a":1}"#), r#"{"a":null}"#, None),
            (
                Some(r#"{"a":{"x":1},"b":2}"#),
                r#"{"a":{"y":null},"c":[null]}"#,
                Some(r#"{"a":{"y":null},"b":2,"c":[null]}"#),
            ),
            (Some(r#"{ "b": 2, "a": 1.0 }"#), r#"{"aa":0,"z":null}"#, Some(r#"{"a":1,"aa":0,"b":2}"#)),
        ] {
            assert_eq!(merge(base, patch).unwrap().as_deref(), expected);
        }
        refusal(merge(None, "[]"));
        refusal(merge(None, r#"{"a":1,"a":null}"#));
        assert!(matches!(merge(Some("nonsense"), "{}"), Err(Error::Corrupt(_))));
    }

    #[test]
    fn filters() {
        let metadata = Some(r#"{"a":1,"b":[1,2],"c":{"x":"é","y":null},"d":null}"#);
        for wanted in
            ["{}", r#"{"a":1.0}"#, r#"{"b":[1,2.0],"a":1}"#, r#"{"c":{"y":null,"x":"\u00e9"}}"#, r#"{"d":null}"#]
        {
            assert!(contains(metadata, wanted), "{wanted}");
        }
        for wanted in [
            r#"{"a":2}"#,
            r#"{"a":"1"}"#,
            r#"{"b":[1]}"#,
            r#"{"b":[2,1]}"#,
            r#"{"b":1}"#,
            r#"{"c":{"x":"é"}}"#,
            r#"{"e":null}"#,
            r#"{"a":1,"e":1}"#,
            r#"{"x":"é"}"#,
            "[]",
            "nonsense",
        ] {
            assert!(!contains(metadata, wanted), "{wanted}");
        }
        assert!(contains(None, "{}") && !contains(None, r#"{"a":1}"#));
        assert!(!contains(Some("nonsense"), r#"{"a":1}"#));
        assert!(contains(Some(" { \"b\" : 1 , \"a\" : 0.5 }"), r#"{"a":5e-1}"#), "as another database writes it");
        refusal(Filter::parse(r#"{"a":1e400}"#));
    }

    #[test]
    fn ttl_is_seconds() {
        for (seconds, milliseconds) in [
            ("1", 1000),
            ("86400", 86_400_000),
            ("0.5", 500),
            ("0.07", 70),
            ("0.0701", 71),
            ("0.0001", 1),
            ("0.001", 1),
            ("0.0011", 2),
            ("5e-324", 1),
            ("1e3", 1_000_000),
            ("253402300799.999", 253_402_300_799_999),
            ("12345678901.234567", 12_345_678_901_235),
        ] {
            assert_eq!(hints(&format!("{{\"ttl\":{seconds}}}")).unwrap(), (Some(milliseconds), None), "{seconds}");
        }
        for seconds in ["0", "-1", "-0.0", "253402300800", "1e15", "1e300", "1e400"] {
            let message = refusal(hints(&format!("{{\"ttl\":{seconds}}}")));
            assert!(message.contains("`ttl`"), "{message}");
        }
        for other in ["\"60\"", "null", "true", "[60]", "{}"] {
            assert_eq!(hints(&format!("{{\"ttl\":{other}}}")).unwrap(), (None, None));
        }
        assert_eq!(hints(r#"{"a":{"ttl":5}}"#).unwrap(), (None, None));
    }

    #[test]
    fn content_types() {
        let longest = "a".repeat(255);
        for legal in ["a", "text/plain; charset=utf-8", "application/x-\"~", &longest] {
            assert_eq!(validate_content_type(legal), Ok(()));
            let metadata = format!("{{\"content_type\":{}}}", json::quote(legal));
            assert_eq!(hints(&metadata).unwrap(), (None, Some(legal.to_owned())));
        }
        for bad in ["", " ", " a", "a ", "é", "a\tb", "a\0", "a\u{7f}", &"a".repeat(256)] {
            refusal(validate_content_type(bad));
            refusal(hints(&format!("{{\"content_type\":{}}}", json::quote(bad))));
        }
        assert_eq!(hints(r#"{"content_type":7}"#).unwrap(), (None, None));
    }
}
