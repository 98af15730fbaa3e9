//! What we say about ourselves: to stderr.

use std::io;

use dataknobs_kv::Error;
use tracing_subscriber::EnvFilter;

use crate::commands::serve::LogFormat;
use crate::exit::Failure;

/// The environment's name for how much is said: a level, or `target=level` pairs.
const VARIABLE: &str = "DATAKNOBS_KV_LOG";

/// Starts logging, at `level` where the environment does not say otherwise.
pub(crate) fn start(level: &str, format: LogFormat) -> Result<(), Failure> {
    let filter = match std::env::var(VARIABLE) {
        Ok(filter) => EnvFilter::try_new(filter).map_err(|error| Failure::usage(format!("{VARIABLE}: {error}")))?,
        Err(_) => EnvFilter::new(level),
    };
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    let started = match format {
        LogFormat::Text => builder.with_ansi(io::IsTerminal::is_terminal(&io::stderr())).try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    started.map_err(|error| Error::Internal(format!("logging: {error}")).into())
}
