//! The calls of a batch, in one transaction: read what they need, decide in their order, write what came of it, commit.
//!
//! Between the first read and the commit nothing is awaited but requests of the transaction itself, and decisions of callers
//! that are ready to decide: otherwise the browser would end it.

use std::collections::HashMap;

use dataknobs_kv_core::entry::Attributes;
use dataknobs_kv_core::storage::{ANSWER_BYTES, Amendment, Change, Mutation, Outcome};
use dataknobs_kv_core::{Error, Precondition, Projection, Result, State, Timestamp, Version};
use futures::future::{Either, select};
use js_sys::{Array, JsString, Promise};
use wasm_bindgen::JsValue;
use wasm_bindgen_futures::JsFuture;

use super::failure::Failure;
use super::format::{Body, Found, Stored, damaged};
use super::queue::{Answer, Call, Op, Question, Queue};
use super::shim::Transaction;
use super::{MAX_METADATA_BYTES, MAX_VALUE_BYTES};
use crate::random::random;

/// A key, and what is or will be under it.
struct Slot<'a> {
    namespace: &'a str,
    key: &'a str,
    found: Found,
    /// Whether a value lies apart as the transaction begins.
    was_apart: bool,
    change: Touched,
    /// Whether some call needs the value.
    want_value: bool,
}

/// What is to be written.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Touched {
    No,
    /// All but the value.
    Attributes,
    All,
}

struct Batch<'a> {
    slots: Vec<Slot<'a>>,
    places: HashMap<(&'a str, &'a str), usize>,
}

/// Runs the calls: an answer for each, or nothing of it was applied.
pub(super) async fn transaction(queue: &Queue, ops: &[Op]) -> Result<Vec<Answer>, Failure> {
    let writing = ops.iter().any(|op| !matches!(op.call, Call::Read { .. }));
    let transaction = queue.link.begin(writing).await?;
    let result = match alone(ops) {
        Some((namespace, mutation, now)) => replace(queue, &transaction, namespace, mutation, now).await,
        None => run(queue, &transaction, ops, writing).await,
    };
    if result.is_err() {
        transaction.abort();
    }
    result
}

/// The one call, where it sets one entry whatever is there.
fn alone(ops: &[Op]) -> Option<(&str, &Mutation, Timestamp)> {
    let [Op { namespace, now, call: Call::Write { mutations, .. }, .. }] = ops else { return None };
    let [mutation] = mutations.as_slice() else { return None };
    let blind = matches!(mutation.change, Change::Put { .. }) && mutation.precondition == Precondition::None;
    (blind && check_size(mutation).is_ok()).then_some((namespace, mutation, *now))
}

/// What is there need not be known here: a step less.
async fn replace(
    queue: &Queue,
    transaction: &Transaction,
    namespace: &str,
    mutation: &Mutation,
    now: Timestamp,
) -> Result<Vec<Answer>, Failure> {
    let Change::Put { attributes, value } = &mutation.change else { return Ok(Vec::new()) };
    let key = mutation.key.as_str();
    let stored = Stored::new(Version::from_random(random()), attributes.clone(), value);
    let apart = if let Body::Apart(value) = &stored.body { value } else { &JsValue::UNDEFINED };
    let done = transaction.replace(namespace, key, &stored.record(namespace), apart, now as f64)?;
    completed(done).await?;
    queue.tell(&[(namespace.to_owned(), key.to_owned(), true)]);
    Ok(vec![Answer::Written(vec![Ok(Outcome::Written(stored.version))])])
}

/// Waits for the end of the transaction.
pub(super) async fn completed(done: Promise) -> Result<(), Failure> {
    let error = JsFuture::from(done).await?;
    if error.is_undefined() { Ok(()) } else { Err(error.into()) }
}

async fn run(queue: &Queue, transaction: &Transaction, ops: &[Op], writing: bool) -> Result<Vec<Answer>, Failure> {
    let mut batch = Batch::of(ops);
    batch.read(transaction).await?;
    batch.read_apart(transaction, ops).await?;
    let mut answers = Vec::with_capacity(ops.len());
    for op in ops {
        answers.push(batch.answer(transaction, op).await?);
    }
    if writing {
        let changed = batch.write(transaction)?;
        transaction.commit()?;
        completed(transaction.done()).await?;
        queue.tell(&changed);
    }
    Ok(answers)
}

