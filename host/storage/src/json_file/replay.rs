//! Reading a journal: what is whole is applied, a torn end is left off, and damage anywhere else is refused.
//!
//! A group of changes is one line, and in the immediate mode the next is written only when it is on disk. So a crash can
//! tear the last line alone: it ends early, or, since the disk takes blocks in any order, has blocks of zeros in it (new
//! space of a file reads as zeros; JSON holds none). Whatever else is wrong with a line is damage, and so is a hole that a
//! later group knows to have been on disk. Relaxed groups say by `synced` that the ones before them may be missing.

use std::ops::Range;
use std::sync::Arc;

use dataknobs_kv_core::{Error, MemoryStorage};

use super::failure::Fault;
use super::format::{FORMAT, JOURNAL_HEADER, is_whole_line};
use super::load::newer;
use super::members::{Form, Member, Text, Trust};

/// The smallest piece of a file that a disk writes at once.
const BLOCK: usize = 512;

/// A journal that was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Journal {
    pub(super) store: String,
    /// The group that its first one follows.
    pub(super) after: u64,
    /// Its last group; `after` where it has none.
    pub(super) last: u64,
    /// Up to where it is whole.
    pub(super) end: usize,
    /// Whether the last line is whole but for its line break.
    pub(super) unended: bool,
}

/// What a group does to one key.
enum Change {
    Set(Box<Form>),
    Amend(Box<Form>),
    Delete,
}

/// What is applied of a journal, and to what.
pub(super) struct Onto<'a> {
    pub(super) memory: &'a MemoryStorage,
    pub(super) store: &'a str,
    /// The last group that the snapshot holds: those up to it are passed over.
    pub(super) sequence: u64,
    /// Whether a person changed the snapshot: then an entry that is amended may be gone.
    pub(super) edited: bool,
}

/// Where a line is: its number, and its bytes.
struct Line {
    number: usize,
    bytes: Range<usize>,
    /// Whether a line break ends it.
    ended: bool,
}

/// Reads the journal, and applies it where there is something to apply it to.
pub(super) fn read(bytes: &[u8], onto: Option<&Onto<'_>>) -> Result<Journal, Error> {
    let mut lines = Lines { bytes, number: 0, at: 0 };
    let first = lines.next().filter(|line| line.ended);
    let (first, header) = first
        .and_then(|line| Some((text_of(bytes, &line)?, line)))
        .map(|(text, line)| (line, header(text)))
        .ok_or_else(|| Error::Corrupt("line 1: the first line is damaged, or no journal's".into()))?;
    let (store, after) = header.map_err(|fault| damaged(&first, &fault.rule))??;
    if let Some(onto) = onto {
        check(onto, &store, after, bytes.len() > first.bytes.end + 1)?;
    }
    let mut journal = Journal { store, after, last: after, end: first.bytes.end + 1, unended: false };
    while let Some(mut line) = lines.next() {
        let text = match text_of(bytes, &line) {
            Some(text) => text,
            // A line break that became something else: the line itself is as it was written.
            None if !line.ended => {
                line.bytes.end -= 1;
                match text_of(bytes, &line) {
                    Some(text) => text,
                    None => break,
                }
            }
            None if is_torn(bytes, &line) && !lines.know(journal.last.saturating_add(1)) => break,
            None => return Err(damaged(&line, "it is not as it was written")),
        };
        let fault = |fault: Fault| damaged(&line, &fault.rule);
        let group = group(text).map_err(fault)?;
        if Some(group.sequence) != journal.last.checked_add(1) {
            let expected = journal.last.saturating_add(1);
            return Err(damaged(&line, &format!("group {} where {expected} is to come", group.sequence)));
        }
        if let Some(onto) = onto
            && group.sequence > onto.sequence
        {
            apply(Text(text), group.changes, onto).map_err(fault)?;
        }
        journal.last = group.sequence;
        journal.end = line.bytes.end + usize::from(line.ended);
        journal.unended = !line.ended;
    }
    Ok(journal)
}

/// Whether it goes on from the snapshot.
fn check(onto: &Onto<'_>, store: &str, after: u64, has_groups: bool) -> Result<(), Error> {
    if !has_groups {
        return Ok(());
    }
    if store != onto.store {
        return Err(Error::Corrupt("it belongs to another store: move one of the two away".into()));
    }
    if after > onto.sequence {
        return Err(Error::Corrupt(format!(
            "it goes on from group {after}, and the snapshot ends with group {}: it is an older one",
            onto.sequence
        )));
    }
    Ok(())
}

fn damaged(line: &Line, rule: &str) -> Error {
    Error::Corrupt(format!("line {}, from byte {}: damaged: {rule}", line.number, line.bytes.start))
}

struct Lines<'a> {
    bytes: &'a [u8],
    number: usize,
    at: usize,
}

impl Iterator for Lines<'_> {
    type Item = Line;

    fn next(&mut self) -> Option<Line> {
        let rest = self.bytes.get(self.at..).filter(|rest| !rest.is_empty())?;
        let length = rest.iter().position(|byte| *byte == b'\n');
        let end = self.at + length.unwrap_or(rest.len());
        self.number += 1;
        let line = Line { number: self.number, bytes: self.at..end, ended: length.is_some() };
        self.at = end + usize::from(line.ended);
        Some(line)
    }
}

