//! What is in the file: its tables, and how keys and heads are encoded. `docs/backends/redb.md` tells it to people.
//!
//! | table | key | value |
//! | --- | --- | --- |
//! | `meta` | `magic`, `format`, `commits` | `dataknobs-kv`, a decimal number, 8 bytes |
//! | `head` | namespace, NUL, key | attributes, version, and a short value ([`Head`]) |
//! | `body` | the same | a longer value |
//! | `expiry` | `expires_at` (8 bytes, big endian), namespace, NUL, key | nothing |
//!
//! Neither namespaces nor keys hold control characters, so a NUL after the namespace keeps namespaces apart and in
//! byte order, and the keys of one in byte order together. A row of `expiry` belongs to the head that names the same
//! instant; one without such a head means nothing.

use std::borrow::Cow;
use std::ops::Bound;

use dataknobs_kv_core::storage::Range;
use dataknobs_kv_core::{Attributes, Error, Timestamp, ValueType, Version};
use redb::TableDefinition;

pub(super) type Bytes = &'static [u8];

pub(super) const META: TableDefinition<Bytes, Bytes> = TableDefinition::new("meta");
pub(super) const HEAD: TableDefinition<Bytes, Bytes> = TableDefinition::new("head");
pub(super) const BODY: TableDefinition<Bytes, Bytes> = TableDefinition::new("body");
pub(super) const EXPIRY: TableDefinition<Bytes, ()> = TableDefinition::new("expiry");

pub(super) const META_MAGIC: &[u8] = b"magic";
pub(super) const MAGIC: &[u8] = b"dataknobs-kv";
pub(super) const META_FORMAT: &[u8] = b"format";
/// The number of the layout above. A file with a higher one is refused.
pub(super) const FORMAT: u32 = 1;
pub(super) const META_COMMITS: &[u8] = b"commits";

/// A value of up to so many bytes lies in the head: one lookup instead of two, and still many heads in a page.
pub(super) const INLINE_BYTES: usize = 256;

/// The row of an entry in `head` and `body`.
pub(super) fn row(namespace: &str, key: &str) -> Vec<u8> {
    let mut row = Vec::with_capacity(namespace.len() + 1 + key.len());
    row.extend_from_slice(namespace.as_bytes());
    row.push(0);
    row.extend_from_slice(key.as_bytes());
    row
}

/// The first row after all of a namespace's.
pub(super) fn after_namespace(namespace: &[u8]) -> Vec<u8> {
    let mut row = namespace.to_vec();
    row.push(1);
    row
}

/// Namespace and key of a row.
pub(super) fn split_row(row: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = row.iter().position(|byte| *byte == 0)?;
    Some((row.get(..at)?, row.get(at + 1..)?))
}

/// The bounds of a run of rows.
pub(super) type Rows = (Bound<Vec<u8>>, Bound<Vec<u8>>);

/// The rows of a range of keys; none where it is empty.
pub(super) fn rows(namespace: &str, range: &Range) -> Option<Rows> {
    let (low, high) = range.bounds()?;
    let low = match low {
        Bound::Included(key) => Bound::Included(row(namespace, key)),
        Bound::Excluded(key) => Bound::Excluded(row(namespace, key)),
        Bound::Unbounded => Bound::Included(row(namespace, "")),
    };
    let high = match high {
        Bound::Excluded(key) => Bound::Excluded(row(namespace, key)),
        Bound::Included(key) => Bound::Included(row(namespace, key)),
        Bound::Unbounded => Bound::Excluded(after_namespace(namespace.as_bytes())),
    };
    Some((low, high))
}

/// The row in `expiry` of an entry that expires then.
pub(super) fn expiry_row(at: Timestamp, row: &[u8]) -> Vec<u8> {
    let mut expiry = Vec::with_capacity(8 + row.len());
    expiry.extend_from_slice(&at.to_be_bytes());
    expiry.extend_from_slice(row);
    expiry
}

/// Instant and entry row of a row of `expiry`.
pub(super) fn split_expiry(row: &[u8]) -> Option<(Timestamp, &[u8])> {
    let (at, row) = row.split_first_chunk::<8>()?;
    Some((Timestamp::from_be_bytes(*at), row))
}

/// What the `head` table holds of an entry.
///
/// Encoded: flags (1 byte), `expires_at` (8, big endian like all numbers here, if flagged), value type (1), version (16),
/// `created_at` (8), `updated_at` (8), size (8), checksum (4), `sliding_ms` (8, if flagged), name of a custom type (1 byte
/// of length, text), content type (the same, if flagged), metadata (4 bytes of length, text; if flagged), value (the rest,
/// if flagged).
pub(super) struct Head<'a> {
    pub(super) version: u128,
    pub(super) attributes: Attributes,
    /// The value; none where it lies in `body`.
    pub(super) value: Option<Cow<'a, [u8]>>,
}

