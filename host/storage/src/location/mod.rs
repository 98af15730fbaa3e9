//! Where data lives: connection strings, and the same as settings by name.

mod layers;
mod settings;
pub(crate) mod url;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dataknobs_kv_core::{Error, Result, Storage};

use self::url::{Options, decode, invalid};
pub use layers::Layers;
pub use settings::Settings;

use crate::{Diagnose, Durability, JsonFileConfig, JsonFileStorage, OpenOptions, RedbConfig, RedbStorage, memory};
#[cfg(feature = "elasticsearch")]
use crate::{ElasticsearchConfig, ElasticsearchStorage};
#[cfg(feature = "postgres")]
use crate::{PostgresConfig, PostgresStorage};
#[cfg(feature = "redis")]
use crate::{RedisConfig, RedisStorage};
#[cfg(feature = "s3")]
use crate::{S3Config, S3Storage};

/// Where data lives: a connection string, taken apart.
///
/// * `memory:`, in this process, gone with it.
/// * `file:PATH.redb`, with the path relative to the working directory (`file:data.redb`, `file:../data.redb`) or
///   absolute (`file:/var/lib/data.redb`, `file:///var/lib/data.redb`). In the path `%`, `?` and `#` are written `%25`,
///   `%3F` and `%23`; any other character may be written so too. Options follow a `?`, joined by `&`:
///   `durability=immediate` (the default) or `relaxed`, `page_cache_size=BYTES`.
/// * `file:PATH.json`, `file:PATH.json.gz`, or any name with `format=json`: the same for a JSON file. Options:
///   `compression=gzip` or `none`, `durability`, `journal_size=BYTES`.
/// * `postgres://[USER[:PASSWORD]@][HOST][:PORT][/DATABASE]` (or `postgresql:`). Options: `table=NAME` or
///   `SCHEMA.NAME`, `pool_size`, `timeout`, `connect_timeout`, `sslmode`, `sslrootcert`, `prepared_statements`.
/// * `redis://[USER:PASSWORD@]HOST[:PORT][/DB]`, or `redis-cluster://[USER:PASSWORD@]HOST:PORT,HOST:PORT`; with TLS
///   `rediss://`, `rediss-cluster://`. In user and password all but letters and digits is written as in a path. Options:
///   `prefix`, `shards`, `timeout`, `connect_timeout`, `pool_size`, `expiry_margin`, `durability`, `tls_ca`, `tls_cert`,
///   `tls_key`.
/// * `s3://[KEY:SECRET@]BUCKET[/PREFIX]`. Options: `region`, `endpoint`, `path_style`, `access_key_id`,
///   `secret_access_key`, `session_token`, `timeout`, `concurrency`, `proxy`, `tls_ca`, `conditional_delete`.
/// * `elasticsearch://USER:PASSWORD@HOST:PORT/INDEX`, and `elasticsearch+https://` for TLS; `opensearch` is the same.
///   Options: `api_key=KEY` in the place of user and password, `ca_cert=FILE`, `timeout=SECONDS`, and for an index that is
///   created `number_of_shards` and `number_of_replicas`.
///
/// Each takes the options of [`Layers`], too: `memory:?cache=memory&cache_ttl=60&cache_size=1000`.
///
/// What is not listed here is refused, never ignored. The [`Display`](fmt::Display) form of a path in UTF-8 can be parsed
/// again, and holds no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Location {
    /// In memory.
    Memory,
    /// A redb file.
    Redb(RedbConfig),
    /// A JSON file.
    Json(JsonFileConfig),
    /// A table in PostgreSQL.
    #[cfg(feature = "postgres")]
    Postgres(Box<PostgresConfig>),
    /// Redis or Valkey, one server or a cluster.
    #[cfg(feature = "redis")]
    Redis(RedisConfig),
    /// A bucket.
    #[cfg(feature = "s3")]
    S3(S3Config),
    /// An index in Elasticsearch or OpenSearch.
    #[cfg(feature = "elasticsearch")]
    Elasticsearch(ElasticsearchConfig),
    /// One of the others, with layers in front of it: [`Location::with`].
    Layered(Box<Location>, Layers),
}

