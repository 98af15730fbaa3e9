//! What can be set for a store in Elasticsearch or OpenSearch.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use dataknobs_kv_core::{Error, Result};

use crate::location::Settings;
use crate::location::url::{Encoded, Options, ServerUrl};

/// The settings of a store in Elasticsearch or OpenSearch. Its `Debug` and `Display` forms hold no secret.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ElasticsearchConfig {
    /// A name, an IPv4 or an IPv6 address (without brackets).
    pub host: String,
    /// The port of its REST interface.
    pub port: u16,
    /// The index that holds the store.
    pub index: String,
    /// Who logs in; needs a password.
    pub user: Option<String>,
    /// The user's password.
    pub password: Option<String>,
    /// Instead of user and password: the encoded form of an API key.
    pub api_key: Option<String>,
    /// Whether to speak TLS.
    pub tls: bool,
    /// A file with certificates, in PEM, to trust beside those of the operating system.
    pub ca_cert: Option<PathBuf>,
    /// How long one operation may take.
    pub timeout: Duration,
    /// Of an index that is created: how many shards it gets; the server's default is 1.
    pub shards: Option<u32>,
    /// Of an index that is created: how many copies of each shard there are beside the first; the server's default is 1.
    pub replicas: Option<u32>,
}

impl ElasticsearchConfig {
    /// The port where none is set.
    pub const DEFAULT_PORT: u16 = 9200;
    /// The index where none is set.
    pub const DEFAULT_INDEX: &'static str = "kv_store";
    /// The timeout where none is set: 10 seconds.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
    /// The longest timeout: an hour.
    pub const MAX_TIMEOUT: Duration = Duration::from_secs(3600);
    /// The longest name of an index, in bytes: an alias made of it has 17 more, and 255 are the server's limit.
    pub const MAX_INDEX_BYTES: usize = 238;

    const SCHEMES: [(&str, bool); 4] =
        [("elasticsearch", false), ("elasticsearch+https", true), ("opensearch", false), ("opensearch+https", true)];

    /// The defaults, for this host.
    pub fn new(host: impl Into<String>) -> Self {
        ElasticsearchConfig {
            host: host.into(),
            port: Self::DEFAULT_PORT,
            index: Self::DEFAULT_INDEX.into(),
            user: None,
            password: None,
            api_key: None,
            tls: false,
            ca_cert: None,
            timeout: Self::DEFAULT_TIMEOUT,
            shards: None,
            replicas: None,
        }
    }

    /// Whether a connection string of this scheme is one of these.
    pub(crate) fn takes(scheme: &str) -> bool {
        Self::SCHEMES.iter().any(|(known, _)| *known == scheme)
    }

    /// From what stands behind `SCHEME:` in a connection string.
    pub(crate) fn from_url(scheme: &str, rest: &str) -> Result<Self> {
        let mut settings = ServerUrl::parse(scheme, rest)?.into_settings(scheme, Some("index"))?;
        if Self::SCHEMES.contains(&(scheme, true)) {
            settings.add("tls", "true")?;
        }
        Self::from_settings(settings)
    }

    /// From settings by name.
    pub(crate) fn from_settings(mut settings: Settings) -> Result<Self> {
        let mut config = ElasticsearchConfig::new(settings.text("host").unwrap_or_else(|| "localhost".into()));
        if config.host.is_empty() || config.host.contains(['/', '@', '?', '#', '%', ' ']) {
            return Err(settings.invalid("host", "is a host's name or address"));
        }
        if let Some(port) = settings.whole("port", 1, u16::MAX)? {
            config.port = port;
        }
        if let Some(index) = settings.text("index") {
            validate_index(&index).map_err(|rule| settings.invalid("index", rule))?;
            config.index = index;
        }
        config.user = settings.text("user");
        config.password = settings.text("password");
        config.api_key = settings.text("api_key");
        match (&config.user, &config.password, &config.api_key) {
            (None, None, _) | (Some(_), Some(_), None) => {}
            (None, _, _) => return Err(settings.invalid("password", "needs a `user` beside it, and no `api_key`")),
            (Some(_), None, _) => return Err(settings.invalid("user", "needs a `password` beside it")),
            (Some(_), Some(_), Some(_)) => {
                return Err(settings.invalid("api_key", "stands in the place of `user` and `password`"));
            }
        }
        if config.user.as_ref().is_some_and(|user| user.contains(':')) {
            return Err(settings.invalid("user", "holds no colon"));
        }
        if config.api_key.as_ref().is_some_and(|key| !key.bytes().all(|b| b.is_ascii_graphic())) {
            return Err(settings.invalid("api_key", "is the encoded form of an API key"));
        }
        config.tls = settings.boolean("tls")?.unwrap_or(false);
        config.ca_cert = settings.text("ca_cert").map(PathBuf::from);
        if config.ca_cert.is_some() && !config.tls {
            return Err(settings.invalid("ca_cert", "is for TLS (`elasticsearch+https://`, `tls=true`)"));
        }
        if let Some(timeout) = settings.seconds("timeout", Self::MAX_TIMEOUT)? {
            config.timeout = timeout;
        }
        config.shards = settings.whole("number_of_shards", 1, 1024)?;
        config.replicas = settings.whole("number_of_replicas", 0, 1024)?;
        settings.finish("an Elasticsearch store")?;
        Ok(config)
    }
}

