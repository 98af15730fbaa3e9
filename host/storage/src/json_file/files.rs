//! The files of one store: what is read when it is opened, and how a new snapshot takes the old one's place.
//!
//! | name | what |
//! | --- | --- |
//! | `data.json` | the snapshot |
//! | `data.json.journal` | what came after it; there from the first write on |
//! | `data.json.lock` | there while the store is open |
//! | `.data.json.new`, `.data.json.journal.new` | there while they are written; they get their names when they are on disk |
//! | `data.json.orig` | the plain JSON that the store was made of |
//! | `data.json.edited` | what somebody else wrote into `data.json` while the store was open |

use std::fs::{self, File, Permissions};
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use dataknobs_kv_core::memory::StoredSpace;
use dataknobs_kv_core::{Error, MemoryStorage, Result, json};
use flate2::write::GzEncoder;

use super::config::{Compression, JsonFileConfig};
use super::format;
use super::load::{Origin, Snapshot, Unreadable};
use super::lock::{Lock, beside};
use super::replay::{self, Onto};
use crate::files::{folder_of, io_error, sync_folder};

/// Where the files of a store are.
#[derive(Clone)]
pub(super) struct Paths {
    /// The snapshot, with no symbolic link on the way.
    pub(super) snapshot: PathBuf,
    pub(super) journal: PathBuf,
    pub(super) new_snapshot: PathBuf,
    pub(super) new_journal: PathBuf,
    pub(super) folder: PathBuf,
}

impl Paths {
    pub(super) fn of(path: &Path) -> Result<Self> {
        let folder = folder_of(path);
        let snapshot = match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => {
                return Err(Error::InvalidArgument(format!("{} is a folder", path.display())));
            }
            Ok(metadata) if !metadata.is_file() => {
                return Err(Error::InvalidArgument(format!("{} is not a regular file", path.display())));
            }
            Ok(_) => fs::canonicalize(path).map_err(|error| io_error(path, &error))?,
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(io_error(path, &error)),
            Err(_) if path.is_symlink() => {
                return Err(Error::InvalidArgument(format!("{} is a link to what does not exist", path.display())));
            }
            Err(_) if !folder.is_dir() => {
                return Err(Error::InvalidArgument(format!("the folder {} does not exist", folder.display())));
            }
            Err(_) => {
                let folder = fs::canonicalize(folder).map_err(|error| io_error(folder, &error))?;
                folder.join(path.file_name().unwrap_or_default())
            }
        };
        let journal = beside(&snapshot, ".journal");
        let new = |path: &Path| {
            let mut name = std::ffi::OsString::from(".");
            name.push(path.file_name().unwrap_or_default());
            name.push(".new");
            path.with_file_name(name)
        };
        Ok(Paths {
            new_snapshot: new(&snapshot),
            new_journal: new(&journal),
            folder: folder_of(&snapshot).to_owned(),
            journal,
            snapshot,
        })
    }

    /// Opens one of the `.new` files, empty, with the snapshot's permissions.
    pub(super) fn create(&self, path: &Path) -> io::Result<File> {
        let file = File::options().create(true).truncate(true).read(true).append(false).write(true).open(path)?;
        if let Some(permissions) = self.permissions() {
            file.set_permissions(permissions)?;
        }
        Ok(file)
    }

    fn permissions(&self) -> Option<Permissions> {
        fs::metadata(&self.snapshot).ok().map(|metadata| metadata.permissions())
    }
}

/// What a snapshot's file was when it was last read or written: whether somebody else wrote it since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    length: u64,
    modified: Option<SystemTime>,
}

impl Stamp {
    pub(super) fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        Some(Stamp { length: metadata.len(), modified: metadata.modified().ok() })
    }
}

/// What was found in a store's files.
pub(super) struct Opened {
    pub(super) lock: Lock,
    pub(super) paths: Paths,
    pub(super) memory: MemoryStorage,
    pub(super) compression: Compression,
    /// None: plain JSON of another program, which the first write makes a store.
    pub(super) store: Option<String>,
    /// The last group in the snapshot.
    pub(super) snapshot_sequence: u64,
    /// Of the snapshot's text.
    pub(super) snapshot_bytes: u64,
    pub(super) stamp: Option<Stamp>,
    pub(super) journal: Option<replay::Journal>,
}

