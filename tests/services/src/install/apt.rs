//! The system's own packages: by apt-get as root. Others are told which command would install what is missing.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{is_root, locked, on_path, quietly};
use crate::Result;

/// Says "no service may be started" to the scripts of Debian's packages.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// What `find` finds; where it finds nothing, once more with this package installed.
pub(crate) fn found_or_packaged<T>(what: &str, package: &str, find: impl Fn() -> Option<T>) -> Result<T> {
    if let Some(found) = find() {
        return Ok(found);
    }
    if !is_root() || on_path("apt-get").is_none() {
        return Err(format!("{what} is not installed{}", advice(package)));
    }
    locked("apt", || {
        // Someone else may have been here while we waited.
        if find().is_none() { install(package) } else { Ok(()) }
    })?;
    find().ok_or(format!("{what} is not there even with the package {package}"))
}

/// A program by which others are installed.
pub(crate) fn client(name: &str, package: &str) -> Result<PathBuf> {
    found_or_packaged(name, package, || on_path(name))
}

fn install(package: &str) -> Result {
    eprintln!("services: installing {package} by apt-get");
    let _policy = Policy::no_services();
    // A list of packages from the last hours will do; one that is too old names files that are gone.
    if apt(&["install", package]).is_ok() {
        return Ok(());
    }
    apt(&["update"])?;
    apt(&["install", package])
}

fn apt(arguments: &[&str]) -> Result {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive").args(["-qq", "-y", "-o", "DPkg::Lock::Timeout=300"]);
    command.arg("--no-install-recommends").args(["-o", "Dpkg::Options::=--force-confold"]);
    quietly(command.args(arguments)).map(drop)
}

/// The command for this system.
fn advice(package: &str) -> String {
    let others = |fedora: &'static str, homebrew: &'static str| (fedora, homebrew);
    let (fedora, homebrew) = match package {
        "postgresql" => others("postgresql-server", "postgresql"),
        "redis-server" => others("redis", "redis"),
        "golang-go" => others("golang", "go"),
        "maven" => others("maven", "maven"),
        "default-jdk-headless" => others("java-latest-openjdk-devel", "openjdk"),
        "python3-pip" => others("python3-pip", "python"),
        other => return format!(" (Debian's package {other} has it)"),
    };
    for (client, before, name) in [
        ("apt-get", "sudo apt-get install --no-install-recommends", package),
        ("brew", "brew install", homebrew),
        ("dnf", "sudo dnf install", fedora),
    ] {
        if on_path(client).is_some() {
            return format!("; `{before} {name}` installs it");
        }
    }
    format!(" (Debian's package {package} has it)")
}

/// While it lives, packages start no services: a test's server is a process of its own.
struct Policy {
    made: bool,
}

impl Policy {
    fn no_services() -> Self {
        let file = fs::File::options().write(true).create_new(true).open(POLICY);
        let made = file.and_then(|mut file| {
            file.write_all(b"#!/bin/sh\nexit 101\n")?;
            let_run(Path::new(POLICY))
        });
        Self { made: made.is_ok() }
    }
}

impl Drop for Policy {
    fn drop(&mut self) {
        if self.made {
            let _ = fs::remove_file(POLICY);
        }
    }
}

#[cfg(unix)]
fn let_run(file: &Path) -> std::io::Result<()> {
    fs::set_permissions(file, std::os::unix::fs::PermissionsExt::from_mode(0o755))
}

#[cfg(not(unix))]
fn let_run(_file: &Path) -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_found_needs_no_package() {
        assert_eq!(found_or_packaged("it", "no-such-package", || Some(7)), Ok(7));
    }

    #[test]
    fn the_advice_is_one_command() {
        for package in ["postgresql", "redis-server", "golang-go", "maven", "default-jdk-headless", "python3-pip"] {
            let advice = advice(package);
            assert!(advice.contains("install") || advice.contains(package), "{advice}");
        }
    }
}
