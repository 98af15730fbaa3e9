//! Who may come in: bearer tokens, and what keeps web pages of others out.

use std::fmt;
use std::net::IpAddr;
use std::path::Path;

use axum::http::header::{AUTHORIZATION, HOST, HeaderMap, HeaderValue, ORIGIN, WWW_AUTHENTICATE};
use axum::http::{StatusCode, Uri};
use dataknobs_kv_core::{Error, Result};
use subtle::ConstantTimeEq;

use crate::app::App;
use crate::problem::Failure;

/// A bearer token. Never shown.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    /// 1 to 4096 visible ASCII characters without spaces.
    pub fn new(text: &str) -> Result<Self> {
        if text.is_empty() || text.len() > 4096 || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::InvalidArgument("a token is 1 to 4096 visible ASCII characters without spaces".into()));
        }
        Ok(Token(text.to_owned()))
    }

    /// Reads a file with a token on each line; empty lines and lines that begin with `#` are skipped. At least one.
    pub fn read_file(path: &Path) -> Result<Vec<Self>> {
        let name = path.display();
        let text = std::fs::read_to_string(path)
            .map_err(|error| Error::InvalidArgument(format!("token file {name}: {error}")))?;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let tokens = lines
            .map(Token::new)
            .collect::<Result<Vec<_>>>()
            .map_err(|error| Error::InvalidArgument(format!("token file {name}: {}", error.message())))?;
        if tokens.is_empty() {
            return Err(Error::InvalidArgument(format!("token file {name}: there is no token in it")));
        }
        Ok(tokens)
    }

    fn is(&self, given: &str) -> bool {
        self.0.as_bytes().ct_eq(given.as_bytes()).into()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// Paths that probes use, without a token.
fn open(path: &str) -> bool {
    matches!(path, "/healthz" | "/readyz")
}

impl App {
    /// Whether the request may go on.
    pub(crate) fn admit(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Failure> {
        self.check_origin(uri, headers)?;
        if self.tokens.is_empty() {
            return self.check_host(uri, headers);
        }
        if open(uri.path()) || self.page.has(uri.path()) {
            return Ok(());
        }
        let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(|value| {
            let (scheme, token) = value.split_once(' ')?;
            scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
        });
        // All tokens are looked at: the time tells nothing of which one it was.
        let known = given.is_some_and(|given| self.tokens.iter().fold(false, |known, token| known | token.is(given)));
        if known {
            return Ok(());
        }
        let message = if given.is_some() { "the bearer token is not known" } else { "a bearer token is needed" };
        Err(Failure::from(Error::AccessDenied(message.into()))
            .with_status(StatusCode::UNAUTHORIZED)
            .with_header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")))
    }

    /// Browsers send `Origin` with whatever could change something: other pages than those allowed are refused, also
    /// where the browser would not ask first.
    fn check_origin(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Failure> {
        let Some(origin) = headers.get(ORIGIN) else {
            return Ok(());
        };
        let origin = origin.to_str().unwrap_or_default();
        let own = host(uri, headers).is_some_and(|host| {
            origin.split_once("://").is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(host))
        });
        if own || self.allow_origins.iter().any(|allowed| allowed == origin) {
            return Ok(());
        }
        Err(Error::AccessDenied("this origin is not allowed".into()).into())
    }

    fn check_host(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Failure> {
        let Some(host) = host(uri, headers) else {
            return Ok(());
        };
        let name = match host.strip_prefix('[') {
            Some(rest) => rest.split(']').next().unwrap_or_default(),
            None => host.rsplit_once(':').map_or(host, |(name, _)| name),
        };
        let loopback = name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        if loopback
            || name.eq_ignore_ascii_case("localhost")
            || self.allow_hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(name))
        {
            return Ok(());
        }
        Err(Error::AccessDenied("without a token this service is reached as localhost only".into()).into())
    }
}

/// The host that the request names.
fn host<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
    uri.authority()
        .map(|authority| authority.as_str())
        .or_else(|| headers.get(HOST).map(|host| host.to_str().unwrap_or("?")))
}
