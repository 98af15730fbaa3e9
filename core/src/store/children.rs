//! The hierarchy of keys, level by level.
//!
//! A level is walked in key order, and what lies below a child is jumped over, so that the cost is that of the children
//! and not of all keys below. Bytes below the dot make this less than obvious: `a!x` and `a-b.c` come after the entry `a`
//! and before `a.b`, so a child's own entry and what is below it need not lie together. A child that was answered for its
//! entry is therefore remembered until the walk has passed all keys that begin with its own. Those are few: each is a
//! prefix of where the walk stands, which is also how a cursor holds them.

use super::{Child, ChildPage, Core, core::check_limit, cursor::Walk};
use crate::{
    Clock, Error, Projection, Result, Storage, Timestamp,
    key::{self, MAX_KEY_BYTES},
    storage::{ANSWER_BYTES, Hint, Range},
};

/// The most calls of the storage for one page of children.
const MAX_SCANS: usize = 1000;
/// The most keys that one call counts one by one.
const COUNTED: u64 = 50_000;
/// How many keys are read at once: few where most of them are jumped over.
const LEAST_PAGE: u32 = 32;
const MOST_KEYS: u32 = 1000;

/// Where a walk goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    /// Only keys from here, or where `after` only keys behind it.
    position: String,
    after: bool,
    /// Children that were answered for their entries: prefixes of the position, the shorter before the longer.
    answered: Vec<String>,
    /// A child that is being counted still, before anything else is done.
    counting: Option<Counting>,
}

/// A child, and how many entries below it were counted so far.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Counting {
    key: String,
    is_entry: bool,
    below: u64,
    /// Up to here.
    after: Option<String>,
}

impl Place {
    /// Moves on. What no longer is a prefix of the position has been passed with all that begins with it.
    fn advance(&mut self, position: String, after: bool) {
        self.answered.retain(|key| position.starts_with(key.as_str()));
        self.position = position;
        self.after = after;
    }

    fn range(&self, end: Option<&str>) -> Range {
        let to = end.map(str::to_owned);
        match self.after {
            true => Range { from: None, to, after: Some(self.position.clone()) },
            false => Range { from: (!self.position.is_empty()).then(|| self.position.clone()), to, after: None },
        }
    }

    /// Keys hold no line breaks.
    fn encode(&self) -> String {
        let lengths: Vec<String> = self.answered.iter().map(|key| key.len().to_string()).collect();
        let mark = if self.after { ">" } else { "=" };
        let mut text = format!("{mark}{}\n{}", self.position, lengths.join(","));
        if let Some(counting) = &self.counting {
            let mark = if counting.is_entry { "+" } else { "-" };
            text.push_str(&format!("\n{mark}{}\n{}", counting.below, counting.key));
            if let Some(after) = &counting.after {
                text.push_str(&format!("\n{after}"));
            }
        }
        text
    }

    fn decode(text: &str) -> Option<Self> {
        let mut lines = text.split('\n');
        let position = lines.next()?;
        let after = position.starts_with('>');
        let position = position.strip_prefix(['>', '='])?.to_owned();
        let lengths = lines.next()?.split(',').filter(|length| !length.is_empty());
        let answered = lengths.map(|length| Some(position.get(..length.parse().ok()?)?.to_owned()));
        let answered = answered.collect::<Option<_>>()?;
        let counting = match lines.next() {
            None => None,
            Some(count) => Some(Counting {
                is_entry: count.starts_with('+'),
                below: count.strip_prefix(['+', '-'])?.parse().ok()?,
                key: lines.next().filter(|key| key::validate(key).is_ok())?.to_owned(),
                after: lines.next().map(str::to_owned),
            }),
        };
        let place = Place { position, after, answered, counting };
        (lines.next().is_none() && place.position.len() <= MAX_KEY_BYTES).then_some(place)
    }
}

/// Keys that were read and not yet walked.
#[derive(Default)]
struct Window {
    keys: std::collections::VecDeque<String>,
    /// Up to where the keys are known; none: to the end of the level.
    next: Option<String>,
}

