//! Builds the core as a WebAssembly component: `$OUT_DIR/component.wasm`.
//!
//! The core is compiled by a cargo of its own, with a target directory of its own (the outer cargo holds the lock of its
//! own one) and without what the outer cargo, clippy or rustdoc put into the environment. Paths of this machine are
//! mapped away, so that equal sources give equal bytes.

use std::{
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use wit_component::{ComponentEncoder, StringEncoding};
use wit_parser::Resolve;

const TARGET: &str = "wasm32-unknown-unknown";

/// The component may not grow past this many bytes: it is loaded by every process that starts.
const LIMIT: usize = 250_000;

fn main() {
    if let Err(message) = build() {
        // Cargo shows a failed build script's output whole; a panic's backtrace would only bury the message.
        eprintln!("error: {message}");
        std::process::exit(1);
    }
}

fn build() -> Result<(), String> {
    // Of this run: a clone elsewhere may share the target folder, and with it this program.
    let root = PathBuf::from(variable("CARGO_MANIFEST_DIR")?).join("../..");
    let root = root.canonicalize().map_err(|e| format!("the workspace at {}: {e}", root.display()))?;
    for source in ["core/src", "core/Cargo.toml", "wit", "Cargo.toml", "Cargo.lock"] {
        println!("cargo::rerun-if-changed={}", root.join(source).display());
    }
    println!("cargo::rerun-if-changed=build.rs");

    check_target()?;
    let out = PathBuf::from(variable("OUT_DIR")?);
    let module = compile(&root, &target_dir(&out))?;
    let module = fs::read(&module).map_err(|e| format!("{}: {e}", module.display()))?;
    let component = componentize(module, &root.join("wit")).map_err(|e| format!("the core is no component: {e:#}"))?;
    if component.len() > LIMIT {
        return Err(format!("the component has {} bytes, over its limit of {LIMIT}", component.len()));
    }
    fs::write(out.join("component.wasm"), &component).map_err(|e| format!("component.wasm: {e}"))
}

/// Writes into the module which world it is made for, and makes a component of it: names and signatures must fit.
fn componentize(mut module: Vec<u8>, wit: &Path) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(wit)?;
    let world = resolve.select_world(&[package], Some("kv"))?;
    wit_component::embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8, false)?;
    let component = ComponentEncoder::default().validate(true).module(&module)?.encode()?;
    without_custom_sections(&component).ok_or_else(|| "its sections cannot be told apart".into())
}

/// Names of the component's parts, for debuggers: nothing that runs.
fn without_custom_sections(component: &[u8]) -> Option<Vec<u8>> {
    const PREAMBLE: usize = 8;
    const CUSTOM: u8 = 0;
    let (preamble, mut rest) = component.split_at_checked(PREAMBLE)?;
    let mut kept = preamble.to_vec();
    while let [id, sized @ ..] = rest {
        // The section's size, in LEB128.
        let length = sized.iter().position(|byte| byte & 0x80 == 0)? + 1;
        let size = sized[..length].iter().rev().fold(0, |size, byte| size << 7 | usize::from(byte & 0x7f));
        let (section, after) = rest.split_at_checked(1 + length + size)?;
        if *id != CUSTOM {
            kept.extend_from_slice(section);
        }
        rest = after;
    }
    Some(kept)
}

/// Cargo's own message about a missing target is long and does not say what to do.
fn check_target() -> Result<(), String> {
    if !Path::new(&rustc(&["--print", "target-libdir", "--target", TARGET])?).is_dir() {
        return Err(format!("the WebAssembly target is missing; this adds it: rustup target add {TARGET}"));
    }
    Ok(())
}

fn rustc(args: &[&str]) -> Result<String, String> {
    let output = Command::new(variable("RUSTC")?).args(args).output().map_err(|e| format!("rustc: {e}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Shared by all profiles where the outer target directory can be told, so that the core is built once.
fn target_dir(out: &Path) -> PathBuf {
    let outer = out.ancestors().find(|dir| dir.join("CACHEDIR.TAG").is_file());
    outer.unwrap_or(out).join("component")
}

fn compile(root: &Path, target_dir: &Path) -> Result<PathBuf, String> {
    let cargo_home = env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| Some(env::home_dir()?.join(".cargo")));
    let mut flags = vec![format!("--remap-path-prefix={}=/dataknobs-kv", root.display())];
    // Where the toolchain has its sources, the compiler names them by their place here, else by the toolchain's commit.
    let (sysroot, version) = (rustc(&["--print", "sysroot"])?, rustc(&["-vV"])?);
    let commit = version.lines().find_map(|line| line.strip_prefix("commit-hash: ")).unwrap_or("unknown");
    let sources = Path::new(&sysroot).join("lib/rustlib/src/rust");
    flags.push(format!("--remap-path-prefix={}=/rustc/{commit}", sources.display()));
    if let Some(home) = cargo_home {
        flags.push(format!("--remap-path-prefix={}=/cargo", home.display()));
    }

    let mut cargo = Command::new(variable("CARGO")?);
    cargo.current_dir(root);
    for (name, _) in env::vars_os() {
        if name.to_str().is_some_and(leaks) {
            cargo.env_remove(name);
        }
    }
    cargo
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
        .args(["rustc", "--quiet", "--locked", "--package", "dataknobs-kv-core", "--lib", "--crate-type", "cdylib"])
        .args(["--features", "component", "--profile", "component", "--target", TARGET, "--target-dir"])
        .arg(target_dir);
    let output = cargo.output().map_err(|e| format!("cargo: {e}"))?;
    if !output.status.success() {
        return Err(format!(
            "the core does not build for {TARGET} ({}):\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        ));
    }
    Ok(target_dir.join(TARGET).join("component").join("dataknobs_kv_core.wasm"))
}

/// Whether the variable is about the outer build, rather than about this machine (proxies, registries, toolchain).
fn leaks(name: &str) -> bool {
    const PREFIXES: [&str; 9] = [
        "CARGO_CFG_",
        "CARGO_FEATURE_",
        "CARGO_PKG_",
        "CARGO_MANIFEST_",
        "CARGO_BUILD_",
        "CARGO_TARGET_",
        "CARGO_PROFILE_",
        "CARGO_UNSTABLE_",
        "DEP_",
    ];
    const NAMES: [&str; 19] = [
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_INCREMENTAL",
        "CARGO_PRIMARY_PACKAGE",
        "CARGO_CRATE_NAME",
        "CARGO_BIN_NAME",
        "CLIPPY_ARGS",
        "CLIPPY_CONF_DIR",
        "DEBUG",
        "HOST",
        "NUM_JOBS",
        "OPT_LEVEL",
        "OUT_DIR",
        "PROFILE",
        "RUSTC_LINKER",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTDOC",
        "RUSTDOCFLAGS",
        "RUSTFLAGS",
        "TARGET",
    ];
    PREFIXES.iter().any(|prefix| name.starts_with(prefix)) || NAMES.contains(&name) || name == "RUSTC_WRAPPER"
}

fn variable(name: &str) -> Result<String, String> {
    env::var(name).map_err(|_| format!("{name} is not set: run this by cargo"))
}
