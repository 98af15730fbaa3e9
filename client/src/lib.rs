//! The HTTP client of the dataknobs-kv service: a [`Store`](dataknobs_kv_core::Store) at the other end of a connection.
//!
//! ```no_run
//! use dataknobs_kv_client::{HttpOptions, HttpStore};
//! use dataknobs_kv_core::{Result, Store};
//!
//! # async fn example() -> Result<()> {
//! let store = HttpStore::connect("http://127.0.0.1:8700", HttpOptions::default())?;
//! let state = store.get("default", "app.title").await?;
//! # Ok(()) }
//! ```
//!
//! Every function gives what the same function gives on the server, with these additions:
//!
//! * `unavailable`: the service could not be reached, or a read was cut off; nothing was applied
//! * `outcome-unknown`: a write was sent and no answer came
//!
//! Nothing is repeated but reads, once, when their connection broke. No runtime of its own: it runs wherever reqwest
//! does, in browsers too. These do not tell a connection that was refused from one that broke: there a write to a service that
//! did not answer last is preceded by a question, so that it is `unavailable` where nobody is. A request as a whole (and so a transaction or a compare-and-swap) may be as long as the service
//! takes, 32 MiB if nothing else is set; batches are split.

mod entry;
mod store;
mod transport;

pub use transport::{HttpOptions, HttpStore};
