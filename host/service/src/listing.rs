//! What many entries have in common: listings, counts, children, deletes by pattern.

use std::convert::Infallible;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use axum::response::Response;
use bytes::Bytes;
use dataknobs_kv_core::store::{EntryPage, MAX_PAGE, Query};
use dataknobs_kv_core::wire::{self, Children, Counted, Deleted, Entry, Include, Page, Problem};
use dataknobs_kv_core::{Error, Projection, Result};
use futures::stream;
use serde::{Deserialize, Serialize};

use crate::app::Shared;
use crate::body::prefers;
use crate::conditions::Conditions;
use crate::headers::{NO_STORE, NOSNIFF, json};
use crate::path::{Target, parameters};
use crate::problem::{Failure, Reply};

/// A page where no limit is given, and a step of a walk.
const PAGE: u32 = 1000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListParameters {
    pattern: Option<String>,
    metadata: Option<String>,
    cursor: Option<String>,
    limit: Option<u64>,
    include: Option<String>,
}

pub(crate) async fn list(State(app): State<Shared>, request: Request) -> Reply {
    let (parts, _) = request.into_parts();
    let Target { namespace, .. } = Target::with_parameters(&parts)?;
    let given: ListParameters = parameters(&parts)?;
    let want = given.include.as_deref().map_or(Ok(Include::default()), Include::parse)?.0;
    let query = Query { pattern: given.pattern.unwrap_or_else(|| "**".into()), metadata: given.metadata };
    if lines_wanted(&parts.headers) {
        let walk = Walk { app, namespace, query, cursor: given.cursor, left: given.limit, want };
        return lines(walk).await;
    }
    let limit = given.limit.map_or(PAGE, |limit| u32::try_from(limit).unwrap_or(u32::MAX));
    let page = app.read(app.store.list_entries(&namespace, &query, given.cursor.as_deref(), limit, want)).await?;
    let items = page.entries.into_iter().map(|entry| Entry::new(entry.key, entry.state)).collect::<Result<_>>()?;
    Ok(json(&Page { items, next: page.cursor })?)
}

fn lines_wanted(headers: &HeaderMap) -> bool {
    prefers(headers, "application/x-ndjson") || prefers(headers, "application/ndjson")
}

/// A listing that goes on from page to page.
struct Walk {
    app: Shared,
    namespace: String,
    query: Query,
    cursor: Option<String>,
    /// How many lines may still come.
    left: Option<u64>,
    want: Projection,
}

impl Walk {
    /// The next page; afterwards whether there is more.
    async fn step(&mut self) -> Result<(Bytes, bool)> {
        let limit = self.left.map_or(PAGE, |left| u32::try_from(left).unwrap_or(PAGE).min(PAGE));
        let call = self.app.store.list_entries(&self.namespace, &self.query, self.cursor.as_deref(), limit, self.want);
        let EntryPage { entries, cursor } = self.app.read(call).await?;
        if let Some(left) = &mut self.left {
            *left = left.saturating_sub(entries.len() as u64);
        }
        let mut lines = String::new();
        for entry in entries {
            lines.push_str(&wire::to_json(&Entry::new(entry.key, entry.state)?)?);
            lines.push('\n');
        }
        self.cursor = cursor;
        Ok((lines.into(), self.cursor.is_some() && self.left != Some(0)))
    }
}

/// The last line of a listing that failed half-way.
#[derive(Serialize)]
struct Broken {
    error: Problem,
}

