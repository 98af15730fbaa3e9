//! Requests out, answers and errors in.

use std::fmt;
#[cfg(target_family = "wasm")]
use std::sync::Arc;
#[cfg(target_family = "wasm")]
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dataknobs_kv_core::wire::{self, Problem, header};
use dataknobs_kv_core::{Error, Result, key};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method};
use serde::de::DeserializeOwned;
use url::Url;

/// How to connect.
#[derive(Clone)]
pub struct HttpOptions {
    /// The bearer token, where the service asks for one. Never shown.
    pub token: Option<String>,
    /// How long one request may take in all. Longer than the service's own limit (30 s), so that its answer comes first.
    pub timeout: Duration,
    /// How long connecting may take. (Browsers decide for themselves.)
    pub connect_timeout: Duration,
}

impl Default for HttpOptions {
    fn default() -> Self {
        HttpOptions { token: None, timeout: Duration::from_secs(90), connect_timeout: Duration::from_secs(10) }
    }
}

impl fmt::Debug for HttpOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpOptions")
            .field("token", &self.token.as_ref().map(|_| "…"))
            .field("timeout", &self.timeout)
            .field("connect_timeout", &self.connect_timeout)
            .finish()
    }
}

/// A store that a service keeps. Cheap to clone; clones share connections.
#[derive(Clone)]
pub struct HttpStore {
    client: Client,
    /// Without a slash at the end.
    base: String,
    token: Option<HeaderValue>,
    timeout: Duration,
    /// Whether the service answered when it was last asked.
    #[cfg(target_family = "wasm")]
    answered: Arc<AtomicBool>,
}

impl fmt::Debug for HttpStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpStore").field("base", &self.base).finish_non_exhaustive()
    }
}

/// Whether an unanswered request may have changed something.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write,
}

/// What is sent.
pub(crate) struct Outgoing {
    method: Method,
    access: Access,
    path: String,
    headers: HeaderMap,
    body: Option<Vec<u8>>,
}

/// What came back, and is no error: a success, an absent entry, a lost race.
pub(crate) enum Answer {
    Success(HeaderMap, Vec<u8>),
    Absent,
    Conflict(Box<Problem>),
}

