//! What a store is opened with: from a URL, or from the fields of a TOML or JSON file.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use dataknobs_kv_core::{Clock, Error, Result, Storage, key};
use dataknobs_kv_metrics::Metrics;
use dataknobs_kv_runtime::Runtime;
use dataknobs_kv_storage::{CacheConfig, Cached, Layers, Location, Settings};
use serde_json::{Map, Value as Json};

use crate::cleanup;
use crate::options::millis;
use crate::serializer::{Serializer, Serializers};

/// How often automatic cleanup runs, unless told.
pub const DEFAULT_CLEANUP_INTERVAL: Duration = Duration::from_secs(60);

/// What a store is opened with.
///
/// ```
/// use std::time::Duration;
/// use dataknobs_kv::{Config, KvStore};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> dataknobs_kv::Result<()> {
/// let config = Config::from_url("memory:")?
///     .namespace("cache")?
///     .default_ttl("cache", Duration::from_secs(300))?
///     .auto_cleanup(Duration::from_secs(60))?;
/// let store = KvStore::open_with(config).await?;
/// # store.close().await;
/// # Ok(()) }
/// ```
///
/// The same as TOML, and likewise as JSON:
///
/// ```
/// let config = dataknobs_kv::Config::from_toml(r#"
///     backend = "memory"          # or url = "memory:"
///     namespace = "cache"
///     auto_cleanup = true
///     cleanup_interval = 60       # seconds
///     [default_ttl]               # seconds, by namespace
///     cache = 300
/// "#)?;
/// # assert_eq!(config.location().unwrap().to_string(), "memory:");
/// # Ok::<(), dataknobs_kv::Error>(())
/// ```
///
/// Fields that are not known are refused.
#[derive(Clone)]
pub struct Config {
    pub(crate) source: Source,
    pub(crate) create: bool,
    pub(crate) namespace: String,
    pub(crate) auto_cleanup: bool,
    pub(crate) cleanup_interval: Duration,
    /// Milliseconds, by namespace.
    pub(crate) default_ttls: BTreeMap<String, u64>,
    pub(crate) serializers: Serializers,
    pub(crate) runtime: Option<Runtime>,
    pub(crate) clock: Option<Arc<dyn Clock>>,
    pub(crate) metrics: Option<Metrics>,
}

impl Config {
    /// What a URL names; see [`KvStore::open`](crate::KvStore::open). All else as it is by default.
    ///
    /// # Errors
    /// As [`Location::parse`].
    pub fn from_url(url: &str) -> Result<Self> {
        Location::parse(url).map(Self::from_location)
    }

    /// A URL, taken apart.
    pub fn from_location(location: Location) -> Self {
        Self::new(Source::Location(Box::new(location)))
    }

    /// A storage of your own: what it owes is written at [`Storage`].
    pub fn from_storage(storage: Arc<dyn Storage>) -> Self {
        Self::new(Source::Storage(storage))
    }

    fn new(source: Source) -> Self {
        Config {
            source,
            create: true,
            namespace: key::DEFAULT_NAMESPACE.to_owned(),
            auto_cleanup: false,
            cleanup_interval: DEFAULT_CLEANUP_INTERVAL,
            default_ttls: BTreeMap::new(),
            serializers: Serializers::default(),
            runtime: None,
            clock: None,
            metrics: None,
        }
    }

    /// From a TOML text.
    ///
    /// # Errors
    /// `invalid-argument` naming the line or the field; never what is in it.
    pub fn from_toml(text: &str) -> Result<Self> {
        // The parser's own message shows the line, and that may hold a password.
        let fields: Json = toml::from_str(text).map_err(|error| {
            let at = error.span().and_then(|span| text.get(..span.start)).unwrap_or("");
            Error::InvalidArgument(format!("not TOML, line {}: {}", at.matches('\n').count() + 1, error.message()))
        })?;
        Self::from_fields(fields)
    }

    /// From a JSON text.
    ///
    /// # Errors
    /// As [`Config::from_toml`].
    pub fn from_json(text: &str) -> Result<Self> {
        let fields = serde_json::from_str(text).map_err(|error| {
            Error::InvalidArgument(format!("not JSON, line {}, column {}", error.line(), error.column()))
        })?;
        Self::from_fields(fields)
    }

