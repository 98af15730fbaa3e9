//! The index: found or created, known for ours, and noticed when it is another one than before.
//!
//! All requests go through an alias whose name is made of the index's unique identifier, and writes demand that it is an
//! alias. So a store never writes into an index that was deleted and made anew behind its back, and never lets the server
//! make one by itself, with a mapping of its own guess: the alias is gone, the server says so, and the store looks again.

use std::collections::BTreeMap;

use dataknobs_kv_core::{Error, Result};
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use sha2::{Digest, Sha256};

use super::client::{Client, Content, Deadline};
use super::config::ElasticsearchConfig;
use super::failure::Failure;
use super::format::{self, FORMAT, META};
use super::seen::Seen;
use super::sizes::Sizes;
use crate::location::url::Encoded;

/// How often opening begins anew where others create or delete the index at the same time.
const ATTEMPTS: u32 = 5;

/// One index, from its creation to its deletion.
pub(super) struct Index {
    /// Its alias, as it stands in a path: `/NAME-DIGEST`.
    pub(super) path: String,
    /// Whether a write is answered only when it is on the server's disk.
    pub(super) durable: bool,
    pub(super) seen: Seen,
    pub(super) sizes: Sizes,
}

#[derive(Deserialize)]
struct Described {
    aliases: BTreeMap<String, Json>,
    mappings: Json,
    settings: Settings,
}

#[derive(Deserialize)]
struct Settings {
    index: IndexSettings,
}

#[derive(Deserialize)]
struct IndexSettings {
    uuid: String,
    translog: Option<Translog>,
}

#[derive(Deserialize)]
struct Translog {
    durability: Option<String>,
}

impl Index {
    /// Finds it, or with `create` makes it where there is none.
    pub(super) async fn open(
        client: &Client,
        config: &ElasticsearchConfig,
        create: bool,
        deadline: Deadline,
    ) -> Result<Self> {
        for _ in 0..ATTEMPTS {
            match Self::find(client, &config.index, deadline).await {
                Ok(Some(index)) => return Ok(index),
                Ok(None) if create => make(client, config, deadline).await?,
                Ok(None) => {
                    return Err(Error::InvalidArgument(format!("there is no index {:?}", config.index)));
                }
                Err(failure) if failure.is_index_gone() => {}
                Err(failure) => return Err(opening(failure)),
            }
        }
        Err(Error::Unavailable(format!("the index {:?} comes and goes", config.index)))
    }

    async fn find(client: &Client, name: &str, deadline: Deadline) -> Result<Option<Self>, Failure> {
        let path = format!("/{}", Encoded(name));
        let found: BTreeMap<String, Described> = match client.ask(Method::GET, &path, Content::Nothing, deadline).await
        {
            Err(failure) if failure.is_index_gone() => return Ok(None),
            found => found?,
        };
        let mut found = found.into_iter();
        let (Some((real_name, described)), None) = (found.next(), found.next()) else {
            return Err(Error::InvalidArgument(format!("{name:?} is an alias of several indices")).into());
        };
        check(name, &described.mappings)?;
        let digest = Sha256::digest(&described.settings.index.uuid);
        let alias = format!("{name}-{}", format::hex(digest.first_chunk::<8>().unwrap_or(&[0; 8])));
        // Others like it came with a snapshot: whoever still uses one of those shall notice.
        let is_like_it = |other: &&String| {
            let digest = other.strip_prefix(name).and_then(|rest| rest.strip_prefix('-'));
            digest.is_some_and(|digest| digest.len() == 16 && digest.bytes().all(|b| b.is_ascii_hexdigit()))
        };
        let mut actions: Vec<Json> = described
            .aliases
            .keys()
            .filter(is_like_it)
            .filter(|other| **other != alias)
            .map(|other| json!({"remove": {"index": real_name, "alias": other}}))
            .collect();
        if !described.aliases.contains_key(&alias) {
            actions.push(json!({"add": {"index": real_name, "alias": alias}}));
        }
        if !actions.is_empty() {
            client.send(Method::POST, "/_aliases", Content::json(&json!({"actions": actions})), deadline).await?;
        }
        let durability = described.settings.index.translog.and_then(|translog| translog.durability);
        Ok(Some(Index {
            path: format!("/{}", Encoded(&alias)),
            durable: durability.as_deref().is_none_or(|durability| durability.eq_ignore_ascii_case("request")),
            seen: Seen::new(),
            sizes: Sizes::new(),
        }))
    }
}

async fn make(client: &Client, config: &ElasticsearchConfig, deadline: Deadline) -> Result<()> {
    let content = Content::json(&format::index(config.shards, config.replicas));
    match client.send(Method::PUT, &format!("/{}", Encoded(&config.index)), content, deadline).await {
        Err(Failure::Refused(refusal)) if refusal.is_already_there() => Ok(()),
        made => made.map(drop).map_err(opening),
    }
}

/// Whether it is ours.
fn check(name: &str, mappings: &Json) -> Result<()> {
    let Some(meta) = mappings.get("_meta").and_then(|meta| meta.get(META)) else {
        return Err(Error::InvalidArgument(format!("the index {name:?} is not a store: it holds something else")));
    };
    match meta.get("format").and_then(Json::as_u64) {
        Some(FORMAT) => {}
        Some(newer) if newer > FORMAT => {
            return Err(Error::Unsupported(format!("the index {name:?} was made by a newer version (format {newer})")));
        }
        _ => return Err(Error::InvalidArgument(format!("the index {name:?} does not say which format it has"))),
    }
    let found = mappings.get("properties");
    let Json::Object(ours) = format::properties() else { return Ok(()) };
    for (field, mapping) in &ours {
        if found.and_then(|found| found.get(field)) != Some(mapping) {
            let message = format!("the index {name:?} has another mapping: its field `{field}` is not as it was made");
            return Err(Error::InvalidArgument(message));
        }
    }
    Ok(())
}

/// An opening that was not answered can be repeated whatever came of it.
fn opening(failure: Failure) -> Error {
    match failure.into_error() {
        Error::OutcomeUnknown(why) => Error::Unavailable(why),
        error => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_mapping_is_taken() {
        let ours = format::index(None, None)["mappings"].clone();
        check("kv", &ours).unwrap();
        let code = |change: fn(&mut Json)| {
            let mut mapping = ours.clone();
            change(&mut mapping);
            check("kv", &mapping).unwrap_err().code()
        };
        assert_eq!(code(|mapping| mapping["_meta"] = Json::Null), "invalid-argument");
        assert_eq!(code(|mapping| mapping["_meta"][META]["format"] = json!(2)), "unsupported");
        assert_eq!(code(|mapping| mapping["properties"]["key"] = json!({"type": "text"})), "invalid-argument");
        assert_eq!(
            code(|mapping| drop(mapping["properties"].as_object_mut().unwrap().remove("size"))),
            "invalid-argument"
        );
    }
}
