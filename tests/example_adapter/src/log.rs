//! The file: a line for each write.
//!
//! A line is the CRC-32C of the rest, a space, and a JSON array of what became of each key. A write whose line is not whole
//! was never acknowledged: it can only be the last one, and is cut off when the log is opened.

use std::fs::{File, TryLockError};
use std::io::{self, BufRead, BufReader, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD_NO_PAD as BASE64;
use dataknobs_kv_core::{Attributes, Error, Result, State, Timestamp, ValueType, Version};
use serde::{Deserialize, Serialize};

use crate::table::{Put, Table};

/// The first line.
const HEADER: &[u8] = b"dataknobs-kv example log 1\n";
/// Lines beyond the living entries before the log is written anew at the next opening.
const WASTE: usize = 1000;

/// What became of a key.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    namespace: String,
    key: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    entry: Option<Kept>,
}

/// All of an entry.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    version: String,
    #[serde(rename = "type")]
    value_type: String,
    content_type: Option<String>,
    metadata: Option<String>,
    created_at: Timestamp,
    updated_at: Timestamp,
    expires_at: Option<Timestamp>,
    sliding_ms: Option<u64>,
    size: u64,
    checksum: u32,
    value: String,
}

impl Kept {
    fn new(state: &State) -> Self {
        let State { version, attributes, value } = state;
        let Attributes { value_type, content_type, metadata, .. } = attributes;
        Kept {
            version: version.to_string(),
            value_type: value_type.to_string(),
            content_type: content_type.clone(),
            metadata: metadata.clone(),
            created_at: attributes.created_at,
            updated_at: attributes.updated_at,
            expires_at: attributes.expires_at,
            sliding_ms: attributes.sliding_ms,
            size: attributes.size,
            checksum: attributes.checksum,
            value: BASE64.encode(value.as_deref().unwrap_or_default()),
        }
    }

    fn into_state(self) -> Result<State> {
        let value = BASE64.decode(self.value).map_err(|_| Error::Corrupt("a value that is not base64".into()))?;
        Ok(State {
            version: Version::new(self.version)?,
            attributes: Attributes {
                value_type: ValueType::parse(&self.value_type)?,
                content_type: self.content_type,
                metadata: self.metadata,
                created_at: self.created_at,
                updated_at: self.updated_at,
                expires_at: self.expires_at,
                sliding_ms: self.sliding_ms,
                size: self.size,
                checksum: self.checksum,
            },
            value: Some(value),
        })
    }
}

/// The log, to be appended to.
pub(crate) struct Log {
    path: PathBuf,
    file: File,
    /// How much of it was acknowledged, in bytes.
    length: u64,
    /// Nobody knows what the file holds behind that: nothing more is written until it was opened again.
    failed: bool,
}

impl Log {
    /// Opens it, and reads all that is in it.
    pub(crate) fn open(path: &Path) -> Result<(Self, Table)> {
        let failed = |error: io::Error| Error::Unavailable(format!("{}: {error}", path.display()));
        let mut file = File::options().read(true).append(true).create(true).open(path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(Error::Unavailable(format!("{} is open in another process", path.display())));
            }
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let read = read(&mut file, path)?;
        if read.length == 0 {
            file.write_all(HEADER).and_then(|()| file.sync_all()).map_err(failed)?;
            sync_folder(path).map_err(failed)?;
        } else if read.length < file.metadata().map_err(failed)?.len() {
            file.set_len(read.length).and_then(|()| file.sync_all()).map_err(failed)?;
        }
        let length = read.length.max(HEADER.len() as u64);
        let mut log = Log { path: path.to_owned(), file, length, failed: false };
        if read.lines > read.table.entries().count() + WASTE {
            log = log.compact(&read.table).map_err(failed)?;
        }
        Ok((log, read.table))
    }