    /// From a file: `.toml` or `.json`.
    ///
    /// # Errors
    /// `invalid-argument` for a file that cannot be read or is neither, and as [`Config::from_toml`].
    pub async fn from_file(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let text = tokio::fs::read_to_string(path)
            .await
            .map_err(|error| Error::InvalidArgument(format!("{}: {error}", path.display())))?;
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("toml") => Self::from_toml(&text),
            Some("json") => Self::from_json(&text),
            _ => Err(Error::InvalidArgument(format!("{}: a .toml or .json file is expected", path.display()))),
        }
    }

    /// From the fields themselves: `url`, or `backend` (`memory`, `file`) with its `config`; `cache` (`memory`),
    /// `cache_ttl` (seconds), `cache_size` (entries), `retry` (seconds); `namespace`, `auto_cleanup`, `cleanup_interval`
    /// (seconds), `default_ttl` (seconds by namespace).
    ///
    /// # Errors
    /// `invalid-argument` naming the field; `unsupported` for a backend or format that this build does not have.
    pub fn from_fields(fields: Json) -> Result<Self> {
        let mut fields = Fields::new("", fields)?;
        let layers = Layers::from_settings(fields.settings(&["cache", "cache_ttl", "cache_size", "retry"])?)?;
        let options = fields.take("config");
        let location = match (fields.text("url")?, fields.text("backend")?) {
            (Some(_), Some(_)) => return Err(Error::InvalidArgument("url and backend: one of them is enough".into())),
            (Some(_), None) if options.is_some() => {
                return Err(Error::InvalidArgument("config goes with backend, not with url".into()));
            }
            (Some(url), None) => Location::parse(&url)?,
            (None, Some(backend)) => backend_location(&backend, options)?,
            (None, None) => return Err(Error::InvalidArgument("url or backend: one of them is needed".into())),
        };
        let mut config = Self::from_location(location.with(layers)?);
        if let Some(namespace) = fields.text("namespace")? {
            config = config.namespace(&namespace)?;
        }
        if let Some(interval) = fields.seconds("cleanup_interval")? {
            config.cleanup_interval = cleanup::check_interval(interval)?;
        }
        config.auto_cleanup = fields.boolean("auto_cleanup")?.unwrap_or(false);
        if let Some(by_namespace) = fields.take("default_ttl") {
            let mut by_namespace = Fields::new("default_ttl.", by_namespace)?;
            for name in by_namespace.names() {
                if let Some(ttl) = by_namespace.seconds(&name)? {
                    config = config.default_ttl(&name, ttl)?;
                }
            }
        }
        fields.finish()?;
        Ok(config)
    }

    /// Whether data that do not exist yet are created (the default); else their absence is `invalid-argument`. Without a
    /// meaning for a storage of your own.
    pub fn create(mut self, create: bool) -> Self {
        self.create = create;
        self
    }

    /// Which namespace the handle works in at first; `default` unless told.
    ///
    /// # Errors
    /// `invalid-argument` for a name that is none.
    pub fn namespace(mut self, name: &str) -> Result<Self> {
        key::validate_namespace(name)?;
        self.namespace = name.to_owned();
        Ok(self)
    }

    /// Entries of that namespace expire so long after they were set, where `set` says nothing about it.
    ///
    /// # Errors
    /// `invalid-argument` for a name that is none, or a ttl of 0.
    pub fn default_ttl(mut self, namespace: &str, ttl: Duration) -> Result<Self> {
        key::validate_namespace(namespace)?;
        match millis(ttl)? {
            0 => Err(Error::InvalidArgument("default_ttl: more than 0".into())),
            ms => {
                self.default_ttls.insert(namespace.to_owned(), ms);
                Ok(self)
            }
        }
    }

    /// Removes what has expired in the background, in all namespaces, at this interval (at least 100 ms) or up to a quarter
    /// earlier, as long as the handle or a clone of it lives. Each round does bounded work; what it leaves comes a second
    /// later. Any number of processes may do so on one backend: each removes, and counts, what the others have not.
    ///
    /// # Errors
    /// `invalid-argument` for a shorter interval.
    pub fn auto_cleanup(mut self, interval: Duration) -> Result<Self> {
        self.cleanup_interval = cleanup::check_interval(interval)?;
        self.auto_cleanup = true;
        Ok(self)
    }

    /// Whether, and how often, automatic cleanup is to run.
    pub fn cleanup(&self) -> Option<Duration> {
        self.auto_cleanup.then_some(self.cleanup_interval)
    }

    /// Without automatic cleanup.
    pub fn without_auto_cleanup(mut self) -> Self {
        self.auto_cleanup = false;
        self
    }

    /// Adds a serializer, for [`KvStore::set_custom`](crate::KvStore::set_custom).
    ///
    /// # Errors
    /// `invalid-argument` for an illegal type name.
    pub fn serializer<T: 'static>(mut self, serializer: impl Serializer<T> + 'static) -> Result<Self> {
        self.serializers.add(serializer)?;
        Ok(self)
    }

    /// Runs the component in this runtime, with limits of its own, and not in the one that all stores of the process
    /// share.
    pub fn runtime(mut self, runtime: Runtime) -> Self {
        self.runtime = Some(runtime);
        self
    }

    /// Takes the time from this clock and not from the system's.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Counts here: calls of the backend, the cache's hits, automatic cleanup. One store each.
    pub fn metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = Some(metrics);
        self
    }

    /// With a cache in memory in front of the backend: what others write is seen after its ttl at the latest.
    ///
    /// # Errors
    /// `invalid-argument` where there is one already.
    pub fn cache(mut self, cache: CacheConfig) -> Result<Self> {
        self.source = match self.source {
            Source::Location(location) => {
                let mut layers = Layers::default();
                layers.cache = Some(cache);
                Source::Location(Box::new(location.with(layers)?))
            }
            Source::Storage(storage) => Source::Storage(Arc::new(Cached::new(storage, cache))),
        };
        Ok(self)
    }

    /// What is to be opened, where it has a URL.
    pub fn location(&self) -> Option<&Location> {
        match &self.source {
            Source::Location(location) => Some(location),
            Source::Storage(_) => None,
        }
    }
}