/// The server's own rules, so that a name can stand in a path and never means several indices.
fn validate_index(name: &str) -> Result<(), &'static str> {
    let forbidden = |c: char| c.is_uppercase() || c.is_control() || "\\/*?\"<>| ,#:".contains(c);
    match name {
        "" | "." | ".." => Err("names an index"),
        _ if name.len() > ElasticsearchConfig::MAX_INDEX_BYTES => Err("has at most 238 bytes"),
        _ if name.starts_with(['-', '_', '+', '.']) => Err("does not begin with `-`, `_`, `+` or `.`"),
        _ if name.chars().any(forbidden) => Err("is in lower case, without spaces and `\\/*?\"<>|,#:`"),
        _ => Ok(()),
    }
}

/// The connection string, without password and API key.
impl fmt::Display for ElasticsearchConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.tls { "elasticsearch+https://" } else { "elasticsearch://" })?;
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port)?,
            false => write!(f, "{}:{}", Encoded(&self.host), self.port)?,
        }
        write!(f, "/{}", Encoded(&self.index))?;
        let mut options = Options::default();
        if let Some(path) = &self.ca_cert {
            options.add("ca_cert", path.display());
        }
        if self.timeout != Self::DEFAULT_TIMEOUT {
            options.add("timeout", self.timeout.as_secs_f64());
        }
        if let Some(shards) = self.shards {
            options.add("number_of_shards", shards);
        }
        if let Some(replicas) = self.replicas {
            options.add("number_of_replicas", replicas);
        }
        options.fmt(f)
    }
}

impl fmt::Debug for ElasticsearchConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ElasticsearchConfig")
            .field("url", &format_args!("{self}"))
            .field("user", &self.user)
            .field("password", &self.password.as_ref().map(|_| "…"))
            .field("api_key", &self.api_key.as_ref().map(|_| "…"))
            .finish()
    }
}

impl std::str::FromStr for ElasticsearchConfig {
    type Err = Error;

    fn from_str(url: &str) -> Result<Self> {
        match url.split_once(':') {
            Some((scheme, rest)) if Self::takes(scheme) => Self::from_url(scheme, rest),
            _ => Err(Error::InvalidArgument("a connection string begins with `elasticsearch://`".into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connection_strings() {
        let config: ElasticsearchConfig =
            "elasticsearch://me:p%40ss@search.example:9201/my-kv?timeout=2.5".parse().unwrap();
        assert_eq!((config.host.as_str(), config.port, config.index.as_str()), ("search.example", 9201, "my-kv"));
        assert_eq!((config.user.as_deref(), config.password.as_deref()), (Some("me"), Some("p@ss")));
        assert_eq!((config.timeout, config.tls), (Duration::from_millis(2500), false));
        let config: ElasticsearchConfig =
            "opensearch+https://[::1]?api_key=abc%3D%3D&number_of_replicas=0".parse().unwrap();
        assert_eq!((config.host.as_str(), config.port, config.tls), ("::1", 9200, true));
        assert_eq!((config.index.as_str(), config.api_key.as_deref()), ("kv_store", Some("abc==")));
        assert_eq!((config.shards, config.replicas), (None, Some(0)));
    }

    #[test]
    fn display_parses_again_and_hides_secrets() {
        for url in [
            "elasticsearch://h:9200/kv_store",
            "elasticsearch+https://[::1]:1/a%C3%A9.b?ca_cert=%2Fetc%2Fca.pem&timeout=0.5&number_of_shards=3&number_of_replicas=0",
        ] {
            let config: ElasticsearchConfig = url.parse().unwrap();
            assert_eq!(config.to_string(), url);
        }
        for url in ["elasticsearch://u:hunter2@h/kv", "elasticsearch://h/kv?api_key=hunter2"] {
            let config: ElasticsearchConfig = url.parse().unwrap();
            assert!(!format!("{config} {config:?}").contains("hunter2"), "{config:?}");
        }
    }

    #[test]
    fn refusals() {
        for rest in [
            "//h/Upper",
            "//h/a,b",
            "//h/a*",
            "//h/_all",
            "//h/..",
            "//h/a%2Fb",
            "//a,b/kv",
            "//h/kv?index=x",
            "//h/kv?x=1",
            "//u@h/kv",
            "//:hunter2@h/kv",
            "//u:hunter2@h/kv?api_key=hunter2",
            "//h/kv?api_key=a%20b",
            "//h/kv?ca_cert=x",
            "//h/kv?timeout=0",
            "//h/kv?timeout=1e9",
            "//h/kv?number_of_shards=0",
            "//h:0/kv",
            "//h%2Fx/kv",
            "//u%3A:hunter2@h/kv",
        ] {
            let error = ElasticsearchConfig::from_url("elasticsearch", rest).expect_err(rest);
            assert_eq!(error.code(), "invalid-argument", "{rest}: {error}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
