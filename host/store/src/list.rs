//! Listing, counting and removing by pattern; namespaces and the hierarchy of keys.

use std::collections::BTreeMap;
use std::collections::VecDeque;

use dataknobs_kv_core::store::{Child, MAX_PAGE, Query};
use dataknobs_kv_core::{Entry, Error, Projection, Result, State, Value};
use futures::stream::{self, BoxStream, Stream, StreamExt, TryStreamExt};

use crate::KvStore;

/// Entries asked for at a time, unless told.
const PAGE: u32 = 1000;

/// A listing to be run: see [`KvStore::entries`].
#[must_use = "nothing happens until `stream` or `collect` is called"]
#[derive(Clone, Debug)]
pub struct Listing {
    store: KvStore,
    query: Query,
    projection: Projection,
    page: u32,
}

impl Listing {
    /// With versions and attributes.
    pub fn with_attributes(mut self) -> Self {
        self.projection = Projection::Attributes;
        self
    }

    /// With versions, attributes and values.
    pub fn with_values(mut self) -> Self {
        self.projection = Projection::Value;
        self
    }

    /// Only entries whose metadata holds these fields: a JSON object; equal as JSON, arrays whole.
    pub fn matching(mut self, fields: serde_json::Value) -> Self {
        self.query.metadata = Some(fields.to_string());
        self
    }

    /// As [`Listing::matching`], from the text of a JSON object.
    pub fn matching_json(mut self, fields: impl Into<String>) -> Self {
        self.query.metadata = Some(fields.into());
        self
    }

    /// How many entries to ask for at a time: 1 to 10,000.
    pub fn page_size(mut self, entries: u32) -> Self {
        self.page = entries;
        self
    }

    /// The entries, in key order, page by page. A key that is there all the while comes exactly once, whatever is
    /// written meanwhile.
    pub fn stream(self) -> BoxStream<'static, Result<Entry>> {
        let Listing { store, query, projection, page } = self;
        paged(move |cursor: Option<String>| {
            let (store, query) = (store.clone(), query.clone());
            async move {
                let page =
                    store.store.list_entries(&store.namespace, &query, cursor.as_deref(), page, projection).await?;
                Ok((page.entries, page.cursor))
            }
        })
        .boxed()
    }

    /// All of them.
    pub async fn collect(self) -> Result<Vec<Entry>> {
        self.stream().try_collect().await
    }
}

/// The pattern of everything below a key: its wildcards escaped, so that they mean themselves.
///
/// ```
/// assert_eq!(dataknobs_kv::below("users.123"), "users.123.**");
/// assert_eq!(dataknobs_kv::below("what?"), r"what\?.**");
/// ```
pub fn below(key: &str) -> String {
    exactly(key) + ".**"
}

/// The pattern that only this key matches.
pub(crate) fn exactly(key: &str) -> String {
    let mut pattern = String::with_capacity(key.len() + 3);
    let mut escaped = false;
    for c in key.chars() {
        // A key's own escapes are a pattern's too.
        if !escaped && matches!(c, '*' | '?' | '[' | ']' | '{' | '}' | ',') {
            pattern.push('\\');
        }
        escaped = c == '\\' && !escaped;
        pattern.push(c);
    }
    pattern
}

/// Follows cursors: `fetch` gives the items of one page and where to go on.
fn paged<T, F, Fut>(fetch: F) -> impl Stream<Item = Result<T>>
where
    F: Fn(Option<String>) -> Fut,
    Fut: Future<Output = Result<(Vec<T>, Option<String>)>>,
{
    let start = (VecDeque::new(), Some(None::<String>), fetch);
    stream::try_unfold(start, |(mut items, mut next, fetch)| async move {
        loop {
            if let Some(item) = items.pop_front() {
                return Ok(Some((item, (items, next, fetch))));
            }
            let Some(cursor) = next.take() else { return Ok(None) };
            let (page, after) = fetch(cursor).await?;
            items = page.into();
            next = after.map(Some);
        }
    })
}

impl KvStore {
    /// The entries that match a pattern, in key order, as a stream that fetches page by page; keys alone unless told.
    ///
    /// ```
    /// use futures::TryStreamExt;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> dataknobs_kv::Result<()> {
    /// # let store = dataknobs_kv::KvStore::open("memory:").await?;
    /// # store.set("app.name", "MyApplication").await?;
    /// let mut entries = store.entries("app.**").with_attributes().stream();
    /// while let Some(entry) = entries.try_next().await? {
    ///     let state = entry.state.expect("asked for");
    ///     println!("{} has {} bytes", entry.key, state.attributes.size);
    /// }
    /// # Ok(()) }
    /// ```
    pub fn entries(&self, pattern: impl Into<String>) -> Listing {
        Listing { store: self.clone(), query: Query::pattern(pattern), projection: Projection::Key, page: PAGE }
    }

    /// The keys that match a pattern, in order. `*` is any run inside one segment, `**` any segments, `?` one character,
    /// `[a-z]` a set, `{dev,prod}` alternatives, `\` takes the next character as it is.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> dataknobs_kv::Result<()> {
    /// # let store = dataknobs_kv::KvStore::open("memory:").await?;
    /// store.set("app.name", "MyApplication").await?;
    /// store.set("app.config.debug", true).await?;
    /// assert_eq!(store.keys("app.*").await?, ["app.name"]);
    /// assert_eq!(store.keys("app.**").await?, ["app.config.debug", "app.name"]);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// `invalid-argument` for a pattern that is none.
    pub async fn keys(&self, pattern: &str) -> Result<Vec<String>> {
        self.entries(pattern).page_size(MAX_PAGE).stream().map_ok(|entry| entry.key).try_collect().await
    }

