//! [`Store`] over HTTP.

use std::collections::HashSet;

use async_trait::async_trait;
use dataknobs_kv_core::store::{
    Action, Appended, ChangeResult, Check, ChildPage, Cleaned, Counted, DeleteResult, EntryPage, Expiry, Item,
    MAX_ITEMS, NamePage, Numeric, Progress, Query, SetOptions, SetResult, SwapResult, TransactionResult,
};
use dataknobs_kv_core::wire::{self, ExpiryFields, Include, header};
use dataknobs_kv_core::{Capabilities, Entry, Error, Precondition, Projection, Result, State, Store, Value, Version};
use reqwest::Method;

use crate::HttpStore;
use crate::entry::{conditional, current, version};
use crate::transport::{Access, Answer, Outgoing, unreadable};

/// Batches are sent in requests of about so many bytes.
const BATCH_BYTES: usize = 8 << 20;

impl HttpStore {
    pub(crate) async fn get_several(
        &self,
        namespace: &str,
        keys: &[String],
        with_value: bool,
    ) -> Result<Vec<Result<Option<State>>>> {
        let include = Include(if with_value { Projection::Value } else { Projection::Attributes });
        let request = wire::GetMany { keys: keys.to_vec(), include: Some(include) };
        let request = self.about(Access::Read, Method::POST, namespace, "/get-many")?.json(&request)?;
        let answer: wire::Results = self.ask(request).await?;
        Ok(answer.results.into_iter().map(wire::ItemResult::into_get).collect())
    }

    pub(crate) async fn set_several(&self, namespace: &str, items: &[wire::Item]) -> Result<Vec<Result<SetResult>>> {
        let request = self.about(Access::Write, Method::POST, namespace, "/set-many")?;
        let answer: wire::Results = self.ask(request.json(&wire::Batch::new(items)?)?).await?;
        whole(items.len(), answer.results.into_iter().map(wire::ItemResult::into_set).collect())
    }

    async fn change(&self, request: Outgoing, precondition: &Precondition) -> Result<ChangeResult> {
        // A lost race of this kind is always told with what is there.
        match self.send(conditional(request, precondition, Projection::Key)?).await? {
            Answer::Success(headers, _) => {
                let version = version(&headers).map_err(|error| unreadable(Access::Write, &error))?;
                Ok(ChangeResult::Written(version))
            }
            Answer::Absent => Ok(ChangeResult::Absent),
            Answer::Conflict(problem) => Ok(ChangeResult::Conflict(current(*problem)?)),
        }
    }
}

/// As many answers as items.
fn whole<T>(expected: usize, results: Vec<T>) -> Result<Vec<T>> {
    if results.len() != expected {
        return Err(Error::OutcomeUnknown("the service did not answer for every item".into()));
    }
    Ok(results)
}

fn too_many(count: usize) -> Result<()> {
    if count > MAX_ITEMS {
        return Err(Error::too_large("items", MAX_ITEMS as u64, count as u64));
    }
    Ok(())
}

/// Reads an answer to a write: one that makes no sense does not undo it.
fn written<T>(result: Result<T>) -> Result<T> {
    result.map_err(|error| unreadable(Access::Write, &error))
}

#[cfg_attr(target_family = "wasm", async_trait(?Send))]
#[cfg_attr(not(target_family = "wasm"), async_trait)]
impl Store for HttpStore {
    async fn capabilities(&self) -> Result<Capabilities> {
        let request = self.request(Access::Read, Method::GET, "/v1/capabilities".into());
        Ok(self.ask::<wire::Capabilities>(request).await?.into())
    }

    async fn get(&self, namespace: &str, key: &str) -> Result<Option<State>> {
        self.get_entry(namespace, key).await
    }

    async fn get_many(&self, namespace: &str, keys: &[String], with_value: bool) -> Result<Vec<Result<Option<State>>>> {
        too_many(keys.len())?;
        self.get_several(namespace, keys, with_value).await
    }

    async fn describe(&self, namespace: &str, key: &str) -> Result<Option<State>> {
        self.describe_entry(namespace, key).await
    }

    async fn set(&self, namespace: &str, item: Item) -> Result<SetResult> {
        self.set_entry(namespace, item).await
    }

