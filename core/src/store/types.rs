//! The words of the store: what goes in and what comes out.

use crate::{Entry, Precondition, Projection, State, Timestamp, Value, Version};

/// The most items that one call takes.
pub const MAX_ITEMS: usize = 1000;

/// The largest page, and the most that one call of a walk looks at.
pub const MAX_PAGE: u32 = 10_000;

/// When an entry is to expire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Expiry {
    /// `set` takes the namespace's default, or else clears it; increment, append and metadata changes leave it.
    #[default]
    Unspecified,
    /// As it is.
    Keep,
    /// Never.
    Never,
    /// From now, in milliseconds, more than 0.
    After(u64),
    /// As `After`, and `get` starts it anew (when an eighth of the span has passed; a lost race never fails the read).
    Sliding(u64),
    /// In the future.
    At(Timestamp),
}

/// How an entry is to be set.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SetOptions {
    /// When it expires.
    pub expiry: Expiry,
    /// A media type.
    pub content_type: Option<String>,
    /// The text of a JSON object. Where `expiry` is unspecified, a numeric `ttl` in it (seconds, fractions allowed, more
    /// than 0) sets the expiry; where `content_type` is none, a text `content_type` in it is taken. Both stay in the
    /// metadata.
    pub metadata: Option<String>,
    /// What must be there.
    pub precondition: Precondition,
    /// How much of the state in the way a conflict carries.
    pub on_conflict: Projection,
}

/// One entry to set.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// The key.
    pub key: String,
    /// The value.
    pub value: Value,
    /// How.
    pub options: SetOptions,
}

/// What became of a set.
#[derive(Clone, Debug, PartialEq)]
pub enum SetResult {
    /// Done: the new version.
    Written(Version),
    /// The state in the way, as much of it as asked for; none: absent by then, or not asked for.
    Conflict(Option<State>),
}

/// What became of a delete.
#[derive(Clone, Debug, PartialEq)]
pub enum DeleteResult {
    /// Done.
    Deleted,
    /// There was nothing.
    Absent,
    /// The state in the way, as much of it as asked for; none: absent by then, or not asked for.
    Conflict(Option<State>),
}

/// What became of a change of metadata or expiry.
#[derive(Clone, Debug, PartialEq)]
pub enum ChangeResult {
    /// Done: the new version.
    Written(Version),
    /// There is no such entry.
    Absent,
    /// The state in the way, without its value; none: absent by then.
    Conflict(Option<State>),
}

/// What became of a compare-and-swap.
#[derive(Clone, Debug, PartialEq)]
pub enum SwapResult {
    /// Done: the new version.
    Swapped(Version),
    /// What is there instead, with its value; none: absent.
    Different(Option<State>),
}

/// Something that must hold for a transaction.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// Of which key.
    pub key: String,
    /// What must be there.
    pub precondition: Precondition,
}

/// A part of a transaction.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Sets an entry.
    Set(Item),
    /// Removes one; nothing to remove is no failure.
    Delete(String),
}

/// Which part of a transaction stood in the way.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// Whether `index` counts the checks, or else the actions.
    pub in_checks: bool,
    /// From 0.
    pub index: u32,
    /// What is there instead, without its value; none: absent.
    pub current: Option<State>,
}

/// What became of a transaction.
#[derive(Clone, Debug, PartialEq)]
pub enum TransactionResult {
    /// The new version of each set, none for each delete, in the order of the actions.
    Committed(Vec<Option<Version>>),
    /// Nothing was applied.
    Failed(Failure),
}

/// What a counter counts in.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Numeric {
    /// Whole.
    Integer(i64),
    /// Finite.
    Number(f64),
}

impl From<Numeric> for Value {
    fn from(numeric: Numeric) -> Self {
        match numeric {
            Numeric::Integer(integer) => Value::Integer(integer),
            Numeric::Number(number) => Value::Number(number),
        }
    }
}

/// A counter after an increment.
#[derive(Clone, Debug, PartialEq)]
pub struct Counted {
    /// What it stands at.
    pub value: Numeric,
    /// The new version.
    pub version: Version,
}

/// An entry after an append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The new version.
    pub version: Version,
    /// Of the whole value now, in bytes.
    pub size: u64,
}

/// Which entries are meant: all that match `pattern` and, where given, hold the fields of `metadata` (a JSON object;
/// equal as JSON; arrays whole).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// See [`crate::Pattern`].
    pub pattern: String,
    /// The text of a JSON object.
    pub metadata: Option<String>,
}

impl Query {
    /// All that match the pattern.
    pub fn pattern(pattern: impl Into<String>) -> Self {
        Query { pattern: pattern.into(), metadata: None }
    }
}

/// A page of a listing.
#[derive(Clone, Debug, PartialEq)]
pub struct EntryPage {
    /// In key order.
    pub entries: Vec<Entry>,
    /// Where to go on; none at the end.
    pub cursor: Option<String>,
}

/// How far a walk has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// How many, in this call.
    pub count: u64,
    /// Where to go on; none at the end.
    pub cursor: Option<String>,
}

/// One child in the hierarchy of keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Child {
    /// Its name, as text: unescaped.
    pub segment: String,
    /// The key that it is, or would be.
    pub key: String,
    /// Whether there is an entry of just that key.
    pub is_entry: bool,
    /// How many entries lie below it, where asked for.
    pub below: Option<u64>,
    /// Whether any entry lies below it.
    pub has_children: bool,
}

/// A page of children.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChildPage {
    /// In the byte order of the first key that shows each.
    pub children: Vec<Child>,
    /// Where to go on; none at the end.
    pub cursor: Option<String>,
}

/// A page of namespaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamePage {
    /// In byte order.
    pub names: Vec<String>,
    /// Where to go on; none at the end.
    pub cursor: Option<String>,
}

/// What a clean-up did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cleaned {
    /// How many were removed.
    pub count: u32,
    /// Whether more may be left.
    pub more: bool,
}
