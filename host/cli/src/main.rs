//! A key-value store with patterns, metadata, expiry and compare-and-swap that behaves the same on every backend.
//!
//! * `args`: options that all commands share; `commands`: a file for each group of commands
//! * `open`: which store is meant; `value`: values from arguments, files and stdin; `output`: what goes to stdout
//! * `explorer`: the page that the service has at `/`, where it was built in
//! * `exit`: exit codes; `time`: spans and instants as text; `json`: nested JSON and dotted keys

mod args;
mod commands;
mod exit;
#[cfg(feature = "explorer")]
mod explorer;
mod json;
mod logging;
mod open;
mod output;
mod time;
mod value;

use std::process::ExitCode;

/// The service allocates many small pieces on several threads, which this allocator does at about half the price of the C
/// library's.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = match args::parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to stdout and are no failure; a closed pipe is nobody's business here.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { exit::USAGE } else { 0 });
        }
    };
    let json = cli.global.json;
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let failure = exit::Failure::from(dataknobs_kv::Error::Internal(format!("starting: {error}")));
            return failure.report(json);
        }
    };
    let outcome = runtime.block_on(commands::run(cli));
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(failure) => failure.report(json),
    }
}