impl Location {
    /// Takes a connection string apart. `invalid-argument` where it breaks a rule; `unsupported` where this build has
    /// no adapter. Messages never repeat more of it than its scheme and the names of its options: it may hold a secret.
    pub fn parse(url: &str) -> Result<Self> {
        let Some((scheme, rest)) = url.split_once(':') else {
            return Err(invalid(
                "a connection string begins with its scheme, for example `memory:` or `file:data.redb`",
            ));
        };
        let scheme = scheme.to_ascii_lowercase();
        let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
        if !scheme.starts_with(|c: char| c.is_ascii_alphabetic()) || !scheme.bytes().all(legal) {
            return Err(invalid(
                "a connection string begins with its scheme, for example `memory:` or `file:data.redb`",
            ));
        }
        let (rest, layers) = Layers::split(rest)?;
        Self::parse_backend(&scheme, &rest)?.with(layers)
    }

    fn parse_backend(scheme: &str, rest: &str) -> Result<Self> {
        match scheme {
            "memory" if matches!(rest, "" | "//") => Ok(Location::Memory),
            "memory" => Err(invalid("`memory:` takes no name, and no options but those of a cache")),
            "file" => Self::parse_file(rest),
            "postgres" | "postgresql" => Self::parse_postgres(rest),
            "redis" | "rediss" | "redis-cluster" | "rediss-cluster" => Self::parse_redis(scheme, rest),
            "s3" => Self::parse_s3(rest),
            #[cfg(feature = "elasticsearch")]
            scheme if ElasticsearchConfig::takes(scheme) => {
                ElasticsearchConfig::from_url(scheme, rest).map(Location::Elasticsearch)
            }
            #[cfg(not(feature = "elasticsearch"))]
            "elasticsearch" | "elasticsearch+https" | "opensearch" | "opensearch+https" => {
                Err(not_built("elasticsearch"))
            }
            _ => Err(Error::Unsupported(format!(
                "this build has no adapter for `{scheme}:`; it opens `memory:` and `file:PATH`"
            ))),
        }
    }

    /// The same, with these layers in front. `invalid-argument` where they do not fit: twice a cache, or retries where there
    /// is no server.
    pub fn with(self, layers: Layers) -> Result<Self> {
        let (location, mut all) = match self {
            Location::Layered(location, layers) => (*location, layers),
            location => (location, Layers::default()),
        };
        if layers.retry.is_some() && !location.is_server() {
            return Err(invalid("`retry` goes with a server"));
        }
        if (all.cache.is_some() && layers.cache.is_some()) || (all.retry.is_some() && layers.retry.is_some()) {
            return Err(invalid("`cache` and `retry` are given once, in the connection string or beside it"));
        }
        all.cache = all.cache.or(layers.cache);
        all.retry = all.retry.or(layers.retry);
        Ok(if all == Layers::default() { location } else { Location::Layered(Box::new(location), all) })
    }

    /// The file that everything is kept in, where it is one.
    pub fn file_path(&self) -> Option<&Path> {
        match self {
            Location::Redb(config) => Some(&config.path),
            Location::Json(config) => Some(&config.path),
            Location::Layered(location, _) => location.file_path(),
            _ => None,
        }
    }

    /// Whether it is reached over a network.
    fn is_server(&self) -> bool {
        match self {
            Location::Memory | Location::Redb(_) | Location::Json(_) => false,
            #[cfg(feature = "postgres")]
            Location::Postgres(_) => true,
            #[cfg(feature = "elasticsearch")]
            Location::Elasticsearch(_) => true,
            #[cfg(feature = "redis")]
            Location::Redis(_) => true,
            #[cfg(feature = "s3")]
            Location::S3(_) => true,
            Location::Layered(location, _) => location.is_server(),
        }
    }

    fn parse_file(rest: &str) -> Result<Self> {
        if rest.contains('#') {
            return Err(invalid("in a `file:` connection string `#` is written `%23`"));
        }
        let (path, options) = rest.split_once('?').unwrap_or((rest, ""));
        let path = match path.strip_prefix("//") {
            None => path,
            Some(path) => {
                let path = path.strip_prefix("localhost").unwrap_or(path);
                if !path.starts_with('/') {
                    return Err(invalid("after `file://` comes an absolute path; a relative one is `file:PATH`"));
                }
                path
            }
        };
        let mut settings = Settings::from_query(options)?;
        settings.add("path", decode(path, "path")?)?;
        Self::file(settings)
    }

