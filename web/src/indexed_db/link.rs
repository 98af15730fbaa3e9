//! The connection: opened when it is needed, and again after the browser or another tab made us let go of it. Or memory,
//! which needs none.

use std::cell::RefCell;
use std::rc::Rc;

use dataknobs_kv_core::{Error, Result};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::Closure;
use wasm_bindgen_futures::JsFuture;

use super::config::IndexedDbConfig;
use super::failure::Failure;
use super::shim::{Memory, Transaction, begin, close_database, new_memory, open_database};

/// An open database, and what the browser calls when it is gone.
struct Open {
    database: JsValue,
    _on_gone: Closure<dyn FnMut()>,
}

pub(super) struct Link {
    pub(super) config: IndexedDbConfig,
    open: Rc<RefCell<Option<Open>>>,
    /// Set by `close`, for good.
    closed: RefCell<bool>,
    /// In the place of a database.
    memory: Option<Memory>,
}

impl Link {
    pub(super) fn new(config: IndexedDbConfig) -> Self {
        Self::over(config, None)
    }

    fn over(config: IndexedDbConfig, memory: Option<Memory>) -> Self {
        Link { config, open: Rc::default(), closed: RefCell::new(false), memory }
    }

    pub(super) fn in_memory() -> Self {
        Self::over(IndexedDbConfig::new("in memory"), Some(new_memory()))
    }

    pub(super) fn is_memory(&self) -> bool {
        self.memory.is_some()
    }

    fn still_open(&self) -> Result<(), Failure> {
        match *self.closed.borrow() {
            true => Err(Failure::new("InvalidArgument", "the store is closed")),
            false => Ok(()),
        }
    }

    /// The database, if it is open.
    fn current(&self) -> Option<JsValue> {
        self.open.borrow().as_ref().map(|open| open.database.clone())
    }

    /// The database, opened if it is not.
    async fn database(&self) -> Result<JsValue, Failure> {
        self.still_open()?;
        if let Some(database) = self.current() {
            return Ok(database);
        }
        let open = self.open.clone();
        let on_gone = Closure::new(move || {
            // Nothing of it is used further. It drops the function that is running, which must outlive the call.
            let gone = open.borrow_mut().take();
            if let Some(gone) = gone {
                wasm_bindgen_futures::spawn_local(async move { drop(gone) });
            }
        });
        let opening = open_database(&self.config.name, self.config.timeout_ms, on_gone.as_ref());
        let database = JsFuture::from(opening).await?;
        // Another call may have opened it meanwhile: one connection is enough.
        if let Some(other) = self.current() {
            close_database(&database);
            return Ok(other);
        }
        self.still_open().inspect_err(|_| close_database(&database))?;
        *self.open.borrow_mut() = Some(Open { database: database.clone(), _on_gone: on_gone });
        Ok(database)
    }

    /// A transaction, begun before this returns where the database is open. What was lost is opened once more.
    pub(super) async fn begin(&self, writing: bool) -> Result<Transaction, Failure> {
        if let Some(memory) = &self.memory {
            self.still_open()?;
            return Ok(memory.begin_in(writing));
        }
        let begin = |database: &JsValue| {
            let durability = self.config.durability.as_str();
            begin(database, writing, durability, self.config.timeout_ms).map_err(Failure::from)
        };
        match begin(&self.database().await?) {
            Err(failure) if failure.connection_lost() => {
                self.forget();
                begin(&self.database().await?)
            }
            // A database of this name that somebody else made.
            Err(failure) => Err(failure),
            Ok(transaction) => Ok(transaction),
        }
    }

    /// Opens the database, if it is not open.
    pub(super) async fn open(&self) -> Result<()> {
        self.database().await.map(drop).map_err(|failure| self.error(&failure))
    }

    /// Lets go of the connection; the next call opens another.
    pub(super) fn forget(&self) {
        if let Some(open) = self.open.borrow_mut().take() {
            close_database(&open.database);
        }
    }

    /// Lets go of the connection. Transactions that have begun are completed.
    pub(super) fn close(&self) {
        *self.closed.borrow_mut() = true;
        self.forget();
    }

    pub(super) fn error(&self, failure: &Failure) -> Error {
        failure.error(&self.config.name)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.forget();
    }
}