    /// Appends one write: it is on disk when this returns.
    pub(crate) fn append(&mut self, puts: &[Put]) -> Result<()> {
        if self.failed {
            return Err(Error::Unavailable(format!("{} failed and must be opened again", self.path.display())));
        }
        let changes = puts.iter().map(|put| Change {
            namespace: put.namespace.clone(),
            key: put.key.clone(),
            entry: put.state.as_ref().map(Kept::new),
        });
        let line = line(&changes.collect::<Vec<_>>())?;
        if let Err(error) = self.file.write_all(&line) {
            // Part of it may be there. Cut off, it is surely not applied.
            self.failed = self.file.set_len(self.length).is_err();
            return Err(self.unwritten(&error));
        }
        if let Err(error) = self.file.sync_data() {
            // It may or may not be on disk, and a second `fsync` would not tell.
            self.failed = true;
            return Err(Error::OutcomeUnknown(format!("{}: {error}", self.path.display())));
        }
        self.length += line.len() as u64;
        Ok(())
    }

    fn unwritten(&self, error: &io::Error) -> Error {
        let message = format!("{}: {error}", self.path.display());
        if self.failed { Error::OutcomeUnknown(message) } else { Error::Unavailable(message) }
    }

    /// Writes only the living entries into a new file that takes the place of this one.
    fn compact(self, table: &Table) -> io::Result<Self> {
        let mut name = self.path.file_name().unwrap_or_default().to_owned();
        name.push(".new");
        let new = self.path.with_file_name(name);
        let file = File::options().append(true).create(true).open(&new)?;
        file.set_len(0)?;
        // Locked before it has the name, so that no other process gets in between.
        file.lock()?;
        let mut out = BufWriter::new(file);
        out.write_all(HEADER)?;
        let mut length = HEADER.len() as u64;
        for (namespace, key, state) in table.entries() {
            let change = Change { namespace: namespace.to_owned(), key: key.to_owned(), entry: Some(Kept::new(state)) };
            let line = line(&[change]).map_err(io::Error::other)?;
            out.write_all(&line)?;
            length += line.len() as u64;
        }
        let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        std::fs::rename(new, &self.path)?;
        sync_folder(&self.path)?;
        Ok(Log { file, length, ..self })
    }
}

fn line(changes: &[Change]) -> Result<Vec<u8>> {
    let json = serde_json::to_vec(changes).map_err(|error| Error::Internal(format!("a line of the log: {error}")))?;
    let mut line = format!("{:08x} ", crc32c::crc32c(&json)).into_bytes();
    line.extend_from_slice(&json);
    line.push(b'\n');
    Ok(line)
}

/// A new name is on disk only when its folder is.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

struct Contents {
    table: Table,
    lines: usize,
    /// How much of the file is whole, in bytes.
    length: u64,
}

fn read(file: &mut File, path: &Path) -> Result<Contents> {
    let failed = |error: io::Error| Error::Unavailable(format!("{}: {error}", path.display()));
    let damaged = |length: u64| Error::Corrupt(format!("{} is damaged behind byte {length}", path.display()));
    file.seek(SeekFrom::Start(0)).map_err(failed)?;
    let mut input = BufReader::new(&mut *file);
    let mut contents = Contents { table: Table::default(), lines: 0, length: 0 };
    let mut text = Vec::new();
    loop {
        text.clear();
        if input.read_until(b'\n', &mut text).map_err(failed)? == 0 {
            return Ok(contents);
        }
        if contents.length == 0 {
            // The beginning of a header is what a crash at the very first opening leaves.
            if text != HEADER && !HEADER.starts_with(&text) {
                return Err(Error::Corrupt(format!("{} is no log of this adapter", path.display())));
            }
            if text != HEADER {
                file.set_len(0).map_err(failed)?;
                return Ok(contents);
            }
        } else {
            let Some(changes) = parse(&text) else {
                let last = input.fill_buf().map_err(failed)?.is_empty();
                return if last { Ok(contents) } else { Err(damaged(contents.length)) };
            };
            for Change { namespace, key, entry } in changes {
                let state = entry.map(Kept::into_state).transpose().map_err(|_| damaged(contents.length))?;
                contents.table.put(Put { namespace, key, state });
            }
            contents.lines += 1;
        }
        contents.length += text.len() as u64;
    }
}

/// None where the line is not as it was written.
fn parse(text: &[u8]) -> Option<Vec<Change>> {
    let (checksum, json) = text.strip_suffix(b"\n")?.split_at_checked(9)?;
    let checksum = str::from_utf8(checksum.strip_suffix(b" ")?).ok()?;
    (u32::from_str_radix(checksum, 16).ok()? == crc32c::crc32c(json)).then(|| serde_json::from_slice(json).ok())?
}
