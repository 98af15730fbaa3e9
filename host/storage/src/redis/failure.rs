//! Redis' errors in the core's words.

use std::time::Duration;

use dataknobs_kv_core::Error;
use redis::{ErrorKind, RedisError};

/// What went wrong with a request, by what is known of its fate.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    /// It was not sent.
    NotSent(Error),
    /// It was sent, and no answer came: why.
    Lost {
        why: String,
        /// Whether the time is up; else the connection broke.
        late: bool,
    },
    /// The server refused it, and did nothing.
    Refused(RedisError),
}

impl Failure {
    /// For a request that changes nothing.
    pub(super) fn of_read(self) -> Error {
        match self {
            Failure::NotSent(error) => error,
            Failure::Lost { why, .. } => Error::Unavailable(why),
            Failure::Refused(error) => refusal(&error),
        }
    }

    /// For a request that may have changed something.
    pub(super) fn of_write(self) -> Error {
        match self {
            Failure::Lost { why, .. } => Error::OutcomeUnknown(why),
            other => other.of_read(),
        }
    }

    /// Whether the server refused it with this code.
    pub(super) fn is(&self, code: &str) -> bool {
        matches!(self, Failure::Refused(error) if error.code() == Some(code))
    }
}

/// What a server's refusal means. It is sure that nothing was applied.
pub(super) fn refusal(error: &RedisError) -> Error {
    refused(error.code().unwrap_or_default(), error.detail().unwrap_or_default())
}

/// The same, by the server's code and what it says with it.
pub(super) fn refused(code: &str, detail: &str) -> Error {
    // Of a command that it does not know the server repeats the arguments, and values are among them.
    let detail = detail.split(", with args").next().unwrap_or_default();
    let said = format!("{code} {detail}");
    let said = said.trim();
    match code {
        "NOAUTH" | "WRONGPASS" | "NOPERM" | "DENIED" => {
            Error::AccessDenied(format!("the Redis server refuses: {said}"))
        }
        "ERR" if ["AUTH", "invalid password", "can't run this command"].iter().any(|known| detail.contains(known)) => {
            Error::AccessDenied(format!("the Redis server refuses: {said}"))
        }
        "OOM" => Error::Unavailable(format!("the Redis server has reached its `maxmemory`: {said}")),
        "READONLY" => Error::Unavailable(format!("the Redis server is a replica that takes no writes: {said}")),
        "LOADING" => Error::Unavailable(format!("the Redis server is still loading its data: {said}")),
        "CLUSTERDOWN" => Error::Unavailable(format!("the Redis cluster does not serve this part of the keys: {said}")),
        "MISCONF" | "NOREPLICAS" | "MASTERDOWN" | "TRYAGAIN" | "BUSY" | "MOVED" | "ASK" => {
            Error::Unavailable(format!("the Redis server takes no such request now: {said}"))
        }
        "ERR" if detail.starts_with("max number of clients") => {
            Error::Unavailable(format!("the Redis server has too many clients: {said}"))
        }
        "ERR" if detail.starts_with("DB index") || detail.contains("SELECT is not allowed") => {
            Error::InvalidArgument(format!("`db`: the Redis server has no such database: {said}"))
        }
        "WRONGTYPE" => Error::Corrupt(format!("something else lies where the store keeps its data: {said}")),
        _ => Error::Internal(format!("the Redis server refuses: {said}")),
    }
}

/// What kept a connection from being made.
pub(super) fn connecting(name: &str, error: &RedisError) -> Error {
    match error.kind() {
        ErrorKind::Server(_) | ErrorKind::Extension => match refusal(error) {
            Error::Internal(why) => Error::Unavailable(format!("{name}: {why}")),
            other => other,
        },
        ErrorKind::AuthenticationFailed => {
            Error::AccessDenied(format!("{name}: the Redis server refuses user and password"))
        }
        ErrorKind::RESP3NotSupported => Error::Unsupported(format!("{name}: Redis 7.0 or newer is needed")),
        _ => Error::Unavailable(format!("{name}: no connection: {error}")),
    }
}

pub(super) fn too_late(name: &str, timeout: Duration) -> String {
    format!("{name}: no answer within {} s", timeout.as_secs_f64())
}
