//! What one write does within the writer's transaction.

use std::borrow::Cow;

use dataknobs_kv_core::storage::{Change, Mutation, Outcome};
use dataknobs_kv_core::{Attributes, Error, Precondition, Projection, Result, Timestamp};
use redb::{ReadableTable, Table, WriteTransaction};

use super::failure::Failure;
use super::format::{self, Bytes, Head};
use super::reader::{into_state, long_value, weight};
use super::{MAX_METADATA_BYTES, MAX_VALUE_BYTES};
use crate::sizes::check_size;

/// The states that one write's conflicts carry are bounded: whoever asks for values of more gets `too-large` for the rest,
/// of which nothing was applied.
const MAX_CONFLICT_BYTES: usize = 64 << 20;

/// The tables, open for writing.
pub(super) struct Tables<'t> {
    pub(super) head: Table<'t, Bytes, Bytes>,
    body: Table<'t, Bytes, Bytes>,
    expiry: Table<'t, Bytes, ()>,
    /// Whether anything was written: a transaction that changes nothing is not committed.
    pub(super) changed: bool,
}

/// What a row holds.
pub(super) enum Found {
    Absent,
    Expired(Box<Head<'static>>),
    Living(Box<Head<'static>>),
    /// A head that cannot be read. Only its removal, or a write that asks nothing of it, gets past.
    Damaged,
}

impl Found {
    /// The head of what is there and not expired.
    fn living(&self) -> Option<&Head<'static>> {
        match self {
            Found::Living(head) => Some(head),
            _ => None,
        }
    }

    /// The instant under which it is in `expiry`.
    fn expires_at(&self) -> Option<Timestamp> {
        match self {
            Found::Living(head) | Found::Expired(head) => head.attributes.expires_at,
            Found::Absent | Found::Damaged => None,
        }
    }

    /// Whether `body` may hold something of it.
    fn has_body(&self) -> bool {
        match self {
            Found::Living(head) | Found::Expired(head) => head.value.is_none(),
            Found::Damaged => true,
            Found::Absent => false,
        }
    }
}

/// What was decided of a mutation before anything is written.
enum Decision {
    /// It is to be applied to this.
    Apply(Found),
    /// The precondition does not hold, or there is nothing to change: this is its outcome.
    Refused(Outcome),
    Failed(Error),
}

impl<'t> Tables<'t> {
    pub(super) fn open(transaction: &'t WriteTransaction) -> Result<Self, Failure> {
        Ok(Tables {
            head: transaction.open_table(format::HEAD)?,
            body: transaction.open_table(format::BODY)?,
            expiry: transaction.open_table(format::EXPIRY)?,
            changed: false,
        })
    }

    pub(super) fn find(&self, row: &[u8], now: Timestamp) -> Result<Found, Failure> {
        let Some(guard) = self.head.get(row)? else { return Ok(Found::Absent) };
        Ok(match Head::decode(guard.value()) {
            Ok(head) if head.attributes.expired(now) => Found::Expired(Box::new(head.into_owned())),
            Ok(head) => Found::Living(Box::new(head.into_owned())),
            Err(_) => Found::Damaged,
        })
    }

