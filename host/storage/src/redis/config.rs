//! What can be set for a Redis store.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dataknobs_kv_core::{Error, Result};
use redis::{
    Client, ClientTlsConfig, ConnectionAddr, IntoConnectionInfo, ProtocolVersion, RedisConnectionInfo, TlsCertificates,
};

use super::link::Node;
use crate::location::Settings;
use crate::location::url::{Encoded, Options, ServerUrl, invalid};

/// Whether acknowledged writes count as durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum RedisDurability {
    /// As the servers' own settings have it: with `appendonly yes`, `appendfsync always`, and nothing evicted.
    #[default]
    Auto,
    /// Yes: whoever sets it vouches for it (a managed service with a durable log of its own).
    Durable,
    /// No.
    Volatile,
}

impl RedisDurability {
    const WORDS: [(&str, RedisDurability); 3] = [
        ("auto", RedisDurability::Auto),
        ("durable", RedisDurability::Durable),
        ("volatile", RedisDurability::Volatile),
    ];
}

/// The settings of a Redis store.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RedisConfig {
    /// The server; of a cluster, one or more of its servers.
    pub hosts: Vec<(String, u16)>,
    /// Whether it is a cluster.
    pub cluster: bool,
    /// The number of the database. A cluster has only 0.
    pub db: u32,
    /// Who we are; none: the server's default user.
    pub user: Option<String>,
    /// The password.
    pub password: Option<String>,
    /// What the names of all keys begin with: 1 to 64 letters, digits and `_ - . :`.
    pub prefix: String,
    /// Over how many places each namespace is spread; 1: it lies in one slot. 1 to 128.
    pub shards: u16,
    /// Whether to speak TLS.
    pub tls: bool,
    /// A file of certificates (PEM) to trust instead of the system's.
    pub tls_ca: Option<PathBuf>,
    /// Our own certificate and its key (PEM), where the server wants one.
    pub tls_identity: Option<(PathBuf, PathBuf)>,
    /// How long a request may take in all.
    pub timeout: Duration,
    /// How long making a connection may take.
    pub connect_timeout: Duration,
    /// How many connections are kept to a server.
    pub pool_size: usize,
    /// How long after `expires_at` Redis removes an entry by itself: more than clocks ever differ.
    pub expiry_margin: Duration,
    /// Whether acknowledged writes count as durable.
    pub durability: RedisDurability,
}

const LONGEST_TIMEOUT: Duration = Duration::from_secs(3600);
const LONGEST_MARGIN: Duration = Duration::from_secs(30 * 24 * 3600);

impl RedisConfig {
    /// The port where none is named.
    pub const DEFAULT_PORT: u16 = 6379;
    /// The most shards.
    pub const MAX_SHARDS: u16 = 128;

