//! What a server's answers, and the lack of one, mean in the core's words.

use dataknobs_kv_core::Error;
use serde::Deserialize;

/// Why a request did not do what it was for.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    /// It never left: nothing can have been applied.
    NotSent(String),
    /// It was sent, and no whole answer came.
    NoAnswer(String),
    /// The server answered an error.
    Refused(Refusal),
    /// Ours, in the core's words already.
    Ours(Error),
}

/// An error as the server tells it.
#[derive(Clone, Debug)]
pub(super) struct Refusal {
    status: u16,
    /// The server's name for it; empty where it told none.
    kind: String,
    /// Only read, and only shown where it can hold nothing of a document.
    reason: String,
    /// Milliseconds.
    retry_after: Option<u64>,
}

/// What a refusal means for one write.
#[derive(Debug, PartialEq)]
pub(super) enum Meaning {
    /// The document is not in the state that was demanded.
    Conflict,
    /// There is no such document.
    Missing,
    /// The index, or its alias, is gone.
    IndexGone,
    /// The request was larger than the server takes.
    TooLarge,
    /// Surely nothing was applied.
    NotApplied(Error),
    /// It may have been applied.
    Unknown(String),
}

#[derive(Deserialize)]
struct Body {
    error: Option<Told>,
    /// Of a read.
    found: Option<bool>,
    /// Of a delete.
    result: Option<String>,
}

/// Our word for an answer that there is no such document, which is no error of the server's.
const NOT_FOUND: &str = "not_found";

/// Mostly an object, now and then a text.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Told {
    Object {
        #[serde(default, rename = "type")]
        kind: String,
        #[serde(default)]
        reason: Option<String>,
    },
    Text(String),
}

impl Refusal {
    /// From a whole answer.
    pub(super) fn new(status: u16, body: &[u8], retry_after: Option<u64>) -> Self {
        let Ok(body) = serde_json::from_slice::<Body>(body) else {
            return Refusal { status, kind: String::new(), reason: String::new(), retry_after };
        };
        let mut refusal = Refusal { retry_after, ..Refusal::told(status, body.error) };
        if body.found == Some(false) || body.result.as_deref() == Some(NOT_FOUND) {
            refusal.kind = NOT_FOUND.into();
        }
        refusal
    }

    /// From an item of a bulk answer, which has said by its result that nothing was found.
    pub(super) fn not_found() -> Self {
        Refusal { status: 404, kind: NOT_FOUND.into(), reason: String::new(), retry_after: None }
    }

    /// From an item of a bulk answer.
    pub(super) fn told(status: u16, told: Option<Told>) -> Self {
        let (kind, reason) = match told {
            Some(Told::Object { kind, reason }) => (kind, reason.unwrap_or_default()),
            Some(Told::Text(reason)) => (String::new(), reason),
            None => Default::default(),
        };
        Refusal { status, kind, reason, retry_after: None }
    }

    /// An item of a multiple read has no status of its own.
    pub(super) fn gone_if_told(mut self) -> Self {
        if self.kind == "index_not_found_exception" {
            self.status = 404;
        }
        self
    }

    pub(super) fn is_index_gone(&self) -> bool {
        self.status == 404 && self.kind == "index_not_found_exception"
    }

    pub(super) fn is_too_large(&self) -> bool {
        self.status == 413
    }

    /// An opener came second.
    pub(super) fn is_already_there(&self) -> bool {
        self.kind == "resource_already_exists_exception"
    }

    /// What it means for a write.
    pub(super) fn meaning(&self) -> Meaning {
        let blocked = self.kind == "cluster_block_exception";
        match self.status {
            409 => Meaning::Conflict,
            413 => Meaning::TooLarge,
            404 if self.kind == "index_not_found_exception" => Meaning::IndexGone,
            404 if matches!(self.kind.as_str(), NOT_FOUND | "document_missing_exception") => Meaning::Missing,
            // The disk is nearly full, and the server has made its indices read-only.
            403 | 429 if blocked && self.reason.contains("/12/") => {
                Meaning::NotApplied(Error::Unavailable(format!("the server's disk is full: {}", self.reason)))
            }
            401 | 403 => Meaning::NotApplied(Error::AccessDenied(self.text())),
            429 => Meaning::NotApplied(Error::RateLimited(self.retry_after.map(Box::new))),
            503 if self.says_not_ready() => Meaning::NotApplied(Error::Unavailable(self.text())),
            400 if self.kind == "index_closed_exception" => {
                Meaning::NotApplied(Error::Unavailable("the index is closed".into()))
            }
            400..=499 if self.status != 408 => Meaning::NotApplied(Error::Internal(self.text())),
            _ => Meaning::Unknown(self.text()),
        }
    }

