//! The command line: what all commands share, and the list of commands.

use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use dataknobs_kv::{Expiry, Timestamp};

use crate::commands::{
    append, cas, cleanup, completions, count, delete, exists, export, get, import, incr, keys, meta, migrate,
    namespaces, serve, set, touch, transact, tree,
};
use crate::time;

/// A key-value store with patterns, metadata, expiry and compare-and-swap that behaves the same on every backend
#[derive(Parser)]
#[command(
    name = "dataknobs-kv",
    version,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true
)]
#[command(
    after_help = "Exit codes: 0 done; 1 absent, or no; 2 wrong usage; 3 lost race; 4 type mismatch or overflow; \
    5 too large; 6 unsupported; 7 access denied; 8 unavailable or rate limited; 9 outcome unknown; 10 corrupt; 11 internal; 130 interrupted"
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The command line and the environment. A store or a configuration named on the command line goes before the other one
/// where that comes from the environment.
pub(crate) fn parse() -> Result<Cli, clap::Error> {
    let matches = Cli::command().try_get_matches()?;
    let mut cli = Cli::from_arg_matches(&matches)?;
    let given = |option: &str| matches.value_source(option) == Some(ValueSource::CommandLine);
    if cli.global.store.is_some() && cli.global.config.is_some() {
        match (given("store"), given("config")) {
            (true, false) => cli.global.config = None,
            (false, true) => cli.global.store = None,
            _ => {
                let text = "--store and --config (or their environment variables): one of them is enough";
                return Err(Cli::command().error(ErrorKind::ArgumentConflict, text));
            }
        }
    }
    if let Command::Migrate(_) = cli.command {
        if given("store") || given("config") {
            let text = "migrate takes its two stores as arguments, not from --store or --config";
            return Err(Cli::command().error(ErrorKind::ArgumentConflict, text));
        }
        // The environment says where other commands work; a migration takes all namespaces unless it is told.
        if !given("namespace") {
            cli.global.namespace.clear();
        }
    } else if cli.global.namespace.len() > 1 {
        let text = "--namespace: only migrate takes several";
        return Err(Cli::command().error(ErrorKind::ArgumentConflict, text));
    }
    Ok(cli)
}

/// Options of every command
#[derive(Args)]
#[command(next_help_heading = "Common options")]
pub(crate) struct Global {
    /// Where the data are: file:PATH.redb, file:PATH.json, memory:, or http://HOST:PORT of a running service
    ///
    /// Without it: a file in the user's data folder.
    #[arg(long, short, global = true, value_name = "URL", env = "DATAKNOBS_KV_STORE", hide_env_values = true)]
    pub(crate) store: Option<String>,
    /// Which namespace; `default` unless told. With migrate it may come several times, and without it all are meant
    #[arg(long, short, global = true, value_name = "NAME", env = "DATAKNOBS_KV_NAMESPACE")]
    pub(crate) namespace: Vec<String>,
    /// A TOML or JSON file that says what the store is opened with
    #[arg(long, global = true, value_name = "FILE", env = "DATAKNOBS_KV_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Answers, and errors, as JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// A file that holds the service's token (or the environment's DATAKNOBS_KV_TOKEN holds it)
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// Takes the time from a file of milliseconds: for tests
    #[arg(long, global = true, hide = true, value_name = "FILE", env = "DATAKNOBS_KV_CLOCK_FILE")]
    pub(crate) clock_file: Option<PathBuf>,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Runs the HTTP service
    Serve(serve::Serve),
    /// Sets a value
    Set(set::Set),
    /// Prints a value
    Get(get::Get),
    /// Removes entries
    #[command(visible_alias = "del")]
    Delete(delete::Delete),
    /// Says whether there is an entry: exit code 0 or 1
    Exists(exists::Exists),
    /// Lists keys
    Keys(keys::Keys),
    /// Shows keys as a tree
    Tree(tree::Tree),
    /// Counts keys
    Count(count::Count),
    /// Shows or changes metadata
    #[command(subcommand)]
    Meta(meta::Meta),
    /// Says how long an entry still has, in seconds
    Ttl(touch::Ttl),
    /// Lets an entry expire
    Touch(touch::Touch),
    /// Lets an entry never expire
    Persist(touch::Persist),
    /// Adds to a counter
    #[command(visible_alias = "increment")]
    Incr(incr::Incr),
    /// Appends to a value
    Append(append::Append),
    /// Sets a value where the present one is as expected
    #[command(visible_alias = "compare-and-swap")]
    Cas(cas::Cas),
    /// Makes several changes, all or none: a JSON document from a file or stdin
    Transact(transact::Transact),
    /// Lists namespaces, or drops one
    Namespaces(namespaces::Namespaces),
    /// Removes what has expired
    Cleanup(cleanup::Cleanup),
    /// Loads entries from JSON or JSON lines
    Import(import::Import),
    /// Writes entries as JSON or JSON lines
    Export(export::Export),
    /// Copies entries from one store to another, of any kind: resumable, compared afterwards where asked
    Migrate(migrate::Migrate),
    /// Tries everything once, and says what is wrong and what to do
    Doctor,
    /// Shows what the store can do
    Capabilities,
    /// Prints a shell's completion script
    Completions(completions::Completions),
}

/// When an entry is to expire
#[derive(Args, Default)]
#[group(multiple = false)]
pub(crate) struct ExpiryArgs {
    /// Expires so long from now: seconds, or for example 90s, 1h30m, 500ms, 7d
    #[arg(long, value_name = "SPAN", value_parser = time::parse_ttl)]
    ttl: Option<Duration>,
    /// Expires at that instant: 2030-01-31T12:00:00Z, or milliseconds since 1970
    #[arg(long, value_name = "INSTANT", value_parser = time::parse_instant)]
    expires_at: Option<Timestamp>,
    /// Expires when it was not read for so long
    #[arg(long, value_name = "SPAN", value_parser = time::parse_ttl)]
    sliding: Option<Duration>,
    /// Leaves the present expiry
    #[arg(long)]
    keep_expiry: bool,
    /// Never expires, whatever the namespace's default
    #[arg(long)]
    never_expires: bool,
}

impl ExpiryArgs {
    pub(crate) fn after(span: Duration) -> Expiry {
        Expiry::After(milliseconds(span))
    }

    pub(crate) fn expiry(&self) -> Expiry {
        match self {
            ExpiryArgs { ttl: Some(span), .. } => Self::after(*span),
            ExpiryArgs { expires_at: Some(at), .. } => Expiry::At(*at),
            ExpiryArgs { sliding: Some(span), .. } => Expiry::Sliding(milliseconds(*span)),
            ExpiryArgs { keep_expiry: true, .. } => Expiry::Keep,
            ExpiryArgs { never_expires: true, .. } => Expiry::Never,
            _ => Expiry::Unspecified,
        }
    }
}

/// A fraction of a millisecond counts as a whole one, so that no span becomes 0.
fn milliseconds(span: Duration) -> u64 {
    u64::try_from(span.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}
