//! Reads of single keys.

use dataknobs_kv_core::storage::ANSWER_BYTES;
use dataknobs_kv_core::{Error, Result, State, Timestamp};
use redis::Value;

use super::RedisStorage;
use super::failure::Failure;
use super::format::{self, Damaged, FIELDS, Place, VALUE};
use super::link::Deadline;
use super::scripts;

impl RedisStorage {
    pub(super) async fn get_one(
        &self,
        namespace: &str,
        key: &str,
        now: Timestamp,
        with_value: bool,
    ) -> Result<Option<State>> {
        let place = self.names.place(namespace, self.names.shard(key));
        let mut command = redis::cmd("HMGET");
        command.arg(place.entry(key)).arg(&FIELDS);
        if with_value {
            command.arg(VALUE);
        }
        let state = match self.servers.read(place.slot, &command, self.deadline()).await {
            Ok(fields) => format::state(fields, with_value).map_err(|damaged| damaged.error(namespace, key))?,
            Err(failure) if failure.is("WRONGTYPE") => return Err(Damaged.error(namespace, key)),
            Err(failure) => return Err(failure.of_read()),
        };
        Ok(state.filter(|state| !state.attributes.expired(now)))
    }

    pub(super) async fn get_some(
        &self,
        namespace: &str,
        keys: &[String],
        now: Timestamp,
        with_value: bool,
    ) -> Result<Vec<Result<Option<State>>>> {
        let deadline = self.deadline();
        let mut of_shards: Vec<Vec<usize>> = vec![Vec::new(); usize::from(self.names.shards)];
        for (at, key) in keys.iter().enumerate() {
            if let Some(shard) = of_shards.get_mut(usize::from(self.names.shard(key))) {
                shard.push(at);
            }
        }
        let places = self.names.places(namespace);
        let asked: Vec<_> = places.iter().zip(&of_shards).filter(|(_, keys)| !keys.is_empty()).collect();
        let room = ANSWER_BYTES / asked.len().max(1);
        let reads = asked.iter().map(|(place, ats)| {
            let keys: Vec<&str> = ats.iter().filter_map(|at| keys.get(*at)).map(String::as_str).collect();
            async move { self.read_states(place, &keys, with_value, room, deadline).await }
        });
        let answers = futures::future::try_join_all(reads).await.map_err(Failure::of_read)?;
        let mut results: Vec<Option<Result<Option<State>>>> = keys.iter().map(|_| None).collect();
        for ((_, ats), answers) in asked.iter().zip(answers) {
            for (at, answer) in ats.iter().zip(answers) {
                if let (Some(result), Some(key)) = (results.get_mut(*at), keys.get(*at)) {
                    let state = answer.map_err(|damaged| damaged.error(namespace, key));
                    *result = Some(state.map(|state| state.filter(|state| !state.attributes.expired(now))));
                }
            }
        }
        // Up to the first that there was no room for.
        let results: Vec<_> = results.into_iter().map_while(|result| result).collect();
        if results.is_empty() && !keys.is_empty() {
            return Err(Error::Internal("an answer without states".into()));
        }
        Ok(results)
    }

    /// The states of the first of these keys, expired or not: of all, or of as many as there is room for.
    pub(super) async fn read_states(
        &self,
        place: &Place,
        keys: &[&str],
        with_value: bool,
        room: usize,
        deadline: Deadline,
    ) -> Result<Vec<Result<Option<State>, Damaged>>, Failure> {
        let fill = |command: &mut redis::Cmd| {
            for key in keys {
                command.arg(place.entry(key));
            }
            command.arg(if with_value { "1" } else { "0" }).arg(room);
        };
        match self.servers.call_read(place.slot, &scripts::READ, keys.len(), &fill, deadline).await? {
            Value::Array(states) => Ok(states.into_iter().map(|state| format::state(state, with_value)).collect()),
            _ => Err(Failure::NotSent(Error::Internal("an answer of the read script that cannot be read".into()))),
        }
    }
}
