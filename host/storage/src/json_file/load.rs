//! Reading a snapshot: one of ours, one that a person changed, or plain nested JSON of another program.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::io::Read;
use std::sync::Arc;

use dataknobs_kv_core::memory::Stored;
use dataknobs_kv_core::wire::Flatten;
use dataknobs_kv_core::{Attributes, Error, MemoryStorage, Timestamp, Value, Version, json, key};

use super::failure::{Fault, Place};
use super::format::{self, CHECKSUM, FORMAT, HEADER, NAMESPACES};
use super::members::{Form, Text, Trust};

/// More groups than there will ever be: so that one more can always be counted.
const MAX_SEQUENCE: u64 = 1 << 53;

/// What a snapshot is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// One of ours.
    Ours {
        /// Which store's: the journal names it too.
        store: String,
        /// The last group of changes that is in it.
        sequence: u64,
        /// Somebody else changed it since it was written.
        edited: bool,
    },
    /// Plain nested JSON.
    Foreign,
}

/// A snapshot's text.
pub(super) struct Snapshot {
    pub(super) text: String,
    pub(super) gzip: bool,
}

/// What is wrong with a snapshot as a whole.
pub(super) enum Unreadable {
    /// `corrupt`, for this reason.
    Corrupt(String),
    /// At this place, of the kind of this error.
    Refused(fn(String) -> Error, String),
}

impl Unreadable {
    fn at(kind: fn(String) -> Error, text: &[u8], fault: &Fault) -> Self {
        Unreadable::Refused(kind, format!("{}: {}", Place::of(text, fault.at), fault.rule))
    }
}

impl Snapshot {
    /// From a file's bytes, compressed or not.
    pub(super) fn decode(bytes: Vec<u8>) -> Result<Self, Unreadable> {
        let gzip = bytes.starts_with(&[0x1f, 0x8b]);
        let bytes = if gzip {
            let mut text = Vec::new();
            flate2::read::MultiGzDecoder::new(bytes.as_slice())
                .read_to_end(&mut text)
                .map_err(|error| Unreadable::Corrupt(format!("not a whole gzip file: {error}")))?;
            text
        } else {
            bytes
        };
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Snapshot { text, gzip }),
            Err(error) => {
                let fault = Fault::new(error.utf8_error().valid_up_to(), "not UTF-8");
                Err(Unreadable::at(Error::Corrupt, error.as_bytes(), &fault))
            }
        }
    }

    /// Puts its entries into the memory. Entries that no program of ours wrote get versions that this text alone has, and
    /// `at` for their times.
    pub(super) fn read_into(&self, memory: &MemoryStorage, at: Timestamp) -> Result<Origin, Unreadable> {
        let text = Text(&self.text);
        let refused =
            |kind: fn(String) -> Error| move |fault: Fault| Unreadable::at(kind, self.text.as_bytes(), &fault);
        let corrupt = refused(Error::Corrupt);
        if self.text.starts_with('\u{feff}') {
            return Err(corrupt(Fault::new(0, "a byte order mark: save it as UTF-8 without one")));
        }
        let members = match text.object(&self.text) {
            Err(fault) if json::validate(&self.text).is_ok() => {
                return Err(refused(Error::InvalidArgument)(Fault::new(fault.at, "only an object can be a store")));
            }
            other => other.map_err(&corrupt)?,
        };
        let name = |literal: &str| json::parse_string(literal);
        let ours = members.iter().any(|(literal, _)| name(literal).as_deref() == Some(HEADER));
        if !ours {
            let remains = |(literal, _): &(&str, &str)| matches!(name(literal).as_deref(), Some(NAMESPACES | CHECKSUM));
            if members.len() == 2 && members.iter().all(remains) {
                return Err(corrupt(Fault::new(0, format!("the member \"{HEADER}\" is missing"))));
            }
            return self.flatten(memory, at).map(|()| Origin::Foreign).map_err(refused(Error::InvalidArgument));
        }
        let trust = if format::is_as_written(&self.text) { Trust::Written } else { Trust::Edited };
        let versions = Versions::of(&self.text);
        let (mut header, mut namespaces, mut checksum) = (None, None, None);
        for (literal, member) in members {
            let seen = match text.string(literal).map_err(&corrupt)?.as_str() {
                HEADER => header.replace(member).is_some(),
                NAMESPACES => namespaces.replace(member).is_some(),
                CHECKSUM => checksum.replace(member).is_some(),
                _ => return Err(corrupt(text.fault(literal, "no member of a store has this name"))),
            };
            text.once(seen, literal).map_err(&corrupt)?;
        }
        let (store, sequence) = self.header(header.unwrap_or_default())?;
        let namespaces = namespaces.ok_or_else(|| corrupt(Fault::new(0, format!("\"{NAMESPACES}\" is missing"))))?;
        spaces(text, namespaces, trust, &versions, at, memory).map_err(corrupt)?;
        Ok(Origin::Ours { store, sequence, edited: trust == Trust::Edited })
    }

    fn header<'a>(&'a self, piece: &'a str) -> Result<(String, u64), Unreadable> {
        let text = Text(&self.text);
        let corrupt = |fault: Fault| Unreadable::at(Error::Corrupt, self.text.as_bytes(), &fault);
        let (mut number, mut store, mut sequence) = (None, None, None);
        for (literal, member) in text.object(piece).map_err(corrupt)? {
            let seen = match text.string(literal).map_err(corrupt)?.as_str() {
                "format" => number.replace(text.whole(member).map_err(corrupt)?).is_some(),
                "store" => store.replace(text.string(member).map_err(corrupt)?).is_some(),
                "sequence" => {
                    let number = text.whole(member).map_err(corrupt)?;
                    if number > MAX_SEQUENCE {
                        return Err(corrupt(text.fault(member, "no store has so many groups of changes")));
                    }
                    sequence.replace(number).is_some()
                }
                // A newer version may have more.
                _ => false,
            };
            text.once(seen, literal).map_err(corrupt)?;
        }
        let missing = |name: &str| corrupt(text.fault(piece, format!("\"{name}\" is missing")));
        match number.ok_or_else(|| missing("format"))? {
            FORMAT => {}
            0 => return Err(corrupt(text.fault(piece, "no format has the number 0"))),
            number => return Err(Unreadable::Refused(Error::Unsupported, newer(number))),
        }
        Ok((store.ok_or_else(|| missing("store"))?, sequence.ok_or_else(|| missing("sequence"))?))
    }

    /// Nested JSON, flattened as an import does it.
    fn flatten(&self, memory: &MemoryStorage, at: Timestamp) -> Result<(), Fault> {
        json::validate(&self.text).map_err(|error| Fault::new(error.at, error.rule))?;
        let versions = Versions::of(&self.text);
        let mut entries = BTreeMap::new();
        let not_json = |error: Error| Fault::new(0, error.message());
        let mut leaves = Flatten::new(&self.text, None, false).map_err(not_json)?;
        while let Some(leaf) = leaves.next() {
            let here = leaves.position();
            let fault = |error: Error| Fault::new(here, error.message());
            let (name, text) = leaf.map_err(fault)?;
            key::validate(&name).map_err(fault)?;
            let (value_type, value) = Value::from_json(text).map_err(fault)?.encode();
            let attributes = Attributes {
                value_type,
                content_type: None,
                metadata: None,
                created_at: at,
                updated_at: at,
                expires_at: None,
                sliding_ms: None,
                size: value.len() as u64,
                checksum: crc32c::crc32c(&value),
            };
            let version = versions.of_entry(key::DEFAULT_NAMESPACE, &name);
            let stored = Arc::new(Stored { version, attributes, value: Arc::new(value) });
            if entries.insert(name, stored).is_some() {
                return Err(Fault::new(here, "this key comes twice"));
            }
        }
        place(memory, key::DEFAULT_NAMESPACE, &entries);
        Ok(())
    }
}

