//! The layouts of the core's own types. What a caller sends is checked on its way in; what a storage answers is trusted.

#[cfg(test)]
use super::abi::case;
use super::abi::{Arena, Layout, Lift, Lower, aligned, largest, payload, record, variant};
use crate::{
    Attributes, Capabilities, Entry, Error, LimitExceeded, Precondition, Projection, Result, State, Value, ValueType,
    Version,
    storage::{Amendment, Change, Hint, Mutation, Names, Outcome, Page, Range, Reclaimed},
    store::{
        Action, Appended, ChangeResult, Check, Child, ChildPage, Cleaned, Counted, DeleteResult, EntryPage, Expiry,
        Failure, Item, NamePage, Numeric, Progress, SetOptions, SetResult, SwapResult, TransactionResult,
    },
};

// `types`

impl Layout for Version {
    const SIZE: usize = String::SIZE;
    const ALIGN: usize = String::ALIGN;
    #[cfg(test)]
    fn shape() -> String {
        String::shape()
    }
}
impl Lower for Version {
    unsafe fn lower(&self, at: *mut u8, arena: &mut Arena) {
        unsafe { self.text().lower(at, arena) }
    }
}
impl Lift for Version {
    unsafe fn lift(at: *const u8) -> Self {
        Version::trusted(unsafe { String::lift(at) })
    }
}

variant!(ValueType as "value-type" {
    0 Text, 1 Bytes, 2 Integer, 3 Number, 4 Boolean, 5 Null, 6 Json, 7 Custom(name: String),
} lower lift);

record!(Attributes as "attributes" {
    value_type: ValueType,
    content_type: Option<String>,
    metadata: Option<String>,
    created_at: u64,
    updated_at: u64,
    expires_at: Option<u64>,
    sliding_ms: Option<u64>,
    size: u64,
    checksum: u32,
} lower lift);

record!(State as "state" { version: Version, attributes: Attributes, value: Option<Vec<u8>> } lower lift);

record!(Entry as "entry" { key: String, state: Option<State> } lower lift);

variant!(Projection as "projection" { 0 Key, 1 Attributes, 2 Value } lower lift);

record!(Capabilities as "capability-set" {
    durable: bool,
    shared: bool,
    max_atomic: u32,
    max_value_bytes: u64,
    max_metadata_bytes: u64,
    sliding: bool,
    cheap_amend: bool,
    native_expiry: bool,
    indexed_scan: bool,
    extra: Vec<(String, String)>,
} lower lift);

variant!(Precondition as "precondition" { 0 None, 1 Absent, 2 Version(version: Version) } lower);

record!(LimitExceeded as "limit-exceeded" { what: String, limit: u64, actual: u64 } lower lift);

variant!(Error as "error" {
    0 InvalidArgument(message: String),
    1 TooLarge(limit: Box<LimitExceeded>),
    2 TypeMismatch(message: String),
    3 Overflow(message: String),
    4 Unsupported(message: String),
    5 AccessDenied(message: String),
    6 RateLimited(milliseconds: Option<Box<u64>>),
    7 Unavailable(message: String),
    8 OutcomeUnknown(message: String),
    9 Corrupt(message: String),
    10 Internal(message: String),
} lower lift);

// `storage`

record!(Amendment as "amendment" {
    content_type: Option<String>,
    metadata: Option<String>,
    updated_at: u64,
    expires_at: Option<u64>,
    sliding_ms: Option<u64>,
} lower);

impl Layout for Change {
    const ALIGN: usize = largest(&[Attributes::ALIGN, Amendment::ALIGN, u64::ALIGN]);
    const SIZE: usize = aligned(payload(Self::ALIGN) + largest(&[CONTENT, Amendment::SIZE, u64::SIZE]), Self::ALIGN);
    #[cfg(test)]
    fn shape() -> String {
        let content = format!("record content {{attributes: {}, value: list<u8>}}", Attributes::shape());
        format!("variant change {{put({content}), amend({}), extend(u64), delete, check}}", Amendment::shape())
    }
}
/// Where a `content` has its value, and its size.
const VALUE: usize = aligned(Attributes::SIZE, <Vec<u8>>::ALIGN);
const CONTENT: usize = aligned(VALUE + <Vec<u8>>::SIZE, Attributes::ALIGN);

