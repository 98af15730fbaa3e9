//! A page at `/`: files that the service hands out beside its API, such as the explorer.

use std::collections::BTreeMap;
use std::fmt::{self, Write};

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue,
    IF_NONE_MATCH, REFERRER_POLICY, VARY,
};
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use dataknobs_kv_core::{Error, Result};
use sha2::{Digest, Sha256};

use crate::app::Shared;
use crate::headers::NOSNIFF;
use crate::problem::{Reply, no_route};

/// The file that `/` gives.
const INDEX: &str = "index.html";

/// The page's own files and the service's API, and nothing else: no inline code or style, no frame around it.
const POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; \
    img-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Tells the page that the API is there beside it. To try would cost an error in the browser's console elsewhere.
const API: HeaderName = HeaderName::from_static("kv-api");

/// A page's files. They need no token: they say nothing of the store.
#[derive(Clone, Default)]
pub struct Page {
    /// By path.
    files: BTreeMap<String, File>,
}

#[derive(Clone)]
struct File {
    content_type: HeaderValue,
    etag: HeaderValue,
    body: Bytes,
}

impl Page {
    /// Files by name; `index.html` must be among them.
    ///
    /// `invalid-argument` for a name that is none of a file beside that one, or whose ending is not known. A path of the
    /// API has no ending, so none can be hidden.
    pub fn new<B: Into<Bytes>>(files: impl IntoIterator<Item = (impl Into<String>, B)>) -> Result<Self> {
        let mut page = Page::default();
        for (name, body) in files {
            let (name, body) = (name.into(), body.into());
            let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_'));
            let content_type = content_type(&name).filter(|_| plain).ok_or_else(|| {
                Error::InvalidArgument(format!("page: {name:?} is no name of a file, or its ending is not known"))
            })?;
            let mut etag = String::from("\"");
            for byte in Sha256::digest(&body).iter().take(16) {
                // A `String` takes everything.
                let _ = write!(etag, "{byte:02x}");
            }
            etag.push('"');
            let etag = HeaderValue::try_from(etag).map_err(|error| Error::Internal(format!("page: {error}")))?;
            let file = File { content_type: HeaderValue::from_static(content_type), etag, body };
            if name == INDEX {
                page.files.insert("/".into(), file.clone());
            }
            page.files.insert(format!("/{name}"), file);
        }
        if page.files.is_empty() || page.files.contains_key("/") {
            return Ok(page);
        }
        Err(Error::InvalidArgument(format!("page: there is no {INDEX}")))
    }

    pub(crate) fn paths(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    pub(crate) fn has(&self, path: &str) -> bool {
        self.files.contains_key(path)
    }
}

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.files.keys()).finish()
    }
}

fn content_type(name: &str) -> Option<&'static str> {
    let (stem, ending) = name.rsplit_once('.')?;
    Some(match ending {
        _ if stem.is_empty() => return None,
        "html" => "text/html; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "wasm" => "application/wasm",
        _ => return None,
    })
}

/// One of the files.
pub(crate) async fn file(State(app): State<Shared>, uri: Uri, headers: HeaderMap) -> Reply {
    let index = uri.path() == "/";
    let Some(file) = app.page.files.get(uri.path()).filter(|_| !index || takes_html(&headers)) else {
        return Err(no_route(uri).await);
    };
    let known = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok()).flat_map(|tags| {
        // Weakly compared, as caches do.
        tags.split(',').map(|tag| tag.trim().trim_start_matches("W/"))
    });
    let fresh = known.into_iter().any(|tag| tag == "*" || tag.as_bytes() == file.etag.as_bytes());
    let mut response =
        if fresh { StatusCode::NOT_MODIFIED.into_response() } else { Response::new(Body::from(file.body.clone())) };
    response.headers_mut().extend([
        (CONTENT_TYPE, file.content_type.clone()),
        (ETAG, file.etag.clone()),
        // Asked for each time: the files are those of one build, also after an update.
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (API, HeaderValue::from_static("v1")),
        (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
        (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin")),
        NOSNIFF,
    ]);
    if index {
        response.headers_mut().insert(VARY, HeaderValue::from_static("accept"));
    }
    Ok(response)
}

/// Whether whoever asks is content with HTML: a program that asks for JSON is told that there is no such path.
fn takes_html(headers: &HeaderMap) -> bool {
    let mut ranges =
        headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).flat_map(|all| all.split(','));
    let mut asked = false;
    let takes = ranges.any(|range| {
        asked = true;
        let (range, parameters) = range.split_once(';').unwrap_or((range, ""));
        let refused = parameters.split(';').any(|parameter| {
            parameter
                .trim()
                .strip_prefix("q=")
                .is_some_and(|weight| weight.parse::<f32>().is_ok_and(|weight| weight <= 0.0))
        });
        !refused && matches!(range.trim(), "text/html" | "text/*" | "*/*")
    });
    takes || !asked
}
