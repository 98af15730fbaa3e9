//! Writes.
//!
//! One mutation is one statement; where a rival won, the same statement shows what is there. Puts without precondition
//! are one `insert` for all. Everything else walks through the function, in key order.

use dataknobs_kv_core::storage::{Change, Mutation, Outcome};
use dataknobs_kv_core::{Error, Precondition, Projection, Result, Timestamp};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::failure::Failure;
use super::format::{Bits, Json, Millis, Raw, check_times, own, split_value, state};
use super::link::{Deadline, Link};
use super::sql::{Statements, code};
use super::{MAX_CONFLICT_BYTES, MAX_METADATA_BYTES, MAX_VALUE_BYTES, read};

/// The most bytes that one statement takes along. A plain batch goes in parts; an atomic one is refused.
const MAX_PART_BYTES: usize = 64 << 20;
const MAX_ATOMIC_BYTES: usize = 256 << 20;

/// One call.
pub(super) struct Call<'a> {
    pub(super) link: &'a Link,
    pub(super) sql: &'a Statements,
    pub(super) namespace: &'a str,
    pub(super) now: Timestamp,
    pub(super) want: Projection,
}

/// A mutation on its way: its place in the call, and the version that it gives.
#[derive(Clone, Copy)]
pub(super) struct Item<'a> {
    pub(super) place: usize,
    pub(super) mutation: &'a Mutation,
    pub(super) version: Bits,
}

/// What became of each.
pub(super) type Results = Vec<Result<Outcome>>;

