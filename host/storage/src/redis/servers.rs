//! Which server gets a request: the one there is, or in a cluster the one that has its slot.
//!
//! The slots are followed here, and not by the driver's own cluster client, because that one sends a request again after a
//! broken connection, and a write that was applied already would come back as a conflict with itself. A server that answers
//! `MOVED` or `ASK` has not applied the request, so it goes on to the one that is named; nothing else is repeated.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use dataknobs_kv_core::{Error, Result};
use redis::{Cmd, Pipeline, RedisError, Value};

use super::config::RedisConfig;
use super::failure::Failure;
use super::link::{Deadline, Node};
use super::scripts::Script;

/// How often a request is sent on in a cluster that is being rearranged.
const REDIRECTS: usize = 8;
/// How long to wait where a slot is on its way between servers.
const TRY_AGAIN: Duration = Duration::from_millis(20);

type Address = (String, u16);

pub(super) enum Servers {
    One(Node),
    Cluster(Cluster),
}

impl Servers {
    pub(super) fn new(config: RedisConfig) -> Result<Self> {
        if config.cluster {
            return Ok(Servers::Cluster(Cluster {
                config,
                nodes: RwLock::default(),
                slots: RwLock::default(),
                refresh: tokio::sync::Mutex::new(0),
            }));
        }
        let (host, port) = config.hosts.first().cloned().unwrap_or_default();
        Ok(Servers::One(config.node(&host, port)?))
    }

    /// Sends one command to the server that has the slot.
    pub(super) async fn send(&self, slot: u16, command: &Cmd, deadline: Deadline) -> Result<Value, Failure> {
        match self {
            Servers::One(node) => {
                let result = node.send(command, deadline).await;
                if result.as_ref().is_err_and(|failure| failure.is("READONLY")) {
                    node.renew();
                }
                result
            }
            // Boxed, as all that is rare: a call would be kilobytes otherwise, which are moved several times.
            Servers::Cluster(cluster) => Box::pin(cluster.send(slot, command, deadline)).await,
        }
    }

    /// The same, for what changes nothing: it is sent a second time where the connection broke.
    pub(super) async fn read(&self, slot: u16, command: &Cmd, deadline: Deadline) -> Result<Value, Failure> {
        match self.send(slot, command, deadline).await {
            Err(Failure::Lost { late: false, .. }) => Box::pin(self.send(slot, command, deadline)).await,
            result => result,
        }
    }

    /// Calls a script with so many keys. `fill` adds keys and arguments; it is called again where the server does not know
    /// the script yet.
    pub(super) async fn call(
        &self,
        slot: u16,
        script: &Script,
        keys: usize,
        fill: &(dyn Fn(&mut Cmd) + Sync),
        deadline: Deadline,
    ) -> Result<Value, Failure> {
        let mut command = script.by_hash(keys);
        fill(&mut command);
        match self.send(slot, &command, deadline).await {
            Err(failure) if failure.is("NOSCRIPT") => {
                let mut command = script.whole(keys);
                fill(&mut command);
                Box::pin(self.send(slot, &command, deadline)).await
            }
            result => result,
        }
    }

    /// The same, for a script that changes nothing.
    pub(super) async fn call_read(
        &self,
        slot: u16,
        script: &Script,
        keys: usize,
        fill: &(dyn Fn(&mut Cmd) + Sync),
        deadline: Deadline,
    ) -> Result<Value, Failure> {
        match self.call(slot, script, keys, fill, deadline).await {
            Err(Failure::Lost { late: false, .. }) => Box::pin(self.call(slot, script, keys, fill, deadline)).await,
            result => result,
        }
    }

    /// Asks many things at once, each of the server that has its slot. Nothing that changes data goes this way.
    pub(super) async fn ask_all(&self, commands: &[(u16, Cmd)], deadline: Deadline) -> Result<Vec<Value>, Failure> {
        match self {
            Servers::One(node) => {
                let mut pipeline = Pipeline::with_capacity(commands.len());
                for (_, command) in commands {
                    pipeline.add_command(command.clone());
                }
                if commands.is_empty() {
                    return Ok(Vec::new());
                }
                let answers = match node.send_all(&pipeline, deadline).await {
                    Err(Failure::Lost { late: false, .. }) => node.send_all(&pipeline, deadline).await?,
                    result => result?,
                };
                answers.into_iter().map(|answer| answer.map_err(Failure::Refused)).collect()
            }
            Servers::Cluster(cluster) => {
                let asked = commands.iter().map(|(slot, command)| cluster.send(*slot, command, deadline));
                futures::future::try_join_all(asked).await
            }
        }
    }

