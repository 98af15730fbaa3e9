//! The cases, a file for each part of the contract.

use futures::future::LocalBoxFuture;

use crate::{Harness, Need};

/// One thing to test.
pub struct Case {
    /// The part of the contract, as its file is named.
    pub topic: &'static str,
    /// Of the function.
    pub name: &'static str,
    /// Clauses of `docs/contract.md`.
    pub clauses: &'static [&'static str],
    /// Without all of these it cannot be run.
    pub needs: &'static [Need],
    /// Panics where the store breaks a clause.
    pub run: fn(Harness) -> LocalBoxFuture<'static, ()>,
}

impl Case {
    /// `topic::name`.
    pub fn path(&self) -> String {
        format!("{}::{}", self.topic, self.name)
    }
}

/// Lists a file's cases. A function that is not listed is dead code, which the lints refuse.
macro_rules! cases {
    ($topic:literal; $($name:ident: [$($clause:ident),+ $(,)?] $([$($need:ident),+ $(,)?])?;)+) => {
        pub(in crate::cases) const CASES: &[$crate::Case] = &[$($crate::Case {
            topic: $topic,
            name: stringify!($name),
            clauses: &[$(stringify!($clause)),+],
            needs: &[$($(crate::Need::$need),+)?],
            run: |harness| Box::pin($name(harness)),
        }),+];
    };
}

mod atomic;
mod batch;
mod children;
mod expiry;
mod hostile;
mod keys;
mod listing;
mod metadata;
mod namespaces;
mod patterns;
mod race;
mod storage;
mod transact;
mod values;
mod versions;

/// Every case, once.
pub fn all() -> impl Iterator<Item = &'static Case> {
    let files = [
        keys::CASES,
        namespaces::CASES,
        patterns::CASES,
        listing::CASES,
        children::CASES,
        values::CASES,
        metadata::CASES,
        versions::CASES,
        atomic::CASES,
        batch::CASES,
        transact::CASES,
        hostile::CASES,
    ];
    files.into_iter().flatten().chain(expiry::cases()).chain(storage::cases()).chain(race::cases())
}
