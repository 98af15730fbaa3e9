//! What can be set for a PostgreSQL store.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use dataknobs_kv_core::Result;

use crate::location::Settings;
use crate::location::url::{Encoded, Options, ServerUrl};

/// When a connection is encrypted, and whether the server has to prove who it is. The words are libpq's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SslMode {
    /// Never encrypted.
    Disable,
    /// Encrypted where the server can. Protects from no one who can change what is on the wire.
    #[default]
    Prefer,
    /// Always encrypted, whoever answers.
    Require,
    /// Always encrypted, and the certificate must be of the host's name and of an authority that is trusted.
    VerifyFull,
}

impl SslMode {
    const WORDS: [(&str, SslMode); 4] = [
        ("disable", SslMode::Disable),
        ("prefer", SslMode::Prefer),
        ("require", SslMode::Require),
        ("verify-full", SslMode::VerifyFull),
    ];
}

/// As it is written in a connection string.
impl fmt::Display for SslMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = Self::WORDS.iter().find(|(_, mode)| mode == self);
        f.write_str(word.map_or("prefer", |(word, _)| word))
    }
}

/// The settings of a PostgreSQL store.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PostgresConfig {
    /// A name, an address, or the folder of a Unix socket (it begins with `/`).
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The role to log in as; none: named as the operating system's user.
    pub user: Option<String>,
    /// Its password; none: what `PGPASSWORD` says, if anything.
    pub password: Option<String>,
    /// The database; none: named as the user.
    pub database: Option<String>,
    /// The table, `NAME` or `SCHEMA.NAME`.
    pub table: String,
    /// The most connections that are open at a time.
    pub pool_size: usize,
    /// How long opening a connection may take.
    pub connect_timeout: Duration,
    /// How long one call may take in all.
    pub timeout: Duration,
    /// Encryption.
    pub ssl_mode: SslMode,
    /// With [`SslMode::VerifyFull`]: a PEM file with the authorities to trust; none: the operating system's.
    pub ssl_root_cert: Option<PathBuf>,
    /// Whether statements are prepared once for each connection. Without, each call plans anew, and works through a
    /// pooler that hands out another connection for every transaction.
    pub prepared_statements: bool,
}

impl PostgresConfig {
    /// The table where none is named.
    pub const DEFAULT_TABLE: &str = "kv_store";
    /// The port where none is named.
    pub const DEFAULT_PORT: u16 = 5432;
    /// The most connections where nothing is said.
    pub const DEFAULT_POOL_SIZE: usize = 16;
    /// A table's own name has room for `_expiry` and `_write_1` behind it in PostgreSQL's 63 bytes.
    const MAX_NAME_BYTES: usize = 48;
    const LONGEST_TIMEOUT: Duration = Duration::from_secs(3600);

    /// The defaults, for this host.
    pub fn new(host: impl Into<String>) -> Self {
        PostgresConfig {
            host: host.into(),
            port: Self::DEFAULT_PORT,
            user: None,
            password: None,
            database: None,
            table: Self::DEFAULT_TABLE.to_owned(),
            pool_size: Self::DEFAULT_POOL_SIZE,
            connect_timeout: Duration::from_secs(5),
            timeout: Duration::from_secs(10),
            ssl_mode: SslMode::default(),
            ssl_root_cert: None,
            prepared_statements: true,
        }
    }

    /// From what follows `postgres:`.
    pub(crate) fn from_url(rest: &str) -> Result<Self> {
        Self::from_settings(ServerUrl::parse("postgres", rest)?.into_settings("postgres", Some("database"))?)
    }

    /// From settings by name.
    pub(crate) fn from_settings(mut settings: Settings) -> Result<Self> {
        let filled = |text: Option<String>| text.filter(|text| !text.is_empty());
        let mut config = Self::new(filled(settings.text("host")).unwrap_or_else(|| "localhost".to_owned()));
        if let Some(port) = settings.whole("port", 1, u16::MAX)? {
            config.port = port;
        }
        config.user = filled(settings.text("user"));
        config.password = settings.text("password");
        config.database = filled(settings.text("database"));
        if let Some(table) = settings.text("table") {
            config.table = table;
        }
        if let Some(size) = settings.whole("pool_size", 1, 1000)? {
            config.pool_size = size;
        }
        if let Some(span) = settings.seconds("connect_timeout", Self::LONGEST_TIMEOUT)? {
            config.connect_timeout = span;
        }
        if let Some(span) = settings.seconds("timeout", Self::LONGEST_TIMEOUT)? {
            config.timeout = span;
        }
        config.ssl_mode = settings.one_of("sslmode", &SslMode::WORDS)?.unwrap_or_default();
        config.ssl_root_cert = filled(settings.text("sslrootcert")).map(PathBuf::from);
        if let Some(prepared) = settings.boolean("prepared_statements")? {
            config.prepared_statements = prepared;
        }
        for (name, text) in [
            ("host", Some(&config.host)),
            ("user", config.user.as_ref()),
            ("password", config.password.as_ref()),
            ("database", config.database.as_ref()),
        ] {
            if text.is_some_and(|text| text.contains('\0')) {
                return Err(settings.invalid(name, "holds no NUL"));
            }
        }
        if config.split_table().is_none() {
            let rule = format!(
                "is `NAME` or `SCHEMA.NAME`, each 1 to {} bytes without control characters",
                Self::MAX_NAME_BYTES
            );
            return Err(settings.invalid("table", &rule));
        }
        if config.ssl_root_cert.is_some() && config.ssl_mode != SslMode::VerifyFull {
            return Err(settings.invalid("sslrootcert", "goes with `sslmode=verify-full`: nothing else looks at it"));
        }
        settings.finish("a PostgreSQL store")?;
        Ok(config)
    }

