//! Random operations, against a model of a few lines.
//!
//! The model is an ordered map that knows the rules in their simplest form; whatever the store answers must be what the
//! model answers. Sequences that fail are cut down and kept in a file, and tried first the next time.

use std::collections::BTreeMap;

use dataknobs_kv_core::store::{
    Action, ChangeResult, Check, DeleteResult, Expiry, Item, Numeric, Query, SetOptions, SetResult, SwapResult,
    TransactionResult,
};
use dataknobs_kv_core::{Precondition, Projection, State, Value, Version};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, FileFailurePersistence, TestRunner};

use crate::Harness;
use crate::harness::shown;

mod op;

use op::{Demand, KEYS, Op, PATTERNS, Sample, array, op};

#[derive(Clone, Debug, PartialEq)]
struct Kept {
    version: Version,
    value: Vec<u8>,
    value_type: String,
    metadata: BTreeMap<String, i64>,
    created_at: u64,
    updated_at: u64,
    expires_at: Option<u64>,
}

fn metadata_text(fields: &BTreeMap<String, i64>) -> Option<String> {
    if fields.is_empty() {
        return None;
    }
    let fields: Vec<String> = fields.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    Some(format!("{{{}}}", fields.join(",")))
}

struct Model {
    now: u64,
    entries: BTreeMap<&'static str, Kept>,
    stale: BTreeMap<&'static str, Version>,
}

/// What a step of the model says, for messages.
type Verdict = Result<(), String>;

fn wrong<T>(what: impl Into<String>) -> Result<T, String> {
    Err(what.into())
}

impl Model {
    fn living(&self, key: &str) -> Option<&Kept> {
        self.entries.get(key).filter(|kept| kept.expires_at.is_none_or(|at| self.now < at))
    }

    fn precondition(&self, key: &'static str, demand: Demand) -> Precondition {
        let made_up = || Version::from_random(1);
        match demand {
            Demand::Nothing => Precondition::None,
            Demand::Absent => Precondition::Absent,
            Demand::Current => {
                Precondition::Version(self.living(key).map_or_else(made_up, |kept| kept.version.clone()))
            }
            Demand::Stale => Precondition::Version(self.stale.get(key).cloned().unwrap_or_else(made_up)),
        }
    }

    fn holds(&self, key: &str, precondition: &Precondition) -> bool {
        precondition.holds(self.living(key).map(|kept| &kept.version))
    }

    fn write(
        &mut self,
        key: &'static str,
        version: Version,
        value: Value,
        metadata: BTreeMap<String, i64>,
        expires_at: Option<u64>,
    ) -> Verdict {
        if self.entries.values().any(|kept| kept.version == version) || self.stale.get(key) == Some(&version) {
            return wrong(format!("version {version} came again"));
        }
        let created_at = self.living(key).map_or(self.now, |kept| kept.created_at);
        if let Some(old) = self.entries.get(key) {
            self.stale.insert(key, old.version.clone());
        }
        let (value_type, value) = value.encode();
        let kept = Kept {
            version,
            value,
            value_type: value_type.to_string(),
            metadata,
            created_at,
            updated_at: self.now,
            expires_at,
        };
        self.entries.insert(key, kept);
        Ok(())
    }

    fn remove(&mut self, key: &'static str) {
        if let Some(old) = self.entries.remove(key) {
            self.stale.insert(key, old.version);
        }
    }

    fn matching(&self, pattern: u8) -> (&'static str, Vec<&'static str>) {
        let (text, matches) = PATTERNS[usize::from(pattern)];
        let mut keys: Vec<&'static str> = KEYS
            .into_iter()
            .zip(matches)
            .filter(|(key, matches)| *matches && self.living(key).is_some())
            .map(|(key, _)| key)
            .collect();
        keys.sort();
        (text, keys)
    }