impl Lines<'_> {
    /// Whether a later group tells that this one was on disk.
    fn know(&self, sequence: u64) -> bool {
        let mut later = Lines { bytes: self.bytes, number: self.number, at: self.at };
        later.any(|line| {
            let group = text_of(self.bytes, &line).and_then(|text| group(text).ok());
            group.is_some_and(|group| group.synced >= sequence)
        })
    }
}

/// The text of a line that is whole.
fn text_of<'a>(bytes: &'a [u8], line: &Line) -> Option<&'a str> {
    let bytes = bytes.get(line.bytes.clone()).filter(|line| is_whole_line(line))?;
    std::str::from_utf8(bytes).ok()
}

/// Whether a block of the file is all zeros where the line is in it.
fn is_torn(bytes: &[u8], line: &Line) -> bool {
    let mut at = line.bytes.start;
    while at < line.bytes.end {
        let end = (at / BLOCK + 1).saturating_mul(BLOCK).min(line.bytes.end);
        if bytes.get(at..end).is_some_and(|block| block.iter().all(|byte| *byte == 0)) {
            return true;
        }
        at = end;
    }
    false
}

/// Takes these members of an object; all others are refused.
fn take<'a, const N: usize>(
    text: Text<'a>,
    members: Vec<Member<'a>>,
    names: [&str; N],
) -> Result<[Option<&'a str>; N], Fault> {
    let mut found = [None; N];
    for (literal, member) in members {
        let name = text.string(literal)?;
        let slot = names.iter().position(|known| *known == name).and_then(|index| found.get_mut(index));
        match slot {
            Some(slot) => text.once(slot.replace(member).is_some(), literal)?,
            None => return Err(text.fault(literal, format!("it has a member {name:?}"))),
        }
    }
    Ok(found)
}

/// The store and the group that a journal follows; the inner error is no damage.
fn header(line: &str) -> Result<Result<(String, u64), Error>, Fault> {
    let text = Text(line);
    let members = text.object(line)?;
    let missing = || Fault::new(0, "it is no journal's first");
    let number = members.iter().find(|(literal, _)| literal.trim_matches('"') == JOURNAL_HEADER).ok_or_else(missing)?;
    let number = text.whole(number.1)?;
    if number > FORMAT {
        return Ok(Err(Error::Unsupported(newer(number))));
    }
    let [_, _, store, after] = take(text, members, [super::format::CHECKSUM, JOURNAL_HEADER, "store", "after"])?;
    Ok(Ok((text.string(store.ok_or_else(missing)?)?, text.whole(after.ok_or_else(missing)?)?)))
}

struct Group<'a> {
    sequence: u64,
    synced: u64,
    changes: &'a str,
}

fn group(line: &str) -> Result<Group<'_>, Fault> {
    let text = Text(line);
    let names = [super::format::CHECKSUM, "sequence", "synced", "changes"];
    let [_, sequence, synced, changes] = take(text, text.object(line)?, names)?;
    let missing = || Fault::new(0, "it is no group of changes");
    Ok(Group {
        sequence: text.whole(sequence.ok_or_else(missing)?)?,
        synced: text.whole(synced.ok_or_else(missing)?)?,
        changes: changes.ok_or_else(missing)?,
    })
}

/// Applies a group, all at once.
fn apply<'a>(text: Text<'a>, changes: &'a str, onto: &Onto<'_>) -> Result<(), Fault> {
    let mut entries = Vec::new();
    for piece in text.array(changes)? {
        let [change, namespace, key, entry] = take(text, text.object(piece)?, ["change", "namespace", "key", "entry"])?;
        let missing = || text.fault(piece, "a change lacks a member");
        let namespace = text.string(namespace.ok_or_else(missing)?)?;
        let key = text.string(key.ok_or_else(missing)?)?;
        let form = entry.map(|entry| Form::read(text, entry, Trust::Written).map(Box::new)).transpose()?;
        let change = match (text.string(change.ok_or_else(missing)?)?.as_str(), form) {
            ("set", Some(form)) => Change::Set(form),
            ("amend", Some(form)) => Change::Amend(form),
            ("delete", None) => Change::Delete,
            _ => return Err(text.fault(piece, "a change is none of set, amend and delete")),
        };
        let stored = match change {
            Change::Set(form) => {
                let version = form.version.clone().ok_or_else(missing)?;
                Some(form.into_stored(version, 0, Trust::Written).ok_or_else(missing)?)
            }
            Change::Amend(form) => match onto.memory.stored(&namespace, &key) {
                Some(stored) => Some(form.amend(&stored).ok_or_else(missing)?),
                None if onto.edited => {
                    tracing::warn!(namespace, key, "the entry is no more in the edited file, and so is not changed");
                    None
                }
                None => return Err(text.fault(piece, format!("it changes {key:?}, which is not there"))),
            },
            Change::Delete => None,
        };
        entries.push((namespace, key, stored.map(Arc::new)));
    }
    let entries = entries.iter();
    onto.memory.place(entries.map(|(namespace, key, stored)| (namespace.as_str(), key.as_str(), stored.clone())));
    Ok(())
}
