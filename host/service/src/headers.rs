//! What a request says in headers beside its body, and what an answer tells of an entry in them.

use axum::body::Body;
use axum::http::StatusCode;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue,
    LAST_MODIFIED, VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::response::Response;
use dataknobs_kv_core::store::Expiry;
use dataknobs_kv_core::wire::{self, ExpiryFields, ExpiryWord, Include, header};
use dataknobs_kv_core::{Attributes, Error, Projection, Result, State, Timestamp, ValueType, Version};
use serde::Serialize;

use crate::body::usual_content_type;
use crate::date::imf_fixdate;

/// Answers about changing data are never kept.
pub(crate) const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
/// Browsers do not guess what a body might be.
pub(crate) const NOSNIFF: (HeaderName, HeaderValue) = (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));

/// What a request with a raw body says of the entry.
#[derive(Default)]
pub(crate) struct WriteHeaders {
    pub(crate) expiry: Expiry,
    pub(crate) metadata: Option<String>,
    pub(crate) value_type: Option<ValueType>,
    pub(crate) content_type: Option<String>,
    pub(crate) on_conflict: Projection,
}

impl WriteHeaders {
    /// Reads them; a `Kv-` header that is not among `known` is refused, since it would be dropped silently.
    pub(crate) fn read(headers: &HeaderMap, known: &[&str]) -> Result<Self> {
        let mut this = WriteHeaders::default();
        let mut expiry = ExpiryFields::default();
        for name in headers.keys() {
            if !name.as_str().starts_with("kv-") || name == header::NAMESPACE {
                continue;
            }
            let name = name.as_str();
            if !known.contains(&name) {
                return Err(Error::InvalidArgument(format!("header {name} does not go with this request")));
            }
            let mut values = headers.get_all(name).iter();
            let text = values.next().and_then(|value| value.to_str().ok());
            let (Some(text), None) = (text, values.next()) else {
                return Err(Error::InvalidArgument(format!("header {name}: once, and in ASCII")));
            };
            match name {
                header::TTL_MS => expiry.ttl_ms = Some(milliseconds(name, text)?),
                header::EXPIRES_AT => expiry.expires_at = Some(milliseconds(name, text)?),
                header::SLIDING_MS => expiry.sliding_ms = Some(milliseconds(name, text)?),
                header::EXPIRY => expiry.expiry = Some(ExpiryWord::parse(text)?),
                header::METADATA => this.metadata = Some(text.to_owned()),
                header::VALUE_TYPE => this.value_type = Some(header::type_from_header(text)?),
                header::CONTENT_TYPE => this.content_type = Some(text.to_owned()),
                header::ON_CONFLICT => this.on_conflict = Include::parse(text)?.0,
                _ => return Err(Error::Internal(format!("header {name} is known, and not read"))),
            }
        }
        this.expiry = expiry.try_into()?;
        Ok(this)
    }
}

/// With a body that is set.
pub(crate) const SET: [&str; 8] = [
    header::TTL_MS,
    header::EXPIRES_AT,
    header::SLIDING_MS,
    header::EXPIRY,
    header::METADATA,
    header::VALUE_TYPE,
    header::CONTENT_TYPE,
    header::ON_CONFLICT,
];

/// With a body that is appended.
pub(crate) const APPEND: [&str; 5] =
    [header::TTL_MS, header::EXPIRES_AT, header::SLIDING_MS, header::EXPIRY, header::VALUE_TYPE];

/// With a delete.
pub(crate) const DELETE: [&str; 1] = [header::ON_CONFLICT];

fn milliseconds(name: &str, text: &str) -> Result<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse()
        .ok()
        .filter(|_| digits)
        .ok_or_else(|| Error::InvalidArgument(format!("header {name}: a whole number of milliseconds, 0 to 2^64-1")))
}

/// The version as an entity tag.
pub(crate) fn etag(version: &Version) -> Option<HeaderValue> {
    HeaderValue::try_from(format!("\"{version}\"")).ok()
}

fn insert(headers: &mut HeaderMap, name: &'static str, value: impl Into<HeaderValue>) {
    headers.insert(HeaderName::from_static(name), value.into());
}

/// Tells of an entry all but its value and how that is written.
pub(crate) fn describe(headers: &mut HeaderMap, version: &Version, attributes: &Attributes, now: Timestamp) {
    headers.extend([
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        // A stored page must not act as one of this service's own.
        (CONTENT_SECURITY_POLICY, HeaderValue::from_static("sandbox")),
        NOSNIFF,
        (VARY, HeaderValue::from_static("accept")),
    ]);
    if let Some(etag) = etag(version) {
        headers.insert(ETAG, etag);
    }
    if let Ok(date) = HeaderValue::try_from(imf_fixdate(attributes.updated_at)) {
        headers.insert(LAST_MODIFIED, date);
    }
    let type_name = match &attributes.value_type {
        ValueType::Text => Ok(HeaderValue::from_static("text")),
        ValueType::Bytes => Ok(HeaderValue::from_static("bytes")),
        ValueType::Json => Ok(HeaderValue::from_static("json")),
        other => HeaderValue::try_from(header::type_to_header(other)),
    };
    if let Ok(name) = type_name {
        insert(headers, header::VALUE_TYPE, name);
    }
    insert(headers, header::CREATED_AT, attributes.created_at);
    insert(headers, header::UPDATED_AT, attributes.updated_at);
    insert(headers, header::CHECKSUM, attributes.checksum);
    if let Some(content_type) = attributes.content_type.as_deref().and_then(|text| HeaderValue::try_from(text).ok()) {
        insert(headers, header::CONTENT_TYPE, content_type);
    }
    if let Some(metadata) = &attributes.metadata {
        let ascii = header::to_ascii(metadata);
        match HeaderValue::try_from(ascii) {
            Ok(ascii) if ascii.len() <= header::MAX_METADATA => insert(headers, header::METADATA, ascii),
            _ => insert(headers, header::METADATA_OMITTED, HeaderValue::from_static("true")),
        }
    }
    if let Some(at) = attributes.expires_at {
        insert(headers, header::EXPIRES_AT, at);
        insert(headers, header::TTL_MS, at.saturating_sub(now));
    }
    if let Some(span) = attributes.sliding_ms {
        insert(headers, header::SLIDING_MS, span);
    }
}

/// The content type of the value in its own form.
pub(crate) fn own_content_type(attributes: &Attributes) -> HeaderValue {
    let usual = usual_content_type(&attributes.value_type);
    attributes
        .content_type
        .as_deref()
        .and_then(|text| HeaderValue::try_from(text).ok())
        .unwrap_or(HeaderValue::from_static(usual))
}

/// Of the value in its own form, in bytes: `null` is stored as none.
pub(crate) fn own_length(state: &State) -> HeaderValue {
    HeaderValue::from(if state.attributes.value_type == ValueType::Null { 4 } else { state.attributes.size })
}

/// An answer without a body, and the new version where there is one.
pub(crate) fn done(version: Option<&Version>) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    if let Some(etag) = version.and_then(etag) {
        response.headers_mut().insert(ETAG, etag);
    }
    response
}

/// An answer in JSON.
pub(crate) fn json<T: Serialize>(answer: &T) -> Result<Response> {
    let text = wire::to_json(answer)?;
    let length = HeaderValue::from(text.len());
    let mut response = Response::new(Body::from(text));
    response.headers_mut().extend([
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (CONTENT_LENGTH, length),
        (CACHE_CONTROL, NO_STORE),
        NOSNIFF,
    ]);
    Ok(response)
}
