//! PostgreSQL's errors in the core's words.

use std::error::Error as _;

use dataknobs_kv_core::Error;
use tokio_postgres::error::{DbError, Severity, SqlState};

/// What became of a statement that did not succeed.
#[derive(Debug)]
pub(super) enum Failure {
    /// It was not sent, or the server refused it: nothing was applied.
    Refused {
        /// In the core's words.
        error: Error,
        /// The server's code, if the answer was the server's.
        code: Option<SqlState>,
    },
    /// The connection broke before anything was sent that could change something.
    Broken(String),
    /// It was sent, and no answer came that says what became of it.
    Lost(String),
}

impl Failure {
    pub(super) fn refused(error: Error) -> Self {
        Failure::Refused { error, code: None }
    }

    /// Of a preparation: it changes nothing.
    pub(super) fn of_preparing(error: &tokio_postgres::Error) -> Self {
        match Failure::of(error) {
            Failure::Lost(what) => Failure::Broken(what),
            other => other,
        }
    }

    /// Of a statement that was on its way.
    pub(super) fn of(error: &tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            // The server ends the session: a commit may have come first.
            Some(db) if matches!(db.parsed_severity(), Some(Severity::Fatal | Severity::Panic)) => {
                Failure::Lost(format!("the server ended the connection ({})", db.code().code()))
            }
            Some(db) => Failure::Refused { error: of_server(db), code: Some(db.code().clone()) },
            None if error.is_closed() => Failure::Lost("the connection broke".into()),
            None => match error.source() {
                Some(source) if source.is::<std::io::Error>() => {
                    Failure::Lost(format!("the connection broke: {source}"))
                }
                _ => Failure::Lost(format!("{error}")),
            },
        }
    }

    pub(super) fn code(&self) -> Option<&SqlState> {
        match self {
            Failure::Refused { code, .. } => code.as_ref(),
            Failure::Broken(_) | Failure::Lost(_) => None,
        }
    }

    /// Rivals were in each other's way, and the server ended this one: it may go again.
    pub(super) fn of_rivals(&self) -> bool {
        let code = self.code();
        code == Some(&SqlState::T_R_DEADLOCK_DETECTED) || code == Some(&SqlState::T_R_SERIALIZATION_FAILURE)
    }

    /// What this connection has prepared is of no use any more.
    pub(super) fn of_preparation(&self) -> bool {
        let code = self.code();
        code == Some(&SqlState::INVALID_SQL_STATEMENT_NAME)
            || code == Some(&SqlState::DUPLICATE_PSTATEMENT)
            || code == Some(&SqlState::FEATURE_NOT_SUPPORTED)
    }

    /// The server takes no writes: after a failover another connection may lead to one that does.
    pub(super) fn of_standby(&self) -> bool {
        self.code() == Some(&SqlState::READ_ONLY_SQL_TRANSACTION)
    }

    /// The server found something wrong with what was sent, which in a batch may be one item's fault alone.
    pub(super) fn of_data(&self) -> bool {
        self.code().is_some_and(|code| matches!(code.code().get(..2), Some("22" | "23" | "54")))
    }

    /// For what changes nothing, or did not get as far as that.
    pub(super) fn into_unapplied(self) -> Error {
        match self {
            Failure::Refused { error, .. } => error,
            Failure::Broken(what) | Failure::Lost(what) => Error::Unavailable(format!("PostgreSQL: {what}")),
        }
    }

    /// For what may have been applied.
    pub(super) fn into_error(self) -> Error {
        match self {
            Failure::Refused { error, .. } => error,
            Failure::Broken(what) => Error::Unavailable(format!("PostgreSQL: {what}")),
            Failure::Lost(what) => {
                Error::OutcomeUnknown(format!("PostgreSQL: {what}; the write may have been applied"))
            }
        }
    }
}

/// What the server answered. Its own words are told only where they cannot hold a value.
fn of_server(db: &DbError) -> Error {
    let code = db.code().code();
    let said = || format!("PostgreSQL: {} ({code})", db.message());
    let class = code.get(..2).unwrap_or_default();
    match (class, code) {
        (_, "28P01") => Error::AccessDenied("PostgreSQL refuses the password (28P01)".into()),
        ("28", _) | (_, "42501") => Error::AccessDenied(said()),
        (_, "3D000") => Error::InvalidArgument(said()),
        (_, "3F000") => Error::InvalidArgument(said()),
        (_, "25006") => Error::Unavailable(format!(
            "PostgreSQL: the server takes no writes now: a standby, or read-only by its settings ({code})"
        )),
        (_, "57014") => Error::Unavailable(format!("PostgreSQL: it took longer than the time limit ({code})")),
        ("54", _) => Error::InvalidArgument(format!("PostgreSQL: more than the server takes ({code})")),
        ("21" | "22" | "23", _) => Error::InvalidArgument(format!("PostgreSQL: the server cannot keep this ({code})")),
        ("08" | "53" | "55" | "57" | "58" | "40", _) => Error::Unavailable(said()),
        (_, "42P01" | "42703" | "42883" | "0A000") => Error::Unavailable(format!(
            "PostgreSQL: the table is gone or was altered since the store was opened ({code}); open it again"
        )),
        (_, "XX001" | "XX002") => Error::Corrupt(said()),
        _ => Error::Internal(said()),
    }
}

/// Why no connection came to be. Nothing was sent that could change anything.
pub(super) fn of_connecting(error: &tokio_postgres::Error) -> Error {
    if let Some(db) = error.as_db_error() {
        return of_server(db);
    }
    let because = match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    };
    let login = because.starts_with("authentication error") || because.contains("password missing");
    let tls = because.starts_with("error performing TLS handshake");
    match because {
        _ if login => Error::AccessDenied(format!("PostgreSQL: {because}")),
        // Who answers is not who it should be, or does not speak TLS.
        _ if tls => Error::AccessDenied(format!("PostgreSQL: {because}")),
        _ => Error::Unavailable(format!("PostgreSQL: {because}")),
    }
}