    /// The values of all keys that match a pattern, in key order.
    pub async fn get_pattern(&self, pattern: &str) -> Result<BTreeMap<String, Value>> {
        let value = |entry: Entry| async move {
            let missing = || Error::Internal(format!("{}: listed without the value asked for", entry.key));
            let value = entry.state.map_or(Ok(None), State::into_value)?.ok_or_else(missing)?;
            Ok((entry.key, value))
        };
        self.entries(pattern).with_values().stream().and_then(value).try_collect().await
    }

    /// Removes all that match a pattern, and says how many that were.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> dataknobs_kv::Result<()> {
    /// # let store = dataknobs_kv::KvStore::open("memory:").await?;
    /// store.set("users.123.name", "John Doe").await?;
    /// assert_eq!(store.delete_pattern("users.123.**").await?, 1);
    /// # Ok(()) }
    /// ```
    pub async fn delete_pattern(&self, pattern: &str) -> Result<u64> {
        self.delete_matching(&Query::pattern(pattern)).await
    }

    /// As [`KvStore::delete_pattern`], by pattern and metadata.
    pub async fn delete_matching(&self, query: &Query) -> Result<u64> {
        let (mut deleted, mut cursor) = (0, None);
        loop {
            let step = self.store.delete_matching(&self.namespace, query, cursor.as_deref(), MAX_PAGE).await?;
            deleted += step.count;
            cursor = step.cursor;
            if cursor.is_none() {
                return Ok(deleted);
            }
        }
    }

    /// How many keys match a pattern.
    pub async fn count(&self, pattern: &str) -> Result<u64> {
        self.count_matching(&Query::pattern(pattern)).await
    }

    /// As [`KvStore::count`], by pattern and metadata.
    pub async fn count_matching(&self, query: &Query) -> Result<u64> {
        let (mut count, mut cursor) = (0, None);
        loop {
            let step = self.store.count(&self.namespace, query, cursor.as_deref(), MAX_PAGE).await?;
            count += step.count;
            cursor = step.cursor;
            if cursor.is_none() {
                return Ok(count);
            }
        }
    }

    /// The next level of the hierarchy below a key (none: the top), page by page; with `counts` how many entries lie
    /// below each.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> dataknobs_kv::Result<()> {
    /// # let store = dataknobs_kv::KvStore::open("memory:").await?;
    /// store.set("app.name", "MyApplication").await?;
    /// store.set("users.1", "Jane").await?;
    /// let top: Vec<_> = store.children(None, false).await?.into_iter().map(|child| child.segment).collect();
    /// assert_eq!(top, ["app", "users"]);
    /// # Ok(()) }
    /// ```
    pub async fn children(&self, prefix: Option<&str>, counts: bool) -> Result<Vec<Child>> {
        self.children_stream(prefix.map(str::to_owned), counts).try_collect().await
    }

    /// As [`KvStore::children`], as a stream.
    pub fn children_stream(&self, prefix: Option<String>, counts: bool) -> BoxStream<'static, Result<Child>> {
        let store = self.clone();
        paged(move |cursor: Option<String>| {
            let (store, prefix) = (store.clone(), prefix.clone());
            async move {
                let (prefix, cursor) = (prefix.as_deref(), cursor.as_deref());
                let page = store.store.children(&store.namespace, prefix, counts, cursor, PAGE).await?;
                Ok((page.children, page.cursor))
            }
        })
        .boxed()
    }

    /// The names of all namespaces, in byte order. One whose last entry was removed or has expired may still be there
    /// until the next cleanup.
    pub async fn namespaces(&self) -> Result<Vec<String>> {
        self.namespaces_stream().try_collect().await
    }

    fn namespaces_stream(&self) -> BoxStream<'static, Result<String>> {
        let store = self.clone();
        paged(move |cursor: Option<String>| {
            let store = store.clone();
            async move {
                let page = store.store.namespaces(cursor.as_deref(), PAGE).await?;
                Ok((page.names, page.cursor))
            }
        })
        .boxed()
    }

    /// Removes all entries of this namespace. What is written meanwhile may stay.
    pub async fn clear(&self) -> Result<()> {
        while self.store.clear(&self.namespace, MAX_PAGE).await? {}
        Ok(())
    }

    /// Removes a namespace with all that is in it.
    pub async fn drop_namespace(&self, name: &str) -> Result<()> {
        self.namespace(name)?.clear().await
    }

    /// Everything: each namespace's entries with their values, as pairs of namespace and entry, in that order. For
    /// exports; not one moment's picture if others write meanwhile. `entries("**").with_values()` gives one namespace.
    pub fn dump(&self) -> BoxStream<'static, Result<(String, Entry)>> {
        let store = self.clone();
        self.namespaces_stream()
            .and_then(move |name| futures::future::ready(store.namespace(&name)))
            .map_ok(|space| {
                let name = space.namespace_name().to_owned();
                space.entries("**").with_values().stream().map_ok(move |entry| (name.clone(), entry))
            })
            .try_flatten()
            .boxed()
    }
}
