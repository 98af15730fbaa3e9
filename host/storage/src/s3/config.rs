//! What can be set for an S3 bucket.

use std::env;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use dataknobs_kv_core::{Error, Result};

use crate::location::Settings;
use crate::location::url::{Encoded, Options, ServerUrl, invalid};

/// Whether deleting on a condition is left to the store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConditionalDelete {
    /// Where the store obeys it when tried, and is one of those known to do it atomically.
    #[default]
    Auto,
    /// Where the store obeys it when tried. For stores that are known to *you* to do it atomically.
    Trust,
    /// Never: a deleted entry leaves an object of one byte.
    Never,
}

impl ConditionalDelete {
    const WORDS: [(&str, ConditionalDelete); 3] =
        [("auto", ConditionalDelete::Auto), ("trust", ConditionalDelete::Trust), ("never", ConditionalDelete::Never)];
}

/// As it is written in a connection string.
impl fmt::Display for ConditionalDelete {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ConditionalDelete::Auto => "auto",
            ConditionalDelete::Trust => "trust",
            ConditionalDelete::Never => "never",
        })
    }
}

/// Keys given outright, instead of those that AWS's environment gives.
#[derive(Clone, PartialEq, Eq)]
pub struct S3Keys {
    /// The access key's id.
    pub access_key_id: String,
    /// Its secret.
    pub secret_access_key: String,
    /// The token that belongs to temporary keys.
    pub session_token: Option<String>,
}

/// Secrets stay out of logs.
impl fmt::Debug for S3Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("S3Keys").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

/// The settings of a store in an S3 bucket.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct S3Config {
    /// The bucket, which must exist.
    pub bucket: String,
    /// What all object names begin with, without a slash at its end; empty for none.
    pub prefix: String,
    /// The region; none: `AWS_REGION`, `AWS_DEFAULT_REGION`, or with an endpoint of one's own `us-east-1`.
    pub region: Option<String>,
    /// The store's address, `http://…` or `https://…`; none: `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`, or AWS itself.
    pub endpoint: Option<String>,
    /// Whether the bucket stands in the path rather than in the host's name; none: where there is an endpoint, or a dot
    /// in the bucket's name.
    pub path_style: Option<bool>,
    /// Keys; none: what AWS's environment gives.
    pub keys: Option<S3Keys>,
    /// The longest that one operation may take.
    pub timeout: Duration,
    /// The most requests at once.
    pub concurrency: usize,
    /// Whether `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY` are obeyed. A loopback address never goes through a proxy.
    pub proxy: bool,
    /// A file of certificates (PEM) to trust besides the system's.
    pub tls_ca: Option<PathBuf>,
    /// Whether deleting on a condition is left to the store.
    pub conditional_delete: ConditionalDelete,
}

/// Where the store is, all defaults filled in.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) region: String,
    /// What a request's path is appended to: with the bucket, without a slash at the end.
    pub(super) bucket_url: String,
    /// Of the host that requests go to, without a port.
    pub(super) host: String,
}

impl S3Config {
    /// How long one operation may take where nothing is set.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);
    /// Longer makes no sense: marks of expiry count on writers that give up long before an hour has passed.
    pub const MAX_TIMEOUT: Duration = Duration::from_secs(600);
    /// How many requests may be under way at once where nothing is set.
    pub const DEFAULT_CONCURRENCY: usize = 32;
    /// The longest prefix, in bytes.
    pub const MAX_PREFIX_BYTES: usize = 128;

    /// The defaults, for this bucket.
    pub fn new(bucket: impl Into<String>) -> Self {
        S3Config {
            bucket: bucket.into(),
            prefix: String::new(),
            region: None,
            endpoint: None,
            path_style: None,
            keys: None,
            timeout: Self::DEFAULT_TIMEOUT,
            concurrency: Self::DEFAULT_CONCURRENCY,
            proxy: false,
            tls_ca: None,
            conditional_delete: ConditionalDelete::Auto,
        }
    }

