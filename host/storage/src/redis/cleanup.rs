//! Removal of many entries: of expired ones, and of whole namespaces.

use dataknobs_kv_core::storage::Reclaimed;
use dataknobs_kv_core::{Error, Result, Timestamp};
use redis::{Cmd, Value};

use super::RedisStorage;
use super::failure::Failure;
use super::format::Place;
use super::scripts;

/// How many entries one script call removes at most: a few milliseconds in which nobody else is served.
const STEP: usize = 250;
/// How many namespaces are looked at together for something that has expired.
const NAMES: usize = 1000;

impl RedisStorage {
    pub(super) async fn reclaim_in(&self, namespace: Option<&str>, now: Timestamp, limit: u32) -> Result<Reclaimed> {
        let mut reclaimed = Reclaimed::default();
        if let Some(namespace) = namespace {
            for place in self.names.places(namespace) {
                self.reclaim_place(namespace, &place, now, limit, &mut reclaimed).await?;
            }
            return Ok(reclaimed);
        }
        let mut low = "-".to_owned();
        loop {
            let names = self.registered_after(&low, NAMES).await?;
            let Some(last) = names.last() else { return Ok(reclaimed) };
            low = format!("({last}");
            let places: Vec<(&String, Place)> = names
                .iter()
                .flat_map(|name| self.names.places(name).into_iter().map(move |place| (name, place)))
                .collect();
            let commands: Vec<_> = places
                .iter()
                .map(|(_, place)| {
                    let mut command = redis::cmd("ZCOUNT");
                    command.arg(&place.expiry).arg("-inf").arg(now);
                    (place.slot, command)
                })
                .collect();
            let counts = self.servers.ask_all(&commands, self.deadline()).await.map_err(Failure::of_read)?;
            for ((name, place), count) in places.iter().zip(counts) {
                if matches!(count, Value::Int(count) if count > 0) {
                    self.reclaim_place(name, place, now, limit, &mut reclaimed).await?;
                }
            }
            if reclaimed.more || names.len() < NAMES {
                return Ok(reclaimed);
            }
        }
    }

    /// In steps, so that other requests come in between; up to the limit.
    async fn reclaim_place(
        &self,
        namespace: &str,
        place: &Place,
        now: Timestamp,
        limit: u32,
        reclaimed: &mut Reclaimed,
    ) -> Result<()> {
        loop {
            let step = (limit.saturating_sub(reclaimed.count) as usize).min(STEP);
            if step == 0 {
                reclaimed.more = true;
                return Ok(());
            }
            let fill = |command: &mut Cmd| {
                self.add_indexes(command, place);
                command.arg(now).arg(step);
                self.add_register(command, namespace);
                command.arg(&place.entries);
            };
            let answer =
                self.servers.call(place.slot, &scripts::RECLAIM, self.index_keys(), &fill, self.deadline()).await;
            let (removed, left) = counts(answer.map_err(Failure::of_write)?)?;
            reclaimed.count = reclaimed.count.saturating_add(removed);
            if left == 0 {
                return Ok(());
            }
        }
    }

    pub(super) async fn clear_some(&self, namespace: &str, limit: u32) -> Result<bool> {
        let mut room = limit as usize;
        for place in self.names.places(namespace) {
            loop {
                let step = room.min(STEP);
                if step == 0 {
                    return Ok(true);
                }
                let fill = |command: &mut Cmd| {
                    self.add_indexes(command, &place);
                    command.arg(step);
                    self.add_register(command, namespace);
                    command.arg(&place.entries);
                };
                let answer =
                    self.servers.call(place.slot, &scripts::CLEAR, self.index_keys(), &fill, self.deadline()).await;
                let (removed, left) = counts(answer.map_err(Failure::of_write)?)?;
                room = room.saturating_sub(removed as usize);
                if left == 0 {
                    break;
                }
            }
        }
        Ok(false)
    }

    fn index_keys(&self) -> usize {
        if self.servers.is_cluster() { 2 } else { 3 }
    }

    fn add_indexes(&self, command: &mut Cmd, place: &Place) {
        command.arg(&place.index).arg(&place.expiry);
        if !self.servers.is_cluster() {
            command.arg(self.names.register());
        }
    }

    fn add_register(&self, command: &mut Cmd, namespace: &str) {
        command.arg(if self.servers.is_cluster() { "" } else { namespace });
        command.arg(if self.names.shards == 1 { "1" } else { "0" });
    }
}

/// How many were removed, and how many are left.
fn counts(answer: Value) -> Result<(u32, u32)> {
    let strange = || Error::OutcomeUnknown("an answer of a cleanup script that cannot be read".into());
    let Value::Array(parts) = answer else { return Err(strange()) };
    match parts.as_slice() {
        [Value::Int(removed), Value::Int(left)] => {
            Ok((u32::try_from(*removed).unwrap_or(0), u32::try_from(*left).unwrap_or(u32::MAX)))
        }
        _ => Err(strange()),
    }
}
