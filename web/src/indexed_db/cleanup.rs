//! Removing many at once: what has expired, and whole namespaces; and which namespaces there are.

use dataknobs_kv_core::Timestamp;
use dataknobs_kv_core::storage::{Names, Reclaimed};
use wasm_bindgen::JsCast;
use wasm_bindgen_futures::JsFuture;

use super::failure::Failure;
use super::link::Link;
use super::shim::{NamePage, Removal, Transaction};
use super::write::completed;

async fn committed(transaction: &Transaction) -> Result<(), Failure> {
    transaction.commit()?;
    completed(transaction.done()).await
}

/// In one transaction: what is found is still expired when it is removed.
pub(super) async fn reclaim(
    link: &Link,
    namespace: Option<&str>,
    now: Timestamp,
    limit: u32,
) -> Result<Reclaimed, Failure> {
    let transaction = link.begin(true).await?;
    let removal = JsFuture::from(transaction.reclaim(namespace, now as f64, limit)?).await?;
    let removal: Removal = removal.unchecked_into();
    committed(&transaction).await?;
    Ok(Reclaimed { count: removal.removed(), more: removal.more_left() })
}

pub(super) async fn clear(link: &Link, namespace: &str, limit: u32) -> Result<bool, Failure> {
    let transaction = link.begin(true).await?;
    let more = JsFuture::from(transaction.clear(namespace, limit)?).await?;
    committed(&transaction).await?;
    Ok(more.as_bool().unwrap_or(false))
}

pub(super) async fn namespaces(link: &Link, after: Option<&str>, limit: u32) -> Result<Names, Failure> {
    let transaction = link.begin(false).await?;
    let page = JsFuture::from(transaction.namespaces(after, limit)?).await?;
    let page: NamePage = page.unchecked_into();
    let names: Vec<String> = page.names().iter().filter_map(|name| name.as_string()).collect();
    let next = if page.more_names() { names.last().cloned() } else { None };
    Ok(Names { names, next })
}
