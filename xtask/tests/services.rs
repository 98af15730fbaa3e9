//! `cargo xtask services`: up, half dead, up again, down, and nothing left.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use dataknobs_kv_services::{Kind, Missing, Server};
use libtest_mimic::{Arguments, Completion, Failed, Trial};

fn main() {
    let arguments = Arguments::from_args();
    let trials = vec![
        Trial::ignorable_test("up_half_dead_up_again_down", up_half_dead_up_again_down),
        Trial::test("unknown_names_are_refused", unknown_names_are_refused),
    ];
    libtest_mimic::run(&arguments, trials).exit();
}

/// A cache folder of this test alone: what others have up is not touched.
struct Cache(PathBuf);

impl Cache {
    fn new(name: &str) -> std::io::Result<Self> {
        let path = std::env::temp_dir().join(format!("dataknobs-kv-xtask-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    fn services(&self, words: &[&str]) -> std::io::Result<Output> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.arg("services").args(words).env("XDG_CACHE_HOME", &self.0).output()
    }

    fn said(&self, words: &[&str]) -> Result<String, Failed> {
        let output = self.services(words)?;
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        let _ = self.services(&["down"]);
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn up_half_dead_up_again_down() -> Result<Completion, Failed> {
    match Server::start(Kind::Redis) {
        Ok(server) => drop(server),
        Err(Missing { reason, required: true }) => return Err(reason.into()),
        Err(Missing { reason, .. }) => return Ok(Completion::ignored_with(reason)),
    }
    let cache = Cache::new("up")?;
    let first = cache.said(&["up", "redis"])?;
    assert!(first.starts_with("export KV_TEST_REDIS='redis://127.0.0.1:"), "{first}");
    assert_eq!(cache.said(&["up", "redis"])?, first, "it is up already");
    let status = cache.said(&["status"])?;
    assert!(status.lines().any(|line| line.starts_with("redis ") && line.contains(" up ")), "{status}");

    kill(&cache.0)?;
    let status = cache.said(&["status"])?;
    assert!(status.contains("half dead"), "{status}");
    assert!(cache.said(&["up", "redis"])?.starts_with("export KV_TEST_REDIS="));
    assert!(!cache.said(&["status"])?.contains("half dead"));
    assert_eq!(folders(&cache.0)?.len(), 1, "what was half dead is gone");

    cache.said(&["down"])?;
    assert_eq!(cache.said(&["status"])?.lines().count(), 1, "the heading alone");
    assert_eq!(folders(&cache.0)?, Vec::<PathBuf>::new());
    cache.said(&["down"])?;
    Ok(Completion::Completed)
}

/// The data folders of servers that stay.
fn folders(cache: &Path) -> std::io::Result<Vec<PathBuf>> {
    std::fs::read_dir(cache.join("dataknobs-kv/services/data"))?.map(|entry| Ok(entry?.path())).collect()
}

/// The one server, by the id that its folder names.
fn kill(cache: &Path) -> Result<(), Failed> {
    let folder = folders(cache)?.pop().ok_or("no server")?;
    let processes = std::fs::read_to_string(folder.join("pids"))?;
    let id = processes.split(' ').next().ok_or("no process")?;
    assert!(Command::new("kill").args(["-9", id]).status()?.success());
    Ok(())
}

fn unknown_names_are_refused() -> Result<(), Failed> {
    let cache = Cache::new("unknown")?;
    let output = cache.services(&["up", "mysql"])?;
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("no server `mysql`") && said.contains("redis-cluster"), "{said}");
    Ok(())
}