/// Opens the files, or makes a new store where there is none.
pub(super) fn open(config: &JsonFileConfig, create: bool) -> Result<Opened> {
    let paths = Paths::of(&config.path)?;
    let shown = config.path.display();
    if !create && !paths.snapshot.exists() {
        return Err(Error::InvalidArgument(format!("{shown} does not exist")));
    }
    let lock = Lock::take(&paths.snapshot)?;
    let read = |path: &Path| match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io_error(path, &error)),
    };
    let stamp = Stamp::of(&paths.snapshot);
    let snapshot = read(&paths.snapshot)?;
    let journal = read(&paths.journal)?;
    let memory = MemoryStorage::new(rand::random::<u128>);
    let compression = |gzip: bool| match config.compression {
        Some(compression) => compression,
        None if gzip => Compression::Gzip,
        None => Compression::None,
    };
    let Some(snapshot) = snapshot.filter(|bytes| !create || !bytes.is_empty()) else {
        if journal.is_some() {
            return Err(Error::Corrupt(format!(
                "{shown} is gone or empty, and its journal is there: restore it, or move the journal away"
            )));
        }
        let gzip = JsonFileConfig::compression_of_name(&paths.snapshot) == Compression::Gzip;
        let compression = compression(gzip);
        let store = new_store();
        let written = write_snapshot(&paths, &[], &store, 0, compression, &mut || false)
            .and_then(|bytes| publish_snapshot(&paths).map(|()| bytes));
        return Ok(Opened {
            snapshot_bytes: written.map_err(|error| io_error(&config.path, &error))?,
            lock,
            memory,
            compression,
            store: Some(store),
            snapshot_sequence: 0,
            stamp: Stamp::of(&paths.snapshot),
            journal: None,
            paths,
        });
    };
    // Nothing is written; but one that may not be written is refused now, and not at the first write.
    File::options().read(true).write(true).open(&paths.snapshot).map_err(|error| io_error(&config.path, &error))?;
    let snapshot = Snapshot::decode(snapshot).map_err(|unreadable| refusal(&config.path, unreadable))?;
    let modified = stamp.as_ref().and_then(|stamp| stamp.modified?.duration_since(UNIX_EPOCH).ok());
    let at = modified.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(0));
    let origin = snapshot.read_into(&memory, at).map_err(|unreadable| refusal(&config.path, unreadable))?;
    let in_journal = |error: Error| in_file(&paths.journal, error);
    let (store, sequence, journal) = match origin {
        Origin::Ours { store, sequence, edited } => {
            if edited {
                tracing::warn!(path = %shown, "the file was changed by hand since it was written");
            }
            let onto = Onto { memory: &memory, store: &store, sequence, edited };
            let journal = journal.map(|bytes| replay::read(&bytes, Some(&onto)).map_err(in_journal)).transpose()?;
            (Some(store), sequence, journal)
        }
        Origin::Foreign => {
            if let Some(bytes) = journal {
                let journal = replay::read(&bytes, None).map_err(in_journal)?;
                if journal.last > journal.after {
                    let rule = "it belongs to another store than the snapshot: move one of the two away";
                    return Err(in_journal(Error::Corrupt(rule.into())));
                }
            }
            (None, 0, None)
        }
    };
    if let Some(journal) = &journal
        && journal.last < sequence
    {
        tracing::debug!(path = %shown, "the snapshot is newer than the journal");
    }
    Ok(Opened {
        lock,
        paths,
        memory,
        compression: compression(snapshot.gzip),
        store,
        snapshot_sequence: sequence,
        snapshot_bytes: snapshot.text.len() as u64,
        stamp,
        journal,
    })
}

/// A name for a store, which its snapshot and its journal share.
pub(super) fn new_store() -> String {
    format!("{:032x}", rand::random::<u128>())
}

fn refusal(path: &Path, unreadable: Unreadable) -> Error {
    let name = path.display();
    match unreadable {
        Unreadable::Corrupt(rule) => Error::Corrupt(format!("{name}: {rule}")),
        Unreadable::Refused(kind, rule) => kind(format!("{name}: {rule}")),
    }
}