    /// From `s3://KEY:SECRET@BUCKET/PREFIX?OPTIONS`.
    pub(crate) fn from_url(url: ServerUrl) -> Result<Self> {
        let (bucket, port) = url.host("s3")?;
        if port.is_some() {
            return Err(invalid(
                "an `s3:` connection string has no port: `s3://BUCKET/PREFIX?endpoint=http://HOST:PORT`",
            ));
        }
        let mut settings = url.options;
        let path = Some(url.path).filter(|path| !path.is_empty());
        for (name, value) in
            [("bucket", bucket), ("prefix", path), ("access_key_id", url.user), ("secret_access_key", url.password)]
        {
            if let Some(value) = value {
                settings.add(name, value)?;
            }
        }
        Self::from_settings(settings)
    }

    /// From settings by name: the fields of this type, with `access_key_id`, `secret_access_key` and `session_token`.
    pub(crate) fn from_settings(mut settings: Settings) -> Result<Self> {
        let mut config = S3Config::new(settings.required("bucket")?);
        let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':');
        if config.bucket.len() > 255 || !config.bucket.bytes().all(legal) {
            return Err(settings.invalid("bucket", "is the name of a bucket: letters, digits, `.`, `-`"));
        }
        let prefix = settings.text("prefix").unwrap_or_default();
        config.prefix = prefix.trim_end_matches('/').to_owned();
        let bad = |part: &str| part.is_empty() || part == "." || part == ".." || part.len() > 255;
        if config.prefix.len() > Self::MAX_PREFIX_BYTES
            || config.prefix.contains(|c: char| c.is_control() || c == '\\')
            || (!config.prefix.is_empty() && config.prefix.split('/').any(bad))
        {
            let rule = "is at most 128 bytes: names joined by `/`, none of them empty, `.` or `..`, without `\\`";
            return Err(settings.invalid("prefix", rule));
        }
        config.region = settings.text("region").filter(|region| !region.is_empty());
        if config.region.as_ref().is_some_and(|region| !legal_region(region)) {
            return Err(settings.invalid("region", "is a name such as `eu-central-1`"));
        }
        config.endpoint = settings.text("endpoint").filter(|endpoint| !endpoint.is_empty());
        if config.endpoint.as_deref().is_some_and(|endpoint| split_endpoint(endpoint).is_none()) {
            return Err(settings.invalid("endpoint", "is `http://HOST:PORT` or `https://HOST`, and no more"));
        }
        config.path_style = settings.boolean("path_style")?;
        let id = settings.text("access_key_id").filter(|id| !id.is_empty());
        let secret = settings.text("secret_access_key").filter(|secret| !secret.is_empty());
        let session_token = settings.text("session_token").filter(|token| !token.is_empty());
        config.keys = match (id, secret) {
            (Some(access_key_id), Some(secret_access_key)) => {
                Some(S3Keys { access_key_id, secret_access_key, session_token })
            }
            (None, None) if session_token.is_none() => None,
            (None, _) => return Err(settings.invalid("access_key_id", "is missing beside the other keys")),
            (Some(_), None) => return Err(settings.invalid("secret_access_key", "is missing beside `access_key_id`")),
        };
        if let Some(timeout) = settings.seconds("timeout", Self::MAX_TIMEOUT)? {
            config.timeout = timeout;
        }
        if let Some(concurrency) = settings.whole("concurrency", 1, 1024)? {
            config.concurrency = concurrency;
        }
        config.proxy = settings.one_of("proxy", &[("none", false), ("environment", true)])?.unwrap_or(false);
        config.tls_ca = settings.text("tls_ca").filter(|path| !path.is_empty()).map(PathBuf::from);
        config.conditional_delete =
            settings.one_of("conditional_delete", &ConditionalDelete::WORDS)?.unwrap_or_default();
        settings.finish("an S3 store")?;
        Ok(config)
    }

    /// Where the store is. `environment` gives variables.
    pub(super) fn place(&self, environment: impl Fn(&str) -> Option<String>) -> Result<Place> {
        let from = |names: [&str; 2]| names.iter().find_map(|name| environment(name).filter(|text| !text.is_empty()));
        let endpoint = self.endpoint.clone().or_else(|| from(["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]));
        let region = self.region.clone().or_else(|| from(["AWS_REGION", "AWS_DEFAULT_REGION"]));
        let region = match (region, &endpoint) {
            (Some(region), _) if legal_region(&region) => region,
            (Some(_), _) => return Err(invalid("the region that the environment gives is no name of a region")),
            (None, Some(_)) => "us-east-1".to_owned(),
            (None, None) => return Err(invalid("`region` is missing, and `AWS_REGION` and `AWS_DEFAULT_REGION` too")),
        };
        let path_style = self.path_style.unwrap_or(endpoint.is_some() || self.bucket.contains('.'));
        let endpoint = endpoint.unwrap_or_else(|| {
            let top = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
            format!("https://s3.{region}.{top}")
        });
        let Some((scheme, authority)) = split_endpoint(&endpoint) else {
            return Err(invalid("the endpoint that the environment gives is no `http://HOST:PORT` or `https://HOST`"));
        };
        let bucket = &self.bucket;
        let (bucket_url, authority) = match path_style {
            true => (format!("{scheme}{authority}/{bucket}"), authority.to_owned()),
            false => (format!("{scheme}{bucket}.{authority}"), format!("{bucket}.{authority}")),
        };
        Ok(Place { region, bucket_url, host: host(&authority).to_owned() })
    }

    /// What object names begin with, with its slash.
    pub(super) fn root(&self) -> String {
        if self.prefix.is_empty() { String::new() } else { format!("{}/", self.prefix) }
    }
}

fn legal_region(region: &str) -> bool {
    region.len() <= 64 && region.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
}

/// Scheme with its slashes, and authority.
fn split_endpoint(endpoint: &str) -> Option<(&str, &str)> {
    let endpoint = endpoint.strip_suffix('/').unwrap_or(endpoint);
    let authority = endpoint.strip_prefix("https://").or_else(|| endpoint.strip_prefix("http://"))?;
    let scheme = endpoint.strip_suffix(authority)?;
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'[' | b']');
    (!host(authority).is_empty() && authority.bytes().all(legal)).then_some((scheme, authority))
}

/// The host of an authority, without brackets.
fn host(authority: &str) -> &str {
    match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.rsplit_once(':').map_or(authority, |(host, _)| host),
    }
}

