//! Elasticsearch by reqwest alone, with the same documents in the same index.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dataknobs_kv_storage::{ElasticsearchConfig, Location};
use reqwest::{Client, Method, StatusCode};
use serde_json::Value as Json;

use super::work::now;
use super::{Bare, VALUE, http_client};
use crate::Result;

struct Driver {
    client: Client,
    server: String,
    /// Of the index.
    base: String,
}

fn driver(url: &str) -> Result<Driver> {
    let Location::Elasticsearch(ElasticsearchConfig { host, port, index, .. }) = Location::parse(url)? else {
        return Err("no Elasticsearch URL".into());
    };
    let server = format!("http://{host}:{port}");
    Ok(Driver { client: http_client()?, base: format!("{server}/{index}"), server })
}

pub(super) async fn bare(url: String) -> Result<Arc<dyn Bare>> {
    Ok(Arc::new(driver(&url)?))
}

pub(super) async fn about(url: String) -> Result<String> {
    let driver = driver(&url)?;
    let told: Json = serde_json::from_str(&driver.client.get(&driver.server).send().await?.text().await?)?;
    let version = told.pointer("/version/number").and_then(Json::as_str).unwrap_or("unknown");
    Ok(format!(
        "Elasticsearch {version}; the client is reqwest: GET of a document, PUT of the same document into the same index without \
         any\ncondition, `_bulk` for many, and as increment a loop of GET and PUT with `if_seq_no`, with jittered waits \
         from 10 ms on (this\nserver has no scripts)."
    ))
}

/// The adapter's name is an alias: what lies behind it goes.
pub(super) async fn empty(url: String) -> Result {
    let driver = driver(&url)?;
    let answer = driver.client.get(format!("{}/_alias", driver.base)).send().await?;
    if answer.status() == StatusCode::NOT_FOUND {
        return Ok(());
    }
    let indexes: serde_json::Map<String, Json> = serde_json::from_str(&answer.error_for_status()?.text().await?)?;
    for index in indexes.keys() {
        driver.client.delete(format!("{}/{index}", driver.server)).send().await?.error_for_status()?;
    }
    Ok(())
}

/// As long as the adapter's.
fn id(key: &str) -> String {
    format!("{key:-<43}")
}

/// As the adapter writes it.
fn document(key: &str, value: &[u8]) -> String {
    use base64::Engine;
    let (now, version) = (now(), rand::random::<u128>());
    let bytes = base64::engine::general_purpose::STANDARD.encode(value);
    format!(
        r#"{{"namespace":"driver","key":"{key}","version":"{version:032x}","type":"bytes","bytes":"{bytes}","created_at":{now},"updated_at":{now},"size":{},"checksum":7}}"#,
        value.len()
    )
}

impl Driver {
    async fn send(&self, method: Method, path: &str, body: Option<String>) -> Result<(StatusCode, Vec<u8>)> {
        let mut request = self.client.request(method, format!("{}/{path}", self.base));
        if let Some(body) = body {
            let lines = path.starts_with("_bulk");
            let content_type = if lines { "application/x-ndjson" } else { "application/json" };
            request = request.header("content-type", content_type).body(body);
        }
        let answer = request.send().await?;
        Ok((answer.status(), answer.bytes().await?.to_vec()))
    }
}

fn good((status, body): (StatusCode, Vec<u8>)) -> Result<Vec<u8>> {
    match status.is_success() {
        true => Ok(body),
        false => Err(format!("{status}: {}", String::from_utf8_lossy(&body)).into()),
    }
}

#[async_trait]
impl Bare for Driver {
    async fn get(&self, _: usize, key: &str) -> Result<bool> {
        let body = good(self.send(Method::GET, &format!("_doc/{}", id(key)), None).await?)?;
        let document: Json = serde_json::from_slice(&body)?;
        let bytes = document.pointer("/_source/bytes").and_then(Json::as_str);
        Ok(bytes.is_some_and(|bytes| bytes.len() > VALUE))
    }

    async fn set(&self, _: usize, key: &str, value: &[u8]) -> Result {
        let path = format!("_doc/{}", id(key));
        good(self.send(Method::PUT, &path, Some(document(key, value))).await?).map(drop)
    }

    async fn set_many(&self, _: usize, keys: &[String], value: &[u8]) -> Result {
        let mut lines = String::new();
        for key in keys {
            writeln!(lines, "{{\"index\":{{\"_id\":\"{}\"}}}}\n{}", id(key), document(key, value))?;
        }
        let body = good(self.send(Method::POST, "_bulk", Some(lines)).await?)?;
        let answer: Json = serde_json::from_slice(&body)?;
        if answer.get("errors") == Some(&Json::Bool(false)) { Ok(()) } else { Err("a failed item".into()) }
    }

    async fn increment(&self, _: usize, key: &str) -> Result {
        for attempt in 0_u32.. {
            let read = self.send(Method::GET, &format!("_doc/{}", id(key)), None).await?;
            let (guard, n) = if read.0 == StatusCode::NOT_FOUND {
                ("op_type=create".to_owned(), 0)
            } else {
                let there: Json = serde_json::from_slice(&good(read)?)?;
                let number = |path: &str| there.pointer(path).and_then(Json::as_u64).ok_or("no number");
                let (seq_no, term) = (number("/_seq_no")?, number("/_primary_term")?);
                (format!("if_seq_no={seq_no}&if_primary_term={term}"), number("/_source/size")?)
            };
            let document = format!(r#"{{"namespace":"driver","key":"{key}","size":{}}}"#, n + 1);
            let path = format!("_doc/{}?{guard}", id(key));
            match self.send(Method::PUT, &path, Some(document)).await? {
                (StatusCode::CONFLICT, _) => {}
                answer => return good(answer).map(drop),
            }
            let most = 10.0 * f64::from(1_u32 << attempt.min(5));
            tokio::time::sleep(Duration::from_secs_f64(most * rand::random::<f64>() / 1000.0)).await;
        }
        Ok(())
    }

    async fn counted(&self, key: &str) -> Result<u64> {
        let body = good(self.send(Method::GET, &format!("_doc/{}", id(key)), None).await?)?;
        let there: Json = serde_json::from_slice(&body)?;
        there.pointer("/_source/size").and_then(Json::as_u64).ok_or_else(|| "no counter".into())
    }
}
