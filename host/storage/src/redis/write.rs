//! Writes: mutations become arguments of the script, in pieces that do not hold up the server for long.

use std::sync::PoisonError;
use std::time::Duration;

use dataknobs_kv_core::storage::{ANSWER_BYTES, Change, Mutation, Outcome};
use dataknobs_kv_core::{Attributes, Error, Precondition, Projection, Result, Timestamp, Version};
use redis::{Cmd, Value};

use super::failure::{self, Failure};
use super::format::{self, Damaged, Place};
use super::link::Deadline;
use super::{MAX_METADATA_BYTES, MAX_VALUE_BYTES, RedisStorage, scripts};
use crate::sizes::check_size;

/// How many mutations of a plain batch one script call makes at most: some milliseconds in which nobody else is served.
const PIECE: usize = 200;
/// How many bytes it takes in at most, beyond the first mutation.
const PIECE_BYTES: usize = 8 << 20;
/// How many bytes an atomic write takes in at most: a server closes connections that send more than 1 GiB at once.
const ATOMIC_BYTES: usize = 512 << 20;
/// How many namespaces are remembered as registered.
const REMEMBERED: usize = 10_000;

/// How often the server is asked what became of a write whose answer was lost, and how long after the last time.
const LOOKS: u32 = 10;
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// What is written, with the version that a put or amend is going to have.
struct Planned {
    at: usize,
    mutation: Mutation,
    version: Option<Version>,
}

impl Planned {
    fn bytes(&self) -> usize {
        match &self.mutation.change {
            Change::Put { attributes, value } => value.len() + attributes.metadata.as_ref().map_or(0, String::len),
            Change::Amend(amendment) => amendment.metadata.as_ref().map_or(0, String::len),
            Change::Extend(_) | Change::Delete | Change::Check => 0,
        }
    }

    /// Whether the server needs memory for it.
    fn grows(&self) -> bool {
        self.version.is_some()
    }
}

/// Mutations that one script call makes.
struct Piece {
    place: usize,
    planned: Vec<Planned>,
}

/// What all pieces of a write have in common.
struct Write<'a> {
    namespace: &'a str,
    places: Vec<Place>,
    atomic: bool,
    now: Timestamp,
    on_conflict: Projection,
    deadline: Deadline,
}

type Results = Vec<(usize, Result<Outcome>)>;

impl RedisStorage {
    pub(super) async fn write_all(
        &self,
        namespace: &str,
        mutations: Vec<Mutation>,
        atomic: bool,
        now: Timestamp,
        on_conflict: Projection,
    ) -> Result<Vec<Result<Outcome>>> {
        let most = self.max_atomic();
        if atomic && mutations.len() > most {
            let length = mutations.len();
            return Err(Error::Unsupported(format!("{length} mutations in one atomic write; {most} are the most")));
        }
        let count = mutations.len();
        let mut results: Vec<Option<Result<Outcome>>> = (0..count).map(|_| None).collect();
        let mut planned = Vec::with_capacity(count);
        for (at, mutation) in mutations.into_iter().enumerate() {
            match (check_size(&mutation, MAX_VALUE_BYTES, MAX_METADATA_BYTES), results.get_mut(at)) {
                (Err(error), Some(result)) => *result = Some(Err(error)),
                _ => {
                    let versioned = matches!(mutation.change, Change::Put { .. } | Change::Amend(_));
                    let version = versioned.then(|| Version::from_random(rand::random()));
                    planned.push(Planned { at, mutation, version });
                }
            }
        }
        if atomic {
            if planned.len() < count {
                return Ok(results.into_iter().map(|result| result.unwrap_or(Ok(Outcome::NotApplied))).collect());
            }
            let bytes: usize = planned.iter().map(Planned::bytes).sum();
            if bytes > ATOMIC_BYTES {
                return Err(Error::too_large("atomic write", ATOMIC_BYTES as u64, bytes as u64));
            }
        }
        let write = Write {
            namespace,
            places: self.names.places(namespace),
            atomic,
            now,
            on_conflict,
            deadline: self.deadline(),
        };
        if self.servers.is_cluster() && planned.iter().any(Planned::grows) {
            Box::pin(self.register_once(namespace, write.deadline)).await?;
        }
        let mut pieces = self.cut(planned, atomic);
        if pieces.len() == 1
            && let Some(piece) = pieces.pop()
        {
            // Alone, it may fail as a whole.
            for (at, result) in self.write_piece(&write, piece).await? {
                if let Some(slot) = results.get_mut(at) {
                    *slot = Some(result);
                }
            }
        } else {
            let pieces = pieces.into_iter().map(|piece| {
                let ats: Vec<_> = piece.planned.iter().map(|planned| planned.at).collect();
                let writing = self.write_piece(&write, piece);
                async move {
                    match writing.await {
                        Ok(results) => results,
                        Err(error) => ats.into_iter().map(|at| (at, Err(error.clone()))).collect(),
                    }
                }
            });
            for (at, result) in Box::pin(futures::future::join_all(pieces)).await.into_iter().flatten() {
                if let Some(slot) = results.get_mut(at) {
                    *slot = Some(result);
                }
            }
        }
        let missing = || Err(Error::Internal("a mutation without an outcome".into()));
        Ok(results.into_iter().map(|result| result.unwrap_or_else(missing)).collect())
    }

