//! Reads of single keys.

use dataknobs_kv_core::storage::ANSWER_BYTES;
use dataknobs_kv_core::{Error, Result, State, Timestamp};
use redb::{ReadOnlyTable, ReadableTable};

use super::failure::Failure;
use super::file::{Snapshot, StoreFile};
use super::format::{self, Bytes, Head};

pub(super) fn get(
    file: &StoreFile,
    namespace: &str,
    key: &str,
    now: Timestamp,
    with_value: bool,
) -> Result<Option<State>> {
    file.read(|snapshot| Reads::new(snapshot)?.get(namespace, key, now, with_value))?
}

pub(super) fn get_many(
    file: &StoreFile,
    namespace: &str,
    keys: &[String],
    now: Timestamp,
    with_value: bool,
) -> Result<Vec<Result<Option<State>>>> {
    file.read(|snapshot| {
        let mut reads = Reads::new(snapshot)?;
        let mut results = Vec::with_capacity(keys.len());
        let mut bytes = 0;
        for key in keys {
            let result = reads.get(namespace, key, now, with_value)?;
            if let Ok(Some(state)) = &result {
                bytes += answer_bytes(state);
            }
            results.push(result);
            if bytes >= ANSWER_BYTES {
                break;
            }
        }
        Ok(results)
    })
}

/// How much of an answer's bound a state takes: metadata count as values do.
pub(super) fn answer_bytes(state: &State) -> usize {
    state.value.as_ref().map_or(0, Vec::len) + state.attributes.metadata.as_ref().map_or(0, String::len)
}

/// Reads in one snapshot. The table of bodies is opened when the first long value is wanted.
pub(super) struct Reads<'a> {
    snapshot: &'a Snapshot,
    pub(super) head: ReadOnlyTable<Bytes, Bytes>,
    body: Option<ReadOnlyTable<Bytes, Bytes>>,
}

impl<'a> Reads<'a> {
    pub(super) fn new(snapshot: &'a Snapshot) -> Result<Self, Failure> {
        Ok(Reads { snapshot, head: snapshot.head()?, body: None })
    }

    /// The outer error is the file's, the inner one this entry's.
    fn get(
        &mut self,
        namespace: &str,
        key: &str,
        now: Timestamp,
        with_value: bool,
    ) -> Result<Result<Option<State>>, Failure> {
        let row = format::row(namespace, key);
        let Some(guard) = self.head.get(row.as_slice())? else { return Ok(Ok(None)) };
        match Head::decode(guard.value()) {
            Err(damaged) => Ok(Err(damaged.error(&row))),
            Ok(head) if head.attributes.expired(now) => Ok(Ok(None)),
            Ok(head) => Ok(self.state(&row, head, with_value)?.map(Some)),
        }
    }

    /// The state of a row, with its value if it is wanted.
    pub(super) fn state(&mut self, row: &[u8], head: Head, with_value: bool) -> Result<Result<State>, Failure> {
        if !with_value {
            return Ok(Ok(into_state(head, None)));
        }
        if let Some(value) = &head.value {
            let value = value.to_vec();
            return Ok(Ok(into_state(head, Some(value))));
        }
        let body = match &mut self.body {
            Some(body) => body,
            none => none.insert(self.snapshot.body()?),
        };
        let value = long_value(body, row, &head)?;
        Ok(value.map(|value| into_state(head, Some(value))))
    }
}

/// A value from the table of bodies.
pub(super) fn long_value(
    body: &impl ReadableTable<Bytes, Bytes>,
    row: &[u8],
    head: &Head,
) -> Result<Result<Vec<u8>, Error>, Failure> {
    Ok(match body.get(row)? {
        Some(value) if value.value().len() as u64 == head.attributes.size => Ok(value.value().to_vec()),
        _ => Err(format::Damaged.error(row)),
    })
}

pub(super) fn into_state(head: Head, value: Option<Vec<u8>>) -> State {
    State { version: head.version(), attributes: head.attributes, value }
}
