//! A service's own process.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::command;

/// `dataknobs-kv serve` on the loopback address, ended with this value.
pub struct ServiceProcess {
    process: Child,
    address: String,
    store: String,
    options: Vec<String>,
    log: PathBuf,
}

impl ServiceProcess {
    /// Starts one over this store, and waits until it listens; or what it said where it ended instead. What it says later
    /// goes to a file `log` in this folder, where several may write.
    pub fn start(store: &str, folder: &Path, options: &[&str]) -> Result<Self, String> {
        let options: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
        let log = folder.join("log");
        let (process, address) = launch(store, "127.0.0.1:0", &options, &log)?;
        Ok(ServiceProcess { process, address, store: store.to_owned(), options, log })
    }

    /// Where it listens: `http://HOST:PORT`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Ends it with SIGKILL, and returns when it is gone.
    pub fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }

    /// Starts it again at the same address, over the same store.
    pub fn restart(&mut self) -> Result<(), String> {
        self.kill();
        let listen = self.address.trim_start_matches("http://").to_owned();
        (self.process, self.address) = launch(&self.store, &listen, &self.options, &self.log)?;
        Ok(())
    }

    /// Lets it stand still (SIGSTOP).
    ///
    /// # Panics
    /// Where it has ended.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on (SIGCONT).
    ///
    /// # Panics
    /// Where it has ended.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).expect("the service runs");
    }
}

impl Drop for ServiceProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

fn launch(store: &str, listen: &str, options: &[String], log: &Path) -> Result<(Child, String), String> {
    let file = File::options().create(true).append(true).open(log).expect("a file for the log");
    let mut process = command()
        .args(["serve", "--listen", listen, "--store", store])
        .args(options)
        .env("DATAKNOBS_KV_LOG", "warn")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(file)
        .spawn()
        .expect("the service starts");
    let mut line = String::new();
    BufReader::new(process.stdout.take().expect("its stdout")).read_line(&mut line).expect("a line");
    if let Some(address) = line.trim().strip_prefix("listening on ") {
        return Ok((process, address.to_owned()));
    }
    let _ = process.kill();
    let _ = process.wait();
    let said = std::fs::read_to_string(log).unwrap_or_default();
    Err(format!("the service does not start: {}", said.lines().last().unwrap_or_default()))
}