impl Lower for Change {
    unsafe fn lower(&self, at: *mut u8, arena: &mut Arena) {
        unsafe {
            let to = at.add(payload(Self::ALIGN));
            at.write(match self {
                Change::Put { attributes, value } => {
                    attributes.lower(to, arena);
                    value.lower(to.add(VALUE), arena);
                    0
                }
                Change::Amend(amendment) => {
                    amendment.lower(to, arena);
                    1
                }
                Change::Extend(until) => {
                    until.lower(to, arena);
                    2
                }
                Change::Delete => 3,
                Change::Check => 4,
            });
        }
    }
}

record!(Mutation as "mutation" { key: String, change: Change, precondition: Precondition } lower);

variant!(Outcome as "outcome" {
    0 Written(version: Version), 1 Held, 2 Deleted, 3 Absent, 4 Conflict(state: Option<State>), 5 NotApplied,
} lift);

record!(Range as "range" { from: Option<String>, to: Option<String>, after: Option<String> } lower);
record!(Hint as "hint" { pattern: Option<String>, metadata: Option<String> } lower);
record!(Page as "page" { items: Vec<Entry>, next: Option<String> } lift);
record!(Names as "names" { names: Vec<String>, next: Option<String> } lift);
record!(Reclaimed as "reclaimed" { count: u32, more: bool } lift);

// `store`, from the core to the caller

variant!(SetResult as "set-result" { 0 Written(version: Version), 1 Conflict(state: Option<State>) } lower);
variant!(DeleteResult as "delete-result" { 0 Deleted, 1 Absent, 2 Conflict(state: Option<State>) } lower);
variant!(ChangeResult as "change-result" {
    0 Written(version: Version), 1 Absent, 2 Conflict(state: Option<State>),
} lower);
variant!(SwapResult as "swap-result" { 0 Swapped(version: Version), 1 Different(state: Option<State>) } lower);
record!(Failure as "failure" { in_checks: bool, index: u32, current: Option<State> } lower);
variant!(TransactionResult as "transaction-result" {
    0 Committed(versions: Vec<Option<Version>>), 1 Failed(failure: Failure),
} lower);
variant!(Numeric as "numeric" { 0 Integer(integer: i64), 1 Number(number: f64) } lower);
record!(Counted as "counted" { value: Numeric, version: Version } lower);
record!(Appended as "appended" { version: Version, size: u64 } lower);
record!(EntryPage as "entry-page" { entries: Vec<Entry>, cursor: Option<String> } lower);
record!(Progress as "progress" { count: u64, cursor: Option<String> } lower);
record!(Child as "child" {
    segment: String, key: String, is_entry: bool, below: Option<u64>, has_children: bool,
} lower);
record!(ChildPage as "child-page" { children: Vec<Child>, cursor: Option<String> } lower);
record!(NamePage as "name-page" { names: Vec<String>, cursor: Option<String> } lower);
record!(Cleaned as "cleaned" { count: u32, more: bool } lower);

// `store`, from the caller to the core: as it came, and to be checked

variant!(Expiry as "expiry" {
    0 Unspecified, 1 Keep, 2 Never, 3 After(ms: u64), 4 Sliding(ms: u64), 5 At(at: u64),
} lift);

/// Of a caller's making.
pub(super) enum Demand {
    None,
    Absent,
    Version(String),
}
variant!(Demand as "precondition" { 0 None, 1 Absent, 2 Version(version: String) } lift);

impl Demand {
    pub(super) fn check(self) -> Result<Precondition> {
        Ok(match self {
            Demand::None => Precondition::None,
            Demand::Absent => Precondition::Absent,
            Demand::Version(version) => Precondition::Version(Version::new(version)?),
        })
    }
}

