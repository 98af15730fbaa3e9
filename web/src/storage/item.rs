//! Entries as JavaScript tells of them, and as it keeps them.
//!
//! A value is told of as its text, or where it has none as a `Uint8Array` of its bytes.

use dataknobs_kv_core::entry::Attributes;
use dataknobs_kv_core::storage::Outcome;
use dataknobs_kv_core::{Error, Result, State, Timestamp, ValueType, Version, key};
use wasm_bindgen::prelude::*;

use super::ticket::told_item;
use crate::js::bytes_of;

/// What is told of one key, as `calls.ts` numbers it.
mod kind {
    /// There is nothing, or there was nothing to change.
    pub(super) const ABSENT: u8 = 0;
    /// Something that is no entry.
    pub(super) const DAMAGED: u8 = 1;
    /// The entry.
    pub(super) const THERE: u8 = 2;
    /// Written: the version.
    pub(super) const WRITTEN: u8 = 3;
    /// The precondition held.
    pub(super) const HELD: u8 = 4;
    pub(super) const DELETED: u8 = 5;
    /// The precondition did not hold; with the entry, if it is there and wanted.
    pub(super) const CONFLICT: u8 = 6;
    pub(super) const NOT_APPLIED: u8 = 7;
}

/// One of the items of an answer.
pub(super) struct Item {
    kind: u8,
    /// Where the caller does not know it.
    pub(super) key: String,
    version: Option<String>,
    state: Option<Result<State>>,
}

/// `kind` as `calls.ts` numbers it; without `value_type` there is no entry. `text` is the value where it has one, else `bytes`.
/// With `last` this is all.
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
    bytes: Option<Vec<u8>>,
    last: bool,
) {
    let key = key.unwrap_or_default();
    let mut item = Item { kind, key, version, state: None };
    if let Some(value_type) = value_type {
        let state = || {
            let value_type = ValueType::parse(&value_type)?;
            let value = text.map(String::into_bytes).or(bytes);
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

fn damaged(key: &str) -> Error {
    Error::Corrupt(key::about(key, &["its record is not as it was written"]))
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
        self.kind == kind::DAMAGED
    }

    pub(super) fn is_written(&self) -> bool {
        self.kind == kind::WRITTEN
    }

    /// The version of what was written.
    pub(super) fn version(self) -> Result<Version> {
        Version::new(self.version.unwrap_or_default())
    }

    pub(super) fn outcome(self, key: &str) -> Result<Outcome> {
        Ok(match self.kind {
            kind::ABSENT => Outcome::Absent,
            kind::THERE | kind::CONFLICT => Outcome::Conflict(self.state(key)?),
            kind::WRITTEN => Outcome::Written(self.version()?),
            kind::HELD => Outcome::Held,
            kind::DELETED => Outcome::Deleted,
            kind::NOT_APPLIED => Outcome::NotApplied,
            _ => return Err(damaged(key)),
        })
    }
}

/// What JavaScript keeps of a value: its text, or where it has none its bytes. `record.ts` makes a number of it where that says the
/// same.
pub(super) fn to_native(value_type: &ValueType, bytes: &[u8]) -> JsValue {
    if !matches!(value_type, ValueType::Bytes | ValueType::Custom(_))
        && let Ok(text) = std::str::from_utf8(bytes)
    {
        return text.into();
    }
    bytes_of(bytes)
}
