//! Reading a store from one end to the other, page by page.
//!
//! Always through the store itself: its rules know patterns, cursors and checksums, and a listing moves no sliding expiry.

use std::collections::VecDeque;
use std::sync::Arc;

use dataknobs_kv_core::store::Query;
use dataknobs_kv_core::{Error, Projection, Result, State, Store};
use serde::{Deserialize, Serialize};

use crate::list::exactly;

/// Names asked for at a time.
const NAMES: u32 = 1000;

/// How far a walk over everything has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Position {
    /// In this namespace, those before it being done.
    pub(super) namespace: String,
    /// The store's cursor; none: this one is done too.
    pub(super) cursor: Option<String>,
}

/// What was found under a key.
pub(super) enum Read {
    Entry(String, State),
    /// It cannot be read.
    Damaged(String, Error),
}

impl Read {
    pub(super) fn key(&self) -> &str {
        match self {
            Read::Entry(key, _) | Read::Damaged(key, _) => key,
        }
    }
}

/// The namespaces that are meant, in byte order.
pub(super) struct Names {
    store: Arc<dyn Store>,
    fetched: VecDeque<String>,
    /// Where to go on; none at the end.
    next: Option<Option<String>>,
    /// Where to begin: names before it are done.
    from: Option<String>,
}

impl Names {
    /// `named`, or all where none is named; from this one on.
    pub(super) fn new(store: Arc<dyn Store>, named: &[String], from: Option<String>) -> Self {
        let next = named.is_empty().then_some(None);
        Names { store, fetched: named.iter().cloned().collect(), next, from }
    }

    /// The next one; asked again after an error it goes on where it was.
    pub(super) async fn next(&mut self) -> Result<Option<String>> {
        loop {
            while let Some(name) = self.fetched.pop_front() {
                if self.from.as_ref().is_none_or(|from| name >= *from) {
                    return Ok(Some(name));
                }
            }
            let Some(cursor) = &self.next else { return Ok(None) };
            let page = self.store.namespaces(cursor.as_deref(), NAMES).await?;
            self.fetched = page.names.into();
            self.next = page.cursor.map(Some);
        }
    }
}

/// The entries of one namespace that match, in key order.
pub(super) struct Walk {
    store: Arc<dyn Store>,
    namespace: String,
    query: Query,
    /// Where to go on; none at the end.
    next: Option<Option<String>>,
    /// How many to ask for: fewer near damaged entries, which stop a page.
    limit: u32,
    page: u32,
}

impl Walk {
    pub(super) fn new(store: Arc<dyn Store>, namespace: &str, pattern: &str, from: Option<String>, page: u32) -> Self {
        let (namespace, query) = (namespace.to_owned(), Query::pattern(pattern));
        Walk { store, namespace, query, next: Some(from), limit: page, page }
    }

    /// Where the next page begins; none at the end.
    pub(super) fn cursor(&self) -> Option<String> {
        self.next.clone().flatten()
    }

    /// One page, which may be empty; none after the last. Asked again after an error it goes on where it was.
    pub(super) async fn page(&mut self) -> Result<Option<Vec<Read>>> {
        let Some(cursor) = self.next.clone() else { return Ok(None) };
        loop {
            match self.list(cursor.as_deref(), self.limit, Projection::Value).await {
                Ok((reads, next)) => {
                    self.limit = self.limit.saturating_mul(2).min(self.page);
                    self.next = next;
                    return Ok(Some(reads));
                }
                Err(Error::Corrupt(_)) if self.limit > 1 => self.limit = (self.limit / 8).max(1),
                Err(Error::Corrupt(_)) => {
                    let (keys, next) = self.list(cursor.as_deref(), 1, Projection::Key).await?;
                    let mut reads = Vec::with_capacity(keys.len());
                    for key in keys {
                        // The listing may have met the damage behind the key, so it is looked at alone.
                        reads.extend(self.one(key.key()).await?);
                    }
                    self.next = next;
                    return Ok(Some(reads));
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn list(
        &self,
        cursor: Option<&str>,
        limit: u32,
        want: Projection,
    ) -> Result<(Vec<Read>, Option<Option<String>>)> {
        let page = self.store.list_entries(&self.namespace, &self.query, cursor, limit, want).await?;
        let read = |entry: dataknobs_kv_core::Entry| match entry.state {
            Some(state) if state.value.is_some() || want == Projection::Key => Read::Entry(entry.key, state),
            _ => {
                let error = Error::Internal("it was listed without its value".into());
                Read::Damaged(entry.key, error)
            }
        };
        Ok((page.entries.into_iter().map(read).collect(), page.cursor.map(Some)))
    }

    /// One key, by a listing too; none where it is gone.
    async fn one(&self, key: &str) -> Result<Option<Read>> {
        let query = Query::pattern(exactly(key));
        match self.store.list_entries(&self.namespace, &query, None, 1, Projection::Value).await {
            Ok(page) => {
                let found = page.entries.into_iter().next();
                Ok(found.and_then(|entry| Some(Read::Entry(entry.key, entry.state?))))
            }
            Err(error @ Error::Corrupt(_)) => Ok(Some(Read::Damaged(key.to_owned(), error))),
            Err(error) => Err(error),
        }
    }
}
