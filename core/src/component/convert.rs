//! WIT's types and the core's own. What a caller sends is checked on its way in; what a storage answers is trusted.

use super::bindings::{
    dataknobs::kv::{storage as imports, types as wit},
    exports::dataknobs::kv::store as exports,
};
use crate::{
    Attributes, Capabilities, Entry, Error, LimitExceeded, Precondition, Projection, Result, State, Value, ValueType,
    Version,
    storage::{Amendment, Change, Hint, Mutation, Names, Outcome, Page, Range, Reclaimed},
    store::{
        Action, Appended, ChangeResult, Check, Child, ChildPage, Cleaned, Counted, DeleteResult, EntryPage, Expiry,
        Failure, Item, NamePage, Numeric, Progress, Query, SetOptions, SetResult, SwapResult, TransactionResult,
    },
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
same_cases!(wit::Error => Error: InvalidArgument(m), TooLarge(l), TypeMismatch(m), Overflow(m), Unsupported(m),
    AccessDenied(m), RateLimited(ms), Unavailable(m), OutcomeUnknown(m), Corrupt(m), Internal(m));
same_cases!(Error => wit::Error: InvalidArgument(m), TooLarge(l), TypeMismatch(m), Overflow(m), Unsupported(m),
    AccessDenied(m), RateLimited(ms), Unavailable(m), OutcomeUnknown(m), Corrupt(m), Internal(m));
same_fields!(wit::Attributes => Attributes: value_type, content_type, metadata, created_at, updated_at, expires_at,
    sliding_ms, size, checksum);
same_fields!(Attributes => wit::Attributes: value_type, content_type, metadata, created_at, updated_at, expires_at,
    sliding_ms, size, checksum);
same_fields!(wit::CapabilitySet => Capabilities: durable, shared, max_atomic, max_value_bytes, max_metadata_bytes, sliding,
    cheap_amend, native_expiry, indexed_scan, extra);
same_fields!(Capabilities => wit::CapabilitySet: durable, shared, max_atomic, max_value_bytes, max_metadata_bytes, sliding,
    cheap_amend, native_expiry, indexed_scan, extra);

impl From<wit::State> for State {
    fn from(state: wit::State) -> Self {
        State { version: Version::trusted(state.version), attributes: state.attributes.into(), value: state.value }
    }
}

impl From<State> for wit::State {
    fn from(state: State) -> Self {
        wit::State { version: state.version.into_string(), attributes: state.attributes.into(), value: state.value }
    }
}

impl From<wit::Entry> for Entry {
    fn from(entry: wit::Entry) -> Self {
        Entry { key: entry.key, state: entry.state.map(Into::into) }
    }
}

impl From<Entry> for wit::Entry {
    fn from(entry: Entry) -> Self {
        wit::Entry { key: entry.key, state: entry.state.map(Into::into) }
    }
}

// To and from the storage.

same_fields!(Range => imports::Range: from, to, after);
same_fields!(Hint => imports::Hint: pattern, metadata);
same_fields!(imports::Names => Names: names, next);
same_fields!(imports::Reclaimed => Reclaimed: count, more);
same_fields!(Amendment => imports::Amendment: content_type, metadata, updated_at, expires_at, sliding_ms);

impl From<Precondition> for wit::Precondition {
    fn from(precondition: Precondition) -> Self {
        match precondition {
            Precondition::None => wit::Precondition::None,
            Precondition::Absent => wit::Precondition::Absent,
            Precondition::Version(version) => wit::Precondition::Version(version.into_string()),
        }
    }
}

impl From<Mutation> for imports::Mutation {
    fn from(mutation: Mutation) -> Self {
        imports::Mutation {
            key: mutation.key,
            change: match mutation.change {
                Change::Put { attributes, value } => {
                    imports::Change::Put(imports::Content { attributes: attributes.into(), value })
                }
                Change::Amend(amendment) => imports::Change::Amend(amendment.into()),
                Change::Extend(until) => imports::Change::Extend(until),
                Change::Delete => imports::Change::Delete,
                Change::Check => imports::Change::Check,
            },
            precondition: mutation.precondition.into(),
        }
    }
}

impl From<imports::Outcome> for Outcome {
    fn from(outcome: imports::Outcome) -> Self {
        match outcome {
            imports::Outcome::Written(version) => Outcome::Written(Version::trusted(version)),
            imports::Outcome::Held => Outcome::Held,
            imports::Outcome::Deleted => Outcome::Deleted,
            imports::Outcome::Absent => Outcome::Absent,
            imports::Outcome::Conflict(state) => Outcome::Conflict(state.map(Into::into)),
            imports::Outcome::NotApplied => Outcome::NotApplied,
        }
    }
}

impl From<imports::Page> for Page {
    fn from(page: imports::Page) -> Self {
        Page { items: list(page.items), next: page.next }
    }
}

// From the caller.

same_cases!(exports::Expiry => Expiry: Unspecified, Keep, Never, After(ms), Sliding(ms), At(at));
same_fields!(exports::Query => Query: pattern, metadata);

impl TryFrom<wit::Precondition> for Precondition {
    type Error = Error;
    fn try_from(precondition: wit::Precondition) -> Result<Self> {
        Ok(match precondition {
            wit::Precondition::None => Precondition::None,
            wit::Precondition::Absent => Precondition::Absent,
            wit::Precondition::Version(version) => Precondition::Version(Version::new(version)?),
        })
    }
}

impl TryFrom<exports::Value> for Value {
    type Error = Error;
    fn try_from(value: exports::Value) -> Result<Self> {
        Value::from_parts(value.value_type.into(), value.bytes)
    }
}

impl TryFrom<exports::SetOptions> for SetOptions {
    type Error = Error;
    fn try_from(options: exports::SetOptions) -> Result<Self> {
        Ok(SetOptions {
            expiry: options.expiry.into(),
            content_type: options.content_type,
            metadata: options.metadata,
            precondition: options.precondition.try_into()?,
            on_conflict: options.on_conflict.into(),
        })
    }
}

impl TryFrom<exports::Item> for Item {
    type Error = Error;
    fn try_from(item: exports::Item) -> Result<Self> {
        Ok(Item { key: item.key, value: item.value.try_into()?, options: item.options.try_into()? })
    }
}

impl TryFrom<exports::Check> for Check {
    type Error = Error;
    fn try_from(check: exports::Check) -> Result<Self> {
        Ok(Check { key: check.key, precondition: check.precondition.try_into()? })
    }
}

impl TryFrom<exports::Action> for Action {
    type Error = Error;
    fn try_from(action: exports::Action) -> Result<Self> {
        Ok(match action {
            exports::Action::Set(item) => Action::Set(item.try_into()?),
            exports::Action::Delete(key) => Action::Delete(key),
        })
    }
}

// To the caller.

same_fields!(Progress => exports::Progress: count, cursor);
same_fields!(Child => exports::Child: segment, key, is_entry, below, has_children);
same_fields!(NamePage => exports::NamePage: names, cursor);
same_fields!(Cleaned => exports::Cleaned: count, more);

impl From<SetResult> for exports::SetResult {
    fn from(result: SetResult) -> Self {
        match result {
            SetResult::Written(version) => exports::SetResult::Written(version.into_string()),
            SetResult::Conflict(state) => exports::SetResult::Conflict(state.map(Into::into)),
        }
    }
}

impl From<DeleteResult> for exports::DeleteResult {
    fn from(result: DeleteResult) -> Self {
        match result {
            DeleteResult::Deleted => exports::DeleteResult::Deleted,
            DeleteResult::Absent => exports::DeleteResult::Absent,
            DeleteResult::Conflict(state) => exports::DeleteResult::Conflict(state.map(Into::into)),
        }
    }
}

impl From<ChangeResult> for exports::ChangeResult {
    fn from(result: ChangeResult) -> Self {
        match result {
            ChangeResult::Written(version) => exports::ChangeResult::Written(version.into_string()),
            ChangeResult::Absent => exports::ChangeResult::Absent,
            ChangeResult::Conflict(state) => exports::ChangeResult::Conflict(state.map(Into::into)),
        }
    }
}

impl From<SwapResult> for exports::SwapResult {
    fn from(result: SwapResult) -> Self {
        match result {
            SwapResult::Swapped(version) => exports::SwapResult::Swapped(version.into_string()),
            SwapResult::Different(state) => exports::SwapResult::Different(state.map(Into::into)),
        }
    }
}

impl From<TransactionResult> for exports::TransactionResult {
    fn from(result: TransactionResult) -> Self {
        match result {
            TransactionResult::Committed(versions) => exports::TransactionResult::Committed(
                versions.into_iter().map(|version| version.map(Version::into_string)).collect(),
            ),
            TransactionResult::Failed(Failure { in_checks, index, current }) => {
                exports::TransactionResult::Failed(exports::Failure {
                    in_checks,
                    index,
                    current: current.map(Into::into),
                })
            }
        }
    }
}

impl From<Counted> for exports::Counted {
    fn from(counted: Counted) -> Self {
        exports::Counted { value: counted.value.into(), version: counted.version.into_string() }
    }
}

impl From<Appended> for exports::Appended {
    fn from(appended: Appended) -> Self {
        exports::Appended { version: appended.version.into_string(), size: appended.size }
    }
}

impl From<EntryPage> for exports::EntryPage {
    fn from(page: EntryPage) -> Self {
        exports::EntryPage { entries: list(page.entries), cursor: page.cursor }
    }
}

impl From<ChildPage> for exports::ChildPage {
    fn from(page: ChildPage) -> Self {
        exports::ChildPage { children: list(page.children), cursor: page.cursor }
    }
}
