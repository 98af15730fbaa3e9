//! What is asked, as JSON. Unknown members are refused: a misspelt option must not be dropped silently.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::value::decode;
use super::{TypedValue, is_false, present, raw_metadata};
use crate::store::{self, Expiry, Numeric, SetOptions};
use crate::{Error, Precondition, Projection, Result, Timestamp, Value, Version};

/// Expiries that are no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExpiryWord {
    /// As it is; on a sliding entry a touch with it starts the span anew.
    Keep,
    /// Never.
    Never,
}

impl ExpiryWord {
    /// `keep` or `never`.
    pub fn parse(text: &str) -> Result<Self> {
        match text {
            "keep" => Ok(ExpiryWord::Keep),
            "never" => Ok(ExpiryWord::Never),
            _ => Err(Error::InvalidArgument("expiry: keep or never".into())),
        }
    }

    /// As [`ExpiryWord::parse`] reads it.
    pub fn as_str(self) -> &'static str {
        match self {
            ExpiryWord::Keep => "keep",
            ExpiryWord::Never => "never",
        }
    }
}

/// The four ways to say when an entry expires, of which at most one is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExpiryFields {
    /// From now, in milliseconds.
    pub ttl_ms: Option<u64>,
    /// In milliseconds since the Unix epoch.
    pub expires_at: Option<Timestamp>,
    /// From now and from each `get`, in milliseconds.
    pub sliding_ms: Option<u64>,
    /// Otherwise.
    pub expiry: Option<ExpiryWord>,
}

impl TryFrom<ExpiryFields> for Expiry {
    type Error = Error;

    fn try_from(fields: ExpiryFields) -> Result<Self> {
        match (fields.ttl_ms, fields.expires_at, fields.sliding_ms, fields.expiry) {
            (None, None, None, None) => Ok(Expiry::Unspecified),
            (Some(span), None, None, None) => Ok(Expiry::After(span)),
            (None, Some(at), None, None) => Ok(Expiry::At(at)),
            (None, None, Some(span), None) => Ok(Expiry::Sliding(span)),
            (None, None, None, Some(ExpiryWord::Keep)) => Ok(Expiry::Keep),
            (None, None, None, Some(ExpiryWord::Never)) => Ok(Expiry::Never),
            _ => Err(Error::InvalidArgument("give at most one of ttl_ms, expires_at, sliding_ms and expiry".into())),
        }
    }
}

impl From<Expiry> for ExpiryFields {
    fn from(expiry: Expiry) -> Self {
        let mut fields = ExpiryFields::default();
        match expiry {
            Expiry::Unspecified => {}
            Expiry::Keep => fields.expiry = Some(ExpiryWord::Keep),
            Expiry::Never => fields.expiry = Some(ExpiryWord::Never),
            Expiry::After(span) => fields.ttl_ms = Some(span),
            Expiry::Sliding(span) => fields.sliding_ms = Some(span),
            Expiry::At(at) => fields.expires_at = Some(at),
        }
        fields
    }
}

/// How much of an entry is wanted: a comma-separated list of `key`, `metadata` (version and all attributes) and `value`
/// (those too).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Include(pub Projection);

impl Include {
    /// Reads the list; an empty one is the key alone.
    pub fn parse(text: &str) -> Result<Self> {
        let mut want = Projection::Key;
        for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            want = want.max(match name {
                "key" => Projection::Key,
                "metadata" => Projection::Attributes,
                "value" => Projection::Value,
                _ => return Err(Error::InvalidArgument("include: key, metadata or value, separated by commas".into())),
            });
        }
        Ok(Include(want))
    }

    /// One name that reads back the same.
    pub fn as_str(self) -> &'static str {
        match self.0 {
            Projection::Key => "key",
            Projection::Attributes => "metadata",
            Projection::Value => "value",
        }
    }

    fn is_key(&self) -> bool {
        self.0 == Projection::Key
    }
}

impl From<Include> for String {
    fn from(include: Include) -> Self {
        include.as_str().into()
    }
}

impl TryFrom<String> for Include {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        Include::parse(&text)
    }
}

