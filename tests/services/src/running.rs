//! One server: its folder, its ports, its processes.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::kind::Kind;
use crate::process::{self, Process, Signal};
use crate::recipe::{Place, Recipe, recipe};
use crate::{Result, install, port, reaper};

/// In a server's folder: `ID BORN` of each of its processes, a line each.
pub(crate) const PIDS: &str = "pids";

/// In a server's folder: the connection string, once it is up.
pub(crate) const URL: &str = "url";

/// How long a server may take to end by itself.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// A server that was started. It outlives this value.
pub(crate) struct Running {
    recipe: Box<dyn Recipe>,
    place: Place,
    /// One for each process of the recipe; none where it does not run.
    children: Vec<Option<Child>>,
    /// Those that were stopped by [`Running::pause`].
    paused: Vec<Process>,
}

impl Running {
    /// Starts one in this folder, which is empty, and waits until it answers.
    pub(crate) fn start(kind: Kind, folder: &Path) -> Result<Self> {
        let recipe = recipe(kind)?;
        let secret = format!("{:016x}", port::random());
        let place = Place { folder: folder.to_owned(), ports: Vec::new(), secret };
        let mut running = Self { recipe, place, children: Vec::new(), paused: Vec::new() };
        let started = running.prepare().and_then(|()| running.first_launch());
        if let Err(error) = started {
            running.kill();
            return Err(format!("{} does not start: {error}", kind.name()));
        }
        let url = folder.join(URL);
        fs::write(&url, running.url()).map_err(|e| format!("cannot write {}: {e}", url.display()))?;
        Ok(running)
    }

    fn prepare(&mut self) -> Result {
        let data = self.place.data();
        fs::create_dir_all(&data).map_err(|e| format!("cannot make {}: {e}", data.display()))?;
        self.recipe.prepare(&self.place)
    }

    /// Someone else may take a port between the look and the start: then other ports are tried.
    fn first_launch(&mut self) -> Result {
        let mut attempts = 0;
        loop {
            self.place.ports = port::free(self.recipe.ports())?;
            match self.launch() {
                Err(error) if attempts < 5 && error.to_lowercase().contains("in use") => {
                    attempts += 1;
                    self.kill();
                }
                launched => return launched,
            }
        }
    }

