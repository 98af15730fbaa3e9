//! Reading and writing in one step: compare-and-swap, counters, append, transactions.

use std::future::IntoFuture;

use dataknobs_kv_core::store::{
    Action, Appended, Check, Counted, Expiry, Item, Numeric, SetOptions, SwapResult, TransactionResult,
};
use dataknobs_kv_core::{Error, Precondition, Result, Value, Version};
use futures::future::{BoxFuture, FutureExt};

use crate::KvStore;
use crate::options::{expiry_setters, item_setters};

/// What a compare-and-swap expects to find: a value, or [`Expected::Absent`].
#[derive(Clone, Debug, PartialEq)]
pub enum Expected {
    /// No entry, or an expired one.
    Absent,
    /// Exactly this value: of the same type, JSON compared by meaning.
    Value(Value),
}

impl From<Option<Value>> for Expected {
    fn from(value: Option<Value>) -> Self {
        value.map_or(Expected::Absent, Expected::Value)
    }
}

macro_rules! expected {
    ($($type:ty),* $(,)?) => {$(
        impl From<$type> for Expected {
            fn from(value: $type) -> Self {
                Expected::Value(value.into())
            }
        }
    )*};
}
expected!(Value, &str, String, &String, Vec<u8>, &[u8], i64, i32, u32, i16, u16, i8, u8, f64, f32, bool, ());

/// By how much a counter moves: an integer, or a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Delta(pub Numeric);

impl From<Numeric> for Delta {
    fn from(numeric: Numeric) -> Self {
        Delta(numeric)
    }
}

macro_rules! delta {
    ($($type:ty => $variant:ident),* $(,)?) => {$(
        impl From<$type> for Delta {
            fn from(value: $type) -> Self {
                Delta(Numeric::$variant(value.into()))
            }
        }
    )*};
}
delta!(i64 => Integer, i32 => Integer, u32 => Integer, i16 => Integer, u16 => Integer, i8 => Integer, u8 => Integer,
    f64 => Number, f32 => Number);

/// A compare-and-swap to be awaited. See [`KvStore::compare_and_swap`].
#[must_use = "nothing happens until it is awaited"]
#[derive(Debug)]
pub struct CompareAndSwap<'a> {
    store: &'a KvStore,
    expected: Expected,
    item: Item,
    error: Option<Error>,
}

impl CompareAndSwap<'_> {
    expiry_setters!();
    item_setters!();
}

impl<'a> IntoFuture for CompareAndSwap<'a> {
    type Output = Result<SwapResult>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let CompareAndSwap { store, expected, item, error } = self;
        let old = match expected {
            Expected::Absent => None,
            Expected::Value(value) => Some(value),
        };
        async move {
            if let Some(error) = error {
                return Err(error);
            }
            store.store.compare_and_swap(&store.namespace, &item.key, old, item.value, item.options).await
        }
        .boxed()
    }
}

macro_rules! counting_builder {
    ($(#[$doc:meta])* $name:ident, $field:ident: $type:ty, $output:ty, $call:ident) => {
        $(#[$doc])*
        #[must_use = "nothing happens until it is awaited"]
        #[derive(Debug)]
        pub struct $name<'a> {
            store: &'a KvStore,
            key: String,
            $field: $type,
            expiry: Expiry,
            error: Option<Error>,
        }

        impl $name<'_> {
            expiry_setters!();

            fn expiry_mut(&mut self) -> &mut Expiry {
                &mut self.expiry
            }
        }

        impl<'a> IntoFuture for $name<'a> {
            type Output = Result<$output>;
            type IntoFuture = BoxFuture<'a, Self::Output>;

            fn into_future(self) -> Self::IntoFuture {
                let $name { store, key, $field, expiry, error } = self;
                async move {
                    match error {
                        Some(error) => Err(error),
                        None => store.store.$call(&store.namespace, &key, $field, expiry).await,
                    }
                }
                .boxed()
            }
        }
    };
}
counting_builder!(
    /// An increment to be awaited. See [`KvStore::increment`].
    Increment, delta: Numeric, Counted, increment
);
counting_builder!(
    /// An append to be awaited. See [`KvStore::append`].
    Append, tail: Value, Appended, append
);

/// A transaction to be awaited. See [`KvStore::transact`].
#[must_use = "nothing happens until it is awaited"]
#[derive(Debug)]
pub struct Transaction<'a> {
    store: &'a KvStore,
    checks: Vec<Check>,
    actions: Vec<Action>,
    error: Option<Error>,
}