    fn cut(&self, planned: Vec<Planned>, atomic: bool) -> Vec<Piece> {
        let mut pieces: Vec<Piece> = Vec::new();
        // The last piece of each shard, and what it weighs.
        let mut open: Vec<Option<(usize, usize)>> = vec![None; usize::from(self.names.shards)];
        for one in planned {
            let place = usize::from(self.names.shard(&one.mutation.key));
            let bytes = one.bytes();
            let Some(last) = open.get_mut(place) else { continue };
            if let Some((at, weight)) = last
                && let Some(piece) = pieces.get_mut(*at)
                && (atomic || (piece.planned.len() < PIECE && *weight + bytes <= PIECE_BYTES))
            {
                *weight += bytes;
                piece.planned.push(one);
                continue;
            }
            *last = Some((pieces.len(), bytes));
            pieces.push(Piece { place, planned: vec![one] });
        }
        pieces
    }

    async fn write_piece(&self, write: &Write<'_>, piece: Piece) -> Result<Results> {
        let missing = || Error::Internal("a piece without a place".into());
        let place = write.places.get(piece.place).ok_or_else(missing)?;
        match self.call_piece(write, place, &piece.planned).await {
            Ok(answers) => self.read_outcomes(write, piece.planned, answers).await,
            // A server without memory still removes.
            Err(failure) if failure.is("OOM") && !write.atomic && !piece.planned.iter().all(Planned::grows) => {
                let (growing, light): (Vec<_>, Vec<_>) = piece.planned.into_iter().partition(Planned::grows);
                let error = failure.of_write();
                let mut results: Results = growing.iter().map(|one| (one.at, Err(error.clone()))).collect();
                let answers = Box::pin(self.call_piece(write, place, &light)).await.map_err(Failure::of_write)?;
                results.extend(self.read_outcomes(write, light, answers).await?);
                Ok(results)
            }
            Err(Failure::Lost { late: false, why }) => {
                Box::pin(self.after_loss(write, place, piece.planned, why)).await
            }
            Err(failure) => Err(failure.of_write()),
        }
    }