    async fn set_many(&self, namespace: &str, items: Vec<Item>) -> Result<Vec<Result<SetResult>>> {
        too_many(items.len())?;
        let mut keys = HashSet::new();
        if let Some(item) = items.iter().find(|item| !keys.insert(item.key.as_str())) {
            return Err(Error::InvalidArgument(format!("key {:?}: it comes twice in one call", item.key)));
        }
        drop(keys);
        // What cannot be written down, such as a number that is none, fails here, and alone. Very large items go by
        // themselves, as raw bodies; the others in requests of bounded size.
        let mut results: Vec<Option<Result<SetResult>>> = Vec::with_capacity(items.len());
        let mut parts: Vec<(usize, Vec<usize>, Vec<wire::Item>)> = vec![(0, Vec::new(), Vec::new())];
        for (index, item) in items.into_iter().enumerate() {
            let size = length(&item);
            if size > BATCH_BYTES / 2 {
                results.push(Some(self.set_entry(namespace, item).await));
                continue;
            }
            match wire::Item::try_from(&item) {
                Err(error) => results.push(Some(Err(error))),
                Ok(item) => {
                    results.push(None);
                    if parts.last().is_some_and(|(bytes, ..)| *bytes > 0 && bytes + size > BATCH_BYTES) {
                        parts.push((0, Vec::new(), Vec::new()));
                    }
                    if let Some((bytes, indices, part)) = parts.last_mut() {
                        *bytes += size;
                        indices.push(index);
                        part.push(item);
                    }
                }
            }
        }
        let several = parts.len() > 1 || results.iter().any(Option::is_some);
        for (_, indices, part) in parts {
            let answers = match self.set_several(namespace, &part).await {
                Ok(answers) => answers,
                // Others of the call may be done: this part alone failed.
                Err(error) if several => part.iter().map(|_| Err(error.clone())).collect(),
                Err(error) => return Err(error),
            };
            for (index, answer) in indices.into_iter().zip(answers) {
                if let Some(result) = results.get_mut(index) {
                    *result = Some(answer);
                }
            }
        }
        let missing = || Err(Error::Internal("an item without an answer".into()));
        Ok(results.into_iter().map(|result| result.unwrap_or_else(missing)).collect())
    }

    async fn delete(
        &self,
        namespace: &str,
        key: &str,
        precondition: Precondition,
        on_conflict: Projection,
    ) -> Result<DeleteResult> {
        self.delete_entry(namespace, key, &precondition, on_conflict).await
    }

    async fn delete_many(&self, namespace: &str, keys: &[String]) -> Result<Vec<Result<DeleteResult>>> {
        too_many(keys.len())?;
        let request = self
            .about(Access::Write, Method::POST, namespace, "/delete-many")?
            .json(&wire::Keys { keys: keys.to_vec() })?;
        let answer: wire::Results = self.ask(request).await?;
        whole(keys.len(), answer.results.into_iter().map(wire::ItemResult::into_delete).collect())
    }

    async fn transact(&self, namespace: &str, checks: Vec<Check>, actions: Vec<Action>) -> Result<TransactionResult> {
        let request = self
            .about(Access::Write, Method::POST, namespace, "/transact")?
            .json(&wire::Transaction::new(checks, &actions)?)?;
        written(self.ask::<wire::Committed>(request).await?.into_result())
    }

    async fn compare_and_swap(
        &self,
        namespace: &str,
        key: &str,
        old: Option<Value>,
        new: Value,
        options: SetOptions,
    ) -> Result<SwapResult> {
        let request = self
            .at(Access::Write, Method::POST, namespace, "compare-and-swap", key)?
            .json(&wire::CompareAndSwap::new(old.as_ref(), &new, options)?)?;
        let answer: wire::Swapped = self.ask(request).await?;
        if answer.swapped {
            return Ok(SwapResult::Swapped(written(Version::new(answer.version.unwrap_or_default()))?));
        }
        let current = written(answer.current.map(wire::Entry::into_state).transpose())?;
        Ok(SwapResult::Different(current.flatten()))
    }

    async fn increment(&self, namespace: &str, key: &str, delta: Numeric, expiry: Expiry) -> Result<Counted> {
        let request = self
            .at(Access::Write, Method::POST, namespace, "increment", key)?
            .json(&wire::Increment::new(delta, expiry)?)?;
        written(self.ask::<wire::Summed>(request).await?.try_into())
    }

    async fn append(&self, namespace: &str, key: &str, tail: Value, expiry: Expiry) -> Result<Appended> {
        if matches!(tail, Value::Number(_) | Value::Custom { .. }) {
            tail.validate()?;
        }
        let (value_type, body) = tail.encode();
        let mut request = self
            .at(Access::Write, Method::POST, namespace, "append", key)?
            .header(header::VALUE_TYPE, header::type_to_header(&value_type))?
            .body(body);
        let ExpiryFields { ttl_ms, expires_at, sliding_ms, expiry } = expiry.into();
        for (name, value) in [
            (header::TTL_MS, ttl_ms.map(|ms| ms.to_string())),
            (header::EXPIRES_AT, expires_at.map(|ms| ms.to_string())),
            (header::SLIDING_MS, sliding_ms.map(|ms| ms.to_string())),
            (header::EXPIRY, expiry.map(|word| word.as_str().to_owned())),
        ] {
            if let Some(value) = value {
                request = request.header(name, value)?;
            }
        }
        let answer: wire::Appended = self.ask(request).await?;
        Ok(Appended { version: written(Version::new(answer.version))?, size: answer.size })
    }

    async fn update_metadata(
        &self,
        namespace: &str,
        key: &str,
        patch: &str,
        precondition: Precondition,
    ) -> Result<ChangeResult> {
        let request = self.at(Access::Write, Method::PATCH, namespace, "metadata", key)?.body(patch.into());
        self.change(request, &precondition).await
    }

