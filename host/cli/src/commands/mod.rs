//! The commands: each has its options and what it does.

pub(crate) mod append;
pub(crate) mod capabilities;
pub(crate) mod cas;
pub(crate) mod cleanup;
pub(crate) mod completions;
pub(crate) mod count;
pub(crate) mod delete;
pub(crate) mod doctor;
pub(crate) mod exists;
pub(crate) mod export;
pub(crate) mod get;
pub(crate) mod import;
pub(crate) mod incr;
pub(crate) mod keys;
pub(crate) mod meta;
pub(crate) mod migrate;
pub(crate) mod namespaces;
pub(crate) mod progress;
pub(crate) mod serve;
pub(crate) mod set;
pub(crate) mod touch;
pub(crate) mod transact;
pub(crate) mod tree;

use dataknobs_kv::{KvStore, State};
use dataknobs_kv_core::wire::{self, Entry};

use crate::args::{Cli, Command};
use crate::exit::{self, Failure, Outcome};
use crate::output::Output;
use crate::{logging, open};

/// What a command works with.
pub(crate) struct Context {
    pub(crate) store: KvStore,
    pub(crate) json: bool,
}

pub(crate) async fn run(cli: Cli) -> Outcome {
    let Cli { global, command } = cli;
    // These open no store, or in another way.
    let command = match command {
        Command::Serve(serve) => return serve.run(&global).await,
        Command::Completions(completions) => return completions.run(),
        Command::Migrate(migrate) => return migrate.run(&global).await,
        Command::Doctor => return doctor::run(&global).await,
        command => command,
    };
    logging::start("warn", serve::LogFormat::Text)?;
    let context = Context { store: open::store(&global).await?, json: global.json };
    match command {
        Command::Serve(_) | Command::Completions(_) | Command::Migrate(_) | Command::Doctor => Ok(exit::OK),
        Command::Set(command) => command.run(&context).await,
        Command::Get(command) => command.run(&context).await,
        Command::Delete(command) => command.run(&context).await,
        Command::Exists(command) => command.run(&context).await,
        Command::Keys(command) => command.run(&context).await,
        Command::Tree(command) => command.run(&context).await,
        Command::Count(command) => command.run(&context).await,
        Command::Meta(command) => command.run(&context).await,
        Command::Ttl(command) => command.run(&context).await,
        Command::Touch(command) => command.run(&context).await,
        Command::Persist(command) => command.run(&context).await,
        Command::Incr(command) => command.run(&context).await,
        Command::Append(command) => command.run(&context).await,
        Command::Cas(command) => command.run(&context).await,
        Command::Transact(command) => command.run(&context).await,
        Command::Namespaces(command) => command.run(&context).await,
        Command::Cleanup(command) => command.run(&context).await,
        Command::Import(command) => command.run(&context).await,
        Command::Export(command) => command.run(&context).await,
        Command::Capabilities => capabilities::run(&context).await,
    }
}

/// There is no such entry.
pub(crate) fn absent(key: &str) -> Failure {
    Failure::Code(exit::ABSENT, format!("there is no entry {key:?}"))
}

/// A precondition did not hold. With `--json` the entry in the way goes to stdout.
pub(crate) fn conflict(context: &Context, key: &str, current: Option<State>) -> Failure {
    if context.json
        && let Err(failure) = print_current(key, current)
    {
        return failure;
    }
    Failure::Code(exit::CONFLICT, format!("the entry {key:?} is not as expected"))
}

fn print_current(key: &str, current: Option<State>) -> Result<(), Failure> {
    #[derive(serde::Serialize)]
    struct Conflict {
        current: Option<Entry>,
    }
    let current = current.map(|state| Entry::new(key, Some(state))).transpose()?;
    let mut out = Output::new();
    out.json(&Conflict { current })?;
    out.finish()
}

/// With `--json`: `{"version": …}`; otherwise nothing.
pub(crate) fn print_version(context: &Context, version: dataknobs_kv::Version) -> Result<(), Failure> {
    if context.json {
        let mut out = Output::new();
        out.json(&wire::Changed { version: version.into_string() })?;
        out.finish()?;
    }
    Ok(())
}
