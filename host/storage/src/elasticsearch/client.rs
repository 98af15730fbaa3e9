//! Requests to the server, each with its deadline.

use std::error::Error as _;
use std::fmt;
use std::time::{Duration, Instant};

use dataknobs_kv_core::{Error, Result};
use reqwest::Method;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use serde::de::DeserializeOwned;

use super::config::ElasticsearchConfig;
use super::failure::{Failure, Refusal, unreadable};
use crate::location::url::Encoded;

/// Until when an operation may take.
#[derive(Clone, Copy)]
pub(super) struct Deadline(Instant);

impl Deadline {
    /// None where nothing is left.
    pub(super) fn left(self) -> Option<Duration> {
        self.0.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
    }
}

/// What a request carries.
pub(super) enum Content {
    Nothing,
    Json(Vec<u8>),
    /// A JSON text a line.
    Lines(Vec<u8>),
}

impl Content {
    pub(super) fn json(value: &serde_json::Value) -> Self {
        Content::Json(value.to_string().into_bytes())
    }
}

/// Speaks HTTP to one server.
pub(super) struct Client {
    http: reqwest::Client,
    /// `http://HOST:PORT`.
    base: String,
    authorization: Option<HeaderValue>,
    timeout: Duration,
}

impl Client {
    pub(super) fn new(config: &ElasticsearchConfig) -> Result<Self> {
        crate::tls::install();
        let mut builder = reqwest::Client::builder()
            // A proxy in the environment is meant for the web.
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .tcp_nodelay(true)
            .connect_timeout(config.timeout)
            .pool_idle_timeout(Duration::from_secs(30));
        if let Some(path) = &config.ca_cert {
            let bad = |why: &dyn fmt::Display| Error::InvalidArgument(format!("`ca_cert`: {}: {why}", path.display()));
            let pem = std::fs::read(path).map_err(|error| bad(&error))?;
            let certificates = reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| bad(&innermost(&error)))?;
            if certificates.is_empty() {
                return Err(bad(&"holds no certificate in PEM"));
            }
            builder = builder.tls_certs_merge(certificates);
        }
        let http =
            builder.build().map_err(|error| Error::Internal(format!("no HTTP client: {}", innermost(&error))))?;
        let scheme = if config.tls { "https" } else { "http" };
        let host = match config.host.contains(':') {
            true => format!("[{}]", config.host),
            false => Encoded(&config.host).to_string(),
        };
        Ok(Client {
            http,
            base: format!("{scheme}://{host}:{}", config.port),
            authorization: authorization(config)?,
            timeout: config.timeout,
        })
    }

    /// For an operation that begins now.
    pub(super) fn deadline(&self) -> Deadline {
        Deadline(Instant::now() + self.timeout)
    }

    /// The body of a good answer.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        content: Content,
        deadline: Deadline,
    ) -> Result<Vec<u8>, Failure> {
        let Some(left) = deadline.left() else {
            return Err(Failure::NotSent("the timeout has passed".into()));
        };
        let mut request = self.http.request(method, format!("{}{path}", self.base)).timeout(left);
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        request = match content {
            Content::Nothing => request,
            Content::Json(body) => request.header(CONTENT_TYPE, "application/json").body(body),
            Content::Lines(body) => request.header(CONTENT_TYPE, "application/x-ndjson").body(body),
        };
        let answer = request.send().await.map_err(|error| unanswered(&error))?;
        let status = answer.status().as_u16();
        let retry_after = answer.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        let body = Vec::from(answer.bytes().await.map_err(|error| lost(&error))?);
        match status {
            200..=299 => Ok(body),
            _ => Err(Failure::Refused(Refusal::new(status, &body, retry_after.map(|s| s.saturating_mul(1000))))),
        }
    }

    /// A good answer, taken apart.
    pub(super) async fn ask<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        content: Content,
        deadline: Deadline,
    ) -> Result<T, Failure> {
        let body = self.send(method, path, content, deadline).await?;
        serde_json::from_slice(&body).map_err(|_| unreadable())
    }
}

fn authorization(config: &ElasticsearchConfig) -> Result<Option<HeaderValue>> {
    use base64::Engine as _;
    let text = match (&config.user, &config.password, &config.api_key) {
        (Some(user), Some(password), _) => {
            let pair = format!("{user}:{password}");
            format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair))
        }
        (_, _, Some(key)) => format!("ApiKey {key}"),
        _ => return Ok(None),
    };
    let mut value =
        HeaderValue::from_str(&text).map_err(|_| Error::InvalidArgument("`api_key` is no API key".into()))?;
    value.set_sensitive(true);
    Ok(Some(value))
}

/// No answer's first line came.
fn unanswered(error: &reqwest::Error) -> Failure {
    match error.is_connect() || error.is_builder() {
        true => Failure::NotSent(format!("cannot connect: {}", innermost(error))),
        false => lost(error),
    }
}

fn lost(error: &reqwest::Error) -> Failure {
    Failure::NoAnswer(match error.is_timeout() {
        true => "no answer within the timeout".into(),
        false => format!("the answer was lost: {}", innermost(error)),
    })
}

/// The cause at the bottom: those above it show the URL.
fn innermost(error: &reqwest::Error) -> String {
    let Some(mut cause) = error.source() else {
        return if error.is_timeout() { "timed out".into() } else { "failed".into() };
    };
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}