/// The two members that state a precondition.
fn precondition(if_version: Option<String>, if_absent: bool) -> Result<Precondition> {
    match (if_version, if_absent) {
        (None, false) => Ok(Precondition::None),
        (None, true) => Ok(Precondition::Absent),
        (Some(version), false) => Ok(Precondition::Version(Version::new(version)?)),
        (Some(_), true) => Err(Error::InvalidArgument("give at most one of if_version and if_absent".into())),
    }
}

fn conditions(precondition: Precondition) -> (Option<String>, bool) {
    match precondition {
        Precondition::None => (None, false),
        Precondition::Absent => (None, true),
        Precondition::Version(version) => (Some(version.into_string()), false),
    }
}

/// One entry to set.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// The key.
    pub key: String,
    /// The value: must be there, if only as `null`.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub value: Option<Box<RawValue>>,
    /// How to read it.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub type_name: Option<String>,
    /// See [`ExpiryFields`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_ms: Option<u64>,
    /// See [`ExpiryFields`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// See [`ExpiryFields`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sliding_ms: Option<u64>,
    /// See [`ExpiryFields`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiry: Option<ExpiryWord>,
    /// A JSON object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Box<RawValue>>,
    /// A media type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Only where this version is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_version: Option<String>,
    /// Only where there is none.
    #[serde(default, skip_serializing_if = "is_false")]
    pub if_absent: bool,
    /// How much of the state in the way a conflict carries.
    #[serde(default, skip_serializing_if = "Include::is_key")]
    pub on_conflict: Include,
}

impl TryFrom<&store::Item> for Item {
    type Error = Error;

    fn try_from(item: &store::Item) -> Result<Self> {
        let TypedValue { value, type_name } = TypedValue::new(&item.value)?;
        let ExpiryFields { ttl_ms, expires_at, sliding_ms, expiry } = item.options.expiry.into();
        let (if_version, if_absent) = conditions(item.options.precondition.clone());
        Ok(Item {
            key: item.key.clone(),
            value: Some(value),
            type_name,
            ttl_ms,
            expires_at,
            sliding_ms,
            expiry,
            metadata: item.options.metadata.clone().map(raw_metadata).transpose()?,
            content_type: item.options.content_type.clone(),
            if_version,
            if_absent,
            on_conflict: Include(item.options.on_conflict),
        })
    }
}

impl TryFrom<Item> for store::Item {
    type Error = Error;

    fn try_from(item: Item) -> Result<Self> {
        let value = item.value.ok_or_else(|| Error::InvalidArgument("value is missing, give it or null".into()))?;
        Ok(store::Item {
            key: item.key,
            value: decode(value.get(), item.type_name.as_deref())?,
            options: SetOptions {
                expiry: ExpiryFields {
                    ttl_ms: item.ttl_ms,
                    expires_at: item.expires_at,
                    sliding_ms: item.sliding_ms,
                    expiry: item.expiry,
                }
                .try_into()?,
                content_type: item.content_type,
                metadata: item.metadata.map(|text| Box::<str>::from(text).into_string()),
                precondition: precondition(item.if_version, item.if_absent)?,
                on_conflict: item.on_conflict.0,
            },
        })
    }
}

/// Entries to set: each [`Item`] is read by itself, so that a bad one fails alone.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Batch {
    /// At most 1000.
    pub items: Vec<Box<RawValue>>,
}

impl Batch {
    /// Writes the items.
    pub fn new(items: &[Item]) -> Result<Self> {
        let raw = |item| serde_json::value::to_raw_value(item).map_err(|e| Error::Internal(format!("JSON: {e}")));
        Ok(Batch { items: items.iter().map(raw).collect::<Result<_>>()? })
    }

    /// Reads one of them, and its key where that much can be read.
    pub fn read(item: &RawValue) -> (String, Result<store::Item>) {
        #[derive(Deserialize)]
        struct Named {
            #[serde(default)]
            key: String,
        }
        let read = super::from_json::<Item>(item.get().as_bytes()).and_then(store::Item::try_from);
        let key = match &read {
            Ok(item) => item.key.clone(),
            Err(_) => serde_json::from_str::<Named>(item.get()).map(|named| named.key).unwrap_or_default(),
        };
        (key, read)
    }
}

