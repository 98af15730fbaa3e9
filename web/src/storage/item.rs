//! Entries as JavaScript tells of them, and as it keeps them.
//!
//! A value is a string, a number, a boolean or null where that gives back the very bytes of the value, and else a
//! `Uint8Array` of them: so the browser's tools show it.

use dataknobs_kv_core::entry::Attributes;
use dataknobs_kv_core::storage::Outcome;
use dataknobs_kv_core::{Error, Result, State, Timestamp, Value, ValueType, Version, json, key};
use js_sys::{JsString, Uint8Array};
use wasm_bindgen::prelude::*;

use super::ticket::told_item;

/// What is told of one key, as `adapter.ts` numbers it.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Kind {
    /// There is nothing, or there was nothing to change.
    Absent,
    /// Something that is no entry.
    Damaged,
    /// The entry.
    There,
    /// Written: the version.
    Written,
    /// The precondition held.
    Held,
    Deleted,
    /// The precondition did not hold; with the entry, if it is there and wanted.
    Conflict,
    NotApplied,
}

/// One of the items of an answer.
pub(super) struct Item {
    pub(super) kind: Kind,
    /// Where the caller does not know it.
    pub(super) key: String,
    version: Option<String>,
    state: Option<Result<State>>,
}

/// `kind` as in [`Kind`]; without `value_type` there is no entry. `text` is the value where it is a string. With `last` this
/// is all.
#[wasm_bindgen(js_name = tellItem)]
#[allow(clippy::too_many_arguments)]
pub fn tell_item(
    ticket: u32,
    kind: u8,
    key: Option<String>,
    version: Option<String>,
    value_type: Option<String>,
    content_type: Option<String>,
    metadata: Option<String>,
    created_at: f64,
    updated_at: f64,
    expires_at: Option<f64>,
    sliding_ms: Option<f64>,
    size: f64,
    checksum: u32,
    text: Option<String>,
    value: JsValue,
    last: bool,
) {
    let key = key.unwrap_or_default();
    let kind = match kind {
        0 => Kind::Absent,
        2 => Kind::There,
        3 => Kind::Written,
        4 => Kind::Held,
        5 => Kind::Deleted,
        6 => Kind::Conflict,
        7 => Kind::NotApplied,
        _ => Kind::Damaged,
    };
    let mut item = Item { kind, key, version, state: None };
    if let Some(value_type) = value_type {
        let state = || {
            let value_type = ValueType::parse(&value_type)?;
            let value = match text {
                Some(text) if matches!(value_type, ValueType::Text | ValueType::Json) => Some(text.into_bytes()),
                Some(_) => return Err(strange()),
                None if value.is_undefined() => None,
                None => Some(from_native(&value_type, &value).ok_or_else(strange)?),
            };
            Ok(State {
                version: Version::new(item.version.take().unwrap_or_default())?,
                attributes: Attributes {
                    value_type,
                    content_type,
                    metadata,
                    created_at: created_at as Timestamp,
                    updated_at: updated_at as Timestamp,
                    expires_at: expires_at.map(|at| at as Timestamp),
                    sliding_ms: sliding_ms.map(|span| span as u64),
                    size: size as u64,
                    checksum,
                },
                value,
            })
        };
        item.state = Some(state());
    }
    told_item(ticket, item, last);
}

fn strange() -> Error {
    Error::Corrupt(String::new())
}

fn damaged(key: &str) -> Error {
    Error::Corrupt(["key ", &key::shown(key), ": its record is not as it was written"].concat())
}

impl Item {
    /// The entry, if it is there; `corrupt` where nobody can say.
    pub(super) fn state(self, key: &str) -> Result<Option<State>> {
        if self.is_damaged() {
            return Err(damaged(key));
        }
        self.state.transpose().map_err(|_| damaged(key))
    }

    pub(super) fn is_damaged(&self) -> bool {
        self.kind == Kind::Damaged
    }

    pub(super) fn is_written(&self) -> bool {
        self.kind == Kind::Written
    }

    /// The version of what was written.
    pub(super) fn version(self) -> Result<Version> {
        Version::new(self.version.unwrap_or_default())
    }

    pub(super) fn outcome(self, key: &str) -> Result<Outcome> {
        Ok(match self.kind {
            Kind::Absent => Outcome::Absent,
            Kind::Damaged => return Err(damaged(key)),
            Kind::There | Kind::Conflict => Outcome::Conflict(self.state(key)?),
            Kind::Written => Outcome::Written(self.version()?),
            Kind::Held => Outcome::Held,
            Kind::Deleted => Outcome::Deleted,
            Kind::NotApplied => Outcome::NotApplied,
        })
    }
}

/// The largest integer up to which a float holds each.
const SAFE_INTEGER: i64 = (1 << 53) - 1;

/// The value as JavaScript has it, where its bytes can be told from that; else the bytes.
pub(super) fn to_native(value_type: &ValueType, bytes: &[u8]) -> JsValue {
    let text = || std::str::from_utf8(bytes).ok();
    let native = match value_type {
        ValueType::Bytes | ValueType::Custom(_) => None,
        ValueType::Text | ValueType::Json => text().map(|text| JsString::from(text).into()),
        ValueType::Integer => text()
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

/// The bytes again, of what is no string.
fn from_native(value_type: &ValueType, native: &JsValue) -> Option<Vec<u8>> {
    match value_type {
        ValueType::Integer if let Some(number) = native.as_f64() => Some((number as i64).to_string().into_bytes()),
        ValueType::Number if let Some(number) = native.as_f64() => Some(json::format_number(number).into_bytes()),
        ValueType::Boolean if let Some(boolean) = native.as_bool() => Some(boolean.to_string().into_bytes()),
        ValueType::Null if native.is_null() => Some(Vec::new()),
        _ => native.dyn_ref::<Uint8Array>().map(Uint8Array::to_vec),
    }
}
