//! What the numbers were measured on.

use std::process::Command;

/// A line or two for the head of the page.
pub(crate) fn describe() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    format!(
        "Measured on {}: {cores} cores ({}), {} of memory, Linux {}; {}; dataknobs-kv {}.\n",
        first_line("date", &["-u", "+%Y-%m-%d"]),
        field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".into()),
        memory(),
        first_line("uname", &["-r"]).split('-').next().unwrap_or_default(),
        first_line("rustc", &["--version"]),
        env!("CARGO_PKG_VERSION"),
    )
}

fn memory() -> String {
    let kib = field("/proc/meminfo", "MemTotal").and_then(|text| text.trim_end_matches(" kB").parse::<f64>().ok());
    kib.map_or("unknown".into(), |kib| format!("{:.0} GB", kib * 1024.0 / 1e9))
}

fn field(file: &str, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// What a program says of itself; `unknown` where it is not there.
pub(crate) fn first_line(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    text.lines().next().unwrap_or("unknown").to_owned()
}
