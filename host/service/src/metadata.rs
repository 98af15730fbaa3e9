//! `/v1/{namespace}/metadata/{key}`: the caller's own metadata, without the value.

use axum::extract::{Request, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use axum::response::Response;
use dataknobs_kv_core::store::{ChangeResult, Expiry};
use dataknobs_kv_core::{Error, Precondition, Projection, Result};

use crate::app::Shared;
use crate::body::text;
use crate::conditions::Conditions;
use crate::entries::{Readable, TRIES, look, readable, unchanged};
use crate::headers::{WriteHeaders, describe, done};
use crate::path::Target;
use crate::problem::{Failure, Reply};

pub(crate) async fn get(State(app): State<Shared>, request: Request) -> Reply {
    let (parts, _) = request.into_parts();
    let target = Target::of(&parts)?;
    let conditions = Conditions::of_read(&parts.headers)?;
    let state = app.read(app.store.describe(&target.namespace, &target.key)).await?;
    let mut state = match readable(state, &conditions, &target.key)? {
        Readable::Whole(state) => state,
        Readable::Unchanged(version, state) => return Ok(unchanged(&app, &version, &state)),
    };
    let metadata = state.attributes.metadata.take().unwrap_or_else(|| "{}".into());
    let length = HeaderValue::from(metadata.len());
    let mut response = Response::new(metadata.into());
    describe(response.headers_mut(), &state.version, &state.attributes, app.clock.now());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(CONTENT_LENGTH, length);
    Ok(response)
}

pub(crate) async fn put(State(app): State<Shared>, request: Request) -> Reply {
    change(app, request, true).await
}

pub(crate) async fn patch(State(app): State<Shared>, request: Request) -> Reply {
    change(app, request, false).await
}

async fn change(app: Shared, request: Request, replace: bool) -> Reply {
    let (parts, body) = request.into_parts();
    let Target { namespace, key } = Target::of(&parts)?;
    let conditions = Conditions::of_write(&parts.headers)?;
    WriteHeaders::read(&parts.headers, &[])?;
    let held = app.body(&parts.headers, body).await?;
    let metadata = text(&held.bytes, "metadata")?;
    let change = if replace { Change::Replace(metadata) } else { Change::Merge(metadata) };
    under(&app, &namespace, &key, &conditions, change).await
}

/// A change of what is known of an entry.
#[derive(Clone, Copy)]
pub(crate) enum Change<'a> {
    Replace(&'a str),
    Merge(&'a str),
    Expire(Expiry),
}

impl Change<'_> {
    async fn make(self, app: &Shared, namespace: &str, key: &str, precondition: Precondition) -> Result<ChangeResult> {
        let store = &app.store;
        match self {
            Change::Replace(metadata) => {
                app.write(store.replace_metadata(namespace, key, metadata, precondition)).await
            }
            Change::Merge(patch) => app.write(store.update_metadata(namespace, key, patch, precondition)).await,
            Change::Expire(expiry) => app.write(store.set_expiry(namespace, key, expiry, precondition)).await,
        }
    }
}

/// Makes a change under the request's conditions.
pub(crate) async fn under(
    app: &Shared,
    namespace: &str,
    key: &str,
    conditions: &Conditions,
    change: Change<'_>,
) -> Reply {
    if let Some(precondition) = conditions.precondition() {
        return match change.make(app, namespace, key, precondition).await? {
            ChangeResult::Written(version) => Ok(done(Some(&version))),
            ChangeResult::Absent => Err(Failure::absent(key)),
            ChangeResult::Conflict(current) => Err(Failure::conflict(key, current, Projection::Attributes)),
        };
    }
    for _ in 0..TRIES {
        let Some(version) = look(app, namespace, key, conditions, Projection::Attributes).await? else {
            return Err(Failure::absent(key));
        };
        let precondition = Precondition::Version(version);
        if let ChangeResult::Written(version) = change.make(app, namespace, key, precondition).await? {
            return Ok(done(Some(&version)));
        }
    }
    Err(Error::RateLimited(None).into())
}