pub(super) struct Parts {
    pub(super) value_type: ValueType,
    pub(super) bytes: Vec<u8>,
}
record!(Parts as "value" { value_type: ValueType, bytes: Vec<u8> } lift);

impl Parts {
    pub(super) fn check(self) -> Result<Value> {
        Value::from_parts(self.value_type, self.bytes)
    }
}

pub(super) struct Options {
    expiry: Expiry,
    content_type: Option<String>,
    metadata: Option<String>,
    precondition: Demand,
    on_conflict: Projection,
}
record!(Options as "set-options" {
    expiry: Expiry,
    content_type: Option<String>,
    metadata: Option<String>,
    precondition: Demand,
    on_conflict: Projection,
} lift);

impl Options {
    pub(super) fn check(self) -> Result<SetOptions> {
        Ok(SetOptions {
            expiry: self.expiry,
            content_type: self.content_type,
            metadata: self.metadata,
            precondition: self.precondition.check()?,
            on_conflict: self.on_conflict,
        })
    }
}

pub(super) struct Candidate {
    pub(super) key: String,
    pub(super) value: Parts,
    pub(super) options: Options,
}
record!(Candidate as "item" { key: String, value: Parts, options: Options } lift);

impl Candidate {
    pub(super) fn check(self) -> Result<Item> {
        Ok(Item { key: self.key, value: self.value.check()?, options: self.options.check()? })
    }

    /// As [`Candidate::check`]; what is refused becomes an item that the core refuses in its place, beside the reason. Its
    /// key still takes part in the rules for the whole batch.
    pub(super) fn check_in_place(self) -> (Item, Option<Error>) {
        let key = self.key.clone();
        match self.check() {
            Ok(item) => (item, None),
            Err(error) => (Item { key, value: Value::Number(f64::NAN), options: SetOptions::default() }, Some(error)),
        }
    }
}

pub(super) struct CheckParts {
    key: String,
    precondition: Demand,
}
record!(CheckParts as "check" { key: String, precondition: Demand } lift);

impl CheckParts {
    pub(super) fn check(self) -> Result<Check> {
        Ok(Check { key: self.key, precondition: self.precondition.check()? })
    }
}

pub(super) enum ActionParts {
    Set(Candidate),
    Delete(String),
}
variant!(ActionParts as "action" { 0 Set(item: Candidate), 1 Delete(key: String) } lift);

impl ActionParts {
    pub(super) fn check(self) -> Result<Action> {
        Ok(match self {
            ActionParts::Set(item) => Action::Set(item.check()?),
            ActionParts::Delete(key) => Action::Delete(key),
        })
    }
}

// Arguments that are more than sixteen numbers lie in memory.

pub(super) struct ScanArguments {
    pub(super) namespace: String,
    pub(super) range: Range,
    pub(super) hint: Hint,
    pub(super) now: u64,
    pub(super) limit: u32,
    pub(super) want: Projection,
}
record!(ScanArguments as "scan" {
    namespace: String, range: Range, hint: Hint, now: u64, limit: u32, want: Projection,
} lower);

pub(super) struct SetArguments {
    pub(super) namespace: String,
    pub(super) item: Candidate,
}
record!(SetArguments as "set" { namespace: String, item: Candidate } lift);

pub(super) struct SwapArguments {
    pub(super) namespace: String,
    pub(super) key: String,
    pub(super) old: Option<Parts>,
    pub(super) new: Parts,
    pub(super) options: Options,
}
record!(SwapArguments as "compare-and-swap" {
    namespace: String, key: String, old: Option<Parts>, new: Parts, options: Options,
} lift);

#[cfg(test)]
mod tests {
    use wit_parser::{Function, Resolve, SizeAlign, Type, TypeDefKind, TypeOwner};

    use super::*;

    type Answer<T> = Result<T>;

