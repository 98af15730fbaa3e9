//! Walking over names in order: pages of a listing, and namespaces.
//!
//! Names come in the order of keys (`names`), a page with one LIST for each thousand. A page of keys needs no more, and
//! no look at any entry that is sound: what has expired is found by its mark. The marks that are due are listed *first*:
//! an entry that expired and was removed between the two listings is then simply not listed. A key with a due mark is
//! suspect and looked at; all others live.

use std::collections::{BTreeMap, HashSet};

use dataknobs_kv_core::metadata::Filter;
use dataknobs_kv_core::storage::{ANSWER_BYTES, Hint, Page, Range};
use dataknobs_kv_core::{Entry, Pattern, Projection, Result, Timestamp};
use futures::StreamExt;

use super::S3Storage;
use super::format::GRAVE;
use super::names::{self, ENTRIES, Named};
use super::read::{Look, Want, look};

/// The most LISTs that one page takes.
const MOST_LISTS: usize = 10;
/// The most names in one LIST.
pub(super) const MOST_NAMES: usize = 1000;
/// So many marks may be due before a page looks at every one of its keys instead.
const MOST_MARKS: usize = 5000;

/// A name that may be an entry.
#[derive(Debug)]
struct Candidate {
    key: String,
    name: String,
    size: u64,
}

/// The names of a namespace in a range of keys, in the order of keys.
struct Walk<'a> {
    storage: &'a S3Storage,
    folder: String,
    range: &'a Range,
    /// What all names of the range begin with, after the folder.
    prefix: String,
    /// The name after which to go on.
    after: String,
    /// Keys with hashed names, whose place among the others is yet to come.
    pending: BTreeMap<String, Candidate>,
    /// The last key that a name told: all before it have been given out.
    position: Option<String>,
    done: bool,
}

impl<'a> Walk<'a> {
    async fn begin(storage: &'a S3Storage, namespace: &str, range: &'a Range) -> Result<Self> {
        let mut walk = Walk {
            storage,
            folder: format!("{}{ENTRIES}{}", storage.root, names::folder(namespace)),
            range,
            prefix: prefix(range),
            after: String::new(),
            pending: BTreeMap::new(),
            position: None,
            done: range.bounds().is_none(),
        };
        let start = match (range.from.as_deref(), range.after.as_deref()) {
            (Some(from), Some(after)) if from > after => from,
            (_, Some(after)) => after,
            (Some(from), None) => from,
            (None, None) => return Ok(walk),
        };
        walk.after = match range.after.as_deref() == Some(start) {
            true => names::position(start),
            false => before(&names::position(start)),
        };
        if let Some(beginning) = names::hashed_beside(start).filter(|_| !walk.done) {
            // Their names come before those that the walk goes on with, whatever their keys are.
            walk.load_hashed(&beginning).await?;
        }
        Ok(walk)
    }

    async fn load_hashed(&mut self, beginning: &str) -> Result<()> {
        let prefix = format!("{}{beginning}", self.folder);
        let mut after = String::new();
        loop {
            let (listing, _) = self.storage.list(&prefix, &after, false, MOST_NAMES).await?;
            let names = listing.objects.iter();
            let hashed =
                names.filter_map(|object| Some((object.name.strip_prefix(&self.folder)?.to_owned(), object.size)));
            let hashed = hashed.collect();
            self.look_at_hashed(hashed).await?;
            match listing.objects.last() {
                Some(last) if listing.more => after.clone_from(&last.name),
                _ => return Ok(()),
            }
        }
    }

    /// Learns the keys of hashed names from their objects.
    async fn look_at_hashed(&mut self, hashed: Vec<(String, u64)>) -> Result<()> {
        let storage = self.storage;
        let folder = &self.folder;
        let looks = hashed.into_iter().filter(|(_, size)| *size > GRAVE.len() as u64).map(|(name, size)| async move {
            let look = look(&storage.client, &format!("{folder}{name}"), Want::Head, storage.client.deadline()).await;
            (name, size, look)
        });
        let looks: Vec<_> = futures::stream::iter(looks).buffer_unordered(storage.client.concurrency()).collect().await;
        for (name, size, look) in looks {
            let look = look.map_err(|failure| failure.of_read(&storage.client.bucket))?;
            // Nothing but the object itself tells its key: a damaged one is nobody's.
            let Look::Entry(found) = look else { continue };
            let Some(key) = found.head.key.filter(|key| names::of_key(key) == name) else { continue };
            if self.range.contains(&key) {
                self.pending.insert(key.clone(), Candidate { key, name, size });
            }
        }
        Ok(())
    }

