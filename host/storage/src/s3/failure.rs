//! What can go wrong with a request, and the core's word for it.

use std::error::Error as _;
use std::fmt::Write;

use dataknobs_kv_core::Error;

use super::xml;

/// Why a request has no good answer.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    /// It never left: no connection, no keys, no time.
    NotSent(Error),
    /// It was sent, and no answer came.
    NoAnswer(String),
    /// The store answered that it will not.
    Refused(Refusal),
}

/// An answer that says no.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    pub(super) status: u16,
    /// S3's word for it; empty where the answer has none.
    pub(super) code: String,
    message: String,
    /// The region that it should have gone to, where the store says so.
    region: Option<String>,
    /// How long to wait, in milliseconds, where the store says so.
    pub(super) wait_ms: Option<u64>,
}

/// What a refusal means for what is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// There is no such object.
    Missing,
    /// Its condition does not hold.
    Lost,
    /// The same again may succeed; it was surely not applied.
    Again,
    /// It may have been applied.
    Unclear,
    /// The same again would be refused again.
    Final,
}

impl Refusal {
    pub(super) fn new(status: u16, region: Option<String>, wait_ms: Option<u64>, body: &[u8]) -> Self {
        let told = xml::error(body).unwrap_or_default();
        Refusal { status, code: told.code, message: told.message, region: told.region.or(region), wait_ms }
    }

    pub(super) fn meaning(&self) -> Meaning {
        match (self.status, self.code.as_str()) {
            (404, "NoSuchKey" | "") => Meaning::Missing,
            (412, _) | (409, "ConditionalRequestConflict" | "OperationAborted" | "PreconditionFailed") => Meaning::Lost,
            (429, _) | (503, _) | (400, "RequestTimeout" | "SlowDown" | "Throttling" | "ThrottlingException") => {
                Meaning::Again
            }
            (507, _) | (501, _) => Meaning::Final,
            (500.., _) => Meaning::Unclear,
            _ => Meaning::Final,
        }
    }

    /// In the core's words, for something of which nothing was applied.
    fn into_error(self, bucket: &str) -> Error {
        let said = self.said();
        match (self.status, self.code.as_str()) {
            (_, "NoSuchBucket") => Error::InvalidArgument(format!("the bucket `{bucket}` does not exist")),
            (301 | 307 | 308, _)
            | (_, "AuthorizationHeaderMalformed" | "PermanentRedirect" | "IllegalLocationConstraintException") => {
                let region = self.region.map(|region| format!(", it is in `{region}`")).unwrap_or_default();
                Error::InvalidArgument(format!("the bucket `{bucket}` is not in this region{region}"))
            }
            (_, "InvalidBucketName") => Error::InvalidArgument(format!("`{bucket}` is no name of a bucket")),
            (401 | 403, _) => Error::AccessDenied(format!("the store refuses access to the bucket `{bucket}`: {said}")),
            (429, _) | (_, "SlowDown" | "Throttling" | "ThrottlingException" | "TooManyRequests") => {
                Error::RateLimited(self.wait_ms.map(Box::new))
            }
            (501 | 405, _) => Error::Unsupported(format!("the store cannot do this: {said}")),
            (413, _) | (_, "EntityTooLarge") => {
                Error::Unsupported(format!("the store takes no object so large: {said}"))
            }
            (404, _) | (412, _) | (409, _) => Error::Unavailable(format!("the store changed meanwhile: {said}")),
            (500.., _) | (408, _) | (_, "RequestTimeout" | "InvalidObjectState") => {
                Error::Unavailable(format!("the store of the bucket `{bucket}`: {said}"))
            }
            _ => Error::Internal(format!("the store of the bucket `{bucket}`: {said}")),
        }
    }

    /// What the store said; its messages name objects at most.
    pub(super) fn said(&self) -> String {
        let mut said = format!("status {}", self.status);
        if !self.code.is_empty() {
            let _ = write!(said, ", {}", self.code);
        }
        let message: String = self.message.chars().filter(|c| !c.is_control()).take(200).collect();
        if !message.is_empty() {
            let _ = write!(said, ": {message}");
        }
        said
    }
}

impl Failure {
    /// What the refusal means; an answer that did not come is unclear, and what was not sent may be sent again.
    pub(super) fn meaning(&self) -> Meaning {
        match self {
            Failure::NotSent(_) => Meaning::Final,
            Failure::NoAnswer(_) => Meaning::Unclear,
            Failure::Refused(refusal) => refusal.meaning(),
        }
    }

