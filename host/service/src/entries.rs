//! `/v1/{namespace}/entries/{key}`: one entry.

use axum::body::Body;
use axum::extract::{Request, State as Shares};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderValue};
use axum::response::Response;
use dataknobs_kv_core::store::{DeleteResult, Item, SetOptions, SetResult};
use dataknobs_kv_core::wire::TypedValue;
use dataknobs_kv_core::{Error, Precondition, Projection, Result, State, ValueType, Version};

use crate::app::Shared;
use crate::body::{prefers, value};
use crate::conditions::Conditions;
use crate::headers::{DELETE, SET, WriteHeaders, describe, done, own_content_type, own_length};
use crate::path::Target;
use crate::problem::{Failure, Reply};

/// How often a condition that needs a look first is tried against rivals.
pub(crate) const TRIES: u32 = 16;

pub(crate) async fn get(Shares(app): Shares<Shared>, request: Request) -> Reply {
    let (parts, _) = request.into_parts();
    let target = Target::of(&parts)?;
    let conditions = Conditions::of_read(&parts.headers)?;
    let state = app.read(app.store.get(&target.namespace, &target.key)).await?;
    let mut state = match readable(state, &conditions, &target.key)? {
        Readable::Whole(state) => state,
        Readable::Unchanged(version, state) => return Ok(unchanged(&app, &version, &state)),
    };
    let mut response = Response::new(Body::empty());
    describe(response.headers_mut(), &state.version, &state.attributes, app.clock.now());
    let (content_type, body) = if prefers(&parts.headers, "application/json") {
        let value = state.into_value()?.ok_or_else(|| Error::Internal("get gave no value".into()))?;
        let json: Box<str> = TypedValue::with_type(&value).and_then(json_of(&value))?;
        (HeaderValue::from_static("application/json"), Vec::from(json.into_boxed_bytes()))
    } else {
        let content_type = own_content_type(&state.attributes);
        let value = state.value.take().ok_or_else(|| Error::Internal("get gave no value".into()))?;
        (content_type, if state.attributes.value_type == ValueType::Null { b"null".to_vec() } else { value })
    };
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    *response.body_mut() = Body::from(body);
    Ok(response)
}

/// The value as JSON: JSON itself to the byte, also where its text spans lines.
fn json_of(value: &dataknobs_kv_core::Value) -> impl FnOnce(TypedValue) -> Result<Box<str>> {
    let text = match value {
        dataknobs_kv_core::Value::Json(text) => Some(text.clone().into_boxed_str()),
        _ => None,
    };
    |typed| Ok(text.unwrap_or_else(|| typed.value.into()))
}

pub(crate) async fn head(Shares(app): Shares<Shared>, request: Request) -> Reply {
    let (parts, _) = request.into_parts();
    let target = Target::of(&parts)?;
    let conditions = Conditions::of_read(&parts.headers)?;
    let state = app.read(app.store.describe(&target.namespace, &target.key)).await?;
    let state = match readable(state, &conditions, &target.key)? {
        Readable::Whole(state) => state,
        Readable::Unchanged(version, state) => return Ok(unchanged(&app, &version, &state)),
    };
    // How long a value is as JSON only its text tells: a body of unknown length leaves that open.
    let unknown = futures::stream::empty::<Result<bytes::Bytes, std::convert::Infallible>>();
    let mut response = Response::new(Body::from_stream(unknown));
    describe(response.headers_mut(), &state.version, &state.attributes, app.clock.now());
    if prefers(&parts.headers, "application/json") {
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    } else {
        response.headers_mut().insert(CONTENT_TYPE, own_content_type(&state.attributes));
        response.headers_mut().insert(CONTENT_LENGTH, own_length(&state));
    }
    Ok(response)
}

pub(crate) enum Readable {
    Whole(State),
    Unchanged(Version, State),
}

/// What a read may answer under its conditions.
pub(crate) fn readable(state: Option<State>, conditions: &Conditions, key: &str) -> Result<Readable, Failure> {
    if !conditions.match_holds(state.as_ref().map(|state| &state.version)) {
        return Err(Failure::conflict(key, state, Projection::Key));
    }
    let state = state.ok_or_else(|| Failure::absent(key))?;
    if conditions.none_match_holds(Some(&state.version)) {
        Ok(Readable::Whole(state))
    } else {
        Ok(Readable::Unchanged(state.version.clone(), state))
    }
}

