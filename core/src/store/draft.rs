//! What is to be written, checked and encoded.

use super::{Core, Expiry, Item};
use crate::{
    Attributes, Clock, Error, MAX_TIMESTAMP, Precondition, Projection, Result, State, Storage, Timestamp, Value,
    ValueType, checksum, clock, key, metadata,
    storage::{Change, Mutation},
};

/// When an entry expires, and how far a read moves that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Times {
    pub(super) expires_at: Option<Timestamp>,
    pub(super) sliding_ms: Option<u64>,
}

impl Times {
    /// Those of an entry.
    pub(super) fn of(attributes: &Attributes) -> Self {
        Times { expires_at: attributes.expires_at, sliding_ms: attributes.sliding_ms }
    }
}

/// A value as it is stored, and the checksum of its bytes.
pub(super) struct Encoded {
    pub(super) value_type: ValueType,
    pub(super) bytes: Vec<u8>,
    pub(super) checksum: u32,
}

/// An entry that may be put.
pub(super) struct Draft {
    pub(super) key: String,
    pub(super) precondition: Precondition,
    pub(super) on_conflict: Projection,
    /// Whether a living entry's expiry stays. So the entry must be read first, and its version guards the write; the
    /// times in the attributes are for the case that there is none.
    pub(super) keep: bool,
    attributes: Attributes,
    value: Vec<u8>,
}

impl Draft {
    /// The write, where nothing need be read first.
    pub(super) fn into_mutation(self) -> Mutation {
        let change = Change::Put { attributes: self.attributes, value: self.value };
        Mutation { key: self.key, change, precondition: self.precondition }
    }

    /// The write over what was seen, which guards it; none where its precondition does not hold.
    pub(super) fn over(&self, seen: Option<&State>, now: Timestamp) -> Option<Mutation> {
        let version = seen.map(|state| &state.version);
        if !self.precondition.holds(version) {
            return None;
        }
        let precondition = version.cloned().map_or(Precondition::Absent, Precondition::Version);
        Some(Mutation { key: self.key.clone(), change: self.change(seen, now), precondition })
    }

    /// The change of what was seen.
    pub(super) fn change(&self, seen: Option<&State>, now: Timestamp) -> Change {
        let mut attributes = Attributes { created_at: now, updated_at: now, ..self.attributes.clone() };
        if let Some(seen) = seen {
            attributes.created_at = seen.attributes.created_at;
            if self.keep {
                attributes.expires_at = seen.attributes.expires_at;
                attributes.sliding_ms = seen.attributes.sliding_ms;
            }
        }
        Change::Put { attributes, value: self.value.clone() }
    }
}

impl<S: Storage, C: Clock> Core<S, C> {
    /// Checks all of an item but the namespace.
    pub(super) fn draft(&self, namespace: &str, mut item: Item, now: Timestamp) -> Result<Draft> {
        let times = self.check_item(namespace, &mut item, now)?;
        let Encoded { value_type, bytes: value, checksum } = self.encode(item.value)?;
        let options = item.options;
        let attributes = Attributes {
            value_type,
            content_type: options.content_type,
            metadata: options.metadata,
            created_at: now,
            updated_at: now,
            expires_at: times.expires_at,
            sliding_ms: times.sliding_ms,
            size: value.len() as u64,
            checksum,
        };
        Ok(Draft {
            key: item.key,
            precondition: options.precondition,
            on_conflict: options.on_conflict,
            keep: options.expiry == Expiry::Keep,
            attributes,
            value,
        })
    }

    /// Checks key and options, and puts metadata and what it hints at in their final form. The times of a new entry.
    fn check_item(&self, namespace: &str, item: &mut Item, now: Timestamp) -> Result<Times> {
        key::validate(&item.key)?;
        let options = &mut item.options;
        if let Some(content_type) = &options.content_type {
            metadata::validate_content_type(content_type)?;
        }
        if let Some(text) = &options.metadata {
            options.metadata = metadata::canonical(text)?;
        }
        if let Some(metadata) = &options.metadata {
            self.check_metadata(metadata)?;
            let unspecified = options.expiry == Expiry::Unspecified;
            if unspecified || options.content_type.is_none() {
                match metadata::hints(metadata) {
                    Ok((ttl, hinted)) => {
                        if let (true, Some(ttl)) = (unspecified, ttl) {
                            options.expiry = Expiry::After(ttl);
                        }
                        if options.content_type.is_none() {
                            options.content_type = hinted;
                        }
                    }
                    Err(error) if unspecified => return Err(error),
                    // What is explicit wins over a hint that means nothing.
                    Err(_) => {}
                }
            }
        }
        match self.explicit_times(options.expiry, now)? {
            Some(times) => Ok(times),
            None => self.default_times(namespace, now),
        }
    }

    /// Checks a value: its type, its bytes, their checksum.
    pub(super) fn encode(&self, value: Value) -> Result<Encoded> {
        value.validate()?;
        let (value_type, bytes) = value.encode();
        self.check_size(bytes.len())?;
        let checksum = checksum::crc32c(&bytes);
        Ok(Encoded { value_type, bytes, checksum })
    }

    /// Whether a value may have so many bytes.
    pub(super) fn check_size(&self, bytes: usize) -> Result<()> {
        let limit = self.known().max_value_bytes;
        match bytes as u64 > limit {
            true => Err(Error::too_large("value", limit, bytes as u64)),
            false => Ok(()),
        }
    }

    /// Whether metadata may have so many bytes, as the core writes it.
    pub(super) fn check_metadata(&self, metadata: &str) -> Result<()> {
        let limit = self.known().max_metadata_bytes;
        match metadata.len() as u64 > limit {
            true => Err(Error::too_large("metadata", limit, metadata.len() as u64)),
            false => Ok(()),
        }
    }

    /// The times that an expiry names; none for `Unspecified` and `Keep`.
    pub(super) fn explicit_times(&self, expiry: Expiry, now: Timestamp) -> Result<Option<Times>> {
        let invalid = |rule: &str| Err(Error::invalid(&["expiry: ", rule]));
        let times = match expiry {
            Expiry::Unspecified | Expiry::Keep => return Ok(None),
            Expiry::Never => Times::default(),
            Expiry::After(0) | Expiry::Sliding(0) => return invalid("a span is at least one millisecond"),
            Expiry::After(span) => Times { expires_at: Some(clock::after(now, span)?), sliding_ms: None },
            Expiry::Sliding(_) if !self.known().sliding => {
                return Err(Error::Unsupported("this storage has no sliding expiry".into()));
            }
            Expiry::Sliding(span) => Times { expires_at: Some(clock::after(now, span)?), sliding_ms: Some(span) },
            Expiry::At(at) if at > MAX_TIMESTAMP => return invalid("it lies beyond the year 9999"),
            Expiry::At(at) if at <= now => return invalid("it does not lie in the future"),
            Expiry::At(at) => Times { expires_at: Some(at), sliding_ms: None },
        };
        Ok(Some(times))
    }

    /// The times of a new entry where nothing is said.
    pub(super) fn default_times(&self, namespace: &str, now: Timestamp) -> Result<Times> {
        let expires_at = self.default_ttl(namespace).map(|ttl| clock::after(now, ttl)).transpose()?;
        Ok(Times { expires_at, sliding_ms: None })
    }
}
