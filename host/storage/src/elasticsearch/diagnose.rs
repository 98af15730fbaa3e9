//! Settings of the index and the cluster under which entries may be lost or refused, and the server's clock.

use async_trait::async_trait;
use dataknobs_kv_core::Result;
use reqwest::Method;
use serde::Deserialize;

use super::ElasticsearchStorage;
use super::client::Content;
use crate::diagnose::{Diagnose, Finding, now, seconds_apart};

/// A line of `_cat/health`.
#[derive(Deserialize)]
struct Health {
    epoch: String,
    #[serde(rename = "node.data")]
    data_nodes: String,
}

/// The health of one index.
#[derive(Deserialize)]
struct IndexHealth {
    status: String,
    unassigned_shards: u64,
}

/// What `_settings?flat_settings` says of one index.
#[derive(Deserialize)]
struct Described {
    settings: Settings,
}

#[derive(Default, Deserialize)]
struct Settings {
    #[serde(rename = "index.number_of_replicas", default)]
    replicas: String,
    #[serde(rename = "index.blocks.write", default)]
    no_writes: String,
    #[serde(rename = "index.blocks.read_only", default)]
    read_only: String,
    #[serde(rename = "index.blocks.read_only_allow_delete", default)]
    disk_was_full: String,
}

#[async_trait]
impl Diagnose for ElasticsearchStorage {
    async fn diagnose(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        if !self.durable {
            findings.push(Finding::warning(
                "the index answers before a write is on the disk (index.translog.durability is async): the death of a \
                 server loses its last acknowledged writes",
                "set `index.translog.durability` to `request` where they must stay",
            ));
        }
        for looked in [self.of_the_index().await, self.of_the_cluster().await] {
            findings.extend(looked.unwrap_or_else(|error| {
                vec![Finding::note(format!("the server's settings could not be looked at: {error}"))]
            }));
        }
        findings
    }
}

impl ElasticsearchStorage {
    async fn ask<T: serde::de::DeserializeOwned>(&self, path: &str) -> Result<T> {
        let client = &self.store.client;
        let answer = client.ask(Method::GET, path, Content::Nothing, client.deadline()).await;
        answer.map_err(|failure| failure.into_error())
    }

    async fn of_the_index(&self) -> Result<Vec<Finding>> {
        let index = self.store.index();
        let found: std::collections::BTreeMap<String, Described> =
            self.ask(&format!("{}/_settings?flat_settings=true", index.path)).await?;
        let settings = found.into_values().next().map(|described| described.settings).unwrap_or_default();
        let health: IndexHealth = self.ask(&format!("/_cluster/health{}", index.path)).await?;
        let nodes = self.health().await?.data_nodes.parse::<u32>().unwrap_or(1);
        Ok(of_settings(&settings, &health, nodes))
    }

    async fn of_the_cluster(&self) -> Result<Vec<Finding>> {
        let before = now();
        let health = self.health().await?;
        let second = health.epoch.parse().ok();
        Ok(second.and_then(|second| seconds_apart("the server", before, second, now())).into_iter().collect())
    }

    async fn health(&self) -> Result<Health> {
        let lines: Vec<Health> = self.ask("/_cat/health?format=json&h=epoch,node.data").await?;
        lines.into_iter().next().ok_or_else(|| dataknobs_kv_core::Error::Internal("no health was told".into()))
    }
}

fn of_settings(settings: &Settings, health: &IndexHealth, data_nodes: u32) -> Vec<Finding> {
    let mut findings = Vec::new();
    if settings.disk_was_full == "true" {
        findings.push(Finding::warning(
            "the index takes no writes: a server's disk was nearly full (index.blocks.read_only_allow_delete)",
            "make room; servers before version 7.4 want the setting removed by hand",
        ));
    }
    if settings.read_only == "true" || settings.no_writes == "true" {
        findings.push(Finding::warning(
            "the index takes no writes: somebody blocked them (index.blocks)",
            "set `index.blocks.write` and `index.blocks.read_only` to null where that is no longer meant",
        ));
    }
    match health.status.as_str() {
        "red" => findings.push(Finding::warning(
            "a part of the index is nowhere to be found (its health is red): what lies there cannot be read or written",
            "look at `_cluster/allocation/explain`: a server is missing, or has lost its disk",
        )),
        "yellow" if data_nodes > 1 => findings.push(Finding::warning(
            format!("{} copies of the index are on no server (its health is yellow)", health.unassigned_shards),
            "look at `_cluster/allocation/explain`: the loss of a server's disk may lose entries until then",
        )),
        _ => {}
    }
    if settings.replicas == "0" {
        findings.push(Finding::warning(
            "the index has no replica: the loss of a server's disk loses entries",
            "set `index.number_of_replicas` to 1 or more, with at least as many servers more, where they must stay",
        ));
    } else if data_nodes < 2 {
        findings.push(Finding::note("there is one server: the loss of its disk loses the entries"));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_of_an_index() {
        let told = |text: &str, status: &str, nodes: u32| {
            let settings: Settings = serde_json::from_str(text).unwrap();
            let health = IndexHealth { status: status.into(), unassigned_shards: 2 };
            let findings = of_settings(&settings, &health, nodes);
            findings.into_iter().map(|finding| finding.what).collect::<Vec<_>>().join("\n")
        };
        assert_eq!(told(r#"{"index.number_of_replicas":"1"}"#, "green", 2), "");
        assert!(told(r#"{"index.number_of_replicas":"1"}"#, "yellow", 2).starts_with("2 copies of the index"));
        assert!(told(r#"{"index.number_of_replicas":"1"}"#, "yellow", 1).starts_with("there is one server"));
        assert!(told(r#"{"index.number_of_replicas":"1"}"#, "red", 2).contains("red"));
        assert!(told(r#"{"index.number_of_replicas":"0"}"#, "green", 2).contains("no replica"));
        let full = r#"{"index.blocks.read_only_allow_delete":"true","index.number_of_replicas":"1"}"#;
        assert!(told(full, "green", 2).contains("nearly full"));
        assert!(
            told(r#"{"index.blocks.write":"true","index.number_of_replicas":"1"}"#, "green", 2).contains("blocked")
        );
    }
}
