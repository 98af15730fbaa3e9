//! What is answered, as JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::value::decode;
use super::{ABSENT, CONFLICT, Entry, ErrorInfo, TypedValue, http_status};
use crate::store::{self, DeleteResult, Numeric, SetResult, TransactionResult};
use crate::{Error, Result, State, Value, Version};

/// A page of a listing.
#[derive(Serialize, Deserialize)]
pub struct Page {
    /// In key order.
    pub items: Vec<Entry>,
    /// The cursor of the next page; `null` at the end.
    pub next: Option<String>,
}

/// A page of names.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Names {
    /// In byte order.
    pub items: Vec<String>,
    /// The cursor of the next page; `null` at the end.
    pub next: Option<String>,
}

/// A page of children.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Children {
    /// In order.
    pub items: Vec<Child>,
    /// The cursor of the next page; `null` at the end.
    pub next: Option<String>,
}

/// See [`store::Child`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Child {
    /// Its name, unescaped.
    pub segment: String,
    /// Its key.
    pub key: String,
    /// Whether there is an entry of that key.
    pub is_entry: bool,
    /// How many entries lie below it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below: Option<u64>,
    /// Whether any does.
    pub has_children: bool,
}

impl From<store::ChildPage> for Children {
    fn from(page: store::ChildPage) -> Self {
        let child = |child: store::Child| {
            let store::Child { segment, key, is_entry, below, has_children } = child;
            Child { segment, key, is_entry, below, has_children }
        };
        Children { items: page.children.into_iter().map(child).collect(), next: page.cursor }
    }
}

impl From<Children> for store::ChildPage {
    fn from(page: Children) -> Self {
        let child = |child: Child| {
            let Child { segment, key, is_entry, below, has_children } = child;
            store::Child { segment, key, is_entry, below, has_children }
        };
        store::ChildPage { children: page.items.into_iter().map(child).collect(), cursor: page.next }
    }
}

/// A count.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Counted {
    /// How many.
    pub count: u64,
    /// Only in step-by-step calls: where to go on; left out at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// What a delete by pattern did.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Deleted {
    /// How many.
    pub deleted: u64,
    /// Only in step-by-step calls: where to go on; left out at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// What a clean-up did.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Cleaned {
    /// How many were removed.
    pub removed: u64,
    /// Whether more may be left.
    pub more: bool,
}

/// What emptying a namespace did.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Cleared {
    /// Whether more may be left.
    pub more: bool,
}

/// What a change of metadata or expiry did.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Changed {
    /// The new version.
    pub version: String,
}

/// A counter after an increment.
#[derive(Serialize, Deserialize)]
pub struct Summed {
    /// What it stands at.
    pub value: Box<RawValue>,
    /// `number` where it is a number that looks like an integer.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub type_name: Option<String>,
    /// The new version.
    pub version: String,
}

impl TryFrom<store::Counted> for Summed {
    type Error = Error;

    fn try_from(counted: store::Counted) -> Result<Self> {
        let TypedValue { value, type_name } = TypedValue::new(&counted.value.into())?;
        Ok(Summed { value, type_name, version: counted.version.into_string() })
    }
}

impl TryFrom<Summed> for store::Counted {
    type Error = Error;

    fn try_from(summed: Summed) -> Result<Self> {
        let value = match decode(summed.value.get(), summed.type_name.as_deref())? {
            Value::Integer(integer) => Numeric::Integer(integer),
            Value::Number(number) => Numeric::Number(number),
            _ => return Err(Error::InvalidArgument("value: not numeric".into())),
        };
        Ok(store::Counted { value, version: Version::new(summed.version)? })
    }
}

/// An entry after an append.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Appended {
    /// Of the whole value now, in bytes.
    pub size: u64,
    /// The new version.
    pub version: String,
}

/// What a compare-and-swap did.
#[derive(Serialize, Deserialize)]
pub struct Swapped {
    /// Whether the value was as expected, and is now the new one.
    pub swapped: bool,
    /// Where swapped: the new version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Where not: what is there instead; left out where nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<Entry>,
}

/// What a transaction did.
#[derive(Default, Serialize, Deserialize)]
pub struct Committed {
    /// Whether all was done, or nothing.
    pub committed: bool,
    /// Where all: for each action the new version, `null` for deletes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub versions: Option<Vec<Option<String>>>,
    /// Where nothing: why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<Failed>,
}

