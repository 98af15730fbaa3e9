//! Settings of the servers under which entries may be lost, and their clocks.

use async_trait::async_trait;
use redis::Value;

use super::{RedisStorage, servers::Answers};
use crate::diagnose::{Diagnose, Finding, apart, now};

#[async_trait]
impl Diagnose for RedisStorage {
    async fn diagnose(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        if let Some(policy) = &self.promises.evicts {
            findings.push(Finding::warning(
                format!("a server may evict entries when its memory is full (maxmemory-policy {policy})"),
                "`CONFIG SET maxmemory-policy noeviction`, and the same in its configuration file: then writes are refused \
                 (`unavailable`), and what is there stays",
            ));
        } else if !self.promises.durable {
            findings.push(Finding::warning(
                "a server may lose its last acknowledged writes when it dies: it does not bring each to the disk",
                "`CONFIG SET appendonly yes` and `CONFIG SET appendfsync always`, and the same in its configuration file, \
                 where acknowledged writes must stay",
            ));
        }
        let before = now();
        match self.servers.send_to_each(&[redis::cmd("TIME")], self.deadline()).await {
            Ok(nodes) => {
                let after = now();
                findings.extend(nodes.iter().filter_map(|node| apart(&node.name, before, time(node)?, after)));
            }
            Err(failure) => {
                let error = failure.of_read();
                findings.push(Finding::note(format!("the servers' clocks could not be compared: {error}")));
            }
        }
        findings
    }
}

/// What `TIME` answered, in milliseconds: seconds and microseconds.
fn time(node: &Answers) -> Option<u64> {
    let Some(Ok(Value::Array(parts))) = node.answers.first() else { return None };
    let number = |part: &Value| match part {
        Value::BulkString(digits) => std::str::from_utf8(digits).ok()?.parse::<u64>().ok(),
        _ => None,
    };
    let [seconds, micros] = parts.as_slice() else { return None };
    Some(number(seconds)? * 1000 + number(micros)? / 1000)
}