pub(super) fn newer(number: u64) -> String {
    format!("written by a newer version of dataknobs-kv (format {number}; this one knows {FORMAT})")
}

fn spaces<'a>(
    text: Text<'a>,
    piece: &'a str,
    trust: Trust,
    versions: &Versions,
    at: Timestamp,
    memory: &MemoryStorage,
) -> Result<(), Fault> {
    let mut seen = BTreeSet::new();
    for (literal, member) in text.object(piece)? {
        let namespace = text.string(literal)?;
        if trust == Trust::Edited {
            key::validate_namespace(&namespace).map_err(|error| text.fault(literal, error.message()))?;
        }
        text.once(!seen.insert(namespace.clone()), literal)?;
        let mut entries = BTreeMap::new();
        for (literal, member) in text.object(member)? {
            let name = text.string(literal)?;
            if trust == Trust::Edited {
                key::validate(&name).map_err(|error| text.fault(literal, error.message()))?;
            }
            let form = Form::read(text, member, trust)?;
            let version = form.version.clone().filter(|_| trust == Trust::Written);
            let version = version.unwrap_or_else(|| versions.of_entry(&namespace, &name));
            let stored = form.into_stored(version, at, trust);
            let stored = stored.ok_or_else(|| text.fault(member, "\"value\" is missing"))?;
            text.once(entries.insert(name, Arc::new(stored)).is_some(), literal)?;
        }
        place(memory, &namespace, &entries);
    }
    Ok(())
}

fn place(memory: &MemoryStorage, namespace: &str, entries: &BTreeMap<String, Arc<Stored>>) {
    memory.place(entries.iter().map(|(name, stored)| (namespace, name.as_str(), Some(stored.clone()))));
}

/// Versions for entries that no program of ours wrote: the same as long as the file is the same to the byte, others after
/// each change of it.
struct Versions(u64);

impl Versions {
    fn of(text: &str) -> Self {
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        Versions(hasher.finish())
    }

    fn of_entry(&self, namespace: &str, name: &str) -> Version {
        let half = |salt: u8| {
            let mut hasher = DefaultHasher::new();
            (salt, self.0, namespace, name).hash(&mut hasher);
            u128::from(hasher.finish())
        };
        Version::from_random(half(0) << 64 | half(1))
    }
}
