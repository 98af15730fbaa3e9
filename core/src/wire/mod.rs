//! Entries, requests and answers as JSON: one form for the HTTP API, its client, the command line and exports.
//!
//! A value is the pair of members `value` and `type`. Where natural JSON tells the type, `type` may be left out:
//!
//! | value | `value` | `type` |
//! | --- | --- | --- |
//! | text | string | `text`, or none |
//! | integer | digits | `integer`, or none |
//! | number | a number | `number`; or none where a fraction, an exponent or `-0` shows it |
//! | boolean, null | themselves | `boolean`, `null`, or none |
//! | json | the JSON itself, to the byte | `json`; or none for objects and arrays |
//! | json whose text has a line break, or spaces around it | that text as a string | `json-text` |
//! | bytes | base64 (RFC 4648, padded) in a string | `bytes` |
//! | custom | base64 in a string | `custom:` and its name |
//!
//! No form contains a line break, so that an entry is always one line of NDJSON.
//!
//! * [`TypedValue`]: that pair; * [`Entry`]: what is stored; [`Item`] and its neighbours: what is asked;
//!   [`Page`] and its neighbours: what is answered; [`ErrorInfo`], [`Problem`]: what went wrong
//! * [`Flatten`]: nested JSON as keys and leaves, for imports and for stores in plain JSON files
//!
//! Requests refuse members that they do not know; answers may gain some.

mod answer;
mod entry;
mod fault;
mod flatten;
pub mod header;
mod request;
mod value;

pub use answer::{
    Appended, Capabilities, Changed, Child, Children, Cleaned, Cleared, Committed, Counted, Deleted, Failed,
    ItemResult, Names, Page, Results, Summed, Swapped,
};
pub use entry::Entry;
pub use fault::{ABSENT, CONFLICT, ErrorInfo, Problem, exit_code, http_status};
pub use flatten::Flatten;
pub use request::{
    Action, Batch, Check, Cleanup, CompareAndSwap, ExpiryFields, ExpiryWord, GetMany, Include, Increment, Item, Keys,
    Touch, Transaction,
};
pub use value::TypedValue;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::{Error, Result};

/// Reads a request or an answer. `invalid-argument` says where it is not as expected, and never shows a value.
pub fn from_json<T: DeserializeOwned>(text: &[u8]) -> Result<T> {
    serde_json::from_slice(text).map_err(|error| Error::InvalidArgument(format!("JSON: {}", describe(&error))))
}

/// Writes a request or an answer.
pub fn to_json<T: Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| Error::Internal(format!("JSON: {error}")))
}

/// The parser's message without what it quotes from the text: messages never show values.
fn describe(error: &serde_json::Error) -> String {
    let message = error.to_string();
    if !error.is_data() {
        return message;
    }
    // "invalid type: string \"secret\", expected u64 at line 1 column 9": what was expected is enough.
    match (message.find("invalid type: "), message.find("invalid value: "), message.rfind(", expected ")) {
        (Some(0), _, Some(at)) | (_, Some(0), Some(at)) => {
            format!("invalid value{}", message.get(at..).unwrap_or_default())
        }
        _ => message,
    }
}

/// A member that is there, also where it is `null`.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(deserializer).map(Some)
}

/// A JSON text as a member, to the byte but for spaces around it.
fn raw(text: String, what: &str) -> Result<Box<RawValue>> {
    RawValue::from_string(text).map_err(|_| Error::InvalidArgument(format!("{what}: not JSON")))
}

/// Metadata as a member: without line breaks, which in valid JSON are but spaces.
fn raw_metadata(text: String) -> Result<Box<RawValue>> {
    let valid = raw(text, "metadata")?;
    if valid.get().contains(['\n', '\r']) { raw(valid.get().replace(['\n', '\r'], " "), "metadata") } else { Ok(valid) }
}

fn is_false(value: &bool) -> bool {
    !*value
}

#[cfg(test)]
mod tests;
