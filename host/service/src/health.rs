//! How the service is, and what its store can do.

use axum::extract::{Request, State};
use axum::response::Response;
use dataknobs_kv_core::wire::Capabilities;
use serde::Serialize;

use crate::app::Shared;
use crate::headers::json;
use crate::path::no_parameters;
use crate::problem::Reply;

#[derive(Serialize)]
struct Status {
    status: &'static str,
}

/// The process answers.
pub(crate) async fn alive() -> Reply {
    ok()
}

/// The storage answers.
pub(crate) async fn ready(State(app): State<Shared>) -> Reply {
    app.going_on()?;
    app.read(app.store.describe("default", "readyz")).await?;
    ok()
}

fn ok() -> Result<Response, crate::problem::Failure> {
    Ok(json(&Status { status: "ok" })?)
}

pub(crate) async fn capabilities(State(app): State<Shared>, request: Request) -> Reply {
    let (parts, _) = request.into_parts();
    no_parameters(&parts)?;
    let mut capabilities = app.read(app.store.capabilities()).await?;
    // A larger value does not come in.
    capabilities.max_value_bytes = capabilities.max_value_bytes.min(app.limits.body_bytes);
    Ok(json(&Capabilities::from(capabilities))?)
}
