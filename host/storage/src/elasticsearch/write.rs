//! Writes: how a mutation becomes guarded requests, and what their answers mean.
//!
//! A document is created only where there is none, and replaced, changed or deleted only in the state that was seen, by
//! its sequence number. So the creation date is kept, expiry and preconditions are judged and the change is made in one
//! atomic step. Each mutation goes in rounds: what is not known is read (all in one request), what can be done is sent
//! (all in one request), and whatever was in another state by then is read again.
//!
//! * A put that knows nothing tries to create first; who knows the state from before sends at once. Both are one request.
//! * **A lost answer.** The new version is random and ours alone. So the document is read, and whoever finds that version
//!   has written it. Where the document is in the state that the request demanded, the same request is sent again: of the
//!   two at most one is applied, since that state never comes back. In any other state it cannot be known, and that is the
//!   answer; also where there is no document, as was demanded: it may have been made and deleted by now, and would come back.

use std::time::Duration;

use dataknobs_kv_core::storage::{ANSWER_BYTES, Change, Mutation, Outcome};
use dataknobs_kv_core::{Error, Precondition, Projection, Result, Timestamp, Version};
use reqwest::Method;
use serde_json::Value as Json;

use super::bulk::{self, Op, Written};
use super::client::{Client, Content, Deadline};
use super::failure::{Failure, Meaning};
use super::format::{self, Damaged, Id, Source};
use super::index::Index;
use super::read::{self, Fields, Found};
use super::seen::{Guard, Head};
use super::store::Store;
use super::{MAX_METADATA_BYTES, MAX_VALUE_BYTES};
use crate::sizes::check_size;

/// After so many rounds a short wait comes before each.
const EAGER_ROUNDS: u32 = 3;
const MAX_WAIT_MS: u64 = 50;

/// What is known of the document.
enum Known {
    /// Nothing: it may be tried whether there is one.
    Nothing,
    /// Not in the state that was thought.
    Stale,
    Remembered(Head),
    Found(Found),
}

/// What a request demanded of the document.
#[derive(Clone, Copy, PartialEq)]
enum Demand {
    None,
    State(Guard),
}

struct Item<'n> {
    namespace: &'n str,
    id: Id,
    mutation: Mutation,
    /// The new one of a put or amend.
    version: Version,
    known: Known,
    /// The request of which no answer came, and why.
    unanswered: Option<(Demand, String)>,
    /// The document's head as the request that is under way makes it, without its guard; none where it deletes.
    next: Option<Head>,
    demand: Demand,
    result: Option<Result<Outcome>>,
    /// In its result a long value is left out, and was asked for.
    lacks_value: bool,
}

enum Step {
    Look,
    Send(Op, Demand, Option<Head>),
    Done(Result<Outcome>),
    Conflict(Option<Box<Source>>),
}

/// A write of one or many.
pub(super) async fn write(
    store: &Store,
    namespace: &str,
    mutations: Vec<Mutation>,
    now: Timestamp,
    on_conflict: Projection,
) -> Vec<Result<Outcome>> {
    let mut index = store.index();
    let mut items: Vec<Item> = mutations.into_iter().map(|mutation| Item::new(namespace, mutation, &index)).collect();
    let fields = match on_conflict {
        Projection::Key | Projection::Attributes => Fields::Attributes,
        Projection::Value if items.len() == 1 => Fields::All,
        Projection::Value => Fields::Inline,
    };
    let client = &store.client;
    let deadline = client.deadline();
    let mut round: u32 = 0;
    while items.iter().any(|item| item.result.is_none()) {
        if deadline.left().is_none() {
            items.iter_mut().for_each(Item::give_up);
            break;
        }
        if round > EAGER_ROUNDS {
            let most = MAX_WAIT_MS.min(1 << round.min(16));
            tokio::time::sleep(Duration::from_millis(rand::random_range(0..=most))).await;
        }
        round += 1;
        let mut sent = items.iter_mut().filter_map(|item| item.advance(now, on_conflict)).collect::<Vec<_>>();
        let mut gone = false;
        let mut unknown: Vec<&mut Item> = Vec::new();
        let mut ops: Vec<(&mut Item, Op)> = Vec::new();
        for (item, op) in sent.drain(..) {
            match op {
                Some(op) => ops.push((item, op)),
                None => unknown.push(item),
            }
        }
        if !unknown.is_empty() {
            gone = look(client, &index, namespace, &mut unknown, fields, deadline).await;
            // What is known by now goes out in the same round.
            for item in unknown {
                if let Some((item, Some(op))) = item.advance(now, on_conflict) {
                    ops.push((item, op));
                }
            }
        }
        if !ops.is_empty() {
            gone |= send(store, &index, ops, deadline).await;
        }
        if gone {
            if let Err(error) = store.reopen(&index, deadline).await {
                items.iter_mut().for_each(|item| item.fail(error.clone()));
                break;
            }
            index = store.index();
        }
    }
    carry_large_values(client, &index, namespace, &mut items).await;
    let lost = || Err(Error::Internal("a write without its outcome".into()));
    items.into_iter().map(|item| item.result.unwrap_or_else(lost)).collect()
}

