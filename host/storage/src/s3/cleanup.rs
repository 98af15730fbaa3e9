//! Marks of expiry, removal of what has expired, and of whole namespaces.
//!
//! An entry that expires has a mark, an empty-handed object whose name says when, whose and which write's it is. The mark
//! is written before the entry, and removed by whoever replaced or removed the entry. So no entry that expires is ever
//! without its mark; a mark may be without its entry, where a writer lost its race or died. Such an orphan is kept until
//! it is an hour old by the store's own clock: its writer may yet write the entry, but has given up long before.

use dataknobs_kv_core::storage::{Names, Reclaimed};
use dataknobs_kv_core::{Result, Timestamp};
use futures::StreamExt;
use reqsign_core::time::Timestamp as Time;

use super::failure::{Failure, Meaning};
use super::format::GRAVE;
use super::names::{self, ENTRIES, EXPIRIES};
use super::read::{Look, Want, look};
use super::scan::MOST_NAMES;
use super::xml::{self, Listing};
use super::{S3Storage, client::Guard};

/// Mostly nothing is due: the first LIST asks for few.
const FIRST_NAMES: usize = 10;
/// The most marks that one call looks at.
const MOST_MARKS: usize = 20_000;
/// An orphan is kept so long, in seconds.
const ORPHAN_AGE: i64 = 3600;

/// A mark of expiry.
#[derive(Debug)]
pub(super) struct Mark {
    object: String,
    nonce: String,
    pub(super) name: String,
    /// Whether a writer that has not yet written its entry has given up by now.
    old: bool,
}

/// The marks of a namespace that are due, page by page.
pub(super) struct Due<'a> {
    storage: &'a S3Storage,
    folder: String,
    now: Timestamp,
    after: String,
    most: usize,
    done: bool,
}

impl Due<'_> {
    /// None at the end.
    pub(super) async fn next(&mut self) -> Result<Option<Vec<Mark>>> {
        if self.done {
            return Ok(None);
        }
        let (listing, date) = self.storage.list(&self.folder, &self.after, false, self.most).await?;
        self.most = MOST_NAMES;
        self.done = !listing.more;
        let mut marks = Vec::new();
        for object in listing.objects {
            self.after.clone_from(&object.name);
            let Some((at, nonce, name)) = object.name.strip_prefix(&self.folder).and_then(names::split_mark) else {
                continue;
            };
            if at > self.now {
                self.done = true;
                break;
            }
            let (nonce, name) = (nonce.to_owned(), name.to_owned());
            let old = is_old(&object.modified, date.as_deref());
            marks.push(Mark { object: object.name, nonce, name, old });
        }
        Ok(Some(marks))
    }
}

/// Whether what was last modified then is an hour old, by the store's clock at both times.
fn is_old(modified: &str, date: Option<&str>) -> bool {
    let modified = Time::parse_datetime_utc(modified.trim_end_matches('Z')).ok();
    let date = date.and_then(|date| Time::parse_rfc2822(date).ok());
    match (modified, date) {
        (Some(modified), Some(date)) => date.as_second().saturating_sub(modified.as_second()) > ORPHAN_AGE,
        _ => false,
    }
}

impl S3Storage {
    /// One LIST.
    pub(super) async fn list(
        &self,
        prefix: &str,
        after: &str,
        folders: bool,
        most: usize,
    ) -> Result<(Listing, Option<String>)> {
        let listing = self.client.list(prefix, after, folders, most, self.client.deadline()).await;
        listing.map_err(|failure| failure.of_read(&self.client.bucket))
    }