    /// A shard or a master is not there, and so nothing began.
    fn says_not_ready(&self) -> bool {
        matches!(
            self.kind.as_str(),
            "unavailable_shards_exception"
                | "cluster_block_exception"
                | "no_shard_available_action_exception"
                | "master_not_discovered_exception"
                | "cluster_manager_not_discovered_exception"
                | "process_cluster_event_timeout_exception"
                | "search_phase_execution_exception"
        )
    }

    /// The server's word for it, and its reason where that names indices, shards or users, and nothing of a document.
    fn text(&self) -> String {
        let shown = self.says_not_ready() || matches!(self.status, 401 | 403);
        match (self.kind.as_str(), self.reason.as_str()) {
            ("", _) => format!("the server answered {}", self.status),
            (kind, reason) if shown && !reason.is_empty() => format!("{kind}: {reason}"),
            (kind, _) => format!("the server answered {} {kind}", self.status),
        }
    }
}

impl Failure {
    /// There is no such document.
    pub(super) fn is_missing(&self) -> bool {
        matches!(self, Failure::Refused(refusal) if refusal.meaning() == Meaning::Missing)
    }

    pub(super) fn is_index_gone(&self) -> bool {
        matches!(self, Failure::Refused(refusal) if refusal.is_index_gone())
    }

    /// In the core's words, for what changes nothing.
    pub(super) fn into_error(self) -> Error {
        match self {
            Failure::NotSent(why) | Failure::NoAnswer(why) => Error::Unavailable(why),
            Failure::Ours(error) => error,
            Failure::Refused(refusal) => match refusal.meaning() {
                Meaning::NotApplied(error) => error,
                Meaning::Unknown(why) => Error::Unavailable(why),
                Meaning::IndexGone => Error::Unavailable("the index is gone".into()),
                Meaning::Conflict | Meaning::Missing | Meaning::TooLarge => Error::Internal(refusal.text()),
            },
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Ours(error)
    }
}

/// An answer that is not what was to be expected: another kind of server, or a program in between.
pub(super) fn unreadable() -> Failure {
    Failure::NoAnswer("the server's answer is not one of Elasticsearch's or OpenSearch's".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(status: u16, kind: &str, reason: &str) -> String {
        let told = Told::Object { kind: kind.into(), reason: Some(reason.into()) };
        match Refusal::told(status, Some(told)).meaning() {
            Meaning::NotApplied(error) => error.code().to_owned(),
            Meaning::Unknown(_) => "outcome-unknown".into(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn each_answer_has_its_kind() {
        for (status, kind, reason, expected) in [
            (409, "version_conflict_engine_exception", "", "Conflict"),
            (404, "document_missing_exception", "", "Missing"),
            (404, "index_not_found_exception", "", "IndexGone"),
            (413, "", "", "TooLarge"),
            (401, "security_exception", "missing credentials", "access-denied"),
            (403, "security_exception", "unauthorized", "access-denied"),
            (403, "cluster_block_exception", "blocked by: [FORBIDDEN/8/index write (api)];", "access-denied"),
            (429, "cluster_block_exception", "[TOO_MANY_REQUESTS/12/disk usage exceeded]", "unavailable"),
            (403, "cluster_block_exception", "[FORBIDDEN/12/index read-only / allow delete (api)]", "unavailable"),
            (429, "es_rejected_execution_exception", "", "rate-limited"),
            (429, "circuit_breaking_exception", "", "rate-limited"),
            (503, "unavailable_shards_exception", "", "unavailable"),
            (503, "cluster_block_exception", "state not recovered", "unavailable"),
            (503, "", "", "outcome-unknown"),
            (502, "", "", "outcome-unknown"),
            (500, "illegal_state_exception", "", "outcome-unknown"),
            (400, "index_closed_exception", "", "unavailable"),
            (400, "mapper_parsing_exception", "Preview of field's value: 'hunter2'", "internal"),
        ] {
            assert_eq!(code(status, kind, reason), expected, "{status} {kind}");
        }
    }

    /// A reason may quote a document.
    #[test]
    fn reasons_of_documents_are_not_shown() {
        let body = br#"{"error":{"type":"mapper_parsing_exception","reason":"value: 'hunter2'"},"status":400}"#;
        let error = Failure::Refused(Refusal::new(400, body, None)).into_error();
        assert!(error.to_string().contains("mapper_parsing_exception") && !error.to_string().contains("hunter2"));
    }
}
