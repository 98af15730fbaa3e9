//! `cargo xtask run`: from a fresh clone to a service that answers.

use std::process::Command;

use crate::Result;
use crate::cargo::{build_release, describe};

/// The service's own word for "no page", with which none is built either.
const NO_EXPLORER: &str = "--no-explorer";

/// Builds the command, with the explorer where npm is there to build it, and becomes `dataknobs-kv serve ARGS`.
pub(crate) fn run(args: &[String]) -> Result {
    crate::setup::setup()?;
    let wanted = !args.iter().any(|arg| arg == NO_EXPLORER);
    let features: &[&str] = if wanted && crate::web::explorer() { &["dataknobs-kv-cli/explorer"] } else { &[] };
    let [binary] = build_release([("dataknobs-kv-cli", "dataknobs-kv")], features)?;
    // A program without the explorer does not know the word.
    let args = args.iter().filter(|arg| *arg != NO_EXPLORER);
    let mut command = Command::new(&binary);
    command.arg("serve").args(args);
    eprintln!("$ {}", describe(&command));
    become_program(command)
}

/// Signals reach the service itself: nothing stands between it and the terminal.
#[cfg(unix)]
fn become_program(mut command: Command) -> Result {
    use std::os::unix::process::CommandExt;
    let error = command.exec();
    Err(format!("cannot start `{}`: {error}", describe(&command)))
}

#[cfg(not(unix))]
fn become_program(mut command: Command) -> Result {
    let status = command.status().map_err(|e| format!("cannot start `{}`: {e}", describe(&command)))?;
    if status.success() { Ok(()) } else { Err(format!("`{}` ended with {status}", describe(&command))) }
}
