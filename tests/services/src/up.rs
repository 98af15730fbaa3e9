//! Servers that stay: `cargo xtask services up`, `status`, `down`.
//!
//! Each has a file in the cache folder, named like it, that holds its folder; and there, its processes and its connection
//! string. The file is written before anything is started, so that whatever was left half done can be found and removed.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::kind::Kind;
use crate::process::{self, Process, Signal};
use crate::running::{PIDS, Running, URL, new_folder, remove_folder};
use crate::{Missing, Result, install, recipe};

/// A server that stays.
#[derive(Clone, Debug)]
pub struct Up {
    /// Which it is.
    pub kind: Kind,
    /// The connection string; none where its start was broken off.
    pub url: Option<String>,
    /// Its processes that run.
    pub processes: Vec<u32>,
    /// Whether all its processes run and it was ready once.
    pub alive: bool,
    /// Where its data and logs are.
    pub folder: PathBuf,
}

/// Starts those of these that are not there, side by side; says where each is, or why not.
pub fn up(kinds: &[Kind]) -> Result<Vec<(Kind, Result<String, Missing>)>> {
    let folder = records()?;
    fs::create_dir_all(&folder).map_err(|e| format!("cannot make {}: {e}", folder.display()))?;
    install::locked("up", || {
        Ok(side_by_side(kinds, |kind| one_up(kind).map_err(|reason| Missing::new(kind.name(), reason))))
    })
}

/// Does it for each kind at once, and returns what came of it, in the order of the kinds.
pub fn side_by_side<T: Send>(kinds: &[Kind], run: impl Fn(Kind) -> T + Sync) -> Vec<(Kind, T)> {
    std::thread::scope(|scope| {
        let run = &run;
        let threads: Vec<_> = kinds.iter().map(|kind| (*kind, scope.spawn(move || run(*kind)))).collect();
        let joined = threads.into_iter().map(|(kind, thread)| match thread.join() {
            Ok(value) => (kind, value),
            Err(panic) => std::panic::resume_unwind(panic),
        });
        joined.collect()
    })
}

fn one_up(kind: Kind) -> Result<String> {
    if let Some(Up { url: Some(url), alive: true, .. }) = one_status(kind)? {
        return Ok(url);
    }
    one_down(kind)?;
    if !cfg!(unix) {
        return Err(format!("servers are started on Unix alone; {} may name one", kind.variable()));
    }
    // PostgreSQL runs as another user than root, who cannot pass through root's home.
    let parent = if install::is_root() && kind == Kind::Postgres {
        std::env::temp_dir()
    } else {
        install::cache()?.join("data")
    };
    let folder = new_folder(&parent, kind)?;
    let record = record(kind)?;
    fs::write(&record, folder.as_os_str().as_encoded_bytes())
        .map_err(|e| format!("cannot write {}: {e}", record.display()))?;
    match Running::start(kind, &folder) {
        Ok(running) => Ok(running.url()),
        Err(error) => {
            one_down(kind)?;
            Err(error)
        }
    }
}

/// Those that stay, or were left half done.
pub fn status() -> Result<Vec<Up>> {
    let all = Kind::ALL.into_iter().map(one_status).collect::<Result<Vec<_>>>()?;
    Ok(all.into_iter().flatten().collect())
}

fn one_status(kind: Kind) -> Result<Option<Up>> {
    let Ok(folder) = fs::read_to_string(record(kind)?).map(PathBuf::from) else { return Ok(None) };
    let (listed, running) = processes(&folder);
    let url = fs::read_to_string(folder.join(URL)).ok();
    let alive = url.is_some() && running.len() == listed && listed > 0;
    Ok(Some(Up { kind, url, processes: running.iter().map(|process| process.id).collect(), alive, folder }))
}

/// How many processes the folder lists, and which of them run.
fn processes(folder: &Path) -> (usize, Vec<Process>) {
    let text = fs::read_to_string(folder.join(PIDS)).unwrap_or_default();
    let listed: Vec<(u32, &str)> = text
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter_map(|(id, born)| Some((id.parse().ok()?, born)))
        .collect();
    let running = process::running();
    let ours = running.into_iter().filter(|process| listed.contains(&(process.id, process.born.as_str())));
    (listed.len(), ours.collect())
}

/// Ends all that stay and removes their data; says which there were.
pub fn down() -> Result<Vec<Kind>> {
    let kinds: Vec<Kind> = status()?.iter().map(|up| up.kind).collect();
    install::locked("up", || {
        let done = side_by_side(&kinds, one_down);
        done.into_iter().map(|(kind, down)| down.map(|()| kind)).collect()
    })
}

fn one_down(kind: Kind) -> Result {
    let record = record(kind)?;
    let Ok(folder) = fs::read_to_string(&record).map(PathBuf::from) else { return Ok(()) };
    let (_, processes) = processes(&folder);
    if recipe::quits(kind) {
        for process in &processes {
            process::send(process.id, Signal::Continue);
            process::send(process.id, Signal::Quit);
        }
        process::wait_for_end(&processes, Duration::from_secs(5));
    }
    let roots: Vec<u32> = self::processes(&folder).1.iter().map(|process| process.id).collect();
    let frozen = process::freeze(&roots);
    for process in &frozen {
        process::send(process.id, Signal::Kill);
    }
    if !process::wait_for_end(&frozen, Duration::from_secs(10)) {
        return Err(format!("{} does not end", kind.name()));
    }
    recipe::forget(kind, folder.clone());
    remove_folder(&folder)?;
    fs::remove_file(&record).map_err(|e| format!("cannot remove {}: {e}", record.display()))
}

fn records() -> Result<PathBuf> {
    Ok(install::cache()?.join("up"))
}

fn record(kind: Kind) -> Result<PathBuf> {
    Ok(records()?.join(kind.name()))
}