impl<'a> Batch<'a> {
    /// A slot for each key that is named.
    fn of(ops: &'a [Op]) -> Self {
        let mut batch = Batch { slots: Vec::new(), places: HashMap::new() };
        for op in ops {
            match &op.call {
                Call::Write { mutations, on_conflict, .. } => {
                    for mutation in mutations {
                        let guarded = mutation.precondition != Precondition::None;
                        batch.name(&op.namespace, &mutation.key, guarded && *on_conflict == Projection::Value);
                    }
                }
                Call::Update { key, want, .. } => batch.name(&op.namespace, key, *want == Projection::Value),
                Call::Read { keys, .. } => keys.iter().for_each(|key| batch.name(&op.namespace, key, false)),
            }
        }
        batch
    }

    fn name(&mut self, namespace: &'a str, key: &'a str, want_value: bool) {
        let next = self.slots.len();
        let place = *self.places.entry((namespace, key)).or_insert(next);
        if place == next {
            let (found, change) = (Found::Nothing, Touched::No);
            self.slots.push(Slot { namespace, key, found, was_apart: false, change, want_value: false });
        }
        if let Some(slot) = self.slots.get_mut(place) {
            slot.want_value |= want_value;
        }
    }

    async fn read(&mut self, transaction: &Transaction) -> Result<(), Failure> {
        if self.slots.is_empty() {
            return Ok(());
        }
        // One call alone gets its value along.
        let loaded = self.slots.len() == 1;
        let (namespaces, keys) = (Array::new(), Array::new());
        let mut last: Option<(&str, JsString)> = None;
        for slot in &self.slots {
            let namespace = match &last {
                Some((text, namespace)) if *text == slot.namespace => namespace.clone(),
                _ => JsString::from(slot.namespace),
            };
            namespaces.push(&namespace);
            last = Some((slot.namespace, namespace));
            keys.push(&JsString::from(slot.key));
        }
        let records: Array = JsFuture::from(transaction.read(&namespaces, &keys, loaded)?).await?.into();
        for (slot, found) in self.slots.iter_mut().zip(Found::read_all(&records, loaded)) {
            slot.found = found;
            slot.was_apart = slot.found.is_apart();
        }
        Ok(())
    }