const HAS_EXPIRY: u8 = 1;
const HAS_SLIDING: u8 = 2;
const HAS_CONTENT_TYPE: u8 = 4;
const HAS_METADATA: u8 = 8;
const HAS_VALUE: u8 = 16;
const ALL_FLAGS: u8 = 31;

const TYPES: [ValueType; 7] = [
    ValueType::Text,
    ValueType::Bytes,
    ValueType::Integer,
    ValueType::Number,
    ValueType::Boolean,
    ValueType::Null,
    ValueType::Json,
];
const CUSTOM: u8 = 7;

/// A head that is not as we write them.
#[derive(Debug)]
pub(super) struct Damaged;

impl Damaged {
    /// The error for the entry of this row.
    pub(super) fn error(self, row: &[u8]) -> Error {
        let (namespace, key) = split_row(row).unwrap_or((b"?", row));
        let (namespace, key) = (String::from_utf8_lossy(namespace), String::from_utf8_lossy(key));
        Error::Corrupt(format!("what is stored of the entry `{key}` in the namespace `{namespace}` is damaged"))
    }
}

/// `expires_at` alone, without reading the rest.
pub(super) fn expires_at(head: &[u8]) -> Result<Option<Timestamp>, Damaged> {
    let (flags, rest) = head.split_first().ok_or(Damaged)?;
    if flags & HAS_EXPIRY == 0 {
        return Ok(None);
    }
    let (at, _) = rest.split_first_chunk::<8>().ok_or(Damaged)?;
    Ok(Some(Timestamp::from_be_bytes(*at)))
}

impl<'a> Head<'a> {
    pub(super) fn version(&self) -> Version {
        Version::from_random(self.version)
    }

    pub(super) fn encode(&self) -> Result<Vec<u8>, Error> {
        let a = &self.attributes;
        let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
        let value = self.value.as_ref().map_or(0, |value| value.len());
        let mut out = Vec::with_capacity(80 + text(&a.content_type) + text(&a.metadata) + value);
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        out.push(
            flag(a.expires_at.is_some(), HAS_EXPIRY)
                | flag(a.sliding_ms.is_some(), HAS_SLIDING)
                | flag(a.content_type.is_some(), HAS_CONTENT_TYPE)
                | flag(a.metadata.is_some(), HAS_METADATA)
                | flag(self.value.is_some(), HAS_VALUE),
        );
        if let Some(at) = a.expires_at {
            out.extend_from_slice(&at.to_be_bytes());
        }
        let code = TYPES.iter().position(|known| *known == a.value_type);
        out.push(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(CUSTOM));
        out.extend_from_slice(&self.version.to_be_bytes());
        out.extend_from_slice(&a.created_at.to_be_bytes());
        out.extend_from_slice(&a.updated_at.to_be_bytes());
        out.extend_from_slice(&a.size.to_be_bytes());
        out.extend_from_slice(&a.checksum.to_be_bytes());
        if let Some(sliding) = a.sliding_ms {
            out.extend_from_slice(&sliding.to_be_bytes());
        }
        if let ValueType::Custom(name) = &a.value_type {
            put_short(&mut out, "type name", name)?;
        }
        if let Some(content_type) = &a.content_type {
            put_short(&mut out, "content type", content_type)?;
        }
        if let Some(metadata) = &a.metadata {
            let length = u32::try_from(metadata.len())
                .map_err(|_| Error::too_large("metadata", u32::MAX.into(), metadata.len() as u64))?;
            out.extend_from_slice(&length.to_be_bytes());
            out.extend_from_slice(metadata.as_bytes());
        }
        if let Some(value) = &self.value {
            out.extend_from_slice(value);
        }
        Ok(out)
    }

    pub(super) fn decode(bytes: &'a [u8]) -> Result<Self, Damaged> {
        let mut reader = Reader(bytes);
        let [flags] = reader.chunk()?;
        if flags & !ALL_FLAGS != 0 {
            return Err(Damaged);
        }
        let optional = |reader: &mut Reader<'a>, flag: u8| match flags & flag {
            0 => Ok(None),
            _ => reader.chunk().map(|bytes| Some(u64::from_be_bytes(bytes))),
        };
        let expires_at = optional(&mut reader, HAS_EXPIRY)?;
        let [code] = reader.chunk()?;
        let version = u128::from_be_bytes(reader.chunk()?);
        let created_at = u64::from_be_bytes(reader.chunk()?);
        let updated_at = u64::from_be_bytes(reader.chunk()?);
        let size = u64::from_be_bytes(reader.chunk()?);
        let checksum = u32::from_be_bytes(reader.chunk()?);
        let sliding_ms = optional(&mut reader, HAS_SLIDING)?;
        let value_type = match TYPES.get(usize::from(code)) {
            Some(known) => known.clone(),
            None if code == CUSTOM => {
                let [length] = reader.chunk()?;
                ValueType::Custom(reader.text(length.into())?)
            }
            None => return Err(Damaged),
        };
        let content_type = match flags & HAS_CONTENT_TYPE {
            0 => None,
            _ => {
                let [length] = reader.chunk()?;
                Some(reader.text(length.into())?)
            }
        };
        let metadata = match flags & HAS_METADATA {
            0 => None,
            _ => {
                let length = u32::from_be_bytes(reader.chunk()?);
                Some(reader.text(length as usize)?)
            }
        };
        let value = match flags & HAS_VALUE {
            0 if reader.0.is_empty() => None,
            0 => return Err(Damaged),
            _ if reader.0.len() as u64 == size => Some(Cow::Borrowed(reader.0)),
            _ => return Err(Damaged),
        };
        let attributes = Attributes {
            value_type,
            content_type,
            metadata,
            created_at,
            updated_at,
            expires_at,
            sliding_ms,
            size,
            checksum,
        };
        Ok(Head { version, attributes, value })
    }

    /// The same, with a copy of what it borrows.
    pub(super) fn into_owned(self) -> Head<'static> {
        Head {
            version: self.version,
            attributes: self.attributes,
            value: self.value.map(|value| Cow::Owned(value.into_owned())),
        }
    }
}

