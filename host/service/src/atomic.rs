//! What reads and writes one entry in one step: counters, appends, compare-and-swap, expiry.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::response::Response;
use dataknobs_kv_core::store::{Expiry, SwapResult};
use dataknobs_kv_core::wire::{self, Appended, CompareAndSwap, Entry, Increment, Summed, Swapped, Touch};
use dataknobs_kv_core::{Error, Result, Version};
use serde::de::DeserializeOwned;

use crate::app::{App, Shared};
use crate::body::value;
use crate::conditions::Conditions;
use crate::headers::{APPEND, WriteHeaders, etag, json};
use crate::metadata::{Change, under};
use crate::path::Target;
use crate::problem::{Failure, Reply};

impl App {
    /// The request's body, read as JSON; an empty one where `empty` says what that means.
    pub(crate) async fn request<T: DeserializeOwned>(
        &self,
        parts: &Parts,
        body: Body,
        empty: Option<T>,
    ) -> Result<T, Failure> {
        WriteHeaders::read(&parts.headers, &[])?;
        let held = self.body(&parts.headers, body).await?;
        match empty {
            Some(empty) if held.bytes.is_empty() => Ok(empty),
            _ => Ok(wire::from_json(&held.bytes)?),
        }
    }
}

/// An answer in JSON that also carries the version as its entity tag.
fn with_version(mut response: Response, version: &Version) -> Response {
    if let Some(etag) = etag(version) {
        response.headers_mut().insert(axum::http::header::ETAG, etag);
    }
    response
}

pub(crate) async fn increment(State(app): State<Shared>, request: Request) -> Reply {
    let (parts, body) = request.into_parts();
    let Target { namespace, key } = Target::of(&parts)?;
    Conditions::refuse(&parts.headers)?;
    let (delta, expiry) = app.request(&parts, body, Some(Increment::default())).await?.into_parts()?;
    let counted = app.write(app.store.increment(&namespace, &key, delta, expiry)).await?;
    let version = counted.version.clone();
    Ok(with_version(json(&Summed::try_from(counted)?)?, &version))
}

pub(crate) async fn append(State(app): State<Shared>, request: Request) -> Reply {
    let (parts, body) = request.into_parts();
    let Target { namespace, key } = Target::of(&parts)?;
    Conditions::refuse(&parts.headers)?;
    let given = WriteHeaders::read(&parts.headers, &APPEND)?;
    let held = app.body(&parts.headers, body).await?;
    // An entry keeps its content type: the tail's own only tells how to read it.
    let (tail, _) = value(&parts.headers, held.bytes.clone(), given.value_type, None)?;
    let appended = app.write(app.store.append(&namespace, &key, tail, given.expiry)).await?;
    let answer = json(&Appended { size: appended.size, version: appended.version.as_str().to_owned() })?;
    Ok(with_version(answer, &appended.version))
}

pub(crate) async fn compare_and_swap(State(app): State<Shared>, request: Request) -> Reply {
    let (parts, body) = request.into_parts();
    let Target { namespace, key } = Target::of(&parts)?;
    Conditions::refuse(&parts.headers)?;
    let (old, new, options) = app.request::<CompareAndSwap>(&parts, body, None).await?.into_parts()?;
    match app.write(app.store.compare_and_swap(&namespace, &key, old, new, options)).await? {
        SwapResult::Swapped(version) => {
            let answer = Swapped { swapped: true, version: Some(version.as_str().to_owned()), current: None };
            Ok(with_version(json(&answer)?, &version))
        }
        SwapResult::Different(current) => {
            let current = current.map(|state| Entry::new(key, Some(state))).transpose()?;
            Ok(json(&Swapped { swapped: false, version: None, current })?)
        }
    }
}

pub(crate) async fn touch(State(app): State<Shared>, request: Request) -> Reply {
    let (parts, body) = request.into_parts();
    let target = Target::of(&parts)?;
    let conditions = Conditions::of_write(&parts.headers)?;
    let expiry = Expiry::try_from(app.request::<Touch>(&parts, body, None).await?)?;
    if expiry == Expiry::Unspecified {
        let rule = "give one of ttl_ms, expires_at, sliding_ms and expiry";
        return Err(Error::InvalidArgument(rule.into()).into());
    }
    expire(&app, &target, &conditions, expiry).await
}

pub(crate) async fn persist(State(app): State<Shared>, request: Request) -> Reply {
    let (parts, body) = request.into_parts();
    let target = Target::of(&parts)?;
    let conditions = Conditions::of_write(&parts.headers)?;
    app.request::<Nothing>(&parts, body, Some(Nothing {})).await?;
    expire(&app, &target, &conditions, Expiry::Never).await
}

/// A body that may be left out.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

async fn expire(app: &Shared, target: &Target, conditions: &Conditions, expiry: Expiry) -> Reply {
    let Target { namespace, key } = target;
    under(app, namespace, key, conditions, Change::Expire(expiry)).await
}