    /// Starts what does not run, and waits until all answers.
    fn launch(&mut self) -> Result {
        let commands = self.recipe.processes(&self.place)?;
        self.children.resize_with(commands.len(), || None);
        for (index, command) in commands.into_iter().enumerate() {
            if let Some(slot) = self.children.get_mut(index).filter(|slot| slot.is_none()) {
                *slot = Some(spawn(command, &log(&self.place.folder, index))?);
            }
        }
        self.write_pids()?;
        let began = Instant::now();
        loop {
            let error = match self.recipe.ready(&self.place) {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            for (index, child) in self.children.iter_mut().enumerate() {
                if let Some(status) = child.as_mut().and_then(|child| child.try_wait().ok().flatten()) {
                    *child = None;
                    return Err(format!("it ended with {status}{}", last_lines(&log(&self.place.folder, index))));
                }
            }
            if began.elapsed() > self.recipe.patience() {
                return Err(format!("no answer: {error}{}", last_lines(&log(&self.place.folder, 0))));
            }
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    /// The connection string of a store on it.
    pub(crate) fn url(&self) -> String {
        self.recipe.url(&self.place)
    }

    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// The last lines that it wrote.
    pub(crate) fn log(&self) -> String {
        (0..self.children.len()).map(|index| last_lines(&log(&self.place.folder, index))).collect()
    }

    /// Ends all its processes at once, with SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.kill_some(|_| true);
    }

    /// Ends one of its processes, and those that it started, with SIGKILL.
    pub(crate) fn kill_one(&mut self, index: usize) {
        self.kill_some(|one| one == index);
    }

    fn kill_some(&mut self, wanted: impl Fn(usize) -> bool) {
        let mut doomed = Vec::new();
        for (_, child) in self.children.iter_mut().enumerate().filter(|(index, _)| wanted(*index)) {
            doomed.extend(child.take());
        }
        // First all stand still, or a child would come to be between the look and the signal.
        let processes = process::freeze(&ids(&doomed));
        for process in &processes {
            process::send(process.id, Signal::Kill);
        }
        for mut child in doomed {
            let _ = child.wait();
        }
        process::wait_for_end(&processes, LAST_WORDS);
        self.paused.retain(|process| !processes.contains(process));
        let _ = self.write_pids();
    }

    /// Starts it again over the same data, on the same ports; what still runs is killed first.
    pub(crate) fn restart(&mut self) -> Result {
        self.kill();
        // A database may need a moment to see that its old processes are gone.
        let mut attempts = 0;
        loop {
            match self.launch() {
                Err(_) if attempts < 4 => {
                    attempts += 1;
                    self.kill();
                    std::thread::sleep(Duration::from_millis(200));
                }
                launched => return launched,
            }
        }
    }

    /// Starts again what was killed of it.
    pub(crate) fn restart_missing(&mut self) -> Result {
        self.launch()
    }

    /// All its processes stand still (SIGSTOP): connections stay, and no answer comes.
    pub(crate) fn pause(&mut self) -> Result {
        let roots: Vec<u32> = self.children.iter().flatten().map(Child::id).collect();
        self.paused = process::freeze(&roots);
        self.write_pids()
    }

    /// They go on.
    pub(crate) fn resume(&mut self) -> Result {
        for process in self.paused.drain(..).rev() {
            process::send(process.id, Signal::Continue);
        }
        self.write_pids()
    }

    /// Ends it and removes its folder.
    pub(crate) fn remove(&mut self) -> Result {
        if self.recipe.quits() {
            for process in self.paused.drain(..).rev() {
                process::send(process.id, Signal::Continue);
            }
            for child in self.children.iter().flatten() {
                process::send(child.id(), Signal::Quit);
            }
            let began = Instant::now();
            let runs = |child: &mut Child| matches!(child.try_wait(), Ok(None));
            while self.children.iter_mut().flatten().any(runs) && began.elapsed() < LAST_WORDS {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        self.kill();
        self.recipe.forget(&self.place);
        remove_folder(&self.place.folder)
    }

    /// Replaced as a whole: whoever reads it to end a server reads all or nothing.
    fn write_pids(&self) -> Result {
        let all = process::running();
        let roots: Vec<u32> = self.children.iter().flatten().map(Child::id).collect();
        let mut text = String::new();
        for process in all.iter().filter(|process| roots.contains(&process.id)).chain(&self.paused) {
            text.push_str(&format!("{} {}\n", process.id, process.born));
        }
        let (new, file) = (self.place.folder.join("pids.new"), self.place.folder.join(PIDS));
        let written = fs::write(&new, text).and_then(|()| fs::rename(&new, &file));
        written.map_err(|e| format!("cannot write {}: {e}", file.display()))
    }
}

fn ids(children: &[Child]) -> Vec<u32> {
    children.iter().map(Child::id).collect()
}

fn spawn(mut command: Command, log: &Path) -> Result<Child> {
    let name = command.get_program().to_string_lossy().into_owned();
    let file = File::options().create(true).append(true).open(log);
    let file = file.map_err(|e| format!("cannot write {}: {e}", log.display()))?;
    let other = file.try_clone().map_err(|e| format!("cannot write {}: {e}", log.display()))?;
    command.stdin(Stdio::null()).stdout(file).stderr(other);
    reaper::apart(&mut command);
    command.spawn().map_err(|e| format!("cannot start {name}: {e}"))
}

fn log(folder: &Path, index: usize) -> PathBuf {
    folder.join(format!("log.{index}"))
}

/// What a person needs of a log to see why there is no server.
fn last_lines(log: &Path) -> String {
    let text = fs::read(log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines.iter().skip(lines.len().saturating_sub(5)).map(|line| format!("\n    {line}")).collect()
}

/// A new folder that everyone may pass through, since a server may run as another user.
pub(crate) fn new_folder(parent: &Path, kind: Kind) -> Result<PathBuf> {
    let folder = parent.join(format!("dataknobs-kv-{}-{:016x}", kind.name(), port::random()));
    fs::create_dir_all(parent).map_err(|e| format!("cannot make {}: {e}", parent.display()))?;
    fs::create_dir(&folder).map_err(|e| format!("cannot make {}: {e}", folder.display()))?;
    install::let_pass(&folder)?;
    // The name as the system knows it: a server that changes its folder would not find a relative one.
    fs::canonicalize(&folder).map_err(|e| format!("cannot find {}: {e}", folder.display()))
}

/// A server may still have been writing when it was ended: then once more.
pub(crate) fn remove_folder(folder: &Path) -> Result {
    let mut attempts = 0;
    loop {
        match fs::remove_dir_all(folder) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(_) if attempts < 10 => {
                attempts += 1;
                std::thread::sleep(Duration::from_millis(50));
            }
            removed => return removed.map_err(|e| format!("cannot remove {}: {e}", folder.display())),
        }
    }
}
