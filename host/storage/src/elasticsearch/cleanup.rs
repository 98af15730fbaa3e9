//! Removal of many entries: of expired ones, and of whole namespaces.

use dataknobs_kv_core::storage::Reclaimed;
use dataknobs_kv_core::{Error, Result, Timestamp};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::bulk::{self, Op};
use super::client::Content;
use super::failure::{Failure, Meaning};
use super::format::Id;
use super::index::Index;
use super::read::SAME_COPY;
use super::scan::expired;
use super::seen::Guard;
use super::store::Store;

/// How many documents one request removes at most.
const STEP: usize = 1000;

#[derive(Deserialize)]
struct Answer {
    hits: Hits,
}

#[derive(Deserialize)]
struct Hits {
    #[serde(default)]
    hits: Vec<Hit>,
}

#[derive(Deserialize)]
struct Hit {
    #[serde(rename = "_id")]
    id: String,
    #[serde(rename = "_seq_no")]
    seq_no: u64,
    #[serde(rename = "_primary_term")]
    primary_term: u64,
}

/// Removes what is expired, each only in the state in which it was found expired.
pub(super) async fn reclaim(store: &Store, namespace: Option<&str>, now: Timestamp, limit: u32) -> Result<Reclaimed> {
    let mut filter = vec![expired(now)];
    if let Some(namespace) = namespace {
        filter.push(json!({"term": {"namespace": namespace}}));
    }
    let (count, more) = remove(store, json!({"bool": {"filter": filter}}), limit, true).await?;
    Ok(Reclaimed { count, more })
}

/// Removes entries of the namespace, in whatever state they are by then. Whether more may be left.
pub(super) async fn clear(store: &Store, namespace: &str, limit: u32) -> Result<bool> {
    let query = json!({"bool": {"filter": [{"term": {"namespace": namespace}}]}});
    Ok(remove(store, query, limit, false).await?.1)
}

/// How many were removed, and whether more may be left.
async fn remove(store: &Store, query: Json, limit: u32, guarded: bool) -> Result<(u32, bool)> {
    let mut left = limit.max(1) as usize;
    let mut count: u32 = 0;
    while left > 0 {
        let size = left.min(STEP);
        let (index, found) = find(store, &query, size).await?;
        let all = found.len() < size;
        left -= found.len().min(left);
        count = count.saturating_add(delete(store, &index, found, guarded).await?);
        if all {
            return Ok((count, false));
        }
    }
    Ok((count, true))
}

async fn find(store: &Store, query: &Json, size: usize) -> Result<(std::sync::Arc<Index>, Vec<Hit>)> {
    let search = json!({
        "size": size,
        "track_total_hits": false,
        "_source": false,
        "seq_no_primary_term": true,
        "query": query,
    });
    let mut reading = store.reading();
    loop {
        let found = async {
            store.refresh(&reading.index, true, reading.deadline).await?;
            let path = format!("{}/_search?{SAME_COPY}&allow_partial_search_results=false", reading.index.path);
            store.client.ask::<Answer>(Method::POST, &path, Content::json(&search), reading.deadline).await
        };
        match found.await {
            Ok(answer) => return Ok((reading.index, answer.hits.hits)),
            Err(failure) => reading.after(failure).await?,
        }
    }
}

/// How many of them are gone by this.
async fn delete(store: &Store, index: &Index, found: Vec<Hit>, guarded: bool) -> Result<u32> {
    if found.is_empty() {
        return Ok(0);
    }
    let ids: Vec<Id> = found.iter().map(|hit| Id(hit.id.clone())).collect();
    let guards = found.iter().map(|hit| Guard { seq_no: hit.seq_no, primary_term: hit.primary_term });
    let ops: Vec<(&Id, Op)> =
        ids.iter().zip(guards).map(|(id, guard)| (id, Op::Delete(guarded.then_some(guard)))).collect();
    let written = bulk::send_many(&store.client, index, &ops, || store.client.deadline()).await;
    store.wrote();
    ids.iter().for_each(|id| index.seen.forget(id));
    let mut count = 0;
    for written in written {
        match written {
            Ok(_) => count += 1,
            Err(Failure::Refused(refusal)) => match refusal.meaning() {
                // It was renewed, or is gone already: by another hand, which counts it.
                Meaning::Conflict | Meaning::Missing | Meaning::IndexGone => {}
                Meaning::NotApplied(error) => return Err(error),
                Meaning::Unknown(why) => return Err(Error::OutcomeUnknown(why)),
                Meaning::TooLarge => return Err(Error::Internal("a request of deletions was too large".into())),
            },
            Err(Failure::NoAnswer(why)) => return Err(Error::OutcomeUnknown(why)),
            Err(failure) => return Err(failure.into_error()),
        }
    }
    Ok(count)
}