impl Window {
    /// How many keys of the window lie in the range, and whether these are all that there are.
    fn count(&self, from: &str, to: &str) -> (u64, bool) {
        let low = self.keys.partition_point(|key| key.as_str() < from);
        let high = self.keys.partition_point(|key| key.as_str() < to);
        let all = high < self.keys.len() || self.next.as_deref().is_none_or(|next| next >= to);
        (high.saturating_sub(low) as u64, all)
    }
}

/// One call.
struct Level<'a, S, C> {
    core: &'a Core<S, C>,
    namespace: &'a str,
    /// The prefix with its dot; empty at the top.
    base: String,
    /// Behind the last key of the level.
    end: Option<String>,
    now: Timestamp,
    counts: bool,
    /// How many calls of the storage, and how many keys to be counted, are left.
    scans: usize,
    countable: u64,
}

#[cfg_attr(all(feature = "component", target_family = "wasm"), maybe_async::must_be_sync)]
impl<S: Storage, C: Clock> Core<S, C> {
    pub(crate) async fn children(
        &self,
        namespace: &str,
        prefix: Option<&str>,
        counts: bool,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<ChildPage> {
        key::validate_namespace(namespace)?;
        if let Some(prefix) = prefix {
            key::validate(prefix)?;
        }
        check_limit(limit)?;
        let words = ["children", namespace, prefix.unwrap_or(""), if counts { "counts" } else { "" }];
        let walk = Walk { words: &words };
        let base = prefix.map_or_else(String::new, |prefix| format!("{prefix}."));
        let mut place = match cursor {
            None => Place { position: base.clone(), after: false, answered: Vec::new(), counting: None },
            Some(cursor) => {
                let refused = || Error::InvalidArgument("cursor: it is damaged, or belongs to another query".into());
                Place::decode(&walk.position(cursor)?).ok_or_else(refused)?
            }
        };
        // A key of this length has no room for anything below it.
        if base.len() >= MAX_KEY_BYTES {
            return Ok(ChildPage { children: Vec::new(), cursor: None });
        }
        let end = prefix.map(behind);
        let (now, scans) = (self.clock.now(), MAX_SCANS);
        let mut level = Level { core: self, namespace, base, end, now, counts, scans, countable: COUNTED };
        let mut children = Vec::new();
        let more = level.walk(&mut place, limit as usize, &mut children).await?;
        Ok(ChildPage { children, cursor: more.then(|| walk.cursor(&place.encode())) })
    }
}

#[cfg_attr(all(feature = "component", target_family = "wasm"), maybe_async::must_be_sync)]
impl<S: Storage, C: Clock> Level<'_, S, C> {
    /// Fills the page from the place on, and moves it. Whether more may follow.
    async fn walk(&mut self, place: &mut Place, limit: usize, children: &mut Vec<Child>) -> Result<bool> {
        let mut weight: usize = 0;
        if let Some(counting) = place.counting.take() {
            match self.count_on(counting).await? {
                Ok(child) => children.push(child),
                Err(counting) => {
                    place.counting = Some(counting);
                    return Ok(true);
                }
            }
        }
        let mut ask = u32::try_from(limit).unwrap_or(MOST_KEYS).clamp(LEAST_PAGE, MOST_KEYS);
        let mut window = self.read(place, ask).await?;
        loop {
            let Some(key) = window.keys.front() else {
                let Some(next) = window.next.take() else { return Ok(false) };
                place.advance(next, true);
                if children.len() >= limit || weight >= ANSWER_BYTES || self.scans == 0 {
                    return Ok(true);
                }
                ask = ask.saturating_mul(2).min(MOST_KEYS);
                window = self.read(place, ask).await?;
                continue;
            };
            if children.len() >= limit || weight >= ANSWER_BYTES || self.scans == 0 {
                return Ok(true);
            }
            let rest = key.strip_prefix(self.base.as_str()).unwrap_or(key);
            let (segment, below) = key::split_first(rest);
            let child = format!("{}{segment}", self.base);
            let is_entry = below.is_none();
            place.answered.retain(|answered| key.starts_with(answered.as_str()));
            let known = place.answered.contains(&child);
            if is_entry {
                place.advance(child.clone(), true);
                place.answered.push(child.clone());
                window.keys.pop_front();
            } else {
                place.advance(behind(&child), false);
            }
            if !known {
                weight = weight.saturating_add(child.len().saturating_mul(2));
                match self.child(child, is_entry, &window).await? {
                    Ok(child) => children.push(child),
                    Err(counting) => {
                        place.counting = Some(counting);
                        return Ok(true);
                    }
                }
            }
            if !is_entry {
                // Over all that is below it.
                while window.keys.front().is_some_and(|key| *key < place.position) {
                    window.keys.pop_front();
                }
                let past = window.next.as_ref().is_some_and(|next| *next < place.position);
                if window.keys.is_empty() && past {
                    if children.len() >= limit || weight >= ANSWER_BYTES || self.scans == 0 {
                        return Ok(true);
                    }
                    ask = (ask / 2).max(LEAST_PAGE);
                    window = self.read(place, ask).await?;
                }
            }
        }
    }

