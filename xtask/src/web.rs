//! The npm package: `web/`, and the explorer made of it, built and tested. Its tools are those of its lock files: wasm-bindgen's in the version of the
//! crate, the others by npm.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use crate::Result;
use crate::cargo::{call, cargo, describe, program, root, target_directory};
use crate::report::Report;
use crate::test::read_tests;

/// What browsers run.
pub(crate) const TARGET: &str = "wasm32-unknown-unknown";

/// LLVM's settings for the package, each smaller by brotli, and none slower: it does not compute the same ahead on several ways,
/// nor keep a counter for each address in loops, and is a little more willing than `opt-level` `z` (5) to inline a call.
const SMALL: &str = "-Cllvm-args=-enable-pre=false -Cllvm-args=-disable-lsr -Cllvm-args=-inline-threshold=15";

/// Panics that trap at once, without places and without what `{:?}` would say of anything.
const SILENT: &str = "-Zunstable-options -Cpanic=immediate-abort -Zlocation-detail=none -Zfmt-debug=none";

/// `web`: builds the package and the explorer; `web test [NAME]`: runs their tests, or those whose name holds NAME; `web docs`:
/// makes the reference of the package's types, `web/docs`; `web screenshots`: takes the explorer's pictures anew.
pub(crate) fn web(args: &[String]) -> Result<ExitCode> {
    crate::setup::setup()?;
    match args.split_first() {
        None => {
            build()?;
            Ok(ExitCode::SUCCESS)
        }
        Some((first, rest)) if first == "test" => {
            let mut report = Report::default();
            let good = test(rest, &mut report)? && report.passed();
            println!("\n{}", report.summary());
            Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Some((first, [])) if first == "docs" => {
            build()?;
            call(program("node").arg("web/reference.mjs"))?;
            Ok(ExitCode::SUCCESS)
        }
        Some((first, [])) if first == "screenshots" => {
            let chromium = chromium()?;
            build()?;
            call(program("node").arg("web/demo/screenshots.mjs").env("KV_TEST_CHROMIUM", chromium))?;
            Ok(ExitCode::SUCCESS)
        }
        Some((other, _)) => Err(format!("web has no `{other}`; it has `test [NAME]`, `docs` and `screenshots`")),
    }
}

/// Makes `web/dist`, and the explorer in `web/demo/dist`.
fn build() -> Result {
    let module = |name, features: &[&str]| glue("dataknobs-kv-web", features, "dataknobs_kv_web", "web", name);
    let database = module("dataknobs_kv", &[])?;
    let http = module("dataknobs_kv_http", &["--no-default-features", "--features", "http"])?;
    packages()?;
    call(program("node").arg("web/build.mjs").args([database, http]))?;
    call(program("node").arg("web/demo/build.mjs"))
}

/// Builds the explorer for a program that it shall be part of: whether it is there. A service without it is one too.
pub(crate) fn explorer() -> bool {
    let built = node().and_then(|()| build());
    if let Err(reason) = &built {
        eprintln!("web: {reason}; the service goes without the explorer");
    }
    built.is_ok()
}

/// That the programs are there which all else here stands on.
fn node() -> Result {
    for name in ["node", "npm"] {
        if !Command::new(name).arg("--version").stdout(Stdio::null()).status().is_ok_and(|status| status.success()) {
            return Err(format!("{name} is not installed: https://nodejs.org has it"));
        }
    }
    Ok(())
}

/// Builds a crate for browsers: the folder of what wasm-bindgen makes of it.
fn glue(package: &str, features: &[&str], file: &str, profile: &str, name: &str) -> Result<PathBuf> {
    let mut build = cargo(["build", "--package", package, "--target", TARGET, "--profile", profile]);
    build.args(features);
    if profile == "web" {
        small(&mut build)?;
    }
    call(&mut build)?;
    let target = target_directory()?;
    let glue = target.join("glue").join(name);
    let mut bindgen = program(&wasm_bindgen()?.to_string_lossy());
    bindgen.args(["--target", "web", "--out-name", name, "--out-dir"]).arg(&glue);
    call(bindgen.arg(target.join(TARGET).join(profile).join(format!("{file}.wasm"))))?;
    Ok(glue)
}

/// Makes the module small: by LLVM's settings, and with the standard library compiled along, for size and without what a panic
/// says, which nobody would hear: it ends the call as a trap. The latter are features of the compiler that are not stable. Its
/// version is pinned, and where the library's source is not to be had, the module is built without.
fn small(build: &mut Command) -> Result {
    let output = program("rustc").args(["--print", "sysroot"]).output().map_err(|e| format!("rustc: {e}"))?;
    if !crate::setup::has_source(Path::new(String::from_utf8_lossy(&output.stdout).trim())) {
        eprintln!("web: no source of the standard library (rust-src): the modules are some kilobytes larger");
        build.env("RUSTFLAGS", SMALL);
        return Ok(());
    }
    build.args(["-Zbuild-std=std,panic_abort", "-Zbuild-std-features="]);
    build.env("RUSTC_BOOTSTRAP", "1").env("RUSTFLAGS", format!("{SMALL} {SILENT}"));
    Ok(())
}

/// wasm-bindgen's program, which must be of the very version of the crate: the one on the PATH, or one of our own.
fn wasm_bindgen() -> Result<PathBuf> {
    let version = locked("wasm-bindgen")?;
    if is_version(Path::new("wasm-bindgen"), &version) {
        return Ok("wasm-bindgen".into());
    }
    let root = dataknobs_kv_services::cache()?.join(format!("wasm-bindgen-{version}"));
    let own = root.join("bin").join(format!("wasm-bindgen{}", std::env::consts::EXE_SUFFIX));
    if !is_version(&own, &version) {
        eprintln!("web: wasm-bindgen {version} is missing: building it, which takes some minutes, once");
        let mut install = cargo(["install", "wasm-bindgen-cli", "--version", &version, "--root"]);
        // Beside the project's own target folder, whose profiles are not meant for it.
        call(install.arg(&root).env("CARGO_TARGET_DIR", root.join("target")))?;
        let _ = std::fs::remove_dir_all(root.join("target"));
    }
    Ok(own)
}

fn is_version(file: &Path, version: &str) -> bool {
    let output = Command::new(file).arg("--version").stderr(Stdio::null()).output();
    output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).split_whitespace().nth(1) == Some(version))
}