    async fn call_piece(&self, write: &Write<'_>, place: &Place, planned: &[Planned]) -> Result<Vec<Value>, Failure> {
        let script = if planned.iter().any(Planned::grows) { &scripts::WRITE } else { &scripts::LIGHT };
        let registers = !self.servers.is_cluster();
        let keys = planned.len() + if registers { 3 } else { 2 };
        let fill = |command: &mut Cmd| {
            command.arg(&place.index).arg(&place.expiry);
            if registers {
                command.arg(self.names.register());
            }
            for one in planned {
                command.arg(place.entry(&one.mutation.key));
            }
            command.arg(write.now).arg(self.margin());
            let atomic = if write.atomic { 'a' } else { '-' };
            let want = match write.on_conflict {
                Projection::Key => 'k',
                Projection::Attributes => 'a',
                Projection::Value => 'v',
            };
            // A namespace with shards may have entries in another one.
            let clears = if self.names.shards == 1 { 'c' } else { '-' };
            command.arg(String::from_iter([atomic, want, clears]));
            // Alone, a conflict carries its value whatever it weighs.
            command.arg(if planned.len() == 1 { MAX_VALUE_BYTES * 64 } else { ANSWER_BYTES });
            command.arg(if registers { write.namespace } else { "" });
            command.arg(place.entries.len() + 1);
            for one in planned {
                add(command, one);
            }
        };
        match self.servers.call(place.slot, script, keys, &fill, write.deadline).await? {
            Value::Array(answers) if answers.len() == planned.len() => Ok(answers),
            _ => Err(Failure::Lost { why: "an answer of the write script that cannot be read".into(), late: true }),
        }
    }

    async fn read_outcomes(&self, write: &Write<'_>, planned: Vec<Planned>, answers: Vec<Value>) -> Result<Results> {
        let mut new_index = false;
        let mut results = Vec::with_capacity(planned.len());
        for (one, answer) in planned.into_iter().zip(answers) {
            new_index |= answer == Value::Int(5);
            results.push((one.at, outcome(write, one, answer)));
        }
        if new_index && self.servers.is_cluster() {
            // The register lies in another slot. It was written before; but if all data were flushed since, it is gone.
            let _ = self.register(write.namespace, write.deadline).await;
        }
        Ok(results)
    }

