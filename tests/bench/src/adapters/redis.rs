//! Redis by redis-rs: one multiplexed connection, as the adapter has by default.

use std::sync::Arc;

use async_trait::async_trait;
use dataknobs_kv_core::{Projection, Storage};
use redis::aio::MultiplexedConnection;
use redis::{Arg, Cmd, Pipeline, Value};

use super::work::{GROUPS, now, put};
use super::{Bare, MANY};
use crate::Result;
use crate::machine::first_line;

struct Driver {
    connection: MultiplexedConnection,
    /// The hash of [`LEAST`].
    least: String,
}

/// The least that a script can do which looks before it writes.
const LEAST: &str = "#!lua
redis.call('HMGET', KEYS[1], 'version', 'created_at', 'expires_at')
return redis.call('HSET', KEYS[1], unpack(ARGV))";

async fn connection(url: &str) -> Result<MultiplexedConnection> {
    let url = url.split('?').next().unwrap_or(url);
    Ok(redis::Client::open(url)?.get_multiplexed_async_connection().await?)
}

pub(super) async fn empty(url: String) -> Result {
    Ok(redis::cmd("FLUSHDB").query_async(&mut connection(&url).await?).await?)
}

pub(super) async fn about(url: String) -> Result<String> {
    let info: String = redis::cmd("INFO").arg("server").query_async(&mut connection(&url).await?).await?;
    let version = info.lines().find_map(|line| line.strip_prefix("redis_version:")).unwrap_or("unknown").trim();
    Ok(format!(
        "Redis {version} ({}), `appendfsync always`; the driver is redis-rs: HGETALL, HSET of the same fields (alone, \
         with the ZADD of\none index in MULTI, and in a script that reads three fields before), a pipeline of HSETs for many, ZRANGE BYLEX with a pipeline of HGETALLs for a page, \
         and HINCRBY as the\nbackend's own increment.",
        first_line("redis-server", &["--version"]).split_whitespace().nth(2).unwrap_or_default(),
    ))
}

pub(super) async fn bare(url: String) -> Result<Arc<dyn Bare>> {
    let mut connection = connection(&url).await?;
    // So much waits in front of the connection before callers do: a batch does not wait for itself.
    connection.set_response_timeout(std::time::Duration::from_secs(60));
    let least = redis::cmd("SCRIPT").arg("LOAD").arg(LEAST).query_async(&mut connection).await?;
    Ok(Arc::new(Driver { connection, least }))
}

/// A million through the adapter.
pub(super) async fn fill(storage: Arc<dyn Storage>) -> Result {
    use futures::{StreamExt, TryStreamExt};
    let groups = (0..GROUPS).map(|group| {
        let storage = Arc::clone(&storage);
        async move {
            let puts = (0..1000).map(|at| put(format!("g{group:03}.i{at:03}"))).collect();
            for outcome in storage.write(MANY, puts, false, now(), Projection::Key).await? {
                outcome?;
            }
            Result::Ok(())
        }
    });
    futures::stream::iter(groups).buffer_unordered(4).try_collect().await
}

fn entry(key: &str) -> String {
    format!("driver:{key}")
}

fn hset(key: &str, value: &[u8]) -> Cmd {
    let mut command = redis::cmd("HSET");
    let (version, now) = (format!("{:032x}", rand::random::<u128>()), now());
    command.arg(entry(key)).arg("version").arg(version).arg("type").arg("bytes").arg("value").arg(value);
    command.arg("created_at").arg(now).arg("updated_at").arg(now).arg("size").arg(value.len()).arg("checksum").arg(7);
    command
}

fn hsets(keys: &[String], value: &[u8]) -> Pipeline {
    let mut pipeline = Pipeline::with_capacity(keys.len());
    for key in keys {
        pipeline.add_command(hset(key, value)).ignore();
    }
    pipeline
}

impl Driver {
    async fn send(&self, command: &Cmd) -> Result<Value> {
        Ok(command.query_async(&mut self.connection.clone()).await?)
    }

    async fn send_all(&self, pipeline: &Pipeline) -> Result<Vec<Value>> {
        Ok(pipeline.query_async(&mut self.connection.clone()).await?)
    }
}

#[async_trait]
impl Bare for Driver {
    async fn get(&self, _: usize, key: &str) -> Result<bool> {
        let mut command = redis::cmd("HGETALL");
        command.arg(entry(key));
        Ok(match self.send(&command).await? {
            Value::Map(fields) => fields.len() == 7,
            Value::Array(fields) => fields.len() == 14,
            _ => false,
        })
    }

    async fn set(&self, _: usize, key: &str, value: &[u8]) -> Result {
        self.send(&hset(key, value)).await.map(drop)
    }

    /// And an entry in one index, both or neither; or looked at before, as whoever keeps `created_at` must.
    async fn set_otherwise(&self, _: usize, way: usize, key: &str, value: &[u8]) -> Result {
        if way == 1 {
            let mut command = redis::cmd("EVALSHA");
            command.arg(&self.least).arg(1).arg(entry(key));
            hset(key, value).args_iter().skip(2).for_each(|argument| {
                if let Arg::Simple(argument) = argument {
                    command.arg(argument);
                }
            });
            return self.send(&command).await.map(drop);
        }
        let mut pipeline = redis::pipe();
        pipeline.atomic().add_command(hset(key, value));
        pipeline.cmd("ZADD").arg("driver.index").arg(0).arg(key);
        self.send_all(&pipeline).await.map(drop)
    }

    async fn set_many(&self, _: usize, keys: &[String], value: &[u8]) -> Result {
        self.send_all(&hsets(keys, value)).await.map(drop)
    }

    async fn set_all(&self, _: usize, keys: &[String], value: &[u8]) -> Result {
        self.send_all(hsets(keys, value).atomic()).await.map(drop)
    }

    /// Of the adapter's own index and hashes.
    async fn page(&self, _: usize, after: &str, values: bool) -> Result<usize> {
        let (index, entries) = place();
        let mut command = redis::cmd("ZRANGE");
        command.arg(index).arg(format!("({after}")).arg("+").arg("BYLEX").arg("LIMIT").arg(0).arg(1000);
        let Value::Array(keys) = self.send(&command).await? else { return Err("no page".into()) };
        if values {
            let mut pipeline = Pipeline::with_capacity(keys.len());
            for key in &keys {
                let Value::BulkString(key) = key else { return Err("no key".into()) };
                let mut name = entries.clone().into_bytes();
                name.extend_from_slice(key);
                pipeline.cmd("HGETALL").arg(name);
            }
            return Ok(self.send_all(&pipeline).await?.len());
        }
        Ok(keys.len())
    }

    async fn increment(&self, _: usize, key: &str) -> Result {
        let mut command = redis::cmd("HINCRBY");
        command.arg(entry(key)).arg("value").arg(1);
        self.send(&command).await.map(drop)
    }

    async fn counted(&self, key: &str) -> Result<u64> {
        let mut command = redis::cmd("HGET");
        command.arg(entry(key)).arg("value");
        Ok(command.query_async(&mut self.connection.clone()).await?)
    }
}

/// Where the adapter keeps the index of the namespace with many keys, and what its entries' names begin with.
fn place() -> (String, String) {
    let crc = MANY.bytes().fold(0_u16, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(byte) << 8), |crc, _| crc << 1 ^ if crc & 0x8000 == 0 { 0 } else { 0x1021 })
    });
    let tag = crc % 1024;
    (format!("bench:{{s{tag}}}:i:{MANY}"), format!("bench:{{s{tag}}}:e:{}:{MANY}:", MANY.len()))
}
