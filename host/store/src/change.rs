//! Changing an entry's metadata or expiry, not its value.

use std::future::IntoFuture;
use std::ops::Index;
use std::time::Duration;

use dataknobs_kv_core::store::{ChangeResult, Expiry};
use dataknobs_kv_core::{Attributes, Error, Precondition, Result, State, Version};
use futures::future::{BoxFuture, FutureExt};
use serde_json::{Map, Value as Json};

use crate::KvStore;
use crate::options;

#[derive(Debug)]
enum Action {
    Merge(String),
    Replace(String),
    Expire(Expiry),
}

/// A change of metadata or expiry, to be awaited.
#[must_use = "nothing happens until it is awaited"]
#[derive(Debug)]
pub struct Change<'a> {
    store: &'a KvStore,
    key: String,
    action: Result<Action>,
    precondition: Precondition,
}

impl Change<'_> {
    /// Only where the entry has exactly this version.
    pub fn if_version(mut self, version: impl Into<Version>) -> Self {
        self.precondition = Precondition::Version(version.into());
        self
    }
}

impl<'a> IntoFuture for Change<'a> {
    type Output = Result<ChangeResult>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let Change { store, key, action, precondition } = self;
        async move {
            let namespace = &store.namespace;
            match action? {
                Action::Merge(patch) => store.store.update_metadata(namespace, &key, &patch, precondition).await,
                Action::Replace(text) => store.store.replace_metadata(namespace, &key, &text, precondition).await,
                Action::Expire(expiry) => store.store.set_expiry(namespace, &key, expiry, precondition).await,
            }
        }
        .boxed()
    }
}

/// An entry's metadata: the caller's own fields by index, the system's beside them.
#[derive(Clone, Debug, PartialEq)]
pub struct Metadata {
    /// The caller's own fields.
    pub user: Map<String, Json>,
    /// Which state of the entry this describes.
    pub version: Version,
    /// Type, size, times, content type, checksum.
    pub system: Attributes,
}

impl Metadata {
    /// What a state holds.
    ///
    /// # Errors
    /// `corrupt` where the stored metadata is no JSON object.
    pub fn of(state: State) -> Result<Self> {
        let user = match &state.attributes.metadata {
            None => Map::new(),
            Some(text) => serde_json::from_str(text)
                .map_err(|_| Error::Corrupt("the stored metadata is no JSON object".into()))?,
        };
        Ok(Metadata { user, version: state.version, system: state.attributes })
    }

    /// One of the caller's own fields.
    pub fn get(&self, field: &str) -> Option<&Json> {
        self.user.get(field)
    }
}

/// One of the caller's own fields; null where there is none.
impl Index<&str> for Metadata {
    type Output = Json;

    fn index(&self, field: &str) -> &Json {
        self.user.get(field).unwrap_or(&Json::Null)
    }
}

impl KvStore {
    /// The entry's metadata; none: absent or expired.
    ///
    /// ```
    /// use dataknobs_kv::json;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> dataknobs_kv::Result<()> {
    /// # let store = dataknobs_kv::KvStore::open("memory:").await?;
    /// store.set("report", b"%PDF").metadata(json!({"author": "John Doe"})).await?;
    /// store.set_metadata("report", json!({"reviewed": true})).await?;
    ///
    /// let metadata = store.get_metadata("report").await?.expect("just set");
    /// assert_eq!(metadata["author"], "John Doe");
    /// assert_eq!(metadata["reviewed"], true);
    /// assert_eq!(metadata.system.size, 4);
    /// # Ok(()) }
    /// ```
    pub async fn get_metadata(&self, key: &str) -> Result<Option<Metadata>> {
        self.describe(key).await?.map(Metadata::of).transpose()
    }

    /// Merges a JSON object into the metadata, at the top level; a null removes a field. Keeps value and expiry.
    pub fn set_metadata(&self, key: impl Into<String>, patch: Json) -> Change<'_> {
        self.change(key, Ok(Action::Merge(patch.to_string())))
    }

    /// Puts a JSON object in the place of all metadata. Keeps value and expiry.
    pub fn replace_metadata(&self, key: impl Into<String>, metadata: Json) -> Change<'_> {
        self.change(key, Ok(Action::Replace(metadata.to_string())))
    }

    /// Lets the entry expire so long from now.
    ///
    /// ```
    /// use std::time::Duration;
    /// use dataknobs_kv::ChangeResult;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> dataknobs_kv::Result<()> {
    /// # let store = dataknobs_kv::KvStore::open("memory:").await?;
    /// store.set("session", "…").await?;
    /// store.touch("session", Duration::from_secs(60)).await?;
    /// store.persist("session").await?;
    /// assert_eq!(store.touch("nothing", Duration::from_secs(60)).await?, ChangeResult::Absent);
    /// # Ok(()) }
    /// ```
    pub fn touch(&self, key: impl Into<String>, ttl: Duration) -> Change<'_> {
        self.change(key, options::after(ttl).map(Action::Expire))
    }

    /// Lets the entry never expire.
    pub fn persist(&self, key: impl Into<String>) -> Change<'_> {
        self.set_expiry(key, Expiry::Never)
    }

    /// Gives the entry any expiry; [`Expiry::Keep`] starts a sliding one anew.
    pub fn set_expiry(&self, key: impl Into<String>, expiry: Expiry) -> Change<'_> {
        self.change(key, Ok(Action::Expire(expiry)))
    }

    fn change(&self, key: impl Into<String>, action: Result<Action>) -> Change<'_> {
        Change { store: self, key: key.into(), action, precondition: Precondition::None }
    }
}
