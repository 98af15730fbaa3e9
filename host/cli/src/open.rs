//! Which store is meant, and opening it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use dataknobs_kv::{Clock, Config, FileClock, KvStore, Location, RedbConfig, Result, key};
use dataknobs_kv_client::{HttpOptions, HttpStore};

use crate::args::Global;
use crate::exit::Failure;

/// The environment's name for the service's token.
pub(crate) const TOKEN_VARIABLE: &str = "DATAKNOBS_KV_TOKEN";

/// Where the command is to work.
pub(crate) enum Target {
    /// A store in this process.
    Local(Box<Config>),
    /// A service.
    Remote(String),
}

impl Target {
    /// A connection string, a service's address, or the path of a configuration file.
    pub(crate) async fn named(global: &Global, name: &str) -> Result<Self, Failure> {
        let scheme = name.split_once(':').map(|(scheme, _)| scheme);
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        let mut config = match scheme {
            Some("http" | "https") => return Ok(Target::Remote(name.to_owned())),
            Some(scheme) if scheme.chars().all(legal) => Config::from_url(name)?,
            _ => Config::from_file(name).await?,
        };
        if let Some(clock) = clock(global)? {
            config = config.clock(clock);
        }
        Ok(Target::Local(Box::new(config)))
    }

    /// What it is called, without secrets; a file by its whole path.
    pub(crate) fn name(&self) -> String {
        match self {
            Target::Local(config) => {
                let name = config.location().map_or_else(|| "a storage of this process".into(), Location::to_string);
                match (name.strip_prefix("file:"), std::env::current_dir()) {
                    (Some(path), Ok(folder)) if !path.starts_with('/') => format!("file:{}/{path}", folder.display()),
                    _ => name,
                }
            }
            Target::Remote(url) => {
                let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
                let rest = rest.split(['?', '#']).next().unwrap_or_default();
                let authority = rest.split('/').next().unwrap_or_default();
                let host = authority.rsplit('@').next().unwrap_or_default();
                format!("{scheme}://{host}{}", &rest[authority.len()..])
            }
        }
    }
}

/// Finds out from options, environment and defaults.
pub(crate) async fn target(global: &Global) -> Result<Target, Failure> {
    let mut config = match (&global.config, &global.store) {
        (Some(path), _) => Config::from_file(path).await?,
        (None, Some(url)) if url.starts_with("http://") || url.starts_with("https://") => {
            return Ok(Target::Remote(url.clone()));
        }
        (None, Some(url)) => Config::from_url(url)?,
        (None, None) => Config::from_location(Location::Redb(RedbConfig::new(default_file()?))),
    };
    if let Some(namespace) = global.namespace.first() {
        config = config.namespace(namespace)?;
    }
    if let Some(clock) = clock(global)? {
        config = config.clock(clock);
    }
    Ok(Target::Local(Box::new(config)))
}

/// Opens the store in the namespace that is meant.
pub(crate) async fn store(global: &Global) -> Result<KvStore, Failure> {
    match target(global).await? {
        // A command is short-lived: it has no use for the automatic cleanup that a file may ask for.
        Target::Local(config) => Ok(KvStore::open_with(config.without_auto_cleanup()).await?),
        Target::Remote(url) => {
            let namespace = global.namespace.first().map_or(key::DEFAULT_NAMESPACE, String::as_str);
            remote(&url, token(global.token_file.as_deref())?, namespace)
        }
    }
}

/// A service's store.
pub(crate) fn remote(url: &str, token: Option<String>, namespace: &str) -> Result<KvStore, Failure> {
    let client = HttpStore::connect(url, HttpOptions { token, ..HttpOptions::default() })?;
    Ok(KvStore::over(Arc::new(client), namespace)?)
}

/// The token: the first line of the file that is neither empty nor begins with `#`, or else what the environment holds.
pub(crate) fn token(file: Option<&Path>) -> Result<Option<String>, Failure> {
    let token = match file {
        Some(path) => {
            let text = std::fs::read_to_string(path).map_err(|error| Failure::Io(path.display().to_string(), error))?;
            let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
            lines.next().unwrap_or_default().to_owned()
        }
        None => match std::env::var(TOKEN_VARIABLE) {
            Ok(token) => token.trim().to_owned(),
            Err(std::env::VarError::NotPresent) => return Ok(None),
            Err(_) => return Err(Failure::usage(format!("{TOKEN_VARIABLE} is not UTF-8"))),
        },
    };
    match token.as_str() {
        "" => Err(Failure::usage("the token is empty")),
        _ => Ok(Some(token)),
    }
}

pub(crate) fn clock(global: &Global) -> Result<Option<Arc<dyn Clock>>> {
    let Some(path) = &global.clock_file else { return Ok(None) };
    Ok(Some(Arc::new(FileClock::open(path)?)))
}

/// The file that is used where nothing is said, in a folder that only its owner can enter.
fn default_file() -> Result<PathBuf, Failure> {
    let folders = directories::ProjectDirs::from("", "", "dataknobs-kv")
        .ok_or_else(|| Failure::usage("there is no home folder: name a store with --store"))?;
    let folder = folders.data_dir();
    make_private(folder).map_err(|error| Failure::Io(folder.display().to_string(), error))?;
    Ok(folder.join("data.redb"))
}

pub(crate) fn make_private(folder: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = folder.parent() {
        std::fs::create_dir_all(parent)?;
    }
    match std::fs::DirBuilder::new().mode(0o700).create(folder) {
        // Another process was quicker.
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}
