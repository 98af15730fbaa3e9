//! The scripts: what must happen in one step happens in Lua, on the server.
//!
//! A server keeps a script under its SHA-1 until it restarts or is told to forget it, each node of a cluster for itself. So
//! a script is called by its hash, and sent whole where the server answers that it does not know it.

use std::sync::LazyLock;

use redis::Cmd;

/// One script.
pub(super) struct Script {
    code: String,
    sha1: String,
}

impl Script {
    fn new(head: &str, code: &str) -> Self {
        let code = format!("{head}\n{code}");
        let sha1 = redis::Script::new(&code).get_hash().to_owned();
        Script { code, sha1 }
    }

    /// Calls it by its hash.
    pub(super) fn by_hash(&self, keys: usize) -> Cmd {
        // Room for what most calls have besides.
        let mut command = Cmd::with_capacity(keys + 32, keys * 64 + 512);
        command.arg("EVALSHA").arg(&self.sha1).arg(keys);
        command
    }

    /// Sends it whole.
    pub(super) fn whole(&self, keys: usize) -> Cmd {
        let mut command = redis::cmd("EVAL");
        command.arg(&self.code).arg(keys);
        command
    }
}

// A server that is over its `maxmemory` refuses a script before it begins, unless the script says that it may run: those
// that only remove or read must go on, or nothing could ever be freed.
const GROWS: &str = "#!lua";
const SHRINKS: &str = "#!lua flags=allow-oom";
const READS: &str = "#!lua flags=no-writes";

/// Mutations, of which some store something.
pub(super) static WRITE: LazyLock<Script> = LazyLock::new(|| Script::new(GROWS, include_str!("scripts/write.lua")));
/// Mutations that store nothing new.
pub(super) static LIGHT: LazyLock<Script> = LazyLock::new(|| Script::new(SHRINKS, include_str!("scripts/write.lua")));
pub(super) static RECLAIM: LazyLock<Script> =
    LazyLock::new(|| Script::new(SHRINKS, include_str!("scripts/reclaim.lua")));
pub(super) static CLEAR: LazyLock<Script> = LazyLock::new(|| Script::new(SHRINKS, include_str!("scripts/clear.lua")));
pub(super) static READ: LazyLock<Script> = LazyLock::new(|| Script::new(READS, include_str!("scripts/read.lua")));
pub(super) static SCAN: LazyLock<Script> = LazyLock::new(|| Script::new(READS, include_str!("scripts/scan.lua")));
pub(super) static COUNT: LazyLock<Script> = LazyLock::new(|| Script::new(READS, include_str!("scripts/count.lua")));
