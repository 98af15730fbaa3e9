//! Errors as answers: `application/problem+json` (RFC 9457).

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use dataknobs_kv_core::wire::{ABSENT, CONFLICT, Entry, Problem, header};
use dataknobs_kv_core::{Error, Projection, State, wire};

use crate::headers::{NO_STORE, NOSNIFF, etag};

/// What a handler gives.
pub(crate) type Reply = Result<Response, Failure>;

/// An answer that is no success.
pub(crate) struct Failure(Box<Parts>);

struct Parts {
    problem: Problem,
    headers: HeaderMap,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::new((&error).into())
    }
}

impl Failure {
    fn new(problem: Problem) -> Self {
        let mut headers = HeaderMap::new();
        if let Ok(code) = HeaderValue::from_str(&problem.code) {
            headers.insert(HeaderName::from_static(header::ERROR), code);
        }
        if problem.status == 429 || problem.status == 503 {
            let seconds = problem.retry_after_ms.map_or(1, |ms| ms.div_ceil(1000).max(1));
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        Failure(Box::new(Parts { problem, headers }))
    }

    fn plain(status: StatusCode, code: &str, detail: impl Into<String>) -> Self {
        Failure::new(Problem {
            about: "about:blank".into(),
            status: status.as_u16(),
            code: code.into(),
            detail: detail.into(),
            ..Problem::default()
        })
    }

    /// There is no such entry.
    pub(crate) fn absent(key: &str) -> Self {
        Failure::plain(StatusCode::NOT_FOUND, ABSENT, format!("key {key:?}: there is no such entry"))
    }

    /// A lost race: the current version, and as much of the state there as was asked for.
    pub(crate) fn conflict(key: &str, current: Option<State>, want: Projection) -> Self {
        let detail = format!("key {key:?}: what is there is not what the request asked for");
        let mut failure = Failure::plain(StatusCode::PRECONDITION_FAILED, CONFLICT, detail);
        if let Some(mut state) = current {
            if let Some(etag) = etag(&state.version) {
                failure.0.headers.insert(ETAG, etag);
            }
            if want < Projection::Value {
                state.value = None;
            }
            if want > Projection::Key {
                match Entry::new(key, Some(state)) {
                    Ok(entry) => failure.0.problem.current = Some(entry),
                    Err(error) => return error.into(),
                }
            }
        }
        failure
    }

    /// What a transaction or a batch was told of half-way.
    pub(crate) fn with_detail(mut self, prefix: &str) -> Self {
        self.0.problem.detail = format!("{prefix}{}", self.0.problem.detail);
        self
    }

    pub(crate) fn with_status(mut self, status: StatusCode) -> Self {
        self.0.problem.status = status.as_u16();
        self
    }

    pub(crate) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.insert(name, value);
        self
    }

    /// The problem itself, for where the status is already sent.
    pub(crate) fn into_problem(self) -> Problem {
        let mut problem = self.0.problem;
        problem.title = title(problem.status).into();
        problem
    }
}

fn title(status: u16) -> &'static str {
    StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Error")
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let headers = self.0.headers.clone();
        let problem = self.into_problem();
        let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = wire::to_json(&problem).unwrap_or_else(|_| r#"{"code":"internal"}"#.into());
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        response.headers_mut().insert(CACHE_CONTROL, NO_STORE);
        let (name, value) = NOSNIFF;
        response.headers_mut().insert(name, value);
        response
    }
}

/// For paths that mean nothing.
pub(crate) async fn no_route(uri: Uri) -> Failure {
    const WITH_KEY: [&str; 7] = ["entries", "metadata", "increment", "append", "compare-and-swap", "touch", "persist"];
    let segments: Vec<&str> = uri.path().split('/').collect();
    match segments.as_slice() {
        ["", "v1", _, what, ""] if WITH_KEY.contains(what) => {
            Error::InvalidArgument("key \"\": a key is 1 to 512 bytes".into()).into()
        }
        ["", "v1", "", ..] => Error::InvalidArgument("namespace \"\": a namespace is 1 to 64 bytes".into()).into(),
        _ => Failure::plain(
            StatusCode::NOT_FOUND,
            "not-found",
            "there is no such path; entries are at /v1/{namespace}/entries/{key}",
        ),
    }
}

/// For methods that a path does not have. (The router adds `Allow`.)
pub(crate) async fn no_method(method: Method) -> Failure {
    Failure::plain(
        StatusCode::METHOD_NOT_ALLOWED,
        "method-not-allowed",
        format!("this path does not know {method}; the Allow header names what it knows"),
    )
}
