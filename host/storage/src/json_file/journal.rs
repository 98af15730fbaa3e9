//! Appending to the journal.
//!
//! The journal is whole up to `end`. What lies beyond (a torn line, or one whose writing failed) is cut off before
//! anything is appended. A new journal is made under another name and gets its own when it is on disk, so that its first
//! line is always whole.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::files::Paths;
use super::format;
use super::replay;
use crate::files::sync_folder;

/// Why a group is not in the journal.
#[derive(Debug)]
pub(super) enum Unwritten {
    /// Surely not.
    NotApplied(io::Error),
    /// It may be.
    Unknown(io::Error),
}

/// The journal of an open store.
pub(super) struct Journal {
    paths: Paths,
    /// None until something is appended.
    file: Option<File>,
    /// Whether there is one whose last group is the store's last.
    current: bool,
    /// Up to where it is whole; the thread that compacts reads it.
    end: Arc<AtomicU64>,
    /// Something may lie beyond.
    cut: bool,
    /// The last line lacks its line break.
    unended: bool,
    /// The journal's name may not be on disk.
    unnamed: bool,
    /// The last group that is on disk.
    synced: u64,
    /// Bringing something to the disk failed: these files are to be replaced.
    pub(super) suspect: bool,
}

impl Journal {
    /// `sequence`: the store's last group.
    pub(super) fn new(paths: Paths, found: Option<&replay::Journal>, sequence: u64) -> Self {
        let current = found.is_some_and(|journal| journal.last == sequence);
        let end = found.filter(|_| current).map_or(0, |journal| journal.end as u64);
        Journal {
            paths,
            file: None,
            current,
            end: Arc::new(AtomicU64::new(end)),
            cut: true,
            unended: found.is_some_and(|journal| journal.unended),
            unnamed: false,
            synced: sequence,
            suspect: false,
        }
    }

    pub(super) fn end(&self) -> &Arc<AtomicU64> {
        &self.end
    }

    /// How long it is.
    pub(super) fn bytes(&self) -> u64 {
        self.end.load(Ordering::Acquire)
    }

    /// Appends a group, and with `sync` brings it to the disk.
    pub(super) fn append(&mut self, store: &str, sequence: u64, changes: &str, sync: bool) -> Result<(), Unwritten> {
        self.prepare(store, sequence.saturating_sub(1)).map_err(Unwritten::NotApplied)?;
        let line = format::group_line(sequence, self.synced, changes);
        let Some(file) = &mut self.file else {
            return Err(Unwritten::NotApplied(io::Error::other("the journal is not open")));
        };
        let written = file.write_all(line.as_bytes());
        let result = match written {
            Ok(()) if sync => file.sync_data().map_err(|error| (error, true)),
            Ok(()) => Ok(()),
            Err(error) => Err((error, false)),
        };
        if let Err((error, in_sync)) = result {
            self.cut = true;
            self.suspect |= in_sync;
            return Err(match self.cut_off() {
                Ok(()) => Unwritten::NotApplied(error),
                Err(_) => Unwritten::Unknown(error),
            });
        }
        self.end.fetch_add(line.len() as u64, Ordering::AcqRel);
        if sync {
            self.synced = sequence;
        }
        Ok(())
    }

    /// Brings what was appended to the disk.
    pub(super) fn sync(&mut self, sequence: u64) -> io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        let synced = file.sync_data();
        match &synced {
            Ok(()) => self.synced = sequence,
            Err(_) => self.suspect = true,
        }
        synced
    }

    /// Makes sure that there is a journal that ends with this group.
    fn prepare(&mut self, store: &str, after: u64) -> io::Result<()> {
        if !self.current {
            let file = start(&self.paths, store, after, 0, 0)?;
            self.replace(&file)?;
        } else if self.file.is_none() {
            self.file = Some(File::options().append(true).read(true).open(&self.paths.journal)?);
        }
        if self.unnamed {
            sync_folder(&self.paths.folder)?;
            self.unnamed = false;
        }
        if self.cut {
            self.cut_off()?;
        }
        if self.unended
            && let Some(file) = &mut self.file
        {
            self.cut = true;
            file.write_all(b"\n")?;
            self.end.fetch_add(1, Ordering::AcqRel);
            (self.cut, self.unended) = (false, false);
        }
        Ok(())
    }

    fn cut_off(&mut self) -> io::Result<()> {
        if let Some(file) = &self.file {
            let end = self.bytes();
            if file.metadata()?.len() != end {
                file.set_len(end)?;
                file.sync_data()?;
            }
            self.cut = false;
        }
        Ok(())
    }

    /// Whether every line that is there ends in this file, so that it can be copied from here on.
    pub(super) fn can_be_copied(&self) -> bool {
        self.current && !self.unended
    }

    /// Adds to the new journal what the old one got since it was copied up to there, and puts it into the old one's place.
    pub(super) fn finish(&mut self, mut file: File, copied: u64) -> io::Result<()> {
        copy_lines(&self.paths, &mut file, copied, self.bytes())?;
        self.replace(&file)
    }

    fn replace(&mut self, file: &File) -> io::Result<()> {
        file.sync_all()?;
        let end = file.metadata()?.len();
        // Opened again to append: what was cut off leaves no hole then.
        let append = File::options().append(true).read(true).open(&self.paths.new_journal)?;
        fs::rename(&self.paths.new_journal, &self.paths.journal)?;
        // From here on the old one is no more.
        self.file = Some(append);
        self.end.store(end, Ordering::Release);
        (self.current, self.cut, self.unended, self.unnamed) = (true, false, false, true);
        sync_folder(&self.paths.folder)?;
        self.unnamed = false;
        Ok(())
    }

    /// Removes a journal of which everything is in the snapshot.
    pub(super) fn remove(&mut self) -> io::Result<()> {
        self.file = None;
        self.current = false;
        self.end.store(0, Ordering::Release);
        match fs::remove_file(&self.paths.journal) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }
}

/// Begins a new journal under its other name, with what the old one has from `from` to `to`.
pub(super) fn start(paths: &Paths, store: &str, after: u64, from: u64, to: u64) -> io::Result<File> {
    let mut file = paths.create(&paths.new_journal)?;
    file.write_all(format::journal_head(store, after).as_bytes())?;
    copy_lines(paths, &mut file, from, to)?;
    Ok(file)
}

fn copy_lines(paths: &Paths, to: &mut File, from: u64, end: u64) -> io::Result<()> {
    if end <= from {
        return Ok(());
    }
    let mut old = File::open(&paths.journal)?;
    old.seek(SeekFrom::Start(from))?;
    let length = end - from;
    match io::copy(&mut old.take(length), to)? {
        copied if copied == length => Ok(()),
        _ => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the journal is shorter than what was written to it")),
    }
}

#[cfg(test)]
impl Journal {
    /// From now on nothing can be written, and something lies beyond the end.
    pub(super) fn break_file(&mut self) {
        File::options().append(true).open(&self.paths.journal).unwrap().write_all(b"{\"crc32c\":").unwrap();
        self.file = Some(File::open(&self.paths.journal).unwrap());
    }

    /// As if the disk were itself again.
    pub(super) fn mend_file(&mut self) {
        self.file = None;
    }
}
