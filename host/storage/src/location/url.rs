//! Connection strings taken apart: `SCHEME://USER:PASSWORD@HOST:PORT,HOST:PORT/PATH?OPTIONS`.
#![cfg_attr(
    not(all(feature = "postgres", feature = "redis", feature = "s3", feature = "elasticsearch")),
    allow(dead_code, reason = "each adapter of a server takes what it needs")
)]

use std::fmt;

use dataknobs_kv_core::{Error, Result};

use super::settings::Settings;

/// What a connection string to a server holds. Messages about it never show more than the names of its options.
#[derive(Default)]
pub(crate) struct ServerUrl {
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
    /// At least one; a host may be empty only where the string names none.
    pub(crate) hosts: Vec<(String, Option<u16>)>,
    /// Without its first slash.
    pub(crate) path: String,
    pub(crate) options: Settings,
}

impl ServerUrl {
    /// Takes apart what stands behind `SCHEME:`.
    pub(crate) fn parse(scheme: &str, rest: &str) -> Result<Self> {
        let Some(rest) = rest.strip_prefix("//") else {
            return Err(invalid(format!("a `{scheme}:` connection string begins with `{scheme}://`")));
        };
        if rest.contains('#') {
            return Err(invalid(format!("in a `{scheme}:` connection string `#` is written `%23`")));
        }
        let (rest, options) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, hosts) = match authority.rsplit_once('@') {
            Some((login, hosts)) => (Some(login), hosts),
            None => (None, authority),
        };
        let mut url = ServerUrl { options: Settings::from_query(options)?, ..ServerUrl::default() };
        url.path = decode(path, "path")?;
        if let Some(login) = login {
            let (user, password) = match login.split_once(':') {
                Some((user, password)) => (user, Some(password)),
                None => (login, None),
            };
            url.user = Some(decode(user, "user")?).filter(|user| !user.is_empty());
            url.password = password.map(|password| decode(password, "password")).transpose()?;
        }
        for host in hosts.split(',') {
            url.hosts.push(split_host(scheme, host)?);
        }
        Ok(url)
    }

    /// The one host; none where the string names none.
    pub(crate) fn host(&self, scheme: &str) -> Result<(Option<String>, Option<u16>)> {
        match self.hosts.as_slice() {
            [(host, port)] => Ok((Some(host.clone()).filter(|host| !host.is_empty()), *port)),
            _ => Err(invalid(format!("a `{scheme}:` connection string names one host"))),
        }
    }

    /// Adds what stands outside the options to them, where it is there, under these names.
    pub(crate) fn into_settings(mut self, scheme: &str, path_name: Option<&'static str>) -> Result<Settings> {
        let (host, port) = self.host(scheme)?;
        let port = port.map(|port| port.to_string());
        for (name, value) in [("user", self.user), ("password", self.password), ("host", host), ("port", port)] {
            if let Some(value) = value {
                self.options.add(name, value)?;
            }
        }
        match path_name {
            _ if self.path.is_empty() => {}
            Some(name) => self.options.add(name, self.path)?,
            None => return Err(invalid(format!("a `{scheme}:` connection string has no path"))),
        }
        Ok(self.options)
    }
}

fn split_host(scheme: &str, text: &str) -> Result<(String, Option<u16>)> {
    let bad =
        || invalid(format!("a `{scheme}:` connection string names its host as `HOST`, `HOST:PORT` or `[IPV6]:PORT`"));
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']').ok_or_else(bad)? {
            (host, "") => (host.to_owned(), None),
            (host, port) => (host.to_owned(), Some(port.strip_prefix(':').ok_or_else(bad)?)),
        },
        None => {
            let (host, port) = text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)));
            (decode(host, "host")?, port)
        }
    };
    let port = match port {
        None => None,
        Some(port) => Some(port.parse().ok().filter(|port| *port > 0).ok_or_else(bad)?),
    };
    if host.is_empty() && port.is_some() {
        return Err(bad());
    }
    Ok((host, port))
}

pub(crate) fn invalid(message: impl Into<String>) -> Error {
    Error::InvalidArgument(message.into())
}

/// Percent-decoding; `+` is a plus sign.
pub(crate) fn decode(text: &str, what: &str) -> Result<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || rest.next().and_then(|b| char::from(b).to_digit(16)).and_then(|d| u8::try_from(d).ok());
        match (digit(), digit()) {
            (Some(high), Some(low)) => bytes.push(high << 4 | low),
            _ => return Err(invalid(format!("{what}: after `%` come two hexadecimal digits (a `%` itself is `%25`)"))),
        }
    }
    String::from_utf8(bytes).map_err(|_| invalid(format!("{what}: not UTF-8 after percent-decoding")))
}

/// Writes a text so that it can stand in any part of a connection string and [`decode`] gives it back.
pub(crate) struct Encoded<'a>(pub(crate) &'a str);

impl fmt::Display for Encoded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0.bytes() {
            match byte {
                b'-' | b'.' | b'_' | b'~' => write!(f, "{}", char::from(byte))?,
                byte if byte.is_ascii_alphanumeric() => write!(f, "{}", char::from(byte))?,
                byte => write!(f, "%{byte:02X}")?,
            }
        }
        Ok(())
    }
}

/// Options, as they are written behind a connection string: `?a=1&b=2`.
#[derive(Default)]
pub(crate) struct Options {
    text: String,
    /// Whether others stand before them.
    more: bool,
}

impl Options {
    /// To stand behind this, which may end in options already.
    pub(crate) fn behind(url: &str) -> Self {
        Options { text: String::new(), more: url.contains('?') }
    }

    pub(crate) fn add(&mut self, name: &str, value: impl fmt::Display) {
        self.text.push(if self.text.is_empty() && !self.more { '?' } else { '&' });
        self.text.push_str(&format!("{name}={}", Encoded(&value.to_string())));
    }
}

impl fmt::Display for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts() {
        let url = ServerUrl::parse("x", "//me:p%40%3A@host:12/a%20b/c?z=1").unwrap();
        assert_eq!((url.user.as_deref(), url.password.as_deref()), (Some("me"), Some("p@:")));
        assert_eq!(url.hosts, [("host".to_owned(), Some(12))]);
        assert_eq!(url.path, "a b/c");
        let url = ServerUrl::parse("x", "//:pw@a:1,[::1]:2,c").unwrap();
        assert_eq!(url.user, None);
        assert_eq!(url.hosts, [("a".to_owned(), Some(1)), ("::1".to_owned(), Some(2)), ("c".to_owned(), None)]);
        assert!(url.host("x").is_err());
        let mut settings =
            ServerUrl::parse("x", "//u:p@h:1/d?q=2").unwrap().into_settings("x", Some("database")).unwrap();
        for (name, value) in
            [("user", "u"), ("password", "p"), ("host", "h"), ("port", "1"), ("database", "d"), ("q", "2")]
        {
            assert_eq!(settings.text(name).as_deref(), Some(value), "{name}");
        }
    }

    #[test]
    fn refusals_show_nothing() {
        for rest in
            ["hunter2", "//hunter2:0/", "//h:hunter2/", "//[hunter2/", "//[::1]hunter2/", "//:1", "//a/#hunter2"]
        {
            let Err(error) = ServerUrl::parse("x", rest) else { panic!("{rest}") };
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
        let twice = ServerUrl::parse("x", "//a:hunter2@h/?password=hunter2").unwrap().into_settings("x", None);
        assert!(!twice.err().unwrap().to_string().contains("hunter2"));
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        let text = "a/b?c#d%e@f:g é\u{1}";
        assert_eq!(decode(&Encoded(text).to_string(), "x").unwrap(), text);
    }
}
