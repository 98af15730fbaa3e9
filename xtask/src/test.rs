//! `cargo xtask test`: everything that proves the project, and what it proved.

use std::io::{BufRead, BufReader};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use crate::Result;
use crate::cargo::{cargo, describe};
use crate::report::Report;

/// Runs tests, doctests and the examples that are tests; with arguments only what they make of `cargo test`. Servers are
/// there meanwhile, and end with this program, however that ends.
pub(crate) fn test(args: &[String]) -> Result<ExitCode> {
    crate::setup::setup()?;
    let began = Instant::now();
    let first = args.first().and_then(|first| first.strip_prefix("--services="));
    let args = if first.is_some() { &args[1..] } else { args };
    let servers = crate::services::for_tests(first)?;
    let mut report = Report::default();
    let mut good = cargo_test(args, &servers.variables, &mut report)?;
    drop(servers);
    // Who asks for some of cargo's tests does not ask for these.
    if args.is_empty() {
        good &= crate::web::test(&[], &mut report)?;
    }
    good &= report.passed();
    println!("\n{}", report.summary());
    println!("{} in {} s", if good { "passed" } else { "FAILED" }, began.elapsed().as_secs());
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Whether cargo itself was content.
fn cargo_test(args: &[String], variables: &[(String, String)], report: &mut Report) -> Result<bool> {
    let mut command = cargo(["test", "--no-fail-fast"]);
    command.args(args).envs(variables.iter().cloned());
    read_tests(command, report)
}

/// Runs what prints tests as libtest does: whether it was content.
pub(crate) fn read_tests(mut command: Command, report: &mut Report) -> Result<bool> {
    // One pipe for both, so that cargo's "Running …" stands before what that binary prints.
    let (reader, writer) = std::io::pipe().map_err(|e| format!("cannot make a pipe: {e}"))?;
    command.stdin(Stdio::null());
    command.stdout(writer.try_clone().map_err(|e| format!("cannot share a pipe: {e}"))?).stderr(writer);
    let said = describe(&command);
    eprintln!("$ {said}");
    let mut child = command.spawn().map_err(|e| format!("cannot start `{said}`: {e}"))?;
    // Its ends of the pipe would keep the reader waiting for ever.
    drop(command);

    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = reader.read_until(b'\n', &mut line).map_err(|e| format!("cannot read from `{said}`: {e}"))?;
        if read == 0 {
            break;
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end_matches(['\n', '\r']);
        if report.line(text) {
            println!("{text}");
        }
    }
    let status = child.wait().map_err(|e| format!("cannot wait for `{said}`: {e}"))?;
    if status.success() {
        report.finish();
    }
    Ok(status.success())
}
