//! TLS of the drivers that take the process's own implementation.

/// Installs ring's. One that the host program, or another adapter, installed before serves as well.
pub(crate) fn install() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}
