//! Walks over many rows: listing, counting, the names of namespaces.

use std::ops::Bound;

use dataknobs_kv_core::storage::{ANSWER_BYTES, Hint, Names, Page, Range};
use dataknobs_kv_core::{Entry, Pattern, Projection, Result, Timestamp, metadata};

use super::failure::Failure;
use super::file::StoreFile;
use super::format::{self, Head, Rows};
use super::reader::{Reads, answer_bytes};

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
    file.read(|snapshot| {
        let mut reads = Reads::new(snapshot)?;
        let mut page = Page::default();
        let mut bytes = 0;
        for (looked_at, item) in reads.head.range::<&[u8]>(borrow(&rows))?.enumerate() {
            let (row, head) = item?;
            let row = row.value();
            if page.items.len() >= limit.max(1) as usize || looked_at >= MAX_ROWS || bytes >= ANSWER_BYTES {
                // There is more: `page.next` is the row before this one.
                return Ok(page);
            }
            let Some(key) = format::split_row(row).and_then(|(_, key)| std::str::from_utf8(key).ok()) else {
                return Err(Failure::Ours(format::Damaged.error(row)));
            };
            // Every row looked at moves it on. Only kept if another row follows.
            match &mut page.next {
                Some(next) => {
                    next.clear();
                    next.push_str(key);
                }
                none => *none = Some(key.to_owned()),
            }
            if !filter.may_match_key(key) {
                continue;
            }
            let head = head.value();
            let state = if want == Projection::Key && filter.metadata.is_none() {
                // A damaged head must not hide the key: by the key it can be deleted.
                if format::expires_at(head).ok().flatten().is_some_and(|at| at <= now) {
                    continue;
                }
                None
            } else {
                match Head::decode(head) {
                    Err(_) if want == Projection::Key => None,
                    Err(damaged) => return Err(damaged.error(row).into()),
                    Ok(head)
                        if head.attributes.expired(now)
                            || !filter.may_match_metadata(head.attributes.metadata.as_deref()) =>
                    {
                        continue;
                    }
                    Ok(_) if want == Projection::Key => None,
                    Ok(head) => Some(reads.state(row, head, want == Projection::Value)??),
                }
            };
            bytes += state.as_ref().map_or(0, answer_bytes);
            page.items.push(Entry { key: key.to_owned(), state });
        }
        page.next = None;
        Ok(page)
    })
}

/// What a hint lets us leave out.
struct Filter<'a> {
    pattern: Option<Pattern>,
    metadata: Option<&'a str>,
}

impl<'a> Filter<'a> {
    fn new(hint: &'a Hint) -> Self {
        // A hint that we cannot read leaves nothing out.
        let pattern = hint.pattern.as_deref().and_then(|pattern| Pattern::parse(pattern).ok());
        Filter { pattern: pattern.filter(|pattern| !pattern.is_range()), metadata: hint.metadata.as_deref() }
    }

    fn may_match_key(&self, key: &str) -> bool {
        self.pattern.as_ref().is_none_or(|pattern| pattern.matches(key))
    }

    fn may_match_metadata(&self, metadata: Option<&str>) -> bool {
        self.metadata.is_none_or(|wanted| metadata::contains(metadata, wanted))
    }
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
