//! What can go wrong: one list for the WIT, Rust, HTTP, the command line and JavaScript.

use std::fmt;

use crate::text::decimal;

/// The result of anything that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A limit, and what was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LimitExceeded {
    /// For example `value`, `metadata`, `request`.
    pub what: String,
    /// The most there may be.
    pub limit: u64,
    /// What there was.
    pub actual: u64,
}

/// What can go wrong. Absence and lost races are results, not errors.
///
/// Messages name the key and the rule, never a value or a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The key, pattern, cursor, ttl or option named in the message breaks a rule.
    InvalidArgument(String),
    /// More than the store takes. Boxed: every result is as large as its largest error.
    TooLarge(Box<LimitExceeded>),
    /// For example an increment of a text.
    TypeMismatch(String),
    /// A counter would leave its range.
    Overflow(String),
    /// This store cannot keep that promise, and so does not take the request.
    Unsupported(String),
    /// The backend or the service refuses the caller.
    AccessDenied(String),
    /// Too much at once, or too many rivals for one key; milliseconds to wait, where known. Nothing was applied. Boxed: see
    /// above.
    RateLimited(Option<Box<u64>>),
    /// Not reachable or not ready. Nothing was applied.
    Unavailable(String),
    /// The request was sent and no answer came: it may have been applied.
    OutcomeUnknown(String),
    /// What was read is not what was written.
    Corrupt(String),
    /// A defect of ours.
    Internal(String),
}

impl Error {
    /// The kind's name, the same in every language and protocol.
    pub fn code(&self) -> &'static str {
        match self {
            Error::InvalidArgument(_) => "invalid-argument",
            Error::TooLarge(_) => "too-large",
            Error::TypeMismatch(_) => "type-mismatch",
            Error::Overflow(_) => "overflow",
            Error::Unsupported(_) => "unsupported",
            Error::AccessDenied(_) => "access-denied",
            Error::RateLimited(_) => "rate-limited",
            Error::Unavailable(_) => "unavailable",
            Error::OutcomeUnknown(_) => "outcome-unknown",
            Error::Corrupt(_) => "corrupt",
            Error::Internal(_) => "internal",
        }
    }

    /// `invalid-argument`, its message put together of these: formatting is large in WebAssembly.
    pub(crate) fn invalid(message: &[&str]) -> Self {
        Error::InvalidArgument(message.concat())
    }

    /// More of `what` than the `limit`.
    pub fn too_large(what: impl Into<String>, limit: u64, actual: u64) -> Self {
        Error::TooLarge(Box::new(LimitExceeded { what: what.into(), limit, actual }))
    }

    /// The message alone, without the kind.
    pub fn message(&self) -> String {
        match self {
            Error::InvalidArgument(m)
            | Error::TypeMismatch(m)
            | Error::Overflow(m)
            | Error::Unsupported(m)
            | Error::AccessDenied(m)
            | Error::Unavailable(m)
            | Error::OutcomeUnknown(m)
            | Error::Corrupt(m)
            | Error::Internal(m) => m.clone(),
            Error::TooLarge(l) => {
                [&l.what, ": ", &decimal(l.actual), " is over the limit of ", &decimal(l.limit)].concat()
            }
            Error::RateLimited(Some(ms)) => ["try again in ", &decimal(**ms), " ms"].concat(),
            Error::RateLimited(None) => "try again later".into(),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        [self.code(), ": ", &self.message()].iter().try_for_each(|part| f.write_str(part))
    }
}

impl std::error::Error for Error {}
