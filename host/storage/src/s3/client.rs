//! Requests to the store: signed, bounded in number and time, and repeated where that is safe.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use dataknobs_kv_core::{Error, Result};
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use reqsign_aws_v4::{Credential, EMPTY_STRING_SHA256};
use reqsign_core::Signer;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep, timeout_at};

use super::config::{self, S3Config};
use super::credentials::{self, Http};
use super::failure::{self, Failure, Meaning, Refusal};
use super::xml::{self, Listing};

/// How often something is sent that did not get through.
const TRIES: u32 = 5;
const FIRST_WAIT: Duration = Duration::from_millis(40);
const LONGEST_WAIT: Duration = Duration::from_secs(2);

const CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");
const CHECKSUM_SHA256: HeaderName = HeaderName::from_static("x-amz-checksum-sha256");
const BUCKET_REGION: HeaderName = HeaderName::from_static("x-amz-bucket-region");

/// Speaks with one bucket.
pub(super) struct Client {
    http: reqwest::Client,
    signer: Signer<Credential>,
    bucket_url: String,
    pub(super) bucket: String,
    permits: Semaphore,
    concurrency: usize,
    timeout: Duration,
}

/// What must be there for a PUT or DELETE to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Guard<'a> {
    /// Whatever is there.
    None,
    /// No object.
    Missing,
    /// The object with this ETag.
    Is(&'a str),
}

/// What is to be sent, with its hash.
#[derive(Clone)]
pub(super) struct Body {
    bytes: Bytes,
    sha256: [u8; 32],
}

impl Body {
    pub(super) fn new(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        let sha256 = Sha256::digest(&bytes).into();
        Body { bytes, sha256 }
    }

    fn hex(&self) -> String {
        use fmt::Write;
        let mut hex = String::with_capacity(64);
        for byte in self.sha256 {
            let _ = write!(hex, "{byte:02x}");
        }
        hex
    }
}

/// An object, or its beginning.
#[derive(Debug)]
pub(super) struct Got {
    pub(super) etag: String,
    /// The length of the whole object.
    pub(super) total: u64,
    pub(super) body: Bytes,
}

/// One request.
struct Request {
    method: Method,
    url: String,
    headers: HeaderMap,
    body: Option<Body>,
    /// A longer answer is left unread.
    most: u64,
}

/// A good answer.
pub(super) struct Answer {
    headers: HeaderMap,
    length: Option<u64>,
    body: Bytes,
}

impl Answer {
    pub(super) fn header(&self, name: HeaderName) -> Option<&str> {
        text(&self.headers, name)
    }

    /// The ETag as it stands in the answer.
    pub(super) fn raw_etag(&self) -> &str {
        self.header(header::ETAG).unwrap_or_default()
    }

    pub(super) fn etag(&self) -> String {
        self.raw_etag().trim_matches('"').to_owned()
    }
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

impl Client {
    pub(super) fn new(config: &S3Config) -> Result<Self> {
        crate::tls::install();
        let place = config.place(config::environment)?;
        let certificates = match &config.tls_ca {
            None => Vec::new(),
            Some(path) => {
                let pem = config::read_file(path, "tls_ca")?;
                reqwest::Certificate::from_pem_bundle(&pem)
                    .ok()
                    .filter(|certificates| !certificates.is_empty())
                    .ok_or_else(|| Error::InvalidArgument("`tls_ca`: no certificates in PEM".into()))?
            }
        };
        let build = |proxy: bool| {
            let mut builder = reqwest::Client::builder()
                .user_agent(concat!("dataknobs-kv/", env!("CARGO_PKG_VERSION")))
                .redirect(reqwest::redirect::Policy::none())
                // What may be repeated is decided here.
                .retry(reqwest::retry::never())
                .connect_timeout(config.timeout.div_f64(2.0))
                .pool_max_idle_per_host(config.concurrency)
                // Servers close what is idle: before they do, we do.
                .pool_idle_timeout(Duration::from_secs(15))
                .tcp_nodelay(true);
            if !proxy {
                builder = builder.no_proxy();
            }
            builder = builder.tls_certs_merge(certificates.iter().cloned());
            builder.build().map_err(|error| Error::Internal(format!("the HTTP client: {}", error.without_url())))
        };
        let near = build(false)?;
        let far = if config.proxy { build(true)? } else { near.clone() };
        let http = if config::is_near(&place.host) { near.clone() } else { far.clone() };
        Ok(Client {
            http,
            signer: credentials::signer(config.keys.as_ref(), &place.region, Http { near, far }),
            bucket_url: place.bucket_url,
            bucket: config.bucket.clone(),
            permits: Semaphore::new(config.concurrency),
            concurrency: config.concurrency,
            timeout: config.timeout,
        })
    }

