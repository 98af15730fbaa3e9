//! The built command, for tests that run it as users do.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::SystemTime;

/// Where `dataknobs-kv` is, built from the sources as they are.
///
/// `DATAKNOBS_KV_BIN` names one; else it is the one beside this test, which `cargo test` builds for the whole workspace.
/// `cargo test -p` of this package alone does not: then it is built here if a source is newer.
///
/// # Panics
/// Where it cannot be built.
pub fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(named) = std::env::var_os("DATAKNOBS_KV_BIN") {
            return named.into();
        }
        let test = std::env::current_exe().expect("this test is a file");
        // TARGET/PROFILE/deps/test-0123
        let profile = test.ancestors().nth(2).expect("a folder of the profile");
        let binary = profile.join("dataknobs-kv");
        if !fresh(&binary) {
            build(profile);
        }
        binary
    })
}

/// The command, with no setting of the surrounding environment. Compiled code is kept where other tests find it.
pub fn command() -> Command {
    let mut command = Command::new(binary());
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("DATAKNOBS_KV_")) {
        command.env_remove(name);
    }
    command.env("XDG_CACHE_HOME", cache());
    command
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the workspace")
}

fn modified(path: &Path) -> Option<SystemTime> {
    path.metadata().and_then(|file| file.modified()).ok()
}

/// Whether it is there, and no source is newer.
fn fresh(binary: &Path) -> bool {
    let Some(built) = modified(binary) else { return false };
    let mut folders: Vec<PathBuf> = ["core", "host", "client", "wit"].iter().map(|name| root().join(name)).collect();
    while let Some(folder) = folders.pop() {
        for file in std::fs::read_dir(&folder).expect("a folder of sources").flatten() {
            let path = file.path();
            let name = file.file_name();
            if path.is_dir() {
                if !["tests", "examples", "benches"].iter().any(|other| name == *other) {
                    folders.push(path);
                }
            } else if modified(&path).is_none_or(|changed| changed > built) {
                return false;
            }
        }
    }
    true
}

fn build(profile: &Path) {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(root()).args(["build", "--quiet", "--package", "dataknobs-kv-cli", "--target-dir"]);
    command.arg(profile.parent().expect("the target folder"));
    if profile.ends_with("release") {
        command.arg("--release");
    }
    let status = command.status().expect("cargo starts");
    assert!(status.success(), "dataknobs-kv does not build");
}

/// A cache folder for commands whose home folder is a new one: compiled code is kept there and found again.
pub fn cache() -> PathBuf {
    let home = || std::env::home_dir().unwrap_or_else(std::env::temp_dir).join(".cache");
    std::env::var_os("XDG_CACHE_HOME").map_or_else(home, PathBuf::from)
}
