//! What is stored under a key, and what is asked of it.

use std::fmt;

use crate::{Error, Result, Timestamp, Value, ValueType, key};

/// Names one state of one key. Opaque: only equality means anything. It never comes again for the same key.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Version(String);

impl Version {
    /// The most bytes a version has.
    pub const MAX_BYTES: usize = 64;

    /// Takes a version as it was handed out: 1 to 64 printable ASCII characters without space, quote or backslash.
    pub fn new(text: impl Into<String>) -> Result<Self> {
        Self::checked(text.into())
    }

    fn checked(text: String) -> Result<Self> {
        let legal = |b: u8| b.is_ascii_graphic() && b != b'"' && b != b'\\';
        if text.is_empty() || text.len() > Self::MAX_BYTES || !text.bytes().all(legal) {
            return Err(Error::InvalidArgument("a version is 1 to 64 printable ASCII characters".into()));
        }
        Ok(Version(text))
    }

    /// A version from a storage, which answers for its form.
    #[cfg(any(feature = "component", test))]
    pub(crate) fn trusted(text: String) -> Self {
        Version(text)
    }

    /// As it is kept.
    #[cfg(any(feature = "component", test))]
    pub(crate) fn text(&self) -> &String {
        &self.0
    }

    /// The version that 128 random bits stand for: 32 hexadecimal digits.
    pub fn from_random(bits: u128) -> Self {
        Version(key::hexadecimal(&bits.to_be_bytes()))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As text, owned.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Version({})", self.0)
    }
}

/// What is known of an entry besides its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Attributes {
    /// How the value's bytes are to be read.
    pub value_type: ValueType,
    /// A media type, where the caller gave one.
    pub content_type: Option<String>,
    /// The caller's own metadata: the text of a JSON object; none where it is empty.
    pub metadata: Option<String>,
    /// When this key came to be: kept until the entry is deleted or expires.
    pub created_at: Timestamp,
    /// When value or metadata were last written.
    pub updated_at: Timestamp,
    /// From this instant on the entry is absent.
    pub expires_at: Option<Timestamp>,
    /// With a sliding expiry: how far a read moves `expires_at`, in milliseconds.
    pub sliding_ms: Option<u64>,
    /// Of the value, in bytes.
    pub size: u64,
    /// CRC-32C of the value.
    pub checksum: u32,
}

impl Attributes {
    /// Whether the entry is absent at `now`.
    pub fn expired(&self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|at| at <= now)
    }
}

/// One state of one key.
#[derive(Clone, PartialEq)]
pub struct State {
    /// Which state.
    pub version: Version,
    /// All but the value.
    pub attributes: Attributes,
    /// The value's bytes; none where they were not asked for.
    pub value: Option<Vec<u8>>,
}

impl State {
    /// The value, typed; none where it was not asked for. `corrupt` where the bytes are not of their type.
    pub fn decode(&self) -> Result<Option<Value>> {
        self.value.clone().map(|bytes| Value::decode(self.attributes.value_type.clone(), bytes)).transpose()
    }

    /// As [`State::decode`], without a copy.
    pub fn into_value(self) -> Result<Option<Value>> {
        self.value.map(|bytes| Value::decode(self.attributes.value_type, bytes)).transpose()
    }
}

/// Values stay out of logs: only their length is shown.
impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("version", &self.version)
            .field("attributes", &self.attributes)
            .field("value_bytes", &self.value.as_ref().map(Vec::len))
            .finish()
    }
}

/// One item of a listing.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// None where only keys were asked for.
    pub state: Option<State>,
}

/// How much of an entry is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Projection {
    /// Nothing but the key.
    #[default]
    Key,
    /// Version and attributes.
    Attributes,
    /// Version, attributes and value.
    Value,
}

/// What must be there for a change to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Precondition {
    /// Whatever is there.
    #[default]
    None,
    /// No entry, or an expired one.
    Absent,
    /// A living entry of exactly this version.
    Version(Version),
}

impl Precondition {
    /// Whether it holds for the living state's version, if there is one.
    pub fn holds(&self, current: Option<&Version>) -> bool {
        match self {
            Precondition::None => true,
            Precondition::Absent => current.is_none(),
            Precondition::Version(version) => current == Some(version),
        }
    }
}