    /// In the core's words, for what changes nothing, or nothing that counts.
    pub(super) fn of_read(self, bucket: &str) -> Error {
        match self {
            Failure::NotSent(error) => error,
            Failure::NoAnswer(why) => Error::Unavailable(why),
            Failure::Refused(refusal) => refusal.into_error(bucket),
        }
    }

    /// In the core's words, for what changes an entry.
    pub(super) fn of_write(self, bucket: &str) -> Error {
        match self {
            Failure::NotSent(error) => error,
            Failure::NoAnswer(why) => Error::OutcomeUnknown(why),
            Failure::Refused(refusal) if refusal.meaning() == Meaning::Unclear => {
                Error::OutcomeUnknown(format!("the store of the bucket `{bucket}`: {}", refusal.said()))
            }
            Failure::Refused(refusal) => refusal.into_error(bucket),
        }
    }
}

/// A failure of the HTTP client. Its text never shows the address, which may be a signed one.
pub(super) fn of_http(error: reqwest::Error) -> Failure {
    let not_sent = error.is_connect() || error.is_builder();
    let error = error.without_url();
    let mut why = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let text = inner.to_string();
        if !why.contains(&text) {
            let _ = write!(why, ": {text}");
        }
        source = inner.source();
    }
    match not_sent {
        true => Failure::NotSent(Error::Unavailable(format!("the store cannot be reached: {why}"))),
        false => Failure::NoAnswer(format!("the store did not answer: {why}")),
    }
}

/// A failure to find keys or to sign with them.
pub(super) fn of_signing(error: reqsign_core::Error) -> Failure {
    // Its text may hold what a source of keys said; its kind is enough.
    let what = match error.kind() {
        reqsign_core::ErrorKind::RateLimited => return Failure::NotSent(Error::RateLimited(None)),
        reqsign_core::ErrorKind::CredentialInvalid => "there are no valid keys for S3",
        reqsign_core::ErrorKind::PermissionDenied => "the source of the keys for S3 refuses",
        reqsign_core::ErrorKind::ConfigInvalid => "AWS's configuration is not valid",
        _ => "no keys for S3 could be had",
    };
    Failure::NotSent(Error::AccessDenied(format!(
        "{what}: give `access_key_id` and `secret_access_key`, or AWS's environment"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, code: &str) -> Failure {
        let body = format!("<Error><Code>{code}</Code><Message>m</Message></Error>");
        Failure::Refused(Refusal::new(status, None, None, body.as_bytes()))
    }

    #[test]
    fn kinds() {
        for (status, code, read, write) in [
            (404, "NoSuchBucket", "invalid-argument", "invalid-argument"),
            (301, "PermanentRedirect", "invalid-argument", "invalid-argument"),
            (400, "AuthorizationHeaderMalformed", "invalid-argument", "invalid-argument"),
            (403, "AccessDenied", "access-denied", "access-denied"),
            (403, "SignatureDoesNotMatch", "access-denied", "access-denied"),
            (403, "InvalidAccessKeyId", "access-denied", "access-denied"),
            (403, "RequestTimeTooSkewed", "access-denied", "access-denied"),
            (503, "SlowDown", "rate-limited", "rate-limited"),
            (503, "ServiceUnavailable", "unavailable", "unavailable"),
            (500, "InternalError", "unavailable", "outcome-unknown"),
            (502, "", "unavailable", "outcome-unknown"),
            (504, "", "unavailable", "outcome-unknown"),
            (507, "InsufficientStorage", "unavailable", "unavailable"),
            (501, "NotImplemented", "unsupported", "unsupported"),
            (400, "EntityTooLarge", "unsupported", "unsupported"),
            (400, "InvalidArgument", "internal", "internal"),
        ] {
            assert_eq!(refused(status, code).of_read("b").code(), read, "{status} {code}");
            assert_eq!(refused(status, code).of_write("b").code(), write, "{status} {code}");
        }
        let lost = || Failure::NoAnswer("x".into());
        assert_eq!((lost().of_read("b").code(), lost().of_write("b").code()), ("unavailable", "outcome-unknown"));
    }

    #[test]
    fn meanings() {
        for (status, code, meaning) in [
            (404, "NoSuchKey", Meaning::Missing),
            (404, "NoSuchBucket", Meaning::Final),
            (412, "PreconditionFailed", Meaning::Lost),
            (409, "ConditionalRequestConflict", Meaning::Lost),
            (409, "BucketNotEmpty", Meaning::Final),
            (503, "SlowDown", Meaning::Again),
            (500, "InternalError", Meaning::Unclear),
            (501, "NotImplemented", Meaning::Final),
            (403, "AccessDenied", Meaning::Final),
        ] {
            assert_eq!(refused(status, code).meaning(), meaning, "{status} {code}");
        }
    }
}
