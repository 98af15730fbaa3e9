//! Reading one entry.

use std::time::Duration;

use dataknobs_kv_core::{Error, Result, State, Value};
use serde::de::DeserializeOwned;

use crate::KvStore;

/// A Rust type that a [`Value`] of one type can be read as.
pub trait FromValue: Sized {
    /// What it reads, for messages.
    const EXPECTED: &'static str;

    /// The value, or what was given where its type does not fit.
    fn from_value(value: Value) -> Result<Self, Value>;
}

macro_rules! from_value {
    ($($type:ty, $expected:literal, $($pattern:pat => $result:expr),+;)*) => {$(
        impl FromValue for $type {
            const EXPECTED: &'static str = $expected;

            fn from_value(value: Value) -> Result<Self, Value> {
                match value {
                    $($pattern => $result,)+
                    other => Err(other),
                }
            }
        }
    )*};
}
from_value! {
    String, "text", Value::Text(text) => Ok(text);
    Vec<u8>, "bytes", Value::Bytes(bytes) => Ok(bytes);
    bool, "boolean", Value::Boolean(boolean) => Ok(boolean);
    i64, "integer", Value::Integer(integer) => Ok(integer);
    f64, "number", Value::Number(number) => Ok(number);
    (), "null", Value::Null => Ok(());
}

impl FromValue for Value {
    const EXPECTED: &'static str = "any value";

    fn from_value(value: Value) -> Result<Self, Value> {
        Ok(value)
    }
}

/// Integers that may be too small for what is stored: then it does not fit.
macro_rules! from_integer {
    ($($type:ty),*) => {$(
        impl FromValue for $type {
            const EXPECTED: &'static str = concat!("integer that fits ", stringify!($type));

            fn from_value(value: Value) -> Result<Self, Value> {
                match value {
                    Value::Integer(integer) => Self::try_from(integer).map_err(|_| value),
                    other => Err(other),
                }
            }
        }
    )*};
}
from_integer!(i8, i16, i32, u8, u16, u32, u64, usize);

/// How long an entry still has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ttl {
    /// There is no such entry, or it has expired.
    Absent,
    /// It does not expire.
    Never,
    /// So long, in whole milliseconds.
    Remaining(Duration),
}

impl KvStore {
    /// The value; none: absent or expired.
    ///
    /// Reading an entry with a sliding expiry starts that anew.
    pub async fn get(&self, key: &str) -> Result<Option<Value>> {
        self.entry(key).await?.map_or(Ok(None), State::into_value)
    }

    /// The value as a Rust type.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> dataknobs_kv::Result<()> {
    /// # let store = dataknobs_kv::KvStore::open("memory:").await?;
    /// store.set("config.port", 8080).await?;
    /// let port: Option<u16> = store.get_as("config.port").await?;
    /// assert_eq!(port, Some(8080));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// `type-mismatch` where another type is stored, or an integer that does not fit.
    pub async fn get_as<T: FromValue>(&self, key: &str) -> Result<Option<T>> {
        let Some(value) = self.get(key).await? else { return Ok(None) };
        T::from_value(value)
            .map(Some)
            .map_err(|other| Error::TypeMismatch(format!("{key} holds {}, not {}", other.value_type(), T::EXPECTED)))
    }

    /// The value, read as JSON: the other side of [`KvStore::set_json`].
    ///
    /// # Errors
    /// `type-mismatch` for bytes and custom values, and where the JSON is not of that shape.
    pub async fn get_json<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        let Some(value) = self.get(key).await? else { return Ok(None) };
        let value_type = value.value_type();
        let mismatch = || Error::TypeMismatch(format!("{key} holds {value_type} of another shape"));
        let text = value.to_json().ok_or_else(mismatch)?;
        // serde's message may quote the value.
        serde_json::from_str(&text).map(Some).map_err(|_| mismatch())
    }

    /// The whole entry: value, version, metadata, times; none: absent or expired.
    pub async fn entry(&self, key: &str) -> Result<Option<State>> {
        self.store.get(&self.namespace, key).await
    }

    /// The entry without its value. Never starts a sliding expiry anew.
    pub async fn describe(&self, key: &str) -> Result<Option<State>> {
        self.store.describe(&self.namespace, key).await
    }

    /// Whether there is a living entry.
    pub async fn exists(&self, key: &str) -> Result<bool> {
        Ok(self.describe(key).await?.is_some())
    }

    /// How long the entry still has, by this store's clock.
    ///
    /// ```
    /// use std::time::Duration;
    /// use dataknobs_kv::Ttl;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> dataknobs_kv::Result<()> {
    /// # let store = dataknobs_kv::KvStore::open("memory:").await?;
    /// store.set("cache.results", "…").ttl(Duration::from_secs(300)).await?;
    /// assert!(matches!(store.ttl("cache.results").await?, Ttl::Remaining(left) if left <= Duration::from_secs(300)));
    /// assert_eq!(store.ttl("nothing").await?, Ttl::Absent);
    /// # Ok(()) }
    /// ```
    pub async fn ttl(&self, key: &str) -> Result<Ttl> {
        let Some(state) = self.describe(key).await? else { return Ok(Ttl::Absent) };
        let Some(at) = state.attributes.expires_at else { return Ok(Ttl::Never) };
        match at.saturating_sub(self.clock.now()) {
            0 => Ok(Ttl::Absent),
            left => Ok(Ttl::Remaining(Duration::from_millis(left))),
        }
    }
}
