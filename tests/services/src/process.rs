//! Processes of this machine: who they are, whose children, and signals to them.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

/// What can be sent to a process.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Signal {
    /// SIGSTOP
    Stop,
    /// SIGCONT
    Continue,
    /// SIGQUIT
    Quit,
    /// SIGKILL
    Kill,
}

/// A process that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) id: u32,
    pub(crate) parent: u32,
    /// When it began, in the system's own words: with the id it names one process for ever, since ids come back.
    pub(crate) born: String,
}

/// All that run; one that ended and was not yet waited for runs no more.
pub(crate) fn running() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc").and_then(|entries| fs::metadata("/proc/self/stat").map(|_| entries)) else {
        return by_ps();
    };
    let ids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    ids.filter_map(|id| stat(id, &fs::read_to_string(format!("/proc/{id}/stat")).ok()?)).collect()
}

/// `ID (NAME) STATE PARENT …`, the 22nd is the time of birth. A name may hold spaces and brackets.
fn stat(id: u32, line: &str) -> Option<Process> {
    let fields: Vec<&str> = line.rsplit_once(')')?.1.split_whitespace().collect();
    let alive = !matches!(*fields.first()?, "Z" | "X");
    let process = Process { id, parent: fields.get(1)?.parse().ok()?, born: (*fields.get(19)?).to_owned() };
    alive.then_some(process)
}

fn by_ps() -> Vec<Process> {
    let output = Command::new("ps").args(["-A", "-o", "pid=", "-o", "ppid=", "-o", "stat=", "-o", "lstart="]).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().filter_map(ps_line).collect()
}

fn ps_line(line: &str) -> Option<Process> {
    let mut words = line.split_whitespace();
    let (id, parent) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let alive = !words.next()?.starts_with('Z');
    alive.then(|| Process { id, parent, born: words.collect::<Vec<_>>().join("-") })
}

/// The children of these processes, their children, and so on.
pub(crate) fn descendants(roots: &[u32], all: &[Process]) -> Vec<Process> {
    let mut found: Vec<Process> = Vec::new();
    loop {
        let is_new = |process: &&Process| {
            let of_ours = roots.contains(&process.parent) || found.iter().any(|one| one.id == process.parent);
            of_ours && !found.contains(process)
        };
        let new: Vec<Process> = all.iter().filter(is_new).cloned().collect();
        if new.is_empty() {
            return found;
        }
        found.extend(new);
    }
}

/// Stops them (SIGSTOP) with all that descends from them, so that no more come, and says who they are.
pub(crate) fn freeze(roots: &[u32]) -> Vec<Process> {
    let mut frozen: Vec<Process> = Vec::new();
    loop {
        let all = running();
        let ours = all.iter().filter(|process| roots.contains(&process.id)).cloned();
        let new: Vec<Process> =
            ours.chain(descendants(roots, &all)).filter(|process| !frozen.contains(process)).collect();
        if new.is_empty() {
            return frozen;
        }
        for process in new {
            send(process.id, Signal::Stop);
            frozen.push(process);
        }
    }
}

/// Waits until none of them runs; whether that came before the time was over.
pub(crate) fn wait_for_end(processes: &[Process], patience: Duration) -> bool {
    let began = Instant::now();
    loop {
        let now = running();
        if !processes.iter().any(|process| now.iter().any(|one| (one.id, &one.born) == (process.id, &process.born))) {
            return true;
        }
        if began.elapsed() > patience {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Sends a signal; a process that is gone by now is no error.
#[cfg(unix)]
pub(crate) fn send(id: u32, signal: Signal) {
    use rustix::process::{Pid, Signal as S, kill_process};
    let signal = match signal {
        Signal::Stop => S::STOP,
        Signal::Continue => S::CONT,
        Signal::Quit => S::QUIT,
        Signal::Kill => S::KILL,
    };
    if let Some(pid) = i32::try_from(id).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

/// There are no servers to signal: see [`crate::Server::start`].
#[cfg(not(unix))]
pub(crate) fn send(_id: u32, _signal: Signal) {}

/// Whether this program may do everything on this machine.
#[cfg(unix)]
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether this program may do everything on this machine.
#[cfg(not(unix))]
pub(crate) fn is_root() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_systems_say() {
        let line = format!("7 (a) b (c)) S 3 {} 4711 0 0", vec!["0"; 17].join(" "));
        assert_eq!(stat(7, &line), Some(Process { id: 7, parent: 3, born: "4711".into() }));
        assert_eq!(stat(7, &line.replace(" S ", " Z ")), None);
        let born = "Thu-Nov-26-07:00:00-2026".to_owned();
        let process = Process { id: 12, parent: 1, born };
        assert_eq!(ps_line("   12     1 Ss   Thu Nov 26 07:00:00 2026"), Some(process));
        assert_eq!(ps_line("   12     1 Z    Thu Nov 26 07:00:00 2026"), None);
    }

    #[test]
    fn descendants_of_descendants() {
        let process = |id, parent| Process { id, parent, born: String::new() };
        let all = [process(5, 4), process(4, 3), process(3, 1), process(9, 1)];
        let ids: Vec<u32> = descendants(&[3], &all).iter().map(|process| process.id).collect();
        assert_eq!(ids, [4, 5]);
    }

    #[cfg(unix)]
    #[test]
    fn sees_and_ends_a_child() {
        let mut child = Command::new("sleep").arg("600").spawn().expect("sleep");
        let frozen = freeze(&[child.id()]);
        assert_eq!(frozen.len(), 1, "{frozen:?}");
        assert_eq!(frozen[0].parent, std::process::id());
        assert!(!wait_for_end(&frozen, Duration::ZERO));
        send(child.id(), Signal::Kill);
        assert!(wait_for_end(&frozen, Duration::from_secs(10)));
        child.wait().expect("its end");
    }
}
