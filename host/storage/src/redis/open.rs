//! What is looked at before a store is used: which server it is, what it promises, and whose layout lies there.

use dataknobs_kv_core::{Error, Result};
use redis::{RedisError, Value};

use super::config::{RedisConfig, RedisDurability};
use super::failure;
use super::format::{FORMAT, Names};
use super::link::Deadline;
use super::servers::{Answers, Servers};

/// What the servers are like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Promises {
    pub(super) durable: bool,
    /// The eviction policy, where it may take entries away.
    pub(super) evicts: Option<String>,
}

/// Asks every server that takes writes.
pub(super) async fn look(servers: &Servers, config: &RedisConfig, deadline: Deadline) -> Result<Promises> {
    let info = redis::cmd("INFO");
    let mut settings = redis::cmd("CONFIG");
    settings.arg("GET").arg("appendfsync");
    let nodes = servers.send_to_each(&[info, settings], deadline).await.map_err(|failure| failure.of_read())?;
    let mut promises = Promises { durable: true, evicts: None };
    for node in &nodes {
        let server = Server::read(node)?;
        if server.cluster && !config.cluster {
            return Err(Error::InvalidArgument(format!(
                "{} belongs to a Redis Cluster: its connection string begins with `redis-cluster:`",
                node.name
            )));
        }
        promises.durable &= server.durable;
        promises.evicts = promises.evicts.or(server.evicts);
    }
    if let Some(policy) = &promises.evicts {
        tracing::warn!(
            "the Redis server may evict entries (maxmemory-policy {policy}): what was written may disappear, and listings \
             may miss it; set it to noeviction"
        );
        promises.durable = false;
    }
    match config.durability {
        RedisDurability::Auto => {}
        RedisDurability::Durable => promises.durable = true,
        RedisDurability::Volatile => promises.durable = false,
    }
    Ok(promises)
}

struct Server {
    cluster: bool,
    durable: bool,
    evicts: Option<String>,
}

impl Server {
    fn read(node: &Answers) -> Result<Self> {
        let [info, settings] = node.answers.as_slice() else {
            return Err(Error::Internal(format!("{}: answers are missing", node.name)));
        };
        let info = text(info).map_err(|error| match failure::refusal(&error) {
            Error::AccessDenied(why) => Error::AccessDenied(format!("{}: {why}", node.name)),
            other => other,
        })?;
        let field = |name: &str| {
            info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim).unwrap_or_default()
        };
        // Valkey says 7.2.4 here and its own version elsewhere.
        let version = field("redis_version");
        let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok()).unwrap_or(0);
        if major < 7 {
            return Err(Error::Unsupported(format!(
                "{}: Redis 7.0 or newer is needed, and this is {version}",
                node.name
            )));
        }
        let policy = field("maxmemory_policy");
        let evicts = field("maxmemory") != "0" && policy != "noeviction";
        // Who may not read settings cannot know how often the log is brought to the disk.
        let always = matches!(settings, Ok(settings) if mentions(settings, "always"));
        Ok(Server {
            cluster: field("cluster_enabled") == "1",
            durable: field("aof_enabled") == "1" && always,
            evicts: evicts.then(|| policy.to_owned()),
        })
    }
}

fn text(answer: &Result<Value, RedisError>) -> Result<String, RedisError> {
    match answer {
        Ok(Value::BulkString(bytes)) => Ok(String::from_utf8_lossy(bytes).into_owned()),
        Ok(Value::VerbatimString { text, .. }) => Ok(text.clone()),
        Ok(_) => Ok(String::new()),
        Err(error) => Err(error.clone()),
    }
}

fn mentions(settings: &Value, word: &str) -> bool {
    match settings {
        Value::Map(settings) => settings.iter().any(|(_, value)| mentions(value, word)),
        Value::Array(settings) => settings.iter().any(|value| mentions(value, word)),
        Value::BulkString(text) => text == word.as_bytes(),
        Value::SimpleString(text) => text == word,
        _ => false,
    }
}

/// Makes sure that the store is there and laid out as we lay it out. Without `create` its absence is an error.
pub(super) async fn settle(servers: &Servers, names: &Names, create: bool, deadline: Deadline) -> Result<()> {
    let meta = names.meta();
    let slot = names.root_slot();
    let mut ask = redis::cmd("HMGET");
    ask.arg(&meta).arg("format").arg("shards");
    let answer = servers.read(slot, &ask, deadline).await.map_err(|failure| failure.of_read())?;
    let answer = match answer {
        Value::Array(fields) if fields.iter().any(|field| *field != Value::Nil) => Value::Array(fields),
        _ if !create => {
            return Err(Error::InvalidArgument(format!("there is no store with the prefix `{}`", names.prefix)));
        }
        _ => {
            // Of those who open it at once, the first one decides.
            for (field, value) in [("format", FORMAT.to_string()), ("shards", names.shards.to_string())] {
                let mut set = redis::cmd("HSETNX");
                set.arg(&meta).arg(field).arg(value);
                servers.send(slot, &set, deadline).await.map_err(|failure| failure.of_write())?;
            }
            servers.read(slot, &ask, deadline).await.map_err(|failure| failure.of_read())?
        }
    };
    let Value::Array(fields) = answer else {
        return Err(Error::Internal("an answer to HMGET that cannot be read".into()));
    };
    let number = |at: usize| -> Option<u32> {
        match fields.get(at) {
            Some(Value::BulkString(digits)) => std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok()),
            _ => None,
        }
    };
    let (Some(format), Some(shards)) = (number(0), number(1)) else {
        return Err(Error::Corrupt(format!("the hash `{meta}` does not say how the store is laid out")));
    };
    if format > FORMAT {
        return Err(Error::Unsupported(format!("the store was written by a newer version (format {format})")));
    }
    if shards != u32::from(names.shards) {
        return Err(Error::InvalidArgument(format!(
            "`shards` is {} and the store with the prefix `{}` has {shards}: it is set once, when a store is made",
            names.shards, names.prefix
        )));
    }
    Ok(())
}