/// The caller has it already.
pub(crate) fn unchanged(app: &Shared, version: &Version, state: &State) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    describe(response.headers_mut(), version, &state.attributes, app.clock.now());
    response
}

pub(crate) async fn put(Shares(app): Shares<Shared>, request: Request) -> Reply {
    let (parts, body) = request.into_parts();
    let Target { namespace, key } = Target::of(&parts)?;
    let conditions = Conditions::of_write(&parts.headers)?;
    let given = WriteHeaders::read(&parts.headers, &SET)?;
    if parts.headers.contains_key(CONTENT_RANGE) {
        return Err(Error::InvalidArgument("Content-Range: a PUT replaces the whole value".into()).into());
    }
    let held = app.body(&parts.headers, body).await?;
    let (value, content_type) = value(&parts.headers, held.bytes.clone(), given.value_type, given.content_type)?;
    let options = SetOptions {
        expiry: given.expiry,
        content_type,
        metadata: given.metadata,
        precondition: Precondition::None,
        // A lost race answers at least with the current version.
        on_conflict: given.on_conflict.max(Projection::Attributes),
    };
    let item = Item { key, value, options };
    if let Some(precondition) = conditions.precondition() {
        let key = item.key.clone();
        return match set(&app, &namespace, item, precondition).await? {
            SetResult::Written(version) => Ok(done(Some(&version))),
            SetResult::Conflict(current) => Err(Failure::conflict(&key, current, given.on_conflict)),
        };
    }
    for _ in 0..TRIES {
        let there = look(&app, &namespace, &item.key, &conditions, given.on_conflict).await?;
        let precondition = there.map_or(Precondition::Absent, Precondition::Version);
        if let SetResult::Written(version) = set(&app, &namespace, item.clone(), precondition).await? {
            return Ok(done(Some(&version)));
        }
    }
    Err(Error::RateLimited(None).into())
}

async fn set(app: &Shared, namespace: &str, mut item: Item, precondition: Precondition) -> Result<SetResult> {
    item.options.precondition = precondition;
    app.write(app.store.set(namespace, item)).await
}

/// The version there, if the conditions allow it.
pub(crate) async fn look(
    app: &Shared,
    namespace: &str,
    key: &str,
    conditions: &Conditions,
    want: Projection,
) -> Result<Option<Version>, Failure> {
    let current = if want == Projection::Value {
        let keys = [key.to_owned()];
        app.read(app.store.get_many(namespace, &keys, true)).await?.into_iter().next().transpose()?.flatten()
    } else {
        app.read(app.store.describe(namespace, key)).await?
    };
    if !conditions.hold(current.as_ref().map(|state| &state.version)) {
        return Err(Failure::conflict(key, current, want));
    }
    Ok(current.map(|state| state.version))
}

pub(crate) async fn delete(Shares(app): Shares<Shared>, request: Request) -> Reply {
    let (parts, _) = request.into_parts();
    let Target { namespace, key } = Target::of(&parts)?;
    let conditions = Conditions::of_write(&parts.headers)?;
    let want = WriteHeaders::read(&parts.headers, &DELETE)?.on_conflict;
    let on_conflict = want.max(Projection::Attributes);
    let remove = |precondition| app.write(app.store.delete(&namespace, &key, precondition, on_conflict));
    if let Some(precondition) = conditions.precondition() {
        return match remove(precondition).await? {
            DeleteResult::Deleted => Ok(done(None)),
            DeleteResult::Absent => Err(Failure::absent(&key)),
            DeleteResult::Conflict(current) => Err(Failure::conflict(&key, current, want)),
        };
    }
    for _ in 0..TRIES {
        let Some(version) = look(&app, &namespace, &key, &conditions, want).await? else {
            return Err(Failure::absent(&key));
        };
        match remove(Precondition::Version(version)).await? {
            DeleteResult::Deleted => return Ok(done(None)),
            DeleteResult::Absent | DeleteResult::Conflict(_) => {}
        }
    }
    Err(Error::RateLimited(None).into())
}
