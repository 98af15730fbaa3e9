//! What may be set, and what is taken where nothing is.

use std::{path::PathBuf, time::Duration};

/// How the component is run: how many at once, and within which limits.
///
/// All fields are public and have a default; `RuntimeConfig { instances: 64, ..Default::default() }` changes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuntimeConfig {
    /// How many calls run at once, each in an instance of its own; the rest waits. 1024 (1 to 100,000). An instance that
    /// waits for its storage holds some tens of kilobytes; `instances` times 4 GiB of address space, not memory, are set
    /// aside when the runtime starts (where there is less of it, `instances` times `memory_bytes`).
    pub instances: usize,
    /// How many instances are kept for the next calls when nothing is under way. 256.
    pub idle_instances: usize,
    /// How many calls may wait, for an instance or for their turn at a key; one more is `rate-limited`. 8192.
    pub waiting: usize,
    /// The most memory that one instance may use, in bytes. 256 MiB (4 MiB to 4 GiB, whole 64 KiB). A call that needs more
    /// is `too-large`.
    pub memory_bytes: usize,
    /// An instance whose memory has grown past so many bytes is not kept after its call. 4 MiB.
    pub keep_bytes: usize,
    /// The most bytes of keys, values, metadata and other text that one call may carry: more is `too-large`. 32 MiB.
    pub request_bytes: usize,
    /// How long a call may take as its caller sees it, waiting included. 30 s. One that takes longer is `unavailable`, or
    /// `outcome-unknown` where a write had begun.
    pub call_time: Duration,
    /// How long a call may compute, its waiting for the storage left out. 5 s, in steps of 10 ms. What happens is as with
    /// `call_time`.
    pub cpu_time: Duration,
    /// Where compiled code is kept, so that only the first start compiles.
    pub cache: CodeCache,
}

/// Where compiled code is kept from one start to the next.
///
/// A folder or file that other users own or may write is never used: whoever can write there could run code here. Then,
/// and on any other trouble, the code is compiled in memory and a warning logged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CodeCache {
    /// `dataknobs-kv` in the user's cache folder.
    #[default]
    User,
    /// This folder, made where it does not exist.
    Folder(PathBuf),
    /// Nowhere: every start compiles.
    None,
}

impl Default for RuntimeConfig {
    fn default() -> Self {
        RuntimeConfig {
            instances: 1024,
            idle_instances: 256,
            waiting: 8192,
            memory_bytes: 256 << 20,
            keep_bytes: 4 << 20,
            request_bytes: 32 << 20,
            call_time: Duration::from_secs(30),
            cpu_time: Duration::from_secs(5),
            cache: CodeCache::User,
        }
    }
}

/// WebAssembly counts memory in pages of so many bytes.
const WASM_PAGE: usize = 64 << 10;

impl RuntimeConfig {
    pub(crate) fn validate(&self) -> Result<(), String> {
        if !(1..=100_000).contains(&self.instances) {
            return Err(format!("instances is {}: 1 to 100000 are possible", self.instances));
        }
        if !self.memory_bytes.is_multiple_of(WASM_PAGE) || !((4 << 20)..=(4 << 30)).contains(&self.memory_bytes) {
            return Err(format!(
                "memory_bytes is {}: 4 MiB to 4 GiB in whole steps of 64 KiB are possible",
                self.memory_bytes
            ));
        }
        if self.call_time.is_zero() || self.cpu_time.is_zero() {
            return Err("call_time and cpu_time are longer than nothing".into());
        }
        Ok(())
    }
}
