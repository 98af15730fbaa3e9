//! What travels in HTTP headers and paths: the service and its client agree on it here.

use crate::{Error, Result, ValueType};

/// The value's type; a custom type's name with `%` and spaces percent-encoded.
pub const VALUE_TYPE: &str = "kv-type";
/// The media type that is kept with the value, also where it is the type's usual one.
pub const CONTENT_TYPE: &str = "kv-content-type";
/// The metadata: a JSON object in ASCII.
pub const METADATA: &str = "kv-metadata";
/// `true` where the metadata is too long for a header.
pub const METADATA_OMITTED: &str = "kv-metadata-omitted";
/// Milliseconds from now.
pub const TTL_MS: &str = "kv-ttl-ms";
/// Milliseconds since the Unix epoch.
pub const EXPIRES_AT: &str = "kv-expires-at";
/// The span of a sliding expiry.
pub const SLIDING_MS: &str = "kv-sliding-ms";
/// `keep` or `never`.
pub const EXPIRY: &str = "kv-expiry";
/// How much of the state in the way a lost race answers: `metadata` or `value`.
pub const ON_CONFLICT: &str = "kv-on-conflict";
/// Milliseconds since the Unix epoch.
pub const CREATED_AT: &str = "kv-created-at";
/// Milliseconds since the Unix epoch.
pub const UPDATED_AT: &str = "kv-updated-at";
/// CRC-32C of the value as stored: a decimal.
pub const CHECKSUM: &str = "kv-checksum";
/// In an answer that is no success: its code, also where there is no body.
pub const ERROR: &str = "kv-error";
/// The namespace, percent-encoded, where the path has `-` in its place: some names cannot stand in a path.
pub const NAMESPACE: &str = "kv-namespace";

/// The most bytes of metadata that travel in a header.
pub const MAX_METADATA: usize = 8 << 10;

/// The type as a header's value.
pub fn type_to_header(value_type: &ValueType) -> String {
    let text = value_type.to_string();
    if text.contains(['%', ' ']) { text.replace('%', "%25").replace(' ', "%20") } else { text }
}

/// Reads what [`type_to_header`] writes.
pub fn type_from_header(text: &str) -> Result<ValueType> {
    if text.contains('%') { ValueType::parse(&percent_decode(text)?) } else { ValueType::parse(text) }
}

/// JSON in ASCII without control characters: what else is in its strings becomes `\uXXXX`.
pub fn to_ascii(json: &str) -> String {
    let mut ascii = String::with_capacity(json.len());
    for character in json.chars() {
        match character {
            ' '..='~' => ascii.push(character),
            // Outside of strings, where alone valid JSON has them, these are but spaces.
            '\t' | '\n' | '\r' => ascii.push(' '),
            _ => {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    ascii.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    ascii
}

/// A text as one segment of a path, or one part of a query.
pub fn percent_encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

/// Reads what is percent-encoded. `+` is a plus.
pub fn percent_decode(text: &str) -> Result<String> {
    if !text.contains('%') {
        return Ok(text.to_owned());
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            decoded.push(byte);
            continue;
        }
        let mut digit = || bytes.next().and_then(|digit| char::from(digit).to_digit(16));
        match (digit(), digit()) {
            (Some(high), Some(low)) => decoded.extend(u8::try_from(high.wrapping_mul(16).wrapping_add(low))),
            _ => return Err(Error::InvalidArgument("a percent sign without two hexadecimal digits".into())),
        }
    }
    String::from_utf8(decoded).map_err(|_| Error::InvalidArgument("percent-encoded text is not UTF-8".into()))
}