    /// When what begins now has to be done.
    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.timeout
    }

    /// How many requests one call may have under way.
    pub(super) fn concurrency(&self) -> usize {
        self.concurrency
    }

    /// The object, or of its bytes the given ones: from the first of the range up to and without its second.
    pub(super) async fn get(
        &self,
        object: &str,
        range: Option<(u64, u64)>,
        guard: Guard<'_>,
        most: u64,
        deadline: Instant,
    ) -> Result<Got, Failure> {
        let mut request = self.request(Method::GET, object, "");
        if let Some((from, to)) = range {
            set(&mut request.headers, header::RANGE, &format!("bytes={from}-{}", to.saturating_sub(1)));
        }
        set_guard(&mut request.headers, guard);
        request.most = most;
        let answer = self.repeat(&request, deadline).await?;
        let told = answer.header(header::CONTENT_RANGE).and_then(|range| range.rsplit_once('/')?.1.parse().ok());
        let total = told.or(answer.length).unwrap_or(answer.body.len() as u64);
        Ok(Got { etag: answer.etag(), total, body: answer.body })
    }

    /// Writes an object; its ETag. Sent again only where the store surely did not apply it.
    pub(super) async fn put(
        &self,
        object: &str,
        body: &Body,
        guard: Guard<'_>,
        deadline: Instant,
    ) -> Result<Answer, Failure> {
        let request = self.put_request(object, body, guard);
        self.once(&request, deadline).await
    }

    /// Writes an object that nobody else writes otherwise, so that it may be sent again.
    pub(super) async fn put_again(&self, object: &str, body: &Body, deadline: Instant) -> Result<(), Failure> {
        let request = self.put_request(object, body, Guard::None);
        self.repeat(&request, deadline).await.map(drop)
    }

    fn put_request(&self, object: &str, body: &Body, guard: Guard<'_>) -> Request {
        let mut request = self.request(Method::PUT, object, "");
        set(&mut request.headers, header::CONTENT_TYPE, "application/octet-stream");
        set_guard(&mut request.headers, guard);
        request.body = Some(body.clone());
        request
    }

    /// Deletes an object. Sent again only where the store surely did not apply it.
    pub(super) async fn delete(&self, object: &str, guard: Guard<'_>, deadline: Instant) -> Result<(), Failure> {
        let mut request = self.request(Method::DELETE, object, "");
        set_guard(&mut request.headers, guard);
        self.once(&request, deadline).await.map(drop)
    }

    /// Deletes an object that nobody writes again. One that is not there is none.
    pub(super) async fn delete_again(&self, object: &str, deadline: Instant) -> Result<(), Failure> {
        let request = self.request(Method::DELETE, object, "");
        match self.repeat(&request, deadline).await {
            Err(failure) if failure.meaning() == Meaning::Missing => Ok(()),
            result => result.map(drop),
        }
    }

