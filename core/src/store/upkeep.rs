//! Whole namespaces, and what has expired in them.

use super::{Cleaned, Core, NamePage, core::check_limit, cursor::Walk};
use crate::{Clock, Result, Storage, key};

const NAMESPACES: Walk<'static> = Walk { words: &["namespaces"] };

#[cfg_attr(all(feature = "component", target_family = "wasm"), maybe_async::must_be_sync)]
impl<S: Storage, C: Clock> Core<S, C> {
    pub(crate) async fn cleanup_expired(&self, namespace: Option<&str>, limit: u32) -> Result<Cleaned> {
        if let Some(namespace) = namespace {
            key::validate_namespace(namespace)?;
        }
        check_limit(limit)?;
        let reclaimed = self.storage.reclaim(namespace, self.clock.now(), limit).await?;
        Ok(Cleaned { count: reclaimed.count, more: reclaimed.more })
    }

    pub(crate) async fn clear(&self, namespace: &str, limit: u32) -> Result<bool> {
        key::validate_namespace(namespace)?;
        check_limit(limit)?;
        self.storage.clear(namespace, limit).await
    }

    pub(crate) async fn namespaces(&self, cursor: Option<&str>, limit: u32) -> Result<NamePage> {
        check_limit(limit)?;
        let after = cursor.map(|cursor| NAMESPACES.position(cursor)).transpose()?;
        let page = self.storage.namespaces(after.as_deref(), limit).await?;
        Ok(NamePage { names: page.names, cursor: page.next.map(|next| NAMESPACES.cursor(&next)) })
    }
}
