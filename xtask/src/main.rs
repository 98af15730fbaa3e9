//! Set-up, run, check, test and bench of dataknobs-kv: `cargo xtask help`.

mod bench;
mod cargo;
mod check;
mod licences;
mod packages;
mod real_input;
mod report;
mod run;
mod services;
mod setup;
mod size;
mod test;
mod web;

use std::process::ExitCode;

/// What went wrong, in words for the person at the terminal.
type Result<T = ()> = std::result::Result<T, String>;

const HELP: &str = "\
cargo xtask COMMAND

  setup              the pinned Rust with what the project needs; costs nothing when it is there
  run [ARGS]         setup, build, and serve on http://127.0.0.1:8700, with the explorer at / where npm is there to build
                     it; ARGS go to `dataknobs-kv serve`
  test [ARGS]        setup, real servers, all tests, doctests and examples, and a table of what ran where; ARGS go to
                     `cargo test`, but for a first `--services=NAME,NAME…` or `--services=none`
  services up [NAME...] | down | status
                     real servers that stay, and `export` lines that tell the tests where they are

  check              setup, fmt, clippy, doc and licences
  fmt                rustfmt, changing nothing
  clippy             clippy, warnings denied
  doc                rustdoc, warnings denied
  licences           every dependency's licence against the list of allowed ones

  web [test [NAME]]  the npm package, into web/dist, and the explorer, into web/demo/dist; `test`: their tests, in Node,
                     Chromium and Firefox
  web docs           the reference of the package's types, into web/docs
  web screenshots    the explorer's pictures, into docs/images

  size               the size of the core component
  bench [NAME...]    the measurements; without a NAME all of them, and the tables go to docs/benchmarks.md;
                     `bench web [NAME]`: in a browser, beside other packages
  real-input         a large real data set through the command line: import, list, export, import again, compare
";

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let command = args.next().unwrap_or_else(|| "help".into());
    // `cargo xtask run -- --listen …`: the dashes are a habit from `cargo run` and mean nothing here.
    let mut rest: Vec<String> = args.collect();
    if rest.first().is_some_and(|first| first == "--") {
        rest.remove(0);
    }
    match dispatch(&command, &rest) {
        Ok(code) => code,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: &str, args: &[String]) -> Result<ExitCode> {
    let takes_arguments = matches!(command, "run" | "test" | "services" | "bench" | "web" | "help" | "--help" | "-h");
    if let (false, Some(first)) = (takes_arguments, args.first()) {
        return Err(format!("`{command}` takes no arguments, and got `{first}`"));
    }
    match command {
        "setup" => setup::setup()?,
        "run" => run::run(args)?,
        "test" => return test::test(args),
        "services" => services::services(args)?,
        "web" => return web::web(args),
        "check" => {
            setup::setup()?;
            check::fmt()?;
            check::clippy()?;
            check::doc()?;
            licences::check()?;
        }
        "fmt" => check::fmt()?,
        "clippy" => check::clippy()?,
        "doc" => check::doc()?,
        "licences" => licences::check()?,
        "size" => size::size()?,
        "bench" => bench::bench(args)?,
        "real-input" => real_input::real_input()?,
        "help" | "--help" | "-h" => print!("{HELP}"),
        other => return Err(format!("no command `{other}`\n\n{HELP}")),
    }
    Ok(ExitCode::SUCCESS)
}