    /// Deletes all of these, at most 1000, in one request.
    pub(super) async fn delete_all(&self, objects: &[String], deadline: Instant) -> Result<(), Failure> {
        let mut request = self.request(Method::POST, "", "delete=");
        let body = Body::new(xml::deletion(objects.iter().map(String::as_str)));
        let checksum = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, body.sha256);
        set(&mut request.headers, CHECKSUM_SHA256, &checksum);
        set(&mut request.headers, header::CONTENT_TYPE, "application/xml");
        request.body = Some(body);
        let answer = self.once(&request, deadline).await?;
        match xml::deletion_error(&answer.body) {
            Ok(None) => Ok(()),
            Ok(Some(told)) => {
                let body = format!("<Error><Code>{}</Code></Error>", quick_xml::escape::escape(&told.code));
                let status = if told.code == "AccessDenied" { 403 } else { 500 };
                Err(Failure::Refused(Refusal::new(status, None, None, body.as_bytes())))
            }
            Err(error) => Err(Failure::NoAnswer(error.message())),
        }
    }

    /// Names that begin with `prefix`, after `after`, at most `most` (up to 1000), and the store's time. With `folders`
    /// all that goes on with a slash is one folder.
    pub(super) async fn list(
        &self,
        prefix: &str,
        after: &str,
        folders: bool,
        most: usize,
        deadline: Instant,
    ) -> Result<(Listing, Option<String>), Failure> {
        let mut query = String::new();
        if folders {
            query.push_str("delimiter=%2F&");
        }
        query.push_str("encoding-type=url&list-type=2&max-keys=");
        query.push_str(&most.clamp(1, 1000).to_string());
        query.push_str("&prefix=");
        encode(prefix, false, &mut query);
        if !after.is_empty() {
            query.push_str("&start-after=");
            encode(after, false, &mut query);
        }
        let answer = self.repeat(&self.request(Method::GET, "", &query), deadline).await?;
        let listing = xml::listing(&answer.body).map_err(Failure::NotSent)?;
        let date = answer.header(header::DATE).map(str::to_owned);
        Ok((listing, date))
    }

    /// What the store says of the bucket itself: its `versioning=`, its `lifecycle=`.
    pub(super) async fn about(&self, what: &str, deadline: Instant) -> Result<Bytes, Failure> {
        Ok(self.repeat(&self.request(Method::GET, "", what), deadline).await?.body)
    }

    fn request(&self, method: Method, object: &str, query: &str) -> Request {
        let mut url = String::with_capacity(self.bucket_url.len() + object.len() + query.len() + 16);
        url.push_str(&self.bucket_url);
        url.push('/');
        encode(object, true, &mut url);
        if !query.is_empty() {
            url.push('?');
            url.push_str(query);
        }
        Request { method, url, headers: HeaderMap::new(), body: None, most: u64::MAX }
    }

    /// Sends what may be sent any number of times.
    async fn repeat(&self, request: &Request, deadline: Instant) -> Result<Answer, Failure> {
        self.tries(request, deadline, true).await
    }

    /// Sends again only what surely was not applied.
    async fn once(&self, request: &Request, deadline: Instant) -> Result<Answer, Failure> {
        self.tries(request, deadline, false).await
    }

    async fn tries(&self, request: &Request, deadline: Instant, unclear_too: bool) -> Result<Answer, Failure> {
        let mut tries: u32 = 1;
        loop {
            let failure = match self.attempt(request, deadline).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let (again, told) = match &failure {
                // A store that is not there is soon known to be so; one that is busy is waited for.
                Failure::NotSent(Error::Unavailable(_)) => (tries < TRIES, None),
                Failure::NotSent(_) => (false, None),
                Failure::NoAnswer(_) => (unclear_too && tries < TRIES, None),
                Failure::Refused(refusal) => match refusal.meaning() {
                    Meaning::Again => (true, refusal.wait_ms),
                    Meaning::Unclear => (unclear_too && tries < TRIES, refusal.wait_ms),
                    _ => (false, None),
                },
            };
            let wait = told.map_or_else(|| wait(tries), Duration::from_millis);
            if !again || Instant::now() + wait >= deadline {
                return Err(failure);
            }
            sleep(wait).await;
            tries = tries.saturating_add(1);
        }
    }

    async fn attempt(&self, request: &Request, deadline: Instant) -> Result<Answer, Failure> {
        let late = || Failure::NotSent(Error::Unavailable("there was no time left to ask the store".into()));
        let permit = timeout_at(deadline, self.permits.acquire()).await.map_err(|_| late())?;
        let _permit = permit.map_err(|_| late())?;
        // What changes something is not begun where its answer would come too late.
        if request.method != Method::GET && deadline.saturating_duration_since(Instant::now()) < self.timeout / 4 {
            return Err(late());
        }
        let mut parts = http::Request::new(()).into_parts().0;
        parts.method = request.method.clone();
        parts.uri = request
            .url
            .parse()
            .map_err(|_| Failure::NotSent(Error::Internal("an object's name does not make an address".into())))?;
        parts.headers = request.headers.clone();
        match &request.body {
            Some(body) => set(&mut parts.headers, CONTENT_SHA256, &body.hex()),
            None => set(&mut parts.headers, CONTENT_SHA256, EMPTY_STRING_SHA256),
        }
        timeout_at(deadline, self.signer.sign(&mut parts, None))
            .await
            .map_err(|_| late())?
            .map_err(failure::of_signing)?;
        let body = request.body.as_ref().map(|body| body.bytes.clone()).unwrap_or_default();
        let signed = reqwest::Request::try_from(http::Request::from_parts(parts, body)).map_err(failure::of_http)?;
        let answered = timeout_at(deadline, self.exchange(signed, request.most)).await;
        answered.unwrap_or_else(|_| Err(Failure::NoAnswer("the store did not answer in time".into())))
    }

    async fn exchange(&self, request: reqwest::Request, most: u64) -> Result<Answer, Failure> {
        let response = self.http.execute(request).await.map_err(failure::of_http)?;
        let status = response.status();
        let length = response.content_length();
        let headers = response.headers().clone();
        if status.is_success() && length.is_some_and(|length| length > most) {
            return Ok(Answer { headers, length, body: Bytes::new() });
        }
        let body = response.bytes().await.map_err(|error| match failure::of_http(error) {
            Failure::NotSent(error) => Failure::NoAnswer(error.message()),
            failure => failure,
        })?;
        if status.is_success() {
            return Ok(Answer { headers, length, body });
        }
        let region = text(&headers, BUCKET_REGION).map(str::to_owned);
        let wait = text(&headers, header::RETRY_AFTER).and_then(|seconds| seconds.parse::<u64>().ok());
        let wait = wait.map(|seconds| seconds.saturating_mul(1000));
        Err(Failure::Refused(Refusal::new(status.as_u16(), region, wait, &body)))
    }
}

