//! Walks over many keys: listing, counting, the names of namespaces.

use dataknobs_kv_core::storage::{ANSWER_BYTES, Hint, Names, Page, Range};
use dataknobs_kv_core::{Entry, Error, Projection, Result, State, Timestamp};
use redis::{Cmd, Value};

use super::RedisStorage;
use super::failure::Failure;
use super::format::{self, Damaged, Place};
use super::link::Deadline;
use super::scripts;
use crate::hint::Filter;

/// How many keys one script call looks at: some milliseconds, and as many as Lua can spread on its stack.
const ROWS: usize = 4000;
/// How many keys one page looks at: where matches are rare it ends early, and the walk goes on in the next call.
const MAX_ROWS: usize = 20_000;
/// How many expired keys a count of a range looks at.
const MAX_EXPIRED: usize = 4000;
/// How many names the register is asked for at once.
const NAMES: usize = 1000;

/// A key, and what was read of its entry where that was asked for.
type Item = (String, Option<Result<Option<State>, Damaged>>);

/// Some keys in order.
struct Chunk {
    items: Vec<Item>,
    /// Where to go on; none at the end.
    next: Option<String>,
}

impl Chunk {
    /// Leaves out all but so many.
    fn cut(&mut self, length: usize) {
        if length < self.items.len() {
            self.items.truncate(length);
            self.next = self.items.last().map(|(key, _)| key.clone());
        }
    }
}

/// A walk through one namespace.
struct Walk<'a> {
    storage: &'a RedisStorage,
    places: Vec<Place>,
    low: String,
    high: String,
    now: Timestamp,
    want: Projection,
    deadline: Deadline,
}

impl RedisStorage {
    /// Nearly always one request. More are made where a pattern matches rarely, until something is found or enough keys
    /// were looked at: an empty page would cost the caller more.
    pub(super) async fn page(
        &self,
        namespace: &str,
        range: &Range,
        hint: &Hint,
        now: Timestamp,
        limit: u32,
        want: Projection,
    ) -> Result<Page> {
        let Some((low, high)) = format::bounds(range) else { return Ok(Page::default()) };
        let filter = Filter::new(hint);
        let fetched = if filter.narrows_metadata() { want.max(Projection::Attributes) } else { want };
        let places = self.names.places(namespace);
        let mut walk = Walk { storage: self, places, low, high, now, want: fetched, deadline: self.deadline() };
        let limit = (limit.max(1) as usize).min(ROWS);
        let mut page = Page::default();
        let mut room = ANSWER_BYTES;
        let mut rows = limit;
        let mut looked_at = 0;
        // With a pattern that matches rarely, states are fetched for the keys that match, not for all.
        let mut sparse = false;
        loop {
            let mut chunk = walk.chunk(rows, if sparse { Projection::Key } else { fetched }, room).await?;
            let count = chunk.items.len();
            looked_at += rows;
            chunk.items.retain(|(key, _)| filter.key(key));
            let matched = chunk.items.len();
            if sparse && fetched > Projection::Key {
                chunk.cut(limit.saturating_sub(page.items.len()));
                walk.add_states(&mut chunk, room).await?;
            }
            let mut items = chunk.items.into_iter();
            for (key, state) in items.by_ref() {
                let state = match state {
                    None => None,
                    Some(Ok(None)) => continue,
                    Some(Ok(Some(state)))
                        if state.attributes.expired(now) || !filter.metadata(state.attributes.metadata.as_deref()) =>
                    {
                        continue;
                    }
                    Some(Ok(Some(state))) => Some(state),
                    // By its key a damaged one can be deleted.
                    Some(Err(_)) if want == Projection::Key => None,
                    Some(Err(damaged)) => return Err(damaged.error(namespace, &key)),
                };
                let state = state.filter(|_| want > Projection::Key);
                room = room.saturating_sub(state.as_ref().map_or(0, weight));
                page.items.push(Entry { key, state });
                if page.items.len() >= limit {
                    break;
                }
            }
            let full = page.items.len() >= limit;
            let left_over = items.next().is_some();
            page.next = match chunk.next {
                _ if full && left_over => page.items.last().map(|entry| entry.key.clone()),
                next => next,
            };
            let Some(next) = &page.next else { return Ok(page) };
            if full || room == 0 || looked_at >= MAX_ROWS {
                return Ok(page);
            }
            walk.low = format!("({next}");
            sparse = matched * 4 < count;
            rows = if matched * 2 < count { (rows * 4).clamp(256, ROWS) } else { (limit - page.items.len()).min(ROWS) };
        }
    }