    fn same(&self, key: &str, state: Option<&State>) -> Verdict {
        let (kept, state) = match (self.living(key), state) {
            (None, None) => return Ok(()),
            (Some(kept), Some(state)) => (kept, state),
            (kept, state) => return wrong(format!("{key:?}: the model has {kept:?}, the store {state:?}")),
        };
        let attributes = &state.attributes;
        let same = kept.version == state.version
            && state.value.as_ref().is_none_or(|value| *value == kept.value)
            && attributes.value_type.to_string() == kept.value_type
            && attributes.metadata == metadata_text(&kept.metadata)
            && (attributes.created_at, attributes.updated_at) == (kept.created_at, kept.updated_at)
            && attributes.expires_at == kept.expires_at
            && attributes.size == kept.value.len() as u64
            && attributes.checksum == crc32c::crc32c(&kept.value);
        if same { Ok(()) } else { wrong(format!("{key:?}: the model has {kept:?}, the store {state:?}")) }
    }

    /// Whether a lost race is one, and carries what is there.
    fn lost(&self, key: &str, precondition: &Precondition, state: Option<&State>) -> Verdict {
        if self.holds(key, precondition) {
            return wrong(format!("{key:?}: a conflict though the precondition holds"));
        }
        self.same(key, state)
    }

    fn won(&self, key: &str, precondition: &Precondition) -> Verdict {
        if self.holds(key, precondition) {
            Ok(())
        } else {
            wrong(format!("{key:?}: it won though the precondition fails"))
        }
    }