impl Call<'_> {
    pub(super) async fn write(&self, mutations: &[Mutation], atomic: bool) -> Result<Results> {
        let mut results: Results = Vec::with_capacity(mutations.len());
        let mut items = Vec::with_capacity(mutations.len());
        for (place, mutation) in mutations.iter().enumerate() {
            match check(mutation) {
                Ok(()) => items.push(Item { place, mutation, version: Bits(rand::random()) }),
                Err(error) if atomic => return Err(error),
                Err(error) => {
                    results.push(Err(error));
                    continue;
                }
            }
            results.push(Ok(Outcome::NotApplied));
        }
        // As everyone does: who locks in the same order never waits in a circle.
        items.sort_unstable_by(|a, b| a.mutation.key.cmp(&b.mutation.key));
        let bytes = |item: &Item| weight(item.mutation);
        if atomic {
            let bytes: usize = items.iter().map(bytes).sum();
            if bytes > MAX_ATOMIC_BYTES {
                return Err(Error::too_large("transaction", MAX_ATOMIC_BYTES as u64, bytes as u64));
            }
        }
        let mut rest = items.as_slice();
        while !rest.is_empty() {
            let mut sum = 0;
            let mut fits = |item: &Item| {
                sum += bytes(item);
                atomic || sum <= MAX_PART_BYTES
            };
            let length = rest.iter().take_while(|item| fits(item)).count().max(1);
            let (part, behind) = rest.split_at(length.min(rest.len()));
            for (place, result) in self.part(part, atomic).await? {
                if let Some(slot) = results.get_mut(place) {
                    *slot = result;
                }
            }
            rest = behind;
        }
        Ok(results)
    }

    /// What one statement does.
    async fn part(&self, items: &[Item<'_>], atomic: bool) -> Result<Vec<(usize, Result<Outcome>)>> {
        let deadline = self.link.deadline();
        if let [item] = items {
            let result = match self.single(*item, deadline).await {
                Err(failure @ Failure::Lost(_)) => self.settle_one(*item, failure, deadline).await,
                result => result.map_err(Failure::into_error),
            };
            // Of one alone the outer error says the same.
            return Ok(vec![(item.place, Ok(result?))]);
        }
        match self.many(items, atomic, deadline).await {
            Ok(results) => Ok(results),
            Err(failure @ Failure::Lost(_)) => self.settle(items, atomic, failure, deadline).await,
            // Something in it is wrong: each stands for itself.
            Err(failure) if failure.of_data() && !atomic => {
                let mut results = Vec::with_capacity(items.len());
                for item in items {
                    let result = match self.single(*item, deadline).await {
                        Err(failure @ Failure::Lost(_)) => self.settle_one(*item, failure, deadline).await,
                        result => result.map_err(Failure::into_error),
                    };
                    results.push((item.place, result));
                }
                Ok(results)
            }
            Err(failure) => Err(failure.into_error()),
        }
    }

    async fn single(&self, item: Item<'_>, deadline: Deadline) -> Result<Outcome, Failure> {
        let (sql, now) = (self.sql, Millis(self.now));
        let with_value = self.want == Projection::Value;
        let key = &item.mutation.key;
        let written = || Outcome::Written(item.version.version());
        let mut parameters: Vec<&(dyn ToSql + Sync)> = vec![&self.namespace, key, &now];
        let expected = match &item.mutation.precondition {
            Precondition::Version(version) => Some(Bits::of(version)),
            Precondition::None | Precondition::Absent => None,
        };
        let columns = Columns::of(&item);
        let statement = match (&item.mutation.change, &item.mutation.precondition) {
            (Change::Put { .. }, precondition) => {
                columns.push(&mut parameters, 0);
                match precondition {
                    Precondition::None => {
                        self.link.write(&sql.put, &parameters, deadline).await?;
                        return Ok(written());
                    }
                    Precondition::Absent => sql.put_absent.with(with_value),
                    Precondition::Version(_) => sql.put_version.with(with_value),
                }
            }
            (Change::Amend(_), precondition @ (Precondition::None | Precondition::Version(_))) => {
                columns.push_amendment(&mut parameters, 0);
                match precondition {
                    Precondition::Version(_) => sql.amend_version.with(with_value),
                    _ => {
                        let rows = self.link.write(&sql.amend, &parameters, deadline).await?;
                        return Ok(if rows.is_empty() { Outcome::Absent } else { written() });
                    }
                }
            }
            (Change::Delete, Precondition::None) => {
                let rows = self.link.write(&sql.delete, &parameters, deadline).await?;
                let lived = rows.first().map_or(Ok(false), |row| own(row, 0)).map_err(Failure::refused)?;
                return Ok(if lived { Outcome::Deleted } else { Outcome::Absent });
            }
            (Change::Delete, Precondition::Version(_)) => sql.delete_version.with(with_value),
            _ => {
                let results = self.walk(&[item], false, deadline).await?;
                let missing = || Failure::refused(Error::Internal("PostgreSQL: a write without an outcome".into()));
                let (_, result) = results.into_iter().next().ok_or_else(missing)?;
                return result.map_err(Failure::refused);
            }
        };
        if let Some(expected) = &expected {
            parameters.push(expected);
        }
        let rows = self.link.write(statement, &parameters, deadline).await?;
        match rows.first() {
            Some(row) if own(row, 0).map_err(Failure::refused)? => Ok(match item.mutation.change {
                Change::Delete => Outcome::Deleted,
                _ => written(),
            }),
            row => self.conflict(key, row, expected, deadline).await.map_err(Failure::refused),
        }
    }

    /// What stood in the way: what the statement's snapshot showed, unless that cannot have been it. The snapshot is from
    /// before; a rival that won after it may have created the entry, or replaced the very version that was expected.
    async fn conflict(
        &self,
        key: &str,
        row: Option<&Row>,
        expected: Option<Bits>,
        deadline: Deadline,
    ) -> Result<Outcome> {
        if self.want == Projection::Key {
            return Ok(Outcome::Conflict(None));
        }
        let with_value = self.want == Projection::Value;
        let seen = match row {
            // By the snapshot there was nothing, which is what stood in the way of a demanded version.
            None if expected.is_some() => return Ok(Outcome::Conflict(None)),
            None => None,
            Some(row) if expected == Some(own(row, 1)?) => None,
            Some(row) => Some(state(row, 1, with_value, key)?),
        };
        Ok(Outcome::Conflict(match seen {
            Some(state) => Some(state),
            None => read::get(self.link, self.sql, self.namespace, key, self.now, with_value, deadline).await?,
        }))
    }

    async fn many(
        &self,
        items: &[Item<'_>],
        atomic: bool,
        deadline: Deadline,
    ) -> Result<Vec<(usize, Result<Outcome>)>, Failure> {
        let plain = |item: &Item| {
            matches!(item.mutation.change, Change::Put { .. }) && item.mutation.precondition == Precondition::None
        };
        if !items.iter().all(plain) {
            return self.walk(items, atomic, deadline).await;
        }
        let keys: Vec<&str> = items.iter().map(|item| item.mutation.key.as_str()).collect();
        let (now, columns) = (Millis(self.now), Columns::of_all(items));
        let mut parameters: Vec<&(dyn ToSql + Sync)> = vec![&self.namespace, &now, &keys];
        columns.push_all(&mut parameters);
        self.link.write(&self.sql.put_many, &parameters, deadline).await?;
        Ok(items.iter().map(|item| (item.place, Ok(Outcome::Written(item.version.version())))).collect())
    }

    /// Through the function.
    async fn walk(
        &self,
        items: &[Item<'_>],
        atomic: bool,
        deadline: Deadline,
    ) -> Result<Vec<(usize, Result<Outcome>)>, Failure> {
        let keys: Vec<&str> = items.iter().map(|item| item.mutation.key.as_str()).collect();
        let changes: Vec<i16> = items.iter().map(|item| change_code(&item.mutation.change)).collect();
        let guards: Vec<i16> = items.iter().map(|item| guard_code(&item.mutation.precondition)).collect();
        let expected: Vec<Option<Bits>> = items
            .iter()
            .map(|item| match &item.mutation.precondition {
                Precondition::Version(version) => Some(Bits::of(version)),
                Precondition::None | Precondition::Absent => None,
            })
            .collect();
        let want = match self.want {
            Projection::Key => 0_i16,
            Projection::Attributes => 1,
            Projection::Value => 2,
        };
        let (now, columns) = (Millis(self.now), Columns::of_all(items));
        let mut parameters: Vec<&(dyn ToSql + Sync)> =
            vec![&self.namespace, &now, &atomic, &want, &keys, &changes, &guards, &expected];
        columns.push_all(&mut parameters);
        let rows = self.link.write(&self.sql.walk, &parameters, deadline).await?;
        let mut results: Vec<_> = items.iter().map(|item| (item.place, Ok(Outcome::NotApplied))).collect();
        let mut refused = false;
        for row in &rows {
            // The answer has come and says that all was done: what cannot be read of it is not known.
            let unread = |error: Error| Failure::Lost(error.message());
            let at = usize::try_from(own::<i32>(row, 0).map_err(unread)?).unwrap_or(0).wrapping_sub(1);
            let outcome = own::<i16>(row, 1).map_err(unread)?;
            let (Some(item), Some(slot)) = (items.get(at), results.get_mut(at)) else {
                return Err(Failure::Lost("an outcome of nothing that was asked".into()));
            };
            let nothing_to_change = outcome == code::NOTHING_THERE && item.mutation.change != Change::Delete;
            refused |= matches!(outcome, code::CONFLICT | code::CONFLICT_TOO_LARGE) || nothing_to_change;
            slot.1 = self.outcome(item, outcome, row);
        }
        if atomic && refused {
            // Nothing was applied; the last one says why.
            let last = rows.len().saturating_sub(1);
            for (at, slot) in results.iter_mut().enumerate() {
                if at != last {
                    slot.1 = Ok(Outcome::NotApplied);
                }
            }
        }
        Ok(results)
    }

    fn outcome(&self, item: &Item, outcome: i16, row: &Row) -> Result<Outcome> {
        Ok(match outcome {
            code::WRITTEN => Outcome::Written(item.version.version()),
            code::HELD => Outcome::Held,
            code::DELETED => Outcome::Deleted,
            code::NOTHING_THERE => Outcome::Absent,
            code::CONFLICT => {
                let there = self.want != Projection::Key && own::<Option<Bits>>(row, 2)?.is_some();
                let state = || state(row, 2, self.want == Projection::Value, &item.mutation.key);
                Outcome::Conflict(if there { Some(state()?) } else { None })
            }
            _ => {
                let most = MAX_CONFLICT_BYTES as u64;
                return Err(Error::too_large("states of conflicts", most, most + 1));
            }
        })
    }
}

fn change_code(change: &Change) -> i16 {
    match change {
        Change::Put { .. } => code::PUT,
        Change::Amend(_) => code::AMEND,
        Change::Extend(_) => code::EXTEND,
        Change::Delete => code::DELETE,
        Change::Check => code::CHECK,
    }
}

fn guard_code(precondition: &Precondition) -> i16 {
    match precondition {
        Precondition::None => code::WHATEVER,
        Precondition::Absent => code::ABSENT,
        Precondition::Version(_) => code::VERSION,
    }
}

/// What mutations write, column by column, in the order of the statements' parameters.
struct Columns<'a> {
    version: Vec<Bits>,
    value_type: Vec<Option<String>>,
    content_type: Vec<Option<&'a str>>,
    value: Vec<Option<Raw<'a>>>,
    bytes: Vec<Option<Raw<'a>>>,
    metadata: Vec<Option<Json<'a>>>,
    created_at: Vec<Option<Millis>>,
    updated_at: Vec<Option<Millis>>,
    expires_at: Vec<Option<Millis>>,
    sliding_ms: Vec<Option<i64>>,
    size: Vec<Option<i64>>,
    checksum: Vec<Option<i64>>,
}

impl<'a> Columns<'a> {
    fn of(item: &Item<'a>) -> Self {
        Self::of_all(std::slice::from_ref(item))
    }

    fn of_all(items: &[Item<'a>]) -> Self {
        let count = items.len();
        let mut columns = Columns {
            version: Vec::with_capacity(count),
            value_type: Vec::with_capacity(count),
            content_type: Vec::with_capacity(count),
            value: Vec::with_capacity(count),
            bytes: Vec::with_capacity(count),
            metadata: Vec::with_capacity(count),
            created_at: Vec::with_capacity(count),
            updated_at: Vec::with_capacity(count),
            expires_at: Vec::with_capacity(count),
            sliding_ms: Vec::with_capacity(count),
            size: Vec::with_capacity(count),
            checksum: Vec::with_capacity(count),
        };
        for item in items {
            columns.add(item);
        }
        columns
    }

    fn add(&mut self, item: &Item<'a>) {
        let span = |span: Option<u64>| span.and_then(|span| i64::try_from(span).ok());
        let mut put = None;
        let (mut content_type, mut metadata) = (None, None);
        let (mut updated_at, mut expires_at, mut sliding_ms) = (None, None, None);
        match &item.mutation.change {
            Change::Put { attributes, value } => {
                (content_type, metadata) = (attributes.content_type.as_deref(), attributes.metadata.as_deref());
                (updated_at, expires_at) = (Some(attributes.updated_at), attributes.expires_at);
                sliding_ms = attributes.sliding_ms;
                put = Some((attributes, value));
            }
            Change::Amend(amendment) => {
                (content_type, metadata) = (amendment.content_type.as_deref(), amendment.metadata.as_deref());
                (updated_at, expires_at) = (Some(amendment.updated_at), amendment.expires_at);
                sliding_ms = amendment.sliding_ms;
            }
            Change::Extend(to) => expires_at = Some(*to),
            Change::Delete | Change::Check => {}
        }
        let (value, bytes) = put.map_or((None, None), |(attributes, value)| split_value(&attributes.value_type, value));
        self.version.push(item.version);
        self.value_type.push(put.map(|(attributes, _)| attributes.value_type.to_string()));
        self.content_type.push(content_type);
        self.value.push(value);
        self.bytes.push(bytes);
        self.metadata.push(metadata.map(Json));
        self.created_at.push(put.map(|(attributes, _)| Millis(attributes.created_at)));
        self.updated_at.push(updated_at.map(Millis));
        self.expires_at.push(expires_at.map(Millis));
        self.sliding_ms.push(span(sliding_ms));
        self.size.push(put.and_then(|(attributes, _)| i64::try_from(attributes.size).ok()));
        self.checksum.push(put.map(|(attributes, _)| i64::from(attributes.checksum)));
    }

    /// Those of one put.
    fn push<'p>(&'p self, parameters: &mut Vec<&'p (dyn ToSql + Sync)>, at: usize) {
        parameters.push(&self.version[at]);
        parameters.push(&self.value_type[at]);
        parameters.push(&self.content_type[at]);
        parameters.push(&self.value[at]);
        parameters.push(&self.bytes[at]);
        parameters.push(&self.metadata[at]);
        parameters.push(&self.created_at[at]);
        parameters.push(&self.updated_at[at]);
        parameters.push(&self.expires_at[at]);
        parameters.push(&self.sliding_ms[at]);
        parameters.push(&self.size[at]);
        parameters.push(&self.checksum[at]);
    }

    /// Those of one amend.
    fn push_amendment<'p>(&'p self, parameters: &mut Vec<&'p (dyn ToSql + Sync)>, at: usize) {
        parameters.push(&self.version[at]);
        parameters.push(&self.content_type[at]);
        parameters.push(&self.metadata[at]);
        parameters.push(&self.updated_at[at]);
        parameters.push(&self.expires_at[at]);
        parameters.push(&self.sliding_ms[at]);
    }

    /// Those of all, as arrays.
    fn push_all<'p>(&'p self, parameters: &mut Vec<&'p (dyn ToSql + Sync)>) {
        parameters.push(&self.version);
        parameters.push(&self.value_type);
        parameters.push(&self.content_type);
        parameters.push(&self.value);
        parameters.push(&self.bytes);
        parameters.push(&self.metadata);
        parameters.push(&self.created_at);
        parameters.push(&self.updated_at);
        parameters.push(&self.expires_at);
        parameters.push(&self.sliding_ms);
        parameters.push(&self.size);
        parameters.push(&self.checksum);
    }
}