    /// Sends commands, one after the other, to each server that takes writes.
    pub(super) async fn send_to_each(&self, commands: &[Cmd], deadline: Deadline) -> Result<Vec<Answers>, Failure> {
        let nodes = match self {
            Servers::One(node) => {
                return Ok(vec![each(node, commands, deadline).await?]);
            }
            Servers::Cluster(cluster) => cluster.owners(deadline).await?,
        };
        let mut answers = Vec::with_capacity(nodes.len());
        for node in nodes {
            answers.push(each(&node, commands, deadline).await?);
        }
        Ok(answers)
    }

    pub(super) fn is_cluster(&self) -> bool {
        matches!(self, Servers::Cluster(_))
    }
}

/// What one server answered to each command.
pub(super) struct Answers {
    pub(super) name: String,
    pub(super) answers: Vec<Result<Value, RedisError>>,
}

async fn each(node: &Node, commands: &[Cmd], deadline: Deadline) -> Result<Answers, Failure> {
    let mut answers = Vec::with_capacity(commands.len());
    for command in commands {
        answers.push(match node.send(command, deadline).await {
            Ok(value) => Ok(value),
            Err(Failure::Refused(error)) => Err(error),
            Err(failure) => return Err(failure),
        });
    }
    Ok(Answers { name: node.name().to_owned(), answers })
}

pub(super) struct Cluster {
    config: RedisConfig,
    nodes: RwLock<HashMap<Address, Arc<Node>>>,
    /// The owner of each slot; empty until they were asked for.
    slots: RwLock<Vec<Option<Arc<Node>>>>,
    /// How often the slots were asked for.
    refresh: tokio::sync::Mutex<u64>,
}

impl Cluster {
    async fn send(&self, slot: u16, command: &Cmd, deadline: Deadline) -> Result<Value, Failure> {
        let mut node = self.owner(slot, deadline).await?;
        let mut asking = false;
        let mut refreshed = false;
        for _ in 0..REDIRECTS {
            let result = if asking { ask(&node, command, deadline).await } else { node.send(command, deadline).await };
            let failure = match result {
                Ok(value) => return Ok(value),
                Err(failure) => failure,
            };
            asking = false;
            match &failure {
                Failure::Refused(error) => match error.code() {
                    Some("MOVED") => {
                        let Some(address) = target(error, &node) else { return Err(failure) };
                        self.refresh(deadline).await?;
                        node = self.node(&address)?;
                        self.set_owner(slot, &node);
                    }
                    Some("ASK") => {
                        let Some(address) = target(error, &node) else { return Err(failure) };
                        node = self.node(&address)?;
                        asking = true;
                    }
                    Some("TRYAGAIN") => tokio::time::sleep(TRY_AGAIN).await,
                    Some("READONLY") if !refreshed => {
                        refreshed = true;
                        self.refresh(deadline).await?;
                        node = self.owner(slot, deadline).await?;
                    }
                    _ => return Err(failure),
                },
                // Another server may have taken over.
                Failure::NotSent(Error::Unavailable(_)) if !refreshed => {
                    refreshed = true;
                    if self.refresh(deadline).await.is_err() {
                        return Err(failure);
                    }
                    let owner = self.owner(slot, deadline).await?;
                    if Arc::ptr_eq(&owner, &node) {
                        return Err(failure);
                    }
                    node = owner;
                }
                _ => return Err(failure),
            }
        }
        Err(Failure::NotSent(Error::Unavailable("the Redis cluster is being rearranged".into())))
    }

    fn node(&self, address: &Address) -> Result<Arc<Node>, Failure> {
        let known = self.nodes.read().unwrap_or_else(PoisonError::into_inner).get(address).cloned();
        if let Some(node) = known {
            return Ok(node);
        }
        let node = Arc::new(self.config.node(&address.0, address.1).map_err(Failure::NotSent)?);
        let mut nodes = self.nodes.write().unwrap_or_else(PoisonError::into_inner);
        Ok(nodes.entry(address.clone()).or_insert(node).clone())
    }

    async fn owner(&self, slot: u16, deadline: Deadline) -> Result<Arc<Node>, Failure> {
        if let Some(node) = self.known_owner(slot) {
            return Ok(node);
        }
        self.refresh(deadline).await?;
        self.known_owner(slot).ok_or_else(|| {
            Failure::NotSent(Error::Unavailable("the Redis cluster does not serve this part of the keys".into()))
        })
    }

    fn known_owner(&self, slot: u16) -> Option<Arc<Node>> {
        self.slots.read().unwrap_or_else(PoisonError::into_inner).get(usize::from(slot)).cloned().flatten()
    }

    fn set_owner(&self, slot: u16, node: &Arc<Node>) {
        if let Some(owner) = self.slots.write().unwrap_or_else(PoisonError::into_inner).get_mut(usize::from(slot)) {
            *owner = Some(node.clone());
        }
    }

