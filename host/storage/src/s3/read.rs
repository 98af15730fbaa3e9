//! Reading objects: what is under a name, and how much of it is fetched.

use bytes::Bytes;
use dataknobs_kv_core::storage::ANSWER_BYTES;
use dataknobs_kv_core::{Attributes, Error, Projection, Result, State, Timestamp, Version};
use futures::StreamExt;
use tokio::time::Instant;

use super::client::{Client, Got, Guard};
use super::failure::{Failure, Meaning};
use super::format::{self, GRAVE, Head, MAX_HEADER_BYTES, MAX_OBJECT_BYTES};
use super::{S3Storage, names};

/// So much of an object is fetched where its value is not wanted: nearly always the whole header.
const HEAD_BYTES: u64 = 8 << 10;
/// So much where many values are wanted: most come with their header in one request, and none too large is fetched in
/// vain.
const VALUE_BYTES: u64 = 64 << 10;
/// How often an object may change between its beginning and its rest.
const LOOKS: usize = 5;

/// What is under a name.
#[derive(Clone, Debug)]
pub(super) enum Look {
    /// No object.
    Nothing,
    /// What stands for a deleted entry.
    Grave { etag: String },
    /// An entry, expired or not.
    Entry(Box<Found>),
    /// An object that is none of ours, or damaged: why.
    Damaged { etag: String, why: &'static str },
}

/// An entry.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) etag: String,
    pub(super) head: Head,
    /// Where it was asked for.
    pub(super) value: Option<Vec<u8>>,
}

impl Found {
    pub(super) fn into_state(self) -> Result<State> {
        Ok(State { version: Version::new(self.etag)?, attributes: self.head.attributes, value: self.value })
    }

    pub(super) fn attributes(&self) -> &Attributes {
        &self.head.attributes
    }
}

impl Look {
    /// The living entry, if there is one.
    pub(super) fn living(self, key: &str, now: Timestamp) -> Result<Option<Box<Found>>> {
        match self {
            Look::Nothing | Look::Grave { .. } => Ok(None),
            Look::Entry(found) if found.attributes().expired(now) => Ok(None),
            Look::Entry(found) => Ok(Some(found)),
            Look::Damaged { why, .. } => Err(damaged(key, why)),
        }
    }
}

pub(super) fn damaged(key: &str, why: &str) -> Error {
    Error::Corrupt(format!("the object of the key {key:?} is damaged or not ours: {why}"))
}

/// How much of an object is fetched at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    /// The header.
    Head,
    /// All of it, at once.
    Value,
    /// All of it; the rest of a long one when that is known to be wanted.
    Values,
}

impl From<Projection> for Want {
    fn from(projection: Projection) -> Self {
        if projection == Projection::Value { Want::Value } else { Want::Head }
    }
}

/// What is known after the first request.
enum First {
    Done(Look),
    /// An entry of which this much is there.
    Part(Box<Head>, Got),
}

/// Looks at an object.
pub(super) async fn look(client: &Client, object: &str, want: Want, deadline: Instant) -> Result<Look, Failure> {
    let mut looks: usize = 0;
    loop {
        looks = looks.saturating_add(1);
        // One that keeps changing is fetched in one go.
        let want = if looks > LOOKS { Want::Value } else { want };
        match first(client, object, want, deadline).await? {
            First::Done(look) => return Ok(look),
            First::Part(head, got) => {
                if let Some(look) = rest(client, object, *head, got, deadline).await? {
                    return Ok(look);
                }
            }
        }
    }
}

