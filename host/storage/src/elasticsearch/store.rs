//! What all operations share: the connection, the index that is in use, and how to get over what passes.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use dataknobs_kv_core::{Error, Result};
use reqwest::Method;
use tokio::sync::Mutex;

use super::client::{Client, Content, Deadline};
use super::config::ElasticsearchConfig;
use super::failure::Failure;
use super::index::Index;

/// How often one operation meets another index before it gives up.
const REOPENINGS: u32 = 3;

pub(super) struct Store {
    pub(super) client: Client,
    pub(super) config: ElasticsearchConfig,
    create: bool,
    index: RwLock<Arc<Index>>,
    opening: Mutex<()>,
    /// Writes of this process that were answered, and how many of them a refresh has made visible to searches.
    written: AtomicU64,
    refreshed: AtomicU64,
}

impl Store {
    pub(super) async fn open(config: ElasticsearchConfig, create: bool) -> Result<Self> {
        let client = Client::new(&config)?;
        let index = Index::open(&client, &config, create, client.deadline()).await?;
        Ok(Store {
            client,
            config,
            create,
            index: RwLock::new(Arc::new(index)),
            opening: Mutex::new(()),
            written: AtomicU64::new(0),
            refreshed: AtomicU64::new(0),
        })
    }

    pub(super) fn index(&self) -> Arc<Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Looks for the index anew after its alias was not there any more. What was known of documents is forgotten with it.
    pub(super) async fn reopen(&self, gone: &Arc<Index>, deadline: Deadline) -> Result<()> {
        let _one_at_a_time = self.opening.lock().await;
        if !Arc::ptr_eq(&self.index(), gone) {
            return Ok(());
        }
        tracing::warn!(index = self.config.index, "the index is gone; looking for it anew");
        let index =
            Index::open(&self.client, &self.config, self.create, deadline).await.map_err(|error| match error {
                // It was there when the store was opened: the caller did nothing wrong.
                Error::InvalidArgument(why) => Error::Unavailable(why),
                error => error,
            })?;
        *self.index.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(index);
        Ok(())
    }

    pub(super) fn reading(&self) -> Reading<'_> {
        Reading { store: self, deadline: self.client.deadline(), reopenings: 0, retried: false, index: self.index() }
    }

    /// Writes were answered.
    pub(super) fn wrote(&self) {
        self.written.fetch_add(1, Ordering::AcqRel);
    }

    /// Makes searches see what was written: all that anybody was answered, where `all`; else at least what this process
    /// was answered.
    pub(super) async fn refresh(&self, index: &Index, all: bool, deadline: Deadline) -> Result<(), Failure> {
        let written = self.written.load(Ordering::Acquire);
        if !all && self.refreshed.load(Ordering::Acquire) == written {
            return Ok(());
        }
        let path = format!("{}/_refresh", index.path);
        self.client.send(Method::POST, &path, Content::Nothing, deadline).await?;
        self.refreshed.fetch_max(written, Ordering::AcqRel);
        Ok(())
    }
}

/// The tries of one operation that changes nothing.
pub(super) struct Reading<'s> {
    store: &'s Store,
    pub(super) deadline: Deadline,
    pub(super) index: Arc<Index>,
    reopenings: u32,
    retried: bool,
}

impl Reading<'_> {
    /// Ok where it is to be tried again: once where an answer was lost on the way, and where the index is another one.
    pub(super) async fn after(&mut self, failure: Failure) -> Result<()> {
        if failure.is_index_gone() && self.reopenings < REOPENINGS {
            self.reopenings += 1;
            self.store.reopen(&self.index, self.deadline).await?;
            self.index = self.store.index();
            return Ok(());
        }
        if matches!(failure, Failure::NoAnswer(_)) && !self.retried && self.deadline.left().is_some() {
            self.retried = true;
            return Ok(());
        }
        Err(failure.into_error())
    }
}