    /// Values that lie apart, where somebody needs them: as many as one answer may hold.
    async fn read_apart(&mut self, transaction: &Transaction, ops: &[Op]) -> Result<(), Failure> {
        for op in ops {
            let Call::Read { keys, with_value: true } = &op.call else { continue };
            let mut weight: usize = 0;
            for key in keys {
                let Some(slot) = self.slot(&op.namespace, key) else { continue };
                if let Found::Entry(stored) = &slot.found {
                    weight = weight.saturating_add(stored.weight(Projection::Value));
                }
                slot.want_value = true;
                if weight > ANSWER_BYTES {
                    break;
                }
            }
        }
        let unread = |slot: &Slot<'_>| {
            slot.want_value && matches!(&slot.found, Found::Entry(stored) if matches!(stored.body, Body::Unread))
        };
        let (namespaces, keys) = (Array::new(), Array::new());
        for slot in self.slots.iter().filter(|slot| unread(slot)) {
            namespaces.push(&JsString::from(slot.namespace));
            keys.push(&JsString::from(slot.key));
        }
        if keys.length() == 0 {
            return Ok(());
        }
        let values: Array = JsFuture::from(transaction.read_apart(&namespaces, &keys)?).await?.into();
        for (slot, value) in self.slots.iter_mut().filter(|slot| unread(slot)).zip(values.iter()) {
            if let Found::Entry(stored) = &mut slot.found {
                stored.body = Body::Apart(value);
            }
        }
        Ok(())
    }

    fn slot(&mut self, namespace: &str, key: &str) -> Option<&mut Slot<'a>> {
        self.slots.get_mut(*self.places.get(&(namespace, key))?)
    }

    async fn answer(&mut self, transaction: &Transaction, op: &Op) -> Result<Answer, Failure> {
        let lost = || Failure::new("Internal", "a key without its place");
        match &op.call {
            Call::Read { keys, with_value } => {
                let want = if *with_value { Projection::Value } else { Projection::Attributes };
                let mut weight: usize = 0;
                let mut states = Vec::with_capacity(keys.len());
                for key in keys {
                    let slot = self.slot(&op.namespace, key).ok_or_else(lost)?;
                    let living = slot.found.living(key, op.now);
                    if let Ok(Some(stored)) = living {
                        weight = weight.saturating_add(stored.weight(want));
                    }
                    if weight > ANSWER_BYTES && !states.is_empty() {
                        break;
                    }
                    states.push(living.and_then(|stored| stored.map_or(Ok(None), |stored| stored.state(key, want))));
                }
                Ok(Answer::Read(states))
            }
            Call::Write { mutations, atomic, on_conflict } => {
                if *atomic {
                    let mut refusals = Vec::with_capacity(mutations.len());
                    for mutation in mutations {
                        let slot = self.slot(&op.namespace, &mutation.key).ok_or_else(lost)?;
                        refusals.push(slot.refusal(mutation, op.now, *on_conflict));
                    }
                    let good = |refusal: &Result<Option<Outcome>>| matches!(refusal, Ok(None));
                    if !refusals.iter().all(good) {
                        let told = |refusal: Result<Option<Outcome>>| {
                            refusal.map(|refusal| refusal.unwrap_or(Outcome::NotApplied))
                        };
                        return Ok(Answer::Written(refusals.into_iter().map(told).collect()));
                    }
                }
                let mut outcomes = Vec::with_capacity(mutations.len());
                for mutation in mutations {
                    let slot = self.slot(&op.namespace, &mutation.key).ok_or_else(lost)?;
                    outcomes.push(match slot.refusal(mutation, op.now, *on_conflict) {
                        Ok(Some(refusal)) => Ok(refusal),
                        Ok(None) => slot.apply(&mutation.change, op.now),
                        Err(error) => Err(error),
                    });
                }
                Ok(Answer::Written(outcomes))
            }
            Call::Update { key, want, questions } => {
                let slot = self.slot(&op.namespace, key).ok_or_else(lost)?;
                let state = match slot.found.living(key, op.now) {
                    Ok(stored) => stored.map_or(Ok(None), |stored| match want {
                        Projection::Key => stored.state(key, Projection::Attributes),
                        want => stored.state(key, *want),
                    }),
                    Err(error) => Err(error),
                };
                let state = match state {
                    Ok(state) => state,
                    Err(error) => return Ok(Answer::Updated(Err(error))),
                };
                let change = match decided(transaction, questions, state).await? {
                    Ok(Some(change)) => change,
                    Ok(None) => return Ok(Answer::Updated(Ok(None))),
                    Err(error) => return Ok(Answer::Updated(Err(error))),
                };
                Ok(Answer::Updated(slot.apply(&change, op.now).and_then(|outcome| match outcome {
                    Outcome::Written(version) => Ok(Some(version)),
                    Outcome::Held | Outcome::Deleted => Ok(None),
                    _ => Err(Error::Internal("a decision that does not fit what is there".into())),
                })))
            }
        }
    }

    /// Asks for all that has changed to be written.
    fn write(&self, transaction: &Transaction) -> Result<Vec<(String, String, bool)>, Failure> {
        let mut changed = Vec::new();
        for slot in self.slots.iter().filter(|slot| slot.change != Touched::No) {
            let Slot { namespace, key, .. } = *slot;
            match &slot.found {
                Found::Entry(stored) => {
                    let record = stored.record(namespace);
                    match (&stored.body, slot.change) {
                        (Body::Apart(value), Touched::All) => {
                            transaction.put(namespace, key, &record, value, slot.was_apart)?;
                        }
                        (Body::Within(_), _) => {
                            transaction.put(namespace, key, &record, &JsValue::UNDEFINED, slot.was_apart)?;
                        }
                        (Body::Apart(_) | Body::Unread, _) => transaction.amend(namespace, key, &record)?,
                    }
                }
                Found::Nothing | Found::Damaged => transaction.remove(namespace, key, slot.was_apart)?,
            }
            changed.push((namespace.to_owned(), key.to_owned(), matches!(slot.found, Found::Entry(_))));
        }
        Ok(changed)
    }
}

/// What the caller makes of the state. It is polled as soon as it is asked; should it not answer while the transaction
/// lives, nothing is applied.
async fn decided(
    transaction: &Transaction,
    questions: &futures::channel::mpsc::UnboundedSender<Question>,
    state: Option<State>,
) -> Result<Result<Option<Change>>, Failure> {
    let (decision, decided) = futures::channel::oneshot::channel();
    if questions.unbounded_send(Question { state, decision }).is_err() {
        // The caller has gone.
        return Ok(Ok(None));
    }
    match select(decided, JsFuture::from(transaction.done())).await {
        Either::Left((Ok(change), _)) => Ok(change),
        Either::Left((Err(_), _)) => Ok(Ok(None)),
        Either::Right((Ok(error), _)) if !error.is_undefined() => Err(error.into()),
        Either::Right(_) => Err(Failure::new("TimeoutError", "a decision came too late")),
    }
}

