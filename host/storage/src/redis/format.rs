//! How entries lie in Redis: the names of keys, and the fields of a hash.
//!
//! ```text
//! kv:{s17}:e:<bytes of the namespace>:<namespace>:<key>   hash: one entry
//! kv:{s17}:i:<namespace>                                  sorted set: its keys, all with score 0, so in byte order
//! kv:{s17}:x:<namespace>                                  sorted set: the keys that expire, by expires_at
//! kv:{n}:namespaces                                       sorted set: all namespaces that ever held something
//! kv:{n}:meta                                             hash: the number of this layout, how many shards
//! ```
//!
//! What stands in braces decides the slot in a cluster. It is a number made of the namespace and never its text, which may
//! hold braces itself and would then send an entry and its indexes to different slots. A namespace lies in one slot, so that
//! a script reaches all of it; with `shards`, its keys are spread over several such places by their own hash.

use dataknobs_kv_core::storage::Range;
use dataknobs_kv_core::{Attributes, Error, State, ValueType, Version};
use redis::Value;
use std::ops::Bound;

/// The number of the layout above. A store with a higher one is refused.
pub(super) const FORMAT: u32 = 1;

/// How many places there are for namespaces to lie in.
const TAGS: u16 = 1024;

/// The names of keys.
#[derive(Clone, Debug)]
pub(super) struct Names {
    pub(super) prefix: String,
    pub(super) shards: u16,
}

/// Where keys of one namespace lie: all of them, or one shard's. All in one slot.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) slot: u16,
    pub(super) index: String,
    pub(super) expiry: String,
    /// What stands before a key in its entry's name.
    pub(super) entries: String,
}

impl Place {
    pub(super) fn entry(&self, key: &str) -> String {
        let mut name = String::with_capacity(self.entries.len() + key.len());
        name.push_str(&self.entries);
        name.push_str(key);
        name
    }
}

impl Names {
    /// Where a shard of the namespace lies. (Below `shards`; without shards there is shard 0.)
    pub(super) fn place(&self, namespace: &str, shard: u16) -> Place {
        let prefix = &self.prefix;
        let tag = (crc16(namespace.as_bytes()) % TAGS + shard) % TAGS;
        Place {
            slot: slot(&format!("s{tag}")),
            index: format!("{prefix}:{{s{tag}}}:i:{namespace}"),
            expiry: format!("{prefix}:{{s{tag}}}:x:{namespace}"),
            entries: format!("{prefix}:{{s{tag}}}:e:{}:{namespace}:", namespace.len()),
        }
    }

    /// Where all of the namespace lies.
    pub(super) fn places(&self, namespace: &str) -> Vec<Place> {
        (0..self.shards).map(|shard| self.place(namespace, shard)).collect()
    }

    pub(super) fn shard(&self, key: &str) -> u16 {
        if self.shards > 1 { crc16(key.as_bytes()) % self.shards } else { 0 }
    }

    pub(super) fn register(&self) -> String {
        format!("{}:{{n}}:namespaces", self.prefix)
    }

    pub(super) fn meta(&self) -> String {
        format!("{}:{{n}}:meta", self.prefix)
    }

    /// The slot of `register` and `meta`.
    pub(super) fn root_slot(&self) -> u16 {
        slot("n")
    }
}

/// The slot of a key with this text in braces.
fn slot(tag: &str) -> u16 {
    crc16(tag.as_bytes()) % 16384
}

/// CRC-16/XMODEM, which Redis makes slots with.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| crc << 1 ^ if crc & 0x8000 == 0 { 0 } else { 0x1021 })
    })
}

/// The bounds of a range, as `ZRANGE … BYLEX` takes them; none where no key can lie in it.
pub(super) fn bounds(range: &Range) -> Option<(String, String)> {
    let (low, high) = range.bounds()?;
    let bound = |bound, unbounded: &str| match bound {
        Bound::Included(key) => format!("[{key}"),
        Bound::Excluded(key) => format!("({key}"),
        Bound::Unbounded => unbounded.to_owned(),
    };
    Some((bound(low, "-"), bound(high, "+")))
}

/// The fields of a state, in the order in which scripts and `HMGET` give them.
pub(super) const FIELDS: [&str; 10] = [
    "version",
    "type",
    "created_at",
    "updated_at",
    "size",
    "checksum",
    "expires_at",
    "sliding_ms",
    "content_type",
    "metadata",
];
/// The last one, where values are wanted.
pub(super) const VALUE: &str = "value";

