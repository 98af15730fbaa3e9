//! WIT's types and the core's own. The component's answers are trusted but for versions, whose form is cheap to check.

use dataknobs_kv_core::{
    Attributes, Capabilities, Entry, Error, LimitExceeded, Precondition, Projection, Result, State, Value, ValueType,
    Version,
    storage::{Amendment, Change, Hint, Mutation, Names, Outcome, Page, Range, Reclaimed},
    store::{
        Action, Appended, ChangeResult, Check, Child, ChildPage, Cleaned, Counted, DeleteResult, EntryPage, Expiry,
        Failure, Item, NamePage, Numeric, Progress, Query, SetOptions, SetResult, SwapResult, TransactionResult,
    },
};

use crate::bindings::{
    dataknobs::kv::{storage as imports, types as wit},
    exports::dataknobs::kv::store as exports,
};

/// Enums and records whose cases and fields have the same names on both sides.
macro_rules! same_cases {
    ($from:ty => $to:ty: $($case:ident $(($inner:ident))?),* $(,)?) => {
        impl From<$from> for $to {
            fn from(from: $from) -> Self {
                type A = $from;
                type B = $to;
                match from {
                    $(A::$case $(($inner))? => B::$case $(($inner.into()))?,)*
                }
            }
        }
    };
}

macro_rules! same_fields {
    ($from:ty => $to:ty: $($field:ident),* $(,)?) => {
        impl From<$from> for $to {
            fn from(from: $from) -> Self {
                Self { $($field: from.$field.into()),* }
            }
        }
    };
}

/// A list whose items are converted one by one.
fn list<A, B: From<A>>(items: Vec<A>) -> Vec<B> {
    items.into_iter().map(B::from).collect()
}

// Both ways.

same_cases!(wit::ValueType => ValueType: Text, Bytes, Integer, Number, Boolean, Null, Json, Custom(name));
same_cases!(ValueType => wit::ValueType: Text, Bytes, Integer, Number, Boolean, Null, Json, Custom(name));
same_cases!(wit::Projection => Projection: Key, Attributes, Value);
same_cases!(Projection => wit::Projection: Key, Attributes, Value);
same_cases!(exports::Numeric => Numeric: Integer(value), Number(value));
same_cases!(Numeric => exports::Numeric: Integer(value), Number(value));
same_fields!(wit::LimitExceeded => LimitExceeded: what, limit, actual);
same_fields!(LimitExceeded => wit::LimitExceeded: what, limit, actual);
impl From<wit::LimitExceeded> for Box<LimitExceeded> {
    fn from(exceeded: wit::LimitExceeded) -> Self {
        Box::new(exceeded.into())
    }
}

impl From<wit::Error> for Error {
    fn from(error: wit::Error) -> Self {
        match error {
            wit::Error::InvalidArgument(m) => Error::InvalidArgument(m),
            wit::Error::TooLarge(l) => Error::TooLarge(l.into()),
            wit::Error::TypeMismatch(m) => Error::TypeMismatch(m),
            wit::Error::Overflow(m) => Error::Overflow(m),
            wit::Error::Unsupported(m) => Error::Unsupported(m),
            wit::Error::AccessDenied(m) => Error::AccessDenied(m),
            wit::Error::RateLimited(ms) => Error::RateLimited(ms.map(Box::new)),
            wit::Error::Unavailable(m) => Error::Unavailable(m),
            wit::Error::OutcomeUnknown(m) => Error::OutcomeUnknown(m),
            wit::Error::Corrupt(m) => Error::Corrupt(m),
            wit::Error::Internal(m) => Error::Internal(m),
        }
    }
}

impl From<Error> for wit::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::InvalidArgument(m) => wit::Error::InvalidArgument(m),
            Error::TooLarge(l) => wit::Error::TooLarge((*l).into()),
            Error::TypeMismatch(m) => wit::Error::TypeMismatch(m),
            Error::Overflow(m) => wit::Error::Overflow(m),
            Error::Unsupported(m) => wit::Error::Unsupported(m),
            Error::AccessDenied(m) => wit::Error::AccessDenied(m),
            Error::RateLimited(ms) => wit::Error::RateLimited(ms.map(|ms| *ms)),
            Error::Unavailable(m) => wit::Error::Unavailable(m),
            Error::OutcomeUnknown(m) => wit::Error::OutcomeUnknown(m),
            Error::Corrupt(m) => wit::Error::Corrupt(m),
            Error::Internal(m) => wit::Error::Internal(m),
            other => wit::Error::Internal(other.message()),
        }
    }
}