    async fn replace_metadata(
        &self,
        namespace: &str,
        key: &str,
        metadata: &str,
        precondition: Precondition,
    ) -> Result<ChangeResult> {
        let request = self.at(Access::Write, Method::PUT, namespace, "metadata", key)?.body(metadata.into());
        self.change(request, &precondition).await
    }

    async fn set_expiry(
        &self,
        namespace: &str,
        key: &str,
        expiry: Expiry,
        precondition: Precondition,
    ) -> Result<ChangeResult> {
        let request =
            self.at(Access::Write, Method::POST, namespace, "touch", key)?.json(&wire::Touch::from(expiry))?;
        self.change(request, &precondition).await
    }

    async fn list_entries(
        &self,
        namespace: &str,
        query: &Query,
        cursor: Option<&str>,
        limit: u32,
        want: Projection,
    ) -> Result<EntryPage> {
        let request = self.about(Access::Read, Method::GET, namespace, "/entries")?.query(&[
            ("pattern", Some(&query.pattern)),
            ("metadata", query.metadata.as_deref()),
            ("cursor", cursor),
            ("limit", Some(&limit.to_string())),
            ("include", Some(Include(want).as_str())),
        ]);
        let page: wire::Page = self.ask(request).await?;
        let entry = |entry: wire::Entry| Ok(Entry { key: entry.key.clone(), state: entry.into_state()? });
        let entries: Result<_> = page.items.into_iter().map(entry).collect();
        Ok(EntryPage { entries: entries.map_err(|error| unreadable(Access::Read, &error))?, cursor: page.next })
    }

    async fn count(&self, namespace: &str, query: &Query, cursor: Option<&str>, limit: u32) -> Result<Progress> {
        let request =
            self.about(Access::Read, Method::GET, namespace, "/count")?.query(&walk(query, cursor, &limit.to_string()));
        let answer: wire::Counted = self.ask(request).await?;
        Ok(Progress { count: answer.count, cursor: answer.next })
    }

    async fn delete_matching(
        &self,
        namespace: &str,
        query: &Query,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Progress> {
        let request = self.about(Access::Write, Method::DELETE, namespace, "/entries")?.query(&walk(
            query,
            cursor,
            &limit.to_string(),
        ));
        let answer: wire::Deleted = self.ask(request).await?;
        Ok(Progress { count: answer.deleted, cursor: answer.next })
    }

    async fn children(
        &self,
        namespace: &str,
        prefix: Option<&str>,
        counts: bool,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<ChildPage> {
        let request = self.about(Access::Read, Method::GET, namespace, "/children")?.query(&[
            ("prefix", prefix),
            ("counts", Some(if counts { "true" } else { "false" })),
            ("cursor", cursor),
            ("limit", Some(&limit.to_string())),
        ]);
        Ok(self.ask::<wire::Children>(request).await?.into())
    }

    async fn cleanup_expired(&self, namespace: Option<&str>, limit: u32) -> Result<Cleaned> {
        let request = match namespace {
            Some(namespace) => self.about(Access::Write, Method::POST, namespace, "/cleanup")?,
            None => self.request(Access::Write, Method::POST, "/v1/cleanup".into()),
        };
        let answer: wire::Cleaned = self.ask(request.json(&wire::Cleanup { limit: Some(limit) })?).await?;
        Ok(Cleaned { count: u32::try_from(answer.removed).unwrap_or(u32::MAX), more: answer.more })
    }

    async fn clear(&self, namespace: &str, limit: u32) -> Result<bool> {
        let request =
            self.about(Access::Write, Method::DELETE, namespace, "")?.query(&[("limit", Some(&limit.to_string()))]);
        Ok(self.ask::<wire::Cleared>(request).await?.more)
    }

    async fn namespaces(&self, cursor: Option<&str>, limit: u32) -> Result<NamePage> {
        let request = self
            .request(Access::Read, Method::GET, "/v1/namespaces".into())
            .query(&[("cursor", cursor), ("limit", Some(&limit.to_string()))]);
        let page: wire::Names = self.ask(request).await?;
        Ok(NamePage { names: page.items, cursor: page.next })
    }
}

/// The parameters of one step of a walk.
fn walk<'a>(query: &'a Query, cursor: Option<&'a str>, limit: &'a str) -> [(&'a str, Option<&'a str>); 4] {
    [
        ("pattern", Some(&query.pattern)),
        ("metadata", query.metadata.as_deref()),
        ("cursor", cursor),
        ("limit", Some(limit)),
    ]
}

/// Of an item as JSON, roughly.
fn length(item: &Item) -> usize {
    let value = match &item.value {
        Value::Text(text) | Value::Json(text) => text.len(),
        Value::Bytes(bytes) | Value::Custom { bytes, .. } => bytes.len() / 3 * 4,
        _ => 32,
    };
    value + item.options.metadata.as_ref().map_or(0, String::len) + item.key.len() + 64
}
