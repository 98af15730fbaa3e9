//! [`Storage`] on what JavaScript keeps: `js/indexed_db/` does it, this asks.
//!
//! * `adapter.rs`: what is asked; `ticket.rs`: how it is answered; `item.rs`: entries and outcomes in these answers
//!
//! Not by indexed_db_futures: its transaction is undone when the future that holds it is dropped, which here would be
//! everybody's; it has no `getAllRecords`. And what an adapter does is wait for requests of the browser's: in JavaScript that
//! is half as large, and spares each of them two crossings.

mod adapter;
mod item;
mod ticket;

use async_trait::async_trait;
use dataknobs_kv_core::storage::{Change, Decide, Hint, Mutation, Names, Outcome, Page, Range, Reclaimed};
use dataknobs_kv_core::{
    Capabilities, Clock, Entry, Error, Precondition, Projection, Result, State, Storage, Timestamp, Version, text,
};
use wasm_bindgen::JsValue;

pub use adapter::Adapter;
pub use item::tell_item;
use item::to_native;
use ticket::Ticket;
pub use ticket::{tell_end, tell_failure};

const MAX_ATOMIC: u32 = 1000;
const MAX_VALUE_BYTES: u64 = 16 << 20;
const MAX_METADATA_BYTES: u64 = 64 << 10;

/// Entries in a database of the browser's, or in memory. Clones are of the same.
#[derive(Clone)]
pub struct BrowserStorage {
    adapter: Adapter,
}

impl std::fmt::Debug for BrowserStorage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BrowserStorage")
    }
}

impl BrowserStorage {
    /// What this adapter keeps.
    pub fn new(adapter: Adapter) -> Self {
        BrowserStorage { adapter }
    }

    /// Says one mutation.
    fn say(&self, key: &str, change: &Change, precondition: &Precondition) {
        let guard = match precondition {
            Precondition::None => None,
            Precondition::Absent => Some(""),
            Precondition::Version(version) => Some(version.as_str()),
        };
        let at = |at: Option<u64>| at.map(|at| at as f64);
        let say = |kind, expires_at| {
            let none = JsValue::UNDEFINED;
            self.adapter.mutation(kind, key, guard, &none, None, None, None, 0.0, 0.0, expires_at, None, 0.0, 0);
        };
        match change {
            Change::Put { attributes, value } => self.adapter.mutation(
                0,
                key,
                guard,
                &to_native(&attributes.value_type, value),
                Some(&attributes.value_type.name().concat()),
                attributes.content_type.as_deref(),
                attributes.metadata.as_deref(),
                attributes.created_at as f64,
                attributes.updated_at as f64,
                at(attributes.expires_at),
                at(attributes.sliding_ms),
                attributes.size as f64,
                attributes.checksum,
            ),
            Change::Amend(amendment) => self.adapter.mutation(
                1,
                key,
                guard,
                &JsValue::UNDEFINED,
                None,
                amendment.content_type.as_deref(),
                amendment.metadata.as_deref(),
                0.0,
                amendment.updated_at as f64,
                at(amendment.expires_at),
                at(amendment.sliding_ms),
                0.0,
                0,
            ),
            Change::Extend(to) => say(2, Some(*to as f64)),
            Change::Delete => say(3, None),
            Change::Check => say(4, None),
        }
    }
}

fn index(want: Projection) -> u8 {
    match want {
        Projection::Key => 0,
        Projection::Attributes => 1,
        Projection::Value => 2,
    }
}

/// A question must not stay without an answer, where the caller has gone: its transaction would wait.
struct Undecided<'a> {
    adapter: &'a Adapter,
    ticket: u32,
}

impl Drop for Undecided<'_> {
    fn drop(&mut self) {
        self.adapter.decide(self.ticket);
    }
}

fn lines(text: Option<String>) -> Vec<String> {
    let mut lines = Vec::new();
    if let Some(text) = text {
        for line in text.split('\n') {
            lines.push(line.to_owned());
        }
    }
    lines
}

fn unanswered() -> Error {
    Error::Internal("a call without an answer".into())
}

#[async_trait(?Send)]
#[deny(clippy::missing_trait_methods)]
impl Storage for BrowserStorage {
    fn capabilities(&self) -> Capabilities {
        let lasting = self.adapter.lasting();
        Capabilities {
            durable: lasting,
            shared: lasting,
            max_atomic: MAX_ATOMIC,
            max_value_bytes: MAX_VALUE_BYTES,
            max_metadata_bytes: MAX_METADATA_BYTES,
            sliding: true,
            cheap_amend: true,
            native_expiry: false,
            indexed_scan: true,
            extra: Vec::new(),
        }
    }

    fn default_ttls(&self) -> Vec<(String, u64)> {
        Vec::new()
    }

    async fn get(&self, namespace: &str, key: &str, now: Timestamp, with_value: bool) -> Result<Option<State>> {
        let ticket = Ticket::new();
        self.adapter.get(ticket.number(), namespace, key, now as f64, with_value);
        match ticket.await?.items.pop() {
            Some(item) => item.state(key),
            None => Err(unanswered()),
        }
    }

