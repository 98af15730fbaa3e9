//! What is in an object: one line of JSON, then the value's bytes as they are.
//!
//! The nonce comes first and is new with every write: it makes each body, and so each ETag, one of its kind.

use dataknobs_kv_core::{Attributes, Error, Result, Timestamp, ValueType};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The largest value.
pub(super) const MAX_VALUE_BYTES: usize = 16 << 20;
/// The largest metadata.
pub(super) const MAX_METADATA_BYTES: usize = 64 << 10;
/// No header is longer: metadata, a key and a content type in JSON, and the rest.
pub(super) const MAX_HEADER_BYTES: usize = MAX_METADATA_BYTES + (8 << 10);
/// No object of ours is longer.
pub(super) const MAX_OBJECT_BYTES: u64 = (MAX_VALUE_BYTES + MAX_HEADER_BYTES) as u64;

/// What stands where an entry was deleted, in stores that cannot delete on a condition: shorter than any entry, so that
/// a listing tells them apart, and not empty, since a ranged read of nothing is an error.
pub(super) const GRAVE: &[u8] = b"\n";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    nonce: String,
    #[serde(rename = "type")]
    value_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    content_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    metadata: Option<Box<RawValue>>,
    created_at: Timestamp,
    updated_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
    size: u64,
    crc32c: String,
    /// Where the object's name is a hash.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
}

/// The header of an object, read.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Head {
    pub(super) nonce: String,
    pub(super) attributes: Attributes,
    pub(super) key: Option<String>,
    /// Its length, with the line feed.
    pub(super) bytes: usize,
}

/// What the first bytes of an object are.
#[derive(Debug, PartialEq)]
pub(super) enum Read {
    Head(Head),
    /// The header goes on beyond them.
    Short,
    /// No header of ours: why.
    Damaged(&'static str),
}

/// The body of an object. `key` where its name does not tell it.
pub(super) fn encode(nonce: &str, attributes: &Attributes, key: Option<&str>, value: &[u8]) -> Result<Vec<u8>> {
    let metadata = attributes.metadata.clone().map(RawValue::from_string).transpose();
    let header = Header {
        nonce: nonce.to_owned(),
        value_type: attributes.value_type.to_string(),
        content_type: attributes.content_type.clone(),
        metadata: metadata.map_err(|_| Error::InvalidArgument("metadata: not a JSON object".into()))?,
        created_at: attributes.created_at,
        updated_at: attributes.updated_at,
        expires_at: attributes.expires_at,
        size: attributes.size,
        crc32c: format!("{:08x}", attributes.checksum),
        key: key.map(str::to_owned),
    };
    let mut body = serde_json::to_vec(&header).map_err(|e| Error::Internal(format!("a header: {e}")))?;
    body.reserve_exact(value.len() + 1);
    body.push(b'\n');
    body.extend_from_slice(value);
    Ok(body)
}

/// Reads the header from the first bytes of an object that has `total`.
pub(super) fn decode(bytes: &[u8], total: u64) -> Read {
    let Some(end) = bytes.iter().take(MAX_HEADER_BYTES).position(|byte| *byte == b'\n') else {
        return match bytes.len() < MAX_HEADER_BYTES && (bytes.len() as u64) < total {
            true => Read::Short,
            false => Read::Damaged("it has no header line"),
        };
    };
    let Some(head) = bytes.get(..end).and_then(|line| parse(line, end + 1)) else {
        return Read::Damaged("its header line is not as it was written");
    };
    match (end as u64 + 1).checked_add(head.attributes.size) == Some(total) {
        true => Read::Head(head),
        false => Read::Damaged("it is longer or shorter than its header says"),
    }
}

fn parse(line: &[u8], bytes: usize) -> Option<Head> {
    let header: Header = serde_json::from_slice(line).ok()?;
    let value_type = ValueType::parse(&header.value_type).ok()?;
    let checksum = u32::from_str_radix(&header.crc32c, 16).ok()?;
    let legal_nonce = !header.nonce.is_empty() && header.nonce.bytes().all(|b| b.is_ascii_hexdigit());
    let attributes = Attributes {
        value_type,
        content_type: header.content_type,
        metadata: header.metadata.map(|metadata| metadata.get().to_owned()),
        created_at: header.created_at,
        updated_at: header.updated_at,
        expires_at: header.expires_at,
        sliding_ms: None,
        size: header.size,
        checksum,
    };
    legal_nonce.then_some(Head { nonce: header.nonce, attributes, key: header.key, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes() -> Attributes {
        Attributes {
            value_type: ValueType::Custom("a \"point\"".into()),
            content_type: Some("text/plain; x=\"y\"".into()),
            metadata: Some(r#"{"a":1e2,"é\n":["\n",null]}"#.into()),
            created_at: 1,
            updated_at: 2,
            expires_at: Some(253_402_300_799_999),
            sliding_ms: None,
            size: 4,
            checksum: 0xbeef,
        }
    }

    #[test]
    fn headers_come_back_and_begin_with_the_nonce() {
        let plain = Attributes { content_type: None, metadata: None, expires_at: None, ..attributes() };
        for (attributes, key) in [(attributes(), Some("a\n\"é")), (plain, None)] {
            let body = encode("00ff", &attributes, key, b"\n\0v\n").unwrap();
            assert!(body.starts_with(b"{\"nonce\":\"00ff\","));
            let Read::Head(head) = decode(&body, body.len() as u64) else { panic!("damaged") };
            assert_eq!((&head.attributes, head.key.as_deref()), (&attributes, key));
            assert_eq!((head.nonce.as_str(), &body[head.bytes..]), ("00ff", &b"\n\0v\n"[..]));
        }
    }

    #[test]
    fn cuts_and_foreign_bytes_are_noticed() {
        let body = encode("00ff", &attributes(), None, b"abcd").unwrap();
        let total = body.len() as u64;
        let line = body.len() - 5;
        for length in 0..body.len() {
            let whole_line = matches!(decode(&body[..length], total), Read::Head(_));
            assert_eq!(whole_line, length > line, "{length}");
            assert!(matches!(decode(&body[..length], length as u64), Read::Damaged(_)), "{length}");
        }
        for foreign in [&b"{}\n"[..], b"\n\n", b"hello\nworld", b"{\"nonce\":\"\"}\n", b"\xff\n"] {
            assert!(matches!(decode(foreign, foreign.len() as u64), Read::Damaged(_)));
        }
        let long = vec![b'x'; MAX_HEADER_BYTES];
        assert!(matches!(decode(&long, 1 << 30), Read::Damaged(_)));
    }
}