    #[cfg(feature = "postgres")]
    fn parse_postgres(rest: &str) -> Result<Self> {
        PostgresConfig::from_url(rest).map(Box::new).map(Location::Postgres)
    }

    #[cfg(not(feature = "postgres"))]
    fn parse_postgres(_rest: &str) -> Result<Self> {
        Err(Error::Unsupported("this build has no PostgreSQL: it was built without the feature `postgres`".into()))
    }

    #[cfg(feature = "redis")]
    fn parse_redis(scheme: &str, rest: &str) -> Result<Self> {
        RedisConfig::from_url(scheme, url::ServerUrl::parse(scheme, rest)?).map(Location::Redis)
    }

    #[cfg(not(feature = "redis"))]
    fn parse_redis(_scheme: &str, _rest: &str) -> Result<Self> {
        Err(Error::Unsupported("this build has no Redis: it was built without the feature `redis`".into()))
    }

    #[cfg(feature = "s3")]
    fn parse_s3(rest: &str) -> Result<Self> {
        S3Config::from_url(url::ServerUrl::parse("s3", rest)?).map(Location::S3)
    }

    #[cfg(not(feature = "s3"))]
    fn parse_s3(_rest: &str) -> Result<Self> {
        Err(Error::Unsupported("this build has no S3: it was built without the feature `s3`".into()))
    }

    /// A backend by its name, with its own settings: `memory`, or `file` with `path`, `format` and what the form of the
    /// file has.
    pub fn from_backend(name: &str, settings: Settings) -> Result<Self> {
        match name {
            "memory" => {
                settings.finish("memory")?;
                Ok(Location::Memory)
            }
            "file" => Self::file(settings),
            #[cfg(feature = "postgres")]
            "postgres" => PostgresConfig::from_settings(settings).map(Box::new).map(Location::Postgres),
            #[cfg(not(feature = "postgres"))]
            "postgres" => Self::parse_postgres(""),
            #[cfg(feature = "redis")]
            "redis" => RedisConfig::from_settings(settings).map(Location::Redis),
            #[cfg(not(feature = "redis"))]
            "redis" => Self::parse_redis("redis", ""),
            #[cfg(feature = "s3")]
            "s3" => S3Config::from_settings(settings).map(Location::S3),
            #[cfg(not(feature = "s3"))]
            "s3" => Self::parse_s3(""),
            #[cfg(feature = "elasticsearch")]
            "elasticsearch" | "opensearch" => ElasticsearchConfig::from_settings(settings).map(Location::Elasticsearch),
            #[cfg(not(feature = "elasticsearch"))]
            "elasticsearch" | "opensearch" => Err(not_built("elasticsearch")),
            _ => Err(invalid("backend: memory, file, postgres, redis, s3 or elasticsearch")),
        }
    }

    /// A file, whose form `format` names, or its ending.
    fn file(mut settings: Settings) -> Result<Self> {
        let path = settings.required("path")?;
        if path.contains('\0') {
            return Err(settings.invalid("path", "holds no NUL"));
        }
        if path.ends_with('/') {
            return Err(settings.invalid("path", "names a file, and so ends in no slash"));
        }
        let path = PathBuf::from(path);
        let name = path.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
        let format = settings.one_of("format", &[("redb", false), ("json", true)])?;
        if format.unwrap_or_else(|| JsonFileConfig::is_named_so(&path)) {
            if matches!(name.as_str(), "" | ".json" | ".json.gz") {
                return Err(settings.invalid("path", "names a file"));
            }
            return JsonFileConfig::from_settings(path, settings).map(Location::Json);
        }
        if !name.ends_with(".redb") || name == ".redb" {
            return Err(settings.invalid("path", "names a file store, and ends in `.redb`, `.json` or `.json.gz`"));
        }
        RedbConfig::from_settings(path, settings).map(Location::Redb)
    }

