//! The document of an entry: its `_id`, its fields, their mapping. `docs/backends/elasticsearch.md` tells it to people.
//!
//! A value stands in one of four fields, none of them indexed: `value` as it is where it is text (of whatever type),
//! `bytes` in base64 where it is not; and in `large_value` and `large_bytes` instead where it is longer than
//! [`INLINE_BYTES`], so that an answer for many entries can leave those out and stay bounded.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use dataknobs_kv_core::storage::Amendment;
use dataknobs_kv_core::{Attributes, Error, Result, State, Timestamp, ValueType, Version, metadata};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};

/// Which layout this is: kept in the mapping.
pub(super) const FORMAT: u64 = 1;
/// Under this name, in the mapping's `_meta`.
pub(super) const META: &str = "dataknobs-kv";
/// Longer values stand apart.
pub(super) const INLINE_BYTES: usize = 8 << 10;
/// What holds a value.
pub(super) const VALUES: &str = "value,bytes,large_value,large_bytes";
/// What holds a long one.
pub(super) const LARGE_VALUES: &str = "large_value,large_bytes";
/// Longer tokens stand as their digest: a term has at most 32,766 bytes, and long ones serve nobody.
const MAX_TOKEN_BYTES: usize = 512;
/// Stands for metadata that we could not read.
const ANY_TOKEN: &str = "*";

/// The settings and mapping of a new index.
pub(super) fn index(shards: Option<u32>, replicas: Option<u32>) -> Json {
    // Sorted so, a page of a listing costs the page: the server jumps to where it begins.
    let mut settings = json!({"sort.field": ["namespace", "key"], "sort.order": ["asc", "asc"]});
    for (name, number) in [("number_of_shards", shards), ("number_of_replicas", replicas)] {
        if let Some(number) = number {
            settings[name] = number.into();
        }
    }
    json!({
        "settings": {"index": settings},
        "mappings": {"dynamic": "strict", "_meta": {META: {"format": FORMAT}}, "properties": properties()},
    })
}

/// The fields. What has neither index nor doc values is kept and otherwise costs nothing.
pub(super) fn properties() -> Json {
    let searched = json!({"type": "keyword"});
    let kept = json!({"type": "keyword", "index": false, "doc_values": false});
    let date = json!({"type": "date", "format": "epoch_millis"});
    let number = json!({"type": "long"});
    let kept_number = json!({"type": "long", "index": false, "doc_values": false});
    json!({
        "namespace": searched,
        "key": searched,
        "version": kept,
        "type": searched,
        "content_type": searched,
        "created_at": date,
        "updated_at": date,
        "expires_at": date,
        "sliding_ms": kept_number,
        "size": number,
        "checksum": kept_number,
        "metadata": kept,
        "metadata_terms": searched,
        "value": kept,
        "bytes": kept,
        "large_value": kept,
        "large_bytes": kept,
    })
}

/// Names a document: the same for the same key in every store, whatever characters it holds.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Id(pub(super) String);

impl Id {
    pub(super) fn new(namespace: &str, key: &str) -> Self {
        let mut hash = Sha256::new();
        // Its length first: so the two never meet.
        hash.update((namespace.len() as u64).to_be_bytes());
        hash.update(namespace);
        hash.update(key);
        Id(URL_SAFE_NO_PAD.encode(hash.finalize()))
    }
}

#[derive(Serialize)]
struct Document<'a> {
    namespace: &'a str,
    key: &'a str,
    version: &'a str,
    #[serde(rename = "type")]
    value_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    metadata_terms: Vec<String>,
    created_at: Timestamp,
    updated_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sliding_ms: Option<u64>,
    size: u64,
    checksum: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    large_value: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    large_bytes: Option<String>,
}

/// An entry's document, on one line.
pub(super) fn document(
    namespace: &str,
    key: &str,
    version: &Version,
    attributes: &Attributes,
    created_at: Timestamp,
    value: &[u8],
) -> Result<Vec<u8>> {
    let text = match attributes.value_type {
        ValueType::Bytes | ValueType::Custom(_) => None,
        _ => std::str::from_utf8(value).ok(),
    };
    let bytes = text.is_none().then(|| STANDARD.encode(value));
    let large = value.len() > INLINE_BYTES;
    let (value, large_value) = if large { (None, text) } else { (text, None) };
    let (bytes, large_bytes) = if large { (None, bytes) } else { (bytes, None) };
    line(&Document {
        namespace,
        key,
        version: version.as_str(),
        value_type: attributes.value_type.to_string(),
        value,
        bytes,
        content_type: attributes.content_type.as_deref(),
        metadata: attributes.metadata.as_deref(),
        metadata_terms: attributes.metadata.as_deref().map_or_else(Vec::new, tokens),
        created_at,
        updated_at: attributes.updated_at,
        expires_at: attributes.expires_at,
        sliding_ms: attributes.sliding_ms,
        size: attributes.size,
        checksum: attributes.checksum,
        large_value,
        large_bytes,
    })
}