    async fn step(&mut self, h: &Harness, op: &Op) -> Verdict {
        let said = |error: dataknobs_kv_core::Error| format!("{op:?}: {error}");
        let name = |key: &u8| KEYS[usize::from(*key) % KEYS.len()];
        let (store, namespace) = (&h.store, h.namespace.as_str());
        match op {
            Op::Set { key, sample, ttl, metadata, demand } => {
                let key = name(key);
                let fields: BTreeMap<String, i64> =
                    metadata.iter().map(|at| (format!("f{at}"), i64::from(*at))).collect();
                let precondition = self.precondition(key, *demand);
                let options = SetOptions {
                    expiry: ttl.map_or(Expiry::Unspecified, |ttl| Expiry::After(u64::from(ttl))),
                    content_type: None,
                    metadata: metadata_text(&fields),
                    precondition: precondition.clone(),
                    on_conflict: Projection::Value,
                };
                let item = Item { key: key.into(), value: sample.value(), options };
                match store.set(namespace, item).await.map_err(said)? {
                    SetResult::Written(version) => {
                        self.won(key, &precondition)?;
                        let expires_at = ttl.map(|ttl| self.now + u64::from(ttl));
                        self.write(key, version, sample.value(), fields, expires_at)
                    }
                    SetResult::Conflict(state) => self.lost(key, &precondition, state.as_ref()),
                }
            }
            Op::Delete { key, demand } => {
                let key = name(key);
                let precondition = self.precondition(key, *demand);
                match store.delete(namespace, key, precondition.clone(), Projection::Value).await.map_err(said)? {
                    DeleteResult::Deleted => {
                        self.won(key, &precondition)?;
                        if self.living(key).is_none() {
                            return wrong(format!("{key:?}: deleted what was not there"));
                        }
                        self.remove(key);
                        Ok(())
                    }
                    DeleteResult::Absent => self.same(key, None),
                    DeleteResult::Conflict(state) => self.lost(key, &precondition, state.as_ref()),
                }
            }
            Op::Increment { key, delta } => {
                let key = name(key);
                let result =
                    store.increment(namespace, key, Numeric::Integer(i64::from(*delta)), Expiry::Unspecified).await;
                let (there, metadata, expires_at) = match self.living(key) {
                    None => (0, BTreeMap::new(), None),
                    Some(kept) if kept.value_type == "integer" => {
                        let there = String::from_utf8_lossy(&kept.value).parse::<i64>().unwrap_or_default();
                        (there, kept.metadata.clone(), kept.expires_at)
                    }
                    Some(_) => return self.mismatch(result.map(drop)),
                };
                let counted = result.map_err(said)?;
                let sum = there + i64::from(*delta);
                if counted.value != Numeric::Integer(sum) {
                    return wrong(format!("{key:?}: {there} + {delta} is not {:?}", counted.value));
                }
                self.write(key, counted.version, Value::Integer(sum), metadata, expires_at)
            }
            Op::Append { key, sample } => {
                let key = name(key);
                let result = store.append(namespace, key, sample.value(), Expiry::Unspecified).await;
                let tail = sample.value();
                let (whole, metadata, expires_at) = match self.living(key) {
                    None => match tail {
                        Value::Json(text) => (Value::Json(array(&[text])), BTreeMap::new(), None),
                        tail => (tail, BTreeMap::new(), None),
                    },
                    Some(kept) => {
                        let there = String::from_utf8_lossy(&kept.value).into_owned();
                        let whole = match (kept.value_type.as_str(), tail) {
                            ("text", Value::Text(tail)) => Value::Text(there + &tail),
                            ("json", tail) => {
                                let element = tail.to_json().unwrap_or_default();
                                let inside = &there[1..there.len() - 1];
                                let joined = if inside.is_empty() { element } else { format!("{inside},{element}") };
                                Value::Json(format!("[{joined}]"))
                            }
                            _ => return self.mismatch(result.map(drop)),
                        };
                        (whole, kept.metadata.clone(), kept.expires_at)
                    }
                };
                let appended = result.map_err(said)?;
                if appended.size != whole.clone().encode().1.len() as u64 {
                    return wrong(format!("{key:?}: {} is not the size of {}", appended.size, shown(&whole)));
                }
                self.write(key, appended.version, whole, metadata, expires_at)
            }
            Op::Swap { key, old, new } => {
                let key = name(key);
                let old = old.map(Sample::value);
                let equal = match (self.living(key), &old) {
                    (None, None) => true,
                    (Some(kept), Some(old)) => {
                        let (value_type, bytes) = old.clone().encode();
                        kept.value_type == value_type.to_string() && kept.value == bytes
                    }
                    _ => false,
                };
                let result = store.compare_and_swap(namespace, key, old, new.value(), SetOptions::default()).await;
                match result.map_err(said)? {
                    SwapResult::Swapped(version) if equal => {
                        self.write(key, version, new.value(), BTreeMap::new(), None)
                    }
                    SwapResult::Different(state) if !equal => self.same(key, state.as_ref()),
                    other => wrong(format!("{key:?}: {other:?} though equal is {equal}")),
                }
            }
            Op::Merge { key, field, remove } => {
                let key = name(key);
                let (field, value) = (format!("f{field}"), if *remove { "null".to_owned() } else { field.to_string() });
                let patch = format!("{{\"{field}\":{value}}}");
                let result = store.update_metadata(namespace, key, &patch, Precondition::None).await.map_err(said)?;
                self.changed(key, result, |kept, now| {
                    kept.updated_at = now;
                    kept.metadata.remove(&field);
                    if let Ok(value) = value.parse() {
                        kept.metadata.insert(field.clone(), value);
                    }
                })
            }
            Op::Touch { key, ttl } => {
                let key = name(key);
                let expiry = ttl.map_or(Expiry::Never, |ttl| Expiry::After(u64::from(ttl)));
                let result = store.set_expiry(namespace, key, expiry, Precondition::None).await.map_err(said)?;
                self.changed(key, result, |kept, now| kept.expires_at = ttl.map(|ttl| now + u64::from(ttl)))
            }
            Op::SetMany { items } => self.set_many(h, items).await,
            Op::DeleteMany { keys } => {
                let mut keys: Vec<&'static str> = keys.iter().map(name).collect();
                keys.sort();
                keys.dedup();
                let wanted: Vec<String> = keys.iter().map(|key| (*key).into()).collect();
                let results = store.delete_many(namespace, &wanted).await.map_err(said)?;
                if results.len() != keys.len() {
                    return wrong(format!("{} results for {} keys", results.len(), keys.len()));
                }
                for (key, result) in keys.into_iter().zip(results) {
                    let expected =
                        if self.living(key).is_some() { DeleteResult::Deleted } else { DeleteResult::Absent };
                    if result != Ok(expected) {
                        return wrong(format!("{key:?}: {result:?}"));
                    }
                    self.remove(key);
                }
                Ok(())
            }
            Op::Transact { checks, sets, deletes } => self.transact(h, checks, sets, deletes).await,
            Op::List { pattern, limit } => {
                let (text, keys) = self.matching(*pattern);
                let entries = h.list(&Query::pattern(text), u32::from(*limit), Projection::Value).await;
                let found: Vec<&str> = entries.iter().map(|entry| entry.key.as_str()).collect();
                if found != keys {
                    return wrong(format!("{text}: the model lists {keys:?}, the store {found:?}"));
                }
                for entry in &entries {
                    self.same(&entry.key, entry.state.as_ref())?;
                }
                let count = h.count(&Query::pattern(text), u32::from(*limit)).await;
                if count == keys.len() as u64 { Ok(()) } else { wrong(format!("{text}: {count} of {}", keys.len())) }
            }
            Op::DeleteMatching { pattern } => {
                let (text, keys) = self.matching(*pattern);
                let count = h.delete_matching(&Query::pattern(text), 3).await;
                if count != keys.len() as u64 {
                    return wrong(format!("{text}: {count} deleted of {}", keys.len()));
                }
                keys.into_iter().for_each(|key| self.remove(key));
                Ok(())
            }
            Op::Cleanup { limit } => {
                let cleaned = store.cleanup_expired(Some(namespace), u32::from(*limit)).await.map_err(said)?;
                if cleaned.count > u32::from(*limit) {
                    return wrong(format!("{cleaned:?} of at most {limit}"));
                }
                Ok(())
            }
            Op::Clear => {
                while store.clear(namespace, 1000).await.map_err(said)? {}
                for key in KEYS {
                    self.remove(key);
                }
                Ok(())
            }
            Op::Advance { milliseconds } => {
                h.clock.advance(u64::from(*milliseconds));
                self.now = h.clock.now();
                Ok(())
            }
        }
    }