/// Where the data are.
#[derive(Clone)]
pub(crate) enum Source {
    Location(Box<Location>),
    Storage(Arc<dyn Storage>),
}

/// A location shows no secret.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("location", &self.location().map(Location::to_string))
            .field("namespace", &self.namespace)
            .field("auto_cleanup", &self.auto_cleanup)
            .field("cleanup_interval", &self.cleanup_interval)
            .field("default_ttls_ms", &self.default_ttls)
            .finish_non_exhaustive()
    }
}

impl<'de> serde::Deserialize<'de> for Config {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Config::from_fields(Json::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

/// What a backend's name and its own fields stand for.
fn backend_location(backend: &str, options: Option<Json>) -> Result<Location> {
    let mut fields = Fields::new("config.", options.unwrap_or_else(|| Json::Object(Map::new())))?;
    let names = fields.names();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    Location::from_backend(backend, fields.settings(&names)?)
}

/// A JSON object's fields, taken one by one. Errors name the field and never show what is in it.
struct Fields {
    /// What stands before a field's name in messages.
    prefix: &'static str,
    fields: Map<String, Json>,
}

impl Fields {
    fn new(prefix: &'static str, fields: Json) -> Result<Self> {
        match fields {
            Json::Object(fields) => Ok(Fields { prefix, fields }),
            _ if prefix.is_empty() => Err(Error::InvalidArgument("the configuration is a table of fields".into())),
            _ => {
                Err(Error::InvalidArgument(format!("{}: a table of fields is expected", prefix.trim_end_matches('.'))))
            }
        }
    }

    fn names(&self) -> Vec<String> {
        self.fields.keys().cloned().collect()
    }

    fn take(&mut self, name: &str) -> Option<Json> {
        self.fields.remove(name)
    }

    fn text(&mut self, name: &str) -> Result<Option<String>> {
        match self.take(name) {
            None => Ok(None),
            Some(Json::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.expected(name, "a text")),
        }
    }

    fn boolean(&mut self, name: &str) -> Result<Option<bool>> {
        match self.take(name) {
            None => Ok(None),
            Some(Json::Bool(boolean)) => Ok(Some(boolean)),
            Some(_) => Err(self.expected(name, "true or false")),
        }
    }

    fn seconds(&mut self, name: &str) -> Result<Option<Duration>> {
        let Some(field) = self.take(name) else { return Ok(None) };
        let seconds = field.as_f64().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        seconds.map(Some).ok_or_else(|| self.expected(name, "a number of seconds"))
    }

    /// Takes those of these that are there, as settings.
    fn settings(&mut self, names: &[&str]) -> Result<Settings> {
        let mut values = Vec::new();
        for name in names {
            let value = match self.take(name) {
                None => continue,
                Some(Json::String(text)) => text,
                Some(Json::Number(number)) => number.to_string(),
                Some(Json::Bool(boolean)) => boolean.to_string(),
                Some(_) => return Err(self.expected(name, "a text, a number or a boolean")),
            };
            values.push(((*name).to_owned(), value));
        }
        Ok(Settings::new(self.prefix, values))
    }

    fn expected(&self, name: &str, what: &str) -> Error {
        Error::InvalidArgument(format!("{}{name}: {what} is expected", self.prefix))
    }

    /// Refuses what was not taken.
    fn finish(self) -> Result<()> {
        match self.fields.keys().next() {
            None => Ok(()),
            Some(name) => Err(Error::InvalidArgument(format!("{}{name} is not a known field", self.prefix))),
        }
    }
}