impl Transaction<'_> {
    /// The entry must have exactly this version.
    pub fn check_version(self, key: impl Into<String>, version: impl Into<Version>) -> Self {
        self.check(key, Precondition::Version(version.into()))
    }

    /// There must be no entry, or an expired one.
    pub fn check_absent(self, key: impl Into<String>) -> Self {
        self.check(key, Precondition::Absent)
    }

    fn check(mut self, key: impl Into<String>, precondition: Precondition) -> Self {
        self.checks.push(Check { key: key.into(), precondition });
        self
    }

    /// Sets an entry.
    pub fn set(self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        let item = Item { key: key.into(), value: value.into(), options: SetOptions::default() };
        self.set_item(Ok(item))
    }

    /// Sets an entry with options: `transaction.set_item(store.set("a", 1).ttl(hour).into_item())`.
    pub fn set_item(mut self, item: Result<Item>) -> Self {
        match item {
            Ok(item) => self.actions.push(Action::Set(item)),
            Err(error) => {
                self.error.get_or_insert(error);
            }
        }
        self
    }

    /// Removes an entry; nothing to remove is no failure.
    pub fn delete(mut self, key: impl Into<String>) -> Self {
        self.actions.push(Action::Delete(key.into()));
        self
    }
}

impl<'a> IntoFuture for Transaction<'a> {
    type Output = Result<TransactionResult>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let Transaction { store, checks, actions, error } = self;
        async move {
            match error {
                Some(error) => Err(error),
                None => store.store.transact(&store.namespace, checks, actions).await,
            }
        }
        .boxed()
    }
}

impl KvStore {
    /// Sets `new` where the value is `old`: of the same type; JSON compared by meaning.
    ///
    /// ```
    /// use dataknobs_kv::{Expected, SwapResult};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> dataknobs_kv::Result<()> {
    /// # let store = dataknobs_kv::KvStore::open("memory:").await?;
    /// store.compare_and_swap("version", Expected::Absent, "1.0.0").await?;
    /// let swap = store.compare_and_swap("version", "1.0.0", "1.1.0").await?;
    /// assert!(matches!(swap, SwapResult::Swapped(_)));
    ///
    /// // The loser learns what is there instead.
    /// let SwapResult::Different(Some(state)) = store.compare_and_swap("version", "1.0.0", "2.0.0").await? else { panic!() };
    /// assert_eq!(state.into_value()?, Some("1.1.0".into()));
    /// # Ok(()) }
    /// ```
    pub fn compare_and_swap(
        &self,
        key: impl Into<String>,
        old: impl Into<Expected>,
        new: impl Into<Value>,
    ) -> CompareAndSwap<'_> {
        let item = Item { key: key.into(), value: new.into(), options: SetOptions::default() };
        CompareAndSwap { store: self, expected: old.into(), item, error: None }
    }

    /// Adds to a counter, which starts at 0. A number on either side makes a number. Keeps the expiry unless told.
    ///
    /// ```
    /// use dataknobs_kv::Numeric;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> dataknobs_kv::Result<()> {
    /// # let store = dataknobs_kv::KvStore::open("memory:").await?;
    /// let views = store.increment("stats.page_views", 1).await?;
    /// assert_eq!(views.value, Numeric::Integer(1));
    /// let remaining = store.increment("inventory.item_123", -1).await?;
    /// assert_eq!(remaining.value, Numeric::Integer(-1));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// `type-mismatch` where neither an integer nor a number is stored; `overflow` past 64 bits: nothing changes then.
    pub fn increment(&self, key: impl Into<String>, delta: impl Into<Delta>) -> Increment<'_> {
        let Delta(delta) = delta.into();
        Increment { store: self, key: key.into(), delta, expiry: Expiry::Unspecified, error: None }
    }

    /// Appends text to text, bytes to bytes, one element to a JSON array; creates what is not there. Keeps the expiry
    /// unless told.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> dataknobs_kv::Result<()> {
    /// # let store = dataknobs_kv::KvStore::open("memory:").await?;
    /// store.append("notes", "Call Jane").await?;
    /// let appended = store.append("notes", ", Remember to update docs").await?;
    /// assert_eq!(appended.size, 34);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// `type-mismatch` where the two do not fit together.
    pub fn append(&self, key: impl Into<String>, tail: impl Into<Value>) -> Append<'_> {
        Append { store: self, key: key.into(), tail: tail.into(), expiry: Expiry::Unspecified, error: None }
    }

    /// Several changes, all or none, where all checks hold. A key comes at most once among the actions and at most once
    /// among the checks.
    ///
    /// ```
    /// use dataknobs_kv::TransactionResult;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> dataknobs_kv::Result<()> {
    /// # let store = dataknobs_kv::KvStore::open("memory:").await?;
    /// let moved = store.transact().check_absent("new").delete("old").set("new", "value").await?;
    /// assert!(matches!(moved, TransactionResult::Committed(_)));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// `unsupported` where the storage cannot, or not so many ([`Capabilities::max_atomic`]).
    ///
    /// [`Capabilities::max_atomic`]: dataknobs_kv_core::Capabilities::max_atomic
    pub fn transact(&self) -> Transaction<'_> {
        Transaction { store: self, checks: Vec::new(), actions: Vec::new(), error: None }
    }
}