/// Which part of a transaction stood in the way.
#[derive(Serialize, Deserialize)]
pub struct Failed {
    /// `checks` or `actions`.
    #[serde(rename = "in")]
    pub list: String,
    /// Which of them, from 0.
    pub index: u32,
    /// What is there, without its value; left out where nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<Entry>,
}

impl Committed {
    /// Writes a result; `key` names a failed part's key by list and index.
    pub fn new(result: TransactionResult, key: impl Fn(bool, usize) -> String) -> Result<Self> {
        Ok(match result {
            TransactionResult::Committed(versions) => Committed {
                committed: true,
                versions: Some(versions.into_iter().map(|version| version.map(Version::into_string)).collect()),
                failed: None,
            },
            TransactionResult::Failed(store::Failure { in_checks, index, current }) => {
                let entry =
                    |state| Entry::new(key(in_checks, usize::try_from(index).unwrap_or(usize::MAX)), Some(state));
                Committed {
                    committed: false,
                    versions: None,
                    failed: Some(Failed {
                        list: if in_checks { "checks" } else { "actions" }.into(),
                        index,
                        current: current.map(entry).transpose()?,
                    }),
                }
            }
        })
    }

    /// Reads it.
    pub fn into_result(self) -> Result<TransactionResult> {
        if self.committed {
            let versions = self.versions.unwrap_or_default();
            let read = |version: Option<String>| version.map(Version::new).transpose();
            return Ok(TransactionResult::Committed(versions.into_iter().map(read).collect::<Result<_>>()?));
        }
        let failed = self.failed.ok_or_else(|| Error::InvalidArgument("failed is missing".into()))?;
        Ok(TransactionResult::Failed(store::Failure {
            in_checks: failed.list == "checks",
            index: failed.index,
            current: state(failed.current)?,
        }))
    }
}

/// The state of an entry that may be missing.
fn state(entry: Option<Entry>) -> Result<Option<State>> {
    Ok(entry.map(Entry::into_state).transpose()?.flatten())
}

/// What became of the items of a batch.
#[derive(Serialize, Deserialize)]
pub struct Results {
    /// In the order of the items.
    pub results: Vec<ItemResult>,
    /// `get-many`: how many keys at the end were not looked at, since the answer was large enough; ask again for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remaining: Option<u64>,
}

/// What became of one item.
#[derive(Default, Serialize, Deserialize)]
pub struct ItemResult {
    /// Which.
    pub key: String,
    /// As the HTTP status that the item alone would have had.
    pub status: u16,
    /// Where that is no success: the error's code, [`ABSENT`] or [`CONFLICT`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// An error's message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// See [`ErrorInfo`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub what: Option<String>,
    /// See [`ErrorInfo`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// See [`ErrorInfo`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actual: Option<u64>,
    /// See [`ErrorInfo`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// Of what was set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// What was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<Entry>,
    /// After a lost race, where asked for: what is there instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<Entry>,
}

impl ItemResult {
    fn plain(key: String, status: u16, code: Option<&str>) -> Self {
        ItemResult { key, status, code: code.map(Into::into), ..ItemResult::default() }
    }

    /// That an item failed.
    pub fn failed(key: String, error: &Error) -> Self {
        let ErrorInfo { code, message, what, limit, actual, retry_after_ms } = error.into();
        ItemResult {
            status: http_status(error),
            message: Some(message),
            what,
            limit,
            actual,
            retry_after_ms,
            ..ItemResult::plain(key, 0, Some(&code))
        }
    }

    fn conflict(key: String, current: Option<State>) -> Self {
        match current.map(|state| Entry::new(key.clone(), Some(state))).transpose() {
            Ok(current) => ItemResult { current, ..ItemResult::plain(key, 412, Some(CONFLICT)) },
            Err(error) => ItemResult::failed(key, &error),
        }
    }

    /// What a set answered.
    pub fn of_set(key: String, result: Result<SetResult>) -> Self {
        match result {
            Ok(SetResult::Written(version)) => {
                ItemResult { version: Some(version.into_string()), ..ItemResult::plain(key, 204, None) }
            }
            Ok(SetResult::Conflict(current)) => Self::conflict(key, current),
            Err(error) => Self::failed(key, &error),
        }
    }