/// The connection string, without keys: those come from the environment then.
impl fmt::Display for S3Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let defaults = S3Config::new("");
        let prefix = Encoded(&self.prefix).to_string().replace("%2F", "/");
        write!(f, "s3://{}{}{prefix}", self.bucket, if prefix.is_empty() { "" } else { "/" })?;
        let mut options = Options::default();
        if let Some(region) = &self.region {
            options.add("region", region);
        }
        if let Some(endpoint) = &self.endpoint {
            options.add("endpoint", endpoint);
        }
        if let Some(path_style) = self.path_style {
            options.add("path_style", path_style);
        }
        if self.timeout != defaults.timeout {
            options.add("timeout", self.timeout.as_secs_f64());
        }
        if self.concurrency != defaults.concurrency {
            options.add("concurrency", self.concurrency);
        }
        if self.proxy {
            options.add("proxy", "environment");
        }
        if let Some(file) = &self.tls_ca {
            options.add("tls_ca", file.display());
        }
        if self.conditional_delete != defaults.conditional_delete {
            options.add("conditional_delete", self.conditional_delete);
        }
        write!(f, "{options}")
    }
}

/// The variable's text, where it has one.
pub(super) fn environment(name: &str) -> Option<String> {
    env::var(name).ok()
}

/// Whether requests to this host stay on this machine or its link.
pub(super) fn is_near(host: &str) -> bool {
    match host.parse::<std::net::IpAddr>() {
        Ok(std::net::IpAddr::V4(address)) => address.is_loopback() || address.is_link_local(),
        Ok(std::net::IpAddr::V6(address)) => address.is_loopback() || address.segments().starts_with(&[0xfd00, 0xec2]),
        Err(_) => host.eq_ignore_ascii_case("localhost") || host.ends_with(".localhost"),
    }
}