    /// The next candidates, from one LIST of at most `most`.
    async fn next(&mut self, most: usize) -> Result<Vec<Candidate>> {
        let prefix = format!("{}{}", self.folder, self.prefix);
        let after = if self.after.is_empty() { String::new() } else { format!("{}{}", self.folder, self.after) };
        // S3 takes no longer name; a beginning of it only lists more.
        let after = after.get(..after.floor_char_boundary(1000)).unwrap_or_default();
        let (listing, _) = self.storage.list(&prefix, after, false, most).await?;
        let (mut candidates, mut hashed) = (Vec::new(), Vec::new());
        self.done = !listing.more;
        for object in listing.objects {
            let Some(name) = object.name.strip_prefix(&self.folder) else { continue };
            name.clone_into(&mut self.after);
            let key = match names::named(name) {
                Named::Key(key) => key,
                Named::Hashed => {
                    hashed.push((name.to_owned(), object.size));
                    continue;
                }
                Named::Foreign => continue,
            };
            if !hashed.is_empty() {
                self.look_at_hashed(std::mem::take(&mut hashed)).await?;
            }
            let later = self.pending.split_off(&key);
            candidates.extend(std::mem::replace(&mut self.pending, later).into_values());
            if self.range.to.as_deref().is_some_and(|to| to <= key.as_str()) {
                self.done = true;
                break;
            }
            if self.range.contains(&key) {
                self.position = Some(key.clone());
                // One byte is what is left of a deleted one.
                if object.size > GRAVE.len() as u64 {
                    candidates.push(Candidate { key, name: name.to_owned(), size: object.size });
                }
            }
        }
        self.look_at_hashed(hashed).await?;
        if self.done {
            candidates.extend(std::mem::take(&mut self.pending).into_values());
        }
        Ok(candidates)
    }
}

/// What the names of all keys in the range begin with.
fn prefix(range: &Range) -> String {
    let (Some(from), Some(to)) = (range.from.as_deref(), range.to.as_deref()) else { return String::new() };
    // As a pattern's literal beginning makes it: all that begins with `from`.
    let text = if is_successor(from, to) || to.strip_prefix(from) == Some(" ") { from } else { common(from, to) };
    // Hashed names keep their first characters only.
    match names::hashed_beside(text) {
        Some(hashed) => hashed.trim_end_matches("~!/").to_owned(),
        None => names::position(text),
    }
}

fn is_successor(from: &str, to: &str) -> bool {
    let (mut from, mut to) = (from.chars(), to.chars());
    match (from.next_back(), to.next_back()) {
        (Some(low), Some(high)) => {
            u32::from(low).checked_add(1) == Some(u32::from(high)) && from.as_str() == to.as_str()
        }
        _ => false,
    }
}

fn common<'a>(a: &'a str, b: &str) -> &'a str {
    let end = a.char_indices().zip(b.chars()).find(|((_, a), b)| a != b).map(|((at, _), _)| at);
    a.get(..end.unwrap_or(a.len().min(b.len()))).unwrap_or_default()
}

/// A text before this one, with little between them.
fn before(name: &str) -> String {
    let mut name = name.to_owned();
    match name.pop() {
        Some(last @ '!'..='~') => {
            name.extend(char::from_u32(u32::from(last).saturating_sub(1)));
            name.push('~');
        }
        Some(last) if last > '~' => name.push('~'),
        _ => {}
    }
    name
}

/// Which keys must be looked at, because they may have expired.
enum Suspects {
    All,
    Names(HashSet<String>),
}

