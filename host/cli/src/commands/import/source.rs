//! The reading side of an import: from a file or stdin to batches of items.

use std::collections::{HashSet, VecDeque};
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, BufRead, BufReader, Read};
use std::path::PathBuf;

use dataknobs_kv::{Error, Item, Precondition, SetOptions, Value, key};
use dataknobs_kv_core::wire::Entry;
use tokio::sync::mpsc::Sender;

use super::super::export::{Format, NamespaceLine};
use crate::exit::Failure;
use crate::json::Flatten;

/// Items in one batch: what one call of the store takes.
const BATCH_ITEMS: usize = 1000;
/// Text that fills a batch before that.
const BATCH_BYTES: usize = 4 << 20;
/// The longest line: far above what any store takes as one value.
const MAX_LINE: u64 = 1 << 30;

/// Some items, to be written in any order.
pub(super) struct Batch {
    /// Where the input itself names it.
    pub(super) namespace: Option<String>,
    pub(super) items: Vec<Item>,
    /// To be written only after all batches before it: a key comes again, and the last one counts.
    pub(super) barrier: bool,
    /// How much of the input was read, in bytes.
    pub(super) position: u64,
}

/// What is to be read, and how.
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) format: Format,
    pub(super) prefix: Option<String>,
    pub(super) arrays: bool,
    pub(super) precondition: Precondition,
    /// How many batches may be under way at one time.
    pub(super) in_flight: usize,
}

impl Source {
    /// Reads everything, until the channel is closed. Blocks.
    pub(super) fn read(self, sender: &Sender<Batch>) -> Result<(), Failure> {
        let mut batches = Batches::new(sender, self.in_flight);
        let done = match self.format {
            Format::Json => self.json(&mut batches),
            Format::Jsonl => self.lines(&mut batches),
        };
        // What came before a bad line is written all the same: the summary counts it.
        batches.send();
        done
    }

    fn open(&self) -> Result<Box<dyn Read>, Failure> {
        if self.path.as_os_str() == "-" {
            return Ok(Box::new(io::stdin().lock()));
        }
        Ok(Box::new(File::open(&self.path).map_err(|error| self.failed(error))?))
    }

    fn failed(&self, error: io::Error) -> Failure {
        let place = if self.path.as_os_str() == "-" { "stdin".into() } else { self.path.display().to_string() };
        Failure::Io(place, error)
    }

    fn json(&self, batches: &mut Batches<'_>) -> Result<(), Failure> {
        let mut text = String::new();
        self.open()?.read_to_string(&mut text).map_err(|error| self.failed(error))?;
        let mut leaves = Flatten::new(&text, self.prefix.as_deref(), self.arrays)?;
        while let Some(leaf) = leaves.next() {
            let (key, value) = leaf?;
            let item = Item { key, value: Value::from_json(value)?, options: self.options(SetOptions::default()) };
            if !batches.push(item, value.len(), leaves.position() as u64) {
                break;
            }
        }
        Ok(())
    }

    fn lines(&self, batches: &mut Batches<'_>) -> Result<(), Failure> {
        let mut input = BufReader::with_capacity(256 << 10, self.open()?);
        let (mut line, mut number, mut position) = (Vec::new(), 0_u64, 0_u64);
        loop {
            line.clear();
            number += 1;
            let length =
                (&mut input).take(MAX_LINE).read_until(b'\n', &mut line).map_err(|error| self.failed(error))? as u64;
            position += length;
            if length == 0 {
                return Ok(());
            }
            if length == MAX_LINE {
                return Err(Error::too_large(format!("line {number}"), MAX_LINE, length).into());
            }
            if line.trim_ascii().is_empty() {
                continue;
            }
            let at = |error: Error| match error {
                Error::InvalidArgument(message) => Error::InvalidArgument(format!("line {number}: {message}")),
                other => other,
            };
            let text = str::from_utf8(&line).map_err(|_| at(Error::InvalidArgument("not UTF-8".into())))?;
            if let Ok(NamespaceLine { namespace }) = serde_json::from_str(text) {
                key::validate_namespace(&namespace).map_err(at)?;
                batches.namespace(namespace);
                continue;
            }
            let mut item = Entry::from_line(text).and_then(Entry::into_item).map_err(at)?;
            if let Some(prefix) = &self.prefix {
                item.key = format!("{prefix}.{}", item.key);
            }
            item.options = self.options(item.options);
            if !batches.push(item, line.len(), position) {
                return Ok(());
            }
        }
    }

    fn options(&self, options: SetOptions) -> SetOptions {
        SetOptions { precondition: self.precondition.clone(), ..options }
    }
}

/// Collects items into batches and sends those that are full.
struct Batches<'a> {
    sender: &'a Sender<Batch>,
    open: Batch,
    bytes: usize,
    /// Hashes of the keys of this batch, and of those before it that may still be under way.
    hasher: RandomState,
    seen: HashSet<u64>,
    before: VecDeque<HashSet<u64>>,
    in_flight: usize,
    closed: bool,
}

impl<'a> Batches<'a> {
    fn new(sender: &'a Sender<Batch>, in_flight: usize) -> Self {
        Batches {
            sender,
            open: Batch { namespace: None, items: Vec::new(), barrier: false, position: 0 },
            bytes: 0,
            hasher: RandomState::new(),
            seen: HashSet::new(),
            before: VecDeque::new(),
            in_flight,
            closed: false,
        }
    }

    /// Adds an item; false where nobody wants any more.
    fn push(&mut self, item: Item, bytes: usize, position: u64) -> bool {
        let hash = self.hasher.hash_one(&item.key);
        // Two keys with one hash only cost a wait.
        let under_way = || !self.open.barrier && self.before.iter().any(|keys| keys.contains(&hash));
        if self.seen.contains(&hash) || under_way() {
            self.send();
            self.begin_after_all();
        }
        self.seen.insert(hash);
        self.open.items.push(item);
        self.open.position = position;
        self.bytes += bytes;
        if self.open.items.len() >= BATCH_ITEMS || self.bytes >= BATCH_BYTES {
            self.send();
        }
        !self.closed
    }

    fn begin_after_all(&mut self) {
        self.open.barrier = true;
        self.before.clear();
    }

    /// Items that follow go into this namespace.
    fn namespace(&mut self, namespace: String) {
        self.send();
        self.open.namespace = Some(namespace);
    }

    fn send(&mut self) {
        if self.open.items.is_empty() || self.closed {
            return;
        }
        let next = Batch {
            namespace: self.open.namespace.clone(),
            items: Vec::with_capacity(BATCH_ITEMS),
            barrier: false,
            position: self.open.position,
        };
        let batch = std::mem::replace(&mut self.open, next);
        self.bytes = 0;
        self.before.push_back(std::mem::take(&mut self.seen));
        if self.before.len() > self.in_flight {
            self.before.pop_front();
        }
        self.closed = self.sender.blocking_send(batch).is_err();
    }
}
