//! Work that may block, away from the threads that poll futures.

use dataknobs_kv_core::{Error, Result};

/// Runs it on tokio's threads for blocking work, where there are such.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    match tokio::runtime::Handle::try_current() {
        Ok(handle) => match handle.spawn_blocking(work).await {
            Ok(result) => result,
            Err(error) if error.is_panic() => Err(Error::Internal("a storage task panicked".into())),
            Err(_) => Err(Error::Unavailable("the runtime is shutting down".into())),
        },
        Err(_) => work(),
    }
}
