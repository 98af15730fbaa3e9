//! Entries as JSON.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::value::decode;
use super::{Item, TypedValue, present, raw_metadata};
use crate::{Attributes, Error, Result, State, Timestamp, Value, ValueType, Version, store};

macro_rules! entry {
    ($(#[$about:meta])* $visibility:vis $name:ident) => {
        $(#[$about])*
        $visibility struct $name {
            /// The key.
            pub key: String,
            /// The version; none where only the key is known.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub version: Option<String>,
            /// How `value` is to be read.
            #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
            pub type_name: Option<String>,
            /// The value; none where it was not asked for.
            #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
            pub value: Option<Box<RawValue>>,
            /// The caller's metadata: a JSON object.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub metadata: Option<Box<RawValue>>,
            /// The media type, where one is kept.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub content_type: Option<String>,
            /// Milliseconds since the Unix epoch, as all times here.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub created_at: Option<Timestamp>,
            /// When value or metadata were last written.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub updated_at: Option<Timestamp>,
            /// From when on it is absent.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub expires_at: Option<Timestamp>,
            /// The span of a sliding expiry.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub sliding_ms: Option<u64>,
            /// Of the value as stored, in bytes.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub size: Option<u64>,
            /// CRC-32C of the value as stored.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub checksum: Option<u32>,
        }
    };
}

entry! {
    /// An entry, or as much of it as was asked for: one line of an export, one item of a listing.
    #[derive(Clone, Default, Serialize, Deserialize)]
    pub Entry
}

entry! {
    #[derive(Deserialize, Serialize)]
    #[serde(rename = "Entry", deny_unknown_fields)]
    Strict
}

impl Entry {
    /// The entry with as much of it as the state holds. `corrupt` where the value is not of its type.
    pub fn new(key: impl Into<String>, state: Option<State>) -> Result<Self> {
        let key = key.into();
        let Some(State { version, attributes, value }) = state else {
            return Ok(Entry { key, ..Entry::default() });
        };
        let (type_name, value) = match value {
            Some(bytes) => {
                let typed = Value::decode(attributes.value_type, bytes)
                    .and_then(|value| TypedValue::with_type(&value))
                    .map_err(|_| Error::Corrupt(format!("key {key:?}: the stored value is not of its type")))?;
                (typed.type_name, Some(typed.value))
            }
            None => (Some(attributes.value_type.to_string()), None),
        };
        let metadata = attributes
            .metadata
            .map(raw_metadata)
            .transpose()
            .map_err(|_| Error::Corrupt(format!("key {key:?}: the stored metadata is not JSON")))?;
        Ok(Entry {
            key,
            version: Some(version.into_string()),
            type_name,
            value,
            metadata,
            content_type: attributes.content_type,
            created_at: Some(attributes.created_at),
            updated_at: Some(attributes.updated_at),
            expires_at: attributes.expires_at,
            sliding_ms: attributes.sliding_ms,
            size: Some(attributes.size),
            checksum: Some(attributes.checksum),
        })
    }

    /// Reads a line of an export; unlike other reading it refuses members that it does not know.
    pub fn from_line(line: &str) -> Result<Self> {
        let Strict {
            key,
            version,
            type_name,
            value,
            metadata,
            content_type,
            created_at,
            updated_at,
            expires_at,
            sliding_ms,
            size,
            checksum,
        } = super::from_json(line.as_bytes())?;
        Ok(Entry {
            key,
            version,
            type_name,
            value,
            metadata,
            content_type,
            created_at,
            updated_at,
            expires_at,
            sliding_ms,
            size,
            checksum,
        })
    }

    /// The value; none where the entry came without it.
    pub fn to_value(&self) -> Result<Option<Value>> {
        self.value.as_ref().map(|value| decode(value.get(), self.type_name.as_deref())).transpose()
    }

    /// The state; none where only the key is known. `invalid-argument` where something is missing or malformed.
    pub fn into_state(self) -> Result<Option<State>> {
        let value = self.to_value()?;
        let Some(version) = self.version else {
            return Ok(None);
        };
        let missing = |what: &str| Error::InvalidArgument(format!("entry: {what} is missing"));
        let (value_type, value) = match value {
            Some(value) => {
                let (value_type, bytes) = value.encode();
                (value_type, Some(bytes))
            }
            None => (ValueType::parse(&self.type_name.ok_or_else(|| missing("type"))?)?, None),
        };
        Ok(Some(State {
            version: Version::new(version)?,
            attributes: Attributes {
                value_type,
                content_type: self.content_type,
                metadata: self.metadata.map(|text| Box::<str>::from(text).into_string()),
                created_at: self.created_at.ok_or_else(|| missing("created_at"))?,
                updated_at: self.updated_at.ok_or_else(|| missing("updated_at"))?,
                expires_at: self.expires_at,
                sliding_ms: self.sliding_ms,
                size: self.size.ok_or_else(|| missing("size"))?,
                checksum: self.checksum.ok_or_else(|| missing("checksum"))?,
            },
            value,
        }))
    }

    /// The item that sets this entry again: value, type, metadata, content type, and the expiry to the millisecond
    /// (a sliding one starts anew, no expiry is `never`). Version and other times are the new store's own.
    pub fn into_item(self) -> Result<store::Item> {
        let expiry = match (self.sliding_ms, self.expires_at) {
            (Some(span), _) => store::Expiry::Sliding(span),
            (None, Some(at)) => store::Expiry::At(at),
            (None, None) => store::Expiry::Never,
        };
        let value =
            self.value.ok_or_else(|| Error::InvalidArgument("entry: value is missing, give it or null".into()))?;
        let item = Item {
            key: self.key,
            value: Some(value),
            type_name: self.type_name,
            metadata: self.metadata,
            content_type: self.content_type,
            ..Item::default()
        };
        let mut item = store::Item::try_from(item)?;
        item.options.expiry = expiry;
        Ok(item)
    }
}
