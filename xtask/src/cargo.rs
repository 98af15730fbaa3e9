//! Calling cargo and other programs.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use serde_json::Value;

use crate::Result;

/// The workspace's folder: that of this run, where cargo says it. A clone elsewhere may share the target folder, and with
/// it this program.
pub(crate) fn root() -> &'static Path {
    static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
        let own = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        let own = own.filter(|folder| folder.ends_with("xtask"));
        let own = own.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")));
        own.parent().unwrap_or(Path::new(".")).to_owned()
    });
    &ROOT
}

/// A program, to be run in the workspace with the pinned toolchain.
///
/// rustup tells the programs it starts which toolchain is theirs, and they would pass it on: `cargo +nightly xtask test`
/// would test with nightly. What `rust-toolchain.toml` says wins here.
pub(crate) fn program(name: &str) -> Command {
    let mut command = Command::new(name);
    command.current_dir(root()).env_remove("RUSTUP_TOOLCHAIN");
    for (variable, _) in std::env::vars_os() {
        // Cargo's words to this program alone; a build script that sees them would rebuild for nothing.
        let name = variable.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST") || name == "CARGO" {
            command.env_remove(&variable);
        }
    }
    command
}

/// Cargo, in the workspace.
pub(crate) fn cargo<I: IntoIterator<Item = S>, S: AsRef<std::ffi::OsStr>>(args: I) -> Command {
    let mut command = program("cargo");
    command.args(args);
    command
}

/// Runs it, shows what it says, and fails if it fails.
pub(crate) fn call(command: &mut Command) -> Result {
    let said = describe(command);
    eprintln!("$ {said}");
    let status = command.status().map_err(|e| format!("cannot start `{said}`: {e}"))?;
    if status.success() { Ok(()) } else { Err(format!("`{said}` failed ({status})")) }
}

/// Runs it and takes what it prints.
pub(crate) fn output(command: &mut Command) -> Result<Vec<u8>> {
    let said = describe(command);
    let output =
        command.stderr(std::process::Stdio::inherit()).output().map_err(|e| format!("cannot start `{said}`: {e}"))?;
    if output.status.success() { Ok(output.stdout) } else { Err(format!("`{said}` failed ({})", output.status)) }
}

/// As one would type it.
pub(crate) fn describe(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(command.get_program());
    let mut said = name.to_string_lossy().into_owned();
    for arg in command.get_args() {
        said.push(' ');
        said.push_str(&arg.to_string_lossy());
    }
    said
}

/// What cargo knows of the workspace; with `dependencies`, of all that it needs too.
pub(crate) fn metadata(dependencies: bool) -> Result<Value> {
    let mut command = cargo(["metadata", "--format-version", "1"]);
    if !dependencies {
        command.arg("--no-deps");
    }
    serde_json::from_slice(&output(&mut command)?).map_err(|e| format!("cargo metadata is not JSON: {e}"))
}

/// Where cargo puts what it builds.
pub(crate) fn target_directory() -> Result<PathBuf> {
    let metadata = metadata(false)?;
    let folder = metadata["target_directory"].as_str().ok_or("cargo metadata names no target directory")?;
    Ok(folder.into())
}

/// Builds programs of the workspace for use, by package and name, with features such as `package/feature`, and says where
/// they are.
///
/// All in one call: built one by one, packages may ask for other features of what they share, and it is compiled anew.
pub(crate) fn build_release<const N: usize>(programs: [(&str, &str); N], features: &[&str]) -> Result<[PathBuf; N]> {
    let mut command = cargo(["build", "--release"]);
    for feature in features {
        command.args(["--features", feature]);
    }
    for (package, _) in programs {
        command.args(["--package", package]);
    }
    call(&mut command)?;
    let folder = target_directory()?.join("release");
    let paths = programs.map(|(_, name)| folder.join(format!("{name}{}", std::env::consts::EXE_SUFFIX)));
    match paths.iter().find(|path| !path.is_file()) {
        None => Ok(paths),
        Some(missing) => Err(format!("cargo built no {}", missing.display())),
    }
}