fn in_file(path: &Path, error: Error) -> Error {
    let message = format!("{}: {}", path.display(), error.message());
    match error {
        Error::Unsupported(_) => Error::Unsupported(message),
        _ => Error::Corrupt(message),
    }
}

/// Writes a snapshot under its other name, and brings it to the disk. How long its text is. `stop` is asked now and then.
pub(super) fn write_snapshot(
    paths: &Paths,
    spaces: &[StoredSpace],
    store: &str,
    sequence: u64,
    compression: Compression,
    stop: &mut dyn FnMut() -> bool,
) -> io::Result<u64> {
    let file = BufWriter::with_capacity(256 << 10, paths.create(&paths.new_snapshot)?);
    let (file, bytes) = match compression {
        Compression::None => write_text(file, spaces, store, sequence, stop)?,
        Compression::Gzip => {
            let encoder = GzEncoder::new(file, flate2::Compression::default());
            let (encoder, bytes) = write_text(encoder, spaces, store, sequence, stop)?;
            (encoder.finish()?, bytes)
        }
    };
    file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    Ok(bytes)
}

fn write_text<W: Write>(
    out: W,
    spaces: &[StoredSpace],
    store: &str,
    sequence: u64,
    stop: &mut dyn FnMut() -> bool,
) -> io::Result<(W, u64)> {
    let mut out = Counted { out, bytes: 0, checksum: 0 };
    out.write(&format::snapshot_head(store, sequence))?;
    let mut line = String::new();
    for (index, (namespace, entries)) in spaces.iter().enumerate() {
        out.write(&format!("{}\n    {}: {{", if index > 0 { "," } else { "" }, json::quote(namespace)))?;
        for (index, (key, stored)) in entries.iter().enumerate() {
            if stop() {
                return Err(io::Error::new(ErrorKind::Interrupted, "the store is being closed"));
            }
            line.clear();
            line.push_str(if index > 0 { ",\n      " } else { "\n      " });
            line.push_str(&json::quote(key));
            line.push_str(": ");
            format::write_entry(&mut line, stored, true);
            out.write(&line)?;
        }
        out.write("\n    }")?;
    }
    out.write(if spaces.is_empty() { "},\n  " } else { "\n  },\n  " })?;
    out.write(&format::snapshot_tail(out.checksum))?;
    Ok((out.out, out.bytes))
}

struct Counted<W> {
    out: W,
    bytes: u64,
    checksum: u32,
}

impl<W: Write> Counted<W> {
    fn write(&mut self, text: &str) -> io::Result<()> {
        self.bytes += text.len() as u64;
        self.checksum = crc32c::crc32c_append(self.checksum, text.as_bytes());
        self.out.write_all(text.as_bytes())
    }
}

/// Gives the new snapshot its name. Once this is done it is the snapshot, also after a power cut.
pub(super) fn publish_snapshot(paths: &Paths) -> io::Result<()> {
    fs::rename(&paths.new_snapshot, &paths.snapshot)?;
    sync_folder(&paths.folder)
}

/// Gives what is under the snapshot's name a second one, so that it stays when the first passes on: `.orig`, or `.orig.1`
/// where that is taken, and so on.
pub(super) fn keep(paths: &Paths, ending: &str) -> io::Result<PathBuf> {
    for number in 0..10_000 {
        let name = if number == 0 { ending.to_owned() } else { format!("{ending}.{number}") };
        let kept = beside(&paths.snapshot, &name);
        match fs::hard_link(&paths.snapshot, &kept) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
            // A file system without links.
            Err(_) => copy_new(&paths.snapshot, &kept)?,
        }
        sync_folder(&paths.folder)?;
        return Ok(kept);
    }
    Err(io::Error::new(ErrorKind::AlreadyExists, "all names for the original are taken"))
}

fn copy_new(from: &Path, to: &Path) -> io::Result<()> {
    let mut file = File::create_new(to)?;
    let copied = io::copy(&mut File::open(from)?, &mut file).and_then(|_| file.sync_all());
    if copied.is_err() {
        let _ = fs::remove_file(to);
    }
    copied
}