/// A hash that is not as we write them, or something else under an entry's name.
#[derive(Debug)]
pub(super) struct Damaged;

impl Damaged {
    pub(super) fn error(self, namespace: &str, key: &str) -> Error {
        Error::Corrupt(format!("what is stored of the entry `{key}` in the namespace `{namespace}` is damaged"))
    }
}

/// A state from the values of [`FIELDS`] and, where it was asked for, of [`VALUE`]. None: there is no entry.
pub(super) fn state(fields: Value, with_value: bool) -> Result<Option<State>, Damaged> {
    let Value::Array(fields) = fields else { return Err(Damaged) };
    if fields.iter().all(|field| matches!(field, Value::Nil)) {
        return Ok(None);
    }
    let mut fields = fields.into_iter();
    let mut next = || match fields.next() {
        Some(Value::BulkString(bytes)) => Ok(Some(bytes)),
        None | Some(Value::Nil) => Ok(None),
        Some(_) => Err(Damaged),
    };
    let version = Version::new(text(next()?)?).map_err(|_| Damaged)?;
    let value_type = ValueType::parse(&text(next()?)?).map_err(|_| Damaged)?;
    let attributes = Attributes {
        value_type,
        created_at: number(next()?)?,
        updated_at: number(next()?)?,
        size: number(next()?)?,
        checksum: u32::try_from(number(next()?)?).map_err(|_| Damaged)?,
        expires_at: next()?.map(|bytes| number(Some(bytes))).transpose()?,
        sliding_ms: next()?.map(|bytes| number(Some(bytes))).transpose()?,
        content_type: next()?.map(|bytes| text(Some(bytes))).transpose()?,
        metadata: next()?.map(|bytes| text(Some(bytes))).transpose()?,
    };
    let value = next()?;
    match &value {
        Some(value) if value.len() as u64 != attributes.size => return Err(Damaged),
        None if with_value => return Err(Damaged),
        _ => {}
    }
    Ok(Some(State { version, attributes, value }))
}

fn text(bytes: Option<Vec<u8>>) -> Result<String, Damaged> {
    String::from_utf8(bytes.ok_or(Damaged)?).map_err(|_| Damaged)
}

fn number(bytes: Option<Vec<u8>>) -> Result<u64, Damaged> {
    std::str::from_utf8(&bytes.ok_or(Damaged)?).ok().and_then(|digits| digits.parse().ok()).ok_or(Damaged)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_are_those_of_redis() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        // `CLUSTER KEYSLOT x{foo}y`.
        assert_eq!(slot("foo"), 12182);
    }

    #[test]
    fn no_namespace_reaches_into_the_braces() {
        let names = Names { prefix: "kv".into(), shards: 4 };
        for namespace in ["}", "{", "a}b", "{}", ":", "a", "a:i", "é", "x{s1}"] {
            for shard in 0..4 {
                let place = names.place(namespace, shard);
                let tag = |name: &str| name.strip_prefix("kv:{s").unwrap().split_once('}').unwrap().0.to_owned();
                assert!(tag(&place.index).parse::<u16>().unwrap() < TAGS);
                assert_eq!(tag(&place.index), tag(&place.expiry));
                assert_eq!(tag(&place.index), tag(&place.entry("}{x")));
            }
            let tags: std::collections::BTreeSet<_> = names.places(namespace).into_iter().map(|p| p.index).collect();
            assert_eq!(tags.len(), 4);
        }
        // Namespace and key cannot be cut in two ways.
        assert_ne!(names.place("a", 0).entry("b:c"), names.place("a:b", 0).entry("c"));
    }

    #[test]
    fn what_is_no_entry_is_damaged() {
        let bulk = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let sound = || ["v", "text", "1", "2", "1", "7"].map(bulk).to_vec();
        assert!(state(Value::Array(vec![Value::Nil; 10]), false).unwrap().is_none());
        assert!(state(Value::Array(sound()), false).unwrap().is_some());
        assert!(state(Value::Array(sound()), true).is_err());
        for (at, wrong) in [(0, "a b"), (1, "x"), (2, "-1"), (4, "1.5"), (5, "99999999999")] {
            let mut fields = sound();
            fields[at] = bulk(wrong);
            assert!(state(Value::Array(fields), false).is_err(), "{wrong}");
            let mut fields = sound();
            fields[at] = Value::Nil;
            assert!(state(Value::Array(fields), false).is_err(), "{at}");
        }
        assert!(state(bulk("damaged"), false).is_err());
    }
}