impl S3Storage {
    pub(super) async fn page(
        &self,
        namespace: &str,
        range: &Range,
        hint: &Hint,
        now: Timestamp,
        limit: usize,
        want: Projection,
    ) -> Result<Page> {
        // A hint that cannot be read is ignored: the core looks again.
        let pattern = hint.pattern.as_deref().and_then(|pattern| Pattern::parse(pattern).ok());
        let filter = hint.metadata.as_deref().and_then(|metadata| Filter::parse(metadata).ok());
        let suspects = match want {
            Projection::Key => self.suspects(namespace, now).await?,
            _ => Suspects::All,
        };
        let mut walk = Walk::begin(self, namespace, range).await?;
        let mut page = Page::default();
        let mut weight: u64 = 0;
        let mut lists = 0;
        while !walk.done && (lists < MOST_LISTS || walk.position.is_none()) {
            lists += 1;
            let room = limit.saturating_sub(page.items.len());
            let candidates = walk.next(if pattern.is_some() { MOST_NAMES } else { room }).await?;
            let matching = candidates.into_iter().filter(|c| pattern.as_ref().is_none_or(|p| p.matches(&c.key)));
            let mut matching = matching.peekable();
            while matching.peek().is_some() {
                let room = limit.saturating_sub(page.items.len());
                let mut batch = Vec::new();
                while batch.len() < room
                    && (want != Projection::Value || weight <= ANSWER_BYTES as u64)
                    && let Some(candidate) = matching.next()
                {
                    weight = weight.saturating_add(candidate.size);
                    batch.push(candidate);
                }
                let last = batch.last().map(|candidate| candidate.key.clone());
                let entries = self.living(&walk.folder, batch, &suspects, now, want).await?;
                let kept = |entry: &Entry| {
                    let metadata = entry.state.as_ref().and_then(|state| state.attributes.metadata.as_deref());
                    filter.as_ref().is_none_or(|filter| entry.state.is_none() || filter.matches(metadata))
                };
                page.items.extend(entries.into_iter().filter(kept));
                let full = page.items.len() >= limit || want == Projection::Value && weight > ANSWER_BYTES as u64;
                if full {
                    let more = matching.peek().is_some() || !walk.done || !walk.pending.is_empty();
                    page.next = last.filter(|_| more);
                    return Ok(page);
                }
            }
        }
        if !walk.done {
            page.next = walk.position;
        }
        Ok(page)
    }

    /// What is still alive of these, in their order.
    async fn living(
        &self,
        folder: &str,
        candidates: Vec<Candidate>,
        suspects: &Suspects,
        now: Timestamp,
        want: Projection,
    ) -> Result<Vec<Entry>> {
        let wanted = match want {
            Projection::Value => Want::Values,
            _ => Want::Head,
        };
        let looks = candidates.into_iter().map(|candidate| async move {
            let sound = matches!(suspects, Suspects::Names(names) if !names.contains(&candidate.name));
            if sound {
                return Ok(Some(Entry { key: candidate.key, state: None }));
            }
            let object = format!("{folder}{}", candidate.name);
            let look = look(&self.client, &object, wanted, self.client.deadline()).await;
            let look = look.map_err(|failure| failure.of_read(&self.client.bucket))?;
            // One damaged entry does not stop a listing of keys.
            if want == Projection::Key && matches!(look, Look::Damaged { .. }) {
                return Ok(Some(Entry { key: candidate.key, state: None }));
            }
            let Some(found) = look.living(&candidate.key, now)? else { return Ok(None) };
            let state = if want == Projection::Key { None } else { Some(found.into_state()?) };
            Ok(Some(Entry { key: candidate.key, state }))
        });
        let entries: Vec<Result<Option<Entry>>> =
            futures::stream::iter(looks).buffered(self.client.concurrency()).collect().await;
        entries.into_iter().filter_map(Result::transpose).collect()
    }

    async fn suspects(&self, namespace: &str, now: Timestamp) -> Result<Suspects> {
        let mut names = HashSet::new();
        let mut due = self.due(namespace, now);
        while let Some(marks) = due.next().await? {
            names.extend(marks.into_iter().map(|mark| mark.name));
            if names.len() > MOST_MARKS {
                tracing::warn!(namespace, "many expired entries wait for cleanup, and slow down listings");
                return Ok(Suspects::All);
            }
        }
        Ok(Suspects::Names(names))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(from: &str, to: &str) -> Range {
        Range { from: Some(from.into()), to: Some(to.into()), after: None }
    }

    #[test]
    fn ranges_become_beginnings_of_names() {
        assert_eq!(prefix(&range("app.", "app/")), "app.");
        assert_eq!(prefix(&range("app", "app ")), "app");
        assert_eq!(prefix(&range("app.a", "app.c")), "app.");
        assert_eq!(prefix(&range("a", "b")), "a");
        assert_eq!(prefix(&range("a", "c")), "");
        assert_eq!(prefix(&Range::default()), "");
        let long = "/".repeat(400);
        assert!(names::of_key(&long).starts_with(&prefix(&range(&long, &format!("{long} ")))));
    }

    #[test]
    fn a_text_before() {
        for text in ["a", "app.", "a!", "é", "a\u{10ffff}", "a ", "~", "a~/~b"] {
            assert!(before(text).as_str() < text);
        }
        assert_eq!(before("app."), "app-~");
    }
}
