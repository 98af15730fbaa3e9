//! The hierarchy of keys, level by level.
//!
//! A level is walked in key order, and what lies below a child is jumped over, so that the cost is that of the children
//! and not of all keys below. Bytes below the dot make this less than obvious: `a!x` and `a-b.c` come after the entry `a`
//! and before `a.b`, so a child's own entry and what is below it need not lie together. A child that was answered for its
//! entry is therefore remembered until the walk has passed all keys that begin with its own. Those are few: each is a
//! prefix of where the walk stands, which is also how a cursor holds them.

use super::{
    Child, Core,
    core::check_limit,
    cursor::{Walk, refused},
};
use crate::text::decimal;
use crate::{
    Clock, Entry, Result, Storage,
    key::{self, MAX_KEY_BYTES},
    storage::{ANSWER_BYTES, Page, Range},
};

/// The most calls of the storage for one page of children.
const MAX_SCANS: usize = 1000;
/// The most keys that one call counts one by one.
const COUNTED: u64 = 50_000;
/// How many keys are read at once: few where most of them are jumped over.
const LEAST_PAGE: u32 = 32;
const MOST_KEYS: u32 = 1000;

/// Lengths in cursors are characters from here on, none of which ends a line.
const LENGTH: u32 = 0x100;

/// Where a walk goes on.
struct Place {
    /// Only keys from here, or where `after` only keys behind it.
    position: String,
    after: bool,
    /// Children that were answered for their entries, by their lengths: prefixes of the position, the shorter first.
    answered: Vec<usize>,
    /// A child that is looked at still, before anything else is done: the last one that was passed.
    open: Option<Below>,
}

/// What is known of the entries below a child.
struct Below {
    count: u64,
    /// Up to here they are counted; none: all.
    after: Option<String>,
}

impl Place {
    /// Forgets children that the walk has passed with all that begins with them: the text does not.
    fn pass(&mut self, text: &str) {
        while let Some(length) = self.answered.last()
            && self.position.get(..*length) != text.get(..*length)
        {
            self.answered.pop();
        }
    }

    /// The child that was passed last, and whether that was its entry.
    fn child(&self) -> (&str, bool) {
        match self.position.strip_suffix('/') {
            Some(child) if !self.after => (child, false),
            _ => (&self.position, true),
        }
    }

    /// Lines, since keys hold no line breaks.
    fn encode(&self) -> String {
        let mut lengths = String::new();
        for length in &self.answered {
            lengths.extend(char::from_u32(LENGTH.saturating_add(*length as u32)));
        }
        let (count, after) = match &self.open {
            Some(Below { count, after: Some(after) }) => (decimal(*count), after.as_str()),
            _ => (String::new(), ""),
        };
        let mark = if self.after { ">" } else { "=" };
        [mark, &self.position, "\n", &lengths, "\n", &count, "\n", after].concat()
    }

    /// Goes to the place that was encoded, if it was.
    fn decode(&mut self, text: &str) -> Option<()> {
        let (position, rest) = text.split_once('\n')?;
        let (lengths, rest) = rest.split_once('\n')?;
        let (digits, last) = rest.split_once('\n')?;
        let (mark, position) = position.split_at_checked(1)?;
        self.position = position.to_owned();
        self.after = mark == ">";
        for length in lengths.chars() {
            self.answered.push(u32::from(length).checked_sub(LENGTH)? as usize);
        }
        if !digits.is_empty() {
            let mut count: u64 = 0;
            for digit in digits.chars() {
                count = count.wrapping_mul(10).wrapping_add(digit.to_digit(10)?.into());
            }
            self.open = Some(Below { count, after: Some(last.to_owned()) });
            key::validate(self.child().0).ok()?;
        }
        (position.len() <= MAX_KEY_BYTES).then_some(())
    }
}

/// Keys that were read, and how many of them are walked.
#[derive(Default)]
struct Window {
    keys: Vec<Entry>,
    walked: usize,
    /// Up to where the keys are known; none: to the end of the level.
    next: Option<String>,
    read: bool,
}

impl Window {
    /// How many of the keys come before the text.
    fn before(&self, text: &str) -> usize {
        self.keys.partition_point(|entry| entry.key.as_str() < text)
    }

    /// What it shows of what is below the child.
    fn below(&self, child: &str, counts: bool) -> Below {
        let (from, to) = ([child, "."].concat(), behind(child));
        let end = self.before(&to);
        let count = end.saturating_sub(self.before(&from)) as u64;
        let known = end < self.keys.len() || from.len() >= MAX_KEY_BYTES || (!counts && count > 0);
        Below { count, after: self.next.clone().filter(|next| !known && *next < to) }
    }
}

/// One call.
pub(super) struct Level {
    /// The prefix with its dot; empty at the top.
    base: String,
    /// Behind the last key of the level.
    end: Option<String>,
    counts: bool,
    limit: usize,
    place: Place,
    window: Window,
    /// Whether the storage was asked how many entries are below the child that is open.
    asked: bool,
    /// How many keys are read next.
    ask: u32,
    /// How many calls of the storage, and how many keys to be counted, are left.
    scans: usize,
    countable: u64,
    pub(super) children: Vec<Child>,
    weight: usize,
}

/// What a walk needs to go on.
pub(super) enum Need {
    Keys(Range, u32),
    Count(Range),
    /// Nothing: the page is full.
    More,
    /// Nothing: the level is at its end.
    End,
}

