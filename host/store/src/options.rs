//! What `set`, `compare_and_swap`, `increment` and `append` have in common: options, written as a sentence.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dataknobs_kv_core::store::Expiry;
use dataknobs_kv_core::{Error, Result, Timestamp};

/// Milliseconds of a span; a ttl is more than 0, and a fraction of a millisecond counts as a whole one.
pub(crate) fn millis(span: Duration) -> Result<u64> {
    let whole = span.as_nanos().div_ceil(1_000_000);
    u64::try_from(whole).map_err(|_| Error::InvalidArgument("the ttl lies beyond the year 9999".into()))
}

/// An instant, for `expires_at`: a [`SystemTime`] or milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instant(pub Timestamp);

impl From<Timestamp> for Instant {
    fn from(milliseconds: Timestamp) -> Self {
        Instant(milliseconds)
    }
}

/// Before 1970 counts as 1970: both lie in the past.
impl From<SystemTime> for Instant {
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Instant(Timestamp::try_from(since.as_millis()).unwrap_or(Timestamp::MAX))
    }
}

pub(crate) fn after(ttl: Duration) -> Result<Expiry> {
    millis(ttl).map(Expiry::After)
}

pub(crate) fn sliding(span: Duration) -> Result<Expiry> {
    millis(span).map(Expiry::Sliding)
}

/// The setters for expiry of a builder with the fields `expiry: Expiry` and `error: Option<Error>`.
macro_rules! expiry_setters {
    () => {
        /// Expires so long from now. More than 0; counted in milliseconds, a fraction of one as a whole one.
        pub fn ttl(mut self, ttl: std::time::Duration) -> Self {
            self.keep_first_error(|| $crate::options::after(ttl), |this, expiry| *this.expiry_mut() = expiry);
            self
        }

        /// Expires at that instant, which lies in the future: a `SystemTime`, or milliseconds since the Unix epoch.
        pub fn expires_at(mut self, at: impl Into<$crate::options::Instant>) -> Self {
            *self.expiry_mut() = dataknobs_kv_core::store::Expiry::At(at.into().0);
            self
        }

        /// Expires when it was not read for so long: each read starts the span anew.
        pub fn sliding(mut self, span: std::time::Duration) -> Self {
            self.keep_first_error(|| $crate::options::sliding(span), |this, expiry| *this.expiry_mut() = expiry);
            self
        }

        /// Leaves the expiry of what is there as it is.
        pub fn keep_expiry(mut self) -> Self {
            *self.expiry_mut() = dataknobs_kv_core::store::Expiry::Keep;
            self
        }

        /// Never expires, whatever the namespace's default.
        pub fn never_expires(mut self) -> Self {
            *self.expiry_mut() = dataknobs_kv_core::store::Expiry::Never;
            self
        }

        /// A setter cannot fail: its error comes when the call is awaited.
        fn keep_first_error<T>(&mut self, make: impl FnOnce() -> Result<T>, apply: impl FnOnce(&mut Self, T)) {
            match make() {
                Ok(value) => apply(self, value),
                Err(error) => {
                    self.error.get_or_insert(error);
                }
            }
        }
    };
}

/// The setters of a builder with the fields `item: Item` and `error: Option<Error>`.
macro_rules! item_setters {
    () => {
        /// Metadata: a JSON object. It replaces what was there; without this call there is none afterwards.
        ///
        /// A numeric `ttl` in it (seconds) sets the expiry unless another call does, a text `content_type` likewise.
        pub fn metadata(self, metadata: serde_json::Value) -> Self {
            self.metadata_json(metadata.to_string())
        }

        /// As `metadata`, from the text of a JSON object.
        pub fn metadata_json(mut self, text: impl Into<String>) -> Self {
            self.item.options.metadata = Some(text.into());
            self
        }

        /// The value's media type: at most 255 visible ASCII characters.
        pub fn content_type(mut self, content_type: impl Into<String>) -> Self {
            self.item.options.content_type = Some(content_type.into());
            self
        }

        /// Only where the entry has exactly this version.
        pub fn if_version(mut self, version: impl Into<Version>) -> Self {
            self.item.options.precondition = Precondition::Version(version.into());
            self
        }

        fn expiry_mut(&mut self) -> &mut Expiry {
            &mut self.item.options.expiry
        }
    };
}

pub(crate) use {expiry_setters, item_setters};
