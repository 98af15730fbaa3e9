//! The browser's errors in the core's words.

use dataknobs_kv_core::Error;
use js_sys::Reflect;
use wasm_bindgen::JsValue;

/// Why a transaction, or the opening of the database, came to nothing. Nothing of it was applied: a transaction that was
/// not completed was undone by the browser.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    name: String,
    message: String,
}

impl Failure {
    pub(super) fn new(name: &str, message: &str) -> Self {
        Failure { name: name.into(), message: message.into() }
    }

    /// Whether a new connection may help: the browser closed the database, for example to save memory.
    pub(super) fn connection_lost(&self) -> bool {
        matches!(self.name.as_str(), "AbortError" | "InvalidStateError" | "TransactionInactiveError" | "UnknownError")
    }

    /// The names are those of DOMException.
    pub(super) fn error(&self, database: &str) -> Error {
        let told = |what: &str| format!("database {database:?}: {what} ({}: {})", self.name, self.message);
        match self.name.as_str() {
            "QuotaExceededError" => Error::Unavailable(told("the browser gives this site no more space")),
            "VersionError" => Error::Unsupported(told("a newer version of this package has changed it")),
            "NotSupportedError" => Error::Unsupported(told("no storage here")),
            "SecurityError" => Error::AccessDenied(told("the browser does not let this page store anything")),
            "InvalidArgument" => Error::InvalidArgument(self.message.clone()),
            "Internal" => Error::Internal(self.message.clone()),
            _ => Error::Unavailable(told("the browser gave up")),
        }
    }
}

/// Anything that was thrown.
impl From<JsValue> for Failure {
    fn from(thrown: JsValue) -> Self {
        let text = |name: &str| Reflect::get(&thrown, &name.into()).ok().and_then(|text| text.as_string());
        Failure {
            name: text("name").unwrap_or_else(|| "Error".into()),
            message: text("message").unwrap_or_else(|| "no more was told".into()),
        }
    }
}