/// Longer each time, and never the same for two.
pub(super) fn wait(tries: u32) -> Duration {
    let most = FIRST_WAIT.saturating_mul(1 << tries.saturating_sub(1).min(10)).min(LONGEST_WAIT);
    most.mul_f64(0.5 + rand::random::<f64>() / 2.0)
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

fn set_guard(headers: &mut HeaderMap, guard: Guard<'_>) {
    match guard {
        Guard::None => {}
        Guard::Missing => set(headers, header::IF_NONE_MATCH, "*"),
        Guard::Is(etag) => set(headers, header::IF_MATCH, &format!("\"{etag}\"")),
    }
}

/// Percent-encoding as signatures want it: all but letters, digits and `-._~`, and slashes in a path.
fn encode(text: &str, path: bool, out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') || (path && byte == b'/') {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.extend(
                [byte >> 4, byte & 15]
                    .iter()
                    .filter_map(|digit| DIGITS.get(usize::from(*digit)))
                    .map(|b| char::from(*b)),
            );
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("bucket", &self.bucket).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        let mut out = String::new();
        encode("a/b c+%é~!", true, &mut out);
        assert_eq!(out, "a/b%20c%2B%25%C3%A9~%21");
        out.clear();
        encode("a/", false, &mut out);
        assert_eq!(out, "a%2F");
    }

    #[test]
    fn waits_grow_and_are_bounded() {
        assert!(wait(1) <= FIRST_WAIT && wait(1) >= FIRST_WAIT / 2);
        assert!(wait(4) >= FIRST_WAIT * 4);
        assert!(wait(u32::MAX) <= LONGEST_WAIT);
    }
}