    /// One write: results in the order of the mutations.
    pub(super) fn write(
        &mut self,
        namespace: &str,
        mutations: &[Mutation],
        atomic: bool,
        now: Timestamp,
        on_conflict: Projection,
    ) -> Result<Vec<Result<Outcome>>, Failure> {
        let rows: Vec<_> = mutations.iter().map(|mutation| format::row(namespace, &mutation.key)).collect();
        let mut conflicts = Conflicts { want: on_conflict, bytes: 0 };
        if !atomic {
            let mut results = Vec::with_capacity(mutations.len());
            for (mutation, row) in mutations.iter().zip(&rows) {
                results.push(match self.decide(row, mutation, now, &mut conflicts)? {
                    Decision::Apply(found) => Ok(self.apply(row, mutation, &found)?),
                    Decision::Refused(outcome) => Ok(outcome),
                    Decision::Failed(error) => Err(error),
                });
            }
            return Ok(results);
        }
        // All are decided before the first is applied: what is written in a transaction cannot be taken back alone.
        let mut decisions = Vec::with_capacity(mutations.len());
        for (mutation, row) in mutations.iter().zip(&rows) {
            decisions.push(self.decide(row, mutation, now, &mut conflicts)?);
        }
        // Deleting what is not there stands in nobody's way.
        let passes = |(decision, mutation): (&Decision, &Mutation)| match decision {
            Decision::Apply(_) => true,
            Decision::Refused(Outcome::Absent) => matches!(mutation.change, Change::Delete),
            Decision::Refused(_) | Decision::Failed(_) => false,
        };
        let go = decisions.iter().zip(mutations).all(passes);
        let mut results = Vec::with_capacity(mutations.len());
        for ((decision, mutation), row) in decisions.into_iter().zip(mutations).zip(&rows) {
            results.push(match decision {
                Decision::Apply(found) if go => Ok(self.apply(row, mutation, &found)?),
                Decision::Apply(_) => Ok(Outcome::NotApplied),
                Decision::Refused(Outcome::Absent) if !go && matches!(mutation.change, Change::Delete) => {
                    Ok(Outcome::NotApplied)
                }
                Decision::Refused(outcome) => Ok(outcome),
                Decision::Failed(error) => Err(error),
            });
        }
        Ok(results)
    }

    fn decide(
        &self,
        row: &[u8],
        mutation: &Mutation,
        now: Timestamp,
        conflicts: &mut Conflicts,
    ) -> Result<Decision, Failure> {
        if let Err(error) = check_size(mutation, MAX_VALUE_BYTES, MAX_METADATA_BYTES) {
            return Ok(Decision::Failed(error));
        }
        let found = self.find(row, now)?;
        if let Found::Damaged = found {
            let blind = matches!(mutation.change, Change::Put { .. } | Change::Delete)
                && mutation.precondition == Precondition::None;
            return Ok(if blind { Decision::Apply(found) } else { Decision::Failed(format::Damaged.error(row)) });
        }
        let living = found.living();
        if !mutation.precondition.holds(living.map(Head::version).as_ref()) {
            return Ok(match conflicts.state(&self.body, row, living)? {
                Ok(state) => Decision::Refused(Outcome::Conflict(state)),
                Err(error) => Decision::Failed(error),
            });
        }
        Ok(match (&mutation.change, &found) {
            (Change::Amend(_) | Change::Extend(_), Found::Absent | Found::Expired(_))
            | (Change::Delete, Found::Absent) => Decision::Refused(Outcome::Absent),
            _ => Decision::Apply(found),
        })
    }

    fn apply(&mut self, row: &[u8], mutation: &Mutation, found: &Found) -> Result<Outcome, Failure> {
        match (&mutation.change, found) {
            (Change::Put { attributes, value }, _) => self.put(row, found, attributes, value),
            (Change::Delete, Found::Expired(_)) => {
                // Absent to the caller; but its bytes go now, so that no clock set back can bring it to life again.
                self.remove(row, found)?;
                Ok(Outcome::Absent)
            }
            (Change::Delete, _) => {
                self.remove(row, found)?;
                Ok(Outcome::Deleted)
            }
            (Change::Check, _) => Ok(Outcome::Held),
            (Change::Amend(amendment), Found::Living(head)) => {
                let attributes = Attributes {
                    content_type: amendment.content_type.clone(),
                    metadata: amendment.metadata.clone(),
                    updated_at: amendment.updated_at,
                    expires_at: amendment.expires_at,
                    sliding_ms: amendment.sliding_ms,
                    ..head.attributes.clone()
                };
                let head = Head { version: rand::random(), attributes, value: head.value.clone() };
                self.write_head(row, found, &head)?;
                Ok(Outcome::Written(head.version()))
            }
            (Change::Extend(at), Found::Living(head)) => {
                if head.attributes.expires_at.is_some_and(|stored| stored < *at) {
                    let attributes = Attributes { expires_at: Some(*at), ..head.attributes.clone() };
                    let head = Head { version: head.version, attributes, value: head.value.clone() };
                    self.write_head(row, found, &head)?;
                }
                Ok(Outcome::Held)
            }
            (Change::Amend(_) | Change::Extend(_), _) => Ok(Outcome::Absent),
        }
    }