    /// The defaults, for this server.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        RedisConfig {
            hosts: vec![(host.into(), port)],
            cluster: false,
            db: 0,
            user: None,
            password: None,
            prefix: "kv".into(),
            shards: 1,
            tls: false,
            tls_ca: None,
            tls_identity: None,
            timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(5),
            pool_size: 1,
            expiry_margin: Duration::from_secs(3600),
            durability: RedisDurability::Auto,
        }
    }

    /// From a connection string: `redis://[USER:PASSWORD@]HOST[:PORT][/DB][?OPTIONS]`, with TLS `rediss://`; a cluster
    /// `redis-cluster://[USER:PASSWORD@]HOST:PORT,HOST:PORT`, with TLS `rediss-cluster://`.
    pub(crate) fn from_url(scheme: &str, mut url: ServerUrl) -> Result<Self> {
        let mut settings = if scheme.ends_with("-cluster") {
            let hosts: Vec<_> =
                url.hosts.drain(..).map(|(host, port)| join_host(&host, port.unwrap_or(Self::DEFAULT_PORT))).collect();
            url.hosts.push((String::new(), None));
            let mut settings = url.into_settings(scheme, Some("db"))?;
            settings.add("hosts", hosts.join(","))?;
            settings
        } else {
            url.into_settings(scheme, Some("db"))?
        };
        if scheme.starts_with("rediss") {
            settings.add("tls", "true")?;
        }
        Self::from_settings(settings)
    }

    /// From settings by name: `host` and `port`, or of a cluster `hosts`; `db`, `user`, `password`, `prefix`, `shards`,
    /// `tls`, `tls_ca`, `tls_cert`, `tls_key`, `timeout`, `connect_timeout`, `pool_size`, `expiry_margin`, `durability`.
    pub(crate) fn from_settings(mut settings: Settings) -> Result<Self> {
        let mut config = RedisConfig::new("localhost", Self::DEFAULT_PORT);
        let host = settings.text("host");
        let port = settings.whole("port", 1, u16::MAX)?;
        match settings.text("hosts") {
            None => {
                let host = host.filter(|host| !host.is_empty()).unwrap_or_else(|| "localhost".into());
                config.hosts = vec![(host, port.unwrap_or(Self::DEFAULT_PORT))];
            }
            Some(_) if host.is_some() || port.is_some() => {
                return Err(settings.invalid("hosts", "names the servers of a cluster, and then there is no `host`"));
            }
            Some(hosts) => {
                config.cluster = true;
                let hosts = ServerUrl::parse("redis-cluster", &format!("//{hosts}"))
                    .map_err(|_| settings.invalid("hosts", "is `HOST:PORT,HOST:PORT`"))?
                    .hosts;
                config.hosts = hosts
                    .into_iter()
                    .map(|(host, port)| {
                        let host = if host.is_empty() { "localhost".into() } else { host };
                        (host, port.unwrap_or(Self::DEFAULT_PORT))
                    })
                    .collect();
            }
        }
        config.db = settings.whole("db", 0, 0x7fff_ffff)?.unwrap_or(0);
        if config.cluster && config.db != 0 {
            return Err(settings.invalid("db", "is 0 in a Redis Cluster"));
        }
        config.user = settings.text("user").filter(|user| !user.is_empty());
        config.password = settings.text("password").filter(|password| !password.is_empty());
        if let Some(prefix) = settings.text("prefix") {
            let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b':');
            if prefix.is_empty() || prefix.len() > 64 || !prefix.bytes().all(legal) {
                return Err(settings.invalid("prefix", "is 1 to 64 letters, digits and `_ - . :`"));
            }
            config.prefix = prefix;
        }
        config.shards = settings.whole("shards", 1, Self::MAX_SHARDS)?.unwrap_or(1);
        config.tls = settings.boolean("tls")?.unwrap_or(false);
        config.tls_ca = settings.text("tls_ca").map(PathBuf::from);
        config.tls_identity = match (settings.text("tls_cert"), settings.text("tls_key")) {
            (Some(certificate), Some(key)) => Some((certificate.into(), key.into())),
            (None, None) => None,
            _ => return Err(settings.invalid("tls_cert", "and `tls_key` come together")),
        };
        if !config.tls && (config.tls_ca.is_some() || config.tls_identity.is_some()) {
            return Err(settings.invalid("tls", "is off, and so there is no use for certificates"));
        }
        let defaults = config.clone();
        config.timeout = settings.seconds("timeout", LONGEST_TIMEOUT)?.unwrap_or(defaults.timeout);
        config.connect_timeout =
            settings.seconds("connect_timeout", LONGEST_TIMEOUT)?.unwrap_or(defaults.connect_timeout);
        config.pool_size = settings.whole("pool_size", 1, 256)?.unwrap_or(defaults.pool_size);
        config.expiry_margin = settings.seconds("expiry_margin", LONGEST_MARGIN)?.unwrap_or(defaults.expiry_margin);
        config.durability = settings.one_of("durability", &RedisDurability::WORDS)?.unwrap_or_default();
        settings.finish("Redis")?;
        Ok(config)
    }

    /// A server of this store.
    pub(super) fn node(&self, host: &str, port: u16) -> Result<Node> {
        let mut login = RedisConnectionInfo::default().set_db(self.db.into()).set_protocol(ProtocolVersion::RESP3);
        if let Some(user) = &self.user {
            if self.password.is_none() {
                return Err(invalid("`user` needs a `password` beside it"));
            }
            login = login.set_username(user);
        }
        if let Some(password) = &self.password {
            login = login.set_password(password);
        }
        let address = if self.tls {
            crate::tls::install();
            ConnectionAddr::TcpTls { host: host.to_owned(), port, insecure: false, tls_params: None }
        } else {
            ConnectionAddr::Tcp(host.to_owned(), port)
        };
        let name = join_host(host, port);
        let bad = |error: redis::RedisError| invalid(format!("{name}: {error}"));
        let info = address.into_connection_info().map_err(bad)?.set_redis_settings(login);
        let client = if self.tls_ca.is_some() || self.tls_identity.is_some() {
            let client_tls = match &self.tls_identity {
                None => None,
                Some((certificate, key)) => Some(ClientTlsConfig {
                    client_cert: read("tls_cert", certificate)?,
                    client_key: read("tls_key", key)?,
                }),
            };
            let root_cert = self.tls_ca.as_deref().map(|path| read("tls_ca", path)).transpose()?;
            Client::build_with_tls(info, TlsCertificates { client_tls, root_cert }).map_err(bad)?
        } else {
            Client::open(info).map_err(bad)?
        };
        Ok(Node::new(client, name, self.connect_timeout, self.pool_size))
    }
}

