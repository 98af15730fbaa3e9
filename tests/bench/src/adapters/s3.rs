//! S3 by reqwest, each request signed as the adapter signs it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use dataknobs_kv_storage::{Location, S3Config};
use futures::{StreamExt, TryStreamExt};
use http::{Method, StatusCode};
use reqsign_aws_v4::{Credential, RequestSigner, StaticCredentialProvider};
use reqsign_core::{Context, Signer};
use reqwest::Response;
use sha2::{Digest, Sha256};

use super::{Bare, POOL, VALUE, http_client};
use crate::Result;

struct Driver {
    http: reqwest::Client,
    signer: Signer<Credential>,
    /// Of the bucket, with a prefix of our own, as deep as the adapter's: folders cost this store something.
    base: String,
    /// What was written last.
    etags: Mutex<HashMap<String, String>>,
}

pub(super) async fn bare(url: String) -> Result<Arc<dyn Bare>> {
    Ok(Arc::new(driver(&url)?))
}

pub(super) async fn about(url: String) -> Result<String> {
    let answer = driver(&url)?.send(Method::GET, "about", None, None).await?;
    let server = answer.headers().get("server").and_then(|name| name.to_str().ok()).unwrap_or("unknown").to_owned();
    Ok(format!(
        "{server}; the client is reqwest with reqsign: signed GetObject, PutObject of an object as long as the adapter's \
         without any\ncondition, {POOL} PutObjects at a time for many, and as increment, which S3 has not, a loop of GetObject and \
         PutObject with\n`If-Match`, with jittered waits from 10 ms on. The adapter writes over an entry on the condition that it is what was last seen, \
         so the same\nis measured of the client."
    ))
}

fn driver(url: &str) -> Result<Driver> {
    let Location::S3(S3Config { bucket, endpoint: Some(endpoint), region, keys: Some(keys), .. }) =
        Location::parse(url)?
    else {
        return Err("no S3 URL with an endpoint and keys".into());
    };
    let provider = StaticCredentialProvider::new(&keys.access_key_id, &keys.secret_access_key);
    let builder = RequestSigner::new("s3", region.as_deref().unwrap_or("us-east-1"));
    Ok(Driver {
        http: http_client()?,
        signer: Signer::new(Context::new(), provider, builder),
        base: format!("{}/{bucket}/bench/driver/bench/", endpoint.trim_end_matches('/')),
        etags: Mutex::default(),
    })
}

impl Driver {
    async fn send(&self, method: Method, key: &str, body: Option<Bytes>, etag: Option<&str>) -> Result<Response> {
        let mut request = http::Request::builder().method(method).uri(format!("{}{key}", self.base));
        let body = body.unwrap_or_default();
        request = request.header("x-amz-content-sha256", hex(&Sha256::digest(&body)));
        request = match etag {
            None => request,
            Some("") => request.header("if-none-match", "*"),
            Some(etag) => request.header("if-match", etag),
        };
        let (mut parts, body) = request.body(body)?.into_parts();
        self.signer.sign(&mut parts, None).await?;
        Ok(self.http.execute(http::Request::from_parts(parts, body).try_into()?).await?)
    }

    /// The ETag and what is there.
    async fn read(&self, key: &str) -> Result<Option<(String, Bytes)>> {
        let answer = self.send(Method::GET, key, None, None).await?;
        if answer.status() == StatusCode::NOT_FOUND {
            return Ok(None);
        }
        let answer = answer.error_for_status()?;
        let etag = answer.headers().get("etag").ok_or("no ETag")?.to_str()?.to_owned();
        Ok(Some((etag, answer.bytes().await?)))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// As long as the adapter's, and each another one.
fn object(value: &[u8]) -> Bytes {
    let header = format!(
        r#"{{"nonce":"{:032x}","type":"bytes","created_at":1700000000000,"updated_at":1700000000000,"size":{},"crc32c":"00000007"}}"#,
        rand::random::<u128>(),
        value.len()
    );
    [header.as_bytes(), b"\n", value].concat().into()
}

#[async_trait]
impl Bare for Driver {
    async fn get(&self, _: usize, key: &str) -> Result<bool> {
        Ok(self.read(key).await?.is_some_and(|(_, body)| body.len() > VALUE))
    }

    async fn set(&self, _: usize, key: &str, value: &[u8]) -> Result {
        let answer = self.send(Method::PUT, key, Some(object(value)), None).await?.error_for_status()?;
        answer.bytes().await?;
        Ok(())
    }

    /// Where it still is what was written last. Callers share keys: who comes too late has written as well.
    async fn set_otherwise(&self, _: usize, _: usize, key: &str, value: &[u8]) -> Result {
        let known = self.etags.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned();
        let etag = match known {
            Some(etag) => etag,
            None => self.read(key).await?.ok_or("not there")?.0,
        };
        let answer = self.send(Method::PUT, key, Some(object(value)), Some(&etag)).await?;
        let etag = answer.headers().get("etag").and_then(|etag| etag.to_str().ok()).map(str::to_owned);
        answer.bytes().await?;
        let mut etags = self.etags.lock().unwrap_or_else(PoisonError::into_inner);
        match etag {
            Some(etag) => _ = etags.insert(key.to_owned(), etag),
            None => _ = etags.remove(key),
        }
        Ok(())
    }

    async fn set_many(&self, caller: usize, keys: &[String], value: &[u8]) -> Result {
        let puts: Vec<_> = keys.iter().map(|key| self.set(caller, key, value)).collect();
        futures::stream::iter(puts).buffer_unordered(POOL).try_collect().await
    }

    async fn increment(&self, _: usize, key: &str) -> Result {
        for attempt in 0_u32.. {
            let (etag, n) = match self.read(key).await? {
                Some((etag, body)) => (etag, std::str::from_utf8(&body)?.parse()?),
                None => (String::new(), 0_u64),
            };
            let answer = self.send(Method::PUT, key, Some((n + 1).to_string().into()), Some(&etag)).await?;
            let status = answer.status();
            answer.bytes().await?;
            match status {
                StatusCode::OK => break,
                StatusCode::PRECONDITION_FAILED | StatusCode::CONFLICT => {}
                status => return Err(format!("PUT: {status}").into()),
            }
            let most = 10.0 * f64::from(1_u32 << attempt.min(5));
            tokio::time::sleep(Duration::from_secs_f64(most * rand::random::<f64>() / 1000.0)).await;
        }
        Ok(())
    }

    async fn counted(&self, key: &str) -> Result<u64> {
        let (_, body) = self.read(key).await?.ok_or("not there")?;
        Ok(std::str::from_utf8(&body)?.parse()?)
    }
}