    pub(super) async fn count_range(&self, namespace: &str, range: &Range, now: Timestamp) -> Result<Option<u64>> {
        // Of what was evicted the indexes know nothing.
        if self.promises.evicts.is_some() {
            return Ok(None);
        }
        let Some((low, high)) = format::bounds(range) else { return Ok(Some(0)) };
        let deadline = self.deadline();
        let places = self.names.places(namespace);
        let counts = places.iter().map(|place| {
            let (low, high) = (&low, &high);
            async move {
                let fill = |command: &mut Cmd| {
                    command.arg(&place.index).arg(&place.expiry).arg(low).arg(high).arg(now).arg(MAX_EXPIRED);
                };
                self.servers.call_read(place.slot, &scripts::COUNT, 2, &fill, deadline).await
            }
        });
        let whole = low == "-" && high == "+";
        let mut living: u64 = 0;
        for answer in futures::future::try_join_all(counts).await.map_err(Failure::of_read)? {
            let Value::Array(parts) = answer else { return Err(strange("count")) };
            let [Value::Int(keys), Value::Int(expired), Value::Array(due)] = parts.as_slice() else {
                return Err(strange("count"));
            };
            let expired = match usize::try_from(*expired) {
                Ok(expired) if whole => expired,
                Ok(expired) if expired > MAX_EXPIRED => return Ok(None),
                _ => due.iter().filter(|key| matches!(key, Value::BulkString(key) if inside(range, key))).count(),
            };
            living += u64::try_from(*keys).unwrap_or(0).saturating_sub(expired as u64);
        }
        Ok(Some(living))
    }

    /// The register names every namespace that ever held something; those whose index is gone are left out.
    pub(super) async fn names_after(&self, after: Option<&str>, limit: u32) -> Result<Names> {
        let limit = limit.max(1) as usize;
        let mut result = Names::default();
        let mut low = after.map_or_else(|| "-".to_owned(), |after| format!("({after}"));
        loop {
            let batch = (limit - result.names.len() + 1).clamp(1, NAMES);
            let names = self.registered_after(&low, batch).await?;
            let Some(last) = names.last() else { return Ok(result) };
            low = format!("({last}");
            let ended = names.len() < batch;
            for (name, held) in self.which_hold(names).await? {
                if !held {
                    continue;
                }
                if result.names.len() >= limit {
                    result.next = result.names.last().cloned();
                    return Ok(result);
                }
                result.names.push(name);
            }
            if ended {
                return Ok(result);
            }
        }
    }

    /// The next names in the register.
    pub(super) async fn registered_after(&self, low: &str, count: usize) -> Result<Vec<String>> {
        let mut command = redis::cmd("ZRANGE");
        command.arg(self.names.register()).arg(low).arg("+").arg("BYLEX").arg("LIMIT").arg(0).arg(count);
        let answer = self.servers.read(self.names.root_slot(), &command, self.deadline()).await;
        let Value::Array(names) = answer.map_err(Failure::of_read)? else { return Err(strange("register")) };
        Ok(names.into_iter().filter_map(key).collect())
    }

    async fn which_hold(&self, names: Vec<String>) -> Result<Vec<(String, bool)>> {
        let shards = usize::from(self.names.shards);
        let mut commands = Vec::with_capacity(names.len() * shards);
        for name in &names {
            for place in self.names.places(name) {
                let mut command = redis::cmd("EXISTS");
                command.arg(place.index);
                commands.push((place.slot, command));
            }
        }
        let answers = self.servers.ask_all(&commands, self.deadline()).await.map_err(Failure::of_read)?;
        let held = answers.chunks(shards).map(|answers| answers.contains(&Value::Int(1)));
        Ok(names.into_iter().zip(held).collect())
    }
}

