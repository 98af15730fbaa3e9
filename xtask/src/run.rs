//! `cargo xtask run`: from a fresh clone to a service that answers.

use std::process::Command;

use crate::Result;
use crate::cargo::{build_release, describe};

/// Builds the command and becomes `dataknobs-kv serve ARGS`.
pub(crate) fn run(args: &[String]) -> Result {
    crate::setup::setup()?;
    let [binary] = build_release([("dataknobs-kv-cli", "dataknobs-kv")])?;
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
