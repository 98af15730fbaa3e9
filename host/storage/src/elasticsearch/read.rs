//! Reads by key: each sees what was answered last, whatever searches see.

use dataknobs_kv_core::storage::ANSWER_BYTES;
use dataknobs_kv_core::{Error, Result, State, Timestamp};
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::client::{Client, Content, Deadline};
use super::failure::{Failure, Refusal, Told, unreadable};
use super::format::{Damaged, Id, Source};
use super::index::Index;
use super::seen::{Guard, Head};
use super::store::Store;

/// Reads with the same word go to the same copy of a shard while it lives. Another copy may not yet have what this one
/// shows of a write that is under way: so nobody reads new and then old.
pub(super) const SAME_COPY: &str = "preference=dataknobs-kv";

/// How much of a document an answer has to carry.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Fields {
    /// All but the value.
    Attributes,
    /// All but a long value.
    Inline,
    All,
}

/// The parameters of a request for so many documents.
fn parameters(index: &Index, fields: Fields, entries: usize) -> String {
    match index.sizes.excluded(fields, entries) {
        None => format!("?{SAME_COPY}"),
        Some(excluded) => format!("?{SAME_COPY}&_source_excludes={excluded}"),
    }
}

/// What is there under an `_id`.
pub(super) enum Found {
    Absent,
    /// No document of ours. Only what asks nothing of it gets past.
    Damaged(Guard),
    There(Guard, Box<Source>),
}

#[derive(Deserialize)]
struct Got<'a> {
    #[serde(default)]
    found: bool,
    #[serde(rename = "_seq_no")]
    seq_no: Option<u64>,
    #[serde(rename = "_primary_term")]
    primary_term: Option<u64>,
    #[serde(rename = "_source", borrow)]
    source: Option<&'a RawValue>,
    error: Option<Told>,
}

#[derive(Deserialize)]
struct ManyGot<'a> {
    #[serde(borrow)]
    docs: Vec<Got<'a>>,
}

impl Got<'_> {
    fn found(self, index: &Index, namespace: &str, key: &str, id: &Id) -> Result<Found, Failure> {
        if let Some(error) = self.error {
            let refusal = Refusal::told(503, Some(error));
            return Err(Failure::Refused(refusal.gone_if_told()));
        }
        if !self.found {
            index.seen.forget(id);
            return Ok(Found::Absent);
        }
        let (Some(seq_no), Some(primary_term)) = (self.seq_no, self.primary_term) else { return Err(unreadable()) };
        let guard = Guard { seq_no, primary_term };
        let source = self.source.map(|source| Source::parse(source.get()));
        Ok(match source {
            Some(Ok(source)) if source.is_of(namespace, key) => {
                index.seen.remember(id, Head::of(guard, &source));
                Found::There(guard, Box::new(source))
            }
            _ => Found::Damaged(guard),
        })
    }
}

/// One document.
pub(super) async fn look(
    client: &Client,
    index: &Index,
    (namespace, key, id): (&str, &str, &Id),
    fields: Fields,
    deadline: Deadline,
) -> Result<Found, Failure> {
    let path = format!("{}/_doc/{}{}", index.path, id.0, parameters(index, fields, 1));
    let body = match client.send(Method::GET, &path, Content::Nothing, deadline).await {
        Err(failure) if failure.is_missing() => {
            index.seen.forget(id);
            return Ok(Found::Absent);
        }
        body => body?,
    };
    serde_json::from_slice::<Got>(&body).map_err(|_| unreadable())?.found(index, namespace, key, id)
}

/// Many, in one request. The outer failure holds for all of them.
pub(super) async fn look_many(
    client: &Client,
    index: &Index,
    namespace: &str,
    keys: &[(&str, &Id)],
    fields: Fields,
    deadline: Deadline,
) -> Result<Vec<Result<Found>>, Failure> {
    if let [(key, id)] = keys {
        return Ok(vec![Ok(look(client, index, (namespace, *key, *id), fields, deadline).await?)]);
    }
    let ids: Vec<_> = keys.iter().map(|(_, id)| id.0.as_str()).collect();
    index.sizes.learn(client, &index.path, keys.len(), deadline).await?;
    let path = format!("{}/_mget{}", index.path, parameters(index, fields, keys.len()));
    let body = client.send(Method::POST, &path, Content::json(&json!({"ids": ids})), deadline).await?;
    let got: ManyGot = serde_json::from_slice(&body).map_err(|_| unreadable())?;
    if got.docs.len() != keys.len() {
        return Err(unreadable());
    }
    let mut found = Vec::with_capacity(keys.len());
    for (got, (key, id)) in got.docs.into_iter().zip(keys) {
        found.push(match got.found(index, namespace, key, id) {
            Err(failure) if failure.is_index_gone() => return Err(failure),
            found => found.map_err(Failure::into_error),
        });
    }
    Ok(found)
}