    /// Opens it.
    ///
    /// * `invalid-argument`: the path is no place for a file, or holds another program's data; the server has no such
    ///   database or schema, or the store there is laid out otherwise or is another program's
    /// * `access-denied`: the operating system, or the server, does not let us
    /// * `unavailable`: another process has the file open; the disk is full or failing; the server cannot be reached
    /// * `corrupt`: the file is truncated or damaged, or was never ours
    /// * `unsupported`: the data were written by a newer version; the server is too old
    ///
    /// A file that is refused is left as it is. Passing failures of a server are waited out for two seconds, unless its
    /// [`Layers`] say otherwise; opening itself is tried once.
    pub async fn open(&self, options: &OpenOptions) -> Result<Arc<dyn Storage>> {
        Ok(self.open_for_diagnosis(options).await?.0)
    }

    /// As [`Location::open`], with what can tell about the backend's own settings.
    pub async fn open_for_diagnosis(&self, options: &OpenOptions) -> Result<(Arc<dyn Storage>, Arc<dyn Diagnose>)> {
        let none = Layers::default();
        let (location, layers) = match self {
            Location::Layered(location, layers) => (location.as_ref(), layers),
            location => (location, &none),
        };
        let (storage, diagnose) = location.open_backend(options.create).await?;
        Ok((layers.over(storage, location.is_server(), options.metrics.as_ref()), diagnose))
    }

    async fn open_backend(&self, create: bool) -> Result<(Arc<dyn Storage>, Arc<dyn Diagnose>)> {
        fn both<S: Storage + Diagnose + 'static>(storage: S) -> (Arc<dyn Storage>, Arc<dyn Diagnose>) {
            let storage = Arc::new(storage);
            (Arc::clone(&storage) as Arc<dyn Storage>, storage)
        }
        Ok(match self {
            Location::Layered(..) => return Err(Error::Internal("layers lie in one list".into())),
            Location::Memory => both(memory()),
            Location::Redb(config) => both(RedbStorage::open(config.clone(), create).await?),
            Location::Json(config) => both(JsonFileStorage::open(config.clone(), create).await?),
            #[cfg(feature = "postgres")]
            Location::Postgres(config) => both(PostgresStorage::open(config.as_ref().clone(), create).await?),
            #[cfg(feature = "redis")]
            Location::Redis(config) => both(RedisStorage::open(config.clone(), create).await?),
            #[cfg(feature = "s3")]
            Location::S3(config) => both(S3Storage::open(config.clone(), create).await?),
            #[cfg(feature = "elasticsearch")]
            Location::Elasticsearch(config) => both(ElasticsearchStorage::open(config.clone(), create).await?),
        })
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::Memory => f.write_str("memory:"),
            #[cfg(feature = "postgres")]
            Location::Postgres(config) => config.fmt(f),
            #[cfg(feature = "redis")]
            Location::Redis(config) => config.fmt(f),
            #[cfg(feature = "elasticsearch")]
            Location::Elasticsearch(config) => config.fmt(f),
            Location::Redb(config) => {
                f.write_str("file:")?;
                write_path(f, &config.path)?;
                let mut options = Options::default();
                if config.durability != Durability::Immediate {
                    options.add("durability", config.durability);
                }
                if config.cache_bytes != RedbConfig::DEFAULT_CACHE_BYTES {
                    options.add("page_cache_size", config.cache_bytes);
                }
                options.fmt(f)
            }
            Location::Json(config) => {
                f.write_str("file:")?;
                write_path(f, &config.path)?;
                let mut options = Options::default();
                if !JsonFileConfig::is_named_so(&config.path) {
                    options.add("format", "json");
                }
                if let Some(compression) = config.compression {
                    options.add("compression", compression);
                }
                if config.durability != Durability::Immediate {
                    options.add("durability", config.durability);
                }
                if config.journal_bytes != JsonFileConfig::DEFAULT_JOURNAL_BYTES {
                    options.add("journal_size", config.journal_bytes);
                }
                options.fmt(f)
            }
            #[cfg(feature = "s3")]
            Location::S3(config) => config.fmt(f),
            Location::Layered(location, layers) => {
                let location = location.to_string();
                f.write_str(&location)?;
                layers::write(layers, &location, f)
            }
        }
    }
}

/// A backend that was left out of this build.
#[cfg(not(feature = "elasticsearch"))]
fn not_built(feature: &str) -> Error {
    Error::Unsupported(format!("this build has no {feature} backend: its cargo feature `{feature}` is off"))
}