    fn mismatch(&self, result: dataknobs_kv_core::Result<()>) -> Verdict {
        match result {
            Err(error) if error.code() == "type-mismatch" => Ok(()),
            other => wrong(format!("expected type-mismatch, got {other:?}")),
        }
    }

    fn changed(&mut self, key: &'static str, result: ChangeResult, change: impl FnOnce(&mut Kept, u64)) -> Verdict {
        match result {
            ChangeResult::Written(version) => {
                let Some(mut kept) = self.living(key).cloned() else {
                    return wrong(format!("{key:?}: changed what was not there"));
                };
                self.stale.insert(key, std::mem::replace(&mut kept.version, version));
                change(&mut kept, self.now);
                self.entries.insert(key, kept);
                Ok(())
            }
            ChangeResult::Absent => self.same(key, None),
            ChangeResult::Conflict(_) => wrong(format!("{key:?}: a conflict without a demand")),
        }
    }

    async fn set_many(&mut self, h: &Harness, items: &[(u8, Sample, Demand)]) -> Verdict {
        let mut planned = BTreeMap::new();
        for (key, sample, demand) in items {
            let key = KEYS[usize::from(*key) % KEYS.len()];
            planned.entry(key).or_insert_with(|| (*sample, self.precondition(key, *demand)));
        }
        let items = planned.iter().map(|(key, (sample, precondition))| Item {
            key: (*key).into(),
            value: sample.value(),
            options: SetOptions {
                precondition: precondition.clone(),
                on_conflict: Projection::Value,
                ..SetOptions::default()
            },
        });
        let results = h.store.set_many(&h.namespace, items.collect()).await.map_err(|e| e.to_string())?;
        if results.len() != planned.len() {
            return wrong(format!("{} results for {} items", results.len(), planned.len()));
        }
        for ((key, (sample, precondition)), result) in planned.into_iter().zip(results) {
            match result.map_err(|e| e.to_string())? {
                SetResult::Written(version) => {
                    self.won(key, &precondition)?;
                    self.write(key, version, sample.value(), BTreeMap::new(), None)?;
                }
                SetResult::Conflict(state) => self.lost(key, &precondition, state.as_ref())?,
            }
        }
        Ok(())
    }