fn read(setting: &str, path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|error| Error::InvalidArgument(format!("`{setting}`: {}: {error}", path.display())))
}

fn join_host(host: &str, port: u16) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// A connection string without the password.
impl fmt::Display for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.tls { "rediss" } else { "redis" })?;
        f.write_str(if self.cluster { "-cluster://" } else { "://" })?;
        if let Some(user) = &self.user {
            write!(f, "{}@", Encoded(user))?;
        }
        for (at, (host, port)) in self.hosts.iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            write!(f, "{comma}{}", join_host(host, *port))?;
        }
        if !self.cluster {
            write!(f, "/{}", self.db)?;
        }
        let defaults = RedisConfig::new("", 0);
        let mut options = Options::default();
        let mut add = |name: &str, value: String, default: String| {
            if value != default {
                options.add(name, value);
            }
        };
        add("prefix", self.prefix.clone(), defaults.prefix);
        add("shards", self.shards.to_string(), defaults.shards.to_string());
        let seconds = |span: Duration| span.as_secs_f64().to_string();
        add("timeout", seconds(self.timeout), seconds(defaults.timeout));
        add("connect_timeout", seconds(self.connect_timeout), seconds(defaults.connect_timeout));
        add("pool_size", self.pool_size.to_string(), defaults.pool_size.to_string());
        add("expiry_margin", seconds(self.expiry_margin), seconds(defaults.expiry_margin));
        let word = |durability| {
            let found = RedisDurability::WORDS.iter().find(|(_, known)| *known == durability);
            found.map_or("", |(word, _)| word).to_owned()
        };
        add("durability", word(self.durability), word(defaults.durability));
        let path = |path: Option<&PathBuf>| path.map(|path| path.display().to_string()).unwrap_or_default();
        add("tls_ca", path(self.tls_ca.as_ref()), String::new());
        add("tls_cert", path(self.tls_identity.as_ref().map(|(certificate, _)| certificate)), String::new());
        add("tls_key", path(self.tls_identity.as_ref().map(|(_, key)| key)), String::new());
        options.fmt(f)
    }
}

/// As [`Display`](fmt::Display): without the password.
impl fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisConfig({self})")
    }
}
