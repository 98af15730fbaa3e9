//! Other processes: started, measured, ended.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::Result;

/// A process that ends with the value.
pub(crate) struct Server {
    child: Child,
    /// Where it listens.
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Starts it and waits for its line `listening on http://ADDRESS`.
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
        let address = line.trim().rsplit('/').next().and_then(|address| address.parse().ok());
        let Some(address) = address else {
            _ = child.kill();
            _ = child.wait();
            return Err(format!("{command:?} did not say where it listens: {line:?}").into());
        };
        Ok(Server { child, address })
    }

    /// Starts one that says nothing, and waits until it takes connections there.
    pub(crate) fn start_at(command: &mut Command, address: SocketAddr) -> Result<Self> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let mut server = Server { child, address };
        for _ in 0..500 {
            if std::net::TcpStream::connect(address).is_ok() {
                return Ok(server);
            }
            if let Some(status) = server.child.try_wait()? {
                return Err(format!("{command:?} ended: {status}").into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Err(format!("{command:?} does not listen on {address}").into())
    }

    /// CPU time that it has used, all threads, to the clock tick (10 ms).
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name in parentheses may hold spaces; user and system time are fields 14 and 15.
        let rest = stat.rsplit_once(") ").ok_or("no stat")?.1;
        let ticks: u64 = rest.split(' ').skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
        Ok(Duration::from_millis(ticks * 10))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// The built command: `DATAKNOBS_KV_BIN`, or beside this program.
pub(crate) fn binary() -> Result<PathBuf> {
    let beside = || Some(std::env::current_exe().ok()?.with_file_name("dataknobs-kv"));
    let path = std::env::var_os("DATAKNOBS_KV_BIN").map(PathBuf::from).or_else(beside);
    path.filter(|path| path.is_file()).ok_or_else(|| "no built dataknobs-kv; `cargo xtask bench` builds it".into())
}

/// The service, in its own process, on a free port.
pub(crate) fn service(store: &str) -> Result<Command> {
    let mut command = Command::new(binary()?);
    command.args(["serve", "--listen", "127.0.0.1:0", "--store", store]);
    Ok(command)
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
