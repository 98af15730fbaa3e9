//! One entry as headers and a raw body.

use dataknobs_kv_core::store::{DeleteResult, Item, SetOptions, SetResult};
use dataknobs_kv_core::wire::{self, ExpiryFields, Include, Problem, header};
use dataknobs_kv_core::{
    Attributes, Error, Precondition, Projection, Result, State, Value, ValueType, Version, metadata,
};
use reqwest::Method;
use reqwest::header::{CONTENT_LENGTH, ETAG, HeaderMap};

use crate::HttpStore;
use crate::transport::{Access, Answer, Outgoing, unreadable};

const IF_MATCH: &str = "if-match";
const IF_NONE_MATCH: &str = "if-none-match";

/// Metadata longer than this (in ASCII) goes into a body.
const MAX_METADATA: usize = header::MAX_METADATA;

impl HttpStore {
    pub(crate) async fn get_entry(&self, namespace: &str, key: &str) -> Result<Option<State>> {
        let request = self.at(Access::Read, Method::GET, namespace, "entries", key)?;
        match self.send(request).await? {
            Answer::Success(headers, body) => match state(&headers, Some(body))? {
                Some(state) => Ok(Some(state)),
                // The metadata is too long for a header: everything once more, in one piece.
                None => self.get_one(namespace, key, true).await,
            },
            Answer::Absent => Ok(None),
            Answer::Conflict(problem) => Err(problem.into_error()),
        }
    }

    pub(crate) async fn describe_entry(&self, namespace: &str, key: &str) -> Result<Option<State>> {
        let request = self.at(Access::Read, Method::HEAD, namespace, "entries", key)?;
        match self.send(request).await {
            Ok(Answer::Success(headers, _)) => match state(&headers, None)? {
                Some(state) => Ok(Some(state)),
                None => self.get_one(namespace, key, false).await,
            },
            Ok(Answer::Absent) => Ok(None),
            Ok(Answer::Conflict(problem)) => Err(problem.into_error()),
            Err(error @ (Error::Unavailable(_) | Error::RateLimited(_) | Error::AccessDenied(_))) => Err(error),
            // Without a body an error says too little: asked another way it says more.
            Err(_) => self.get_one(namespace, key, false).await,
        }
    }

    async fn get_one(&self, namespace: &str, key: &str, with_value: bool) -> Result<Option<State>> {
        self.get_several(namespace, &[key.to_owned()], with_value)
            .await?
            .into_iter()
            .next()
            .unwrap_or_else(|| Err(Error::Internal("the service gave no answer for the key".into())))
    }

    pub(crate) async fn set_entry(&self, namespace: &str, item: Item) -> Result<SetResult> {
        let Item { key, value, options } = item;
        if matches!(value, Value::Number(_) | Value::Custom { .. }) {
            value.validate()?;
        }
        // In the form that the core would give it, and surely JSON.
        let metadata = options.metadata.as_deref().map(metadata::canonical).transpose()?.flatten();
        let ascii = metadata.as_deref().map(header::to_ascii);
        if ascii.as_ref().is_some_and(|ascii| ascii.len() > MAX_METADATA) {
            let item = Item { key, value, options };
            let mut results = self.set_several(namespace, &[wire::Item::try_from(&item)?]).await?;
            return results.pop().unwrap_or_else(|| Err(Error::Internal("the service gave no answer".into())));
        }
        let SetOptions { expiry, content_type, precondition, on_conflict, .. } = options;
        let (value_type, body) = value.encode();
        let mut request = self
            .at(Access::Write, Method::PUT, namespace, "entries", &key)?
            .header(header::VALUE_TYPE, header::type_to_header(&value_type))?
            .body(body);
        let ExpiryFields { ttl_ms, expires_at, sliding_ms, expiry } = expiry.into();
        for (name, value) in [
            (header::TTL_MS, ttl_ms.map(|ms| ms.to_string())),
            (header::EXPIRES_AT, expires_at.map(|ms| ms.to_string())),
            (header::SLIDING_MS, sliding_ms.map(|ms| ms.to_string())),
            (header::EXPIRY, expiry.map(|word| word.as_str().to_owned())),
            (header::CONTENT_TYPE, content_type),
            (header::METADATA, ascii),
        ] {
            if let Some(value) = value {
                request = request.header(name, value)?;
            }
        }
        let request = conditional(request, &precondition, on_conflict)?;
        match self.send(request).await? {
            Answer::Success(headers, _) => {
                let version = version(&headers).map_err(|error| unreadable(Access::Write, &error))?;
                Ok(SetResult::Written(version))
            }
            Answer::Conflict(problem) => Ok(SetResult::Conflict(current(*problem)?)),
            Answer::Absent => Err(Error::Internal("the service gave an answer out of place".into())),
        }
    }