    async fn read(&mut self, place: &Place, ask: u32) -> Result<Window> {
        let page = self.scan(place.range(self.end.as_deref()), ask).await?;
        Ok(Window { keys: page.0.into(), next: page.1 })
    }

    async fn scan(&mut self, range: Range, ask: u32) -> Result<(Vec<String>, Option<String>)> {
        self.scans = self.scans.saturating_sub(1);
        let storage = &self.core.storage;
        let page = storage.scan(self.namespace, range, Hint::default(), self.now, ask, Projection::Key).await?;
        Ok((page.items.into_iter().map(|entry| entry.key).collect(), page.next))
    }

    /// All about one child; or how far it was counted, where that is too much for one call.
    async fn child(&mut self, key: String, is_entry: bool, window: &Window) -> Result<Result<Child, Counting>> {
        let (from, to) = (format!("{key}."), behind(&key));
        if from.len() >= MAX_KEY_BYTES {
            return Ok(Ok(finished(key, is_entry, self.counts.then_some(0), false)));
        }
        let (seen, all) = window.count(&from, &to);
        if !self.counts {
            let has_children = !is_entry || seen > 0 || (!all && self.any(from, to).await?);
            return Ok(Ok(finished(key, is_entry, None, has_children)));
        }
        if all {
            return Ok(Ok(finished(key, is_entry, Some(seen), seen > 0)));
        }
        let range = Range { from: Some(from), to: Some(to), after: None };
        self.scans = self.scans.saturating_sub(1);
        match self.core.storage.count(self.namespace, range, self.now).await? {
            Some(below) => Ok(Ok(counted(key, is_entry, below))),
            None => self.count_on(Counting { key, is_entry, below: 0, after: None }).await,
        }
    }

    /// Whether any key lies in the range below the child.
    async fn any(&mut self, from: String, to: String) -> Result<bool> {
        let mut range = Range { from: Some(from), to: Some(to), after: None };
        loop {
            match self.scan(range.clone(), 1).await? {
                (keys, _) if !keys.is_empty() => return Ok(true),
                (_, None) => return Ok(false),
                (_, next) => range.after = next,
            }
        }
    }

    /// Counts what is below, key by key.
    async fn count_on(&mut self, mut counting: Counting) -> Result<Result<Child, Counting>> {
        let (from, to) = (format!("{}.", counting.key), behind(&counting.key));
        loop {
            if self.countable == 0 || self.scans == 0 {
                return Ok(Err(counting));
            }
            let range = Range { from: Some(from.clone()), to: Some(to.clone()), after: counting.after.take() };
            let (keys, next) = self.scan(range, super::MAX_PAGE).await?;
            let count = keys.len() as u64;
            counting.below = counting.below.saturating_add(count);
            self.countable = self.countable.saturating_sub(count);
            counting.after = next;
            if counting.after.is_none() {
                return Ok(Ok(counted(counting.key, counting.is_entry, counting.below)));
            }
        }
    }
}

/// The first text behind all that is below the key: the slash comes right after the dot.
fn behind(key: &str) -> String {
    format!("{key}/")
}

/// A child that is no entry was shown by one below it, whatever became of that since.
fn counted(key: String, is_entry: bool, below: u64) -> Child {
    let below = if is_entry { below } else { below.max(1) };
    finished(key, is_entry, Some(below), below > 0)
}

fn finished(key: String, is_entry: bool, below: Option<u64>, has_children: bool) -> Child {
    let segment = key::segments(&key).last().unwrap_or_default();
    Child { segment: key::unescape(segment).into_owned(), key, is_entry, below, has_children }
}
