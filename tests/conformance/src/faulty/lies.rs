//! The lies, in words.

macro_rules! lies {
    ($($(#[doc = $text:literal])+ $name:ident,)+) => {
        /// What a [`Faulty`](super::Faulty) storage does wrong. Each was seen in something that shipped.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Lie {
            $($(#[doc = $text])+ $name,)+
        }

        impl Lie {
            /// All of them.
            pub const ALL: &[Lie] = &[$(Lie::$name),+];

            /// In words.
            pub fn words(self) -> &'static str {
                match self {
                    $(Lie::$name => concat!($($text),+).trim_ascii(),)+
                }
            }
        }
    };
}

lies! {
    /// no lie at all: it must pass, or the lies would prove nothing
    Nothing,
    /// if-absent is ignored: it writes over what is there
    IgnoresAbsent,
    /// if-version is ignored: it writes over any version
    IgnoresVersion,
    /// a guard on a delete is ignored
    IgnoresDeleteGuard,
    /// checks the precondition first and writes a moment later
    ChecksThenWrites,
    /// a lost race is taken for success
    TakesLossForSuccess,
    /// a conflict carries nothing
    ConflictIsEmpty,
    /// a conflict carries the version that was asked for
    ConflictCarriesAsked,
    /// expired entries still come back
    ShowsExpired,
    /// an entry lives one millisecond too long
    ExpiresLate,
    /// the expiry is not kept at all
    ForgetsExpiry,
    /// the expiry is kept in whole seconds
    RoundsExpiry,
    /// a span of more than 31 bits of milliseconds ends at once
    CutsLongExpiry,
    /// created-at moves with every write
    MovesCreated,
    /// created-at of an expired entry is taken over by the next
    KeepsCreatedOfExpired,
    /// versions are made from the value
    VersionFromValue,
    /// versions count from 1 and start again after a delete
    VersionCounts,
    /// an amend keeps the version
    AmendKeepsVersion,
    /// an amend loses the metadata
    AmendLosesMetadata,
    /// an amend does not move the expiry
    AmendKeepsExpiry,
    /// an extend changes the version
    ExtendChangesVersion,
    /// an extend may move the expiry back
    ExtendMovesBack,
    /// a page leaves out its last key
    DropsKeyOfPage,
    /// a page begins with the last key of the one before
    RepeatsKeyOverPages,
    /// pages are cut by number, not by key
    PagesByOffset,
    /// pages are in the order of UTF-16
    OrdersByUtf16,
    /// pages are in the order of a dictionary, without case
    OrdersWithoutCase,
    /// a listing does not show the last write yet
    ListsLate,
    /// the hint takes an escape for two characters
    HintMissesEscapes,
    /// a count includes what has expired
    CountsExpired,
    /// an atomic write that fails has applied what came before
    HalfOfAtomic,
    /// checks are not looked at
    IgnoresChecks,
    /// a plain batch ends at its first lost race
    BatchStopsAtLoss,
    /// a bulk read answers in the order of keys
    ManySorted,
    /// a bulk read leaves out what is absent
    ManyDropsAbsent,
    /// a delete of nothing counts as a delete
    DeletesNothing,
    /// every tenth write is acknowledged and lost
    LosesWrites,
    /// a miss is remembered after the key was written
    RemembersMisses,
    /// a cache answers with what has expired since
    CacheOutlivesExpiry,
    /// a cache does not notice writes
    CacheIgnoresWrites,
    /// a read that began before a write fills the cache after it
    CacheFilledLate,
    /// a cache does not notice that a namespace was emptied
    CacheIgnoresClear,
    /// values end at their first zero byte
    CutsAtZero,
    /// values end at 64 KiB
    CutsAt64K,
    /// empty values are taken for none
    DropsEmpty,
    /// keys are folded to lower case
    FoldsCase,
    /// keys are normalised: a composed accent is taken apart
    Normalises,
    /// a namespace ends at its first dot
    NamespaceEndsAtDot,
    /// the content type is not kept
    LosesContentType,
    /// value and metadata are two writes
    TearsWrites,
    /// reclaim goes by the first expiry a key had
    ReclaimsRenewed,
    /// reclaim takes the expired of all namespaces
    ReclaimsElsewhere,
    /// clear takes every namespace whose name begins alike
    ClearsByPrefix,
    /// namespaces with other letters than ASCII are not listed
    HidesNamespaces,
}
