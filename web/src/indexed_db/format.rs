//! Entries as records, and back.
//!
//! A record is a plain object that the browser's tools show: `value` is a string, a number, a boolean, null or a
//! `Uint8Array` where that gives back the very bytes of the value, and else a `Uint8Array` of them. Values above
//! [`LARGE_BYTES`] lie in a store of their own.

use std::str::Split;

use dataknobs_kv_core::entry::Attributes;
use dataknobs_kv_core::{Error, Projection, Result, State, Timestamp, Value, ValueType, Version, json};
use js_sys::{Array, Float64Array, JsString, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};

use super::shim::{Record, describe, make_record};

/// A larger value is not read along with its attributes.
pub(super) const LARGE_BYTES: u64 = 64 << 10;

/// Where an entry's value is.
#[derive(Clone)]
pub(super) enum Body {
    /// In its record.
    Within(JsValue),
    /// By itself.
    Apart(JsValue),
    /// By itself, and not read.
    Unread,
}

/// An entry as it is kept, expired or not.
#[derive(Clone)]
pub(super) struct Stored {
    pub(super) version: Version,
    pub(super) attributes: Attributes,
    pub(super) body: Body,
}

/// What lies under a key.
#[derive(Clone)]
pub(super) enum Found {
    Nothing,
    Entry(Box<Stored>),
    /// Something that is no entry.
    Damaged,
}

impl Found {
    /// From what the browser read; with `loaded` the values are there wherever they are kept.
    pub(super) fn read_all(records: &Array, loaded: bool) -> Vec<Found> {
        let described = describe(records);
        let numbers = described.get(0).unchecked_into::<Float64Array>().to_vec();
        let texts = described.get(1).as_string().unwrap_or_default();
        let mut texts = texts.split('\n');
        let (facts, _) = numbers.as_chunks::<8>();
        let read = |(facts, record): (&[f64; 8], JsValue)| match facts.first() {
            Some(0.0) => Found::Nothing,
            Some(1.0) => Found::Damaged,
            _ => Stored::read(*facts, &mut texts, record.unchecked_ref(), loaded)
                .map_or(Found::Damaged, |stored| Found::Entry(Box::new(stored))),
        };
        facts.iter().zip(records.iter()).map(read).collect()
    }

    /// The entry, if it lives; `corrupt` where nobody can say.
    pub(super) fn living(&self, key: &str, now: Timestamp) -> Result<Option<&Stored>> {
        match self {
            Found::Nothing => Ok(None),
            Found::Entry(stored) => Ok((!stored.attributes.expired(now)).then_some(stored)),
            Found::Damaged => Err(damaged(key)),
        }
    }

    pub(super) fn is_apart(&self) -> bool {
        match self {
            Found::Nothing => false,
            Found::Entry(stored) => !matches!(stored.body, Body::Within(_)),
            // Nobody knows.
            Found::Damaged => true,
        }
    }
}

pub(super) fn damaged(key: &str) -> Error {
    Error::Corrupt(format!("key {key:?}: its record is not as it was written"))
}

impl Stored {
    fn read(facts: [f64; 8], texts: &mut Split<'_, char>, record: &Record, loaded: bool) -> Option<Self> {
        let [kind, created_at, updated_at, size, checksum, expires_at, sliding_ms, given] = facts;
        let (value_type, version) = (texts.next()?, texts.next()?);
        let (content_type, metadata) = (texts.next()?, texts.next()?);
        let given = given as u8;
        let present = |number: f64| (!number.is_nan()).then_some(number as u64);
        let body = match (kind > 2.0, loaded) {
            (false, _) => Body::Within(record.value()),
            (true, true) => Body::Apart(record.value()),
            (true, false) => Body::Unread,
        };
        Some(Stored {
            version: Version::new(version).ok()?,
            attributes: Attributes {
                value_type: ValueType::parse(value_type).ok()?,
                content_type: (given & 1 > 0).then(|| content_type.to_owned()),
                metadata: (given & 2 > 0).then(|| metadata.to_owned()),
                created_at: created_at as Timestamp,
                updated_at: updated_at as Timestamp,
                expires_at: present(expires_at),
                sliding_ms: present(sliding_ms),
                size: size as u64,
                checksum: checksum as u32,
            },
            body,
        })
    }

    /// A new entry.
    pub(super) fn new(version: Version, attributes: Attributes, value: &[u8]) -> Self {
        let native = to_native(&attributes.value_type, value);
        let body = if value.len() as u64 > LARGE_BYTES { Body::Apart(native) } else { Body::Within(native) };
        Stored { version, attributes, body }
    }