/// Keys, for `delete-many`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keys {
    /// At most 1000.
    pub keys: Vec<String>,
}

/// Keys, for `get-many`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GetMany {
    /// At most 1000.
    pub keys: Vec<String>,
    /// How much of each entry; none: all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub include: Option<Include>,
}

/// All or nothing.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transaction {
    /// What must hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub checks: Vec<Check>,
    /// What is done.
    #[serde(default)]
    pub actions: Vec<Action>,
}

impl Transaction {
    /// Writes it.
    pub fn new(checks: Vec<store::Check>, actions: &[store::Action]) -> Result<Self> {
        let action = |action: &store::Action| {
            Ok(match action {
                store::Action::Set(item) => Action::Set(Box::new(Item::try_from(item)?)),
                store::Action::Delete(key) => Action::Delete(key.clone()),
            })
        };
        Ok(Transaction {
            checks: checks.into_iter().map(Check::from).collect(),
            actions: actions.iter().map(action).collect::<Result<_>>()?,
        })
    }

    /// Reads it.
    pub fn into_parts(self) -> Result<(Vec<store::Check>, Vec<store::Action>)> {
        let action = |action| {
            Ok(match action {
                Action::Set(item) => store::Action::Set((*item).try_into()?),
                Action::Delete(key) => store::Action::Delete(key),
            })
        };
        Ok((
            self.checks.into_iter().map(store::Check::try_from).collect::<Result<_>>()?,
            self.actions.into_iter().map(action).collect::<Result<_>>()?,
        ))
    }
}

/// What must hold for a transaction; with neither condition it always does.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// Of which key.
    pub key: String,
    /// This version is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_version: Option<String>,
    /// Nothing is there.
    #[serde(default, skip_serializing_if = "is_false")]
    pub if_absent: bool,
}

impl From<store::Check> for Check {
    fn from(check: store::Check) -> Self {
        let (if_version, if_absent) = conditions(check.precondition);
        Check { key: check.key, if_version, if_absent }
    }
}

impl TryFrom<Check> for store::Check {
    type Error = Error;

    fn try_from(check: Check) -> Result<Self> {
        Ok(store::Check { key: check.key, precondition: precondition(check.if_version, check.if_absent)? })
    }
}

/// A part of a transaction: `{"set": {…}}` or `{"delete": "key"}`.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Sets an entry.
    Set(Box<Item>),
    /// Removes one.
    Delete(String),
}

/// `old` left out: the key must be absent (`null` is a value).
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CompareAndSwap {
    /// What must be there.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub old: Option<Box<RawValue>>,
    /// How to read `old`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub old_type: Option<String>,
    /// What is to be there: must be given.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub new: Option<Box<RawValue>>,
    /// How to read `new`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_type: Option<String>,
    /// See [`Item`], as all that follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_ms: Option<u64>,
    /// See [`Item`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// See [`Item`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sliding_ms: Option<u64>,
    /// See [`Item`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiry: Option<ExpiryWord>,
    /// See [`Item`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Box<RawValue>>,
    /// See [`Item`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// See [`Item`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub if_version: Option<String>,
    /// See [`Item`].
    #[serde(default, skip_serializing_if = "is_false")]
    pub if_absent: bool,
}

impl CompareAndSwap {
    /// Writes it.
    pub fn new(old: Option<&Value>, new: &Value, options: SetOptions) -> Result<Self> {
        let item = Item::try_from(&store::Item { key: String::new(), value: new.clone(), options })?;
        let old = old.map(TypedValue::new).transpose()?;
        let (old, old_type) = old.map_or((None, None), |old| (Some(old.value), old.type_name));
        Ok(CompareAndSwap {
            old,
            old_type,
            new: item.value,
            new_type: item.type_name,
            ttl_ms: item.ttl_ms,
            expires_at: item.expires_at,
            sliding_ms: item.sliding_ms,
            expiry: item.expiry,
            metadata: item.metadata,
            content_type: item.content_type,
            if_version: item.if_version,
            if_absent: item.if_absent,
        })
    }

