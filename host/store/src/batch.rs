//! Many entries at once: as few calls as the limits of one allow.

use std::collections::HashSet;

use dataknobs_kv_core::store::{DeleteResult, Item, MAX_ITEMS, SetOptions, SetResult};
use dataknobs_kv_core::{Error, Result, State, Value};

use crate::KvStore;

/// Values that go into one call: what the component's memory and a request's body take with ease.
const CALL_BYTES: usize = 4 << 20;

/// One result per item, in the order given. Each item stands for itself, also in failing.
#[must_use = "items may have failed: look at each, or call `all`"]
#[derive(Clone, Debug, PartialEq)]
pub struct Batch<T>(pub Vec<Result<T>>);

impl<T> Batch<T> {
    /// All results, or the first error. What other items did stays done.
    ///
    /// # Errors
    /// The first item's that failed.
    pub fn all(self) -> Result<Vec<T>> {
        self.0.into_iter().collect()
    }

    /// One by one.
    pub fn iter(&self) -> std::slice::Iter<'_, Result<T>> {
        self.0.iter()
    }
}

impl<T> IntoIterator for Batch<T> {
    type Item = Result<T>;
    type IntoIter = std::vec::IntoIter<Result<T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl Batch<DeleteResult> {
    /// How many entries there were, and are no more.
    ///
    /// # Errors
    /// The first item's that failed.
    pub fn deleted(self) -> Result<u64> {
        self.0.into_iter().try_fold(0, |sum, one| Ok(sum + u64::from(matches!(one?, DeleteResult::Deleted))))
    }
}

impl KvStore {
    /// Sets many entries; not atomic as a whole ([`KvStore::transact`] is). A key comes at most once.
    ///
    /// ```
    /// use dataknobs_kv::Value;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> dataknobs_kv::Result<()> {
    /// # let store = dataknobs_kv::KvStore::open("memory:").await?;
    /// store
    ///     .set_many([
    ///         ("config.host", Value::from("localhost")),
    ///         ("config.port", 8080.into()),
    ///         ("config.ssl", true.into()),
    ///     ])
    ///     .await?
    ///     .all()?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// `invalid-argument` for a key that comes twice: then nothing was written.
    pub async fn set_many<K, V>(&self, entries: impl IntoIterator<Item = (K, V)>) -> Result<Batch<SetResult>>
    where
        K: Into<String>,
        V: Into<Value>,
    {
        let item = |(key, value): (K, V)| Item { key: key.into(), value: value.into(), options: SetOptions::default() };
        self.set_items(entries.into_iter().map(item).collect()).await
    }

    /// As [`KvStore::set_many`], each with options of its own ([`Set::into_item`](crate::Set::into_item)).
    pub async fn set_items(&self, items: Vec<Item>) -> Result<Batch<SetResult>> {
        unique(items.iter().map(|item| item.key.as_str()))?;
        let total = items.len();
        let mut results = Vec::with_capacity(total);
        let mut items = items.into_iter().peekable();
        while items.peek().is_some() {
            let (mut call, mut bytes) = (Vec::new(), 0);
            while let Some(item) = items.next_if(|item| {
                bytes += item_bytes(item);
                call.is_empty() || (call.len() < MAX_ITEMS && bytes <= CALL_BYTES)
            }) {
                call.push(item);
            }
            let count = call.len();
            let answer = self.store.set_many(&self.namespace, call).await;
            if !gather(&mut results, answer, count, total) {
                break;
            }
        }
        Ok(Batch(results))
    }

    /// The values of many keys, in their order; none: absent or expired.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> dataknobs_kv::Result<()> {
    /// # let store = dataknobs_kv::KvStore::open("memory:").await?;
    /// store.set("config.host", "localhost").await?;
    /// let values = store.get_many(["config.host", "config.port"]).await?.all()?;
    /// assert_eq!(values, [Some("localhost".into()), None]);
    /// # Ok(()) }
    /// ```
    pub async fn get_many<K: Into<String>>(&self, keys: impl IntoIterator<Item = K>) -> Result<Batch<Option<Value>>> {
        let states = self.get_entries(keys, true).await?;
        let value = |state: Result<Option<State>>| state?.map_or(Ok(None), State::into_value);
        Ok(Batch(states.into_iter().map(value).collect()))
    }

