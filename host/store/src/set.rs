//! Writing one entry, and removing one.

use std::future::IntoFuture;

use dataknobs_kv_core::store::{DeleteResult, Expiry, Item, SetOptions, SetResult};
use dataknobs_kv_core::{Error, Precondition, Projection, Result, Value, Version};
use futures::future::{BoxFuture, FutureExt};

use crate::KvStore;
use crate::options::{expiry_setters, item_setters};

/// A `set` to be awaited. See [`KvStore::set`].
#[must_use = "nothing happens until it is awaited"]
#[derive(Debug)]
pub struct Set<'a> {
    store: &'a KvStore,
    item: Item,
    error: Option<Error>,
}

impl Set<'_> {
    expiry_setters!();
    item_setters!();

    /// Only where there is no entry, or an expired one.
    pub fn if_absent(mut self) -> Self {
        self.item.options.precondition = Precondition::Absent;
        self
    }

    /// How much of the entry in the way a conflict carries; nothing unless told.
    pub fn on_conflict(mut self, projection: Projection) -> Self {
        self.item.options.on_conflict = projection;
        self
    }

    /// The item as it would be written, for [`KvStore::set_items`] and transactions.
    ///
    /// # Errors
    /// `invalid-argument` where a setter was given what it cannot take.
    pub fn into_item(self) -> Result<Item> {
        self.error.map_or(Ok(self.item), Err)
    }
}

impl<'a> IntoFuture for Set<'a> {
    type Output = Result<SetResult>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let store = self.store;
        let item = self.into_item();
        async move { store.store.set(&store.namespace, item?).await }.boxed()
    }
}

/// A `delete` to be awaited. See [`KvStore::delete`].
#[must_use = "nothing happens until it is awaited"]
#[derive(Debug)]
pub struct Delete<'a> {
    store: &'a KvStore,
    key: String,
    precondition: Precondition,
    on_conflict: Projection,
}

impl Delete<'_> {
    /// Only where the entry has exactly this version.
    pub fn if_version(mut self, version: impl Into<Version>) -> Self {
        self.precondition = Precondition::Version(version.into());
        self
    }

    /// How much of the entry in the way a conflict carries; nothing unless told.
    pub fn on_conflict(mut self, projection: Projection) -> Self {
        self.on_conflict = projection;
        self
    }
}

impl<'a> IntoFuture for Delete<'a> {
    type Output = Result<DeleteResult>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let Delete { store, key, precondition, on_conflict } = self;
        async move { store.store.delete(&store.namespace, &key, precondition, on_conflict).await }.boxed()
    }
}

impl KvStore {
    /// Sets an entry: value and metadata as one.
    ///
    /// Without a call that says otherwise it replaces what is there, metadata too, and the expiry becomes the
    /// namespace's default, or none.
    ///
    /// ```
    /// use std::time::Duration;
    /// use dataknobs_kv::{SetResult, Version, json};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> dataknobs_kv::Result<()> {
    /// # let store = dataknobs_kv::KvStore::open("memory:").await?;
    /// store.set("app.config.debug", true).await?;
    /// store.set("session.abc123", "data").ttl(Duration::from_secs(3600)).await?;
    /// store.set("document.report.pdf", b"%PDF-1.7")
    ///     .metadata(json!({"author": "John Doe", "tags": ["quarterly", "finance"], "ttl": 86400}))
    ///     .content_type("application/pdf")
    ///     .await?;
    ///
    /// // Guarded: a lost race is a result, not an error.
    /// let SetResult::Written(version) = store.set("lock", "me").if_absent().await? else { panic!("taken") };
    /// assert!(matches!(store.set("lock", "you").if_absent().await?, SetResult::Conflict(_)));
    /// store.set("lock", "still me").if_version(version).await?;
    /// # Ok(()) }
    /// ```
    pub fn set(&self, key: impl Into<String>, value: impl Into<Value>) -> Set<'_> {
        let item = Item { key: key.into(), value: value.into(), options: SetOptions::default() };
        Set { store: self, item, error: None }
    }

    /// Sets what a value means as JSON: a string is stored as text, a number as integer or number, `true` and `false` as
    /// boolean, `null` as null; objects and arrays as JSON.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> dataknobs_kv::Result<()> {
    /// # let store = dataknobs_kv::KvStore::open("memory:").await?;
    /// use std::collections::BTreeMap;
    /// store.set_json("settings", &BTreeMap::from([("theme", "dark")])).await?;
    /// let settings: Option<BTreeMap<String, String>> = store.get_json("settings").await?;
    /// assert_eq!(settings.unwrap()["theme"], "dark");
    /// # Ok(()) }
    /// ```
    pub fn set_json<T: serde::Serialize + ?Sized>(&self, key: impl Into<String>, value: &T) -> Set<'_> {
        let key = key.into();
        match json_value(value) {
            Ok(value) => self.set(key, value),
            Err(error) => Set { error: Some(error), ..self.set(key, Value::Null) },
        }
    }

    /// Removes an entry.
    ///
    /// ```
    /// use dataknobs_kv::DeleteResult;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> dataknobs_kv::Result<()> {
    /// # let store = dataknobs_kv::KvStore::open("memory:").await?;
    /// assert_eq!(store.delete("app.config.debug").await?, DeleteResult::Absent);
    /// # Ok(()) }
    /// ```
    pub fn delete(&self, key: impl Into<String>) -> Delete<'_> {
        Delete { store: self, key: key.into(), precondition: Precondition::None, on_conflict: Projection::Key }
    }
}

/// The [`Value`] that a serializable value means as JSON. See [`KvStore::set_json`].
///
/// # Errors
/// `invalid-argument` for what JSON cannot say.
pub fn json_value<T: serde::Serialize + ?Sized>(value: &T) -> Result<Value> {
    // serde's message may quote the value.
    let text = serde_json::to_string(value)
        .map_err(|_| Error::InvalidArgument(format!("a {} that JSON cannot say", std::any::type_name::<T>())))?;
    Value::from_json(&text)
}
