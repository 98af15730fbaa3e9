//! The real binary, in a folder of its own.
#![allow(dead_code)]

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

pub(crate) struct Cli {
    folder: tempfile::TempDir,
    store: String,
}

impl Cli {
    /// Over a redb file in a new folder.
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = format!("file:{}", folder.path().join("data.redb").display());
        Cli { folder, store }
    }

    /// The same folder, over another store.
    pub(crate) fn over(&self, store: &str) -> Other<'_> {
        Other { cli: self, store: store.to_owned() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn store(&self) -> &str {
        &self.store
    }

    /// The command, with no setting of the surrounding environment, its code cache shared by all tests.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dataknobs-kv"));
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("DATAKNOBS_KV_")) {
            command.env_remove(name);
        }
        command.env("DATAKNOBS_KV_STORE", &self.store).args(arguments).current_dir(self.folder.path());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.command(arguments).stdin(Stdio::null()).output().unwrap(), arguments)
    }

    pub(crate) fn run_with_input(&self, arguments: &[&str], input: &[u8]) -> Ran {
        run_with_input(&mut self.command(arguments), arguments, input)
    }

    /// It succeeds, and this is its stdout.
    #[track_caller]
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        self.run(arguments).ok()
    }

    /// It fails with this exit code; its stderr.
    #[track_caller]
    pub(crate) fn fails(&self, code: i32, arguments: &[&str]) -> String {
        self.run(arguments).fails(code)
    }
}

pub(crate) struct Other<'a> {
    cli: &'a Cli,
    store: String,
}

impl Other<'_> {
    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        let mut command = self.cli.command(arguments);
        command.env("DATAKNOBS_KV_STORE", &self.store);
        Ran::of(command.stdin(Stdio::null()).output().unwrap(), arguments)
    }

    #[track_caller]
    pub(crate) fn ok(&self, arguments: &[&str]) -> String {
        self.run(arguments).ok()
    }
}

pub(crate) fn run_with_input(command: &mut Command, arguments: &[&str], input: &[u8]) -> Ran {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        // It may end before it has read everything.
        scope.spawn(move || drop(stdin.write_all(input)));
        child.wait_with_output().unwrap()
    });
    Ran::of(output, arguments)
}

pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
    arguments: String,
}

impl Ran {
    fn of(output: Output, arguments: &[&str]) -> Self {
        Ran {
            code: output.status.code().unwrap_or(-1),
            stdout: output.stdout,
            stderr: String::from_utf8(output.stderr).unwrap(),
            arguments: arguments.join(" "),
        }
    }

    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, 0, "{}: {}", self.arguments, self.stderr);
        String::from_utf8(self.stdout).unwrap()
    }

    #[track_caller]
    pub(crate) fn fails(self, code: i32) -> String {
        let stdout = String::from_utf8_lossy(&self.stdout);
        assert_eq!(self.code, code, "{}: {stdout}{}", self.arguments, self.stderr);
        self.stderr
    }
}

/// A running service, stopped when it is dropped.
pub(crate) struct Service {
    child: Child,
    pub(crate) url: String,
}

impl Service {
    pub(crate) fn start(cli: &Cli, arguments: &[&str]) -> Self {
        Self::spawn(cli.command(&[&["serve", "--listen", "127.0.0.1:0"], arguments].concat()))
    }

    pub(crate) fn spawn(mut command: Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.strip_prefix("listening on ").unwrap_or_else(|| panic!("{line:?}")).trim_end().to_owned();
        assert!(url.starts_with("http://127.0.0.1:"), "{url}");
        Service { child, url }
    }

    /// Asks it to end, and its exit code.
    pub(crate) fn terminate(&mut self) -> Option<i32> {
        Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        self.child.wait().unwrap().code()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
