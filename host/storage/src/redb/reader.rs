//! Reads of single keys.

use dataknobs_kv_core::storage::ANSWER_BYTES;
use dataknobs_kv_core::{Attributes, Error, Result, State, Timestamp};
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
    let found = file.read(|snapshot| Reads::new(snapshot)?.get(namespace, key, now, with_value, usize::MAX))?;
    found.unwrap_or(Ok(None))
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
        let mut room = ANSWER_BYTES;
        for key in keys {
            let room_for_this = if results.is_empty() { usize::MAX } else { room };
            let Some(result) = reads.get(namespace, key, now, with_value, room_for_this)? else { break };
            if let Ok(Some(state)) = &result {
                room = room.saturating_sub(weight(&state.attributes, with_value));
            }
            results.push(result);
        }
        Ok(results)
    })
}

/// How much of an answer's bound a state takes.
pub(super) fn weight(attributes: &Attributes, with_value: bool) -> usize {
    let value = if with_value { usize::try_from(attributes.size).unwrap_or(usize::MAX) } else { 0 };
    value.saturating_add(attributes.metadata.as_ref().map_or(0, String::len)).saturating_add(128)
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

    /// The outer error is the file's, the inner one this entry's. None: it weighs more than there is room for.
    fn get(
        &mut self,
        namespace: &str,
        key: &str,
        now: Timestamp,
        with_value: bool,
        room: usize,
    ) -> Result<Option<Result<Option<State>>>, Failure> {
        let row = format::row(namespace, key);
        let Some(guard) = self.head.get(row.as_slice())? else { return Ok(Some(Ok(None))) };
        match Head::decode(guard.value()) {
            Err(damaged) => Ok(Some(Err(damaged.error(&row)))),
            Ok(head) if head.attributes.expired(now) => Ok(Some(Ok(None))),
            Ok(head) if weight(&head.attributes, with_value) > room => Ok(None),
            Ok(head) => Ok(Some(self.state(&row, head, with_value)?.map(Some))),
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
