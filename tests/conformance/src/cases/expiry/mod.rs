//! Expiry: to the millisecond, in every function.

mod cleanup;
mod lifetime;
mod sliding;

/// All of them.
pub(super) fn cases() -> impl Iterator<Item = &'static crate::Case> {
    [lifetime::CASES, sliding::CASES, cleanup::CASES].into_iter().flatten()
}