    /// Schema, where one is named, and table.
    pub(super) fn split_table(&self) -> Option<(Option<&str>, &str)> {
        let (schema, table) = match self.table.split_once('.') {
            Some((schema, table)) => (Some(schema), table),
            None => (None, self.table.as_str()),
        };
        let legal = |name: &str| {
            (1..=Self::MAX_NAME_BYTES).contains(&name.len())
                && !name.contains('.')
                && !name.chars().any(char::is_control)
        };
        (schema.is_none_or(legal) && legal(table)).then_some((schema, table))
    }
}

/// A connection string without the password. It can be parsed again.
impl fmt::Display for PostgresConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("postgres://")?;
        if let Some(user) = &self.user {
            write!(f, "{}@", Encoded(user))?;
        }
        match self.host.contains(':') {
            true => write!(f, "[{}]", self.host)?,
            false => write!(f, "{}", Encoded(&self.host))?,
        }
        let defaults = Self::new("");
        if self.port != defaults.port {
            write!(f, ":{}", self.port)?;
        }
        if let Some(database) = &self.database {
            write!(f, "/{}", Encoded(database))?;
        }
        let mut options = Options::default();
        if self.table != defaults.table {
            options.add("table", &self.table);
        }
        if self.pool_size != defaults.pool_size {
            options.add("pool_size", self.pool_size);
        }
        if self.connect_timeout != defaults.connect_timeout {
            options.add("connect_timeout", self.connect_timeout.as_secs_f64());
        }
        if self.timeout != defaults.timeout {
            options.add("timeout", self.timeout.as_secs_f64());
        }
        if self.ssl_mode != defaults.ssl_mode {
            options.add("sslmode", self.ssl_mode);
        }
        if let Some(path) = &self.ssl_root_cert {
            options.add("sslrootcert", path.display());
        }
        if self.prepared_statements != defaults.prepared_statements {
            options.add("prepared_statements", self.prepared_statements);
        }
        options.fmt(f)
    }
}

/// As [`Display`](fmt::Display): the password stays out of logs.
impl fmt::Debug for PostgresConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresConfig({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(rest: &str) -> String {
        PostgresConfig::from_url(rest).expect_err(rest).to_string()
    }

    #[test]
    fn everything_comes_from_the_url() {
        let config = PostgresConfig::from_url(
            "//me:p%40ss@db.example:6543/kv?table=app.entries&pool_size=3&connect_timeout=0.5&timeout=2&\
             sslmode=verify-full&sslrootcert=/etc/ca.pem&prepared_statements=false",
        )
        .unwrap();
        assert_eq!((config.host.as_str(), config.port), ("db.example", 6543));
        assert_eq!((config.user.as_deref(), config.password.as_deref()), (Some("me"), Some("p@ss")));
        assert_eq!(config.database.as_deref(), Some("kv"));
        assert_eq!(config.split_table(), Some((Some("app"), "entries")));
        assert_eq!((config.pool_size, config.prepared_statements), (3, false));
        assert_eq!((config.connect_timeout, config.timeout), (Duration::from_millis(500), Duration::from_secs(2)));
        assert_eq!(config.ssl_mode, SslMode::VerifyFull);
        assert_eq!(PostgresConfig::from_url("//").unwrap(), PostgresConfig::new("localhost"));
        assert_eq!(PostgresConfig::from_url("//%2Frun%2Fpg/kv").unwrap().host, "/run/pg");
    }

    #[test]
    fn it_is_shown_without_its_password_and_parses_again() {
        for rest in [
            "//localhost",
            "//me@[::1]:6543/a%20b?table=t%C3%A9&pool_size=3",
            "//%2Frun/kv?connect_timeout=0.5&timeout=2.5&sslmode=verify-full&sslrootcert=%2Fca.pem&prepared_statements=false",
        ] {
            let config = PostgresConfig::from_url(rest).unwrap();
            assert_eq!(config.to_string(), format!("postgres:{rest}"));
            assert_eq!(PostgresConfig::from_url(rest).unwrap(), config);
        }
        let config = PostgresConfig::from_url("//me:hunter2@h/kv").unwrap();
        assert_eq!(config.to_string(), "postgres://me@h/kv");
        assert!(!format!("{config:?}").contains("hunter2"));
    }

    #[test]
    fn refusals() {
        for (rest, named) in [
            ("localhost", "postgres://"),
            ("//a,b/kv", "one host"),
            ("//h/kv?table=", "`table`"),
            ("//h/kv?table=a.b.c", "`table`"),
            ("//h/kv?table=a%00", "`table`"),
            ("//h/kv?pool_size=0", "`pool_size`"),
            ("//h/kv?timeout=0", "`timeout`"),
            ("//h/kv?sslmode=allow", "`sslmode`"),
            ("//h/kv?sslmode=require&sslrootcert=x", "`sslrootcert`"),
            ("//h/kv?passwort=hunter2", "`passwort`"),
            ("//u:hunter2%00@h/kv", "`password`"),
            ("//u:hunter2@h/kv?password=hunter2", "`password`"),
        ] {
            let message = refusal(rest);
            assert!(message.starts_with("invalid-argument: ") && message.contains(named), "{rest}: {message}");
            assert!(!message.contains("hunter2"), "{message}");
        }
        let long = "x".repeat(49);
        assert!(refusal(&format!("//h/kv?table={long}")).contains("48 bytes"));
    }
}
