//! Namespaces as a whole: which there are, emptying one, removing what has expired.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use dataknobs_kv_core::wire::{Cleaned, Cleanup, Cleared, Names};
use serde::Deserialize;

use crate::app::Shared;
use crate::conditions::Conditions;
use crate::headers::json;
use crate::path::{Target, no_parameters, parameters};
use crate::problem::{Failure, Reply};

/// A step of a removal.
const STEP: u32 = 1000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListParameters {
    cursor: Option<String>,
    limit: Option<u32>,
}

pub(crate) async fn list(State(app): State<Shared>, request: Request) -> Reply {
    let (parts, _) = request.into_parts();
    let given: ListParameters = parameters(&parts)?;
    let limit = given.limit.unwrap_or(STEP);
    let page = app.read(app.store.namespaces(given.cursor.as_deref(), limit)).await?;
    Ok(json(&Names { items: page.names, next: page.cursor })?)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ClearParameters {
    limit: Option<u32>,
}

pub(crate) async fn clear(State(app): State<Shared>, request: Request) -> Reply {
    let (parts, _) = request.into_parts();
    Conditions::refuse(&parts.headers)?;
    let Target { namespace, .. } = Target::with_parameters(&parts)?;
    let given: ClearParameters = parameters(&parts)?;
    loop {
        let more = app.write(app.store.clear(&namespace, given.limit.unwrap_or(STEP))).await?;
        if !more || given.limit.is_some() {
            return Ok(json(&Cleared { more })?);
        }
        app.going_on().map_err(|error| Failure::from(error).with_detail("some entries were removed, then: "))?;
    }
}

pub(crate) async fn cleanup(State(app): State<Shared>, request: Request) -> Reply {
    let (parts, body) = request.into_parts();
    let Target { namespace, .. } = Target::of(&parts)?;
    clean(&app, &parts, body, Some(&namespace)).await
}

pub(crate) async fn cleanup_all(State(app): State<Shared>, request: Request) -> Reply {
    let (parts, body) = request.into_parts();
    no_parameters(&parts)?;
    clean(&app, &parts, body, None).await
}

async fn clean(app: &Shared, parts: &Parts, body: Body, namespace: Option<&str>) -> Reply {
    Conditions::refuse(&parts.headers)?;
    let Cleanup { limit } = app.request(parts, body, Some(Cleanup::default())).await?;
    let mut removed = 0_u64;
    loop {
        let cleaned = app.write(app.store.cleanup_expired(namespace, limit.unwrap_or(STEP))).await?;
        removed = removed.saturating_add(u64::from(cleaned.count));
        if !cleaned.more || limit.is_some() {
            return Ok(json(&Cleaned { removed, more: cleaned.more })?);
        }
        app.going_on()?;
    }
}