/// Files that are named in the settings.
pub(super) fn read_file(path: &std::path::Path, setting: &str) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::PermissionDenied => Error::AccessDenied(format!("`{setting}`: {error}")),
        _ => invalid(format!("`{setting}`: {error}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(rest: &str) -> Result<S3Config> {
        S3Config::from_url(ServerUrl::parse("s3", rest)?)
    }

    fn nothing(_: &str) -> Option<String> {
        None
    }

    #[test]
    fn connection_strings_and_their_display() {
        for rest in [
            "//bucket",
            "//bucket/a/b%20c?region=eu-central-1",
            "//b?endpoint=http%3A%2F%2F127.0.0.1%3A1234&path_style=false&timeout=0.5&concurrency=8&proxy=environment",
            "//b?tls_ca=%2Fx.pem&conditional_delete=never",
        ] {
            let config = parse(rest).unwrap();
            assert_eq!(config.to_string(), format!("s3:{rest}"));
        }
        let config = parse("//AK:S%2FK@b/data/?session_token=T").unwrap();
        assert_eq!(config.prefix, "data");
        assert_eq!(config.root(), "data/");
        let keys = config.keys.clone().unwrap();
        assert_eq!((keys.access_key_id.as_str(), keys.secret_access_key.as_str()), ("AK", "S/K"));
        assert_eq!(keys.session_token.as_deref(), Some("T"));
        assert_eq!(config.to_string(), "s3://b/data");
        assert!(!format!("{config:?}").contains("S/K") && !format!("{config:?}").contains("\"T\""));
    }

    #[test]
    fn refusals() {
        for rest in [
            "//",
            "//b:80",
            "//a,b",
            "//b/a//c",
            "//b/..",
            "//b?prefix=x/../y",
            "//b/x?prefix=y",
            "//b?region=a/b",
            "//b?endpoint=127.0.0.1:80",
            "//b?endpoint=ftp://h",
            "//b?endpoint=http://h/path",
            "//b?endpoint=http://me:pw@h",
            "//b?endpoint=http://",
            "//b?path_style=yes",
            "//b?access_key_id=a",
            "//b?secret_access_key=a",
            "//b?session_token=a",
            "//b?timeout=0",
            "//b?timeout=601",
            "//b?concurrency=0",
            "//b?proxy=http://p",
            "//b?conditional_delete=yes",
            "//b?acl=public",
        ] {
            let error = parse(rest).expect_err(rest);
            assert_eq!(error.code(), "invalid-argument", "{rest}: {error}");
        }
        let error = parse("//AK@b?password=hunter2").unwrap_err().to_string();
        assert!(!error.contains("hunter2"));
    }

    #[test]
    fn places() {
        let place = |rest: &str| parse(rest).unwrap().place(nothing).unwrap();
        let aws = place("//b?region=eu-west-1");
        assert_eq!(
            (aws.bucket_url.as_str(), aws.host.as_str()),
            ("https://b.s3.eu-west-1.amazonaws.com", "b.s3.eu-west-1.amazonaws.com")
        );
        assert_eq!(place("//a.b?region=cn-north-1").bucket_url, "https://s3.cn-north-1.amazonaws.com.cn/a.b");
        let own = place("//b?endpoint=http://[::1]:9/");
        assert_eq!(
            (own.bucket_url.as_str(), own.region.as_str(), own.host.as_str()),
            ("http://[::1]:9/b", "us-east-1", "::1")
        );
        assert_eq!(place("//b?endpoint=https://s.example&path_style=false").bucket_url, "https://b.s.example");
        assert!(parse("//b").unwrap().place(nothing).is_err());
        let given = |name: &str| match name {
            "AWS_ENDPOINT_URL" => Some("http://localhost:1".to_owned()),
            "AWS_DEFAULT_REGION" => Some("r".to_owned()),
            _ => None,
        };
        let place = parse("//b").unwrap().place(given).unwrap();
        assert_eq!((place.bucket_url.as_str(), place.region.as_str()), ("http://localhost:1/b", "r"));
    }

    #[test]
    fn near_hosts() {
        for host in ["127.0.0.1", "127.9.9.9", "::1", "localhost", "LOCALHOST", "b.localhost", "169.254.169.254"] {
            assert!(is_near(host), "{host}");
        }
        for host in ["10.0.0.1", "s3.amazonaws.com", "localhost.example"] {
            assert!(!is_near(host), "{host}");
        }
    }
}