/// The living entry in what was found.
fn living(found: Found, key: &str, now: Timestamp, with_value: bool) -> Result<Option<State>> {
    match found {
        Found::Absent => Ok(None),
        Found::Damaged(_) => Err(Damaged::error(key)),
        Found::There(_, source) if source.expired(now) => Ok(None),
        Found::There(_, source) => source.into_state(with_value).map(Some).map_err(|Damaged| Damaged::error(key)),
    }
}

pub(super) async fn get(
    store: &Store,
    namespace: &str,
    key: &str,
    now: Timestamp,
    with_value: bool,
) -> Result<Option<State>> {
    let id = Id::new(namespace, key);
    let fields = if with_value { Fields::All } else { Fields::Attributes };
    let mut reading = store.reading();
    loop {
        match look(&store.client, &reading.index, (namespace, key, &id), fields, reading.deadline).await {
            Ok(found) => return living(found, key, now, with_value),
            Err(failure) => reading.after(failure).await?,
        }
    }
}

/// One request; two where long values are among those asked for.
pub(super) async fn get_many(
    store: &Store,
    namespace: &str,
    keys: &[String],
    now: Timestamp,
    with_value: bool,
) -> Result<Vec<Result<Option<State>>>> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Id> = keys.iter().map(|key| Id::new(namespace, key)).collect();
    let named: Vec<(&str, &Id)> = keys.iter().map(String::as_str).zip(&ids).collect();
    let first = if with_value { Fields::Inline } else { Fields::Attributes };
    let mut reading = store.reading();
    let mut found = look_reading(store, &mut reading, namespace, &named, first).await?;
    let kept = fitting(&found, with_value);
    found.truncate(kept);
    if with_value {
        fetch_large(store, &mut reading, namespace, &named, &mut found, now).await?;
    }
    let states = found.into_iter().zip(keys);
    Ok(states.map(|(found, key)| found.and_then(|found| living(found, key, now, with_value))).collect())
}

async fn look_reading(
    store: &Store,
    reading: &mut super::store::Reading<'_>,
    namespace: &str,
    keys: &[(&str, &Id)],
    fields: Fields,
) -> Result<Vec<Result<Found>>> {
    loop {
        match look_many(&store.client, &reading.index, namespace, keys, fields, reading.deadline).await {
            Ok(found) => return Ok(found),
            Err(failure) => reading.after(failure).await?,
        }
    }
}

/// For how many of them, from the first on, one answer has room: at least one.
fn fitting(found: &[Result<Found>], with_value: bool) -> usize {
    let mut room = ANSWER_BYTES;
    for (at, found) in found.iter().enumerate() {
        let Ok(Found::There(_, source)) = found else { continue };
        let weight = if with_value { source.weight() } else { source.weight_without_value() };
        if weight > room && at > 0 {
            return at;
        }
        room = room.saturating_sub(weight);
    }
    found.len()
}

/// Reads again, whole, those whose long value was left out: what is there by then.
pub(super) async fn fetch_large(
    store: &Store,
    reading: &mut super::store::Reading<'_>,
    namespace: &str,
    keys: &[(&str, &Id)],
    found: &mut [Result<Found>],
    now: Timestamp,
) -> Result<()> {
    let lacking = |found: &Result<Found>| match found {
        Ok(Found::There(_, source)) => source.lacks_large_value() && !source.expired(now),
        _ => false,
    };
    let at: Vec<usize> = (0..found.len()).filter(|at| found.get(*at).is_some_and(lacking)).collect();
    let wanted: Vec<(&str, &Id)> = at.iter().filter_map(|at| keys.get(*at).copied()).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let whole = look_reading(store, reading, namespace, &wanted, Fields::All).await?;
    for (at, whole) in at.into_iter().zip(whole) {
        if let Some(found) = found.get_mut(at) {
            *found = whole;
        }
    }
    Ok(())
}

/// The state of a listing's or a conflict's document.
pub(super) fn state(source: Source, key: &str, with_value: bool) -> Result<State, Error> {
    source.into_state(with_value).map_err(|Damaged| Damaged::error(key))
}