    /// Every server that has slots.
    async fn owners(&self, deadline: Deadline) -> Result<Vec<Arc<Node>>, Failure> {
        self.refresh(deadline).await?;
        let slots = self.slots.read().unwrap_or_else(PoisonError::into_inner);
        let mut owners: Vec<Arc<Node>> = Vec::new();
        for node in slots.iter().flatten() {
            if !owners.iter().any(|known| Arc::ptr_eq(known, node)) {
                owners.push(node.clone());
            }
        }
        Ok(owners)
    }

    /// Asks anew which server has which slots. Callers that come meanwhile wait for the same answer.
    async fn refresh(&self, deadline: Deadline) -> Result<(), Failure> {
        let seen = self.refresh.try_lock().map(|count| *count).ok();
        let mut count = self.refresh.lock().await;
        if seen.is_none() {
            // Someone asked while we waited.
            if !self.slots.read().unwrap_or_else(PoisonError::into_inner).is_empty() {
                return Ok(());
            }
        }
        let mut addresses: Vec<Address> =
            self.nodes.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect();
        addresses.extend(self.config.hosts.iter().cloned());
        addresses.dedup();
        let mut command = redis::cmd("CLUSTER");
        command.arg("SLOTS");
        let mut last = None;
        for address in &addresses {
            let node = self.node(address)?;
            match node.send(&command, deadline).await {
                Ok(value) => {
                    let Some(ranges) = ranges(value, &address.0) else {
                        let why = format!("{}: an answer to CLUSTER SLOTS that cannot be read", node.name());
                        last = Some(Failure::NotSent(Error::Internal(why)));
                        continue;
                    };
                    let mut slots = vec![None; 16384];
                    let mut owners = Vec::new();
                    for (first, end, address) in ranges {
                        let node = self.node(&address)?;
                        for slot in slots.iter_mut().take(usize::from(end) + 1).skip(usize::from(first)) {
                            *slot = Some(node.clone());
                        }
                        owners.push(address);
                    }
                    *self.slots.write().unwrap_or_else(PoisonError::into_inner) = slots;
                    // Who is neither an owner nor a place to begin is forgotten.
                    let kept = |address: &Address| owners.contains(address) || self.config.hosts.contains(address);
                    self.nodes.write().unwrap_or_else(PoisonError::into_inner).retain(|address, _| kept(address));
                    *count += 1;
                    return Ok(());
                }
                Err(Failure::Refused(error)) if error.detail().is_some_and(|said| said.contains("cluster support")) => {
                    return Err(Failure::NotSent(Error::InvalidArgument(format!(
                        "{} is no Redis Cluster: its connection string begins with `redis:`",
                        node.name()
                    ))));
                }
                Err(failure) => last = Some(failure),
            }
        }
        // Nothing of the caller's was sent.
        Err(Failure::NotSent(match last {
            Some(failure) => failure.of_read(),
            None => Error::InvalidArgument("no host of the Redis cluster is named".into()),
        }))
    }
}

/// `ASKING` and the command behind it, which no other request comes between.
async fn ask(node: &Node, command: &Cmd, deadline: Deadline) -> Result<Value, Failure> {
    let mut pipeline = Pipeline::with_capacity(2);
    pipeline.add_command(redis::cmd("ASKING"));
    pipeline.add_command(command.clone());
    let answers = node.send_all(&pipeline, deadline).await?;
    match answers.into_iter().nth(1) {
        Some(answer) => answer.map_err(Failure::Refused),
        None => Err(Failure::Lost { why: format!("{}: half an answer", node.name()), late: true }),
    }
}

/// Where `MOVED` or `ASK` sends us. A server that does not know its own address leaves the host out.
fn target(error: &RedisError, node: &Node) -> Option<Address> {
    let (address, _) = error.redirect_node()?;
    let (host, port) = address.rsplit_once(':')?;
    let own = node.name().rsplit_once(':').map(|(host, _)| host);
    let host = if host.is_empty() { own? } else { host };
    Some((host.to_owned(), port.parse().ok()?))
}

/// What `CLUSTER SLOTS` says: ranges of slots, and who takes writes for them.
fn ranges(value: Value, asked: &str) -> Option<Vec<(u16, u16, Address)>> {
    let Value::Array(ranges) = value else { return None };
    let number = |value: &Value| match value {
        Value::Int(number) => u16::try_from(*number).ok(),
        _ => None,
    };
    let mut result = Vec::with_capacity(ranges.len());
    for range in ranges {
        let Value::Array(parts) = range else { return None };
        let (first, end) = (number(parts.first()?)?, number(parts.get(1)?)?);
        let Some(Value::Array(owner)) = parts.get(2) else { return None };
        let host = match owner.first()? {
            Value::BulkString(host) if !host.is_empty() && host != b"?" => String::from_utf8(host.clone()).ok()?,
            Value::BulkString(_) | Value::Nil => asked.to_owned(),
            _ => return None,
        };
        result.push((first, end, (host, number(owner.get(1)?)?)));
    }
    Some(result)
}