impl Slot<'_> {
    /// What stands in the way of the mutation, if anything does.
    fn refusal(&self, mutation: &Mutation, now: Timestamp, on_conflict: Projection) -> Result<Option<Outcome>> {
        check_size(mutation)?;
        if let (Found::Damaged, Precondition::None) = (&self.found, &mutation.precondition) {
            return match mutation.change {
                // Damage can be written over, and removed.
                Change::Put { .. } | Change::Delete => Ok(None),
                _ => Err(damaged(self.key)),
            };
        }
        let current = self.found.living(self.key, now)?;
        if !mutation.precondition.holds(current.map(|stored| &stored.version)) {
            let state = current.map_or(Ok(None), |stored| stored.state(self.key, on_conflict))?;
            return Ok(Some(Outcome::Conflict(state)));
        }
        let needs_entry = matches!(mutation.change, Change::Amend(_) | Change::Extend(_));
        Ok((needs_entry && current.is_none()).then_some(Outcome::Absent))
    }

    /// Applies what nothing stands in the way of.
    fn apply(&mut self, change: &Change, now: Timestamp) -> Result<Outcome> {
        let version = || Version::from_random(random());
        match change {
            Change::Put { attributes, value } => {
                let mut attributes = attributes.clone();
                if let Ok(Some(there)) = self.found.living(self.key, now) {
                    attributes.created_at = there.attributes.created_at;
                }
                let stored = Stored::new(version(), attributes, value);
                let written = stored.version.clone();
                self.found = Found::Entry(Box::new(stored));
                self.change = Touched::All;
                Ok(Outcome::Written(written))
            }
            Change::Amend(amendment) => {
                let version = version();
                let stored = self.entry()?;
                stored.version = version.clone();
                amend(&mut stored.attributes, amendment);
                self.touched();
                Ok(Outcome::Written(version))
            }
            Change::Extend(to) => {
                let stored = self.entry()?;
                if stored.attributes.expires_at.is_some_and(|at| at < *to) {
                    stored.attributes.expires_at = Some(*to);
                    self.touched();
                }
                Ok(Outcome::Held)
            }
            Change::Delete => {
                let lived = match &self.found {
                    Found::Nothing => return Ok(Outcome::Absent),
                    Found::Entry(stored) => !stored.attributes.expired(now),
                    Found::Damaged => true,
                };
                self.found = Found::Nothing;
                self.change = Touched::All;
                Ok(if lived { Outcome::Deleted } else { Outcome::Absent })
            }
            Change::Check => Ok(Outcome::Held),
        }
    }

    fn entry(&mut self) -> Result<&mut Stored> {
        match &mut self.found {
            Found::Entry(stored) => Ok(stored),
            _ => Err(Error::Internal("a change without its entry".into())),
        }
    }

    fn touched(&mut self) {
        if self.change == Touched::No {
            self.change = Touched::Attributes;
        }
    }
}

fn amend(attributes: &mut Attributes, amendment: &Amendment) {
    let Amendment { content_type, metadata, updated_at, expires_at, sliding_ms } = amendment.clone();
    attributes.content_type = content_type;
    attributes.metadata = metadata;
    attributes.updated_at = updated_at;
    attributes.expires_at = expires_at;
    attributes.sliding_ms = sliding_ms;
}

fn check_size(mutation: &Mutation) -> Result<()> {
    let (value, metadata) = match &mutation.change {
        Change::Put { attributes, value } => (value.len(), attributes.metadata.as_ref()),
        Change::Amend(amendment) => (0, amendment.metadata.as_ref()),
        Change::Extend(_) | Change::Delete | Change::Check => (0, None),
    };
    let metadata = metadata.map_or(0, String::len) as u64;
    for (what, limit, actual) in [("value", MAX_VALUE_BYTES, value as u64), ("metadata", MAX_METADATA_BYTES, metadata)]
    {
        if actual > limit {
            return Err(Error::too_large(what, limit, actual));
        }
    }
    Ok(())
}
