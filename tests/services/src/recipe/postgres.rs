//! PostgreSQL, with a database `kv` that belongs to a user `kv`, and fsync.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::{Place, Recipe};
use crate::install::{self, Owner};
use crate::{Result, http};

const NAME: &str = "kv";

pub(super) struct Postgres {
    /// The folder with `postgres` and `initdb`.
    programs: PathBuf,
    /// As whom it runs, where not as ourselves.
    owner: Option<Owner>,
}

impl Postgres {
    pub(super) fn find() -> Result<Self> {
        let programs = install::found_or_packaged("PostgreSQL", "postgresql", installed)?;
        let owner = if install::is_root() {
            let owner = ["postgres", "nobody"].into_iter().find_map(Owner::named);
            Some(owner.ok_or("PostgreSQL refuses to run as root, and there is no user `postgres` to run it as")?)
        } else {
            None
        };
        Ok(Self { programs, owner })
    }

    fn command(&self, program: &str, place: &Place) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.current_dir(place.data()).env_remove("PGDATA").env_remove("PGPORT").env_remove("PGOPTIONS");
        if let Some(owner) = &self.owner {
            owner.run(&mut command);
        }
        command
    }
}

/// The newest of those that are installed, also where a distribution keeps them off the PATH.
fn installed() -> Option<PathBuf> {
    let mut folders: Vec<(u32, PathBuf)> = Vec::new();
    for (parent, after) in
        [("/usr/lib/postgresql", "bin"), ("/usr", "bin"), ("/opt/homebrew/opt", "bin"), ("/usr/local/opt", "bin")]
    {
        for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let version = match parent {
                "/usr/lib/postgresql" => Some(name.as_str()),
                "/usr" => name.strip_prefix("pgsql-"),
                _ => name.strip_prefix("postgresql@"),
            };
            if let Some(version) = version.and_then(|version| version.parse().ok()) {
                folders.push((version, entry.path().join(after)));
            }
        }
    }
    folders.sort();
    // The programs that belong together lie together: a link to one of them elsewhere leads there.
    let on_path = install::on_path("postgres").and_then(|path| fs::canonicalize(path).ok());
    let on_path = on_path.and_then(|path| path.parent().map(Path::to_owned));
    let complete = |folder: &PathBuf| ["postgres", "initdb"].iter().all(|name| folder.join(name).is_file());
    on_path.into_iter().chain(folders.into_iter().rev().map(|(_, folder)| folder)).find(complete)
}

impl Recipe for Postgres {
    fn prepare(&self, place: &Place) -> Result {
        let (data, password) = (place.data(), place.folder.join("password"));
        fs::write(&password, &place.secret).map_err(|e| format!("cannot write {}: {e}", password.display()))?;
        if let Some(owner) = &self.owner {
            owner.give(&data)?;
            owner.give(&password)?;
        }
        let mut init = self.command("initdb", place);
        init.arg("-D").arg(&data).args(["-U", NAME, "-A", "scram-sha-256", "-E", "UTF8", "--locale=C", "-N"]);
        init.arg("--pwfile").arg(&password);
        install::quietly(&mut init)?;
        fs::remove_file(&password).map_err(|e| format!("cannot remove {}: {e}", password.display()))?;

        // Alone with the data, the server needs no client program to make a database.
        let mut single = self.command("postgres", place);
        single.args(["--single", "-D"]).arg(&data).arg("postgres");
        single.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = single.spawn().map_err(|e| format!("cannot start postgres: {e}"))?;
        let mut input = child.stdin.take().ok_or("postgres has no input")?;
        input.write_all(b"create database kv\n").map_err(|e| format!("postgres --single: {e}"))?;
        drop(input);
        let output = child.wait_with_output().map_err(|e| format!("postgres --single: {e}"))?;
        let said = String::from_utf8_lossy(&output.stderr);
        if output.status.success() && !said.contains("ERROR") { Ok(()) } else { Err(said.into_owned()) }
    }

    fn processes(&self, place: &Place) -> Result<Vec<Command>> {
        let mut command = self.command("postgres", place);
        command.arg("-D").arg(place.data()).args(["-p", &place.port(0)?.to_string()]);
        // Memory shared by files in its folder: what is left of a killed one goes with the folder.
        for setting in [
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "fsync=on",
            "synchronous_commit=on",
            "shared_buffers=64MB",
            "max_connections=200",
            "dynamic_shared_memory_type=mmap",
        ] {
            command.args(["-c", setting]);
        }
        if self.programs.with_file_name("lib").join("pg_stat_statements.so").is_file() {
            command.args(["-c", "shared_preload_libraries=pg_stat_statements"]);
        }
        Ok(vec![command])
    }

    /// It asks for a password as soon as it takes connections, and before that answers with an error.
    fn ready(&self, place: &Place) -> Result {
        let words = format!("user\0{NAME}\0database\0{NAME}\0\0");
        let length = u32::try_from(words.len() + 8).map_err(|e| e.to_string())?;
        let mut hello = length.to_be_bytes().to_vec();
        hello.extend(196_608_u32.to_be_bytes());
        hello.extend(words.as_bytes());
        let mut stream = http::connect(place.port(0)?)?;
        let mut answer = [0];
        stream.write_all(&hello).and_then(|()| stream.read_exact(&mut answer)).map_err(|e| e.to_string())?;
        if answer == *b"R" { Ok(()) } else { Err("it is starting up".into()) }
    }

    fn url(&self, place: &Place) -> String {
        let port = place.ports.first().copied().unwrap_or_default();
        format!("postgres://{NAME}:{}@127.0.0.1:{port}/{NAME}", place.secret)
    }

    fn quits(&self) -> bool {
        super::quits(crate::Kind::Postgres)
    }

    fn forget(&self, place: &Place) {
        forget(place);
    }
}

/// A killed one leaves a few bytes of System V shared memory, by which a second one would have seen it; its lock file
/// names them.
pub(super) fn forget(place: &Place) {
    let lock = fs::read_to_string(place.data().join("postmaster.pid")).unwrap_or_default();
    let id = lock.lines().nth(6).and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    if let Some(id) = id {
        let mut command = Command::new("ipcrm");
        command.args(["-m", &id.to_string()]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let _ = command.status();
    }
}