    /// The connection broke while the script was called. Versions are random: one that is there was written by us.
    async fn after_loss(
        &self,
        write: &Write<'_>,
        place: &Place,
        planned: Vec<Planned>,
        why: String,
    ) -> Result<Results> {
        let keys: Vec<_> = planned.iter().map(|one| one.mutation.key.as_str()).collect();
        let mut tries = 0;
        let states = loop {
            match self.read_states(place, &keys, false, 1 << 40, write.deadline).await {
                Ok(states) => break states,
                // The server may be on its way back.
                Err(Failure::NotSent(Error::Unavailable(_))) if tries < LOOKS => {
                    tries += 1;
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
                Err(_) => return Err(Error::OutcomeUnknown(why)),
            }
        };
        let found: Vec<bool> = planned
            .iter()
            .zip(states)
            .map(|(one, state)| match (&one.version, state) {
                (Some(version), Ok(Some(state))) => state.version == *version,
                _ => false,
            })
            .collect();
        // All or nothing: one that is there stands for all.
        let all = write.atomic && found.contains(&true);
        if !all && !found.contains(&true) {
            return Err(Error::OutcomeUnknown(why));
        }
        let results = planned.into_iter().zip(found).map(|(one, found)| {
            let outcome = match (one.version, &one.mutation.change) {
                (Some(version), _) if found || all => Ok(Outcome::Written(version)),
                (None, Change::Delete) if all => Ok(Outcome::Deleted),
                (None, _) if all => Ok(Outcome::Held),
                _ => Err(Error::OutcomeUnknown(why.clone())),
            };
            (one.at, outcome)
        });
        Ok(results.collect())
    }

    async fn register_once(&self, namespace: &str, deadline: Deadline) -> Result<()> {
        if self.registered.read().unwrap_or_else(PoisonError::into_inner).contains(namespace) {
            return Ok(());
        }
        // Nothing that was asked for is applied yet, whatever becomes of this.
        self.register(namespace, deadline).await.map_err(Failure::of_read)?;
        let mut registered = self.registered.write().unwrap_or_else(PoisonError::into_inner);
        if registered.len() >= REMEMBERED {
            registered.clear();
        }
        registered.insert(namespace.to_owned());
        Ok(())
    }

    async fn register(&self, namespace: &str, deadline: Deadline) -> Result<(), Failure> {
        let mut command = redis::cmd("ZADD");
        command.arg(self.names.register()).arg(0).arg(namespace);
        self.servers.send(self.names.root_slot(), &command, deadline).await.map(drop)
    }

    fn margin(&self) -> u64 {
        u64::try_from(self.config.expiry_margin.as_millis()).unwrap_or(u64::MAX)
    }
}

/// One mutation as the script takes it.
fn add(command: &mut Cmd, one: &Planned) {
    let precondition = |command: &mut Cmd| {
        match &one.mutation.precondition {
            Precondition::None => command.arg(""),
            Precondition::Absent => command.arg("-"),
            Precondition::Version(version) => command.arg(format!("={version}")),
        };
    };
    let optional = |command: &mut Cmd, number: Option<u64>| {
        match number {
            Some(number) => command.arg(number),
            None => command.arg(""),
        };
    };
    let version = one.version.as_ref().map_or("", Version::as_str);
    match &one.mutation.change {
        Change::Put { attributes, value } => {
            let Attributes { expires_at, sliding_ms, content_type, metadata, .. } = attributes;
            let plain = expires_at.is_none() && sliding_ms.is_none() && content_type.is_none() && metadata.is_none();
            command.arg(if plain { "p" } else { "P" });
            precondition(command);
            command.arg(version).arg(attributes.value_type.to_string()).arg(value.as_slice());
            // The size decides whether an entry is sound: it is counted here, whatever the caller says.
            command.arg(attributes.created_at).arg(attributes.updated_at).arg(value.len()).arg(attributes.checksum);
            if !plain {
                optional(command, *expires_at);
                optional(command, *sliding_ms);
                command.arg(content_type.as_deref().unwrap_or_default());
                command.arg(metadata.as_deref().unwrap_or_default());
            }
        }
        Change::Amend(amendment) => {
            command.arg("a");
            precondition(command);
            command.arg(version).arg(amendment.updated_at);
            optional(command, amendment.expires_at);
            optional(command, amendment.sliding_ms);
            command.arg(amendment.content_type.as_deref().unwrap_or_default());
            command.arg(amendment.metadata.as_deref().unwrap_or_default());
        }
        Change::Extend(to) => {
            command.arg("x");
            precondition(command);
            command.arg(*to);
        }
        Change::Delete => {
            command.arg("d");
            precondition(command);
        }
        Change::Check => {
            command.arg("c");
            precondition(command);
        }
    }
}

/// One answer of the script.
fn outcome(write: &Write<'_>, one: Planned, answer: Value) -> Result<Outcome> {
    let key = &one.mutation.key;
    let strange = || Error::Internal("an answer of the write script that cannot be read".into());
    let mut parts = match answer {
        Value::Int(code) => {
            return match code {
                0 | 5 => Ok(match (one.version, &one.mutation.change) {
                    (Some(version), _) => Outcome::Written(version),
                    (None, Change::Delete) => Outcome::Deleted,
                    (None, _) => Outcome::Held,
                }),
                1 => Ok(Outcome::Absent),
                3 => Ok(Outcome::NotApplied),
                _ => Err(strange()),
            };
        }
        Value::Array(parts) => parts.into_iter(),
        _ => return Err(strange()),
    };
    match (parts.next(), parts.next()) {
        (Some(Value::Int(2)), None) => Ok(Outcome::Conflict(None)),
        (Some(Value::Int(2)), Some(fields)) => {
            // The value may have been left out: there is not room for those of a large batch.
            let state = format::state(fields, false).map_err(|damaged| damaged.error(write.namespace, key))?;
            Ok(Outcome::Conflict(state))
        }
        (Some(Value::Int(4)), Some(Value::BulkString(why))) if why != b"damaged" => {
            let why = String::from_utf8_lossy(&why);
            let (code, detail) = why.split_once(' ').unwrap_or((&why, ""));
            Err(failure::refused(code, detail))
        }
        (Some(Value::Int(4)), _) => Err(Damaged.error(write.namespace, key)),
        _ => Err(strange()),
    }
}
