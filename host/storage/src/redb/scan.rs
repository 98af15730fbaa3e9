//! Walks over many rows: listing, counting, the names of namespaces.

use std::ops::Bound;

use dataknobs_kv_core::storage::{ANSWER_BYTES, Hint, Names, Page, Range};
use dataknobs_kv_core::{Entry, Projection, Result, Timestamp};

use super::failure::Failure;
use super::file::StoreFile;
use super::format::{self, Damaged, Head, Rows};
use super::reader::{Reads, weight};
use crate::hint::Filter;

/// How many rows one page looks at: where matches are rare it ends early, and the walk goes on in the next call.
const MAX_ROWS: usize = 20_000;

pub(super) fn scan(
    file: &StoreFile,
    namespace: &str,
    range: &Range,
    hint: &Hint,
    now: Timestamp,
    limit: u32,
    want: Projection,
) -> Result<Page> {
    let Some(rows) = format::rows(namespace, range) else { return Ok(Page::default()) };
    let filter = Filter::new(hint);
    let with_value = want == Projection::Value;
    file.read(|snapshot| {
        let mut reads = Reads::new(snapshot)?;
        let mut items: Vec<Entry> = Vec::new();
        let mut last: Option<String> = None;
        let mut room = ANSWER_BYTES;
        for (looked_at, item) in reads.head.range::<&[u8]>(borrow(&rows))?.enumerate() {
            let (row, head) = item?;
            let (row, head) = (row.value(), head.value());
            if items.len() >= limit.max(1) as usize || looked_at >= MAX_ROWS {
                return Ok(Page { items, next: last });
            }
            let Some(key) = format::split_row(row).and_then(|(_, key)| std::str::from_utf8(key).ok()) else {
                return Err(format::Damaged.error(row).into());
            };
            match look(&filter, key, head, now, want) {
                Err(damaged) => return Err(damaged.error(row).into()),
                Ok(Looked::LeaveOut) => {}
                Ok(Looked::Key) => items.push(Entry { key: key.to_owned(), state: None }),
                Ok(Looked::State(head)) => {
                    let weight = weight(&head.attributes, with_value);
                    if weight > room && !items.is_empty() {
                        return Ok(Page { items, next: last });
                    }
                    room = room.saturating_sub(weight);
                    let state = reads.state(row, *head, with_value)??;
                    items.push(Entry { key: key.to_owned(), state: Some(state) });
                }
            }
            let last = last.get_or_insert_default();
            last.clear();
            last.push_str(key);
        }
        Ok(Page { items, next: None })
    })
}

/// What becomes of a row.
enum Looked<'a> {
    LeaveOut,
    Key,
    State(Box<Head<'a>>),
}

/// Reads no more of the head than it has to. A damaged one does not hide its key: by the key it can be deleted.
fn look<'h>(
    filter: &Filter,
    key: &str,
    head: &'h [u8],
    now: Timestamp,
    want: Projection,
) -> Result<Looked<'h>, Damaged> {
    if !filter.key(key) {
        return Ok(Looked::LeaveOut);
    }
    if want == Projection::Key && !filter.narrows_metadata() {
        let expired = format::expires_at(head).ok().flatten().is_some_and(|at| at <= now);
        return Ok(if expired { Looked::LeaveOut } else { Looked::Key });
    }
    let head = match Head::decode(head) {
        Err(_) if want == Projection::Key => return Ok(Looked::Key),
        head => head?,
    };
    let matches = filter.metadata(head.attributes.metadata.as_deref());
    Ok(match want {
        _ if head.attributes.expired(now) || !matches => Looked::LeaveOut,
        Projection::Key => Looked::Key,
        Projection::Attributes | Projection::Value => Looked::State(Box::new(head)),
    })
}

/// Counts where that takes no more than a page's work.
pub(super) fn count(file: &StoreFile, namespace: &str, range: &Range, now: Timestamp) -> Result<Option<u64>> {
    let Some(rows) = format::rows(namespace, range) else { return Ok(Some(0)) };
    file.read(|snapshot| {
        let mut count = 0;
        for (looked_at, item) in snapshot.head()?.range::<&[u8]>(borrow(&rows))?.enumerate() {
            if looked_at >= MAX_ROWS {
                return Ok(None);
            }
            let (_, head) = item?;
            // As in a listing of keys, a damaged entry is one.
            let expires_at = format::expires_at(head.value()).ok().flatten();
            count += u64::from(expires_at.is_none_or(|at| at > now));
        }
        Ok(Some(count))
    })
}

/// Finds the first row of each namespace, and skips the rest of it.
pub(super) fn namespaces(file: &StoreFile, after: Option<&str>, limit: u32) -> Result<Names> {
    let mut from = after.map_or_else(Vec::new, |after| format::after_namespace(after.as_bytes()));
    file.read(|snapshot| {
        let head = snapshot.head()?;
        let mut names = Names::default();
        while let Some(item) = head.range(from.as_slice()..)?.next() {
            if names.names.len() >= limit.max(1) as usize {
                names.next = names.names.last().cloned();
                break;
            }
            let (row, _) = item?;
            let row = row.value();
            let name = format::split_row(row).and_then(|(name, _)| std::str::from_utf8(name).ok());
            let name = name.ok_or_else(|| Failure::Ours(format::Damaged.error(row)))?;
            from = format::after_namespace(name.as_bytes());
            names.names.push(name.to_owned());
        }
        Ok(names)
    })
}

fn borrow(rows: &Rows) -> (Bound<&[u8]>, Bound<&[u8]>) {
    (rows.0.as_ref().map(Vec::as_slice), rows.1.as_ref().map(Vec::as_slice))
}
