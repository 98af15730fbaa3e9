//! The operations over the reference storage, and over storages that answer as awkwardly as they may.

mod atomic;
mod batches;
mod children;
mod expiry;
mod listing;
mod memory;
mod support;
mod transactions;