    /// A type as the layouts write it down: names and order of fields and cases, and all that they are made of.
    fn shape(resolve: &Resolve, kind: &Type) -> String {
        let optional = |kind: &Option<Type>| kind.as_ref().map_or("_".into(), |kind| shape(resolve, kind));
        let Type::Id(id) = kind else {
            return match kind {
                Type::Bool => "bool",
                Type::U8 => "u8",
                Type::U32 => "u32",
                Type::U64 => "u64",
                Type::S64 => "s64",
                Type::F64 => "f64",
                Type::String => "string",
                other => panic!("{other:?}"),
            }
            .into();
        };
        let definition = &resolve.types[*id];
        let name = definition.name.clone().unwrap_or_default();
        match &definition.kind {
            TypeDefKind::Type(kind) => shape(resolve, kind),
            TypeDefKind::List(kind) => format!("list<{}>", shape(resolve, kind)),
            TypeDefKind::Option(kind) => format!("option<{}>", shape(resolve, kind)),
            TypeDefKind::Result(result) => format!("result<{}, {}>", optional(&result.ok), optional(&result.err)),
            TypeDefKind::Tuple(tuple) => {
                let kinds: Vec<_> = tuple.types.iter().map(|kind| shape(resolve, kind)).collect();
                format!("tuple<{}>", kinds.join(", "))
            }
            TypeDefKind::Record(record) => {
                let fields = record.fields.iter().map(|field| (field.name.as_str(), &field.ty));
                record_shape(resolve, &name, fields)
            }
            TypeDefKind::Variant(variant) => {
                let cases = variant.cases.iter().map(|case| match &case.ty {
                    Some(kind) => format!("{}({})", case.name, shape(resolve, kind)),
                    None => case.name.clone(),
                });
                format!("variant {name} {{{}}}", cases.collect::<Vec<_>>().join(", "))
            }
            TypeDefKind::Enum(cases) => {
                let cases: Vec<_> = cases.cases.iter().map(|case| case.name.clone()).collect();
                format!("variant {name} {{{}}}", cases.join(", "))
            }
            other => panic!("{other:?}"),
        }
    }