    pub(super) fn record(&self, namespace: &str) -> Record {
        let (value, apart) = match &self.body {
            Body::Within(value) => (value, false),
            Body::Apart(_) | Body::Unread => (&JsValue::UNDEFINED, true),
        };
        let attributes = &self.attributes;
        make_record(
            value,
            apart,
            type_name(&attributes.value_type).as_ref(),
            self.version.as_str(),
            attributes.created_at as f64,
            attributes.updated_at as f64,
            attributes.size as f64,
            attributes.checksum,
            attributes.content_type.as_deref(),
            attributes.metadata.as_deref(),
            attributes.expires_at.map(|at| at as f64),
            attributes.sliding_ms.map(|span| span as f64),
            namespace,
        )
    }

    /// As much of it as is wanted.
    pub(super) fn state(&self, key: &str, want: Projection) -> Result<Option<State>> {
        if want == Projection::Key {
            return Ok(None);
        }
        let value = match (&self.body, want) {
            (_, Projection::Key | Projection::Attributes) => None,
            (Body::Within(value) | Body::Apart(value), Projection::Value) => {
                Some(from_native(&self.attributes.value_type, value).ok_or_else(|| damaged(key))?)
            }
            (Body::Unread, Projection::Value) => {
                return Err(Error::Internal(format!("key {key:?}: its value was not read")));
            }
        };
        Ok(Some(State { version: self.version.clone(), attributes: self.attributes.clone(), value }))
    }

    /// About what it weighs in an answer.
    pub(super) fn weight(&self, want: Projection) -> usize {
        let attributes = self.attributes.metadata.as_ref().map_or(0, String::len) + 128;
        match want {
            Projection::Key => 0,
            Projection::Attributes => attributes,
            Projection::Value => attributes + self.attributes.size as usize,
        }
    }
}

fn type_name(value_type: &ValueType) -> std::borrow::Cow<'static, str> {
    match value_type {
        ValueType::Text => "text".into(),
        ValueType::Bytes => "bytes".into(),
        ValueType::Integer => "integer".into(),
        ValueType::Number => "number".into(),
        ValueType::Boolean => "boolean".into(),
        ValueType::Null => "null".into(),
        ValueType::Json => "json".into(),
        custom @ ValueType::Custom(_) => custom.to_string().into(),
    }
}

/// The largest integer up to which a float holds each.
const SAFE_INTEGER: i64 = (1 << 53) - 1;

/// The value as JavaScript has it, where its bytes can be told from that; else the bytes.
fn to_native(value_type: &ValueType, bytes: &[u8]) -> JsValue {
    let native = match value_type {
        ValueType::Bytes | ValueType::Custom(_) => None,
        ValueType::Text | ValueType::Json => std::str::from_utf8(bytes).ok().map(|text| JsString::from(text).into()),
        ValueType::Integer => std::str::from_utf8(bytes)
            .ok()
            .and_then(|text| text.parse::<i64>().ok().filter(|integer| integer.to_string() == text))
            .filter(|integer| (-SAFE_INTEGER..=SAFE_INTEGER).contains(integer))
            .map(|integer| JsValue::from_f64(integer as f64)),
        ValueType::Number => match Value::decode(ValueType::Number, bytes.to_vec()) {
            Ok(Value::Number(number)) if json::format_number(number).as_bytes() == bytes => {
                Some(JsValue::from_f64(number))
            }
            _ => None,
        },
        ValueType::Boolean => match bytes {
            b"true" => Some(JsValue::TRUE),
            b"false" => Some(JsValue::FALSE),
            _ => None,
        },
        ValueType::Null => bytes.is_empty().then_some(JsValue::NULL),
    };
    native.unwrap_or_else(|| Uint8Array::from(bytes).into())
}

/// The bytes again.
fn from_native(value_type: &ValueType, native: &JsValue) -> Option<Vec<u8>> {
    if let Some(bytes) = native.dyn_ref::<Uint8Array>() {
        return Some(bytes.to_vec());
    }
    match value_type {
        ValueType::Text | ValueType::Json => native.as_string().map(String::into_bytes),
        ValueType::Integer => native.as_f64().map(|number| (number as i64).to_string().into_bytes()),
        ValueType::Number => native.as_f64().map(|number| json::format_number(number).into_bytes()),
        ValueType::Boolean => native.as_bool().map(|boolean| boolean.to_string().into_bytes()),
        ValueType::Null => native.is_null().then(Vec::new),
        ValueType::Bytes | ValueType::Custom(_) => None,
    }
}
