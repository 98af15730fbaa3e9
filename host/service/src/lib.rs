//! The HTTP service of dataknobs-kv, over any [`Store`](dataknobs_kv_core::Store): `docs/http.md` is its reference.
//!
//! ```no_run
//! # use std::sync::Arc;
//! # use dataknobs_kv_core::{Result, Store};
//! use dataknobs_kv_service::{Service, ServiceConfig};
//!
//! # async fn example(store: Arc<dyn Store>) -> Result<()> {
//! let service = Service::bind(store, ServiceConfig { listen: "127.0.0.1:0".into(), ..ServiceConfig::default() }).await?;
//! println!("listening on http://{}", service.address());
//! service.run(std::future::pending()).await
//! # }
//! ```
//!
//! * [`server`](Service): sockets, connections, shutdown; `app`: the routes, and what holds for all of them
//! * `entries`, `listing`, `metadata`, `atomic`, `batch`, `namespaces`, `health`, `metrics`, `page`: one file per resource
//! * `auth`, `problem`, `limits`, `body`, `headers`, `conditions`, `path`: one file per question

mod app;
mod atomic;
mod auth;
mod batch;
mod body;
mod conditions;
mod config;
mod connection;
mod date;
mod entries;
mod headers;
mod health;
mod limits;
mod listing;
mod metadata;
mod metrics;
mod namespaces;
mod page;
mod path;
mod problem;
mod server;

pub use app::router;
pub use auth::Token;
pub use config::{DEFAULT_LISTEN, Limits, ServiceConfig, SystemClock};
pub use page::Page;
pub use server::{Service, serve};
