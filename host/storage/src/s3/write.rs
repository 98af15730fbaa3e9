//! Changing entries, one by one.
//!
//! Every change of an object is made on the condition that it still is what was seen last (`If-Match`, `If-None-Match`):
//! so preconditions hold in the same step, a plain put keeps `created_at` exactly, and whoever replaces an entry knows
//! which mark of expiry goes with it. What was seen last is remembered, so that mostly one request does it; where the
//! condition fails, the object is looked at and the change tried again.
//!
//! | change | requests, where nothing is known of the key |
//! | --- | --- |
//! | put if absent | PUT |
//! | put if version, delete | GET of the header, PUT or DELETE; the GET is spared after a read or write of the key |
//! | plain put | the same; also spared while names turn out to be new, as in an import |
//! | amend | GET of the whole, PUT |
//! | with an expiry | a PUT of the mark before; a DELETE of the replaced entry's mark after |
//!
//! **Lost answers.** Where a PUT was sent and no answer came, a GET tells by the nonce whether it was applied. If not,
//! and the object still is the entry that it was to replace, it is sent again: such a condition can hold only once. Else
//! nobody can know, and the answer is `outcome-unknown`.

use dataknobs_kv_core::storage::{Amendment, Change, Mutation, Outcome};
use dataknobs_kv_core::{Attributes, Error, Precondition, Projection, Result, Timestamp, Version};
use tokio::time::{Instant, sleep};

use super::client::{Body, Guard, wait};
use super::failure::{Failure, Meaning};
use super::format::{self, GRAVE, MAX_METADATA_BYTES, MAX_VALUE_BYTES};
use super::read::{Found, Look, Want, look};
use super::seen::{Known, Sight};
use super::{S3Storage, names};

/// A larger value is not sent on a guess.
const GUESS_BYTES: usize = 256 << 10;

/// One key's change under way.
struct Task<'a> {
    storage: &'a S3Storage,
    namespace: &'a str,
    key: &'a str,
    name: String,
    object: String,
    precondition: Precondition,
    now: Timestamp,
    on_conflict: Projection,
    deadline: Instant,
    tries: u32,
}

/// What is known of an object before a change of it.
enum Before {
    /// The change may be made on this condition.
    Go(Sight),
    /// Something stands in the way.
    Refused(Outcome),
}

/// What follows from a failed request.
enum After {
    /// Its condition did not hold: nothing was applied.
    Lost,
    /// Nothing was applied, nor will be.
    Failed,
    /// It may have been applied.
    Unclear,
}

impl S3Storage {
    pub(super) async fn mutate(
        &self,
        namespace: &str,
        mutation: Mutation,
        now: Timestamp,
        on_conflict: Projection,
    ) -> Result<Outcome> {
        let Mutation { key, change, precondition } = mutation;
        let name = names::of_key(&key);
        let object = self.entry(namespace, &name);
        let deadline = self.client.deadline();
        let mut task = Task {
            storage: self,
            namespace,
            key: &key,
            name,
            object,
            precondition,
            now,
            on_conflict,
            deadline,
            tries: 0,
        };
        match change {
            Change::Put { attributes, value } => task.put(attributes, value).await,
            Change::Amend(amendment) => task.amend(amendment).await,
            Change::Delete => task.delete().await,
            Change::Check => task.check().await,
            Change::Extend(_) => {
                Err(Error::Unsupported("S3 cannot move an expiry without a new version: no sliding expiry".into()))
            }
        }
    }
}