    /// As [`KvStore::get_many`], the whole entries, with their values or without. A key may come twice.
    pub async fn get_entries<K: Into<String>>(
        &self,
        keys: impl IntoIterator<Item = K>,
        with_value: bool,
    ) -> Result<Batch<Option<State>>> {
        let keys: Vec<String> = keys.into_iter().map(Into::into).collect();
        let mut results = Vec::with_capacity(keys.len());
        while let Some(rest) = keys.get(results.len()..).filter(|rest| !rest.is_empty()) {
            let call = &rest[..rest.len().min(MAX_ITEMS)];
            let answer = self.store.get_many(&self.namespace, call, with_value).await?;
            if answer.is_empty() || answer.len() > call.len() {
                return Err(Error::Internal("a bulk read answered another number of items".into()));
            }
            results.extend(answer);
        }
        Ok(Batch(results))
    }

    /// Removes many entries; not atomic as a whole. A key comes at most once.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> dataknobs_kv::Result<()> {
    /// # let store = dataknobs_kv::KvStore::open("memory:").await?;
    /// let deleted = store.delete_many(["temp.file1", "temp.file2", "cache.old"]).await?.deleted()?;
    /// assert_eq!(deleted, 0);
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// `invalid-argument` for a key that comes twice: then nothing was removed.
    pub async fn delete_many<K: Into<String>>(&self, keys: impl IntoIterator<Item = K>) -> Result<Batch<DeleteResult>> {
        let keys: Vec<String> = keys.into_iter().map(Into::into).collect();
        unique(keys.iter().map(String::as_str))?;
        let mut results = Vec::with_capacity(keys.len());
        for call in keys.chunks(MAX_ITEMS) {
            let answer = self.store.delete_many(&self.namespace, call).await;
            if !gather(&mut results, answer, call.len(), keys.len()) {
                break;
            }
        }
        Ok(Batch(results))
    }
}

/// Takes one call's answer. After a call that failed as a whole the rest is not sent: those items say so.
fn gather<T>(results: &mut Vec<Result<T>>, answer: Result<Vec<Result<T>>>, count: usize, total: usize) -> bool {
    let error = match answer {
        Ok(answer) if answer.len() == count => {
            results.extend(answer);
            return true;
        }
        Ok(_) => Error::Internal("a bulk call answered another number of items".into()),
        Err(error) => error,
    };
    results.extend((0..count).map(|_| Err(error.clone())));
    let unsent = Error::Unavailable(format!("not sent, after an earlier call failed: {error}"));
    results.extend((results.len()..total).map(|_| Err(unsent.clone())));
    false
}

/// One call refuses a key that comes twice; so does a batch of several calls.
fn unique<'a>(keys: impl Iterator<Item = &'a str>) -> Result<()> {
    let mut seen = HashSet::new();
    for key in keys {
        if !seen.insert(key) {
            return Err(Error::InvalidArgument(format!("the key {key:?} comes twice in one batch")));
        }
    }
    Ok(())
}

fn item_bytes(item: &Item) -> usize {
    let value = match &item.value {
        Value::Text(text) | Value::Json(text) => text.len(),
        Value::Bytes(bytes) | Value::Custom { bytes, .. } => bytes.len(),
        Value::Integer(_) | Value::Number(_) | Value::Boolean(_) | Value::Null => 24,
    };
    item.key.len() + value + item.options.metadata.as_ref().map_or(0, String::len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_failed_call_the_rest_is_not_sent() {
        let mut results: Vec<Result<u8>> = Vec::new();
        assert!(gather(&mut results, Ok(vec![Ok(1), Err(Error::Overflow("x".into()))]), 2, 5));
        assert!(!gather(&mut results, Err(Error::OutcomeUnknown("y".into())), 2, 5));
        let codes: Vec<_> = results.iter().map(|one| one.as_ref().map_err(Error::code)).collect();
        assert_eq!(
            codes,
            [Ok(&1), Err("overflow"), Err("outcome-unknown"), Err("outcome-unknown"), Err("unavailable")]
        );
        // A wrong number of answers is a defect below, and never read as success.
        let mut results: Vec<Result<u8>> = Vec::new();
        assert!(!gather(&mut results, Ok(vec![Ok(1)]), 2, 2));
        assert!(results.len() == 2 && results.iter().all(Result::is_err));
    }
}
