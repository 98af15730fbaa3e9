//! What a path and a query name.

use axum::extract::Query;
use axum::http::header::HeaderMap;
use axum::http::request::Parts;
use dataknobs_kv_core::wire::header::{NAMESPACE, percent_decode};
use dataknobs_kv_core::{Error, Result};
use serde::de::DeserializeOwned;

/// The namespace and key of `/v1/{namespace}/{what}/{key}`: percent-decoded, the key with all the slashes that it has.
pub(crate) struct Target {
    pub(crate) namespace: String,
    pub(crate) key: String,
}

impl Target {
    /// Of a path without parameters.
    pub(crate) fn of(parts: &Parts) -> Result<Self> {
        no_parameters(parts)?;
        Self::with_parameters(parts)
    }

    /// Of a path whose parameters are read elsewhere.
    pub(crate) fn with_parameters(parts: &Parts) -> Result<Self> {
        let mut segments = parts.uri.path().splitn(5, '/').skip(2);
        let namespace = named(segments.next().unwrap_or_default(), &parts.headers)?;
        let key = segments.nth(1).unwrap_or_default();
        let key = percent_decode(key).map_err(|error| Error::InvalidArgument(format!("key: {}", error.message())))?;
        Ok(Target { namespace, key })
    }
}

fn named(segment: &str, headers: &HeaderMap) -> Result<String> {
    let name = match headers.get(NAMESPACE) {
        Some(name) if segment == "-" => name.to_str().unwrap_or("%"),
        Some(_) => {
            return Err(Error::InvalidArgument("with Kv-Namespace the path has - in the namespace's place".into()));
        }
        None => segment,
    };
    percent_decode(name).map_err(|error| Error::InvalidArgument(format!("namespace: {}", error.message())))
}

/// Parameters that a path does not know are refused: a misspelt option must not be dropped silently.
pub(crate) fn no_parameters(parts: &Parts) -> Result<()> {
    match parts.uri.query() {
        None | Some("") => Ok(()),
        Some(_) => Err(Error::InvalidArgument("this request takes no query parameters".into())),
    }
}

/// The parameters after `?`.
pub(crate) fn parameters<T: DeserializeOwned>(parts: &Parts) -> Result<T> {
    match Query::try_from_uri(&parts.uri) {
        Ok(Query(parameters)) => Ok(parameters),
        Err(rejection) => {
            let text = rejection.body_text();
            let detail = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text);
            Err(Error::InvalidArgument(format!("query: {detail}")))
        }
    }
}