    async fn transact(
        &mut self,
        h: &Harness,
        checks: &[(u8, Demand)],
        sets: &[(u8, Sample)],
        deletes: &[u8],
    ) -> Verdict {
        let name = |key: u8| KEYS[usize::from(key) % KEYS.len()];
        let mut checked = BTreeMap::new();
        for (key, demand) in checks {
            checked.entry(name(*key)).or_insert_with(|| self.precondition(name(*key), *demand));
        }
        let mut acted: BTreeMap<&'static str, Option<Sample>> = BTreeMap::new();
        for (key, sample) in sets {
            acted.entry(name(*key)).or_insert(Some(*sample));
        }
        for key in deletes {
            acted.entry(name(*key)).or_insert(None);
        }
        let checks =
            checked.iter().map(|(key, precondition)| Check { key: (*key).into(), precondition: precondition.clone() });
        let actions = acted.iter().map(|(key, sample)| match sample {
            Some(sample) => {
                Action::Set(Item { key: (*key).into(), value: sample.value(), options: SetOptions::default() })
            }
            None => Action::Delete((*key).into()),
        });
        let result =
            h.store.transact(&h.namespace, checks.collect(), actions.collect()).await.map_err(|e| e.to_string())?;
        let failing: Vec<&str> = checked.iter().filter(|(key, p)| !self.holds(key, p)).map(|(key, _)| *key).collect();
        match result {
            TransactionResult::Committed(versions) => {
                if !failing.is_empty() || versions.len() != acted.len() {
                    return wrong(format!("committed {versions:?} though {failing:?} failed"));
                }
                for ((key, sample), version) in acted.into_iter().zip(versions) {
                    match (sample, version) {
                        (Some(sample), Some(version)) => {
                            self.write(key, version, sample.value(), BTreeMap::new(), None)?
                        }
                        (None, None) => self.remove(key),
                        other => return wrong(format!("{key:?}: {other:?}")),
                    }
                }
                Ok(())
            }
            TransactionResult::Failed(failure) => {
                // A check of a key that is acted on too may be reported as either.
                let at = failure.index as usize;
                let key = if failure.in_checks { checked.keys().nth(at) } else { acted.keys().nth(at) };
                match key {
                    Some(key) if failing.contains(key) => self.same(key, failure.current.as_ref()),
                    other => wrong(format!("failed at {other:?}, but {failing:?} failed")),
                }
            }
        }
    }
}

async fn follow(h: Harness, ops: &[Op]) -> Verdict {
    let mut model = Model { now: h.clock.now(), entries: BTreeMap::new(), stale: BTreeMap::new() };
    for (at, op) in ops.iter().enumerate() {
        model.step(&h, op).await.map_err(|what| format!("step {at}, {op:?}: {what}"))?;
    }
    for key in KEYS {
        let state = h.store.get(&h.namespace, key).await.map_err(|e| e.to_string())?;
        model.same(key, state.as_ref())?;
    }
    let (_, keys) = model.matching(0);
    let found = h.keys("**").await;
    if found == keys { Ok(()) } else { wrong(format!("in the end the model lists {keys:?}, the store {found:?}")) }
}

/// Tries so many sequences, each on a fresh harness; panics with the shortest that fails. Failures are kept in `seeds`.
pub fn random_operations(
    runtime: &tokio::runtime::Runtime,
    sequences: u32,
    seeds: &'static str,
    harness: impl AsyncFn() -> Harness,
) {
    let config = Config {
        cases: sequences,
        max_shrink_iters: 2000,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(seeds))),
        ..Config::default()
    };
    let result = TestRunner::new(config).run(&vec(op(), 1..60), |ops| {
        runtime.block_on(async { follow(harness().await, &ops).await }).map_err(TestCaseError::fail)
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
}