impl std::str::FromStr for Location {
    type Err = Error;

    fn from_str(url: &str) -> Result<Self> {
        Location::parse(url)
    }
}

fn write_path(f: &mut fmt::Formatter<'_>, path: &Path) -> fmt::Result {
    let path = path.to_string_lossy();
    // Such a path would read as a host.
    if path.starts_with("//") {
        f.write_str("//")?;
    }
    for c in path.chars() {
        match c {
            '%' | '?' | '#' => write!(f, "%{:02X}", u32::from(c))?,
            c if c.is_control() => {
                for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                    write!(f, "%{byte:02X}")?;
                }
            }
            c => write!(f, "{c}")?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Compression;

    fn path(url: &str) -> String {
        match Location::parse(url).unwrap() {
            Location::Redb(config) => config.path.to_str().unwrap().to_owned(),
            _ => panic!("{url}"),
        }
    }

    #[test]
    fn paths() {
        assert_eq!(Location::parse("memory:").unwrap(), Location::Memory);
        assert_eq!(Location::parse("MEMORY://").unwrap(), Location::Memory);
        assert_eq!(path("file:data.redb"), "data.redb");
        assert_eq!(path("file:../a b/data.REDB"), "../a b/data.REDB");
        assert_eq!(path("file:/abs/data.redb"), "/abs/data.redb");
        assert_eq!(path("file:///abs/data.redb"), "/abs/data.redb");
        assert_eq!(path("file://localhost/abs/data.redb"), "/abs/data.redb");
        assert_eq!(path("file:a%20%C3%A9%3F%25+.redb"), "a é?%+.redb");
        assert_eq!(path("File:x:y.redb"), "x:y.redb");
    }

    #[test]
    fn options() {
        let Location::Redb(config) = Location::parse("file:a.redb?durability=relaxed&page_cache_size=1048576").unwrap()
        else {
            panic!()
        };
        assert_eq!(config.durability, Durability::Relaxed);
        assert_eq!(config.cache_bytes, 1 << 20);
        let Location::Redb(config) = Location::parse("file:a.redb?").unwrap() else { panic!() };
        assert_eq!(config, RedbConfig::new("a.redb"));
    }

    #[test]
    fn json_files() {
        let json = |url: &str| match Location::parse(url).unwrap() {
            Location::Json(config) => config,
            other => panic!("{url}: {other:?}"),
        };
        assert_eq!(json("file:a.json"), JsonFileConfig::new("a.json"));
        assert_eq!(json("file:a.JSON.GZ"), JsonFileConfig::new("a.JSON.GZ"));
        let config = json("file:/data/kv_store?format=json&compression=gzip&durability=relaxed&journal_size=65536");
        assert_eq!(
            config,
            JsonFileConfig::new("/data/kv_store")
                .compression(Compression::Gzip)
                .durability(Durability::Relaxed)
                .journal_bytes(65536)
        );
    }

    #[test]
    fn layers_lie_in_front_of_any_backend() {
        let url = "file:a.redb?cache_ttl=2&durability=relaxed&cache=memory&page_cache_size=1048576&cache_size=7";
        let Location::Layered(location, layers) = Location::parse(url).unwrap() else { panic!() };
        let Location::Redb(config) = *location else { panic!() };
        assert_eq!((config.durability, config.cache_bytes), (Durability::Relaxed, 1 << 20));
        let cache = layers.cache.unwrap();
        assert_eq!((cache.ttl, cache.entries), (std::time::Duration::from_secs(2), 7));
        assert_eq!(Location::parse("memory:?cache=none").unwrap(), Location::Memory);
        let layers = |url: &str| match Location::parse(url).unwrap() {
            Location::Layered(_, layers) => layers,
            _ => panic!("{url}"),
        };
        let cached = layers("memory:?cache=memory");
        assert!(Location::parse("memory:?cache=memory").unwrap().with(cached.clone()).is_err(), "twice");
        assert!(Location::Memory.with(cached).is_ok());
    }

    #[test]
    fn display_parses_again() {
        for url in [
            "memory:",
            "file:data.redb",
            "file:/abs/a b.redb?durability=relaxed",
            "file:a%25%3F%23%0A.redb?durability=relaxed&page_cache_size=2097152",
            "file:////odd.redb",
            "file:data.json",
            "file:/abs/a%3Fb.json.gz?compression=none&durability=relaxed&journal_size=4096",
            "file:kv_store?format=json&compression=gzip",
            #[cfg(feature = "postgres")]
            "postgres://me@host:6543/kv?table=app.entries",
            #[cfg(feature = "redis")]
            "redis://me@host:6380/2?prefix=app%3Akv&timeout=2.5",
            #[cfg(feature = "redis")]
            "rediss-cluster://a:1,[::1]:2?shards=4&durability=durable",
            #[cfg(feature = "s3")]
            "s3://bucket/prefix?region=eu-central-1&timeout=2.5",
            #[cfg(feature = "elasticsearch")]
            "elasticsearch+https://search.example:9200/kv?timeout=2.5",
            #[cfg(feature = "redis")]
            "redis://me@host:6380/2?timeout=2.5&cache=memory&cache_ttl=60&cache_size=10&retry=1.5",
            "memory:?cache=memory&cache_ttl=60&cache_size=10000",
            "file:a.redb?durability=relaxed&cache=memory&cache_ttl=0.5&cache_size=1",
        ] {
            let location = Location::parse(url).unwrap();
            assert_eq!(location.to_string(), url);
            assert_eq!(Location::parse(&location.to_string()).unwrap(), location);
        }
    }

    #[test]
    fn refusals() {
        for url in [
            "",
            "data.redb",
            ":x",
            "a b:c",
            "memory:name",
            "memory:?x=1",
            "file:",
            "file:.redb",
            "file:folder/",
            "file:data",
            "file:data.db",
            "file:a.redb#x",
            "file://host/a.redb",
            "file:a%2.redb",
            "file:a%zz.redb",
            "file:a%ff.redb",
            "file:a%00.redb",
            "file:a.redb?durability",
            "file:a.redb?durability=fast",
            "file:a.redb?page_cache_size=12",
            "file:a.redb?page_cache_size=-1",
            "file:a.redb?page_cache_size=1e9",
            "file:a.redb?sync=off",
            "file:a.redb?cache_size=1048576",
            "file:a.redb?cache=redis",
            "file:a.redb?cache=memory&cache=memory",
            "file:a.redb?cache=none&cache_ttl=1",
            "memory:?cache_ttl=5",
            "memory:?cache=memory&cache_ttl=0",
            "memory:?cache=memory&cache_ttl=1e9",
            "memory:?cache=memory&cache_size=0",
            "memory:?retry=2",
            "file:a.redb?retry=0",
            "file:a.redb?durability=relaxed&durability=immediate",
            "file:a.redb?path=b.redb",
            "file:a.redb?format=xml",
            "file:a.redb?compression=gzip",
            "file:a.json?format=redb",
            "file:a.json?compression=zip",
            "file:a.json?cache_size=2097152",
            "file:a.json?journal_size=12",
            "file:.json",
            "file:.json.gz",
            "file:folder/?format=json",
            #[cfg(feature = "postgres")]
            "postgres:",
            #[cfg(feature = "postgres")]
            "postgres://h/db?tabel=x",
            #[cfg(feature = "redis")]
            "redis:host",
            #[cfg(feature = "redis")]
            "redis://host/first",
            #[cfg(feature = "redis")]
            "redis://host?shards=0",
            #[cfg(feature = "redis")]
            "redis://host?prefix={x}",
            #[cfg(feature = "redis")]
            "redis://host?tls_ca=ca.pem",
            #[cfg(feature = "redis")]
            "redis://a,b",
            #[cfg(feature = "redis")]
            "redis-cluster://a:1/1",
        ] {
            let error = Location::parse(url).expect_err(url);
            assert_eq!(error.code(), "invalid-argument", "{url}: {error}");
        }
        for url in ["mysql://me:hunter2@host/db", "sqlite:hunter2"] {
            let error = Location::parse(url).expect_err(url);
            assert_eq!(error.code(), "unsupported", "{url}");
            assert!(!error.to_string().contains("hunter2"));
        }
        let error = Location::parse("file:a.redb?password=hunter2").unwrap_err().to_string();
        assert!(error.contains("`password`") && !error.contains("hunter2"));
    }
}