    async fn get_many(
        &self,
        namespace: &str,
        keys: &[String],
        now: Timestamp,
        with_value: bool,
    ) -> Result<Vec<Result<Option<State>>>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let ticket = Ticket::new();
        self.adapter.get_many(ticket.number(), namespace, &text::joined(keys, '\n'), now as f64, with_value);
        let mut states = Vec::with_capacity(keys.len());
        for (item, key) in ticket.await?.items.into_iter().zip(keys) {
            states.push(item.state(key));
        }
        Ok(states)
    }

    async fn write(
        &self,
        namespace: &str,
        mutations: Vec<Mutation>,
        atomic: bool,
        now: Timestamp,
        on_conflict: Projection,
    ) -> Result<Vec<Result<Outcome>>> {
        if mutations.is_empty() {
            return Ok(Vec::new());
        }
        if atomic && mutations.len() > MAX_ATOMIC as usize {
            return Err(Error::Unsupported("an atomic write has at most 1000 mutations".into()));
        }
        // The core has looked at their sizes.
        for mutation in &mutations {
            self.say(&mutation.key, &mutation.change, &mutation.precondition);
        }
        let ticket = Ticket::new();
        self.adapter.write(ticket.number(), namespace, atomic, now as f64, index(on_conflict));
        let mut outcomes = Vec::with_capacity(mutations.len());
        for (item, mutation) in ticket.await?.items.into_iter().zip(&mutations) {
            outcomes.push(item.outcome(&mutation.key));
        }
        Ok(outcomes)
    }

    async fn scan(
        &self,
        namespace: &str,
        range: Range,
        hint: Hint,
        now: Timestamp,
        limit: u32,
        want: Projection,
    ) -> Result<Page> {
        let ticket = Ticket::new();
        self.adapter.scan(
            ticket.number(),
            namespace,
            range.from.as_deref(),
            range.to.as_deref(),
            range.after.as_deref(),
            hint.pattern.as_deref(),
            hint.metadata.as_deref(),
            now as f64,
            limit,
            index(want),
        );
        let answer = ticket.await?;
        let mut items = Vec::with_capacity(answer.items.len());
        for key in lines(answer.text) {
            items.push(Entry { key, state: None });
        }
        for mut item in answer.items {
            let key = std::mem::take(&mut item.key);
            // What is damaged does not stop a listing of keys; without its state it stops one of values.
            let state = item.state(&key).unwrap_or_default();
            items.push(Entry { key, state });
        }
        Ok(Page { items, next: answer.next })
    }

    async fn count(&self, namespace: &str, range: Range, now: Timestamp) -> Result<Option<u64>> {
        let ticket = Ticket::new();
        self.adapter.count(
            ticket.number(),
            namespace,
            range.from.as_deref(),
            range.to.as_deref(),
            range.after.as_deref(),
            now as f64,
        );
        Ok(ticket.await?.number.map(|count| count as u64))
    }

    async fn reclaim(&self, namespace: Option<&str>, now: Timestamp, limit: u32) -> Result<Reclaimed> {
        let ticket = Ticket::new();
        self.adapter.reclaim(ticket.number(), namespace, now as f64, limit);
        let answer = ticket.await?;
        Ok(Reclaimed { count: answer.number.unwrap_or_default() as u32, more: answer.next.is_some() })
    }

    async fn clear(&self, namespace: &str, limit: u32) -> Result<bool> {
        let ticket = Ticket::new();
        self.adapter.clear(ticket.number(), namespace, limit);
        Ok(ticket.await?.next.is_some())
    }

    async fn namespaces(&self, after: Option<&str>, limit: u32) -> Result<Names> {
        let ticket = Ticket::new();
        self.adapter.namespaces(ticket.number(), after, limit);
        let answer = ticket.await?;
        Ok(Names { names: lines(answer.text), next: answer.next })
    }

    async fn backoff(&self, _namespace: &str, _key: &str, attempt: u32) {
        // Up to 2, 4, 8 ... 64 ms, at random.
        let longest = (1_u32 << attempt.min(6)) as f64;
        let ticket = Ticket::new();
        self.adapter.sleep(ticket.number(), longest);
        // A timer of the browser's never fails.
        let _ = ticket.await;
    }

    async fn update(
        &self,
        namespace: &str,
        key: &str,
        now: Timestamp,
        _clock: &dyn Clock,
        want: Projection,
        decide: &mut Decide<'_>,
    ) -> Result<Option<Version>> {
        let mut ticket = Ticket::new();
        self.adapter.update(ticket.number(), namespace, key, now as f64, index(want));
        let _undecided = Undecided { adapter: &self.adapter, ticket: ticket.number() };
        let mut refusal = None;
        loop {
            let mut answer = (&mut ticket).await?;
            let item = answer.items.pop();
            if ticket.ended() {
                return match (refusal, item) {
                    (Some(error), _) => Err(error),
                    (None, Some(item)) if item.is_written() => item.version().map(Some),
                    (None, Some(item)) => item.state(key).map(|_| None),
                    (None, None) => Ok(None),
                };
            }
            refusal = None;
            let decided = item.map_or(Ok(None), |item| item.state(key)).and_then(|state| decide(state, now));
            match decided {
                Ok(Some(change)) => self.say(key, &change, &Precondition::None),
                Ok(None) => {}
                Err(error) => refusal = Some(error),
            }
            self.adapter.decide(ticket.number());
        }
    }
}