    fn put(&mut self, row: &[u8], found: &Found, attributes: &Attributes, value: &[u8]) -> Result<Outcome, Failure> {
        let created_at = found.living().map_or(attributes.created_at, |head| head.attributes.created_at);
        let short = value.len() <= format::INLINE_BYTES;
        let head = Head {
            version: rand::random(),
            // The size decides how a head is read: it is counted here, whatever the caller says.
            attributes: Attributes { created_at, size: value.len() as u64, ..attributes.clone() },
            value: short.then_some(Cow::Borrowed(value)),
        };
        self.write_head(row, found, &head)?;
        if !short {
            self.body.insert(row, value)?;
        } else if found.has_body() {
            self.body.remove(row)?;
        }
        Ok(Outcome::Written(head.version()))
    }

    fn write_head(&mut self, row: &[u8], found: &Found, head: &Head) -> Result<(), Failure> {
        let encoded = head.encode()?;
        self.changed = true;
        let (old, new) = (found.expires_at(), head.attributes.expires_at);
        if old != new {
            if let Some(old) = old {
                self.expiry.remove(format::expiry_row(old, row).as_slice())?;
            }
            if let Some(new) = new {
                self.expiry.insert(format::expiry_row(new, row).as_slice(), ())?;
            }
        }
        self.head.insert(row, encoded.as_slice())?;
        Ok(())
    }

    pub(super) fn remove(&mut self, row: &[u8], found: &Found) -> Result<(), Failure> {
        self.changed = true;
        if let Some(at) = found.expires_at() {
            self.expiry.remove(format::expiry_row(at, row).as_slice())?;
        }
        if found.has_body() {
            self.body.remove(row)?;
        }
        self.head.remove(row)?;
        Ok(())
    }

    pub(super) fn remove_expiry(&mut self, expiry: &[u8]) -> Result<(), Failure> {
        self.changed |= self.expiry.remove(expiry)?.is_some();
        Ok(())
    }
}

/// The states that conflicts carry.
struct Conflicts {
    want: Projection,
    bytes: usize,
}

impl Conflicts {
    fn state(
        &mut self,
        body: &impl ReadableTable<Bytes, Bytes>,
        row: &[u8],
        living: Option<&Head<'static>>,
    ) -> Result<Result<Option<dataknobs_kv_core::State>>, Failure> {
        let Some(head) = living.filter(|_| self.want != Projection::Key) else { return Ok(Ok(None)) };
        let copy = Head { version: head.version, attributes: head.attributes.clone(), value: None };
        self.bytes = self.bytes.saturating_add(weight(&head.attributes, self.want == Projection::Value));
        if self.bytes > MAX_CONFLICT_BYTES {
            return Ok(Err(Error::too_large("states of conflicts", MAX_CONFLICT_BYTES as u64, self.bytes as u64)));
        }
        let value = match (&head.value, self.want) {
            (_, Projection::Key | Projection::Attributes) => None,
            (Some(value), Projection::Value) => Some(value.to_vec()),
            (None, Projection::Value) => match long_value(body, row, head)? {
                Ok(value) => Some(value),
                Err(error) => return Ok(Err(error)),
            },
        };
        Ok(Ok(Some(into_state(copy, value))))
    }
}