same_fields!(wit::Attributes => Attributes: value_type, content_type, metadata, created_at, updated_at, expires_at,
    sliding_ms, size, checksum);
same_fields!(Attributes => wit::Attributes: value_type, content_type, metadata, created_at, updated_at, expires_at,
    sliding_ms, size, checksum);
same_fields!(wit::CapabilitySet => Capabilities: durable, shared, max_atomic, max_value_bytes, max_metadata_bytes, sliding,
    cheap_amend, native_expiry, indexed_scan, extra);
same_fields!(Capabilities => wit::CapabilitySet: durable, shared, max_atomic, max_value_bytes, max_metadata_bytes, sliding,
    cheap_amend, native_expiry, indexed_scan, extra);

impl From<State> for wit::State {
    fn from(state: State) -> Self {
        wit::State { version: state.version.into_string(), attributes: state.attributes.into(), value: state.value }
    }
}

impl From<Entry> for wit::Entry {
    fn from(entry: Entry) -> Self {
        wit::Entry { key: entry.key, state: entry.state.map(Into::into) }
    }
}

fn version(text: String) -> Result<Version> {
    Version::new(text).map_err(|_| Error::Internal("the component gave a version that is none".into()))
}

fn optional<A, B>(from: Option<A>, convert: impl FnOnce(A) -> Result<B>) -> Result<Option<B>> {
    from.map(convert).transpose()
}

pub(crate) fn state(state: wit::State) -> Result<State> {
    Ok(State { version: version(state.version)?, attributes: state.attributes.into(), value: state.value })
}

fn entry(entry: wit::Entry) -> Result<Entry> {
    Ok(Entry { key: entry.key, state: optional(entry.state, state)? })
}

/// The answer of a batch: each result stands for itself.
pub(crate) fn each<A, B>(
    results: Vec<Result<A, wit::Error>>,
    convert: impl Fn(A) -> Result<B>,
) -> Result<Vec<Result<B>>> {
    Ok(results.into_iter().map(|result| convert(result?)).collect())
}

// From the component to the storage.

same_fields!(imports::Range => Range: from, to, after);
same_fields!(imports::Hint => Hint: pattern, metadata);
same_fields!(imports::Amendment => Amendment: content_type, metadata, updated_at, expires_at, sliding_ms);

pub(crate) fn mutation(mutation: imports::Mutation) -> Result<Mutation> {
    Ok(Mutation {
        key: mutation.key,
        change: match mutation.change {
            imports::Change::Put(content) => {
                Change::Put { attributes: content.attributes.into(), value: content.value }
            }
            imports::Change::Amend(amendment) => Change::Amend(amendment.into()),
            imports::Change::Extend(until) => Change::Extend(until),
            imports::Change::Delete => Change::Delete,
            imports::Change::Check => Change::Check,
        },
        precondition: match mutation.precondition {
            wit::Precondition::None => Precondition::None,
            wit::Precondition::Absent => Precondition::Absent,
            wit::Precondition::Version(text) => Precondition::Version(version(text)?),
        },
    })
}

// From the storage to the component.

same_fields!(Names => imports::Names: names, next);
same_fields!(Reclaimed => imports::Reclaimed: count, more);

impl From<Outcome> for imports::Outcome {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Written(version) => imports::Outcome::Written(version.into_string()),
            Outcome::Held => imports::Outcome::Held,
            Outcome::Deleted => imports::Outcome::Deleted,
            Outcome::Absent => imports::Outcome::Absent,
            Outcome::Conflict(state) => imports::Outcome::Conflict(state.map(Into::into)),
            Outcome::NotApplied => imports::Outcome::NotApplied,
        }
    }
}

impl From<Page> for imports::Page {
    fn from(page: Page) -> Self {
        imports::Page { items: list(page.items), next: page.next }
    }
}