/// All pages as lines, each fetched when the reader has taken the one before.
async fn lines(mut walk: Walk) -> Reply {
    // What fails at once is answered with its own status.
    let (first, more) = walk.step().await?;
    let rest = stream::unfold(more.then_some(walk), |walk| async {
        let mut walk = walk?;
        Some(match walk.step().await {
            Ok((lines, more)) => (lines, more.then_some(walk)),
            Err(error) => {
                let broken = Broken { error: Failure::from(error).into_problem() };
                let mut line = wire::to_json(&broken).unwrap_or_else(|_| r#"{"error":{"code":"internal"}}"#.into());
                line.push('\n');
                (line.into(), None)
            }
        })
    });
    let pages = futures::StreamExt::chain(stream::iter([first]), rest);
    let body = futures::StreamExt::map(pages, Ok::<Bytes, Infallible>);
    let mut response = Response::new(Body::from_stream(body));
    response.headers_mut().extend([
        (CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson")),
        (CACHE_CONTROL, NO_STORE),
        NOSNIFF,
    ]);
    Ok(response)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WalkParameters {
    pattern: Option<String>,
    metadata: Option<String>,
    cursor: Option<String>,
    limit: Option<u32>,
}

pub(crate) async fn count(State(app): State<Shared>, request: Request) -> Reply {
    let (parts, _) = request.into_parts();
    let Target { namespace, .. } = Target::with_parameters(&parts)?;
    let given: WalkParameters = parameters(&parts)?;
    let query = Query { pattern: given.pattern.unwrap_or_else(|| "**".into()), metadata: given.metadata };
    let stepwise = given.limit.is_some() || given.cursor.is_some();
    let (mut sum, mut cursor) = (0_u64, given.cursor);
    loop {
        let limit = given.limit.unwrap_or(MAX_PAGE);
        let progress = app.read(app.store.count(&namespace, &query, cursor.as_deref(), limit)).await?;
        sum = sum.saturating_add(progress.count);
        cursor = progress.cursor;
        if stepwise || cursor.is_none() {
            return Ok(json(&Counted { count: sum, next: cursor })?);
        }
        app.going_on()?;
    }
}

pub(crate) async fn delete(State(app): State<Shared>, request: Request) -> Reply {
    let (parts, _) = request.into_parts();
    Conditions::refuse(&parts.headers)?;
    let Target { namespace, .. } = Target::with_parameters(&parts)?;
    let given: WalkParameters = parameters(&parts)?;
    let pattern = given.pattern.ok_or_else(|| {
        Error::InvalidArgument(
            "pattern is missing: pattern=** is every entry, DELETE /v1/{namespace} empties it".into(),
        )
    })?;
    let query = Query { pattern, metadata: given.metadata };
    let stepwise = given.limit.is_some() || given.cursor.is_some();
    let (mut deleted, mut cursor) = (0_u64, given.cursor);
    loop {
        let limit = given.limit.unwrap_or(PAGE);
        let step = app.write(app.store.delete_matching(&namespace, &query, cursor.as_deref(), limit)).await;
        let progress = step.map_err(|error| half_way(error, deleted))?;
        deleted = deleted.saturating_add(progress.count);
        cursor = progress.cursor;
        if stepwise || cursor.is_none() {
            return Ok(json(&Deleted { deleted, next: cursor })?);
        }
        app.going_on().map_err(|error| half_way(error, deleted))?;
    }
}

/// An error after some steps that were done: `unavailable` alone would say that nothing was.
fn half_way(error: Error, done: u64) -> Failure {
    if done == 0 {
        return error.into();
    }
    let error = match error {
        Error::Unavailable(message) => Error::OutcomeUnknown(message),
        Error::RateLimited(_) => Error::OutcomeUnknown("too much at once".into()),
        error => error,
    };
    Failure::from(error).with_detail(&format!("{done} entries were deleted, then: "))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChildParameters {
    prefix: Option<String>,
    counts: Option<bool>,
    cursor: Option<String>,
    limit: Option<u32>,
}

pub(crate) async fn children(State(app): State<Shared>, request: Request) -> Reply {
    let (parts, _) = request.into_parts();
    let Target { namespace, .. } = Target::with_parameters(&parts)?;
    let given: ChildParameters = parameters(&parts)?;
    let counts = given.counts.unwrap_or(true);
    let call = app.store.children(
        &namespace,
        given.prefix.as_deref(),
        counts,
        given.cursor.as_deref(),
        given.limit.unwrap_or(PAGE),
    );
    Ok(json(&Children::from(app.read(call).await?))?)
}