/// Reads what is not known. True where the index is gone.
async fn look(
    client: &Client,
    index: &Index,
    namespace: &str,
    items: &mut [&mut Item<'_>],
    fields: Fields,
    deadline: Deadline,
) -> bool {
    let found = {
        let keys: Vec<(&str, &Id)> = items.iter().map(|item| (item.mutation.key.as_str(), &item.id)).collect();
        let mut found = read::look_many(client, index, namespace, &keys, fields, deadline).await;
        if matches!(found, Err(Failure::NoAnswer(_))) && deadline.left().is_some() {
            found = read::look_many(client, index, namespace, &keys, fields, deadline).await;
        }
        found
    };
    match found {
        Ok(found) => {
            for (item, found) in items.iter_mut().zip(found) {
                match found {
                    Ok(found) => item.known = Known::Found(found),
                    Err(error) => item.fail(error),
                }
            }
            false
        }
        Err(failure) if failure.is_index_gone() => true,
        Err(failure) => {
            let error = failure.into_error();
            items.iter_mut().for_each(|item| item.fail(error.clone()));
            false
        }
    }
}

/// Sends what can be done. True where the index is gone.
async fn send(store: &Store, index: &Index, ops: Vec<(&mut Item<'_>, Op)>, deadline: Deadline) -> bool {
    let client = &store.client;
    let mut gone = false;
    let (mut items, ops): (Vec<_>, Vec<_>) = ops.into_iter().unzip();
    let sizes: Vec<usize> = ops.iter().map(|op: &Op| op.body().len()).collect();
    let written: Vec<Written> = match (items.as_slice(), ops.len()) {
        ([item], 1) => {
            let mut ops = ops;
            match ops.pop() {
                Some(op) => vec![bulk::send(client, index, &item.id, op, deadline).await],
                None => Vec::new(),
            }
        }
        _ => {
            let ops: Vec<(&Id, Op)> = items.iter().map(|item| &item.id).zip(ops).collect();
            // The first request keeps the operation's deadline; each further one has the time of an operation.
            let mut first = Some(deadline);
            bulk::send_many(client, index, &ops, || first.take().unwrap_or_else(|| client.deadline())).await
        }
    };
    store.wrote();
    for item in &items {
        if let Change::Put { value, .. } = &item.mutation.change {
            index.sizes.written(value.len());
        }
    }
    let mut limit = None;
    for ((item, written), size) in items.iter_mut().zip(written).zip(sizes) {
        if let Err(Failure::Refused(refusal)) = &written
            && refusal.is_too_large()
        {
            let limit = match limit {
                Some(limit) => limit,
                None => *limit.insert(request_limit(client).await),
            };
            let size = size as u64;
            item.fail(Error::too_large(
                "request (http.max_content_length)",
                limit.unwrap_or(size.saturating_sub(1)),
                size,
            ));
            continue;
        }
        gone |= item.answered(index, written);
    }
    gone
}

/// The largest request that the server takes, if we may know.
async fn request_limit(client: &Client) -> Option<u64> {
    const PATH: &str = "/_nodes/_local?filter_path=nodes.*.http.max_content_length_in_bytes";
    let nodes: Json = client.ask(Method::GET, PATH, Content::Nothing, client.deadline()).await.ok()?;
    nodes.get("nodes")?.as_object()?.values().next()?.pointer("/http/max_content_length_in_bytes")?.as_u64()
}

/// Conflicts whose long value was left out get it, as far as one answer has room: of what is there by then.
async fn carry_large_values(client: &Client, index: &Index, namespace: &str, items: &mut [Item<'_>]) {
    let mut room = ANSWER_BYTES as u64;
    for item in items.iter_mut().filter(|item| item.lacks_value) {
        let Some(Ok(Outcome::Conflict(Some(state)))) = &item.result else { continue };
        if state.attributes.size > room {
            continue;
        }
        let key = (namespace, item.mutation.key.as_str(), &item.id);
        match read::look(client, index, key, Fields::All, client.deadline()).await {
            Ok(Found::There(_, source)) if source.version() == state.version.as_str() => {
                room = room.saturating_sub(source.size());
                item.result = Some(read::state(*source, &item.mutation.key, true).map(|s| Outcome::Conflict(Some(s))));
            }
            // It changed, or cannot be read: the state without its value stands.
            _ => {}
        }
    }
}

impl<'n> Item<'n> {
    fn new(namespace: &'n str, mutation: Mutation, index: &Index) -> Self {
        let id = Id::new(namespace, &mutation.key);
        let known = index.seen.get(&id).map_or(Known::Nothing, Known::Remembered);
        let mut item = Item {
            namespace,
            id,
            version: Version::from_random(rand::random()),
            known,
            unanswered: None,
            next: None,
            demand: Demand::None,
            result: None,
            lacks_value: false,
            mutation,
        };
        item.result = check_size(&item.mutation, MAX_VALUE_BYTES, MAX_METADATA_BYTES).err().map(Err);
        item
    }

    /// Nothing was applied now; and before, only perhaps.
    fn fail(&mut self, error: Error) {
        if self.result.is_none() {
            self.result = Some(Err(match self.unanswered.take() {
                None => error,
                Some((_, why)) => Error::OutcomeUnknown(format!("{:?}: {why}", self.mutation.key)),
            }));
        }
    }

    /// Time is over.
    fn give_up(&mut self) {
        self.fail(Error::RateLimited(None));
    }

    /// Goes on as far as is possible without the server. None: its result is known. Without an operation: its document
    /// is to be read.
    fn advance(&mut self, now: Timestamp, on_conflict: Projection) -> Option<(&mut Self, Option<Op>)> {
        if self.result.is_some() {
            return None;
        }
        let step = match std::mem::replace(&mut self.known, Known::Stale) {
            Known::Nothing => self.step_blind(),
            Known::Stale => Step::Look,
            Known::Remembered(head) => self.step_over_remembered(head, now),
            Known::Found(found) => self.step_over_found(found, now),
        };
        match step {
            Step::Look => Some((self, None)),
            Step::Send(op, demand, next) => {
                (self.demand, self.next) = (demand, next);
                Some((self, Some(op)))
            }
            Step::Done(result) => {
                self.result = Some(result);
                None
            }
            Step::Conflict(source) => {
                self.result = Some(self.conflict(source, on_conflict));
                None
            }
        }
    }

    fn step_blind(&self) -> Step {
        match (&self.mutation.change, &self.mutation.precondition) {
            (Change::Put { .. }, Precondition::None | Precondition::Absent) => self.create(),
            _ => Step::Look,
        }
    }

    /// What is remembered can let a write go out, never refuse one.
    fn step_over_remembered(&self, head: Head, now: Timestamp) -> Step {
        let living = !head.expired(now);
        let holds = match &self.mutation.precondition {
            Precondition::None => true,
            Precondition::Absent => !living,
            Precondition::Version(version) => living && version.as_str() == head.version,
        };
        let later = |to: &Timestamp| head.expires_at.is_some_and(|at| at < *to);
        match &self.mutation.change {
            _ if !holds => Step::Look,
            Change::Put { .. } => self.replace(head.guard, living.then_some(head.created_at)),
            Change::Amend(_) if living => self.amend(&head),
            Change::Extend(to) if living && later(to) => self.extend(head, *to),
            Change::Delete if living => delete(head.guard),
            Change::Amend(_) | Change::Extend(_) | Change::Delete | Change::Check => Step::Look,
        }
    }

    fn step_over_found(&self, found: Found, now: Timestamp) -> Step {
        let state = match &found {
            Found::Absent => Demand::None,
            Found::Damaged(guard) | Found::There(guard, _) => Demand::State(*guard),
        };
        if let Found::There(_, source) = &found
            && source.version() == self.version.as_str()
        {
            return Step::Done(Ok(Outcome::Written(self.version.clone())));
        }
        if let Some((demand, why)) = &self.unanswered
            && (*demand == Demand::None || *demand != state)
        {
            return Step::Done(Err(Error::OutcomeUnknown(format!("{:?}: {why}", self.mutation.key))));
        }
        let precondition = &self.mutation.precondition;
        match found {
            Found::Damaged(guard) => match &self.mutation.change {
                Change::Put { .. } if *precondition == Precondition::None => self.replace(guard, None),
                Change::Delete if *precondition == Precondition::None => delete(guard),
                _ => Step::Done(Err(Damaged::error(&self.mutation.key))),
            },
            Found::There(guard, source) if !source.expired(now) => {
                let holds = match precondition {
                    Precondition::None => true,
                    Precondition::Absent => false,
                    Precondition::Version(version) => version.as_str() == source.version(),
                };
                if !holds {
                    return Step::Conflict(Some(source));
                }
                let head = Head::of(guard, &source);
                match &self.mutation.change {
                    Change::Put { .. } => self.replace(guard, Some(source.created_at)),
                    Change::Amend(_) => self.amend(&head),
                    Change::Extend(to) if source.expires_at.is_some_and(|at| at < *to) => self.extend(head, *to),
                    Change::Extend(_) | Change::Check => Step::Done(Ok(Outcome::Held)),
                    Change::Delete => delete(guard),
                }
            }
            absent => {
                if matches!(precondition, Precondition::Version(_)) {
                    return Step::Conflict(None);
                }
                match (&self.mutation.change, absent) {
                    (Change::Put { .. }, Found::There(guard, _)) => self.replace(guard, None),
                    (Change::Put { .. }, _) => self.create(),
                    (Change::Check, _) => Step::Done(Ok(Outcome::Held)),
                    (Change::Amend(_) | Change::Extend(_) | Change::Delete, _) => Step::Done(Ok(Outcome::Absent)),
                }
            }
        }
    }

    /// The document of a put, and its head. `created_at` of the living entry that it replaces, if there is one.
    fn document(&self, created_at: Option<Timestamp>) -> Result<(Vec<u8>, Head)> {
        let Change::Put { attributes, value } = &self.mutation.change else {
            return Err(Error::Internal("not a put".into()));
        };
        let created_at = created_at.unwrap_or(attributes.created_at);
        let body = format::document(self.namespace, &self.mutation.key, &self.version, attributes, created_at, value)?;
        Ok((body, self.head(created_at, attributes.expires_at)))
    }

    /// Its guard is known when it is written.
    fn head(&self, created_at: Timestamp, expires_at: Option<Timestamp>) -> Head {
        let guard = Guard { seq_no: 0, primary_term: 0 };
        Head { guard, version: self.version.as_str().to_owned(), created_at, expires_at }
    }

    fn create(&self) -> Step {
        match self.document(None) {
            Ok((body, head)) => Step::Send(Op::Create(body), Demand::None, Some(head)),
            Err(error) => Step::Done(Err(error)),
        }
    }

    fn replace(&self, guard: Guard, created_at: Option<Timestamp>) -> Step {
        match self.document(created_at) {
            Ok((body, head)) => Step::Send(Op::Index(guard, body), Demand::State(guard), Some(head)),
            Err(error) => Step::Done(Err(error)),
        }
    }

    fn amend(&self, there: &Head) -> Step {
        let Change::Amend(amendment) = &self.mutation.change else { return Step::Look };
        match format::amendment(&self.version, amendment) {
            Ok(body) => {
                let head = self.head(there.created_at, amendment.expires_at);
                Step::Send(Op::Update(there.guard, body), Demand::State(there.guard), Some(head))
            }
            Err(error) => Step::Done(Err(error)),
        }
    }

    fn extend(&self, there: Head, to: Timestamp) -> Step {
        match format::extension(to) {
            Ok(body) => {
                let guard = there.guard;
                Step::Send(Op::Update(guard, body), Demand::State(guard), Some(Head { expires_at: Some(to), ..there }))
            }
            Err(error) => Step::Done(Err(error)),
        }
    }

    /// A conflict with this state.
    fn conflict(&mut self, source: Option<Box<Source>>, on_conflict: Projection) -> Result<Outcome> {
        let Some(source) = source.filter(|_| on_conflict != Projection::Key) else {
            return Ok(Outcome::Conflict(None));
        };
        self.lacks_value = on_conflict == Projection::Value && source.lacks_large_value();
        let with_value = on_conflict == Projection::Value && !self.lacks_value;
        read::state(*source, &self.mutation.key, with_value).map(|state| Outcome::Conflict(Some(state)))
    }

    /// Takes the answer to the request that was under way. True where the index is gone.
    fn answered(&mut self, index: &Index, written: Written) -> bool {
        let failure = match written {
            Ok(guard) => {
                match self.next.take() {
                    Some(head) => index.seen.remember(&self.id, Head { guard, ..head }),
                    None => index.seen.forget(&self.id),
                }
                self.result = Some(Ok(match &self.mutation.change {
                    Change::Put { .. } | Change::Amend(_) => Outcome::Written(self.version.clone()),
                    Change::Extend(_) | Change::Check => Outcome::Held,
                    Change::Delete => Outcome::Deleted,
                }));
                return false;
            }
            Err(failure) => failure,
        };
        index.seen.forget(&self.id);
        match failure {
            Failure::NotSent(why) => self.fail(Error::Unavailable(why)),
            Failure::Ours(error) => self.fail(error),
            Failure::NoAnswer(why) => self.unanswered = Some((self.demand, why)),
            Failure::Refused(refusal) => match refusal.meaning() {
                // It is read again.
                Meaning::Conflict | Meaning::Missing => {}
                Meaning::IndexGone => return true,
                Meaning::Unknown(why) => self.unanswered = Some((self.demand, why)),
                Meaning::NotApplied(error) => self.fail(error),
                Meaning::TooLarge => self.fail(Error::Internal("a request was too large".into())),
            },
        }
        false
    }
}

fn delete(guard: Guard) -> Step {
    Step::Send(Op::Delete(Some(guard)), Demand::State(guard), None)
}
