//! The pinned Rust, with what `rust-toolchain.toml` asks for.
//!
//! rustup may fetch it by itself, or be told not to (`RUSTUP_AUTO_INSTALL=0`), and never adds a target to a toolchain
//! that is already there: so the set-up asks for it in words.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::Result;
use crate::cargo::{call, program, root};

/// What the project is built with.
#[derive(Debug, PartialEq, Eq)]
struct Toolchain {
    channel: String,
    components: Vec<String>,
    targets: Vec<String>,
}

/// Brings what is missing and says so.
pub(crate) fn setup() -> Result {
    let file = root().join("rust-toolchain.toml");
    let text = std::fs::read_to_string(&file).map_err(|e| format!("cannot read {}: {e}", file.display()))?;
    let wanted = parse(&text)?;
    if !rustup_is_there() {
        return without_rustup(&wanted);
    }
    let missing = match sysroot(&mut program("rustup"), &["run", &wanted.channel, "rustc"]) {
        Some(sysroot) => missing(&wanted, &sysroot),
        None => vec![format!("Rust {}", wanted.channel)],
    };
    if missing.is_empty() {
        eprintln!("setup: Rust {} with {}: there", wanted.channel, extras(&wanted));
        return Ok(());
    }
    eprintln!("setup: {} missing: asking rustup", missing.join(", "));
    let mut install = program("rustup");
    install.args(["toolchain", "install", &wanted.channel, "--profile", "minimal", "--no-self-update"]);
    for component in &wanted.components {
        install.args(["--component", component]);
    }
    for target in &wanted.targets {
        install.args(["--target", target]);
    }
    call(&mut install)
}

/// A Rust from elsewhere (a distribution's, Nix): good enough where it can build the component.
fn without_rustup(wanted: &Toolchain) -> Result {
    let Some(sysroot) = sysroot(&mut program("rustc"), &[]) else {
        return Err("neither rustup nor rustc is on the PATH; https://rustup.rs installs both".into());
    };
    let absent: Vec<_> = wanted.targets.iter().filter(|target| !has_target(&sysroot, target)).cloned().collect();
    if absent.is_empty() {
        eprintln!("setup: no rustup; the Rust on the PATH has {}: going on with it", wanted.targets.join(", "));
        return Ok(());
    }
    Err(format!(
        "the Rust on the PATH cannot build for {}, and there is no rustup to add it; https://rustup.rs installs one",
        absent.join(", ")
    ))
}

fn rustup_is_there() -> bool {
    let quiet = program("rustup").arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    quiet.is_ok_and(|status| status.success())
}

/// Where the toolchain lives; none where it is not installed.
fn sysroot(command: &mut std::process::Command, rustc: &[&str]) -> Option<PathBuf> {
    let output = command.args(rustc).args(["--print", "sysroot"]).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().into())
}

fn missing(wanted: &Toolchain, sysroot: &Path) -> Vec<String> {
    let components = wanted.components.iter().filter(|component| !has_component(sysroot, component));
    let targets = wanted.targets.iter().filter(|target| !has_target(sysroot, target));
    components.chain(targets).cloned().collect()
}

fn has_target(sysroot: &Path, target: &str) -> bool {
    sysroot.join("lib/rustlib").join(target).join("lib").is_dir()
}

/// Whether the standard library's source is there.
pub(crate) fn has_source(sysroot: &Path) -> bool {
    sysroot.join("lib/rustlib/src/rust/library/std").is_dir()
}

/// Components that are programs: `rustfmt`, `clippy` (whose program is `cargo-clippy`); and `rust-src`.
fn has_component(sysroot: &Path, component: &str) -> bool {
    if component == "rust-src" {
        return has_source(sysroot);
    }
    let program = if component == "clippy" { "cargo-clippy" } else { component };
    sysroot.join("bin").join(format!("{program}{}", std::env::consts::EXE_SUFFIX)).is_file()
}

fn extras(wanted: &Toolchain) -> String {
    wanted.components.iter().chain(&wanted.targets).cloned().collect::<Vec<_>>().join(", ")
}

/// The few lines of TOML that `rust-toolchain.toml` has: texts and one-line arrays of texts.
fn parse(text: &str) -> Result<Toolchain> {
    let field = |name: &str| {
        text.lines().find_map(|line| {
            let (key, value) = line.split_once('=')?;
            (key.trim() == name).then(|| value.split('"').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>())
        })
    };
    let channel = field("channel").and_then(|mut values| values.pop());
    Ok(Toolchain {
        channel: channel.ok_or("rust-toolchain.toml names no channel")?,
        components: field("components").unwrap_or_default(),
        targets: field("targets").unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_toolchain_file() {
        let text = "[toolchain]\nchannel = \"1.2.3\"\ncomponents = [\"rustfmt\", \"clippy\"]\ntargets = [\"wasm\"]\n";
        let wanted = Toolchain {
            channel: "1.2.3".into(),
            components: vec!["rustfmt".into(), "clippy".into()],
            targets: vec!["wasm".into()],
        };
        assert_eq!(parse(text), Ok(wanted));
        assert!(parse("[toolchain]\n").is_err());
    }

    #[test]
    fn the_projects_own_file_names_the_wasm_target() {
        let text = std::fs::read_to_string(root().join("rust-toolchain.toml")).expect("the file");
        let wanted = parse(&text).expect("a toolchain");
        assert!(wanted.targets.contains(&"wasm32-unknown-unknown".to_owned()), "{wanted:?}");
    }

    #[test]
    fn an_empty_sysroot_misses_everything() {
        let wanted = Toolchain { channel: "x".into(), components: vec!["clippy".into()], targets: vec!["wasm".into()] };
        assert_eq!(missing(&wanted, Path::new("/nonexistent")), ["clippy", "wasm"]);
    }
}