/// The version of a crate in the workspace's lock file.
fn locked(name: &str) -> Result<String> {
    let file = root().join("Cargo.lock");
    let text = std::fs::read_to_string(&file).map_err(|e| format!("cannot read {}: {e}", file.display()))?;
    let after = format!("name = \"{name}\"\nversion = \"");
    let version = text.split_once(&after).and_then(|(_, rest)| rest.split_once('"'));
    version.map(|(version, _)| version.to_owned()).ok_or(format!("{} has no {name}", file.display()))
}

/// What `package-lock.json` names, installed if it is not.
fn packages() -> Result {
    let (lock, installed) = (root().join("package-lock.json"), root().join("node_modules/.package-lock.json"));
    let changed = |file: &Path| std::fs::metadata(file).and_then(|metadata| metadata.modified());
    if let (Ok(lock), Ok(installed)) = (changed(&lock), changed(&installed))
        && lock <= installed
    {
        return Ok(());
    }
    call(program("npm").args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]))
}

/// The browser that tests and benchmarks need.
fn chromium() -> Result<PathBuf> {
    node()?;
    let names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
    dataknobs_kv_services::program(&names, "chromium")
}

/// Builds the package and runs its tests, in Node and in browsers. Without a browser they are ignored, unless
/// `KV_TEST_REQUIRE` names it. Whether all went well.
pub(crate) fn test(only: &[String], report: &mut Report) -> Result<bool> {
    let chromium = match chromium() {
        Ok(chromium) => chromium,
        Err(reason) if dataknobs_kv_services::required("chromium") => {
            return Err(format!("KV_TEST_REQUIRE names chromium, and the browser's tests cannot run: {reason}"));
        }
        Err(reason) => {
            for line in [
                "     Running tests of the browser package (web-0)".to_owned(),
                format!("test all_of_it ... ignored, {reason}"),
                "test result: ok. 0 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out".to_owned(),
            ] {
                report.line(&line);
                println!("{line}");
            }
            return Ok(true);
        }
    };
    build()?;
    let suite = glue("dataknobs-kv-web-conformance", &[], "dataknobs_kv_web_conformance", "web-test", "conformance")?;
    let mut command = program("node");
    command.arg("web/tests/run.mjs").args(only);
    command.env("KV_WEB_CONFORMANCE", suite).env("KV_TEST_CHROMIUM", chromium);
    match dataknobs_kv_services::program(&["firefox", "firefox-esr"], "firefox-esr") {
        Ok(firefox) => command.env("KV_TEST_FIREFOX", firefox),
        Err(reason) if dataknobs_kv_services::required("firefox") => {
            return Err(format!("KV_TEST_REQUIRE names firefox, and its tests cannot run: {reason}"));
        }
        Err(reason) => command.env("KV_TEST_NO_FIREFOX", reason),
    };
    command.env("KV_TEST_COMMAND", service()?);
    eprintln!("$ {}", describe(&command));
    read_tests(command, report)
}

/// The program whose service the tests talk to, built as all tests are.
fn service() -> Result<PathBuf> {
    call(&mut cargo(["build", "--package", "dataknobs-kv-cli", "--features", "explorer"]))?;
    Ok(target_directory()?.join("debug").join(format!("dataknobs-kv{}", std::env::consts::EXE_SUFFIX)))
}

/// Measures the package in a browser beside others of its kind.
pub(crate) fn bench(only: &[String]) -> Result {
    let chromium = chromium()?;
    build()?;
    call(program("node").arg("web/bench/run.mjs").args(only).env("KV_TEST_CHROMIUM", chromium))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lock_file_names_wasm_bindgen() {
        let version = locked("wasm-bindgen").expect("a version");
        assert!(version.split('.').count() == 3, "{version}");
        assert!(locked("no-such-crate").is_err());
    }
}
