//! Errors as JSON, and what they are called elsewhere.

use serde::{Deserialize, Serialize};

use super::Entry;
use crate::Error;

/// The code of an answer that there is no such entry: no error in Rust, 404 over HTTP.
pub const ABSENT: &str = "absent";

/// The code of a lost race: no error in Rust, 412 over HTTP.
pub const CONFLICT: &str = "conflict";

/// An error as the command line prints it, and as batches carry it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorInfo {
    /// [`Error::code`].
    pub code: String,
    /// [`Error::message`].
    pub message: String,
    /// What is too large.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub what: Option<String>,
    /// The most there may be of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// What there was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actual: Option<u64>,
    /// When to try again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

impl From<&Error> for ErrorInfo {
    fn from(error: &Error) -> Self {
        let mut info = ErrorInfo { code: error.code().into(), message: error.message(), ..ErrorInfo::default() };
        match error {
            Error::TooLarge(exceeded) => {
                info.what = Some(exceeded.what.clone());
                info.limit = Some(exceeded.limit);
                info.actual = Some(exceeded.actual);
            }
            Error::RateLimited(wait) => info.retry_after_ms = wait.as_deref().copied(),
            _ => {}
        }
        info
    }
}

impl ErrorInfo {
    /// The error; a code that this version does not know becomes `internal`.
    pub fn into_error(self) -> Error {
        let ErrorInfo { code, message, what, limit, actual, retry_after_ms } = self;
        match code.as_str() {
            "invalid-argument" => Error::InvalidArgument(message),
            "too-large" => Error::too_large(
                what.unwrap_or_else(|| "request".into()),
                limit.unwrap_or_default(),
                actual.unwrap_or_default(),
            ),
            "type-mismatch" => Error::TypeMismatch(message),
            "overflow" => Error::Overflow(message),
            "unsupported" => Error::Unsupported(message),
            "access-denied" => Error::AccessDenied(message),
            "rate-limited" => Error::RateLimited(retry_after_ms.map(Box::new)),
            "unavailable" => Error::Unavailable(message),
            "outcome-unknown" => Error::OutcomeUnknown(message),
            "corrupt" => Error::Corrupt(message),
            "internal" => Error::Internal(message),
            other => Error::Internal(format!("{other}: {message}")),
        }
    }
}

/// An error as HTTP carries it: `application/problem+json` (RFC 9457).
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct Problem {
    /// `about:blank`: the status says what it is in general, `code` in particular.
    #[serde(rename = "type", default)]
    pub about: String,
    /// The status in words.
    #[serde(default)]
    pub title: String,
    /// The HTTP status.
    #[serde(default)]
    pub status: u16,
    /// [`Error::code`], [`ABSENT`], [`CONFLICT`], or what only HTTP has: `not-found`, `method-not-allowed`.
    pub code: String,
    /// [`Error::message`].
    #[serde(default)]
    pub detail: String,
    /// What is too large.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub what: Option<String>,
    /// The most there may be of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u64>,
    /// What there was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actual: Option<u64>,
    /// When to try again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// After a lost race, where asked for: what is there instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<Entry>,
}

impl From<&Error> for Problem {
    /// Without `title`.
    fn from(error: &Error) -> Self {
        let ErrorInfo { code, message, what, limit, actual, retry_after_ms } = error.into();
        Problem {
            about: "about:blank".into(),
            title: String::new(),
            status: http_status(error),
            code,
            detail: message,
            what,
            limit,
            actual,
            retry_after_ms,
            current: None,
        }
    }
}

impl Problem {
    /// As [`ErrorInfo::into_error`].
    pub fn into_error(self) -> Error {
        let Problem { code, detail, what, limit, actual, retry_after_ms, .. } = self;
        ErrorInfo { code, message: detail, what, limit, actual, retry_after_ms }.into_error()
    }
}

/// The HTTP status of an error.
pub fn http_status(error: &Error) -> u16 {
    match error {
        Error::InvalidArgument(_) => 400,
        Error::TooLarge(_) => 413,
        Error::TypeMismatch(_) | Error::Overflow(_) => 409,
        Error::Unsupported(_) => 501,
        Error::AccessDenied(_) => 403,
        Error::RateLimited(_) => 429,
        Error::Unavailable(_) => 503,
        Error::OutcomeUnknown(_) => 504,
        Error::Corrupt(_) | Error::Internal(_) => 500,
    }
}

/// The command line's exit code for an error. 0 is success, 1 an answer of absent or false, 3 a lost race.
pub fn exit_code(error: &Error) -> u8 {
    match error {
        Error::InvalidArgument(_) => 2,
        Error::TypeMismatch(_) | Error::Overflow(_) => 4,
        Error::TooLarge(_) => 5,
        Error::Unsupported(_) => 6,
        Error::AccessDenied(_) => 7,
        Error::Unavailable(_) | Error::RateLimited(_) => 8,
        Error::OutcomeUnknown(_) => 9,
        Error::Corrupt(_) => 10,
        Error::Internal(_) => 11,
    }
}
