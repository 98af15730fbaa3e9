//! A server of a test's own.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::kind::Kind;
use crate::reaper::Reaper;
use crate::recipe::quits;
use crate::running::{Running, new_folder};
use crate::{Missing, Result};

/// A server with a throw-away data folder and ports of its own, on the loopback address.
///
/// Dropping it ends it and removes its folder; so does the end of this program, even by SIGKILL.
pub struct Server {
    kind: Kind,
    url: String,
    folder: PathBuf,
    ports: Vec<u16>,
    running: Mutex<Running>,
    /// Dropped last: it comes into play where the drop of this value was not reached.
    _reaper: Reaper,
}

impl Server {
    /// Starts one and waits until it answers. What is not installed on this machine is installed, where that takes no
    /// more than the rights at hand.
    pub fn start(kind: Kind) -> Result<Self, Missing> {
        Self::try_start(kind).map_err(|reason| Missing::new(kind.name(), reason))
    }

    fn try_start(kind: Kind) -> Result<Self> {
        if !cfg!(unix) {
            return Err(format!("servers are started on Unix alone; {} may name one", kind.variable()));
        }
        let folder = new_folder(&std::env::temp_dir(), kind)?;
        let reaper = Reaper::watch(&folder, quits(kind))?;
        let running = Running::start(kind, &folder).inspect_err(|_| _ = crate::running::remove_folder(&folder))?;
        let (url, ports) = (running.url(), running.place().ports.clone());
        Ok(Self { kind, url, folder, ports, running: Mutex::new(running), _reaper: reaper })
    }

    /// Which it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The connection string of a store on it; for toxiproxy the address of its control API.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where its data and logs are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The port that clients connect to; of a cluster, its first node's.
    pub fn port(&self) -> u16 {
        self.ports.first().copied().unwrap_or_default()
    }

    /// Of a cluster: the port of each node. Others may have ports beside the first for their own use.
    pub fn ports(&self) -> &[u16] {
        &self.ports
    }

    /// Ends all its processes at once (SIGKILL) and returns when they are gone. The data stay.
    pub fn kill(&self) {
        self.lock().kill();
    }

    /// Ends one node of a cluster (SIGKILL), counted from 0.
    pub fn kill_node(&self, index: usize) {
        self.lock().kill_one(index);
    }

    /// Starts what was killed of it, over its data and on its port, and waits until it answers.
    pub fn revive(&self) -> Result {
        self.lock().restart_missing()
    }

    /// Kills what runs of it, starts it anew over the same data on the same port, and waits until it answers.
    pub fn restart(&self) -> Result {
        self.lock().restart()
    }

    /// Lets all its processes stand still (SIGSTOP): connections stay open, and no answer comes.
    pub fn pause(&self) -> Result {
        self.lock().pause()
    }

    /// Lets them go on (SIGCONT).
    pub fn resume(&self) -> Result {
        self.lock().resume()
    }

    /// The last lines that it wrote about itself.
    pub fn log(&self) -> String {
        self.lock().log()
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = self.lock().remove() {
            eprintln!("services: {error}");
        }
    }
}

/// Without the URL, which may hold a password.
impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("kind", &self.kind).field("ports", &self.ports).finish_non_exhaustive()
    }
}