impl HttpStore {
    /// Prepares to talk to the service at this address: nothing is sent yet. `invalid-argument` where it is no address
    /// of a service, `unsupported` for https outside of browsers.
    pub fn connect(address: &str, options: HttpOptions) -> Result<Self> {
        // The address may hold a password by mistake: messages do not repeat it.
        let invalid = |rule: &str| Error::InvalidArgument(format!("service address: {rule}"));
        let url = Url::parse(address).map_err(|error| invalid(&error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
            return Err(invalid("http://HOST:PORT is expected"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(invalid("no user or password: give a token"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(invalid("no query and no fragment"));
        }
        if cfg!(not(target_family = "wasm")) && url.scheme() == "https" {
            return Err(Error::Unsupported("https: this client is built without TLS; let a local proxy add it".into()));
        }
        let token = options
            .token
            .map(|token| {
                let mut value = HeaderValue::try_from(format!("Bearer {token}"))
                    .ok()
                    .filter(|_| !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic()))
                    .ok_or_else(|| Error::InvalidArgument("a token is visible ASCII without spaces".into()))?;
                value.set_sensitive(true);
                Ok::<_, Error>(value)
            })
            .transpose()?;
        let client = client(&url, options.connect_timeout)
            .map_err(|error| Error::Internal(format!("HTTP client: {}", error.without_url())))?;
        let base = url.as_str().trim_end_matches('/').to_owned();
        Ok(HttpStore {
            client,
            base,
            token,
            timeout: options.timeout,
            #[cfg(target_family = "wasm")]
            answered: Arc::new(AtomicBool::new(false)),
        })
    }

    /// A request about a namespace: `what` follows it in the path.
    pub(crate) fn about(&self, access: Access, method: Method, namespace: &str, what: &str) -> Result<Outgoing> {
        key::validate_namespace(namespace)?;
        // As segments of a path these two would be taken for directions.
        let special = matches!(namespace, "." | "..");
        let segment = if special { "-".into() } else { header::percent_encode(namespace) };
        let outgoing = self.request(access, method, format!("/v1/{segment}{what}"));
        Ok(if special { outgoing.header(header::NAMESPACE, namespace)? } else { outgoing })
    }

    /// A request about one entry.
    pub(crate) fn at(
        &self,
        access: Access,
        method: Method,
        namespace: &str,
        what: &str,
        key: &str,
    ) -> Result<Outgoing> {
        key::validate(key)?;
        self.about(access, method, namespace, &format!("/{what}/{}", header::percent_encode(key)))
    }

    /// Any other request.
    pub(crate) fn request(&self, access: Access, method: Method, path: String) -> Outgoing {
        Outgoing { method, access, path, headers: HeaderMap::new(), body: None }
    }

    /// Sends it. Reads are tried once more where their connection broke.
    pub(crate) async fn send(&self, outgoing: Outgoing) -> Result<Answer> {
        match self.send_once(&outgoing).await {
            Err(Broken { error: _, again: true }) => self.send_once(&outgoing).await.map_err(|broken| broken.error),
            other => other.map_err(|broken| broken.error),
        }
    }

    /// Sends it, and reads the answer's JSON.
    pub(crate) async fn ask<T: DeserializeOwned>(&self, outgoing: Outgoing) -> Result<T> {
        let access = outgoing.access;
        match self.send(outgoing).await? {
            Answer::Success(_, body) => wire::from_json(&body).map_err(|error| unreadable(access, &error)),
            Answer::Absent | Answer::Conflict(_) => {
                Err(Error::Internal("the service gave an answer out of place".into()))
            }
        }
    }

    async fn send_once(&self, outgoing: &Outgoing) -> Result<Answer, Broken> {
        let access = outgoing.access;
        let url = format!("{}{}", self.base, outgoing.path);
        let timeout = self.timeout - self.greet(access).await?;
        let mut request = self.client.request(outgoing.method.clone(), url).headers(outgoing.headers.clone());
        if !timeout.is_zero() {
            request = request.timeout(timeout);
        }
        if let Some(token) = &self.token {
            request = request.header(AUTHORIZATION, token.clone());
        }
        if let Some(body) = &outgoing.body {
            request = request.body(body.clone());
        }
        // In the browser's usual mode of caching: the service has every read ask anew, and in other modes browsers would ask each
        // time whether the page may.
        #[cfg(target_family = "wasm")]
        let request = request.fetch_credentials_omit();
        let response = self.heard(request.send().await).map_err(|error| broken(access, error))?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = self.heard(response.bytes().await).map_err(|error| broken(access, error))?;
        if (200..300).contains(&status) {
            return Ok(Answer::Success(headers, body.into()));
        }
        refused(access, status, &headers, &body).map_err(|error| Broken { error, again: false })
    }

    /// Nothing: here a connection that was refused is told from one that broke.
    #[cfg(not(target_family = "wasm"))]
    #[allow(clippy::unused_async)]
    async fn greet(&self, _access: Access) -> Result<Duration, Broken> {
        Ok(Duration::ZERO)
    }

    /// Before a write to a service that has not answered yet, or no more: asks whether it is there. A browser does not tell a
    /// connection that was refused from one that broke, so that without this no write could be said to have changed nothing.
    /// Gives the time that was set aside for it.
    #[cfg(target_family = "wasm")]
    async fn greet(&self, access: Access) -> Result<Duration, Broken> {
        if access == Access::Read || self.answered.load(Ordering::Relaxed) {
            return Ok(Duration::ZERO);
        }
        let time = self.timeout / 4;
        let mut request = self.client.get(format!("{}/healthz", self.base));
        if !time.is_zero() {
            request = request.timeout(time);
        }
        // Nothing but a question was sent.
        let unsent = |error| Broken { again: false, ..broken(Access::Read, error) };
        let answer = self.heard(request.fetch_credentials_omit().send().await).map_err(unsent)?;
        // Read to its end, so that the connection can be used again.
        self.heard(answer.bytes().await).map_err(unsent)?;
        Ok(time)
    }

    #[cfg(not(target_family = "wasm"))]
    #[allow(clippy::unused_self)]
    fn heard<T>(&self, answer: reqwest::Result<T>) -> reqwest::Result<T> {
        answer
    }

    /// Notes whether there was an answer.
    #[cfg(target_family = "wasm")]
    fn heard<T>(&self, answer: reqwest::Result<T>) -> reqwest::Result<T> {
        self.answered.store(answer.is_ok(), Ordering::Relaxed);
        answer
    }
}

impl Outgoing {
    /// Adds a header; the error names it.
    pub(crate) fn header(mut self, name: &'static str, value: impl AsRef<str>) -> Result<Self> {
        let value = value.as_ref();
        // Spaces around a header's value are lost on the way.
        let header = HeaderValue::try_from(value)
            .ok()
            .filter(|_| value.trim_matches([' ', '\t']).len() == value.len())
            .ok_or_else(|| Error::InvalidArgument(format!("{name}: visible ASCII, spaces only inside")))?;
        self.headers.append(HeaderName::from_static(name), header);
        Ok(self)
    }

    /// Adds query parameters: those that are given.
    pub(crate) fn query(mut self, parameters: &[(&str, Option<&str>)]) -> Self {
        let mut separator = '?';
        for (name, value) in parameters {
            if let Some(value) = value {
                self.path.push_str(&format!("{separator}{name}={}", header::percent_encode(value)));
                separator = '&';
            }
        }
        self
    }

    /// Sends these bytes.
    pub(crate) fn body(mut self, body: Vec<u8>) -> Self {
        self.body = Some(body);
        self
    }

    /// Sends this as JSON.
    pub(crate) fn json<T: serde::Serialize>(mut self, request: &T) -> Result<Self> {
        self.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.body = Some(wire::to_json(request)?.into_bytes());
        Ok(self)
    }
}

/// An answer that did not come, and whether asking again is safe and may help.
struct Broken {
    error: Error,
    again: bool,
}

fn broken(access: Access, error: reqwest::Error) -> Broken {
    let (connecting, timeout) = (refused_connection(&error), error.is_timeout());
    let builder = error.is_builder();
    // The address is known to the caller, and a path names a key: neither needs repeating.
    let message = cause(&error.without_url());
    if builder {
        return Broken { error: Error::InvalidArgument(format!("request: {message}")), again: false };
    }
    let error = match access {
        _ if connecting => Error::Unavailable(message),
        Access::Read => Error::Unavailable(message),
        Access::Write => Error::OutcomeUnknown(message),
    };
    Broken { error, again: access == Access::Read && !connecting && !timeout }
}

/// The innermost reason: what wraps it only says that a request failed.
fn innermost(error: &reqwest::Error) -> String {
    let mut innermost: &dyn std::error::Error = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

#[cfg(not(target_family = "wasm"))]
fn cause(error: &reqwest::Error) -> String {
    if error.is_timeout() { "no answer in time".into() } else { innermost(error) }
}

/// A browser says less than what may be the matter.
#[cfg(target_family = "wasm")]
fn cause(error: &reqwest::Error) -> String {
    match error {
        _ if error.is_timeout() || innermost(error).contains("TimedOut") => "no answer in time".into(),
        _ if refused_connection(error) => "the service cannot be reached".into(),
        _ if error.is_builder() => innermost(error),
        _ => "the connection failed, or the service does not let this page ask".into(),
    }
}

#[cfg(not(target_family = "wasm"))]
fn refused_connection(error: &reqwest::Error) -> bool {
    error.is_connect()
}

/// A browser does not tell a connection that was refused from one that broke; Node does, and `fetch.ts` of the package passes it
/// on as an error of this name.
#[cfg(target_family = "wasm")]
fn refused_connection(error: &reqwest::Error) -> bool {
    innermost(error).starts_with("JsValue(NotConnected:")
}

#[cfg(not(target_family = "wasm"))]
fn client(url: &Url, connect_timeout: Duration) -> reqwest::Result<Client> {
    // The TLS of all parts of a process is of one make; whichever part comes first installs it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut builder = Client::builder()
        // A redirect would send writes and tokens elsewhere.
        .redirect(reqwest::redirect::Policy::none())
        // Shorter than the service's own limit, so that it does not close a connection that is about to be used.
        .pool_idle_timeout(Duration::from_secs(15))
        .tcp_nodelay(true);
    if !connect_timeout.is_zero() {
        builder = builder.connect_timeout(connect_timeout);
    }
    let loopback = match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        None => false,
    };
    if loopback {
        builder = builder.no_proxy();
    }
    builder.build()
}

#[cfg(target_family = "wasm")]
fn client(_url: &Url, _connect_timeout: Duration) -> reqwest::Result<Client> {
    Client::builder().build()
}

/// An answer that is no success, as the service or something before it gave it.
fn refused(access: Access, status: u16, headers: &HeaderMap, body: &[u8]) -> Result<Answer> {
    let told = headers.get(header::ERROR).and_then(|code| code.to_str().ok());
    let Some(told) = told else {
        return Err(foreign(access, status));
    };
    let mut problem: Problem = if body.is_empty() {
        let detail = format!("status {status}, and no more was told");
        Problem { code: told.into(), detail, status, ..Problem::default() }
    } else {
        wire::from_json(body).map_err(|_| foreign(access, status))?
    };
    match problem.code.as_str() {
        wire::ABSENT => Ok(Answer::Absent),
        wire::CONFLICT => Ok(Answer::Conflict(Box::new(problem))),
        "not-found" | "method-not-allowed" => {
            problem.code = "unsupported".into();
            problem.detail = format!("the service does not know this request: {}", problem.detail);
            Err(problem.into_error())
        }
        _ => Err(problem.into_error()),
    }
}

/// An error of something that is not the service: a proxy, or another server.
fn foreign(access: Access, status: u16) -> Error {
    let message = format!("status {status}, not from a dataknobs-kv service");
    match (status, access) {
        (401 | 403 | 407, _) => Error::AccessDenied(message),
        (408 | 429, _) => Error::RateLimited(None),
        (431, _) => Error::InvalidArgument("the request's headers are too long for the service".into()),
        (500..=599, Access::Read) => Error::Unavailable(message),
        (500..=599, Access::Write) => Error::OutcomeUnknown(message),
        _ => Error::Unsupported(message),
    }
}

/// An answer that makes no sense: a write was made all the same.
pub(crate) fn unreadable(access: Access, error: &Error) -> Error {
    let message = format!("the answer cannot be read: {}", error.message());
    match access {
        Access::Read => Error::Internal(message),
        Access::Write => Error::OutcomeUnknown(message),
    }
}