/// An update that replaces these attributes: all of them are single values or lists, which an update replaces whole.
pub(super) fn amendment(version: &Version, amendment: &Amendment) -> Result<Vec<u8>> {
    line(&json!({"doc": {
        "version": version.as_str(),
        "content_type": amendment.content_type,
        "metadata": amendment.metadata,
        "metadata_terms": amendment.metadata.as_deref().map_or_else(Vec::new, tokens),
        "updated_at": amendment.updated_at,
        "expires_at": amendment.expires_at,
        "sliding_ms": amendment.sliding_ms,
    }}))
}

/// An update that moves the expiry.
pub(super) fn extension(expires_at: Timestamp) -> Result<Vec<u8>> {
    line(&json!({"doc": {"expires_at": expires_at}}))
}

fn line(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value).map_err(|error| Error::Internal(format!("a document cannot be written: {error}")))
}

/// Metadata as terms that a query finds: `name=value` for each field at the top level, a text as it is, anything else
/// as its canonical JSON.
fn tokens(metadata: &str) -> Vec<String> {
    fields(metadata).unwrap_or_else(|| vec![ANY_TOKEN.to_owned()])
}

/// The terms of which a document has at least one from each list, where its metadata hold what is wanted.
pub(super) fn wanted_terms(wanted: &str) -> Vec<[String; 2]> {
    let fields = fields(wanted).unwrap_or_default();
    fields.into_iter().map(|token| [token, ANY_TOKEN.to_owned()]).collect()
}

fn fields(metadata: &str) -> Option<Vec<String>> {
    let Some(canonical) = metadata::canonical(metadata).ok()? else { return Some(Vec::new()) };
    let fields: BTreeMap<String, &RawValue> = serde_json::from_str(&canonical).ok()?;
    Some(fields.into_iter().map(|(name, value)| token(&name, value.get())).collect())
}