    /// Reads it: the old value, the new one, and how to set it.
    pub fn into_parts(self) -> Result<(Option<Value>, Value, SetOptions)> {
        if self.old.is_none() && self.old_type.is_some() {
            return Err(Error::InvalidArgument("old_type is given without old".into()));
        }
        let old = self.old.map(|old| decode(old.get(), self.old_type.as_deref())).transpose()?;
        let new = self.new.ok_or_else(|| Error::InvalidArgument("new is missing, give it or null".into()))?;
        let item = store::Item::try_from(Item {
            key: String::new(),
            value: Some(new),
            type_name: self.new_type,
            ttl_ms: self.ttl_ms,
            expires_at: self.expires_at,
            sliding_ms: self.sliding_ms,
            expiry: self.expiry,
            metadata: self.metadata,
            content_type: self.content_type,
            if_version: self.if_version,
            if_absent: self.if_absent,
            on_conflict: Include(Projection::Value),
        })?;
        Ok((old, item.value, item.options))
    }
}

/// How far to count.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Increment {
    /// By how much; left out: 1.
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub delta: Option<Box<RawValue>>,
    /// `number` where `delta` is a number that looks like an integer.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub type_name: Option<String>,
    /// See [`ExpiryFields`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_ms: Option<u64>,
    /// See [`ExpiryFields`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// See [`ExpiryFields`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sliding_ms: Option<u64>,
    /// See [`ExpiryFields`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiry: Option<ExpiryWord>,
}

impl Increment {
    /// Writes it.
    pub fn new(delta: Numeric, expiry: Expiry) -> Result<Self> {
        let TypedValue { value, type_name } = TypedValue::new(&delta.into())?;
        let ExpiryFields { ttl_ms, expires_at, sliding_ms, expiry } = expiry.into();
        Ok(Increment { delta: Some(value), type_name, ttl_ms, expires_at, sliding_ms, expiry })
    }

    /// Reads it.
    pub fn into_parts(self) -> Result<(Numeric, Expiry)> {
        let Increment { delta, type_name, ttl_ms, expires_at, sliding_ms, expiry } = self;
        let delta = match delta {
            None if type_name.is_none() => Numeric::Integer(1),
            None => return Err(Error::InvalidArgument("type is given without delta".into())),
            Some(delta) => match decode(delta.get(), type_name.as_deref())? {
                Value::Integer(integer) => Numeric::Integer(integer),
                Value::Number(number) => Numeric::Number(number),
                _ => {
                    return Err(Error::InvalidArgument(
                        "delta is an integer of 64 bits or a number with a fraction or an exponent".into(),
                    ));
                }
            },
        };
        Ok((delta, ExpiryFields { ttl_ms, expires_at, sliding_ms, expiry }.try_into()?))
    }
}

/// When the entry is to expire: exactly one.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Touch {
    /// See [`ExpiryFields`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_ms: Option<u64>,
    /// See [`ExpiryFields`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// See [`ExpiryFields`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sliding_ms: Option<u64>,
    /// See [`ExpiryFields`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiry: Option<ExpiryWord>,
}

impl From<Expiry> for Touch {
    fn from(expiry: Expiry) -> Self {
        let ExpiryFields { ttl_ms, expires_at, sliding_ms, expiry } = expiry.into();
        Touch { ttl_ms, expires_at, sliding_ms, expiry }
    }
}

impl TryFrom<Touch> for Expiry {
    type Error = Error;

    fn try_from(touch: Touch) -> Result<Self> {
        let Touch { ttl_ms, expires_at, sliding_ms, expiry } = touch;
        ExpiryFields { ttl_ms, expires_at, sliding_ms, expiry }.try_into()
    }
}

/// How much to clean up.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cleanup {
    /// At most so many, in one step; left out: all, in as many steps as that takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}