// From the caller to the component, which checks what it gets.

same_cases!(Expiry => exports::Expiry: Unspecified, Keep, Never, After(ms), Sliding(ms), At(at));

impl From<&Query> for exports::Query {
    fn from(query: &Query) -> Self {
        exports::Query { pattern: query.pattern.clone(), metadata: query.metadata.clone() }
    }
}

impl From<Precondition> for wit::Precondition {
    fn from(precondition: Precondition) -> Self {
        match precondition {
            Precondition::None => wit::Precondition::None,
            Precondition::Absent => wit::Precondition::Absent,
            Precondition::Version(version) => wit::Precondition::Version(version.into_string()),
        }
    }
}

impl From<Value> for exports::Value {
    fn from(value: Value) -> Self {
        let (value_type, bytes) = value.encode();
        exports::Value { value_type: value_type.into(), bytes }
    }
}

same_fields!(SetOptions => exports::SetOptions: expiry, content_type, metadata, precondition, on_conflict);
same_fields!(Item => exports::Item: key, value, options);
same_fields!(Check => exports::Check: key, precondition);
same_cases!(Action => exports::Action: Set(item), Delete(key));

// From the component to the caller.

same_fields!(exports::Progress => Progress: count, cursor);
same_fields!(exports::Child => Child: segment, key, is_entry, below, has_children);
same_fields!(exports::NamePage => NamePage: names, cursor);
same_fields!(exports::Cleaned => Cleaned: count, more);

impl From<exports::ChildPage> for ChildPage {
    fn from(page: exports::ChildPage) -> Self {
        ChildPage { children: list(page.children), cursor: page.cursor }
    }
}

pub(crate) fn set_result(result: exports::SetResult) -> Result<SetResult> {
    Ok(match result {
        exports::SetResult::Written(text) => SetResult::Written(version(text)?),
        exports::SetResult::Conflict(current) => SetResult::Conflict(optional(current, state)?),
    })
}

pub(crate) fn delete_result(result: exports::DeleteResult) -> Result<DeleteResult> {
    Ok(match result {
        exports::DeleteResult::Deleted => DeleteResult::Deleted,
        exports::DeleteResult::Absent => DeleteResult::Absent,
        exports::DeleteResult::Conflict(current) => DeleteResult::Conflict(optional(current, state)?),
    })
}

pub(crate) fn change_result(result: exports::ChangeResult) -> Result<ChangeResult> {
    Ok(match result {
        exports::ChangeResult::Written(text) => ChangeResult::Written(version(text)?),
        exports::ChangeResult::Absent => ChangeResult::Absent,
        exports::ChangeResult::Conflict(current) => ChangeResult::Conflict(optional(current, state)?),
    })
}

pub(crate) fn swap_result(result: exports::SwapResult) -> Result<SwapResult> {
    Ok(match result {
        exports::SwapResult::Swapped(text) => SwapResult::Swapped(version(text)?),
        exports::SwapResult::Different(current) => SwapResult::Different(optional(current, state)?),
    })
}

pub(crate) fn transaction_result(result: exports::TransactionResult) -> Result<TransactionResult> {
    Ok(match result {
        exports::TransactionResult::Committed(versions) => {
            let versions = versions.into_iter().map(|text| optional(text, version));
            TransactionResult::Committed(versions.collect::<Result<_>>()?)
        }
        exports::TransactionResult::Failed(exports::Failure { in_checks, index, current }) => {
            TransactionResult::Failed(Failure { in_checks, index, current: optional(current, state)? })
        }
    })
}

pub(crate) fn counted(counted: exports::Counted) -> Result<Counted> {
    Ok(Counted { value: counted.value.into(), version: version(counted.version)? })
}

pub(crate) fn appended(appended: exports::Appended) -> Result<Appended> {
    Ok(Appended { version: version(appended.version)?, size: appended.size })
}

pub(crate) fn entry_page(page: exports::EntryPage) -> Result<EntryPage> {
    let entries = page.entries.into_iter().map(entry).collect::<Result<_>>()?;
    Ok(EntryPage { entries, cursor: page.cursor })
}