fn weight(mutation: &Mutation) -> usize {
    let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    mutation.key.len()
        + match &mutation.change {
            Change::Put { attributes, value } => value.len() + text(&attributes.metadata),
            Change::Amend(amendment) => text(&amendment.metadata),
            Change::Extend(_) | Change::Delete | Change::Check => 0,
        }
}

/// What our limits say of a mutation, before anything is sent.
fn check(mutation: &Mutation) -> Result<()> {
    let metadata = match &mutation.change {
        Change::Put { attributes, value } => {
            if value.len() > MAX_VALUE_BYTES {
                return Err(Error::too_large("value", MAX_VALUE_BYTES as u64, value.len() as u64));
            }
            let times = [Some(attributes.created_at), Some(attributes.updated_at), attributes.expires_at];
            check_times(&times, attributes.sliding_ms)?;
            &attributes.metadata
        }
        Change::Amend(amendment) => {
            check_times(&[Some(amendment.updated_at), amendment.expires_at], amendment.sliding_ms)?;
            &amendment.metadata
        }
        Change::Extend(to) => return check_times(&[Some(*to)], None),
        Change::Delete | Change::Check => return Ok(()),
    };
    match metadata {
        Some(metadata) if metadata.len() > MAX_METADATA_BYTES => {
            Err(Error::too_large("metadata", MAX_METADATA_BYTES as u64, metadata.len() as u64))
        }
        _ => Ok(()),
    }
}