#[cfg_attr(all(feature = "component", target_family = "wasm"), maybe_async::must_be_sync)]
impl<S: Storage, C: Clock> Core<S, C> {}

impl Level {
    /// A walk over the level, from its beginning or from where the cursor says.
    pub(super) fn new(
        prefix: Option<&str>,
        counts: bool,
        cursor: Option<(&str, &Walk<'_>)>,
        limit: u32,
    ) -> Result<Self> {
        if let Some(prefix) = prefix {
            key::validate(prefix)?;
        }
        check_limit(limit)?;
        let given = match cursor {
            Some((cursor, walk)) => Some(walk.position(cursor)?),
            None => None,
        };
        let base = prefix.map_or_else(String::new, |prefix| [prefix, "."].concat());
        let mut level = Level {
            place: Place { position: base.clone(), after: false, answered: Vec::new(), open: None },
            base,
            end: prefix.map(behind),
            counts,
            limit: limit as usize,
            window: Window::default(),
            asked: false,
            ask: limit.clamp(LEAST_PAGE, MOST_KEYS),
            scans: MAX_SCANS,
            countable: COUNTED,
            children: Vec::new(),
            weight: 0,
        };
        if let Some(given) = given {
            level.place.decode(&given).ok_or_else(refused)?;
        }
        Ok(level)
    }

    /// Goes on as far as what was read allows.
    pub(super) fn step(&mut self) -> Need {
        loop {
            if let Some(below) = self.place.open.take() {
                if below.after.is_none() {
                    self.answer(below.count);
                } else if self.countable == 0 || self.scans == 0 {
                    self.place.open = Some(below);
                    return Need::More;
                } else {
                    let child = self.place.child().0;
                    let mut range = Range { from: Some([child, "."].concat()), to: Some(behind(child)), after: None };
                    self.scans = self.scans.saturating_sub(1);
                    if self.counts && !self.asked {
                        self.asked = true;
                        self.place.open = Some(below);
                        return Need::Count(range);
                    }
                    range.after = below.after.clone();
                    self.place.open = Some(below);
                    return Need::Keys(range, if self.counts { super::MAX_PAGE } else { 1 });
                }
            }
            let full = self.children.len() >= self.limit || self.weight >= ANSWER_BYTES || self.scans == 0;
            let (place, window) = (&mut self.place, &mut self.window);
            let Some(Entry { key, .. }) = window.keys.get(window.walked) else {
                match window.next.take() {
                    // A key of this length has no room for anything below it.
                    None if window.read || self.base.len() >= MAX_KEY_BYTES => return Need::End,
                    None => {}
                    // What is left was jumped over.
                    Some(next) if next < place.position => self.ask = (self.ask / 2).max(LEAST_PAGE),
                    Some(next) => {
                        place.pass(&next);
                        place.position = next;
                        place.after = true;
                        self.ask = self.ask.saturating_mul(2).min(MOST_KEYS);
                    }
                }
                if full {
                    return Need::More;
                }
                self.scans = self.scans.saturating_sub(1);
                let position = Some(place.position.clone());
                let (from, after) = if place.after { (None, position) } else { (position, None) };
                return Need::Keys(Range { from, to: self.end.clone(), after }, self.ask);
            };
            if full {
                return Need::More;
            }
            let (segment, below) = key::split_first(key.strip_prefix(self.base.as_str()).unwrap_or(key));
            let child = [&self.base, segment].concat();
            place.pass(key);
            if place.answered.last() != Some(&child.len()) {
                place.open = Some(window.below(&child, self.counts));
                self.asked = false;
            }
            place.after = below.is_none();
            if place.after {
                window.walked = window.walked.saturating_add(1);
                place.answered.push(child.len());
                place.position = child;
            } else {
                // Over all that is below it.
                place.position = behind(&child);
                window.walked = window.before(&place.position);
            }
        }
    }

    /// Takes the count that was needed, if the storage has one.
    pub(super) fn counted(&mut self, count: Option<u64>) {
        if let Some(count) = count {
            self.place.open = Some(Below { count, after: None });
        }
    }

    /// Where it goes on, for a cursor.
    pub(super) fn position(&self) -> String {
        self.place.encode()
    }

    /// Takes the keys that were needed: those below the child that is open, or else of the level.
    pub(super) fn read(&mut self, page: Page) {
        match &mut self.place.open {
            None => self.window = Window { keys: page.items, walked: 0, next: page.next, read: true },
            Some(below) => {
                let count = page.items.len() as u64;
                below.count = below.count.saturating_add(count);
                self.countable = self.countable.saturating_sub(count);
                // Where no count is asked for, one entry says enough.
                below.after = page.next.filter(|_| self.counts || count == 0);
            }
        }
    }

    /// Puts the child that was passed last on the page.
    fn answer(&mut self, below: u64) {
        let (key, is_entry) = self.place.child();
        // A child that is no entry was shown by one below it, whatever became of that since.
        let below = if is_entry { below } else { below.max(1) };
        self.weight = self.weight.saturating_add(key.len().saturating_mul(2));
        self.children.push(Child {
            segment: key::unescape(key.strip_prefix(self.base.as_str()).unwrap_or(key)).into_owned(),
            key: key.to_owned(),
            is_entry,
            below: self.counts.then_some(below),
            has_children: below > 0,
        });
    }
}

/// The first text behind all that is below the key: the slash comes right after the dot.
fn behind(key: &str) -> String {
    [key, "/"].concat()
}