impl Task<'_> {
    async fn check(&mut self) -> Result<Outcome> {
        if self.precondition == Precondition::None {
            return Ok(Outcome::Held);
        }
        match self.look_again().await? {
            Before::Go(_) => Ok(Outcome::Held),
            Before::Refused(outcome) => Ok(outcome),
        }
    }

    async fn put(&mut self, mut attributes: Attributes, value: Vec<u8>) -> Result<Outcome> {
        check_attributes(&attributes)?;
        if value.len() > MAX_VALUE_BYTES {
            return Err(Error::too_large("value", MAX_VALUE_BYTES as u64, value.len() as u64));
        }
        let created_at = attributes.created_at;
        let nonce = fresh_nonce();
        let mut before = self.before_put(value.len()).await?;
        let mut body: Option<(Timestamp, Body)> = None;
        let mut marked = false;
        loop {
            let sight = match before {
                Before::Go(sight) => sight,
                Before::Refused(outcome) => {
                    if marked {
                        // Nothing was written with this nonce, and nothing will be.
                        self.unmark(attributes.expires_at, &nonce).await;
                    }
                    return Ok(outcome);
                }
            };
            attributes.created_at = sight.living(self.now).map_or(created_at, |known| known.created_at);
            if body.as_ref().is_none_or(|(created_at, _)| *created_at != attributes.created_at) {
                let key = names::is_hashed(&self.name).then_some(self.key);
                let bytes = format::encode(&nonce, &attributes, key, &value)?;
                body = Some((attributes.created_at, Body::new(bytes)));
            }
            let Some((_, body)) = &body else { return Err(Error::Internal("an object without a body".into())) };
            if !marked {
                self.mark(attributes.expires_at, &nonce).await?;
                marked = attributes.expires_at.is_some();
            }
            if let Some(etag) = self.send(body, &sight, &nonce).await? {
                return self.written(etag, nonce, &attributes, sight).await;
            }
            self.again().await?;
            before = self.look_again().await?;
        }
    }

    async fn amend(&mut self, amendment: Amendment) -> Result<Outcome> {
        let nonce = fresh_nonce();
        let mut marked = false;
        loop {
            let found = match self.look_for_amend().await? {
                Ok(found) => found,
                Err(outcome) => {
                    if marked {
                        self.unmark(amendment.expires_at, &nonce).await;
                    }
                    return Ok(outcome);
                }
            };
            let sight = Sight::Entry(Known::of(&found));
            let attributes = Attributes {
                content_type: amendment.content_type.clone(),
                metadata: amendment.metadata.clone(),
                updated_at: amendment.updated_at,
                expires_at: amendment.expires_at,
                sliding_ms: amendment.sliding_ms,
                ..found.head.attributes
            };
            check_attributes(&attributes)?;
            if !marked {
                self.mark(attributes.expires_at, &nonce).await?;
                marked = attributes.expires_at.is_some();
            }
            let body =
                format::encode(&nonce, &attributes, found.head.key.as_deref(), &found.value.unwrap_or_default())?;
            let body = Body::new(body);
            if let Some(etag) = self.send(&body, &sight, &nonce).await? {
                return self.written(etag, nonce, &attributes, sight).await;
            }
            self.again().await?;
        }
    }

    async fn delete(&mut self) -> Result<Outcome> {
        let mut before = match self.storage.seen.get(&self.object).await {
            Some(sight) if self.holds(&sight) && sight.living(self.now).is_some() => Before::Go(sight),
            _ => self.look_again().await?,
        };
        loop {
            let sight = match before {
                Before::Go(sight) => sight,
                Before::Refused(outcome) => return Ok(outcome),
            };
            let etag = match &sight {
                Sight::Entry(known) if known.lives(self.now) => &known.etag,
                // Damage has no precondition but none: it can be removed, and was there.
                Sight::Damaged { etag, .. } => etag,
                // The rest of an expired entry is for `reclaim`.
                _ => return Ok(Outcome::Absent),
            };
            if let Some(grave) = self.remove(etag, &sight).await? {
                self.storage.seen.put(&self.object, self.storage.gone(grave)).await;
                self.unmark_sight(&sight).await;
                return Ok(Outcome::Deleted);
            }
            self.again().await?;
            before = self.look_again().await?;
        }
    }

    /// What a put goes by at first: what was last seen, a guess, or a look.
    async fn before_put(&self, bytes: usize) -> Result<Before> {
        let seen = self.storage.seen.get(&self.object).await;
        Ok(match (seen, &self.precondition) {
            (Some(sight), _) if self.holds(&sight) => Before::Go(sight),
            (None, Precondition::Absent) => Before::Go(Sight::Nothing),
            (None, Precondition::None) if bytes <= GUESS_BYTES && self.storage.seen.guess_new() => {
                Before::Go(Sight::Nothing)
            }
            (seen, precondition) => {
                let before = self.look_again().await?;
                if let (None, Precondition::None, Before::Go(sight)) = (seen, precondition, &before) {
                    self.storage.seen.learn(*sight == Sight::Nothing);
                }
                before
            }
        })
    }

    /// Whether the precondition holds for what is seen there. A damaged object is something and has no version.
    fn holds(&self, sight: &Sight) -> bool {
        let Some(known) = sight.living(self.now) else {
            let damaged = matches!(sight, Sight::Damaged { .. });
            return match self.precondition {
                Precondition::None => true,
                Precondition::Absent => !damaged,
                Precondition::Version(_) => false,
            };
        };
        match &self.precondition {
            Precondition::None => true,
            Precondition::Absent => false,
            Precondition::Version(version) => version.as_str() == known.etag,
        }
    }

    /// Looks what is there now, and whether the precondition holds for it.
    async fn look_again(&self) -> Result<Before> {
        let want = match self.precondition {
            Precondition::None => Want::Head,
            _ => Want::from(self.on_conflict),
        };
        let look = self.look(want).await?;
        let sight = Sight::of(&look);
        if self.holds(&sight) {
            return Ok(Before::Go(sight));
        }
        Ok(Before::Refused(self.conflict(look)?))
    }

    /// Looks at all of what is there now, where it can be amended; else what comes of it.
    async fn look_for_amend(&self) -> Result<Result<Box<Found>, Outcome>> {
        let look = self.look(Want::Value).await?;
        if !self.holds(&Sight::of(&look)) {
            return Ok(Err(self.conflict(look)?));
        }
        Ok(look.living(self.key, self.now)?.ok_or(Outcome::Absent))
    }

    async fn look(&self, want: Want) -> Result<Look> {
        let storage = self.storage;
        let look = look(&storage.client, &self.object, want, self.deadline).await;
        let look = look.map_err(|failure| failure.of_read(&storage.client.bucket))?;
        storage.seen.remember(&self.object, &look).await;
        Ok(look)
    }

    /// The conflict with what is there.
    fn conflict(&self, look: Look) -> Result<Outcome> {
        let Some(mut found) = look.living(self.key, self.now)? else { return Ok(Outcome::Conflict(None)) };
        if self.on_conflict != Projection::Value {
            found.value = None;
        }
        let wanted = self.on_conflict != Projection::Key;
        Ok(Outcome::Conflict(if wanted { Some(found.into_state()?) } else { None }))
    }

    /// Writes the object if it still is what was seen: its ETag, or none where it is no longer.
    async fn send(&self, body: &Body, sight: &Sight, nonce: &str) -> Result<Option<String>> {
        let client = &self.storage.client;
        let mut tries: u32 = 0;
        loop {
            let failure = match client.put(&self.object, body, sight.guard(), self.deadline).await {
                Ok(answer) if !answer.etag().is_empty() => return Ok(Some(answer.etag())),
                Ok(_) => Failure::NoAnswer("the store's answer holds no ETag".into()),
                Err(failure) => failure,
            };
            match self.after_failure(&failure, tries) {
                After::Lost => return Ok(None),
                After::Failed => return Err(failure.of_write(&client.bucket)),
                After::Unclear => {}
            }
            match self.look(Want::Head).await {
                Ok(Look::Entry(found)) if found.head.nonce == nonce => return Ok(Some(found.etag)),
                Ok(look) if self.may_repeat(&failure, sight, &look) => {}
                _ => return Err(self.unknown(failure)),
            }
            tries = tries.saturating_add(1);
            self.pause(tries, failure).await?;
        }
    }

    /// Removes the object if it still has this ETag: the ETag of the grave it leaves, if any; none where it has not.
    async fn remove(&self, etag: &str, sight: &Sight) -> Result<Option<String>> {
        let storage = self.storage;
        let mut tries: u32 = 0;
        loop {
            let failure = match storage.bury(&self.object, etag, self.deadline).await {
                Ok(grave) => return Ok(Some(grave)),
                Err(failure) => failure,
            };
            match self.after_failure(&failure, tries) {
                After::Lost => return Ok(None),
                After::Failed => return Err(failure.of_write(&storage.client.bucket)),
                After::Unclear => {}
            }
            match self.look(Want::Head).await {
                Ok(look) if self.may_repeat(&failure, sight, &look) => {}
                // Gone, but perhaps by another's hand.
                _ => return Err(self.unknown(failure)),
            }
            tries = tries.saturating_add(1);
            self.pause(tries, failure).await?;
        }
    }

    /// What a failed conditional request means, after so many others whose outcome is not known.
    fn after_failure(&self, failure: &Failure, unclear: u32) -> After {
        match failure.meaning() {
            Meaning::Unclear => After::Unclear,
            // An earlier one of these may be what changed it.
            _ if unclear > 0 => After::Unclear,
            Meaning::Lost | Meaning::Missing => After::Lost,
            _ => After::Failed,
        }
    }

    /// Whether the request may be sent again: what it was to replace is there, and, once gone, never comes back, so that
    /// it is applied once at most.
    fn may_repeat(&self, failure: &Failure, sight: &Sight, look: &Look) -> bool {
        failure.meaning() == Meaning::Unclear && sight.is_unique() && Sight::of(look).guard() == sight.guard()
    }

    /// Waits before a request is sent again, or gives up.
    async fn pause(&self, tries: u32, failure: Failure) -> Result<()> {
        let wait = wait(tries);
        if Instant::now() + wait >= self.deadline {
            return Err(self.unknown(failure));
        }
        sleep(wait).await;
        Ok(())
    }

    fn unknown(&self, failure: Failure) -> Error {
        let why = match failure {
            Failure::NoAnswer(why) => why,
            Failure::Refused(refusal) => refusal.said(),
            Failure::NotSent(error) => error.message(),
        };
        Error::OutcomeUnknown(format!("key {:?}: {why}", self.key))
    }

    /// Remembers what was written and removes the mark of what it replaced.
    async fn written(&self, etag: String, nonce: String, attributes: &Attributes, before: Sight) -> Result<Outcome> {
        let version = Version::new(etag.as_str())?;
        let (created_at, expires_at) = (attributes.created_at, attributes.expires_at);
        self.storage.seen.put(&self.object, Sight::Entry(Known { etag, nonce, created_at, expires_at })).await;
        self.unmark_sight(&before).await;
        Ok(Outcome::Written(version))
    }

    /// Before the next try: waits a little, or gives up.
    async fn again(&mut self) -> Result<()> {
        self.storage.seen.forget(&self.object).await;
        if self.precondition == Precondition::None {
            self.storage.seen.learn(false);
        }
        self.tries = self.tries.saturating_add(1);
        // The first time at once: a guess was wrong.
        let wait = if self.tries < 2 { std::time::Duration::ZERO } else { wait(self.tries - 1) };
        if Instant::now() + wait >= self.deadline {
            return Err(Error::RateLimited(None));
        }
        sleep(wait).await;
        Ok(())
    }

    /// Writes the mark of an entry that expires, before the entry itself.
    async fn mark(&self, expires_at: Option<Timestamp>, nonce: &str) -> Result<()> {
        let Some(at) = expires_at else { return Ok(()) };
        let mark = self.storage.mark(self.namespace, at, nonce, &self.name);
        let written = self.storage.client.put_again(&mark, &self.storage.mark_body, self.deadline).await;
        // A mark without its entry means nothing: nothing was applied.
        written.map_err(|failure| failure.of_read(&self.storage.client.bucket))
    }

    async fn unmark_sight(&self, sight: &Sight) {
        if let Sight::Entry(known) = sight {
            self.unmark(known.expires_at, &known.nonce).await;
        }
    }

    /// Removes a mark whose entry is gone. One that stays costs a look when it is due.
    async fn unmark(&self, expires_at: Option<Timestamp>, nonce: &str) {
        if let Some(at) = expires_at {
            let mark = self.storage.mark(self.namespace, at, nonce, &self.name);
            let _ = self.storage.client.delete_again(&mark, self.deadline).await;
        }
    }
}