async fn first(client: &Client, object: &str, want: Want, deadline: Instant) -> Result<First, Failure> {
    let range = match want {
        Want::Head => Some((0, HEAD_BYTES)),
        Want::Values => Some((0, VALUE_BYTES)),
        Want::Value => None,
    };
    let mut got = match get(client, object, range, deadline).await? {
        Some(got) => got,
        None => return Ok(First::Done(Look::Nothing)),
    };
    if got.total > MAX_OBJECT_BYTES {
        return Ok(First::Done(Look::Damaged { etag: got.etag, why: "it is larger than any entry" }));
    }
    if got.body.as_ref() == GRAVE && got.total == GRAVE.len() as u64 {
        return Ok(First::Done(Look::Grave { etag: got.etag }));
    }
    let mut read = format::decode(&got.body, got.total);
    if read == format::Read::Short {
        // Rare: metadata of many kilobytes.
        got = match get(client, object, Some((0, MAX_HEADER_BYTES as u64)), deadline).await? {
            Some(got) => got,
            None => return Ok(First::Done(Look::Nothing)),
        };
        read = format::decode(&got.body, got.total);
    }
    let head = match read {
        format::Read::Head(head) => head,
        format::Read::Short => {
            return Ok(First::Done(Look::Damaged { etag: got.etag, why: "it has no header line" }));
        }
        format::Read::Damaged(why) => return Ok(First::Done(Look::Damaged { etag: got.etag, why })),
    };
    let whole = got.body.len() as u64 == got.total;
    Ok(match (want, whole) {
        (Want::Head, _) => First::Done(Look::Entry(Box::new(Found { etag: got.etag, head, value: None }))),
        (_, true) => {
            let value = got.body.get(head.bytes..).unwrap_or_default().to_vec();
            First::Done(Look::Entry(Box::new(Found { etag: got.etag, head, value: Some(value) })))
        }
        (_, false) => First::Part(Box::new(head), got),
    })
}

/// Fetches what is still missing of an entry; none where it has changed meanwhile.
async fn rest(client: &Client, object: &str, head: Head, got: Got, deadline: Instant) -> Result<Option<Look>, Failure> {
    let range = Some((got.body.len() as u64, got.total));
    let rest = match client.get(object, range, Guard::Is(&got.etag), MAX_OBJECT_BYTES, deadline).await {
        Ok(rest) if rest.etag == got.etag => rest,
        Ok(_) => return Ok(None),
        Err(failure) if matches!(failure.meaning(), Meaning::Lost | Meaning::Missing) => return Ok(None),
        Err(failure) => return Err(failure),
    };
    let mut value = got.body.get(head.bytes..).unwrap_or_default().to_vec();
    value.extend_from_slice(&rest.body);
    Ok(Some(Look::Entry(Box::new(Found { etag: got.etag, head, value: Some(value) }))))
}

/// The object or its beginning; none where there is none.
async fn get(
    client: &Client,
    object: &str,
    range: Option<(u64, u64)>,
    deadline: Instant,
) -> Result<Option<Got>, Failure> {
    match client.get(object, range, Guard::None, MAX_OBJECT_BYTES, deadline).await {
        Ok(got) => Ok(Some(got)),
        Err(failure) if failure.meaning() == Meaning::Missing => Ok(None),
        // An empty object has no bytes to give; it is none of ours, and its ETag is needed to replace it.
        Err(Failure::Refused(refusal)) if refusal.status == 416 => {
            match client.get(object, None, Guard::None, 0, deadline).await {
                Ok(got) => Ok(Some(Got { body: Bytes::new(), ..got })),
                Err(failure) if failure.meaning() == Meaning::Missing => Ok(None),
                Err(failure) => Err(failure),
            }
        }
        Err(failure) => Err(failure),
    }
}

impl S3Storage {
    pub(super) async fn read_one(
        &self,
        namespace: &str,
        key: &str,
        now: Timestamp,
        want: Want,
    ) -> Result<Option<State>> {
        let object = self.entry(namespace, &names::of_key(key));
        let look = look(&self.client, &object, want, self.client.deadline()).await;
        let look = look.map_err(|failure| failure.of_read(&self.client.bucket))?;
        self.seen.remember(&object, &look).await;
        look.living(key, now)?.map(|found| found.into_state()).transpose()
    }

    pub(super) async fn read_many(
        &self,
        namespace: &str,
        keys: &[String],
        now: Timestamp,
        with_value: bool,
    ) -> Result<Vec<Result<Option<State>>>> {
        let want = if with_value { Want::Values } else { Want::Head };
        let wanted = keys.iter().cloned();
        let reads = wanted.map(|key| async move { self.read_one(namespace, &key, now, want).await });
        let mut reads = futures::stream::iter(reads).buffered(self.client.concurrency());
        let mut states = Vec::with_capacity(keys.len());
        let mut weight: usize = 0;
        while let Some(state) = reads.next().await {
            if let Ok(Some(state)) = &state {
                let metadata = state.attributes.metadata.as_ref().map_or(0, String::len);
                weight = weight.saturating_add(metadata).saturating_add(state.value.as_ref().map_or(0, Vec::len));
            }
            if weight > ANSWER_BYTES && !states.is_empty() {
                break;
            }
            states.push(state);
        }
        Ok(states)
    }
}