fn token(name: &str, value: &str) -> String {
    let text = value.starts_with('"').then(|| serde_json::from_str::<String>(value).ok()).flatten();
    let token = format!("{name}={}", text.as_deref().unwrap_or(value));
    match token.len() > MAX_TOKEN_BYTES {
        true => format!("sha256:{}", hex(&Sha256::digest(token))),
        false => token,
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A document as it is read. What an answer left out is none.
#[derive(Deserialize)]
pub(super) struct Source {
    namespace: String,
    pub(super) key: String,
    version: String,
    pub(super) created_at: Timestamp,
    pub(super) expires_at: Option<Timestamp>,
    #[serde(rename = "type")]
    value_type: Option<String>,
    content_type: Option<String>,
    metadata: Option<String>,
    updated_at: Option<Timestamp>,
    sliding_ms: Option<u64>,
    size: Option<u64>,
    checksum: Option<u32>,
    value: Option<String>,
    bytes: Option<String>,
    large_value: Option<String>,
    large_bytes: Option<String>,
}

/// A document that is not as one of ours.
#[derive(Debug)]
pub(super) struct Damaged;

impl Damaged {
    pub(super) fn error(key: &str) -> Error {
        Error::Corrupt(format!("the document of {key:?} is not as it was written"))
    }
}

impl Source {
    pub(super) fn parse(text: &str) -> Result<Self, Damaged> {
        let source: Source = serde_json::from_str(text).map_err(|_| Damaged)?;
        match Version::new(source.version.as_str()) {
            Ok(_) => Ok(source),
            Err(_) => Err(Damaged),
        }
    }

    /// Whether it is this key's.
    pub(super) fn is_of(&self, namespace: &str, key: &str) -> bool {
        self.namespace == namespace && self.key == key
    }

    pub(super) fn version(&self) -> &str {
        &self.version
    }

    pub(super) fn expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }

    /// The length of the value; 0 where it was left out.
    pub(super) fn size(&self) -> u64 {
        self.size.unwrap_or_default()
    }

    /// Whether its value is one of those that answers for many entries leave out, and this answer left it out.
    pub(super) fn lacks_large_value(&self) -> bool {
        let there = [&self.value, &self.bytes, &self.large_value, &self.large_bytes].into_iter().any(Option::is_some);
        self.size() > INLINE_BYTES as u64 && !there
    }

    /// About what it weighs in an answer.
    pub(super) fn weight(&self) -> usize {
        usize::try_from(self.size()).unwrap_or(usize::MAX).saturating_add(self.weight_without_value())
    }

    pub(super) fn weight_without_value(&self) -> usize {
        self.metadata.as_ref().map_or(0, String::len).saturating_add(128)
    }

    pub(super) fn into_state(self, with_value: bool) -> Result<State, Damaged> {
        let value = match with_value {
            false => None,
            true => match (self.value.or(self.large_value), self.bytes.or(self.large_bytes)) {
                (Some(text), None) => Some(text.into_bytes()),
                (None, Some(bytes)) => Some(STANDARD.decode(bytes).map_err(|_| Damaged)?),
                _ => return Err(Damaged),
            },
        };
        let size = self.size.ok_or(Damaged)?;
        if value.as_ref().is_some_and(|value| value.len() as u64 != size) {
            return Err(Damaged);
        }
        let value_type = self.value_type.ok_or(Damaged)?;
        let attributes = Attributes {
            value_type: ValueType::parse(&value_type).map_err(|_| Damaged)?,
            content_type: self.content_type,
            metadata: self.metadata,
            created_at: self.created_at,
            updated_at: self.updated_at.ok_or(Damaged)?,
            expires_at: self.expires_at,
            sliding_ms: self.sliding_ms,
            size,
            checksum: self.checksum.ok_or(Damaged)?,
        };
        Ok(State { version: Version::new(self.version).map_err(|_| Damaged)?, attributes, value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_never_meet() {
        assert_eq!(Id::new("default", "k").0.len(), 43);
        assert!(Id::new("a", "b.c") != Id::new("a.b", "c") && Id::new("ab", "c") != Id::new("a", "bc"));
    }

    #[test]
    fn terms_of_metadata() {
        let terms = |text: &str| tokens(text).join(" ");
        assert_eq!(terms("{}"), "");
        assert_eq!(terms(r#"{"owner":"ada","n":1e2,"a":{"c":2,"b":[1]}}"#), r#"a={"b":[1],"c":2} n=100 owner=ada"#);
        assert_eq!(terms(r#"{"":1,".x":null,"a.b":true,"\"":"\n"}"#), "=1 \"=\n .x=null a.b=true");
        let long = format!(r#"{{"a":"{}","b":"{0}"}}"#, "x".repeat(60_000));
        assert!(tokens(&long).iter().all(|token| token.len() == 71), "long ones are digests");
        assert_eq!(tokens("no JSON"), ["*"]);
        assert_eq!(wanted_terms(r#"{"n":100.0}"#), [["n=100".to_owned(), "*".to_owned()]]);
    }

    #[test]
    fn documents_come_back() {
        for (value_type, value, field) in [
            (ValueType::Text, "a\u{0}é\u{10ffff}".as_bytes().to_vec(), "value"),
            (ValueType::Integer, b"-5".to_vec(), "value"),
            (ValueType::Bytes, vec![], "bytes"),
            (ValueType::Text, vec![0xff], "bytes"),
            (ValueType::Custom("my type".into()), b"text".to_vec(), "bytes"),
            (ValueType::Json, vec![b' '; INLINE_BYTES + 1], "large_value"),
            (ValueType::Bytes, vec![7; INLINE_BYTES + 1], "large_bytes"),
        ] {
            let attributes = Attributes {
                value_type,
                content_type: Some("a/b".into()),
                metadata: Some(r#"{"a":1}"#.into()),
                created_at: 1,
                updated_at: 2,
                expires_at: Some(3),
                sliding_ms: Some(4),
                size: value.len() as u64,
                checksum: u32::MAX,
            };
            let version = Version::from_random(7);
            let text = String::from_utf8(document("n", "k", &version, &attributes, 1, &value).unwrap()).unwrap();
            assert!(text.contains(&format!("\"{field}\":")) && !text.contains('\n'), "{text}");
            let source = Source::parse(&text).unwrap();
            assert!(source.is_of("n", "k") && source.expired(3) && !source.expired(2) && !source.lacks_large_value());
            assert_eq!(source.into_state(true).unwrap(), State { version, attributes, value: Some(value) });
        }
    }

    #[test]
    fn every_field_is_mapped() {
        let mapped = properties();
        for field in [VALUES, LARGE_VALUES].into_iter().flat_map(|names| names.split(',')) {
            assert!(mapped.get(field).is_some(), "{field}");
        }
    }
}