impl S3Storage {
    /// Removes the object if it still has this ETag, in the way that this store can be trusted with. The ETag of what it
    /// left in its place; empty for nothing.
    pub(super) async fn bury(&self, object: &str, etag: &str, deadline: Instant) -> Result<String, Failure> {
        if self.abilities.conditional_delete {
            return self.client.delete(object, Guard::Is(etag), deadline).await.map(|()| String::new());
        }
        let answer = self.client.put(object, &self.grave, Guard::Is(etag), deadline).await?;
        Ok(answer.etag())
    }

    /// What is there after [`S3Storage::bury`].
    pub(super) fn gone(&self, grave: String) -> Sight {
        if grave.is_empty() { Sight::Nothing } else { Sight::Grave { etag: grave } }
    }
}

/// The body of every grave.
pub(super) fn grave() -> Body {
    Body::new(GRAVE)
}

fn check_attributes(attributes: &Attributes) -> Result<()> {
    if attributes.sliding_ms.is_some() {
        return Err(Error::Unsupported("S3 cannot move an expiry without a new version: no sliding expiry".into()));
    }
    match attributes.metadata.as_ref().map_or(0, String::len) {
        bytes if bytes > MAX_METADATA_BYTES => {
            Err(Error::too_large("metadata", MAX_METADATA_BYTES as u64, bytes as u64))
        }
        _ => Ok(()),
    }
}

/// New with every write, and never told to anybody before it is there.
fn fresh_nonce() -> String {
    format!("{:032x}", rand::random::<u128>())
}