    pub(super) fn due(&self, namespace: &str, now: Timestamp) -> Due<'_> {
        let folder = format!("{}{EXPIRIES}{}", self.root, names::folder(namespace));
        Due { storage: self, folder, now, after: String::new(), most: FIRST_NAMES, done: false }
    }

    pub(super) async fn reclaim_all(&self, now: Timestamp, limit: u32) -> Result<Reclaimed> {
        let mut reclaimed = Reclaimed::default();
        let mut after = None;
        loop {
            let names = self.names_under(EXPIRIES, after.as_deref(), MOST_NAMES).await?;
            for namespace in names.names {
                let left = limit.saturating_sub(reclaimed.count);
                let part = self.reclaim_in(&namespace, now, left).await?;
                reclaimed.count = reclaimed.count.saturating_add(part.count);
                if part.more {
                    reclaimed.more = true;
                    return Ok(reclaimed);
                }
            }
            match names.next {
                Some(next) => after = Some(next),
                None => return Ok(reclaimed),
            }
        }
    }

    pub(super) async fn reclaim_in(&self, namespace: &str, now: Timestamp, limit: u32) -> Result<Reclaimed> {
        let mut reclaimed = Reclaimed::default();
        let mut looked_at: usize = 0;
        let mut due = self.due(namespace, now);
        while let Some(marks) = due.next().await? {
            let mut marks = marks.into_iter().peekable();
            while marks.peek().is_some() {
                let left = limit.saturating_sub(reclaimed.count) as usize;
                if left == 0 || looked_at >= MOST_MARKS {
                    reclaimed.more = true;
                    return Ok(reclaimed);
                }
                let batch: Vec<_> = marks.by_ref().take(left).collect();
                looked_at = looked_at.saturating_add(batch.len());
                let settled = batch.into_iter().map(|mark| self.settle(namespace, mark, now));
                let mut settled = futures::stream::iter(settled).buffer_unordered(self.client.concurrency());
                while let Some(removed) = settled.next().await {
                    reclaimed.count = reclaimed.count.saturating_add(u32::from(removed?));
                }
            }
        }
        Ok(reclaimed)
    }

    /// Removes the entry that the mark speaks of, if it still is the one and has expired; and the mark, if nothing needs
    /// it. Whether an entry was removed.
    async fn settle(&self, namespace: &str, mark: Mark, now: Timestamp) -> Result<bool> {
        let object = self.entry(namespace, &mark.name);
        let deadline = self.client.deadline();
        let look = look(&self.client, &object, Want::Head, deadline).await;
        let look = look.map_err(|failure| failure.of_read(&self.client.bucket))?;
        let removed = match look {
            Look::Entry(found) if found.head.nonce == mark.nonce => {
                if !found.attributes().expired(now) {
                    return Ok(false);
                }
                match self.bury(&object, &found.etag, deadline).await {
                    Ok(grave) => {
                        self.seen.put(&object, self.gone(grave)).await;
                        true
                    }
                    // Renewed in between: the mark is of no more use, and goes when that is sure.
                    Err(failure) if matches!(failure.meaning(), Meaning::Lost | Meaning::Missing) => return Ok(false),
                    Err(failure) => {
                        self.seen.forget(&object).await;
                        return Err(failure.of_write(&self.client.bucket));
                    }
                }
            }
            _ if mark.old => false,
            _ => return Ok(false),
        };
        // One that stays is an orphan, and goes another time.
        let _ = self.client.delete_again(&mark.object, deadline).await;
        Ok(removed)
    }

    /// Deletes objects without a condition: in a namespace that is being cleared, whatever was written meanwhile counts
    /// as written before.
    pub(super) async fn clear_up_to(&self, namespace: &str, limit: usize) -> Result<bool> {
        let folder = format!("{}{ENTRIES}{}", self.root, names::folder(namespace));
        let mut left = limit;
        let mut after = String::new();
        while left > 0 {
            let (listing, _) = self.list(&folder, &after, false, left.min(MOST_NAMES)).await?;
            if let Some(last) = listing.objects.last() {
                after.clone_from(&last.name);
            }
            left = left.saturating_sub(listing.objects.len());
            let more = listing.more;
            self.delete_objects(listing.objects.into_iter().map(|object| object.name).collect()).await?;
            if !more {
                self.sweep_marks(namespace).await?;
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Removes the marks of a namespace that has been emptied. Those of writers that may still be at work stay.
    async fn sweep_marks(&self, namespace: &str) -> Result<()> {
        let mut marks = self.due(namespace, Timestamp::MAX);
        let mut looked_at: usize = 0;
        while let Some(marks) = marks.next().await? {
            looked_at = looked_at.saturating_add(marks.len());
            let old: Vec<_> = marks.into_iter().filter(|mark| mark.old).map(|mark| mark.object).collect();
            self.delete_objects(old).await?;
            if looked_at >= MOST_MARKS {
                break;
            }
        }
        Ok(())
    }

    async fn delete_objects(&self, objects: Vec<String>) -> Result<()> {
        let (mut together, mut alone): (Vec<_>, Vec<_>) = objects.into_iter().partition(|name| xml::can_hold(name));
        for object in together.iter().chain(&alone) {
            self.seen.forget(object).await;
        }
        if together.len() > 1 {
            match self.client.delete_all(&together, self.client.deadline()).await {
                Ok(()) => together.clear(),
                // Not every store deletes many in one request.
                Err(Failure::Refused(refusal)) if matches!(refusal.status, 400 | 404 | 405 | 501) => {}
                Err(failure) => return Err(failure.of_write(&self.client.bucket)),
            }
        }
        alone.append(&mut together);
        let deletions = alone
            .into_iter()
            .map(|object| async move { self.client.delete(&object, Guard::None, self.client.deadline()).await });
        let mut deletions = futures::stream::iter(deletions).buffer_unordered(self.client.concurrency());
        while let Some(deleted) = deletions.next().await {
            match deleted {
                Err(failure) if failure.meaning() != Meaning::Missing => {
                    return Err(failure.of_write(&self.client.bucket));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The namespaces that hold entries.
    pub(super) async fn namespaces_after(&self, after: Option<&str>, limit: usize) -> Result<Names> {
        let mut names = self.names_under(ENTRIES, after, limit).await?;
        // Some stores list folders that have become empty, and the deleted may leave graves.
        let held = names.names.clone().into_iter();
        let held = held.map(|namespace| async move { self.holds_any(&namespace).await });
        let held: Vec<_> = futures::stream::iter(held).buffered(self.client.concurrency()).collect().await;
        let mut held = held.into_iter().collect::<Result<Vec<bool>>>()?.into_iter();
        names.names.retain(|_| held.next().unwrap_or(true));
        Ok(names)
    }

    /// Whether there is an object in the namespace that is more than a grave.
    async fn holds_any(&self, namespace: &str) -> Result<bool> {
        let folder = format!("{}{ENTRIES}{}", self.root, names::folder(namespace));
        let mut after = String::new();
        let mut most = 1;
        loop {
            let (listing, _) = self.list(&folder, &after, false, most).await?;
            if listing.objects.iter().any(|object| object.size > GRAVE.len() as u64) {
                return Ok(true);
            }
            match listing.objects.last() {
                Some(last) if listing.more => after.clone_from(&last.name),
                _ => return Ok(false),
            }
            most = MOST_NAMES;
        }
    }

    /// The namespaces that have a folder under this one.
    async fn names_under(&self, under: &str, after: Option<&str>, limit: usize) -> Result<Names> {
        let folder = format!("{}{under}", self.root);
        let mut after = after.map_or_else(String::new, |after| folder.clone() + &names::after_folder(after));
        let mut names = Names::default();
        loop {
            let left = limit.saturating_sub(names.names.len());
            let (listing, _) = self.list(&folder, &after, true, left.clamp(1, MOST_NAMES)).await?;
            for found in &listing.folders {
                let name = found.strip_prefix(&folder).and_then(|name| name.strip_suffix('/'));
                if let Some(name) = name.and_then(names::namespace)
                    && names.names.len() < limit
                {
                    names.names.push(name);
                }
            }
            if !listing.more {
                return Ok(names);
            }
            if names.names.len() >= limit {
                names.next = names.names.last().cloned();
                return Ok(names);
            }
            // After all of the last folder: `0` comes after `/`.
            let last_folder = listing.folders.last().and_then(|name| Some(format!("{}0", name.strip_suffix('/')?)));
            let last_object = listing.objects.last().map(|object| object.name.clone());
            match last_folder.max(last_object) {
                Some(last) if last > after => after = last,
                _ => return Ok(names),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orphans_are_kept_for_an_hour_of_the_stores_time() {
        let modified = "2026-11-26T07:05:27.000Z";
        for (date, old) in [
            ("Thu, 26 Nov 2026 07:05:27 GMT", false),
            ("Thu, 26 Nov 2026 08:05:27 GMT", false),
            ("Thu, 26 Nov 2026 08:05:28 GMT", true),
            ("Fri, 27 Nov 2026 00:00:00 GMT", true),
            ("Thu, 26 Nov 2026 06:00:00 GMT", false),
            ("yesterday", false),
        ] {
            assert_eq!(is_old(modified, Some(date)), old, "{date}");
        }
        assert!(is_old("2026-11-26T07:05:27Z", Some("Thu, 26 Nov 2026 09:05:27 GMT")));
        assert!(!is_old("", Some("Thu, 26 Nov 2026 09:05:27 GMT")) && !is_old(modified, None));
    }
}