    fn record_shape<'a>(resolve: &Resolve, name: &str, fields: impl Iterator<Item = (&'a str, &'a Type)>) -> String {
        let fields: Vec<_> = fields.map(|(name, kind)| format!("{name}: {}", shape(resolve, kind))).collect();
        format!("record {name} {{{}}}", fields.join(", "))
    }

    fn wit() -> Resolve {
        let mut resolve = Resolve::default();
        resolve.push_dir("../wit").unwrap();
        resolve
    }

    fn function<'a>(resolve: &'a Resolve, interface: &str, name: &str) -> &'a Function {
        let (_, interface) = resolve.interfaces.iter().find(|(_, i)| i.name.as_deref() == Some(interface)).unwrap();
        &interface.functions[name]
    }

    #[test]
    fn every_named_type_has_wits_layout() {
        let resolve = wit();
        let mut sizes = SizeAlign::default();
        sizes.fill(&resolve).unwrap();
        let mut checked = 0;
        macro_rules! check {
            ($($interface:literal $name:literal $type:ty),* $(,)?) => {$(
                let (id, _) = resolve.types.iter().find(|(_, definition)| {
                    let TypeOwner::Interface(interface) = definition.owner else { return false };
                    definition.name.as_deref() == Some($name)
                        && resolve.interfaces[interface].name.as_deref() == Some($interface)
                }).unwrap();
                assert_eq!(<$type>::shape(), shape(&resolve, &Type::Id(id)));
                assert_eq!(<$type>::SIZE, sizes.size(&Type::Id(id)).size_wasm32(), $name);
                assert_eq!(<$type>::ALIGN, sizes.align(&Type::Id(id)).align_wasm32(), $name);
                checked += 1;
            )*};
        }
        check!(
            "types" "value-type" ValueType, "types" "attributes" Attributes, "types" "state" State,
            "types" "entry" Entry, "types" "projection" Projection, "types" "capability-set" Capabilities,
            "types" "precondition" Precondition, "types" "precondition" Demand,
            "types" "limit-exceeded" LimitExceeded, "types" "error" Error,
            "storage" "amendment" Amendment, "storage" "change" Change, "storage" "mutation" Mutation,
            "storage" "outcome" Outcome, "storage" "range" Range, "storage" "hint" Hint, "storage" "page" Page,
            "storage" "names" Names, "storage" "reclaimed" Reclaimed,
            "store" "value" Parts, "store" "expiry" Expiry, "store" "set-options" Options, "store" "item" Candidate,
            "store" "set-result" SetResult, "store" "delete-result" DeleteResult,
            "store" "change-result" ChangeResult, "store" "swap-result" SwapResult, "store" "check" CheckParts,
            "store" "action" ActionParts, "store" "failure" Failure, "store" "transaction-result" TransactionResult,
            "store" "numeric" Numeric, "store" "counted" Counted, "store" "appended" Appended,
            "store" "entry-page" EntryPage, "store" "progress" Progress, "store" "child" Child,
            "store" "child-page" ChildPage, "store" "name-page" NamePage, "store" "cleaned" Cleaned,
        );
        assert_eq!(checked, 40);
    }

    #[test]
    fn every_function_answers_what_wit_says() {
        let resolve = wit();
        macro_rules! check {
            ($interface:literal: $($name:literal $type:ty),* $(,)?) => {
                $(
                    let result = function(&resolve, $interface, $name).result.as_ref().unwrap();
                    assert_eq!(<$type>::shape(), shape(&resolve, result), $name);
                )*
                let (_, all) = resolve.interfaces.iter().find(|(_, i)| i.name.as_deref() == Some($interface)).unwrap();
                let answering = all.functions.values().filter(|function| function.result.is_some()).count();
                assert_eq!(answering, [$($name),*].len());
            };
        }
        check!("storage":
            "capabilities" Capabilities, "default-ttls" Vec<(String, u64)>, "get" Answer<Option<State>>,
            "get-many" Answer<Vec<Answer<Option<State>>>>, "write" Answer<Vec<Answer<Outcome>>>, "scan" Answer<Page>,
            "count" Answer<Option<u64>>, "reclaim" Answer<Reclaimed>, "clear" Answer<bool>,
            "namespaces" Answer<Names>,
        );
        check!("store":
            "capabilities" Capabilities, "get" Answer<Option<State>>, "get-many" Answer<Vec<Answer<Option<State>>>>,
            "describe" Answer<Option<State>>, "set" Answer<SetResult>, "set-many" Answer<Vec<Answer<SetResult>>>,
            "delete" Answer<DeleteResult>, "delete-many" Answer<Vec<Answer<DeleteResult>>>,
            "transact" Answer<TransactionResult>, "compare-and-swap" Answer<SwapResult>,
            "increment" Answer<Counted>, "append" Answer<Appended>, "update-metadata" Answer<ChangeResult>,
            "replace-metadata" Answer<ChangeResult>, "set-expiry" Answer<ChangeResult>,
            "list-entries" Answer<EntryPage>, "count" Answer<Progress>, "delete-matching" Answer<Progress>,
            "children" Answer<ChildPage>, "cleanup-expired" Answer<Cleaned>, "clear" Answer<bool>,
            "namespaces" Answer<NamePage>,
        );
    }

    #[test]
    fn arguments_in_memory_are_wits() {
        let resolve = wit();
        let arguments = |interface, name| {
            let parameters = function(&resolve, interface, name).params.iter();
            record_shape(&resolve, name, parameters.map(|parameter| (parameter.name.as_str(), &parameter.ty)))
        };
        assert_eq!(ScanArguments::shape(), arguments("storage", "scan"));
        assert_eq!(SetArguments::shape(), arguments("store", "set"));
        assert_eq!(SwapArguments::shape(), arguments("store", "compare-and-swap"));
    }
}