    /// What a delete answered.
    pub fn of_delete(key: String, result: Result<DeleteResult>) -> Self {
        match result {
            Ok(DeleteResult::Deleted) => Self::plain(key, 204, None),
            Ok(DeleteResult::Absent) => Self::plain(key, 404, Some(ABSENT)),
            Ok(DeleteResult::Conflict(current)) => Self::conflict(key, current),
            Err(error) => Self::failed(key, &error),
        }
    }

    /// What a get answered.
    pub fn of_get(key: String, result: Result<Option<State>>) -> Self {
        match result.and_then(|state| state.map(|state| Entry::new(key.clone(), Some(state))).transpose()) {
            Ok(Some(entry)) => ItemResult { entry: Some(entry), ..ItemResult::plain(key, 200, None) },
            Ok(None) => Self::plain(key, 404, Some(ABSENT)),
            Err(error) => Self::failed(key, &error),
        }
    }

    /// The error that it stands for, if it is one.
    fn error(&self) -> Option<Error> {
        let code = self.code.as_deref().filter(|code| *code != ABSENT && *code != CONFLICT)?;
        Some(
            ErrorInfo {
                code: code.into(),
                message: self.message.clone().unwrap_or_default(),
                what: self.what.clone(),
                limit: self.limit,
                actual: self.actual,
                retry_after_ms: self.retry_after_ms,
            }
            .into_error(),
        )
    }

    /// Reads what a set answered.
    pub fn into_set(self) -> Result<SetResult> {
        if let Some(error) = self.error() {
            return Err(error);
        }
        match (self.code.as_deref(), self.version) {
            (None, Some(version)) => Ok(SetResult::Written(Version::new(version)?)),
            (Some(CONFLICT), _) => Ok(SetResult::Conflict(state(self.current)?)),
            _ => Err(Error::Internal("an answer to a set that is neither done nor refused".into())),
        }
    }

    /// Reads what a delete answered.
    pub fn into_delete(self) -> Result<DeleteResult> {
        if let Some(error) = self.error() {
            return Err(error);
        }
        match self.code.as_deref() {
            None => Ok(DeleteResult::Deleted),
            Some(ABSENT) => Ok(DeleteResult::Absent),
            _ => Ok(DeleteResult::Conflict(state(self.current)?)),
        }
    }

    /// Reads what a get answered.
    pub fn into_get(self) -> Result<Option<State>> {
        match self.error() {
            Some(error) => Err(error),
            None => state(self.entry),
        }
    }
}

/// What the store can do: [`crate::Capabilities`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Capabilities {
    /// Acknowledged writes survive the death of the process.
    pub durable: bool,
    /// Several processes may use the same data at once.
    pub shared: bool,
    /// The largest transaction, in entries.
    pub max_atomic: u32,
    /// The largest value.
    pub max_value_bytes: u64,
    /// The largest metadata.
    pub max_metadata_bytes: u64,
    /// Sliding expiry works.
    pub sliding: bool,
    /// Changing metadata does not move the value.
    pub cheap_amend: bool,
    /// The backend drops expired entries by itself.
    pub native_expiry: bool,
    /// A page of a listing costs the page, not more.
    pub indexed_scan: bool,
    /// What else it says of itself.
    #[serde(default)]
    pub extra: BTreeMap<String, String>,
}

impl From<crate::Capabilities> for Capabilities {
    fn from(from: crate::Capabilities) -> Self {
        Capabilities {
            durable: from.durable,
            shared: from.shared,
            max_atomic: from.max_atomic,
            max_value_bytes: from.max_value_bytes,
            max_metadata_bytes: from.max_metadata_bytes,
            sliding: from.sliding,
            cheap_amend: from.cheap_amend,
            native_expiry: from.native_expiry,
            indexed_scan: from.indexed_scan,
            extra: from.extra.into_iter().collect(),
        }
    }
}

impl From<Capabilities> for crate::Capabilities {
    fn from(from: Capabilities) -> Self {
        crate::Capabilities {
            durable: from.durable,
            shared: from.shared,
            max_atomic: from.max_atomic,
            max_value_bytes: from.max_value_bytes,
            max_metadata_bytes: from.max_metadata_bytes,
            sliding: from.sliding,
            cheap_amend: from.cheap_amend,
            native_expiry: from.native_expiry,
            indexed_scan: from.indexed_scan,
            extra: from.extra.into_iter().collect(),
        }
    }
}