    pub(crate) async fn delete_entry(
        &self,
        namespace: &str,
        key: &str,
        precondition: &Precondition,
        on_conflict: Projection,
    ) -> Result<DeleteResult> {
        let request = self.at(Access::Write, Method::DELETE, namespace, "entries", key)?;
        match self.send(conditional(request, precondition, on_conflict)?).await? {
            Answer::Success(..) => Ok(DeleteResult::Deleted),
            Answer::Absent => Ok(DeleteResult::Absent),
            Answer::Conflict(problem) => Ok(DeleteResult::Conflict(current(*problem)?)),
        }
    }
}

/// A request under a precondition.
pub(crate) fn conditional(request: Outgoing, precondition: &Precondition, on_conflict: Projection) -> Result<Outgoing> {
    let request = match precondition {
        Precondition::None => request,
        Precondition::Absent => request.header(IF_NONE_MATCH, "*")?,
        Precondition::Version(version) => request.header(IF_MATCH, format!("\"{version}\""))?,
    };
    if on_conflict == Projection::Key {
        return Ok(request);
    }
    request.header(header::ON_CONFLICT, Include(on_conflict).as_str())
}

/// What is there instead, after a lost race.
pub(crate) fn current(problem: Problem) -> Result<Option<State>> {
    let state = problem.current.map(wire::Entry::into_state).transpose();
    state.map(Option::flatten).map_err(|error| unreadable(Access::Read, &error))
}

/// The version that an answer carries.
pub(crate) fn version(headers: &HeaderMap) -> Result<Version> {
    let tag = headers.get(ETAG).and_then(|tag| tag.to_str().ok()).unwrap_or_default();
    Version::new(tag.trim_matches('"'))
}

/// The state that headers describe; none where they had no room for the metadata.
fn state(headers: &HeaderMap, body: Option<Vec<u8>>) -> Result<Option<State>> {
    if headers.contains_key(header::METADATA_OMITTED) {
        return Ok(None);
    }
    read_state(headers, body).map(Some).map_err(|error| unreadable(Access::Read, &error))
}

fn read_state(headers: &HeaderMap, body: Option<Vec<u8>>) -> Result<State> {
    let missing = |name: &str| Error::InvalidArgument(format!("header {name} is missing or malformed"));
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let number = |name: &str| text(name).and_then(|text| text.parse::<u64>().ok());
    let needed = |name: &str| number(name).ok_or_else(|| missing(name));
    let value_type = header::type_from_header(text(header::VALUE_TYPE).ok_or_else(|| missing(header::VALUE_TYPE))?)?;
    // Null is stored as no bytes, and sent as JSON.
    let null = value_type == ValueType::Null;
    let size = match &body {
        _ if null => 0,
        Some(body) => body.len() as u64,
        None => needed(CONTENT_LENGTH.as_str())?,
    };
    Ok(State {
        version: version(headers)?,
        attributes: Attributes {
            value_type,
            content_type: text(header::CONTENT_TYPE).map(str::to_owned),
            metadata: text(header::METADATA).map(metadata::canonical).transpose()?.flatten(),
            created_at: needed(header::CREATED_AT)?,
            updated_at: needed(header::UPDATED_AT)?,
            expires_at: number(header::EXPIRES_AT),
            sliding_ms: number(header::SLIDING_MS),
            size,
            checksum: u32::try_from(needed(header::CHECKSUM)?).map_err(|_| missing(header::CHECKSUM))?,
        },
        value: body.map(|body| if null { Vec::new() } else { body }),
    })
}
