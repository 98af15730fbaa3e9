//! Walks over many rows: listing, counting, the names of namespaces.

use dataknobs_kv_core::storage::{ANSWER_BYTES, Hint, Names, Page, Range};
use dataknobs_kv_core::{Entry, Projection, Result, Timestamp};
use tokio_postgres::types::ToSql;

use super::format::{Json, Millis, own, state};
use super::hint::Filter;
use super::link::Link;
use super::sql::{MAX_COUNTED, Statements};

/// The first key that may come. No key has a control character, so the least text after one is that key and U+0001.
fn low(range: &Range) -> String {
    let after = range.after.as_ref().map(|after| format!("{after}\u{1}"));
    range.from.clone().max(after).unwrap_or_default()
}

/// One look at a namespace.
pub(super) struct Walk<'a> {
    pub(super) link: &'a Link,
    pub(super) sql: &'a Statements,
    pub(super) namespace: &'a str,
    pub(super) now: Timestamp,
}

impl Walk<'_> {
    pub(super) async fn scan(&self, range: &Range, hint: &Hint, limit: u32, want: Projection) -> Result<Page> {
        if range.bounds().is_none() {
            return Ok(Page::default());
        }
        let filter = Filter::new(hint);
        let want_state = match want {
            Projection::Key => None,
            Projection::Attributes => Some(false),
            Projection::Value => Some(true),
        };
        let limit = limit.max(1) as usize;
        // One more than a page: it says that there is more.
        let (first, now, rows, weight) = (low(range), Millis(self.now), limit as i64 + 1, ANSWER_BYTES as i64);
        let wanted = filter.metadata.as_deref().map(Json);
        let mut parameters: Vec<&(dyn ToSql + Sync)> = vec![&self.namespace, &first, &now, &rows, &weight];
        if let Some(to) = &range.to {
            parameters.push(to);
        }
        if let Some(like) = &filter.like {
            parameters.push(like);
        }
        if let Some(wanted) = &wanted {
            parameters.push(wanted);
        }
        let statement = self.sql.page(range.to.is_some(), filter.like.is_some(), wanted.is_some(), want_state);
        let rows = self.link.read(&statement, &parameters).await?;
        let mut page = Page::default();
        for row in &rows {
            let Some(key) = own::<Option<&str>>(row, 0)? else {
                // The walk ended here, unless the page did before.
                page.next = own(row, 1)?;
                continue;
            };
            if page.items.len() >= limit || !own::<bool>(row, 2)? {
                page.next = page.items.last().map(|entry: &Entry| entry.key.clone());
                return Ok(page);
            }
            let state = want_state.map(|with_value| state(row, 3, with_value, key)).transpose()?;
            page.items.push(Entry { key: key.to_owned(), state });
        }
        if page.items.len() >= limit && page.next.is_some() {
            page.next = page.items.last().map(|entry| entry.key.clone());
        }
        Ok(page)
    }

    pub(super) async fn count(&self, range: &Range) -> Result<Option<u64>> {
        if range.bounds().is_none() {
            return Ok(Some(0));
        }
        let (first, now) = (low(range), Millis(self.now));
        let mut parameters: Vec<&(dyn ToSql + Sync)> = vec![&self.namespace, &first, &now];
        if let Some(to) = &range.to {
            parameters.push(to);
        }
        let rows = self.link.read(&self.sql.count(range.to.is_some()), &parameters).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let (living, looked_at) = (own::<i64>(row, 0)?, own::<i64>(row, 1)?);
        Ok((looked_at <= MAX_COUNTED as i64).then_some(living.unsigned_abs()))
    }
}

pub(super) async fn namespaces(link: &Link, sql: &Statements, after: Option<&str>, limit: u32) -> Result<Names> {
    let limit = limit.max(1) as usize;
    // No namespace is empty.
    let rows = link.read(&sql.namespaces, &[&after.unwrap_or_default(), &(limit as i64 + 1)]).await?;
    let mut names = Names::default();
    for row in &rows {
        if names.names.len() >= limit {
            names.next = names.names.last().cloned();
            break;
        }
        names.names.push(own(row, 0)?);
    }
    Ok(names)
}