impl Walk<'_> {
    /// The next keys after `low`. The shards' keys are merged; as each gives only some, the merged ones are cut where the
    /// first of them stopped.
    async fn chunk(&self, rows: usize, want: Projection, room: usize) -> Result<Chunk> {
        let shards = self.places.len();
        if let [place] = self.places.as_slice() {
            return self.chunk_of(place, rows, want, room).await;
        }
        let rows = rows / shards + 32;
        let chunks = self.places.iter().map(|place| self.chunk_of(place, rows, want, room / shards));
        let mut merged = Chunk { items: Vec::new(), next: None };
        for chunk in futures::future::try_join_all(chunks).await? {
            merged.items.extend(chunk.items);
            merged.next = match (merged.next, chunk.next) {
                (Some(one), Some(other)) => Some(one.min(other)),
                (one, other) => one.or(other),
            };
        }
        if let Some(next) = &merged.next {
            merged.items.retain(|(key, _)| key <= next);
        }
        merged.items.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        Ok(merged)
    }

    async fn chunk_of(&self, place: &Place, rows: usize, want: Projection, room: usize) -> Result<Chunk> {
        let fill = |command: &mut Cmd| {
            command.arg(&place.index).arg(&place.expiry).arg(&self.low).arg(&self.high).arg(rows).arg(self.now);
            command.arg(match want {
                Projection::Key => "k",
                Projection::Attributes => "a",
                Projection::Value => "v",
            });
            command.arg(room).arg(&place.entries);
        };
        let answer = self.storage.servers.call_read(place.slot, &scripts::SCAN, 2, &fill, self.deadline).await;
        let Value::Array(answer) = answer.map_err(Failure::of_read)? else { return Err(strange("scan")) };
        let mut answer = answer.into_iter();
        let (Some(more), Some(last)) = (answer.next(), answer.next()) else { return Err(strange("scan")) };
        let more = more == Value::BulkString(b"1".to_vec());
        let mut chunk = Chunk { items: Vec::with_capacity(answer.len()), next: key(last).filter(|_| more) };
        while let Some(name) = answer.next() {
            // A member that is no key of ours was not put there by us.
            let name = key(name);
            let state = match want {
                Projection::Key => None,
                _ => Some(format::state(answer.next().unwrap_or_default(), want == Projection::Value)),
            };
            if let Some(name) = name {
                chunk.items.push((name, state));
            }
        }
        Ok(chunk)
    }

    /// Fetches the states of the keys: of all, or of as many as there is room for, and then the chunk ends there.
    async fn add_states(&self, chunk: &mut Chunk, room: usize) -> Result<()> {
        let storage = self.storage;
        for (shard, place) in self.places.iter().enumerate() {
            let ats: Vec<usize> = (0..chunk.items.len())
                .filter(|at| {
                    chunk.items.get(*at).is_some_and(|(key, _)| usize::from(storage.names.shard(key)) == shard)
                })
                .collect();
            if ats.is_empty() {
                continue;
            }
            let keys: Vec<&str> =
                ats.iter().filter_map(|at| chunk.items.get(*at)).map(|(key, _)| key.as_str()).collect();
            let with_value = self.want == Projection::Value;
            let room = room / self.places.len();
            let states = storage.read_states(place, &keys, with_value, room, self.deadline).await;
            for (at, state) in ats.iter().zip(states.map_err(Failure::of_read)?) {
                if let Some((_, slot)) = chunk.items.get_mut(*at) {
                    *slot = Some(state);
                }
            }
        }
        let read = chunk.items.iter().take_while(|(_, state)| state.is_some()).count();
        chunk.cut(read);
        Ok(())
    }
}

/// About what a state weighs in an answer.
fn weight(state: &State) -> usize {
    let metadata = state.attributes.metadata.as_ref().map_or(0, String::len);
    state.value.as_ref().map_or(0, Vec::len).saturating_add(metadata).saturating_add(128)
}

fn key(value: Value) -> Option<String> {
    match value {
        Value::BulkString(bytes) => String::from_utf8(bytes).ok(),
        _ => None,
    }
}

fn inside(range: &Range, key: &[u8]) -> bool {
    std::str::from_utf8(key).is_ok_and(|key| range.contains(key))
}

fn strange(what: &str) -> Error {
    Error::Internal(format!("an answer of the {what} script that cannot be read"))
}
