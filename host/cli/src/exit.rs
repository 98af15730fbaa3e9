//! Exit codes, and how failures are told.

use std::io::{self, Write};
use std::process::ExitCode;

use dataknobs_kv::Error;
use dataknobs_kv_core::wire::{self, ErrorInfo};

/// Done.
pub(crate) const OK: u8 = 0;
/// The answer is: absent, or no.
pub(crate) const ABSENT: u8 = 1;
/// The command line makes no sense; also `invalid-argument`.
pub(crate) const USAGE: u8 = 2;
/// A precondition did not hold.
pub(crate) const CONFLICT: u8 = 3;
/// Told to stop by a signal, it stopped in good order.
pub(crate) const INTERRUPTED: u8 = 130;

/// Why a command ended early.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The store's, or ours, in its words.
    Error(Error),
    /// Whoever read our output has gone.
    ClosedPipe,
    /// Reading a file that was named failed: which, and why.
    Io(String, io::Error),
    /// Another exit code, with what is to be said.
    Code(u8, String),
}

impl Failure {
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Failure::Error(Error::InvalidArgument(message.into()))
    }

    /// Tells stderr what went wrong, and the exit code.
    pub(crate) fn report(&self, json: bool) -> ExitCode {
        let (code, info) = match self {
            Failure::ClosedPipe => return ExitCode::from(OK),
            Failure::Error(error) => (wire::exit_code(error), ErrorInfo::from(error)),
            Failure::Io(place, error) => {
                let error = Error::InvalidArgument(format!("{place}: {error}"));
                (USAGE, ErrorInfo::from(&error))
            }
            Failure::Code(code, message) => {
                let kind = if *code == CONFLICT { wire::CONFLICT } else { wire::ABSENT };
                (*code, ErrorInfo { code: kind.into(), message: message.clone(), ..ErrorInfo::default() })
            }
        };
        let mut err = io::stderr().lock();
        // Nobody can be told that stderr is closed.
        let _ = match wire::to_json(&info) {
            Ok(line) if json => writeln!(err, "{line}"),
            _ => writeln!(err, "dataknobs-kv: {}: {}", info.code, info.message),
        };
        ExitCode::from(code)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Error(error)
    }
}

/// Errors while writing what the command gives out.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::ClosedPipe,
            _ => Failure::Error(Error::Unavailable(format!("writing the output: {error}"))),
        }
    }
}

/// What a command ends with: its exit code.
pub(crate) type Outcome = Result<u8, Failure>;