fn put_short(out: &mut Vec<u8>, what: &str, text: &str) -> Result<(), Error> {
    let length = u8::try_from(text.len()).map_err(|_| Error::too_large(what, 255, text.len() as u64))?;
    out.push(length);
    out.extend_from_slice(text.as_bytes());
    Ok(())
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn chunk<const N: usize>(&mut self) -> Result<[u8; N], Damaged> {
        let (chunk, rest) = self.0.split_first_chunk::<N>().ok_or(Damaged)?;
        self.0 = rest;
        Ok(*chunk)
    }

    fn text(&mut self, length: usize) -> Result<String, Damaged> {
        let (text, rest) = self.0.split_at_checked(length).ok_or(Damaged)?;
        self.0 = rest;
        std::str::from_utf8(text).map(str::to_owned).map_err(|_| Damaged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> Head<'static> {
        Head {
            version: 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef,
            attributes: Attributes {
                value_type: ValueType::Custom("point".into()),
                content_type: Some("text/plain".into()),
                metadata: Some(r#"{"a":"é"}"#.into()),
                created_at: 1,
                updated_at: u64::MAX,
                expires_at: Some(253_402_300_799_999),
                sliding_ms: Some(5),
                size: 3,
                checksum: 0xdead_beef,
            },
            value: Some(Cow::Borrowed(b"abc")),
        }
    }

    fn same(a: &Head, b: &Head) -> bool {
        a.version == b.version && a.attributes == b.attributes && a.value == b.value
    }

    #[test]
    fn heads_come_back() {
        let full = head();
        let mut bare = head();
        bare.attributes.content_type = None;
        bare.attributes.metadata = None;
        bare.attributes.expires_at = None;
        bare.attributes.sliding_ms = None;
        bare.value = None;
        for value_type in TYPES.into_iter().chain([ValueType::Custom("x".repeat(64))]) {
            for mut head in [full.clone_for_test(), bare.clone_for_test()] {
                head.attributes.value_type = value_type.clone();
                let bytes = head.encode().unwrap();
                assert!(same(&Head::decode(&bytes).unwrap(), &head));
                assert_eq!(expires_at(&bytes).unwrap(), head.attributes.expires_at);
            }
        }
    }

    impl Head<'_> {
        fn clone_for_test(&self) -> Head<'static> {
            Head { version: self.version, attributes: self.attributes.clone(), value: self.value.clone() }.into_owned()
        }
    }

    #[test]
    fn any_cut_or_change_of_a_head_is_an_error_or_another_head_and_never_a_panic() {
        let bytes = head().encode().unwrap();
        for length in 0..bytes.len() {
            assert!(Head::decode(&bytes[..length]).is_err(), "{length}");
        }
        for at in 0..bytes.len() {
            for bit in 0..8 {
                let mut bytes = bytes.clone();
                bytes[at] ^= 1 << bit;
                if let Ok(other) = Head::decode(&bytes) {
                    assert!(!same(&other, &head()));
                }
            }
        }
    }

    #[test]
    fn rows_keep_namespaces_apart_and_keys_in_order() {
        let mut rows_in_order = [("a", "z"), ("a!", "a"), ("a.b", "c"), ("a.b", "c.d"), ("b", "\u{1F600}"), ("é", "a")];
        rows_in_order.sort();
        let encoded: Vec<_> = rows_in_order.iter().map(|(namespace, key)| row(namespace, key)).collect();
        assert!(encoded.is_sorted());
        for ((namespace, key), row) in rows_in_order.iter().zip(&encoded) {
            assert_eq!(split_row(row).unwrap(), (namespace.as_bytes(), key.as_bytes()));
        }
        let (low, high) = rows("a", &Range::default()).unwrap();
        let inside: Vec<_> =
            encoded.iter().filter(|row| std::ops::RangeBounds::contains(&(low.clone(), high.clone()), *row)).collect();
        assert_eq!(inside, [&row("a", "z")]);
    }
}
